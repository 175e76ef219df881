//! A program with its parameters and state on a device.
//!
//! A session owns a store of variables. Programs for other graphs (another batch size, evaluation beside training) are
//! loaded into the same session with [`Session::load`] and share the variables by name.

mod embed;
mod frames;
mod initial;
mod kept;
mod optimizers;
mod outputs;
mod overflow;
mod profile;
mod program;
mod programs;
mod recordings;
mod snapshot;
mod transfer;
mod tuning;
mod variables;

pub use crate::device::gpu::{KernelStartup, PixelLayout, Recorded, Startup};
pub use optimizers::OptimizerState;
pub use outputs::{Capture, Outputs};
pub use profile::{Profile, ProfiledStep};
pub use program::{Program, Using};
pub use programs::Memory;
pub use snapshot::Snapshot;

use std::fmt;
use std::sync::Arc;

use crate::clock::Instant;
use crate::compiler::{self, Layout, Location, Options, Port, Stages};
use crate::device::execute::{DeviceProgram, DeviceStore};
use crate::device::{Device, Kind};
use crate::error::{Error, Result};
use crate::graph::{Graph, HostScalars};
use crate::ops::{Op, RANDOM_STATE};
use crate::scalar::threefry;
use crate::tensor::{TensorData, TensorType, no_batch_axis};
use crate::waiting::{block_on, elsewhere, yielded};
use frames::InProgress;
use kept::Kept;
use optimizers::{Counts, Optimizers};
use overflow::{Unchecked, Watch, visible};
use program::Programs;
use recordings::Recordings;
use transfer::{put, sent};

/// One loaded program.
struct Loaded {
    program: Program,
    /// What it was compiled from.
    graph: Graph,
    runner: DeviceProgram,
    host_scalars: HostScalars,
    /// The optimizers of the session that the program's are, in the order of the graph.
    optimizers: Vec<usize>,
    /// Inputs that the graph has but the program does not need: they are accepted all the same.
    unneeded: Vec<(String, TensorType)>,
    /// True once it has run, so that its outputs can be read.
    has_run: bool,
    /// Inputs that come from an application's buffers.
    bound: Vec<usize>,
    /// Inputs that came from buffers of a device that the session has left.
    unbound: Vec<usize>,
    /// Whether outputs go to an application's buffers or textures.
    binds_outputs: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = formatter.debug_struct("Session");
        session.field("device", &self.device).field("steps", &self.steps()).finish_non_exhaustive()
    }
}

/// How a program is run.
#[derive(Clone, Copy)]
struct How {
    /// A step is counted, whatever the program does.
    is_step: bool,
    /// It may wait for runs before it, else it refuses.
    waits: bool,
}

impl How {
    const STEP: Self = Self { is_step: true, waits: true };
    const RUN: Self = Self { is_step: false, waits: true };
}

/// A program with its parameters and state on a device.
///
/// A GPU has neither i64 nor f64, and computes in i32 and f32 instead; inputs, outputs and variables are the graph's own
/// types here all the same. An i64 or f64 that does not fit is refused. An intermediate i64 that leaves 32 bits is detected on the device,
/// and is an error of the call that reads outputs or variables afterwards, or of one of the next steps: a result is right, or an error.
/// An intermediate f64 has the digits and the range of f32: beyond 3.4·10³⁸ it is infinite.
pub struct Session {
    device: Device,
    layout: Layout,
    store: DeviceStore,
    programs: Programs,
    /// The program that calls are about, where it is not the first.
    used: Option<Program>,
    seed: u64,
    step: u64,
    optimizers: Optimizers,
    recordings: Recordings,
    /// A step that is recorded in parts.
    in_progress: Option<InProgress>,
    /// The state that outlives the device.
    kept: Option<Kept>,
    options: Options,
    unchecked: Unchecked,
}

