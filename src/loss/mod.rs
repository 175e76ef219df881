//! Floor 6: losses. Each is a function of tensors, made of ordinary operators, so that its gradient is theirs.
//!
//! On tensors they are methods that give the mean: `logits.cross_entropy(&labels)`. A [`Loss`] is one of them as data, for a
//! trainer or another [`Reduction`]. Formulas are those of PyTorch's `torch.nn.functional`, and the tests compare with it.

mod binary;
mod classes;
mod distance;
mod divergence;
mod margin;
mod targets;

pub use classes::CrossEntropyOptions;
pub use margin::cosine_embedding;

use std::fmt;
use std::sync::Arc;

use crate::graph::Tensor;
use crate::tensor::DType;

/// What becomes of the losses of single elements (or examples, where a loss is of whole ones).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Their mean; for cross-entropy with class weights, the weighted mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// They stay as they are.
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

    #[track_caller]
    fn of(self, losses: &Tensor) -> Tensor {
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

/// A function of prediction and target to a scalar.
pub type LossFunction = dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync;

/// A loss as data. Predictions and targets have one shape, but for the losses of classes, whose targets are i32 labels.
///
/// ```
/// use wgrad::graph::Graph;
/// use wgrad::loss::{Loss, Reduction};
/// use wgrad::tensor::DType;
/// let g = Graph::new();
/// let x = g.input("x", [32, 3], DType::F32);
/// let y = g.input("y", [32, 3], DType::F32);
/// let mean = Loss::Huber { delta: 1.0 }.forward(&x, &y);
/// let sum = Loss::Mse.reduced(&x, &y, Reduction::Sum);
/// let each = Loss::Mse.reduced(&x, &y, Reduction::None);
/// assert_eq!([mean.rank(), sum.rank(), each.rank()], [0, 0, 2]);
/// assert!(g.error().is_none());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Loss {
    /// (x − y)²
    Mse,
    /// |x − y|
    L1,
    /// d²/2 for |d| < δ, else δ·(|d| − δ/2), of d = x − y (Huber 1964).
    Huber {
        /// Where the parabola becomes a line.
        delta: f64,
    },
    /// −y·log x − (1 − y)·log(1 − x), of probabilities x.
    BinaryCrossEntropy,
    /// The same of the sigmoid of x, without overflow.
    BinaryCrossEntropyWithLogits,
    /// [`BinaryCrossEntropyWithLogits`](Self::BinaryCrossEntropyWithLogits) with the first term times a weight: one for each
    /// element of the last axis, or one for all.
    BinaryCrossEntropyWithPositiveWeight(Vec<f64>),
    /// −log softmax(x) at the label, along the last axis.
    CrossEntropy,
    /// [`CrossEntropy`](Self::CrossEntropy) with options.
    CrossEntropyWith(CrossEntropyOptions),
    /// −x at the label, of log-probabilities x, along the last axis.
    Nll,
    /// [`Nll`](Self::Nll) with options (all but label smoothing).
    NllWith(CrossEntropyOptions),
    /// y·(log y − x), of log-probabilities x and probabilities y.
    KlDiv,
    /// e^y·(y − x), of log-probabilities x and y: PyTorch's `kl_div` with `log_target=True`.
    KlDivLogTarget,
    /// max(0, 1 − y·x), of targets ±1.
    Hinge,
    /// A function of prediction and target to a scalar.
    Custom(Arc<LossFunction>),
}

