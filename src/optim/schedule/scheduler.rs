//! A schedule at work: the one that depends on metrics has to remember some.

use super::Schedule;
use crate::error::{Error, Result};

/// A [`Schedule`] at work on one base rate, with what [`Schedule::ReduceOnPlateau`] has to remember.
///
/// ```
/// use wgrad::optim::schedule::{Schedule, Scheduler};
/// let plateau = Schedule::ReduceOnPlateau {
///     factor: 0.5,
///     patience: 0,
///     threshold: 1e-4,
///     absolute: false,
///     cooldown: 0,
///     minimum: 0.0,
///     smallest_change: 1e-8,
///     higher_is_better: false,
/// };
/// let mut scheduler = Scheduler::new(plateau, 0.1)?;
/// scheduler.observe(1.0);
/// scheduler.observe(1.0); // no better: half the rate
/// assert_eq!(scheduler.learning_rate(2), 0.05);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduler {
    schedule: Schedule,
    base: f64,
    plateau: Plateau,
}

/// PyTorch's `ReduceLROnPlateau` between two observations.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plateau {
    /// The base rate after the reductions so far.
    rate: f64,
    best: Option<f64>,
    bad_observations: u64,
    cooldown_left: u64,
}

impl Plateau {
    const fn new(rate: f64) -> Self {
        Self { rate, best: None, bad_observations: 0, cooldown_left: 0 }
    }
}

impl Scheduler {
    /// The schedule at its beginning.
    ///
    /// # Errors
    /// As [`Schedule::validate`], and for a base rate that is negative or no number.
    pub fn new(schedule: Schedule, base: f64) -> Result<Self> {
        schedule.validate()?;
        if !(base.is_finite() && base >= 0.0) {
            return Err(Error::Argument(format!("the learning rate is {base}, and must be a number of at least 0")));
        }
        Ok(Self { schedule, base, plateau: Plateau::new(base) })
    }

    /// The schedule.
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The learning rate of step `step` (the first is 0), after all reductions so far.
    pub fn learning_rate(&self, step: u64) -> f64 {
        // During and after a warm-up the reductions apply too: they change the base.
        self.schedule.learning_rate(self.plateau.rate, step)
    }

    /// Takes note of a metric, such as the validation loss after an epoch. Without a plateau in the schedule it does
    /// nothing. A metric that is not a number counts as no improvement.
    pub fn observe(&mut self, metric: f64) {
        let mut schedule = &self.schedule;
        while let Schedule::LinearWarmUp { then, .. } = schedule {
            schedule = then;
        }
        let &Schedule::ReduceOnPlateau {
            factor,
            patience,
            threshold,
            absolute,
            cooldown,
            minimum,
            smallest_change,
            higher_is_better,
        } = schedule
        else {
            return;
        };
        let state = &mut self.plateau;
        let worst = if higher_is_better { f64::NEG_INFINITY } else { f64::INFINITY };
        let best = state.best.unwrap_or(worst);
        let better = match (higher_is_better, absolute) {
            (true, false) => metric > best * (1.0 + threshold),
            (true, true) => metric > best + threshold,
            (false, false) => metric < best * (1.0 - threshold),
            (false, true) => metric < best - threshold,
        };
        if better {
            state.best = Some(metric);
            state.bad_observations = 0;
        } else {
            state.bad_observations += 1;
        }
        if state.cooldown_left > 0 {
            state.cooldown_left -= 1;
            state.bad_observations = 0;
        }
        if state.bad_observations > patience {
            let reduced = (state.rate * factor).max(minimum);
            if state.rate - reduced > smallest_change {
                state.rate = reduced;
            }
            state.cooldown_left = cooldown;
            state.bad_observations = 0;
        }
    }

    /// What a checkpoint has to keep: rate, best metric (NaN where there is none), bad observations, cooldown left.
    pub fn state(&self) -> [f64; 4] {
        let Plateau { rate, best, bad_observations, cooldown_left } = self.plateau;
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
        self.plateau = Plateau { rate, best: (!best.is_nan()).then_some(best), bad_observations, cooldown_left };
        Ok(())
    }
}
