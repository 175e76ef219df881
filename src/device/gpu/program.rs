//! A program on a device, ready to run: every buffer, pipeline, bind group and uniform is made when it is loaded.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::bindings::{Bindings, bound_bytes, is_separate, overlap};
use super::context::GpuDevice;
use super::parts::Parts;
use super::pictures::Picture;
use super::pipelines::Pipeline;
use super::startup::Startup;
use super::store::{GpuStore, USAGES, require};
use crate::clock::Instant;
use crate::compiler::{BufferKind, Dispatch, Location, Port, Program, Step, Work};
use crate::error::{Error, Result};
use crate::shader::Limit;
use crate::waiting::{block_on, elsewhere, may_wait};

/// A command of the flat list that a run walks.
#[derive(Clone)]
pub(super) enum Command {
    Dispatch {
        pipeline: Arc<Pipeline>,
        group: wgpu::BindGroup,
        width: u32,
        height: u32,
        /// Its position in the program.
        step: usize,
        index: usize,
    },
    Copy {
        from: Location,
        to: Location,
        step: usize,
    },
}

impl Command {
    pub(super) fn step(&self) -> usize {
        match self {
            Self::Dispatch { step, .. } | Self::Copy { step, .. } => *step,
        }
    }
}

/// What the host writes into an input buffer that several ports share: one write for all, and a port that a run does not
/// write keeps what it had. A port that has its buffer to itself is written as it comes.
pub(super) struct SharedInput {
    pub(super) staging: Vec<u8>,
    pub(super) is_changed: bool,
}

/// An output that an application wants in a buffer of its own, but that shares its memory with other values.
pub(super) struct CopiedOutput {
    port: usize,
    pub(super) location: Location,
    pub(super) buffer: wgpu::Buffer,
}

/// An input that is copied from an application's buffer, which is too small to be bound, or lacks the usage for it.
pub(super) struct CopiedInput {
    port: usize,
    pub(super) location: Location,
    pub(super) buffer: wgpu::Buffer,
}

/// A program loaded on a GPU.
pub struct GpuProgram {
    pub(super) device: GpuDevice,
    pub(super) program: Arc<Program>,
    pub(super) bindings: Bindings,
    pub(super) commands: Vec<Command>,
    /// By the index of the program's buffer.
    pub(super) shared_inputs: HashMap<usize, SharedInput>,
    /// Inputs that are copied from an application's buffers, or read from its textures, at the beginning of each run.
    pub(super) copied_inputs: Vec<CopiedInput>,
    pub(super) input_pictures: Vec<Picture>,
    /// Outputs that are drawn to an application's textures at the end of each run.
    pub(super) output_pictures: Vec<Picture>,
    /// Outputs that are copied to an application's buffer at the end of each run.
    pub(super) copied_outputs: Vec<CopiedOutput>,
    /// For copies within one buffer, which WebGPU forbids.
    pub(super) detour: Option<wgpu::Buffer>,
    /// For runs in parts, once there was one.
    pub(super) parts: Option<Parts>,
    uniforms: wgpu::Buffer,
    /// For each step, the offset of each dispatch's parameters in `uniforms`.
    uniform_offsets: Vec<Vec<u64>>,
    startup: Startup,
}

/// Software drivers compile shaders in threads of their own when work is submitted. A process that ends meanwhile crashes in the compiler,
/// so what is under way is waited for. Hardware drivers tolerate a destroyed device.
impl Drop for GpuProgram {
    fn drop(&mut self) {
        if self.device.adapter().is_software {
            // A device that was lost has nothing to wait for.
            let _ = self.device.wait_idle();
        }
    }
}

impl fmt::Debug for GpuProgram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GpuProgram").field("commands", &self.commands.len()).finish_non_exhaustive()
    }
}

impl GpuProgram {
    /// Makes everything that runs of the program need, compiled kernels among it. Its variables are the store's buffers.
    ///
    /// # Errors
    /// Where the program breaks a limit of the device, a kernel does not compile, the store lacks a buffer, or memory runs out.
    pub fn load(device: &GpuDevice, program: Arc<Program>, store: &GpuStore) -> Result<Self> {
        block_on(Self::load_async(device, program, store))
    }