impl Loss {
    /// A loss of one's own.
    ///
    /// ```
    /// use wgrad::loss::Loss;
    /// let quartic = Loss::custom(|x, y| (x - y).square().square().mean_all());
    /// assert_eq!(quartic.name(), "custom");
    /// ```
    pub fn custom(function: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(function))
    }

    /// The mean loss, a scalar, of targets as data sets have them: integers are cast to the prediction's type, numbers
    /// to labels, and a last axis of 1 is taken or given where one side lacks it.
    #[track_caller]
    pub fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
        if prediction.graph().error().is_some() || matches!(self, Self::Custom(_)) {
            return self.reduced(prediction, target, Reduction::Mean);
        }
        let dtype = if self.takes_labels() { DType::I32 } else { prediction.dtype() };
        let target = target.i32_indices().cast(dtype);
        let (shape, own) = (prediction.shape(), target.shape());
        let wanted = shape.rank().saturating_sub(usize::from(self.takes_labels()));
        let target = if own.rank() == wanted + 1 && own.last() == Some(&1) {
            target.squeeze(-1)
        } else if own.rank() + 1 == wanted && shape.last() == Some(&1) {
            target.unsqueeze(-1)
        } else {
            target
        };
        self.reduced(prediction, &target, Reduction::Mean)
    }

    /// The loss under any reduction.
    #[track_caller]
    pub fn reduced(&self, prediction: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
        match self {
            Self::CrossEntropy => {
                classes::cross_entropy(prediction, target, &CrossEntropyOptions::default(), reduction)
            }
            Self::CrossEntropyWith(options) => classes::cross_entropy(prediction, target, options, reduction),
            Self::Nll => classes::nll(prediction, target, &CrossEntropyOptions::default(), reduction),
            Self::NllWith(options) => classes::nll(prediction, target, options, reduction),
            Self::Custom(function) => match reduction {
                Reduction::Mean => function(prediction, target),
                Reduction::Sum | Reduction::None | Reduction::BatchMean => prediction
                    .graph()
                    .mistake("custom loss", format!("gives one number, and has no reduction {:?}", reduction.name())),
            },
            Self::Mse
            | Self::L1
            | Self::Huber { .. }
            | Self::BinaryCrossEntropy
            | Self::BinaryCrossEntropyWithLogits
            | Self::BinaryCrossEntropyWithPositiveWeight(_)
            | Self::KlDiv
            | Self::KlDivLogTarget
            | Self::Hinge => {
                if let Some(complaint) = unlike(prediction, target) {
                    return prediction.graph().mistake(self.name(), complaint);
                }
                reduction.of(&self.each(prediction, target))
            }
        }
    }

    /// The losses of the single elements, where prediction and target are alike.
    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        match self {
            Self::Mse => (x - y).square(),
            Self::L1 => (x - y).abs(),
            Self::Huber { delta } => distance::huber(x, y, *delta),
            Self::BinaryCrossEntropy => binary::binary_cross_entropy(x, y),
            Self::BinaryCrossEntropyWithLogits => binary::with_logits(x, y),
            Self::BinaryCrossEntropyWithPositiveWeight(weights) => binary::with_positive_weight(x, y, weights),
            Self::KlDiv => divergence::kl_div(x, y),
            Self::KlDivLogTarget => divergence::kl_div_log_target(x, y),
            Self::Hinge => margin::hinge(x, y),
            Self::CrossEntropy | Self::CrossEntropyWith(_) | Self::Nll | Self::NllWith(_) | Self::Custom(_) => {
                x.graph().mistake(self.name(), "it is no loss of single elements")
            }
        }
    }

    /// The name, as that of the tensor's method.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mse => "mse",
            Self::L1 => "l1",
            Self::Huber { .. } => "huber",
            Self::BinaryCrossEntropy => "binary_cross_entropy",
            Self::BinaryCrossEntropyWithLogits | Self::BinaryCrossEntropyWithPositiveWeight(_) => {
                "binary_cross_entropy_with_logits"
            }
            Self::CrossEntropy | Self::CrossEntropyWith(_) => "cross_entropy",
            Self::Nll | Self::NllWith(_) => "nll",
            Self::KlDiv => "kl_div",
            Self::KlDivLogTarget => "kl_div_log_target",
            Self::Hinge => "hinge",
            Self::Custom(_) => "custom",
        }
    }

    /// True where targets are i32 labels of classes, one for each example (or position), instead of numbers like the prediction.
    pub const fn takes_labels(&self) -> bool {
        matches!(self, Self::CrossEntropy | Self::CrossEntropyWith(_) | Self::Nll | Self::NllWith(_))
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Huber { delta } => write!(formatter, "Huber {{ delta: {delta:?} }}"),
            Self::BinaryCrossEntropyWithPositiveWeight(weights) => {
                write!(formatter, "BinaryCrossEntropyWithPositiveWeight({weights:?})")
            }
            Self::CrossEntropyWith(options) => write!(formatter, "CrossEntropyWith({options:?})"),
            Self::NllWith(options) => write!(formatter, "NllWith({options:?})"),
            other => formatter.write_str(other.name()),
        }
    }
}

