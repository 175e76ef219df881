//! All plans for one piece of work, on a GPU: loaded side by side on the same operands, compared with the default, and timed.

use std::sync::Arc;

use rayon::prelude::*;

use super::contents::{self, Contents};
use super::race::{Race, race};
use crate::compiler::{BufferKind, BufferPlan, Dispatch, Location, Program, Step};
use crate::device::gpu::{GpuDevice, GpuProgram, GpuStore};
use crate::error::{Error, Result};
use crate::shader::{Bound, Grid, Kernel, KernelPlan};

/// Seconds of a sample: long enough for the clock, and for what a submission costs the host of a software driver.
const SAMPLE: f64 = 4e-3;
const SAMPLE_ON_SOFTWARE: f64 = 12e-3;

/// What came of comparing.
pub(super) struct Outcome {
    pub(super) race: Race,
    /// Plans whose results differ from the default's, with what is different.
    pub(super) wrong: Vec<(usize, String)>,
    /// Plans that were compared.
    pub(super) candidates: usize,
}

/// Compares the plans for a step's work, of which the first is the default. Nothing where the default cannot be run by itself.
///
/// # Errors
/// Where memory does not suffice, or the device was lost.
pub(super) fn run(gpu: &GpuDevice, step: &Step, plans: &[KernelPlan]) -> Result<Option<Outcome>> {
    let (memory, store) = Memory::new(gpu, step, plans)?;
    let loaded = memory.load_all(gpu, step, plans, &store);
    gpu.check()?;
    let mut wrong: Vec<(usize, String)> = Vec::new();
    let mut right: Vec<(usize, f64)> = Vec::new();
    let mut expected: Vec<Vec<u8>> = Vec::new();
    for (number, program) in loaded.iter().enumerate() {
        let program = match program {
            Ok(Some(program)) => program,
            Ok(None) if number == 0 => return Ok(None),
            Err(error) if number == 0 => return Err(error.clone()),
            Ok(None) => continue,
            // A limit says only that the kernel is not for this device.
            Err(Error::Limit(_)) => continue,
            Err(error @ Error::DeviceLost(_)) => return Err(error.clone()),
            Err(error) => {
                wrong.push((number, error.to_string()));
                continue;
            }
        };
        let (found, seconds) = memory.results(&store, program)?;
        if number == 0 {
            expected = found;
            right.push((number, seconds));
            continue;
        }
        let problem = found.iter().zip(&expected).zip(&step.types).enumerate().find_map(|(output, pair)| {
            let ((found, expected), ty) = pair;
            Some(format!("of output {output}, {}", contents::difference(found, expected, ty.dtype)?))
        });
        match problem {
            Some(problem) => wrong.push((number, problem)),
            None => right.push((number, seconds)),
        }
    }
    drop(expected);
    let sample = if gpu.adapter().is_software { SAMPLE_ON_SOFTWARE } else { SAMPLE };
    let race = race(&right, sample, &mut |number, runs| match loaded.get(number) {
        Some(Ok(Some(program))) => program.time(runs),
        _ => Ok(f64::INFINITY),
    })?;
    Ok(race.map(|race| Outcome { race, wrong, candidates: right.len() }))
}

/// The operands, results and scratch of a step, in buffers of a store.
struct Memory {
    buffers: Vec<BufferPlan>,
    reads: Vec<usize>,
    writes: Vec<usize>,
    scratch: Vec<usize>,
    /// Bytes of each read and write.
    read_bytes: Vec<usize>,
    write_bytes: Vec<usize>,
}

