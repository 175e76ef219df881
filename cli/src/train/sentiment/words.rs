//! Networks that read a sentence's words in their order: numbers of words, `[batch, length]`, i32, with padding at the end.

use wgrad::data::WordVocabulary;
use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{
    AttentionInputs, Conv, Dropout, EmbeddingLayer, Initializer, Layer, Linear, Mode, Model, Position, PositionLayer,
    Recurrent, RecurrentInputs, RecurrentKind, Scope, Transformer,
};
use wgrad::ops::ConvOptions;
use wgrad::tensor::DType;

use super::super::recurrent;
use super::LONGEST;

const EMBEDDING: usize = 100;
const HIDDEN: usize = 64;
const DROPOUT: f64 = 0.5;

/// Of the convolutional network (Kim 2014): words that a filter sees, and filters of each width.
const WIDTHS: [usize; 3] = [3, 4, 5];
const FILTERS: usize = 100;

/// Of the transformer.
const WIDTH: usize = 64;
const HEADS: usize = 4;
const LAYERS: usize = 2;
const FEED_FORWARD: usize = 128;
const ENCODER_DROPOUT: f64 = 0.2;

/// How the words are read.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    Recurrent(RecurrentKind),
    Convolutional,
    Transformer,
}

impl Reader {
    /// That of a model's name.
    pub fn named(model: &str) -> Self {
        match model {
            "cnn" => Self::Convolutional,
            "transformer" => Self::Transformer,
            _ => Self::Recurrent(recurrent::kind(model)),
        }
    }
}

/// A network for the words of a vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub reader: Reader,
    pub vocabulary: usize,
}

impl Model for Reading {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        let (features, width) = match self.reader {
            Reader::Recurrent(kind) => (self.recurrent(g, kind, x, mode), 2 * HIDDEN),
            Reader::Convolutional => (self.convolutional(g, x), WIDTHS.len() * FILTERS),
            Reader::Transformer => (self.transformer(g, x, mode), WIDTH),
        };
        Linear::new(g, "head", width, 1).forward(&Dropout::new(DROPOUT).forward(&features, mode)).sigmoid()
    }
}

impl Reading {
    /// A vector for each word, `[…, width]`.
    #[track_caller]
    fn vectors(&self, g: &Graph, x: &Tensor, width: usize) -> Tensor {
        // Vectors that begin small let what is learned soon outweigh what was drawn.
        let initial = Initializer::Normal { mean: 0.0, std: 0.1 };
        let table = EmbeddingLayer::new(self.vocabulary, width).initializer(initial);
        table.padding_idx(WordVocabulary::PADDING as isize).build(g, "embedding").forward(x)
    }

    /// The mean of the outputs of both directions.
    #[track_caller]
    fn recurrent(&self, g: &Graph, kind: RecurrentKind, x: &Tensor, mode: Mode) -> Tensor {
        let read = Dropout::new(DROPOUT).forward(&self.vectors(g, &x.transpose(0, 1), EMBEDDING), mode);
        let (lengths, options) = (lengths(x), Recurrent::new().bidirectional());
        let inputs = RecurrentInputs::new().lengths(&lengths);
        let found = recurrent::forward(g, kind, &read, HIDDEN, options, &inputs, mode);
        // Outputs beyond a sentence's end are zeros.
        found.outputs.sum([0]) / lengths.cast(DType::F32).unsqueeze(-1)
    }

    /// What each filter finds at most, at any word that it begins with.
    #[track_caller]
    fn convolutional(&self, g: &Graph, x: &Tensor) -> Tensor {
        let vectors = self.vectors(g, x, EMBEDDING).transpose(1, 2);
        // After relu nothing is below the 0 of a filter that would begin with padding.
        let begins = is_word(x).unsqueeze(1);
        let found = WIDTHS.map(|width| {
            let filters = Conv::new(1, FILTERS, width, ConvOptions::new()).build(g, &format!("conv{width}"), EMBEDDING);
            // The last words are followed by zeros, so that a filter fits every sentence.
            (filters.forward(&vectors.pad(&[0, 0, 0], &[0, 0, width - 1], 0.0)).relu() * &begins).max(2)
        });
        let [first, second, third] = &found;
        g.concat(&[first, second, third], 1)
    }

    /// The mean of an encoder's outputs.
    #[track_caller]
    fn transformer(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        let vectors = self.vectors(g, x, WIDTH);
        let positions = PositionLayer { position: Position::Learned { longest: LONGEST } };
        let read = positions.forward(&Scope::new(g, "positions", mode), &vectors);
        let lengths = lengths(x);
        let inputs = AttentionInputs { lengths: Some(&lengths), ..AttentionInputs::default() };
        let options = Transformer::new(HEADS).layers(LAYERS).feed_forward(FEED_FORWARD).dropout(ENCODER_DROPOUT);
        let encoder = options.norm_first().build_encoder(g, "encoder", WIDTH);
        let found = encoder.forward(&Dropout::new(ENCODER_DROPOUT).forward(&read, mode), inputs, mode);
        // Padding is not attended to, but it has outputs.
        (found * is_word(x).unsqueeze(-1)).sum([1]) / lengths.cast(DType::F32).unsqueeze(-1)
    }
}

/// 1 for a word and 0 for padding, `[batch, length]`, f32.
#[track_caller]
fn is_word(x: &Tensor) -> Tensor {
    x.ne(f64::from(WordVocabulary::PADDING)).cast(DType::F32)
}

/// Number of words, `[batch]`, i32. A sentence without words counts as one of padding.
#[track_caller]
fn lengths(x: &Tensor) -> Tensor {
    x.ne(f64::from(WordVocabulary::PADDING)).cast(DType::I32).sum([1]).maximum(1)
}

#[cfg(test)]
mod tests {
    use wgrad::Device;
    use wgrad::loss::BinaryCrossEntropy;
    use wgrad::optim::SGD;
    use wgrad::tensor::TensorData;
    use wgrad::train::Trainer;

    use super::*;

    /// Three sentences, one shorter than a filter and one without words, with so much padding.
    fn probabilities(reader: Reader, length: usize) -> wgrad::Result<Vec<f64>> {
        let model = Reading { reader, vocabulary: 20 };
        let mut trainer = Trainer::new(model, &Device::cpu(), SGD::new(0.1), BinaryCrossEntropy, []);
        let mut numbers = vec![0; 3 * length];
        for (at, number) in [(0, 7), (1, 3), (2, 19), (3, 1), (4, 5), (5, 2), (length, 4)] {
            numbers[at] = number;
        }
        Ok(trainer.predict(&TensorData::from_vec(numbers, [3, length])?)?.to_f64_vec())
    }

    #[test]
    fn padding_changes_nothing() -> wgrad::Result<()> {
        for model in ["lstm", "gru", "rnn", "cnn", "transformer"] {
            let (short, long) = (probabilities(Reader::named(model), 6)?, probabilities(Reader::named(model), 11)?);
            let near = short.iter().zip(&long).all(|(short, long)| (short - long).abs() < 1e-6);
            assert!(near && short.len() == 3 && short[0] != short[1], "{model}: {short:?}, {long:?}");
        }
        Ok(())
    }
}
