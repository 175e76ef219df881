//! A run of a loaded program: inputs in one write a buffer, all commands in one submission, nothing waited for.

use super::context::GpuDevice;
use super::program::{Command, CopiedInput, CopiedOutput, GpuProgram, port_of};
use super::readback::{Readback, Source, Ticket, read_back};
use crate::compiler::{Location, Port};
use crate::error::{Error, Result};
use crate::waiting::block_on;

/// Commands in a submission: a very long run is submitted in parts, so that the GPU starts on it early.
const COMMANDS_PER_SUBMISSION: usize = 400;

/// Inputs of a recording, in a buffer of their own.
pub(crate) struct Staged {
    buffer: wgpu::Buffer,
    copies: Vec<StagedCopy>,
}

/// From where to where one of them is copied.
struct StagedCopy {
    from: u64,
    target: wgpu::Buffer,
    to: u64,
    words: u64,
}

impl GpuProgram {
    /// Runs the program once. `inputs` are indices of ports with their bytes; a port that is not among them keeps what it had.
    /// `captures` are ranges to be read after the run; the ticket returns them when they have arrived. Where three runs are under way on
    /// the device, it waits for the oldest first; it waits for nothing else.
    ///
    /// # Errors
    /// Where an input has the wrong size, a capture is not there, or the device was lost.
    pub fn run(&mut self, inputs: &[(usize, &[u8])], captures: &[Location]) -> Result<Option<Ticket>> {
        block_on(self.run_async(inputs, captures))
    }

