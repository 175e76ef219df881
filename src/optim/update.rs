//! What an optimizer works with while it writes the update of one parameter.

use std::sync::Arc;

use super::schedule::Schedule;
use crate::graph::{Graph, OptimizerId, Tensor, UpdateState};
use crate::ops::{Initial, Role, Variable};
use crate::tensor::{DType, TensorType};

/// The step as optimizers see it: with gradient accumulation, several of the programs' make one of theirs.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Whose steps are counted, and whose learning rate is meant.
    pub(super) optimizer: OptimizerId,
    /// What the names of its states begin with: the optimizer's name and a dot, or nothing.
    pub(super) prefix: Arc<str>,
    /// The steps that make one update.
    pub(super) every: u64,
    /// The learning rate over the updates; without, it is the optimizer's in the session.
    pub(super) schedule: Option<Arc<dyn Schedule>>,
    /// What the learning rate is multiplied by, for the parameters of a group.
    pub(super) factor: f64,
    /// With a dynamic loss scale, the updates that were skipped so far: an f32 scalar.
    pub(super) skipped: Option<Tensor>,
}

impl Clock {
    fn at(&self, state: &UpdateState) -> UpdateState {
        let step = state.step.div_ceil(self.every);
        let learning_rate = match &self.schedule {
            Some(schedule) => schedule.learning_rate(state.learning_rate, step.saturating_sub(1)),
            None => state.learning_rate,
        };
        UpdateState::new(step, learning_rate * self.factor)
    }

    /// A state of the optimizer that is the same number everywhere before the first step. `name` is what comes after the
    /// optimizer's.
    #[track_caller]
    pub(super) fn state(&self, graph: &Graph, name: &str, kind: &str, ty: TensorType, initial: f64) -> Tensor {
        let variable = Variable {
            name: format!("{}{name}", self.prefix),
            ty,
            role: Role::State(kind.to_owned()),
            initial: Initial::Constant(initial),
        };
        graph.optimizer_state(self.optimizer, variable)
    }
}

/// The update of one parameter under construction.
#[derive(Debug)]
pub struct Update<'a> {
    pub(super) graph: &'a Graph,
    pub(super) name: &'a str,
    pub(super) clock: Clock,
    pub(super) parameter: Tensor,
    pub(super) gradient: Tensor,
    /// States and their new values.
    pub(super) states: Vec<(Tensor, Tensor)>,
}

impl Update<'_> {
    /// The parameter's value before the step, after decoupled weight decay.
    pub fn parameter(&self) -> &Tensor {
        &self.parameter
    }

    /// Its gradient, clipped, with weight decay.
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// A state of the parameter's type, called `PARAMETER.kind` (`OPTIMIZER.PARAMETER.kind` where the optimizer has a name), that
    /// is the same number everywhere before the first step.
    #[track_caller]
    pub fn state(&self, kind: &str, initial: f64) -> Tensor {
        self.clock.state(self.graph, &format!("{}.{kind}", self.name), kind, self.parameter.ty(), initial)
    }

    /// At the end of the step the state takes this value, which is returned.
    pub fn set_state(&mut self, state: &Tensor, value: Tensor) -> Tensor {
        self.states.push((state.clone(), value.clone()));
        value
    }

    /// An f32 scalar that the host computes before each step, in f64, from the number of the optimizer's update (from 1 on) and its
    /// learning rate. The same name gives the same number for all parameters, so it must tell all that the function depends on.
    #[track_caller]
    pub fn scalar(&self, name: &str, compute: impl Fn(&UpdateState) -> f64 + Send + Sync + 'static) -> Tensor {
        let clock = self.clock.clone();
        let factor = clock.factor;
        let name = if factor == 1.0 { name.to_owned() } else { format!("{name} at {factor:?} of the rate") };
        let optimizer = clock.optimizer;
        self.graph.update_scalar(optimizer, &name, move |state| compute(&clock.at(state))).cast(self.parameter.dtype())
    }

    /// The number of this update, from 1 on, an f32 scalar. Those that a dynamic [`LossScale`](super::LossScale) skipped do not count, which
    /// only the device knows: the number that [`scalar`](Self::scalar) is given counts them.
    ///
    /// ```
    /// # use wgrad::graph::Tensor;
    /// # use wgrad::optim::Update;
    /// /// 1 / (1 − βᵗ), on the device.
    /// fn correction(update: &Update<'_>, beta: f64) -> Tensor {
    ///     (-(update.step() * beta.ln()).expm1()).reciprocal()
    /// }
    /// # let _ = correction;
    /// ```
    #[track_caller]
    pub fn step(&self) -> Tensor {
        let clock = self.clock.clone();
        let number =
            self.graph.update_scalar(clock.optimizer, "update.number", move |state| clock.at(state).step as f64);
        match &self.clock.skipped {
            Some(skipped) => number - skipped,
            None => number,
        }
    }

    /// The same where updates may have been skipped, so that the host does not know it.
    #[track_caller]
    pub(super) fn unknown_step(&self) -> Option<Tensor> {
        // No closure: the user's line does not reach through one.
        if self.clock.skipped.is_some() { Some(self.step()) } else { None }
    }

    /// A state that is a single number for each parameter.
    #[track_caller]
    pub(super) fn number_state(&self, kind: &str, initial: f64) -> Tensor {
        let ty = TensorType::new(DType::F32, []);
        self.clock.state(self.graph, &format!("{}.{kind}", self.name), kind, ty, initial)
    }

    /// A number for the parameter's arithmetic.
    #[track_caller]
    pub(super) fn as_parameter(&self, number: &Tensor) -> Tensor {
        number.cast(self.parameter.dtype())
    }

    /// The learning rate of the step, an f32 scalar.
    #[track_caller]
    pub fn learning_rate(&self) -> Tensor {
        self.scalar("learning_rate", |step| step.learning_rate)
    }
}

/// 1 − shareᵗ, of an f32 number of steps.
#[track_caller]
pub(super) fn forgotten(share: f64, step: &Tensor) -> Tensor {
    if share == 0.0 { step.ones_like() } else { -(step * share.ln()).expm1() }
}

/// `mean + (1 − keep)·(value − mean)`: PyTorch's `lerp_`, which keeps a share of a running mean.
#[track_caller]
pub(super) fn lerp(mean: &Tensor, value: &Tensor, keep: f64) -> Tensor {
    mean + &((value - mean) * (1.0 - keep))
}
