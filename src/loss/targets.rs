//! What targets may be: no program looks at the values of its inputs, and a label beyond the classes, or a probability of 2, would
//! be learned without a word.

use super::{CrossEntropyOptions, Loss};
use crate::data::{class_index, label_out_of_range};
use crate::error::{Error, Result};
use crate::tensor::{Shape, TensorData};

/// Targets that a loss takes.
enum Takes {
    /// Labels: the number of classes, and the label of examples that do not count.
    Labels { classes: usize, ignored: Option<i32> },
    /// Numbers, what they are called, and which.
    Numbers { what: &'static str, holds: fn(f64) -> bool },
}

impl Loss {
    /// Checks the values of targets, whose first axis counts the examples, for predictions of a shape. A [custom](Self::Custom)
    /// loss may take anything.
    ///
    /// ```
    /// use wgrad::{loss::Loss, tensor::TensorData};
    /// let labels = TensorData::from_vec(vec![0, 2, 3], [3])?;
    /// let error = Loss::CrossEntropy.check_targets(&[3, 3].into(), &labels).unwrap_err().to_string();
    /// assert_eq!(error, "label 3 of example 2 is out of range: with 3 classes, labels are 0 to 2");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] that names the first example whose target is a label that is no class (nor the one that the options ignore),
    /// a binary target that is not from 0 to 1, a side other than −1 and 1 of a hinge, a probability below 0, or a value that is
    /// not finite.
    pub fn check_targets(&self, prediction: &Shape, targets: &TensorData) -> Result<()> {
        let Some(takes) = self.takes(prediction) else { return Ok(()) };
        let values = targets.to_f64_vec();
        let example = |index: usize| index * targets.shape().first().copied().unwrap_or(1) / values.len().max(1);
        match takes {
            Takes::Labels { classes, ignored } => {
                let known = |label: f64| {
                    class_index(label, classes).is_some() || ignored.is_some_and(|ignored| f64::from(ignored) == label)
                };
                match values.iter().position(|&label| !known(label)) {
                    Some(index) => Err(label_out_of_range(values[index], example(index), classes)),
                    None => Ok(()),
                }
            }
            Takes::Numbers { what, holds } => match values.iter().position(|&value| !holds(value)) {
                Some(index) => Err(Error::Data(format!(
                    "target {} of example {} is {what}, as {} needs",
                    values[index],
                    example(index),
                    self.name()
                ))),
                None => Ok(()),
            },
        }
    }

    fn takes(&self, prediction: &Shape) -> Option<Takes> {
        let labels = |options: &CrossEntropyOptions| {
            let classes = prediction.axis(options.class_axis).map(|axis| prediction[axis])?;
            Some(Takes::Labels { classes, ignored: options.ignore_index })
        };
        let numbers = |what, holds| Some(Takes::Numbers { what, holds });
        match self {
            Self::CrossEntropy | Self::Nll => labels(&CrossEntropyOptions::default()),
            Self::CrossEntropyWith(options) | Self::NllWith(options) => labels(options),
            Self::BinaryCrossEntropy
            | Self::BinaryCrossEntropyWithLogits
            | Self::BinaryCrossEntropyWithPositiveWeight(_) => {
                numbers("not from 0 to 1", |value| (0.0..=1.0).contains(&value))
            }
            Self::Hinge => numbers("neither -1 nor 1", |value| value.abs() == 1.0),
            Self::KlDiv => numbers("no probability", |value| value >= 0.0 && value.is_finite()),
            Self::Mse | Self::L1 | Self::Huber { .. } | Self::KlDivLogTarget => {
                numbers("not a finite number", f64::is_finite)
            }
            Self::Custom(_) => None,
        }
    }

    /// The label of what does not count.
    pub(crate) fn ignored_label(&self) -> Option<i32> {
        self.class_options().and_then(|options| options.ignore_index)
    }

    fn class_options(&self) -> Option<&CrossEntropyOptions> {
        match self {
            Self::CrossEntropyWith(options) | Self::NllWith(options) => Some(options),
            Self::Mse
            | Self::L1
            | Self::Huber { .. }
            | Self::BinaryCrossEntropy
            | Self::BinaryCrossEntropyWithLogits
            | Self::BinaryCrossEntropyWithPositiveWeight(_)
            | Self::CrossEntropy
            | Self::Nll
            | Self::KlDiv
            | Self::KlDivLogTarget
            | Self::Hinge
            | Self::Custom(_) => None,
        }
    }

    /// What each example weighs in the mean of a batch: nothing where its labels do not count. `None` where all weigh the same.
    pub(crate) fn example_weights(&self, targets: &TensorData) -> Option<Vec<f64>> {
        let options = self.class_options()?;
        let examples = targets.shape().first().copied().unwrap_or(1).max(1);
        let weight = |label: f64| match (&options.class_weights, options.ignore_index) {
            (_, Some(ignored)) if f64::from(ignored) == label => 0.0,
            (Some(weights), _) => weights.get(label as usize).copied().unwrap_or(0.0),
            (None, _) => 1.0,
        };
        let labels = targets.to_f64_vec();
        Some(
            labels
                .chunks((labels.len() / examples).max(1))
                .map(|row| row.iter().map(|&label| weight(label)).sum())
                .collect(),
        )
    }

