//! Whether a schedule's numbers are in their ranges.

use super::{CycleMode, Schedule};
use crate::error::{Error, Result};

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn non_negative(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn rising(milestones: &[u64]) -> Result<(), String> {
    if milestones.is_sorted() { Ok(()) } else { Err(format!("milestones {milestones:?} should be in rising order")) }
}

fn ensure(sound: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if sound { Ok(()) } else { Err(message()) }
}

fn at_least(steps: u64, least: u64, kind: &str) -> Result<(), String> {
    ensure(steps >= least, || {
        format!("a {kind} schedule needs at least {least} step{}", if least == 1 { "" } else { "s" })
    })
}

fn gamma(value: f64) -> Result<(), String> {
    ensure(positive(value), || format!("gamma is {value}, and must be above 0"))
}

fn lowest(minimum: f64) -> Result<(), String> {
    ensure(non_negative(minimum), || format!("the lowest learning rate is {minimum}, and must not be below 0"))
}

impl Schedule {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] for one outside the range that the variant names.
    pub fn validate(&self) -> Result<()> {
        self.complaint().map_err(Error::Argument)
    }

    /// Whether its rate depends on metrics, so that a [`Scheduler`](super::Scheduler) has to observe them.
    pub fn observes(&self) -> bool {
        match self {
            Self::ReduceOnPlateau { .. } => true,
            Self::LinearWarmUp { then, .. } => then.observes(),
            Self::Sequential { schedules, .. } => schedules.iter().any(Self::observes),
            Self::Constant
            | Self::Step { .. }
            | Self::MultiStep { .. }
            | Self::Reduced { .. }
            | Self::Exponential { .. }
            | Self::Cosine { .. }
            | Self::CosineRestarts { .. }
            | Self::Polynomial { .. }
            | Self::Linear { .. }
            | Self::Cyclic { .. }
            | Self::OneCycle { .. } => false,
        }
    }

    fn complaint(&self) -> Result<(), String> {
        match *self {
            Self::Constant => Ok(()),
            Self::Step { every, gamma: factor } => {
                ensure(every > 0, || "a step schedule needs at least 1 step between reductions".into())?;
                gamma(factor)
            }
            Self::MultiStep { ref milestones, gamma: factor } => {
                rising(milestones)?;
                gamma(factor)
            }
            Self::Reduced { factor, .. } => ensure((0.0..=1.0).contains(&factor), || {
                format!("a constant share of the rate is {factor}, and must be from 0 to 1")
            }),
            Self::Exponential { gamma: factor } => gamma(factor),
            Self::Cosine { steps, minimum } => {
                at_least(steps, 1, "cosine")?;
                lowest(minimum)
            }
            Self::CosineRestarts { steps, growth, minimum } => {
                at_least(steps, 1, "cosine")?;
                ensure(growth > 0, || "the periods of a cosine schedule grow by a factor of at least 1".into())?;
                lowest(minimum)
            }
            Self::Polynomial { steps, power } => {
                at_least(steps, 1, "polynomial")?;
                ensure(non_negative(power), || format!("the power is {power}, and must not be below 0"))
            }
            Self::Linear { steps, start_factor, end_factor } => {
                at_least(steps, 1, "linear")?;
                ensure(non_negative(start_factor) && non_negative(end_factor), || {
                    format!("a linear schedule's factors are {start_factor} and {end_factor}, and must not be below 0")
                })
            }
            Self::LinearWarmUp { start_factor, ref then, .. } => {
                ensure(positive(start_factor) && start_factor <= 1.0, || {
                    format!("a warm-up's start factor is {start_factor}, and must be above 0 and at most 1")
                })?;
                then.complaint()
            }
            Self::Sequential { ref schedules, ref milestones } => {
                ensure(schedules.len() == milestones.len() + 1, || {
                    let (count, found) = (schedules.len(), milestones.len());
                    format!("{count} schedules in sequence need a milestone for each but the first, not {found}")
                })?;
                rising(milestones)?;
                ensure(!self.observes(), || "a schedule that observes metrics cannot be one of a sequence".into())?;
                schedules.iter().try_for_each(Self::complaint)
            }
            Self::Cyclic { low, high, up, down, mode } => {
                at_least(up.min(down), 1, "cyclic")?;
                ensure(non_negative(low) && non_negative(high), || {
                    format!("a cycle's rates are {low} and {high}, and must not be below 0")
                })?;
                match mode {
                    CycleMode::Exponential(factor) => gamma(factor),
                    CycleMode::Triangular | CycleMode::Halving => Ok(()),
                }
            }
            Self::OneCycle { max, steps, pct_start, div_factor, final_div_factor, .. } => {
                at_least(steps, 2, "one-cycle")?;
                ensure((0.0..=1.0).contains(&pct_start), || {
                    format!("a cycle's share of steps that go up is {pct_start}, and must be between 0 and 1")
                })?;
                ensure([max, div_factor, final_div_factor].into_iter().all(positive), || {
                    format!(
                        "a cycle's highest rate and factors are {max}, {div_factor} and {final_div_factor}, and must be above 0"
                    )
                })
            }
            Self::ReduceOnPlateau { factor, threshold, minimum, smallest_change, .. } => {
                ensure(positive(factor) && factor < 1.0, || {
                    format!("a plateau's factor is {factor}, and must be between 0 and 1")
                })?;
                ensure(non_negative(threshold) && non_negative(smallest_change), || {
                    format!(
                        "a plateau's threshold and smallest change are {threshold} and {smallest_change}, and must not be below 0"
                    )
                })?;
                lowest(minimum)
            }
        }
    }
}
