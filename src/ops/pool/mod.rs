//! Pools: the largest element or the sum of each window over one to three spatial axes.
//!
//! Backward passes gather: each element looks at the few windows over it, so that nothing is added atomically and nothing
//! filled with zeros first. The kinds are closed under differentiation: the gradient of a max pool scatters by the indices
//! that it found, that of a scatter gathers by them, and sums and their gradients are each other's.

mod axis;
mod compute;
mod kernels;
mod options;
mod tensor;
#[cfg(test)]
mod tests;

use half::{bf16, f16};

use super::Op;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, Shape, TensorType};

pub use axis::{PoolAxis, Steps};
pub(crate) use options::adaptive_axes;
pub use options::{AvgPool, LpPool, MaxPool};

/// What is made of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// From elements to the largest of each window, and its i32 index in the plane of the spatial axes. The first of equals
    /// counts; a NaN wins. A window without elements, which is in the padding, gives −∞ and −1.
    Max,
    /// From a value for each window, and indices, to the sum for each element over the windows that found it.
    MaxScatter,
    /// From elements, and indices, to the element that each window found.
    MaxGather,
    /// From elements to the sum of each window.
    Sum,
    /// From a value for each window to the sum for each element over the windows that it is in.
    SumGradient,
}

/// A pool over the spatial axes of a tensor `[batch, channels, spatial…]`, or its gradient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// What is made of windows.
    pub kind: PoolKind,
    /// The windows along each spatial axis.
    pub axes: Vec<PoolAxis>,
}

impl PoolKind {
    /// True where the input is a value for each window.
    const fn takes_windows(self) -> bool {
        matches!(self, Self::MaxScatter | Self::SumGradient)
    }

    const fn has_indices(self) -> bool {
        matches!(self, Self::MaxScatter | Self::MaxGather)
    }
}

impl Pool {
    /// The axes as three, of which the first may be single.
    fn three(&self) -> [PoolAxis; 3] {
        let mut axes = [PoolAxis::SINGLE; 3];
        for (target, axis) in axes.iter_mut().rev().zip(self.axes.iter().rev()) {
            *target = *axis;
        }
        axes
    }

    fn elements(&self) -> usize {
        self.axes.iter().map(|axis| axis.extent).product()
    }

    fn windows(&self) -> usize {
        self.axes.iter().map(|axis| axis.windows).product()
    }

    /// A shape with other spatial extents.
    fn shape(&self, shape: &Shape, extent: impl Fn(&PoolAxis) -> usize) -> Shape {
        shape[..2].iter().copied().chain(self.axes.iter().map(extent)).collect()
    }

    fn apply(&self, kind: PoolKind, inputs: &[&Tensor]) -> Option<Tensor> {
        let pool = Self { kind, axes: self.axes.clone() };
        inputs.first().map(|first| first.graph().apply1(Op::Pool(pool), inputs))
    }
}

impl Operator for Pool {
    fn name(&self) -> String {
        match self.kind {
            PoolKind::Max => "max_pool",
            PoolKind::MaxScatter => "max_pool_scatter",
            PoolKind::MaxGather => "max_pool_gather",
            PoolKind::Sum => "sum_pool",
            PoolKind::SumGradient => "sum_pool_gradient",
        }
        .into()
    }

    fn output_count(&self) -> usize {
        if self.kind == PoolKind::Max { 2 } else { 1 }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let ty = inputs[0];
        if !ty.dtype.is_float() {
            return Err(format!("wants floats, not {}; cast first", ty.dtype));
        }
        let axes = self.axes.len();
        if !(1..=3).contains(&axes) || ty.shape.rank() != axes + 2 {
            return Err(format!("wants a batch, channels and {axes} spatial axes, not {}", ty.shape));
        }
        let extents = self.shape(&ty.shape, |axis| axis.extent);
        let windows = self.shape(&ty.shape, |axis| axis.windows);
        let (expected, shape) = if self.kind.takes_windows() { (&windows, &extents) } else { (&extents, &windows) };
        if ty.shape != *expected {
            return Err(format!("its windows are for {expected}, not {}", ty.shape));
        }
        if self.kind.has_indices() {
            let indices = TensorType::new(DType::I32, &windows);
            if *inputs[1] != indices {
                return Err(format!("wants indices {indices}, not {}", inputs[1]));
            }
        }
        let mut outputs = vec![TensorType::new(ty.dtype, shape)];
        if self.kind == PoolKind::Max {
            outputs.push(TensorType::new(DType::I32, shape));
        }
        Ok(outputs)
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self).accepts_epilogue(self.output_count() == 1))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let Some(upstream) = &gradient.upstream[0] else { return Some(vec![None; gradient.inputs.len()]) };
        Some(match self.kind {
            PoolKind::Max => vec![self.apply(PoolKind::MaxScatter, &[upstream, &gradient.outputs[1]])],
            PoolKind::MaxScatter => vec![self.apply(PoolKind::MaxGather, &[upstream, &gradient.inputs[1]]), None],
            PoolKind::MaxGather => vec![self.apply(PoolKind::MaxScatter, &[upstream, &gradient.inputs[1]]), None],
            PoolKind::Sum => vec![self.apply(PoolKind::SumGradient, &[upstream])],
            PoolKind::SumGradient => vec![self.apply(PoolKind::Sum, &[upstream])],
        })
    }

    fn cost(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> RoutineCost {
        let windows = if self.kind.takes_windows() { inputs[0].len() } else { outputs[0].len() };
        let elements: usize = match self.kind {
            PoolKind::MaxScatter | PoolKind::MaxGather => 1,
            PoolKind::Max | PoolKind::Sum | PoolKind::SumGradient => self.axes.iter().map(PoolAxis::longest).product(),
        };
        RoutineCost { flops: windows as u64 * elements as u64 }
    }
}

impl CpuRoutine for Pool {
    fn reads_stored(&self, input: usize) -> bool {
        input == 0
    }

    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        match inputs[0].0.ty.dtype {
            DType::F32 => compute::run::<f32, f32>(self, inputs, outputs),
            DType::F16 => compute::run::<f32, f16>(self, inputs, outputs),
            DType::BF16 => compute::run::<f32, bf16>(self, inputs, outputs),
            DType::F64 => compute::run::<f64, f64>(self, inputs, outputs),
            dtype => Err(format!("{} does not compute in {dtype}", self.name())),
        }
    }
}

impl GpuRoutine for Pool {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter)
    }

    fn reads_stored(&self, input: usize) -> bool {
        input == 0
    }

    fn stores_quads(&self, output: &TensorType) -> bool {
        output.len().is_multiple_of(4)
    }
}
