//! Normalisation by the neighbouring channels.

use super::channels;
use crate::graph::Tensor;
use crate::nn::{Layer, Scope, Sequential};
use crate::tensor::Shape;

/// `y = x / (k + α/size · Σ x²)^β` of `[N, C, …]`, where the sum is over a window of `size` channels around each (Krizhevsky et al.
/// 2012): PyTorch's `LocalResponseNorm`. It has no parameters.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [2, 8, 5, 5], F32);
/// assert_eq!(nn::LocalResponseNorm::new(5).forward(&x).shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNorm {
    /// Channels of a window; `size / 2` of them come before its own.
    pub size: usize,
    /// Multiplies the mean square of the window.
    pub alpha: f64,
    /// The power.
    pub beta: f64,
    /// Added before the power is taken.
    pub k: f64,
}

impl LocalResponseNorm {
    /// With PyTorch's α = 10⁻⁴, β = 0.75 and k = 1.
    pub const fn new(size: usize) -> Self {
        Self { size, alpha: 1e-4, beta: 0.75, k: 1.0 }
    }

    /// With another α.
    #[must_use]
    pub const fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// With another β.
    #[must_use]
    pub const fn beta(self, beta: f64) -> Self {
        Self { beta, ..self }
    }

    /// With another k.
    #[must_use]
    pub const fn k(self, k: f64) -> Self {
        Self { k, ..self }
    }

    /// Applied to `[N, C, …]`.
    #[track_caller]
    pub fn forward(self, x: &Tensor) -> Tensor {
        if x.graph().error().is_some() {
            return x.clone();
        }
        let ty = x.ty();
        if !ty.dtype.is_float() {
            return x.graph().mistake("local_response_norm", format!("wants floats, not {}; cast first", ty.dtype));
        }
        if ty.shape.rank() < 2 {
            return x.graph().mistake("local_response_norm", format!("wants a batch [N, C, …], not {}", ty.shape));
        }
        if let Err(message) = self.check() {
            return x.graph().mistake("local_response_norm", message);
        }
        let (shape, rank) = (ty.shape, x.rank());
        let channels = shape[1];
        // A window wider than all channels on either side sees nothing more.
        let before = (self.size / 2).min(channels);
        let after = ((self.size - 1) / 2).min(channels);
        let widths = |width: usize| -> Vec<usize> { (0..rank).map(|axis| if axis == 1 { width } else { 0 }).collect() };
        let padded = x.pad(&widths(before), &widths(after), 0.0).square();
        let mut sum = padded.slice(1, 0, channels);
        for offset in 1..=before + after {
            sum = sum + padded.slice(1, offset, offset + channels);
        }
        x / (sum * (self.alpha / self.size as f64) + self.k).pow(self.beta)
    }

    fn check(self) -> Result<(), String> {
        if self.size == 0 {
            return Err("a window has one channel or more, not 0".into());
        }
        if ![self.alpha, self.beta, self.k].iter().all(|number| number.is_finite()) {
            return Err(format!("alpha, beta and k are {}, {} and {}", self.alpha, self.beta, self.k));
        }
        Ok(())
    }
}

impl Layer for LocalResponseNorm {
    fn describe(&self) -> String {
        format!("local_response_norm({})", self.size)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        channels(input).and(self.check()).map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, _: &Scope<'_>, x: &Tensor) -> Tensor {
        Self::forward(*self, x)
    }
}

impl Sequential {
    /// Normalisation by a window of neighbouring channels. See [`LocalResponseNorm`].
    #[must_use]
    #[track_caller]
    pub fn local_response_norm(self, size: usize) -> Self {
        self.layer(LocalResponseNorm::new(size))
    }
}
