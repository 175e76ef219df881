//! Products in blocks. Each task takes a block of results: it lays out its part of the right operand, as much at a time as stays
//! in a core's own cache, and multiplies it with some rows after the other, which may be finished (an activation) while they are near.
//!
//! A task lays out its own part, though others may have done so too: what another core wrote comes from far, which takes longer. So
//! tasks are tall, and where there are too few rows for that, they are wide: each takes some columns.

use super::FEW;
use super::columns::{NEAR, each_columns};
use super::float::Float;
use super::matrix::Matrix;
use super::panels::{Panels, Start, WIDEST, lay_out_strips};
use super::stored::Stored;
use super::tile::ROWS;
use crate::ops::tasks::lend;
use crate::parallel::{each_chunk, each_chunk_of_two};
use crate::scalar::{set_all, vectorized};

/// Rows of a task, at most: each task lays out the right operand.
const MOST: usize = 1024 * ROWS;

/// Rows from which a task's right operand is read so often that laying it out costs little.
const TALL: usize = 16 * ROWS;

/// Columns that a task takes at a time, and the fewest of one that takes some.
const WIDE: usize = 512;
const NARROW: usize = WIDEST;

/// Bytes of the right operand that are laid out at a time; and their rows, at least and at most.
const LAID_OUT: usize = 512 << 10;
const SHALLOW: usize = 128;
const DEEP: usize = 1024;

/// Bytes between rows that caches store in the same few lines, and columns from which copying those rows pays.
const PAGE: usize = 2048;
const FAR: usize = 256;

/// Columns of the left operand whose elements are added up apart.
const SUMMED: usize = 128;

/// True for extents whose results are worth finishing in a cache, and which fill vectors.
pub(super) const fn suits(rows: usize, columns: usize, inner: usize) -> bool {
    rows >= FEW && columns >= 16 && rows * columns * inner >= 1 << 17
}

/// `out = bias + lhs · rhs`, row-major; `finish` gets each of its rows once, several at a time, with the index of their first element.
/// `sums` are those of the left operand's rows, whose columns are consecutive then. Sums are the same with any number of threads: each
/// is added up over the inner dimension in order.
pub(in crate::ops) fn multiply<T: Float>(
    lhs: Stored<'_, T>,
    rhs: Stored<'_, T>,
    out: &mut [T],
    bias: Option<&[T]>,
    sums: Option<&mut [T]>,
    parallel: bool,
    finish: impl Fn(usize, &mut [T]) + Sync,
) {
    let (columns, inner) = (rhs.columns(), rhs.rows());
    let start = bias.map_or(Start::Zero, Start::Bias);
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    if threads > 1 && lhs.rows() < threads * TALL && columns >= threads * NARROW && sums.is_none() {
        let tasks = threads * columns.div_ceil(threads * 2 * WIDE);
        let width = columns.div_ceil(tasks).next_multiple_of(NARROW);
        let task = |first: usize, out: &mut [T]| {
            let width = width.min(columns - first);
            block(lhs, rhs.part([0, first], [inner, width]), out, start.columns(first, width), None, |_, _| {});
        };
        return each_columns(out, columns, width, threads, task, finish);
    }
    // With more tasks, a thread that is late would not keep the others waiting for as long; but that costs more than it gives.
    let tasks = threads * lhs.rows().div_ceil(threads * MOST);
    let rows = lhs.rows().div_ceil(tasks).next_multiple_of(ROWS);
    let task = |number: usize, out: &mut [T], sums: Option<&mut [T]>| {
        let first = number * rows;
        let part = lhs.part([first, 0], [out.len() / columns, inner]);
        block(part, rhs, out, start, sums, |row, out| finish((first + row) * columns, out));
    };
    match sums {
        Some(sums) => {
            let parts = (out, rows * columns);
            each_chunk_of_two(parts, (sums, rows), parallel, |number, out, sums| task(number, out, Some(sums)));
        }
        None => each_chunk(out, rows * columns, parallel, |number, out| task(number, out, None)),
    }
}

