//! A network of PyTorch's, with the weights that PyTorch saved: `tools/from_pytorch.py` wrote a file of safetensors with the network's
//! parameters, an input, and its output there. Names and layouts are the same here, so nothing is converted. Run it with
//! `cargo run --release --example from_pytorch`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::ops::ConvOptions;
use wgrad::prelude::*;
use wgrad::train::{Matching, Parameters};

const FILE: &[u8] = include_bytes!("data/from_pytorch.safetensors");

/// The module `Net` of `tools/from_pytorch.py`, line by line.
fn network(g: &Graph, x: &Tensor) -> Tensor {
    let conv = nn::Conv2d::new(g, "conv", 1, 4, 3, &ConvOptions::new().padding(1));
    let norm = nn::BatchNorm::new(g, "norm", 4);
    let lstm = nn::LSTM::with(g, "lstm", 4 * 8, 12, nn::Recurrent::new().batch_first(true));
    let x = norm.forward(&conv.forward(x), Mode::Evaluation).gelu();
    let columns = x.permute(&[0, 3, 1, 2]).flatten(2);
    let last = lstm.forward(&columns, Mode::Evaluation).at(1, -1);
    nn::Linear::new(g, "fc", 12, 5).forward(&last).softmax(-1)
}

/// The largest difference between the outputs here and in PyTorch.
pub fn run(device: &Device) -> Result<f64> {
    let file = Parameters::from_bytes(FILE)?;
    let missing = || Error::Data("the file has no example".into());
    let (input, expected) = (
        file.get("example.input").ok_or_else(missing)?.clone(),
        file.get("example.output").ok_or_else(missing)?.clone(),
    );

    let g = Graph::new();
    let x = g.input("x", input.shape(), F32);
    g.output("y", &network(&g, &x));
    let mut session = g.compile(device)?;
    // Strict: a parameter that is missing, left over, or of another shape would be an error that names it.
    let weights = file.rename(|name| (!name.starts_with("example.")).then(|| name.to_owned()))?;
    let report = session.load_parameters(&weights, Matching::Strict)?;

    let found = session.run(&[("x", &input)])?;
    let pairs = found["y"].to_f64_vec().into_iter().zip(expected.to_f64_vec());
    let difference = pairs.map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max);
    println!("{}: {} parameters, largest difference {difference:.1e}", device.name(), report.loaded.len());
    Ok(difference)
}

fn main() -> Result<()> {
    for device in [Device::cpu()].into_iter().chain(Device::gpu()) {
        run(&device)?;
    }
    Ok(())
}
