//! From a loss to a step that makes it smaller: gradients, what is done to them, and the optimizer's updates.

use std::sync::Arc;

use super::loss_scale::{LossScale, Scale};
use super::schedule::Schedule;
use super::update::{Clock, Update};
use super::{Decay, Group, Optimizer};
use crate::device::Device;
use crate::error::{Origin, Result};
use crate::graph::{Graph, OptimizerId, OptimizerPlan, Tensor};
use crate::session::Session;
use crate::tensor::{DType, Shape};

/// A training step under construction; made by [`Graph::minimize`], ended by [`compile`](Self::compile) or
/// [`build`](Self::build).
///
/// What is done to a gradient comes in this order: it is divided by the loss scale, accumulated, clipped by value, clipped by
/// norm, and given the optimizer's weight decay.
#[derive(Debug)]
#[must_use = "nothing is learned before `compile` or `build`"]
pub struct Minimize {
    graph: Graph,
    loss: Tensor,
    optimizer: Arc<dyn Optimizer>,
    name: String,
    clip_value: Option<f64>,
    clip_norm: Option<f64>,
    schedule: Option<Arc<dyn Schedule>>,
    accumulate: u64,
    loss_scale: Option<LossScale>,
    only_matrices_decay: bool,
    groups: Vec<Group>,
    seed: u64,
}

impl Graph {
    /// A step that makes a loss (a single number) smaller, by changing all parameters that it depends on. The loss becomes the
    /// output `loss`; of further ones in the same graph, `loss_1`, `loss_2` and so on.
    ///
    /// What is made here is an optimizer of its own: its learning rate, schedule, steps and states are not shared with others, be
    /// they in the same graph or in other programs of the session. Programs whose optimizers have the same settings and parameters
    /// (for other batch sizes, say) do share one.
    ///
    /// ```
    /// use wgrad::optim::Adam;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [4, 2], F32);
    /// let y = g.input("y", [4, 1], F32);
    /// let loss = nn::Linear::new(&g, "fc", 2, 1).forward(&x).mse(&y);
    /// let mut session = g.minimize(&loss, Adam::new(0.1)).clip_norm(1.0).compile(&Device::cpu())?;
    /// let x = TensorData::from_vec(vec![0.0_f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2])?;
    /// let y = TensorData::from_vec(vec![1.0_f32, 3.0, 0.0, 2.0], [4, 1])?; // 1 − a + 2·b
    /// for _ in 0..300 {
    ///     session.step(&[("x", &x), ("y", &y)])?;
    /// }
    /// assert!(session.read("loss")?.item()? < 1e-3);
    /// assert!((session.parameter("fc.weight")?.to_f64_vec()[1] - 2.0).abs() < 0.05);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn minimize(&self, loss: &Tensor, optimizer: impl Optimizer + 'static) -> Minimize {
        Minimize {
            graph: self.clone(),
            loss: loss.clone(),
            optimizer: Arc::new(optimizer),
            name: String::new(),
            clip_value: None,
            clip_norm: None,
            schedule: None,
            accumulate: 1,
            loss_scale: None,
            only_matrices_decay: false,
            groups: Vec::new(),
            seed: 0,
        }
    }
}

impl Minimize {
    /// Names the optimizer. Its states are called `NAME.PARAMETER.kind`, and its outputs `NAME.loss` and `NAME.gradient_norm`, so
    /// two optimizers can update the same parameters in different programs.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [8, 4], F32);
    /// let made = nn::Linear::new(&g, "generator", 4, 4).forward(&x);
    /// let judged = nn::Linear::new(&g, "critic", 4, 1).forward(&made);
    /// let critic = optim::Group::named("critic").frozen();
    /// let generator = optim::Group::named("generator").frozen();
    /// g.minimize(&-judged.mean_all(), Adam::new(1e-3)).named("generator").group(critic).build();
    /// g.minimize(&judged.mean_all(), SGD::new(1e-2)).named("critic").group(generator).build();
    /// let mut session = g.compile(&Device::cpu())?;
    /// session.step(&[("x", &TensorData::zeros(F32, [8, 4]))])?;
    /// let rates: Vec<f64> = session.optimizers().iter().map(|optimizer| optimizer.learning_rate).collect();
    /// assert_eq!(rates, [1e-3, 1e-2]);
    /// # use wgrad::optim;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Clamps each element of the gradients to ± `limit`: PyTorch's `clip_grad_value_`.
    pub const fn clip_value(mut self, limit: f64) -> Self {
        self.clip_value = Some(limit);
        self
    }

    /// Scales all gradients down so that their common norm is at most `norm`: PyTorch's `clip_grad_norm_`. The norm before
    /// clipping becomes the output `gradient_norm`.
    pub const fn clip_norm(mut self, norm: f64) -> Self {
        self.clip_norm = Some(norm);
        self
    }

