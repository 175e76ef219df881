//! The inner loop of all products: a tile of the result is summed in registers, over some inner indices, from a panel of the right
//! operand and some rows of the left one.

use pulp::Simd;

use super::float::{Float, lanes};

/// Rows of a tile; it is a panel wide.
pub(in crate::ops) const ROWS: usize = 6;

/// Does something for each index below a count. Not a loop: sums that are met under an index which is not a constant stay in memory, and
/// all of them then do through the whole tile; loops of few turns are unrolled by some levels of optimisation alone.
macro_rules! unrolled {
    ($count:ident, $index:ident, $work:expr) => {
        unrolled!(@each $count, $index, $work, 0 1 2 3 4 5 6 7 8)
    };
    (@each $count:ident, $index:ident, $work:expr, $($number:literal)*) => {{
        $(if $number < $count {
            let $index = $number;
            $work;
        })*
    }};
}
pub(in crate::ops) use unrolled;

/// How the rows of a left operand lie in memory.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) enum Order<'a> {
    /// A row's elements are consecutive, and rows this far apart.
    Rows(usize),
    /// A row's elements are consecutive, and each row begins somewhere.
    Listed(&'a [usize]),
    /// A column's elements are consecutive, and columns this far apart.
    Columns(usize),
    /// [`ROWS`] rows after the other, of each the elements of a column together.
    Strips,
}

/// A left operand.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Left<'a, T> {
    pub(in crate::ops) elements: &'a [T],
    pub(in crate::ops) rows: usize,
    pub(in crate::ops) inner: usize,
    pub(in crate::ops) order: Order<'a>,
}

/// Some inner indices in one panel, for all rows.
#[derive(Clone, Copy)]
pub(super) struct Tiles<'a, T> {
    pub(super) lhs: Left<'a, T>,
    /// The panel's elements at these indices.
    pub(super) panel: &'a [T],
    pub(super) inner_start: usize,
    pub(super) inner_count: usize,
    /// The panel's columns in the result, and how far apart rows of that are.
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) out_step: usize,
    /// True where sums go on from what is in the result.
    pub(super) goes_on: bool,
    /// What they begin with otherwise: nothing, or a value for each column of the panel.
    pub(super) bias: Option<&'a [T]>,
}

impl<T: Float> Tiles<'_, T> {
    #[inline(always)]
    pub(super) fn all_rows<S: Simd, const V: usize>(&self, simd: S, out: &mut [T]) {
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
    fn tile<S: Simd, const V: usize, const R: usize>(&self, simd: S, row: usize, out: &mut [T]) -> usize {
        let Self { lhs, panel, inner_start, inner_count, first, count, out_step, goes_on, bias } = *self;
        let out = &mut out[row * out_step + first..];
        let mut sums = [[T::splat(simd, T::from(0.0)); V]; R];
        // Asked once for all rows: what a row that is not full takes would let all sums go to memory and back.
        let is_full = count == V * lanes::<T, S>();
        match bias {
            _ if goes_on && is_full => unrolled!(R, r, sums[r] = load_full::<T, S, V>(&out[r * out_step..])),
            _ if goes_on => unrolled!(R, r, sums[r] = load(simd, &out[r * out_step..][..count])),
            Some(bias) if is_full => sums = [load_full::<T, S, V>(bias); R],
            Some(bias) => sums = [load(simd, bias); R],
            None => {}
        }
        let (panel, _) = T::vectors::<S>(panel).as_chunks::<V>();
        let panel = &panel[..inner_count];
        let factors = [T::from(0.0); R];
        match lhs.order {
            Order::Rows(_) | Order::Listed(_) => {
                let start = |r: usize| match lhs.order {
                    Order::Listed(starts) => starts[row + r],
                    Order::Rows(step) => (row + r) * step,
                    Order::Columns(_) | Order::Strips => 0,
                };
                let mut left: [&[T]; R] = [&[]; R];
                unrolled!(R, r, left[r] = &lhs.elements[start(r) + inner_start..][..inner_count]);
                for (k, columns) in panel.iter().enumerate() {
                    let mut factors = factors;
                    unrolled!(R, r, factors[r] = left[r][k]);
                    sums = add_outer_product(simd, factors, columns, sums);
                }
            }
            Order::Columns(_) | Order::Strips => {
                let (start, step) = match lhs.order {
                    Order::Columns(step) => (row + inner_start * step, step),
                    _ => (row / ROWS * ROWS * lhs.inner + row % ROWS + inner_start * ROWS, ROWS),
                };
                let left = &lhs.elements[start..];
                for (k, columns) in panel.iter().enumerate() {
                    let Some(&factors) = left[k * step..].first_chunk::<R>() else { break };
                    sums = add_outer_product(simd, factors, columns, sums);
                }
            }
        }
        if is_full {
            unrolled!(R, r, store_full::<T, S, V>(&mut out[r * out_step..], sums[r]));
        } else {
            unrolled!(R, r, store(simd, &mut out[r * out_step..][..count], &sums[r]));
        }
        R
    }
}

#[inline(always)]
fn add_outer_product<T: Float, S: Simd, const V: usize, const R: usize>(
    simd: S,
    factors: [T; R],
    columns: &[T::Vector<S>; V],
    mut sums: [[T::Vector<S>; V]; R],
) -> [[T::Vector<S>; V]; R] {
    unrolled!(R, r, {
        let factor = T::splat(simd, factors[r]);
        unrolled!(V, v, sums[r][v] = T::mul_add(simd, factor, columns[v], sums[r][v]));
    });
    sums
}

/// The vectors that a row begins with.
#[inline(always)]
fn load_full<T: Float, S: Simd, const V: usize>(row: &[T]) -> [T::Vector<S>; V] {
    T::vectors::<S>(&row[..V * lanes::<T, S>()]).as_chunks::<V>().0[0]
}

#[inline(always)]
fn store_full<T: Float, S: Simd, const V: usize>(row: &mut [T], values: [T::Vector<S>; V]) {
    T::vectors_mut::<S>(&mut row[..V * lanes::<T, S>()]).as_chunks_mut::<V>().0[0] = values;
}

/// The vectors of a row; what is beyond its end is zero.
#[inline(always)]
fn load<T: Float, S: Simd, const V: usize>(simd: S, row: &[T]) -> [T::Vector<S>; V] {
    let mut vectors = [T::splat(simd, T::from(0.0)); V];
    unrolled!(V, v, {
        let end = ((v + 1) * lanes::<T, S>()).min(row.len());
        vectors[v] = T::partial_load(simd, &row[(v * lanes::<T, S>()).min(end)..end]);
    });
    vectors
}

#[inline(always)]
fn store<T: Float, S: Simd, const V: usize>(simd: S, row: &mut [T], values: &[T::Vector<S>; V]) {
    unrolled!(V, v, {
        let end = ((v + 1) * lanes::<T, S>()).min(row.len());
        T::partial_store(simd, &mut row[(v * lanes::<T, S>()).min(end)..end], values[v]);
    });
}
