//! Convolutions on the CPU, as products: what the windows meet is laid out a band of lines and some channels at a time, in memory that
//! stays in a cache (`windows`), and read from there into panels, or as a left operand. How sums are cut depends on sizes alone, and
//! partial sums join in order: the same bits with any number of threads.

use super::depthwise::Lines;
use super::problem::{PhaseAxis, Problem, volume};
use super::weight::weight;
use super::windows::{Copies, Windows, store_line};
use super::{Convolution, Direction};
use crate::ops::matmul::{Float, Left, Matrix, Order, Panels, Start, Stored, WIDEST, dense, each_columns, multiply};
use crate::ops::tasks::lend;
use crate::ops::widened::widened;
use crate::parallel::each_chunk;
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// Bytes of panels, and of copies of the source, that are laid out at a time.
pub(super) const LAID_OUT: usize = 512 << 10;
pub(super) const COPIED: usize = 256 << 10;

/// Inner indices that are laid out at a time, about.
const INNER: usize = 256;

/// Multiplications from which threads pay.
pub(super) const PARALLEL_FROM: usize = 1 << 17;

pub(super) fn evaluate(
    convolution: &Convolution,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    let ([(first, first_bytes), (second, second_bytes)], [(ty, out)]) = (inputs, outputs) else {
        return Err("a convolution takes two operands and returns one result".into());
    };
    let problem = Problem::new(convolution, &[*first, *second], ty)?;
    let out = &mut out[..ty.bytes()];
    let [(first, first_bytes), (second, second_bytes)] = [widened(first, first_bytes), widened(second, second_bytes)];
    let operands = [(&*first, &*first_bytes), (&*second, &*second_bytes)];
    match ty.dtype {
        DType::F32 => typed::<f32>(&problem, operands, bytemuck::cast_slice_mut(out)),
        DType::F64 => typed::<f64>(&problem, operands, bytemuck::cast_slice_mut(out)),
        dtype => Err(format!("convolutions compute in f32 or f64, not {dtype}")),
    }
}

fn typed<T: Float>(problem: &Problem, operands: [(&Operand, &[u8]); 2], out: &mut [T]) -> Result<(), String> {
    if out.is_empty() {
        return Ok(());
    }
    let [first, second] = operands.map(|(operand, bytes)| dense::<T>(operand, bytemuck::cast_slice(bytes)));
    let (first, second) = (first?, second?);
    match problem.direction {
        Direction::Forward | Direction::Input => gather(problem, &first, &second, out),
        Direction::Weight => weight(problem, &first, &second, out),
    }
    Ok(())
}

/// The windows of one phase along the three axes.
pub(super) type Phase = [PhaseAxis; 3];

fn phases(problem: &Problem) -> impl Iterator<Item = Phase> {
    positions(problem.phases()).map(|phase| std::array::from_fn(|axis| problem.phase(axis, phase[axis])))
}

/// Forward, and the gradient of the input.
fn gather<T: Float>(problem: &Problem, source: &[T], weights: &[T], out: &mut [T]) {
    let rows = problem.rows();
    let forward = problem.direction == Direction::Forward;
    let channels = if forward { problem.in_channels } else { problem.out_channels };
    let kernel = volume(problem.kernel);
    for phase in phases(problem) {
        let count = phase.iter().map(|axis| axis.count).product::<usize>();
        if count == 0 {
            continue;
        }
        let inner = channels * phase.iter().map(|axis| axis.taps).product::<usize>();
        let part = Part { problem, phase, source, rows, channels, inner, count };
        if forward {
            part.all_images(weights, out);
            continue;
        }
        // The part of the kernel that this phase meets, as a matrix for each group.
        lend(problem.groups * rows * inner, |packed: &mut [T]| {
            pack_weights(&part, weights, kernel, packed);
            part.all_images(packed, out);
        });
    }
}

/// The elements of one phase.
struct Part<'a, T> {
    problem: &'a Problem,
    phase: Phase,
    source: &'a [T],
    rows: usize,
    /// Channels of the source, of a group.
    channels: usize,
    inner: usize,
    /// Elements of the phase in a plane of the result.
    count: usize,
}

