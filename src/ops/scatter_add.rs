//! Adding values at positions named by indices, in a fixed order: the gradients of [`super::Gather`] and [`super::Take`].
//!
//! There are no float atomics: each output element adds its own contributions, in the order of the source. Indices are
//! i32, clamped into the axis as those of a gather are.

pub(super) mod kernels;
mod native;
#[cfg(test)]
mod tests;

use self::native::join;
use super::Op;
use super::scatter::Combine;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::scalar::Real;
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, Shape, TensorType};

/// PyTorch's `scatter_add`, with index and source of one shape that equals the base's beside the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterAdd {
    /// The axis that the index refers to.
    pub axis: usize,
}

/// PyTorch's `index_add`: index `[m]`, and a source with the base's shape but for m slices along the axis. Along axis 0 of a matrix,
/// that is a base `[n, d]` and a source `[m, d]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScatterRows {
    /// The axis that the index refers to.
    pub axis: usize,
}

pub(super) fn check_types(inputs: &[&TensorType]) -> Result<(), String> {
    let (base, index, source) = (inputs[0], inputs[1], inputs[2]);
    if index.dtype != DType::I32 {
        return Err(format!("wants i32 or i64 indices, not {}", index.dtype));
    }
    if base.dtype != source.dtype {
        return Err(format!("base is {}, source {}; cast one of them", base.dtype, source.dtype));
    }
    if matches!(base.dtype, DType::Bool | DType::U8) {
        return Err(format!("{} is not added; cast first", base.dtype));
    }
    Ok(())
}

/// One index an element: index and source of one shape, the base's but along the axis.
pub(super) fn infer_elements(axis: usize, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    check_types(inputs)?;
    let (base, index, source) = (&inputs[0].shape, &inputs[1].shape, &inputs[2].shape);
    let fits = index == source
        && base.rank() == index.rank()
        && axis < base.rank()
        && (0..base.rank()).all(|other| other == axis || base[other] == index[other]);
    if !fits {
        return Err(format!("indices {index} and source {source} do not fit base {base} beside axis {}", axis));
    }
    Ok(vec![inputs[0].clone()])
}

/// One index a slice.
pub(super) fn infer_rows(axis: usize, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
    check_types(inputs)?;
    let (base, index, source) = (&inputs[0].shape, &inputs[1].shape, &inputs[2].shape);
    let fits = index.rank() == 1
        && axis < base.rank()
        && base.rank() == source.rank()
        && (0..base.rank()).all(|k| source[k] == if k == axis { index[0] } else { base[k] });
    if !fits {
        return Err(format!(
            "wants a base like [n, d], indices [m] and a source like [m, d], with m slices along axis {axis}, \
             not {base}, {index} and {source}"
        ));
    }
    Ok(vec![inputs[0].clone()])
}

/// True where a scatter in place is no more work than one that makes a new tensor. Where each slice has an index of its own and slices lie
/// apart, indices cannot be sorted, and each contribution looks at all others of its line.
pub(super) fn updates_in_place(axis: usize, rows: bool, inputs: &[&TensorType]) -> bool {
    let (Some(base), Some(source)) = (inputs.first(), inputs.get(2)) else { return false };
    let (_, length, inner) = lines(base, axis);
    rows || inner == 1 || lines(source, axis).1 <= length
}

/// Lines of an axis: `outer × n × inner`.
fn lines(ty: &TensorType, axis: usize) -> (usize, usize, usize) {
    (ty.shape[..axis].iter().product(), ty.shape[axis], ty.shape[axis + 1..].iter().product())
}

pub(super) fn evaluate(
    axis: usize,
    rows: bool,
    combine: Combine,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    let [(base, start), others @ ..] = inputs else { return Err("wants a base, indices and a source".into()) };
    let out = &mut outputs[0].1[..base.ty.bytes()];
    out.copy_from_slice(&start[..base.ty.bytes()]);
    update(axis, rows, combine, (&base.ty, out), others)
}

