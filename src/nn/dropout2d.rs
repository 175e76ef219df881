//! Dropout of whole channels.

use super::{Dropout, Layer, Mode, Scope, Sequential};
use crate::graph::Tensor;
use crate::tensor::Shape;

/// Sets whole channels of `[N, C, …]` to 0 with a probability while training, and scales the others by 1/(1 − p) (Tompson et al.
/// 2015; PyTorch's `Dropout2d`). In evaluation it is the identity. Where neighbours are alike, [`Dropout`] of single elements would
/// change little.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [8, 3, 5, 5], F32);
/// assert_eq!(nn::Dropout2d::new(0.5).forward(&x, Mode::Training).shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout2d {
    /// The probability of a channel to become 0, from 0 to 1.
    pub probability: f64,
}

impl Dropout2d {
    /// With the probability of a channel to become 0.
    pub const fn new(probability: f64) -> Self {
        Self { probability }
    }

    /// Applied to floats `[N, C, spatial…]` with one spatial axis or more.
    #[track_caller]
    pub fn forward(self, x: &Tensor, mode: Mode) -> Tensor {
        if x.graph().error().is_some() {
            return x.clone();
        }
        let shape = x.shape();
        if shape.rank() < 3 {
            let message = format!("takes a batch [N, C, …] with spatial axes, but its input is {shape}");
            return x.graph().mistake("dropout2d", message);
        }
        if let Err(message) = Dropout::new(self.probability).check() {
            return x.graph().mistake("dropout2d", message);
        }
        match mode {
            Mode::Evaluation => x.clone(),
            Mode::Training if self.probability == 0.0 => x.clone(),
            // 1/(1 − p) would be infinite, and its gradient NaN.
            Mode::Training if self.probability == 1.0 => x.zeros_like(),
            Mode::Training => {
                let keep = 1.0 - self.probability;
                let channels: Shape = (0..shape.rank()).map(|axis| if axis < 2 { shape[axis] } else { 1 }).collect();
                // Times 0, so that NaN stays NaN, as in PyTorch.
                let factor = x.graph().scalar(x.dtype(), 1.0 / keep);
                x * x.graph().random_bernoulli(channels, keep).select(factor, 0.0)
            }
        }
    }
}

impl Layer for Dropout2d {
    fn describe(&self) -> String {
        format!("dropout2d({})", self.probability)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if input.rank() < 2 {
            return Err(format!("takes examples of channels with spatial axes, not of shape {input}"));
        }
        Dropout::new(self.probability).check().map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        Self::forward(*self, x, scope.mode())
    }
}

impl Sequential {
    /// Whole channels set to 0 with this probability while training.
    #[must_use]
    #[track_caller]
    pub fn dropout2d(self, probability: f64) -> Self {
        self.layer(Dropout2d::new(probability))
    }
}
