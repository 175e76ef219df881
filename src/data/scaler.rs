//! Features on a like scale, which gradient descent needs, and labels as one-hot rows.

use super::spread::{Spread, standardized};
use crate::error::{Error, Result, counted};
use crate::tensor::{DType, TensorData};

/// A linear map of each feature, `(value - offset) / scale`, fitted on the training part and applied to every part.
///
/// Everything is computed in f64. Values that are large and change little, such as seconds since 1970, are given as f64: as f32
/// they have lost their content before they come here.
///
/// A feature is a position within an example: for `[n, 30]` there are 30, for `[n, 28, 28]` there are 784.
///
/// ```
/// use wgrad::{data::Scaler, tensor::TensorData};
/// let train = TensorData::from_vec(vec![1.0_f32, 5.0, 3.0, 5.0], [2, 2])?;
/// let scaler = Scaler::standardize(&train)?;
/// assert_eq!(scaler.apply(&train)?.to_f64_vec(), [-1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scaler {
    offset: Vec<f64>,
    scale: Vec<f64>,
}

impl Scaler {
    /// To mean 0 and standard deviation 1 (of the population, as scikit-learn's `StandardScaler`). A feature that is
    /// constant keeps its scale and becomes 0.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no example, or a value that is not finite.
    pub fn standardize(train: &TensorData) -> Result<Self> {
        let (values, _, features) = matrix(train)?;
        let spreads: Vec<Spread> =
            (0..features).map(|feature| Spread::of(values.iter().skip(feature).step_by(features).copied())).collect();
        let scale = spreads.iter().map(|spread| spread.scale()).collect();
        Self::from_parts(spreads.iter().map(|spread| spread.mean).collect(), scale)
    }

    /// To the range 0 … 1. A feature that is constant becomes 0.
    ///
    /// # Errors
    /// As for [`standardize`](Self::standardize).
    pub fn min_max(train: &TensorData) -> Result<Self> {
        let (values, _, features) = matrix(train)?;
        let mut lowest = vec![f64::INFINITY; features];
        let mut highest = vec![f64::NEG_INFINITY; features];
        for row in values.chunks_exact(features) {
            for ((lowest, highest), value) in lowest.iter_mut().zip(&mut highest).zip(row) {
                *lowest = lowest.min(*value);
                *highest = highest.max(*value);
            }
        }
        let scale = highest.iter().zip(&lowest).map(|(high, low)| if high > low { high - low } else { 1.0 });
        Self::from_parts(lowest.clone(), scale.collect())
    }

    /// From its numbers, as a checkpoint keeps them.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in length, or a scale is not above 0.
    pub fn from_parts(offset: Vec<f64>, scale: Vec<f64>) -> Result<Self> {
        let fine =
            offset.iter().all(|value| value.is_finite()) && scale.iter().all(|&value| value.is_finite() && value > 0.0);
        if !fine || offset.len() != scale.len() {
            return Err(Error::Data("a scaler takes a finite offset and a scale above 0 for each feature".into()));
        }
        Ok(Self { offset, scale })
    }

    /// What is taken from each feature: its mean, or its lowest value.
    pub fn offset(&self) -> &[f64] {
        &self.offset
    }

    /// What each feature is then divided by: its standard deviation, or its range.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// The scaled values, in the shape given: f32, or the type given where that is a float.
    ///
    /// # Errors
    /// [`Error::Data`] where the number of features is not that of the fit.
    pub fn apply(&self, data: &TensorData) -> Result<TensorData> {
        self.map(data, standardized)
    }

    /// The values before they were scaled, such as predictions in the target's own unit.
    ///
    /// # Errors
    /// [`Error::Data`] where the number of features is not that of the fit.
    pub fn invert(&self, data: &TensorData) -> Result<TensorData> {
        self.map(data, |value, offset, scale| value * scale + offset)
    }

