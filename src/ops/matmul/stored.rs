//! Operands as they are stored: in the type that products compute in, or in 16 bits, which are widened a part at a time.

use std::borrow::Cow;

use bytemuck::Pod;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use pulp::Simd;

use super::float::Float;
use super::matrix::Matrix;
use super::panels::Columns;
use super::tile::Left;
use crate::ops::tasks::lend;
use crate::scalar::{distance, vectorized};

/// Inner indices of a panel that are widened at a time.
const PIECE: usize = 128;

/// A matrix in one of the types that it may be stored in.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) enum Stored<'a, T> {
    Computed(Matrix<'a, T>),
    F16(Matrix<'a, f16>),
    Bf16(Matrix<'a, bf16>),
}

/// Evaluates an expression of the matrix, of whichever type.
macro_rules! of_any {
    ($stored:expr, $matrix:ident, $result:expr) => {
        match $stored {
            Stored::Computed($matrix) => $result,
            Stored::F16($matrix) => $result,
            Stored::Bf16($matrix) => $result,
        }
    };
}

impl<'a, T: Float> Stored<'a, T> {
    pub(in crate::ops) fn rows(&self) -> usize {
        of_any!(self, matrix, matrix.rows)
    }

    pub(in crate::ops) fn columns(&self) -> usize {
        of_any!(self, matrix, matrix.columns)
    }

    pub(in crate::ops) fn steps(&self) -> [usize; 2] {
        of_any!(self, matrix, matrix.steps)
    }

    /// Some of its rows and columns, from the first ones on.
    pub(in crate::ops) fn part(&self, first: [usize; 2], extents: [usize; 2]) -> Self {
        match self {
            Self::Computed(matrix) => Self::Computed(matrix.part(first, extents)),
            Self::F16(matrix) => Self::F16(matrix.part(first, extents)),
            Self::Bf16(matrix) => Self::Bf16(matrix.part(first, extents)),
        }
    }

    /// As a left operand, where it can be read as it is.
    pub(in crate::ops) fn left(&self) -> Option<Left<'a, T>> {
        match self {
            Self::Computed(matrix) => matrix.left(),
            Self::F16(_) | Self::Bf16(_) => None,
        }
    }

    /// A copy in the type that is computed in, with rows or columns that are consecutive.
    pub(in crate::ops) fn copied<'m>(&self, memory: &'m mut [T]) -> Matrix<'m, T> {
        match self {
            Self::Computed(matrix) => copied(matrix, memory, |from, to| to.copy_from_slice(from)),
            Self::F16(matrix) => copied(matrix, memory, |from, to| match as_f32(to) {
                Some(to) => from.convert_to_f32_slice(to),
                None => to.iter_mut().zip(from).for_each(|(to, from)| *to = T::from(from.to_f32())),
            }),
            Self::Bf16(matrix) => copied(matrix, memory, |from, to| match as_f32(to) {
                Some(to) => widen(from, to),
                None => to.iter_mut().zip(from).for_each(|(to, from)| *to = T::from(from.to_f32())),
            }),
        }
    }
}

/// A slice of f32 as one.
fn as_f32<T: Pod>(elements: &mut [T]) -> Option<&mut [f32]> {
    if size_of::<T>() == size_of::<f32>() { bytemuck::try_cast_slice_mut(elements).ok() } else { None }
}

/// bf16 is the upper half of an f32.
fn widen(from: &[bf16], to: &mut [f32]) {
    let from: &[u16] = bytemuck::cast_slice(from);
    vectorized(
        #[inline(always)]
        || {
            let to = &mut to[..from.len()];
            for k in 0..from.len() {
                to[k] = f32::from_bits(u32::from(from[k]) << 16);
            }
        },
    );
}

fn copied<'m, N: Pod, T: Pod>(
    matrix: &Matrix<'_, N>,
    memory: &'m mut [T],
    copy: impl Fn(&[N], &mut [T]),
) -> Matrix<'m, T> {
    let &Matrix { elements, rows, columns, steps } = matrix;
    let memory = &mut memory[..rows * columns];
    if steps[0] == 1 && steps[1] != 1 {
        for (column, to) in memory.chunks_exact_mut(rows.max(1)).enumerate() {
            copy(&elements[column * steps[1]..][..rows], to);
        }
        return Matrix { elements: memory, rows, columns, steps: [1, rows] };
    }
    for (row, to) in memory.chunks_exact_mut(columns.max(1)).enumerate() {
        let from = &elements[row * steps[0]..];
        if steps[1] == 1 {
            copy(&from[..columns], to);
        } else {
            for (column, to) in to.iter_mut().enumerate() {
                copy(std::slice::from_ref(&from[column * steps[1]]), std::slice::from_mut(to));
            }
        }
    }
    Matrix { elements: memory, rows, columns, steps: [columns, 1] }
}

impl<T: Float> Columns<T> for Stored<'_, T> {
    fn extents(&self) -> [usize; 2] {
        [self.rows(), self.columns()]
    }

    #[inline(always)]
    fn lay_out<S: Simd>(&self, simd: S, first: usize, count: usize, width: usize, panel: &mut [T]) {
        if let Self::Computed(matrix) = self {
            return matrix.lay_out(simd, first, count, width, panel);
        }
        lend(PIECE * count, |memory| {
            for (number, panel) in panel.chunks_mut(PIECE * width).enumerate() {
                let piece = self.part([number * PIECE, first], [panel.len() / width, count]);
                piece.copied(memory).lay_out(simd, 0, count, width, panel);
            }
        });
    }
}

/// The elements of an operand in row-major order, where they are stored in another order as a copy.
pub(in crate::ops) fn dense<'a, T: Pod + Send + Sync>(
    operand: &crate::shader::Operand,
    elements: &'a [T],
) -> Result<Cow<'a, [T]>, String> {
    let dims = operand.ty.shape.dims();
    if operand.ty.is_empty() {
        return Ok(Cow::Borrowed(&[]));
    }
    let (low, high) = operand.at.range(dims);
    if low < 0 || high >= elements.len() as i64 {
        return Err(format!("operand {} reaches from {low} to {high} of {} elements", operand.ty, elements.len()));
    }
    if operand.at.is_row_major(dims) {
        let start = operand.at.offset as usize;
        return Ok(Cow::Borrowed(&elements[start..start + operand.ty.len()]));
    }
    let lines: &[usize] = &dims[..dims.len() - 1];
    let (width, step) = (dims[dims.len() - 1], operand.at.strides[dims.len() - 1]);
    let mut copy = vec![T::zeroed(); operand.ty.len()];
    crate::parallel::each_chunk(&mut copy, width, true, |line, copy| {
        let start = operand.at.offset + distance(lines, &operand.at.strides, line);
        for (k, value) in copy.iter_mut().enumerate() {
            *value = elements[(start + step * k as i64) as usize];
        }
    });
    Ok(Cow::Owned(copy))
}
