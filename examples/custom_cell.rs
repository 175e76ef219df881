//! A recurrent cell of one's own: an LSTM with peepholes, through which its gates see the cell's state. Its step is written down once,
//! for one unit; the kernels of whole sequences and their gradients follow from it.
//!
//! The task is the one that peepholes were invented for (Gers, Schraudolph and Schmidhuber 2002): how many steps are between two spikes?
//! Run it with `cargo run --release --example custom_cell`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::device::gpu::{Checks, Selection};
use wgrad::nn::{CustomRNN, CustomRNNInputs, Linear};
use wgrad::ops::{Cell, CellDefinition};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

const STEPS: usize = 30;
const BATCH: usize = 64;

/// Gates i, f, g, o; states h and c.
fn peephole_lstm() -> Result<Cell> {
    CellDefinition::new("peephole_lstm", 4).parameters(["weight_ci", "weight_cf", "weight_co"]).step(|s| {
        let c = s.state(1);
        let i = (s.gate(0) + s.parameter("weight_ci") * c).sigmoid();
        let f = (s.gate(1) + s.parameter("weight_cf") * c).sigmoid();
        let c = f * c + i * s.gate(2).tanh();
        let o = (s.gate(3) + s.parameter("weight_co") * c).sigmoid();
        [o * c.tanh(), c]
    })
}

/// Sequences with two spikes, and the steps between them.
fn spikes(random: &mut HostRandom) -> Result<(TensorData, TensorData)> {
    let mut x = vec![0.0_f32; STEPS * BATCH];
    let mut distances = Vec::with_capacity(BATCH);
    for row in 0..BATCH {
        let first = random.below(STEPS as u64 / 2) as usize;
        let distance = 1 + random.below(STEPS as u64 / 2 - 1) as usize;
        x[first * BATCH + row] = 1.0;
        x[(first + distance) * BATCH + row] = 1.0;
        distances.push(distance as f32 / 10.0);
    }
    Ok((TensorData::from_vec(x, [STEPS, BATCH, 1])?, TensorData::from_vec(distances, [BATCH, 1])?))
}

fn train(device: &Device) -> Result<()> {
    let g = Graph::new();
    let (x, y) = (g.input("x", [STEPS, BATCH, 1], F32), g.input("y", [BATCH, 1], F32));
    let layer = CustomRNN::new(&g, "layer", &peephole_lstm()?, 1, 24);
    let last = layer.forward_with(&x, &CustomRNNInputs::new(), Mode::Training).last;
    let loss = Linear::new(&g, "fc", 24, 1).forward(&last[0].at(0, 0)).mse(&y);
    let mut session = g.minimize(&loss, Adam::new(5e-3)).compile(device)?;
    println!("{}: {} kernels a training step", device.name(), session.program().dispatches());

    let mut random = HostRandom::new(1);
    for step in 0..=1200 {
        let (x, y) = spikes(&mut random)?;
        session.step(&[("x", &x), ("y", &y)])?;
        if step % 300 == 0 {
            let error = 10.0 * session.read("loss")?.item()?.sqrt();
            println!("  step {step:4}  off by {error:.2} steps");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    train(&Device::cpu())?;
    if let Ok(gpu) = Device::open(&Selection::Any, Checks::Production) {
        train(&gpu)?;
    }
    Ok(())
}
