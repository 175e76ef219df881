//! Losses. Each is a function of tensors, made of ordinary operators, so that its gradient is theirs.
//!
//! On tensors they are methods that give the mean: `logits.cross_entropy(&labels)`. A [`Loss`] is one of them as data, or one of your
//! own, for a trainer or another [`Reduction`]. Formulas are those of PyTorch's `torch.nn.functional`, and the tests compare with it.

mod binary;
mod classes;
mod distance;
mod divergence;
mod elementwise;
mod margin;
mod negative_sampling;
mod targets;

pub use binary::{BinaryCrossEntropy, BinaryCrossEntropyWithLogits, BinaryCrossEntropyWithPositiveWeight};
pub use classes::{CrossEntropy, CrossEntropyOptions, CrossEntropyWith, Nll, NllWith};
pub use distance::{Huber, L1, Mse};
pub use divergence::{KlDiv, KlDivLogTarget};
pub use margin::{Hinge, cosine_embedding};
pub use negative_sampling::NegativeSampling;

use std::sync::Arc;

use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::{DType, Shape, TensorData};

/// How the losses of single elements (or examples, where a loss is of whole ones) become the result. Not to be confused with
/// [`scalar::Reduction`](crate::scalar::Reduction), which folds axes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Their mean; for cross-entropy with class weights, the weighted mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// None: the losses stay as they are, in their shape.
    None,
    /// Their sum over the extent of the first axis, as the definition of the KL divergence wants.
    BatchMean,
}

impl Reduction {
    /// The name, as in PyTorch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Sum => "sum",
            Self::None => "none",
            Self::BatchMean => "batchmean",
        }
    }

    /// The result for the losses of single elements: a scalar, or the losses themselves with [`None`](Self::None).
    #[track_caller]
    #[must_use]
    pub fn of(self, losses: &Tensor) -> Tensor {
        match self {
            Self::Mean => losses.mean_all(),
            Self::Sum => losses.sum_all(),
            Self::None => losses.clone(),
            Self::BatchMean => losses.sum_all() * (1.0 / losses.shape().first().copied().unwrap_or(1) as f64),
        }
    }
}

/// Σ losses / Σ shares, a scalar. Of no shares at all it is NaN, and its gradients are 0: a batch in which nothing counts shows
/// in the loss, and changes no parameter.
#[track_caller]
pub(crate) fn weighted_mean(losses: &Tensor, shares: &Tensor) -> Tensor {
    let total = shares.sum_all();
    let some = total.ne(0.0);
    let mean = losses.sum_all() / some.select(&total, total.ones_like());
    some.select(&mean, mean.filled_like(f64::NAN))
}

/// A loss as data: what a trainer makes smaller. Functions of prediction and target to a scalar are losses, too; where the compiler
/// has to be told what such a closure takes, [`custom`] does.
///
/// ```
/// use wgrad::graph::Graph;
/// use wgrad::loss::{Huber, Loss, Mse, Reduction};
/// use wgrad::tensor::DType;
/// let g = Graph::new();
/// let x = g.input("x", [32, 3], DType::F32);
/// let y = g.input("y", [32, 3], DType::F32);
/// let mean = Huber { delta: 1.0 }.forward(&x, &y);
/// let sum = Mse.reduced(&x, &y, Reduction::Sum);
/// let each = Mse.reduced(&x, &y, Reduction::None);
/// assert_eq!([mean.rank(), sum.rank(), each.rank()], [0, 0, 2]);
/// assert!(g.error().is_none());
/// ```
///
/// One of your own, which also says what targets it takes:
///
/// ```
/// use wgrad::loss::{Loss, aligned};
/// use wgrad::prelude::*;
///
/// /// log cosh of the distance: a parabola near 0, a line beyond, without a corner.
/// struct LogCosh;
///
/// impl Loss for LogCosh {
///     fn name(&self) -> &str {
///         "log_cosh"
///     }
///
///     fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
///         let distance = prediction - &aligned(prediction, target);
///         // log cosh d = |d| + log(1 + e^(−2·|d|)) − log 2, which does not overflow.
///         let far = distance.abs();
///         (&far + &(&far * -2.0).softplus() - 2.0_f64.ln()).mean_all()
///     }
///
///     fn check_targets(&self, _: &Shape, targets: &TensorData) -> Result<()> {
///         match targets.to_f64_vec().iter().position(|value| !value.is_finite()) {
///             Some(index) => Err(Error::Data(format!("target {index} is not a finite number"))),
///             None => Ok(()),
///         }
///     }
/// }
///
/// let model = Sequential::new([2]).dense(1);
/// let loss: Box<dyn Loss> = Box::new(LogCosh);
/// let trainer = model.compile(&Device::cpu(), SGD::new(0.1), loss, [])?;
/// # let _ = trainer;
/// # Ok::<(), Error>(())
/// ```
pub trait Loss: Send + Sync {
    /// The name in messages; of a loss of this crate, that of the tensor's method.
    fn name(&self) -> &str;