/// One task: `finish` gets the number of each first row.
fn block<T: Float>(
    lhs: Stored<'_, T>,
    rhs: Stored<'_, T>,
    out: &mut [T],
    start: Start<'_, T>,
    mut sums: Option<&mut [T]>,
    finish: impl Fn(usize, &mut [T]),
) {
    let (columns, inner) = (rhs.columns(), rhs.rows());
    let laid_out = LAID_OUT / size_of::<T>();
    // Wide where rows of the right operand are consecutive, deep where columns are: so are they read faster.
    let (width, depth) = if rhs.steps()[1] == 1 {
        let width = columns.min(WIDE);
        (width, (laid_out / width.next_multiple_of(NARROW)).clamp(SHALLOW, DEEP).min(inner))
    } else {
        let depth = inner.clamp(1, DEEP);
        (columns.min(laid_out / depth).clamp(NARROW, 2 * WIDE) / NARROW * NARROW, depth)
    };
    let (width, depth) = (width.min(columns), depth.max(1));
    let is_whole = width == columns && depth == inner;
    if let Some(sums) = sums.as_deref_mut() {
        sums.fill(T::from(0.0));
    }
    // Columns that lie apart are read faster from strips, where they are read often.
    let in_strips = lhs.steps()[1] != 1 && columns >= 2 * NARROW;
    // Rows that are pages apart share a few lines of every cache: those that are read often lie together in a copy.
    let crowded = lhs.steps()[1] == 1 && (lhs.steps()[0] * size_of::<T>()).is_multiple_of(PAGE) && columns >= FAR;
    let copies = lhs.left().is_none() || (crowded && inner > depth);
    let strips = if in_strips { NEAR * depth } else { 0 };
    let copy = if copies { NEAR * depth } else { 0 };
    lend(strips + copy + Panels::<T>::size(depth, width), |memory: &mut [T]| {
        let (strips, memory) = memory.split_at_mut(strips);
        let (copy, memory) = memory.split_at_mut(copy);
        for first_column in (0..columns).step_by(width) {
            let width = width.min(columns - first_column);
            for first in (0..inner).step_by(depth) {
                let depth = depth.min(inner - first);
                let start = if first == 0 { start.columns(first_column, width) } else { Start::Sums };
                let right = Panels::lay_out(rhs.part([first, first_column], [depth, width]), memory);
                for row in (0..lhs.rows()).step_by(NEAR) {
                    let rows = NEAR.min(lhs.rows() - row);
                    let left = lhs.part([row, first], [rows, depth]);
                    let left = match left {
                        Stored::Computed(matrix) if !copies => matrix,
                        other => other.copied(copy),
                    };
                    // First, as it reads the left operand faster, and leaves it in a cache.
                    if let (Some(sums), 0) = (sums.as_deref_mut(), first_column) {
                        add_row_sums(left, &mut sums[row..row + rows]);
                    }
                    let to = &mut out[row * columns + first_column..];
                    if in_strips && left.steps[1] != 1 {
                        let strips = &mut strips[..rows.next_multiple_of(ROWS) * depth];
                        right.multiply(lay_out_strips(left, strips), to, columns, start);
                    } else {
                        right.multiply_matrix(left, to, columns, start);
                    }
                    if is_whole {
                        finish(row, &mut out[row * columns..(row + rows) * columns]);
                    }
                }
            }
        }
    });
    if !is_whole {
        for (number, out) in out.chunks_mut(NEAR * columns).enumerate() {
            finish(number * NEAR, out);
        }
    }
}

