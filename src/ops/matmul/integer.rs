//! Matrix products of integers on the CPU: exact, wrapping where a sum leaves its type.

use bytemuck::Pod;

use crate::parallel::each_chunk;
use crate::scalar::distance;
use crate::shader::Operand;
use crate::tensor::TensorType;

/// An operand's elements, where every address is within them.
fn checked<'a, T: Pod>(operand: &Operand, bytes: &'a [u8]) -> Result<&'a [T], String> {
    let elements: &[T] = bytemuck::cast_slice(bytes);
    let dims = operand.ty.shape.dims();
    let (low, high) = operand.at.range(dims);
    if operand.at.strides.len() != dims.len() || low < 0 || high >= elements.len() as i64 {
        return Err(format!("operand {} reaches from {low} to {high} of {} elements", operand.ty, elements.len()));
    }
    Ok(elements)
}

/// `out = lhs · rhs`, a row of it at a time.
#[allow(
    clippy::too_many_arguments,
    reason = "one call for each element type, from the function that takes bytes apart"
)]
pub(super) fn product<T: Pod + Send + Sync>(
    lhs: &Operand,
    rhs: &Operand,
    ty: &TensorType,
    lhs_bytes: &[u8],
    rhs_bytes: &[u8],
    out: &mut [u8],
    mul: impl Fn(T, T) -> T + Sync,
    add: impl Fn(T, T) -> T + Sync,
) -> Result<(), String> {
    let out: &mut [T] = bytemuck::cast_slice_mut(&mut out[..ty.bytes()]);
    out.fill(T::zeroed());
    let dims = lhs.ty.shape.dims();
    let rank = dims.len();
    let (rows, inner, columns) = (dims[rank - 2], dims[rank - 1], rhs.ty.shape[rank - 1]);
    if out.is_empty() || inner == 0 {
        return Ok(());
    }
    let (left, right) = (checked::<T>(lhs, lhs_bytes)?, checked::<T>(rhs, rhs_bytes)?);
    let [left_step, row_step, column_step] =
        [lhs.at.strides[rank - 1], rhs.at.strides[rank - 2], rhs.at.strides[rank - 1]];
    each_chunk(out, columns, true, |line, out| {
        let start = lhs.at.offset + distance(&dims[..rank - 1], &lhs.at.strides, line);
        let other = rhs.at.offset + distance(&dims[..rank - 2], &rhs.at.strides, line / rows);
        for k in 0..inner as i64 {
            let factor = left[(start + k * left_step) as usize];
            let row = other + k * row_step;
            for (column, out) in out.iter_mut().enumerate() {
                *out = add(*out, mul(factor, right[(row + column as i64 * column_step) as usize]));
            }
        }
    });
    Ok(())
}