    /// The mean loss, a scalar, of targets as data sets have them: of any element type, and perhaps with a last axis of 1 more or
    /// fewer than the prediction ([`aligned`] and [`labels`] see to that).
    // Not `track_caller`: a mistake in a loss of the user's own is in its own lines.
    fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor;

    /// The loss under any reduction, of targets in the prediction's shape and type, or i32 labels. Where a loss has none but its
    /// mean, others are a mistake.
    #[track_caller]
    fn reduced(&self, prediction: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
        match reduction {
            Reduction::Mean => self.forward(prediction, target),
            Reduction::Sum | Reduction::None | Reduction::BatchMean => prediction.graph().mistake(
                &format!("{} loss", self.name()),
                format!("gives one number, and has no reduction {:?}", reduction.name()),
            ),
        }
    }

    /// Checks the values of targets, whose first axis counts the examples, for predictions of a shape: no program looks at them.
    ///
    /// ```
    /// use wgrad::loss::{CrossEntropy, Loss};
    /// use wgrad::tensor::TensorData;
    /// let labels = TensorData::from_vec(vec![0, 2, 3], [3])?;
    /// let error = CrossEntropy.check_targets(&[3, 3].into(), &labels).unwrap_err().to_string();
    /// assert_eq!(error, "label 3 of example 2 is out of range: with 3 classes, labels are 0 to 2");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) that names the first example whose target is a label that is no class (nor the one that
    /// is [ignored](Self::ignored_label)), a binary target that is not from 0 to 1, a side other than −1 and 1 of a hinge, a
    /// probability below 0, or a value that is not finite. Without a rule of its own, a loss takes anything.
    fn check_targets(&self, prediction: &Shape, targets: &TensorData) -> Result<()> {
        let _ = (prediction, targets);
        Ok(())
    }

    /// What each example weighs in the mean of a batch: nothing where its labels do not count. `None` where all weigh the same.
    fn example_weights(&self, targets: &TensorData) -> Option<Vec<f64>> {
        let _ = targets;
        None
    }

    /// The label of what does not count, neither here nor in metrics.
    fn ignored_label(&self) -> Option<i32> {
        None
    }

    /// Above which score metrics take a binary prediction for class 1: 0 for logits, 0.5 (also where this is `None`) for
    /// probabilities.
    fn threshold(&self) -> Option<f64> {
        None
    }
}

macro_rules! pointers {
    ($($pointer:ident)*) => {$(
        impl Loss for $pointer<dyn Loss> {
            fn name(&self) -> &str {
                (**self).name()
            }

            #[track_caller]
            fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
                (**self).forward(prediction, target)
            }

            #[track_caller]
            fn reduced(&self, prediction: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
                (**self).reduced(prediction, target, reduction)
            }

            fn check_targets(&self, prediction: &Shape, targets: &TensorData) -> Result<()> {
                (**self).check_targets(prediction, targets)
            }

            fn example_weights(&self, targets: &TensorData) -> Option<Vec<f64>> {
                (**self).example_weights(targets)
            }

            fn ignored_label(&self) -> Option<i32> {
                (**self).ignored_label()
            }

            fn threshold(&self) -> Option<f64> {
                (**self).threshold()
            }
        }
    )*};
}

