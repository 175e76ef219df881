//! The gradient of a convolution's weight on the CPU. Its transpose is what is computed: a row for each channel and tap, whose elements
//! are read straight from the shifted copies of the input (`windows`), and the gradient of the result as a right operand.

use super::depthwise::Lines;
use super::native::{COPIED, LAID_OUT, PARALLEL_FROM};
use super::problem::{Problem, volume};
use super::windows::Windows;
use crate::ops::matmul::{Float, Left, Matrix, Order, Panels, Start, WIDEST};
use crate::ops::tasks::lend;
use crate::parallel::each_chunk;

/// Rows from which threads take some each; fewer are summed in parts of the batch.
const MANY_ROWS: usize = 1024;

/// Groups of one channel of which threads take some each.
const MANY_GROUPS: usize = 8;

/// Parts of the batch that are summed apart, and bytes that they take together, at the most.
const PARTS: usize = 16;
const PART_BYTES: usize = 8 << 20;

pub(super) fn weight<T: Float>(problem: &Problem, input: &[T], upstream: &[T], out: &mut [T]) {
    let phase = std::array::from_fn(|axis| problem.phase(axis, 0));
    let count = volume(problem.windows);
    if count == 0 || problem.batch == 0 {
        out.fill(T::from(0.0));
        return;
    }
    let parallel = out.len() * problem.batch * count >= PARALLEL_FROM;
    if problem.in_channels == 1 && problem.groups >= MANY_GROUPS && !problem.is_point() {
        return Lines::new(&phase, problem.input).weight(problem, input, upstream, out, parallel);
    }
    let windows = Windows::new(&phase, problem.input);
    Weight::new(problem, &windows, input, upstream).compute(out, parallel);
}

struct Weight<'a, T> {
    problem: &'a Problem,
    windows: &'a Windows,
    input: &'a [T],
    upstream: &'a [T],
    /// Lines of a band.
    lines: usize,
}

impl<'a, T: Float> Weight<'a, T> {
    fn new(problem: &'a Problem, windows: &'a Windows, input: &'a [T], upstream: &'a [T]) -> Self {
        let bytes = size_of::<T>() * windows.line() * problem.out_channels.next_multiple_of(WIDEST);
        let lines = (LAID_OUT / bytes).clamp(1, windows.lines());
        Self { problem, windows, input, upstream, lines }
    }

    fn compute(&self, out: &mut [T], parallel: bool) {
        let Problem { batch, in_channels, out_channels, groups, .. } = *self.problem;
        let taps = self.windows.taps;
        let len = out.len();
        let by_rows = in_channels * taps >= MANY_ROWS;
        let bands = self.windows.lines().div_ceil(self.lines);
        let most = (PART_BYTES / size_of_val(out)).clamp(1, PARTS);
        let parts = if by_rows || !parallel { 1 } else { (batch * bands).min(most) };
        lend(parts * len, |sums: &mut [T]| {
            sums.fill(T::from(0.0));
            if by_rows {
                // Some channels of all groups one after the other, or some groups.
                let threads = if parallel { rayon::current_num_threads() } else { 1 };
                let channels = if groups > 1 { in_channels } else { in_channels.div_ceil(threads) };
                each_chunk(sums, channels * taps * out_channels, parallel, |number, sums| {
                    let (group, first) = if groups > 1 { (number, 0) } else { (0, number * channels) };
                    self.add(group, first, 0..batch * bands, sums);
                });
            } else {
                each_chunk(sums, len, parallel, |part, sums| {
                    let items = batch * bands * part / parts..batch * bands * (part + 1) / parts;
                    for (group, sums) in sums.chunks_mut(len / groups).enumerate() {
                        self.add(group, 0, items.clone(), sums);
                    }
                });
            }
            self.join(sums, out, parallel);
        });
    }

    /// Adds the sums over some bands of images, for some channels of a group.
    fn add(&self, group: usize, first_channel: usize, items: std::ops::Range<usize>, sums: &mut [T]) {
        let Self { problem, windows, .. } = *self;
        let Problem { in_channels, out_channels, groups, .. } = *problem;
        let (taps, line) = (windows.taps, windows.line());
        let channels = sums.len() / (taps * out_channels);
        let bands = windows.lines().div_ceil(self.lines);
        let (count, window) = (volume(problem.windows), volume(problem.input));
        let is_point = problem.is_point();
        let channel_size = if is_point { 0 } else { windows.size(self.lines) };
        let together = (COPIED / (size_of::<T>() * channel_size.max(1))).clamp(1, channels);
        let panels = Panels::<T>::size(self.lines * line, out_channels);
        lend(together * channel_size + panels, |memory: &mut [T]| {
            lend(together * taps, |listed: &mut [usize]| {
                let (copies, panels) = memory.split_at_mut(together * channel_size);
                for item in items {
                    let (image, band) = (item / bands, item % bands * self.lines);
                    let source = &self.input[(image * groups + group) * in_channels * window..][..in_channels * window];
                    let upstream = &self.upstream[(image * groups + group) * out_channels * count..];
                    // A band ends with a depth.
                    for band in windows.bands(band..windows.lines().min(band + self.lines), self.lines) {
                        let elements = &upstream[band.start..];
                        let right = Matrix { elements, rows: band.count, columns: out_channels, steps: [1, count] };
                        let right = Panels::lay_out(right, panels);
                        if is_point {
                            let elements = &source[first_channel * window + band.start..];
                            let left = Left { elements, rows: channels, inner: band.count, order: Order::Rows(window) };
                            right.multiply(left, sums, out_channels, Start::Sums);
                            continue;
                        }
                        let starts = windows.starts(band);
                        let size = windows.size(band.count / line);
                        for first in (0..channels).step_by(together) {
                            let channels = together.min(channels - first);
                            let range = first_channel + first..first_channel + first + channels;
                            let copies = &mut copies[..channels * size];
                            windows.copy(source, range, band, copies);
                            let listed = &mut listed[..channels * taps];
                            for (channel, listed) in listed.chunks_exact_mut(taps).enumerate() {
                                listed.iter_mut().zip(&starts).for_each(|(to, start)| *to = channel * size + start);
                            }
                            let order = Order::Listed(listed);
                            let left = Left { elements: copies, rows: channels * taps, inner: band.count, order };
                            let sums = &mut sums[first * taps * out_channels..];
                            right.multiply(left, sums, out_channels, Start::Sums);
                        }
                    }
                }
            });
        });
    }

    /// Adds the parts, and transposes them.
    fn join(&self, sums: &[T], out: &mut [T], parallel: bool) {
        /// Rows of the result that are written at a time: a line of the cache of the sums.
        const ROWS: usize = 16;
        let Problem { out_channels, groups, .. } = *self.problem;
        let (len, group_len) = (out.len(), out.len() / groups);
        let columns = group_len / out_channels;
        for group in 0..groups {
            let out = &mut out[group * group_len..(group + 1) * group_len];
            each_chunk(out, ROWS * columns, parallel && len >= 1 << 16, |number, out| {
                let (first, rows) = (number * ROWS, out.len() / columns);
                for (part, sums) in sums.chunks(len).enumerate() {
                    let sums = &sums[group * group_len..(group + 1) * group_len];
                    for (column, sums) in sums.chunks_exact(out_channels).enumerate() {
                        let sums = &sums[first..first + rows];
                        for (row, &sum) in sums.iter().enumerate() {
                            let to = &mut out[row * columns + column];
                            *to = if part == 0 { sum } else { *to + sum };
                        }
                    }
                }
            });
        }
    }
}
