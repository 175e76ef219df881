//! Inverse trigonometric and hyperbolic functions, composed of ones that are accurate near 0 and do not overflow early. Their
//! gradients follow from that.

use crate::graph::Tensor;

impl Tensor {
    /// The arcsine, from −π/2 to π/2; NaN beyond ±1.
    #[track_caller]
    #[must_use]
    pub fn asin(&self) -> Self {
        self.atan2(self.across())
    }

    /// The arccosine, from 0 to π; NaN beyond ±1.
    #[track_caller]
    #[must_use]
    pub fn acos(&self) -> Self {
        self.across().atan2(self)
    }

    /// The arctangent, from −π/2 to π/2.
    #[track_caller]
    #[must_use]
    pub fn atan(&self) -> Self {
        self.atan2(1.0)
    }

    /// √(1 − x²), without the loss near ±1.
    #[track_caller]
    fn across(&self) -> Self {
        ((1.0 - self) * (self + 1.0)).sqrt()
    }

    /// The hyperbolic sine.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [], F64);
    /// g.output("y", &x.sinh());
    /// let run = g.compile(&Device::cpu())?.run(&[("x", &TensorData::scalar(1e-9))])?;
    /// assert_eq!(run["y"].item()?, 1e-9);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn sinh(&self) -> Self {
        (self.expm1() - (-self).expm1()) * 0.5
    }

    /// The hyperbolic cosine.
    #[track_caller]
    #[must_use]
    pub fn cosh(&self) -> Self {
        (self.exp() + (-self).exp()) * 0.5
    }

    /// The inverse of the hyperbolic sine.
    #[track_caller]
    #[must_use]
    pub fn asinh(&self) -> Self {
        // By the side, not by `abs` and `sign`, whose slopes are 0 at 0.
        let negative = self.lt(0.0);
        let magnitude = negative.select(-self, self);
        let root = (magnitude.square() + 1.0).sqrt();
        let small = (&magnitude + &magnitude * (&magnitude / (root + 1.0))).log1p();
        // Where the square would leave f32, 1 is nothing beside it.
        let value = magnitude.gt(1e9).select(magnitude.maximum(1.0).log() + std::f64::consts::LN_2, small);
        negative.select(-&value, &value)
    }

    /// The inverse of the hyperbolic cosine, 0 and up; NaN below 1.
    #[track_caller]
    #[must_use]
    pub fn acosh(&self) -> Self {
        let above = self - 1.0;
        (&above + above.sqrt() * (self + 1.0).sqrt()).log1p()
    }

    /// The inverse of the hyperbolic tangent; infinite at ±1, NaN beyond.
    #[track_caller]
    #[must_use]
    pub fn atanh(&self) -> Self {
        (self.log1p() - (-self).log1p()) * 0.5
    }
}
