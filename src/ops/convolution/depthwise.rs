//! Convolutions of one channel on the CPU, as those of depthwise layers: the result is a sum of shifted planes of the source, which is
//! laid out once with zeros around it, its positions apart by their residue modulo the distance of the windows. All elements are summed
//! as one line, with some between the lines that are left out; the gradient of the weight has a product of lines for each tap. A
//! product of one row would spend its time on laying out columns.

use pulp::{Simd, WithSimd};
use smallvec::SmallVec;

use super::native::Phase;
use super::problem::{Problem, Space, volume};
use super::windows::{Taps, copy_positions, store_line};
use crate::ops::matmul::{Float, lanes, unrolled};
use crate::ops::tasks::lend;
use crate::parallel::each_chunk;
use crate::scalar::dispatch;

/// Vectors that are summed at a time, and elements of as many of the widest registers.
const VECTORS: usize = 4;
const SLACK: usize = VECTORS * 16;

/// Where the lines of one phase are, in a source with zeros around it.
pub(super) struct Lines {
    source: Space,
    axes: [Taps; 3],
    /// Elements of the result along each axis, and of a plane with zeros around it.
    count: Space,
    extents: Space,
    /// For each tap of the kernel, how far from an element's position its source is.
    taps: SmallVec<[usize; 64]>,
}

impl Lines {
    pub(super) fn new(phase: &Phase, source: Space) -> Self {
        let axes: [Taps; 3] = std::array::from_fn(|axis| Taps::new(&phase[axis]));
        let count = phase.map(|axis| axis.count);
        let extents: Space = std::array::from_fn(|axis| count[axis] + axes[axis].reach);
        let plane = volume(extents);
        let mut taps = SmallVec::new();
        for &(depth_slot, depth) in &axes[0].taps {
            for &(height_slot, height) in &axes[1].taps {
                for &(width_slot, width) in &axes[2].taps {
                    let slot = (depth_slot * axes[1].slots.len() + height_slot) * axes[2].slots.len() + width_slot;
                    taps.push(slot * plane + (depth * extents[1] + height) * extents[2] + width);
                }
            }
        }
        Self { source, axes, count, extents, taps }
    }

    /// Elements of memory for the source with zeros around it; vectors read beyond its end.
    fn padded(&self) -> usize {
        self.axes.iter().map(|axis| axis.slots.len()).product::<usize>() * volume(self.extents) + SLACK
    }

    /// From an element to the one behind the last.
    fn reach(&self) -> usize {
        let [depth, height, width] = self.count;
        ((depth - 1) * self.extents[1] + height - 1) * self.extents[2] + width
    }

    /// The elements of the phase of some planes, each with its kernel, in a result of the given extents.
    pub(super) fn convolve<T: Float>(&self, source: &[T], kernels: &[T], out: &mut [T], result: Space, phase: &Phase) {
        let reach = self.reach().next_multiple_of(SLACK);
        lend(self.padded() + reach, |memory: &mut [T]| {
            let (padded, sums) = memory.split_at_mut(self.padded());
            self.pad(source, padded);
            let planes = out.chunks_exact_mut(volume(result));
            for (kernel, out) in kernels.chunks_exact(self.taps.len()).zip(planes) {
                dispatch(Plane { taps: &self.taps, padded, kernel, sums });
                self.copy_lines(sums, out, result, phase);
            }
        });
    }

    /// Leaves out what is between the lines.
    fn copy_lines<T: Float>(&self, sums: &[T], out: &mut [T], result: Space, phase: &Phase) {
        let [depths, heights, widths] = self.count;
        for depth in 0..depths {
            for height in 0..heights {
                let from = &sums[(depth * self.extents[1] + height) * self.extents[2]..][..widths];
                store_line(phase, [depth, height], from, result, out);
            }
        }
    }

