//! Values of 16 bits: they are stored as such wherever they are in memory, and what widens them is computed where it is read. So what a
//! graph rounds takes half the memory, from the forward to the backward pass too.

use rustc_hash::FxHashMap;

use super::{Fuser, LazyValue};
use crate::compiler::fused::BufferId;
use crate::graph::{Node, ValueId};
use crate::ops::{Elementwise, Op};
use crate::scalar::ScalarFunction;
use crate::tensor::{DType, TensorType};

/// True for the floats of 16 bits.
pub(super) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Copies in f32 for routines that read no 16-bit floats. One serves routines that come soon after each other; a later one makes a copy
/// of its own, so that none lives from the forward to the backward pass.
#[derive(Debug, Default)]
pub(super) struct Widened {
    /// Routines so far.
    pub(super) routines: usize,
    /// For each value, its last copy, and the routine that read it last.
    copies: FxHashMap<ValueId, (BufferId, usize)>,
    /// For each buffer of 16 bits, the number of routines before it was written.
    written: FxHashMap<BufferId, usize>,
}

/// Routines between two that share a copy.
const NEAR: usize = 3;

impl Fuser<'_> {
    /// The buffer of 16-bit floats of which an f32 value is a view: its loads widen.
    pub(super) fn widens(&self, value: ValueId) -> Option<BufferId> {
        let (buffer, _) = self.lazy[&value].as_view()?;
        let is_wide = self.data.ty(value).dtype == DType::F32;
        (is_wide && is_half(self.fused.buffers[buffer.0].ty.dtype)).then_some(buffer)
    }

    /// The value of a node that rounds to 16 bits what is in memory in the same 16 bits: nothing is left to do.
    pub(super) fn rounded_already(&self, node: &Node) -> Option<LazyValue> {
        let Op::Elementwise(Elementwise(ScalarFunction::Cast(dtype))) = node.op else { return None };
        let lazy = &self.lazy[node.inputs.first()?];
        let (buffer, _) = lazy.as_view()?;
        (is_half(dtype) && self.fused.buffers[buffer.0].ty.dtype == dtype).then(|| lazy.clone())
    }

    /// True for a value of 16 bits: it is stored, and what reads it reads that, not the wider values that it was computed from. Where one
    /// kernel computes and reads it, it is not in memory after all.
    pub(super) fn is_stored_half(&self, value: ValueId) -> bool {
        self.options.fuse && is_half(self.data.ty(value).dtype)
    }

    /// A row-major copy in f32 of what widens a buffer, for the routine that is being added.
    pub(super) fn widened_for_routine(&mut self, value: ValueId, half: BufferId, ty: &TensorType) -> BufferId {
        let now = self.widened.routines;
        if let Some((copy, last)) = self.widened.copies.get_mut(&value)
            && now - *last <= NEAR
        {
            *last = now;
            return *copy;
        }
        let lazy = self.lazy[&value].clone();
        let copy = self.map_kernel(value, ty, lazy);
        if now - self.widened.written.get(&half).copied().unwrap_or(0) > NEAR
            && let Some(kernel) = self.fused.kernels.last_mut()
        {
            kernel.is_late = true;
        }
        self.widened.copies.insert(value, (copy, now));
        copy
    }

    /// In a graph of mixed precision, the mask by which a costly value is chosen that several read, as dropout's: a byte is stored for each of
    /// its elements, instead of an f32.
    pub(super) fn mask_to_store(&self, value: ValueId, node: &Node, lazy: &LazyValue) -> Option<ValueId> {
        let several = self.uses.get(&value).is_some_and(|&uses| uses > 1);
        if !self.is_mixed || !several || lazy.is_cheap() || !matches!(node.op.function(), Some(ScalarFunction::Select))
        {
            return None;
        }
        let mask = node.inputs.first().copied()?;
        (self.data.ty(mask).dtype == DType::Bool && self.lazy[&mask].as_view().is_none()).then_some(mask)
    }

    /// Notes when a buffer of 16-bit floats was written.
    pub(super) fn note_half(&mut self, buffer: BufferId) {
        self.widened.written.insert(buffer, self.widened.routines);
    }
}
