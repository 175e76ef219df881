//! A session beside an application's own work on the same GPU: its buffers, its command encoder.

use super::Session;
use crate::error::{Error, Result};
use crate::tensor::TensorData;

impl Session {
    /// Reads an input from an application's buffer instead of the host, from the next run on, without a copy. The buffer's
    /// size is a multiple of sixteen bytes. An input of i64 or f64 is read as i32 or f32, in which a GPU computes.
    ///
    /// # Errors
    /// An unknown name; the CPU device; a buffer that is too small or lacks the usage `STORAGE`.
    pub fn bind_input(&mut self, input: &str, buffer: wgpu::Buffer) -> Result<()> {
        let program = self.program().clone();
        let loaded = self.programs.get_mut(&program)?;
        let Some(port) = loaded.program.inputs.iter().position(|port| port.name == input) else {
            return Err(Error::Argument(format!("there is no input {input:?}")));
        };
        loaded.runner.as_gpu()?.bind_input(port, buffer)?;
        loaded.bound.push(port);
        Ok(())
    }

    /// Leaves an output in an application's buffer, from the next run on. The buffer's size is a multiple of sixteen bytes.
    ///
    /// # Errors
    /// An unknown name; the CPU device; a buffer that is too small or lacks one of the usages `STORAGE`, `COPY_SRC`, `COPY_DST`.
    pub fn bind_output(&mut self, output: &str, buffer: wgpu::Buffer) -> Result<()> {
        let program = self.program().clone();
        let loaded = self.programs.get_mut(&program)?;
        let Some(port) = loaded.program.outputs.iter().position(|port| port.name == output) else {
            return Err(Error::Argument(format!("there is no output {output:?}")));
        };
        loaded.runner.as_gpu()?.bind_output(port, buffer)
    }

    /// Records a run among an application's own commands, instead of submitting it. The inputs are a part of the recording: however
    /// many are recorded, into one encoder or several, each sees its own.
    ///
    /// Where the program updates parameters, the recording is a step: it is counted here, and uncounted if what it was recorded into is
    /// dropped without being submitted. Recordings are to be submitted in the order in which they were made, and before other
    /// steps of this session; what is set with [`set_parameter`](Self::set_parameter) meanwhile is seen by them.
    ///
    /// An i64 that leaves the 32 bits in which a GPU computes is detected where an output is read through the session.
    ///
    /// # Errors
    /// The CPU device; inputs as for [`step`](Self::step), or more of them than a buffer holds; a device that fails or was lost; an earlier
    /// recording that was dropped after later steps had been counted.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder, inputs: &[(&str, &TensorData)]) -> Result<()> {
        let counts = self.counts(false)?;
        let (hidden, mut all) = self.inputs(inputs, &counts)?;
        all.extend(hidden.iter().map(|(port, bytes)| (*port, bytes.as_slice())));
        let program = self.program().clone();
        self.programs.get_mut(&program)?.runner.as_gpu()?;
        self.keep_if_due(Some(encoder))?;
        let loaded = self.programs.get_mut(&program)?;
        loaded.runner.as_gpu()?.record(encoder, &all)?;
        loaded.has_run = true;
        let optimizers = counts.optimizers();
        self.count(counts);
        if !optimizers.is_empty() {
            let fate = self.recordings.fate(optimizers);
            encoder.on_submitted_work_done(move || fate.submitted());
        }
        Ok(())
    }
}
