//! Positions of values in rows that are in order, by binary search.

#[cfg(test)]
mod tests;

use super::Op;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, IntoTensor, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::parallel::each_chunk;
use crate::shader::slot::{Element, SortKey};
use crate::shader::{Adapter, Bound, DispatchPlan, Kernel, KernelFile, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// Where values belong in rows that are in order, as i32 indices. NaN counts as the largest, as for [`Sort`](super::Sort).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SearchSorted {
    /// Behind elements that equal a value instead of before them.
    pub right: bool,
}

/// The sizes of a search: values of each row, and elements of a row; where all values have one row, they are all its.
struct Sizes {
    values: usize,
    per_row: usize,
    length: usize,
}

impl Sizes {
    fn of(sorted: &TensorType, values: &TensorType) -> Self {
        let last = |ty: &TensorType| ty.shape.last().copied().unwrap_or(1);
        let per_row = if sorted.shape.rank() == 1 { values.len() } else { last(values) };
        Self { values: values.len(), per_row, length: last(sorted) }
    }
}

impl Operator for SearchSorted {
    fn name(&self) -> String {
        "search_sorted".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let &[sorted, values] = inputs else { return Err("wants rows and values".into()) };
        let rows = |ty: &TensorType| ty.shape.split_last().map(|(_, rows)| rows.to_vec());
        if sorted.dtype != values.dtype {
            return Err(format!("rows of {} hold no {}; cast one of them", sorted.dtype, values.dtype));
        }
        if matches!(sorted.dtype, DType::Bool | DType::U8) {
            return Err(format!("{} is not in order; cast first", sorted.dtype));
        }
        if sorted.shape.rank() == 0 || (sorted.shape.rank() > 1 && rows(sorted) != rows(values)) {
            let (sorted, values) = (&sorted.shape, &values.shape);
            return Err(format!("wants one row, or a row for each of the values' rows: not {sorted} for {values}"));
        }
        Ok(vec![TensorType::new(DType::I32, &values.shape)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self))
    }

    fn gradient(&self, _: &Gradient) -> Option<Vec<Option<Tensor>>> {
        Some(vec![None, None])
    }

    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let [sorted, values] = inputs else { return None };
        let Sizes { length, .. } = Sizes::of(&sorted.ty(), &values.ty());
        let is_nan = |x: &Tensor| if x.dtype().is_float() { x.is_nan() } else { x.ne(x) };
        let less = |a: &Tensor, b: &Tensor| a.lt(b).logical_or(is_nan(b).logical_and(is_nan(a).logical_not()));
        let mut position = values.graph().scalar(DType::I32, 0.0).broadcast_to(values.shape());
        // The bits of the position, from the highest on.
        for bit in (0..usize::BITS - length.leading_zeros()).rev() {
            let next = &position + (1_i32 << bit);
            let at = next.minimum(length as i32) - 1;
            let element = if sorted.rank() == 1 { sorted.take(0, &at) } else { sorted.gather(-1, &at) };
            let before = if self.right { less(values, &element).logical_not() } else { less(&element, values) };
            position = before.logical_and(next.le(length as i32)).select(&next, &position);
        }
        Some(vec![position])
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        let Sizes { values, length, .. } = Sizes::of(inputs[0], inputs[1]);
        RoutineCost { flops: values as u64 * u64::from(length.max(1).ilog2() + 1) }
    }
}

impl CpuRoutine for SearchSorted {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        let [(sorted, _), (values, _)] = inputs else { return Err("wants rows and values".into()) };
        let (sizes, bytes) = (Sizes::of(&sorted.ty, &values.ty), [inputs[0].1, inputs[1].1]);
        let out = bytemuck::cast_slice_mut(&mut *outputs[0].1);
        match sorted.ty.dtype {
            DType::F32 => self.search(&sizes, bytes, out, |a: f32, b: f32| a < b || (b.is_nan() && !a.is_nan())),
            DType::F64 => self.search(&sizes, bytes, out, |a: f64, b: f64| a < b || (b.is_nan() && !a.is_nan())),
            DType::I32 => self.search(&sizes, bytes, out, |a: i32, b: i32| a < b),
            DType::U32 => self.search(&sizes, bytes, out, |a: u32, b: u32| a < b),
            DType::I64 => self.search(&sizes, bytes, out, |a: i64, b: i64| a < b),
            dtype => return Err(format!("search_sorted does not compare {dtype}")),
        }
        Ok(())
    }
}

