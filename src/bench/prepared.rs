//! A case on a device: compiled, filled, compared with its reference, and then timed.

use crate::clock::Instant;
use std::fmt;

use super::call::{processor_time, wall};
use super::compiling::Compiling;
use super::measure::{Effort, Timing, median, time};
use super::{Case, Work};
use crate::device::Device;
use crate::error::Result;
use crate::session::Session;
use crate::tensor::TensorData;

/// Steps that are compared with the reference before a case is timed.
const CHECKED_STEPS: usize = 3;

/// Steps between two readings of the loss.
const READ_EVERY: usize = 50;

/// Commands in one submission that the GPU times.
const COMMANDS: usize = 4096;

/// The clock that a time was measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// The GPU's timestamps around the kernels alone: what the host does, and the transfer to the device, are not in it.
    Gpu,
    /// Wall time: from the call until the device is done.
    Wall,
}

impl Clock {
    /// `gpu` or `wall`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Wall => "wall",
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The measurements of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Seconds of a run; of a step, where it is one.
    pub timing: Timing,
    /// The clock that they were measured by.
    pub clock: Clock,
    /// Floating-point operations of a run; 0 where what is timed is compiling.
    pub flops: u64,
    /// Bytes that a run must read and write at the least; 0 where what is timed is compiling.
    pub bytes: u64,
    /// Kernels of a run; on the CPU, steps.
    pub dispatches: usize,
    /// Bytes of device memory that the program needs.
    pub planned_bytes: usize,
    /// The largest difference from the reference, over the largest magnitude of the reference.
    pub max_error: f64,
    /// True where the case allows that error.
    pub is_right: bool,
    /// Of training steps, the median seconds of host time in a call, without waiting. For a GPU, processor time of the calling thread,
    /// where the system tells it.
    pub host: Option<f64>,
    /// Seconds until the program was ready to run: from graph to program, and from there on with kernels that the device did not have yet.
    pub ready: f64,
    /// Seconds of the first run after that, with its result on the host.
    pub first_run: f64,
}

impl Outcome {
    /// 10⁹ floating-point operations a second.
    pub fn gflops(&self) -> f64 {
        self.flops as f64 / self.timing.median.max(1e-12) * 1e-9
    }

    /// 10⁹ bytes a second, of those that must be moved at the least.
    pub fn gbytes_per_s(&self) -> f64 {
        self.bytes as f64 / self.timing.median.max(1e-12) * 1e-9
    }
}

/// A session that does something again and again, by the best clock that there is.
pub(super) struct Runner {
    session: Session,
    clock: Clock,
    /// Of a step: whether the loss is read after each.
    synced: Option<bool>,
    /// What is read of a step.
    reads: &'static str,
    /// What is compiled again and again, instead of running the session.
    compiling: Option<Compiling>,
}

impl Runner {
    /// Something that has run once. Kernels are timed by the GPU's clock, where there is one and what it says can be true: some
    /// drivers have timestamps that do not move. Steps are timed by the wall's, which is what a user waits for.
    pub(super) fn new(mut session: Session, synced: Option<bool>, compiling: Option<Compiling>) -> Result<Self> {
        let mut gpu = None;
        if synced.is_none() && compiling.is_none() {
            let around = wall(|| {
                gpu = session.time_runs(&[], 1)?;
                Ok(())
            })?;
            gpu = gpu.filter(|&gpu| gpu > 0.0 && gpu <= around);
        }
        let clock = if gpu.is_some() { Clock::Gpu } else { Clock::Wall };
        Ok(Self { session, clock, synced, reads: "loss", compiling })
    }

    /// Seconds of a number of runs.
    pub(super) fn repeat(&mut self, repetitions: usize) -> Result<f64> {
        let (session, synced, reads) = (&mut self.session, self.synced, self.reads);
        if let Some(compiling) = self.compiling {
            let device = session.device().clone();
            return wall(|| (0..repetitions).try_for_each(|_| compiling.program(&device).map(|_| ())));
        }
        if self.clock == Clock::Gpu {
            let at_once = (COMMANDS / session.program().dispatches().max(1)).max(1);
            let mut seconds = 0.0;
            let mut left = repetitions;
            while left > 0 {
                let now = left.min(at_once);
                seconds += session.time_runs(&[], now)?.unwrap_or(f64::NAN);
                left -= now;
            }
            return Ok(seconds);
        }
        wall(|| {
            for _ in 0..repetitions {
                session.step(&[])?;
                if synced == Some(true) {
                    session.read(reads)?;
                }
            }
            match synced {
                Some(_) => session.read(reads).map(|_| ()),
                None => session.device().wait_idle(),
            }
        })
    }
}

