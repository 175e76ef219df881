//! The CPU's scatters: contributions in the order of the source; with many whole rows, threads take parts of the base.

use crate::parallel::each_chunk;
use crate::scalar::vectorized;

/// Parts of the base's rows. Their bounds, as the order within each, depend on sizes alone.
const PARTS: usize = 64;

/// Elements of a source from which threads pay.
const PARALLEL_FROM: usize = 1 << 15;

/// Joins a source `outer × m × inner` into a base `outer × n × inner`, where one index stands for a row, or each element has its own.
pub(super) fn join<T: bytemuck::Pod + Send + Sync>(
    (n, m, inner): (usize, usize, usize),
    rows: bool,
    index: &[i32],
    source: &[T],
    out: &mut [T],
    combine: impl Fn(T, T) -> T + Sync,
) {
    let row_of = |k: usize| index[k].clamp(0, n as i32 - 1) as usize;
    if rows && out.len() == n * inner && m * inner >= PARALLEL_FROM {
        return join_parts(n, inner, m, row_of, source, out, combine);
    }
    each_chunk(out, n * inner, source.len() >= PARALLEL_FROM, |outer, out| {
        let source = &source[outer * m * inner..][..m * inner];
        if rows {
            join_rows(inner, 0..m, row_of, source, out, &combine);
            return;
        }
        for (k, &value) in source.iter().enumerate() {
            let target = &mut out[row_of(outer * m * inner + k) * inner + k % inner];
            *target = combine(*target, value);
        }
    });
}

/// Joins some rows of a source, in order.
fn join_rows<T: Copy>(
    inner: usize,
    rows: impl Iterator<Item = usize> + Clone,
    row_of: impl Fn(usize) -> usize,
    source: &[T],
    out: &mut [T],
    combine: impl Fn(T, T) -> T,
) {
    vectorized(
        #[inline(always)]
        || {
            for k in rows.clone() {
                let target = &mut out[row_of(k) * inner..][..inner];
                let from = &source[k * inner..][..inner];
                for column in 0..inner {
                    target[column] = combine(target[column], from[column]);
                }
            }
        },
    );
}

/// The same with a thread for each part of the base, for which the part's rows of the source are found first.
fn join_parts<T: bytemuck::Pod + Send + Sync>(
    n: usize,
    inner: usize,
    m: usize,
    row_of: impl Fn(usize) -> usize + Sync,
    source: &[T],
    out: &mut [T],
    combine: impl Fn(T, T) -> T + Sync,
) {
    let length = n.div_ceil(PARTS).max(1);
    let mut ends = vec![0; n.div_ceil(length) + 1];
    (0..m).for_each(|k| ends[row_of(k) / length + 1] += 1);
    for part in 1..ends.len() {
        ends[part] += ends[part - 1];
    }
    let mut order = vec![0_u32; m];
    let mut next = ends.clone();
    for k in 0..m {
        let place = &mut next[row_of(k) / length];
        order[*place] = k as u32;
        *place += 1;
    }
    each_chunk(out, length * inner, true, |part, out| {
        let rows = order[ends[part]..ends[part + 1]].iter().map(|&k| k as usize);
        join_rows(inner, rows, |k| row_of(k) - part * length, source, out, &combine);
    });
}
