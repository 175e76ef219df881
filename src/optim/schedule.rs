//! Learning-rate schedules: the rate of each step, from the base rate and the step's number.
//!
//! All but one are plain functions of the step, so a resumed run needs nothing but its step number. The exception
//! is the reduction on a plateau, which remembers metrics; its few numbers live in a [`Scheduler`].
//! The formulas are the closed forms of PyTorch's `torch.optim.lr_scheduler` classes that the variants name, where one
//! call of PyTorch's `scheduler.step()` is one step here.

use std::f64::consts::PI;

use crate::error::{Error, Result};

/// How the learning rate goes over the steps of a run.
///
/// ```
/// use wgrad::optim::schedule::Schedule;
/// let schedule = Schedule::Cosine { steps: 100, minimum: 0.0 }.warm_up(10);
/// assert_eq!(schedule.learning_rate(0.1, 10), 0.1);
/// assert!((schedule.learning_rate(0.1, 60) - 0.05).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Always the base rate.
    Constant,
    /// Times `gamma` after each `every` steps (`StepLR`).
    Step {
        /// Steps between two reductions; at least 1.
        every: u64,
        /// The factor of each.
        gamma: f64,
    },
    /// Times `gamma` after each step (`ExponentialLR`).
    Exponential {
        /// The factor of a step.
        gamma: f64,
    },
    /// Half a cosine from the base rate down to `minimum` (`CosineAnnealingLR`). Past `steps` the cosine goes on and
    /// the rate rises again, as in PyTorch.
    Cosine {
        /// Steps until the minimum; at least 1.
        steps: u64,
        /// The lowest rate.
        minimum: f64,
    },
    /// A straight line from one share of the base rate to another, where it stays (`LinearLR`).
    Linear {
        /// Steps until the end; at least 1.
        steps: u64,
        /// The share of the base rate at step 0.
        start_factor: f64,
        /// The share from step `steps` on.
        end_factor: f64,
    },
    /// A straight line from `start_factor` of the base rate to all of it, then another schedule that counts its own
    /// steps from there (`SequentialLR` of `LinearLR` and that other).
    LinearWarmUp {
        /// Steps until the base rate is reached.
        steps: u64,
        /// The share of the base rate at step 0, in (0, 1].
        start_factor: f64,
        /// What follows.
        then: Box<Self>,
    },
    /// Up to `max` and down again, each as half a cosine (`OneCycleLR` with `anneal_strategy="cos"`, two phases). The
    /// base rate plays no part: the cycle begins at `max / div_factor`. After the last step the rate stays where it is.
    OneCycle {
        /// The highest rate.
        max: f64,
        /// Steps of the cycle; at least 2.
        steps: u64,
        /// The share of steps that go up, in [0, 1].
        pct_start: f64,
        /// `max` over the first rate.
        div_factor: f64,
        /// The first rate over the last.
        final_div_factor: f64,
    },
    /// Times `factor` when the observed metric has not improved for more than `patience` observations
    /// (`ReduceLROnPlateau`, relative threshold). Needs a [`Scheduler`] to remember.
    ReduceOnPlateau {
        /// The factor of a reduction, in (0, 1).
        factor: f64,
        /// Observations without improvement that are borne.
        patience: u64,
        /// The relative change that counts as an improvement.
        threshold: f64,
        /// Observations after a reduction in which nothing is counted.
        cooldown: u64,
        /// The lowest rate.
        minimum: f64,
        /// Whether more is better, as for accuracy; false for a loss.
        higher_is_better: bool,
    },
}

impl Schedule {
    /// [`OneCycle`](Self::OneCycle) with PyTorch's defaults: 30% up, from max / 25, down to a 10,000th of that.
    pub const fn one_cycle(max: f64, steps: u64) -> Self {
        Self::OneCycle { max, steps, pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 }
    }

    /// [`ReduceOnPlateau`](Self::ReduceOnPlateau) of a loss with PyTorch's defaults: a tenth after more than 10
    /// observations without an improvement of 1e-4.
    pub const fn reduce_on_plateau() -> Self {
        Self::ReduceOnPlateau {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            minimum: 0.0,
            higher_is_better: false,
        }
    }

    /// This schedule after `steps` of linear warm-up from a third of the base rate (`LinearLR`'s default).
    pub fn warm_up(self, steps: u64) -> Self {
        Self::LinearWarmUp { steps, start_factor: 1.0 / 3.0, then: Box::new(self) }
    }

