//! Devices. The CPU, and GPUs through wgpu; both run the same kind of [`Program`](crate::compiler::Program).

pub(crate) mod cpu;
pub(crate) mod execute;
pub mod gpu;
mod memory;
mod table;
mod tuning;

pub use crate::scalar::Instructions;
pub use table::TunedEntry;
pub use tuning::{Tune, TuneProgress, TunedStep, Tuning};

use std::fmt;
use std::sync::Arc;

use crate::compiler::Target;
use crate::error::{Error, Result};
use crate::waiting::elsewhere;
use gpu::{AdapterKind, Checks, Compiling, GpuDevice, GpuInfo, Selection};

/// What programs run on. Cloning makes another handle to the same device.
#[derive(Clone)]
pub struct Device(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Cpu,
    Gpu(GpuDevice),
}

impl fmt::Debug for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name(), self.backend())
    }
}

impl Device {
    /// The CPU.
    pub fn cpu() -> Self {
        Self(Kind::Cpu)
    }

    /// The first hardware GPU, else the CPU. A software driver counts as no GPU, as the CPU device is faster.
    ///
    /// # Errors
    /// Where a GPU is there but refuses to open.
    pub fn auto() -> Result<Self> {
        let hardware = Self::list().iter().any(|gpu| gpu.kind != AdapterKind::Software);
        if hardware { Self::open(&Selection::Hardware, Checks::Production) } else { Ok(Self::cpu()) }
    }

    /// As [`auto`](Self::auto), without blocking. In a browser, the page's WebGPU adapter, or the CPU where it has none.
    ///
    /// # Errors
    /// As there.
    pub async fn auto_async() -> Result<Self> {
        if cfg!(target_family = "wasm") {
            return Ok(Self::open_async(Selection::Hardware, Checks::Production).await.unwrap_or_else(|_| Self::cpu()));
        }
        elsewhere(Self::auto).await?
    }

    /// The first GPU, be it a software driver.
    ///
    /// # Errors
    /// Where there is no adapter, or it refuses to open.
    pub fn gpu() -> Result<Self> {
        Self::open(&Selection::Any, Checks::Production)
    }

    /// The device that a text names: `auto`, `cpu`, `gpu`, an adapter's number in [`list`](Self::list), or a part of its name.
    ///
    /// # Errors
    /// Where nothing fits; the message lists what there is.
    pub fn named(text: &str) -> Result<Self> {
        match text.trim().to_lowercase().as_str() {
            "auto" => Self::auto(),
            "cpu" => Ok(Self::cpu()),
            "gpu" => Self::gpu(),
            other => match other.parse() {
                Ok(index) => Self::open(&Selection::Index(index), Checks::Production),
                Err(_) => Self::open(&Selection::Name(other.to_owned()), Checks::Production),
            },
        }
    }

    /// A GPU, with or without wgpu's checks in shaders. [`named`](Self::named) opens one by a text of the user's.
    ///
    /// # Errors
    /// Where no adapter fits the selection, or it refuses to open.
    pub fn open(selection: &Selection, checks: Checks) -> Result<Self> {
        Ok(Self(Kind::Gpu(GpuDevice::open(selection, checks)?)))
    }

    /// As [`open`](Self::open), without blocking. In a browser there is one adapter, the page's.
    ///
    /// # Errors
    /// As there.
    pub async fn open_async(selection: Selection, checks: Checks) -> Result<Self> {
        Ok(Self(Kind::Gpu(GpuDevice::open_async(selection, checks).await?)))
    }

