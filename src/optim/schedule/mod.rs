//! Learning-rate schedules: the rate of each step, from the base rate and the step's number.
//!
//! All but one are plain functions of the step, so a resumed run needs nothing but its step number. The exception
//! is the reduction on a plateau, which remembers metrics; its few numbers live in a [`Scheduler`].
//! The formulas are the closed forms of PyTorch's `torch.optim.lr_scheduler` classes that the variants name, where one
//! call of PyTorch's `scheduler.step()` is one step here.

mod cycle;
mod scheduler;
#[cfg(test)]
mod tests;
mod validate;

use std::f64::consts::PI;

pub use cycle::{Anneal, CycleMode};
pub use scheduler::Scheduler;

/// How the learning rate changes over the steps of a run.
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
    /// Times `gamma` at each of some steps (`MultiStepLR`).
    MultiStep {
        /// The steps before which the rate is reduced, in rising order; one that is there twice counts twice.
        milestones: Vec<u64>,
        /// The factor of each.
        gamma: f64,
    },
    /// A share of the base rate for some steps, then all of it (`ConstantLR`).
    Reduced {
        /// Steps with the share.
        steps: u64,
        /// The share, in [0, 1].
        factor: f64,
    },
    /// Times `gamma` after each step (`ExponentialLR`).
    Exponential {
        /// The factor of a step.
        gamma: f64,
    },
    /// Half a cosine from the base rate down to `minimum` (`CosineAnnealingLR`). Past `steps` the cosine continues and
    /// the rate rises again, as in PyTorch.
    Cosine {
        /// Steps until the minimum; at least 1.
        steps: u64,
        /// The lowest rate.
        minimum: f64,
    },
    /// As [`Cosine`](Self::Cosine), from the base rate again whenever the minimum is reached (`CosineAnnealingWarmRestarts`;
    /// Loshchilov and Hutter 2016).
    CosineRestarts {
        /// Steps of the first period (`T_0`); at least 1.
        steps: u64,
        /// How many times longer each period is than the one before (`T_mult`); at least 1.
        growth: u64,
        /// The lowest rate.
        minimum: f64,
    },
    /// The base rate times (1 − step / steps) to a power, and 0 from then on (`PolynomialLR`).
    Polynomial {
        /// Steps until the end; at least 1.
        steps: u64,
        /// The power; 1 is a straight line.
        power: f64,
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
    /// One schedule after the other, each counting its own steps (`SequentialLR`).
    Sequential {
        /// The schedules; none that depends on metrics.
        schedules: Vec<Self>,
        /// The first steps of all but the first, in rising order.
        milestones: Vec<u64>,
    },
    /// Up and down again and again along straight lines (`CyclicLR`; Smith 2015). The base rate plays no part.
    Cyclic {
        /// The rate at the beginning of each cycle (`base_lr`).
        low: f64,
        /// The rate at its top (`max_lr`).
        high: f64,
        /// Steps up (`step_size_up`); at least 1.
        up: u64,
        /// Steps down (`step_size_down`); at least 1.
        down: u64,
        /// How the height changes.
        mode: CycleMode,
    },
    /// Up to `max` and down again (`OneCycleLR`; Smith and Topin 2017). The base rate plays no part: the cycle begins at
    /// `max / div_factor`. After the last step the rate stays where it is.
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
        /// The shape of each phase.
        anneal: Anneal,
        /// Whether the phase down to the first rate mirrors the phase up, and a third phase continues to the last rate.
        three_phase: bool,
    },
    /// Times `factor` when the observed metric has not improved for more than `patience` observations
    /// (`ReduceLROnPlateau`). Needs a [`Scheduler`] to remember.
    ReduceOnPlateau {
        /// The factor of a reduction, in (0, 1).
        factor: f64,
        /// Observations without improvement that are borne.
        patience: u64,
        /// The change that counts as an improvement.
        threshold: f64,
        /// Whether the change is meant as it is, and not as a share of the best metric.
        absolute: bool,
        /// Observations after a reduction in which nothing is counted.
        cooldown: u64,
        /// The lowest rate.
        minimum: f64,
        /// A smaller change of the rate is not made (`eps`).
        smallest_change: f64,
        /// Whether more is better, as for accuracy; false for a loss.
        higher_is_better: bool,
    },
}

impl Schedule {
    /// [`OneCycle`](Self::OneCycle) with PyTorch's defaults: 30% up, from max / 25, down to a 10,000th of that.
    pub const fn one_cycle(max: f64, steps: u64) -> Self {
        Self::OneCycle {
            max,
            steps,
            pct_start: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            anneal: Anneal::Cosine,
            three_phase: false,
        }
    }

    /// [`ReduceOnPlateau`](Self::ReduceOnPlateau) of a loss with PyTorch's defaults: a tenth after more than 10
    /// observations without an improvement of 1e-4.
    pub const fn reduce_on_plateau() -> Self {
        Self::ReduceOnPlateau {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            absolute: false,
            cooldown: 0,
            minimum: 0.0,
            smallest_change: 1e-8,
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
            Self::OneCycle { max, steps, pct_start, div_factor, final_div_factor, anneal, three_phase } => {
                let first = max / div_factor;
                let rates = [first, max, first / final_div_factor];
                cycle::one_cycle(rates, steps, pct_start, anneal, three_phase, step)
            }
            Self::MultiStep { ref milestones, gamma } => {
                let passed = milestones.iter().filter(|&&milestone| milestone <= step).count();
                base * gamma.powf(passed as f64)
            }
            Self::Reduced { steps, factor } => {
                if step < steps {
                    base * factor
                } else {
                    base
                }
            }
            Self::CosineRestarts { steps, growth, minimum } => {
                let (done, period) = cycle::period(steps, growth, step);
                minimum + (base - minimum) * (1.0 + (PI * done as f64 / period as f64).cos()) / 2.0
            }
            Self::Polynomial { steps, power } => {
                base * (1.0 - step.min(steps) as f64 / steps.max(1) as f64).powf(power)
            }
            Self::Sequential { ref schedules, ref milestones } => {
                let index = milestones.iter().filter(|&&milestone| milestone <= step).count();
                let begun = index.checked_sub(1).and_then(|before| milestones.get(before)).copied().unwrap_or(0);
                schedules.get(index).map_or(base, |schedule| schedule.learning_rate(base, step - begun))
            }
            Self::Cyclic { low, high, up, down, mode } => cycle::cyclic(low, high, (up, down), mode, step),
        }
    }
}
