//! The LSTM of the textbooks: 100 features in, 64 hidden units, 2 layers, a linear layer on the last step. Does the first feature
//! of a sequence add up to more than 0? Run it with `cargo run --release --example textbook_lstm`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::nn::{Given, LSTM, Linear, Recurrent};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

const STEPS: usize = 50;
const BATCH: usize = 32;

fn main() -> Result<()> {
    let g = Graph::new();
    let (x, y) = (g.input("x", [STEPS, BATCH, 100], F32), g.input("y", [BATCH, 1], F32));
    let (h0, c0) = (g.input("h0", [2, BATCH, 64], F32), g.input("c0", [2, BATCH, 64], F32));
    let lstm = LSTM::with(&g, "lstm", 100, 64, Recurrent::new().num_layers(2));
    let found = lstm.forward_with(&x, &Given::new().hidden(&h0).cell(&c0), Mode::Training);
    let logits = Linear::new(&g, "fc", 64, 1).forward(&found.outputs.at(0, STEPS - 1));
    let loss = logits.binary_cross_entropy_with_logits(&y);
    let mut session = g.minimize(&loss, Adam::new(3e-3)).compile(&Device::auto()?)?;

    let (mut random, zeros) = (HostRandom::new(1), TensorData::zeros(F32, [2, BATCH, 64]));
    for step in 0..=60 {
        let values: Vec<f32> = (0..STEPS * BATCH * 100).map(|_| random.normal() as f32).collect();
        let sum = |row: usize| (0..STEPS).map(|step| values[(step * BATCH + row) * 100]).sum::<f32>();
        let labels: Vec<f32> = (0..BATCH).map(|row| f32::from(u8::from(sum(row) > 0.0))).collect();
        let (x, y) = (TensorData::from_vec(values, [STEPS, BATCH, 100])?, TensorData::from_vec(labels, [BATCH, 1])?);
        session.step(&[("x", &x), ("y", &y), ("h0", &zeros), ("c0", &zeros)])?;
        if step % 10 == 0 {
            println!("step {step:2}  loss {:.4}", session.read("loss")?.item()?);
        }
    }
    Ok(())
}
