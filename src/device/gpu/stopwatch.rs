//! The time of a whole program, many runs in a row: what tuning compares kernels by.

use crate::clock::Instant;

use super::program::GpuProgram;
use super::readback::{Source, read_back};
use super::run::encode_dispatches;
use crate::error::Result;

impl GpuProgram {
    /// Seconds of one run, on average over `runs` in a row: by the GPU's clock where it has one, else from submission to completion as the
    /// host sees it. The program has no copies, and its inputs are there already.
    ///
    /// # Errors
    /// Where the device was lost.
    pub(crate) fn time(&self, runs: usize) -> Result<f64> {
        let runs = runs.max(1);
        self.device.wait_idle()?;
        if self.device.wgpu_device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            let seconds = self.time_by_gpu(runs)?;
            // Some drivers have the feature and a clock that does not advance.
            if seconds > 0.0 {
                return Ok(seconds / runs as f64);
            }
        }
        let start = Instant::now();
        let submission = self.device.guarded("timing a program", |raw| {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("timed") });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.repeat(&mut pass, runs);
            drop(pass);
            self.device.submit_unguarded(vec![encoder.finish()])
        })?;
        self.device.wait(&submission)?;
        Ok(start.elapsed().as_secs_f64() / runs as f64)
    }

    fn repeat(&self, pass: &mut wgpu::ComputePass<'_>, runs: usize) {
        for _ in 0..runs {
            encode_dispatches(pass, &self.commands);
        }
    }

    /// Seconds between the GPU's clock at the beginning and at the end of a pass.
    fn time_by_gpu(&self, runs: usize) -> Result<f64> {
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.device.buffer("times", 16, usage)?;
        self.device.guarded("timing a program", |raw| {
            let set = raw.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timed"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            });
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("timed") });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("timed"),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &set,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            self.repeat(&mut pass, runs);
            drop(pass);
            encoder.resolve_query_set(&set, 0..2, &resolved, 0);
            self.device.submit_unguarded(vec![encoder.finish()]);
        })?;
        let values = read_back(&self.device, &[Source { buffer: &resolved, offset: 0, bytes: 16 }])?.wait()?;
        let clock: Vec<u64> = values.first().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).unwrap_or_default();
        let [begin, end] = clock[..] else { return Ok(0.0) };
        Ok(end.saturating_sub(begin) as f64 * f64::from(self.device.wgpu_queue().get_timestamp_period()) * 1e-9)
    }
}
