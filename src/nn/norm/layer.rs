//! Layer normalisation.

use super::{VARIABLES, check_eps, complaint, misshapen, parameter};
use crate::graph::{Graph, Tensor};
use crate::nn::{Layer, Scope, Sequential, refuse_known};
use crate::tensor::{DType, Shape};

/// Normalisation over the last axes; as data. In a graph it is a [`LayerNorm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNormalization {
    /// Number of last axes that are normalised together.
    pub axes: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether there is a weight.
    pub affine: bool,
    /// Whether there is a bias beside the weight.
    pub bias: bool,
}

impl Default for LayerNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNormalization {
    /// Over the last axis, with ε = 10⁻⁵, weight and bias.
    pub const fn new() -> Self {
        Self { axes: 1, eps: 1e-5, affine: true, bias: true }
    }

    /// The number of last axes that are normalised over.
    #[must_use]
    pub const fn axes(self, axes: usize) -> Self {
        Self { axes, ..self }
    }

    /// With another ε.
    #[must_use]
    pub const fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Without weight and bias.
    #[must_use]
    pub const fn without_affine(self) -> Self {
        Self { affine: false, ..self }
    }

    /// With a weight but without a bias.
    #[must_use]
    pub const fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// The layer in a graph, which normalises last axes of these extents (whatever [`axes`](Self::axes) says), with parameters of its
    /// own.
    #[track_caller]
    pub fn build(self, g: &Graph, name: &str, normalized_shape: impl Into<Shape>) -> LayerNorm {
        refuse_known(g, &label(name), name, VARIABLES);
        self.shared(g, name, normalized_shape.into())
    }

    /// The same with the parameters of its name, if the graph has them already.
    #[track_caller]
    pub(in crate::nn) fn shared(self, g: &Graph, name: &str, shape: Shape) -> LayerNorm {
        if let Err(message) = self.axes(shape.rank()).check(&shape) {
            g.mistake(&label(name), message);
        }
        let (mut weight, mut bias) = (None, None);
        if self.affine {
            weight = Some(parameter(g, name, "weight", &shape, 1.0));
        }
        if self.affine && self.bias {
            bias = Some(parameter(g, name, "bias", &shape, 0.0));
        }
        LayerNorm { name: name.to_owned(), shape, eps: self.eps, graph: g.clone(), weight, bias }
    }

    fn check(self, example: &Shape) -> Result<(), String> {
        check_axes(self.axes, example).and(check_eps(self.eps))
    }
}

impl Layer for LayerNormalization {
    fn describe(&self) -> String {
        match self.axes {
            1 => "layer_norm".into(),
            axes => format!("layer_norm({axes} axes)"),
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
    /// Normalisation over the last axis. See [`LayerNorm`].
    #[must_use]
    #[track_caller]
    pub fn layer_norm(self) -> Self {
        self.layer(LayerNormalization::new())
    }
}

/// What is wrong with normalising the last `axes` axes of an example.
pub(super) fn check_axes(axes: usize, example: &Shape) -> Result<(), String> {
    if axes == 0 || axes > example.rank() {
        return Err(format!(
            "normalises the last {axes} axes, and an example of shape {example} has {}",
            example.rank()
        ));
    }
    Ok(())
}

/// `y = (x − μ)/√(σ² + ε)·w + b` over the last axes, each example by itself (Ba, Kiros and Hinton 2016): PyTorch's `LayerNorm`.
///
/// Parameters are `NAME.weight` and `NAME.bias` of the normalised shape.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [8, 20, 64], F32);
/// let y = nn::LayerNormalization::new().eps(1e-6).build(&g, "ln1", [64]).forward(&x);
/// assert_eq!(y.shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct LayerNorm {
    name: String,
    shape: Shape,
    eps: f64,
    graph: Graph,
    weight: Option<Tensor>,
    bias: Option<Tensor>,
}

impl LayerNorm {
    /// A layer that normalises last axes of these extents.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, normalized_shape: impl Into<Shape>) -> Self {
        LayerNormalization::new().build(g, name, normalized_shape)
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
        x.layer_norm(self.shape.rank(), self.weight.as_ref(), self.bias.as_ref(), self.eps)
    }

    /// The weight, of the normalised shape.
    pub const fn weight(&self) -> Option<&Tensor> {
        self.weight.as_ref()
    }

    /// The bias, of the normalised shape.
    pub const fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

fn label(name: &str) -> String {
    format!("layer_norm {name:?}")
}

impl Tensor {
    /// Layer normalisation over the last `axes` axes; weight and bias have their extents. See [`LayerNorm`](crate::nn::LayerNorm).
    #[track_caller]
    #[must_use]
    pub fn layer_norm(&self, axes: usize, weight: Option<&Self>, bias: Option<&Self>, eps: f64) -> Self {
        over_last(self, "layer_norm", axes, true, [weight, bias], eps)
    }
}

/// Normalises the last axes, with or without taking the mean off.
#[track_caller]
pub(super) fn over_last(
    x: &Tensor,
    label: &str,
    axes: usize,
    centred: bool,
    [weight, bias]: [Option<&Tensor>; 2],
    eps: f64,
) -> Tensor {
    if let Some(message) = complaint(x, axes.max(1), &[weight, bias], eps) {
        return x.graph().mistake(label, message);
    }
    if x.graph().error().is_some() {
        return x.clone();
    }
    let shape = x.shape();
    if axes == 0 {
        return x.graph().mistake(label, "normalises one axis or more, not none");
    }
    let first = shape.rank() - axes;
    if let Some(message) = misshapen(&shape[first..].into(), &[weight, bias]) {
        return x.graph().mistake(label, message);
    }
    let reduced: Vec<usize> = (first..shape.rank()).collect();
    let mut value = x.standardized(&reduced, eps, centred, None).values;
    if let Some(weight) = weight {
        value = value * weight;
    }
    if let Some(bias) = bias {
        value = value + bias;
    }
    value
}