    /// As [`load`](Self::load), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn load_async(device: &GpuDevice, program: Arc<Program>, store: &GpuStore) -> Result<Self> {
        if may_wait() || cfg!(target_family = "wasm") {
            return Self::prepared(device, program, store).await;
        }
        let (device, store) = (device.clone(), store.clone());
        elsewhere(move || block_on(Self::prepared(&device, program, &store))).await?
    }

    async fn prepared(device: &GpuDevice, program: Arc<Program>, store: &GpuStore) -> Result<Self> {
        device.check()?;
        check_limits(device, &program)?;
        let begun = Instant::now();
        let pipelines = compile(device, &program)?;
        let mut startup = Startup { pipelines: begun.elapsed().as_secs_f64(), ..Startup::default() };
        let buffers = allocate(device, &program, store).map_err(|error| match error {
            Error::OutOfMemory(message) => Error::OutOfMemory(format!(
                "{message}: the program plans {} bytes of its own, beside {} of variables; a smaller batch needs less",
                program.planned_bytes(),
                program.variables.iter().map(|variable| variable.location.bytes).sum::<usize>()
            )),
            other => other,
        })?;
        let (uniforms, uniform_offsets) = upload_params(device, &program)?;
        let detour =
            detour_bytes(&program).map(|bytes| device.buffer("a copy within a buffer", bytes, USAGES)).transpose()?;
        let mut loaded = Self {
            device: device.clone(),
            bindings: Bindings::new(buffers),
            commands: Vec::new(),
            shared_inputs: shared_inputs(&program),
            copied_inputs: Vec::new(),
            input_pictures: Vec::new(),
            output_pictures: Vec::new(),
            copied_outputs: Vec::new(),
            detour,
            parts: None,
            uniforms,
            uniform_offsets,
            program,
            startup: Startup::default(),
        };
        loaded.commands = loaded.commands(&pipelines)?;
        let ready = begun.elapsed();
        startup.kernels = loaded.warm().await?;
        startup.first_dispatches = (begun.elapsed() - ready).as_secs_f64();
        device.reported().await?;
        startup.load = begun.elapsed().as_secs_f64();
        loaded.startup = startup;
        Ok(loaded)
    }

    /// What it took until it was ready; all but the compiler's time.
    pub fn startup(&self) -> &Startup {
        &self.startup
    }

    /// The program as the compiler made it.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Reads an input from an application's buffer instead of the host, from the next run on: without a copy where the buffer has the
    /// usage `STORAGE` and whole groups of sixteen bytes, else by a copy at the beginning of each run.
    ///
    /// # Errors
    /// Where there is no such input, or the buffer is too small or has neither `STORAGE` nor `COPY_SRC`.
    pub fn bind_input(&mut self, number: usize, buffer: wgpu::Buffer) -> Result<()> {
        let port = port_of(&self.program.inputs, number, "input")?;
        let what = format!("the buffer of input {:?}", port.name);
        let location = port.location;
        let words = (location.bytes as u64).next_multiple_of(4);
        let is_copied = self.is_copied(&location);
        let usages = if is_copied { USAGES - wgpu::BufferUsages::COPY_DST } else { wgpu::BufferUsages::STORAGE };
        let (bound, has_usages) = (bound_bytes(&location), buffer.usage().contains(usages));
        let is_bindable = buffer.size() >= bound && has_usages;
        if !is_bindable {
            let why = match (has_usages, is_copied) {
                // What remains is its size.
                (true, _) => {
                    format!("a buffer of fewer than {bound} bytes, which kernels read in groups of sixteen, is copied")
                }
                (false, true) => "an input that variables are updated from as it is has to be copied".to_owned(),
                (false, false) => "without the usage STORAGE it is copied".to_owned(),
            };
            require(&buffer, &format!("{what} ({why})"), wgpu::BufferUsages::COPY_SRC, words)?;
        }
        self.unbind_input(number)?;
        // What is written elsewhere cannot be read in the same dispatch.
        if is_bindable && !self.bindings.holds(&buffer) {
            return self.replace(location, buffer, &what);
        }
        self.copied_inputs.push(CopiedInput { port: number, location, buffer });
        Ok(())
    }

    /// Has an input come from the host again.
    ///
    /// # Errors
    /// Where there is no such input.
    pub fn unbind_input(&mut self, number: usize) -> Result<()> {
        let location = port_of(&self.program.inputs, number, "input")?.location;
        self.copied_inputs.retain(|input| input.port != number);
        self.input_pictures.retain(|picture| picture.port() != number);
        if self.bindings.restore(location) { self.rebind(location, "an input") } else { Ok(()) }
    }

    /// Leaves an output in an application's buffer, from the next run on. The program writes there itself where the output
    /// has memory of its own and the buffer whole groups of sixteen bytes and all usages, else the output is copied at the end of a run.
    ///
    /// # Errors
    /// Where there is no such output, or the buffer is too small or lacks the usage `COPY_DST`.
    pub fn bind_output(&mut self, number: usize, buffer: wgpu::Buffer) -> Result<()> {
        let port = port_of(&self.program.outputs, number, "output")?;
        let location = port.location;
        let what = format!("the buffer of output {:?}", port.name);
        require(&buffer, &what, wgpu::BufferUsages::COPY_DST, (location.bytes as u64).next_multiple_of(4))?;
        let is_slot = self.program.buffers.get(location.buffer).is_some_and(|plan| plan.kind == BufferKind::Slot);
        let is_shared = self.program.outputs.iter().filter(|other| other.location == location).count() > 1;
        let is_bindable = buffer.size() >= bound_bytes(&location) && buffer.usage().contains(USAGES);
        self.copied_outputs.retain(|output| output.port != number);
        let is_bindable = is_bindable && is_slot && !is_shared && !self.bindings.holds(&buffer);
        if is_bindable && is_separate(&location, all_locations(&self.program)) {
            self.replace(location, buffer, &what)?;
        } else {
            if self.bindings.restore(location) {
                self.rebind(location, &what)?;
            }
            self.copied_outputs.push(CopiedOutput { port: number, location, buffer });
        }
        self.redraw(location)
    }

    /// Replaces a range by a buffer, and recreates the bind groups concerned.
    fn replace(&mut self, location: Location, buffer: wgpu::Buffer, what: &str) -> Result<()> {
        self.device.check()?;
        let before = self.bindings.clone();
        self.bindings.replace(location, buffer);
        let outcome = self.rebind(location, what);
        if outcome.is_err() {
            self.bindings = before;
        }
        outcome
    }

    /// Recreates the bind groups that a location's buffer is in, after what is bound there has changed.
    fn rebind(&mut self, location: Location, what: &str) -> Result<()> {
        let made: Result<Vec<(usize, Command)>> = self
            .commands
            .iter()
            .enumerate()
            .filter_map(|(number, command)| match command {
                Command::Dispatch { pipeline, step, index, .. } => {
                    let dispatch = self.program.steps.get(*step)?.dispatches.get(*index)?;
                    let is_concerned = dispatch.bindings.iter().any(|bound| bound.buffer == location.buffer);
                    is_concerned.then(|| Ok((number, self.dispatch(pipeline, *step, *index)?)))
                }
                Command::Copy { .. } => None,
            })
            .collect();
        for (number, command) in made.map_err(|error| match error {
            Error::Device(message) => Error::Argument(format!("{what}: {message}")),
            other => other,
        })? {
            self.commands[number] = command;
        }
        self.rebind_parts()
    }

    /// True where a copy reads some of a range.
    fn is_copied(&self, range: &Location) -> bool {
        let copies = self.program.steps.iter().filter(|step| matches!(step.work, Work::Copy));
        let outputs = self.program.outputs.iter().map(|port| &port.location);
        copies.flat_map(|step| &step.reads).chain(outputs).any(|read| overlap(range, read))
    }

    /// The flat list of commands.
    fn commands(&self, pipelines: &[Arc<Pipeline>]) -> Result<Vec<Command>> {
        let mut commands = Vec::with_capacity(self.program.dispatches());
        for (number, step) in self.program.steps.iter().enumerate() {
            if matches!(step.work, Work::Copy) {
                if let (Some(&from), Some(&to)) = (step.reads.first(), step.writes.first())
                    && from != to
                    && to.bytes > 0
                {
                    let ends = (self.bindings.resolve(&from), self.bindings.resolve(&to));
                    if ends.0.is_none() || ends.1.is_none() {
                        return Err(broken(step, "a buffer that is not there"));
                    }
                    commands.push(Command::Copy { from, to, step: number });
                }
                continue;
            }
            for (index, dispatch) in step.dispatches.iter().enumerate() {
                // An empty tensor: nothing to do.
                if dispatch.grid.width == 0 || dispatch.grid.height == 0 {
                    continue;
                }
                let pipeline =
                    pipelines.get(dispatch.kernel).ok_or_else(|| broken(step, "a kernel that is not there"))?;
                commands.push(self.dispatch(pipeline, number, index)?);
            }
        }
        Ok(commands)
    }

    /// A dispatch with its bind group.
    fn dispatch(&self, pipeline: &Arc<Pipeline>, number: usize, index: usize) -> Result<Command> {
        let offset = self.uniform_offsets.get(number).and_then(|step| step.get(index));
        self.dispatch_with(pipeline, number, index, &self.uniforms, *offset.ok_or_else(|| missing(number, index))?)
    }

    /// A dispatch whose parameters lie in a buffer.
    pub(super) fn dispatch_with(
        &self,
        pipeline: &Arc<Pipeline>,
        number: usize,
        index: usize,
        uniforms: &wgpu::Buffer,
        offset: u64,
    ) -> Result<Command> {
        let step = self.program.steps.get(number).ok_or_else(|| missing(number, index))?;
        let dispatch = step.dispatches.get(index).ok_or_else(|| missing(number, index))?;
        let mut entries = vec![entry(0, uniforms, offset, param_bytes(&dispatch.params))];
        for (location, binding) in dispatch.bindings.iter().zip(1..) {
            let source = self.bindings.resolve(location).ok_or_else(|| broken(step, "a buffer that is not there"))?;
            entries.push(entry(binding, source.buffer, source.offset, bound_bytes(location)));
        }
        let group = self.device.guarded(&format!("step {}", step.label), |raw| {
            raw.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&step.label),
                layout: &pipeline.layout,
                entries: &entries,
            })
        })?;
        let (width, height) = (dispatch.grid.width, dispatch.grid.height);
        Ok(Command::Dispatch { pipeline: Arc::clone(pipeline), group, width, height, step: number, index })
    }
}

