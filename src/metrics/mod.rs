//! Floor 6: metrics, which say how good predictions are in terms that people use.
//!
//! A [`Metric`] names what to measure; its [`Accumulator`] is fed batch after batch on the host, as a validation epoch proceeds.
//! Everything about classes is counted in one [`ConfusionMatrix`] and derived from it. The definitions are scikit-learn's,
//! and the tests compare with it.

mod confusion;
mod decode;
mod ranking;
mod regression;

pub use confusion::{Average, ClassScores, ConfusionMatrix};

use crate::error::{Error, Result};
use crate::tensor::TensorData;

use decode::{Options, decode};
use ranking::RankedScores;
use regression::Regression;

/// What to measure.
///
/// ```
/// use wgrad::{metrics::Metric, tensor::TensorData};
/// let mut accumulators = [Metric::Accuracy, Metric::F1Macro].map(Metric::accumulator);
/// let logits = TensorData::from_vec(vec![2.0_f32, 1.0, 0.5, 0.7], [2, 2])?;
/// let labels = TensorData::from_vec(vec![0_i32, 0], [2])?;
/// for accumulator in &mut accumulators {
///     accumulator.update(&logits, &labels)?;
/// }
/// assert_eq!(accumulators[0].value(), Some(0.5));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The share of examples whose predicted class is the true one.
    Accuracy,
    /// The share of examples whose true class is among the k with the highest scores.
    TopKAccuracy(usize),
    /// The share of right ones among those predicted: of class 1 where there are two, else as macro.
    Precision,
    /// The mean of the classes' precisions.
    PrecisionMacro,
    /// Precision counted over all classes together, which is the accuracy.
    PrecisionMicro,
    /// The mean of the classes' precisions, weighted by how often each occurs.
    PrecisionWeighted,
    /// The share of right ones among those that are there: of class 1 where there are two, else as macro.
    Recall,
    /// The mean of the classes' recalls.
    RecallMacro,
    /// Recall counted over all classes together, which is the accuracy.
    RecallMicro,
    /// The mean of the classes' recalls, weighted by how often each occurs.
    RecallWeighted,
    /// The harmonic mean of precision and recall: of class 1 where there are two, else as macro.
    F1,
    /// The mean of the classes' F1.
    F1Macro,
    /// F1 counted over all classes together, which is the accuracy.
    F1Micro,
    /// The mean of the classes' F1, weighted by how often each occurs.
    F1Weighted,
    /// The probability that an example of class 1 has a higher score than one of class 0; ties count half. Two classes only.
    RocAuc,
    /// The mean squared error.
    Mse,
    /// The mean absolute error.
    Mae,
    /// The coefficient of determination; of several outputs, the mean.
    R2,
}

impl Metric {
    /// The name in reports, logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::TopKAccuracy(_) => "top_k_accuracy",
            Self::Precision => "precision",
            Self::PrecisionMacro => "precision_macro",
            Self::PrecisionMicro => "precision_micro",
            Self::PrecisionWeighted => "precision_weighted",
            Self::Recall => "recall",
            Self::RecallMacro => "recall_macro",
            Self::RecallMicro => "recall_micro",
            Self::RecallWeighted => "recall_weighted",
            Self::F1 => "f1",
            Self::F1Macro => "f1_macro",
            Self::F1Micro => "f1_micro",
            Self::F1Weighted => "f1_weighted",
            Self::RocAuc => "roc_auc",
            Self::Mse => "mse",
            Self::Mae => "mae",
            Self::R2 => "r2",
        }
    }

    /// Whether more is better; false for the errors.
    pub const fn higher_is_better(self) -> bool {
        !matches!(self, Self::Mse | Self::Mae)
    }

    /// An empty accumulator.
    pub fn accumulator(self) -> Accumulator {
        Accumulator { metric: self, options: Options::default(), state: State::new(self) }
    }

    /// The value for a single batch.
    ///
    /// # Errors
    /// As for [`Accumulator::update`].
    pub fn evaluate(self, predictions: &TensorData, targets: &TensorData) -> Result<Option<f64>> {
        let mut accumulator = self.accumulator();
        accumulator.update(predictions, targets)?;
        Ok(accumulator.value())
    }
}

