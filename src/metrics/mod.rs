//! Metrics, which say how good predictions are in terms that people use.
//!
//! A [`Metric`] says how it is [measured](Measure): on the host, by an accumulator that is fed predictions as a validation epoch
//! proceeds; on the device, as sums over batches, so that predictions need not be read; or from the mean loss. Those of this crate
//! are the [`BuiltIn`] ones. Everything about classes is counted in one [`ConfusionMatrix`] and derived from it. The definitions are
//! scikit-learn's, and the tests compare with it.

mod bleu;
mod builtin;
mod confusion;
mod correlation;
mod decode;
mod perplexity;
mod ranking;
mod regression;

pub use bleu::{Bleu, BleuScore, BleuSmoothing};
pub use builtin::{Accumulator, BuiltIn};
pub use confusion::{Average, ClassScores, ConfusionMatrix};
pub use correlation::spearman;
pub use perplexity::Perplexity;

use std::fmt;

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::loss::Loss;
use crate::tensor::{DType, TensorData};

/// Something to measure: one of the [`BuiltIn`] metrics, [`Perplexity`], or one of your own.
///
/// One of your own, measured on the device:
///
/// ```
/// use wgrad::data::Dataset;
/// use wgrad::metrics::{Batch, Measure, Reading, Sums};
/// use wgrad::prelude::*;
///
/// /// The share of predictions within a distance of their target.
/// #[derive(Debug)]
/// struct Within(f64);
///
/// impl Metric for Within {
///     fn name(&self) -> String {
///         format!("within_{}", self.0)
///     }
///
///     fn measure(&self, _: Reading) -> Measure<'_> {
///         Measure::Sums(self)
///     }
/// }
///
/// impl Sums for Within {
///     fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor> {
///         let distance = (batch.prediction() - &batch.target().cast(F32)).abs();
///         let near = distance.le(self.0).cast(F32);
///         vec![near.sum_all(), near.ones_like().sum_all()]
///     }
///
///     fn result(&self, sums: &[f64]) -> Option<f64> {
///         (sums[1] > 0.0).then(|| sums[0] / sums[1])
///     }
/// }
///
/// let x: Vec<f32> = (0..10).map(|k| k as f32).collect();
/// let data = Dataset::new([
///     ("x", TensorData::from_vec(x.clone(), [10, 1])?),
///     ("y", TensorData::from_vec(x.iter().map(|x| x * 1.1).collect(), [10, 1])?),
/// ])?;
/// let same = |_: &Graph, x: &Tensor, _: Mode| x.clone();
/// let mut trainer = Trainer::new(same, &Device::cpu(), SGD::new(0.1), loss::Mse, (Within(0.45), metrics::BuiltIn::Mae));
/// let evaluation = trainer.evaluation_batch(4).evaluate(&data)?; // in batches of 4, 4 and 2
/// assert_eq!(evaluation.metric("within_0.45"), Some(0.5));
/// # use wgrad::{loss, metrics};
/// # Ok::<(), Error>(())
/// ```
pub trait Metric: fmt::Debug + Send + Sync {
    /// The name in reports, logs and JSON.
    fn name(&self) -> String;

    /// Whether more is better; false for errors.
    fn higher_is_better(&self) -> bool {
        true
    }

    /// How it is measured over some data, whose predictions and targets are to be read like this.
    fn measure(&self, reading: Reading) -> Measure<'_>;
}

/// How a [`Metric`] is measured.
pub enum Measure<'a> {
    /// On the host, from the predictions and targets of all examples.
    Predictions(Box<dyn Accumulate>),
    /// On the device, as values that are added up over batches.
    Sums(&'a dyn Sums),
    /// From the mean loss.
    Loss(fn(f64) -> f64),
}

/// What a metric adds up on the host.
pub trait Accumulate {
    /// Takes a batch.
    ///
    /// # Errors
    /// [`Error::Data`] for predictions and targets that do not go together; it is then as it was.
    fn update(&mut self, predictions: &TensorData, targets: &TensorData) -> Result<()>;

    /// The value so far; `None` where there is none, as before any example.
    fn value(&self) -> Option<f64>;
}

