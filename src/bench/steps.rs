//! Whole training steps: forward, backward and update, with a batch that is stored on the device. What a user waits for.

use super::{Case, Input, LEARNING_RATE, TOLERANCE, Work};
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::loss::{Loss, NegativeSampling};
use crate::nn::{
    Activation, AttentionInputs, EmbeddingLayer, GRU, LSTM, Layer, Linear, Mode, Position, PositionLayer, Recurrent,
    RecurrentInputs, Scope, Sequential, Transformer, Word2Vec,
};
use crate::ops::Score;
use crate::optim::{Adam, AdamW, SGD};
use crate::session::Session;
use crate::tensor::{DType, Shape};

/// The number of classes of the labels.
const CLASSES: u32 = 10;

/// The number of words, and the batch of pairs of them.
const WORDS: u32 = 10_000;
const PAIRS: &str = "pairs";

/// The number of characters, and the batch's: those that are read, and what follows each.
const ALPHABET: u32 = 65;
const CHARACTERS: &str = "characters";
const NEXT: &str = "next";

pub(super) fn cases() -> Vec<Case> {
    let models = [
        ("mlp-tiny", mlp_tiny as fn(&Graph)),
        ("mlp", mlp),
        ("cnn", cnn),
        ("lstm", lstm),
        ("gru", gru),
        ("gpt", gpt),
        ("word2vec", word2vec),
    ];
    let case = |name: String, build, synced| Case { name, tolerance: TOLERANCE, work: Work::Step { build, synced } };
    models
        .into_iter()
        .flat_map(|(model, build)| {
            let name = format!("step/{model}");
            [case(format!("{name}/synced"), build, true), case(name, build, false)].into_iter().rev()
        })
        .collect()
}

/// The batch's examples: floats from 0 to 1.
fn x(g: &Graph, shape: impl Into<Shape>) -> Tensor {
    Input::between(DType::F32, shape, 0.0, 1.0).variable(g, "x")
}

/// The batch's labels: classes, or 0 and 1 as floats.
fn y(g: &Graph, dtype: DType, shape: impl Into<Shape>) -> Tensor {
    labels(dtype, shape.into()).variable(g, "y")
}

fn labels(dtype: DType, shape: Shape) -> Input {
    if dtype.is_float() { Input::truth(dtype, shape) } else { Input::below(CLASSES, shape) }
}

/// Gives the batch its values.
pub(super) fn fill(session: &mut Session) -> Result<()> {
    let variables = session.variables();
    let batch = variables.iter().filter_map(|variable| match variable.name.as_str() {
        "x" => Some(("x", Input::between(variable.ty.dtype, variable.ty.shape.clone(), 0.0, 1.0))),
        "y" => Some(("y", labels(variable.ty.dtype, variable.ty.shape.clone()))),
        PAIRS => Some((PAIRS, Input::below(WORDS, variable.ty.shape.clone()))),
        CHARACTERS => Some((CHARACTERS, Input::below(ALPHABET, variable.ty.shape.clone()))),
        NEXT => Some((NEXT, Input::below(ALPHABET, variable.ty.shape.clone()))),
        _ => None,
    });
    let batch: Vec<(&str, Input)> = batch.collect();
    batch.iter().enumerate().try_for_each(|(stream, (name, input))| input.fill(session, name, stream))
}

/// 100→64 relu→32 relu→1 sigmoid, binary cross-entropy, Adam, batch 32.
fn mlp_tiny(g: &Graph) {
    let (x, y) = (x(g, [32, 100]), y(g, DType::F32, [32, 1]));
    let hidden = Linear::new(g, "fc1", 100, 64).forward(&x).relu();
    let hidden = Linear::new(g, "fc2", 64, 32).forward(&hidden).relu();
    let prediction = Linear::new(g, "fc3", 32, 1).forward(&hidden).sigmoid();
    g.minimize(&prediction.binary_cross_entropy(&y), Adam::new(LEARNING_RATE)).build();
}

/// 784→512 relu→512 relu→10, cross-entropy, Adam, batch 128.
fn mlp(g: &Graph) {
    let (x, y) = (x(g, [128, 784]), y(g, DType::I32, [128]));
    let hidden = Linear::new(g, "fc1", 784, 512).forward(&x).relu();
    let hidden = Linear::new(g, "fc2", 512, 512).forward(&hidden).relu();
    let logits = Linear::new(g, "fc3", 512, 10).forward(&hidden);
    g.minimize(&logits.cross_entropy(&y), Adam::new(LEARNING_RATE)).build();
}

