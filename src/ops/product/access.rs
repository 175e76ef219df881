//! How the kernels of a product reach memory: operands of 16 or 32 bits, read an element at a time or four neighbours at once, and
//! results stored in the same ways.
//!
//! Operands of f16 and bf16 are widened as they are loaded, and sums are f32. An epilogue stores such floats in groups of four neighbours,
//! where rows of the result are whole groups. Convolutions read operands in groups where they are products of matrices.

use super::{Algorithm, Product};
use crate::scalar::{Emitted, Epilogue};
use crate::shader::slot::{Lanes, Lhs, Load, Rhs, StoredConstants};
use crate::shader::{Adapter, Composer};
use crate::tensor::DType;

/// Of one kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ops) struct Access {
    /// The operands' element types in memory: f32, f16 or bf16.
    stored: [DType; 2],
    /// Matrix instructions take f16 as it is.
    is_cooperative: bool,
    /// Whether an operand's neighbours lie along the inner dimension.
    pub(super) along_inner: [bool; 2],
    /// Both operands are read four neighbours at a time.
    pub(super) reads_quads: bool,
    /// Where the right operand is read two neighbours at a time: whether those lie along the inner dimension.
    pub(in crate::ops) pairs: Option<bool>,
    /// Results are stored four neighbours at a time.
    pub(super) stores_quads: bool,
}

impl Access {
    pub(super) fn new(product: &Product, algorithm: Algorithm, epilogue: &Epilogue, adapter: &Adapter) -> Self {
        // Tiles are for real GPUs, where four neighbours cost no more to load than one.
        let is_cooperative = matches!(algorithm, Algorithm::Cooperative { .. });
        let is_tiled = is_cooperative || matches!(algorithm, Algorithm::Tiled { .. } | Algorithm::Small { .. });
        let quads = product.quads.filter(|_| is_tiled);
        // For a software driver the load is what costs, and one of 64 bits costs as much as one of 32.
        let pairs = product.pairs.filter(|&along_inner| match algorithm {
            Algorithm::Software { columns, .. } => {
                adapter.is_software && adapter.wide_integers && (along_inner || columns.is_multiple_of(2))
            }
            Algorithm::Tiled { .. }
            | Algorithm::Small { .. }
            | Algorithm::Cooperative { .. }
            | Algorithm::Direct { .. } => false,
        });
        Self {
            stored: product.stored,
            is_cooperative,
            along_inner: quads.unwrap_or(product.along_inner),
            reads_quads: quads.is_some(),
            pairs,
            stores_quads: product.stores_quads && (is_tiled || epilogue.stores_less_than_words()),
        }
    }

    /// Fills the slots of a kernel that reads both operands.
    pub(super) fn fill(&self, kernel: Composer) -> Composer {
        let is = |side: usize, dtype: DType| self.stored[side] == dtype;
        let stored = StoredConstants {
            lhs_f16: is(0, DType::F16),
            lhs_bf16: is(0, DType::BF16),
            rhs_f16: is(1, DType::F16),
            rhs_bf16: is(1, DType::BF16),
        };
        let lhs = match (self.reads_quads, self.stored[0]) {
            (true, _) if self.is_cooperative => Lhs::QuadsF16,
            (false, _) if self.is_cooperative => Lhs::ElementsF16,
            (true, DType::F32) => Lhs::Quads,
            (true, _) => Lhs::QuadsHalf,
            (false, _) => Lhs::Elements,
        };
        let rhs = match (self.reads_quads, self.stored[1]) {
            (true, _) if self.is_cooperative => Rhs::QuadsF16,
            (false, _) if self.is_cooperative => Rhs::ElementsF16,
            (true, DType::F32) => Rhs::Quads,
            (true, _) => Rhs::QuadsHalf,
            (false, _) if self.pairs.is_some() => Rhs::Pairs,
            (false, _) => Rhs::Elements,
        };
        kernel.slot(stored).slot(lhs).slot(rhs).slot(self.lanes())
    }

    /// How tiles are loaded.
    pub(super) const fn load(&self) -> Load {
        if self.reads_quads { Load::Quads } else { Load::Elements }
    }

    /// Elements of the result that are finished at once.
    pub(super) const fn lanes(&self) -> Lanes {
        if self.stores_quads { Lanes::Four } else { Lanes::One }
    }

    /// What fills the slot `finish`.
    pub(super) fn finish(&self, epilogue: &Epilogue, first_binding: usize) -> Emitted {
        if self.stores_quads { epilogue.emit_quads(first_binding) } else { epilogue.emit(first_binding) }
    }

    /// For the kernel's label.
    pub(super) fn label(&self) -> String {
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
        if self.pairs.is_some() {
            label.push_str(" pairs");
        }
        label
    }
}

/// True for the types that products read as they are stored.
pub(in crate::ops) const fn is_read(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
}
