//! What kernels are measured on: values that look random and are generated fast.

use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Role, Variable};
use crate::session::Session;
use crate::tensor::{DType, Shape, TensorData, TensorType};

/// An input of a case: its type, and what it is filled with.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    ty: TensorType,
    fill: Fill,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fill {
    /// Between two bounds.
    Uniform(f64, f64),
    /// Integers from 0 to below a bound.
    Below(u32),
    /// 0 and 1.
    Truth,
    /// One integer everywhere.
    Constant(i32),
}

impl Input {
    /// Floats from −1 to 1.
    pub fn uniform(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self::between(dtype, shape, -1.0, 1.0)
    }

    /// Floats between two bounds.
    pub fn between(dtype: DType, shape: impl Into<Shape>, low: f64, high: f64) -> Self {
        Self { ty: TensorType::new(dtype, shape), fill: Fill::Uniform(low, high) }
    }

    /// i32 from 0 to below a bound: labels, and indices into a table.
    pub fn below(bound: u32, shape: impl Into<Shape>) -> Self {
        Self { ty: TensorType::new(DType::I32, shape), fill: Fill::Below(bound.max(1)) }
    }

    /// 0 and 1, as floats: labels of two classes.
    pub fn truth(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { ty: TensorType::new(dtype, shape), fill: Fill::Truth }
    }

    /// One i32 everywhere.
    pub(super) fn at(value: i32, shape: impl Into<Shape>) -> Self {
        Self { ty: TensorType::new(DType::I32, shape), fill: Fill::Constant(value) }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// A value that is stored on the device.
    pub(super) fn variable(&self, g: &Graph, name: &str) -> Tensor {
        let initial = Initial::Constant(0.0);
        g.variable(Variable { name: name.to_owned(), ty: self.ty.clone(), role: Role::Data, initial })
    }

    /// Writes the values, where the program has the variable: one that nothing depends on is not in it. Each stream gives others.
    pub(super) fn fill(&self, session: &mut Session, name: &str, stream: usize) -> Result<()> {
        if session.variables().iter().any(|variable| variable.name == name) {
            session.set_parameter(name, &self.values(stream)?)?;
        }
        Ok(())
    }

    /// The values: of a stream the same at every call.
    fn values(&self, stream: usize) -> Result<TensorData> {
        let (length, shape) = (self.ty.len(), &self.ty.shape);
        match self.fill {
            Fill::Below(bound) => {
                TensorData::from_vec((0..length).map(|index| (word(stream, index) % bound) as i32).collect(), shape)
            }
            Fill::Constant(value) => TensorData::from_vec(vec![value; length], shape),
            Fill::Truth => self.floats(stream, f32::round),
            Fill::Uniform(low, high) => {
                let (low, span) = (low as f32, (high - low) as f32);
                self.floats(stream, |unit| low + span * unit)
            }
        }
    }

    fn floats(&self, stream: usize, value: impl Fn(f32) -> f32) -> Result<TensorData> {
        let unit = |index: usize| word(stream, index) as f32 / 16_777_216.0;
        let numbers: Vec<f32> = (0..self.ty.len()).map(|index| value(unit(index))).collect();
        let values = TensorData::from_vec(numbers, &self.ty.shape)?;
        if self.ty.dtype == DType::F32 { Ok(values) } else { values.cast(self.ty.dtype) }
    }
}

/// 24 bits: Weyl's sequence of the golden ratio, and two multiplications that scatter it.
fn word(stream: usize, index: usize) -> u32 {
    let mixed = (index as u32).wrapping_mul(0x9e37_79b9) ^ (stream as u32 + 1).wrapping_mul(0x5bd1_e995);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b);
    (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35) >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spread_between_their_bounds_and_differ_by_stream() -> Result<()> {
        let input = Input::between(DType::F32, [10_000], -1.0, 3.0);
        let (first, second) = (input.values(0)?.to_f64_vec(), input.values(1)?.to_f64_vec());
        assert!(first.iter().all(|value| (-1.0..=3.0).contains(value)));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let product: Vec<f64> = first.iter().zip(&second).map(|(a, b)| (a - 1.0) * (b - 1.0)).collect();
        assert!((mean(&first) - 1.0).abs() < 0.05 && mean(&product).abs() < 0.05);
        let labels = Input::below(10, [1000]).values(0)?.to_f64_vec();
        assert!((0..10).all(|class| labels.contains(&f64::from(class))) && labels.iter().all(|&label| label < 10.0));
        Ok(())
    }
}