pointers!(Box Arc);

impl<F: Fn(&Tensor, &Tensor) -> Tensor + Send + Sync> Loss for F {
    fn name(&self) -> &str {
        "custom"
    }

    #[track_caller]
    fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
        self(prediction, target)
    }
}

/// A loss that is a closure of prediction and target to a scalar.
///
/// ```
/// use wgrad::loss::{Loss, custom};
/// let quartic = custom(|x, y| (x - y).square().square().mean_all());
/// assert_eq!(quartic.name(), "custom");
/// ```
pub fn custom<F: Fn(&Tensor, &Tensor) -> Tensor + Send + Sync>(function: F) -> F {
    function
}

/// Targets as data sets have them, as numbers beside a prediction: cast to its type, and with its last axis of 1 or without one.
#[track_caller]
#[must_use]
pub fn aligned(prediction: &Tensor, target: &Tensor) -> Tensor {
    fitted(prediction, target, prediction.dtype(), prediction.rank())
}

/// Targets as data sets have them, as labels of a prediction of scores along one axis: i32, without a last axis of 1.
#[track_caller]
#[must_use]
pub fn labels(prediction: &Tensor, target: &Tensor) -> Tensor {
    fitted(prediction, target, DType::I32, prediction.rank().saturating_sub(1))
}

#[track_caller]
fn fitted(prediction: &Tensor, target: &Tensor, dtype: DType, rank: usize) -> Tensor {
    if prediction.graph().error().is_some() {
        return target.clone();
    }
    let target = target.i32_indices().cast(dtype);
    let (shape, own) = (prediction.shape(), target.shape());
    if own.rank() == rank + 1 && own.last() == Some(&1) {
        target.squeeze(-1)
    } else if own.rank() + 1 == rank && shape.last() == Some(&1) {
        target.unsqueeze(-1)
    } else {
        target
    }
}

macro_rules! methods {
    ($($name:ident $loss:expr, $doc:literal;)*) => {
        impl Tensor {
            $(#[doc = $doc]
            #[doc = ""]
            #[doc = "The mean over all elements, a scalar; for other reductions see [`Loss::reduced`]."]
            #[track_caller]
            #[must_use]
            pub fn $name(&self, target: &Self) -> Self {
                $loss.reduced(self, target, Reduction::Mean)
            })*
        }
    };
}

methods! {
    mse Mse, "The square of the difference to a target of the same shape.";
    l1 L1, "The distance to a target of the same shape.";
    binary_cross_entropy BinaryCrossEntropy, "−y·log x − (1 − y)·log(1 − x), of probabilities x and targets y from 0 to 1 of the same shape. As in PyTorch it is at most 100.";
    binary_cross_entropy_with_logits BinaryCrossEntropyWithLogits, "The binary cross-entropy of the sigmoid of x, which neither overflows nor loses digits.";
    cross_entropy CrossEntropy, "−log softmax(x) at the label: logits `[…, classes]`, i32 labels `[…]` from 0 to classes − 1.";
    nll Nll, "−x at the label: log-probabilities `[…, classes]`, i32 labels `[…]` from 0 to classes − 1.";
    kl_div KlDiv, "y·(log y − x), of log-probabilities x and probabilities y of the same shape.";
    kl_div_log_target KlDivLogTarget, "e^y·(y − x), of log-probabilities x and y of the same shape.";
    hinge Hinge, "max(0, 1 − y·x), of scores x and targets y = ±1 of the same shape.";
}

