//! Shaders as plain data. A kernel is composed WGSL with its bindings; a plan says which kernels to dispatch on
//! what, and how often. Nothing here knows wgpu: the GPU device runs plans, tests read them.

mod adapter;
mod build;
mod chip;
mod compose;
mod files;
mod grid;
mod kernel;
mod reduce;
mod rows;
#[cfg(test)]
pub(crate) mod testing;
mod tuned;

pub(crate) use adapter::Limit;
pub use adapter::{Adapter, Limits};
pub use build::DispatchBuilder;
pub use chip::Chip;
pub(crate) use chip::Needs;
pub(crate) use compose::Composer;
pub(crate) use files::KernelFile;
pub use files::files;
pub use grid::Grid;
pub(crate) use kernel::IterationWords;
pub use kernel::{Access, Bound, DispatchPlan, Kernel, KernelPlan, Operand, RoutineShapes};
pub(crate) use reduce::{chunk_sums, reduce_candidates, reduce_plans};
pub(crate) use rows::{row_candidates, row_plans};
pub use tuned::{PlanId, Tuned, WorkKey};

/// What fills the slots of kernels.
pub(crate) mod slot {
    pub(crate) use super::files::{
        AttentionConstants, AttentionPass, AttentionSoftwareConstants, Barrier, Blocks, Carry, Cell, CellConstants,
        ConvolutionConstants, CooperativeConstants, DirectConstants, Element, Expression, ExtremeConstants, Finish,
        Fold, Fragment, JoinedRows, Lanes, Lhs, Load, Nan, Operand, PairConstants, PoolConstants, PoolStore,
        ProductConstants, RecurrenceConstants, ReductionConstants, Rhs, RowFunctions, RowSums, Score,
        SequenceConstants, SoftwareConstants, SortConstants, SortKey, SplitConstants, Staging, StateProduct,
        StateWeight, StepStore, Store, StoredConstants, Texel, TileConstants, Words,
    };
}
