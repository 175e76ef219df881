//! How the kernels of a product reach memory: operands of 16 or 32 bits, read an element at a time or four neighbours at once, and
//! results stored in the same ways. Convolutions are products too, and say it here as well.

use crate::scalar::{Emitted, Epilogue, QUAD_LANES};
use crate::shader::module;
use crate::tensor::DType;

/// Modules that replace others in a kernel.
pub(in crate::ops) type Modules = Vec<(&'static str, &'static str)>;

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
    /// Flags of `shared/tile`.
    pub(in crate::ops) fn flags(&self) -> [(&'static str, bool); 8] {
        let is = |side: usize, dtype: DType| self.stored[side] == dtype;
        [
            ("QUADS", self.stores_quads),
            ("LHS_F16", is(0, DType::F16)),
            ("LHS_BF16", is(0, DType::BF16)),
            ("RHS_F16", is(1, DType::F16)),
            ("RHS_BF16", is(1, DType::BF16)),
            ("RHS_PAIRS", self.reads_pairs),
            ("LHS_ALONG_INNER", self.along_inner[0]),
            ("RHS_ALONG_INNER", self.along_inner[1]),
        ]
    }

    /// What replaces the modules that read one element at a time.
    pub(in crate::ops) fn modules(&self) -> Result<Modules, String> {
        let mut modules = Modules::new();
        if self.stores_quads {
            modules.push(("shared/lanes", QUAD_LANES));
        }
        if self.reads_quads {
            let quads = |side: usize, words: &'static str, halves: &'static str| {
                module(if self.stored[side] == DType::F32 { words } else { halves })
            };
            modules.push(("shared/loading", module("shared/loading_quads")?));
            modules.push(("shared/lhs", quads(0, "shared/lhs_quads", "shared/lhs_quads_half")?));
            modules.push(("shared/rhs", quads(1, "shared/rhs_quads", "shared/rhs_quads_half")?));
        }
        if self.reads_pairs {
            modules.push(("shared/rhs", module("shared/rhs_pairs")?));
        }
        Ok(modules)
    }

    /// The module that replaces `shared/finish`.
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