    /// The learning rate of step `step` (the first is 0) for the base rate `base`.
    ///
    /// For [`ReduceOnPlateau`](Self::ReduceOnPlateau) this is the rate before any reduction; see [`Scheduler`].
    pub fn learning_rate(&self, base: f64, step: u64) -> f64 {
        match *self {
            Self::Constant | Self::ReduceOnPlateau { .. } => base,
            Self::Step { every, gamma } => base * gamma.powf((step / every.max(1)) as f64),
            Self::Exponential { gamma } => base * gamma.powf(step as f64),
            Self::Cosine { steps, minimum } => {
                minimum + (base - minimum) * (1.0 + (PI * step as f64 / steps.max(1) as f64).cos()) / 2.0
            }
            Self::Linear { steps, start_factor, end_factor } => {
                let done = step.min(steps) as f64 / steps.max(1) as f64;
                base * (start_factor + (end_factor - start_factor) * done)
            }
            Self::LinearWarmUp { steps, start_factor, ref then } => match step.checked_sub(steps) {
                Some(later) => then.learning_rate(base, later),
                None => base * (start_factor + (1.0 - start_factor) * step as f64 / steps as f64),
            },
            Self::OneCycle { max, steps, pct_start, div_factor, final_div_factor } => {
                let first = max / div_factor;
                let last = first / final_div_factor;
                let end = steps.saturating_sub(1) as f64;
                // Where the way up is no whole step long, PyTorch starts on the way down from just beside the top.
                let top = pct_start * steps as f64 - 1.0;
                let now = (step as f64).min(end);
                if now <= top {
                    half_cosine(first, max, share(now, top))
                } else {
                    half_cosine(max, last, share(now - top, end - top))
                }
            }
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] for one outside the range that the variant names.
    pub fn validate(&self) -> Result<()> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let complaint = match *self {
            Self::Constant => None,
            Self::Step { every: 0, .. } => Some("a step schedule needs at least 1 step between reductions".into()),
            Self::Step { gamma, .. } | Self::Exponential { gamma } if !positive(gamma) => {
                Some(format!("gamma is {gamma}, and must be above 0"))
            }
            Self::Step { .. } | Self::Exponential { .. } => None,
            Self::Cosine { steps: 0, .. } => Some("a cosine schedule needs at least 1 step".into()),
            Self::Cosine { minimum, .. } if !(minimum.is_finite() && minimum >= 0.0) => {
                Some(format!("the lowest learning rate is {minimum}, and must not be below 0"))
            }
            Self::Cosine { .. } => None,
            Self::Linear { steps: 0, .. } => Some("a linear schedule needs at least 1 step".into()),
            Self::Linear { start_factor, end_factor, .. } => {
                (![start_factor, end_factor].into_iter().all(|factor| factor.is_finite() && factor >= 0.0))
                    .then(|| format!("a linear schedule's factors are {start_factor} and {end_factor}, and must not be below 0"))
            }
            Self::LinearWarmUp { start_factor, .. } if !(positive(start_factor) && start_factor <= 1.0) => {
                Some(format!("a warm-up's start factor is {start_factor}, and must be above 0 and at most 1"))
            }
            Self::LinearWarmUp { ref then, .. } => return then.validate(),
            Self::OneCycle { steps: 0 | 1, .. } => Some("a one-cycle schedule needs at least 2 steps".into()),
            Self::OneCycle { pct_start, .. } if !(0.0..=1.0).contains(&pct_start) => {
                Some(format!("a cycle's share of steps that go up is {pct_start}, and must be between 0 and 1"))
            }
            Self::OneCycle { max, div_factor, final_div_factor, .. } => {
                (![max, div_factor, final_div_factor].into_iter().all(positive))
                    .then(|| format!("a cycle's highest rate and factors are {max}, {div_factor} and {final_div_factor}, and must be above 0"))
            }
            Self::ReduceOnPlateau { factor, .. } if !(positive(factor) && factor < 1.0) => {
                Some(format!("a plateau's factor is {factor}, and must be between 0 and 1"))
            }
            Self::ReduceOnPlateau { .. } => None,
        };
        complaint.map_or(Ok(()), |message| Err(Error::Argument(message)))
    }
}

/// From `start` to `end` as the cosine goes from 0 to π; `_annealing_cos` of `OneCycleLR`.
fn half_cosine(start: f64, end: f64, share: f64) -> f64 {
    end + (start - end) / 2.0 * (1.0 + (PI * share).cos())
}

/// How much of a way is done; all of a way that has no length.
fn share(done: f64, whole: f64) -> f64 {
    if whole > 0.0 { done / whole } else { 1.0 }
}

