//! A batch of products as kernels see it: extents, and strides in elements.

use crate::ops::product::Extents;
use crate::shader::Operand;
use crate::tensor::DType;

/// A batch of matrices: address = offset + Σ strides · indices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Matrices {
    /// The element type in memory.
    pub(super) stored: DType,
    pub(super) offset: i64,
    pub(super) row: i64,
    pub(super) column: i64,
    /// The last address.
    pub(super) last: i64,
}

/// `[batch, rows, inner] · [batch, inner, columns]`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) extents: Extents,
    pub(super) lhs: Matrices,
    pub(super) rhs: Matrices,
    /// Extent and both operands' strides of each batch axis, outermost first; at least one.
    pub(super) batch_axes: Vec<(usize, [i64; 2])>,
}

impl Problem {
    /// Refuses what 32-bit addresses cannot reach.
    pub(super) fn new(lhs: &Operand, rhs: &Operand) -> Result<Self, String> {
        let rank = lhs.ty.shape.rank();
        if rank < 2
            || [lhs, rhs].iter().any(|operand| operand.at.strides.len() != rank || operand.ty.shape.rank() != rank)
        {
            return Err(format!("operands {} and {} are no matrices of one rank", lhs.ty, rhs.ty));
        }
        for operand in [lhs, rhs] {
            if !operand.ty.is_empty() && operand.at.range(operand.ty.shape.dims()).1 > i64::from(i32::MAX) {
                return Err(format!("operand {} is larger than 32-bit addresses reach", operand.ty));
            }
        }
        let mut batch_axes: Vec<(usize, [i64; 2])> = Vec::new();
        for axis in 0..rank - 2 {
            let (extent, strides) = (lhs.ty.shape[axis], [lhs.at.strides[axis], rhs.at.strides[axis]]);
            match batch_axes.last_mut() {
                _ if extent == 1 => {}
                Some(outer) if (0..2).all(|k| outer.1[k] == strides[k] * extent as i64) => {
                    *outer = (outer.0 * extent, strides);
                }
                _ => batch_axes.push((extent, strides)),
            }
        }
        if batch_axes.is_empty() {
            batch_axes.push((1, [0, 0]));
        }
        let matrices = |operand: &Operand| Matrices {
            stored: operand.ty.dtype,
            offset: operand.at.offset,
            row: operand.at.strides[rank - 2],
            column: operand.at.strides[rank - 1],
            last: operand.last(),
        };
        let extents = Extents {
            batch: batch_axes.iter().map(|(extent, _)| extent).product(),
            rows: lhs.ty.shape[rank - 2],
            columns: rhs.ty.shape[rank - 1],
            inner: lhs.ty.shape[rank - 1],
        };
        if extents.len() > i32::MAX as usize {
            return Err("the product is larger than 32-bit addresses reach".into());
        }
        Ok(Self { extents, lhs: matrices(lhs), rhs: matrices(rhs), batch_axes })
    }

    /// The transposed problem: columns of the product become rows, and the operands change sides.
    pub(super) fn swapped(&self) -> Self {
        let transposed = |matrices: Matrices| Matrices { row: matrices.column, column: matrices.row, ..matrices };
        Self {
            extents: self.extents.swapped(),
            lhs: transposed(self.rhs),
            rhs: transposed(self.lhs),
            batch_axes: self.batch_axes.iter().map(|&(extent, [lhs, rhs])| (extent, [rhs, lhs])).collect(),
        }
    }

    /// Whether neighbours of each operand lie along the inner dimension, where both can be read in groups of four from a multiple
    /// of four on.
    pub(super) fn quads(&self) -> Option<[bool; 2]> {
        let batched = |side: usize| self.batch_axes.iter().all(|(_, strides)| strides[side] % 4 == 0);
        let along = |matrices: Matrices, outer: usize, step: i64, inner: i64| {
            if matrices.offset % 4 != 0 {
                return None;
            }
            let fits = |own: i64, extent: usize, other: i64| own == 1 && extent.is_multiple_of(4) && other % 4 == 0;
            if fits(inner, self.extents.inner, step) {
                return Some(true);
            }
            fits(step, outer, inner).then_some(false)
        };
        if !batched(0) || !batched(1) {
            return None;
        }
        let lhs = along(self.lhs, self.extents.rows, self.lhs.row, self.lhs.column)?;
        let rhs = along(self.rhs, self.extents.columns, self.rhs.column, self.rhs.row)?;
        Some([lhs, rhs])
    }

    /// Whether neighbours of the right operand lie along the inner dimension, where it can be read in pairs from an even address
    /// on.
    pub(super) fn pairs(&self) -> Option<bool> {
        let Matrices { stored, offset, row, column, .. } = self.rhs;
        let is_even = |number: i64| number % 2 == 0;
        if stored != DType::F32 || !is_even(offset) || !self.batch_axes.iter().all(|(_, [_, rhs])| is_even(*rhs)) {
            return None;
        }
        if row == 1 && self.extents.inner.is_multiple_of(2) && is_even(column) {
            return Some(true);
        }
        (column == 1 && self.extents.columns.is_multiple_of(2) && is_even(row)).then_some(false)
    }
}