/// Adds the sums of rows whose columns are consecutive. Chunks of a row are added up apart: few terms each, and so little rounding.
fn add_row_sums<T: Float>(lhs: Matrix<'_, T>, sums: &mut [T]) {
    vectorized(
        #[inline(always)]
        || {
            let mut part = [T::from(0.0); NEAR];
            let (rows, sums) = (lhs.rows, &mut sums[..lhs.rows]);
            for first in (0..lhs.columns).step_by(SUMMED) {
                let part = &mut part[..rows];
                set_all(part, T::from(0.0));
                for k in first..lhs.columns.min(first + SUMMED) {
                    let column = &lhs.elements[k * lhs.steps[1]..][..rows];
                    for row in 0..rows {
                        part[row] += column[row];
                    }
                }
                for row in 0..rows {
                    sums[row] += part[row];
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::testing::{numbers, with_threads};

    /// Rows, columns and inner indices, by whether tasks are tall or wide, the right operand is laid out at once or not, and all odd.
    const EXTENTS: [[usize; 3]; 13] = [
        [500, 100, 64],
        [256, 64, 1000],
        [97, 33, 200],
        [8, 8, 1],
        [5, 3, 2],
        [1, 17, 300],
        [61, 1, 128],
        [100, 130, 1],
        [390, 70, 300],
        [24, 1100, 130],
        [400, 600, 140],
        [30, 530, 515],
        [9, 9000, 7],
    ];

    #[test]
    fn each_row_begins_with_its_bias_and_is_finished_once_with_its_index() {
        for [rows, columns, inner] in EXTENTS {
            let (lhs, rhs, bias) = (numbers(rows * inner, 1), numbers(inner * columns, 2), numbers(columns, 3));
            for (left, right) in [([inner, 1], [columns, 1]), ([inner, 1], [1, inner]), ([1, rows], [columns, 1])] {
                let run = |threads: usize| {
                    let mut out = vec![f32::NAN; rows * columns];
                    let left = Stored::Computed(Matrix { elements: &lhs, rows, columns: inner, steps: left });
                    let right = Stored::Computed(Matrix { elements: &rhs, rows: inner, columns, steps: right });
                    let finish = |first: usize, out: &mut [f32]| {
                        out.iter_mut().enumerate().for_each(|(k, value)| *value += (first + k) as f32);
                    };
                    with_threads(threads, || multiply(left, right, &mut out, Some(&bias), None, threads > 1, finish));
                    out
                };
                let found = run(1);
                assert_eq!(found, run(2));
                assert_eq!(found, run(3));
                for (index, &found) in found.iter().enumerate() {
                    let (row, column) = (index / columns, index % columns);
                    let terms = (0..inner).map(|k| {
                        let (a, b) = (row * left[0] + k * left[1], k * right[0] + column * right[1]);
                        f64::from(lhs[a]) * f64::from(rhs[b])
                    });
                    let wanted = terms.sum::<f64>() + f64::from(bias[column]) + index as f64;
                    assert!(
                        (f64::from(found) - wanted).abs() <= 1e-6 * (wanted.abs() + inner as f64),
                        "{found} {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn products_and_row_sums_are_those_of_the_definition_with_any_number_of_threads() {
        for [rows, columns, inner] in EXTENTS {
            // Columns of the left operand and rows of the right one are further apart than they are long.
            let (lhs, rhs) = (numbers(inner * (rows + 3), 1), numbers(inner * (columns + 5), 2));
            let run = |threads: usize| {
                let (mut out, mut sums) = (vec![f32::NAN; rows * columns], vec![f32::NAN; rows]);
                let left = Stored::Computed(Matrix { elements: &lhs, rows, columns: inner, steps: [1, rows + 3] });
                let right = Stored::Computed(Matrix { elements: &rhs, rows: inner, columns, steps: [columns + 5, 1] });
                with_threads(threads, || {
                    multiply(left, right, &mut out, None, Some(&mut sums), threads > 1, |_, _| {});
                });
                (out, sums)
            };
            let (out, sums) = run(1);
            assert_eq!((out.clone(), sums.clone()), run(3));
            let sum = |terms: &mut dyn Iterator<Item = f64>| {
                terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
            };
            let close = |found: f32, (sum, size): (f64, f64)| (f64::from(found) - sum).abs() <= 1e-6 * size;
            let left = |row: usize, k: usize| f64::from(lhs[k * (rows + 3) + row]);
            for row in 0..rows {
                assert!(close(sums[row], sum(&mut (0..inner).map(|k| left(row, k)))), "sum of row {row} of {rows}");
                for column in 0..columns {
                    let right = |k: usize| f64::from(rhs[k * (columns + 5) + column]);
                    let wanted = sum(&mut (0..inner).map(|k| left(row, k) * right(k)));
                    assert!(close(out[row * columns + column], wanted), "{rows} {columns} {inner}: {row}, {column}");
                }
            }
        }
    }
}
