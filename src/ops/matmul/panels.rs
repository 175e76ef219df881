//! Products in f32 whose right operand is laid out once and read many times: the weight of a recurrence at each step, a layer's
//! weight for each chunk of a batch, a chunk of the inner dimension for all rows of a weight's gradient.
//!
//! The layout is panels of as many columns as leave a register for each row's element: [`ROWS`] rows by a panel are summed in
//! registers over a chunk of the inner dimension. `gemm` does the same, but lays out both operands anew at each call.

use pulp::Simd;

use super::product::Matrix;
use crate::scalar::{array_of, dispatch, vectorized};

/// Rows of a tile; it is a panel wide.
pub(super) const ROWS: usize = 6;

/// Inner indices that are summed at a time, so that a panel's elements stay in the nearest cache for all rows.
pub(in crate::ops) const INNER_CHUNK: usize = 128;

/// Columns of the widest panel of any processor.
const WIDEST: usize = 64;

/// Vectors of a panel.
const fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

const fn lanes<S: Simd>() -> usize {
    size_of::<S::f32s>() / size_of::<f32>()
}

/// A right operand in panels. A panel stores the columns of each inner index one after the other; the last one is as wide as the
/// remaining columns, in whole vectors.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Panels<'a> {
    elements: &'a [f32],
    inner: usize,
    columns: usize,
}

/// What sums begin with.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) enum Start<'a, T = f32> {
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

impl<'a> Panels<'a> {
    /// The number of elements of memory that a right operand of these extents takes.
    pub(in crate::ops) const fn size(inner: usize, columns: usize) -> usize {
        inner * columns.next_multiple_of(WIDEST)
    }

    /// Lays out a matrix in memory of [`Panels::size`] elements.
    pub(in crate::ops) fn lay_out(matrix: Matrix<'_, f32>, memory: &'a mut [f32]) -> Self {
        dispatch(LayOut { matrix, memory });
        Self { elements: memory, inner: matrix.rows, columns: matrix.columns }
    }

    /// `out = start + lhs · panels`, with rows of `out` `out_step` elements apart. The rows of `lhs`, or its columns, are
    /// consecutive. Sums are the same for any number of rows.
    pub(in crate::ops) fn multiply(self, lhs: Matrix<'_, f32>, out: &mut [f32], out_step: usize, start: Start<'_>) {
        assert!(lhs.steps.contains(&1) && lhs.columns == self.inner);
        dispatch(Multiply { lhs, in_strips: false, panels: self, out, out_step, start });
    }

    /// The same with a left operand of `rows` rows that was laid out in [`strips`](lay_out_strips).
    pub(super) fn multiply_strips(
        self,
        rows: usize,
        strips: &[f32],
        out: &mut [f32],
        out_step: usize,
        start: Start<'_>,
    ) {
        let lhs = Matrix { elements: strips, rows, columns: self.inner, steps: [self.inner, ROWS] };
        dispatch(Multiply { lhs, in_strips: true, panels: self, out, out_step, start });
    }
}

/// Lays out a left operand whose columns are consecutive in strips of [`ROWS`] rows: a strip's elements of a column lie together, and
/// the next column's after them. Read as it is, each column would be in a line of the cache of its own.
pub(super) fn lay_out_strips(lhs: Matrix<'_, f32>, strips: &mut [f32]) {
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
}

struct LayOut<'a, 'b> {
    matrix: Matrix<'a, f32>,
    memory: &'b mut [f32],
}

impl pulp::WithSimd for LayOut<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Matrix { elements, rows, columns, steps } = self.matrix;
        let mut rest = self.memory;
        for (first, count, width) in panels::<S>(columns) {
            let (panel, after) = rest.split_at_mut(width * rows);
            rest = after;
            if steps[1] != 1 {
                by_columns(simd, elements, [first, count, rows], steps, width, panel);
                continue;
            }
            for (k, to) in panel.chunks_exact_mut(width).enumerate() {
                let from = &elements[k * steps[0] + first..][..count];
                // Arrays, whose length is known, are a few vector moves; slices are a call.
                if let (WIDEST, Some(from), Some(to)) = (count, from.first_chunk::<WIDEST>(), to.first_chunk_mut()) {
                    *to = *from;
                } else {
                    to[..count].copy_from_slice(from);
                    to[count..].fill(0.0);
                }
            }
        }
    }
}

