//! Floor 6: optimizers and what steers them.
//!
//! An [`Optimizer`] is plain data. [`Graph::minimize`](crate::graph::Graph::minimize) writes its updates into the graph, as
//! ordinary expressions of parameter, gradient and state, the same for every parameter: so the compiler can make one kernel
//! of them all. What depends on the step alone (learning rates, bias corrections) is computed on the host in f64.
//!
//! Formulas and names of states are those of `torch.optim`; the tests compare with it.

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod decay;
mod group;
mod loss_scale;
mod minimize;
mod nadam;
mod radam;
mod rmsprop;
mod rprop;
pub mod schedule;
mod sgd;
mod update;

pub use adadelta::Adadelta;
pub use adagrad::Adagrad;
pub use adam::{Adam, AdamW};
pub use adamax::Adamax;
pub use decay::Decay;
pub use group::Group;
pub use loss_scale::LossScale;
pub use minimize::Minimize;
pub use nadam::NAdam;
pub use radam::RAdam;
pub use rmsprop::RMSprop;
pub use rprop::Rprop;
pub use sgd::SGD;
pub use update::Update;

use std::fmt;

use crate::graph::Tensor;

/// How parameters follow from gradients.
///
/// One of your own: give the new value of a parameter as an expression.
///
/// ```
/// use wgrad::graph::Tensor;
/// use wgrad::optim::{Optimizer, Update};
///
/// /// Steps of one size, by the sign of the gradient's running mean (Lion without its second factor; Chen et al. 2023).
/// #[derive(Debug)]
/// struct SignDescent {
///     learning_rate: f64,
///     beta: f64,
/// }
///
/// impl Optimizer for SignDescent {
///     fn learning_rate(&self) -> f64 {
///         self.learning_rate
///     }
///
///     fn update(&self, update: &mut Update<'_>) -> Tensor {
///         let mean = update.state("exp_avg", 0.0);
///         let mean = update.set_state(&mean, &mean * self.beta + update.gradient() * (1.0 - self.beta));
///         update.parameter() - &(mean.sign() * update.learning_rate())
///     }
/// }
/// ```
pub trait Optimizer: fmt::Debug {
    /// The learning rate, before any schedule.
    fn learning_rate(&self) -> f64;

    /// What draws parameters to 0 besides the gradient.
    fn decay(&self) -> Decay {
        Decay::default()
    }

    /// What is wrong with the numbers, if anything.
    ///
    /// # Errors
    /// A message for the user; the graph adds the line.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The new value of a parameter. Decay is in the parameter and the gradient already.
    #[track_caller]
    fn update(&self, update: &mut Update<'_>) -> Tensor;
}

/// A message for the first number that is out of its range.
fn in_range(numbers: &[(&str, f64, std::ops::Range<f64>)]) -> Result<(), String> {
    match numbers.iter().find(|(_, value, range)| !range.contains(value)) {
        Some((name, value, range)) if range.end == f64::INFINITY => {
            Err(format!("{name} is {value}, and must be a number of at least {}", range.start))
        }
        Some((name, value, range)) => {
            Err(format!("{name} is {value}, and must be from {} up to, without, {}", range.start, range.end))
        }
        None => Ok(()),
    }
}

/// Numbers of at least 0.
const NON_NEGATIVE: std::ops::Range<f64> = 0.0..f64::INFINITY;
/// Shares that a running mean keeps.
const SHARE: std::ops::Range<f64> = 0.0..1.0;
