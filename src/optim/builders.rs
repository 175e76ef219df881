//! Builder methods that several optimizers have, written once.

/// Those of an optimizer with a field `betas`; `$shares` says what stays.
macro_rules! betas_method {
    ($optimizer:ident, $shares:literal) => {
        impl $optimizer {
            #[doc = concat!("With other shares of ", $shares, " that stay.")]
            #[must_use]
            pub const fn betas(mut self, first: f64, second: f64) -> Self {
                self.betas = (first, second);
                self
            }
        }
    };
    ($optimizer:ident) => {
        betas_method!($optimizer, "the running means");
    };
}

/// That of an optimizer with a field `epsilon`.
macro_rules! epsilon_method {
    ($optimizer:ident) => {
        impl $optimizer {
            /// With another ε.
            #[must_use]
            pub const fn epsilon(mut self, epsilon: f64) -> Self {
                self.epsilon = epsilon;
                self
            }
        }
    };
}

pub(super) use {betas_method, epsilon_method};
