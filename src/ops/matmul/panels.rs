//! Right operands that are laid out once and read many times: the weight of a recurrence at each step, a layer's weight for each chunk
//! of a batch, the windows of a convolution for all of its kernels.
//!
//! The layout is panels of as many columns as leave a register for each row's element, so that [`ROWS`] rows by a panel are summed
//! in registers (`tile`).

use pulp::Simd;

use super::float::{Float, lanes};
use super::matrix::Matrix;
use super::tile::{Left, Order, ROWS, Tiles};
use crate::scalar::{array_of, dispatch, vectorized};

/// Bytes of a panel that are read for all rows before the next ones, so that they stay near: fewer would mean that results go to memory
/// and back more often; and inner indices, at the most.
const NEAR_BYTES: usize = 64 << 10;
const INNER_CHUNK: usize = 256;

/// Columns of the widest panel of any processor.
pub(in crate::ops) const WIDEST: usize = 64;

/// Vectors of a panel.
const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// A right operand in panels. A panel stores the columns of each inner index one after the other; the last one is as wide as the
/// remaining columns, in whole vectors.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Panels<'a, T> {
    elements: &'a [T],
    inner: usize,
    columns: usize,
}

/// What sums begin with.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) enum Start<'a, T> {
    /// Nothing.
    Zero,
    /// What is in the result's memory.
    Sums,
    /// A value for each column.
    Bias(&'a [T]),
}

impl<T> Start<'_, T> {
    /// The same for some of the columns.
    pub(super) fn columns(self, first: usize, count: usize) -> Self {
        match self {
            Start::Bias(bias) => Start::Bias(&bias[first..first + count]),
            start => start,
        }
    }
}

/// What a right operand is laid out from.
pub(in crate::ops) trait Columns<T: Float> {
    /// Inner indices, and columns.
    fn extents(&self) -> [usize; 2];

    /// Lays out a panel of `count` columns from the first one on, each inner index `width` elements from the one before. What is
    /// beyond the columns is zero.
    fn lay_out<S: Simd>(&self, simd: S, first: usize, count: usize, width: usize, panel: &mut [T]);
}

impl<'a, T: Float> Panels<'a, T> {
    /// The number of elements of memory that a right operand of these extents takes.
    pub(in crate::ops) const fn size(inner: usize, columns: usize) -> usize {
        inner * columns.next_multiple_of(WIDEST)
    }

    /// Lays out a right operand in memory of [`Panels::size`] elements.
    pub(in crate::ops) fn lay_out(source: impl Columns<T>, memory: &'a mut [T]) -> Self {
        let [inner, columns] = source.extents();
        dispatch(LayOut { source, memory });
        Self { elements: memory, inner, columns }
    }

    /// `out = start + lhs · panels`, with rows of `out` `out_step` elements apart. Sums are the same for any number of rows.
    pub(in crate::ops) fn multiply(self, lhs: Left<'_, T>, out: &mut [T], out_step: usize, start: Start<'_, T>) {
        assert!(lhs.inner == self.inner);
        dispatch(Multiply { lhs, panels: self, out, out_step, start });
    }

    /// The same with a matrix whose rows or columns are consecutive.
    pub(in crate::ops) fn multiply_matrix(
        self,
        lhs: Matrix<'_, T>,
        out: &mut [T],
        out_step: usize,
        start: Start<'_, T>,
    ) {
        let lhs = lhs.left();
        assert!(lhs.is_some(), "neither rows nor columns are consecutive");
        if let Some(lhs) = lhs {
            self.multiply(lhs, out, out_step, start);
        }
    }
}

/// Lays out a left operand whose columns are consecutive in strips of [`ROWS`] rows: a strip's elements of a column lie together, and
/// the next column's after them. Read as it is, each column would be in a line of the cache of its own.
pub(super) fn lay_out_strips<'a, T: Float>(lhs: Matrix<'_, T>, strips: &'a mut [T]) -> Left<'a, T> {
    vectorized(
        #[inline(always)]
        || {
            for (number, strip) in strips.chunks_exact_mut(ROWS * lhs.columns).enumerate() {
                let row = number * ROWS;
                let rows = ROWS.min(lhs.rows - row);
                let (strip, _) = strip.as_chunks_mut::<ROWS>();
                for (k, to) in strip.iter_mut().enumerate() {
                    let from = &lhs.elements[k * lhs.steps[1] + row..];
                    match from.first_chunk() {
                        Some(from) if rows == ROWS => *to = *from,
                        _ => to[..rows].copy_from_slice(&from[..rows]),
                    }
                }
            }
        },
    );
    Left { elements: strips, rows: lhs.rows, inner: lhs.columns, order: Order::Strips }
}

