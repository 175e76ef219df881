//! Convolutions of one channel with one kernel on the CPU, as those of depthwise layers: each line of the result is a sum of
//! shifted lines of the source, which is laid out once with zeros around it. A product of one row would spend its time on laying
//! out columns.

use pulp::{Simd, WithSimd};

use super::problem::{PhaseAxis, Space};
use crate::ops::tasks::lend;
use crate::scalar::dispatch;

/// Elements that may be read beyond the end of a line: a 512-bit register of f32.
const LANES: usize = 16;

/// What the arithmetic is in.
pub(super) trait Number: bytemuck::Pod {
    /// A line of the result: the sum of the lines that begin at the taps of a source, each times its factor.
    fn line<S: Simd>(simd: S, source: &[Self], taps: &[usize], factors: &[Self], target: &mut [Self]);
}

macro_rules! numbers {
    ($($type:ty: $vector:ident $splat:ident $add:ident $mul:ident $load:ident $vectors:ident $store:ident;)*) => {
        $(impl Number for $type {
            #[inline(always)]
            fn line<S: Simd>(simd: S, source: &[Self], taps: &[usize], factors: &[Self], target: &mut [Self]) {
                let lanes = size_of::<S::$vector>() / size_of::<Self>();
                for (chunk, target) in target.chunks_mut(lanes).enumerate() {
                    let mut sums = simd.$splat(0.0);
                    for (&tap, &factor) in taps.iter().zip(factors) {
                        let values = S::$load(&source[tap + chunk * lanes..][..lanes]).0[0];
                        sums = simd.$add(sums, simd.$mul(values, simd.$splat(factor)));
                    }
                    match S::$vectors(target).0.first_mut() {
                        Some(target) => *target = sums,
                        None => simd.$store(target, sums),
                    }
                }
            }
        })*
    };
}

numbers! {
    f32: f32s splat_f32s add_f32s mul_f32s as_simd_f32s as_mut_simd_f32s partial_store_f32s;
    f64: f64s splat_f64s add_f64s mul_f64s as_simd_f64s as_mut_simd_f64s partial_store_f64s;
}

/// The sums of a plane, with the vectors of the processor.
struct Plane<'a, T> {
    lines: &'a Lines,
    padded: &'a [T],
    kernel: &'a [T],
    out: &'a mut [T],
}

impl<T: Number> WithSimd for Plane<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.lines.sum(simd, self.padded, self.kernel, self.out);
    }
}

/// Where the lines of one phase are, in a source with zeros around it.
pub(super) struct Lines {
    /// Of the source, and of what is read with the zeros around it; the position there of the source's first element, which may be
    /// before.
    source: Space,
    extents: Space,
    first: [i64; 3],
    /// Lines of the result along depth and height, their length, and how far apart their sources are.
    count: Space,
    scale: [usize; 2],
    /// For each tap of the kernel, how far from there its line begins.
    taps: Vec<usize>,
}

impl Lines {
    /// `None` where the result is not made of full lines with neighbouring sources.
    pub(super) fn new(phase: &[PhaseAxis; 3], source: Space) -> Option<Self> {
        let full = phase.iter().all(|axis| axis.every == 1 && axis.scale > 0 && axis.count > 0 && axis.taps > 0);
        if !full || phase[2].scale != 1 {
            return None;
        }
        // The first and the last position that is read.
        let ends = phase.map(|axis| {
            let reach = (axis.taps as i64 - 1) * axis.step;
            let low = axis.base + reach.min(0);
            let high = axis.base + reach.max(0) + (axis.count as i64 - 1) * axis.scale;
            (low, high)
        });
        let mut extents = ends.map(|(low, high)| (high - low + 1) as usize);
        // Vectors read beyond the end of a line.
        extents[2] += LANES;
        let pitch = [extents[1] * extents[2], extents[2], 1];
        let mut taps = Vec::new();
        for d in 0..phase[0].taps {
            for h in 0..phase[1].taps {
                for w in 0..phase[2].taps {
                    let at = |axis: usize, tap: usize| {
                        (phase[axis].base + tap as i64 * phase[axis].step - ends[axis].0) as usize * pitch[axis]
                    };
                    taps.push(at(0, d) + at(1, h) + at(2, w));
                }
            }
        }
        Some(Self {
            source,
            extents,
            first: ends.map(|(low, _)| -low),
            count: phase.map(|axis| axis.count),
            scale: [phase[0].scale as usize, phase[1].scale as usize],
            taps,
        })
    }

