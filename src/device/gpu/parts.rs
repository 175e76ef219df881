//! A run in parts, each for a frame of an application: as many commands as fit into the time that the frame has for them.
//!
//! How long a command takes is first guessed from its floating-point operations and bytes, with rates that hardly any adapter of the kind
//! falls short of, and then learned from what the parts took by the GPU's own clock. Where the application's device has no timestamps, a
//! profile teaches it, or the guess stays. A dispatch that computes many steps of a sequence is divided.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::adapters::AdapterKind;
use super::context::{GpuDevice, lock};
use super::program::{Command, GpuProgram};
use super::run::encode_dispatches;
use crate::compiler::Program;
use crate::error::Result;

/// Parts that the GPU may have before it: more would only pile up behind the application's frames.
const PARTS_AHEAD: usize = 3;

/// Clocks, so that a part is measured while others before it are on their way.
const CLOCKS: usize = PARTS_AHEAD + 1;

/// The least that is said of a command's time: a part of nothing but tiny ones has an end, too.
const LEAST: f64 = 1e-7;

/// What a command takes.
#[derive(Clone, Copy, Debug)]
struct Cost {
    seconds: f64,
    is_measured: bool,
}

/// What the commands of a program take.
#[derive(Debug)]
pub(super) struct Costs(Vec<Cost>);

impl Costs {
    /// Guesses for all commands, which are of a program's steps.
    pub(super) fn guessed(kind: AdapterKind, program: &Program, commands: &[Command]) -> Self {
        // Seconds a dispatch, floating-point operations a second, bytes a second.
        let (overhead, flops, bytes) = match kind {
            AdapterKind::Discrete => (5e-6, 500e9, 50e9),
            AdapterKind::Integrated | AdapterKind::Virtual | AdapterKind::Other => (10e-6, 50e9, 10e9),
            AdapterKind::Software => (30e-6, 0.5e9, 0.3e9),
        };
        // Commands of a step are neighbours, and share its work.
        let of_step = |commands: &[Command]| {
            let step = commands.first().and_then(|command| program.steps.get(command.step()));
            let (work, transfer) = step.map_or((0, 0), |step| (step.flops, step.bytes));
            let seconds = (work as f64 / flops).max(transfer as f64 / bytes) / commands.len() as f64;
            vec![Cost { seconds: overhead + seconds, is_measured: false }; commands.len()]
        };
        Self(commands.chunk_by(|left, right| left.step() == right.step()).flat_map(of_step).collect())
    }

    /// What each command takes.
    pub(super) fn seconds(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|cost| cost.seconds)
    }

    /// How many commands from one on fit into a time, at least one, and what they take.
    fn fitting(&self, start: usize, budget: f64) -> (usize, f64) {
        let mut sum = 0.0;
        let mut end = start;
        for cost in self.0.iter().skip(start) {
            if end > start && sum + cost.seconds > budget {
                break;
            }
            sum += cost.seconds;
            end += 1;
        }
        (end, sum)
    }

    /// Learns from what a part took that was expected to take something else. What is new is believed; what was known moves a little, and
    /// sooner up than down.
    fn learn(&mut self, part: &Part, seconds: f64) {
        let ratio = (seconds / part.expected.max(LEAST)).clamp(1e-3, 1e3);
        for cost in self.0.iter_mut().take(part.end).skip(part.start) {
            let power = match (cost.is_measured, ratio > 1.0) {
                (false, _) => 1.0,
                (true, true) => 0.5,
                (true, false) => 0.25,
            };
            cost.seconds = (cost.seconds * ratio.powf(power)).max(LEAST);
            cost.is_measured = true;
        }
    }

    /// Takes over what a profile measured of the program's steps.
    pub(super) fn profiled(&mut self, commands: &[Command], seconds: impl Fn(usize) -> Option<f64>) {
        let of_step = |step| commands.iter().filter(|command| command.step() == step).count().max(1);
        for (cost, command) in self.0.iter_mut().zip(commands) {
            if let Some(seconds) = seconds(command.step()) {
                *cost = Cost { seconds: (seconds / of_step(command.step()) as f64).max(LEAST), is_measured: true };
            }
        }
    }
}

/// Commands of a program that were recorded together.
#[derive(Clone, Debug)]
struct Part {
    start: usize,
    end: usize,
    expected: f64,
}

