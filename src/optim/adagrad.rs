//! Adagrad.

use super::builders::epsilon_method;
use super::decay::decay_methods;
use super::{Decay, NON_NEGATIVE, Optimizer, Update, in_range};
use crate::graph::Tensor;

/// Gradients over the root of the sum of all their squares so far (Duchi et al. 2011): PyTorch's `torch.optim.Adagrad`.
/// State: `sum`.
///
/// ```text
/// s = s + g²        p − lr/(1 + (t − 1)·lr_decay) · g / (√s + ε)
/// ```
///
/// ```
/// use wgrad::optim::Adagrad;
/// assert_eq!(Adagrad::new(1e-2).learning_rate_decay(0.1).epsilon, 1e-10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// The learning rate.
    pub learning_rate: f64,
    /// How the learning rate falls: as 1 / (1 + (t − 1)·this).
    pub learning_rate_decay: f64,
    /// The sum before the first step.
    pub initial_accumulator: f64,
    /// What keeps the quotient finite.
    pub epsilon: f64,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl Adagrad {
    /// With PyTorch's defaults: no learning-rate decay, a sum from 0 on, ε = 1e-10.
    pub const fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            learning_rate_decay: 0.0,
            initial_accumulator: 0.0,
            epsilon: 1e-10,
            decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 },
        }
    }

    /// With a learning rate that falls as 1 / (1 + (t − 1)·this).
    #[must_use]
    pub const fn learning_rate_decay(mut self, decay: f64) -> Self {
        self.learning_rate_decay = decay;
        self
    }

    /// With a sum that begins here.
    #[must_use]
    pub const fn initial_accumulator(mut self, value: f64) -> Self {
        self.initial_accumulator = value;
        self
    }
}

epsilon_method!(Adagrad);
decay_methods!(Adagrad);

impl Optimizer for Adagrad {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> Result<(), String> {
        in_range(&[
            ("learning rate decay", self.learning_rate_decay, NON_NEGATIVE),
            ("initial accumulator", self.initial_accumulator, NON_NEGATIVE),
            ("epsilon", self.epsilon, NON_NEGATIVE),
        ])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let gradient = update.gradient().clone();
        let sum = update.state("sum", self.initial_accumulator);
        let sum = update.set_state(&sum, sum.clone() + gradient.square());
        let decay = self.learning_rate_decay;
        let rate = match update.unknown_step() {
            _ if decay == 0.0 => update.learning_rate(),
            Some(step) => update.learning_rate() / update.as_parameter(&((step - 1.0) * decay + 1.0)),
            None => update.scalar(&format!("adagrad.rate({decay})"), move |step| {
                step.learning_rate / (1.0 + step.step.saturating_sub(1) as f64 * decay)
            }),
        };
        update.parameter() - &(gradient * rate / (sum.sqrt() + self.epsilon))
    }
}
