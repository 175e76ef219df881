//! How the kernels of a product reach memory: operands of 16 or 32 bits, read an element at a time or four neighbours at once, and
//! results stored in the same ways. Convolutions are products too, and say it here as well.

use super::choice::Variant;
use crate::scalar::{Emitted, Epilogue};
use crate::shader::Composer;
use crate::shader::slot::{Lanes, Lhs, Load, Rhs, StoredConstants, TileConstants};
use crate::tensor::DType;

/// Of one kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ops) struct Access {
    /// The operands' element types in memory: f32, f16 or bf16.
    pub(in crate::ops) stored: [DType; 2],
    /// Whether an operand's neighbours lie along the inner dimension.
    pub(in crate::ops) along_inner: [bool; 2],
    /// Both operands are read four neighbours at a time.
    pub(in crate::ops) reads_quads: bool,
    /// The right operand is read two neighbours at a time.
    pub(in crate::ops) reads_pairs: bool,
    /// Results are stored four neighbours at a time.
    pub(in crate::ops) stores_quads: bool,
}

impl Access {
    /// Fills the slots of a kernel that reads both operands.
    pub(in crate::ops) fn fill(&self, kernel: Composer) -> Composer {
        let is = |side: usize, dtype: DType| self.stored[side] == dtype;
        let stored = StoredConstants {
            lhs_f16: is(0, DType::F16),
            lhs_bf16: is(0, DType::BF16),
            rhs_f16: is(1, DType::F16),
            rhs_bf16: is(1, DType::BF16),
        };
        let lhs = match (self.reads_quads, self.stored[0]) {
            (true, DType::F32) => Lhs::Quads,
            (true, _) => Lhs::QuadsHalf,
            (false, _) => Lhs::Elements,
        };
        let rhs = match (self.reads_quads, self.stored[1]) {
            (true, DType::F32) => Rhs::Quads,
            (true, _) => Rhs::QuadsHalf,
            (false, _) if self.reads_pairs => Rhs::Pairs,
            (false, _) => Rhs::Elements,
        };
        kernel.slot(stored).slot(lhs).slot(rhs).slot(self.lanes())
    }

    /// The sizes of tiles.
    pub(in crate::ops) const fn tiles(&self, variant: &Variant) -> TileConstants {
        TileConstants {
            rows: variant.tile[0],
            columns: variant.tile[1],
            inner: variant.inner,
            lhs_along_inner: self.along_inner[0],
            rhs_along_inner: self.along_inner[1],
        }
    }

    /// How tiles are loaded.
    pub(in crate::ops) const fn load(&self) -> Load {
        if self.reads_quads { Load::Quads } else { Load::Elements }
    }

    /// Elements of the result that are finished at once.
    pub(in crate::ops) const fn lanes(&self) -> Lanes {
        if self.stores_quads { Lanes::Four } else { Lanes::One }
    }

    /// What fills the slot `finish`.
    pub(in crate::ops) fn finish(&self, epilogue: &Epilogue, first_binding: usize) -> Emitted {
        if self.stores_quads { epilogue.emit_quads(first_binding) } else { epilogue.emit(first_binding) }
    }

    /// For the kernel's label.
    pub(in crate::ops) fn label(&self) -> String {
        let mut label = String::new();
        for dtype in [DType::F16, DType::BF16] {
            if self.stored.contains(&dtype) {
                label.push(' ');
                label.push_str(dtype.name());
            }
        }
        if self.reads_quads {
            label.push_str(" quads");
        }
        if self.reads_pairs {
            label.push_str(" pairs");
        }
        label
    }
}

/// True for the types that products read as they are stored.
pub(in crate::ops) const fn is_read(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
}