/// What was recorded for a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Dispatches and copies that were recorded; none where the GPU still has enough to do from the frames before.
    pub commands: usize,
    /// What they are expected to take on the GPU.
    pub expected: Duration,
    /// Whether the step is complete with them.
    pub is_complete: bool,
}

/// Tells how parts went: to callbacks of the encoders that they were recorded into.
#[derive(Debug, Default)]
struct Told {
    ahead: AtomicUsize,
    measured: Mutex<Vec<(Part, f64)>>,
    /// The latest measured time, for those who watch, until they have seen it.
    latest: Mutex<Option<Duration>>,
}

/// One part is no longer ahead, be it done or dropped.
struct Ahead(Arc<Told>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.ahead.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A pair of timestamps, and the memory through which it reaches the host.
struct Clock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    host: wgpu::Buffer,
}

impl Clock {
    fn new(device: &GpuDevice) -> Result<Self> {
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = device.buffer("times", 16, usage)?;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let host = device.buffer("times for the host", 16, usage)?;
        let queries = device.guarded("a clock", |raw| {
            raw.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("parts"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            })
        })?;
        Ok(Self { queries, resolved, host })
    }

    fn writes(&self, begin: bool, end: bool) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: begin.then_some(0),
            end_of_pass_write_index: end.then_some(1),
        })
    }
}

/// What a program has for runs in parts.
pub(super) struct Parts {
    /// The program's, with what can be divided in pieces.
    commands: Vec<Command>,
    costs: Costs,
    told: Arc<Told>,
    /// One that is shared is in use by a recording.
    clocks: Vec<Arc<Clock>>,
}

impl GpuProgram {
    fn parts(&mut self) -> Result<&mut Parts> {
        if self.parts.is_none() {
            let commands = self.pieces()?;
            let costs = Costs::guessed(self.device.info().kind, &self.program, &commands);
            let features = self.device.wgpu_device().features();
            let count = if features.contains(wgpu::Features::TIMESTAMP_QUERY) { CLOCKS } else { 0 };
            let clocks = (0..count).map(|_| Ok(Arc::new(Clock::new(&self.device)?))).collect::<Result<_>>()?;
            self.parts = Some(Parts { commands, costs, told: Arc::default(), clocks });
        }
        self.parts.as_mut().ok_or_else(|| crate::Error::Device("a program has no parts".to_owned()))
    }

    /// Takes over what a profile measured.
    pub(super) fn learn_from(&mut self, seconds: impl Fn(usize) -> Option<f64>) -> Result<()> {
        self.parts()?;
        if let Some(parts) = &mut self.parts {
            parts.costs.profiled(&parts.commands, seconds);
        }
        Ok(())
    }

    /// Has parts use what is bound now.
    pub(super) fn rebind_parts(&mut self) -> Result<()> {
        if self.parts.is_some() {
            let commands = self.pieces()?;
            if let Some(parts) = &mut self.parts {
                parts.commands = commands;
            }
        }
        Ok(())
    }

    /// What the last part took that was measured since this was asked.
    pub(crate) fn latest_part(&self) -> Option<Duration> {
        lock(&self.parts.as_ref()?.told.latest).take()
    }

    /// False where the GPU has enough to do: then nothing is to be recorded. Waits for nothing.
    ///
    /// # Errors
    /// Where the device was lost.
    pub(crate) fn has_room_for_part(&mut self) -> Result<bool> {
        self.device.tidy()?;
        self.device.check()?;
        Ok(self.parts()?.told.ahead.load(Ordering::Acquire) < PARTS_AHEAD)
    }

