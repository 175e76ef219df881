//! A session beside an application's own work on the same GPU: its buffers, its command encoder.

use super::Session;
use super::overflow::visible;
use crate::device::gpu::{GpuProgram, PixelLayout};
use crate::error::{Error, Result};
use crate::tensor::TensorData;

impl Session {
    /// Reads an input from an application's buffer instead of the host, from the next run on: without a copy where the buffer has the
    /// usage `STORAGE` and its size is a multiple of sixteen bytes, else (with `COPY_SRC`) by a copy on the device at the beginning of each
    /// run. An input of i64 or f64 is read as i32 or f32, in which a GPU computes.
    ///
    /// # Errors
    /// An unknown name; the CPU device; a buffer that is too small or has neither usage.
    pub fn bind_input(&mut self, input: &str, buffer: wgpu::Buffer) -> Result<()> {
        self.bind_input_with(input, |runner, port| runner.bind_input(port, buffer))
    }

    /// Reads an input from an application's texture (a camera's picture, a render target) at the beginning of each run, from the next one
    /// on. The input is of f32, with 1 to 4 channels; the texture has the usage `TEXTURE_BINDING` and a format that shaders see as floats:
    /// `rgba8unorm` gives numbers from 0 to 1.
    ///
    /// # Errors
    /// An unknown name; the CPU device; an input that is no such picture, or of another size; a texture of another kind.
    pub fn bind_input_texture(&mut self, input: &str, texture: &wgpu::Texture, layout: PixelLayout) -> Result<()> {
        self.bind_input_with(input, |runner, port| runner.bind_input_texture(port, texture, layout))
    }

    fn bind_input_with(&mut self, input: &str, bind: impl FnOnce(&mut GpuProgram, usize) -> Result<()>) -> Result<()> {
        self.between_steps()?;
        let program = self.program().clone();
        let loaded = self.programs.get_mut(&program)?;
        let Some(port) = loaded.program.inputs.iter().position(|port| port.name == input) else {
            let known: Vec<&str> = loaded.program.inputs.iter().map(|port| port.name.as_str()).collect();
            let known: Vec<&&str> = known.iter().filter(|name| !name.starts_with('@')).collect();
            return Err(Error::Argument(format!("there is no input {input:?}; there are {known:?}")));
        };
        bind(loaded.runner.as_gpu()?, port)?;
        loaded.bound.push(port);
        Ok(())
    }

    /// Has an input given with each run again, as it was before a buffer or texture was bound to it.
    ///
    /// # Errors
    /// An unknown name; the CPU device; a device that was lost.
    pub fn unbind_input(&mut self, input: &str) -> Result<()> {
        self.bind_input_with(input, |runner, port| runner.unbind_input(port))?;
        let port = self.loaded()?.program.inputs.iter().position(|port| port.name == input);
        let program = self.program().clone();
        self.programs.get_mut(&program)?.bound.retain(|bound| Some(*bound) != port);
        Ok(())
    }

    /// Leaves an output in an application's buffer, from the next run on: the program writes there itself where the buffer has the
    /// usages `STORAGE`, `COPY_SRC` and `COPY_DST` and its size is a multiple of sixteen bytes, else the output is copied there on the device at
    /// the end of each run.
    ///
    /// # Errors
    /// An unknown name; the CPU device; a buffer that is too small or lacks the usage `COPY_DST`.
    pub fn bind_output(&mut self, output: &str, buffer: wgpu::Buffer) -> Result<()> {
        self.bind_output_with(output, |runner, port| runner.bind_output(port, buffer))
    }

    /// Draws an output to an application's texture at the end of each run, from the next one on. The output is of f32, with 1 to 4
    /// channels (one is gray, what has no alpha is opaque); the texture has the usage `STORAGE_BINDING` and one of the formats `rgba8unorm`,
    /// `rgba8snorm`, `rgba16float`, `r32float`, `rg32float`, `rgba32float`, and with the feature for it `bgra8unorm`.
    ///
    /// # Errors
    /// An unknown name; the CPU device; an output that is no such picture, or of another size; a texture of another kind.
    pub fn bind_output_texture(&mut self, output: &str, texture: &wgpu::Texture, layout: PixelLayout) -> Result<()> {
        self.bind_output_with(output, |runner, port| runner.bind_output_texture(port, texture, layout))
    }

    fn bind_output_with(
        &mut self,
        output: &str,
        bind: impl FnOnce(&mut GpuProgram, usize) -> Result<()>,
    ) -> Result<()> {
        self.between_steps()?;
        let program = self.program().clone();
        let loaded = self.programs.get_mut(&program)?;
        let Some(port) = loaded.program.outputs.iter().position(|port| port.name == output) else {
            let known: Vec<&str> = visible(&loaded.program).map(|port| port.name.as_str()).collect();
            return Err(Error::Argument(format!("there is no output {output:?}; there are {known:?}")));
        };
        bind(loaded.runner.as_gpu()?, port)?;
        loaded.binds_outputs = true;
        Ok(())
    }

    /// Records a run among an application's own commands, instead of submitting it. The inputs are a part of the recording: however
    /// many are recorded, into one encoder or several, each sees its own.
    ///
    /// Where the program updates parameters, the recording is a step: it is counted here, and uncounted if what it was recorded into is
    /// dropped without being submitted. Recordings are to be submitted in the order in which they were made, and before the session does
    /// anything else: reads and saves refuse where one was not submitted yet, and what was submitted in another order is an error of a
    /// later call. What is set with [`set_parameter`](Self::set_parameter) meanwhile is seen by them.
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
        let fate = self.recordings.fate((!optimizers.is_empty()).then_some(optimizers));
        encoder.on_submitted_work_done(move || fate.submitted());
        Ok(())
    }
}
