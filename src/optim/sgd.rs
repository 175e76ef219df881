//! Stochastic gradient descent.

use super::decay::decay_methods;
use super::{Decay, NON_NEGATIVE, Optimizer, Update, in_range};
use crate::graph::Tensor;

/// `p − lr·b` with `b = momentum·b + (1 − dampening)·g`: PyTorch's `torch.optim.SGD`. State: `momentum_buffer`, where there is
/// momentum; it begins as the first gradient.
///
/// Without momentum, decay and clipping by a norm, a table of which a step looks up fewer rows than there are (an embedding) is updated in
/// those rows alone: nothing of the table's size is computed, read or written.
///
/// ```
/// use wgrad::optim::SGD;
/// let optimizer = SGD::new(0.1).momentum(0.9).nesterov().weight_decay(5e-4);
/// assert!(optimizer.nesterov);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SGD {
    /// The learning rate.
    pub learning_rate: f64,
    /// The share of the buffer that stays; 0 for none.
    pub momentum: f64,
    /// The share of the gradient that does not enter the buffer.
    pub dampening: f64,
    /// Whether a step looks ahead: `g + momentum·b` instead of `b` (Sutskever et al. 2013).
    pub nesterov: bool,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl SGD {
    /// Plain descent: no momentum, no decay.
    pub const fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 },
        }
    }

    /// With momentum.
    #[must_use]
    pub const fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// With a share of the gradient that does not enter the buffer.
    #[must_use]
    pub const fn dampening(mut self, dampening: f64) -> Self {
        self.dampening = dampening;
        self
    }

    /// With steps that look ahead; needs momentum, and no dampening.
    #[must_use]
    pub const fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }
}

decay_methods!(SGD);

impl Optimizer for SGD {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> Result<(), String> {
        if self.nesterov && (self.momentum <= 0.0 || self.dampening != 0.0) {
            return Err("nesterov needs momentum, and no dampening".into());
        }
        in_range(&[("momentum", self.momentum, NON_NEGATIVE), ("dampening", self.dampening, NON_NEGATIVE)])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let gradient = update.gradient().clone();
        let direction = if self.momentum == 0.0 {
            gradient
        } else {
            let buffer = update.state("momentum_buffer", 0.0);
            let dampening = self.dampening;
            let entering = if dampening == 0.0 {
                gradient.clone()
            } else {
                let share = move |step: u64| if step == 1 { 1.0 } else { 1.0 - dampening };
                let share = match update.unknown_step() {
                    Some(step) => {
                        let first = step.ones_like();
                        update.as_parameter(&step.le(1.5).select(first, 1.0 - dampening))
                    }
                    None => update.scalar(&format!("sgd.entering({dampening})"), move |step| share(step.step)),
                };
                &gradient * share
            };
            let buffer = update.set_state(&buffer, &buffer * self.momentum + entering);
            if self.nesterov { gradient + buffer * self.momentum } else { buffer }
        };
        update.parameter() - &(direction * update.learning_rate())
    }
}
