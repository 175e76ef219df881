//! Right operands that are laid out once and multiplied many times, in the types that there are products of.

use super::panels::{Panels, Start};
use super::product::{Matrix, multiply};
use crate::scalar::Real;

/// Floats whose right operands are laid out.
pub(in crate::ops) trait LaidOut: Real + From<f32> + bytemuck::Pod + Send + Sync {
    /// A right operand as products read it.
    type Right<'a>: Copy + Send + Sync;

    /// The number of elements of memory that an operand of these extents takes.
    fn size(rows: usize, columns: usize) -> usize;

    /// Lays it out, in memory of [`size`](Self::size) elements.
    fn lay_out<'a>(matrix: Matrix<'a, Self>, memory: &'a mut [Self]) -> Self::Right<'a>;

    /// `out = start + lhs · right`, with rows of `out` `out_step` elements apart.
    fn multiply(
        lhs: Matrix<'_, Self>,
        right: Self::Right<'_>,
        out: &mut [Self],
        out_step: usize,
        start: Start<'_, Self>,
    ) -> Result<(), String>;
}

impl LaidOut for f32 {
    type Right<'a> = Panels<'a>;

    fn size(rows: usize, columns: usize) -> usize {
        Panels::size(rows, columns)
    }

    fn lay_out<'a>(matrix: Matrix<'a, Self>, memory: &'a mut [Self]) -> Panels<'a> {
        Panels::lay_out(matrix, memory)
    }

    fn multiply(
        lhs: Matrix<'_, Self>,
        right: Panels<'_>,
        out: &mut [Self],
        out_step: usize,
        start: Start<'_, Self>,
    ) -> Result<(), String> {
        right.multiply(lhs, out, out_step, start);
        Ok(())
    }
}

impl LaidOut for f64 {
    type Right<'a> = Matrix<'a, Self>;

    fn size(_: usize, _: usize) -> usize {
        0
    }

    fn lay_out<'a>(matrix: Matrix<'a, Self>, _: &'a mut [Self]) -> Matrix<'a, Self> {
        matrix
    }

    fn multiply(
        lhs: Matrix<'_, Self>,
        right: Matrix<'_, Self>,
        out: &mut [Self],
        out_step: usize,
        start: Start<'_, Self>,
    ) -> Result<(), String> {
        if let Start::Bias(bias) = start {
            out.chunks_mut(out_step).for_each(|row| row[..bias.len()].copy_from_slice(bias));
        }
        multiply(lhs, right, out, out_step, !matches!(start, Start::Zero), false)
    }
}
