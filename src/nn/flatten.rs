//! All axes of an example as one.

use super::{Layer, Scope, Sequential};
use crate::graph::Tensor;
use crate::tensor::Shape;

/// All axes of an example as one: `[…]` to `[n]`.
///
/// ```
/// use wgrad::nn::{Flatten, Sequential};
/// assert_eq!(Sequential::new([3, 4, 5]).layer(Flatten).output_shape()?, [60].into());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Layer for Flatten {
    fn describe(&self) -> String {
        "flatten".into()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        Ok([input.len()].into())
    }

    #[track_caller]
    fn forward(&self, _: &Scope<'_>, x: &Tensor) -> Tensor {
        x.flatten(1)
    }
}

impl Sequential {
    /// All axes as one.
    #[must_use]
    #[track_caller]
    pub fn flatten(self) -> Self {
        self.layer(Flatten)
    }
}
