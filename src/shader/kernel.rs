//! Kernels and plans: what to bind, what to dispatch.

use std::sync::Arc;

use crate::scalar::Affine;
use crate::tensor::TensorType;

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// A compute shader, complete. Binding 0 of group 0 is the uniform parameters, bindings 1, 2, … are storage buffers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// What a profile calls it: family and variant.
    pub label: String,
    /// Composed WGSL with the entry point `main`.
    pub source: Arc<str>,
    /// Access of each storage binding, from binding 1 on.
    pub bindings: Vec<Access>,
    /// True where it needs subgroup operations.
    pub subgroups: bool,
}

impl Kernel {
    /// A kernel of a file under `shaders/`, with some modules replaced.
    ///
    /// # Errors
    /// Where the file or a module does not exist.
    pub(crate) fn composed(
        label: impl Into<String>,
        file: &str,
        replaced: &[(&str, &str)],
        reads: usize,
        writes: usize,
    ) -> Result<Self, String> {
        let bindings = std::iter::repeat_n(Access::Read, reads).chain(std::iter::repeat_n(Access::ReadWrite, writes));
        Ok(Self {
            label: label.into(),
            source: super::compose(file, replaced)?.into(),
            bindings: bindings.collect(),
            subgroups: false,
        })
    }
}

/// What a binding is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// An input of the routine.
    Input(usize),
    /// An output of the routine.
    Output(usize),
    /// Memory between the dispatches of one plan.
    Scratch(usize),
}

/// One dispatch of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct DispatchPlan {
    /// What runs.
    pub kernel: Kernel,
    /// Words of the uniform parameters after the first, which is the grid's width and precedes them.
    pub params: Vec<u32>,
    /// What the kernel's storage bindings are.
    pub bound: Vec<Bound>,
    /// Workgroups in all; the grid folds them.
    pub workgroups: usize,
}

/// The dispatches that do a routine's work.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct KernelPlan {
    /// In order.
    pub dispatches: Vec<DispatchPlan>,
    /// Bytes of each scratch memory.
    pub scratch: Vec<usize>,
}

/// An input of a routine: its type and how its coordinates map to addresses (in elements).
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// Element type (as stored) and shape.
    pub ty: TensorType,
    /// Addresses; row-major unless the operator accepts views.
    pub at: Affine,
}

/// What a routine's kernels are chosen by.
pub struct RoutineShapes<'a> {
    /// The operator's inputs, in order. Their element types are compute types (f32, i32 or u32), or f16 and bf16 where the operator
    /// reads such an input [as it is stored](crate::graph::GpuRoutine::reads_stored).
    pub inputs: &'a [Operand],
    /// The operator's outputs as the operator states them (compute types).
    pub outputs: &'a [TensorType],
    /// The generated epilogue, for operators that accept one. Its extra inputs come after the operator's own in
    /// [`Bound::Input`], and its outputs replace the operator's.
    pub epilogue: Option<&'a crate::scalar::Epilogue>,
}