pub(super) fn entry(binding: u32, buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> wgpu::BindGroupEntry<'_> {
    let size = std::num::NonZeroU64::new(bytes);
    wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size }),
    }
}

pub(super) fn port_of<'a>(ports: &'a [Port], index: usize, what: &str) -> Result<&'a Port> {
    let count = ports.len();
    ports
        .get(index)
        .ok_or_else(|| Error::Argument(format!("the program has {count} {what}s, but number {index} was asked for")))
}

fn missing(step: usize, dispatch: usize) -> Error {
    Error::Argument(format!("the program has no dispatch {dispatch} in step {step}"))
}

/// A program that no compiler made.
fn broken(step: &Step, what: &str) -> Error {
    Error::Argument(format!("the program's step {} names {what}", step.label))
}

fn all_locations(program: &Program) -> impl Iterator<Item = &Location> {
    let steps = program.steps.iter().flat_map(|step| {
        let bound = step.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
        step.reads.iter().chain(&step.writes).chain(bound)
    });
    steps.chain(program.outputs.iter().map(|port| &port.location))
}

/// Bytes of a dispatch's uniform parameters, which are never empty on the device.
fn param_bytes(params: &[u32]) -> u64 {
    (params.len() as u64 * 4).max(16).next_multiple_of(16)
}