    /// The source with zeros around it.
    fn pad<T: Float>(&self, source: &[T], padded: &mut [T]) {
        let [depths, heights, widths] = &self.axes;
        let mut targets = padded.chunks_exact_mut(self.extents[2]);
        for &first_depth in &depths.slots {
            for &first_height in &heights.slots {
                for &first_width in &widths.slots {
                    for d in 0..self.extents[0] as i64 {
                        let z = first_depth + d * depths.scale;
                        for h in 0..self.extents[1] as i64 {
                            let y = first_height + h * heights.scale;
                            let Some(to) = targets.next() else { return };
                            copy_positions(source, self.source, [z, y, first_width], widths.scale, to);
                        }
                    }
                }
            }
        }
    }

    /// The gradient of the weight of all channels, each a sum over the images in order.
    pub(super) fn weight<T: Float>(
        &self,
        problem: &Problem,
        input: &[T],
        upstream: &[T],
        out: &mut [T],
        parallel: bool,
    ) {
        let Problem { batch, groups, out_channels, .. } = *problem;
        let (window, count, taps) = (volume(problem.input), volume(problem.windows), self.taps.len());
        each_chunk(out, out_channels * taps, parallel, |group, out| {
            out.fill(T::from(0.0));
            lend(self.padded(), |padded: &mut [T]| {
                for image in 0..batch {
                    self.pad(&input[(image * groups + group) * window..][..window], padded);
                    for (row, sums) in out.chunks_exact_mut(taps).enumerate() {
                        let start = ((image * groups + group) * out_channels + row) * count;
                        let upstream = &upstream[start..start + count];
                        dispatch(Gradient { lines: self, padded, upstream, sums });
                    }
                }
            });
        });
    }
}

/// The sums of a plane.
struct Plane<'a, T> {
    taps: &'a [usize],
    padded: &'a [T],
    kernel: &'a [T],
    sums: &'a mut [T],
}

impl<T: Float> WithSimd for Plane<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { taps, padded, kernel, sums } = self;
        let kernel = &kernel[..taps.len()];
        let together = VECTORS * lanes::<T, S>();
        let mut first = 0;
        for out in sums.chunks_exact_mut(together) {
            let mut total = [T::splat(simd, T::from(0.0)); VECTORS];
            for tap in 0..taps.len() {
                let start = taps[tap] + first;
                // The last vectors, of which no element counts, may reach beyond the end.
                let Some(values) = padded.get(start..start + together) else { break };
                let Some(values) = T::vectors::<S>(values).first_chunk::<VECTORS>() else { break };
                let factor = T::splat(simd, kernel[tap]);
                unrolled!(VECTORS, v, total[v] = T::mul_add(simd, values[v], factor, total[v]));
            }
            if let Some(out) = T::vectors_mut::<S>(out).first_chunk_mut::<VECTORS>() {
                *out = total;
            }
            first += together;
        }
    }
}

/// Adds the products of a plane's lines with those of the upstream gradient to a sum for each tap.
struct Gradient<'a, T> {
    lines: &'a Lines,
    padded: &'a [T],
    upstream: &'a [T],
    sums: &'a mut [T],
}

impl<T: Float> WithSimd for Gradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { lines, padded, upstream, sums } = self;
        let mut tap = 0;
        while tap < sums.len() {
            let (taps, sums) = (&lines.taps[tap..], &mut sums[tap..]);
            tap += match taps.len() {
                9.. => lines.some_taps::<T, S, 9>(simd, taps, padded, upstream, sums),
                5..=8 => lines.some_taps::<T, S, 5>(simd, taps, padded, upstream, sums),
                3 | 4 => lines.some_taps::<T, S, 3>(simd, taps, padded, upstream, sums),
                _ => lines.some_taps::<T, S, 1>(simd, taps, padded, upstream, sums),
            };
        }
    }
}

