//! What kernels are measured on: values that look random and stay finite, and indices that are in range.

use half::{bf16, f16};

use crate::compiler::{Step, Work};
use crate::ops::Op;
use crate::tensor::DType;

/// Floats of a range, or integers below a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Contents {
    pub(super) dtype: DType,
    low: f64,
    high: f64,
}

/// What each of a step's reads holds.
pub(super) fn of(step: &Step) -> Vec<Contents> {
    // Sums of products stay small, also over the steps of a recurrence; what goes into other expressions may meet a logarithm or a root.
    let product = |dtype| Contents { dtype, low: -1.0 / 16.0, high: 1.0 / 16.0 };
    let positive = |dtype| Contents { dtype, low: 0.25, high: 1.0 };
    match &step.work {
        Work::Reduce { expression, epilogue, .. } => {
            let inputs = expression.inputs.iter().chain(&epilogue.expression.inputs);
            let most = expression.dims.iter().copied().max().unwrap_or(1);
            inputs.map(|&dtype| if dtype.is_float() { positive(dtype) } else { below(dtype, 0, most) }).collect()
        }
        Work::Rows(rows) => {
            let most = rows.expression.dims.iter().copied().max().unwrap_or(1);
            let content = |&dtype: &DType| if dtype.is_float() { positive(dtype) } else { below(dtype, 0, most) };
            rows.expression.inputs.iter().map(content).collect()
        }
        Work::Routine { op, operands, epilogue, .. } => {
            let first = operands.first().map(|operand| &operand.ty.shape);
            let (least, most) = match (op, first) {
                // Rows of the batch end in the second half of the sequence.
                (Op::Recurrent(_), Some(shape)) => {
                    let steps = operands.iter().map(|operand| &operand.ty.shape).find(|shape| shape.rank() == 3);
                    let steps = steps.or(Some(shape)).and_then(|shape| shape.first().copied()).unwrap_or(1);
                    (steps.div_ceil(2), steps + 1)
                }
                (_, Some(shape)) => (0, shape.iter().copied().max().unwrap_or(1)),
                (_, None) => (0, 1),
            };
            let operands = operands.iter().map(|operand| operand.ty.dtype);
            let operands =
                operands.map(|dtype| if dtype.is_float() { product(dtype) } else { below(dtype, least, most) });
            let others = epilogue.iter().flat_map(|epilogue| &epilogue.expression.inputs);
            operands
                .chain(others.map(|&dtype| if dtype.is_float() { positive(dtype) } else { below(dtype, 0, most) }))
                .collect()
        }
        Work::Map { .. } | Work::Copy => Vec::new(),
    }
}

fn below(dtype: DType, least: usize, most: usize) -> Contents {
    let most = match dtype {
        DType::Bool => 2,
        DType::U8 => 256,
        _ => most.max(1),
    };
    Contents { dtype, low: least.min(most - 1) as f64, high: most as f64 }
}

impl Contents {
    /// `count` bytes of it.
    pub(super) fn bytes(self, count: usize) -> Vec<u8> {
        // Weyl's sequence of the golden ratio, and a multiplication that scatters it.
        let word = |index: usize| ((index as u32).wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995).wrapping_mul(0x85eb_ca6b);
        let numbers = (0..count / self.dtype.size().max(1)).map(|index| {
            let share = f64::from(word(index) >> 8) / 16_777_216.0;
            self.low + (self.high - self.low) * share
        });
        match self.dtype {
            DType::F32 => collect(numbers, |number| (number as f32).to_le_bytes()),
            DType::F16 => collect(numbers, |number| f16::from_f64(number).to_le_bytes()),
            DType::BF16 => collect(numbers, |number| bf16::from_f64(number).to_le_bytes()),
            DType::F64 => collect(numbers, f64::to_le_bytes),
            DType::I32 => collect(numbers, |number| (number as i32).to_le_bytes()),
            DType::U32 => collect(numbers, |number| (number as u32).to_le_bytes()),
            DType::I64 => collect(numbers, |number| (number as i64).to_le_bytes()),
            DType::U8 | DType::Bool => numbers.map(|number| number as u8).collect(),
        }
    }
}

