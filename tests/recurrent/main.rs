//! Recurrent layers and embeddings: PyTorch's values, cells of one's own, layers against their cells, states that are carried, models
//! that train.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod carried;
mod custom_cell;
mod embedding;
mod golden;
mod layers;
mod mistakes;
mod programs;
mod sequential;
#[path = "../support/mod.rs"]
mod support;

use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

/// Numbers within ± 1, the same every time for a seed.
pub fn numbers(seed: u64, shape: &[usize]) -> TensorData {
    let mut random = HostRandom::new(seed);
    let count = shape.iter().product();
    TensorData::from_vec((0..count).map(|_| random.uniform_f32() * 2.0 - 1.0).collect(), shape).unwrap()
}

/// The largest difference.
pub fn distance(a: &TensorData, b: &TensorData) -> f64 {
    assert_eq!(a.ty(), b.ty());
    a.to_f64_vec().iter().zip(b.to_f64_vec()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The first mistake of a graph.
pub fn message(g: &Graph) -> String {
    g.error().map(|error| error.to_string()).unwrap_or_default()
}
