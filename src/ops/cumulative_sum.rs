//! Running sums along an axis.

mod kernels;
#[cfg(test)]
mod tests;

use super::Op;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::parallel::each_chunk;
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// The running sum along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CumulativeSum {
    /// The axis.
    pub axis: usize,
    /// From the end.
    pub reverse: bool,
    /// Without the element itself.
    pub exclusive: bool,
}

/// How a running sum or product goes along an axis: an axis alone goes from its first element on, with each element included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    pub(super) axis: isize,
    pub(super) reverse: bool,
    pub(super) exclusive: bool,
}

impl Running {
    /// Along an axis.
    pub const fn along(axis: isize) -> Self {
        Self { axis, reverse: false, exclusive: false }
    }

    /// From the last element to the first.
    #[must_use]
    pub const fn reverse(self) -> Self {
        Self { reverse: true, ..self }
    }

    /// Each result without the element itself.
    #[must_use]
    pub const fn exclusive(self) -> Self {
        Self { exclusive: true, ..self }
    }
}

impl From<isize> for Running {
    fn from(axis: isize) -> Self {
        Self::along(axis)
    }
}

impl Operator for CumulativeSum {
    fn name(&self) -> String {
        "cumulative_sum".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs[0].dtype {
            dtype @ (DType::Bool | DType::U8) => Err(format!("{dtype} is not added; cast first")),
            _ if self.axis >= inputs[0].shape.rank() => {
                Err(format!("axis {} does not exist in shape {}", self.axis, inputs[0].shape))
            }
            _ => Ok(vec![inputs[0].clone()]),
        }
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let backward = Self { reverse: !self.reverse, ..*self };
        Some(vec![Some(upstream.graph().apply1(Op::CumulativeSum(backward), &[upstream]))])
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        RoutineCost { flops: inputs[0].len() as u64 }
    }
}

impl CpuRoutine for CumulativeSum {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        let (ty, out) = &mut outputs[0];
        let bytes = inputs[0].1;
        match ty.dtype {
            // Sums run in f64, as those of a reduction do.
            DType::F32 => self.run(ty, bytes, out, 0.0, |sum: f64, x: f32| sum + f64::from(x), |sum| sum as f32),
            DType::F64 => self.run(ty, bytes, out, 0.0, |sum: f64, x: f64| sum + x, |sum| sum),
            DType::I32 => self.run(ty, bytes, out, 0, i32::wrapping_add, |sum| sum),
            DType::I64 => self.run(ty, bytes, out, 0, i64::wrapping_add, |sum| sum),
            DType::U32 => self.run(ty, bytes, out, 0, u32::wrapping_add, |sum| sum),
            dtype => return Err(format!("cumulative_sum does not compute in {dtype}")),
        }
        Ok(())
    }
}

impl GpuRoutine for CumulativeSum {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter)
    }
}

impl CumulativeSum {
    fn run<T: bytemuck::Pod + Send + Sync, S: Copy + Send + Sync>(
        &self,
        ty: &TensorType,
        bytes: &[u8],
        out: &mut [u8],
        start: S,
        add: impl Fn(S, T) -> S + Sync,
        store: impl Fn(S) -> T + Sync,
    ) {
        let n = ty.shape[self.axis];
        let inner: usize = ty.shape[self.axis + 1..].iter().product();
        if ty.is_empty() {
            return;
        }
        let values: &[T] = &bytemuck::cast_slice(bytes)[..ty.len()];
        let out: &mut [T] = &mut bytemuck::cast_slice_mut(out)[..ty.len()];
        each_chunk(out, n * inner, true, |outer, out| {
            let values = &values[outer * n * inner..];
            for column in 0..inner {
                let mut sum = start;
                for k in 0..n {
                    let index = (if self.reverse { n - 1 - k } else { k }) * inner + column;
                    let next = add(sum, values[index]);
                    out[index] = store(if self.exclusive { sum } else { next });
                    sum = next;
                }
            }
        });
    }
}

impl Tensor {
    /// The running sum along an axis, or as [`Running`] says.
    ///
    /// ```
    /// use wgrad::ops::Running;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.constant(TensorData::from_vec(vec![1.0_f32, 2.0, 3.0], [3])?);
    /// g.output("sums", &x.cumulative_sum(0));
    /// g.output("before", &x.cumulative_sum(Running::along(0).exclusive()));
    /// let run = g.compile(&Device::cpu())?.run(&[])?;
    /// assert_eq!(run["sums"].to_f64_vec(), [1.0, 3.0, 6.0]);
    /// assert_eq!(run["before"].to_f64_vec(), [0.0, 1.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    #[doc(alias = "cumsum")]
    pub fn cumulative_sum(&self, running: impl Into<Running>) -> Self {
        let Running { axis, reverse, exclusive } = running.into();
        let Some(axis) = self.resolve_axis("cumulative_sum", axis) else { return self.clone() };
        self.graph().apply1(Op::CumulativeSum(CumulativeSum { axis, reverse, exclusive }), &[self])
    }
}
