//! Schedules that go in steps, and the exponential.

use super::Schedule;
use super::check::{ensure, gamma, rising};

/// Always the base rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Constant;

impl Schedule for Constant {
    fn learning_rate(&self, base: f64, _: u64) -> f64 {
        base
    }
}

/// The rate times `gamma` after each `every` steps (`StepLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Steps between two reductions; at least 1.
    pub every: u64,
    /// The factor of each.
    pub gamma: f64,
}

impl Schedule for Step {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        base * self.gamma.powf((step / self.every.max(1)) as f64)
    }

    fn check(&self) -> Result<(), String> {
        ensure(self.every > 0, || "a step schedule needs at least 1 step between reductions".into())?;
        gamma(self.gamma)
    }
}

/// The rate times `gamma` at each of some steps (`MultiStepLR`).
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStep {
    /// The steps before which the rate is reduced, in rising order; one that is there twice counts twice.
    pub milestones: Vec<u64>,
    /// The factor of each.
    pub gamma: f64,
}

impl Schedule for MultiStep {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        let passed = self.milestones.iter().filter(|&&milestone| milestone <= step).count();
        base * self.gamma.powf(passed as f64)
    }

    fn check(&self) -> Result<(), String> {
        rising(&self.milestones)?;
        gamma(self.gamma)
    }
}

/// A share of the base rate for some steps, then all of it (`ConstantLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reduced {
    /// Steps with the share.
    pub steps: u64,
    /// The share, in [0, 1].
    pub factor: f64,
}

impl Schedule for Reduced {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        if step < self.steps { base * self.factor } else { base }
    }

    fn check(&self) -> Result<(), String> {
        ensure((0.0..=1.0).contains(&self.factor), || {
            format!("a constant share of the rate is {}, and must be from 0 to 1", self.factor)
        })
    }
}

/// The rate times `gamma` after each step (`ExponentialLR`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The factor of a step.
    pub gamma: f64,
}

impl Schedule for Exponential {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        base * self.gamma.powf(step as f64)
    }

    fn check(&self) -> Result<(), String> {
        gamma(self.gamma)
    }
}
