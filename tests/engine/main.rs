//! The engine as a whole: gradients by finite differences, fused programs against unfused ones, random numbers, odd sizes,
//! variables, and the printed stages.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod bench;
mod extremes;
mod finite_differences;
mod functions;
mod fusion;
mod graphs;
mod half_precision;
mod half_storage;
mod integers;
mod nothing_to_average;
mod overflow;
mod pools;
mod random;
mod recurrent;
mod row_updates;
mod scatter;
mod sizes;
mod stages;
#[path = "../support/mod.rs"]
mod support;
mod tensor_functions;
mod training;
mod variables;
mod wide;

use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

/// Numbers from a range, the same every time for a seed.
pub fn numbers(seed: u64, count: usize, low: f64, high: f64) -> Vec<f64> {
    let mut random = HostRandom::new(seed);
    (0..count).map(|_| low + (high - low) * random.uniform_f64()).collect()
}

/// A tensor of such numbers.
pub fn tensor(seed: u64, dtype: DType, shape: &[usize], low: f64, high: f64) -> TensorData {
    TensorData::from_f64(dtype, &numbers(seed, shape.iter().product(), low, high), shape).unwrap()
}

/// The inputs that a session's program needs, among those that there are.
pub fn run(session: &mut Session, inputs: &[(String, TensorData)]) -> wgrad::session::Outputs {
    let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
    session.run(&inputs).unwrap()
}
