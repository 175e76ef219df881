//! A batch of products as kernels see it: extents, and strides in elements.

use super::choice::Extents;
use crate::shader::Operand;

/// A batch of matrices: address = offset + Σ strides · places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Matrices {
    pub(super) offset: i64,
    pub(super) row: i64,
    pub(super) column: i64,
}

/// `[batch, rows, inner] · [batch, inner, columns]`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) batch: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) inner: usize,
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
            offset: operand.at.offset,
            row: operand.at.strides[rank - 2],
            column: operand.at.strides[rank - 1],
        };
        let problem = Self {
            batch: batch_axes.iter().map(|(extent, _)| extent).product(),
            rows: lhs.ty.shape[rank - 2],
            columns: rhs.ty.shape[rank - 1],
            inner: lhs.ty.shape[rank - 1],
            lhs: matrices(lhs),
            rhs: matrices(rhs),
            batch_axes,
        };
        if problem.len() > i32::MAX as usize {
            return Err("the product is larger than 32-bit addresses reach".into());
        }
        Ok(problem)
    }

    /// The transposed problem: columns of the product become rows, and the operands change sides.
    pub(super) fn swapped(&self) -> Self {
        let turned = |matrices: Matrices| Matrices { row: matrices.column, column: matrices.row, ..matrices };
        Self {
            rows: self.columns,
            columns: self.rows,
            lhs: turned(self.rhs),
            rhs: turned(self.lhs),
            batch_axes: self.batch_axes.iter().map(|&(extent, [lhs, rhs])| (extent, [rhs, lhs])).collect(),
            ..*self
        }
    }

    /// Elements of the product.
    pub(super) fn len(&self) -> usize {
        self.batch * self.rows * self.columns
    }

    /// What a kernel is chosen by.
    pub(super) fn extents(&self) -> Extents {
        Extents { batch: self.batch, rows: self.rows, columns: self.columns, inner: self.inner }
    }

    /// The parameters of `shared/product`, but for the grid's width and the epilogue's.
    pub(super) fn params(&self, tile: [usize; 2], splits: usize) -> Result<Vec<u32>, String> {
        let mut words: Vec<i64> =
            [self.batch, self.rows, self.columns, self.inner, splits].map(|word| word as i64).to_vec();
        words.extend([self.rows.div_ceil(tile[0]), self.columns.div_ceil(tile[1])].map(|word| word as i64));
        words.push(self.inner.div_ceil(splits) as i64);
        words.extend([self.lhs.offset, self.lhs.row, self.lhs.column]);
        words.extend([self.rhs.offset, self.rhs.row, self.rhs.column, 0]);
        for &(extent, [lhs, rhs]) in &self.batch_axes {
            words.extend([extent as i64, lhs, rhs, 0]);
        }
        words
            .into_iter()
            .map(|word| i32::try_from(word).map(|word| word as u32).map_err(|_| format!("{word} does not fit 32 bits")))
            .collect()
    }
}
