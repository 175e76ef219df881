//! Losses with a margin beyond which an example is good enough.

use super::Reduction;
use super::elementwise::{Elementwise, elementwise};
use super::targets::Numbers;
use crate::graph::Tensor;

/// max(0, 1 − y·x), of scores x and targets y = ±1, as Keras's `Hinge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hinge;

impl Elementwise for Hinge {
    const NAME: &'static str = "hinge";
    const TARGETS: Numbers = Numbers { what: "neither -1 nor 1", holds: |value| value.abs() == 1.0 };

    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor {
        (1.0 - y * x).relu()
    }
}

elementwise!(Hinge);

/// What PyTorch adds to squared lengths, so that a vector of zeros has an angle.
const EPSILON: f64 = 1e-12;

/// PyTorch's `CosineEmbeddingLoss`: 1 − cos(a, b) where the target is 1, max(0, cos(a, b) − margin) where it is −1.
/// `a` and `b` are `[…, features]`, the target `[…]`; returns a scalar, or `[…]` with [`Reduction::None`].
///
/// ```
/// use wgrad::graph::Graph;
/// use wgrad::loss::{Reduction, cosine_embedding};
/// use wgrad::tensor::DType;
/// let g = Graph::new();
/// let [a, b] = ["a", "b"].map(|name| g.input(name, [8, 16], DType::F32));
/// let target = g.input("target", [8], DType::F32);
/// let loss = cosine_embedding(&a, &b, &target, 0.5, Reduction::Mean);
/// assert_eq!(loss.rank(), 0);
/// assert!(g.error().is_none());
/// ```
#[track_caller]
#[must_use]
pub fn cosine_embedding(a: &Tensor, b: &Tensor, target: &Tensor, margin: f64, reduction: Reduction) -> Tensor {
    let graph = a.graph();
    if graph.error().is_none() {
        let (left, right, targets) = (a.shape(), b.shape(), target.shape());
        let fits = left == right && left.split_last().is_some_and(|(_, lead)| *lead == *targets);
        if !fits {
            let message = format!("takes […, features] twice and a target […], not {left}, {right} and {targets}");
            return graph.mistake("cosine_embedding", message);
        }
    }
    let product = (a * b).sum([-1]);
    let cosine = product * (square_length(a) * square_length(b)).rsqrt();
    let unlike = (&cosine - margin).relu();
    // A target that is neither 1 nor −1 takes no part.
    let losses = target.eq(1.0).select(1.0 - cosine, target.eq(-1.0).select(unlike, 0.0));
    reduction.of(&losses)
}

#[track_caller]
fn square_length(x: &Tensor) -> Tensor {
    x.square().sum([-1]) + EPSILON
}