    /// Lets the learning rate follow a schedule over the updates, from the optimizer's as its base. A schedule that depends on
    /// metrics (a plateau) is not one of the step; who has one sets the learning rate in the session.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Some(Arc::new(schedule));
        self
    }

    /// Updates parameters only at every n-th step, with the mean of the gradients since the last update: as one step with
    /// n times the batch. Sums are stored as the state `accumulated_gradient`.
    pub const fn accumulate(mut self, steps: u64) -> Self {
        self.accumulate = steps;
        self
    }

    /// Multiplies the loss before it is differentiated, for [`Precision::F16`](crate::nn::Precision::F16). A step whose gradients are not
    /// finite changes nothing but the scale. A schedule goes on by all steps, as in PyTorch.
    pub fn loss_scale(mut self, scale: impl Into<LossScale>) -> Self {
        self.loss_scale = Some(scale.into());
        self
    }

    /// Spares parameters of fewer than two dimensions the weight decay: biases, and the scales of normalisations.
    pub const fn weight_decay_excludes_bias(mut self) -> Self {
        self.only_matrices_decay = true;
        self
    }

    /// Trains some of the parameters differently. Of several groups that a parameter is in, the first given counts.
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// The seed of first values and random draws, for [`compile`](Self::compile).
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Builds the step and compiles the graph for a device.
    ///
    /// # Errors
    /// The graph's first mistake, with the line that made it; what breaks a limit of the device.
    #[track_caller]
    pub fn compile(self, device: &Device) -> Result<Session> {
        let (graph, seed) = (self.graph.clone(), self.seed);
        self.build();
        Session::new(&graph, device, seed)
    }

    /// Writes gradients and updates into the graph, for those who compile it themselves with [`Graph::compile`] or [`Session::new`]. The
    /// optimizer and its learning rate go with the graph; the [`seed`](Self::seed) does not.
    #[track_caller]
    pub fn build(self) {
        let graph = &self.graph;
        if graph.error().is_some() {
            return;
        }
        if let Err(message) = self.check() {
            graph.mistake("minimize", message);
            return;
        }
        let mut parameters = graph.parameters_of(&self.loss);
        if parameters.is_empty() {
            graph.mistake("minimize", "the loss depends on no parameter");
            return;
        }
        let known: Vec<(String, Shape)> =
            parameters.iter().map(|(name, parameter)| (name.clone(), parameter.shape())).collect();
        for group in &self.groups {
            if let Err(message) = group.check(self.optimizer.learning_rate(), &known) {
                graph.mistake("minimize", message);
                return;
            }
        }
        parameters.retain(|(name, parameter)| self.factor(name, parameter).is_some());
        if parameters.is_empty() {
            graph.mistake("minimize", "every parameter is in a frozen group");
            return;
        }
        self.output("loss", &self.loss);
        let optimizer = match graph.add_optimizer(self.plan(&parameters)) {
            Ok(optimizer) => optimizer,
            Err(message) => {
                graph.mistake("minimize", message);
                return;
            }
        };
        let mut clock = self.clock(optimizer);
        let scale = self.loss_scale.map(|scale| Scale::new(graph, scale, &clock));
        if let Some(scale) = &scale {
            clock.skipped = scale.skipped(graph);
        }
        let scaled = match &scale {
            Some(scale) => &self.loss * scale.value.cast(self.loss.dtype()),
            None => self.loss.clone(),
        };
        let tensors: Vec<&Tensor> = parameters.iter().map(|(_, parameter)| parameter).collect();
        let mut gradients = graph.gradients(&scaled, &tensors);
        if let Some(scale) = &scale {
            for gradient in &mut gradients {
                *gradient = &*gradient / scale.value.cast(gradient.dtype());
            }
        }
        // True in the steps that update: the last of each accumulation.
        let mut taken: Option<Tensor> = None;
        if self.accumulate > 1 {
            let every = self.accumulate;
            let last = graph.update_scalar(optimizer, "accumulation.last", move |state| {
                f64::from(u8::from(state.step.is_multiple_of(every)))
            });
            let last = last.gt(0.5);
            for ((name, parameter), gradient) in parameters.iter().zip(&mut gradients) {
                let kind = "accumulated_gradient";
                let sum = clock.state(graph, &format!("{name}.{kind}"), kind, parameter.ty(), 0.0);
                let total = &sum + &(&*gradient * (1.0 / every as f64));
                graph.assign(&sum, &last.select(total.zeros_like(), &total));
                *gradient = total;
            }
            taken = Some(last);
        }
        if let Some(limit) = self.clip_value {
            for gradient in &mut gradients {
                *gradient = gradient.clamp(-limit, limit);
            }
        }
        if self.clip_norm.is_some() || scale.is_some() {
            let norm = norm(graph, &gradients);
            if let Some(limit) = self.clip_norm {
                // PyTorch's guard against a norm of 0.
                let factor = (limit / (&norm + 1e-6)).minimum(1.0);
                for gradient in &mut gradients {
                    *gradient = &*gradient * factor.cast(gradient.dtype());
                }
                self.output("gradient_norm", &norm);
            }
            if let Some(scale) = &scale {
                let finite = norm.le(f64::from(f32::MAX));
                graph.assign_only_where(&finite);
                scale.adapt(graph, &finite, taken.as_ref());
                taken = Some(taken.map_or_else(|| finite.clone(), |last| last.logical_and(&finite)));
            }
        }
        for ((name, parameter), gradient) in parameters.iter().zip(gradients) {
            self.update(name, parameter, gradient, &clock, taken.as_ref());
        }
    }

    /// Makes a value an output: by its name after the optimizer's, or by the first free one of `loss`, `loss_1`, …. A value that
    /// the user named so already stays what it is.
    #[track_caller]
    fn output(&self, what: &str, value: &Tensor) {
        let base = if self.name.is_empty() { what.to_owned() } else { format!("{}.{what}", self.name) };
        let mut name = base.clone();
        let mut count = 0;
        while let Some(known) = self.graph.output_named(&name) {
            if known == value.id() {
                return;
            }
            count += 1;
            name = format!("{base}_{count}");
        }
        self.graph.output(&name, value);
    }

    #[track_caller]
    fn plan(&self, parameters: &[(String, Tensor)]) -> OptimizerPlan {
        let mut names: Vec<String> = parameters.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        OptimizerPlan {
            name: self.name.clone(),
            // What decides on the updates that a gradient leads to. Losses and clipping may differ from program to program.
            definition: format!(
                "{:?} {:?} {} {:?} {} {:?}",
                self.optimizer, self.schedule, self.accumulate, self.loss_scale, self.only_matrices_decay, self.groups
            ),
            learning_rate: self.optimizer.learning_rate(),
            parameters: names,
            states: Vec::new(),
            origin: Origin::caller(),
        }
    }

    fn clock(&self, optimizer: OptimizerId) -> Clock {
        let prefix = if self.name.is_empty() { String::new() } else { format!("{}.", self.name) };
        Clock {
            optimizer,
            prefix: prefix.into(),
            every: self.accumulate,
            schedule: self.schedule.clone(),
            factor: 1.0,
            skipped: None,
        }
    }

    /// The first group that a parameter is in.
    fn group_of(&self, name: &str, parameter: &Tensor) -> Option<&Group> {
        self.groups.iter().find(|group| group.contains(name, &parameter.shape()))
    }

    /// What the learning rate is multiplied by for a parameter; none where it stays as it is.
    fn factor(&self, name: &str, parameter: &Tensor) -> Option<f64> {
        self.group_of(name, parameter).map_or(Some(1.0), |group| group.factor(self.optimizer.learning_rate()))
    }

    /// The update of one parameter, and of its states.
    #[track_caller]
    fn update(&self, name: &str, parameter: &Tensor, mut gradient: Tensor, clock: &Clock, taken: Option<&Tensor>) {
        let spared = self.only_matrices_decay && parameter.rank() < 2;
        let usual = if spared { Decay::NONE } else { self.optimizer.decay() };
        let decay = self.group_of(name, parameter).and_then(|group| group.decay).unwrap_or(usual);
        let clock = Clock { factor: self.factor(name, parameter).unwrap_or(1.0), ..clock.clone() };
        if decay.l2 > 0.0 {
            gradient = gradient + parameter * decay.l2;
        }
        if decay.l1 > 0.0 {
            gradient = gradient + parameter.sign() * decay.l1;
        }
        let mut update =
            Update { graph: &self.graph, name, clock, parameter: parameter.clone(), gradient, states: Vec::new() };
        if decay.decoupled > 0.0 {
            let rate = decay.decoupled;
            update.parameter =
                parameter * update.scalar(&format!("decay({rate})"), move |step| 1.0 - step.learning_rate * rate);
        }
        let value = self.optimizer.update(&mut update);
        for (variable, value) in std::iter::once((parameter.clone(), value)).chain(update.states) {
            match taken {
                Some(taken) => self.graph.assign(&variable, &taken.select(&value, &variable)),
                None => self.graph.assign(&variable, &value),
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        let (ty, learning_rate) = (self.loss.ty(), self.optimizer.learning_rate());
        if ty.shape.rank() != 0 || !ty.dtype.is_float() {
            return Err(format!("the loss is {ty}, and must be a single float; reduce it"));
        }
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            return Err(format!("the learning rate is {learning_rate}, and must be a number of at least 0"));
        }
        self.optimizer.check()?;
        self.optimizer.decay().check()?;
        for (name, limit) in [("clip_value", self.clip_value), ("clip_norm", self.clip_norm)] {
            if let Some(limit) = limit.filter(|limit| !(limit.is_finite() && *limit > 0.0)) {
                return Err(format!("{name} is {limit}, and must be above 0"));
            }
        }
        if self.accumulate == 0 {
            return Err("gradients are accumulated over at least 1 step".into());
        }
        if let Some(schedule) = &self.schedule {
            schedule.check()?;
        }
        self.loss_scale.map_or(Ok(()), LossScale::check)
    }
}

/// The norm of all gradients as one vector, f32.
#[track_caller]
fn norm(graph: &Graph, gradients: &[Tensor]) -> Tensor {
    let mut total = graph.scalar(DType::F32, 0.0);
    for gradient in gradients {
        let wide = gradient.cast(gradient.dtype().compute());
        total = total + wide.square().sum_all().cast(DType::F32);
    }
    total.sqrt()
}