/// Joins the source (the second operand) into the base at the indices (the first), and touches nothing else of it.
pub(super) fn update(
    axis: usize,
    rows: bool,
    combine: Combine,
    (ty, base): (&TensorType, &mut [u8]),
    others: &[(&Operand, &[u8])],
) -> Result<(), String> {
    let [(index, indices), (source, values)] = others else { return Err("wants indices and a source".into()) };
    let (_, n, inner) = lines(ty, axis);
    let (_, m, _) = lines(&source.ty, axis);
    let (index, values) = (bytemuck::cast_slice(&indices[..index.ty.bytes()]), &values[..source.ty.bytes()]);
    let out = &mut base[..ty.bytes()];
    if ty.is_empty() || source.ty.is_empty() {
        return Ok(());
    }
    let sizes = (n, m, inner);
    macro_rules! typed {
        ($rust:ty, $add:expr, $mul:expr, $max:expr, $min:expr) => {{
            let (values, out) = (bytemuck::cast_slice(values), bytemuck::cast_slice_mut(out));
            match combine {
                Combine::Sum => join(sizes, rows, index, values, out, $add),
                Combine::Product => join(sizes, rows, index, values, out, $mul),
                Combine::Max => join(sizes, rows, index, values, out, $max),
                Combine::Min => join(sizes, rows, index, values, out, $min),
                Combine::Last => join(sizes, rows, index, values, out, |_: $rust, b| b),
            }
        }};
    }
    match ty.dtype {
        DType::F32 => typed!(f32, |a: f32, b| a + b, |a: f32, b| a * b, Real::larger, Real::smaller),
        DType::F64 => typed!(f64, |a: f64, b| a + b, |a: f64, b| a * b, Real::larger, Real::smaller),
        DType::I32 => typed!(i32, i32::wrapping_add, i32::wrapping_mul, i32::max, i32::min),
        DType::I64 => typed!(i64, i64::wrapping_add, i64::wrapping_mul, i64::max, i64::min),
        DType::U32 => typed!(u32, u32::wrapping_add, u32::wrapping_mul, u32::max, u32::min),
        dtype => return Err(format!("a scatter does not compute in {dtype}")),
    }
    Ok(())
}

impl Operator for ScatterAdd {
    fn name(&self) -> String {
        "scatter_add".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        infer_elements(self.axis, inputs)
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        Some(vec![Some(upstream.clone()), None, Some(upstream.gather(self.axis as isize, &gradient.inputs[1]))])
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        RoutineCost { flops: inputs[2].len() as u64 }
    }

    fn updates_in_place(&self, inputs: &[&TensorType]) -> bool {
        updates_in_place(self.axis, false, inputs)
    }
}

impl CpuRoutine for ScatterAdd {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        evaluate(self.axis, false, Combine::Sum, inputs, outputs)
    }

    fn update(&self, first: (&TensorType, &mut [u8]), others: &[(&Operand, &[u8])]) -> Result<(), String> {
        update(self.axis, false, Combine::Sum, first, others)
    }
}

impl GpuRoutine for ScatterAdd {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self.axis, false, Combine::Sum, shapes, adapter)
    }

    fn update_kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::update_plans(self.axis, false, Combine::Sum, shapes, adapter)
    }
}

impl Operator for ScatterRows {
    fn name(&self) -> String {
        "scatter_rows".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        infer_rows(self.axis, inputs)
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        Some(vec![Some(upstream.clone()), None, Some(upstream.take(self.axis as isize, &gradient.inputs[1]))])
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        RoutineCost { flops: inputs[2].len() as u64 }
    }

    fn updates_in_place(&self, inputs: &[&TensorType]) -> bool {
        updates_in_place(self.axis, true, inputs)
    }
}

impl CpuRoutine for ScatterRows {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        evaluate(self.axis, true, Combine::Sum, inputs, outputs)
    }

    fn update(&self, first: (&TensorType, &mut [u8]), others: &[(&Operand, &[u8])]) -> Result<(), String> {
        update(self.axis, true, Combine::Sum, first, others)
    }
}

impl GpuRoutine for ScatterRows {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self.axis, true, Combine::Sum, shapes, adapter)
    }

    fn update_kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::update_plans(self.axis, true, Combine::Sum, shapes, adapter)
    }
}