    fn map(&self, data: &TensorData, line: impl Fn(f64, f64, f64) -> f64) -> Result<TensorData> {
        let features: usize = data.shape().iter().skip(1).product();
        if data.shape().rank() == 0 || features != self.offset.len() {
            return Err(Error::Data(format!(
                "a scaler fitted on {} cannot take {}",
                counted(self.offset.len(), "feature"),
                data.ty()
            )));
        }
        let mut values = data.to_f64_vec();
        for row in values.chunks_exact_mut(features.max(1)) {
            for ((value, offset), scale) in row.iter_mut().zip(&self.offset).zip(&self.scale) {
                *value = line(*value, *offset, *scale);
            }
        }
        let dtype = if data.dtype().is_float() { data.dtype() } else { DType::F32 };
        TensorData::from_f64(dtype, &values, data.shape())
    }
}

/// All values, the number of examples, and the number of features; each at least 1, and all values finite.
fn matrix(train: &TensorData) -> Result<(Vec<f64>, usize, usize)> {
    let Some((&examples, rest)) = train.shape().split_first() else {
        return Err(Error::Data("a scaler is fitted on examples along the first axis, not on a single value".into()));
    };
    let features = rest.iter().product::<usize>();
    if train.is_empty() {
        return Err(Error::Data(format!("a scaler cannot be fitted on {}, which is empty", train.ty())));
    }
    let values = train.to_f64_vec();
    if let Some(position) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::Data(format!(
            "example {} has a value that is not finite in feature {}",
            position / features,
            position % features
        )));
    }
    Ok((values, examples, features))
}

/// Labels as rows with a single 1: f32, the shape of `labels` and one more axis of `classes`. In a graph it is
/// [`Tensor::one_hot`](crate::graph::Tensor::one_hot).
///
/// ```
/// use wgrad::{data::one_hot, tensor::TensorData};
/// let rows = one_hot(&TensorData::from_vec(vec![1_i32, 0], [2])?, 3)?;
/// assert_eq!(rows.as_slice::<f32>()?, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] for a label that is not one of 0 … classes-1.
pub fn one_hot(labels: &TensorData, classes: usize) -> Result<TensorData> {
    let mut rows = vec![0.0_f32; labels.len() * classes];
    for (example, label) in labels.to_f64_vec().into_iter().enumerate() {
        let position = class_index(label, classes).ok_or_else(|| label_out_of_range(label, example, classes))?;
        if let Some(cell) = rows.get_mut(example * classes + position) {
            *cell = 1.0;
        }
    }
    TensorData::from_vec(rows, labels.shape().iter().copied().chain([classes]).collect::<Vec<_>>())
}

/// The class that a label names, if it is one.
pub(crate) fn class_index(label: f64, classes: usize) -> Option<usize> {
    (label >= 0.0 && label < classes as f64 && label.fract() == 0.0).then_some(label as usize)
}

