//! Rows that are almost all 0, as counts of words: only what is not 0 is in memory (compressed sparse rows, CSR).
//!
//! A model takes dense rows. [`SparseRows::dense`] makes some, for what fits into memory; [`SparseExamples`] is a source for
//! [`Stream`](super::Stream)s, which makes those of a batch at a time.

mod examples;

use std::ops::Range;

pub use examples::SparseExamples;

use crate::error::{Error, Result, counted};
use crate::tensor::TensorData;

/// A matrix of f32 whose rows list their values that are not 0, with their columns.
///
/// ```
/// use wgrad::data::SparseRows;
/// // 0 2 0 1
/// // 0 0 0 0
/// // 5 0 0 0
/// let rows = SparseRows::new(vec![0, 2, 2, 3], vec![1, 3, 0], vec![2.0, 1.0, 5.0], 4)?;
/// assert_eq!((rows.rows(), rows.columns(), rows.stored()), (3, 4, 3));
/// assert_eq!(rows.row(0)?, (&[1, 3][..], &[2.0, 1.0][..]));
/// assert_eq!(rows.dense(1..3)?.as_slice::<f32>()?, [0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0]);
/// assert_eq!(rows.take(&[2, 2])?.dense(0..2)?.shape().dims(), [2, 4]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SparseRows {
    /// Where each row begins in the other two, and at last their length.
    indptr: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f32>,
    columns: usize,
}

impl SparseRows {
    /// Of the three lists of CSR: row `i` has `values[indptr[i]..indptr[i + 1]]` in the columns `indices[indptr[i]..indptr[i + 1]]`,
    /// which ascend.
    ///
    /// # Errors
    /// [`Error::Data`] where `indptr` does not begin with 0, descends, or does not end with the number of values; where indices and
    /// values differ in number; where a row's indices do not ascend, or one is not below `columns`.
    pub fn new(indptr: Vec<usize>, indices: Vec<u32>, values: Vec<f32>, columns: usize) -> Result<Self> {
        let wrong = |problem: String| Err(Error::Data(format!("no sparse rows: {problem}")));
        if indices.len() != values.len() {
            return wrong(format!("{} and {}", counted(indices.len(), "column"), counted(values.len(), "value")));
        }
        if indptr.first() != Some(&0) || indptr.last() != Some(&values.len()) {
            return wrong(format!("indptr begins with 0 and ends with the number of values, {}", values.len()));
        }
        for (row, (&start, &end)) in indptr.iter().zip(indptr.iter().skip(1)).enumerate() {
            let Some(own) = indices.get(start..end) else {
                return wrong(format!("row {row} is from {start} to {end} of {}", counted(values.len(), "value")));
            };
            if !own.is_sorted_by(|index, next| index < next) {
                return wrong(format!("the columns of row {row} do not ascend"));
            }
            if let Some(last) = own.last().filter(|&&last| last as usize >= columns) {
                return wrong(format!("row {row} has column {last}; there are {columns}, counted from 0"));
            }
        }
        Ok(Self { indptr, indices, values, columns })
    }

