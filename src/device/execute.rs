//! Stores and programs of either device behind one interface, for sessions.

use std::sync::Arc;

use super::cpu::{CpuProgram, CpuStore};
use super::gpu::{GpuCopy, GpuProgram, GpuStore, Startup, Ticket};
use super::{Device, Kind};
use crate::compiler::{Location, Program};
use crate::error::{Error, Result};
use crate::tensor::Storage;

/// Persistent buffers on a device.
pub(crate) enum DeviceStore {
    Cpu(CpuStore),
    Gpu(GpuStore),
}

impl DeviceStore {
    pub(crate) fn new(device: &Device) -> Self {
        match &device.0 {
            Kind::Cpu => Self::Cpu(CpuStore::default()),
            Kind::Gpu(gpu) => Self::Gpu(GpuStore::new(gpu)),
        }
    }

    /// Number of buffers.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Cpu(store) => store.buffers.len(),
            Self::Gpu(store) => store.len(),
        }
    }

    /// One more buffer, of zeros.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<()> {
        match self {
            Self::Cpu(store) => store.buffers.push(reserve(bytes)?),
            Self::Gpu(store) => {
                store.add(bytes)?;
            }
        }
        Ok(())
    }

    /// Removes the buffers from an index on.
    pub(crate) fn truncate(&mut self, buffers: usize) {
        match self {
            Self::Cpu(store) => store.buffers.truncate(buffers),
            Self::Gpu(store) => store.truncate(buffers),
        }
    }

    /// Frees a buffer's memory; its index stays.
    pub(crate) fn clear(&mut self, buffer: usize) -> Result<()> {
        match self {
            Self::Cpu(store) => {
                if let Some(buffer) = store.buffers.get_mut(buffer) {
                    *buffer = Storage::default();
                }
                Ok(())
            }
            Self::Gpu(store) => store.clear(buffer),
        }
    }

    pub(crate) fn write(&mut self, location: Location, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Cpu(store) => {
                let target = store.buffers[location.buffer].as_mut_slice::<u8>();
                target[location.offset..location.offset + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
            Self::Gpu(store) => store.write(location.buffer, location.offset, bytes),
        }
    }

    /// Copies ranges to memory of their own on the device.
    pub(crate) fn copied(&self, locations: &[Location]) -> Result<StoreCopy> {
        match self {
            Self::Cpu(_) => match self.start_read(locations)? {
                Arrival::Ready(values) => Ok(StoreCopy::Cpu(values)),
                Arrival::Awaited(_) => Err(mismatch()),
            },
            Self::Gpu(store) => Ok(StoreCopy::Gpu(store.copied(locations)?)),
        }
    }

    /// Puts ranges of a copy, by their numbers, where they are wanted.
    pub(crate) fn put(&mut self, copy: &StoreCopy, to: &[(usize, Location)]) -> Result<()> {
        match (self, copy) {
            (Self::Cpu(_), StoreCopy::Gpu(_)) | (Self::Gpu(_), StoreCopy::Cpu(_)) => {
                Err(Error::Argument("the snapshot is on another device".into()))
            }
            (store @ Self::Cpu(_), StoreCopy::Cpu(values)) => {
                to.iter().try_for_each(|&(index, location)| store.write(location, &values[index]))
            }
            (Self::Gpu(store), StoreCopy::Gpu(copy)) => store.put(copy, to),
        }
    }

    /// Records a read among an application's commands.
    pub(crate) fn record_read(&self, encoder: &mut wgpu::CommandEncoder, locations: &[Location]) -> Result<Arrival> {
        match self {
            Self::Cpu(_) => self.start_read(locations),
            Self::Gpu(store) => Ok(Arrival::Awaited(store.record_read(encoder, &ranges(locations))?)),
        }
    }

    /// Begins to read ranges.
    pub(crate) fn start_read(&self, locations: &[Location]) -> Result<Arrival> {
        match self {
            Self::Cpu(store) => {
                let read = |location: &Location| {
                    let bytes = store.buffers[location.buffer].as_slice::<u8>();
                    bytes[location.offset..location.offset + location.bytes].to_vec()
                };
                Ok(Arrival::Ready(locations.iter().map(read).collect()))
            }
            Self::Gpu(store) => Ok(Arrival::Awaited(store.start_read(&ranges(locations))?)),
        }
    }
}

/// Locations as a GPU's store takes them: buffer, offset, number of bytes.
fn ranges(locations: &[Location]) -> Vec<(usize, usize, usize)> {
    locations.iter().map(|location| (location.buffer, location.offset, location.bytes)).collect()
}

/// Ranges of a store, copied.
pub(crate) enum StoreCopy {
    Cpu(Vec<Vec<u8>>),
    Gpu(GpuCopy),
}

