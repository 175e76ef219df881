//! The networks of `train char-lm`: each tells the next character at every position of a text.

use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{
    Activation, AttentionInputs, Dropout, Embedding, EmbeddingLayer, Initializer, KeyValueCache, Layer, Linear, Mode,
    Model, Position, PositionLayer, Recurrent, RecurrentInputs, RecurrentKind, Scope, Transformer,
};
use wgrad::ops::Score;
use wgrad::train::carried_state;

use super::recurrent;

/// A network.
#[derive(Clone, Copy, Debug)]
pub struct Letters {
    pub vocabulary: usize,
    pub body: Body,
}

/// What is between the embedding and the dense layer at the end.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Recurrent layers, whose states go on from run to run.
    Recurrent { kind: RecurrentKind, layers: usize, hidden: usize, embedding: usize, dropout: f64 },
    /// A transformer whose positions see those before, up to a number of them.
    Transformer { layers: usize, heads: usize, width: usize, context: usize },
}

impl Letters {
    /// The network of a model's name, where sequences have `steps` characters.
    pub fn of(model: &str, vocabulary: usize, steps: usize) -> Self {
        let body = match model {
            "gpt" => Body::Transformer { layers: 4, heads: 4, width: 128, context: steps },
            "lstm-large" => {
                Body::Recurrent { kind: RecurrentKind::Lstm, layers: 2, hidden: 512, embedding: 64, dropout: 0.2 }
            }
            other => {
                Body::Recurrent { kind: recurrent::kind(other), layers: 1, hidden: 256, embedding: 64, dropout: 0.0 }
            }
        };
        Self { vocabulary, body }
    }

    /// The number of characters that it sees at most; without one, those of a recurrent network are read one by one.
    pub fn context(&self) -> Option<usize> {
        match self.body {
            Body::Transformer { context, .. } => Some(context),
            Body::Recurrent { .. } => None,
        }
    }

    /// Logits `[batch, steps, vocabulary]` of what follows each position of `x` `[batch, steps]`. States are carried from run to run
    /// in variables whose names begin with `states`.
    pub fn write(self, g: &Graph, x: &Tensor, mode: Mode, states: &str) -> Tensor {
        match self.body {
            Body::Recurrent { kind, layers, hidden, embedding, dropout } => {
                let batch = x.shape().first().copied().unwrap_or(1);
                let letters = Embedding::new(g, "embedding", self.vocabulary, embedding).forward(&x.transpose(0, 1));
                let names: &[&str] = if kind == RecurrentKind::Lstm { &["h", "c"] } else { &["h"] };
                let mut before = Vec::new();
                for name in names {
                    let name = format!("{states}{}.carried_{name}", kind.name());
                    before.push(carried_state(g, &name, mode, [layers, batch, hidden]));
                }
                let inputs = RecurrentInputs { hidden: before.first(), cell: before.get(1), lengths: None };
                let options = Recurrent::new().num_layers(layers).dropout(dropout);
                let found = recurrent::forward(g, kind, &letters, hidden, options, &inputs, mode);
                for (state, last) in before.iter().zip(&found.last) {
                    g.assign(state, last);
                }
                let outputs = Dropout::new(dropout).forward(&found.outputs.transpose(0, 1), mode);
                Linear::new(g, "head", hidden, self.vocabulary).forward(&outputs)
            }
            Body::Transformer { .. } => self.attend(g, x, mode, None),
        }
    }

    /// Logits `[1, new, vocabulary]` of what follows each of some characters behind those of the cache, for a transformer.
    pub fn go_on(self, x: &Tensor, cache: &KeyValueCache) -> Tensor {
        self.attend(x.graph(), x, Mode::Evaluation, Some(cache))
    }

    /// A transformer of a whole sequence, or of what follows the characters of a cache.
    fn attend(self, g: &Graph, x: &Tensor, mode: Mode, cache: Option<&KeyValueCache>) -> Tensor {
        let Body::Transformer { layers, heads, width, context } = self.body else {
            return g.mistake("letters", "has no attention");
        };
        let small = Initializer::Normal { mean: 0.0, std: 0.02 };
        let letters = EmbeddingLayer::new(self.vocabulary, width).initializer(small).build(g, "embedding").forward(x);
        let positions = PositionLayer { position: Position::Learned { longest: context } };
        let at = Scope::new(g, "position", mode);
        let x = match cache {
            Some(cache) => {
                let new = x.shape().get(1).copied().unwrap_or(1);
                positions.forward_at(&at, &letters, &cache.positions(new), context)
            }
            None => positions.forward(&at, &letters),
        };
        let options = Transformer::new(heads).layers(layers).feed_forward(4 * width).dropout(0.0).norm_first();
        let options = options.activation(Activation::Gelu).score(Score::causal());
        let inputs = AttentionInputs { cache, ..AttentionInputs::default() };
        let x = options.build_encoder(g, "transformer", width).forward(&x, inputs, mode);
        Linear::without_bias(g, "head", width, self.vocabulary).forward(&x)
    }
}

impl Model for Letters {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        self.write(g, x, mode, "")
    }
}
