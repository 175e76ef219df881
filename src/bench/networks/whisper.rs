//! A transformer from speech to text (Radford et al. 2022).

use crate::graph::{Graph, Tensor};
use crate::nn::{
    Activation, AttentionInputs, Conv1d, EmbeddingLayer, Initializer, Layer, Mode, Position, PositionLayer, Scope,
    Transformer,
};
use crate::ops::ConvOptions;
use crate::tensor::TensorData;

/// An encoder of spectrograms, with two convolutions before it, and a decoder of tokens, whose embedding's table is the head's weight.
///
/// Parameters are those of `encoder.conv1` and `encoder.conv2`, of `encoder` and `decoder` as a [`Transformer`] has them (with biases of
/// keys, which change nothing), `decoder.embed_tokens.weight` and `decoder.embed_positions.weight`.
///
/// ```
/// use wgrad::bench::Whisper;
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let (sound, tokens) = (g.input("sound", [1, 80, 3000], F32), g.input("tokens", [1, 64], I32));
/// let logits = Whisper::TINY.logits(&g, &sound, &tokens, Mode::Training);
/// assert_eq!(logits.shape(), [1, 64, 51_865].into());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whisper {
    /// The number of tokens that there are.
    pub vocabulary: usize,
    /// Layers of the encoder, and of the decoder.
    pub layers: usize,
    /// Features of a position.
    pub width: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// The longest text.
    pub longest: usize,
}

impl Whisper {
    /// The smallest one.
    pub const TINY: Self = Self { vocabulary: 51_865, layers: 4, width: 384, heads: 6, longest: 448 };

    /// The logits of what follows each token, `[batch, length, vocabulary]`, of spectrograms `[batch, frequencies, 2 · positions]` and
    /// integers `[batch, length]`.
    #[track_caller]
    pub fn logits(&self, g: &Graph, sound: &Tensor, tokens: &Tensor, mode: Mode) -> Tensor {
        let memory = self.encoded(g, sound, mode);
        let initializer = Initializer::Normal { mean: 0.0, std: 0.02 };
        let words = EmbeddingLayer::new(self.vocabulary, self.width).initializer(initializer);
        let words = words.build(g, "decoder.embed_tokens");
        let positions = PositionLayer { position: Position::Learned { longest: self.longest } };
        let x = positions.forward(&Scope::new(g, "decoder.embed_positions", mode), &words.forward(tokens));
        let decoder = self.transformer().build_decoder(g, "decoder", self.width);
        let inputs = AttentionInputs::default();
        words.tied("head").forward(&decoder.forward((&x, inputs), (&memory, inputs), mode))
    }

    #[track_caller]
    fn encoded(&self, g: &Graph, sound: &Tensor, mode: Mode) -> Tensor {
        let options = ConvOptions::new().padding(1);
        let frequencies = sound.shape().get(1).copied().unwrap_or(0);
        let x = Conv1d::new(g, "encoder.conv1", frequencies, self.width, 3, &options).forward(sound).gelu();
        let x = Conv1d::new(g, "encoder.conv2", self.width, self.width, 3, &options.stride(2)).forward(&x).gelu();
        let x = x.transpose(1, 2);
        let x = &x + g.constant(sinusoids(x.shape().get(1).copied().unwrap_or(0), self.width));
        self.transformer().build_encoder(g, "encoder", self.width).forward(&x, AttentionInputs::default(), mode)
    }

    fn transformer(&self) -> Transformer {
        let options = Transformer::new(self.heads).layers(self.layers).feed_forward(4 * self.width);
        options.norm_first().activation(Activation::Gelu).dropout(0.0)
    }
}

/// Whisper's positions, `[length, width]`: sines in the first half of the features and cosines in the second, of angles of
/// 10000^(−i/(width/2 − 1)) a position.
fn sinusoids(length: usize, width: usize) -> TensorData {
    let half = width / 2;
    let value = |index: usize| {
        let (position, feature) = (index / width, index % width);
        let rate = 10_000_f64.powf(-((feature % half) as f64) / (half as f64 - 1.0));
        let angle = position as f64 * rate;
        (if feature < half { angle.sin() } else { angle.cos() }) as f32
    };
    let values: Vec<f32> = (0..length * 2 * half).map(value).collect();
    TensorData::from_vec(values, [length, width]).unwrap_or_else(|_| TensorData::scalar(0.0_f32))
}