impl Graph {
    /// Compiles the graph for a device and gives its variables their first values, drawn with seed 0.
    ///
    /// # Errors
    /// The first mistake made while building, with the user's line; what breaks a limit of the device; a device that
    /// refuses.
    pub fn compile(&self, device: &Device) -> Result<Session> {
        Session::new(self, device, 0)
    }

    /// As [`compile`](Self::compile), without blocking: an application's frames go on while kernels are compiled on another thread.
    ///
    /// # Errors
    /// As there.
    pub async fn compile_async(&self, device: &Device) -> Result<Session> {
        Session::new_async(self, device, 0).await
    }
}

impl Session {
    /// Compiles a graph for a device; variables get their first values from the seed.
    ///
    /// # Errors
    /// As [`Graph::compile`].
    pub fn new(graph: &Graph, device: &Device, seed: u64) -> Result<Self> {
        Self::with_options(graph, device, seed, Options::default())
    }

    /// As [`new`](Self::new), with some passes left out: for tests and comparisons.
    ///
    /// # Errors
    /// As [`Graph::compile`].
    pub fn with_options(graph: &Graph, device: &Device, seed: u64, options: Options) -> Result<Self> {
        let mut session = Self::empty(device, seed, options);
        session.load(graph)?;
        Ok(session)
    }

