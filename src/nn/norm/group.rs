//! Group normalisation.

use super::{VARIABLES, channels, check_eps, complaint, misfit, misshapen, scale_and_shift};
use crate::graph::{Graph, Tensor};
use crate::nn::{Layer, Scope, Sequential, refuse_known};
use crate::tensor::Shape;

/// Normalisation of each example's groups of channels; as data. In a graph it is a [`GroupNorm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNormalization {
    /// Number of groups, which divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f64,
    /// Whether there are weight and bias.
    pub affine: bool,
}

impl GroupNormalization {
    /// PyTorch's: ε = 10⁻⁵, with weight and bias.
    pub const fn new(groups: usize) -> Self {
        Self { groups, eps: 1e-5, affine: true }
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

    /// The layer in a graph, for `channels` channels, with parameters of its own.
    #[track_caller]
    pub fn build(self, g: &Graph, name: &str, channels: usize) -> GroupNorm {
        refuse_known(g, &label(name), name, VARIABLES);
        self.shared(g, name, channels)
    }

    /// The same with the parameters of its name, if the graph has them already.
    #[track_caller]
    fn shared(self, g: &Graph, name: &str, channels: usize) -> GroupNorm {
        if let Err(message) = self.check(channels) {
            g.mistake(&label(name), message);
        }
        let mut affine = None;
        if self.affine {
            affine = Some(scale_and_shift(g, name, channels));
        }
        GroupNorm { name: name.to_owned(), channels, options: self, graph: g.clone(), affine }
    }

    fn check(self, channels: usize) -> Result<(), String> {
        check_groups(self.groups, channels).and(check_eps(self.eps))
    }
}

impl Layer for GroupNormalization {
    fn describe(&self) -> String {
        format!("group_norm({})", self.groups)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        self.check(channels(input)?).map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let channels = x.shape().get(1).copied().unwrap_or(0);
        self.shared(scope.graph(), scope.name(), channels).forward(x)
    }
}

impl Sequential {
    /// Normalisation of each example's groups of channels. See [`GroupNorm`].
    #[must_use]
    #[track_caller]
    pub fn group_norm(self, groups: usize) -> Self {
        self.layer(GroupNormalization::new(groups))
    }
}

fn check_groups(groups: usize, channels: usize) -> Result<(), String> {
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(format!("{channels} channels cannot be divided into {groups} groups of equal size"));
    }
    Ok(())
}

/// `y = (x − μ)/√(σ² + ε)·w + b` of `[N, C, …]`, with mean and variance of each example's groups of channels (Wu and He 2018):
/// PyTorch's `GroupNorm`. Parameters are `NAME.weight` and `NAME.bias` of shape `[C]`.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [2, 6, 5, 5], F32);
/// assert_eq!(nn::GroupNorm::new(&g, "norm", 3, 6).forward(&x).shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct GroupNorm {
    name: String,
    channels: usize,
    options: GroupNormalization,
    graph: Graph,
    affine: Option<(Tensor, Tensor)>,
}

impl GroupNorm {
    /// A layer for `groups` groups of `channels` channels together.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, groups: usize, channels: usize) -> Self {
        GroupNormalization::new(groups).build(g, name, channels)
    }

    /// The layer applied to `[N, C, …]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if let Some(message) = misfit(x, self.channels, 2) {
            return self.graph.mistake(&label(&self.name), message);
        }
        if self.graph.error().is_some() {
            return x.clone();
        }
        x.group_norm(self.options.groups, self.weight(), self.bias(), self.options.eps)
    }

    /// The weight, `[C]`.
    pub fn weight(&self) -> Option<&Tensor> {
        self.affine.as_ref().map(|(weight, _)| weight)
    }

    /// The bias, `[C]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.affine.as_ref().map(|(_, bias)| bias)
    }
}

fn label(name: &str) -> String {
    format!("group_norm {name:?}")
}

impl Tensor {
    /// Group normalisation of `[N, C, …]`; weight and bias are `[C]`. See [`GroupNorm`](crate::nn::GroupNorm).
    #[track_caller]
    #[must_use]
    pub fn group_norm(&self, groups: usize, weight: Option<&Self>, bias: Option<&Self>, eps: f64) -> Self {
        if let Some(message) = complaint(self, 2, &[weight, bias], eps) {
            return self.graph().mistake("group_norm", message);
        }
        if self.graph().error().is_some() {
            return self.clone();
        }
        let shape = self.shape();
        let channels = shape[1];
        if let Err(message) = check_groups(groups, channels) {
            return self.graph().mistake("group_norm", message);
        }
        if let Some(message) = misshapen(&[channels].into(), &[weight, bias]) {
            return self.graph().mistake("group_norm", message);
        }
        // Channels become groups and what is in one, so that the statistics are those of whole axes.
        let split = [shape[0], groups, channels / groups];
        let grouped: Shape = split.iter().chain(&shape[2..]).copied().collect();
        let one: Shape = split[1..].iter().copied().chain(shape[2..].iter().map(|_| 1)).collect();
        let axes: Vec<usize> = (2..grouped.rank()).collect();
        let mut value = self.reshape(grouped).standardized(&axes, eps, true, None).values;
        if let Some(weight) = weight {
            value = value * weight.reshape(&one);
        }
        if let Some(bias) = bias {
            value = value + bias.reshape(&one);
        }
        value.reshape(shape)
    }
}
