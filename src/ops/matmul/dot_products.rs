//! Products in f32 whose operands are both contiguous along the inner dimension and that are small beside it, as those of a
//! classifier after many features: dot products of four rows by four columns at a time, straight from the operands. gemm would lay
//! out both anew, which takes longer than so few rows and columns.

use crate::parallel::each_chunk;
use crate::scalar::array_of;

/// Rows of a task, and of a tile with as many columns.
const ROWS: usize = 16;
const TILE: usize = 4;

/// Inner indices that are summed at a time, so that the right operand's elements stay in a cache for all rows of a task.
const INNER_CHUNK: usize = 1024;

/// Vectors of one operand: their elements, and the distance from one to the next.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    pub(super) elements: &'a [f32],
    pub(super) step: usize,
}

impl<'a> Vectors<'a> {
    /// A chunk of one of them.
    #[inline(always)]
    fn part(&self, vector: usize, first: usize, count: usize) -> &'a [f32] {
        let start = vector * self.step + first;
        &self.elements[start..start + count]
    }
}

/// True for extents that are better off here.
pub(super) const fn suits(rows: usize, columns: usize, inner: usize) -> bool {
    rows >= TILE && columns >= TILE && rows * columns <= 1 << 14 && inner >= 1024
}

/// `out = lhs · rhsᵀ`, row-major: each row of the one with each of the other. The sums are the same with any number of threads.
pub(super) fn multiply(
    lhs: Vectors<'_>,
    rhs: Vectors<'_>,
    columns: usize,
    inner: usize,
    out: &mut [f32],
    parallel: bool,
) {
    each_chunk(out, ROWS * columns, parallel, |number, out| {
        pulp::Arch::new().dispatch(Rows { lhs, rhs, first_row: number * ROWS, columns, inner, out });
    });
}

/// Some rows of the product.
struct Rows<'a> {
    lhs: Vectors<'a>,
    rhs: Vectors<'a>,
    first_row: usize,
    columns: usize,
    inner: usize,
    out: &'a mut [f32],
}

impl pulp::WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) {
        let Self { lhs, rhs, first_row, columns, inner, out } = self;
        out.fill(0.0);
        let rows = out.len() / columns;
        for first in (0..inner).step_by(INNER_CHUNK) {
            let count = INNER_CHUNK.min(inner - first);
            for row in (0..rows).step_by(TILE) {
                for column in (0..columns).step_by(TILE) {
                    let at = [first_row + row, column, first, count];
                    let to = &mut out[row * columns + column..];
                    let (height, width) = (TILE.min(rows - row), TILE.min(columns - column));
                    if height == TILE && width == TILE {
                        tile::<S, TILE>(simd, lhs, rhs, at, columns, to);
                        continue;
                    }
                    for line in 0..height {
                        for c in 0..width {
                            let at = [at[0] + line, at[1] + c, first, count];
                            tile::<S, 1>(simd, lhs, rhs, at, columns, &mut to[line * columns + c..]);
                        }
                    }
                }
            }
        }
    }
}

/// Adds the dot products of a chunk of `N` rows and columns to their sums.
#[inline(always)]
fn tile<S: pulp::Simd, const N: usize>(
    simd: S,
    lhs: Vectors<'_>,
    rhs: Vectors<'_>,
    [row, column, first, count]: [usize; 4],
    columns: usize,
    out: &mut [f32],
) {
    let left: [&[f32]; N] = array_of(|k| lhs.part(row + k, first, count));
    let right: [&[f32]; N] = array_of(|k| rhs.part(column + k, first, count));
    let vectors = S::as_simd_f32s(left[0]).0.len();
    let left_vectors: [&[S::f32s]; N] = array_of(|k| &S::as_simd_f32s(left[k]).0[..vectors]);
    let right_vectors: [&[S::f32s]; N] = array_of(|k| &S::as_simd_f32s(right[k]).0[..vectors]);
    let mut sums = [[simd.splat_f32s(0.0); N]; N];
    for vector in 0..vectors {
        let a: [S::f32s; N] = array_of(|k| left_vectors[k][vector]);
        let b: [S::f32s; N] = array_of(|k| right_vectors[k][vector]);
        for r in 0..N {
            for c in 0..N {
                sums[r][c] = simd.mul_add_e_f32s(a[r], b[c], sums[r][c]);
            }
        }
    }
    for r in 0..N {
        for c in 0..N {
            let rest = S::as_simd_f32s(left[r]).1.iter().zip(S::as_simd_f32s(right[c]).1);
            let rest: f32 = rest.map(|(a, b)| a * b).sum();
            out[r * columns + c] += simd.reduce_sum_f32s(sums[r][c]) + rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::testing::numbers;

    #[test]
    fn sums_are_those_of_the_definition_with_any_number_of_threads() {
        for (rows, columns, inner) in [(4, 4, 1024), (5, 7, 1030), (64, 130, 2049), (33, 4, 4096), (17, 9, 1)] {
            // Rows of the left operand are further apart than they are long.
            let (lhs, rhs) = (numbers(rows * (inner + 3), 1), numbers(columns * inner, 2));
            let run = |threads: usize| {
                let mut out = vec![f32::NAN; rows * columns];
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (left, right) =
                    (Vectors { elements: &lhs, step: inner + 3 }, Vectors { elements: &rhs, step: inner });
                pool.install(|| multiply(left, right, columns, inner, &mut out, threads > 1));
                out
            };
            let found = run(1);
            assert_eq!(found, run(3));
            for (index, &found) in found.iter().enumerate() {
                let (row, column) = (index / columns, index % columns);
                let terms =
                    (0..inner).map(|k| f64::from(lhs[row * (inner + 3) + k]) * f64::from(rhs[column * inner + k]));
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term: f64| (sum + term, size + term.abs()));
                assert!((f64::from(found) - sum).abs() <= 1e-6 * size, "{rows} {columns} {inner}: {found} and {sum}");
            }
        }
    }
}
