//! The distance of two distributions.

use super::elementwise::{Elementwise, elementwise};
use super::targets::{FINITE, Numbers};
use crate::graph::Tensor;

/// y·(log y − x), of log-probabilities x and probabilities y: PyTorch's `KLDivLoss`. The divergence itself is its
/// [`BatchMean`](super::Reduction::BatchMean), while the mean is over all elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KlDiv;

impl Elementwise for KlDiv {
    const NAME: &'static str = "kl_div";
    const TARGETS: Numbers = Numbers { what: "no probability", holds: |value| value >= 0.0 && value.is_finite() };

    /// 0 where y is 0 (Kullback and Leibler 1951).
    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        // log 0 times 0 would be NaN, and so would the slope 1/y of a subnormal y times y.
        let lifted = y.lifted();
        let some = lifted.value.gt(0.0);
        let logarithm = some.select(&lifted.value, 1.0).log();
        let logarithm = lifted.is_small.select(&logarithm - lifted.factor.ln(), &logarithm);
        y * (some.select(logarithm, 0.0) - x)
    }
}

/// e^y·(y − x), of log-probabilities x and y, which underflow nowhere: PyTorch's `kl_div` with `log_target=True`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KlDivLogTarget;

impl Elementwise for KlDivLogTarget {
    const NAME: &'static str = "kl_div_log_target";
    const TARGETS: Numbers = FINITE;

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        y.exp() * (y - x)
    }
}

elementwise!(KlDiv KlDivLogTarget);
