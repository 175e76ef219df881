//! Steps beside an application's frames: some of a step in each.

use std::time::Duration;

use super::optimizers::Counts;
use super::{Capture, Program, Session};
use crate::compiler::{Location, Port};
use crate::device::gpu::{Recorded, Staged};
use crate::error::{Error, Result};
use crate::session::overflow::Watch;
use crate::tensor::TensorData;

/// A step of which some is recorded.
pub(super) struct InProgress {
    program: Program,
    /// Its inputs, until the first part was recorded.
    staged: Option<Staged>,
    /// The first command that is not recorded yet.
    next: usize,
    counts: Counts,
}

impl Session {
    /// Begins a step that [`record_some`](Self::record_some) records, a part for each frame of an application. Until it is complete, the
    /// session does nothing else that reads or changes variables.
    ///
    /// # Errors
    /// A step that is in progress; the CPU device; inputs as for [`step`](Self::step); a device that fails or was lost.
    pub fn begin_step(&mut self, inputs: &[(&str, &TensorData)]) -> Result<()> {
        let counts = self.counts(true)?;
        let (hidden, mut all) = self.inputs(inputs, &counts)?;
        all.extend(hidden.iter().map(|(port, bytes)| (*port, bytes.as_slice())));
        let program = self.program().clone();
        let staged = self.programs.get_mut(&program)?.runner.as_gpu()?.stage(&all)?;
        self.in_progress = Some(InProgress { program, staged, next: 0, counts });
        Ok(())
    }

    /// Records a part of the step in progress among an application's own commands: as much as takes no longer than `budget` on the GPU, and
    /// at least one dispatch; one that computes many steps of a sequence is divided. So training goes on beside rendering. The estimate of what dispatches take is corrected by what they took:
    /// where the device was opened with timestamps, each part is measured; without, [`profile`](Self::profile) tells it once, and a careful
    /// guess serves until then. Nothing is recorded where the GPU still has three parts before it. Waits for nothing. That parts are done is known
    /// when the application presents a frame or polls its device.
    ///
    /// The encoders are to be submitted in the order in which parts were recorded. A part whose encoder is dropped without being submitted
    /// is an error of the next call, and the step is given up.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use wgrad::prelude::*;
    /// # fn frame(session: &mut Session, queue: &wgpu::Queue, device: &wgpu::Device, x: &TensorData) -> Result<()> {
    /// let mut encoder = device.create_command_encoder(&Default::default());
    /// // … the frame's own passes …
    /// if !session.is_step_in_progress() {
    ///     session.begin_step(&[("x", x)])?;
    /// }
    /// session.record_some(&mut encoder, Duration::from_millis(4))?;
    /// queue.submit([encoder.finish()]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No step in progress; a part that was dropped; a device that fails or was lost.
    pub fn record_some(&mut self, encoder: &mut wgpu::CommandEncoder, budget: Duration) -> Result<Recorded> {
        self.settle()?;
        let Some(step) = &self.in_progress else {
            return Err(Error::Argument("no step is in progress; begin one with `begin_step`".into()));
        };
        let (program, is_first) = (step.program.clone(), step.next == 0);
        if !self.programs.get_mut(&program)?.runner.as_gpu()?.has_room_for_part()? {
            return Ok(Recorded::default());
        }
        if is_first {
            self.keep_if_due(Some(encoder))?;
        }
        let loaded = self.programs.get_mut(&program)?;
        let runner = loaded.runner.as_gpu()?;
        let Some(step) = &mut self.in_progress else { return Ok(Recorded::default()) };
        if let Some(staged) = step.staged.take() {
            runner.record_staged(encoder, &staged);
        }
        let (next, recorded) = runner.record_part(encoder, step.next, budget)?;
        step.next = next;
        let is_complete = recorded.is_complete;
        if is_complete {
            loaded.has_run = true;
            if let Some(step) = self.in_progress.take() {
                self.count(step.counts);
            }
        }
        let fate = self.recordings.part();
        encoder.on_submitted_work_done(move || fate.submitted());
        Ok(recorded)
    }

    /// Whether a step was begun by [`begin_step`](Self::begin_step) and is not complete yet.
    pub fn is_step_in_progress(&self) -> bool {
        self.in_progress.is_some()
    }

    /// What the latest part took on the GPU, by its own clock. Each measured time is told once; `None` where there is no new one, and on a
    /// device without timestamps.
    ///
    /// # Errors
    /// The CPU device.
    pub fn latest_part(&mut self) -> Result<Option<Duration>> {
        let program = self.program().clone();
        Ok(self.programs.get_mut(&program)?.runner.as_gpu()?.latest_part())
    }

    /// An error where a step is in progress.
    pub(super) fn between_steps(&self) -> Result<()> {
        match &self.in_progress {
            None => Ok(()),
            Some(_) => Err(Error::Argument(
                "a step is in progress, whose parts `record_some` records; complete it before the session does anything else"
                    .into(),
            )),
        }
    }

    /// Outputs of the program's last run, to be read later without holding anything up: [`Capture::is_ready`] tells when they are there.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn start_read(&mut self, outputs: &[&str]) -> Result<Capture> {
        self.between_steps()?;
        let ports = outputs.iter().map(|name| self.output_port(name)).collect::<Result<Vec<Port>>>()?;
        let program = self.program().clone();
        let loaded = self.programs.get_mut(&program)?;
        if !loaded.has_run {
            // A run that was lost with the device is no error of the caller's.
            self.device.check()?;
            return Err(Error::Argument(match outputs {
                [output] => format!("output {output:?} was read before the program ran"),
                several => format!("outputs {several:?} were read before the program ran"),
            }));
        }
        let watch = Watch::of(&loaded.program);
        let locations: Vec<Location> =
            ports.iter().map(|port| port.location).chain(watch.iter().flat_map(Watch::locations)).collect();
        let arrival = loaded.runner.start_read(&self.store, &locations)?;
        let before = self.recordings.before(&self.device);
        Ok(Capture { ports, watch, arrival, before })
    }
}
