//! Schedules along a curve from one rate to another.

use std::f64::consts::PI;

use super::Schedule;
use super::check::{at_least, ensure, lowest, non_negative};

/// Half a cosine from the base rate down to `minimum` (`CosineAnnealingLR`). Past `steps` the cosine continues and the rate rises
/// again, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// Steps until the minimum; at least 1.
    pub steps: u64,
    /// The lowest rate.
    pub minimum: f64,
}

impl Schedule for Cosine {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        let &Self { steps, minimum } = self;
        minimum + (base - minimum) * (1.0 + (PI * step as f64 / steps.max(1) as f64).cos()) / 2.0
    }

    fn check(&self) -> Result<(), String> {
        at_least(self.steps, 1, "cosine")?;
        lowest(self.minimum)
    }
}

/// As [`Cosine`], from the base rate again whenever the minimum is reached (`CosineAnnealingWarmRestarts`; Loshchilov and Hutter
/// 2016).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineRestarts {
    /// Steps of the first period (`T_0`); at least 1.
    pub steps: u64,
    /// How many times longer each period is than the one before (`T_mult`); at least 1.
    pub growth: u64,
    /// The lowest rate.
    pub minimum: f64,
}

impl Schedule for CosineRestarts {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        let (done, period) = period(self.steps, self.growth, step);
        self.minimum + (base - self.minimum) * (1.0 + (PI * done as f64 / period as f64).cos()) / 2.0
    }

    fn check(&self) -> Result<(), String> {
        at_least(self.steps, 1, "cosine")?;
        ensure(self.growth > 0, || "the periods of a cosine schedule grow by a factor of at least 1".into())?;
        lowest(self.minimum)
    }
}

/// The steps since the last restart, and the length of the period in which the step is.
fn period(steps: u64, growth: u64, step: u64) -> (u64, u64) {
    let (mut left, mut period) = (step, steps.max(1));
    if growth <= 1 {
        return (left % period, period);
    }
    while left >= period {
        left -= period;
        period = period.saturating_mul(growth);
    }
    (left, period)
}

/// The base rate times (1 − step / steps) to a power, and 0 from then on (`PolynomialLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// Steps until the end; at least 1.
    pub steps: u64,
    /// The power; 1 is a straight line.
    pub power: f64,
}

impl Schedule for Polynomial {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        base * (1.0 - step.min(self.steps) as f64 / self.steps.max(1) as f64).powf(self.power)
    }

    fn check(&self) -> Result<(), String> {
        at_least(self.steps, 1, "polynomial")?;
        ensure(non_negative(self.power), || format!("the power is {}, and must not be below 0", self.power))
    }
}

/// A straight line from one share of the base rate to another, where it stays (`LinearLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Steps until the end; at least 1.
    pub steps: u64,
    /// The share of the base rate at step 0.
    pub start_factor: f64,
    /// The share from step `steps` on.
    pub end_factor: f64,
}

impl Schedule for Linear {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        let &Self { steps, start_factor, end_factor } = self;
        let done = step.min(steps) as f64 / steps.max(1) as f64;
        base * (start_factor + (end_factor - start_factor) * done)
    }

    fn check(&self) -> Result<(), String> {
        let &Self { steps, start_factor, end_factor } = self;
        at_least(steps, 1, "linear")?;
        ensure(non_negative(start_factor) && non_negative(end_factor), || {
            format!("a linear schedule's factors are {start_factor} and {end_factor}, and must not be below 0")
        })
    }
}
