//! Comparisons within a tolerance, and what is done with masks and with what is not finite.

use crate::graph::{IntoTensor, Tensor};

impl Tensor {
    /// `value` where `mask` is true, this elsewhere. No gradient goes through what is replaced.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.constant(TensorData::from_vec(vec![1.0_f32, -2.0, f32::NAN], [3])?);
    /// g.output("y", &x.masked_fill(&x.is_nan(), 0.0));
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[])?["y"].to_f64_vec(), [1.0, -2.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn masked_fill(&self, mask: &Self, value: impl IntoTensor) -> Self {
        let value = value.into_tensor(self.graph(), self.dtype());
        mask.select(&value, self)
    }

    /// True where this is neither infinite nor NaN.
    #[track_caller]
    #[must_use]
    #[doc(alias = "isfinite")]
    pub fn is_finite(&self) -> Self {
        self.is_nan().logical_or(self.is_inf()).logical_not()
    }

    /// Numbers instead of NaN, +∞ and −∞.
    #[track_caller]
    #[must_use]
    pub fn nan_to_num(&self, nan: f64, positive_infinity: f64, negative_infinity: f64) -> Self {
        let number = self.masked_fill(&self.is_nan(), nan);
        let bounded = number.masked_fill(&number.eq(f64::INFINITY), positive_infinity);
        bounded.masked_fill(&bounded.eq(f64::NEG_INFINITY), negative_infinity)
    }

    /// True where two are equal or |self − other| ≤ `absolute` + `relative`·|other|. NaN is close to nothing, an infinity to itself alone.
    #[track_caller]
    #[must_use]
    #[doc(alias = "isclose")]
    pub fn is_close(&self, other: impl IntoTensor, relative: f64, absolute: f64) -> Self {
        let other = other.into_tensor(self.graph(), self.dtype());
        let allowed = other.abs() * relative + absolute;
        let near = (self - &other).abs().le(allowed).logical_and(other.is_finite());
        self.eq(&other).logical_or(near)
    }

    /// True (a scalar) where all elements are [close](Self::is_close).
    #[track_caller]
    #[must_use]
    #[doc(alias = "allclose")]
    pub fn all_close(&self, other: impl IntoTensor, relative: f64, absolute: f64) -> Self {
        self.is_close(other, relative, absolute).all(..)
    }

    /// Linear interpolation from this to `end`: self + weight·(end − self).
    #[track_caller]
    #[must_use]
    pub fn lerp(&self, end: &Self, weight: impl IntoTensor) -> Self {
        let weight = weight.into_tensor(self.graph(), self.dtype());
        self + (end - self) * weight
    }
}
