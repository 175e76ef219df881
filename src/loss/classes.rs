//! Losses of classes: cross-entropy and negative log-likelihood.
//!
//! What stands at the label is picked by comparing coordinates, not by addresses. So the gradient is one expression of each
//! element, e^(x − lse) − [class = label], without a scatter.

use super::targets::{check_labels, label_weights};
use super::{Loss, Reduction, labels, weighted_mean};
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::{DType, Shape, TensorData};

/// Options of [`cross_entropy_with`](Tensor::cross_entropy_with) and of the negative log-likelihood.
///
/// ```
/// use wgrad::graph::Graph;
/// use wgrad::loss::CrossEntropyOptions;
/// use wgrad::tensor::DType;
/// let g = Graph::new();
/// let logits = g.input("logits", [8, 3, 5, 5], DType::F32); // PyTorch's layout of images: classes are axis 1
/// let labels = g.input("labels", [8, 5, 5], DType::I32);
/// let options = CrossEntropyOptions { class_axis: 1, ignore_index: Some(-100), ..Default::default() };
/// assert_eq!(logits.cross_entropy_with(&labels, &options).rank(), 0);
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropyOptions {
    /// A weight for each class; without, all weigh the same. A mean is over the weights: where those of a whole batch are 0, or all
    /// of its labels are ignored, it is NaN and the gradients are 0.
    pub class_weights: Option<Vec<f64>>,
    /// The share of the target that is spread evenly over all classes (Szegedy et al. 2016), from 0 to 1.
    pub label_smoothing: f64,
    /// The label of examples that do not count, neither in the sum nor in the mean. `None`, the default, lets all count (PyTorch's default
    /// is −100).
    pub ignore_index: Option<i32>,
    /// The axis of the classes; negative ones count from the end. PyTorch has 1, which is the last where there are two.
    pub class_axis: isize,
}

impl Default for CrossEntropyOptions {
    fn default() -> Self {
        Self { class_weights: None, label_smoothing: 0.0, ignore_index: None, class_axis: -1 }
    }
}

/// −log softmax(x) at the label: logits `[…, classes]`, i32 labels `[…]`. PyTorch's `CrossEntropyLoss`, with the classes on the last axis;
/// Keras's `SparseCategoricalCrossentropy(from_logits=True)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrossEntropy;

/// [`CrossEntropy`] with options.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropyWith(pub CrossEntropyOptions);

/// −x at the label: log-probabilities x `[…, classes]`, i32 labels `[…]`. PyTorch's `NLLLoss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nll;

/// [`Nll`] with options (all but label smoothing).
#[derive(Clone, Debug, PartialEq)]
pub struct NllWith(pub CrossEntropyOptions);

/// Without options.
const PLAIN: CrossEntropyOptions =
    CrossEntropyOptions { class_weights: None, label_smoothing: 0.0, ignore_index: None, class_axis: -1 };

macro_rules! losses {
    ($($loss:ident $name:literal $function:ident |$this:ident| $options:expr, $weighs:expr;)*) => {$(
        impl Loss for $loss {
            fn name(&self) -> &str {
                $name
            }

            #[track_caller]
            fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
                self.reduced(prediction, &labels(prediction, target), Reduction::Mean)
            }

            #[track_caller]
            fn reduced(&self, prediction: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
                let $this = self;
                $function(prediction, target, $options, reduction)
            }

            fn check_targets(&self, prediction: &Shape, targets: &TensorData) -> Result<()> {
                let $this = self;
                check_labels($options, prediction, targets)
            }

            fn example_weights(&self, targets: &TensorData) -> Option<Vec<f64>> {
                let $this = self;
                let weighs: Option<&CrossEntropyOptions> = $weighs;
                weighs.map(|options| label_weights(options, targets))
            }

            fn ignored_label(&self) -> Option<i32> {
                let $this = self;
                $options.ignore_index
            }
        }
    )*};
}

losses! {
    CrossEntropy "cross_entropy" cross_entropy |_this| &PLAIN, None;
    CrossEntropyWith "cross_entropy" cross_entropy |this| &this.0, Some(&this.0);
    Nll "nll" nll |_this| &PLAIN, None;
    NllWith "nll" nll |this| &this.0, Some(&this.0);
}

