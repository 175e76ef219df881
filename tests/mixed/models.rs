//! Small models of the kinds that are trained in mixed precision. Each takes `x` and `y` of a batch, and gives its loss.

use wgrad::nn::{Activation, AttentionInputs, EmbeddingLayer, Layer, Position, PositionLayer, Scope, Transformer};
use wgrad::ops::Score;
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

/// A model with its name.
pub type Model = (&'static str, fn(&Graph) -> Tensor);

pub const MODELS: [Model; 4] = [("mlp", mlp), ("cnn", cnn), ("lstm", lstm), ("transformer", transformer)];

const WORDS: usize = 12;
const STEPS: usize = 8;

fn mlp(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [64, 8], F32), g.input("y", [64], I32));
    let model = Sequential::new([8]).dense(32).tanh().dense(32).relu().dense(3);
    model.forward(g, &x, Mode::Training).cross_entropy(&y)
}

fn cnn(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [32, 1, 8, 8], F32), g.input("y", [32], I32));
    let model = Sequential::new([1, 8, 8]).conv2d(8, 3).padding(1).batch_norm().relu().max_pool2d(2);
    let model = model.conv2d(16, 3).padding(1).relu().avg_pool2d(2).flatten().dense(3);
    model.forward(g, &x, Mode::Training).cross_entropy(&y)
}

fn lstm(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [16, STEPS], I32), g.input("y", [16, STEPS], I32));
    let model = Sequential::new([STEPS]).embedding(WORDS, 16).lstm(32).return_sequences(true).dense(WORDS);
    let logits = model.forward(g, &x, Mode::Training).reshape([16 * STEPS, WORDS]);
    logits.cross_entropy(&y.reshape([16 * STEPS]))
}

fn transformer(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [16, STEPS], I32), g.input("y", [16, STEPS], I32));
    let words = EmbeddingLayer::new(WORDS, 16).build(g, "embedding").forward(&x);
    let positions = PositionLayer { position: Position::Learned { longest: STEPS } };
    let x = positions.forward(&Scope::new(g, "position", Mode::Training), &words);
    let encoder = Transformer::new(2).layers(2).feed_forward(32).dropout(0.0).norm_first();
    let encoder = encoder.activation(Activation::Gelu).score(Score::causal()).build_encoder(g, "transformer", 16);
    let x = encoder.forward(&x, AttentionInputs::default(), Mode::Training);
    let logits = nn::Linear::new(g, "head", 16, WORDS).forward(&x).reshape([16 * STEPS, WORDS]);
    logits.cross_entropy(&y.reshape([16 * STEPS]))
}

/// A batch that can be learned: labels that follow from the numbers, or words that follow each other.
pub fn batch(g: &Graph) -> [TensorData; 2] {
    let [x, y]: [TensorType; 2] = ["x", "y"].map(|name| g.find(name).unwrap().ty());
    if x.dtype == I32 {
        let word = |k: usize| ((k / STEPS) * 5 + (k % STEPS) * (k % STEPS)) % WORDS;
        let words = |shift: usize| (0..x.len()).map(|k| ((word(k) + shift) % WORDS) as i32).collect::<Vec<i32>>();
        let next = (0..x.len()).map(|k| ((word(k) * 5 + 1) % WORDS) as i32).collect::<Vec<i32>>();
        return [TensorData::from_vec(words(0), x.shape).unwrap(), TensorData::from_vec(next, y.shape).unwrap()];
    }
    let values = super::numbers(3, x.len());
    let width = x.len() / y.len();
    let label = |row: &[f64]| if row[0] > 0.3 { 2 } else { i32::from(row[1] + row[width - 1] > 0.0) };
    let labels: Vec<i32> = values.chunks(width).map(label).collect();
    [TensorData::from_f64(F32, &values, x.shape).unwrap(), TensorData::from_vec(labels, y.shape).unwrap()]
}