/// The compiler keeps the limits of the adapter that it was told of. This may be another one, and a clear error is better
/// than the driver's.
fn check_limits(device: &GpuDevice, program: &Program) -> Result<()> {
    let adapter = device.adapter();
    for step in &program.steps {
        let what = format!("{} (at {})", step.label, step.origin);
        for dispatch in &step.dispatches {
            let bytes = dispatch.bindings.iter().map(bound_bytes).max().unwrap_or(0);
            let largest = dispatch.grid.width.max(dispatch.grid.height);
            adapter.allows(Limit::WorkgroupsPerDimension, u64::from(largest), &what)?;
            adapter.allows(Limit::StorageBuffers, dispatch.bindings.len() as u64, &what)?;
            adapter.allows(Limit::BindingBytes, bytes, &what)?;
        }
    }
    Ok(())
}

fn compile(device: &GpuDevice, program: &Program) -> Result<Vec<Arc<Pipeline>>> {
    let mut uniform_bytes: HashMap<usize, u64> = HashMap::new();
    for dispatch in program.steps.iter().flat_map(|step| &step.dispatches) {
        let bytes = uniform_bytes.entry(dispatch.kernel).or_insert(u64::MAX);
        *bytes = (*bytes).min(param_bytes(&dispatch.params));
    }
    let kernels: Vec<_> = program
        .kernels
        .iter()
        .enumerate()
        // A kernel without a dispatch has no parameters to compare with its source.
        .map(|(index, kernel)| (kernel, uniform_bytes.get(&index).copied().unwrap_or(0)))
        .collect();
    device.pipelines().of(device, &kernels).map_err(|error| match error {
        Error::Shader { kernel, device, message } => {
            Error::Shader { kernel: format!("{kernel}{}", user_of(program, &kernel)), device, message }
        }
        other => other,
    })
}

