//! A model of your own in twenty lines: which points are inside a ring? Run it with
//! `cargo run --release --example twenty_lines`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::data::Dataset;
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

fn main() -> Result<()> {
    let mut random = HostRandom::new(1);
    let points: Vec<f32> = (0..4000).map(|_| random.uniform_f32() * 4.0 - 2.0).collect();
    let inside = |point: &[f32]| f32::from(u8::from((0.5..1.5).contains(&point[0].hypot(point[1]))));
    let labels: Vec<f32> = points.chunks(2).map(inside).collect();
    let data = Dataset::new([
        ("x", TensorData::from_vec(points, [2000, 2])?),
        ("y", TensorData::from_vec(labels, [2000, 1])?),
    ])?;
    let (train, test) = data.split(0.8, 0)?;

    let model = Sequential::new([2]).dense(32).tanh().dense(32).tanh().dense(1).sigmoid();
    let mut trainer = model.compile(&Device::auto()?, Adam::new(5e-3), BinaryCrossEntropy, [Accuracy])?;
    let history = trainer.fit(&train, Fit::epochs(60).batch_size(64).validate(&test))?;
    for epoch in history.epochs.iter().step_by(10) {
        println!("epoch {:2}  loss {:.4}  accuracy {:?}", epoch.epoch, epoch.train_loss, epoch.validation("accuracy"));
    }
    println!("on {}: {:?}", trainer.device().name(), trainer.evaluate(&test)?.metrics);
    Ok(())
}