    /// Records commands from one on, as many as fit into the budget, and at least one. Returns the first command that was not recorded.
    /// After the last one, outputs are copied to an application's buffers.
    ///
    /// # Errors
    /// Where the device was lost.
    pub(crate) fn record_part(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        start: usize,
        budget: Duration,
    ) -> Result<(usize, Recorded)> {
        let parts = self.parts()?;
        for (part, seconds) in std::mem::take(&mut *lock(&parts.told.measured)) {
            parts.costs.learn(&part, seconds);
        }
        let told = Arc::clone(&parts.told);
        let (end, expected) = parts.costs.fitting(start, budget.as_secs_f64());
        let part = Part { start, end, expected };
        let clock = parts.clocks.iter().find(|clock| Arc::strong_count(clock) == 1).cloned();
        let commands: &[Command] = self.parts.as_ref().map_or(&[], |parts| &parts.commands);
        let is_complete = end >= commands.len();
        let commands = commands.get(start..end).unwrap_or_default();
        if start == 0 {
            self.begin(encoder);
        }
        self.encode_clocked(encoder, commands, clock.as_deref());
        if let Some(clock) = clock {
            encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
            encoder.copy_buffer_to_buffer(&clock.resolved, 0, &clock.host, 0, 16);
            let (host, told) = (clock.host.clone(), Arc::clone(&told));
            let tick = f64::from(self.device.wgpu_queue().get_timestamp_period()) * 1e-9;
            encoder.map_buffer_on_submit(&host.clone(), wgpu::MapMode::Read, .., move |mapped| {
                let _in_use = clock;
                if mapped.is_err() {
                    return;
                }
                let ticks = host.get_mapped_range(..).ok().map(|view| bytemuck::pod_collect_to_vec::<u8, u64>(&view));
                host.unmap();
                let Some([begin, end]) = ticks.as_deref() else { return };
                let seconds = end.saturating_sub(*begin) as f64 * tick;
                // Some drivers have the feature and a clock that does not advance.
                if seconds > 0.0 {
                    *lock(&told.latest) = Some(Duration::from_secs_f64(seconds));
                    lock(&told.measured).push((part, seconds));
                }
            });
        }
        if is_complete {
            self.end(encoder);
        }
        told.ahead.fetch_add(1, Ordering::AcqRel);
        let ahead = Ahead(told);
        encoder.on_submitted_work_done(move || drop(ahead));
        Ok((end, Recorded { commands: end - start, expected: Duration::from_secs_f64(expected), is_complete }))
    }

    /// As [`encode`](Self::encode), between two readings of a clock.
    fn encode_clocked(&self, encoder: &mut wgpu::CommandEncoder, commands: &[Command], clock: Option<&Clock>) {
        let Some(clock) = clock else { return self.encode(encoder, commands) };
        let descriptor = |begin, end| wgpu::ComputePassDescriptor {
            label: Some("a part of a step"),
            timestamp_writes: clock.writes(begin, end),
        };
        if commands.iter().any(|command| matches!(command, Command::Copy { .. })) {
            // Copies are between passes, so empty passes around them read the clock.
            drop(encoder.begin_compute_pass(&descriptor(true, false)));
            self.encode(encoder, commands);
            drop(encoder.begin_compute_pass(&descriptor(false, true)));
        } else {
            encode_dispatches(&mut encoder.begin_compute_pass(&descriptor(true, true)), commands);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(seconds: &[f64]) -> Costs {
        Costs(seconds.iter().map(|&seconds| Cost { seconds, is_measured: false }).collect())
    }

    #[test]
    fn a_part_is_what_fits_and_at_least_one_command() {
        let costs = costs(&[1.0, 2.0, 5.0, 1.0]);
        assert_eq!(costs.fitting(0, 3.0), (2, 3.0));
        assert_eq!(costs.fitting(1, 3.0), (2, 2.0));
        assert_eq!(costs.fitting(2, 3.0), (3, 5.0));
        assert_eq!(costs.fitting(0, 100.0), (4, 9.0));
        assert_eq!(costs.fitting(4, 3.0), (4, 0.0));
    }

    #[test]
    fn what_is_measured_is_believed_and_then_approached() {
        let mut costs = costs(&[1.0, 1.0, 1.0]);
        costs.learn(&Part { start: 0, end: 2, expected: 2.0 }, 0.2);
        assert_eq!(costs.0.iter().map(|cost| cost.seconds).collect::<Vec<_>>(), [0.1, 0.1, 1.0]);
        for _ in 0..40 {
            let expected = costs.0[0].seconds + costs.0[1].seconds;
            costs.learn(&Part { start: 0, end: 2, expected }, 0.4);
        }
        assert!((costs.0[0].seconds - 0.2).abs() < 1e-3, "{costs:?}");
        assert_eq!(costs.0[2].seconds, 1.0);
    }
}
