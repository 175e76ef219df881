//! What the windows of a convolution meet, laid out so that neighbouring windows meet neighbours: for each tap along the width a copy of
//! the lines, shifted, with zeros beyond the edges. A tap along the height is then some lines further on, so that the windows of several
//! lines are consecutive for every tap: as many elements in a row as a product wants.

use pulp::Simd;
use smallvec::SmallVec;

use super::native::Phase;
use super::problem::{PhaseAxis, Space, volume};
use crate::ops::matmul::{Columns, Float, copy_row};

/// The taps of an axis in one phase. Those that meet positions of one residue modulo the distance of the windows share a *slot*: they meet
/// the same positions, some windows further on.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    /// For each tap its slot, and by how many windows it is ahead.
    pub(super) taps: SmallVec<[(usize, usize); 16]>,
    /// The position that the first window meets, of each slot.
    pub(super) slots: SmallVec<[i64; 16]>,
    pub(super) scale: i64,
    /// By how many windows a tap is ahead at the most.
    pub(super) reach: usize,
}

impl Taps {
    pub(super) fn new(axis: &PhaseAxis) -> Self {
        let last = (axis.taps as i64 - 1).max(0) * axis.step;
        let low = last.min(0);
        let mut slots: SmallVec<[i64; 16]> = SmallVec::new();
        let mut taps: SmallVec<[(usize, usize); 16]> = SmallVec::new();
        for tap in 0..axis.taps as i64 {
            let ahead = tap * axis.step - low;
            let first = axis.base + low + ahead % axis.scale;
            let slot = slots.iter().position(|&slot| slot == first).unwrap_or_else(|| {
                slots.push(first);
                slots.len() - 1
            });
            taps.push((slot, (ahead / axis.scale) as usize));
        }
        let reach = taps.iter().map(|&(_, ahead)| ahead).max().unwrap_or(0);
        Self { taps, slots, scale: axis.scale, reach }
    }
}

/// Copies the positions `first`, `first + scale`, … of the line at some depth and height of a source: zeros where that has none.
pub(super) fn copy_positions<T: Float>(
    source: &[T],
    [depth, height, width]: Space,
    [z, y, first]: [i64; 3],
    scale: i64,
    to: &mut [T],
) {
    if (0..depth as i64).contains(&z) && (0..height as i64).contains(&y) {
        let start = (z as usize * height + y as usize) * width;
        copy_line(&source[start..start + width], first, scale, to);
    } else {
        clear(to);
    }
}

/// The same of one line, zeros beyond its edges.
fn copy_line<T: Float>(line: &[T], first: i64, scale: i64, to: &mut [T]) {
    let count = to.len() as i64;
    let low = divided_up((-first).max(0), scale).min(count);
    let high = divided_up((line.len() as i64 - first).max(0), scale).clamp(low, count);
    let (low, high) = (low as usize, high as usize);
    clear(&mut to[..low]);
    clear(&mut to[high..]);
    if low == high {
        return;
    }
    let start = (first + low as i64 * scale) as usize;
    let to = &mut to[low..high];
    if scale == 1 {
        to.copy_from_slice(&line[start..start + to.len()]);
    } else {
        let values = line[start..].iter().step_by(scale as usize);
        to.iter_mut().zip(values).for_each(|(to, value)| *to = *value);
    }
}

/// Stores a line of a phase where its elements belong in a plane of the result.
pub(super) fn store_line<T: Float>(
    phase: &Phase,
    [depth, height]: [usize; 2],
    line: &[T],
    result: Space,
    out: &mut [T],
) {
    let at = |axis: usize, index: usize| phase[axis].first + index * phase[axis].every;
    let start = (at(0, depth) * result[1] + at(1, height)) * result[2] + phase[2].first;
    if phase[2].every == 1 {
        out[start..start + line.len()].copy_from_slice(line);
    } else {
        let to = out[start..].iter_mut().step_by(phase[2].every);
        to.zip(line).for_each(|(to, &value)| *to = value);
    }
}

/// Sets elements to zero: often none or one, for which a call would take longer.
fn clear<T: Float>(elements: &mut [T]) {
    match elements {
        [] => {}
        [single] => *single = T::from(0.0),
        several => several.fill(T::from(0.0)),
    }
}

