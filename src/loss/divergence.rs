//! The distance of two distributions.

use crate::graph::Tensor;

/// y·(log y − x) for each element, and 0 where y is 0 (Kullback and Leibler 1951).
#[track_caller]
pub(super) fn kl_div(x: &Tensor, y: &Tensor) -> Tensor {
    // log 0 times 0 would be NaN.
    let logarithm = y.gt(0.0).select(y, 1.0).log();
    y * (logarithm - x)
}

/// e^y·(y − x) for each element: the same of log-probabilities y, which underflow nowhere.
#[track_caller]
pub(super) fn kl_div_log_target(x: &Tensor, y: &Tensor) -> Tensor {
    y.exp() * (y - x)
}