/// Values of a run that are, or will be, on the host.
pub(crate) enum Arrival {
    Ready(Vec<Vec<u8>>),
    Awaited(Ticket),
}

impl Arrival {
    /// Whether the values are there.
    pub(crate) fn is_ready(&self) -> Result<bool> {
        match self {
            Self::Ready(_) => Ok(true),
            Self::Awaited(ticket) => ticket.is_ready_now(),
        }
    }

    /// The values, when they are there.
    pub(crate) async fn arrive(self) -> Result<Vec<Vec<u8>>> {
        match self {
            Self::Ready(values) => Ok(values),
            Self::Awaited(ticket) => ticket.await,
        }
    }
}

/// A program loaded on a device.
pub(crate) enum DeviceProgram {
    Cpu(CpuProgram),
    Gpu(Box<GpuProgram>),
}

/// Host memory, or an error where there is too little.
pub(super) fn reserve(bytes: usize) -> Result<Storage> {
    Storage::try_zeroed(bytes)
        .ok_or_else(|| Error::OutOfMemory(format!("{bytes} bytes are needed, which the host does not have")))
}

fn mismatch() -> Error {
    Error::Device("the program and the store are on different devices".into())
}

impl DeviceProgram {
    pub(crate) async fn load(device: &Device, program: &Arc<Program>, store: &DeviceStore) -> Result<Self> {
        match (&device.0, store) {
            (Kind::Cpu, DeviceStore::Cpu(_)) => CpuProgram::load(Arc::clone(program)).map(Self::Cpu),
            (Kind::Gpu(gpu), DeviceStore::Gpu(store)) => {
                Ok(Self::Gpu(Box::new(GpuProgram::load_async(gpu, Arc::clone(program), store).await?)))
            }
            _ => Err(mismatch()),
        }
    }

    /// What loading took.
    pub(crate) fn startup(&self) -> Startup {
        match self {
            Self::Cpu(_) => Startup::default(),
            Self::Gpu(program) => program.startup().clone(),
        }
    }

    /// Runs once; returns what is captured, as it is at the end of the run. With `waits`, it waits where the device has enough to do,
    /// else it refuses then.
    pub(crate) async fn run(
        &mut self,
        store: &mut DeviceStore,
        inputs: &[(usize, &[u8])],
        captures: &[Location],
        waits: bool,
    ) -> Result<Arrival> {
        match (self, store) {
            (Self::Cpu(program), DeviceStore::Cpu(store)) => {
                program.run(store, inputs)?;
                Ok(Arrival::Ready(captures.iter().map(|&location| program.read(store, location)).collect()))
            }
            (Self::Gpu(program), DeviceStore::Gpu(_)) => {
                let ticket = if waits {
                    program.run_async(inputs, captures).await?
                } else {
                    program.try_run(inputs, captures)?
                };
                Ok(ticket.map_or_else(|| Arrival::Ready(Vec::new()), Arrival::Awaited))
            }
            _ => Err(mismatch()),
        }
    }

    /// The program on a GPU.
    pub(crate) fn as_gpu(&mut self) -> Result<&mut GpuProgram> {
        match self {
            Self::Gpu(program) => Ok(program),
            Self::Cpu(_) => Err(Error::Device("the program runs on the CPU, which has no buffers to share".into())),
        }
    }

    /// Begins to read locations after a run.
    pub(crate) fn start_read(&mut self, store: &DeviceStore, locations: &[Location]) -> Result<Arrival> {
        match (self, store) {
            (Self::Cpu(program), DeviceStore::Cpu(store)) => {
                Ok(Arrival::Ready(locations.iter().map(|&location| program.read(store, location)).collect()))
            }
            (Self::Gpu(program), DeviceStore::Gpu(_)) => Ok(Arrival::Awaited(program.start_read(locations)?)),
            _ => Err(mismatch()),
        }
    }

    /// Runs `repetitions` times and returns the seconds of all by the device's own clock, if it has one.
    pub(crate) fn time_runs(&mut self, inputs: &[(usize, &[u8])], repetitions: usize) -> Result<Option<f64>> {
        match self {
            Self::Gpu(program) => program.time_runs(inputs, repetitions),
            Self::Cpu(_) => Ok(None),
        }
    }

    /// Runs once and returns the seconds that each step took, by its number.
    pub(crate) fn profile(&mut self, store: &mut DeviceStore, inputs: &[(usize, &[u8])]) -> Result<Vec<(usize, f64)>> {
        match (self, store) {
            (Self::Cpu(program), DeviceStore::Cpu(store)) => program.profile(store, inputs),
            (Self::Gpu(program), DeviceStore::Gpu(_)) => {
                Ok(program.profile(inputs)?.into_iter().map(|step| (step.step, step.seconds)).collect())
            }
            _ => Err(mismatch()),
        }
    }
}
