//! Layers, losses, metrics, optimizers and schedules that are not wgrad's: what they can do, and that they are treated as its own.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod layer;
#[path = "../support/mod.rs"]
mod support;
mod training;

use wgrad::data::Dataset;
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

/// Normal numbers.
fn numbers(seed: u64, shape: &[usize]) -> TensorData {
    let mut random = HostRandom::new(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.normal() as f32).collect();
    TensorData::from_vec(values, shape).unwrap()
}

/// Examples of a shape with labels of three classes, or numbers.
fn data(examples: usize, shape: &[usize]) -> (Dataset, Dataset) {
    let x = numbers(1, &[&[examples], shape].concat());
    let labels: Vec<i32> = (0..examples as i32).map(|example| example * 7 % 3).collect();
    let with = |y| Dataset::new([("x", x.clone()), ("y", y)]).unwrap();
    (with(TensorData::from_vec(labels, [examples]).unwrap()), with(numbers(2, &[examples, 3])))
}

/// All variables of a session by name.
fn variables(session: &Session) -> Vec<(String, TensorData)> {
    let names = session.variables().iter().filter(|variable| !variable.name.starts_with("data"));
    names.map(|variable| (variable.name.clone(), session.parameter(&variable.name).unwrap())).collect()
}