    /// Of rows that are known to be right.
    pub(super) fn from_rows(rows: impl IntoIterator<Item = Vec<(u32, f32)>>, columns: usize) -> Self {
        let mut found = Self { indptr: vec![0], indices: Vec::new(), values: Vec::new(), columns };
        for row in rows {
            found.indices.extend(row.iter().map(|(index, _)| index));
            found.values.extend(row.iter().map(|(_, value)| value));
            found.indptr.push(found.values.len());
        }
        found
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Number of columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Number of values that are stored.
    pub const fn stored(&self) -> usize {
        self.values.len()
    }

    /// Where each row begins in [`indices`](Self::indices) and [`values`](Self::values), and at last their length.
    pub fn indptr(&self) -> &[usize] {
        &self.indptr
    }

    /// The column of each value.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Columns and values of a row.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such row.
    pub fn row(&self, row: usize) -> Result<(&[u32], &[f32])> {
        let found = row.checked_add(1).and_then(|next| {
            let range = *self.indptr.get(row)?..*self.indptr.get(next)?;
            Some((self.indices.get(range.clone())?, self.values.get(range)?))
        });
        found
            .ok_or_else(|| Error::Argument(format!("there is no row {row}; there are {}, counted from 0", self.rows())))
    }

    /// Some rows as f32 `[n, columns]`, with their zeros.
    ///
    /// # Errors
    /// [`Error::Argument`] where there are no such rows; [`Error::OutOfMemory`] for more than the machine can address.
    pub fn dense(&self, rows: Range<usize>) -> Result<TensorData> {
        self.dense_of(rows)
    }

    /// The rows at these indices as f32 `[n, columns]`, in that order; one may occur more than once.
    ///
    /// # Errors
    /// As of [`dense`](Self::dense).
    pub fn dense_rows(&self, indices: &[usize]) -> Result<TensorData> {
        self.dense_of(indices.iter().copied())
    }

    fn dense_of(&self, rows: impl ExactSizeIterator<Item = usize>) -> Result<TensorData> {
        let count = rows.len();
        let mut values = Vec::new();
        let length = count.checked_mul(self.columns).filter(|&length| values.try_reserve_exact(length).is_ok());
        let length = length.ok_or_else(|| {
            Error::OutOfMemory(format!(
                "{} of {} as a dense matrix",
                counted(count, "row"),
                counted(self.columns, "column")
            ))
        })?;
        values.resize(length, 0.0_f32);
        for (number, row) in rows.enumerate() {
            let (indices, own) = self.row(row)?;
            let start = number * self.columns;
            for (&index, &value) in indices.iter().zip(own) {
                if let Some(cell) = values.get_mut(start + index as usize) {
                    *cell = value;
                }
            }
        }
        TensorData::from_vec(values, [count, self.columns])
    }

    /// The rows at these indices, in that order, as a training part; one may occur more than once.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such row.
    pub fn take(&self, indices: &[usize]) -> Result<Self> {
        let row = |&index: &usize| {
            let (indices, values) = self.row(index)?;
            Ok(indices.iter().copied().zip(values.iter().copied()).collect())
        };
        let rows = indices.iter().map(row).collect::<Result<Vec<_>>>()?;
        Ok(Self::from_rows(rows, self.columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(indptr: &[usize], indices: &[u32], values: usize, columns: usize) -> String {
        let rows = SparseRows::new(indptr.to_vec(), indices.to_vec(), vec![1.0; values], columns);
        rows.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn lists_are_checked() {
        assert_eq!(message(&[0, 1, 1, 3], &[2, 0, 2], 3, 3), "");
        assert_eq!(message(&[0], &[], 0, 0), "");
        assert_eq!(message(&[0, 1], &[0], 2, 3), "no sparse rows: 1 column and 2 values");
        let ends = "no sparse rows: indptr begins with 0 and ends with the number of values, 2";
        for indptr in [&[][..], &[1, 2], &[0, 1], &[0, 3]] {
            assert_eq!(message(indptr, &[0, 1], 2, 3), ends);
        }
        assert_eq!(message(&[0, 2, 1, 2], &[0, 1], 2, 3), "no sparse rows: row 1 is from 2 to 1 of 2 values");
        assert_eq!(message(&[0, 9, 2], &[0, 1], 2, 3), "no sparse rows: row 0 is from 0 to 9 of 2 values");
        for indices in [[1, 1], [1, 0]] {
            assert_eq!(message(&[0, 2], &indices, 2, 3), "no sparse rows: the columns of row 0 do not ascend");
        }
        assert_eq!(
            message(&[0, 0, 2], &[0, 3], 2, 3),
            "no sparse rows: row 1 has column 3; there are 3, counted from 0"
        );
    }

    #[test]
    fn rows_that_are_not_there_are_refused() -> Result<()> {
        let rows = SparseRows::new(vec![0, 1, 1], vec![1], vec![3.0], 2)?;
        assert_eq!(rows.dense(0..0)?.shape().dims(), [0, 2]);
        assert_eq!(rows.dense_rows(&[1, 0, 0])?.as_slice::<f32>()?, [0.0, 0.0, 0.0, 3.0, 0.0, 3.0]);
        let expected = "there is no row 2; there are 2, counted from 0";
        assert_eq!(rows.row(2).unwrap_err().to_string(), expected);
        assert_eq!(rows.dense(1..3).unwrap_err().to_string(), expected);
        assert_eq!(rows.take(&[0, 2]).unwrap_err().to_string(), expected);
        assert!(rows.row(usize::MAX).is_err());
        let wide = SparseRows::new(vec![0, 0], vec![], vec![], usize::MAX / 2)?;
        assert!(wide.dense(0..1).is_err_and(|error| error.to_string().starts_with("out of memory: 1 row of ")));
        Ok(())
    }
}
