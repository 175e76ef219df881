//! Decoders of transformers: layers and stacks that attend to themselves and to a memory, which may be remembered from another program.

use std::cell::RefCell;

use super::transformer::{Block, label};
use super::{AttentionInputs, KeyValueCache, MultiheadAttention};
use crate::graph::Tensor;
use crate::nn::Mode;
use crate::nn::norm::LayerNorm;

/// As a [`TransformerEncoderLayer`](super::TransformerEncoderLayer), with an attention to the encoder's result in between: PyTorch's
/// `TransformerDecoderLayer` with `batch_first`. A [`Transformer`](super::Transformer) builds it, and has its options.
///
/// Parameters are those of `NAME.self_attn`, `NAME.multihead_attn`, `linear1`, `linear2`, `norm1`, `norm2` and `norm3`.
#[derive(Clone, Debug)]
pub struct TransformerDecoderLayer {
    pub(super) attention: MultiheadAttention,
    pub(super) to_memory: MultiheadAttention,
    pub(super) block: Block,
    pub(super) norms: [LayerNorm; 3],
}

impl TransformerDecoderLayer {
    /// Of `[batch, length, width]` with an encoder's result, `[batch, memory length, width]`; each with what its attention is given.
    #[track_caller]
    pub fn forward(
        &self,
        (x, inputs): (&Tensor, AttentionInputs<'_>),
        (memory, of_memory): (&Tensor, AttentionInputs<'_>),
        mode: Mode,
    ) -> Tensor {
        let to_memory = |x: &Tensor| self.to_memory.forward_with(x, memory, memory, of_memory, mode);
        self.layered(x, inputs, &to_memory, mode)
    }

    /// Keeps what it needs of an encoder's result, `[batch, memory length, width]`.
    #[track_caller]
    pub fn remember(&self, memory: &Tensor, cache: &KeyValueCache) {
        self.to_memory.remember(memory, cache);
    }

    /// Of new positions, `[batch, new, width]`, where `inputs` have the cache that remembers a memory of this length.
    #[track_caller]
    pub fn forward_remembered(
        &self,
        (x, inputs): (&Tensor, AttentionInputs<'_>),
        (length, of_memory): (usize, AttentionInputs<'_>),
        mode: Mode,
    ) -> Tensor {
        let Some(cache) = inputs.cache else {
            return x.graph().mistake(&label("decoder"), "has no cache that could remember a memory");
        };
        let to_memory = |x: &Tensor| self.to_memory.recall(x, cache, length, of_memory, mode);
        self.layered(x, inputs, &to_memory, mode)
    }

    /// As [`forward`](Self::forward), with the weights of its attention to the memory, `[batch, heads, length, memory length]`.
    #[track_caller]
    pub fn forward_with_weights(
        &self,
        (x, inputs): (&Tensor, AttentionInputs<'_>),
        (memory, of_memory): (&Tensor, AttentionInputs<'_>),
        mode: Mode,
    ) -> (Tensor, Tensor) {
        let weights = RefCell::new(None);
        let to_memory = |x: &Tensor| {
            *weights.borrow_mut() = Some(self.to_memory.weights(x, memory, of_memory));
            self.to_memory.forward_with(x, memory, memory, of_memory, mode)
        };
        let y = self.layered(x, inputs, &to_memory, mode);
        let weights = weights.into_inner().unwrap_or_else(|| y.clone());
        (y, weights)
    }

    #[track_caller]
    fn layered(
        &self,
        x: &Tensor,
        inputs: AttentionInputs<'_>,
        to_memory: &dyn Fn(&Tensor) -> Tensor,
        mode: Mode,
    ) -> Tensor {
        let Self { attention, block, norms: [first, second, third], .. } = self;
        let x = block.add(x, first, mode, &|x| attention.forward_with(x, x, x, inputs, mode));
        let x = block.add(&x, second, mode, to_memory);
        block.add(&x, third, mode, &|x| block.products(x, mode))
    }
}

/// A stack of decoder layers, `NAME.layers.0` and so on. See [`TransformerEncoder`](super::TransformerEncoder).
#[derive(Clone, Debug)]
pub struct TransformerDecoder {
    pub(super) layers: Vec<TransformerDecoderLayer>,
    pub(super) norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// As [`TransformerDecoderLayer::forward`].
    #[track_caller]
    pub fn forward(
        &self,
        (x, inputs): (&Tensor, AttentionInputs<'_>),
        memory: (&Tensor, AttentionInputs<'_>),
        mode: Mode,
    ) -> Tensor {
        self.stacked(x, &|layer, x| layer.forward((x, inputs), memory, mode))
    }

    /// As [`TransformerDecoderLayer::remember`], in each layer.
    #[track_caller]
    pub fn remember(&self, memory: &Tensor, cache: &KeyValueCache) {
        self.layers.iter().for_each(|layer| layer.remember(memory, cache));
    }

    /// As [`TransformerDecoderLayer::forward_remembered`]: what a program does for each new token of a translation, where another one has
    /// encoded its source and [remembered](Self::remember) it.
    ///
    /// ```
    /// use wgrad::nn::{AttentionInputs, KeyValueCache, Transformer};
    /// use wgrad::prelude::*;
    /// let options = Transformer::new(4).layers(2).feed_forward(64);
    /// let cached = |g: &Graph| KeyValueCache::new(g, "cache", 8, 40, &g.input("position", [8], I32));
    /// let inputs = AttentionInputs::default();
    ///
    /// let g = Graph::new(); // once for each batch of sources
    /// let memory = options.build_encoder(&g, "encoder", 32).forward(&g.input("x", [8, 30, 32], F32), inputs, Mode::Evaluation);
    /// options.build_decoder(&g, "decoder", 32).remember(&memory, &cached(&g));
    /// let mut session = g.compile(&Device::cpu())?;
    ///
    /// let g = Graph::new(); // for each token
    /// let (token, cache) = (g.input("token", [8, 1, 32], F32), cached(&g));
    /// let own = AttentionInputs { cache: Some(&cache), ..inputs };
    /// let decoder = options.build_decoder(&g, "decoder", 32);
    /// g.output("y", &decoder.forward_remembered((&token, own), (30, inputs), Mode::Evaluation));
    /// let token = session.load(&g)?;
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn forward_remembered(
        &self,
        (x, inputs): (&Tensor, AttentionInputs<'_>),
        memory: (usize, AttentionInputs<'_>),
        mode: Mode,
    ) -> Tensor {
        self.stacked(x, &|layer, x| layer.forward_remembered((x, inputs), memory, mode))
    }

    /// As [`forward`](Self::forward), with the weights of each layer's attention to the memory, `[batch, heads, length, memory length]`.
    #[track_caller]
    pub fn forward_with_weights(
        &self,
        (x, inputs): (&Tensor, AttentionInputs<'_>),
        memory: (&Tensor, AttentionInputs<'_>),
        mode: Mode,
    ) -> (Tensor, Vec<Tensor>) {
        let all = RefCell::new(Vec::new());
        let y = self.stacked(x, &|layer, x| {
            let (y, weights) = layer.forward_with_weights((x, inputs), memory, mode);
            all.borrow_mut().push(weights);
            y
        });
        (y, all.into_inner())
    }

    #[track_caller]
    fn stacked(&self, x: &Tensor, apply: &dyn Fn(&TransformerDecoderLayer, &Tensor) -> Tensor) -> Tensor {
        let mut x = x.clone();
        for layer in &self.layers {
            x = apply(layer, &x);
        }
        match &self.norm {
            Some(norm) => norm.forward(&x),
            None => x,
        }
    }
}
