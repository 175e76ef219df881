//! The first dispatch of each kernel, before the first run: software drivers (lavapipe) compile a kernel's machine code no earlier, one
//! after the other on the thread that runs their work, which took most of a minute for a large model. So each kernel of a program that is
//! being loaded is dispatched with no workgroups, which reads and writes nothing; and where machine code has to be made, `side_by_side` helps.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::context::lock;
use super::pipelines::{Pipeline, empty_dispatches};
use super::program::{Command, GpuProgram};
use super::side_by_side::Helpers;
use super::startup::KernelStartup;
use crate::clock::Instant;
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

/// A first dispatch that took more seconds was one for which machine code was made, and not found.
const SLOW: f64 = 0.02;

/// A kernel that was not dispatched yet, with buffers that are bound to it.
type Cold<'a> = (&'a Pipeline, &'a wgpu::BindGroup);

impl GpuProgram {
    /// Has the driver finish every kernel that was not dispatched yet, and tells what each took.
    pub(super) async fn warm(&self) -> Result<Vec<KernelStartup>> {
        let mut cold: Vec<Cold<'_>> = Vec::new();
        for command in &self.commands {
            if let Command::Dispatch { pipeline, group, .. } = command
                && !pipeline.is_warm.swap(true, Ordering::AcqRel)
            {
                cold.push((pipeline.as_ref(), group));
            }
        }
        let seconds = match cold.is_empty() {
            true => Vec::new(),
            false if self.device.adapter().is_software => self.one_by_one(&cold).await?,
            // Hardware drivers have little left to do, and do it faster in one submission.
            false => {
                self.first_dispatches(&cold).await?;
                self.device.tell(Compiling { done: 2 * cold.len(), all: 2 * cold.len() });
                vec![None; cold.len()]
            }
        };
        let told = cold.iter().zip(seconds).map(|((pipeline, _), first_dispatch)| KernelStartup {
            label: pipeline.recipe.label.clone(),
            bytes: pipeline.recipe.source.len(),
            module: pipeline.module_seconds,
            pipeline: pipeline.pipeline_seconds,
            first_dispatch,
        });
        Ok(told.collect())
    }

    /// Seconds of each kernel's first dispatch. Helpers join in once machine code is being made.
    async fn one_by_one(&self, cold: &[Cold<'_>]) -> Result<Vec<Option<f64>>> {
        let all = cold.len();
        let done = Arc::new(Mutex::new(all));
        let progress = {
            let device = self.device.clone();
            move || {
                // Told one after the other, so that the last is the last.
                let mut done = lock(&done);
                *done += 1;
                device.tell(Compiling { done: *done, all: 2 * all });
            }
        };
        let mut seconds = vec![None; all];
        let mut helpers: Option<Helpers> = None;
        let mut number = Some(0);
        while let Some(index) = number.filter(|&index| index < all) {
            let took = self.first_dispatches(&cold[index..=index]).await?;
            seconds[index] = Some(took);
            progress();
            if helpers.is_none() && took > SLOW {
                let rest = cold
                    .iter()
                    .enumerate()
                    .skip(index + 1)
                    .map(|(number, (kernel, _))| (number, kernel.recipe.clone()));
                helpers = self.device.helpers(rest, progress.clone());
            }
            number = helpers.as_ref().map_or(Some(index + 1), Helpers::next);
            // What helpers have done is on disk, but not in this device.
            while let (None, Some(there)) = (number, &mut helpers) {
                let found = there.done();
                let mut slow = 0;
                for done in &found {
                    let again = self.first_dispatches(&cold[done.number..=done.number]).await?;
                    seconds[done.number] = Some(done.seconds.max(again));
                    slow += usize::from(again > SLOW.max(done.seconds / 2.0));
                }
                self.device.helped(2 * slow <= found.len());
                number = there.next();
                if number.is_none() {
                    break;
                }
            }
        }
        Ok(seconds)
    }

    /// The seconds until some kernels were dispatched with no workgroups.
    async fn first_dispatches(&self, kernels: &[Cold<'_>]) -> Result<f64> {
        let begun = Instant::now();
        let submission = self.device.guarded("compiling kernels", |raw| {
            self.device.submit_unguarded(vec![empty_dispatches(raw, kernels.iter().copied())])
        })?;
        self.device.finished(&self.device.submitted(submission)).await?;
        Ok(begun.elapsed().as_secs_f64())
    }
}
