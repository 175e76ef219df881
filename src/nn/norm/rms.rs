//! Normalisation by the root mean square.

use super::layer::{check_axes, over_last};
use super::{VARIABLES, check_eps, parameter};
use crate::graph::{Graph, Tensor};
use crate::nn::{Layer, Scope, Sequential, refuse_known};
use crate::tensor::{DType, Shape};

/// Division by the root mean square of the last axes; as data. In a graph it is an [`RmsNorm`].
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

    /// The layer in a graph, which normalises last axes of these extents (whatever [`axes`](Self::axes) says), with parameters of its
    /// own.
    #[track_caller]
    pub fn build(self, g: &Graph, name: &str, normalized_shape: impl Into<Shape>) -> RmsNorm {
        refuse_known(g, &label(name), name, VARIABLES);
        self.shared(g, name, normalized_shape.into())
    }

    /// The same with the parameters of its name, if the graph has them already.
    #[track_caller]
    fn shared(self, g: &Graph, name: &str, shape: Shape) -> RmsNorm {
        if let Err(message) = self.axes(shape.rank()).check(&shape) {
            g.mistake(&label(name), message);
        }
        let mut weight = None;
        if self.affine {
            weight = Some(parameter(g, name, "weight", &shape, 1.0));
        }
        RmsNorm { name: name.to_owned(), shape, eps: self.eps, graph: g.clone(), weight }
    }

    fn check(self, example: &Shape) -> Result<(), String> {
        check_axes(self.axes, example).and(check_eps(self.eps.unwrap_or(0.0)))
    }
}

impl Layer for RmsNormalization {
    fn describe(&self) -> String {
        match self.axes {
            1 => "rms_norm".into(),
            axes => format!("rms_norm({axes} axes)"),
        }
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        self.check(input).map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let shape = x.shape();
        let last = Shape::from(&shape[shape.rank().saturating_sub(self.axes)..]);
        self.shared(scope.graph(), scope.name(), last).forward(x)
    }
}

impl Sequential {
    /// Division by the root mean square of the last axis. See [`RmsNorm`].
    #[must_use]
    #[track_caller]
    pub fn rms_norm(self) -> Self {
        self.layer(RmsNormalization::new())
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
        RmsNormalization::new().build(g, name, normalized_shape)
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
    /// Divided by the root mean square of the last `axes` axes; the weight has their extents. See [`RmsNorm`](crate::nn::RmsNorm).
    #[track_caller]
    #[must_use]
    pub fn rms_norm(&self, axes: usize, weight: Option<&Self>, eps: Option<f64>) -> Self {
        let smallest = if self.dtype() == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        over_last(self, "rms_norm", axes, false, [weight, None], eps.unwrap_or(smallest))
    }
}
