//! Mixed precision: what is decided by the device, how close training in 16 bits comes to f32, what stays f32, what a step that overflows
//! leaves behind, and how much memory it all takes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod auto;
mod kept_in_f32;
mod memory;
mod models;
mod resumed;
mod skipped;
#[path = "../support/mod.rs"]
mod support;
mod training;

/// Numbers from −1 to 1, the same every time for a seed.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut random = wgrad::scalar::threefry::HostRandom::new(seed);
    (0..count).map(|_| 2.0 * random.uniform_f64() - 1.0).collect()
}
