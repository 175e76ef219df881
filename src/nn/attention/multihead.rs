//! Attention of several heads, with the products before and after it.

use std::ops::Range;

use super::Rotary;
use super::cache::{Extended, KeyValueCache};
use crate::graph::{Graph, Tensor};
use crate::nn::linear::linear;
use crate::nn::{Dense, Initializer, Layer, Linear, Mode, Scope, Sequential, refuse_known};
use crate::ops::{AttentionOptions, Score};
use crate::tensor::Shape;

/// Attention of several heads; as data, for a model of one input whose positions attend to each other. In a graph it is a
/// [`MultiheadAttention`].
///
/// ```
/// use wgrad::nn::AttentionLayer;
/// use wgrad::prelude::*;
/// // Positions, features: each position sees itself and those before.
/// let model = Sequential::new([128, 64]).layer(AttentionLayer::new(4).causal().dropout(0.1));
/// assert_eq!(model.output_shape()?, [128, 64].into());
/// assert_eq!(model.parameter_count()?, 3 * (64 * 64 + 64) + 64 * 64 + 64);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionLayer {
    /// Number of heads, which divides the width.
    pub heads: usize,
    /// Number of heads of keys and values, which divides that of the heads; `None` for as many.
    pub key_value_heads: Option<usize>,
    /// Whether the products have biases.
    pub bias: bool,
    /// The probability of a weight of the attention to be left out while training.
    pub dropout: f64,
    /// What happens to scores before the softmax.
    pub score: Score,
}

impl AttentionLayer {
    /// With biases, without dropout, with scores as they are.
    pub fn new(heads: usize) -> Self {
        Self { heads, key_value_heads: None, bias: true, dropout: 0.0, score: Score::plain() }
    }

    /// With fewer heads of keys and values, each of which serves as many heads of queries that follow each other: grouped queries (Ainslie
    /// et al. 2023), and with 1, multiple queries (Shazeer 2019). Keys and values are then narrower than queries, by their number of heads.
    #[must_use]
    pub fn key_value_heads(self, heads: usize) -> Self {
        Self { key_value_heads: Some(heads), ..self }
    }

    /// Without biases.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// With this probability of a weight to be left out while training.
    #[must_use]
    pub fn dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }

    /// With a mask, a bias or another change of the scores.
    #[must_use]
    pub fn score(self, score: Score) -> Self {
        Self { score, ..self }
    }

    /// Each position sees itself and those before: [`Score::causal`].
    #[must_use]
    pub fn causal(self) -> Self {
        self.score(Score::causal())
    }

    /// The layer in a graph, for queries, keys and values of this width, with parameters of its own.
    #[track_caller]
    pub fn build(&self, g: &Graph, name: &str, width: usize) -> MultiheadAttention {
        refuse_known(g, &label(name), name, &["in_proj_weight", "q_proj_weight"]);
        self.shared(g, name, [width; 3])
    }

    /// The same for keys and values of other widths than the queries', as PyTorch's `kdim` and `vdim`.
    #[track_caller]
    pub fn build_for(&self, g: &Graph, name: &str, width: usize, keys: usize, values: usize) -> MultiheadAttention {
        refuse_known(g, &label(name), name, &["in_proj_weight", "q_proj_weight"]);
        self.shared(g, name, [width, keys, values])
    }

    /// The same with the parameters of its name, if the graph has them already.
    #[track_caller]
    pub(super) fn shared(&self, g: &Graph, name: &str, widths: [usize; 3]) -> MultiheadAttention {
        let [width, ..] = widths;
        let narrow = self.key_width(width);
        let scope = Scope::new(g, name, Mode::Evaluation);
        if let Err(message) = self.check(width) {
            g.mistake(&label(name), message);
        }
        let uniform = Initializer::XavierUniform { gain: 1.0 };
        let projections = if widths == [width; 3] {
            Projections::Joint(scope.parameter("in_proj_weight", [width + 2 * narrow, width], uniform))
        } else {
            let own = |kind: &str, to: usize, from: usize| scope.parameter(kind, [to, from], uniform);
            Projections::Apart([
                own("q_proj_weight", width, widths[0]),
                own("k_proj_weight", narrow, widths[1]),
                own("v_proj_weight", narrow, widths[2]),
            ])
        };
        let bias = self.bias.then(|| scope.parameter("in_proj_bias", [width + 2 * narrow], Initializer::Zeros));
        let mut out = Dense::new(width).bias_initializer(Initializer::Zeros);
        out.bias = self.bias;
        let out = out.shared(g, &format!("{name}.out_proj"), width);
        MultiheadAttention {
            name: name.to_owned(),
            graph: g.clone(),
            options: self.clone(),
            widths,
            projections,
            bias,
            out,
        }
    }

    /// The heads of keys and values.
    fn groups(&self) -> usize {
        self.key_value_heads.unwrap_or(self.heads)
    }

    /// The width of keys and values in all their heads, for queries of this one.
    fn key_width(&self, width: usize) -> usize {
        width / self.heads.max(1) * self.groups()
    }

    fn check(&self, width: usize) -> Result<(), String> {
        if self.heads == 0 || width == 0 || !width.is_multiple_of(self.heads) {
            return Err(format!("a width of {width} does not divide into {} heads", self.heads));
        }
        let groups = self.groups();
        if groups == 0 || !self.heads.is_multiple_of(groups) {
            return Err(format!(
                "{} heads of queries are no multiple of {groups} heads of keys and values",
                self.heads
            ));
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            return Err(format!("the dropout is {}, and must be from 0 to 1", self.dropout));
        }
        Ok(())
    }
}

