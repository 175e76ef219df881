//! Instance normalisation.

use super::running::Running;
use super::{VARIABLES, check_eps, check_momentum, complaint, misfit, misshapen, per_channel, scale_and_shift};
use crate::graph::{Graph, Tensor};
use crate::nn::{Layer, Mode, Scope, Sequential, refuse_known};
use crate::ops::Standardized;
use crate::tensor::Shape;

/// Normalisation of each channel of each example; as data. In a graph it is an [`InstanceNorm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstanceNormalization {
    /// Added to the variance.
    pub eps: f64,
    /// The share of the newest batch in the running statistics.
    pub momentum: f64,
    /// Whether there are weight and bias.
    pub affine: bool,
    /// Whether there are running statistics, which count in evaluation.
    pub track_running_stats: bool,
}

impl Default for InstanceNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl InstanceNormalization {
    /// PyTorch's: ε = 10⁻⁵, momentum 0.1, without weight, bias and running statistics.
    pub const fn new() -> Self {
        Self { eps: 1e-5, momentum: 0.1, affine: false, track_running_stats: false }
    }

    /// With another ε.
    #[must_use]
    pub const fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With another share of the newest batch in the running statistics.
    #[must_use]
    pub const fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With weight and bias.
    #[must_use]
    pub const fn affine(self) -> Self {
        Self { affine: true, ..self }
    }

    /// With running statistics.
    #[must_use]
    pub const fn running_stats(self) -> Self {
        Self { track_running_stats: true, ..self }
    }

    /// The layer in a graph, for `channels` channels, with variables of its own.
    #[track_caller]
    pub fn build(self, g: &Graph, name: &str, channels: usize) -> InstanceNorm {
        refuse_known(g, &label(name), name, VARIABLES);
        self.shared(g, name, channels)
    }

    /// The same with the variables of its name, if the graph has them already.
    #[track_caller]
    fn shared(self, g: &Graph, name: &str, channels: usize) -> InstanceNorm {
        if let Err(message) = self.check() {
            g.mistake(&label(name), message);
        }
        let mut affine = None;
        if self.affine {
            affine = Some(scale_and_shift(g, name, channels));
        }
        let mut running = None;
        if self.track_running_stats {
            running = Some(Running::new(g, name, channels));
        }
        InstanceNorm { name: name.to_owned(), channels, options: self, graph: g.clone(), affine, running }
    }

    fn check(self) -> Result<(), String> {
        check_eps(self.eps).and(check_momentum(Some(self.momentum)))
    }
}

impl Layer for InstanceNormalization {
    fn describe(&self) -> String {
        "instance_norm".into()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if input.rank() < 2 {
            return Err(format!("takes examples of channels with spatial axes, not of shape {input}"));
        }
        self.check().map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let channels = x.shape().get(1).copied().unwrap_or(0);
        self.shared(scope.graph(), scope.name(), channels).forward(x, scope.mode())
    }
}

impl Sequential {
    /// Normalisation of each channel of each example. See [`InstanceNorm`].
    #[must_use]
    #[track_caller]
    pub fn instance_norm(self) -> Self {
        self.layer(InstanceNormalization::new())
    }
}

/// `y = (x − μ)/√(σ² + ε)·w + b` of `[N, C, …]`, with mean and variance of each channel of each example (Ulyanov et al. 2016):
/// PyTorch's `InstanceNorm1d`, `InstanceNorm2d` and `InstanceNorm3d`, with the variables of a [`BatchNorm`](crate::nn::BatchNorm).
/// As in PyTorch, it does not count batches.
///
/// ```
/// use wgrad::prelude::*;
/// use wgrad::nn::InstanceNormalization;
/// let g = Graph::new();
/// let x = g.input("x", [2, 3, 5, 5], F32);
/// let norm = InstanceNormalization::new().affine().build(&g, "norm", 3);
/// assert_eq!(norm.forward(&x, Mode::Training).shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct InstanceNorm {
    name: String,
    channels: usize,
    options: InstanceNormalization,
    graph: Graph,
    affine: Option<(Tensor, Tensor)>,
    running: Option<Running>,
}

impl InstanceNorm {
    /// A layer for `channels` channels.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, channels: usize) -> Self {
        InstanceNormalization::new().build(g, name, channels)
    }

    /// The layer applied to `[N, C, …]`, which has spatial axes. With running statistics it can be applied only once in a graph that
    /// trains.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if let Some(message) = misfit(x, self.channels, 3) {
            return self.graph.mistake(&label(&self.name), message);
        }
        if self.graph.error().is_some() {
            return x.clone();
        }
        let (weight, bias) = (self.weight(), self.bias());
        match (&self.running, mode) {
            (Some(running), Mode::Evaluation) => {
                x.batch_norm_with(&running.mean, &running.variance, weight, bias, self.options.eps)
            }
            (running, _) => {
                let shape = x.shape();
                let count: usize = shape[2..].iter().product();
                if count == 1 {
                    let message = format!("has one value for each channel of {shape}, and needs two or more");
                    return self.graph.mistake(&label(&self.name), message);
                }
                let found = over_space(x, weight, bias, self.options.eps);
                if let Some(running) = running {
                    let statistics = Shape::from(&shape[..2]);
                    let share = 1.0 / (count as f64 - 1.0).max(1.0);
                    let mean = found.mean.reshape(&statistics).mean([0]);
                    let variance = (found.squares.reshape(&statistics) * share).mean([0]);
                    running.follow(&label(&self.name), &mean, &variance, self.options.momentum);
                }
                found.values
            }
        }
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
    format!("instance_norm {name:?}")
}

#[track_caller]
fn over_space(x: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Standardized {
    let shape = x.shape();
    let axes: Vec<usize> = (2..shape.rank()).collect();
    let one = per_channel(shape[1], shape.rank());
    let mut found = x.standardized(&axes, eps, true, None);
    if let Some(weight) = weight {
        found.values = found.values * weight.reshape(&one);
    }
    if let Some(bias) = bias {
        found.values = found.values + bias.reshape(&one);
    }
    found
}

impl Tensor {
    /// Instance normalisation of `[N, C, …]`; weight and bias are `[C]`. See [`InstanceNorm`](crate::nn::InstanceNorm).
    #[track_caller]
    #[must_use]
    pub fn instance_norm(&self, weight: Option<&Self>, bias: Option<&Self>, eps: f64) -> Self {
        if let Some(message) = complaint(self, 3, &[weight, bias], eps) {
            return self.graph().mistake("instance_norm", message);
        }
        if self.graph().error().is_some() {
            return self.clone();
        }
        if let Some(message) = misshapen(&[self.shape()[1]].into(), &[weight, bias]) {
            return self.graph().mistake("instance_norm", message);
        }
        over_space(self, weight, bias, eps).values
    }
}
