//! Pools on the CPU: a thread a plane. Nothing is stored but a few numbers for each window of an axis.

use std::borrow::Cow;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::axis::WindowElements;
use super::{Pool, PoolKind};
use crate::parallel::{each_chunk, each_chunk_of_two};
use crate::scalar::{Real, set_all, vectorized};
use crate::shader::Operand;
use crate::tensor::TensorType;

/// What pools compute in. Sums run in f64, as those of a reduction do.
pub(super) trait Number: Real + Into<f64> + Send + Sync {}
impl Number for f32 {}
impl Number for f64 {}

/// The windows of a plane.
struct Plane {
    /// Elements of the last two axes.
    extents: [usize; 2],
    elements: usize,
    windows: usize,
    /// Windows along each of the three axes.
    axes: [Vec<WindowElements>; 3],
    /// Those of the last axis, by what neighbours have in common.
    runs: Vec<Run>,
}

/// Neighbouring windows of a row, with as many elements each, whose first elements are equally far apart.
struct Run {
    window: usize,
    windows: usize,
    stride: usize,
    elements: WindowElements,
}

impl Run {
    fn all(columns: &[WindowElements]) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for (window, &elements) in columns.iter().enumerate() {
            match runs.last_mut() {
                Some(run)
                    if run.elements.count == elements.count
                        && run.elements.step == elements.step
                        && (run.windows == 1 || elements.first == run.elements.first + run.windows * run.stride)
                        && elements.first > run.elements.first =>
                {
                    run.stride = (elements.first - run.elements.first) / run.windows;
                    run.windows += 1;
                }
                _ => runs.push(Self { window, windows: 1, stride: 1, elements }),
            }
        }
        runs
    }
}

impl Plane {
    fn new(pool: &Pool) -> Self {
        let three = pool.three();
        let axes: [Vec<WindowElements>; 3] =
            three.map(|axis| (0..axis.windows).map(|window| axis.elements(window)).collect());
        let [_, _, columns] = &axes;
        Self {
            runs: Run::all(columns),
            extents: [three[1].extent, three[2].extent],
            elements: pool.elements(),
            windows: pool.windows(),
            axes,
        }
    }

    /// Each row of windows with each row of elements that they read: the first window, and the first element. A window so meets its
    /// elements in order, and an element its windows.
    #[inline(always)]
    fn rows(&self, mut visit: impl FnMut(usize, usize)) {
        let [planes, rows, columns] = &self.axes;
        let mut window = 0;
        for plane in planes {
            for row in rows {
                for k in plane.iter() {
                    for j in row.iter() {
                        visit(window, (k * self.extents[0] + j) * self.extents[1]);
                    }
                }
                window += columns.len();
            }
        }
    }

    /// The elements of windows along a row.
    fn columns(&self) -> &[WindowElements] {
        &self.axes[2]
    }
}

impl Plane {
    /// The largest element of each window, and its index in the plane.
    #[inline(always)]
    fn largest<T: Number>(&self, source: &[T], out: &mut [T], found: &mut [i32]) {
        set_all(out, T::real(f64::NEG_INFINITY));
        set_all(found, -1);
        self.rows(
            #[inline(always)]
            |window, start| {
                for run in &self.runs {
                    let targets = window + run.window..window + run.window + run.windows;
                    let (out, found) = (&mut out[targets.clone()], &mut found[targets]);
                    for k in 0..run.elements.count {
                        let first = start + run.elements.first + k * run.elements.step;
                        let row = &source[first..first + (run.windows - 1) * run.stride + 1];
                        match run.stride {
                            1 => larger::<T, 1>(row, first, out, found),
                            2 => larger::<T, 2>(row, first, out, found),
                            3 => larger::<T, 3>(row, first, out, found),
                            stride => {
                                let values = row.iter().step_by(stride).enumerate();
                                for ((window, &value), (best, index)) in values.zip(out.iter_mut().zip(&mut *found)) {
                                    take_larger(value, first + window * stride, best, index);
                                }
                            }
                        }
                    }
                }
            },
        );
    }
}

/// Each window's element at the beginning of its stride, where it is larger than what the window has so far.
#[inline(always)]
fn larger<T: Number, const STRIDE: usize>(row: &[T], first: usize, out: &mut [T], found: &mut [i32]) {
    let (strides, rest) = row.as_chunks::<STRIDE>();
    let count = strides.len();
    let (best, index) = (&mut out[..count], &mut found[..count]);
    for window in 0..count {
        take_larger(strides[window][0], first + window * STRIDE, &mut best[window], &mut index[window]);
    }
    if let Some(&value) = rest.first() {
        take_larger(value, first + count * STRIDE, &mut out[count], &mut found[count]);
    }
}

