//! Tuning: which kernels are the fastest on a device, measured offline and remembered. A first run never searches; it takes the best guess,
//! or what tuning found earlier.
//!
//! - `trial`, `contents`, `race`: the plans for one piece of work, on plausible operands, compared and timed.
//! - `report`: what was found.

mod contents;
mod race;
mod report;
#[cfg(test)]
mod tests;
mod trial;

pub use report::{TunedStep, Tuning};

use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Instant;

use super::{Device, Kind};
use crate::compiler::{Program, Step, Work, choice};
use crate::device::gpu::GpuDevice;
use crate::device::table::{Known, TunedEntry};
use crate::error::Result;
use crate::shader::{Adapter, KernelPlan, WorkKey};

/// How far tuning has come.
#[derive(Clone, Copy, Debug)]
pub struct TuneProgress<'a> {
    /// Pieces of work that are done.
    pub done: usize,
    /// Pieces of work in all.
    pub all: usize,
    /// The last one.
    pub step: &'a TunedStep,
}

/// Who is told how far tuning has come, and says whether it continues.
type Tell<'a> = dyn FnMut(TuneProgress<'_>) -> ControlFlow<()> + 'a;

/// How long tuning may take, and a closure that is told of its progress. By default it has no limit, and tells nobody.
#[derive(Default)]
pub struct Tune<'a> {
    budget: Option<Duration>,
    progress: Option<Box<Tell<'a>>>,
}

impl fmt::Debug for Tune<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tune").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl<'a> Tune<'a> {
    /// No limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins with nothing more when this much time has passed. What costs most comes first.
    #[must_use]
    pub fn budget(mut self, time: Duration) -> Self {
        self.budget = Some(time);
        self
    }

    /// Tells of each piece of work when it is done. [`ControlFlow::Break`] ends tuning; what was found is retained.
    #[must_use]
    pub fn progress(mut self, tell: impl FnMut(TuneProgress<'_>) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(tell));
        self
    }
}

/// A distinct piece of work of a program.
struct Piece<'a> {
    key: WorkKey,
    step: &'a Step,
    occurrences: usize,
}

/// The distinct pieces of work that may have a choice, what costs most first.
fn pieces<'a>(programs: impl IntoIterator<Item = &'a Program>) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    for step in programs.into_iter().flat_map(|program| &program.steps) {
        let Some(key) = step.work.key() else { continue };
        match pieces.iter_mut().find(|piece| piece.key == key) {
            Some(piece) => piece.occurrences += 1,
            None => pieces.push(Piece { key, step, occurrences: 1 }),
        }
    }
    // As many operations as a byte costs on most devices.
    let cost = |piece: &Piece<'_>| (piece.step.flops + 16 * piece.step.bytes) * piece.occurrences as u64;
    pieces.sort_by_key(|piece| std::cmp::Reverse(cost(piece)));
    pieces
}

impl Device {
    /// Compares the kernels that could do each step of some programs, and remembers the fastest: for programs that are compiled on this
    /// device and its clones from now on, and on disk for later processes, by adapter, driver and version of wgrad.
    ///
    /// The programs are not run. Each distinct step is timed by itself, on operands of its sizes with contents made up; the
    /// results of all kernels are compared with those of the one that is taken without tuning. On the CPU there is nothing to tune, and the
    /// report is empty.
    ///
    /// Another kernel may add in another order, so that results differ in their last bits from those before: seed and device give the same
    /// bits every time for one state of the table. [`without_tuning`](Self::without_tuning) leaves the table aside.
    ///
    /// ```
    /// use wgrad::device::Tune;
    /// use wgrad::prelude::*;
    ///
    /// let device = Device::cpu(); // or any other
    /// let g = Graph::new();
    /// let x = g.input("x", [64, 100], F32);
    /// g.output("y", &x.matmul(&x.transpose(0, 1)).relu());
    /// let session = g.compile(&device)?;
    /// let tuning = device.tune([&**session.program()], Tune::new())?;
    /// println!("{tuning}");
    /// assert!(tuning.is_empty(), "the CPU has nothing to tune");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A device that fails, or has no memory for a step's operands beside the program. That the table cannot be written is said in the
    /// report.
    pub fn tune<'a>(&self, programs: impl IntoIterator<Item = &'a Program>, mut tune: Tune<'_>) -> Result<Tuning> {
        let mut tuning = Tuning { device: self.name(), file: self.tuning_file(), ..Tuning::default() };
        let Kind::Gpu(gpu) = &self.0 else { return Ok(tuning) };
        gpu.check()?;
        let begun = Instant::now();
        let with_choice: Vec<(Piece<'_>, Vec<KernelPlan>)> = pieces(programs)
            .into_iter()
            .filter_map(|piece| {
                // What cannot be done was found when the program was compiled.
                let plans = choice::candidates(&piece.step.work, gpu.adapter()).ok()?;
                (plans.len() > 1 && plans.iter().all(|plan| !plan.dispatches.is_empty())).then_some((piece, plans))
            })
            .collect();
        let all = with_choice.len();
        for (done, (piece, plans)) in with_choice.into_iter().enumerate() {
            if tune.budget.is_some_and(|budget| begun.elapsed() >= budget) {
                tuning.skipped = all - done;
                break;
            }
            let Some((step, entry)) = compare(gpu, &piece, &plans)? else { continue };
            if let Err(error) = gpu.known().add(entry) {
                tuning.problem.get_or_insert(error.to_string());
            }
            tuning.steps.push(step);
            if let (Some(tell), Some(step)) = (&mut tune.progress, tuning.steps.last())
                && tell(TuneProgress { done: done + 1, all, step }).is_break()
            {
                tuning.skipped = all - done - 1;
                break;
            }
        }
        Ok(tuning)
    }