    /// The device of an application that has one already: programs run on it beside the application's own work.
    ///
    /// # Errors
    /// Where the device cannot run kernels.
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        Ok(Self(Kind::Gpu(GpuDevice::from_wgpu(adapter, device, queue, Checks::Production)?)))
    }

    /// All GPUs, hardware first. Empty where there is no driver.
    pub fn list() -> Vec<GpuInfo> {
        gpu::adapters()
    }

    /// The name, for people.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Cpu => "CPU".to_owned(),
            Kind::Gpu(gpu) => gpu.info().name.clone(),
        }
    }

    /// The API behind it: `cpu`, `vulkan`, `metal`, `dx12`, `gl`.
    pub fn backend(&self) -> &'static str {
        match &self.0 {
            Kind::Cpu => "cpu",
            Kind::Gpu(gpu) => gpu.info().backend,
        }
    }

    /// True for the CPU device.
    pub fn is_cpu(&self) -> bool {
        matches!(self.0, Kind::Cpu)
    }

    /// The GPU underneath.
    ///
    /// # Errors
    /// Where it is the CPU.
    pub fn as_gpu(&self) -> Result<&GpuDevice> {
        match &self.0 {
            Kind::Gpu(gpu) => Ok(gpu),
            Kind::Cpu => Err(Error::Device("the CPU device has no GPU underneath".into())),
        }
    }

    /// A handle to the same device that reports how far the compilation of kernels has come, while a graph is compiled with it: each kernel
    /// is ready to run when [`Graph::compile`](crate::graph::Graph::compile) or [`Session::load`](crate::session::Session::load) returns.
    /// Kernels that the device has already are not compiled again. It is called from several threads.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let device = Device::cpu().on_compiling(|compiling| println!("{} of {}", compiling.done, compiling.all));
    /// # let _ = device; // The CPU compiles nothing.
    /// ```
    #[must_use]
    pub fn on_compiling(&self, tell: impl Fn(Compiling) + Send + Sync + 'static) -> Self {
        match &self.0 {
            Kind::Cpu => self.clone(),
            Kind::Gpu(gpu) => Self(Kind::Gpu(gpu.with_observer(Arc::new(tell)))),
        }
    }

    /// An error where the device was lost.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], from then on.
    pub fn check(&self) -> Result<()> {
        match &self.0 {
            Kind::Cpu => Ok(()),
            Kind::Gpu(gpu) => gpu.check(),
        }
    }

    /// Checks that memory of the host, where that is the device's, suffices for a program and its variables.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where it does not.
    pub(crate) fn check_room(&self, planned: usize, variables: usize) -> Result<()> {
        match &self.0 {
            Kind::Gpu(gpu) if gpu.info().kind != AdapterKind::Software => Ok(()),
            _ => memory::check_host(planned, variables),
        }
    }

    /// Runs that were submitted to the device and are not done, of all sessions on it. It has room for three; a further one waits for the
    /// oldest. 0 on the CPU, where a run is done when the call returns.
    ///
    /// # Errors
    /// A device that was lost.
    pub fn pending(&self) -> Result<usize> {
        match &self.0 {
            Kind::Cpu => Ok(0),
            Kind::Gpu(gpu) => gpu.pending(),
        }
    }

    /// Waits until everything submitted so far is done.
    ///
    /// # Errors
    /// A device that was lost.
    pub fn wait_idle(&self) -> Result<()> {
        match &self.0 {
            Kind::Cpu => Ok(()),
            Kind::Gpu(gpu) => gpu.wait_idle(),
        }
    }

    /// As [`wait_idle`](Self::wait_idle), without blocking.
    ///
    /// # Errors
    /// A device that was lost.
    pub async fn idle_async(&self) -> Result<()> {
        match &self.0 {
            Kind::Cpu => Ok(()),
            Kind::Gpu(gpu) => gpu.idle_async().await,
        }
    }

    /// True for an adapter of hardware that computes in floats of 16 bits. wgrad's kernels sum in f32; there, f16 is stored and loaded fast.
    pub fn has_half_arithmetic(&self) -> bool {
        match self.target() {
            Target::Cpu => false,
            Target::Gpu(adapter) => adapter.half_arithmetic && !adapter.is_software,
        }
    }

    /// What programs for this device are compiled for, with what tuning found: for [`compile`](crate::compiler::compile).
    pub fn target(&self) -> Target {
        match &self.0 {
            Kind::Cpu => Target::Cpu,
            Kind::Gpu(gpu) => Target::Gpu(tuning::target_adapter(gpu)),
        }
    }
}
