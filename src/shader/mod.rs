//! Floor 1: shaders as plain data. A kernel is composed WGSL with its bindings; a plan says which kernels to dispatch on
//! what, and how often. Nothing here knows wgpu: the GPU device runs plans, tests read them.

mod adapter;
mod compose;
mod grid;
mod kernel;

pub use adapter::{Adapter, Limits};
pub use compose::{compose, files};
pub use grid::Grid;
pub use kernel::{Access, Bound, DispatchPlan, Kernel, KernelPlan, Operand, RoutineShapes};

/// Kernels for a reduction; a stand-in until they land.
pub(crate) fn reduce_plans(
    _: &crate::scalar::ScalarExpr,
    _: [usize; 2],
    _: crate::scalar::Reduction,
    _: &crate::scalar::Epilogue,
    _: &Adapter,
) -> Result<Vec<KernelPlan>, String> {
    Err("reductions have no GPU kernel yet".into())
}
