//! Values of 64 bits in 32 and back: what goes to a GPU, which has no i64 and f64, and what comes from it.

use super::{DType, TensorData};
use crate::error::{Error, Result};

impl TensorData {
    /// The values in the type that a GPU computes in: i64 as i32, f64 rounded to f32, all others as they are.
    ///
    /// ```
    /// use wgrad::tensor::{DType, TensorData};
    /// let wide = TensorData::from_vec(vec![7_i64, -1], [2])?;
    /// assert_eq!(wide.narrowed()?.as_slice::<i32>()?, [7, -1]);
    /// let message = TensorData::from_vec(vec![7, 1_i64 << 31], [2])?.narrowed().unwrap_err().to_string();
    /// assert!(message.contains("2147483648 at index [1] does not fit i32"), "{message}");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first value that does not fit, and its index: an i64 outside of i32, or a finite f64 beyond f32's range.
    pub fn narrowed(&self) -> Result<Self> {
        self.fitting().map_err(Error::Data)
    }

    /// As [`narrowed`](Self::narrowed), with the bare message.
    pub(crate) fn fitting(&self) -> std::result::Result<Self, String> {
        let values = |narrow: Result<Self>| narrow.map_err(|error| error.to_string());
        match self.dtype() {
            DType::I64 => {
                let wide = self.storage().as_slice::<i64>();
                let fitting = wide.iter().map_while(|&value| i32::try_from(value).ok()).collect::<Vec<i32>>();
                match wide.get(fitting.len()) {
                    Some(value) => Err(self.misfit(fitting.len(), &value.to_string())),
                    None => values(Self::from_vec(fitting, self.shape())),
                }
            }
            DType::F64 => {
                let wide = self.storage().as_slice::<f64>();
                let fits = |value: f64| !value.is_finite() || (value as f32).is_finite();
                match wide.iter().position(|&value| !fits(value)) {
                    Some(index) => Err(self.misfit(index, &format!("{:e}", wide[index]))),
                    None => values(Self::from_vec(wide.iter().map(|&value| value as f32).collect(), self.shape())),
                }
            }
            _ => Ok(self.clone()),
        }
    }

    fn misfit(&self, index: usize, value: &str) -> String {
        let (mut rest, mut coordinates) = (index, vec![0; self.shape().rank()]);
        for (coordinate, &extent) in coordinates.iter_mut().zip(self.shape().iter()).rev() {
            *coordinate = rest % extent.max(1);
            rest /= extent.max(1);
        }
        let (wide, narrow) = (self.dtype(), self.dtype().narrowed());
        format!("{value} at index {coordinates:?} does not fit {narrow}, in which a GPU computes instead of {wide}")
    }

    /// Values that [`narrowed`](Self::narrowed) made, or a GPU, in the graph's type.
    pub(crate) fn widened(self, dtype: DType) -> Result<Self> {
        if self.dtype() == dtype { Ok(self) } else { self.cast(dtype) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_restored_and_the_first_that_does_not_is_named() -> Result<()> {
        let integers = TensorData::from_vec(vec![i64::from(i32::MIN), -1, 0, i64::from(i32::MAX)], [2, 2])?;
        assert_eq!(integers.narrowed()?.widened(DType::I64)?, integers);
        let floats = TensorData::from_vec(vec![0.5, f64::INFINITY, -3.25e30, 1e-300], [4])?;
        let widened = floats.narrowed()?.widened(DType::F64)?.to_vec::<f64>()?;
        assert_eq!(widened[..2], [0.5, f64::INFINITY]);
        assert_eq!(widened[3], 0.0);
        let large = TensorData::from_vec(vec![0, 0, 0, 0, -(1_i64 << 40), 1 << 50], [2, 3])?;
        let message = large.narrowed().map_err(|error| error.to_string());
        let expected = "-1099511627776 at index [1, 1] does not fit i32, in which a GPU computes instead of i64";
        assert!(message.as_ref().is_err_and(|message| message.ends_with(expected)), "{message:?}");
        assert!(TensorData::scalar(1e39).narrowed().is_err());
        assert!(TensorData::scalar(f64::NAN).narrowed().is_ok());
        Ok(())
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        assert!(DType::I64.holds(-9_223_372_036_854_775_808.0) && !DType::I64.holds(9_223_372_036_854_775_808.0));
        assert!(!DType::I64.holds(0.5) && !DType::I64.holds(f64::NAN));
    }
}
