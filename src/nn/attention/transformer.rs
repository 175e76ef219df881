//! The options of transformers, and their encoders: layers and stacks.

use super::decoder::{TransformerDecoder, TransformerDecoderLayer};
use super::{AttentionInputs, AttentionLayer, MultiheadAttention};
use crate::graph::{Graph, Tensor};
use crate::nn::norm::{LayerNorm, LayerNormalization};
use crate::nn::{Activation, Dense, Dropout, Layer, Linear, Mode, Scope, Sequential, refuse_known};
use crate::ops::Score;
use crate::tensor::Shape;

/// The options of a transformer's layers (Vaswani et al. 2017): PyTorch's, with the same defaults. As data, for a model of one input, it is a
/// stack of encoder layers.
///
/// ```
/// use wgrad::nn::{Position, Transformer};
/// use wgrad::prelude::*;
/// // A classifier of 64 words.
/// let encoder = Transformer::new(4).layers(2).feed_forward(128).norm_first();
/// let model = Sequential::new([64]).embedding(1000, 32).positions(Position::Sinusoidal).layer(encoder);
/// assert_eq!(model.output_shape()?, [64, 32].into());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Transformer {
    /// Heads of each attention.
    pub heads: usize,
    /// Layers of a stack.
    pub layers: usize,
    /// Width between the two products behind an attention.
    pub feed_forward: usize,
    /// The probability of everything that is left out while training: weights of attentions, and elements before each sum and between
    /// the products.
    pub dropout: f64,
    /// Between the products.
    pub activation: Activation,
    /// Added to variances.
    pub eps: f64,
    /// Normalises before attentions and products, instead of behind the sums; a stack then normalises at its end.
    pub norm_first: bool,
    /// Whether products and normalisations have biases.
    pub bias: bool,
    /// What happens to the scores of positions with each other; `None` for nothing in an encoder, and [`Score::causal`] in a decoder.
    pub score: Option<Score>,
    /// What happens to the scores of a decoder's positions with those of its memory; `None` for nothing.
    pub memory_score: Option<Score>,
}

impl Transformer {
    /// One layer of 2048 between its products, a dropout of 0.1, relu, and normalisation behind sums.
    pub fn new(heads: usize) -> Self {
        Self {
            heads,
            layers: 1,
            feed_forward: 2048,
            dropout: 0.1,
            activation: Activation::Relu,
            eps: 1e-5,
            norm_first: false,
            bias: true,
            score: None,
            memory_score: None,
        }
    }

    /// The number of layers of a stack.
    #[must_use]
    pub fn layers(self, layers: usize) -> Self {
        Self { layers, ..self }
    }

    /// The width between the products.
    #[must_use]
    pub fn feed_forward(self, feed_forward: usize) -> Self {
        Self { feed_forward, ..self }
    }

    /// The probability of what is left out while training.
    #[must_use]
    pub fn dropout(self, dropout: f64) -> Self {
        Self { dropout, ..self }
    }

    /// The activation between the products.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// With another ε.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Normalises first.
    #[must_use]
    pub fn norm_first(self) -> Self {
        Self { norm_first: true, ..self }
    }

    /// Without biases.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// With a mask, a bias or another change of the scores of positions with each other.
    #[must_use]
    pub fn score(self, score: Score) -> Self {
        Self { score: Some(score), ..self }
    }

    /// With a mask, a bias or another change of the scores of a decoder's positions with its memory's.
    #[must_use]
    pub fn memory_score(self, score: Score) -> Self {
        Self { memory_score: Some(score), ..self }
    }

    /// An encoder layer in a graph, with parameters of its own: PyTorch's `TransformerEncoderLayer`.
    #[track_caller]
    pub fn build_encoder_layer(&self, g: &Graph, name: &str, width: usize) -> TransformerEncoderLayer {
        refuse_known(g, &label(name), name, &["linear1.weight"]);
        self.encoder_layer(g, name, width)
    }