    /// The result of a plane for a kernel.
    pub(super) fn convolve<T: Number>(&self, source: &[T], kernel: &[T], out: &mut [T]) {
        let [depth, height, width] = self.extents;
        lend(depth * height * width, |padded: &mut [T]| {
            self.pad(source, padded);
            dispatch(Plane { lines: self, padded, kernel, out });
        });
    }

    /// The source with zeros around it.
    fn pad<T: Number>(&self, source: &[T], padded: &mut [T]) {
        let [depth, height, width] = self.source;
        let inside = |axis: usize, position: usize| {
            usize::try_from(position as i64 - self.first[axis]).ok().filter(|position| *position < self.source[axis])
        };
        let low = self.first[2].clamp(0, self.extents[2] as i64) as usize;
        let skipped = (-self.first[2]).clamp(0, width as i64) as usize;
        let length = (width - skipped).min(self.extents[2] - low);
        for (line, target) in padded.chunks_mut(self.extents[2]).enumerate() {
            let (d, h) = (line / self.extents[1], line % self.extents[1]);
            match (inside(0, d), inside(1, h)) {
                (Some(d), Some(h)) if d < depth => {
                    let start = (d * height + h) * width + skipped;
                    target[..low].fill(T::zeroed());
                    target[low..low + length].copy_from_slice(&source[start..start + length]);
                    target[low + length..].fill(T::zeroed());
                }
                _ => target.fill(T::zeroed()),
            }
        }
    }

    #[inline(always)]
    fn sum<T: Number, S: Simd>(&self, simd: S, padded: &[T], kernel: &[T], out: &mut [T]) {
        let [depth, height, width] = self.count;
        for d in 0..depth {
            for h in 0..height {
                let line = (d * self.scale[0] * self.extents[1] + h * self.scale[1]) * self.extents[2];
                let target = &mut out[(d * height + h) * width..][..width];
                T::line(simd, &padded[line..], &self.taps, kernel, target);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{Real, processors};
    use crate::shader::testing::numbers;

    fn check<T: Number + Real + From<f32> + std::fmt::Debug>(width: usize) {
        let (rows, taps) = (2, [3, 3]);
        let pitch = width + taps[1] - 1 + LANES;
        let extents = [1, rows + taps[0] - 1, pitch];
        let lines = Lines {
            source: extents,
            extents,
            first: [0; 3],
            count: [1, rows, width],
            scale: [1, 1],
            taps: (0..taps[0]).flat_map(|h| (0..taps[1]).map(move |w| h * pitch + w)).collect(),
        };
        let of = |count: usize, seed: u32| -> Vec<T> { numbers(count, seed).into_iter().map(T::from).collect() };
        let (padded, kernel) = (of(extents[1] * pitch, 1), of(taps[0] * taps[1], 2));
        let defined = |row: usize, column: usize| {
            lines
                .taps
                .iter()
                .zip(&kernel)
                .fold(T::from(0.0), |sum, (tap, &factor)| sum + padded[row * pitch + tap + column] * factor)
        };
        let wanted: Vec<T> = (0..rows * width).map(|k| defined(k / width, k % width)).collect();
        for processor in processors::ALL {
            let mut out = vec![T::from(f32::NAN); rows * width];
            processor.run(Plane { lines: &lines, padded: &padded, kernel: &kernel, out: &mut out });
            assert_eq!(out, wanted, "{processor:?}, {width} columns");
        }
    }

    #[test]
    fn lines_are_the_same_to_the_bit_with_any_vectors() {
        for width in [1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 56] {
            check::<f32>(width);
            check::<f64>(width);
        }
    }
}