    /// As [`new`](Self::new), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn new_async(graph: &Graph, device: &Device, seed: u64) -> Result<Self> {
        let mut session = Self::empty(device, seed, Options::default());
        session.load_async(graph).await?;
        Ok(session)
    }

    /// Without a program, for the moment until one is loaded.
    pub(crate) fn empty(device: &Device, seed: u64, options: Options) -> Self {
        Self {
            device: device.clone(),
            layout: Layout::default(),
            store: DeviceStore::new(device),
            programs: Programs::new(),
            used: None,
            seed,
            step: 0,
            optimizers: Optimizers::default(),
            recordings: Recordings::default(),
            in_progress: None,
            kept: None,
            options,
            unchecked: Unchecked::default(),
        }
    }

    /// Compiles another graph into this session. Variables of the same name are shared; new ones get their first values. Its kernels are
    /// ready when it returns: the first step takes no longer than others. [`Device::on_compiling`] tells how far they are.
    ///
    /// # Errors
    /// As [`Graph::compile`]; where a shared variable has another type here; where the graph has another optimizer than a program that
    /// is there, but states of the same names.
    pub fn load(&mut self, graph: &Graph) -> Result<Program> {
        block_on(self.load_async(graph))
    }

    /// As [`load`](Self::load), without blocking: what takes the processor's time is done on another thread. Dropped before its end, it
    /// leaves the session as it was, but for new variables.
    ///
    /// # Errors
    /// As there.
    pub async fn load_async(&mut self, graph: &Graph) -> Result<Program> {
        let program = self.load_within_async(graph, usize::MAX).await?;
        program.ok_or_else(|| Error::Limit("the program's values have no size that can be counted".into()))
    }

    /// As [`load`](Self::load), unless the program's own values would take more than `bytes` bytes: then nothing is loaded, and it is
    /// `None`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_within(&mut self, graph: &Graph, bytes: usize) -> Result<Option<Program>> {
        block_on(self.load_within_async(graph, bytes))
    }

    /// As [`load_within`](Self::load_within), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn load_within_async(&mut self, graph: &Graph, bytes: usize) -> Result<Option<Program>> {
        self.device.check()?;
        let known = self.layout.variables.len();
        let data = graph.snapshot()?;
        // As it is now, whatever is added to it later.
        let graph = Graph::of(data.clone());
        let begun = Instant::now();
        let compiled = self.compiled(&graph, &self.device, self.layout.clone()).await?;
        let (program, stages, layout) = compiled;
        let compile = begun.elapsed().as_secs_f64();
        let (optimizers, mine) = self.optimizers.with(data.host_scalars.optimizers())?;
        if program.planned_bytes() > bytes {
            return Ok(None);
        }
        self.device.check_room(program.planned_bytes(), layout.buffers.iter().sum())?;
        let before = self.store.len();
        for &bytes in layout.buffers.iter().skip(before) {
            if let Err(error) = self.store.add(bytes) {
                self.store.truncate(before);
                return Err(error);
            }
        }
        self.layout = layout;
        for index in known..self.layout.variables.len() {
            let variable = self.layout.variables[index].clone();
            if !initial::is_zero(&variable.initial) {
                put(&mut self.store, &variable, &initial::values(&variable, self.seed)?)?;
            }
        }
        let runner = DeviceProgram::load(&self.device, &program, &self.store).await?;
        let startup = Startup { compile, ..runner.startup() };
        let needed = |name: &str| program.inputs.iter().any(|port| port.name == name);
        let unneeded = data.nodes.iter().filter_map(|node| match &node.op {
            Op::Input(name, ty) if !needed(name) => Some((name.clone(), ty.clone())),
            _ => None,
        });
        let unneeded = unneeded.collect();
        self.optimizers = optimizers;
        let loaded = self.programs.add(&program, stages, startup, |handle| Loaded {
            program: handle,
            graph,
            runner,
            host_scalars: data.host_scalars,
            optimizers: mine,
            unneeded,
            has_run: false,
            bound: Vec::new(),
            unbound: Vec::new(),
            binds_outputs: false,
        });
        Ok(Some(loaded))
    }

    /// A graph's program for a device, after those that have a layout; and the layout then.
    async fn compiled(
        &self,
        graph: &Graph,
        device: &Device,
        mut layout: Layout,
    ) -> Result<(Arc<compiler::Program>, Stages, Layout)> {
        let (graph, target, options) = (graph.clone(), device.target(), self.options);
        elsewhere(move || {
            let (program, stages) = compiler::compile(&graph, &target, &mut layout, options)?;
            Ok((Arc::new(program), stages, layout))
        })
        .await?
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn loaded(&self) -> Result<&Loaded> {
        self.programs.get(self.program())
    }

    /// Number of steps done: with any program by [`step`](Self::step) and its like, and runs that updated parameters. Optimizers count
    /// their own, see [`optimizers`](Self::optimizers).
    pub fn steps(&self) -> u64 {
        self.step - self.recordings.dropped().len() as u64
    }

    /// The seed that variables and random draws come from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// One run of the program as a training step, whose outputs [`read`](Self::read) returns: counts it and submits it to the device. On a
    /// GPU it returns before the step is done, and waits only where three runs are under way already, for the oldest of them;
    /// [`try_step`](Self::try_step) refuses then, and [`pending`](Self::pending) tells how many there are. On the CPU the step is done when
    /// it returns.
    ///
    /// # Errors
    /// Inputs that are missing, unknown or of the wrong type; a device that fails or was lost.
    pub fn step(&mut self, inputs: &[(&str, &TensorData)]) -> Result<()> {
        block_on(self.step_async(inputs))
    }

    /// As [`step`](Self::step), without blocking: where three runs are under way, the oldest is awaited. On the CPU, the step is computed in
    /// the call.
    ///
    /// # Errors
    /// As there.
    pub async fn step_async(&mut self, inputs: &[(&str, &TensorData)]) -> Result<()> {
        let capture = self.execute(inputs, &[], How::STEP).await?;
        self.unchecked.push(capture).await
    }

    /// A [`step`](Self::step) that never waits, for an application that has frames to draw.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [4, 2], F32);
    /// let loss = nn::Linear::new(&g, "fc", 2, 1).forward(&x).square().mean_all();
    /// let mut session = g.minimize(&loss, Adam::new(0.1)).compile(&Device::cpu())?;
    /// match session.try_step(&[("x", &TensorData::zeros(F32, [4, 2]))]) {
    ///     Err(Error::Busy { pending }) => println!("{pending} steps to go; next frame"),
    ///     done => done?,
    /// }
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`step`](Self::step); [`Error::Busy`] where that would wait: nothing was done or counted then.
    pub fn try_step(&mut self, inputs: &[(&str, &TensorData)]) -> Result<()> {
        let capture = block_on(self.execute(inputs, &[], How { is_step: true, waits: false }))?;
        self.unchecked.push_without_waiting(capture)
    }

    /// Runs that were submitted to the device and are not done, those of other sessions on it included; a
    /// [`step`](Self::step) waits from three on. Waits for nothing.
    ///
    /// # Errors
    /// A device that was lost.
    pub fn pending(&self) -> Result<usize> {
        self.device.pending()
    }

    /// Runs the program and reads all its outputs. It counts no step, unless the program updates parameters: such a run is a training step,
    /// as by [`step`](Self::step).
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run(&mut self, inputs: &[(&str, &TensorData)]) -> Result<Outputs> {
        block_on(self.run_async(inputs))
    }

    /// As [`run`](Self::run), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn run_async(&mut self, inputs: &[(&str, &TensorData)]) -> Result<Outputs> {
        let ports: Vec<Port> = visible(&self.loaded()?.program).cloned().collect();
        let capture = self.execute(inputs, &ports, How::RUN).await?;
        self.unchecked.settle().await?;
        let values = capture.arrive().await?;
        Ok(Outputs(ports.into_iter().map(|port| port.name).zip(values).collect()))
    }

    /// One training step as [`step`](Self::step), whose outputs of these names are saved for reading later, with
    /// [`Capture::wait`]: later steps do not overwrite them.
    ///
    /// # Errors
    /// As [`step`](Self::step), and an unknown output.
    pub fn step_capture(&mut self, inputs: &[(&str, &TensorData)], outputs: &[&str]) -> Result<Capture> {
        block_on(self.step_capture_async(inputs, outputs))
    }

    /// As [`step_capture`](Self::step_capture), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn step_capture_async(&mut self, inputs: &[(&str, &TensorData)], outputs: &[&str]) -> Result<Capture> {
        let ports = outputs.iter().map(|name| self.output_port(name)).collect::<Result<Vec<Port>>>()?;
        self.execute(inputs, &ports, How::STEP).await
    }

    fn output_port(&self, output: &str) -> Result<Port> {
        let program = &self.loaded()?.program;
        visible(program).find(|port| port.name == output).cloned().ok_or_else(|| {
            let names: Vec<&str> = visible(program).map(|port| port.name.as_str()).collect();
            Error::Argument(format!("there is no output {output:?}; there are {names:?}"))
        })
    }

    /// An output of the program's last run. Waits until it is there.
    ///
    /// # Errors
    /// An unknown name; a program that has not run; a device that fails.
    pub fn read(&mut self, output: &str) -> Result<TensorData> {
        block_on(self.read_async(output))
    }

    /// As [`read`](Self::read), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn read_async(&mut self, output: &str) -> Result<TensorData> {
        self.between_steps()?;
        self.submitted().await?;
        self.unchecked.settle().await?;
        let values = self.start_read(&[output])?.arrive().await?;
        values.into_iter().next().ok_or_else(|| Error::Device(format!("output {output:?} was not read")))
    }

    async fn execute(&mut self, inputs: &[(&str, &TensorData)], captured: &[Port], how: How) -> Result<Capture> {
        let counts = self.counts(how.is_step)?;
        let (hidden, direct) = self.inputs(inputs, &counts)?;
        self.keep_if_due(None)?;
        let mut all: Vec<(usize, &[u8])> = direct;
        all.extend(hidden.iter().map(|(port, bytes)| (*port, bytes.as_slice())));
        let program = self.program().clone();
        let loaded = self.programs.get_mut(&program)?;
        let watch = Watch::of(&loaded.program);
        let locations: Vec<Location> =
            captured.iter().map(|port| port.location).chain(watch.iter().flat_map(Watch::locations)).collect();
        let arrival = loaded.runner.run(&mut self.store, &all, &locations, how.waits).await?;
        loaded.has_run = true;
        self.count(counts);
        match (self.recordings.own_turn(), &self.device.0) {
            (Some(turn), Kind::Gpu(gpu)) => gpu.wgpu_queue().on_submitted_work_done(move || turn.done()),
            (_, Kind::Gpu(_)) => {}
            // Who awaits many steps lets others go on between them.
            (_, Kind::Cpu) => yielded().await,
        }
        let before = self.recordings.before(&self.device);
        Ok(Capture { ports: captured.to_vec(), watch, arrival, before })
    }

    /// The bytes of every input: those that the session computes or converts, and those that are passed on as they are.
    #[allow(clippy::type_complexity, reason = "a pair of lists, taken apart at once")]
    fn inputs<'a>(
        &self,
        inputs: &[(&str, &'a TensorData)],
        counts: &Counts,
    ) -> Result<(Vec<(usize, Vec<u8>)>, Vec<(usize, &'a [u8])>)> {
        let loaded = self.loaded()?;
        for (index, (name, data)) in inputs.iter().enumerate() {
            if inputs[..index].iter().any(|(other, _)| other == name) {
                return Err(Error::Argument(format!("input {name:?} was given twice")));
            }
            let port = loaded.program.inputs.iter().map(|port| (&port.name, &port.ty));
            let mut all = port.chain(loaded.unneeded.iter().map(|(name, ty)| (name, ty)));
            if let Some((_, ty)) = all.find(|(known, _)| known == name) {
                if data.ty() != ty {
                    let lacks_batch = data.dtype() == ty.dtype && ty.shape.get(1..) == Some(data.shape().dims());
                    let hint =
                        if lacks_batch { no_batch_axis(&ty.shape.to_string(), data.shape(), 0) } else { String::new() };
                    let colon = if lacks_batch { ": " } else { "" };
                    let message = format!("input {name:?} is {ty}, but {} was given{colon}{hint}", data.ty());
                    return Err(Error::Argument(message));
                }
            } else {
                let known: Vec<&str> = loaded
                    .program
                    .inputs
                    .iter()
                    .map(|port| port.name.as_str())
                    .filter(|name| !name.starts_with('@'))
                    .collect();
                return Err(Error::Argument(format!("there is no input {name:?}; there are {known:?}")));
            }
        }
        let mut hidden: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut direct: Vec<(usize, &'a [u8])> = Vec::new();
        for (index, port) in loaded.program.inputs.iter().enumerate() {
            if let Some((_, data)) = inputs.iter().find(|(name, _)| *name == port.name) {
                if loaded.bound.contains(&index) {
                    return Err(Error::Argument(format!(
                        "input {:?} comes from what was bound to it, and was given too; `unbind_input` has it given again",
                        port.name
                    )));
                }
                match sent("input", &port.name, data, port.stored)? {
                    Some(converted) => hidden.push((index, converted.bytes().to_vec())),
                    None => direct.push((index, data.bytes())),
                }
            } else if port.name == RANDOM_STATE {
                let key = threefry::key_of_seed(self.seed);
                let words = [key[0] ^ key[1].rotate_left(16), counts.step() as u32];
                hidden.push((index, bytemuck::cast_slice(&words).to_vec()));
            } else if let Some(values) = counts.block(&loaded.host_scalars, &port.name) {
                hidden.push((index, bytemuck::cast_slice(&values).to_vec()));
            } else if !loaded.bound.contains(&index) {
                let why = if loaded.unbound.contains(&index) {
                    "; what was bound to it belongs to the device that the session has left"
                } else {
                    ""
                };
                return Err(Error::Argument(format!("input {:?} ({}) was not given{why}", port.name, port.ty)));
            }
        }
        Ok((hidden, direct))
    }
}