fn collect<const N: usize>(numbers: impl Iterator<Item = f64>, bytes: impl Fn(f64) -> [u8; N]) -> Vec<u8> {
    numbers.flat_map(bytes).collect()
}

/// How far results may be apart: for floats relative to the largest magnitude, as sums in different orders differ; integers not at all.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2e-3,
        DType::BF16 => 2e-2,
        _ if dtype.is_float() => 1e-4,
        _ => 0.0,
    }
}

/// What is wrong with a result, if something is.
pub(super) fn difference(found: &[u8], expected: &[u8], dtype: DType) -> Option<String> {
    if found == expected {
        return None;
    }
    if tolerance(dtype) == 0.0 || found.len() != expected.len() {
        let byte = found.iter().zip(expected).position(|(found, expected)| found != expected).unwrap_or(0);
        return Some(format!("element {} differs", byte / dtype.size().max(1)));
    }
    let largest = numbers(expected, dtype).filter(|number| number.is_finite());
    let largest = largest.fold(f64::MIN_POSITIVE, |largest, number| largest.max(number.abs()));
    let mut worst = (0.0, 0);
    for (index, (found, expected)) in numbers(found, dtype).zip(numbers(expected, dtype)).enumerate() {
        let error = match found - expected {
            _ if found == expected || (found.is_nan() && expected.is_nan()) => 0.0,
            distance if distance.is_finite() => distance.abs() / largest,
            _ => f64::INFINITY,
        };
        if error > worst.0 {
            worst = (error, index);
        }
    }
    (worst.0 > tolerance(dtype)).then(|| format!("element {} is off by {:.1e}", worst.1, worst.0))
}

fn numbers(bytes: &[u8], dtype: DType) -> Box<dyn Iterator<Item = f64> + '_> {
    match dtype {
        DType::F16 => Box::new(bytes.as_chunks().0.iter().map(|bytes| f64::from(f16::from_le_bytes(*bytes)))),
        DType::BF16 => Box::new(bytes.as_chunks().0.iter().map(|bytes| f64::from(bf16::from_le_bytes(*bytes)))),
        DType::F64 => Box::new(bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes))),
        _ => Box::new(bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_stay_in_their_range() {
        let floats = Contents { dtype: DType::F32, low: 0.25, high: 1.0 }.bytes(4000);
        assert_eq!(floats.len(), 4000);
        assert!(numbers(&floats, DType::F32).all(|number| (0.25..=1.0).contains(&number)));
        let indices: Vec<i32> = bytemuck::pod_collect_to_vec(&below(DType::I32, 3, 10).bytes(4000));
        assert!(indices.iter().all(|index| (3..10).contains(index)));
        assert!((3..10).all(|index| indices.contains(&index)));
        assert!(below(DType::Bool, 0, 500).bytes(100).iter().all(|&byte| byte < 2));
    }

    #[test]
    fn wrong_results_are_detected() {
        let bytes = |values: &[f32]| bytemuck::cast_slice::<f32, u8>(values).to_vec();
        let (good, other) = (bytes(&[1.0, 2.0, f32::NAN]), bytes(&[1.0, 2.0001, f32::NAN]));
        assert_eq!(difference(&other, &good, DType::F32), None);
        assert!(difference(&bytes(&[1.0, 2.1, f32::NAN]), &good, DType::F32).is_some());
        assert!(difference(&bytes(&[f32::NAN, 2.0, f32::NAN]), &good, DType::F32).is_some());
        assert!(difference(&bytes(&[f32::INFINITY, 2.0, f32::NAN]), &good, DType::F32).is_some());
        assert!(difference(&[1, 0, 0, 0], &[2, 0, 0, 0], DType::I32).is_some());
    }
}
