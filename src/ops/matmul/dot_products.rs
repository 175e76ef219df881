//! Products in f32 whose operands are both contiguous along the inner dimension and that are small beside it, as those of a
//! classifier after many features, or where one operand has few vectors, as one example has: dot products, of a few vectors of both at
//! a time, straight from the operands. To lay these out anew would take longer than so few products.

use super::FEW;
use crate::ops::tasks::lend;
use crate::parallel::each_chunk;
use crate::scalar::{array_of, dispatch};

/// Vectors of the left operand in a tile, and the products from which a task is worth a thread.
const TILE: usize = 4;
const TASK: usize = 1 << 16;

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
    let few = if rows < columns { rows } else { columns };
    (few < FEW && inner >= 64) || (few >= TILE && rows * columns <= 1 << 14 && inner >= 1024)
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
    let rows = out.len() / columns;
    if rows >= columns {
        tall(lhs, rhs, columns, inner, out, parallel);
    } else if rows == 1 {
        tall(rhs, lhs, 1, inner, out, parallel);
    } else {
        lend(out.len(), |transposed: &mut [f32]| {
            tall(rhs, lhs, rows, inner, transposed, parallel);
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                for column in 0..columns {
                    out[column] = transposed[column * rows + row];
                }
            }
        });
    }
}

/// The same where there are at least as many rows as columns: each task takes some rows.
fn tall(lhs: Vectors<'_>, rhs: Vectors<'_>, columns: usize, inner: usize, out: &mut [f32], parallel: bool) {
    let rows = (TASK / (columns * inner).max(1)).max(1).next_multiple_of(TILE);
    each_chunk(out, rows * columns, parallel, |number, out| {
        dispatch(Rows { lhs, rhs, first_row: number * rows, columns, inner, out });
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
                let out = &mut out[row * columns..];
                let at = [first_row + row, first, count];
                if rows - row >= TILE {
                    line::<S, TILE>(simd, lhs, rhs, at, columns, out);
                    continue;
                }
                for k in 0..rows - row {
                    line::<S, 1>(simd, lhs, rhs, [at[0] + k, first, count], columns, &mut out[k * columns..]);
                }
            }
        }
    }
}

/// Adds a chunk's dot products of some rows with all columns to their sums.
#[inline(always)]
fn line<S: pulp::Simd, const R: usize>(
    simd: S,
    lhs: Vectors<'_>,
    rhs: Vectors<'_>,
    [row, first, count]: [usize; 3],
    columns: usize,
    out: &mut [f32],
) {
    let mut column = 0;
    while column < columns {
        let at = [row, column, first, count];
        let out = &mut out[column..];
        column += match columns - column {
            4.. => tile::<S, R, 4>(simd, lhs, rhs, at, columns, out),
            2 | 3 => tile::<S, R, 2>(simd, lhs, rhs, at, columns, out),
            _ => tile::<S, R, 1>(simd, lhs, rhs, at, columns, out),
        };
    }
}

/// Adds the dot products of a chunk of `R` rows and `C` columns to their sums; returns the number of columns.
#[inline(always)]
fn tile<S: pulp::Simd, const R: usize, const C: usize>(
    simd: S,
    lhs: Vectors<'_>,
    rhs: Vectors<'_>,
    [row, column, first, count]: [usize; 4],
    columns: usize,
    out: &mut [f32],
) -> usize {
    let left: [&[f32]; R] = array_of(|k| lhs.part(row + k, first, count));
    let right: [&[f32]; C] = array_of(|k| rhs.part(column + k, first, count));
    let vectors = S::as_simd_f32s(left[0]).0.len();
    let left_vectors: [&[S::f32s]; R] = array_of(|k| &S::as_simd_f32s(left[k]).0[..vectors]);
    let right_vectors: [&[S::f32s]; C] = array_of(|k| &S::as_simd_f32s(right[k]).0[..vectors]);
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    for vector in 0..vectors {
        let a: [S::f32s; R] = array_of(|k| left_vectors[k][vector]);
        let b: [S::f32s; C] = array_of(|k| right_vectors[k][vector]);
        for r in 0..R {
            for c in 0..C {
                sums[r][c] = simd.mul_add_e_f32s(a[r], b[c], sums[r][c]);
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            let rest = S::as_simd_f32s(left[r]).1.iter().zip(S::as_simd_f32s(right[c]).1);
            let rest: f32 = rest.map(|(a, b)| a * b).sum();
            out[r * columns + c] += simd.reduce_sum_f32s(sums[r][c]) + rest;
        }
    }
    C
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shader::testing::{numbers, with_threads};

    #[test]
    fn sums_are_those_of_the_definition_with_any_number_of_threads() {
        for (rows, columns, inner) in [
            (4, 4, 1024),
            (5, 7, 1030),
            (64, 130, 2049),
            (33, 4, 4096),
            (17, 9, 1),
            (1, 300, 577),
            (300, 1, 577),
            (3, 5000, 64),
            (1, 1, 100),
        ] {
            // Rows of the left operand are further apart than they are long.
            let (lhs, rhs) = (numbers(rows * (inner + 3), 1), numbers(columns * inner, 2));
            let run = |threads: usize| {
                let mut out = vec![f32::NAN; rows * columns];
                let (left, right) =
                    (Vectors { elements: &lhs, step: inner + 3 }, Vectors { elements: &rhs, step: inner });
                with_threads(threads, || multiply(left, right, columns, inner, &mut out, threads > 1));
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
