//! Losses of a distance.

use crate::graph::Tensor;

/// d²/2 near 0, a line of slope δ beyond, for each element.
#[track_caller]
pub(super) fn huber(x: &Tensor, y: &Tensor, delta: f64) -> Tensor {
    if !(delta.is_finite() && delta > 0.0) {
        return x.graph().mistake("huber", format!("delta is {delta}, and must be above 0"));
    }
    // With c = min(|d|, δ) both branches are c·(|d| − c/2), in which nothing large is squared.
    let distance = (x - y).abs();
    let near = distance.minimum(delta);
    let rest = &distance - &(&near * 0.5);
    near * rest
}