/// A [`Metric`] over the batches added so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator {
    metric: Metric,
    options: Options,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Classes(Option<ConfusionMatrix>),
    TopK { k: usize, hits: u64, examples: u64 },
    Ranks(RankedScores),
    Regression(Regression),
}

impl State {
    fn new(metric: Metric) -> Self {
        match metric {
            Metric::TopKAccuracy(k) => Self::TopK { k, hits: 0, examples: 0 },
            Metric::RocAuc => Self::Ranks(RankedScores::default()),
            Metric::Mse | Metric::Mae | Metric::R2 => Self::Regression(Regression::default()),
            Metric::Accuracy
            | Metric::Precision
            | Metric::PrecisionMacro
            | Metric::PrecisionMicro
            | Metric::PrecisionWeighted
            | Metric::Recall
            | Metric::RecallMacro
            | Metric::RecallMicro
            | Metric::RecallWeighted
            | Metric::F1
            | Metric::F1Macro
            | Metric::F1Micro
            | Metric::F1Weighted => Self::Classes(None),
        }
    }
}

impl Accumulator {
    /// Where binary predictions are taken for class 1: above 0.5 by default, for probabilities; logits want 0.
    #[must_use]
    pub const fn with_threshold(mut self, threshold: f64) -> Self {
        self.options.threshold = threshold;
        self
    }

    /// A label that marks examples to be left out, such as the padding of a sequence.
    #[must_use]
    pub const fn with_ignored_label(mut self, label: i32) -> Self {
        self.options.ignored_label = Some(label);
        self
    }

    /// What is measured.
    pub const fn metric(&self) -> Metric {
        self.metric
    }

    /// The metric's name.
    pub const fn name(&self) -> &'static str {
        self.metric.name()
    }

    /// Takes a batch.
    ///
    /// Of classes, `predictions` are scores (logits or probabilities; the highest wins) as `[n, c]` with labels `[n]` or `[n, 1]`,
    /// or with one-hot rows `[n, c]`; as `[n, c, …]` with labels `[n, …]`, where axis 1 holds the classes as for a cross-entropy;
    /// or as `[…, c]` with labels `[…]`. A score per example, `[n]` or `[n, 1]`, is that of class 1 against class 0.
    ///
    /// For mse, mae and r2, both have one shape, but for a last axis of 1.
    ///
    /// # Errors
    /// [`Error::Data`] for shapes that do not fit, a label out of range, another number of classes than before, and a
    /// prediction that is not a number. The accumulator is then as it was.
    pub fn update(&mut self, predictions: &TensorData, targets: &TensorData) -> Result<()> {
        match &mut self.state {
            State::Regression(regression) => regression.update(predictions, targets),
            State::Classes(matrix) => {
                let scored = decode(predictions, targets, self.options)?;
                let mut counted = match matrix.take() {
                    Some(matrix) => matrix,
                    None => ConfusionMatrix::new(scored.classes().max(2)),
                };
                let result = counted.add(&scored);
                *matrix = Some(counted);
                result
            }
            State::TopK { k, hits, examples } => {
                let scored = decode(predictions, targets, self.options)?;
                let (right, all) = ranking::top_k_hits(&scored, *k);
                *hits += right;
                *examples += all;
                Ok(())
            }
            State::Ranks(scores) => scores.add(&decode(predictions, targets, self.options)?),
        }
    }

    /// The value so far. None where there is none: nothing was added yet, or a ROC AUC of a single class, or an R² of fewer than
    /// two examples.
    pub fn value(&self) -> Option<f64> {
        match &self.state {
            State::Classes(matrix) => self.of_classes(matrix.as_ref()?),
            State::TopK { hits, examples, .. } => (*examples > 0).then(|| *hits as f64 / *examples as f64),
            State::Ranks(scores) => scores.area(),
            State::Regression(regression) => match self.metric {
                Metric::Mse => regression.mean_squared_error(),
                Metric::Mae => regression.mean_absolute_error(),
                Metric::R2 => regression.r2(),
                Metric::Accuracy
                | Metric::TopKAccuracy(_)
                | Metric::Precision
                | Metric::PrecisionMacro
                | Metric::PrecisionMicro
                | Metric::PrecisionWeighted
                | Metric::Recall
                | Metric::RecallMacro
                | Metric::RecallMicro
                | Metric::RecallWeighted
                | Metric::F1
                | Metric::F1Macro
                | Metric::F1Micro
                | Metric::F1Weighted
                | Metric::RocAuc => None,
            },
        }
    }

    fn of_classes(&self, matrix: &ConfusionMatrix) -> Option<f64> {
        let usual = if matrix.classes() == 2 { Average::Binary } else { Average::Macro };
        match self.metric {
            Metric::Precision => matrix.precision(usual),
            Metric::PrecisionMacro => matrix.precision(Average::Macro),
            Metric::PrecisionMicro => matrix.precision(Average::Micro),
            Metric::PrecisionWeighted => matrix.precision(Average::Weighted),
            Metric::Recall => matrix.recall(usual),
            Metric::RecallMacro => matrix.recall(Average::Macro),
            Metric::RecallMicro => matrix.recall(Average::Micro),
            Metric::RecallWeighted => matrix.recall(Average::Weighted),
            Metric::F1 => matrix.f1(usual),
            Metric::F1Macro => matrix.f1(Average::Macro),
            Metric::F1Micro => matrix.f1(Average::Micro),
            Metric::F1Weighted => matrix.f1(Average::Weighted),
            Metric::Accuracy => matrix.accuracy(),
            Metric::TopKAccuracy(_) | Metric::RocAuc | Metric::Mse | Metric::Mae | Metric::R2 => None,
        }
    }

    /// Forgets what was added.
    pub fn reset(&mut self) {
        self.state = State::new(self.metric);
    }
}

