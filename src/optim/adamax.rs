//! Adamax.

use super::adam::step_size;
use super::builders::{betas_method, epsilon_method};
use super::decay::decay_methods;
use super::update::lerp;
use super::{Decay, NON_NEGATIVE, Optimizer, SHARE, Update, in_range};
use crate::graph::Tensor;

/// Adam measured by the largest gradient instead of the root of a mean square (Kingma and Ba 2014): PyTorch's
/// `torch.optim.Adamax`. States: `exp_avg`, `exp_inf`.
///
/// ```text
/// m = β₁·m + (1 − β₁)·g        u = max(β₂·u, |g| + ε)        p − lr/(1 − β₁ᵗ) · m/u
/// ```
///
/// ```
/// use wgrad::optim::Adamax;
/// let optimizer = Adamax::new(2e-3).betas(0.9, 0.99).weight_decay(0.01);
/// assert_eq!(optimizer.epsilon, 1e-8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adamax {
    /// The learning rate.
    pub learning_rate: f64,
    /// The share of the running mean that stays, and that of the largest gradient.
    pub betas: (f64, f64),
    /// What keeps the quotient finite.
    pub epsilon: f64,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl Adamax {
    /// With PyTorch's defaults: β = (0.9, 0.999), ε = 1e-8, no decay.
    pub const fn new(learning_rate: f64) -> Self {
        Self { learning_rate, betas: (0.9, 0.999), epsilon: 1e-8, decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 } }
    }
}

betas_method!(Adamax, "running mean and largest gradient");
epsilon_method!(Adamax);
decay_methods!(Adamax);

impl Optimizer for Adamax {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> Result<(), String> {
        let (first, second) = self.betas;
        in_range(&[("beta 1", first, SHARE), ("beta 2", second, SHARE), ("epsilon", self.epsilon, NON_NEGATIVE)])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let (first, second) = self.betas;
        let gradient = update.gradient().clone();
        let (mean, largest) = (update.state("exp_avg", 0.0), update.state("exp_inf", 0.0));
        let mean = update.set_state(&mean, lerp(&mean, &gradient, first));
        let largest = update.set_state(&largest, (&largest * second).maximum(gradient.abs() + self.epsilon));
        let size = step_size(update, first);
        update.parameter() - &(mean * size / largest)
    }
}