/// Lays out columns: where their elements are consecutive, a vector of each of four columns at a time.
#[inline(always)]
fn by_columns<S: Simd>(
    simd: S,
    elements: &[f32],
    [first, count, rows]: [usize; 3],
    steps: [usize; 2],
    width: usize,
    panel: &mut [f32],
) {
    let lanes = lanes::<S>();
    let in_vectors = steps[0] == 1 && lanes >= 4;
    let (fours, whole) = if in_vectors { (count / 4 * 4, rows / lanes * lanes) } else { (0, 0) };
    // Along the columns, so that few of them at a time are read, but not far: what is written should stay in the nearest cache.
    for start in (0..whole).step_by(INNER_CHUNK) {
        for column in (0..fours).step_by(4) {
            let from: [&[f32]; 4] = array_of(|c| &elements[(first + column + c) * steps[1]..][..whole]);
            for k in (start..whole.min(start + INNER_CHUNK)).step_by(lanes) {
                let vectors: [S::f32s; 4] = array_of(|c| S::as_simd_f32s(&from[c][k..k + lanes]).0[0]);
                // Within each four lanes, this transposes: the first vector then has the first row's elements of all columns in its
                // first four lanes, the fifth row's in the next four, and so on.
                let vectors = simd.deinterleave_shfl_f32s(vectors);
                let panel = &mut panel[k * width..(k + lanes) * width];
                for row in 0..4 {
                    let parts: &[[f32; 4]] = bytemuck::cast_slice(&vectors[row..=row]);
                    for part in 0..parts.len() {
                        // An array, whose length is known: a slice would be copied by a call.
                        if let Some(to) = panel[(4 * part + row) * width + column..].first_chunk_mut() {
                            *to = parts[part];
                        }
                    }
                }
            }
        }
    }
    for column in 0..count {
        let start = if column < fours { whole } else { 0 };
        let from = &elements[(first + column) * steps[1]..];
        for k in start..rows {
            panel[k * width + column] = from[k * steps[0]];
        }
    }
    for line in panel.chunks_exact_mut(width) {
        line[count..].fill(0.0);
    }
}

/// The panels of a number of columns: the first column, the number of columns, and these in whole vectors.
#[inline(always)]
fn panels<S: Simd>(columns: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let widest = vectors::<S>() * lanes::<S>();
    (0..columns).step_by(widest).map(move |first| {
        let count = widest.min(columns - first);
        (first, count, count.next_multiple_of(lanes::<S>()))
    })
}

struct Multiply<'a, 'b> {
    lhs: Matrix<'a, f32>,
    in_strips: bool,
    panels: Panels<'a>,
    out: &'b mut [f32],
    out_step: usize,
    start: Start<'a>,
}

impl pulp::WithSimd for Multiply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lhs, in_strips, panels: Panels { elements, inner, columns }, out, out_step, start } = self;
        for inner_start in (0..inner).step_by(INNER_CHUNK) {
            let inner_count = INNER_CHUNK.min(inner - inner_start);
            let start = if inner_start == 0 { start } else { Start::Sums };
            let mut rest = elements;
            for (first, count, width) in panels::<S>(columns) {
                let (panel, after) = rest.split_at(width * inner);
                rest = after;
                let panel = &panel[inner_start * width..(inner_start + inner_count) * width];
                let chunk = Chunk { lhs, in_strips, panel, inner_start, inner_count, first, count, out_step, start };
                match width / lanes::<S>() {
                    1 => chunk.all_rows::<S, 1>(simd, out),
                    2 => chunk.all_rows::<S, 2>(simd, out),
                    3 if vectors::<S>() == 4 => chunk.all_rows::<S, 3>(simd, out),
                    _ if vectors::<S>() == 4 => chunk.all_rows::<S, 4>(simd, out),
                    _ => {}
                }
            }
        }
    }
}

/// A chunk of the inner dimension in one panel, for all rows.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    lhs: Matrix<'a, f32>,
    in_strips: bool,
    panel: &'a [f32],
    inner_start: usize,
    inner_count: usize,
    first: usize,
    count: usize,
    out_step: usize,
    start: Start<'a>,
}

const _: () = assert!(ROWS <= 6, "each_row! lists the rows of a tile");

/// Does something for each row of a tile. Not a loop: sums that are met under an index which is not a constant stay in memory, and all of
/// them then do through the whole tile.
macro_rules! each_row {
    ($rows:ident, $row:ident, $work:expr) => {
        each_row!(@each $rows, $row, $work, 0 1 2 3 4 5)
    };
    (@each $rows:ident, $row:ident, $work:expr, $($number:literal)*) => {{
        $(if $number < $rows {
            let $row = $number;
            $work;
        })*
    }};
}