/// Division that rounds up, of numbers that are not negative.
fn divided_up(number: i64, divisor: i64) -> i64 {
    if divisor == 1 { number } else { (number + divisor - 1) / divisor }
}

/// The windows of one phase in a source.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    phase: Phase,
    source: Space,
    height: Taps,
    /// Taps of all axes.
    pub(super) taps: usize,
}

/// Consecutive lines of windows, at one depth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    depth: usize,
    first: usize,
    lines: usize,
    /// Its windows: the number of the first one, and how many there are.
    pub(super) start: usize,
    pub(super) count: usize,
}

impl Windows {
    pub(super) fn new(phase: &Phase, source: Space) -> Self {
        let taps = phase.iter().map(|axis| axis.taps).product();
        Self { phase: *phase, source, height: Taps::new(&phase[1]), taps }
    }

    /// Windows of a line.
    pub(super) fn line(&self) -> usize {
        self.phase[2].count
    }

    /// Lines of windows at all depths.
    pub(super) fn lines(&self) -> usize {
        self.phase[0].count * self.phase[1].count
    }

    /// Some lines, `most` at a time.
    pub(super) fn bands(&self, lines: std::ops::Range<usize>, most: usize) -> impl Iterator<Item = Band> + use<> {
        let (height, line) = (self.phase[1].count, self.line());
        let mut next = lines.start;
        std::iter::from_fn(move || {
            let (depth, first) = (next / height, next % height);
            let count = most.min(height - first).min(lines.end - next);
            let band = Band { depth, first, lines: count, start: next * line, count: count * line };
            next += count;
            (count > 0 && next <= lines.end).then_some(band)
        })
    }

    /// Elements of a channel's copies for a band.
    pub(super) fn size(&self, lines: usize) -> usize {
        self.phase[0].taps * self.phase[2].taps * self.height.slots.len() * (lines + self.height.reach) * self.line()
    }

    /// Lays out the copies of one channel after the other.
    pub(super) fn copy<T: Float>(&self, source: &[T], channels: std::ops::Range<usize>, band: Band, memory: &mut [T]) {
        let window = volume(self.source);
        let [depths, _, widths] = &self.phase;
        let (line, lines) = (self.line(), band.lines + self.height.reach);
        let mut targets = memory.chunks_exact_mut(line);
        for channel in channels {
            let channel = &source[channel * window..(channel + 1) * window];
            for d in 0..depths.taps {
                let z = depths.base + band.depth as i64 * depths.scale + d as i64 * depths.step;
                for w in 0..widths.taps {
                    let x = widths.base + w as i64 * widths.step;
                    for &slot in &self.height.slots {
                        for h in band.first..band.first + lines {
                            let Some(to) = targets.next() else { return };
                            let y = slot + h as i64 * self.height.scale;
                            copy_positions(channel, self.source, [z, y, x], widths.scale, to);
                        }
                    }
                }
            }
        }
    }

    /// Where each tap of the kernel begins in a channel's copies.
    pub(super) fn starts(&self, band: Band) -> SmallVec<[usize; 64]> {
        let (slots, lines) = (self.height.slots.len(), band.lines + self.height.reach);
        let mut starts = SmallVec::new();
        for d in 0..self.phase[0].taps {
            for &(slot, ahead) in &self.height.taps {
                for w in 0..self.phase[2].taps {
                    let copy = (d * self.phase[2].taps + w) * slots + slot;
                    starts.push((copy * lines + ahead) * self.line());
                }
            }
        }
        starts
    }
}

/// The copies of some channels as a right operand: a row for each channel and tap, a column for each window.
pub(super) struct Copies<'a, T> {
    pub(super) elements: &'a [T],
    /// Elements of a channel.
    pub(super) size: usize,
    pub(super) channels: usize,
    pub(super) starts: &'a [usize],
    pub(super) count: usize,
}

impl<T: Float> Columns<T> for Copies<'_, T> {
    fn extents(&self) -> [usize; 2] {
        [self.channels * self.starts.len(), self.count]
    }

    #[inline(always)]
    fn lay_out<S: Simd>(&self, simd: S, first: usize, count: usize, width: usize, panel: &mut [T]) {
        let mut next = 0;
        for channel in 0..self.channels {
            let elements = &self.elements[channel * self.size + first..];
            for &start in self.starts {
                copy_row(simd, &elements[start..start + count], &mut panel[next..next + width]);
                next += width;
            }
        }
    }
}
