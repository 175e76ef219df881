//! Pools on the CPU: a thread a plane. Nothing is kept but a few numbers for each window of an axis.

use bytemuck::Pod;
use rayon::prelude::*;

use super::axis::Places;
use super::{Pool, PoolKind};
use crate::shader::Operand;
use crate::tensor::TensorType;

/// What pools compute in. Sums run in f64, as those of a reduction do.
pub(super) trait Number: Pod + PartialOrd + Send + Sync {
    const LOWEST: Self;
    fn wide(self) -> f64;
    fn narrow(value: f64) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Number for f32 {
    const LOWEST: Self = Self::NEG_INFINITY;
    fn wide(self) -> f64 {
        self.into()
    }
    fn narrow(value: f64) -> Self {
        value as Self
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Number for f64 {
    const LOWEST: Self = Self::NEG_INFINITY;
    fn wide(self) -> f64 {
        self
    }
    fn narrow(value: f64) -> Self {
        value
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

/// Where the windows of a plane lie.
struct Plane {
    /// Elements of the last two axes.
    extents: [usize; 2],
    elements: usize,
    windows: usize,
    /// Windows along each of the three axes.
    axes: [Vec<Places>; 3],
}

impl Plane {
    fn new(pool: &Pool) -> Self {
        let three = pool.three();
        Self {
            extents: [three[1].extent, three[2].extent],
            elements: pool.elements(),
            windows: pool.windows(),
            axes: three.map(|axis| (0..axis.windows).map(|window| axis.places(window)).collect()),
        }
    }

    /// Each window in order, with the first places of its rows and the places of a row.
    fn each(&self, mut visit: impl FnMut(usize, &mut dyn Iterator<Item = usize>, Places)) {
        let [planes, rows, columns] = &self.axes;
        let mut number = 0;
        for &plane in planes {
            for &row in rows {
                for &column in columns {
                    let mut starts =
                        plane.iter().flat_map(|k| row.iter().map(move |j| (k * self.extents[0] + j) * self.extents[1]));
                    visit(number, &mut starts, column);
                    number += 1;
                }
            }
        }
    }
}

pub(super) fn run<T: Number>(
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
    let source: &[T] = &bytemuck::cast_slice(inputs[0].1)[..inputs[0].0.ty.len()];
    let out: &mut [T] = &mut bytemuck::cast_slice_mut(first)[..ty.len()];
    let places = |input: usize| -> &[i32] { &bytemuck::cast_slice(inputs[input].1)[..inputs[input].0.ty.len()] };
    match (pool.kind, rest) {
        (PoolKind::Max, [(places_ty, found)]) => {
            let found: &mut [i32] = &mut bytemuck::cast_slice_mut(found)[..places_ty.len()];
            let planes = out.par_chunks_mut(windows).zip(found.par_chunks_mut(windows));
            planes.zip(source.par_chunks(elements)).for_each(|((out, found), source)| {
                plane.each(|number, starts, column| {
                    (out[number], found[number]) = largest(source, starts, column);
                });
            });
        }
        (PoolKind::MaxScatter, _) => {
            let pairs = source.par_chunks(windows).zip(places(1).par_chunks(windows));
            out.par_chunks_mut(elements).zip(pairs).for_each(|(out, (source, places))| {
                out.fill(T::zeroed());
                for (&value, &place) in source.iter().zip(places) {
                    if let Some(target) = usize::try_from(place).ok().and_then(|place| out.get_mut(place)) {
                        *target = target.plus(value);
                    }
                }
            });
        }
        (PoolKind::MaxGather, _) => {
            let pairs = source.par_chunks(elements).zip(places(1).par_chunks(windows));
            out.par_chunks_mut(windows).zip(pairs).for_each(|(out, (source, places))| {
                for (out, &place) in out.iter_mut().zip(places) {
                    let value = usize::try_from(place).ok().and_then(|place| source.get(place));
                    *out = value.copied().unwrap_or(T::zeroed());
                }
            });
        }
        (PoolKind::Sum, _) => {
            out.par_chunks_mut(windows).zip(source.par_chunks(elements)).for_each(|(out, source)| {
                plane.each(|number, starts, column| {
                    let mut sum = 0.0;
                    for start in starts {
                        sum = column.iter().fold(sum, |sum, i| sum + source[start + i].wide());
                    }
                    out[number] = T::narrow(sum);
                });
            });
        }
        (PoolKind::SumGradient, _) => {
            out.par_chunks_mut(elements).zip(source.par_chunks(windows)).for_each(|(out, source)| {
                out.fill(T::zeroed());
                plane.each(|number, starts, column| {
                    for start in starts {
                        column.iter().for_each(|i| out[start + i] = out[start + i].plus(source[number]));
                    }
                });
            });
        }
        (PoolKind::Max, _) => return Err("a max pool has two outputs".into()),
    }
    Ok(())
}

/// The largest of a window and its place: the first of equals, and a NaN before all others.
fn largest<T: Number>(source: &[T], starts: &mut dyn Iterator<Item = usize>, column: Places) -> (T, i32) {
    let (mut best, mut place) = (T::LOWEST, -1);
    for start in starts {
        for i in column.iter() {
            let value = source[start + i];
            // Also where the value is a NaN, but not where the best is one already.
            let unordered = value.partial_cmp(&value).is_none();
            if place < 0 || value > best || unordered {
                (best, place) = (value, (start + i) as i32);
            }
        }
    }
    (best, place)
}