/// −log softmax(x) at the label.
#[track_caller]
pub(super) fn cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    options: &CrossEntropyOptions,
    reduction: Reduction,
) -> Tensor {
    let classes = match Classes::new("cross_entropy", logits, labels, options) {
        Ok(classes) => classes,
        Err(placeholder) => return placeholder,
    };
    let (axis, smoothing) = (classes.axis as isize, options.label_smoothing);
    if !(0.0..=1.0).contains(&smoothing) {
        return logits
            .graph()
            .mistake("cross_entropy", format!("label smoothing is {smoothing}, and must be from 0 to 1"));
    }
    let log_sum = logits.log_sum_exp([axis]);
    let mut losses = classes.weighted(&log_sum - &classes.pick(logits));
    if smoothing > 0.0 {
        // The mean over classes of w·(lse − x), as (Σw)·lse − Σ w·x: what is spread is as large for every example.
        let (sum, total) = match &classes.weights {
            Some((weights, total)) => ((logits * weights).sum([axis]), *total),
            None => (logits.sum([axis]), classes.count as f64),
        };
        losses = losses * (1.0 - smoothing) + (log_sum * total - sum) * (smoothing / classes.count as f64);
    }
    classes.reduced(losses, reduction)
}

/// −x at the label, of log-probabilities.
#[track_caller]
fn nll(x: &Tensor, labels: &Tensor, options: &CrossEntropyOptions, reduction: Reduction) -> Tensor {
    let classes = match Classes::new("nll", x, labels, options) {
        Ok(classes) => classes,
        Err(placeholder) => return placeholder,
    };
    if options.label_smoothing != 0.0 {
        return x.graph().mistake("nll", "has no label smoothing; cross_entropy has");
    }
    classes.reduced(classes.weighted(-classes.pick(x)), reduction)
}

/// Labels beside what they are labels of.
struct Classes {
    axis: usize,
    count: usize,
    /// True where an element's class is its label; of the prediction's shape.
    chosen: Tensor,
    /// Weights that broadcast to the prediction's shape, and their sum.
    weights: Option<(Tensor, f64)>,
    /// True where a label is a class, and where it counts.
    is_class: Tensor,
    counted: Option<Tensor>,
    /// Number of labels.
    labels: usize,
}

/// The axis of the classes, and what is wrong with a prediction, its labels and class weights.
fn check(x: &Tensor, labels: &Tensor, options: &CrossEntropyOptions) -> std::result::Result<usize, String> {
    let (shape, label_shape) = (x.shape(), labels.shape());
    let Some(axis) = shape.axis(options.class_axis) else {
        return Err(format!("axis {} does not exist in shape {shape}", options.class_axis));
    };
    if !matches!(labels.dtype(), DType::I32 | DType::I64) || !x.dtype().is_float() {
        return Err(format!("wants floats and i32 or i64 labels, not {} and {}", x.dtype(), labels.dtype()));
    }
    let expected: Shape = (0..shape.rank()).filter(|&other| other != axis).map(|other| shape[other]).collect();
    if label_shape != expected {
        return Err(format!(
            "a prediction of shape {shape} with classes on axis {axis} takes labels of shape {expected}, not {label_shape}"
        ));
    }
    match &options.class_weights {
        Some(values)
            if values.len() != shape[axis] || !values.iter().all(|weight| weight.is_finite() && *weight >= 0.0) =>
        {
            Err(format!("wants {} class weights of at least 0, not {values:?}", shape[axis]))
        }
        _ => Ok(axis),
    }
}

impl Classes {
    /// Labels beside their prediction, or a placeholder where they do not fit.
    #[track_caller]
    fn new(
        operator: &str,
        x: &Tensor,
        labels: &Tensor,
        options: &CrossEntropyOptions,
    ) -> std::result::Result<Self, Tensor> {
        let graph = x.graph();
        let axis = match check(x, labels, options) {
            Ok(axis) => axis,
            // Where there is an earlier mistake, this one follows from it, and is not recorded.
            Err(message) => return Err(graph.mistake(operator, message)),
        };
        let labels = &labels.i32_indices();
        let (shape, label_shape) = (x.shape(), labels.shape());
        let count = shape[axis];
        let mut weights = None;
        if let Some(values) = &options.class_weights {
            let dims: Shape = (0..shape.rank()).map(|other| if other == axis { count } else { 1 }).collect();
            match TensorData::from_f64(x.dtype(), values, dims) {
                Ok(data) => weights = Some((graph.constant(data), values.iter().sum())),
                Err(error) => return Err(graph.mistake(operator, error.to_string())),
            }
        }
        Ok(Self {
            axis,
            count,
            chosen: graph.coordinate(&shape, axis).eq(labels.unsqueeze(axis as isize)),
            weights,
            is_class: labels.ge(0).logical_and(labels.lt(count as i32)),
            counted: options.ignore_index.map(|ignored| labels.ne(ignored)),
            labels: label_shape.len(),
        })
    }

