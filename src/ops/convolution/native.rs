//! Convolutions on the CPU. Blocks of columns are laid out in a small buffer that stays in a cache, and multiplied by the `gemm`
//! crate. How the work is cut depends on sizes alone, and partial sums join in order: the same bits with any number of threads.

use std::borrow::Cow;

use super::depthwise::{Lines, Number};
use super::problem::{PhaseAxis, Problem, volume};
use super::{Convolution, Direction};
use crate::ops::matmul::{Gemm, Matrix, multiply};
use crate::ops::tasks::{each, lend};
use crate::ops::widened::widened;
use crate::parallel::each_chunk;
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// Bytes of a block of columns.
const BLOCK_BYTES: usize = 256 << 10;

/// Multiplications from which threads pay.
const PARALLEL_FROM: usize = 1 << 17;

/// Images from which each is a task of its own; fewer are worked on one after the other, with threads inside.
const PARALLEL_IMAGES: usize = 4;

/// Parts of a weight's gradient that are summed apart.
const PARTS: usize = 16;

/// Bytes of a weight's gradient from which it has no parts, and of a block of columns then.
const LARGE_RESULT: usize = 512 << 10;
const LARGE_BLOCK: usize = 2 << 20;

/// Bytes that those parts may take together.
const PART_BYTES: usize = 64 << 20;

/// What the arithmetic is in.
trait Float: Number + Gemm + std::ops::AddAssign {}
impl Float for f32 {}
impl Float for f64 {}

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
    match problem.direction {
        Direction::Forward | Direction::Input => gather(problem, &first?, &second?, out),
        Direction::Weight => weight(problem, &first?, &second?, out),
    }
}

/// The elements of an operand in row-major order, where they are stored in another order as a copy.
fn dense<'a, T: Float>(operand: &Operand, elements: &'a [T]) -> Result<Cow<'a, [T]>, String> {
    let dims = operand.ty.shape.dims();
    if operand.ty.is_empty() {
        return Ok(Cow::Borrowed(&[]));
    }
    let (low, high) = operand.at.range(dims);
    if low < 0 || high >= elements.len() as i64 {
        return Err(format!("operand {} reaches from {low} to {high} of {} elements", operand.ty, elements.len()));
    }
    if operand.at.is_row_major(dims) {
        let start = operand.at.offset as usize;
        return Ok(Cow::Borrowed(&elements[start..start + operand.ty.len()]));
    }
    let lines: &[usize] = &dims[..dims.len() - 1];
    let (width, step) = (dims[dims.len() - 1], operand.at.strides[dims.len() - 1]);
    let mut copy = vec![T::zeroed(); operand.ty.len()];
    each_chunk(&mut copy, width, true, |line, copy| {
        let mut start = operand.at.offset;
        let mut rest = line;
        for (axis, &extent) in lines.iter().enumerate().rev() {
            start += operand.at.strides[axis] * (rest % extent) as i64;
            rest /= extent;
        }
        for (k, value) in copy.iter_mut().enumerate() {
            *value = elements[(start + step * k as i64) as usize];
        }
    });
    Ok(Cow::Owned(copy))
}

/// The windows of one phase along the three axes.
type Phase = [PhaseAxis; 3];

fn phases(problem: &Problem) -> Vec<Phase> {
    let counts = problem.phases();
    let mut phases = Vec::with_capacity(volume(counts));
    for depth in 0..counts[0] {
        for height in 0..counts[1] {
            for width in 0..counts[2] {
                phases.push([problem.phase(0, depth), problem.phase(1, height), problem.phase(2, width)]);
            }
        }
    }
    phases
}

