//! Learning-rate schedules: the rate of each step, from the base rate and the step's number.
//!
//! All but one are plain functions of the step, so a resumed run needs nothing but its step number. The exception
//! is the reduction on a plateau, which remembers metrics; its few numbers live in a [`Scheduler`].
//! The formulas are the closed forms of PyTorch's `torch.optim.lr_scheduler` classes that the structs name, where one
//! call of PyTorch's `scheduler.step()` is one step here.

mod check;
mod composed;
mod curves;
mod cycle;
mod plateau;
mod scheduler;
mod steps;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use composed::{LinearWarmUp, Sequential};
pub use curves::{Cosine, CosineRestarts, Linear, Polynomial};
pub use cycle::{Anneal, CycleMode, Cyclic, OneCycle};
pub use plateau::{Memory, ReduceOnPlateau};
pub use scheduler::Scheduler;
pub use steps::{Constant, Exponential, MultiStep, Reduced, Step};

/// How the learning rate changes over the steps of a run.
///
/// ```
/// use wgrad::optim::schedule::{Cosine, Schedule};
/// let schedule = Cosine { steps: 100, minimum: 0.0 }.warm_up(10);
/// assert_eq!(schedule.learning_rate(0.1, 10), 0.1);
/// assert!((schedule.learning_rate(0.1, 60) - 0.05).abs() < 1e-12);
/// ```
///
/// One of your own; its [`fmt::Debug`] has to tell all of its numbers, as that of an [`Optimizer`](crate::optim::Optimizer):
///
/// ```
/// use wgrad::optim::schedule::Schedule;
///
/// /// A rise over some steps, then a fall with the root of their number (Vaswani et al. 2017).
/// #[derive(Debug)]
/// struct InverseRoot {
///     warm_up: u64,
/// }
///
/// impl Schedule for InverseRoot {
///     fn learning_rate(&self, base: f64, step: u64) -> f64 {
///         let (step, warm_up) = (step as f64 + 1.0, self.warm_up as f64);
///         base * (step / warm_up).min((warm_up / step).sqrt())
///     }
///
///     fn check(&self) -> Result<(), String> {
///         if self.warm_up > 0 { Ok(()) } else { Err("a rise takes one step or more".into()) }
///     }
/// }
///
/// let schedule: Box<dyn Schedule> = Box::new(InverseRoot { warm_up: 4 });
/// assert_eq!([0, 3, 15].map(|step| schedule.learning_rate(0.1, step)), [0.025, 0.1, 0.05]);
/// ```
pub trait Schedule: fmt::Debug + Send + Sync {
    /// The learning rate of step `step` (the first is 0) for the base rate `base`. For one that [observes](Self::observes), the base
    /// rate is that after its reductions so far; see [`Scheduler`].
    fn learning_rate(&self, base: f64, step: u64) -> f64;

    /// What is wrong with the numbers, if anything.
    ///
    /// # Errors
    /// A message for the user.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// Whether its rate depends on metrics, so that a [`Scheduler`] has to observe them.
    fn observes(&self) -> bool {
        false
    }

    /// Takes note of a metric, such as the validation loss after an epoch: changes what the scheduler remembers for it.
    fn observe(&self, memory: &mut Memory, metric: f64) {
        let _ = (memory, metric);
    }

    /// This schedule after `steps` of linear warm-up from a third of the base rate (`LinearLR`'s default).
    fn warm_up(self, steps: u64) -> LinearWarmUp
    where
        Self: Sized + 'static,
    {
        LinearWarmUp { steps, start_factor: 1.0 / 3.0, then: Arc::new(self) }
    }
}

macro_rules! pointers {
    ($($pointer:ident)*) => {$(
        impl<S: Schedule + ?Sized> Schedule for $pointer<S> {
            fn learning_rate(&self, base: f64, step: u64) -> f64 {
                (**self).learning_rate(base, step)
            }

            fn check(&self) -> Result<(), String> {
                (**self).check()
            }

            fn observes(&self) -> bool {
                (**self).observes()
            }

            fn observe(&self, memory: &mut Memory, metric: f64) {
                (**self).observe(memory, metric);
            }
        }
    )*};
}

pointers!(Box Arc);