/// The first of equals; a NaN before all others.
#[inline(always)]
fn take_larger<T: Number>(value: T, at: usize, best: &mut T, index: &mut i32) {
    let taken = (*index < 0) | (value > *best) | value.is_nan();
    *best = std::hint::select_unpredictable(taken, value, *best);
    *index = std::hint::select_unpredictable(taken, at as i32, *index);
}

/// The elements of a window in a row.
fn within<T>(row: &[T], column: WindowElements) -> impl Iterator<Item = (usize, &T)> {
    row.iter().enumerate().skip(column.first).step_by(column.step).take(column.count)
}

/// What the first input is stored in: what pools compute in, or 16-bit floats, which are widened a plane at a time.
pub(super) trait Stored<T: Number>: bytemuck::Pod + Sync {
    /// Elements in what is computed in.
    fn widened(elements: &[Self]) -> Cow<'_, [T]>;
}

impl<T: Number> Stored<T> for T {
    fn widened(elements: &[Self]) -> Cow<'_, [T]> {
        Cow::Borrowed(elements)
    }
}

impl Stored<f32> for f16 {
    fn widened(elements: &[Self]) -> Cow<'_, [f32]> {
        Cow::Owned(elements.to_f32_vec())
    }
}

impl Stored<f32> for bf16 {
    fn widened(elements: &[Self]) -> Cow<'_, [f32]> {
        Cow::Owned(elements.to_f32_vec())
    }
}

pub(super) fn run<T: Number, S: Stored<T>>(
    pool: &Pool,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    let Some(((ty, first), rest)) = outputs.split_first_mut() else { return Err("a pool has an output".into()) };
    if ty.is_empty() {
        return Ok(());
    }
    let plane = Plane::new(pool);
    let (elements, windows) = (plane.elements, plane.windows);
    let source: &[S] = &bytemuck::cast_slice(inputs[0].1)[..inputs[0].0.ty.len()];
    let out: &mut [T] = &mut bytemuck::cast_slice_mut(first)[..ty.len()];
    let indices = |input: usize| -> &[i32] { &bytemuck::cast_slice(inputs[input].1)[..inputs[input].0.ty.len()] };
    match (pool.kind, rest) {
        (PoolKind::Max, [(indices_ty, found)]) => {
            let found: &mut [i32] = &mut bytemuck::cast_slice_mut(found)[..indices_ty.len()];
            each_chunk_of_two((out, windows), (found, windows), true, |number, out, found| {
                let source = &*S::widened(&source[number * elements..][..elements]);
                vectorized(
                    #[inline(always)]
                    || plane.largest(source, out, found),
                );
            });
        }
        (PoolKind::MaxScatter, _) => {
            let indices = indices(1);
            each_chunk(out, elements, true, |number, out| {
                let of_plane = number * windows..(number + 1) * windows;
                let (source, indices) = (S::widened(&source[of_plane.clone()]), &indices[of_plane]);
                out.fill(T::zeroed());
                for (&value, &index) in source.iter().zip(indices) {
                    if let Some(target) = usize::try_from(index).ok().and_then(|index| out.get_mut(index)) {
                        *target = *target + value;
                    }
                }
            });
        }
        (PoolKind::MaxGather, _) => {
            let indices = indices(1);
            each_chunk(out, windows, true, |number, out| {
                let source = &*S::widened(&source[number * elements..][..elements]);
                let indices = &indices[number * windows..][..windows];
                for (out, &index) in out.iter_mut().zip(indices) {
                    let value = usize::try_from(index).ok().and_then(|index| source.get(index));
                    *out = value.copied().unwrap_or(T::zeroed());
                }
            });
        }
        (PoolKind::Sum, _) => {
            each_chunk(out, windows, true, |number, out| {
                let source = &*S::widened(&source[number * elements..][..elements]);
                let mut sums = vec![0.0; windows];
                plane.rows(|window, start| {
                    let row = &source[start..start + plane.extents[1]];
                    for (&column, sum) in plane.columns().iter().zip(&mut sums[window..]) {
                        *sum = within(row, column).fold(*sum, |sum, (_, value)| sum + (*value).into());
                    }
                });
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = T::real(sum));
            });
        }
        (PoolKind::SumGradient, _) => {
            each_chunk(out, elements, true, |number, out| {
                let source = &*S::widened(&source[number * windows..][..windows]);
                out.fill(T::zeroed());
                plane.rows(|window, start| {
                    let row = &mut out[start..start + plane.extents[1]];
                    for (&column, &value) in plane.columns().iter().zip(&source[window..]) {
                        let targets = row.iter_mut().skip(column.first).step_by(column.step).take(column.count);
                        targets.for_each(|target| *target = *target + value);
                    }
                });
            });
        }
        (PoolKind::Max, _) => return Err("a max pool has two outputs".into()),
    }
    Ok(())
}