/// 3×32×32, conv 3×3 (32, pad 1) relu maxpool 2, conv 3×3 (64, pad 1) relu maxpool 2, fc 128 relu, fc 10; cross-entropy, SGD with
/// momentum 0.9, batch 64.
fn cnn(g: &Graph) {
    let (x, y) = (x(g, [64, 3, 32, 32]), y(g, DType::I32, [64]));
    let model = Sequential::new([3, 32, 32])
        .conv2d(32, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .flatten()
        .dense(128)
        .relu()
        .dense(10);
    let logits = model.forward(g, &x, Mode::Training);
    g.minimize(&logits.cross_entropy(&y), SGD::new(LEARNING_RATE).momentum(0.9)).build();
}

/// Sequences of 50 × 100, 2-layer LSTM of 64, the last step to 1; binary cross-entropy, Adam, batch 64.
fn lstm(g: &Graph) {
    let (x, y) = (x(g, [50, 64, 100]), y(g, DType::F32, [64, 1]));
    let lstm = LSTM::with(g, "lstm", 100, 64, Recurrent::new().num_layers(2));
    let last = lstm.forward_with(&x, &RecurrentInputs::new(), Mode::Training).h_n.at(0, 1);
    let logits = Linear::new(g, "fc", 64, 1).forward(&last);
    g.minimize(&logits.binary_cross_entropy_with_logits(&y), Adam::new(LEARNING_RATE)).build();
}

/// Sequences of 64 × 128, GRU of 256, the last step to 10; cross-entropy, Adam, batch 32.
fn gru(g: &Graph) {
    let (x, y) = (x(g, [64, 32, 128]), y(g, DType::I32, [32]));
    let last = GRU::new(g, "gru", 128, 256).forward_with(&x, &RecurrentInputs::new(), Mode::Training).h_n.at(0, 0);
    let logits = Linear::new(g, "fc", 256, 10).forward(&last);
    g.minimize(&logits.cross_entropy(&y), Adam::new(LEARNING_RATE)).build();
}

/// 12 texts of 64 of 65 characters; a decoder of 4 layers, 4 heads and width 128, normalized first, with learned positions and a head of its
/// own; cross-entropy of what follows each character, AdamW.
fn gpt(g: &Graph) {
    const STEPS: usize = 64;
    const WIDTH: usize = 128;
    let alphabet = ALPHABET as usize;
    let [x, y] = [CHARACTERS, NEXT].map(|name| Input::below(ALPHABET, [12, STEPS]).variable(g, name));
    let letters = EmbeddingLayer::new(alphabet, WIDTH).build(g, "embedding").forward(&x);
    let positions = PositionLayer { position: Position::Learned { longest: STEPS } };
    let x = positions.forward(&Scope::new(g, "position", Mode::Training), &letters);
    let decoder = Transformer::new(4).layers(4).feed_forward(4 * WIDTH).dropout(0.0).norm_first();
    let decoder = decoder.activation(Activation::Gelu).score(Score::causal()).build_encoder(g, "transformer", WIDTH);
    let x = decoder.forward(&x, AttentionInputs::default(), Mode::Training);
    let logits = Linear::without_bias(g, "head", WIDTH, alphabet).forward(&x).reshape([12 * STEPS, alphabet]);
    g.minimize(&logits.cross_entropy(&y.reshape([12 * STEPS])), AdamW::new(LEARNING_RATE)).build();
}

/// Pairs of 10,000 words, skip-gram with vectors of 100 and 5 negatives a pair, drawn in proportion to a power of Zipf's law; SGD, batch
/// 1024.
fn word2vec(g: &Graph) {
    let pairs = Input::below(WORDS, [1024, 2]).variable(g, PAIRS);
    let counts: Vec<u64> = (1..=u64::from(WORDS)).map(|rank| 10_000_000 / rank).collect();
    let scores = Word2Vec::skip_gram(&counts, 100).build(g, "").forward(&pairs);
    g.minimize(&NegativeSampling::new().forward(&scores, &scores), SGD::new(LEARNING_RATE)).build();
}
