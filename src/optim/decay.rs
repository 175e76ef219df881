//! What draws parameters to 0 besides the gradient.

use super::{NON_NEGATIVE, in_range};

/// Weight decay in its three forms; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Decay {
    /// λ·p is added to the gradient: the derivative of λ/2·p² (`weight_decay` of PyTorch's SGD and Adam).
    pub l2: f64,
    /// λ·sign p is added to the gradient: the derivative of λ·|p|.
    pub l1: f64,
    /// p becomes (1 − learning rate · λ)·p before each step (Loshchilov and Hutter 2017; `weight_decay` of PyTorch's AdamW).
    pub decoupled: f64,
}

impl Decay {
    /// No decay.
    pub const NONE: Self = Self { l2: 0.0, l1: 0.0, decoupled: 0.0 };

    /// λ·p added to the gradient.
    pub const fn l2(strength: f64) -> Self {
        Self { l2: strength, ..Self::NONE }
    }

    /// λ·sign p added to the gradient.
    pub const fn l1(strength: f64) -> Self {
        Self { l1: strength, ..Self::NONE }
    }

    /// p times (1 − learning rate · λ) before each step, apart from the gradient.
    pub const fn decoupled(strength: f64) -> Self {
        Self { decoupled: strength, ..Self::NONE }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        in_range(&[
            ("weight decay", self.l2, NON_NEGATIVE),
            ("l1", self.l1, NON_NEGATIVE),
            ("decoupled weight decay", self.decoupled, NON_NEGATIVE),
        ])
    }
}

/// The builder methods of an optimizer with a field `decay`.
macro_rules! decay_methods {
    ($optimizer:ident, weight_decay: $field:ident, $doc:literal) => {
        impl $optimizer {
            #[doc = $doc]
            #[must_use]
            pub const fn weight_decay(mut self, weight_decay: f64) -> Self {
                self.decay.$field = weight_decay;
                self
            }

            /// With λ·sign p added to the gradient.
            #[must_use]
            pub const fn l1(mut self, l1: f64) -> Self {
                self.decay.l1 = l1;
                self
            }
        }
    };
    ($optimizer:ident) => {
        decay_methods!($optimizer, weight_decay: l2, "With λ·p added to the gradient, as PyTorch's `weight_decay`.");

        impl $optimizer {
            /// With p times (1 − learning rate · λ) before each step, apart from the gradient, as in AdamW.
            #[must_use]
            pub const fn decoupled_weight_decay(mut self, weight_decay: f64) -> Self {
                self.decay.decoupled = weight_decay;
                self
            }
        }
    };
}
pub(super) use decay_methods;
