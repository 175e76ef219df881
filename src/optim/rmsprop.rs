//! RMSprop.

use super::builders::epsilon_method;
use super::decay::decay_methods;
use super::update::lerp;
use super::{Decay, NON_NEGATIVE, Optimizer, SHARE, Update, in_range};
use crate::graph::Tensor;

/// Gradients over the root of their running mean square (Hinton 2012): PyTorch's `torch.optim.RMSprop`. States: `square_avg`;
/// `grad_avg` where centered; `momentum_buffer` where there is momentum.
///
/// ```text
/// v = α·v + (1 − α)·g²        d = g / (√v + ε)        p − lr·d
/// ```
///
/// ```
/// use wgrad::optim::RMSprop;
/// let optimizer = RMSprop::new(1e-2).momentum(0.9).centered();
/// assert_eq!(optimizer.alpha, 0.99);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RMSprop {
    /// The learning rate.
    pub learning_rate: f64,
    /// The share of the running mean that stays.
    pub alpha: f64,
    /// What keeps the quotient finite.
    pub epsilon: f64,
    /// The share of the buffer of steps that stays; 0 for none.
    pub momentum: f64,
    /// Whether the running mean square is taken about the running mean: a variance.
    pub centered: bool,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl RMSprop {
    /// With PyTorch's defaults: α = 0.99, ε = 1e-8, no momentum.
    pub const fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            alpha: 0.99,
            epsilon: 1e-8,
            momentum: 0.0,
            centered: false,
            decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 },
        }
    }

    /// With another share of the running mean that stays.
    #[must_use]
    pub const fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// With momentum.
    #[must_use]
    pub const fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// With the variance instead of the mean square.
    #[must_use]
    pub const fn centered(mut self) -> Self {
        self.centered = true;
        self
    }
}

epsilon_method!(RMSprop);
decay_methods!(RMSprop);

impl Optimizer for RMSprop {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        self.decay
    }

    fn check(&self) -> Result<(), String> {
        in_range(&[
            ("alpha", self.alpha, SHARE),
            ("epsilon", self.epsilon, NON_NEGATIVE),
            ("momentum", self.momentum, NON_NEGATIVE),
        ])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let gradient = update.gradient().clone();
        let square = update.state("square_avg", 0.0);
        let square = update.set_state(&square, &square * self.alpha + gradient.square() * (1.0 - self.alpha));
        let spread = if self.centered {
            let mean = update.state("grad_avg", 0.0);
            let mean = update.set_state(&mean, lerp(&mean, &gradient, self.alpha));
            // Rounding can leave a variance just below 0, where PyTorch's root is no number.
            (square - mean.square()).maximum(0.0)
        } else {
            square
        };
        let mut step = gradient / (spread.sqrt() + self.epsilon);
        if self.momentum > 0.0 {
            let buffer = update.state("momentum_buffer", 0.0);
            step = update.set_state(&buffer, &buffer * self.momentum + step);
        }
        update.parameter() - &(step * update.learning_rate())
    }
}
