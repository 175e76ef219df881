//! Products in f32 of few rows with a right operand whose rows are consecutive, as one example with a layer's weight: its rows are
//! read once, in their order, and added to the results, which stay in a cache.

use super::FEW;
use super::columns::each_columns;
use super::matrix::Matrix;
use crate::scalar::{set_all, vectorized};

/// Rows of the right operand that are added at a time.
const DEEP: usize = 4;

/// Columns of a task, at least: pages of memory, read in order, not pieces of them.
const WIDE: usize = 1024;

/// True for extents that are better off here.
pub(super) const fn suits(rows: usize, columns: usize, inner: usize) -> bool {
    rows < FEW && columns >= 16 && inner >= 4
}

/// `out = lhs · rhs`, row-major. Sums are the same with any number of threads.
pub(super) fn multiply(lhs: Matrix<'_, f32>, rhs: Matrix<'_, f32>, out: &mut [f32], parallel: bool) {
    let columns = rhs.columns;
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    let width = columns.div_ceil(threads).next_multiple_of(16).max(WIDE).min(columns);
    let task = |first: usize, out: &mut [f32]| {
        let part = Matrix { elements: &rhs.elements[first..], columns: width.min(columns - first), ..rhs };
        add_rows(lhs, part, out);
    };
    each_columns(out, columns, width, threads, task, |_, _| {});
}

/// `out = lhs · rhs` on one thread.
fn add_rows(lhs: Matrix<'_, f32>, rhs: Matrix<'_, f32>, out: &mut [f32]) {
    let (columns, inner) = (rhs.columns, rhs.rows);
    vectorized(
        #[inline(always)]
        || {
            set_all(out, 0.0);
            for first in (0..inner).step_by(DEEP) {
                for row in 0..lhs.rows {
                    let out = &mut out[row * columns..(row + 1) * columns];
                    let factor = |k: usize| lhs.elements[row * lhs.steps[0] + k * lhs.steps[1]];
                    let line = |k: usize| &rhs.elements[k * rhs.steps[0]..][..columns];
                    if inner - first >= DEEP {
                        let factors = [factor(first), factor(first + 1), factor(first + 2), factor(first + 3)];
                        let lines = [line(first), line(first + 1), line(first + 2), line(first + 3)];
                        for column in 0..columns {
                            let mut sum = out[column];
                            sum += factors[0] * lines[0][column];
                            sum += factors[1] * lines[1][column];
                            sum += factors[2] * lines[2][column];
                            out[column] = sum + factors[3] * lines[3][column];
                        }
                        continue;
                    }
                    for k in first..inner {
                        let (factor, line) = (factor(k), line(k));
                        for column in 0..columns {
                            out[column] += factor * line[column];
                        }
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::testing::{numbers, with_threads};

    #[test]
    fn sums_are_those_of_the_definition_with_any_number_of_threads() {
        for (rows, columns, inner) in [(1, 16, 4), (1, 3000, 77), (3, 2100, 9), (7, 17, 130), (2, 1024, 1), (5, 1, 6)] {
            // Rows of the right operand are further apart than they are long.
            let (lhs, rhs) = (numbers(rows * inner, 1), numbers(inner * (columns + 3), 2));
            for steps in [[inner, 1], [1, rows]] {
                let run = |threads: usize| {
                    let mut out = vec![f32::NAN; rows * columns];
                    let left = Matrix { elements: &lhs, rows, columns: inner, steps };
                    let right = Matrix { elements: &rhs, rows: inner, columns, steps: [columns + 3, 1] };
                    with_threads(threads, || multiply(left, right, &mut out, threads > 1));
                    out
                };
                let found = run(1);
                assert_eq!(found, run(3));
                for (index, &found) in found.iter().enumerate() {
                    let (row, column) = (index / columns, index % columns);
                    let terms = (0..inner).map(|k| {
                        f64::from(lhs[row * steps[0] + k * steps[1]]) * f64::from(rhs[k * (columns + 3) + column])
                    });
                    let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term: f64| (sum + term, size + term.abs()));
                    assert!((f64::from(found) - sum).abs() <= 1e-6 * size, "{rows} {columns} {inner}: {found}, {sum}");
                }
            }
        }
    }
}
