//! A schedule at work: the one that depends on metrics has to remember some.

use std::sync::Arc;

use super::{Memory, Schedule};
use crate::error::{Error, Result};

/// A [`Schedule`] at work on one base rate, with what one that observes metrics has to remember.
///
/// ```
/// use wgrad::optim::schedule::{ReduceOnPlateau, Scheduler};
/// let plateau = ReduceOnPlateau { factor: 0.5, patience: 0, ..ReduceOnPlateau::new() };
/// let mut scheduler = Scheduler::new(plateau, 0.1)?;
/// scheduler.observe(1.0);
/// scheduler.observe(1.0); // no better: half the rate
/// assert_eq!(scheduler.learning_rate(2), 0.05);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler {
    schedule: Arc<dyn Schedule>,
    memory: Memory,
}

impl Scheduler {
    /// The schedule at its beginning.
    ///
    /// # Errors
    /// What [`Schedule::check`] says; a base rate that is negative or no number.
    pub fn new(schedule: impl Schedule + 'static, base: f64) -> Result<Self> {
        schedule.check().map_err(Error::Argument)?;
        if !(base.is_finite() && base >= 0.0) {
            return Err(Error::Argument(format!("the learning rate is {base}, and must be a number of at least 0")));
        }
        Ok(Self { schedule: Arc::new(schedule), memory: Memory::new(base) })
    }

    /// The schedule.
    pub fn schedule(&self) -> &dyn Schedule {
        self.schedule.as_ref()
    }

    /// The learning rate of step `step` (the first is 0), after all reductions so far.
    pub fn learning_rate(&self, step: u64) -> f64 {
        // During and after a warm-up the reductions apply too: they change the base.
        self.schedule.learning_rate(self.memory.rate, step)
    }

    /// Takes note of a metric, such as the validation loss after an epoch. Where the schedule does not observe any, it does nothing.
    pub fn observe(&mut self, metric: f64) {
        self.schedule.observe(&mut self.memory, metric);
    }

    /// What a checkpoint has to keep: rate, best metric (NaN where there is none), bad observations, cooldown left.
    pub fn state(&self) -> [f64; 4] {
        let Memory { rate, best, bad_observations, cooldown_left } = self.memory;
        [rate, best.unwrap_or(f64::NAN), bad_observations as f64, cooldown_left as f64]
    }

    /// Takes up a [`state`](Self::state) again.
    ///
    /// # Errors
    /// [`Error::Data`] where the numbers are no such state.
    pub fn restore(&mut self, state: &[f64]) -> Result<()> {
        let &[rate, best, bad_observations, cooldown_left] = state else {
            return Err(Error::Data(format!("the state of a schedule is 4 numbers, not {}", state.len())));
        };
        let count = |value: f64| (value >= 0.0 && value.fract() == 0.0).then_some(value as u64);
        let (Some(bad_observations), Some(cooldown_left)) = (count(bad_observations), count(cooldown_left)) else {
            return Err(Error::Data(format!("{state:?} is not the state of a schedule")));
        };
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(Error::Data(format!("{rate} in the state of a schedule is no learning rate")));
        }
        self.memory = Memory { rate, best: (!best.is_nan()).then_some(best), bad_observations, cooldown_left };
        Ok(())
    }
}