impl Chunk<'_> {
    #[inline(always)]
    fn all_rows<S: Simd, const V: usize>(self, simd: S, out: &mut [f32]) {
        let mut row = 0;
        while row < self.lhs.rows {
            row += match self.lhs.rows - row {
                ROWS.. => self.tile::<S, V, ROWS>(simd, row, out),
                4 | 5 => self.tile::<S, V, 4>(simd, row, out),
                2 | 3 => self.tile::<S, V, 2>(simd, row, out),
                _ => self.tile::<S, V, 1>(simd, row, out),
            };
        }
    }

    /// Returns the number of rows.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const R: usize>(self, simd: S, row: usize, out: &mut [f32]) -> usize {
        let Self {
            lhs: Matrix { elements, steps, .. },
            in_strips,
            panel,
            inner_start,
            inner_count,
            first,
            count,
            out_step,
            start,
        } = self;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        match start {
            Start::Zero => {}
            Start::Bias(bias) => sums = [load(simd, &bias[first..first + count]); R],
            Start::Sums => each_row!(R, r, sums[r] = load(simd, &out[(row + r) * out_step + first..][..count])),
        }
        let (panel, _) = S::as_simd_f32s(panel).0.as_chunks::<V>();
        let panel = &panel[..inner_count];
        if steps[1] == 1 {
            let left: [&[f32]; R] = array_of(|r| &elements[(row + r) * steps[0] + inner_start..][..inner_count]);
            for k in 0..inner_count {
                let factors = array_of(|r| left[r][k]);
                sums = add_outer_product(simd, factors, &panel[k], sums);
            }
        } else {
            let first_row = if in_strips { row / ROWS * ROWS * steps[0] + row % ROWS } else { row * steps[0] };
            let left = &elements[inner_start * steps[1] + first_row..];
            for (k, columns) in panel.iter().enumerate() {
                let Some(&factors) = left[k * steps[1]..].first_chunk::<R>() else { break };
                sums = add_outer_product(simd, factors, columns, sums);
            }
        }
        each_row!(R, r, store(simd, &mut out[(row + r) * out_step + first..][..count], &sums[r]));
        R
    }
}

#[inline(always)]
fn add_outer_product<S: Simd, const V: usize, const R: usize>(
    simd: S,
    factors: [f32; R],
    columns: &[S::f32s; V],
    mut sums: [[S::f32s; V]; R],
) -> [[S::f32s; V]; R] {
    for r in 0..R {
        let factor = simd.splat_f32s(factors[r]);
        for v in 0..V {
            sums[r][v] = simd.mul_add_e_f32s(factor, columns[v], sums[r][v]);
        }
    }
    sums
}

/// The vectors of a row; what is beyond its end is zero.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, row: &[f32]) -> [S::f32s; V] {
    match S::as_simd_f32s(row).0.first_chunk::<V>() {
        Some(&full) => full,
        None => array_of(|v| {
            let end = ((v + 1) * lanes::<S>()).min(row.len());
            simd.partial_load_f32s(&row[(v * lanes::<S>()).min(end)..end])
        }),
    }
}

#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, row: &mut [f32], values: &[S::f32s; V]) {
    if let Some(full) = S::as_mut_simd_f32s(row).0.first_chunk_mut::<V>() {
        *full = *values;
        return;
    }
    for (v, &value) in values.iter().enumerate() {
        let end = ((v + 1) * lanes::<S>()).min(row.len());
        simd.partial_store_f32s(&mut row[(v * lanes::<S>()).min(end)..end], value);
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
                    let mut memory = vec![f32::NAN; Panels::size(inner, columns)];
                    processor.run(LayOut { matrix: rhs, memory: &mut memory });
                    let panels = Panels { elements: &memory, inner, columns };
                    let (mut out, out_step) = (before.clone(), columns + 3);
                    processor.run(Multiply { lhs, in_strips: false, panels, out: &mut out, out_step, start });
                    if left[1] != 1 {
                        let mut elements = vec![f32::NAN; rows.next_multiple_of(ROWS) * inner];
                        lay_out_strips(lhs, &mut elements);
                        let lhs = Matrix { elements: &elements, steps: [inner, ROWS], ..lhs };
                        let mut again = before.clone();
                        processor.run(Multiply { lhs, in_strips: true, panels, out: &mut again, out_step, start });
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