    /// Where binary predictions are taken for class 1.
    pub(crate) fn threshold(&self) -> Option<f64> {
        match self {
            Self::BinaryCrossEntropyWithLogits | Self::BinaryCrossEntropyWithPositiveWeight(_) => Some(0.0),
            Self::BinaryCrossEntropy => Some(0.5),
            Self::Mse
            | Self::L1
            | Self::Huber { .. }
            | Self::CrossEntropy
            | Self::CrossEntropyWith(_)
            | Self::Nll
            | Self::NllWith(_)
            | Self::KlDiv
            | Self::KlDivLogTarget
            | Self::Hinge
            | Self::Custom(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    #[test]
    fn each_loss_names_the_first_target_that_it_does_not_take() {
        let ignoring = || CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() };
        let first = || CrossEntropyOptions { class_axis: 1, ..Default::default() };
        /// A loss, the prediction's shape, targets with their shape, and the message.
        type Case<'a> = (Loss, &'a [usize], &'a [f64], &'a [usize], &'a str);
        let nan = f64::NAN;
        let cases: [Case<'_>; 21] = [
            (Loss::CrossEntropy, &[3, 4], &[0.0, 3.0, 1.0], &[3], ""),
            (
                Loss::CrossEntropy,
                &[3, 4],
                &[0.0, 4.0, 9.0],
                &[3],
                "label 4 of example 1 is out of range: with 4 classes, labels are 0 to 3",
            ),
            (Loss::Nll, &[2, 4], &[0.0, -1.0], &[2, 1], "label -1 of example 1 is out of range"),
            (Loss::CrossEntropy, &[2, 4], &[0.5, 0.0], &[2], "label 0.5 of example 0 is no class"),
            (Loss::CrossEntropy, &[2, 4], &[nan, 0.0], &[2], "label NaN of example 0 is no class"),
            (Loss::CrossEntropy, &[2, 4], &[0.0, -100.0], &[2], "label -100 of example 1 is out of range"),
            (Loss::CrossEntropyWith(ignoring()), &[2, 4], &[0.0, -100.0], &[2], ""),
            (Loss::NllWith(ignoring()), &[2, 4], &[0.0, -99.0], &[2], "label -99 of example 1"),
            // Labels of positions: the example is the row.
            (Loss::CrossEntropy, &[2, 3, 4], &[0.0, 1.0, 2.0, 3.0, 4.0, 0.0], &[2, 3], "label 4 of example 1"),
            (Loss::CrossEntropyWith(first()), &[2, 5, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 0.0], &[2, 3], ""),
            (Loss::BinaryCrossEntropy, &[3, 1], &[0.0, 1.0, 0.3], &[3], ""),
            (
                Loss::BinaryCrossEntropy,
                &[2, 1],
                &[0.0, 2.0],
                &[2],
                "target 2 of example 1 is not from 0 to 1, as binary_cross_entropy needs",
            ),
            (
                Loss::BinaryCrossEntropyWithLogits,
                &[2, 1],
                &[-1.0, 1.0],
                &[2],
                "target -1 of example 0 is not from 0 to 1",
            ),
            (
                Loss::BinaryCrossEntropyWithPositiveWeight(vec![2.0]),
                &[2, 1],
                &[0.0, nan],
                &[2],
                "target NaN of example 1",
            ),
            (Loss::Hinge, &[2], &[-1.0, 1.0], &[2], ""),
            (Loss::Hinge, &[2], &[0.0, 1.0], &[2], "target 0 of example 0 is neither -1 nor 1, as hinge needs"),
            (Loss::KlDiv, &[2, 2], &[0.5, 0.5, -0.1, 1.1], &[2, 2], "target -0.1 of example 1 is no probability"),
            (
                Loss::Mse,
                &[2, 2],
                &[0.0, 1.0, nan, 0.0],
                &[2, 2],
                "target NaN of example 1 is not a finite number, as mse needs",
            ),
            (Loss::L1, &[1], &[f64::INFINITY], &[1], "target inf of example 0"),
            (Loss::Huber { delta: 1.0 }, &[1], &[1e30], &[1], ""),
            (Loss::custom(|x, _| x.sum_all()), &[1], &[nan], &[1], ""),
        ];
        for (loss, prediction, targets, shape, expected) in cases {
            let targets = TensorData::from_f64(DType::F64, targets, shape).unwrap();
            let found = loss.check_targets(&prediction.into(), &targets).err().map(|error| error.to_string());
            let found = found.unwrap_or_default();
            assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{loss:?}: {found:?}");
        }
    }

    #[test]
    fn examples_weigh_what_their_labels_do() {
        let labels = TensorData::from_vec(vec![0, 1, -100, 2, -100, -100], [3, 2]).unwrap();
        assert_eq!(Loss::CrossEntropy.example_weights(&labels), None);
        let ignoring = CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() };
        assert_eq!(Loss::NllWith(ignoring.clone()).example_weights(&labels), Some(vec![2.0, 1.0, 0.0]));
        let weighted = CrossEntropyOptions { class_weights: Some(vec![0.5, 1.0, 3.0]), ..ignoring };
        assert_eq!(Loss::CrossEntropyWith(weighted).example_weights(&labels), Some(vec![1.5, 3.0, 0.0]));
    }
}