struct LayOut<'b, C, T> {
    source: C,
    memory: &'b mut [T],
}

impl<T: Float, C: Columns<T>> pulp::WithSimd for LayOut<'_, C, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [inner, columns] = self.source.extents();
        let mut rest = self.memory;
        for (first, count, width) in panels::<T, S>(columns) {
            let (panel, after) = rest.split_at_mut(width * inner);
            rest = after;
            self.source.lay_out(simd, first, count, width, panel);
        }
    }
}

impl<T: Float> Columns<T> for Matrix<'_, T> {
    fn extents(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    #[inline(always)]
    fn lay_out<S: Simd>(&self, simd: S, first: usize, count: usize, width: usize, panel: &mut [T]) {
        if self.steps[1] != 1 {
            return by_columns(simd, self.elements, [first, count, self.rows], self.steps, width, panel);
        }
        for (k, to) in panel.chunks_exact_mut(width).enumerate() {
            copy_row(simd, &self.elements[k * self.steps[0] + first..][..count], to);
        }
    }
}

/// Copies a row to whole vectors; what is beyond its end is zero.
#[inline(always)]
#[allow(clippy::manual_memcpy, reason = "a slice would be copied by a call")]
pub(in crate::ops) fn copy_row<T: Float, S: Simd>(simd: S, from: &[T], to: &mut [T]) {
    let (vectors, to) = (T::vectors::<S>(from), T::vectors_mut::<S>(to));
    // Arrays, whose length is known, are a few vector moves.
    if let (4, Some(from), Some(to)) = (to.len(), vectors.first_chunk::<4>(), to.first_chunk_mut::<4>()) {
        *to = *from;
        return;
    }
    for v in 0..vectors.len() {
        to[v] = vectors[v];
    }
    if let Some(last) = to.get_mut(vectors.len()) {
        *last = T::partial_load(simd, &from[vectors.len() * lanes::<T, S>()..]);
    }
}

/// Lays out columns: where their elements are consecutive, a vector of each of four columns at a time.
#[inline(always)]
fn by_columns<T: Float, S: Simd>(
    simd: S,
    elements: &[T],
    [first, count, rows]: [usize; 3],
    steps: [usize; 2],
    width: usize,
    panel: &mut [T],
) {
    let lanes = lanes::<T, S>();
    let in_vectors = T::TRANSPOSES && steps[0] == 1 && lanes >= 4;
    let (fours, whole) = if in_vectors { (count / 4 * 4, rows / lanes * lanes) } else { (0, 0) };
    // Along the columns, so that few of them at a time are read, but not far: what is written should stay in the nearest cache.
    for start in (0..rows).step_by(INNER_CHUNK / 2) {
        let end = rows.min(start + INNER_CHUNK / 2);
        for column in (0..fours).step_by(4) {
            let from: [&[T]; 4] = array_of(|c| &elements[(first + column + c) * steps[1]..][..whole]);
            for k in (start..whole.min(end)).step_by(lanes) {
                let vectors: [T::Vector<S>; 4] = array_of(|c| T::vectors::<S>(&from[c][k..k + lanes])[0]);
                let vectors = T::transposed(simd, vectors);
                let panel = &mut panel[k * width..(k + lanes) * width];
                for row in 0..4 {
                    let parts: &[T] = bytemuck::cast_slice(&vectors[row..=row]);
                    let (parts, _) = parts.as_chunks::<4>();
                    for part in 0..parts.len() {
                        // An array, whose length is known: a slice would be copied by a call.
                        if let Some(to) = panel[(4 * part + row) * width + column..].first_chunk_mut() {
                            *to = parts[part];
                        }
                    }
                }
            }
        }
        for column in 0..count {
            let start = if column < fours { start.max(whole) } else { start };
            let from = &elements[(first + column) * steps[1]..];
            for k in start..end {
                panel[k * width + column] = from[k * steps[0]];
            }
        }
    }
    for line in panel.chunks_exact_mut(width) {
        for element in &mut line[count..] {
            *element = T::from(0.0);
        }
    }
}

/// The panels of a number of columns: the first column, the number of columns, and these in whole vectors.
#[inline(always)]
fn panels<T: Float, S: Simd>(columns: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let widest = vectors::<S>() * lanes::<T, S>();
    (0..columns).step_by(widest).map(move |first| {
        let count = widest.min(columns - first);
        (first, count, count.next_multiple_of(lanes::<T, S>()))
    })
}