impl Tensor {
    /// d²/2 for |d| < δ, else δ·(|d| − δ/2), of the difference d to a target of the same shape (Huber 1964).
    ///
    /// The mean over all elements, a scalar; for other reductions see [`Loss::reduced`].
    #[track_caller]
    #[must_use]
    pub fn huber(&self, target: &Self, delta: f64) -> Self {
        Huber { delta }.reduced(self, target, Reduction::Mean)
    }

    /// [`cross_entropy`](Self::cross_entropy) with class weights, label smoothing, ignored labels or another class axis.
    #[track_caller]
    #[must_use]
    pub fn cross_entropy_with(&self, labels: &Self, options: &CrossEntropyOptions) -> Self {
        classes::cross_entropy(self, labels, options, Reduction::Mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    fn message(g: &Graph) -> String {
        g.error().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn shapes_that_would_broadcast_are_a_mistake_with_a_line() {
        let g = Graph::new();
        let (x, y) = (g.input("x", [32, 1], DType::F32), g.input("y", [32], DType::F32));
        let (_, line) = (x.mse(&y), line!());
        let expected = "mse: the prediction is [32, 1], the target [32]; they must be alike";
        assert_eq!(message(&g), format!("{expected} (at {}:{line})", file!()));
    }

    #[test]
    fn integers_are_no_targets_of_a_regression() {
        let g = Graph::new();
        let (x, y) = (g.input("x", [3], DType::F32), g.input("y", [3], DType::I32));
        let _ = x.binary_cross_entropy(&y);
        assert!(
            message(&g).starts_with(
                "binary_cross_entropy: wants a prediction and a target of one float type, not f32 and i32"
            )
        );
    }

    #[test]
    fn targets_may_be_as_data_sets_have_them() {
        /// A loss, the shapes of prediction and target, the target's type, and how the message begins.
        type Case<'a> = (&'a dyn Loss, &'a [usize], &'a [usize], DType, &'a str);
        let cases: [Case<'_>; 8] = [
            (&BinaryCrossEntropy, &[4, 1], &[4], DType::I32, ""),
            (&BinaryCrossEntropy, &[4], &[4, 1], DType::Bool, ""),
            (&Mse, &[4, 1], &[4, 1], DType::U8, ""),
            (&Mse, &[4, 3], &[4], DType::F32, "mse: the prediction is [4, 3], the target [4]"),
            (&CrossEntropy, &[4, 3], &[4], DType::U8, ""),
            (&CrossEntropy, &[4, 3], &[4, 1], DType::F32, ""),
            (&CrossEntropy, &[4, 5, 3], &[4, 5], DType::I32, ""),
            (&CrossEntropy, &[4, 3], &[5], DType::I32, "cross_entropy: a prediction of shape [4, 3]"),
        ];
        for (loss, prediction, target, dtype, expected) in cases {
            let g = Graph::new();
            let (x, y) = (g.input("x", prediction, DType::F32), g.input("y", target, dtype));
            assert_eq!(loss.forward(&x, &y).rank(), 0);
            let found = message(&g);
            assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{found}");
        }
    }

    #[test]
    fn a_custom_loss_has_no_reduction_but_its_own() {
        let g = Graph::new();
        let x = g.input("x", [3], DType::F32);
        let loss = custom(|x, y| (x - y).abs().sum_all());
        assert_eq!((loss.forward(&x, &x).rank(), message(&g)), (0, String::new()));
        let _ = loss.reduced(&x, &x, Reduction::Sum);
        assert!(message(&g).starts_with("custom loss: gives one number, and has no reduction \"sum\""));
    }

    #[test]
    fn only_the_first_mistake_is_told() {
        let g = Graph::new();
        let (x, y) = (g.input("x", [3, 2], DType::F32), g.input("y", [4], DType::F32));
        let _ = x.matmul(&y).mse(&y);
        assert!(message(&g).starts_with("matmul"));
    }
}