impl SearchSorted {
    fn search<T: bytemuck::Pod + Sync>(
        self,
        sizes: &Sizes,
        [sorted, values]: [&[u8]; 2],
        out: &mut [i32],
        less: impl Fn(T, T) -> bool + Sync,
    ) {
        let &Sizes { values: count, per_row, length } = sizes;
        let (sorted, values): (&[T], &[T]) = (bytemuck::cast_slice(sorted), bytemuck::cast_slice(values));
        each_chunk(&mut out[..count], CHUNK, count > CHUNK, |number, out| {
            for (index, out) in (number * CHUNK..).zip(out) {
                let row = &sorted[index / per_row * length..][..length];
                let value = values[index];
                let before = |&element: &T| if self.right { !less(value, element) } else { less(element, value) };
                *out = row.partition_point(before) as i32;
            }
        });
    }
}

/// Values that a thread takes at a time.
const CHUNK: usize = 4096;

impl GpuRoutine for SearchSorted {
    fn kernels(&self, shapes: &RoutineShapes<'_>, _: &Adapter) -> Result<Vec<KernelPlan>, String> {
        let [sorted, values] = [0, 1].map(|input: usize| &shapes.inputs[input].ty);
        let Sizes { values, per_row, length } = Sizes::of(sorted, values);
        if values == 0 {
            return Ok(vec![KernelPlan::default()]);
        }
        let key = match sorted.dtype {
            DType::I32 => SortKey::I32,
            DType::U32 => SortKey::U32,
            _ => SortKey::F32,
        };
        let kernel = Kernel::of(KernelFile::SearchSorted).slot(Element::of(sorted.dtype)?).slot(key);
        let kernel = kernel.kernel("search_sorted", 2, 1)?;
        let params = [values, per_row, length, usize::from(self.right), 0, 0, 0].map(|word| word as u32).to_vec();
        let bound = vec![Bound::Input(0), Bound::Input(1), Bound::Output(0)];
        let dispatch = DispatchPlan { kernel, params, bound, workgroups: values.div_ceil(64) };
        Ok(vec![KernelPlan { dispatches: vec![dispatch], scratch: Vec::new() }])
    }
}

impl Tensor {
    /// Where values belong in this tensor, whose rows along the last axis are in ascending order: for each the i32 index of the first
    /// element that is not smaller, as `torch.searchsorted` gives it. This tensor is one row `[n]` for values of any shape, or has a row
    /// for each of theirs, `[…, n]` for `[…, m]`. NaN counts as the largest, as in NumPy. What is not in order gives some index from 0 to
    /// n. A bare number has this tensor's type.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let limits = g.constant(TensorData::from_vec(vec![1.0_f32, 3.0, 3.0, 5.0], [4])?);
    /// let x = g.input("x", [3], F32);
    /// g.output("left", &limits.search_sorted(&x));
    /// g.output("right", &limits.search_sorted_right(&x));
    /// let x = TensorData::from_vec(vec![0.5_f32, 3.0, 9.0], [3])?;
    /// let run = g.compile(&Device::cpu())?.run(&[("x", &x)])?;
    /// assert_eq!(run["left"].to_f64_vec(), [0.0, 1.0, 4.0]);
    /// assert_eq!(run["right"].to_f64_vec(), [0.0, 3.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    #[doc(alias = "bucketize")]
    pub fn search_sorted(&self, values: impl IntoTensor) -> Self {
        self.search(values, false)
    }

    /// The same, of the first element that is larger: behind those that equal the value. `torch.searchsorted` with `side="right"`.
    #[track_caller]
    #[must_use]
    pub fn search_sorted_right(&self, values: impl IntoTensor) -> Self {
        self.search(values, true)
    }

    #[track_caller]
    fn search(&self, values: impl IntoTensor, right: bool) -> Self {
        let values = values.into_tensor(self.graph(), self.dtype());
        self.graph().apply1(Op::SearchSorted(SearchSorted { right }), &[self, &values])
    }
}
