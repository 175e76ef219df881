//! Losses of two classes, of probabilities or logits.

use super::elementwise::{Elementwise, elementwise};
use super::targets::Numbers;
use crate::graph::Tensor;
use crate::tensor::TensorData;

/// Probabilities of class 1.
const SHARES: Numbers = Numbers { what: "not from 0 to 1", holds: |value| (0.0..=1.0).contains(&value) };

/// −y·log x − (1 − y)·log(1 − x), of probabilities x and targets y from 0 to 1: PyTorch's `BCELoss`, which is at most 100.
/// For a model that ends in a sigmoid; [`BinaryCrossEntropyWithLogits`], for one without it, has no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryCrossEntropy;

impl Elementwise for BinaryCrossEntropy {
    const NAME: &'static str = "binary_cross_entropy";
    const TARGETS: Numbers = SHARES;
    const THRESHOLD: Option<f64> = Some(0.5);

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        binary_cross_entropy(x, y)
    }
}

/// [`BinaryCrossEntropy`] of the sigmoid of logits x, without overflow: softplus(x) − y·x. PyTorch's `BCEWithLogitsLoss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryCrossEntropyWithLogits;

impl Elementwise for BinaryCrossEntropyWithLogits {
    const NAME: &'static str = "binary_cross_entropy_with_logits";
    const TARGETS: Numbers = SHARES;
    const THRESHOLD: Option<f64> = Some(0.0);

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        x.softplus() - y * x
    }
}

/// [`BinaryCrossEntropyWithLogits`] with the term of class 1 (−y·log σ(x)) times a weight: one for each element of the last axis, or one
/// for all. PyTorch's `pos_weight`.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryCrossEntropyWithPositiveWeight(pub Vec<f64>);

impl Elementwise for BinaryCrossEntropyWithPositiveWeight {
    const NAME: &'static str = "binary_cross_entropy_with_logits";
    const TARGETS: Numbers = SHARES;
    const THRESHOLD: Option<f64> = Some(0.0);

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        with_positive_weight(x, y, &self.0)
    }
}

elementwise!(BinaryCrossEntropy BinaryCrossEntropyWithLogits BinaryCrossEntropyWithPositiveWeight);

/// What PyTorch's binary cross-entropy is at most: logarithms stop at −100.
const WORST: f64 = 100.0;
/// Below this product of x and 1 − x, x counts as certain: a little above the smallest normal f32, as devices take what is
/// smaller for 0.
const CERTAIN: f64 = 1.2e-38;

/// −y·log x − (1 − y)·log(1 − x) for each element. Where x is 0 or 1, that is 100·|y − x|, as PyTorch has it; its slope there
/// (in PyTorch an accident) leads away from the wrong side and is 0 on the right one, never infinite.
#[track_caller]
fn binary_cross_entropy(x: &Tensor, y: &Tensor) -> Tensor {
    let uncertain = (x * (1.0 - x)).gt(CERTAIN);
    let inside = uncertain.select(x, 0.5);
    let logarithms = y * inside.log() + (1.0 - y) * (-&inside).log1p();
    uncertain.select(-logarithms, (y - x).abs() * WORST)
}

/// w·y·softplus(−x) + (1 − y)·softplus(x) for each element, with a weight for each element of the last axis, or for all.
#[track_caller]
fn with_positive_weight(x: &Tensor, y: &Tensor, weights: &[f64]) -> Tensor {
    let graph = x.graph();
    let operator = "binary_cross_entropy_with_logits";
    if weights.len() != 1 && x.shape().last() != Some(&weights.len()) {
        return graph.mistake(
            operator,
            format!("{} positive weights do not fit a prediction of shape {}", weights.len(), x.shape()),
        );
    }
    let weights = match weights {
        [weight] => graph.scalar(x.dtype(), *weight),
        _ => match TensorData::from_f64(x.dtype(), weights, [weights.len()]) {
            Ok(data) => graph.constant(data),
            Err(error) => return graph.mistake(operator, error.to_string()),
        },
    };
    y * (-x).softplus() * weights + (1.0 - y) * x.softplus()
}