/// An error about predictions and targets that do not go together.
fn mismatch(predictions: &TensorData, targets: &TensorData, expected: &str) -> Error {
    Error::Data(format!(
        "a metric cannot compare predictions {} with targets {}: {expected}",
        predictions.ty(),
        targets.ty()
    ))
}

/// An error about a prediction that is not a number, which mostly means that training went wrong.
fn not_a_number(example: usize) -> Error {
    Error::Data(format!("the prediction for example {example} is not a finite number; has the training diverged?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[i32]) -> Result<TensorData> {
        TensorData::from_slice(values, [values.len()])
    }

    fn scores(values: &[f32], dims: &[usize]) -> Result<TensorData> {
        TensorData::from_slice(values, dims)
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn batches_add_up_and_nothing_is_none() -> Result<()> {
        let mut accuracy = Metric::Accuracy.accumulator();
        assert_eq!(accuracy.value(), None);
        accuracy.update(&scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?, &labels(&[1, 1])?)?;
        accuracy.update(&scores(&[0.2, 0.8], &[1, 2])?, &labels(&[1])?)?;
        assert_eq!(accuracy.value(), Some(2.0 / 3.0));
        accuracy.reset();
        assert_eq!(accuracy, Metric::Accuracy.accumulator());
        for metric in [Metric::F1, Metric::TopKAccuracy(2), Metric::RocAuc, Metric::Mse, Metric::R2] {
            assert_eq!(metric.accumulator().value(), None);
        }
        Ok(())
    }

    #[test]
    fn all_the_usual_shapes_are_understood() -> Result<()> {
        let probabilities = [0.9, 0.5, 0.6, 0.1];
        let truth = labels(&[1, 1, 0, 0])?;
        for dims in [[4].as_slice(), &[4, 1]] {
            for truth in [truth.clone(), truth.clone().reshape([4, 1])?] {
                assert_eq!(Metric::Accuracy.evaluate(&scores(&probabilities, dims)?, &truth)?, Some(0.5));
            }
        }
        let mut logits = Metric::Accuracy.accumulator().with_threshold(0.0);
        logits.update(&scores(&[3.0, 0.2, -0.5, -1.0], &[4])?, &truth)?;
        assert_eq!(logits.value(), Some(1.0));

        let three = scores(&[1.0, 5.0, 2.0, 3.0, 1.0, 2.0], &[2, 3])?;
        let one_hot = scores(&[0.0, 1.0, 0.0, 0.0, 0.0, 1.0], &[2, 3])?;
        for truth in [labels(&[1, 2])?, labels(&[1, 2])?.reshape([2, 1])?, one_hot] {
            assert_eq!(Metric::Accuracy.evaluate(&three, &truth)?, Some(0.5));
        }
        // The same four scores of two classes, once as [n, c, d] and once as [n, d, c].
        let truth = labels(&[1, 0, 0])?.reshape([1, 3])?;
        let spatial = scores(&[1.0, 9.0, 0.0, 2.0, 3.0, 4.0], &[1, 2, 3])?;
        let last = scores(&[1.0, 2.0, 9.0, 3.0, 0.0, 4.0], &[1, 3, 2])?;
        assert_eq!(Metric::Accuracy.evaluate(&spatial, &truth)?, Some(2.0 / 3.0));
        assert_eq!(Metric::Accuracy.evaluate(&last, &truth)?, Some(2.0 / 3.0));
        Ok(())
    }

    #[test]
    fn ignored_labels_do_not_count() -> Result<()> {
        let mut accuracy = Metric::Accuracy.accumulator().with_ignored_label(-100);
        accuracy.update(&scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?, &labels(&[1, -100])?)?;
        assert_eq!(accuracy.value(), Some(1.0));
        Ok(())
    }

    #[test]
    fn nothing_to_measure_is_none_and_no_number() -> Result<()> {
        let (two, none) = (scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?, scores(&[], &[0, 2])?);
        let classes = [
            Metric::Accuracy,
            Metric::TopKAccuracy(1),
            Metric::Precision,
            Metric::PrecisionMacro,
            Metric::Recall,
            Metric::RecallMicro,
            Metric::RecallWeighted,
            Metric::F1,
            Metric::F1Macro,
            Metric::RocAuc,
        ];
        for metric in classes {
            let mut accumulator = metric.accumulator().with_ignored_label(-100);
            accumulator.update(&none, &labels(&[])?)?;
            accumulator.update(&two, &labels(&[-100, -100])?)?;
            assert_eq!(accumulator.value(), None, "{}", metric.name());
            // And what counts afterwards does.
            accumulator.update(&two, &labels(&[1, 0])?)?;
            assert_eq!(accumulator.value(), Some(1.0), "{}", metric.name());
        }
        for metric in [Metric::Mse, Metric::Mae, Metric::R2] {
            assert_eq!(metric.evaluate(&none, &none)?, None, "{}", metric.name());
        }
        Ok(())
    }

    #[test]
    fn mistakes_are_named_and_change_nothing() -> Result<()> {
        let two = scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?;
        let mut accuracy = Metric::Accuracy.accumulator();
        accuracy.update(&two, &labels(&[1, 1])?)?;
        let before = accuracy.clone();
        let expected = "label 2 of example 1 is out of range: with 2 classes, labels are 0 to 1";
        assert_eq!(message(accuracy.update(&two, &labels(&[1, 2])?)), expected);
        assert!(message(accuracy.update(&two, &labels(&[1, 1, 1])?)).contains("f32[2, 2] with targets i32[3]"));
        assert!(message(accuracy.update(&scores(&[0.0; 3], &[1, 3])?, &labels(&[1])?)).contains("3 classes"));
        assert!(message(accuracy.update(&scores(&[f32::NAN], &[1])?, &labels(&[1])?)).contains("diverged"));
        assert!(message(Metric::Mse.evaluate(&two, &labels(&[1, 2])?)).contains("one shape"));
        assert!(message(Metric::Mae.evaluate(&scores(&[f32::NAN], &[1])?, &labels(&[1])?)).contains("diverged"));
        let three = scores(&[0.0; 3], &[1, 3])?;
        assert!(message(Metric::RocAuc.evaluate(&three, &labels(&[1])?)).contains("two classes"));
        assert_eq!(accuracy, before);
        Ok(())
    }

    #[test]
    fn the_usual_f1_is_of_class_one_where_there_are_two() -> Result<()> {
        let predictions = scores(&[0.9, 0.9, 0.1, 0.1, 0.9], &[5, 1])?;
        let truth = labels(&[1, 0, 0, 1, 1])?;
        let value = |metric: Metric| metric.evaluate(&predictions, &truth);
        assert_eq!(value(Metric::Precision)?, Some(2.0 / 3.0));
        assert_eq!(value(Metric::Recall)?, Some(2.0 / 3.0));
        assert_ne!(value(Metric::F1)?, value(Metric::F1Macro)?);
        assert_eq!(value(Metric::F1Micro)?, value(Metric::Accuracy)?);
        Ok(())
    }
}
