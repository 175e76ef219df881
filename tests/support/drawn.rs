//! Parameters and inputs by formulas, so that golden files need not have them: those of `tools/golden_cases/networks.py`.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use wgrad::tensor::TensorData;

/// Seeds of what a model is given.
pub const X: u32 = 1000;
pub const TOKENS: u32 = 1001;
pub const LABELS: u32 = 1002;

/// Numbers within ± bound: MurmurHash3's finaliser of a counter.
pub fn draw(seed: u32, shape: &[usize], bound: f64) -> Vec<f32> {
    let number = |index: usize| {
        let mut word = (index as u32).wrapping_mul(0x9e37_79b9);
        word ^= seed.wrapping_mul(0x85eb_ca6b).wrapping_add(0x5bd1_e995);
        word = word.wrapping_mul(0x85eb_ca6b);
        word ^= word >> 13;
        word = word.wrapping_mul(0xc2b2_ae35);
        word ^= word >> 16;
        ((2.0 * (f64::from(word >> 8) / 16_777_216.0) - 1.0) * bound) as f32
    };
    (0..shape.iter().product()).map(number).collect()
}

/// Floats from −1 to 1.
pub fn floats(shape: &[usize]) -> TensorData {
    TensorData::from_vec(draw(X, shape, 1.0), shape).unwrap()
}

/// Integers from 0 to below a bound.
pub fn integers(seed: u32, shape: &[usize], below: usize) -> TensorData {
    let scaled = |unit: f32| (((f64::from(unit) + 1.0) / 2.0 * below as f64).floor() as i32).clamp(0, below as i32 - 1);
    TensorData::from_vec(draw(seed, shape, 1.0).into_iter().map(scaled).collect(), shape).unwrap()
}

/// A parameter: within ± 0.3, weights of normalisations within 1 ± 0.3.
pub fn parameter(name: &str, shape: &[usize]) -> TensorData {
    let centre = if shape.len() == 1 && name.ends_with("weight") { 1.0 } else { 0.0 };
    let drawn = draw(crc32fast::hash(name.as_bytes()) & 0xffff, shape, 0.3);
    let values = drawn.into_iter().map(|drawn| (f64::from(drawn) + centre) as f32).collect();
    TensorData::from_vec(values, shape).unwrap()
}