impl Lines {
    /// Returns the number of taps.
    #[inline(always)]
    fn some_taps<T: Float, S: Simd, const N: usize>(
        &self,
        simd: S,
        taps: &[usize],
        padded: &[T],
        upstream: &[T],
        sums: &mut [T],
    ) -> usize {
        let (Some(taps), Some(sums)) = (taps.first_chunk::<N>(), sums.first_chunk_mut::<N>()) else { return N };
        let ([depth, height, width], lanes) = (self.count, lanes::<T, S>());
        let whole = width / lanes * lanes;
        let mut totals = [T::splat(simd, T::from(0.0)); N];
        for line in 0..depth * height {
            let from = &padded[(line / height * self.extents[1] + line % height) * self.extents[2]..];
            let upstream = &upstream[line * width..][..width];
            for first in (0..whole).step_by(lanes) {
                let factor = T::vectors::<S>(&upstream[first..first + lanes])[0];
                unrolled!(N, n, {
                    let start = taps[n] + first;
                    let values = T::vectors::<S>(&from[start..start + lanes])[0];
                    totals[n] = T::mul_add(simd, values, factor, totals[n]);
                });
            }
            if whole < width {
                let rest = width - whole;
                let factor = T::partial_load(simd, &upstream[whole..]);
                unrolled!(N, n, {
                    let start = taps[n] + whole;
                    let values = T::partial_load(simd, &from[start..start + rest]);
                    totals[n] = T::mul_add(simd, values, factor, totals[n]);
                });
            }
        }
        unrolled!(N, n, sums[n] += T::sum(simd, totals[n]));
        N
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::processors;
    use crate::shader::testing::numbers;

    fn check<T: Float + Into<f64>>(width: usize, kernel: usize) {
        let (rows, pitch) = (3, width + kernel - 1);
        let lines = Lines::plain([1, rows, width], [1, 2, kernel]);
        let of = |count: usize, seed: u32| -> Vec<T> { numbers(count, seed).into_iter().map(T::from).collect() };
        let source: Vec<T> = of((rows + 1) * pitch, 1);
        let (factors, upstream) = (of(2 * kernel, 2), of(rows * width, 3));
        let mut padded = source.clone();
        padded.resize(lines.padded(), T::from(f32::NAN));
        let at = |row: usize, column: usize, tap: usize| -> f64 {
            source[(row + tap / kernel) * pitch + column + tap % kernel].into()
        };
        for processor in processors::ALL {
            let mut sums = vec![T::from(f32::NAN); lines.reach().next_multiple_of(SLACK)];
            processor.run(Plane { taps: &lines.taps, padded: &padded, kernel: &factors, sums: &mut sums });
            let mut gradient = vec![T::from(1.0); 2 * kernel];
            processor.run(Gradient { lines: &lines, padded: &padded, upstream: &upstream, sums: &mut gradient });
            let mut wanted_gradient = vec![1.0; 2 * kernel];
            for (row, column) in (0..rows).flat_map(|row| (0..width).map(move |column| (row, column))) {
                let taps = 0..2 * kernel;
                let wanted: f64 = taps.clone().map(|tap| at(row, column, tap) * factors[tap].into()).sum();
                let found: f64 = sums[row * pitch + column].into();
                assert!((found - wanted).abs() < 1e-5, "{processor:?}, {width} columns: {found} and {wanted}");
                for tap in taps {
                    wanted_gradient[tap] += at(row, column, tap) * upstream[row * width + column].into();
                }
            }
            for (found, wanted) in gradient.into_iter().zip(wanted_gradient) {
                let found: f64 = found.into();
                assert!((found - wanted).abs() < 1e-4, "{processor:?}, {width} columns: {found} and {wanted}");
            }
        }
    }

    impl Lines {
        /// Of a kernel without padding, dilation and stride.
        fn plain(count: Space, kernel: Space) -> Self {
            let phase = std::array::from_fn(|axis| super::super::problem::PhaseAxis {
                first: 0,
                every: 1,
                count: count[axis],
                scale: 1,
                base: 0,
                step: 1,
                tap: 0,
                tap_every: 1,
                taps: kernel[axis],
            });
            Self::new(&phase, std::array::from_fn(|axis| count[axis] + kernel[axis] - 1))
        }
    }

    #[test]
    fn planes_and_gradients_are_those_of_the_definition_with_any_vectors() {
        for width in [1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 56] {
            for kernel in [1, 3, 6] {
                check::<f32>(width, kernel);
                check::<f64>(width, kernel);
            }
        }
    }
}
