//! Dropout.

use super::{Layer, Mode, Scope, Sequential};
use crate::graph::Tensor;
use crate::tensor::Shape;

/// Sets elements to 0 with a probability while training, and scales the others by 1/(1 − p), so that sums keep their
/// expectation (Srivastava et al. 2014; PyTorch's `Dropout`). In evaluation it is the identity.
///
/// Each dropout of a graph draws from a stream of its own, anew at every step, from the session's seed.
///
/// ```
/// use wgrad::graph::Graph;
/// use wgrad::nn::{Dropout, Mode};
/// use wgrad::tensor::DType;
/// let g = Graph::new();
/// let x = g.input("x", [8, 3], DType::F32);
/// let y = Dropout::new(0.5).forward(&x, Mode::Training);
/// assert_eq!(y.shape(), x.shape());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The probability of an element to become 0, from 0 to 1.
    pub probability: f64,
}

impl Dropout {
    /// With the probability of an element to become 0.
    pub const fn new(probability: f64) -> Self {
        Self { probability }
    }

    /// Applied to floats of any shape.
    #[track_caller]
    pub fn forward(self, x: &Tensor, mode: Mode) -> Tensor {
        if let Err(message) = self.check() {
            return x.graph().mistake("dropout", message);
        }
        match mode {
            Mode::Evaluation => x.clone(),
            Mode::Training if self.probability == 0.0 => x.clone(),
            // 1/(1 − p) would be infinite, and its gradient NaN.
            Mode::Training if self.probability == 1.0 => x.zeros_like(),
            Mode::Training => {
                let keep = 1.0 - self.probability;
                // Times 0, so that NaN stays NaN, as in PyTorch.
                let factor = x.graph().random_bernoulli(x.shape(), keep).select(x.filled_like(1.0 / keep), 0.0);
                x * factor
            }
        }
    }

    pub(super) fn check(self) -> Result<(), String> {
        if (0.0..=1.0).contains(&self.probability) {
            Ok(())
        } else {
            Err(format!("the probability is {}, and must be from 0 to 1", self.probability))
        }
    }
}

impl Layer for Dropout {
    fn describe(&self) -> String {
        format!("dropout({})", self.probability)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        self.check().map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        Self::forward(*self, x, scope.mode())
    }
}

impl Sequential {
    /// Elements set to 0 with this probability while training.
    #[must_use]
    #[track_caller]
    pub fn dropout(self, probability: f64) -> Self {
        self.layer(Dropout::new(probability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::tensor::DType;

    #[test]
    fn it_is_the_identity_where_nothing_is_to_do() {
        let g = Graph::new();
        let x = g.input("x", [2], DType::F32);
        assert_eq!(Dropout::new(0.5).forward(&x, Mode::Evaluation).id(), x.id());
        assert_eq!(Dropout::new(0.0).forward(&x, Mode::Training).id(), x.id());
        assert_ne!(Dropout::new(0.5).forward(&x, Mode::Training).id(), x.id());
        assert!(g.error().is_none());
    }

    #[test]
    fn a_probability_is_from_0_to_1() {
        for probability in [-0.1, 1.1, f64::NAN] {
            let g = Graph::new();
            Dropout::new(probability).forward(&g.input("x", [2], DType::F32), Mode::Evaluation);
            assert!(g.error().is_some_and(|error| error.to_string().starts_with("dropout: the probability is")));
        }
    }
}