/// Forward, and the gradient of the input.
fn gather<T: Float>(problem: &Problem, source: &[T], weights: &[T], out: &mut [T]) -> Result<(), String> {
    let (rows, groups) = (problem.rows(), problem.groups);
    let forward = problem.direction == Direction::Forward;
    let channels = if forward { problem.in_channels } else { problem.out_channels };
    let (result, window) = (volume(problem.result()), volume(problem.source()));
    let kernel = volume(problem.kernel);
    let image_len = rows * result;
    let work = out.len() * channels * kernel;
    // The first channel of a group's weights; the distances from row to row and from channel to channel.
    let (row_step, channel_step) =
        if forward { (problem.in_channels * kernel, kernel) } else { (kernel, problem.in_channels * kernel) };
    let group_weights = problem.out_channels * problem.in_channels * kernel;
    let images = out.len() / image_len;
    let threads_outside = work >= PARALLEL_FROM && images >= PARALLEL_IMAGES;
    let threads_inside = work >= PARALLEL_FROM && !threads_outside;
    for phase in phases(problem) {
        let count = phase.iter().map(|axis| axis.count).product::<usize>();
        if count == 0 {
            continue;
        }
        let taps = phase.iter().map(|axis| axis.taps).product::<usize>();
        let inner = channels * taps;
        let dense = phase.iter().all(|axis| axis.every == 1);
        // The part of the kernel that this phase meets, as a matrix for each group.
        let packed: Cow<'_, [T]> = if forward {
            Cow::Borrowed(weights)
        } else {
            Cow::Owned(pack_weights(
                &phase,
                problem,
                weights,
                [rows, channels],
                [row_step, channel_step, group_weights],
            ))
        };
        let lines = (rows == 1 && channels == 1).then(|| Lines::new(&phase, problem.source())).flatten();
        let block = if problem.is_point() && dense { count } else { block_of::<T>(inner, count) };
        let tasks: Vec<(usize, &mut [T])> = out.chunks_mut(image_len).enumerate().collect();
        each(tasks, threads_outside, |(image, out)| {
            let (n, group) = (image / groups, image % groups);
            let start = (n * groups + group) * channels * window;
            let source = &source[start..start + channels * window];
            let lhs = Matrix {
                elements: &packed[group * rows * inner..(group + 1) * rows * inner],
                rows,
                columns: inner,
                steps: [inner, 1],
            };
            if let Some(lines) = &lines {
                lines.convolve(source, lhs.elements, out);
                return Ok(());
            }
            if inner == 0 {
                scatter_rows(&phase, problem, out, result, 0, count, None);
                return Ok(());
            }
            if problem.is_point() && dense {
                let rhs = Matrix { elements: source, rows: channels, columns: count, steps: [count, 1] };
                return multiply(lhs, rhs, out, count, false, threads_inside);
            }
            let product_len = if dense { 0 } else { rows * block };
            lend(inner * block + product_len, |memory: &mut [T]| {
                let (columns, product) = memory.split_at_mut(inner * block);
                for first in (0..count).step_by(block) {
                    let width = block.min(count - first);
                    let columns = &mut columns[..inner * width];
                    pack(&phase, problem.source(), source, window, first, width, columns, threads_inside);
                    let rhs = Matrix { elements: columns, rows: inner, columns: width, steps: [width, 1] };
                    if dense {
                        let end = (rows - 1) * result + first + width;
                        multiply(lhs, rhs, &mut out[first..end], result, false, threads_inside)?;
                    } else {
                        let product = &mut product[..rows * width];
                        multiply(lhs, rhs, product, width, false, threads_inside)?;
                        scatter_rows(&phase, problem, out, result, first, width, Some(product));
                    }
                }
                Ok(())
            })
        })?;
    }
    Ok(())
}

/// Columns of a block.
fn block_of<T>(inner: usize, count: usize) -> usize {
    (BLOCK_BYTES / (size_of::<T>() * inner.max(1))).next_multiple_of(64).clamp(64, 4096).min(count)
}

/// `[groups, rows, channels · taps]` of the weights of a phase.
fn pack_weights<T: Float>(
    phase: &Phase,
    problem: &Problem,
    weights: &[T],
    [rows, channels]: [usize; 2],
    [row_step, channel_step, group_step]: [usize; 3],
) -> Vec<T> {
    let taps = phase.iter().map(|axis| axis.taps).product::<usize>();
    let mut packed = vec![T::zeroed(); problem.groups * rows * channels * taps];
    let mut next = 0;
    let offsets: Vec<usize> = positions(phase.map(|axis| axis.taps))
        .map(|t| {
            (0..3).fold(0, |offset, axis| {
                offset * problem.kernel[axis] + phase[axis].tap + t[axis] * phase[axis].tap_every
            })
        })
        .collect();
    for group in 0..problem.groups {
        for row in 0..rows {
            for channel in 0..channels {
                let start = group * group_step + row * row_step + channel * channel_step;
                for offset in &offsets {
                    packed[next] = weights[start + offset];
                    next += 1;
                }
            }
        }
    }
    packed
}

