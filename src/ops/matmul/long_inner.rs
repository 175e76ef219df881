//! Products in f32 over a long inner dimension across which both operands are contiguous, as those of a weight's gradient: a chunk
//! of the inner dimension at a time, with the right operand's in panels that stay in a cache for all rows of a task. Row sums are
//! computed too.

use super::panels::{INNER_CHUNK, Panels, ROWS, Start};
use super::product::Matrix;
use crate::ops::tasks::lend;
use crate::parallel::{each_chunk, each_chunk_of_two};
use crate::scalar::{set_all, vectorized};

/// Fewest rows of a task, and those from which a thread gets two: the right operand is laid out by each.
const LEAST: usize = 4 * ROWS;
const SHARED: usize = 256;

/// True for extents that are better off here than with gemm.
pub(super) const fn suits(rows: usize, columns: usize, inner: usize) -> bool {
    inner >= 512 && rows >= ROWS && columns >= 16 && rows <= 1024 && columns <= 512
}

/// `out = lhs · rhs`, row-major, where the left operand's columns are consecutive; and the sums of its rows. Sums are the same with
/// any number of threads.
pub(super) fn multiply(
    lhs: Matrix<'_, f32>,
    rhs: Matrix<'_, f32>,
    out: &mut [f32],
    sums: Option<&mut [f32]>,
    parallel: bool,
) {
    let columns = rhs.columns;
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    // With two tasks, a thread that is late does not keep the others waiting for long.
    let tasks = if lhs.rows >= SHARED * threads { 2 * threads } else { threads };
    let rows = lhs.rows.div_ceil(tasks).max(LEAST).next_multiple_of(ROWS);
    let task = |number: usize, out: &mut [f32], mut sums: Option<&mut [f32]>| {
        let first_row = number * rows;
        let lhs = Matrix { elements: &lhs.elements[first_row..], rows: out.len() / columns, ..lhs };
        if let Some(sums) = sums.as_deref_mut() {
            sums.fill(0.0);
        }
        lend(Panels::size(INNER_CHUNK, columns) + lhs.rows, |memory| {
            let (memory, part) = memory.split_at_mut(Panels::size(INNER_CHUNK, columns));
            for first in (0..lhs.columns).step_by(INNER_CHUNK) {
                let count = INNER_CHUNK.min(lhs.columns - first);
                let right =
                    Matrix { elements: &rhs.elements[first * rhs.steps[0]..], rows: count, columns, steps: rhs.steps };
                let left = Matrix { elements: &lhs.elements[first * lhs.steps[1]..], columns: count, ..lhs };
                let start = if first == 0 { Start::Zero } else { Start::Sums };
                // First, as it reads the left operand faster, and leaves it in a cache.
                if let Some(sums) = sums.as_deref_mut() {
                    add_row_sums(left, part, sums);
                }
                Panels::lay_out(right, memory).multiply(left, out, columns, start);
            }
        });
    };
    match sums {
        Some(sums) => {
            let parts = (out, rows * columns);
            each_chunk_of_two(parts, (sums, rows), parallel, |number, out, sums| task(number, out, Some(sums)));
        }
        None => each_chunk(out, rows * columns, parallel, |number, out| task(number, out, None)),
    }
}

/// Adds a chunk's sums, which are added up apart: few terms each, and so little rounding.
fn add_row_sums(lhs: Matrix<'_, f32>, part: &mut [f32], sums: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            let rows = part.len();
            set_all(part, 0.0);
            for k in 0..lhs.columns {
                let column = &lhs.elements[k * lhs.steps[1]..][..rows];
                for row in 0..rows {
                    part[row] += column[row];
                }
            }
            let sums = &mut sums[..rows];
            for row in 0..rows {
                sums[row] += part[row];
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::testing::numbers;

    #[test]
    fn products_and_row_sums_are_those_of_the_definition_with_any_number_of_threads() {
        for (rows, columns, inner) in [(256, 64, 1000), (7, 100, 129), (61, 1, 128), (1, 17, 300), (100, 130, 1)] {
            // Columns of the left operand and rows of the right one are further apart than they are long.
            let (lhs, rhs) = (numbers(inner * (rows + 3), 1), numbers(inner * (columns + 5), 2));
            let run = |threads: usize| {
                let (mut out, mut sums) = (vec![f32::NAN; rows * columns], vec![f32::NAN; rows]);
                let left = Matrix { elements: &lhs, rows, columns: inner, steps: [1, rows + 3] };
                let right = Matrix { elements: &rhs, rows: inner, columns, steps: [columns + 5, 1] };
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| multiply(left, right, &mut out, Some(&mut sums), threads > 1));
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
