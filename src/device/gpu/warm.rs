//! The first dispatch of each kernel, before the first run: software drivers (lavapipe) compile a kernel's machine code no earlier, one
//! after the other on the thread that runs their work, which took most of a minute for a large model. So each kernel of a program that is
//! being loaded is dispatched with no workgroups, which reads and writes nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::pipelines::Pipeline;
use super::program::{Command, GpuProgram};
use crate::error::Result;

/// How far the compilation of a program's kernels has come. Each counts twice: once when the driver has taken it, which happens side by
/// side, and once when it is ready to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiling {
    /// Parts that are done.
    pub done: usize,
    /// Parts in all.
    pub all: usize,
}

/// Who is told.
pub(super) type Observer = Arc<dyn Fn(Compiling) + Send + Sync>;

impl GpuProgram {
    /// Has the driver finish every kernel that was not dispatched yet.
    pub(super) async fn warm(&self) -> Result<()> {
        let mut cold: Vec<(&Pipeline, &wgpu::BindGroup)> = Vec::new();
        for command in &self.commands {
            if let Command::Dispatch { pipeline, group, .. } = command
                && !pipeline.is_warm.swap(true, Ordering::AcqRel)
            {
                cold.push((pipeline.as_ref(), group));
            }
        }
        // Hardware drivers have little left to do, and do it faster in one submission.
        let each = if self.device.adapter().is_software { 1 } else { cold.len().max(1) };
        for (index, kernels) in cold.chunks(each).enumerate() {
            let submission = self.device.guarded("compiling kernels", |raw| {
                let mut encoder =
                    raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("warm-up") });
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for (pipeline, group) in kernels {
                    pass.set_pipeline(&pipeline.raw);
                    pass.set_bind_group(0, *group, &[]);
                    pass.dispatch_workgroups(0, 1, 1);
                }
                drop(pass);
                self.device.submit_unguarded(vec![encoder.finish()])
            })?;
            self.device.finished(&self.device.submitted(submission)).await?;
            let done = (index * each + kernels.len()).min(cold.len());
            self.device.tell(Compiling { done: cold.len() + done, all: 2 * cold.len() });
        }
        Ok(())
    }
}