impl Memory {
    fn new(gpu: &GpuDevice, step: &Step, plans: &[KernelPlan]) -> Result<(Self, GpuStore)> {
        let mut store = GpuStore::new(gpu);
        let mut memory = Self {
            buffers: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            scratch: Vec::new(),
            read_bytes: step.reads.iter().map(|location| location.bytes).collect(),
            write_bytes: step.writes.iter().map(|location| location.bytes).collect(),
        };
        let contents: Vec<Contents> = contents::of(step);
        for (index, location) in step.reads.iter().enumerate() {
            // A value that is read twice is one buffer here as there, as caches see a difference.
            let known = step.reads[..index].iter().position(|other| other == location);
            let number = match known.and_then(|known| memory.reads.get(known).copied()) {
                Some(number) => number,
                None => {
                    let number = memory.add(&mut store, location.bytes)?;
                    if let Some(contents) = contents.get(index) {
                        store.write(number, 0, &contents.bytes(location.bytes))?;
                    }
                    number
                }
            };
            memory.reads.push(number);
        }
        for location in &step.writes {
            let number = memory.add(&mut store, location.bytes)?;
            memory.writes.push(number);
        }
        let most = plans.iter().map(|plan| plan.scratch.len()).max().unwrap_or(0);
        for index in 0..most {
            let limit = gpu.adapter().limits.binding_bytes;
            let sizes = plans.iter().filter_map(|plan| plan.scratch.get(index).copied());
            // What is too large is an error of the plan that wants it.
            let bytes = sizes.filter(|&bytes| bytes as u64 <= limit).max().unwrap_or(0);
            let number = memory.add(&mut store, bytes)?;
            memory.scratch.push(number);
        }
        Ok((memory, store))
    }

    fn add(&mut self, store: &mut GpuStore, bytes: usize) -> Result<usize> {
        let number = store.add(bytes)?;
        self.buffers
            .push(BufferPlan { bytes: bytes.next_multiple_of(16).max(16), kind: BufferKind::Persistent(number) });
        Ok(number)
    }

    /// Each plan as a program of one step. Drivers take their time to compile, so they do it side by side.
    fn load_all(
        &self,
        gpu: &GpuDevice,
        step: &Step,
        plans: &[KernelPlan],
        store: &GpuStore,
    ) -> Vec<Result<Option<GpuProgram>>> {
        let load = |plan: &KernelPlan| match self.program(gpu, step, plan) {
            Some(program) => GpuProgram::load(gpu, Arc::new(program), store).map(Some),
            None => Ok(None),
        };
        // OpenGL has one context, which threads would only take from each other.
        if gpu.info().backend == "gl" { plans.iter().map(load).collect() } else { plans.par_iter().map(load).collect() }
    }

    /// A program of one step that follows a plan; nothing where the plan does not fit the device.
    fn program(&self, gpu: &GpuDevice, step: &Step, plan: &KernelPlan) -> Option<Program> {
        let limits = &gpu.adapter().limits;
        let mut kernels: Vec<Kernel> = Vec::new();
        let mut dispatches = Vec::new();
        for planned in &plan.dispatches {
            let grid = Grid::line(planned.workgroups, limits.workgroups_per_dimension)?;
            let location = |buffer: usize, bytes: usize| Location { buffer, offset: 0, bytes };
            let bindings = planned.bound.iter().map(|bound| match *bound {
                Bound::Input(input) => Some(location(*self.reads.get(input)?, *self.read_bytes.get(input)?)),
                Bound::Output(output) => Some(location(*self.writes.get(output)?, *self.write_bytes.get(output)?)),
                Bound::Scratch(index) => Some(location(*self.scratch.get(index)?, *plan.scratch.get(index)?)),
            });
            let bindings = bindings.collect::<Option<Vec<Location>>>()?;
            let kernel = kernels.iter().position(|kernel| *kernel == planned.kernel).unwrap_or_else(|| {
                kernels.push(planned.kernel.clone());
                kernels.len() - 1
            });
            let mut params = vec![grid.width];
            params.extend(&planned.params);
            params.resize(params.len().next_multiple_of(4), 0);
            dispatches.push(Dispatch { kernel, params, grid, bindings });
        }
        let step = Step { dispatches, reads: Vec::new(), writes: Vec::new(), ..step.clone() };
        Some(Program { buffers: self.buffers.clone(), kernels, steps: vec![step], ..Program::default() })
    }

    /// The results of a run, over what no kernel computes (every bit set, which is NaN), and the seconds that it took.
    fn results(&self, store: &GpuStore, program: &GpuProgram) -> Result<(Vec<Vec<u8>>, f64)> {
        let writes = || self.writes.iter().zip(&self.write_bytes);
        for (&number, &bytes) in writes() {
            store.write(number, 0, &vec![0xff; bytes])?;
        }
        let seconds = program.time(1)?;
        let results = writes().map(|(&number, &bytes)| store.read(number, 0, bytes)).collect::<Result<_>>()?;
        Ok((results, seconds))
    }
}