struct Multiply<'a, 'b, T> {
    lhs: Left<'a, T>,
    panels: Panels<'a, T>,
    out: &'b mut [T],
    out_step: usize,
    start: Start<'a, T>,
}

impl<T: Float> pulp::WithSimd for Multiply<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lhs, panels: Panels { elements, inner, columns }, out, out_step, start } = self;
        let chunk = (NEAR_BYTES / (vectors::<S>() * size_of::<T::Vector<S>>())).min(INNER_CHUNK);
        // Where there is nothing to add up, sums are what they begin with.
        for inner_start in (0..inner.max(1)).step_by(chunk) {
            let inner_count = chunk.min(inner - inner_start);
            let goes_on = inner_start > 0 || matches!(start, Start::Sums);
            let mut rest = elements;
            for (first, count, width) in panels::<T, S>(columns) {
                let (panel, after) = rest.split_at(width * inner);
                rest = after;
                let panel = &panel[inner_start * width..(inner_start + inner_count) * width];
                let bias = match start {
                    Start::Bias(bias) => Some(&bias[first..first + count]),
                    Start::Zero | Start::Sums => None,
                };
                let tiles = Tiles { lhs, panel, inner_start, inner_count, first, count, out_step, goes_on, bias };
                match width / lanes::<T, S>() {
                    1 => tiles.all_rows::<S, 1>(simd, out),
                    2 => tiles.all_rows::<S, 2>(simd, out),
                    3 if vectors::<S>() == 4 => tiles.all_rows::<S, 3>(simd, out),
                    _ if vectors::<S>() == 4 => tiles.all_rows::<S, 4>(simd, out),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::processors;
    use crate::shader::testing::numbers;

    /// The definition, and the sum of its terms' sizes.
    fn defined(lhs: Matrix<'_, f32>, rhs: Matrix<'_, f32>, row: usize, column: usize) -> (f64, f64) {
        (0..lhs.columns).fold((0.0, 0.0), |(sum, size), k| {
            let a = lhs.elements[row * lhs.steps[0] + k * lhs.steps[1]];
            let b = rhs.elements[k * rhs.steps[0] + column * rhs.steps[1]];
            let term = f64::from(a) * f64::from(b);
            (sum + term, size + term.abs())
        })
    }

    #[test]
    fn products_are_those_of_the_definition_from_any_start_and_with_any_layout_of_operands() {
        for (rows, inner, columns) in [(1, 1, 1), (16, 64, 256), (7, 300, 65), (5, 129, 17), (13, 2, 100), (6, 128, 48)]
        {
            let (a, b) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
            let (bias, before) = (numbers(columns, 3), numbers(rows * (columns + 3), 4));
            for (left, right) in [([inner, 1], [columns, 1]), ([1, rows], [1, inner])] {
                let lhs = Matrix { elements: &a, rows, columns: inner, steps: left };
                let rhs = Matrix { elements: &b, rows: inner, columns, steps: right };
                for (start, processor) in [Start::Zero, Start::Sums, Start::Bias(&bias)]
                    .into_iter()
                    .flat_map(|start| processors::ALL.map(|processor| (start, processor)))
                {
                    let mut memory = vec![f32::NAN; Panels::<f32>::size(inner, columns)];
                    processor.run(LayOut { source: rhs, memory: &mut memory });
                    let panels = Panels { elements: &memory, inner, columns };
                    let (mut out, out_step) = (before.clone(), columns + 3);
                    let left_rows = lhs.left().unwrap();
                    processor.run(Multiply { lhs: left_rows, panels, out: &mut out, out_step, start });
                    if lhs.steps[1] != 1 {
                        let mut elements = vec![f32::NAN; rows.next_multiple_of(ROWS) * inner];
                        let lhs = lay_out_strips(lhs, &mut elements);
                        let mut again = before.clone();
                        processor.run(Multiply { lhs, panels, out: &mut again, out_step, start });
                        assert_eq!(again, out, "in strips");
                    }
                    for (index, &found) in out.iter().enumerate() {
                        let (row, column) = (index / (columns + 3), index % (columns + 3));
                        if column >= columns {
                            assert_eq!(found, before[index], "beyond the row");
                            continue;
                        }
                        let first = match start {
                            Start::Zero => 0.0,
                            Start::Sums => before[index],
                            Start::Bias(bias) => bias[column],
                        };
                        let (sum, size) = defined(lhs, rhs, row, column);
                        let wanted = sum + f64::from(first);
                        assert!(
                            (f64::from(found) - wanted).abs() <= 1e-6 * (size + 1.0),
                            "{processor:?} {rows} {inner} {columns} {start:?}: {found} and {wanted}"
                        );
                    }
                }
            }
        }
    }
}
