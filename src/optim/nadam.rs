//! NAdam.

use std::sync::{Arc, Mutex, PoisonError};

use super::adam::root_scale;
use super::builders::{betas_method, epsilon_method};
use super::decay::decay_methods;
use super::update::lerp;
use super::{Decay, NON_NEGATIVE, Optimizer, SHARE, Update, in_range};
use crate::graph::Tensor;

/// Adam that looks ahead, as Nesterov's momentum does (Dozat 2016): PyTorch's `torch.optim.NAdam`. States: `exp_avg`,
/// `exp_avg_sq`. (PyTorch's `mu_product` is a function of the step, and computed on the host; with a
/// dynamic loss scale, which may skip steps, it is a state.)
///
/// ```text
/// μₜ = β₁·(1 − 0.96^(t·ψ)/2)        m = β₁·m + (1 − β₁)·g        v = β₂·v + (1 − β₂)·g²
/// p − lr·(1 − μₜ)/(1 − Πᵢ₌₁ᵗ μᵢ) · g/d − lr·μₜ₊₁/(1 − Πᵢ₌₁ᵗ⁺¹ μᵢ) · m/d    with d = √(v/(1 − β₂ᵗ)) + ε
/// ```
///
/// ```
/// use wgrad::optim::NAdam;
/// assert_eq!(NAdam::new(2e-3).momentum_decay, 4e-3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NAdam {
    /// The learning rate.
    pub learning_rate: f64,
    /// The shares of the two running means that stay from step to step.
    pub betas: (f64, f64),
    /// What keeps the quotient finite.
    pub epsilon: f64,
    /// How fast the momentum rises to β₁: ψ.
    pub momentum_decay: f64,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl NAdam {
    /// With PyTorch's defaults: β = (0.9, 0.999), ε = 1e-8, ψ = 0.004.
    pub const fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            momentum_decay: 4e-3,
            decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 },
        }
    }

    /// With another ψ.
    #[must_use]
    pub const fn momentum_decay(mut self, momentum_decay: f64) -> Self {
        self.momentum_decay = momentum_decay;
        self
    }
}

betas_method!(NAdam);
epsilon_method!(NAdam);
decay_methods!(NAdam);

/// Products of momenta from the first step on.
#[derive(Clone, Debug)]
struct Momenta {
    beta: f64,
    decay: f64,
    /// The last product that was asked for: the next one is a factor away.
    known: Arc<Mutex<(u64, f64)>>,
}

impl Momenta {
    fn at(&self, step: u64) -> f64 {
        self.beta * (1.0 - 0.5 * 0.96_f64.powf(step as f64 * self.decay))
    }

    /// μ₁·…·μ_step, by the same multiplications in the same order whatever was asked for before.
    fn product(&self, step: u64) -> f64 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut index, mut product) = if known.0 <= step { *known } else { (0, 1.0) };
        while index < step && product > 0.0 {
            index += 1;
            product *= self.at(index);
        }
        *known = (index, product);
        product
    }
}

impl Optimizer for NAdam {
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
            ("momentum decay", self.momentum_decay, NON_NEGATIVE),
        ])
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let (first, second) = self.betas;
        let gradient = update.gradient().clone();
        let (mean, square) = (update.state("exp_avg", 0.0), update.state("exp_avg_sq", 0.0));
        let mean = update.set_state(&mean, lerp(&mean, &gradient, first));
        let square = update.set_state(&square, &square * second + gradient.square() * (1.0 - second));
        let [of_gradient, of_mean] = match update.unknown_step() {
            Some(step) => self.shares_on_device(update, &step),
            None => self.shares(update),
        };
        let scale = root_scale(update, second, "nadam");
        let denominator = square.sqrt() * scale + self.epsilon;
        update.parameter() - &((gradient * of_gradient + mean * of_mean) / denominator)
    }
}

impl NAdam {
    /// What the gradient and its running mean are multiplied by.
    #[track_caller]
    fn shares(&self, update: &Update<'_>) -> [Tensor; 2] {
        let first = self.betas.0;
        let momenta = Momenta { beta: first, decay: self.momentum_decay, known: Arc::new(Mutex::new((0, 1.0))) };
        let key = format!("{first}, {}", self.momentum_decay);
        let ahead = momenta.clone();
        let of_gradient = update.scalar(&format!("nadam.of_gradient({key})"), move |step| {
            step.learning_rate * (1.0 - momenta.at(step.step)) / (1.0 - momenta.product(step.step))
        });
        let of_mean = update.scalar(&format!("nadam.of_mean({key})"), move |step| {
            let next = ahead.at(step.step + 1);
            step.learning_rate * next / (1.0 - ahead.product(step.step) * next)
        });
        [of_gradient, of_mean]
    }

    /// The same from a number of steps that the device knows; the product of the momenta so far is a state, `mu_product`.
    #[track_caller]
    fn shares_on_device(&self, update: &mut Update<'_>, step: &Tensor) -> [Tensor; 2] {
        let (beta, power) = (self.betas.0, self.momentum_decay * 0.96_f64.ln());
        let (own, next) = (1.0 - (step * power).exp() * 0.5, 1.0 - ((step + 1.0) * power).exp() * 0.5);
        let (own, next) = (own * beta, next * beta);
        let product = update.number_state("mu_product", 1.0);
        let product = update.set_state(&product, &product * &own);
        let rate = update.learning_rate();
        let of_gradient = update.as_parameter(&((1.0 - own) / (1.0 - &product)));
        let of_mean = update.as_parameter(&(&next / &(1.0 - product * &next)));
        [&rate * of_gradient, &rate * of_mean]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_do_not_depend_on_the_order_of_questions() {
        let fresh = || Momenta { beta: 0.9, decay: 4e-3, known: Arc::new(Mutex::new((0, 1.0))) };
        let asked = fresh();
        for step in [5, 7, 7, 3, 100_000, 9] {
            assert_eq!(asked.product(step).to_bits(), fresh().product(step).to_bits());
        }
        assert!((fresh().product(1) - 0.9 * (1.0 - 0.5 * 0.96_f64.powf(4e-3))).abs() < 1e-15);
    }
}