    /// As [`run`](Self::run), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn run_async(&mut self, inputs: &[(usize, &[u8])], captures: &[Location]) -> Result<Option<Ticket>> {
        self.checked(inputs)?;
        self.device.throttle().await?;
        self.submit(inputs, captures)
    }

    /// The same, but refuses where it would wait.
    ///
    /// # Errors
    /// As of [`run`](Self::run); [`Error::Busy`] where three runs are under way on the device.
    pub fn try_run(&mut self, inputs: &[(usize, &[u8])], captures: &[Location]) -> Result<Option<Ticket>> {
        self.checked(inputs)?;
        self.device.room()?;
        self.submit(inputs, captures)
    }

    fn submit(&mut self, inputs: &[(usize, &[u8])], captures: &[Location]) -> Result<Option<Ticket>> {
        let device = self.device.clone();
        let readback = match captures {
            [] => None,
            _ => {
                let captured = self.sources(captures)?;
                Some(Readback::new(&device, captured.iter().map(|source| source.bytes))?)
            }
        };
        let ticket = device.guarded("running a program", |raw| {
            self.write_unguarded(inputs)?;
            let captured = self.sources(captures)?;
            let parts = self.commands.len().div_ceil(COMMANDS_PER_SUBMISSION).max(1);
            let size = self.commands.len().div_ceil(parts).max(1);
            let (first, last) = self.commands.split_at(size * (parts - 1));
            let encoder = || raw.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("program") });
            for (number, part) in first.chunks(size).enumerate() {
                let mut encoder = encoder();
                if number == 0 {
                    self.begin(&mut encoder);
                }
                self.encode(&mut encoder, part);
                device.submit_unguarded(vec![encoder.finish()]);
            }
            let mut encoder = encoder();
            if first.is_empty() {
                self.begin(&mut encoder);
            }
            self.encode(&mut encoder, last);
            self.end(&mut encoder);
            if let Some(readback) = &readback {
                readback.record(&mut encoder, &captured);
            }
            let submission = device.submit_unguarded(vec![encoder.finish()]);
            device.under_way(submission.clone());
            Ok::<_, Error>(readback.map(|readback| readback.into_ticket(&device, submission)))
        })??;
        self.device.tidy()?;
        Ok(ticket)
    }

    /// Reads ranges as the last run left them, and waits for them.
    ///
    /// # Errors
    /// Where a range is not there, or the device was lost.
    pub fn read(&self, locations: &[Location]) -> Result<Vec<Vec<u8>>> {
        self.start_read(locations)?.wait()
    }

    /// Begins to read ranges as the last run left them. The ticket can be awaited.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn start_read(&self, locations: &[Location]) -> Result<Ticket> {
        read_back(&self.device, &self.sources(locations)?)
    }

    /// Writes inputs for what is submitted from now on. The bytes are passed to the device at once.
    ///
    /// # Errors
    /// Where there is no such port, or the number of bytes is wrong; a device that was lost.
    pub fn write_inputs(&mut self, inputs: &[(usize, &[u8])]) -> Result<()> {
        self.checked(inputs)?;
        let device = self.device.clone();
        device.guarded("writing inputs", |_| self.write_unguarded(inputs))?
    }

    /// Checks the indices and sizes of inputs.
    fn checked(&self, inputs: &[(usize, &[u8])]) -> Result<()> {
        inputs.iter().try_for_each(|&(number, bytes)| {
            let port = port_of(&self.program.inputs, number, "input")?;
            if bytes.len() == port.location.bytes {
                return Ok(());
            }
            let (name, ty, expected, found) = (&port.name, &port.ty, port.location.bytes, bytes.len());
            Err(Error::Data(format!("input {name:?} is {ty}, {expected} bytes, but {found} bytes were given")))
        })
    }

    /// Writes checked inputs, inside a scope of the caller's.
    fn write_unguarded(&mut self, inputs: &[(usize, &[u8])]) -> Result<()> {
        for &(number, bytes) in inputs {
            let port = port_of(&self.program.inputs, number, "input")?;
            let Location { buffer, offset, bytes: expected } = port.location;
            let Some(shared) = self.shared_inputs.get_mut(&buffer) else {
                let target = self.bindings.buffer(buffer).ok_or_else(|| not_in_buffer(port))?;
                self.device.write_unguarded(target, offset as u64, bytes);
                continue;
            };
            let staged = shared.staging.get_mut(offset..).and_then(|rest| rest.get_mut(..expected));
            staged.ok_or_else(|| not_in_buffer(port))?.copy_from_slice(bytes);
            shared.is_changed = true;
        }
        for (&index, shared) in self.shared_inputs.iter_mut().filter(|(_, shared)| shared.is_changed) {
            if let Some(buffer) = self.bindings.buffer(index) {
                self.device.write_unguarded(buffer, 0, &shared.staging);
            }
            shared.is_changed = false;
        }
        Ok(())
    }

    /// Records a run among an application's own commands. These inputs are a part of the recording: it sees them whenever it is
    /// submitted, whatever other runs and recordings were passed meanwhile. The others are what [`write_inputs`](Self::write_inputs) wrote
    /// last or what is bound; outputs are where they are bound.
    ///
    /// # Errors
    /// As of [`write_inputs`](Self::write_inputs).
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder, inputs: &[(usize, &[u8])]) -> Result<()> {
        if let Some(staged) = self.stage(inputs)? {
            self.record_staged(encoder, &staged);
        }
        self.begin(encoder);
        self.encode(encoder, &self.commands);
        self.end(encoder);
        self.device.check()
    }

    /// Puts inputs into a buffer of their own, from which recordings copy them; none where there are no bytes.
    ///
    /// # Errors
    /// As of [`write_inputs`](Self::write_inputs), and where they are more than a buffer holds.
    pub(crate) fn stage(&self, inputs: &[(usize, &[u8])]) -> Result<Option<Staged>> {
        self.checked(inputs)?;
        let bytes: u64 = inputs.iter().map(|(_, bytes)| (bytes.len() as u64).next_multiple_of(16)).sum();
        let limit = self.device.adapter().limits.buffer_bytes;
        if bytes > limit {
            let message = format!(
                "a recording carries at most {limit} bytes of inputs, not {bytes}; bind the large ones to buffers"
            );
            return Err(Error::Argument(message));
        }
        if bytes == 0 {
            return Ok(None);
        }
        let buffer = self.staged(inputs, bytes)?;
        let mut copies = Vec::with_capacity(inputs.len());
        let mut offset = 0;
        for &(number, bytes) in inputs {
            let port = port_of(&self.program.inputs, number, "input")?;
            let target = self.bindings.buffer(port.location.buffer).ok_or_else(|| not_in_buffer(port))?;
            let words = (bytes.len() as u64).next_multiple_of(4);
            if words > 0 {
                copies.push(StagedCopy {
                    from: offset,
                    target: target.clone(),
                    to: port.location.offset as u64,
                    words,
                });
            }
            offset += (bytes.len() as u64).next_multiple_of(16);
        }
        Ok(Some(Staged { buffer, copies }))
    }

    /// Records the copies of staged inputs to where the program reads them.
    pub(crate) fn record_staged(&self, encoder: &mut wgpu::CommandEncoder, staged: &Staged) {
        for StagedCopy { from, target, to, words } in &staged.copies {
            encoder.copy_buffer_to_buffer(&staged.buffer, *from, target, *to, *words);
        }
    }

    /// A buffer with the inputs one after the other, each from a multiple of sixteen bytes on.
    fn staged(&self, inputs: &[(usize, &[u8])], size: u64) -> Result<wgpu::Buffer> {
        let what = format!("{size} bytes for inputs");
        let made = self.device.guarded(&what, |raw| {
            let buffer = raw.create_buffer(&wgpu::BufferDescriptor {
                label: Some("recorded inputs"),
                size,
                usage: wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            });
            let mut view = buffer.get_mapped_range_mut(..).ok()?;
            let mut offset = 0;
            for (_, bytes) in inputs {
                view.slice(offset..offset + bytes.len()).copy_from_slice(bytes);
                offset += bytes.len().next_multiple_of(16);
            }
            drop(view);
            buffer.unmap();
            Some(buffer)
        })?;
        made.ok_or_else(|| Error::OutOfMemory(format!("{what}, on {}", self.device.info().name)))
    }

    /// The device that it runs on.
    pub fn device(&self) -> &GpuDevice {
        &self.device
    }

    fn sources(&self, locations: &[Location]) -> Result<Vec<Source<'_>>> {
        let source = |location: &Location| {
            let source = self.bindings.resolve(location)?;
            let end = source.offset.checked_add((source.bytes as u64).checked_next_multiple_of(4)?)?;
            (end <= source.buffer.size() && source.offset % 4 == 0).then_some(source)
        };
        locations
            .iter()
            .map(|location| {
                source(location).ok_or_else(|| Error::Argument(format!("the program has no memory at {location:?}")))
            })
            .collect()
    }

    /// As few passes as copies allow, which cannot be within one.
    pub(super) fn encode(&self, encoder: &mut wgpu::CommandEncoder, mut commands: &[Command]) {
        while let Some(command) = commands.first() {
            if let Command::Copy { from, to, .. } = command {
                self.encode_copy(encoder, from, to);
                commands = &commands[1..];
                continue;
            }
            let end =
                commands.iter().position(|command| matches!(command, Command::Copy { .. })).unwrap_or(commands.len());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            encode_dispatches(&mut pass, &commands[..end]);
            drop(pass);
            commands = &commands[end..];
        }
    }

    pub(super) fn encode_copy(&self, encoder: &mut wgpu::CommandEncoder, from: &Location, to: &Location) {
        let (Some(from), Some(to)) = (self.bindings.resolve(from), self.bindings.resolve(to)) else {
            return;
        };
        let words = (to.bytes as u64).next_multiple_of(4);
        match &self.detour {
            Some(detour) if from.buffer == to.buffer => {
                encoder.copy_buffer_to_buffer(from.buffer, from.offset, detour, 0, words);
                encoder.copy_buffer_to_buffer(detour, 0, to.buffer, to.offset, words);
            }
            _ => encoder.copy_buffer_to_buffer(from.buffer, from.offset, to.buffer, to.offset, words),
        }
    }

    /// What comes before the commands of a run: inputs from an application's buffers and textures.
    pub(super) fn begin(&self, encoder: &mut wgpu::CommandEncoder) {
        for CopiedInput { location, buffer, .. } in &self.copied_inputs {
            if let Some(target) = self.bindings.resolve(location) {
                let words = (target.bytes as u64).next_multiple_of(4);
                encoder.copy_buffer_to_buffer(buffer, 0, target.buffer, target.offset, words);
            }
        }
        self.input_pictures.iter().for_each(|picture| picture.encode(encoder));
    }

    /// What comes after the commands of a run: outputs to an application's buffers and textures.
    pub(super) fn end(&self, encoder: &mut wgpu::CommandEncoder) {
        for CopiedOutput { location, buffer, .. } in &self.copied_outputs {
            if let Some(source) = self.bindings.resolve(location) {
                let words = (source.bytes as u64).next_multiple_of(4);
                encoder.copy_buffer_to_buffer(source.buffer, source.offset, buffer, 0, words);
            }
        }
        self.output_pictures.iter().for_each(|picture| picture.encode(encoder));
    }
}

fn not_in_buffer(port: &Port) -> Error {
    Error::Argument(format!("input {:?} is not in one of the program's buffers", port.name))
}

/// Dispatches within a pass; copies are left out.
pub(super) fn encode_dispatches(pass: &mut wgpu::ComputePass<'_>, commands: &[Command]) {
    let mut current = None;
    for command in commands {
        if let Command::Dispatch { pipeline, group, width, height, .. } = command {
            if current != Some(&pipeline.raw) {
                pass.set_pipeline(&pipeline.raw);
                current = Some(&pipeline.raw);
            }
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(*width, *height, 1);
        }
    }
}
