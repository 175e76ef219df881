//! The network of `train translate`: an encoder and a decoder (Vaswani et al. 2017), whose words are told by the vectors that they are read as.

use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{
    AttentionInputs, Dropout, Embedding, EmbeddingLayer, Initializer, KeyValueCache, Mode, Model, Position,
    PositionLayer, Scope, Transformer, TransformerDecoder,
};
use wgrad::ops::Score;
use wgrad::tensor::DType;

use super::rows::LENGTH;

/// The sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    pub width: usize,
    pub heads: usize,
    pub layers: usize,
    pub feed_forward: usize,
    pub dropout: f64,
}

/// The network for two vocabularies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Translator {
    pub sizes: Sizes,
    pub source_words: usize,
    pub target_words: usize,
}

impl Translator {
    fn transformer(&self) -> Transformer {
        let Sizes { heads, layers, feed_forward, dropout, .. } = self.sizes;
        Transformer::new(heads).layers(layers).feed_forward(feed_forward).dropout(dropout).norm_first()
    }

    /// The vectors of tokens at their positions, and the table that they come from.
    #[track_caller]
    fn read(&self, g: &Graph, side: &str, tokens: &Tensor, positions: &Tensor, mode: Mode) -> (Tensor, Embedding) {
        let (words, width) = (if side == "source" { self.source_words } else { self.target_words }, self.sizes.width);
        // As long as a position's vector when they are read, and small enough to begin with even chances when they are told.
        let initial = Initializer::Normal { mean: 0.0, std: (width as f64).sqrt().recip() };
        let table = EmbeddingLayer::new(words, width).initializer(initial).build(g, &format!("{side}_embedding"));
        let vectors = table.forward(tokens) * (width as f64).sqrt();
        let at = PositionLayer { position: Position::Sinusoidal };
        let read = at.forward_at(&Scope::new(g, side, mode), &vectors, positions, LENGTH);
        (Dropout::new(self.sizes.dropout).forward(&read, mode), table)
    }

    /// What the encoder makes of sources, `[batch, length]` with their lengths.
    #[track_caller]
    pub fn encode(&self, g: &Graph, tokens: &Tensor, lengths: &Tensor) -> Tensor {
        let positions = g.arange(tokens.shape().get(1).copied().unwrap_or(0));
        let (x, _) = self.read(g, "source", tokens, &positions, Mode::Evaluation);
        let encoder = self.transformer().build_encoder(g, "encoder", self.sizes.width);
        encoder.forward(&x, of_length(lengths), Mode::Evaluation)
    }

    #[track_caller]
    fn decoder(&self, g: &Graph) -> TransformerDecoder {
        self.transformer().build_decoder(g, "decoder", self.sizes.width)
    }

    /// Keeps what a decoder needs of memories.
    #[track_caller]
    pub fn remember(&self, g: &Graph, memory: &Tensor, cache: &KeyValueCache) {
        self.decoder(g).remember(memory, cache);
    }

    /// Logits `[batch, words]` of what follows tokens `[batch, 1]`, with memories of this length that were remembered.
    #[track_caller]
    pub fn step(&self, tokens: &Tensor, cache: &KeyValueCache, (length, lengths): (usize, &Tensor)) -> Tensor {
        let g = tokens.graph();
        let (x, table) = self.read(g, "target", tokens, &cache.positions(1), Mode::Evaluation);
        let own = AttentionInputs { cache: Some(cache), ..AttentionInputs::default() };
        let y = self.decoder(g).forward_remembered((&x, own), (length, of_length(lengths)), Mode::Evaluation);
        table.tied("head").forward(&y.at(1, 0))
    }

    /// The weights by which each position of a target, `[1, length]`, attends to its source, `[layers, heads, target, source]`.
    #[track_caller]
    pub fn attention(&self, source: &Tensor, target: &Tensor) -> Tensor {
        let g = source.graph();
        let [of_source, of_target] = [source, target].map(|tokens| tokens.shape().get(1).copied().unwrap_or(0));
        let lengths = g.full([1], DType::I32, of_source as f64);
        let memory = self.encode(g, source, &lengths);
        let (x, _) = self.read(g, "target", target, &g.arange(of_target), Mode::Evaluation);
        let own = AttentionInputs::default();
        let decoder = self.decoder(g);
        let (_, weights) = decoder.forward_with_weights((&x, own), (&memory, of_length(&lengths)), Mode::Evaluation);
        g.concat(&weights.iter().collect::<Vec<_>>(), 0)
    }
}

/// Attention within a sentence of several, by their numbers.
fn same<'a>(buffers: &'a [&'a Tensor]) -> AttentionInputs<'a> {
    AttentionInputs { buffers, ..AttentionInputs::default() }
}

/// Attention to what is not padding.
fn of_length(lengths: &Tensor) -> AttentionInputs<'_> {
    AttentionInputs { lengths: Some(lengths), ..AttentionInputs::default() }
}

impl Model for Translator {
    /// Logits `[batch, LENGTH, words]` of rows as `rows::packed` makes them.
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        let batch = x.shape().first().copied().unwrap_or(0);
        let side = |plane: usize, side: usize| x.at(1, plane).slice(1, side * LENGTH, (side + 1) * LENGTH);
        let of_queries = |side: &Tensor| side.reshape([batch, 1, LENGTH, 1]);
        let of_keys = |side: &Tensor| side.reshape([batch, 1, 1, LENGTH]);
        let (sources, targets) = (side(2, 0), side(2, 1));
        let ([source_queries, target_queries], [source_keys, target_keys]) =
            ([&sources, &targets].map(of_queries), [&sources, &targets].map(of_keys));
        let options = self.transformer();
        let [in_source, in_target, across] =
            [[&source_queries, &source_keys], [&target_queries, &target_keys], [&target_queries, &source_keys]];
        let (source, _) = self.read(g, "source", &side(0, 0), &side(1, 0), mode);
        let encoder = options.clone().score(Score::documents()).build_encoder(g, "encoder", self.sizes.width);
        let memory = encoder.forward(&source, same(&in_source), mode);
        let (target, table) = self.read(g, "target", &side(0, 1), &side(1, 1), mode);
        let options = options.score(Score::causal().and(&Score::documents())).memory_score(Score::documents());
        let decoder = options.build_decoder(g, "decoder", self.sizes.width);
        let own = same(&in_target);
        let y = decoder.forward((&target, own), (&memory, same(&across)), mode);
        table.tied("head").forward(&y)
    }
}