/// Which operator a kernel is of, and the user's line, for messages; nothing where no step dispatches it.
fn user_of(program: &Program, label: &str) -> String {
    let is_it = |dispatch: &Dispatch| program.kernels.get(dispatch.kernel).is_some_and(|kernel| kernel.label == label);
    let step = program.steps.iter().find(|step| step.dispatches.iter().any(is_it));
    step.map_or_else(String::new, |step| format!(" of {} (at {})", step.label, step.origin))
}

fn allocate(device: &GpuDevice, program: &Program, store: &GpuStore) -> Result<Vec<wgpu::Buffer>> {
    let touched = program.touched();
    // A program that held what it does not touch would keep data sets alive that others have freed.
    let mut untouched = None;
    let allocate = |(index, plan): (usize, &crate::compiler::BufferPlan)| match &plan.kind {
        BufferKind::Persistent(_) if !touched.contains(&index) => Ok(match &untouched {
            Some(empty) => wgpu::Buffer::clone(empty),
            None => untouched.insert(device.buffer("untouched", 0, USAGES)?).clone(),
        }),
        BufferKind::Persistent(number) => {
            let buffer = store.buffer(*number)?;
            if buffer.size() < plan.bytes as u64 {
                let (size, bytes) = (buffer.size(), plan.bytes);
                return Err(Error::Argument(format!(
                    "the store's buffer {number} has {size} bytes, the program needs {bytes}"
                )));
            }
            Ok(buffer.clone())
        }
        BufferKind::Input => device.buffer("an input", plan.bytes as u64, USAGES),
        BufferKind::Slot => device.buffer("intermediate results", plan.bytes as u64, USAGES),
        BufferKind::Constant(data) => {
            let buffer = device.buffer("a constant", plan.bytes as u64, USAGES)?;
            if data.bytes().len() > plan.bytes {
                return Err(Error::Argument(format!("constant {index} has more bytes than its buffer")));
            }
            device.write(&buffer, 0, data.bytes())?;
            Ok(buffer)
        }
    };
    program.buffers.iter().enumerate().map(allocate).collect()
}

fn shared_inputs(program: &Program) -> HashMap<usize, SharedInput> {
    let ports = |buffer| program.inputs.iter().filter(move |port| port.location.buffer == buffer).count();
    let plans = program.buffers.iter().enumerate();
    plans
        .filter(|(index, plan)| plan.kind == BufferKind::Input && ports(*index) > 1)
        .map(|(index, plan)| (index, SharedInput { staging: vec![0; plan.bytes], is_changed: false }))
        .collect()
}

/// The parameters of all dispatches of each step.
fn upload_params(device: &GpuDevice, program: &Program) -> Result<(wgpu::Buffer, Vec<Vec<u64>>)> {
    let dispatches = program.steps.iter().flat_map(|step| &step.dispatches);
    let (buffer, offsets) = upload(device, dispatches.map(|dispatch| dispatch.params.as_slice()))?;
    let mut offsets = offsets.into_iter();
    let of_step = |step: &Step| offsets.by_ref().take(step.dispatches.len()).collect();
    Ok((buffer, program.steps.iter().map(of_step).collect()))
}

/// Parameters of dispatches in one buffer, each at a multiple of the device's alignment.
pub(super) fn upload<'a>(device: &GpuDevice, all: impl Iterator<Item = &'a [u32]>) -> Result<(wgpu::Buffer, Vec<u64>)> {
    let alignment = device.wgpu_device().limits().min_uniform_buffer_offset_alignment.max(16) as usize;
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for params in all {
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        offsets.push(bytes.len() as u64);
        let end = bytes.len() + param_bytes(params) as usize;
        bytes.extend_from_slice(bytemuck::cast_slice(params));
        bytes.resize(end, 0);
    }
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let buffer = device.buffer("the parameters of kernels", bytes.len() as u64, usage)?;
    device.write(&buffer, 0, &bytes)?;
    Ok((buffer, offsets))
}

/// The size of the largest copy within one buffer, if there is any.
fn detour_bytes(program: &Program) -> Option<u64> {
    let copies = program.steps.iter().filter(|step| matches!(step.work, Work::Copy));
    let pairs = copies.filter_map(|step| Some((step.reads.first()?, step.writes.first()?)));
    pairs.filter(|(from, to)| from.buffer == to.buffer).map(|(_, to)| bound_bytes(to)).max()
}
