//! Inputs of cases: shapes, and what they are filled with.

use std::fmt;

use super::extreme::is_subnormal;
use crate::error::Result;
use crate::scalar::threefry::HostRandom;
use crate::tensor::{DType, Shape, TensorData};

/// What an input is filled with. All floats are representable in f32, so that the reference in f64 sees the same ones.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Normal numbers, and in between these.
    Normal(f64, &'static [f64]),
    /// Uniform numbers between two bounds, and in between these.
    Uniform(f64, f64, &'static [f64]),
    /// Some of these.
    Some(&'static [f64]),
    /// Integers from the first up to, without, the second, as i32.
    Integers(i64, i64),
    /// Some of these integers, as i32.
    SomeIntegers(&'static [i64]),
    /// Truth values.
    Truth,
}

/// An input of a case.
#[derive(Clone, Debug)]
pub struct Input {
    pub(super) shape: Vec<usize>,
    fill: Fill,
}

impl Input {
    /// Normal numbers.
    pub fn normal(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), fill: Fill::Normal(1.0, &[]) }
    }

    /// Normal numbers of a standard deviation, and awkward ones in between.
    pub fn awkward(shape: &[usize], std: f64, values: &'static [f64]) -> Self {
        Self { shape: shape.to_vec(), fill: Fill::Normal(std, values) }
    }

    /// Uniform numbers, and awkward ones in between.
    pub fn uniform(shape: &[usize], low: f64, high: f64, values: &'static [f64]) -> Self {
        Self { shape: shape.to_vec(), fill: Fill::Uniform(low, high, values) }
    }

    /// Numbers of a small set, so that many are equal.
    pub fn some(shape: &[usize], values: &'static [f64]) -> Self {
        Self { shape: shape.to_vec(), fill: Fill::Some(values) }
    }

    /// Integers, i32.
    pub fn integers(shape: &[usize], low: i64, end: i64) -> Self {
        Self { shape: shape.to_vec(), fill: Fill::Integers(low, end) }
    }

    /// Integers of a small set, i32.
    pub fn some_integers(shape: &[usize], values: &'static [i64]) -> Self {
        Self { shape: shape.to_vec(), fill: Fill::SomeIntegers(values) }
    }

    /// Truth values.
    pub fn truth(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), fill: Fill::Truth }
    }

    /// True where its numbers are no floats.
    pub(super) const fn is_fixed(&self) -> bool {
        matches!(self.fill, Fill::Integers(..) | Fill::Truth)
    }

    /// True where subnormal numbers are among its own.
    pub(super) fn has_subnormals(&self) -> bool {
        match self.fill {
            Fill::Normal(_, values) | Fill::Uniform(_, _, values) | Fill::Some(values) => {
                values.iter().any(|&value| is_subnormal(value))
            }
            Fill::Integers(..) | Fill::SomeIntegers(_) | Fill::Truth => false,
        }
    }

    /// The element type where floats have the type `float`.
    pub(super) fn dtype(&self, float: DType) -> DType {
        match self.fill {
            Fill::Integers(..) | Fill::SomeIntegers(_) => DType::I32,
            Fill::Truth => DType::Bool,
            _ => float,
        }
    }

    /// Its values from a stream, the same in every element type.
    pub(super) fn values(&self, float: DType, random: &mut HostRandom) -> Result<TensorData> {
        let shape = Shape::from(self.shape.as_slice());
        let mixed = |value: f64, random: &mut HostRandom, values: &[f64]| match values.len() {
            0 => value,
            // A third of the numbers are awkward.
            count if random.below(3) == 0 => values.get(random.below(count as u64) as usize).copied().unwrap_or(value),
            _ => value,
        };
        let numbers: Vec<f64> = (0..shape.len())
            .map(|_| match self.fill {
                Fill::Normal(std, values) => {
                    let value = random.normal() * std;
                    mixed(value, random, values)
                }
                Fill::Uniform(low, high, values) => {
                    let value = low + random.uniform_f64() * (high - low);
                    mixed(value, random, values)
                }
                Fill::Some(values) => values.get(random.below(values.len() as u64) as usize).copied().unwrap_or(0.0),
                Fill::Integers(low, end) => (low + random.below((end - low).unsigned_abs()) as i64) as f64,
                Fill::SomeIntegers(values) => {
                    values.get(random.below(values.len() as u64) as usize).copied().unwrap_or(0) as f64
                }
                Fill::Truth => random.below(2) as f64,
            })
            .map(|value| if matches!(self.fill, Fill::SomeIntegers(_)) { value } else { f64::from(value as f32) })
            .collect();
        TensorData::from_f64(self.dtype(float), &numbers, shape)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.dtype(DType::F32), Shape::from(self.shape.as_slice()))
    }
}
