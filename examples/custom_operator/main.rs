//! Two operators of one's own in one model: which of eight tokens has the mark, and what does it say? Run it with
//! `cargo run --release --example custom_operator`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

mod snake;
mod sparsemax;

use snake::{Snake, snake};
use sparsemax::{Sparsemax, sparsemax};
use wgrad::check::{self, Cases, Input};
use wgrad::data::Dataset;
use wgrad::device::gpu::{Checks, Selection};
use wgrad::ops::{Initial, Variable};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::tensor::TensorType;

const TOKENS: usize = 8;
const FEATURES: usize = 6;

/// Sentences of random tokens, one of which has a large first feature; the class is the sign of a wave of its next two features.
fn sentences(count: usize) -> Result<Dataset> {
    let mut random = HostRandom::new(5);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let marked = random.below(TOKENS as u64) as usize;
        for token in 0..TOKENS {
            let features: Vec<f32> = (0..FEATURES).map(|_| random.normal() as f32).collect();
            if token == marked {
                y.push(i32::from((1.5 * (features[1] + features[2])).sin() > 0.0));
            }
            x.push(features[0] + if token == marked { 4.0 } else { -1.0 });
            x.extend(&features[1..]);
        }
    }
    let x = TensorData::from_vec(x, [count, TOKENS, FEATURES])?;
    Dataset::new([("x", x), ("y", TensorData::from_vec(y, [count])?)])
}

/// Attention by sparsemax over the tokens, then a layer with snake.
fn model(g: &Graph, x: &Tensor, _: Mode) -> Tensor {
    let scores = nn::Linear::new(g, "score", FEATURES, 1).forward(x).squeeze(-1);
    let attention = sparsemax(g, &scores);
    let attended = (attention.unsqueeze(-1) * x).sum([1]);
    let hidden = nn::Linear::new(g, "hidden", FEATURES, 48).forward(&attended);
    let initial = Initial::Uniform { low: 0.5, high: 2.0 };
    let frequencies = g.variable(Variable::parameter("frequencies", TensorType::new(F32, [48]), initial));
    nn::Linear::new(g, "out", 48, 2).forward(&snake(g, &hidden, &frequencies))
}

fn main() -> Result<()> {
    let mut devices = vec![Device::cpu()];
    devices.extend(Device::open(&Selection::Any, Checks::Production).ok());
    let data = sentences(2000)?;
    let (train, test) = data.split(0.8, 0)?;
    for device in &devices {
        println!("{}", device.name());
        let positive = Input::uniform(&[5, 70], 0.5, 2.0, &[]);
        let mut reports = check::operator(device, &Snake, &Cases::new().of([Input::normal(&[5, 70]), positive]))?;
        let rows = Cases::new().of([Input::normal(&[7, 9])]).of([Input::normal(&[2, 3, 300])]);
        reports.extend(check::operator(device, &Sparsemax, &rows)?);
        let largest = reports.iter().map(|report| report.max_error).fold(0.0, f64::max);
        println!("  {} kernels and gradients checked, largest error {largest:.1e}", reports.len());
        for report in reports.iter().filter(|report| !report.ok()) {
            println!("  {} is wrong: {}", report.name, report.problem.as_deref().unwrap_or_default());
        }
        let mut trainer = Trainer::new(model, device, Adam::new(1e-2), CrossEntropy, [Accuracy]);
        let history = trainer.fit(&train, Fit::epochs(20).batch_size(64).validate(&test))?;
        for epoch in history.epochs.iter().skip(3).step_by(4) {
            let accuracy = epoch.validation("accuracy").unwrap_or_default();
            println!("  epoch {:2}  loss {:.4}  accuracy {accuracy:.3}", epoch.epoch, epoch.train_loss);
        }
    }
    Ok(())
}
