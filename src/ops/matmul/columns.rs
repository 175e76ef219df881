//! Products whose tasks take some columns of all rows each, where there are too few rows for each task to take some.

use super::float::Float;
use super::tile::ROWS;
use crate::ops::tasks::lend;
use crate::parallel::each_chunk;

/// Rows that are finished at a time, while they are in a cache.
pub(super) const NEAR: usize = 16 * ROWS;

/// Results from which threads pay when they are copied.
const PARALLEL_FROM: usize = 1 << 14;

/// Calls `task` with the first of some columns and memory for the results of at most `width` of them, all rows, one after the other. These
/// are then copied to `out`, row-major, whose rows `finish` gets once, several at a time, with the index of their first element.
pub(in crate::ops) fn each_columns<T: Float>(
    out: &mut [T],
    columns: usize,
    width: usize,
    threads: usize,
    task: impl Fn(usize, &mut [T]) + Sync,
    finish: impl Fn(usize, &mut [T]) + Sync,
) {
    let (rows, parallel) = (out.len() / columns, threads > 1);
    if rows == 1 || width >= columns {
        // As they are in `out`.
        each_chunk(out, rows * width, parallel, |number, out| task(number * width, out));
        return finish(0, out);
    }
    // Two tasks a thread at a time, so that their results stay near.
    let together = (2 * threads * width).min(columns);
    lend(rows * together, |apart: &mut [T]| {
        for first_column in (0..columns).step_by(together) {
            let together = together.min(columns - first_column);
            let apart = &mut apart[..rows * together];
            // The last task has fewer columns, and so less memory.
            each_chunk(apart, rows * width, parallel, |number, out| task(first_column + number * width, out));
            let is_last = first_column + together == columns;
            let near = rows.div_ceil(threads).min(NEAR);
            each_chunk(out, near * columns, parallel && rows * together >= PARALLEL_FROM, |number, out| {
                for (line, out) in out.chunks_mut(columns).enumerate() {
                    let row = number * near + line;
                    let parts = apart.chunks(rows * width);
                    for (part, out) in parts.zip(out[first_column..first_column + together].chunks_mut(width)) {
                        out.copy_from_slice(&part[row * out.len()..(row + 1) * out.len()]);
                    }
                }
                if is_last {
                    finish(number * near * columns, out);
                }
            });
        }
    });
}