/// The error for a label that names none.
pub(crate) fn label_out_of_range(label: f64, example: usize, classes: usize) -> Error {
    let last = classes.saturating_sub(1);
    Error::Data(if label.fract() == 0.0 {
        format!("label {label} of example {example} is out of range: with {classes} classes, labels are 0 to {last}")
    } else {
        format!(
            "label {label} of example {example} is no class: with {classes} classes, labels are integers, 0 to {last}"
        )
    })
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn scaled_features_have_mean_zero_and_deviation_one() -> Result<()> {
        let values: Vec<f64> = (0..30).map(|value| f64::from(value * value % 17) * 1e3 + 5.0).collect();
        let train = TensorData::from_vec(values.clone(), [10, 3])?;
        let scaler = Scaler::standardize(&train)?;
        let scaled = scaler.apply(&train)?;
        for feature in 0..3 {
            let column: Vec<f64> = scaled.to_f64_vec().into_iter().skip(feature).step_by(3).collect();
            assert_relative_eq!(column.iter().sum::<f64>(), 0.0, epsilon = 1e-9);
            assert_relative_eq!(column.iter().map(|value| value * value).sum::<f64>(), 10.0, epsilon = 1e-9);
        }
        for (restored, value) in scaler.invert(&scaled)?.to_f64_vec().into_iter().zip(values) {
            assert_relative_eq!(restored, value, epsilon = 1e-9);
        }
        assert_eq!(Scaler::from_parts(scaler.offset().to_vec(), scaler.scale().to_vec())?, scaler);
        Ok(())
    }

    #[test]
    fn a_large_offset_changes_nothing() -> Result<()> {
        let values = |offset: f64| (0..100).map(|step| offset + f64::from(step * step % 17)).collect::<Vec<f64>>();
        for fit in [Scaler::standardize, Scaler::min_max] {
            let near = TensorData::from_vec(values(0.0), [100, 1])?;
            let near = fit(&near)?.apply(&near)?;
            for offset in [1e8, 1.7e9, -1e12] {
                let far = TensorData::from_vec(values(offset), [100, 1])?;
                let scaler = fit(&far)?;
                let scaled = scaler.apply(&far)?;
                for (a, b) in scaled.to_f64_vec().into_iter().zip(near.to_f64_vec()) {
                    assert_relative_eq!(a, b, epsilon = 1e-3 * f64::EPSILON * offset.abs() / f64::EPSILON.sqrt());
                }
                for (restored, value) in scaler.invert(&scaled)?.to_f64_vec().into_iter().zip(values(offset)) {
                    assert_relative_eq!(restored, value, max_relative = 1e-15);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn features_may_be_as_large_as_f64() -> Result<()> {
        let wide = TensorData::from_vec(vec![-1e200_f64, 1e200], [2, 1])?;
        assert_eq!(Scaler::standardize(&wide)?.apply(&wide)?.to_f64_vec(), [-1.0, 1.0]);
        assert_eq!(Scaler::min_max(&wide)?.apply(&wide)?.to_f64_vec(), [0.0, 1.0]);
        let wider = TensorData::from_vec(vec![-f64::MAX, f64::MAX], [2, 1])?;
        assert!(Scaler::min_max(&wider).is_err());
        Ok(())
    }

    #[test]
    fn constant_features_become_zero() -> Result<()> {
        let train = TensorData::from_vec(vec![0.1_f64; 7], [7, 1])?;
        assert_eq!(Scaler::standardize(&train)?.scale(), [1.0]);
        assert_eq!(Scaler::min_max(&train)?.apply(&train)?.to_f64_vec(), [0.0; 7]);
        Ok(())
    }

    #[test]
    fn min_max_reaches_zero_and_one_and_pixels_become_floats() -> Result<()> {
        let train = TensorData::from_vec(vec![10_u8, 0, 30, 255, 20, 51], [3, 2])?;
        let scaled = Scaler::min_max(&train)?.apply(&train)?;
        assert_eq!(scaled.as_slice::<f32>()?, [0.0, 0.0, 1.0, 1.0, 0.5, 0.2]);
        Ok(())
    }

    #[test]
    fn bad_data_is_refused() -> Result<()> {
        assert!(Scaler::standardize(&TensorData::zeros(DType::F32, [0, 3])).is_err());
        assert!(Scaler::standardize(&TensorData::scalar(1.0_f32)).is_err());
        let error = Scaler::min_max(&TensorData::from_vec(vec![0.0, 1.0, f32::NAN, 0.0], [2, 2])?);
        assert_eq!(
            error.map_err(|error| error.to_string()),
            Err("example 1 has a value that is not finite in feature 0".into())
        );
        let scaler = Scaler::standardize(&TensorData::zeros(DType::F32, [2, 3]))?;
        assert!(scaler.apply(&TensorData::zeros(DType::F32, [2, 4])).is_err());
        assert!(Scaler::from_parts(vec![0.0], vec![0.0]).is_err());
        let error = one_hot(&TensorData::from_vec(vec![0_i32, 3], [2])?, 3);
        let expected = "label 3 of example 1 is out of range: with 3 classes, labels are 0 to 2";
        assert_eq!(error.map_err(|error| error.to_string()), Err(expected.into()));
        assert!(one_hot(&TensorData::from_vec(vec![-1_i32], [1])?, 3).is_err());
        Ok(())
    }
}
