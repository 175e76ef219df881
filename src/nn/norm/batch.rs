//! Batch normalisation.

use super::running::Running;
use super::{
    VARIABLES, channels, check_eps, check_momentum, complaint, misfit, misshapen, per_channel, scale_and_shift,
};
use crate::graph::{Graph, Tensor};
use crate::nn::{Layer, Mode, Scope, Sequential, refuse_known};
use crate::ops::Standardized;
use crate::tensor::Shape;

/// Batch normalisation of the channels, the first axis of an example; as data. In a graph it is a [`BatchNorm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance.
    pub eps: f64,
    /// The share of the newest batch in the running statistics; `None` for the average of all batches.
    pub momentum: Option<f64>,
    /// Whether there are weight and bias.
    pub affine: bool,
    /// Whether there are running statistics; without them, evaluation takes those of its batch.
    pub track_running_stats: bool,
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchNormalization {
    /// PyTorch's: ε = 10⁻⁵, momentum 0.1, with weight, bias and running statistics.
    pub const fn new() -> Self {
        Self { eps: 1e-5, momentum: Some(0.1), affine: true, track_running_stats: true }
    }

    /// With another ε.
    #[must_use]
    pub const fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With another share of the newest batch in the running statistics.
    #[must_use]
    pub const fn momentum(self, momentum: f64) -> Self {
        Self { momentum: Some(momentum), ..self }
    }

    /// With running statistics that are the average of all batches.
    #[must_use]
    pub const fn cumulative(self) -> Self {
        Self { momentum: None, ..self }
    }

    /// Without weight and bias.
    #[must_use]
    pub const fn without_affine(self) -> Self {
        Self { affine: false, ..self }
    }

    /// Without running statistics.
    #[must_use]
    pub const fn without_running_stats(self) -> Self {
        Self { track_running_stats: false, ..self }
    }

    /// The layer in a graph, for `channels` channels, with variables of its own.
    #[track_caller]
    pub fn build(self, g: &Graph, name: &str, channels: usize) -> BatchNorm {
        refuse_known(g, &label(name), name, VARIABLES);
        self.shared(g, name, channels)
    }

    /// The same with the variables of its name, if the graph has them already.
    #[track_caller]
    fn shared(self, g: &Graph, name: &str, channels: usize) -> BatchNorm {
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
        BatchNorm { name: name.to_owned(), channels, options: self, graph: g.clone(), affine, running }
    }

    fn check(self) -> Result<(), String> {
        check_eps(self.eps).and(check_momentum(self.momentum))
    }
}

impl Layer for BatchNormalization {
    fn describe(&self) -> String {
        "batch_norm".into()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        channels(input).and(self.check()).map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let channels = x.shape().get(1).copied().unwrap_or(0);
        self.shared(scope.graph(), scope.name(), channels).forward(x, scope.mode())
    }
}

impl Sequential {
    /// Batch normalisation of the channels, the first axis of an example. See [`BatchNorm`].
    #[must_use]
    #[track_caller]
    pub fn batch_norm(self) -> Self {
        self.layer(BatchNormalization::new())
    }
}

/// `y = (x − μ)/√(σ² + ε)·w + b` for each channel of `[N, C, …]`, with mean and variance over all other axes (Ioffe and Szegedy
/// 2015): PyTorch's `BatchNorm1d`, `BatchNorm2d` and `BatchNorm3d`.
///
/// Parameters are `NAME.weight` and `NAME.bias` of shape `[C]`. While training, statistics are those of the batch, and the running
/// ones, `NAME.running_mean` and `NAME.running_var`, move towards its mean and unbiased variance at the end of the step; in evaluation, the
/// running ones count. `NAME.num_batches_tracked` is i32 (PyTorch's i64 is read into it).
///
/// ```
/// use wgrad::prelude::*;
/// use wgrad::nn::{BatchNorm, BatchNormalization};
/// let g = Graph::new();
/// let x = g.input("x", [8, 3, 5, 5], F32);
/// let y = BatchNorm::new(&g, "bn1", 3).forward(&x, Mode::Training).relu();
/// let slow = BatchNormalization::new().momentum(0.01).without_affine();
/// let z = slow.build(&g, "bn2", 3).forward(&y, Mode::Training);
/// assert_eq!(z.shape(), x.shape());
/// let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["bn1.weight", "bn1.bias"]);
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm {
    name: String,
    channels: usize,
    options: BatchNormalization,
    graph: Graph,
    affine: Option<(Tensor, Tensor)>,
    running: Option<Running>,
}

