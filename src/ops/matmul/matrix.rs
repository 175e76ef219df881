//! A matrix within a slice.

use super::tile::{Left, Order};

/// A matrix within a slice: address = steps[0] · row + steps[1] · column.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Matrix<'a, T> {
    pub(in crate::ops) elements: &'a [T],
    pub(in crate::ops) rows: usize,
    pub(in crate::ops) columns: usize,
    pub(in crate::ops) steps: [usize; 2],
}

impl<'a, T> Matrix<'a, T> {
    /// Some of its rows and columns, from the first ones on.
    pub(in crate::ops) fn part(&self, [row, column]: [usize; 2], [rows, columns]: [usize; 2]) -> Self {
        let start = (row * self.steps[0] + column * self.steps[1]).min(self.elements.len());
        Self { elements: &self.elements[start..], rows, columns, ..*self }
    }

    /// As a left operand, where rows or columns are consecutive.
    pub(in crate::ops) fn left(&self) -> Option<Left<'a, T>> {
        let order = if self.steps[1] == 1 || self.columns <= 1 {
            Order::Rows(self.steps[0])
        } else if self.steps[0] == 1 || self.rows <= 1 {
            Order::Columns(self.steps[1])
        } else {
            return None;
        };
        Some(Left { elements: self.elements, rows: self.rows, inner: self.columns, order })
    }
}