    /// What stands at the label; 0 where the label is no class.
    #[track_caller]
    fn pick(&self, x: &Tensor) -> Tensor {
        self.chosen.select(x, 0.0).sum([self.axis as isize])
    }

    /// The weight of each label; 0 where the label is no class.
    #[track_caller]
    fn label_weights(&self) -> Option<Tensor> {
        let (weights, _) = self.weights.as_ref()?;
        Some(self.pick(&weights.broadcast_to(self.chosen.shape())))
    }

    #[track_caller]
    fn weighted(&self, losses: Tensor) -> Tensor {
        match self.label_weights() {
            Some(weights) => losses * weights,
            None => losses,
        }
    }

    /// The reduction of the labels that count; the mean is over their weights, and NaN without gradients where they sum to 0.
    #[track_caller]
    fn reduced(&self, losses: Tensor, reduction: Reduction) -> Tensor {
        // Of a label that is no class, and is not to be ignored, there is no loss: silence would hide it.
        // Gradients are as they are, and need nothing of this.
        let nothing = losses.graph().scalar(losses.dtype(), 0.0);
        let losses = losses + self.is_class.select(&nothing, f64::NAN);
        let losses = match &self.counted {
            Some(counted) => counted.select(losses, 0.0),
            None => losses,
        };
        if reduction != Reduction::Mean {
            return reduction.of(&losses);
        }
        let dtype = losses.dtype();
        let shares = match (self.label_weights(), &self.counted) {
            (None, None) => return losses.sum_all() * (1.0 / self.labels as f64),
            (None, Some(counted)) => counted.cast(dtype),
            (Some(weights), None) => weights,
            (Some(weights), Some(counted)) => counted.select(weights, 0.0),
        };
        weighted_mean(&losses, &shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    fn message(dims: &[usize], labels: &[usize], dtype: DType, options: &CrossEntropyOptions) -> String {
        let g = Graph::new();
        let (x, y) = (g.input("x", dims, DType::F32), g.input("y", labels, dtype));
        let loss = x.cross_entropy_with(&y, options);
        assert_eq!(loss.rank(), 0);
        g.error().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn labels_go_with_all_axes_but_that_of_the_classes() {
        let first = CrossEntropyOptions { class_axis: 1, ..Default::default() };
        let last = CrossEntropyOptions::default();
        assert_eq!(message(&[8, 3], &[8], DType::I32, &last), "");
        assert_eq!(message(&[3], &[], DType::I32, &last), "");
        assert_eq!(message(&[8, 5, 3], &[8, 5], DType::I32, &last), "");
        assert_eq!(message(&[8, 3, 5], &[8, 5], DType::I32, &first), "");
        let expected =
            "cross_entropy: a prediction of shape [8, 3] with classes on axis 1 takes labels of shape [8], not [8, 3]";
        assert!(message(&[8, 3], &[8, 3], DType::I32, &last).starts_with(expected));
        assert!(
            message(&[8, 3], &[8], DType::F32, &last)
                .starts_with("cross_entropy: wants floats and i32 or i64 labels, not f32 and f32")
        );
        assert!(message(&[3], &[], DType::I32, &first).starts_with("cross_entropy: axis 1 does not exist"));
    }

    #[test]
    fn options_out_of_range_are_mistakes() {
        let weights = CrossEntropyOptions { class_weights: Some(vec![1.0; 2]), ..Default::default() };
        assert!(message(&[8, 3], &[8], DType::I32, &weights).starts_with("cross_entropy: wants 3 class weights"));
        let smoothing = CrossEntropyOptions { label_smoothing: 1.5, ..Default::default() };
        assert!(message(&[8, 3], &[8], DType::I32, &smoothing).starts_with("cross_entropy: label smoothing is 1.5"));
    }
}