/// All coordinates of a space, in order.
fn positions(extents: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    let [depth, height, width] = extents;
    (0..depth).flat_map(move |d| (0..height).flat_map(move |h| (0..width).map(move |w| [d, h, w])))
}

/// Lays out what the elements from `first` on meet in the source: a row for each channel and tap of the kernel.
#[allow(clippy::too_many_arguments, reason = "a block of columns is all of these")]
fn pack<T: Float>(
    phase: &Phase,
    extents: [usize; 3],
    source: &[T],
    channel_step: usize,
    first: usize,
    width: usize,
    columns: &mut [T],
    parallel: bool,
) {
    let taps = phase.map(|axis| axis.taps);
    let count = taps.iter().product::<usize>();
    each_chunk(columns, width, parallel, |row, columns| {
        let (channel, tap) = (row / count, row % count);
        let t = [tap / (taps[1] * taps[2]), tap / taps[2] % taps[1], tap % taps[2]];
        pack_row(phase, extents, &source[channel * channel_step..(channel + 1) * channel_step], t, first, columns);
    });
}

/// One row: the source at one tap of the kernel, for neighbouring elements; zeros beyond the edges.
fn pack_row<T: Float>(
    phase: &Phase,
    extents: [usize; 3],
    source: &[T],
    t: [usize; 3],
    first: usize,
    columns: &mut [T],
) {
    let at = |axis: usize, element: usize| {
        phase[axis].base + element as i64 * phase[axis].scale + t[axis] as i64 * phase[axis].step
    };
    let line = phase[2].count;
    let (scale, shift) = (phase[2].scale, at(2, 0));
    // Elements of a line that meet the source: 0 ≤ element · scale + shift < extent.
    let low = divided_up((-shift).max(0), scale).min(line as i64) as usize;
    let high = divided_up((extents[2] as i64 - shift).max(0), scale).clamp(low as i64, line as i64) as usize;
    let mut done = 0;
    // Lines are short: no division, and no call that does nothing, in each of them.
    let (above, mut start) = (first / line, first % line);
    let (mut plane, mut row) = (above / phase[1].count, above % phase[1].count);
    let clear = |target: &mut [T]| match target {
        [] => {}
        [single] => *single = T::zeroed(),
        several => several.fill(T::zeroed()),
    };
    while done < columns.len() {
        let end = line.min(start + columns.len() - done);
        let target = &mut columns[done..done + end - start];
        let (d, h) = (at(0, plane), at(1, row));
        let inside = (0..extents[0] as i64).contains(&d) && (0..extents[1] as i64).contains(&h);
        let (from, to) = if inside { (low.clamp(start, end), high.clamp(start, end)) } else { (end, end) };
        clear(&mut target[..from - start]);
        clear(&mut target[to - start..]);
        if from < to {
            let origin = (d * extents[1] as i64 + h) * extents[2] as i64 + shift;
            let begin = (origin + from as i64 * scale) as usize;
            let target = &mut target[from - start..to - start];
            if scale == 1 {
                target.copy_from_slice(&source[begin..begin + to - from]);
            } else {
                let values = source[begin..].iter().step_by(scale as usize);
                target.iter_mut().zip(values).for_each(|(target, value)| *target = *value);
            }
        }
        done += end - start;
        start = 0;
        row += 1;
        if row == phase[1].count {
            (plane, row) = (plane + 1, 0);
        }
    }
}

/// Division that rounds up, of numbers that are not negative.
fn divided_up(number: i64, divisor: i64) -> i64 {
    (number + divisor - 1) / divisor
}

