//! The LSTM of the textbooks: 100 features in, 64 hidden units, 2 layers, a linear layer on the last step. Are a sequence's
//! numbers, all noise, a little above 0 or a little below? Run it with `cargo run --release --example textbook_lstm`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::nn::{LSTM, Linear, Recurrent, RecurrentInputs};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

const STEPS: usize = 50;
const BATCH: usize = 32;

fn main() -> Result<()> {
    let g = Graph::new();
    let (x, y) = (g.input("x", [STEPS, BATCH, 100], F32), g.input("y", [BATCH, 1], F32));
    let (h0, c0) = (g.input("h0", [2, BATCH, 64], F32), g.input("c0", [2, BATCH, 64], F32));
    let lstm = LSTM::with(&g, "lstm", 100, 64, Recurrent::new().num_layers(2));
    let found = lstm.forward_with(&x, &RecurrentInputs::new().hidden(&h0).cell(&c0), Mode::Training);
    let logits = Linear::new(&g, "fc", 64, 1).forward(&found.outputs.at(0, STEPS - 1));
    let loss = logits.binary_cross_entropy_with_logits(&y);
    let mut session = g.minimize(&loss, Adam::new(3e-3)).compile(&Device::auto()?)?;

    let (mut random, zeros) = (HostRandom::new(1), TensorData::zeros(F32, [2, BATCH, 64]));
    for step in 0..=60 {
        let labels: Vec<f32> = (0..BATCH).map(|_| random.below(2) as f32).collect();
        let number = |index: usize| random.normal() as f32 + if labels[index / 100 % BATCH] > 0.5 { 0.1 } else { -0.1 };
        let x = TensorData::from_vec((0..STEPS * BATCH * 100).map(number).collect(), [STEPS, BATCH, 100])?;
        let y = TensorData::from_vec(labels, [BATCH, 1])?;
        session.step(&[("x", &x), ("y", &y), ("h0", &zeros), ("c0", &zeros)])?;
        if step % 10 == 0 {
            println!("step {step:2}  loss {:.4}", session.read("loss")?.item()?);
        }
    }
    Ok(())
}
