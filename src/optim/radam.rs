//! RAdam.

use super::builders::{betas_method, epsilon_method};
use super::decay::decay_methods;
use super::update::{forgotten, lerp};
use super::{Decay, NON_NEGATIVE, Optimizer, SHARE, Update, in_range};
use crate::graph::Tensor;

/// Adam that does without its denominator until enough squares are averaged for their variance to be known (Liu et al. 2019):
/// PyTorch's `torch.optim.RAdam`. States: `exp_avg`, `exp_avg_sq`.
///
/// ```text
/// m = β₁·m + (1 − β₁)·g        v = β₂·v + (1 − β₂)·g²
/// ρ = 2/(1 − β₂) − 1           ρₜ = ρ − 2·t·β₂ᵗ/(1 − β₂ᵗ)
/// p − lr/(1 − β₁ᵗ) · m · r·√(1 − β₂ᵗ)/(√v + ε)    with r² = (ρₜ − 4)(ρₜ − 2)ρ / ((ρ − 4)(ρ − 2)ρₜ), where ρₜ > 5
/// p − lr/(1 − β₁ᵗ) · m                             elsewhere
/// ```
///
/// ```
/// use wgrad::optim::RAdam;
/// let optimizer = RAdam::new(1e-3).decoupled_weight_decay(0.01);
/// assert_eq!(optimizer.betas, (0.9, 0.999));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RAdam {
    /// The learning rate.
    pub learning_rate: f64,
    /// The shares of the two running means that stay from step to step.
    pub betas: (f64, f64),
    /// What keeps the quotient finite.
    pub epsilon: f64,
    /// What draws parameters to 0.
    pub decay: Decay,
}

impl RAdam {
    /// With PyTorch's defaults: β = (0.9, 0.999), ε = 1e-8, no decay.
    pub const fn new(learning_rate: f64) -> Self {
        Self { learning_rate, betas: (0.9, 0.999), epsilon: 1e-8, decay: Decay { l2: 0.0, l1: 0.0, decoupled: 0.0 } }
    }
}

betas_method!(RAdam);
epsilon_method!(RAdam);
decay_methods!(RAdam);

/// What steps are multiplied by where they are divided by √v + ε: r·√(1 − β₂ᵗ). None where ρₜ is at most 5.
fn rectification(beta: f64, step: u64) -> Option<f64> {
    let (step, longest) = (step as f64, 2.0 / (1.0 - beta) - 1.0);
    let correction = 1.0 - beta.powf(step);
    let length = longest - 2.0 * step * beta.powf(step) / correction;
    let square = (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length);
    (length > 5.0).then(|| (square * correction).sqrt())
}

impl Optimizer for RAdam {
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
        let (mean, square) = (update.state("exp_avg", 0.0), update.state("exp_avg_sq", 0.0));
        let mean = update.set_state(&mean, lerp(&mean, &gradient, first));
        let square = update.set_state(&square, &square * second + gradient.square() * (1.0 - second));
        let [size, adaptive] = match update.unknown_step() {
            Some(step) => self.size_on_device(update, &step),
            None => [
                update.scalar(&format!("radam.step_size({first}, {second})"), move |step| {
                    let factor = rectification(second, step.step).unwrap_or(1.0);
                    step.learning_rate / (1.0 - first.powf(step.step as f64)) * factor
                }),
                update.scalar(&format!("radam.adaptive({second})"), move |step| {
                    f64::from(u8::from(rectification(second, step.step).is_some()))
                }),
            ],
        };
        let denominator = square.sqrt() + self.epsilon;
        let denominator = adaptive.gt(0.5).select(&denominator, denominator.ones_like());
        update.parameter() - &(mean * size / denominator)
    }
}

impl RAdam {
    /// The same from a number of steps that the device knows.
    #[track_caller]
    fn size_on_device(&self, update: &Update<'_>, step: &Tensor) -> [Tensor; 2] {
        let (first, second) = self.betas;
        let longest = 2.0 / (1.0 - second) - 1.0;
        let correction = forgotten(second, step);
        let length = longest - (1.0 - &correction) * step * 2.0 / &correction;
        let square = (&length - 4.0) * (&length - 2.0) * longest / (&length * ((longest - 4.0) * (longest - 2.0)));
        let is_long = length.gt(5.0);
        let factor = is_long.select((square * correction).sqrt(), 1.0);
        let size = update.learning_rate() * update.as_parameter(&(factor / forgotten(first, step)));
        [size, update.as_parameter(&is_long.select(length.ones_like(), 0.0))]
    }
}

#[cfg(test)]
mod tests {
    use super::rectification;

    /// ρₜ crosses 5 at the sixth step for β₂ = 0.999, and never for a β₂ whose ρ is at most 5.
    #[test]
    fn the_denominator_comes_in_at_the_step_of_the_paper() {
        assert!((1..=5).all(|step| rectification(0.999, step).is_none()));
        assert!((6..100).all(|step| rectification(0.999, step).is_some()));
        assert!((1..1000).all(|step| rectification(0.5, step).is_none() && rectification(0.0, step).is_none()));
        let late = rectification(0.999, 100_000).unwrap_or_default();
        assert!((late - 1.0).abs() < 1e-9, "{late}");
    }
}