impl Layer for AttentionLayer {
    fn describe(&self) -> String {
        match self.key_value_heads {
            Some(groups) => format!("attention({} heads, {groups} of keys)", self.heads),
            None => format!("attention({} heads)", self.heads),
        }
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let &[_, width] = input.dims() else {
            return Err(format!("takes examples of [length, width], not {input}"));
        };
        if let Some(buffer) = self.score.buffers().next() {
            return Err(format!("its score takes a buffer, {buffer:?}, which a model of one input cannot give"));
        }
        self.check(width).map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let width = x.shape().last().copied().unwrap_or(0);
        self.shared(scope.graph(), scope.name(), [width; 3]).forward(x, scope.mode())
    }
}

impl Sequential {
    /// Attention of the positions of an example, `[length, width]`, to each other. See [`MultiheadAttention`].
    #[must_use]
    #[track_caller]
    pub fn attention(self, heads: usize) -> Self {
        self.layer(AttentionLayer::new(heads))
    }
}

#[derive(Clone, Debug)]
enum Projections {
    /// `[width + 2 · key width, width]`: of queries, keys and values.
    Joint(Tensor),
    Apart([Tensor; 3]),
}

/// What an attention may be given beside queries, keys and values.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttentionInputs<'a> {
    /// The number of keys that each sequence of the batch has, integers `[batch]`; what is behind them is padding, which nothing sees.
    pub lengths: Option<&'a Tensor>,
    /// Added to the scores, broadcast to `[batch, heads, queries, keys]`; −∞ hides a pair.
    pub bias: Option<&'a Tensor>,
    /// The buffers of the layer's score.
    pub buffers: &'a [&'a Tensor],
    /// Turns queries and keys by their positions, for attention of positions to each other: 0, 1, … or, with a cache, those of the new ones.
    pub rotary: Option<&'a Rotary>,
    /// Where keys and values of earlier positions are, and new ones go: queries, keys and values are then those of the new positions, and all
    /// that is there is seen, as the score has it. Of attention to a memory, see [`MultiheadAttention::remember`].
    pub cache: Option<&'a KeyValueCache>,
}

/// `softmax(q·kᵀ/√d)·v` in each of several heads (Vaswani et al. 2017): PyTorch's `MultiheadAttention` with `batch_first`. An
/// [`AttentionLayer`] has what can be said of it.
///
/// Tensors are `[batch, length, width]`. Parameters have PyTorch's names: `NAME.in_proj_weight` and `in_proj_bias` of the products of queries,
/// keys and values (`q_proj_weight` and so on where their widths differ), `NAME.out_proj.weight` and `bias` of the one behind. With fewer heads of keys and
/// values the joint weight is `[width + 2 · key width, width]`, where the key width is that of their heads.
///
/// ```
/// use wgrad::nn::{AttentionInputs, AttentionLayer};
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let (x, memory) = (g.input("x", [8, 20, 64], F32), g.input("memory", [8, 30, 64], F32));
/// let lengths = g.input("lengths", [8], I32); // of the memory
/// let y = AttentionLayer::new(4).causal().build(&g, "self_attn", 64).forward(&x, Mode::Training);
/// let cross = AttentionLayer::new(4).build(&g, "cross_attn", 64);
/// let inputs = AttentionInputs { lengths: Some(&lengths), ..AttentionInputs::default() };
/// let y = cross.forward_with(&y, &memory, &memory, inputs, Mode::Training);
/// assert_eq!(y.shape(), [8, 20, 64].into());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct MultiheadAttention {
    name: String,
    graph: Graph,
    options: AttentionLayer,
    /// Of queries, keys and values.
    widths: [usize; 3],
    projections: Projections,
    bias: Option<Tensor>,
    out: Linear,
}

