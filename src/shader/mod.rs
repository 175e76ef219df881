//! Floor 1: shaders as plain data. A kernel is composed WGSL with its bindings; a plan says which kernels to dispatch on
//! what, and how often. Nothing here knows wgpu: the GPU device runs plans, tests read them.

mod adapter;
mod build;
mod compose;
mod grid;
mod kernel;
mod reduce;
#[cfg(test)]
pub(crate) mod testing;
mod tuned;

pub(crate) use adapter::Limit;
pub use adapter::{Adapter, Limits};
pub use build::DispatchBuilder;
pub use compose::{compose, files};
pub(crate) use compose::{constants, element_types, module};
pub use grid::Grid;
pub use kernel::{Access, Bound, DispatchPlan, Kernel, KernelPlan, Operand, RoutineShapes};
pub(crate) use reduce::{chunk_sums, reduce_candidates, reduce_plans};
pub use tuned::{PlanId, Tuned, WorkKey};
