//! Sorting along the last axis, stable, with the indices that the values came from. Top-k is a part of it.

pub(super) mod kernels;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use super::Op;
use super::tasks::lend;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::parallel::each_chunk_of_two;
use crate::scalar::vectorized;
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// Values in order along the last axis, and the i32 indices that they had. NaNs count as largest, as in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sort {
    /// Largest first. Equal values keep their order either way.
    pub descending: bool,
    /// How many of the first are wanted, where not all are: behind them are the other elements, in any order.
    pub first: Option<usize>,
}

/// Elements that are looked at together while a few are selected, and the most that are selected like this.
const LOOK: usize = 64;
const FEW: usize = 64;

impl Operator for Sort {
    fn name(&self) -> String {
        "sort".into()
    }

    fn output_count(&self) -> usize {
        2
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let ty = inputs[0];
        if ty.shape.rank() == 0 {
            return Err("a single number has no axis to sort along".into());
        }
        if matches!(ty.dtype, DType::Bool | DType::U8) {
            return Err(format!("{} is not sorted; cast first", ty.dtype));
        }
        Ok(vec![ty.clone(), TensorType::new(DType::I32, &ty.shape)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let Some(upstream) = &gradient.upstream[0] else { return Some(vec![None]) };
        let base = gradient.inputs[0].zeros_like();
        Some(vec![Some(base.scatter_add(-1, &gradient.outputs[1], upstream))])
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        let n = inputs[0].shape.last().copied().unwrap_or(1).max(2);
        RoutineCost { flops: inputs[0].len() as u64 * u64::from(n.ilog2()) }
    }
}

impl CpuRoutine for Sort {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        let [(ty, values), (_, indices)] = outputs else { return Err("sort returns two outputs".into()) };
        let bytes = inputs[0].1;
        match ty.dtype {
            DType::F32 => each_line(ty, bytes, values, indices, |x, v, i| self.by_keys(x, v, i, ordered)),
            DType::I32 => {
                each_line(ty, bytes, values, indices, |x, v, i| self.by_keys(x, v, i, |x: i32| x as u32 ^ (1 << 31)))
            }
            DType::U32 => each_line(ty, bytes, values, indices, |x, v, i| self.by_keys(x, v, i, |x: u32| x)),
            DType::F64 => each_line(ty, bytes, values, indices, |x, v, i| {
                self.by_order(x, v, i, |a: &f64, b: &f64| {
                    a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
                })
            }),
            DType::I64 => each_line(ty, bytes, values, indices, |x, v, i| self.by_order(x, v, i, i64::cmp)),
            dtype => return Err(format!("sort does not compare {dtype}")),
        }
        Ok(())
    }
}

impl GpuRoutine for Sort {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self.descending, shapes, adapter)
    }
}