/// What a metric adds up on the device.
pub trait Sums {
    /// What a batch adds: tensors of any types and shapes, the same for each batch, be it a smaller one. Batches are added up in
    /// f64; within a batch, an f32 counts to 2²⁴ and an i32 to 2³¹.
    fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor>;

    /// The value that the sums make, whose elements stand one after the other; `None` where there is none, as of no examples.
    fn result(&self, sums: &[f64]) -> Option<f64>;
}

/// How predictions and targets are to be read: as the loss reads them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Above which score a binary prediction is taken for class 1: 0.5 for probabilities, 0 for logits.
    pub threshold: f64,
    /// A label that marks examples, or positions, to be left out, such as the padding of a sequence.
    pub ignored_label: Option<i32>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { threshold: 0.5, ignored_label: None }
    }
}

impl Reading {
    /// As a loss says.
    pub fn of(loss: &dyn Loss) -> Self {
        let usual = Self::default();
        Self { threshold: loss.threshold().unwrap_or(usual.threshold), ignored_label: loss.ignored_label() }
    }
}

/// A batch in the program that evaluates it.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    prediction: &'a Tensor,
    target: &'a Tensor,
    reading: Reading,
}

impl<'a> Batch<'a> {
    /// Of predictions and targets, to be read like this.
    pub const fn new(prediction: &'a Tensor, target: &'a Tensor, reading: Reading) -> Self {
        Self { prediction, target, reading }
    }

    /// What the model says.
    pub const fn prediction(&self) -> &'a Tensor {
        self.prediction
    }

    /// The targets as the data set has them. See [`loss::aligned`](crate::loss::aligned) and
    /// [`loss::labels`](crate::loss::labels).
    pub const fn target(&self) -> &'a Tensor {
        self.target
    }

    /// How the two are to be read.
    pub const fn reading(&self) -> Reading {
        self.reading
    }

    /// For each target, f32: 1 where it counts, and 0 where its label is ignored.
    #[track_caller]
    pub fn counted(&self) -> Tensor {
        match self.reading.ignored_label {
            Some(label) => self.target.ne(f64::from(label)).cast(DType::F32),
            None => self.target.cast(DType::F32).ones_like(),
        }
    }
}

impl<M: Metric + ?Sized> Metric for Box<M> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn higher_is_better(&self) -> bool {
        (**self).higher_is_better()
    }

    fn measure(&self, reading: Reading) -> Measure<'_> {
        (**self).measure(reading)
    }
}

/// Metrics for a trainer: one, an array of built-in ones (`[]` for none), a `Vec` of one kind or of `Box<dyn Metric>`, or a tuple of any.
pub trait Metrics {
    /// Each in a box.
    fn boxed(self) -> Vec<Box<dyn Metric>>;
}

impl<M: Metric + 'static> Metrics for M {
    fn boxed(self) -> Vec<Box<dyn Metric>> {
        vec![Box::new(self)]
    }
}

/// Of built-in ones alone, so that `[]` is none of a known kind.
impl<const COUNT: usize> Metrics for [BuiltIn; COUNT] {
    fn boxed(self) -> Vec<Box<dyn Metric>> {
        Vec::from(self).boxed()
    }
}

impl<M: Metric + 'static> Metrics for Vec<M> {
    fn boxed(self) -> Vec<Box<dyn Metric>> {
        self.into_iter().map(|metric| Box::new(metric) as Box<dyn Metric>).collect()
    }
}

macro_rules! tuples {
    ($(($($metric:ident $index:tt),+))*) => {$(
        impl<$($metric: Metric + 'static),+> Metrics for ($($metric,)+) {
            fn boxed(self) -> Vec<Box<dyn Metric>> {
                vec![$(Box::new(self.$index)),+]
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
}

/// An error about predictions and targets that do not go together.
fn mismatch(predictions: &TensorData, targets: &TensorData, expected: &str) -> Error {
    Error::Data(format!(
        "a metric cannot compare predictions {} with targets {}: {expected}",
        predictions.ty(),
        targets.ty()
    ))
}

/// An error about a prediction that is not a number, which mostly means that training went wrong.
fn not_a_number(example: usize) -> Error {
    Error::Data(format!("the prediction for example {example} is not a finite number; has the training diverged?"))
}
