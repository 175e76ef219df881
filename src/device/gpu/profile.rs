//! The time of each step, measured by the GPU where it can.

use crate::clock::Instant;

use super::program::{Command, GpuProgram};
use super::readback::{Source, read_back};
use super::run::encode_dispatches;
use crate::error::Result;
use crate::waiting::block_on;

/// Queries in a set, at most, as WebGPU says.
const QUERIES: usize = 4096;

/// What a step of a program took.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    /// The step's index in the program.
    pub step: usize,
    /// The step's label.
    pub label: String,
    /// Seconds. On an adapter without timestamps, the time from submission to completion as the host saw it.
    pub seconds: f64,
}

impl GpuProgram {
    /// Runs the program once, and returns what each step took. Steps run one at a time here, each in a pass of its own, so
    /// their sum is more than a run takes.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    pub fn profile(&mut self, inputs: &[(usize, &[u8])]) -> Result<Vec<StepTime>> {
        block_on(self.device.throttle())?;
        self.write_inputs(inputs)?;
        self.device.wait_idle()?;
        let steps: Vec<&[Command]> = self.commands.chunk_by(|left, right| left.step() == right.step()).collect();
        let has_timestamps = self.device.wgpu_device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let mut seconds = Vec::with_capacity(steps.len());
        for part in steps.chunks(QUERIES / 2) {
            if has_timestamps {
                seconds.extend(self.time_on_device(part)?);
            } else {
                for step in part {
                    seconds.push(self.time_on_host(step)?);
                }
            }
        }
        self.device.guarded("copying outputs", |raw| {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.copy_outputs(&mut encoder);
            self.device.submit_unguarded(vec![encoder.finish()]);
        })?;
        let times = steps.iter().zip(seconds).filter_map(|(commands, seconds)| {
            let step = commands.first()?.step();
            Some(StepTime { step, label: self.program.steps.get(step)?.label.clone(), seconds })
        });
        let times: Vec<StepTime> = times.collect();
        self.learn_from(|step| times.iter().find(|time| time.step == step).map(|time| time.seconds))?;
        Ok(times)
    }

    /// A pass a step, with the GPU's clock read at its beginning and end.
    fn time_on_device(&self, steps: &[&[Command]]) -> Result<Vec<f64>> {
        self.clocked(steps.len(), |encoder, set| {
            for (commands, first) in steps.iter().zip((0..).step_by(2)) {
                let writes = |begin: bool, end: bool| wgpu::ComputePassTimestampWrites {
                    query_set: set,
                    beginning_of_pass_write_index: begin.then_some(first),
                    end_of_pass_write_index: end.then_some(first + 1),
                };
                let descriptor = |begin, end| wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(writes(begin, end)),
                };
                if let [Command::Copy { from, to, .. }] = commands {
                    // Copies are between passes, so empty passes around it read the clock.
                    drop(encoder.begin_compute_pass(&descriptor(true, false)));
                    self.encode_copy(encoder, from, to);
                    drop(encoder.begin_compute_pass(&descriptor(false, true)));
                } else {
                    encode_dispatches(&mut encoder.begin_compute_pass(&descriptor(true, true)), commands);
                }
            }
        })
    }

    /// Submits what is recorded with a set of `pairs` pairs of timestamps, and returns the seconds between the two of each pair.
    fn clocked(
        &self,
        pairs: usize,
        record: impl FnOnce(&mut wgpu::CommandEncoder, &wgpu::QuerySet),
    ) -> Result<Vec<f64>> {
        let (count, bytes) = (pairs as u32 * 2, pairs * 16);
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.device.buffer("times", bytes as u64, usage)?;
        self.device.guarded("profiling a program", |raw| {
            let set = raw.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("profile") });
            record(&mut encoder, &set);
            encoder.resolve_query_set(&set, 0..count, &resolved, 0);
            self.device.submit_unguarded(vec![encoder.finish()]);
        })?;
        let ticket = read_back(&self.device, &[Source { buffer: &resolved, offset: 0, bytes }])?;
        let values = ticket.wait()?;
        let clock: Vec<u64> = values.first().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).unwrap_or_default();
        let tick = f64::from(self.device.wgpu_queue().get_timestamp_period()) * 1e-9;
        // Drivers may count over the end of their clock.
        Ok(clock.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * tick).collect())
    }

    /// Runs the program `repetitions` times and returns the seconds that all of it took by the GPU's own clock, from the first kernel to
    /// the end of the last: one submission, and no time of the host's in it. `None` where the adapter has no such clock.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    pub fn time_runs(&mut self, inputs: &[(usize, &[u8])], repetitions: usize) -> Result<Option<f64>> {
        self.device.check()?;
        if !self.device.wgpu_device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        block_on(self.device.throttle())?;
        self.write_inputs(inputs)?;
        let has_copies = self.commands.iter().any(|command| matches!(command, Command::Copy { .. }));
        let seconds = self.clocked(1, |encoder, set| {
            let descriptor = |begin: Option<u32>, end: Option<u32>| wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: set,
                    beginning_of_pass_write_index: begin,
                    end_of_pass_write_index: end,
                }),
            };
            if has_copies {
                drop(encoder.begin_compute_pass(&descriptor(Some(0), None)));
                (0..repetitions).for_each(|_| self.encode(encoder, &self.commands));
                drop(encoder.begin_compute_pass(&descriptor(None, Some(1))));
            } else {
                let mut pass = encoder.begin_compute_pass(&descriptor(Some(0), Some(1)));
                (0..repetitions).for_each(|_| encode_dispatches(&mut pass, &self.commands));
            }
            self.copy_outputs(encoder);
        })?;
        Ok(seconds.first().copied())
    }

    fn time_on_host(&self, commands: &[Command]) -> Result<f64> {
        let start = Instant::now();
        let submission = self.device.guarded("profiling a program", |raw| {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("profile") });
            self.encode(&mut encoder, commands);
            self.device.submit_unguarded(vec![encoder.finish()])
        })?;
        self.device.wait(&submission)?;
        Ok(start.elapsed().as_secs_f64())
    }
}
