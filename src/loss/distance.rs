//! Losses of a distance.

use super::elementwise::{Elementwise, elementwise};
use super::targets::{FINITE, Numbers};
use crate::graph::Tensor;

/// (x − y)²: PyTorch's `MSELoss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mse;

impl Elementwise for Mse {
    const NAME: &'static str = "mse";
    const TARGETS: Numbers = FINITE;

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        (x - y).square()
    }
}

/// |x − y|: PyTorch's `L1Loss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L1;

impl Elementwise for L1 {
    const NAME: &'static str = "l1";
    const TARGETS: Numbers = FINITE;

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        (x - y).abs()
    }
}

/// d²/2 for |d| < δ, else δ·(|d| − δ/2), of d = x − y (Huber 1964): PyTorch's `HuberLoss`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Huber {
    /// Where the parabola becomes a line.
    pub delta: f64,
}

impl Elementwise for Huber {
    const NAME: &'static str = "huber";
    const TARGETS: Numbers = FINITE;

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        huber(x, y, self.delta)
    }
}

elementwise!(Mse L1 Huber);

/// d²/2 near 0, a line of slope δ beyond, for each element.
#[track_caller]
fn huber(x: &Tensor, y: &Tensor, delta: f64) -> Tensor {
    if !(delta.is_finite() && delta > 0.0) {
        return x.graph().mistake("huber", format!("delta is {delta}, and must be above 0"));
    }
    // With c = min(|d|, δ) both branches are c·(|d| − c/2), in which nothing large is squared.
    let distance = (x - y).abs();
    let near = distance.minimum(delta);
    let rest = &distance - &(&near * 0.5);
    near * rest
}