    /// A decoder layer in a graph, with parameters of its own: PyTorch's `TransformerDecoderLayer`.
    #[track_caller]
    pub fn build_decoder_layer(&self, g: &Graph, name: &str, width: usize) -> TransformerDecoderLayer {
        refuse_known(g, &label(name), name, &["linear1.weight"]);
        self.decoder_layer(g, name, width)
    }

    /// A stack of encoder layers in a graph: PyTorch's `TransformerEncoder`, with a `norm` at its end where the layers normalise first.
    #[track_caller]
    pub fn build_encoder(&self, g: &Graph, name: &str, width: usize) -> TransformerEncoder {
        refuse_known(g, &label(name), name, &["layers.0.linear1.weight"]);
        self.encoder(g, name, width)
    }

    /// A stack of decoder layers, likewise.
    #[track_caller]
    pub fn build_decoder(&self, g: &Graph, name: &str, width: usize) -> TransformerDecoder {
        refuse_known(g, &label(name), name, &["layers.0.linear1.weight"]);
        let mut layers = Vec::new();
        for index in 0..self.layers {
            layers.push(self.decoder_layer(g, &format!("{name}.layers.{index}"), width));
        }
        TransformerDecoder { layers, norm: self.last_norm(g, name, width) }
    }

    #[track_caller]
    fn encoder(&self, g: &Graph, name: &str, width: usize) -> TransformerEncoder {
        let mut layers = Vec::new();
        for index in 0..self.layers {
            layers.push(self.encoder_layer(g, &format!("{name}.layers.{index}"), width));
        }
        TransformerEncoder { layers, norm: self.last_norm(g, name, width) }
    }

    #[track_caller]
    fn last_norm(&self, g: &Graph, name: &str, width: usize) -> Option<LayerNorm> {
        if self.norm_first { Some(self.norm(g, &format!("{name}.norm"), width)) } else { None }
    }

    #[track_caller]
    fn encoder_layer(&self, g: &Graph, name: &str, width: usize) -> TransformerEncoderLayer {
        let score = self.score.clone().unwrap_or_default();
        TransformerEncoderLayer {
            attention: self.attention(g, &format!("{name}.self_attn"), width, score),
            block: Block::new(self, g, name, width),
            norms: [1, 2].map(|index| self.norm(g, &format!("{name}.norm{index}"), width)),
        }
    }

    #[track_caller]
    fn decoder_layer(&self, g: &Graph, name: &str, width: usize) -> TransformerDecoderLayer {
        let score = self.score.clone().unwrap_or_else(Score::causal);
        let memory_score = self.memory_score.clone().unwrap_or_default();
        TransformerDecoderLayer {
            attention: self.attention(g, &format!("{name}.self_attn"), width, score),
            to_memory: self.attention(g, &format!("{name}.multihead_attn"), width, memory_score),
            block: Block::new(self, g, name, width),
            norms: [1, 2, 3].map(|index| self.norm(g, &format!("{name}.norm{index}"), width)),
        }
    }

    #[track_caller]
    fn attention(&self, g: &Graph, name: &str, width: usize, score: Score) -> MultiheadAttention {
        self.attention_layer(score).shared(g, name, [width; 3])
    }

    fn attention_layer(&self, score: Score) -> AttentionLayer {
        AttentionLayer { bias: self.bias, dropout: self.dropout, score, ..AttentionLayer::new(self.heads) }
    }

    #[track_caller]
    fn norm(&self, g: &Graph, name: &str, width: usize) -> LayerNorm {
        let norm = LayerNormalization::new().eps(self.eps);
        (if self.bias { norm } else { norm.without_bias() }).shared(g, name, [width].into())
    }
}

impl Layer for Transformer {
    fn describe(&self) -> String {
        format!("transformer({} layers, {} heads, {})", self.layers, self.heads, self.feed_forward)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if self.layers == 0 || self.feed_forward == 0 {
            return Err("needs a layer or more, and a width of 1 or more between its products".into());
        }
        self.attention_layer(self.score.clone().unwrap_or_default()).output_shape(input)
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let width = x.shape().last().copied().unwrap_or(0);
        let encoder = self.encoder(scope.graph(), scope.name(), width);
        encoder.forward(x, AttentionInputs::default(), scope.mode())
    }
}

