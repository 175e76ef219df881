//! Rows of examples as bytes, column by column.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::tensor::{DType, TensorData, TensorType};

/// One column: what an example of it is, and the bytes of some.
struct Column {
    name: String,
    dtype: DType,
    dims: Vec<usize>,
    row: usize,
    bytes: Vec<u8>,
}

/// Some examples of equal columns.
#[derive(Default)]
pub(super) struct Rows {
    columns: Vec<Column>,
    count: usize,
}

impl Rows {
    /// None yet, of the columns of a data set.
    pub(super) fn like(data: &Dataset) -> Self {
        let columns = data.columns().iter().map(|(name, values)| Column {
            name: name.clone(),
            dtype: values.dtype(),
            dims: values.shape().iter().copied().skip(1).collect(),
            row: values.bytes().len() / data.len().max(1),
            bytes: Vec::new(),
        });
        Self { columns: columns.collect(), count: 0 }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Has a data set the same columns?
    pub(super) fn check(&self, data: &Dataset) -> Result<()> {
        let kind = |dtype: DType, dims: &[usize]| format!("{dtype}{dims:?}");
        if self.columns.len() != data.columns().len() {
            let (known, now) = (self.columns.len(), data.columns().len());
            return Err(Error::Data(format!("its examples have {now} columns, and {known} before")));
        }
        for (column, (name, values)) in self.columns.iter().zip(data.columns()) {
            let dims = values.shape().dims().get(1..).unwrap_or_default();
            if column.name != *name || column.dtype != values.dtype() || column.dims != dims {
                return Err(Error::Data(format!(
                    "its examples have a column {name:?} of {} each, and {:?} of {} before",
                    kind(values.dtype(), dims),
                    column.name,
                    kind(column.dtype, &column.dims)
                )));
            }
        }
        Ok(())
    }

    /// Appends rows of a data set that was checked.
    pub(super) fn extend(&mut self, data: &Dataset, start: usize, count: usize) {
        for (column, (_, values)) in self.columns.iter_mut().zip(data.columns()) {
            let range = start * column.row..(start + count) * column.row;
            column.bytes.extend_from_slice(values.bytes().get(range).unwrap_or_default());
        }
        self.count += count;
    }

    /// Appends a row of others with the same columns.
    pub(super) fn push(&mut self, other: &Self, index: usize) {
        for (column, other) in self.columns.iter_mut().zip(&other.columns) {
            let range = index * column.row..(index + 1) * column.row;
            column.bytes.extend_from_slice(other.bytes.get(range).unwrap_or_default());
        }
        self.count += 1;
    }

    /// Replaces a row by one of a data set that was checked.
    pub(super) fn replace(&mut self, index: usize, data: &Dataset, row: usize) {
        for (column, (_, values)) in self.columns.iter_mut().zip(data.columns()) {
            let source = values.bytes().get(row * column.row..(row + 1) * column.row);
            let target = column.bytes.get_mut(index * column.row..(index + 1) * column.row);
            if let (Some(target), Some(source)) = (target, source) {
                target.copy_from_slice(source);
            }
        }
    }

    /// Removes a row; the last one takes its index.
    pub(super) fn swap_remove(&mut self, index: usize) {
        let last = self.count.saturating_sub(1);
        for column in &mut self.columns {
            column.bytes.copy_within(last * column.row..(last + 1) * column.row, index * column.row);
            column.bytes.truncate(last * column.row);
        }
        self.count = last;
    }

    /// All of them as a data set; none are left.
    pub(super) fn take(&mut self) -> Result<Dataset> {
        let count = std::mem::take(&mut self.count);
        let columns = self.columns.iter_mut().map(|column| {
            let dims: Vec<usize> = std::iter::once(count).chain(column.dims.iter().copied()).collect();
            let values = TensorData::from_bytes(TensorType::new(column.dtype, dims), &column.bytes)?;
            column.bytes.clear();
            Ok((column.name.clone(), values))
        });
        Dataset::new(columns.collect::<Result<Vec<_>>>()?)
    }
}