impl BatchNorm {
    /// A layer for `channels` channels.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, channels: usize) -> Self {
        BatchNormalization::new().build(g, name, channels)
    }

    /// The layer applied to `[N, C, …]`; a batch has two values or more for each channel. In a graph that trains, a layer with running
    /// statistics can be applied only once.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if let Some(message) = misfit(x, self.channels, 2) {
            return self.graph.mistake(&label(&self.name), message);
        }
        if self.graph.error().is_some() {
            return x.clone();
        }
        let (weight, bias) = match &self.affine {
            Some((weight, bias)) => (Some(weight), Some(bias)),
            None => (None, None),
        };
        match (&self.running, mode) {
            (Some(running), Mode::Evaluation) => {
                x.batch_norm_with(&running.mean, &running.variance, weight, bias, self.options.eps)
            }
            (running, _) => {
                let shape = x.shape();
                let count = shape.len() / self.channels.max(1);
                if count == 1 {
                    let message = format!(
                        "has one value for each channel of {shape}, and needs two or more to have a variance; leave a last \
                         batch of one out (drop_last)"
                    );
                    return self.graph.mistake(&label(&self.name), message);
                }
                let found = over_batch(x, weight, bias, self.options.eps);
                if let Some(running) = running {
                    let variance = found.squares * (1.0 / (count as f64 - 1.0).max(1.0));
                    running.update(&label(&self.name), &found.mean, &variance, self.options.momentum);
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

/// The layer as mistakes name it.
fn label(name: &str) -> String {
    format!("batch_norm {name:?}")
}

#[track_caller]
fn over_batch(x: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Standardized {
    let shape = x.shape();
    let rank = shape.rank();
    let axes: Vec<usize> = (0..rank).filter(|&axis| axis != 1).collect();
    let one = per_channel(shape[1], rank);
    match (weight, bias) {
        (Some(weight), Some(bias)) => {
            x.standardized(&axes, eps, true, Some((&weight.reshape(&one), &bias.reshape(&one))))
        }
        _ => {
            let mut found = x.standardized(&axes, eps, true, None);
            if let Some(weight) = weight {
                found.values = found.values * weight.reshape(&one);
            }
            if let Some(bias) = bias {
                found.values = found.values + bias.reshape(&one);
            }
            found
        }
    }
}

impl Tensor {
    /// Batch normalisation of `[N, C, …]` with the batch's own statistics; weight and bias are `[C]`. See
    /// [`BatchNorm`](crate::nn::BatchNorm).
    #[track_caller]
    #[must_use]
    pub fn batch_norm(&self, weight: Option<&Self>, bias: Option<&Self>, eps: f64) -> Self {
        if let Some(message) = complaint(self, 2, &[weight, bias], eps) {
            return self.graph().mistake("batch_norm", message);
        }
        if self.graph().error().is_some() {
            return self.clone();
        }
        if let Some(message) = misshapen(&[self.shape()[1]].into(), &[weight, bias]) {
            return self.graph().mistake("batch_norm", message);
        }
        over_batch(self, weight, bias, eps).values
    }

    /// Batch normalisation of `[N, C, …]` with fixed statistics; these, weight and bias are `[C]`.
    #[track_caller]
    #[must_use]
    pub fn batch_norm_with(
        &self,
        mean: &Self,
        variance: &Self,
        weight: Option<&Self>,
        bias: Option<&Self>,
        eps: f64,
    ) -> Self {
        let others = [Some(mean), Some(variance), weight, bias];
        if let Some(message) = complaint(self, 2, &others, eps) {
            return self.graph().mistake("batch_norm", message);
        }
        if self.graph().error().is_some() {
            return self.clone();
        }
        let shape = self.shape();
        if let Some(message) = misshapen(&[shape[1]].into(), &others) {
            return self.graph().mistake("batch_norm", message);
        }
        let one = per_channel(shape[1], shape.rank());
        let mut value = (self - mean.reshape(&one)) * (variance + eps).rsqrt().reshape(&one);
        if let Some(weight) = weight {
            value = value * weight.reshape(&one);
        }
        if let Some(bias) = bias {
            value = value + bias.reshape(&one);
        }
        value
    }
}