impl Tensor {
    /// PyTorch's `scatter_add`: adds each source element at the position that its integer index (i32 or i64) names along an axis,
    /// in the order of the source. The index may be smaller than this and the source; what is outside of it is left out. Indices out of
    /// range are clamped to the axis. [`index_add`](Self::index_add) adds whole slices.
    #[track_caller]
    #[must_use]
    pub fn scatter_add(&self, axis: isize, index: &Self, source: &Self) -> Self {
        let index = &index.i32_indices();
        let Some(axis) = self.resolve_axis("scatter_add", axis) else { return self.clone() };
        let (source, smaller) = match self.scattered("scatter_add", axis, index, source) {
            Ok(fitting) => fitting,
            Err(placeholder) => return placeholder,
        };
        let base = self.shape();
        let op = Op::ScatterAdd(ScatterAdd { axis });
        if smaller == base {
            return self.graph().apply1(op, &[self, index, &source]);
        }
        let zeros = self.graph().scalar(self.dtype(), 0.0).broadcast_to(smaller.clone());
        let part = self.graph().apply1(op, &[&zeros, index, &source]);
        let rest: Vec<usize> = base.iter().zip(smaller.iter()).map(|(full, part)| full - part).collect();
        self + &part.pad(&vec![0; base.rank()], &rest, 0.0)
    }

    /// The part of the source that an index covers, and the shape of the part of this base that it can reach. A placeholder where
    /// they do not fit.
    #[track_caller]
    pub(super) fn scattered(
        &self,
        operator: &str,
        axis: usize,
        index: &Self,
        source: &Self,
    ) -> Result<(Self, Shape), Self> {
        let (base, extent, given) = (self.shape(), index.shape(), source.shape());
        let rank = base.rank();
        let fits = extent.rank() == rank
            && given.rank() == rank
            && (0..rank).all(|k| extent[k] <= given[k] && (k == axis || extent[k] <= base[k]));
        if !fits {
            let message = format!("indices {extent} do not fit base {base} and source {given} beside axis {axis}");
            return Err(self.graph().mistake(operator, message));
        }
        let smaller = (0..rank).map(|k| if k == axis { base[k] } else { extent[k] }).collect();
        Ok((source.slice_steps(&vec![0; rank], &extent, &vec![1; rank]), smaller))
    }

    /// [`index_add`](Self::index_add) for matrices along axis 0: adds rows of the source `[m, d]` to those rows of this `[n, d]` that the
    /// integer indices `[m]` name.
    #[track_caller]
    #[must_use]
    pub fn scatter_rows(&self, index: &Self, source: &Self) -> Self {
        self.graph().apply1(Op::ScatterRows(ScatterRows { axis: 0 }), &[self, &index.i32_indices(), source])
    }

    /// PyTorch's `index_add`: adds the source's m slices along an axis to those of this that the integer indices `[m]` name, in the order
    /// of the source. Indices out of range are clamped to the axis.
    ///
    /// Where this is a variable that is assigned the result, only the slices that are named are read and written.
    #[track_caller]
    #[must_use]
    pub fn index_add(&self, axis: isize, index: &Self, source: &Self) -> Self {
        match self.slices("index_add", axis, source) {
            Ok(axis) => {
                self.graph().apply1(Op::ScatterRows(ScatterRows { axis }), &[self, &index.i32_indices(), source])
            }
            Err(placeholder) => placeholder,
        }
    }

    /// The axis, where a source has this one's shape beside it; else a placeholder.
    #[track_caller]
    pub(super) fn slices(&self, operator: &str, axis: isize, source: &Self) -> Result<usize, Self> {
        let Some(axis) = self.resolve_axis(operator, axis) else { return Err(self.clone()) };
        let (base, given) = (self.shape(), source.shape());
        if given.rank() != base.rank() || (0..base.rank()).any(|k| k != axis && base[k] != given[k]) {
            let message = format!("source {given} does not fit base {base} beside axis {axis}");
            return Err(self.graph().mistake(operator, message));
        }
        Ok(axis)
    }
}