impl<T: Float> Part<'_, T> {
    /// `weights` are a matrix for each group.
    fn all_images(&self, weights: &[T], out: &mut [T]) {
        let Self { problem, rows, inner, .. } = *self;
        let result = volume(problem.result());
        let window = volume(problem.source());
        let images = out.len() / (rows * result);
        let parallel = self.count * rows * images * inner >= PARALLEL_FROM;
        let threads = rayon::current_num_threads();
        // Images of which each thread gets as many are a task each; the others are worked on one after the other, by all threads.
        let outside = parallel && (images >= 4 * threads || images.is_multiple_of(threads));
        let lines = (self.channels == 1).then(|| Lines::new(&self.phase, problem.source()));
        let windows = Windows::new(&self.phase, problem.source());
        each_chunk(out, rows * result, outside, |image, out| {
            let group = image % problem.groups;
            let start = image * self.channels * window;
            let source = &self.source[start..start + self.channels * window];
            let weights = &weights[group * rows * inner..(group + 1) * rows * inner];
            let parallel = parallel && !outside;
            match &lines {
                // No tap of the kernel meets these elements.
                _ if inner == 0 => lend(rows * self.count, |zeros: &mut [T]| {
                    zeros.fill(T::from(0.0));
                    self.scatter(out, zeros);
                }),
                Some(lines) if !problem.is_point() && !parallel => {
                    lines.convolve(source, weights, out, problem.result(), &self.phase);
                }
                _ if self.is_dense() => self.one(&windows, source, weights, out, parallel),
                _ => lend(rows * self.count, |product: &mut [T]| {
                    self.one(&windows, source, weights, product, parallel);
                    self.scatter(out, product);
                }),
            }
        });
    }

    /// True where the phase has all elements.
    fn is_dense(&self) -> bool {
        self.phase.iter().all(|axis| axis.every == 1)
    }

    /// The product of one image and group.
    fn one(&self, windows: &Windows, source: &[T], weights: &[T], out: &mut [T], parallel: bool) {
        let Self { rows, inner, count, .. } = *self;
        if self.problem.is_point() {
            let lhs = Matrix { elements: weights, rows, columns: inner, steps: [inner, 1] };
            let rhs = Matrix { elements: source, rows: inner, columns: count, steps: [count, 1] };
            let (lhs, rhs) = (Stored::Computed(lhs), Stored::Computed(rhs));
            return multiply(lhs, rhs, out, None, None, parallel, |_, _| {});
        }
        if !parallel {
            return self.lines(windows, source, weights, 0, out);
        }
        let threads = rayon::current_num_threads();
        let lines = windows.lines().div_ceil(threads).max(2 * WIDEST / windows.line());
        let task = |first: usize, out: &mut [T]| {
            self.lines(windows, source, weights, first / windows.line(), out);
        };
        each_columns(out, count, lines.min(windows.lines()) * windows.line(), threads, task, |_, _| {});
    }

    /// Some lines of all rows, from the first one on.
    fn lines(&self, windows: &Windows, source: &[T], weights: &[T], first: usize, out: &mut [T]) {
        let (taps, step) = (windows.taps, out.len() / self.rows);
        let end = first + step / windows.line();
        let channels = (INNER / taps).clamp(1, self.channels);
        let bytes = size_of::<T>() * windows.line() * channels * taps;
        let most = (LAID_OUT / bytes).clamp(1, end - first);
        let size = channels * windows.size(most);
        lend(size + Panels::<T>::size(channels * taps, most * windows.line()), |memory: &mut [T]| {
            let (copies, memory) = memory.split_at_mut(size);
            for band in windows.bands(first..end, most) {
                let starts = windows.starts(band);
                let out = &mut out[band.start - first * windows.line()..];
                for channel in (0..self.channels).step_by(channels) {
                    let channels = channels.min(self.channels - channel);
                    let size = windows.size(band.count / windows.line());
                    let copies = &mut copies[..channels * size];
                    windows.copy(source, channel..channel + channels, band, copies);
                    let copies = Copies { elements: copies, size, channels, starts: &starts, count: band.count };
                    let right = Panels::lay_out(copies, memory);
                    let elements = &weights[channel * taps..];
                    let order = Order::Rows(self.inner);
                    let left = Left { elements, rows: self.rows, inner: channels * taps, order };
                    right.multiply(left, out, step, if channel == 0 { Start::Zero } else { Start::Sums });
                }
            }
        });
    }

    /// Stores the product of the phase's elements where they belong in the result.
    fn scatter(&self, out: &mut [T], product: &[T]) {
        let result = self.problem.result();
        let [_, heights, widths] = &self.phase;
        for (out, values) in out.chunks_mut(volume(result)).zip(product.chunks(self.count)) {
            for (line, values) in values.chunks(widths.count).enumerate() {
                store_line(&self.phase, [line / heights.count, line % heights.count], values, result, out);
            }
        }
    }
}

/// `[groups, rows, channels · taps]` of the weights of a phase, for the gradient of the input.
fn pack_weights<T: Float>(part: &Part<'_, T>, weights: &[T], kernel: usize, packed: &mut [T]) {
    let (phase, problem) = (&part.phase, part.problem);
    let (row_step, channel_step) = (kernel, problem.in_channels * kernel);
    let group_step = problem.out_channels * problem.in_channels * kernel;
    let mut next = 0;
    for group in 0..problem.groups {
        for row in 0..part.rows {
            for channel in 0..part.channels {
                let start = group * group_step + row * row_step + channel * channel_step;
                for t in positions(phase.map(|axis| axis.taps)) {
                    let offset = (0..3).fold(0, |offset, axis| {
                        offset * problem.kernel[axis] + phase[axis].tap + t[axis] * phase[axis].tap_every
                    });
                    packed[next] = weights[start + offset];
                    next += 1;
                }
            }
        }
    }
}

/// All coordinates of a space, in order.
fn positions(extents: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [depth, height, width] = extents;
    (0..depth).flat_map(move |d| (0..height).flat_map(move |h| (0..width).map(move |w| [d, h, w])))
}
