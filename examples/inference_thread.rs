//! A trainer on one thread, and a session that answers questions on another, both on one device. Now and then the trainer hands its weights
//! over: a snapshot is a copy on the device, and taking it over is another one, so nothing goes through the host and neither waits for the
//! other. Run it with `cargo run --release --example inference_thread`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::session::Snapshot;

/// A function to be learnt.
fn truth(x: f32) -> f32 {
    (3.0 * x).sin() + 0.5 * x
}

fn model(g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
    Sequential::new([1]).dense(32).tanh().dense(32).tanh().dense(1).forward(g, x, mode)
}

/// Trains, and hands over what was learnt after each round.
fn train(device: &Device, rounds: usize, weights: &Sender<Snapshot>) -> Result<()> {
    let g = Graph::new();
    let (x, y) = (g.input("x", [64, 1], F32), g.input("y", [64, 1], F32));
    let loss = model(&g, &x, Mode::Training).mse(&y);
    let mut session = g.minimize(&loss, Adam::new(1e-2)).compile(device)?;
    let mut random = HostRandom::new(1);
    for _ in 0..rounds {
        for _ in 0..100 {
            let x: Vec<f32> = (0..64).map(|_| random.uniform_f32() * 4.0 - 2.0).collect();
            let y = x.iter().map(|&x| truth(x)).collect();
            session.step(&[("x", &TensorData::from_vec(x, [64, 1])?), ("y", &TensorData::from_vec(y, [64, 1])?)])?;
        }
        if weights.send(session.snapshot()?).is_err() {
            break; // nobody asks any more
        }
    }
    Ok(())
}

/// Answers the same 100 questions again and again, with the newest weights. Returns the mean errors, whenever the weights were new.
fn answer(device: &Device, weights: &Receiver<Snapshot>) -> Result<Vec<f64>> {
    let g = Graph::new();
    g.output("y", &model(&g, &g.input("x", [100, 1], F32), Mode::Evaluation));
    let mut session = g.compile(device)?;
    let questions: Vec<f32> = (0..100).map(|k| k as f32 / 25.0 - 2.0).collect();
    let x = TensorData::from_slice(&questions, [100, 1])?;
    let (mut errors, mut answers, mut is_training) = (Vec::new(), 0, true);
    while is_training {
        let mut newest = None;
        is_training = loop {
            match weights.try_recv() {
                Ok(snapshot) => newest = Some(snapshot),
                Err(end) => break end == TryRecvError::Empty,
            }
        };
        if let Some(snapshot) = &newest {
            session.take(snapshot)?;
        }
        let found = session.run(&[("x", &x)])?["y"].to_vec::<f32>()?;
        answers += found.len();
        if newest.is_some() {
            let off: f32 = found.iter().zip(&questions).map(|(y, &x)| (y - truth(x)).abs()).sum();
            errors.push(f64::from(off) / found.len() as f64);
            println!("{answers:7} answers; with new weights they are off by {:.4}", errors[errors.len() - 1]);
        }
    }
    Ok(errors)
}

/// Trains some rounds while questions are answered.
pub fn run(device: &Device, rounds: usize) -> Result<Vec<f64>> {
    let (sender, receiver) = channel();
    thread::scope(|scope| {
        let trainer = scope.spawn(move || train(device, rounds, &sender));
        let errors = answer(device, &receiver);
        drop(receiver);
        trainer.join().unwrap_or_else(|_| Err(Error::Stopped("the trainer panicked".into())))?;
        errors
    })
}

fn main() -> Result<()> {
    for device in [Device::cpu()].into_iter().chain(Device::gpu()) {
        println!("{}", device.name());
        run(&device, 12)?;
    }
    Ok(())
}
