//! First values of variables. They are drawn on the host, each from a stream of its own that depends on the seed and on the
//! variable's name: so they are the same on every device, whatever else the model has.

use crate::compiler::VariablePlan;
use crate::error::Result;
use crate::ops::Initial;
use crate::scalar::threefry::HostRandom;
use crate::tensor::{TensorData, TensorType};

/// True where a fresh (zeroed) buffer is right already.
pub(super) fn is_zero(initial: &Initial) -> bool {
    matches!(initial, Initial::Constant(value) if *value == 0.0)
}

/// The first value of a variable.
pub(super) fn values(variable: &VariablePlan, seed: u64) -> Result<TensorData> {
    let ty = &variable.ty;
    if let Initial::Values(data) = &variable.initial {
        return Ok(data.clone());
    }
    let mut random = HostRandom::new(seed).fold(name_hash(&variable.name));
    TensorData::from_f64(ty.dtype, &numbers(&variable.initial, ty, &mut random), ty.shape.clone())
}

fn numbers(initial: &Initial, ty: &TensorType, random: &mut HostRandom) -> Vec<f64> {
    let count = ty.len();
    match initial {
        Initial::Values(data) => data.to_f64_vec(),
        Initial::ZeroRow { row, others } => {
            let mut numbers = numbers(others, ty, random);
            let width = count / ty.shape.first().copied().unwrap_or(1).max(1);
            numbers.iter_mut().skip(row.saturating_mul(width)).take(width).for_each(|number| *number = 0.0);
            numbers
        }
        Initial::Constant(value) => vec![*value; count],
        Initial::Uniform { low, high } => (0..count).map(|_| low + (high - low) * random.uniform_f64()).collect(),
        Initial::Normal { mean, std } => (0..count).map(|_| mean + std * random.normal()).collect(),
        Initial::Orthogonal { gain } => {
            let rows = ty.shape.first().copied().unwrap_or(1);
            let columns = count / rows.max(1);
            orthogonal(rows, columns, *gain, random)
        }
    }
}

/// FNV-1a, 64 bits, folded to 32: only to tell names apart.
fn name_hash(name: &str) -> u32 {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (hash ^ (hash >> 32)) as u32
}

/// A `rows × columns` matrix with orthonormal rows or columns, whichever are fewer, times a gain: modified Gram–Schmidt on
/// normal numbers, twice, which keeps it orthogonal to rounding (Giraud et al. 2005).
fn orthogonal(rows: usize, columns: usize, gain: f64, random: &mut HostRandom) -> Vec<f64> {
    let (count, width) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = Vec::with_capacity(count);
    while vectors.len() < count {
        let mut vector: Vec<f64> = (0..width).map(|_| random.normal()).collect();
        for _ in 0..2 {
            for other in &vectors {
                let along: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
                vector.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
        }
        let norm = vector.iter().map(|a| a * a).sum::<f64>().sqrt();
        // A draw within the span of the others is as good as impossible; it is drawn again.
        if norm > 1e-8 {
            vectors.push(vector.into_iter().map(|a| a / norm).collect());
        }
    }
    let mut matrix = vec![0.0; rows * columns];
    for (k, vector) in vectors.iter().enumerate() {
        for (j, value) in vector.iter().enumerate() {
            let index = if rows <= columns { k * columns + j } else { j * columns + k };
            matrix[index] = gain * value;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal() {
        for (rows, columns) in [(3, 5), (5, 3), (4, 4), (1, 1)] {
            let m = orthogonal(rows, columns, 2.0, &mut HostRandom::new(1));
            let count = rows.min(columns);
            for a in 0..count {
                for b in 0..count {
                    let dot: f64 = if rows <= columns {
                        (0..columns).map(|k| m[a * columns + k] * m[b * columns + k]).sum()
                    } else {
                        (0..rows).map(|k| m[k * columns + a] * m[k * columns + b]).sum()
                    };
                    assert!((dot - if a == b { 4.0 } else { 0.0 }).abs() < 1e-10);
                }
            }
        }
    }
}
