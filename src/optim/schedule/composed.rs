//! Schedules made of others.

use std::sync::Arc;

use super::check::{ensure, positive, rising};
use super::{Memory, Schedule};

/// A straight line from `start_factor` of the base rate to all of it, then another schedule that counts its own steps from there
/// (`SequentialLR` of `LinearLR` and that other). See [`Schedule::warm_up`].
#[derive(Clone, Debug)]
pub struct LinearWarmUp {
    /// Steps until the base rate is reached.
    pub steps: u64,
    /// The share of the base rate at step 0, in (0, 1].
    pub start_factor: f64,
    /// What follows.
    pub then: Arc<dyn Schedule>,
}

impl Schedule for LinearWarmUp {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        let &Self { steps, start_factor, ref then } = self;
        match step.checked_sub(steps) {
            Some(later) => then.learning_rate(base, later),
            None => base * (start_factor + (1.0 - start_factor) * step as f64 / steps as f64),
        }
    }

    fn check(&self) -> Result<(), String> {
        let start_factor = self.start_factor;
        ensure(positive(start_factor) && start_factor <= 1.0, || {
            format!("a warm-up's start factor is {start_factor}, and must be above 0 and at most 1")
        })?;
        self.then.check()
    }

    fn observes(&self) -> bool {
        self.then.observes()
    }

    fn observe(&self, memory: &mut Memory, metric: f64) {
        self.then.observe(memory, metric);
    }
}

/// One schedule after the other, each counting its own steps (`SequentialLR`).
///
/// ```
/// use wgrad::optim::schedule::{Constant, Exponential, Schedule, Sequential};
/// let schedule = Sequential::new(Constant).then(10, Exponential { gamma: 0.5 });
/// assert_eq!([9, 10, 11].map(|step| schedule.learning_rate(1.0, step)), [1.0, 1.0, 0.5]);
/// ```
#[derive(Clone, Debug)]
pub struct Sequential {
    /// The schedules; none that depends on metrics.
    pub schedules: Vec<Arc<dyn Schedule>>,
    /// The first steps of all but the first, in rising order.
    pub milestones: Vec<u64>,
}

impl Sequential {
    /// The first schedule, from step 0 on; [`then`](Self::then) adds others.
    pub fn new(first: impl Schedule + 'static) -> Self {
        Self { schedules: vec![Arc::new(first)], milestones: Vec::new() }
    }

    /// From step `milestone` on, another one.
    #[must_use]
    pub fn then(mut self, milestone: u64, next: impl Schedule + 'static) -> Self {
        self.schedules.push(Arc::new(next));
        self.milestones.push(milestone);
        self
    }
}

impl Schedule for Sequential {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        let Self { schedules, milestones } = self;
        let index = milestones.iter().filter(|&&milestone| milestone <= step).count();
        let begun = index.checked_sub(1).and_then(|before| milestones.get(before)).copied().unwrap_or(0);
        schedules.get(index).map_or(base, |schedule| schedule.learning_rate(base, step - begun))
    }

    fn check(&self) -> Result<(), String> {
        let Self { schedules, milestones } = self;
        ensure(schedules.len() == milestones.len() + 1, || {
            let (count, found) = (schedules.len(), milestones.len());
            format!("{count} schedules in sequence need a milestone for each but the first, not {found}")
        })?;
        rising(milestones)?;
        ensure(!self.observes(), || "a schedule that observes metrics cannot be one of a sequence".into())?;
        schedules.iter().try_for_each(|schedule| schedule.check())
    }

    fn observes(&self) -> bool {
        self.schedules.iter().any(|schedule| schedule.observes())
    }
}
