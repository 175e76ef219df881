//! Products in f32 of many rows with a small right operand, as those of a layer: the right operand is laid out once, and each
//! chunk of rows is finished (a bias, an activation) while it is in a cache.

use super::panels::{Panels, ROWS, Start};
use super::product::Matrix;
use crate::ops::tasks::lend;
use crate::parallel::each_chunk;

/// Rows of a chunk, at most and at least.
const MOST: usize = 16 * ROWS;
const LEAST: usize = 4 * ROWS;

/// True for extents that are better off here than with gemm and a pass over all results.
pub(super) const fn suits(rows: usize, columns: usize, inner: usize) -> bool {
    rows >= 2 * LEAST && columns >= 16 && columns * inner <= 1 << 16
}

/// `out = lhs · rhs + bias`, row-major; `finish` gets each chunk of results with the index of its first element. Sums are the same
/// with any number of threads.
pub(super) fn multiply(
    lhs: Matrix<'_, f32>,
    rhs: Matrix<'_, f32>,
    bias: Option<&[f32]>,
    out: &mut [f32],
    parallel: bool,
    finish: impl Fn(usize, &mut [f32]) + Sync,
) {
    let columns = rhs.columns;
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    // Several chunks for each thread, so that one that is late does not keep the others waiting.
    let rows = (lhs.rows / (4 * threads)).clamp(LEAST, MOST).next_multiple_of(ROWS);
    lend(Panels::size(rhs.rows, columns), |memory| {
        let panels = Panels::lay_out(rhs, memory);
        each_chunk(out, rows * columns, parallel, |number, out| {
            let first = number * rows;
            let elements = &lhs.elements[first * lhs.steps[0]..];
            let lhs = Matrix { elements, rows: out.len() / columns, ..lhs };
            panels.multiply(lhs, out, columns, bias.map_or(Start::Zero, Start::Bias));
            finish(first * columns, out);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::testing::numbers;

    #[test]
    fn each_chunk_gets_its_bias_and_is_finished_once_with_its_index() {
        for (rows, columns, inner) in [(500, 100, 64), (48, 16, 1), (97, 33, 200), (5, 3, 2)] {
            let (lhs, rhs) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
            let bias = numbers(columns, 3);
            let run = |threads: usize| {
                let mut out = vec![f32::NAN; rows * columns];
                let left = Matrix { elements: &lhs, rows, columns: inner, steps: [inner, 1] };
                let right = Matrix { elements: &rhs, rows: inner, columns, steps: [columns, 1] };
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let finish = |first: usize, out: &mut [f32]| {
                    out.iter_mut().enumerate().for_each(|(k, value)| *value += (first + k) as f32);
                };
                pool.install(|| multiply(left, right, Some(&bias), &mut out, threads > 1, finish));
                out
            };
            let found = run(1);
            assert_eq!(found, run(3));
            for (index, &found) in found.iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let terms = (0..inner).map(|k| f64::from(lhs[row * inner + k]) * f64::from(rhs[k * columns + column]));
                let wanted = terms.sum::<f64>() + f64::from(bias[column]) + index as f64;
                assert!((f64::from(found) - wanted).abs() <= 1e-6 * (wanted.abs() + inner as f64), "{found} {wanted}");
            }
        }
    }
}
