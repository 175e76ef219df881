//! A session that outlives its device: its state is kept on the host every few steps, and moved to another device from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::optimizers::Optimizers;
use super::overflow::Unchecked;
use super::recordings::Recordings;
use super::transfer::{put, received};
use super::{Loaded, Program, Session, Startup, initial};
use crate::clock::Instant;
use crate::compiler::{self, Layout, Location, Stages, VariablePlan};
use crate::device::Device;
use crate::device::execute::{Arrival, DeviceProgram, DeviceStore};
use crate::error::{Error, Result};
use crate::ops::{Role, Variable};
use crate::tensor::TensorData;
use crate::waiting::block_on;

/// What a session is after a number of steps.
#[derive(Clone, Default)]
struct State {
    step: u64,
    optimizers: Optimizers,
    values: BTreeMap<String, TensorData>,
}

/// A state on its way to the host.
struct Arriving {
    step: u64,
    optimizers: Optimizers,
    variables: Vec<VariablePlan>,
    arrival: Arrival,
}

/// What is kept of a session.
pub(super) struct Kept {
    every: u64,
    last: State,
    arriving: Option<Arriving>,
    /// Set where a variable was changed by the host: the state before the next step is kept, whatever its number.
    is_due: bool,
    /// Data, which steps do not change.
    data: BTreeMap<String, TensorData>,
}

impl Kept {
    /// A variable was set by the host.
    pub(super) fn changed(&mut self, variable: &VariablePlan, value: &TensorData) {
        if variable.role == Role::Data {
            self.data.insert(variable.name.clone(), value.clone());
        } else {
            self.is_due = true;
        }
    }

    /// Variables were taken over from elsewhere.
    pub(super) fn taken(&mut self) {
        self.is_due = true;
    }

    /// Data is forgotten.
    pub(super) fn forget(&mut self, name: &str) {
        self.data.remove(name);
    }
}

fn changes(variable: &VariablePlan) -> bool {
    variable.role != Role::Data
}

impl Session {
    /// Keeps the session's state on the host from now on: now, and again before every step that comes `steps` steps after the one kept last
    /// (0 for no more). It is read beside the steps, which do not wait for it. Where the device is lost, [`move_to`](Self::move_to) goes on
    /// from the last state that has arrived. Waits for the first.
    ///
    /// # Errors
    /// A device that fails.
    pub fn keep_every(&mut self, steps: u64) -> Result<()> {
        block_on(self.keep_every_async(steps))
    }

