//! Optimizers and what steers them.
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
mod asgd;
mod builders;
mod decay;
mod group;
mod lion;
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
pub use asgd::ASGD;
pub use decay::Decay;
pub use group::Group;
pub use lion::Lion;
pub use loss_scale::LossScale;
pub use minimize::Minimize;
pub use nadam::NAdam;
pub use radam::RAdam;
pub use rmsprop::RMSprop;
pub use rprop::Rprop;
pub use sgd::SGD;
pub use update::Update;

use std::fmt;
use std::sync::Arc;

use crate::graph::Tensor;

/// How parameters follow from gradients.
///
/// One of your own gives the new value of a parameter as an expression. Like those of this crate it becomes one kernel for all
/// parameters, and gets clipping, accumulation, loss scaling, schedules, groups and checkpoints from [`Minimize`]. Its [`fmt::Debug`]
/// has to tell all of its numbers: programs share an optimizer where it says the same.
///
/// ```
/// use wgrad::optim::{Decay, Optimizer, Update};
/// use wgrad::prelude::*;
///
/// /// Adam without its second moment: steps along a running mean, with the correction of its first steps.
/// #[derive(Debug)]
/// struct Averaged {
///     learning_rate: f64,
///     beta: f64,
///     weight_decay: f64,
/// }
///
/// impl Optimizer for Averaged {
///     fn learning_rate(&self) -> f64 {
///         self.learning_rate
///     }
///
///     fn decay(&self) -> Decay {
///         Decay::decoupled(self.weight_decay)
///     }
///
///     fn update(&self, update: &mut Update<'_>) -> Tensor {
///         let beta = self.beta;
///         let mean = update.state("exp_avg", 0.0);
///         let mean = update.set_state(&mean, &mean * beta + update.gradient() * (1.0 - beta));
///         // Computed on the host before each step, in f64.
///         let size = update.scalar(&format!("averaged.size({beta})"), move |step| {
///             step.learning_rate / (1.0 - beta.powf(step.step as f64))
///         });
///         update.parameter() - &(mean * size)
///     }
/// }
///
/// let g = Graph::new();
/// let loss = nn::Linear::new(&g, "fc", 4, 1).forward(&g.input("x", [8, 4], F32)).square().mean_all();
/// let optimizer: Box<dyn Optimizer> = Box::new(Averaged { learning_rate: 0.1, beta: 0.9, weight_decay: 0.01 });
/// let mut session = g.minimize(&loss, optimizer).clip_norm(1.0).compile(&Device::cpu())?;
/// session.step(&[("x", &TensorData::from_vec(vec![1.0_f32; 32], [8, 4])?)])?;
/// assert!(session.parameter("fc.weight.exp_avg")?.to_f64_vec()[0] != 0.0);
/// # Ok::<(), Error>(())
/// ```
pub trait Optimizer: fmt::Debug + Send + Sync {
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
    fn update(&self, update: &mut Update<'_>) -> Tensor;
}

macro_rules! pointers {
    ($($pointer:ident)*) => {$(
        impl<O: Optimizer + ?Sized> Optimizer for $pointer<O> {
            fn learning_rate(&self) -> f64 {
                (**self).learning_rate()
            }

            fn decay(&self) -> Decay {
                (**self).decay()
            }

            fn check(&self) -> Result<(), String> {
                (**self).check()
            }

            #[track_caller]
            fn update(&self, update: &mut Update<'_>) -> Tensor {
                (**self).update(update)
            }
        }
    )*};
}

pointers!(Box Arc);

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
