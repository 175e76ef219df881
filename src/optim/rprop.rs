//! Rprop.

use super::{NON_NEGATIVE, Optimizer, Update, in_range};
use crate::graph::Tensor;

/// Steps of each element's own size in the direction of the gradient's sign, longer while the sign stays and shorter when it
/// changes (Riedmiller and Braun 1993): PyTorch's `torch.optim.Rprop`. For gradients of all data, not of batches. States: `prev`,
/// the last gradient, 0 where its sign had changed; and `step_size`, below 0 before the first step.
///
/// ```text
/// s = clamp(s · (η⁺ where g·g' > 0, η⁻ where g·g' < 0, else 1))    from s = lr on
/// p − s·sign g;  where g·g' < 0 the element stays, and its next g' is 0
/// ```
///
/// The learning rate is the first step size and plays no part later, so a schedule changes nothing after the first step.
///
/// ```
/// use wgrad::optim::Rprop;
/// let optimizer = Rprop::new(1e-2).etas(0.5, 1.1).step_sizes(1e-6, 1.0);
/// assert_eq!(optimizer.etas, (0.5, 1.1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rprop {
    /// The first step size of every element.
    pub learning_rate: f64,
    /// The factors of a step size where the sign changed, η⁻ in (0, 1), and where it stayed, η⁺ above 1.
    pub etas: (f64, f64),
    /// The smallest and the largest step size.
    pub step_sizes: (f64, f64),
}

impl Rprop {
    /// With PyTorch's defaults: η = (0.5, 1.2), step sizes from 1e-6 to 50.
    pub const fn new(learning_rate: f64) -> Self {
        Self { learning_rate, etas: (0.5, 1.2), step_sizes: (1e-6, 50.0) }
    }

    /// With other factors of the step sizes.
    #[must_use]
    pub const fn etas(mut self, minus: f64, plus: f64) -> Self {
        self.etas = (minus, plus);
        self
    }

    /// With other bounds of the step sizes.
    #[must_use]
    pub const fn step_sizes(mut self, smallest: f64, largest: f64) -> Self {
        self.step_sizes = (smallest, largest);
        self
    }
}

impl Optimizer for Rprop {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn check(&self) -> Result<(), String> {
        let ((minus, plus), (smallest, largest)) = (self.etas, self.step_sizes);
        if !(minus > 0.0 && minus < 1.0 && plus > 1.0 && plus.is_finite()) {
            return Err(format!("the etas are {minus} and {plus}, and must be below 1 and above 1, both above 0"));
        }
        in_range(&[
            ("the smallest step size", smallest, NON_NEGATIVE),
            ("the largest step size", largest, NON_NEGATIVE),
        ])?;
        if smallest > largest {
            return Err(format!("the smallest step size {smallest} is larger than the largest, {largest}"));
        }
        Ok(())
    }

    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let ((minus, plus), (smallest, largest)) = (self.etas, self.step_sizes);
        let gradient = update.gradient().clone();
        // No step size is below 0, so this one says that there was no step yet: the session's rate is known at the first one.
        let (previous, size) = (update.state("prev", 0.0), update.state("step_size", -1.0));
        // Not the product of the gradients themselves, which is 0 for small ones.
        let agreement = gradient.sign() * previous.sign();
        let ones = agreement.ones_like();
        let shorter = agreement.lt(0.0);
        let factor = shorter.select(&ones * minus, agreement.gt(0.0).select(&ones * plus, &ones));
        let known = size.lt(0.0).select(&ones * update.learning_rate(), &size);
        let size = update.set_state(&size, (known * factor).clamp(smallest, largest));
        let taken = update.set_state(&previous, shorter.select(gradient.zeros_like(), &gradient));
        update.parameter() - &(taken.sign() * size)
    }
}