/// A case that is ready to be timed; made by [`Case::prepare`].
pub struct Prepared {
    runner: Runner,
    max_error: f64,
    tolerance: f64,
    first_run: f64,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Prepared")
            .field("clock", &self.runner.clock)
            .field("max_error", &self.max_error)
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    pub(super) fn new(case: &Case, device: &Device, seed: u64) -> Result<Self> {
        let mut session = case.session(device, seed)?;
        let mut reference = case.reference(seed)?;
        let (runs, synced, compiling) = match case.work {
            Work::Kernel { .. } => (1, None, None),
            Work::Step { synced, .. } => (CHECKED_STEPS, Some(synced), None),
            // Batch statistics of a few examples make a hundredth of later losses of what is a rounding in the first.
            Work::Network(_) => (1, Some(false), None),
            Work::Compile(compiling) => (1, None, Some(compiling)),
        };
        let names: Vec<String> = session.program().outputs.iter().map(|port| port.name.clone()).collect();
        let mut max_error = 0.0_f64;
        let mut first_run = None;
        for _ in 0..runs {
            let begun = Instant::now();
            session.step(&[])?;
            let found = names.iter().map(|name| session.read(name)).collect::<Result<Vec<_>>>()?;
            first_run.get_or_insert_with(|| begun.elapsed().as_secs_f64());
            reference.step(&[])?;
            for (name, found) in names.iter().zip(&found) {
                max_error = max_error.max(difference(found, &reference.read(name)?));
            }
        }
        drop(reference);
        let mut runner = Runner::new(session, synced, compiling)?;
        if let Work::Network(network) = &case.work {
            runner.reads = network.reads;
        }
        Ok(Self { runner, max_error, tolerance: case.tolerance, first_run: first_run.unwrap_or_default() })
    }

    /// The largest difference from the reference, over the largest magnitude of the reference; infinite where something is NaN.
    pub fn max_error(&self) -> f64 {
        self.max_error
    }

    /// True where the error is one that the case allows.
    pub fn is_right(&self) -> bool {
        self.max_error <= self.tolerance
    }

    /// The clock that the case is timed by.
    pub fn clock(&self) -> Clock {
        self.runner.clock
    }

    /// The session that runs it.
    pub fn session(&self) -> &Session {
        &self.runner.session
    }

    /// Runs the case `repetitions` times and returns the seconds of all, by the case's clock. A training step's loss is read at the
    /// end, or after each step where the case is a synced one.
    ///
    /// # Errors
    /// A device that fails or was lost.
    pub fn repeat(&mut self, repetitions: usize) -> Result<f64> {
        self.runner.repeat(repetitions)
    }

    /// Times the case.
    ///
    /// # Errors
    /// A device that fails or was lost.
    pub fn measure(&mut self, effort: Effort) -> Result<Outcome> {
        let block = self.runner.synced.map(|_| READ_EVERY);
        let timing = time(effort, block, |repetitions| self.runner.repeat(repetitions))?;
        let host = self.runner.synced.map(|_| self.host(effort)).transpose()?;
        let program = self.session().program();
        // What compiling costs has nothing to do with what the program would.
        let of_a_run = |amount: u64| if self.runner.compiling.is_some() { 0 } else { amount };
        Ok(Outcome {
            timing,
            clock: self.clock(),
            flops: of_a_run(program.flops()),
            bytes: of_a_run(program.bytes()),
            dispatches: program.dispatches(),
            planned_bytes: program.planned_bytes(),
            max_error: self.max_error,
            is_right: self.is_right(),
            host,
            ready: program.startup().compile + program.startup().load,
            first_run: self.first_run,
        })
    }

    /// Of a GPU's host, what the call costs its thread while steps follow each other as in training. An idle device would add that
    /// its driver's threads must be woken, and a full queue makes the call wait, which is the device's time. Elsewhere, how long
    /// the call takes.
    fn host(&mut self, effort: Effort) -> Result<f64> {
        let session = &mut self.runner.session;
        let has_queue = session.device().as_gpu().is_ok();
        let mut host = Vec::new();
        let begun = Instant::now();
        while host.len() < READ_EVERY && (host.len() < 3 || begun.elapsed().as_secs_f64() < effort.block) {
            let time = if has_queue { processor_time(|| session.step(&[]))? } else { None };
            if let Some(time) = time {
                host.push(time);
                continue;
            }
            session.device().wait_idle()?;
            host.push(wall(|| session.step(&[]))?);
        }
        session.device().wait_idle()?;
        Ok(median(&mut host))
    }
}

/// The largest difference, over the largest magnitude of what is expected; infinite where something is NaN.
fn difference(found: &TensorData, expected: &TensorData) -> f64 {
    let (found, expected) = (found.to_f64_vec(), expected.to_f64_vec());
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let worst = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
    let worst = worst.fold(0.0, |worst, error| if error.is_nan() { f64::INFINITY } else { error.max(worst) });
    if found.len() == expected.len() { worst / largest } else { f64::INFINITY }
}
