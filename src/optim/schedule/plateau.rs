//! The schedule that depends on metrics.

use super::Schedule;
use super::check::{ensure, lowest, non_negative, positive};

/// The rate times `factor` when the observed metric has not improved for more than `patience` observations (`ReduceLROnPlateau`). Needs a
/// [`Scheduler`](super::Scheduler) to remember.
///
/// ```
/// use wgrad::optim::schedule::ReduceOnPlateau;
/// let of_accuracy = ReduceOnPlateau { patience: 3, higher_is_better: true, ..ReduceOnPlateau::new() };
/// assert_eq!(of_accuracy.factor, 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReduceOnPlateau {
    /// The factor of a reduction, in (0, 1).
    pub factor: f64,
    /// Observations without improvement before a reduction: one more of them reduces.
    pub patience: u64,
    /// The change that counts as an improvement.
    pub threshold: f64,
    /// Whether the change is meant as it is, and not as a share of the best metric.
    pub absolute: bool,
    /// Observations after a reduction in which nothing is counted.
    pub cooldown: u64,
    /// The lowest rate.
    pub minimum: f64,
    /// A smaller change of the rate is not made (`eps`).
    pub smallest_change: f64,
    /// Whether more is better, as for accuracy; false for a loss.
    pub higher_is_better: bool,
}

impl Default for ReduceOnPlateau {
    fn default() -> Self {
        Self::new()
    }
}

impl ReduceOnPlateau {
    /// Of a loss, with PyTorch's defaults: a tenth after more than 10 observations without an improvement of 1e-4.
    pub const fn new() -> Self {
        Self {
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
}

/// What a [`Scheduler`](super::Scheduler) remembers, and a checkpoint stores, for a schedule that observes metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// The base rate after the reductions so far.
    pub rate: f64,
    /// The best metric so far.
    pub best: Option<f64>,
    /// Observations without improvement since then.
    pub bad_observations: u64,
    /// Observations that are left in which nothing is counted.
    pub cooldown_left: u64,
}

impl Memory {
    /// Before any metric.
    pub const fn new(rate: f64) -> Self {
        Self { rate, best: None, bad_observations: 0, cooldown_left: 0 }
    }
}

impl Schedule for ReduceOnPlateau {
    fn learning_rate(&self, base: f64, _: u64) -> f64 {
        base
    }

    fn check(&self) -> Result<(), String> {
        let &Self { factor, threshold, smallest_change, minimum, .. } = self;
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

    fn observes(&self) -> bool {
        true
    }

    /// A metric that is not a number counts as no improvement.
    fn observe(&self, memory: &mut Memory, metric: f64) {
        let threshold = self.threshold;
        let worst = if self.higher_is_better { f64::NEG_INFINITY } else { f64::INFINITY };
        let best = memory.best.unwrap_or(worst);
        let better = match (self.higher_is_better, self.absolute) {
            (true, false) => metric > best * (1.0 + threshold),
            (true, true) => metric > best + threshold,
            (false, false) => metric < best * (1.0 - threshold),
            (false, true) => metric < best - threshold,
        };
        if better {
            memory.best = Some(metric);
            memory.bad_observations = 0;
        } else {
            memory.bad_observations += 1;
        }
        if memory.cooldown_left > 0 {
            memory.cooldown_left -= 1;
            memory.bad_observations = 0;
        }
        if memory.bad_observations > self.patience {
            let reduced = (memory.rate * self.factor).max(self.minimum);
            if memory.rate - reduced > self.smallest_change {
                memory.rate = reduced;
            }
            memory.cooldown_left = self.cooldown;
            memory.bad_observations = 0;
        }
    }
}
