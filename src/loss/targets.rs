//! What targets may be: no program looks at the values of its inputs, and a label beyond the classes, or a probability of 2, would
//! be learned without a word.

use super::CrossEntropyOptions;
use crate::data::{class_index, label_out_of_range};
use crate::error::{Error, Result};
use crate::tensor::{Shape, TensorData};

/// Numbers that a loss takes as targets.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    /// What others are called.
    pub(super) what: &'static str,
    pub(super) holds: fn(f64) -> bool,
}

/// All but NaN and infinities.
pub(super) const FINITE: Numbers = Numbers { what: "not a finite number", holds: f64::is_finite };

impl Numbers {
    /// Names the first target that is none of them.
    pub(super) fn check(&self, loss: &str, targets: &TensorData) -> Result<()> {
        let values = targets.to_f64_vec();
        match values.iter().position(|&value| !(self.holds)(value)) {
            Some(index) => Err(Error::Data(format!(
                "target {} of example {} is {}, as {loss} needs",
                values[index],
                example(index, values.len(), targets),
                self.what
            ))),
            None => Ok(()),
        }
    }
}

/// The example that a value belongs to.
fn example(index: usize, values: usize, targets: &TensorData) -> usize {
    index * targets.shape().first().copied().unwrap_or(1) / values.max(1)
}

/// Names the first label that is no class, and not the ignored one.
pub(super) fn check_labels(options: &CrossEntropyOptions, prediction: &Shape, targets: &TensorData) -> Result<()> {
    let Some(classes) = prediction.axis(options.class_axis).map(|axis| prediction[axis]) else { return Ok(()) };
    let values = targets.to_f64_vec();
    let known = |label: f64| {
        class_index(label, classes).is_some() || options.ignore_index.is_some_and(|ignored| f64::from(ignored) == label)
    };
    match values.iter().position(|&label| !known(label)) {
        Some(index) => Err(label_out_of_range(values[index], example(index, values.len(), targets), classes)),
        None => Ok(()),
    }
}

/// What each example weighs by its labels.
pub(super) fn label_weights(options: &CrossEntropyOptions, targets: &TensorData) -> Vec<f64> {
    let examples = targets.shape().first().copied().unwrap_or(1).max(1);
    let weight = |label: f64| match (&options.class_weights, options.ignore_index) {
        (_, Some(ignored)) if f64::from(ignored) == label => 0.0,
        (Some(weights), _) => weights.get(label as usize).copied().unwrap_or(0.0),
        (None, _) => 1.0,
    };
    let labels = targets.to_f64_vec();
    labels.chunks((labels.len() / examples).max(1)).map(|row| row.iter().map(|&label| weight(label)).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{
        BinaryCrossEntropy, BinaryCrossEntropyWithLogits, BinaryCrossEntropyWithPositiveWeight, CrossEntropy,
        CrossEntropyWith, Hinge, Huber, KlDiv, L1, Loss, Mse, Nll, NllWith, custom,
    };
    use crate::tensor::DType;

    #[test]
    fn each_loss_names_the_first_target_that_it_does_not_take() {
        let ignoring = || CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() };
        let first = || CrossEntropyOptions { class_axis: 1, ..Default::default() };
        /// A loss, the prediction's shape, targets with their shape, and the message.
        type Case<'a> = (&'a dyn Loss, &'a [usize], &'a [f64], &'a [usize], &'a str);
        let nan = f64::NAN;
        let cases: [Case<'_>; 21] = [
            (&CrossEntropy, &[3, 4], &[0.0, 3.0, 1.0], &[3], ""),
            (
                &CrossEntropy,
                &[3, 4],
                &[0.0, 4.0, 9.0],
                &[3],
                "label 4 of example 1 is out of range: with 4 classes, labels are 0 to 3",
            ),
            (&Nll, &[2, 4], &[0.0, -1.0], &[2, 1], "label -1 of example 1 is out of range"),
            (&CrossEntropy, &[2, 4], &[0.5, 0.0], &[2], "label 0.5 of example 0 is no class"),
            (&CrossEntropy, &[2, 4], &[nan, 0.0], &[2], "label NaN of example 0 is no class"),
            (&CrossEntropy, &[2, 4], &[0.0, -100.0], &[2], "label -100 of example 1 is out of range"),
            (&CrossEntropyWith(ignoring()), &[2, 4], &[0.0, -100.0], &[2], ""),
            (&NllWith(ignoring()), &[2, 4], &[0.0, -99.0], &[2], "label -99 of example 1"),
            // Labels of positions: the example is the row.
            (&CrossEntropy, &[2, 3, 4], &[0.0, 1.0, 2.0, 3.0, 4.0, 0.0], &[2, 3], "label 4 of example 1"),
            (&CrossEntropyWith(first()), &[2, 5, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 0.0], &[2, 3], ""),
            (&BinaryCrossEntropy, &[3, 1], &[0.0, 1.0, 0.3], &[3], ""),
            (
                &BinaryCrossEntropy,
                &[2, 1],
                &[0.0, 2.0],
                &[2],
                "target 2 of example 1 is not from 0 to 1, as binary_cross_entropy needs",
            ),
            (&BinaryCrossEntropyWithLogits, &[2, 1], &[-1.0, 1.0], &[2], "target -1 of example 0 is not from 0 to 1"),
            (&BinaryCrossEntropyWithPositiveWeight(vec![2.0]), &[2, 1], &[0.0, nan], &[2], "target NaN of example 1"),
            (&Hinge, &[2], &[-1.0, 1.0], &[2], ""),
            (&Hinge, &[2], &[0.0, 1.0], &[2], "target 0 of example 0 is neither -1 nor 1, as hinge needs"),
            (&KlDiv, &[2, 2], &[0.5, 0.5, -0.1, 1.1], &[2, 2], "target -0.1 of example 1 is no probability"),
            (
                &Mse,
                &[2, 2],
                &[0.0, 1.0, nan, 0.0],
                &[2, 2],
                "target NaN of example 1 is not a finite number, as mse needs",
            ),
            (&L1, &[1], &[f64::INFINITY], &[1], "target inf of example 0"),
            (&Huber { delta: 1.0 }, &[1], &[1e30], &[1], ""),
            (&custom(|x, _| x.sum_all()), &[1], &[nan], &[1], ""),
        ];
        for (loss, prediction, targets, shape, expected) in cases {
            let targets = TensorData::from_f64(DType::F64, targets, shape).unwrap();
            let found = loss.check_targets(&prediction.into(), &targets).err().map(|error| error.to_string());
            let found = found.unwrap_or_default();
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{}: {found:?}",
                loss.name()
            );
        }
    }

    #[test]
    fn examples_weigh_what_their_labels_do() {
        let labels = TensorData::from_vec(vec![0, 1, -100, 2, -100, -100], [3, 2]).unwrap();
        assert_eq!(CrossEntropy.example_weights(&labels), None);
        let ignoring = CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() };
        assert_eq!(NllWith(ignoring.clone()).example_weights(&labels), Some(vec![2.0, 1.0, 0.0]));
        let weighted = CrossEntropyOptions { class_weights: Some(vec![0.5, 1.0, 3.0]), ..ignoring };
        assert_eq!(CrossEntropyWith(weighted).example_weights(&labels), Some(vec![1.5, 3.0, 0.0]));
    }
}
