//! A session beside an application's own work on the same GPU: its buffers, its command encoder.

use super::{ProgramId, Session};
use crate::error::{Error, Result};
use crate::tensor::TensorData;

impl Session {
    /// Reads an input from an application's buffer instead of the host, from the next run on, without a copy. The buffer's
    /// size is a multiple of sixteen bytes. An input of i64 or f64 is read as i32 or f32, in which a GPU computes.
    ///
    /// # Errors
    /// An unknown name; the CPU device; a buffer that is too small or lacks the usage `STORAGE`.
    pub fn bind_input(&mut self, id: ProgramId, input: &str, buffer: wgpu::Buffer) -> Result<()> {
        self.loaded(id)?;
        let loaded = &mut self.programs[id.0];
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
    pub fn bind_output(&mut self, id: ProgramId, output: &str, buffer: wgpu::Buffer) -> Result<()> {
        self.loaded(id)?;
        let loaded = &mut self.programs[id.0];
        let Some(port) = loaded.program.outputs.iter().position(|port| port.name == output) else {
            return Err(Error::Argument(format!("there is no output {output:?}")));
        };
        loaded.runner.as_gpu()?.bind_output(port, buffer)
    }

    /// Records a run among an application's own commands, instead of submitting it. Inputs that are not bound to buffers are given
    /// here and written at once, before whatever is submitted next. An i64 that leaves the 32 bits in which a GPU computes is noticed where an
    /// output is read through the session.
    ///
    /// # Errors
    /// The CPU device; inputs as for [`step`](Self::step); a device that fails.
    pub fn record(
        &mut self,
        id: ProgramId,
        encoder: &mut wgpu::CommandEncoder,
        inputs: &[(&str, &TensorData)],
    ) -> Result<()> {
        let counts = self.counts(id, false)?;
        let (hidden, mut all) = self.inputs(id, inputs, &counts)?;
        all.extend(hidden.iter().map(|(place, bytes)| (*place, bytes.as_slice())));
        let loaded = &mut self.programs[id.0];
        let program = loaded.runner.as_gpu()?;
        program.write_inputs(&all)?;
        program.record(encoder);
        loaded.has_run = true;
        self.count(counts);
        Ok(())
    }
}