    /// As [`keep_every`](Self::keep_every), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn keep_every_async(&mut self, steps: u64) -> Result<()> {
        if steps == 0 {
            self.kept = None;
            return Ok(());
        }
        let (last, data) = self.state_now().await?;
        self.kept = Some(Kept { every: steps, last, arriving: None, is_due: false, data });
        Ok(())
    }

    /// After how many steps the state that would be moved to another device was kept, where [`keep_every`](Self::keep_every) keeps any.
    pub fn kept_step(&mut self) -> Option<u64> {
        self.receive_kept();
        self.kept.as_ref().map(|kept| kept.last.step)
    }

    /// All variables now: those that steps change, and data.
    async fn state_now(&self) -> Result<(State, BTreeMap<String, TensorData>)> {
        self.device.check()?;
        let values = self.values_async(changes).await?.into_iter().collect();
        let data = self.values_async(|variable| !changes(variable)).await?.into_iter().collect();
        Ok((State { step: self.step, optimizers: self.optimizers.clone(), values }, data))
    }

    /// Takes in a state that has arrived.
    fn receive_kept(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        if !kept.arriving.as_ref().is_some_and(|arriving| arriving.arrival.is_ready().unwrap_or(false)) {
            return;
        }
        let Some(Arriving { step, optimizers, variables, arrival }) = kept.arriving.take() else { return };
        // What does not arrive any more leaves the state before.
        let Ok(bytes) = block_on(arrival.arrive()) else { return };
        let typed = variables
            .iter()
            .zip(&bytes)
            .map(|(variable, bytes)| Ok((variable.name.clone(), received(&variable.ty, variable.stored, bytes)?)));
        if let Ok(values) = typed.collect::<Result<_>>() {
            kept.last = State { step, optimizers, values };
        }
    }

    /// Begins to keep the state before a step, where it is time for that: in the encoder that the step is recorded into, if there is one.
    pub(super) fn keep_if_due(&mut self, encoder: Option<&mut wgpu::CommandEncoder>) -> Result<()> {
        self.receive_kept();
        let Some(kept) = &self.kept else { return Ok(()) };
        let is_due = kept.is_due || self.step >= kept.last.step + kept.every;
        if !is_due || kept.arriving.is_some() {
            return Ok(());
        }
        let variables: Vec<VariablePlan> =
            self.layout.variables.iter().filter(|variable| changes(variable)).cloned().collect();
        let locations: Vec<Location> = variables.iter().map(|variable| variable.location).collect();
        let arrival = match encoder {
            Some(encoder) => self.store.record_read(encoder, &locations)?,
            None => self.store.start_read(&locations)?,
        };
        let (step, optimizers) = (self.step, self.optimizers.clone());
        if let Some(kept) = &mut self.kept {
            kept.is_due = false;
            kept.arriving = Some(Arriving { step, optimizers, variables, arrival });
        }
        Ok(())
    }

    /// Goes on with another device: with everything as it is now, or, where the device was lost, as it was kept last. All programs are
    /// compiled for it; their handles stay what they were. An application's buffers, which belong to the other device, are no longer bound.
    /// A step returns before it is done, so the last ones may be lost after they returned: [`Device::wait_idle`] tells.
    /// Returns the number of steps that have been done: those after it are to be done again, and then the bits are those that would have
    /// been, on the same kind of device. The session stays what it was where this fails.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [4, 2], F32);
    /// let loss = nn::Linear::new(&g, "fc", 2, 1).forward(&x).square().mean_all();
    /// let mut session = g.minimize(&loss, Adam::new(0.1)).compile(&Device::cpu())?;
    /// session.keep_every(10)?;
    /// let batch = |step: u64| TensorData::from_f64(F32, &[step as f64; 8], [4, 2]);
    /// while session.steps() < 30 {
    ///     match session.step(&[("x", &batch(session.steps())?)]) {
    ///         Err(Error::DeviceLost(_)) => println!("on from step {}", session.move_to(&Device::auto()?)?),
    ///         done => done?,
    ///     }
    /// }
    /// session.device().wait_idle()?; // an error where the last steps were lost as well
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A lost device of which nothing was kept; what [`load`](Self::load) says of the new device.
    pub fn move_to(&mut self, device: &Device) -> Result<u64> {
        block_on(self.move_to_async(device))
    }

    /// As [`move_to`](Self::move_to), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn move_to_async(&mut self, device: &Device) -> Result<u64> {
        self.receive_kept();
        let (state, data) = match self.state_now().await {
            Ok(now) => now,
            Err(Error::DeviceLost(_)) => match &self.kept {
                Some(kept) => (kept.last.clone(), kept.data.clone()),
                None => {
                    return Err(Error::DeviceLost(format!(
                        "{} is gone, and no state of the session was kept that could be moved; `keep_every` keeps one",
                        self.device.name()
                    )));
                }
            },
            // A step in progress is given up with its device.
            Err(error) => return Err(error),
        };
        let mut layout = Layout::default();
        let rebuilt = self.compiled_for(device, &mut layout).await?;
        for known in &self.layout.variables {
            let variable = Variable {
                name: known.name.clone(),
                ty: known.ty.clone(),
                role: known.role.clone(),
                initial: known.initial.clone(),
            };
            layout.allocate(&Arc::new(variable), &device.target())?;
        }
        layout.close();
        let mut store = DeviceStore::new(device);
        layout.buffers.iter().try_for_each(|&bytes| store.add(bytes))?;
        for variable in &layout.variables {
            let value = match state.values.get(&variable.name).or_else(|| data.get(&variable.name)) {
                Some(value) => value.clone(),
                None if initial::is_zero(&variable.initial) => continue,
                None => initial::values(variable, self.seed)?,
            };
            put(&mut store, variable, &value)?;
        }
        self.load_rebuilt(device, &store, rebuilt).await?;
        (self.device, self.layout, self.store) = (device.clone(), layout, store);
        self.recordings = Recordings::default();
        self.unchecked = Unchecked::default();
        self.in_progress = None;
        self.step = state.step;
        self.optimizers = self.optimizers.at(&state.optimizers);
        if let Some(kept) = &mut self.kept {
            kept.arriving = None;
            kept.is_due = false;
            kept.last = State { optimizers: self.optimizers.clone(), ..state };
            kept.data = data;
        }
        Ok(self.step)
    }

    /// Watches for NaN and infinities from now on, or no longer: the first step in which one arises is an error of the call that reads
    /// something afterwards, or of one of the next steps. It names the operator where it arose, the layer, and the user's line. All programs are
    /// compiled anew, and every value is looked at in every step, which costs time: it is for finding a fault. An infinity in an input, a
    /// constant or a variable counts as meant, as masks have them. Buffers and textures are bound afterwards.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [2], F32);
    /// g.output("y", &(x.log() + 1.0)); // line 5
    /// let mut session = g.compile(&Device::cpu())?;
    /// session.watch_non_finite(true)?;
    /// let error = session.run(&[("x", &TensorData::from_vec(vec![1.0_f32, -1.0], [2])?)]).unwrap_err().to_string();
    /// assert!(error.starts_with("log: the first NaN of a step arose here"), "{error}");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`load`](Self::load); the session stays what it was.
    pub fn watch_non_finite(&mut self, watches: bool) -> Result<()> {
        block_on(self.watch_non_finite_async(watches))
    }

    /// As [`watch_non_finite`](Self::watch_non_finite), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn watch_non_finite_async(&mut self, watches: bool) -> Result<()> {
        self.between_steps()?;
        if self.programs.loaded().any(|loaded| loaded.binds_outputs || !loaded.bound.is_empty()) {
            return Err(Error::Argument(
                "programs are compiled anew to watch for NaN, and would lose the buffers and textures that are bound; watch before \
                 they are bound"
                    .into(),
            ));
        }
        let before = std::mem::replace(&mut self.options.watch_non_finite, watches);
        let (device, mut layout) = (self.device.clone(), self.layout.clone());
        let mut rebuilt = self.compiled_for(&device, &mut layout).await;
        if let Ok(programs) = &mut rebuilt {
            let store = std::mem::replace(&mut self.store, DeviceStore::new(&device));
            let outcome = self.load_rebuilt(&device, &store, std::mem::take(programs)).await;
            self.store = store;
            rebuilt = outcome.map(|()| Vec::new());
        }
        if rebuilt.is_err() {
            self.options.watch_non_finite = before;
        }
        rebuilt.map(|_| ())
    }

    /// All programs, compiled for a device.
    async fn compiled_for(&self, device: &Device, layout: &mut Layout) -> Result<Vec<Rebuilt>> {
        let handles: Vec<Program> = self.programs.iter().cloned().collect();
        let mut rebuilt = Vec::with_capacity(handles.len());
        for handle in handles {
            let graph = &self.programs.get(&handle)?.graph;
            let begun = Instant::now();
            let (plan, stages, extended) = self.compiled(graph, device, std::mem::take(layout)).await?;
            *layout = extended;
            rebuilt.push(Rebuilt { handle, plan, stages, compile: begun.elapsed().as_secs_f64() });
        }
        Ok(rebuilt)
    }

    /// Replaces all programs by what was compiled.
    async fn load_rebuilt(&mut self, device: &Device, store: &DeviceStore, rebuilt: Vec<Rebuilt>) -> Result<()> {
        let mut runners = Vec::with_capacity(rebuilt.len());
        for rebuilt in &rebuilt {
            runners.push(DeviceProgram::load(device, &rebuilt.plan, store).await?);
        }
        for (Rebuilt { handle, plan, stages, compile }, runner) in rebuilt.into_iter().zip(runners) {
            let startup = Startup { compile, ..runner.startup() };
            let renewed = |program: Program, loaded: Loaded| Loaded {
                program,
                runner,
                has_run: false,
                unbound: loaded.bound,
                bound: Vec::new(),
                binds_outputs: false,
                ..loaded
            };
            self.programs.replace(&handle, &plan, stages, startup, renewed)?;
        }
        Ok(())
    }
}

/// A program's handle, and what it was compiled to.
struct Rebuilt {
    handle: Program,
    plan: Arc<compiler::Program>,
    stages: Stages,
    /// Seconds that compiling it took.
    compile: f64,
}
