//! A decoder as Llama's (Touvron et al. 2023), of which SmolLM2 is a small one.

use crate::graph::{Graph, Tensor};
use crate::nn::{
    AttentionInputs, AttentionLayer, EmbeddingLayer, Initializer, KeyValueCache, Mode, RmsNormalization, Rotary,
    SwiGluLayer,
};

/// A model of the next token: rotary positions, grouped heads of keys and values, RMS normalisation before each part, gated products, no
/// biases, and the embedding's table as the head's weight.
///
/// Parameters are `embed_tokens.weight`, those of `layers.N.input_layernorm`, `layers.N.self_attn` (an [`AttentionLayer`]),
/// `layers.N.post_attention_layernorm` and `layers.N.mlp` (a [`SwiGluLayer`]), and `norm.weight`.
///
/// ```
/// use wgrad::bench::Llama;
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let logits = Llama::SMOLLM2_135M.logits(&g, &g.input("tokens", [1, 128], I32), None);
/// assert_eq!(logits.shape(), [1, 128, 49_152].into());
/// let count: usize = g.parameters().iter().map(|(_, parameter)| parameter.shape().len()).sum();
/// assert_eq!(count, 134_515_008);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama {
    /// The number of tokens that there are.
    pub vocabulary: usize,
    /// The number of layers.
    pub layers: usize,
    /// Features of a position.
    pub width: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub key_value_heads: usize,
    /// Width between the gated products.
    pub inner: usize,
    /// The base of the rotary positions.
    pub rotary_base: f64,
    /// The longest sequence.
    pub longest: usize,
}

impl Llama {
    /// SmolLM2 with 135 million parameters (Allal et al. 2025), whose rotary base is 100,000; up to 2048 of its 8192 positions.
    pub const SMOLLM2_135M: Self = Self {
        vocabulary: 49_152,
        layers: 30,
        width: 576,
        heads: 9,
        key_value_heads: 3,
        inner: 1536,
        rotary_base: 100_000.0,
        longest: 2048,
    };

    /// The logits of what follows each token, `[batch, length, vocabulary]`, of integers `[batch, length]`. With a cache, those are new
    /// tokens behind what is in it.
    #[track_caller]
    pub fn logits(&self, g: &Graph, tokens: &Tensor, cache: Option<&KeyValueCache>) -> Tensor {
        let initializer = Initializer::Normal { mean: 0.0, std: 1.0 / (self.width as f64).sqrt() };
        let words = EmbeddingLayer::new(self.vocabulary, self.width).initializer(initializer);
        let words = words.build(g, "embed_tokens");
        let rotary = Rotary::with_base(g, self.width / self.heads.max(1), self.longest, self.rotary_base);
        let inputs = AttentionInputs { rotary: Some(&rotary), cache, ..AttentionInputs::default() };
        let layer = |x: Tensor, index| self.layer(g, &format!("layers.{index}"), &x, inputs);
        let x = (0..self.layers).fold(words.forward(tokens), layer);
        words.tied("lm_head").forward(&self.normalized(g, "norm", &x))
    }

    #[track_caller]
    fn layer(&self, g: &Graph, name: &str, x: &Tensor, inputs: AttentionInputs<'_>) -> Tensor {
        let attention = AttentionLayer::new(self.heads).key_value_heads(self.key_value_heads).without_bias().causal();
        let attention = attention.build(g, &format!("{name}.self_attn"), self.width);
        let y = self.normalized(g, &format!("{name}.input_layernorm"), x);
        let x = x + attention.forward_with(&y, &y, &y, inputs, Mode::Evaluation);
        let products = SwiGluLayer::new(self.inner).build(g, &format!("{name}.mlp"), self.width);
        &x + products.forward(&self.normalized(g, &format!("{name}.post_attention_layernorm"), &x))
    }

    #[track_caller]
    fn normalized(&self, g: &Graph, name: &str, x: &Tensor) -> Tensor {
        RmsNormalization::new().eps(1e-5).build(g, name, [self.width]).forward(x)
    }
}