impl MultiheadAttention {
    /// Attention of positions to each other.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.forward_with(x, x, x, AttentionInputs::default(), mode)
    }

    /// Attention of queries to keys and their values, `[batch, keys, …]`.
    #[track_caller]
    pub fn forward_with(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        inputs: AttentionInputs<'_>,
        mode: Mode,
    ) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if !self.accepts([("queries", queries), ("keys", keys), ("values", values)]) {
            return queries.clone();
        }
        let [q, k, v] = self.projected(queries, keys, values).map(|tensor| self.by_heads(&tensor));
        let [q, k] = [q, k].map(|tensor| turned(&tensor, inputs));
        let Some(cache) = inputs.cache else { return self.attend([&q, &k, &v], inputs, mode) };
        match cache.extend(&self.name, [&k, &v], &self.options.score) {
            Ok(Extended { stored: [k, v], score, buffers, fits }) => {
                let buffers: Vec<&Tensor> = inputs.buffers.iter().copied().chain(&buffers).collect();
                let inputs = AttentionInputs { buffers: &buffers, ..inputs };
                let found = self.weighted(score, [&q, &k, &v], inputs, mode);
                // A wrong position must not go by unseen.
                self.finished(&fits.select(found, f64::NAN))
            }
            Err(message) => self.graph.mistake(&label(&self.name), message),
        }
    }

    /// The weights by which values are added, `[batch, heads, queries, keys]`; each query's sum to 1, or are 0 where it sees no key.
    #[track_caller]
    pub fn weights(&self, queries: &Tensor, keys: &Tensor, inputs: AttentionInputs<'_>) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if !self.accepts([("queries", queries), ("keys", keys), ("keys", keys)]) {
            return queries.clone();
        }
        let [q, k, _] = self.projected(queries, keys, keys).map(|tensor| self.by_heads(&tensor));
        let [q, k] = [q, k].map(|tensor| turned(&tensor, inputs));
        let (shape, length) = (k.shape(), k.shape()[2]);
        // Each key's value is its own axis.
        let axes = self.graph.eye(length, k.dtype()).broadcast_to([shape[0], shape[1], length, length]);
        self.weighted(self.options.score.clone(), [&q, &k, &axes], inputs, Mode::Evaluation)
    }

    /// Keeps the keys and values of a memory, `[batch, length, …]`, so that runs of other programs need not compute them again: an encoder's
    /// result, to which a decoder attends at each token.
    #[track_caller]
    pub fn remember(&self, memory: &Tensor, cache: &KeyValueCache) {
        let _layer = self.graph.in_layer(&self.name);
        if self.accepts([("keys", memory), ("values", memory)]) {
            let [k, v] = self.keys_and_values(memory, memory).map(|tensor| self.by_heads(&tensor));
            cache.remember(&self.name, [&k, &v]);
        }
    }

    /// Attention of queries to the `length` positions of a memory that was [remembered](Self::remember).
    #[track_caller]
    pub fn recall(
        &self,
        queries: &Tensor,
        cache: &KeyValueCache,
        length: usize,
        inputs: AttentionInputs<'_>,
        mode: Mode,
    ) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if !self.accepts([("queries", queries)]) {
            return queries.clone();
        }
        let q = self.by_heads(&self.projected_queries(queries));
        let (heads, size) = (self.options.groups(), self.head_size());
        let [k, v] = cache.recall(&self.name, [heads, length, size], q.dtype());
        self.attend([&q, &k, &v], inputs, mode)
    }

    /// Whether tensors are `[batch, length, width]`; else that is a mistake.
    #[track_caller]
    fn accepts<const N: usize>(&self, tensors: [(&str, &Tensor); N]) -> bool {
        for (what, tensor) in tensors {
            let width = match what {
                "queries" => self.widths[0],
                "keys" => self.widths[1],
                _ => self.widths[2],
            };
            if self.graph.error().is_some() {
                return false;
            }
            let shape = tensor.shape();
            if shape.rank() != 3 || shape[2] != width {
                let message = format!("takes {what} of [batch, length, {width}], not {shape}");
                self.graph.mistake(&label(&self.name), message);
            }
        }
        self.graph.error().is_none()
    }

    #[track_caller]
    fn attend(&self, tensors: [&Tensor; 3], inputs: AttentionInputs<'_>, mode: Mode) -> Tensor {
        self.finished(&self.weighted(self.options.score.clone(), tensors, inputs, mode))
    }

    /// The product behind the heads.
    #[track_caller]
    fn finished(&self, found: &Tensor) -> Tensor {
        if self.graph.error().is_some() {
            return found.clone();
        }
        let shape = found.shape();
        self.out.forward(&found.transpose(1, 2).reshape([shape[0], shape[2], self.widths[0]]))
    }

    #[track_caller]
    fn weighted(&self, score: Score, [q, k, v]: [&Tensor; 3], inputs: AttentionInputs<'_>, mode: Mode) -> Tensor {
        let options = AttentionOptions {
            scale: None,
            score,
            buffers: inputs.buffers,
            bias: inputs.bias,
            lengths: inputs.lengths,
            dropout: if mode == Mode::Training { self.options.dropout } else { 0.0 },
        };
        q.scaled_dot_product_attention(k, v, &options)
    }

    /// The products of queries, keys and values: one product where they are the same.
    #[track_caller]
    fn projected(&self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> [Tensor; 3] {
        if let Projections::Joint(weight) = &self.projections
            && queries.id() == keys.id()
            && keys.id() == values.id()
        {
            let all = linear(queries, weight, self.bias.as_ref(), self.graph.precision());
            let [width, narrow] = [self.widths[0], self.options.key_width(self.widths[0])];
            return [0..width, width..width + narrow, width + narrow..width + 2 * narrow]
                .map(|part| columns(&all, part));
        }
        let [k, v] = self.keys_and_values(keys, values);
        [self.projected_queries(queries), k, v]
    }

    #[track_caller]
    fn projected_queries(&self, queries: &Tensor) -> Tensor {
        self.product(queries, 0..1)
    }

    #[track_caller]
    fn keys_and_values(&self, keys: &Tensor, values: &Tensor) -> [Tensor; 2] {
        if matches!(self.projections, Projections::Joint(_)) && keys.id() == values.id() {
            let both = self.product(keys, 1..3);
            let narrow = self.options.key_width(self.widths[0]);
            return [0..narrow, narrow..2 * narrow].map(|part| columns(&both, part));
        }
        [self.product(keys, 1..2), self.product(values, 2..3)]
    }

    /// The product with some of the weights, in the order of queries, keys and values.
    #[track_caller]
    fn product(&self, x: &Tensor, of: Range<usize>) -> Tensor {
        let (width, narrow) = (self.widths[0], self.options.key_width(self.widths[0]));
        let bounds = [0, width, width + narrow, width + 2 * narrow];
        let (from, to) = (bounds[of.start], bounds[of.end]);
        let bias = self.bias.as_ref().map(|bias| bias.slice(0, from, to));
        let weight = match &self.projections {
            Projections::Joint(weight) => weight.slice(0, from, to),
            Projections::Apart(weights) => weights[of.start].clone(),
        };
        linear(x, &weight, bias.as_ref(), self.graph.precision())
    }

    /// `[batch, length, width]` as `[batch, heads, length, head size]`.
    #[track_caller]
    fn by_heads(&self, x: &Tensor) -> Tensor {
        let (shape, size) = (x.shape(), self.head_size());
        x.reshape([shape[0], shape[1], shape[2] / size, size]).transpose(1, 2)
    }

    fn head_size(&self) -> usize {
        self.widths[0] / self.options.heads
    }
}

/// Queries or keys, `[batch, heads, length, size]`, turned by their positions.
#[track_caller]
fn turned(x: &Tensor, inputs: AttentionInputs<'_>) -> Tensor {
    let Some(rotary) = inputs.rotary else { return x.clone() };
    let positions = inputs.cache.map(|cache| cache.positions(x.shape()[2]));
    rotary.forward(x, positions.as_ref())
}

/// Some of the last of three axes.
#[track_caller]
fn columns(all: &Tensor, part: Range<usize>) -> Tensor {
    all.slice(2, part.start, part.end)
}

/// The layer as mistakes name it.
fn label(name: &str) -> String {
    format!("attention {name:?}")
}