/// A [`Schedule`] at work on one base rate, with what [`Schedule::ReduceOnPlateau`] has to remember.
///
/// ```
/// use wgrad::optim::schedule::{Schedule, Scheduler};
/// let plateau = Schedule::ReduceOnPlateau {
///     factor: 0.5, patience: 0, threshold: 1e-4, cooldown: 0, minimum: 0.0, higher_is_better: false,
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
        let &Schedule::ReduceOnPlateau { factor, patience, threshold, cooldown, minimum, higher_is_better } = schedule
        else {
            return;
        };
        let state = &mut self.plateau;
        let better = match state.best {
            None => !metric.is_nan(),
            Some(best) if higher_is_better => metric > best * (1.0 + threshold),
            Some(best) => metric < best * (1.0 - threshold),
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
            // PyTorch's `eps`: a smaller change is not worth making.
            if state.rate - reduced > 1e-8 {
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

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn steps_and_powers() {
        let schedule = Schedule::Step { every: 3, gamma: 0.5 };
        let rates: Vec<f64> = (0..7).map(|step| schedule.learning_rate(0.8, step)).collect();
        assert_eq!(rates, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]);
        assert_relative_eq!(Schedule::Exponential { gamma: 0.9 }.learning_rate(1.0, 5), 0.59049, epsilon = 1e-12);
    }

    #[test]
    fn a_cosine_goes_from_base_to_minimum() {
        let schedule = Schedule::Cosine { steps: 10, minimum: 0.1 };
        assert_relative_eq!(schedule.learning_rate(0.5, 0), 0.5);
        assert_relative_eq!(schedule.learning_rate(0.5, 5), 0.3, epsilon = 1e-12);
        assert_relative_eq!(schedule.learning_rate(0.5, 10), 0.1, epsilon = 1e-12);
    }

    #[test]
    fn a_warm_up_hands_over_with_a_step_count_of_zero() {
        let schedule = Schedule::Exponential { gamma: 0.5 }.warm_up(4);
        assert_relative_eq!(schedule.learning_rate(3.0, 0), 1.0);
        assert_relative_eq!(schedule.learning_rate(3.0, 2), 2.0, epsilon = 1e-12);
        assert_relative_eq!(schedule.learning_rate(3.0, 4), 3.0);
        assert_relative_eq!(schedule.learning_rate(3.0, 5), 1.5);
        assert_eq!(Schedule::Constant.warm_up(0).learning_rate(3.0, 0), 3.0);
    }

    #[test]
    fn one_cycle_has_its_top_where_the_way_up_ends() {
        let schedule = Schedule::one_cycle(1.0, 100);
        assert_relative_eq!(schedule.learning_rate(9.0, 0), 0.04, epsilon = 1e-12);
        assert_relative_eq!(schedule.learning_rate(9.0, 29), 1.0, epsilon = 1e-12);
        assert_relative_eq!(schedule.learning_rate(9.0, 99), 4e-6, epsilon = 1e-12);
        assert_eq!(schedule.learning_rate(9.0, 1000), schedule.learning_rate(9.0, 99));
        assert!((0..100).all(|step| schedule.learning_rate(9.0, step) <= 1.0));
    }

    /// Followed by hand through the source of PyTorch's `ReduceLROnPlateau.step`.
    #[test]
    fn a_plateau_reduces_waits_and_stops_at_the_minimum() -> Result<()> {
        let plateau = Schedule::ReduceOnPlateau {
            factor: 0.1,
            patience: 1,
            threshold: 0.01,
            cooldown: 1,
            minimum: 0.005,
            higher_is_better: false,
        };
        let mut scheduler = Scheduler::new(plateau, 1.0)?;
        let metrics = [1.0, 0.995, 0.992, 1.0, 1.0, 1.0, f64::NAN, 1.0, 1.0, 1.0, 1.0];
        let expected = [1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.005, 0.005, 0.005];
        for (metric, expected) in metrics.into_iter().zip(expected) {
            scheduler.observe(metric);
            assert_relative_eq!(scheduler.learning_rate(0), expected, epsilon = 1e-12);
            let mut restored = Scheduler::new(scheduler.schedule().clone(), 1.0)?;
            restored.restore(&scheduler.state())?;
            assert_eq!(restored, scheduler);
        }
        Ok(())
    }

    #[test]
    fn more_is_better_for_an_accuracy() -> Result<()> {
        let mut schedule = Schedule::reduce_on_plateau();
        if let Schedule::ReduceOnPlateau { patience, higher_is_better, .. } = &mut schedule {
            (*patience, *higher_is_better) = (0, true);
        }
        let mut scheduler = Scheduler::new(schedule.warm_up(0), 1.0)?;
        [0.5, 0.6, 0.6].into_iter().for_each(|accuracy| scheduler.observe(accuracy));
        assert_relative_eq!(scheduler.learning_rate(0), 0.1);
        Ok(())
    }

    #[test]
    fn numbers_out_of_range_are_errors() -> Result<()> {
        let bad = [
            Schedule::Step { every: 0, gamma: 0.1 },
            Schedule::Step { every: 1, gamma: f64::NAN },
            Schedule::Exponential { gamma: 0.0 },
            Schedule::Cosine { steps: 0, minimum: 0.0 }.warm_up(3),
            Schedule::Cosine { steps: 1, minimum: -1.0 },
            Schedule::LinearWarmUp { steps: 1, start_factor: 0.0, then: Box::new(Schedule::Constant) },
            Schedule::one_cycle(1.0, 1),
            Schedule::one_cycle(-1.0, 9),
        ];
        for schedule in bad {
            assert!(matches!(schedule.validate(), Err(Error::Argument(_))), "{schedule:?}");
            assert!(!schedule.learning_rate(1.0, 3).is_infinite(), "{schedule:?}");
        }
        assert!(Scheduler::new(Schedule::Constant, -0.1).is_err());
        let mut scheduler = Scheduler::new(Schedule::Constant, 0.1)?;
        assert!(scheduler.restore(&[0.1]).is_err());
        assert!(scheduler.restore(&[0.1, 0.0, -1.0, 0.0]).is_err());
        assert!(scheduler.restore(&[f64::NAN, 0.0, 1.0, 0.0]).is_err());
        Ok(())
    }
}