/// The products behind an attention, and how they and attentions are added.
#[derive(Clone, Debug)]
pub(super) struct Block {
    first: Linear,
    second: Linear,
    activation: Activation,
    dropout: Dropout,
    norm_first: bool,
}

impl Block {
    #[track_caller]
    fn new(options: &Transformer, g: &Graph, name: &str, width: usize) -> Self {
        let dense = |units: usize| if options.bias { Dense::new(units) } else { Dense::new(units).without_bias() };
        Self {
            first: dense(options.feed_forward).shared(g, &format!("{name}.linear1"), width),
            second: dense(width).shared(g, &format!("{name}.linear2"), options.feed_forward),
            activation: options.activation,
            dropout: Dropout::new(options.dropout),
            norm_first: options.norm_first,
        }
    }

    /// Adds what a part of the layer makes of x.
    #[track_caller]
    pub(super) fn add(&self, x: &Tensor, norm: &LayerNorm, mode: Mode, part: &dyn Fn(&Tensor) -> Tensor) -> Tensor {
        if self.norm_first {
            x + self.dropout.forward(&part(&norm.forward(x)), mode)
        } else {
            norm.forward(&(x + self.dropout.forward(&part(x), mode)))
        }
    }

    #[track_caller]
    pub(super) fn products(&self, x: &Tensor, mode: Mode) -> Tensor {
        let hidden = self.activation.apply(&self.first.forward(x));
        self.second.forward(&self.dropout.forward(&hidden, mode))
    }
}

/// Attention of positions to each other, then two products, each added to what went in and normalised: PyTorch's
/// `TransformerEncoderLayer` with `batch_first`. A [`Transformer`] builds it, and has its options.
///
/// Parameters are those of `NAME.self_attn`, `NAME.linear1`, `linear2`, `norm1` and `norm2`.
#[derive(Clone, Debug)]
pub struct TransformerEncoderLayer {
    attention: MultiheadAttention,
    block: Block,
    norms: [LayerNorm; 2],
}

impl TransformerEncoderLayer {
    /// Of `[batch, length, width]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, inputs: AttentionInputs<'_>, mode: Mode) -> Tensor {
        let Self { attention, block, norms: [first, second] } = self;
        let x = block.add(x, first, mode, &|x| attention.forward_with(x, x, x, inputs, mode));
        block.add(&x, second, mode, &|x| block.products(x, mode))
    }
}

/// A stack of encoder layers, `NAME.layers.0` and so on, with `NAME.norm` at its end where they normalise first.
///
/// ```
/// use wgrad::nn::{AttentionInputs, Transformer};
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let (source, target) = (g.input("source", [8, 30, 64], F32), g.input("target", [8, 20, 64], F32));
/// let lengths = g.input("lengths", [8], I32); // of the source
/// let of_source = AttentionInputs { lengths: Some(&lengths), ..AttentionInputs::default() };
/// let options = Transformer::new(4).layers(2).feed_forward(256);
/// let memory = options.build_encoder(&g, "encoder", 64).forward(&source, of_source, Mode::Training);
/// let decoder = options.build_decoder(&g, "decoder", 64); // each position sees those before
/// let y = decoder.forward((&target, AttentionInputs::default()), (&memory, of_source), Mode::Training);
/// assert_eq!(y.shape(), [8, 20, 64].into());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct TransformerEncoder {
    layers: Vec<TransformerEncoderLayer>,
    norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// Of `[batch, length, width]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, inputs: AttentionInputs<'_>, mode: Mode) -> Tensor {
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.forward(&x, inputs, mode);
        }
        match &self.norm {
            Some(norm) => norm.forward(&x),
            None => x,
        }
    }
}

impl Sequential {
    /// A stack of encoder layers with [`Transformer`]'s defaults, of an example `[length, width]`.
    #[must_use]
    #[track_caller]
    pub fn transformer_encoder(self, layers: usize, heads: usize) -> Self {
        self.layer(Transformer::new(heads).layers(layers))
    }
}

/// The layer as mistakes name it.
pub(super) fn label(name: &str) -> String {
    format!("transformer {name:?}")
}
