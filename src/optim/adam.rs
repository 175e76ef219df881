//! Adam and AdamW.

use super::builders::{betas_method, epsilon_method};
use super::decay::decay_methods;
use super::update::{forgotten, lerp};
use super::{Decay, NON_NEGATIVE, Optimizer, SHARE, Update, in_range};
use crate::graph::Tensor;

/// Adaptive moments (Kingma and Ba 2014): PyTorch's `torch.optim.Adam`. States: `exp_avg`, `exp_avg_sq`, and `max_exp_avg_sq`
/// with [`amsgrad`](Self::amsgrad).
///
/// ```text
/// m = β₁·m + (1 − β₁)·g        v = β₂·v + (1 − β₂)·g²
/// p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
/// ```
///
/// ```
/// use wgrad::optim::Adam;
/// let optimizer = Adam::new(1e-3).betas(0.9, 0.98).epsilon(1e-9);
/// assert_eq!(optimizer.betas, (0.9, 0.98));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub learning_rate: f64,
    /// The shares of the two running means that stay from step to step.
    pub betas: (f64, f64),
    /// What keeps the quotient finite.
    pub epsilon: f64,
    /// Whether steps are measured by the largest v so far instead of the latest (Reddi et al. 2018).
    pub amsgrad: bool,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl Adam {
    /// With PyTorch's defaults: β = (0.9, 0.999), ε = 1e-8, no decay.
    pub const fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            amsgrad: false,
            decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 },
        }
    }
}

decay_methods!(Adam);

/// [`Adam`] with decoupled weight decay (Loshchilov and Hutter 2017): PyTorch's `torch.optim.AdamW`.
///
/// ```
/// use wgrad::optim::AdamW;
/// let optimizer = AdamW::new(3e-4).weight_decay(0.1);
/// assert_eq!(optimizer.decay.decoupled, 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate.
    pub learning_rate: f64,
    /// The shares of the two running means that stay from step to step.
    pub betas: (f64, f64),
    /// What keeps the quotient finite.
    pub epsilon: f64,
    /// Whether steps are measured by the largest v so far instead of the latest (Reddi et al. 2018).
    pub amsgrad: bool,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl AdamW {
    /// With PyTorch's defaults: β = (0.9, 0.999), ε = 1e-8, weight decay 0.01.
    pub const fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            amsgrad: false,
            decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.01 },
        }
    }
}

decay_methods!(AdamW, weight_decay: decoupled, "With p drawn to 0 by its share learning rate · λ before each step.");

macro_rules! moments {
    ($optimizer:ident) => {
        betas_method!($optimizer);
        epsilon_method!($optimizer);

        impl $optimizer {
            /// With steps measured by the largest running mean of squares so far, so that they never grow again (Reddi et al.
            /// 2018). It costs a state more.
            #[must_use]
            pub const fn amsgrad(mut self) -> Self {
                self.amsgrad = true;
                self
            }
        }

        impl Optimizer for $optimizer {
            fn learning_rate(&self) -> f64 {
                self.learning_rate
            }

            fn decay(&self) -> Decay {
                self.decay
            }

            fn check(&self) -> Result<(), String> {
                let (first, second) = self.betas;
                in_range(&[
                    ("beta 1", first, SHARE),
                    ("beta 2", second, SHARE),
                    ("epsilon", self.epsilon, NON_NEGATIVE),
                ])
            }

            #[track_caller]
            fn update(&self, update: &mut Update<'_>) -> Tensor {
                adam(update, self.betas, self.epsilon, self.amsgrad)
            }
        }
    };
}

moments!(Adam);
moments!(AdamW);

#[track_caller]
fn adam(update: &mut Update<'_>, (first, second): (f64, f64), epsilon: f64, amsgrad: bool) -> Tensor {
    let gradient = update.gradient().clone();
    let (mean, square) = (update.state("exp_avg", 0.0), update.state("exp_avg_sq", 0.0));
    let mean = update.set_state(&mean, lerp(&mean, &gradient, first));
    let square = update.set_state(&square, &square * second + gradient.square() * (1.0 - second));
    let size = step_size(update, first);
    let scale = root_scale(update, second, "adam");
    let square = if amsgrad {
        let largest = update.state("max_exp_avg_sq", 0.0);
        update.set_state(&largest, largest.maximum(&square))
    } else {
        square
    };
    let denominator = square.sqrt() * scale + epsilon;
    update.parameter() - &(mean * size / denominator)
}

/// The learning rate over 1 − βᵗ.
#[track_caller]
pub(super) fn step_size(update: &Update<'_>, beta: f64) -> Tensor {
    match update.unknown_step() {
        Some(step) => update.learning_rate() / update.as_parameter(&forgotten(beta, &step)),
        None => update.scalar(&format!("adam.step_size({beta})"), move |step| {
            step.learning_rate / (1.0 - beta.powf(step.step as f64))
        }),
    }
}

/// 1 / √(1 − βᵗ)
#[track_caller]
pub(super) fn root_scale(update: &Update<'_>, beta: f64, optimizer: &str) -> Tensor {
    match update.unknown_step() {
        Some(step) => update.as_parameter(&forgotten(beta, &step).rsqrt()),
        None => update.scalar(&format!("{optimizer}.root_scale({beta})"), move |step| {
            (1.0 - beta.powf(step.step as f64)).sqrt().recip()
        }),
    }
}
