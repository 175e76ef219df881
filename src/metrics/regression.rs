//! Metrics of predicted numbers: mean squared and absolute error, and the coefficient of determination.

use super::decode::squeeze;
use super::{mismatch, not_a_number};
use crate::error::Result;
use crate::tensor::TensorData;

/// Sums over the examples added, one an output (a position within an example).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Regression {
    examples: f64,
    outputs: Vec<Output>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Output {
    squared_error: f64,
    absolute_error: f64,
    /// Mean of the targets, and their squared deviations from it (Welford, 1962), exact also far from zero.
    mean: f64,
    squared_deviation: f64,
}

impl Regression {
    pub fn update(&mut self, predictions: &TensorData, targets: &TensorData) -> Result<()> {
        let (shape, target_shape) = (squeeze(predictions.shape()), squeeze(targets.shape()));
        let outputs: usize = shape.iter().skip(1).product();
        let known = self.examples == 0.0 || outputs == self.outputs.len();
        if shape != target_shape || shape.is_empty() || !known {
            return Err(mismatch(
                predictions,
                targets,
                "both must have one shape, [n] or [n, …], the same in each batch",
            ));
        }
        let (predictions, targets) = (predictions.to_f64_vec(), targets.to_f64_vec());
        let finite = |value: &f64| value.is_finite();
        if let Some(position) = predictions.iter().zip(&targets).position(|(a, b)| !finite(a) || !finite(b)) {
            return Err(not_a_number(position / outputs.max(1)));
        }
        self.outputs.resize(outputs, Output::default());
        let width = outputs.max(1);
        for (predicted, truth) in predictions.chunks_exact(width).zip(targets.chunks_exact(width)) {
            self.examples += 1.0;
            for ((output, predicted), truth) in self.outputs.iter_mut().zip(predicted).zip(truth) {
                let error = predicted - truth;
                output.squared_error += error * error;
                output.absolute_error += error.abs();
                let deviation = truth - output.mean;
                output.mean += deviation / self.examples;
                output.squared_deviation += deviation * (truth - output.mean);
            }
        }
        Ok(())
    }

    pub fn mean_squared_error(&self) -> Option<f64> {
        self.mean_of(|output| output.squared_error / self.examples)
    }

    pub fn mean_absolute_error(&self) -> Option<f64> {
        self.mean_of(|output| output.absolute_error / self.examples)
    }

    /// 1 - (residual sum of squares) / (total sum of squares), the mean over the outputs. Of a constant target it is 1 where
    /// every prediction is right, else 0, as in scikit-learn.
    pub fn r2(&self) -> Option<f64> {
        if self.examples < 2.0 {
            return None;
        }
        self.mean_of(|output| match (output.squared_error, output.squared_deviation) {
            (0.0, 0.0) => 1.0,
            (_, 0.0) => 0.0,
            (error, deviation) => 1.0 - error / deviation,
        })
    }

    fn mean_of(&self, value: impl Fn(&Output) -> f64) -> Option<f64> {
        let sum: f64 = self.outputs.iter().map(value).sum();
        (self.examples > 0.0 && !self.outputs.is_empty()).then(|| sum / self.outputs.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BuiltIn;
    use super::*;

    #[test]
    fn batches_of_any_size_give_the_same() -> Result<()> {
        let truth: Vec<f32> = (0..12_u8).map(|value| f32::from(value * value) + 1e4).collect();
        let guess: Vec<f32> = truth.iter().enumerate().map(|(index, value)| value + (index % 3) as f32 - 1.0).collect();
        let tensors = |from: usize, to: usize| -> Result<(TensorData, TensorData)> {
            let rows = (to - from) / 2;
            Ok((
                TensorData::from_slice(&guess[from..to], [rows, 2])?,
                TensorData::from_slice(&truth[from..to], [rows, 2])?,
            ))
        };
        for metric in [BuiltIn::Mse, BuiltIn::Mae, BuiltIn::R2] {
            let (predictions, targets) = tensors(0, 12)?;
            let whole = metric.evaluate(&predictions, &targets)?.unwrap_or(f64::NAN);
            let mut parts = metric.accumulator();
            for (from, to) in [(0, 2), (2, 8), (8, 12)] {
                let (predictions, targets) = tensors(from, to)?;
                parts.update(&predictions, &targets)?;
            }
            approx::assert_relative_eq!(parts.value().unwrap_or(f64::NAN), whole, epsilon = 1e-12);
        }
        Ok(())
    }

    #[test]
    fn an_axis_of_one_does_not_matter_and_one_example_has_no_r2() -> Result<()> {
        let predictions = TensorData::from_vec(vec![1.0_f32, 2.0], [2, 1])?;
        let targets = TensorData::from_vec(vec![1_i32, 4], [2])?;
        assert_eq!(BuiltIn::Mse.evaluate(&predictions, &targets)?, Some(2.0));
        let single = TensorData::from_vec(vec![1.0_f32], [1])?;
        assert_eq!(BuiltIn::R2.evaluate(&single, &single)?, None);
        Ok(())
    }
}
