//! Adadelta.

use super::builders::epsilon_method;
use super::decay::decay_methods;
use super::{Decay, NON_NEGATIVE, Optimizer, SHARE, Update, in_range};
use crate::graph::Tensor;

/// Steps as large as the running mean of the last ones (Zeiler 2012): PyTorch's `torch.optim.Adadelta`. States: `square_avg`,
/// `acc_delta`.
///
/// ```text
/// v = ρ·v + (1 − ρ)·g²        d = √(u + ε)/√(v + ε) · g        u = ρ·u + (1 − ρ)·d²        p − lr·d
/// ```
///
/// ```
/// use wgrad::optim::Adadelta;
/// assert_eq!(Adadelta::new(1.0).rho, 0.9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adadelta {
    /// The learning rate; 1 in the paper.
    pub learning_rate: f64,
    /// The share of the running means that stays.
    pub rho: f64,
    /// What keeps the quotient finite, and lets steps begin.
    pub epsilon: f64,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl Adadelta {
    /// With PyTorch's defaults: ρ = 0.9, ε = 1e-6.
    pub const fn new(learning_rate: f64) -> Self {
        Self { learning_rate, rho: 0.9, epsilon: 1e-6, decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 } }
    }

    /// With another share of the running means that stays.
    #[must_use]
    pub const fn rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }
}

epsilon_method!(Adadelta);
decay_methods!(Adadelta);

impl Optimizer for Adadelta {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> Result<(), String> {
        in_range(&[("rho", self.rho, SHARE), ("epsilon", self.epsilon, NON_NEGATIVE)])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let gradient = update.gradient().clone();
        let (square, steps) = (update.state("square_avg", 0.0), update.state("acc_delta", 0.0));
        let square = update.set_state(&square, &square * self.rho + gradient.square() * (1.0 - self.rho));
        let step = (&steps + self.epsilon).sqrt() / (square + self.epsilon).sqrt() * gradient;
        update.set_state(&steps, &steps * self.rho + step.square() * (1.0 - self.rho));
        update.parameter() - &(step * update.learning_rate())
    }
}