    /// What tuning found for this device, in this process or an earlier one.
    pub fn tuned(&self) -> Vec<TunedEntry> {
        self.as_gpu().map(|gpu| gpu.known().entries()).unwrap_or_default()
    }

    /// A handle to the same device that takes the default kernels everywhere, as one that was opened with
    /// [`Checks::All`](super::gpu::Checks::All) does. What it tunes is known to it and its clones alone, and ends with
    /// them. The variable `WGRAD_NO_TUNING` does the same for a whole process.
    #[must_use]
    pub fn without_tuning(&self) -> Self {
        match &self.0 {
            Kind::Cpu => Self(Kind::Cpu),
            Kind::Gpu(gpu) => Self(Kind::Gpu(gpu.with_known(Known::nothing()))),
        }
    }

    /// A handle to the same device whose table is in a folder of the application's, which is made when there is something to write.
    #[must_use]
    pub fn tuning_in(&self, folder: impl Into<PathBuf>) -> Self {
        match &self.0 {
            Kind::Cpu => Self(Kind::Cpu),
            Kind::Gpu(gpu) => Self(Kind::Gpu(gpu.with_known(Known::within(&folder.into(), gpu.identity())))),
        }
    }

    /// Where the table of this device is stored, whether or not there is one.
    pub fn tuning_file(&self) -> Option<PathBuf> {
        self.as_gpu().ok().and_then(|gpu| gpu.known().path().map(PathBuf::from))
    }

    /// Why the table on disk is ignored, if it is: it is damaged, cannot be read, or is another device's.
    pub fn tuning_problem(&self) -> Option<String> {
        self.as_gpu().ok().and_then(|gpu| gpu.known().problem())
    }

    /// Forgets what tuning found, on disk too, and tells how many pieces of work that were. Programs that are compiled already stay as they
    /// are.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub fn forget_tuning(&self) -> Result<usize> {
        self.as_gpu().map_or(Ok(0), |gpu| gpu.known().forget())
    }
}

/// Compares the plans for a piece of work: what is reported, and what is stored.
fn compare(gpu: &GpuDevice, piece: &Piece<'_>, plans: &[KernelPlan]) -> Result<Option<(TunedStep, TunedEntry)>> {
    let Some(outcome) = trial::run(gpu, piece.step, plans)? else { return Ok(None) };
    let race = outcome.race;
    let (Some(default), Some(winner)) = (plans.first(), plans.get(race.winner)) else { return Ok(None) };
    let name = |number: usize| plans.get(number).map(KernelPlan::describe).unwrap_or_default();
    let step = TunedStep {
        key: piece.key,
        step: describe(piece.step),
        origin: piece.step.origin,
        occurrences: piece.occurrences,
        candidates: outcome.candidates,
        default: default.describe(),
        winner: told_apart(winner, default),
        default_seconds: race.default_seconds,
        winner_seconds: race.winner_seconds,
        wrong: outcome.wrong.iter().map(|(number, problem)| format!("{}: {problem}", name(*number))).collect(),
    };
    let entry = TunedEntry {
        key: step.key,
        plan: winner.id(),
        step: step.step.clone(),
        default: step.default.clone(),
        winner: step.winner.clone(),
        default_seconds: step.default_seconds,
        winner_seconds: step.winner_seconds,
    };
    Ok(Some((step, entry)))
}

/// A plan's description; where the default's reads the same, as it differs in what labels do not say, with a part of its digest.
fn told_apart(plan: &KernelPlan, default: &KernelPlan) -> String {
    let text = plan.describe();
    if plan == default || text != default.describe() {
        return text;
    }
    let digest = plan.id().to_string();
    format!("{text} #{}", digest.get(..6).unwrap_or_default())
}

/// Operators and operands, for people.
fn describe(step: &Step) -> String {
    let operands: Vec<String> = match &step.work {
        Work::Routine { operands, .. } => operands
            .iter()
            .map(|operand| {
                let transposed = operand.at.strides.len() > 1
                    && operand.at.strides.last().is_some_and(|stride| *stride != 1 && *stride != 0);
                format!("{}{}", operand.ty, if transposed { "ᵀ" } else { "" })
            })
            .collect(),
        Work::Reduce { expression, borders, .. } => {
            let extent = |dims: &[usize]| dims.iter().product::<usize>().to_string();
            let [outer, inner] = borders.map(|border| border.min(expression.dims.len()));
            vec![
                extent(&expression.dims[..outer]),
                format!("({})", extent(&expression.dims[outer..inner.max(outer)])),
                extent(&expression.dims[inner.max(outer)..]),
            ]
        }
        Work::Rows(rows) => {
            let [rows, length] = rows.extents();
            vec![rows.to_string(), format!("({length})")]
        }
        Work::Map { .. } | Work::Copy => Vec::new(),
    };
    format!("{} {}", step.label, operands.join(" × "))
}

/// What kernels are chosen by, with what tuning found.
pub(super) fn target_adapter(gpu: &GpuDevice) -> Adapter {
    Adapter { tuned: gpu.known().tuned(), ..gpu.adapter().clone() }
}
