//! Normalisation by the root mean square.

use super::layer::{check_axes, over_last};
use super::{check_eps, parameter, refuse_known};
use crate::graph::{Graph, Tensor};
use crate::tensor::{DType, Shape};

/// What an [`RmsNorm`] does, apart from its shape: the layer of a [`Sequential`](crate::nn::Sequential).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsNormalization {
    /// Number of last axes that are normalised together.
    pub axes: usize,
    /// Added to the mean square; `None` for the smallest number that 1 notices, 1.2·10⁻⁷ in f32.
    pub eps: Option<f64>,
    /// Whether there is a weight.
    pub affine: bool,
}

impl Default for RmsNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl RmsNormalization {
    /// Over the last axis, with PyTorch's ε and a weight.
    pub const fn new() -> Self {
        Self { axes: 1, eps: None, affine: true }
    }

    /// The number of last axes that are normalised over.
    #[must_use]
    pub const fn axes(self, axes: usize) -> Self {
        Self { axes, ..self }
    }

    /// With another ε.
    #[must_use]
    pub const fn eps(self, eps: f64) -> Self {
        Self { eps: Some(eps), ..self }
    }

    /// Without a weight.
    #[must_use]
    pub const fn without_affine(self) -> Self {
        Self { affine: false, ..self }
    }

    pub(in crate::nn) fn check(self, example: &Shape) -> Result<(), String> {
        check_axes(self.axes, example).and(check_eps(self.eps.unwrap_or(0.0)))
    }
}

/// `y = x/√(mean(x²) + ε)·w` over the last axes (Zhang and Sennrich 2019): PyTorch's `RMSNorm`. The parameter is `NAME.weight`, of
/// the normalised shape.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [8, 20, 64], F32);
/// assert_eq!(nn::RmsNorm::new(&g, "norm", [64]).forward(&x).shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct RmsNorm {
    name: String,
    shape: Shape,
    eps: Option<f64>,
    graph: Graph,
    weight: Option<Tensor>,
}

impl RmsNorm {
    /// A layer that normalises last axes of these extents.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, normalized_shape: impl Into<Shape>) -> Self {
        Self::with(g, name, normalized_shape, RmsNormalization::new())
    }

    /// A layer with options; the axes are those of the shape.
    #[track_caller]
    pub fn with(g: &Graph, name: &str, normalized_shape: impl Into<Shape>, options: RmsNormalization) -> Self {
        refuse_known(g, &label(name), name);
        Self::shared(g, name, normalized_shape.into(), options)
    }

    #[track_caller]
    pub(in crate::nn) fn shared(g: &Graph, name: &str, shape: Shape, options: RmsNormalization) -> Self {
        let options = options.axes(shape.rank());
        if let Err(message) = options.check(&shape) {
            g.mistake(&label(name), message);
        }
        let mut weight = None;
        if options.affine {
            weight = Some(parameter(g, name, "weight", &shape, 1.0));
        }
        Self { name: name.to_owned(), shape, eps: options.eps, graph: g.clone(), weight }
    }

    /// With another ε.
    #[track_caller]
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        if let Err(message) = check_eps(eps) {
            self.graph.mistake(&label(&self.name), message);
        }
        self.eps = Some(eps);
        self
    }

    /// The layer applied to `[…, normalised shape]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if self.graph.error().is_some() {
            return x.clone();
        }
        let ty = x.ty();
        if !ty.shape.ends_with(&self.shape) {
            let message = format!("normalises last axes of {}, but its input is {}", self.shape, ty.shape);
            return self.graph.mistake(&label(&self.name), message);
        }
        if ty.dtype != DType::F32 {
            let message = format!("takes f32, but its input is {}; cast it", ty.dtype);
            return self.graph.mistake(&label(&self.name), message);
        }
        x.rms_norm(self.shape.rank(), self.weight.as_ref(), self.eps)
    }

    /// The weight, of the normalised shape.
    pub const fn weight(&self) -> Option<&Tensor> {
        self.weight.as_ref()
    }
}

fn label(name: &str) -> String {
    format!("rms_norm {name:?}")
}

impl Tensor {
    /// Over the root mean square of the last `axes` axes; the weight has their extents. See [`RmsNorm`](crate::nn::RmsNorm).
    #[track_caller]
    #[must_use]
    pub fn rms_norm(&self, axes: usize, weight: Option<&Self>, eps: Option<f64>) -> Self {
        let smallest = if self.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        over_last(self, "rms_norm", axes, false, [weight, None], eps.unwrap_or(smallest))
    }
}