/// A float as an integer of the same order: zeros of either sign are equal, and so are NaNs, which are the largest.
#[inline(always)]
fn ordered(x: f32) -> u32 {
    if x.is_nan() {
        return u32::MAX;
    }
    let bits = (x + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// Sorts each line with a function of the line, its values in order and their indices.
fn each_line<T: bytemuck::Pod + Send + Sync>(
    ty: &TensorType,
    bytes: &[u8],
    values: &mut [u8],
    indices: &mut [u8],
    sort: impl Fn(&[T], &mut [T], &mut [i32]) + Sync,
) {
    if ty.is_empty() {
        return;
    }
    let n = ty.shape[ty.shape.rank() - 1];
    let source: &[T] = &bytemuck::cast_slice(bytes)[..ty.len()];
    let values: &mut [T] = &mut bytemuck::cast_slice_mut(values)[..ty.len()];
    let indices: &mut [i32] = &mut bytemuck::cast_slice_mut(indices)[..ty.len()];
    each_chunk_of_two((values, n), (indices, n), true, |line, values, indices| {
        sort(&source[line * n..][..n], values, indices);
    });
}

impl Sort {
    /// Sorts 32-bit elements by keys that hold their indices too: plain integers, which are sorted fast, and equal elements stay in
    /// order.
    fn by_keys<T: Copy>(&self, source: &[T], values: &mut [T], indices: &mut [i32], key: impl Fn(T) -> u32) {
        let n = source.len();
        let mask = if self.descending { u32::MAX } else { 0 };
        let key = |element: T| key(element) ^ mask;
        let first = self.first.unwrap_or(n).min(n);
        if first <= FEW && first * 8 <= n {
            return lend(first, |keys: &mut [u64]| {
                select(source, keys, key);
                write_selected(source, keys, values, indices);
            });
        }
        lend(n, |keys: &mut [u64]| {
            for (index, (to, &element)) in keys.iter_mut().zip(source).enumerate() {
                *to = joined(key(element), index);
            }
            if first < n {
                keys.select_nth_unstable(first);
            }
            keys[..first].sort_unstable();
            write(source, keys, values, indices);
        });
    }

    /// Sorts by comparing.
    fn by_order<T: Copy>(
        &self,
        source: &[T],
        values: &mut [T],
        indices: &mut [i32],
        order: impl Fn(&T, &T) -> Ordering,
    ) {
        indices.iter_mut().enumerate().for_each(|(k, index)| *index = k as i32);
        let compare = |&a: &i32, &b: &i32| {
            let ordering = order(&source[a as usize], &source[b as usize]);
            let ordering = if self.descending { ordering.reverse() } else { ordering };
            ordering.then(a.cmp(&b))
        };
        let first = self.first.unwrap_or(source.len()).min(source.len());
        if first < source.len() {
            indices.select_nth_unstable_by(first, compare);
        }
        indices[..first].sort_unstable_by(compare);
        values.iter_mut().zip(indices.iter()).for_each(|(value, &index)| *value = source[index as usize]);
    }
}

/// A key and an index as one number, which orders by the key first.
#[inline(always)]
fn joined(key: u32, index: usize) -> u64 {
    u64::from(key) << 32 | index as u64
}

/// The smallest keys of a line, in order. Of most elements it is known at once that they are none, some at a time.
fn select<T: Copy>(source: &[T], selected: &mut [u64], key: impl Fn(T) -> u32 + Copy) {
    let mut count = 0;
    let mut insert = |index: usize| {
        let key = joined(key(source[index]), index);
        if count == selected.len() {
            if selected.last().is_none_or(|&last| key >= last) {
                return None;
            }
            count -= 1;
        }
        let at = selected[..count].partition_point(|&other| other < key);
        selected.copy_within(at..count, at + 1);
        selected[at] = key;
        count += 1;
        // No larger key is among the smallest any more.
        (count == selected.len()).then(|| (selected[count - 1] >> 32) as u32)
    };
    let mut most = None;
    for start in (0..source.len()).step_by(LOOK) {
        let chunk = &source[start..source.len().min(start + LOOK)];
        let least = || {
            vectorized(
                #[inline(always)]
                || {
                    let mut least = u32::MAX;
                    for &element in chunk {
                        least = least.min(key(element));
                    }
                    least
                },
            )
        };
        let is_any = most.is_none_or(|most| least() < most);
        for index in start..start + if is_any { chunk.len() } else { 0 } {
            most = insert(index).or(most);
        }
    }
}

/// Writes the elements of some keys, and their indices.
fn write<T: Copy>(source: &[T], keys: &[u64], values: &mut [T], indices: &mut [i32]) {
    let (values, indices) = (&mut values[..keys.len()], &mut indices[..keys.len()]);
    for k in 0..keys.len() {
        let index = keys[k] as u32;
        indices[k] = index as i32;
        values[k] = source[index as usize];
    }
}

/// Writes what was selected, and all other elements behind it, as they are.
fn write_selected<T: Copy>(source: &[T], selected: &mut [u64], values: &mut [T], indices: &mut [i32]) {
    write(source, selected, values, indices);
    // From here on the keys are indices alone, in order.
    selected.iter_mut().for_each(|key| *key = u64::from(*key as u32));
    selected.sort_unstable();
    let (mut from, mut to) = (0, selected.len());
    for end in selected.iter().map(|&index| index as usize).chain([source.len()]) {
        let count = end - from;
        values[to..to + count].copy_from_slice(&source[from..end]);
        indices[to..to + count].iter_mut().enumerate().for_each(|(k, index)| *index = (from + k) as i32);
        (from, to) = (end + 1, to + count);
    }
}

/// Which elements come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The smallest.
    #[default]
    Ascending,
    /// The largest.
    Descending,
}

impl Tensor {
    /// Values in order along an axis, and the i32 indices that they had. Equal values keep their order; NaN counts as the largest.
    #[track_caller]
    pub fn sort(&self, axis: isize, order: Order) -> (Self, Self) {
        let Some(axis) = self.resolve_axis("sort", axis) else { return (self.clone(), self.clone()) };
        self.in_order(axis, order, None)
    }

    #[track_caller]
    fn in_order(&self, axis: usize, order: Order, first: Option<usize>) -> (Self, Self) {
        let descending = order == Order::Descending;
        let last = self.rank() as isize - 1;
        let transposed = self.transpose(axis as isize, last);
        let mut sorted = self.graph().apply(Op::Sort(Sort { descending, first }), &[&transposed]);
        let (indices, values) = (sorted.swap_remove(1), sorted.swap_remove(0));
        if self.graph().error().is_some() {
            return (values, indices);
        }
        (values.transpose(axis as isize, last), indices.transpose(axis as isize, last))
    }

    /// The `k` largest along an axis, largest first, and the i32 indices that they had. Of equals the first come first.
    #[track_caller]
    pub fn top_k(&self, k: usize, axis: isize) -> (Self, Self) {
        self.first_of(k, axis, Order::Descending)
    }

    /// The `k` smallest along an axis, smallest first, and the i32 indices that they had. Of equals the first come first.
    #[track_caller]
    pub fn bottom_k(&self, k: usize, axis: isize) -> (Self, Self) {
        self.first_of(k, axis, Order::Ascending)
    }

    #[track_caller]
    fn first_of(&self, k: usize, axis: isize, order: Order) -> (Self, Self) {
        let Some(resolved) = self.resolve_axis("top_k", axis) else { return (self.clone(), self.clone()) };
        let shape = self.shape();
        if k > shape[resolved] {
            let message = format!("axis {resolved} of shape {shape} has no {k} elements");
            let mistake = self.graph().mistake("top_k", message);
            return (mistake.clone(), mistake);
        }
        let (values, indices) = self.in_order(resolved, order, Some(k));
        if self.graph().error().is_some() {
            return (values, indices);
        }
        (values.slice(axis, 0, k), indices.slice(axis, 0, k))
    }
}
