//! Parts of matrices: triangles and diagonals of the last two axes.

use crate::graph::{Graph, Tensor};
use crate::tensor::DType;

impl Graph {
    /// The unit matrix, `[n, n]`.
    #[track_caller]
    #[doc(alias = "identity")]
    pub fn eye(&self, n: usize, dtype: DType) -> Tensor {
        self.coordinate([n, n], 0).eq(self.coordinate([n, n], 1)).cast(dtype)
    }
}

impl Tensor {
    /// The lower triangle of the last two axes, with zeros above the `diagonal`: 0 is the main one, positive numbers are above it.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.constant(TensorData::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0], [2, 2])?);
    /// g.output("lower", &x.tril(0));
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[])?["lower"].to_f64_vec(), [1.0, 0.0, 3.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn tril(&self, diagonal: isize) -> Self {
        let Some(columns_after) = self.columns_after_rows("tril") else { return self.clone() };
        columns_after.le(diagonal as i64).select(self, self.zeros_like())
    }

    /// The upper triangle of the last two axes, with zeros below the `diagonal`: 0 is the main one, positive numbers are above it.
    #[track_caller]
    #[must_use]
    pub fn triu(&self, diagonal: isize) -> Self {
        let Some(columns_after) = self.columns_after_rows("triu") else { return self.clone() };
        columns_after.ge(diagonal as i64).select(self, self.zeros_like())
    }

    /// By how much each element's column is greater than its row, i32.
    #[track_caller]
    fn columns_after_rows(&self, operator: &str) -> Option<Self> {
        if !self.is_matrix(operator) {
            return None;
        }
        let shape = self.shape();
        Some(self.graph().coordinate(&shape, -1) - self.graph().coordinate(&shape, -2))
    }

    #[track_caller]
    fn is_matrix(&self, operator: &str) -> bool {
        let is_matrix = self.rank() >= 2;
        if !is_matrix {
            self.graph().mistake(operator, format!("wants at least two axes, not shape {}", self.shape()));
        }
        is_matrix
    }

    /// A diagonal of the last two axes, which becomes the last one: `offset` 0 is the main one, positive numbers are above it.
    #[track_caller]
    #[must_use]
    pub fn diagonal(&self, offset: isize) -> Self {
        if !self.is_matrix("diagonal") {
            return self.clone();
        }
        let shape = self.shape();
        let [rows, columns] = [shape[shape.rank() - 2], shape[shape.rank() - 1]];
        let [row, column] = [offset.min(0).unsigned_abs(), offset.max(0).unsigned_abs()];
        let length = rows.saturating_sub(row).min(columns.saturating_sub(column));
        let [row, column] = [row.min(rows), column.min(columns)];
        let square = self.slice(-2, row, row + length).slice(-1, column, column + length);
        // Row after row, diagonal elements are length + 1 apart.
        let mut flat = shape.dims()[..shape.rank() - 2].to_vec();
        flat.push(length * length);
        let every = square.reshape(flat.clone());
        let steps: Vec<isize> =
            (0..flat.len()).map(|axis| if axis + 1 == flat.len() { length as isize + 1 } else { 1 }).collect();
        let starts = vec![0; flat.len()];
        let last = flat.len() - 1;
        flat[last] = length;
        every.slice_steps(&starts, &flat, &steps)
    }

    /// The sum of the main diagonal of the last two axes.
    #[track_caller]
    #[must_use]
    pub fn trace(&self) -> Self {
        if !self.is_matrix("trace") {
            return self.clone();
        }
        self.diagonal(0).sum(-1)
    }
}