/// Stores the product of a phase's elements where they belong in the result; zeros where there is no product.
fn scatter_rows<T: Float>(
    phase: &Phase,
    problem: &Problem,
    out: &mut [T],
    result: usize,
    first: usize,
    width: usize,
    product: Option<&[T]>,
) {
    let extents = problem.result();
    let indices: Vec<usize> = (first..first + width)
        .map(|element| {
            let (above, w) = (element / phase[2].count, element % phase[2].count);
            let o = [above / phase[1].count, above % phase[1].count, w];
            (0..3).fold(0, |index, axis| index * extents[axis] + phase[axis].first + o[axis] * phase[axis].every)
        })
        .collect();
    for (row, out) in out.chunks_mut(result).enumerate() {
        match product {
            Some(product) => {
                let values = &product[row * width..(row + 1) * width];
                indices.iter().zip(values).for_each(|(&index, &value)| out[index] = value);
            }
            None => indices.iter().for_each(|&index| out[index] = T::zeroed()),
        }
    }
}

/// The gradient of the weight.
fn weight<T: Float>(problem: &Problem, input: &[T], upstream: &[T], out: &mut [T]) -> Result<(), String> {
    let (rows, groups) = (problem.out_channels, problem.groups);
    let kernel = volume(problem.kernel);
    let columns = problem.in_channels * kernel;
    let (count, window) = (volume(problem.windows), volume(problem.input));
    let phase: Phase = std::array::from_fn(|axis| problem.phase(axis, 0));
    out.fill(T::zeroed());
    if count == 0 || problem.batch == 0 || columns == 0 {
        return Ok(());
    }
    // A result that no cache holds is summed once, by all threads, over as much of an image at once as fits.
    let large = size_of_val(out) > LARGE_RESULT;
    let block =
        block_of::<T>(columns, count).max(if large { LARGE_BLOCK / (size_of::<T>() * columns) } else { 0 }).min(count);
    let blocks = count.div_ceil(block);
    let items = problem.batch * blocks;
    let work = out.len() * problem.batch * count;
    let most = (PART_BYTES / size_of_val(out)).clamp(1, PARTS);
    let parts = if work >= PARALLEL_FROM && !large { items.min(most) } else { 1 };
    // A part sums its share of images and blocks, for all groups.
    let sum = |part: usize, out: &mut [T], buffer: &mut [T], parallel: bool| -> Result<(), String> {
        for item in items * part / parts..items * (part + 1) / parts {
            let (n, first) = (item / blocks, item % blocks * block);
            let width = block.min(count - first);
            for group in 0..groups {
                let start = (n * groups + group) * problem.in_channels * window;
                let source = &input[start..start + problem.in_channels * window];
                let rhs = if problem.is_point() {
                    let elements = &source[first..];
                    Matrix { elements, rows: width, columns, steps: [1, window] }
                } else {
                    let packed = &mut buffer[..columns * width];
                    pack(&phase, problem.input, source, window, first, width, packed, parallel);
                    Matrix { elements: packed, rows: width, columns, steps: [1, width] }
                };
                let start = (n * groups + group) * rows * count;
                let lhs = Matrix {
                    elements: &upstream[start + first..start + rows * count],
                    rows,
                    columns: width,
                    steps: [count, 1],
                };
                let out = &mut out[group * rows * columns..(group + 1) * rows * columns];
                multiply(lhs, rhs, out, columns, true, parallel)?;
            }
        }
        Ok(())
    };
    let part_of = |part: usize, out: &mut [T], parallel: bool| {
        lend(columns * block, |buffer: &mut [T]| sum(part, out, buffer, parallel))
    };
    if parts == 1 {
        return part_of(0, out, work >= PARALLEL_FROM);
    }
    let len = out.len();
    let mut sums = vec![T::zeroed(); (parts - 1) * len];
    let mut tasks: Vec<(usize, &mut [T])> = vec![(0, &mut *out)];
    tasks.extend(sums.chunks_mut(len).enumerate().map(|(part, sum)| (part + 1, sum)));
    each(tasks, true, |(part, sum)| part_of(part, sum, false))?;
    for sum in sums.chunks(len) {
        out.iter_mut().zip(sum).for_each(|(total, &value)| *total += value);
    }
    Ok(())
}