/// What is wrong with a pair that should be of one shape and one float type: broadcasting would hide a mistake.
fn unlike(prediction: &Tensor, target: &Tensor) -> Option<String> {
    if prediction.graph().error().is_some() {
        return None; // whatever follows from a mistake is none of its own
    }
    let (left, right) = (prediction.ty(), target.ty());
    if left.shape != right.shape {
        return Some(format!("the prediction is {}, the target {}; they must be alike", left.shape, right.shape));
    }
    if left.dtype != right.dtype || !left.dtype.is_float() {
        return Some(format!(
            "wants a prediction and a target of one float type, not {} and {}; cast them",
            left.dtype, right.dtype
        ));
    }
    None
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
    mse Loss::Mse, "The square of the difference to a target of the same shape.";
    l1 Loss::L1, "The distance to a target of the same shape.";
    binary_cross_entropy Loss::BinaryCrossEntropy, "−y·log x − (1 − y)·log(1 − x), of probabilities x and targets y from 0 to 1 of the same shape. As in PyTorch it is at most 100.";
    binary_cross_entropy_with_logits Loss::BinaryCrossEntropyWithLogits, "The binary cross-entropy of the sigmoid of x, which neither overflows nor loses digits.";
    cross_entropy Loss::CrossEntropy, "−log softmax(x) at the label: logits `[…, classes]`, i32 labels `[…]` from 0 to classes − 1.";
    nll Loss::Nll, "−x at the label: log-probabilities `[…, classes]`, i32 labels `[…]` from 0 to classes − 1.";
    kl_div Loss::KlDiv, "y·(log y − x), of log-probabilities x and probabilities y of the same shape.";
    kl_div_log_target Loss::KlDivLogTarget, "e^y·(y − x), of log-probabilities x and y of the same shape.";
    hinge Loss::Hinge, "max(0, 1 − y·x), of scores x and targets y = ±1 of the same shape.";
}

impl Tensor {
    /// d²/2 for |d| < δ, else δ·(|d| − δ/2), of the difference d to a target of the same shape (Huber 1964).
    ///
    /// The mean over all elements, a scalar; for other reductions see [`Loss::reduced`].
    #[track_caller]
    #[must_use]
    pub fn huber(&self, target: &Self, delta: f64) -> Self {
        Loss::Huber { delta }.reduced(self, target, Reduction::Mean)
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
        type Case<'a> = (Loss, &'a [usize], &'a [usize], DType, &'a str);
        let cases: [Case<'_>; 8] = [
            (Loss::BinaryCrossEntropy, &[4, 1], &[4], DType::I32, ""),
            (Loss::BinaryCrossEntropy, &[4], &[4, 1], DType::Bool, ""),
            (Loss::Mse, &[4, 1], &[4, 1], DType::U8, ""),
            (Loss::Mse, &[4, 3], &[4], DType::F32, "mse: the prediction is [4, 3], the target [4]"),
            (Loss::CrossEntropy, &[4, 3], &[4], DType::U8, ""),
            (Loss::CrossEntropy, &[4, 3], &[4, 1], DType::F32, ""),
            (Loss::CrossEntropy, &[4, 5, 3], &[4, 5], DType::I32, ""),
            (Loss::CrossEntropy, &[4, 3], &[5], DType::I32, "cross_entropy: a prediction of shape [4, 3]"),
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
        let loss = Loss::custom(|x, y| (x - y).abs().sum_all());
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
