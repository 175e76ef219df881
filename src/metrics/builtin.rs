//! The metrics of this crate, and how they add up.

use super::confusion::{Average, ConfusionMatrix};
use super::decode::decode;
use super::ranking::{self, RankedScores};
use super::regression::Regression;
use super::{Accumulate, Measure, Metric, Reading};
use crate::error::Result;
use crate::tensor::TensorData;

/// A metric of this crate.
///
/// ```
/// use wgrad::{metrics::BuiltIn, tensor::TensorData};
/// let mut accumulators = [BuiltIn::Accuracy, BuiltIn::F1Macro].map(BuiltIn::accumulator);
/// let logits = TensorData::from_vec(vec![2.0_f32, 1.0, 0.5, 0.7], [2, 2])?;
/// let labels = TensorData::from_vec(vec![0_i32, 0], [2])?;
/// for accumulator in &mut accumulators {
///     accumulator.update(&logits, &labels)?;
/// }
/// assert_eq!(accumulators[0].value(), Some(0.5));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuiltIn {
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
    /// The mean squared error over all elements.
    Mse,
    /// The mean absolute error over all elements.
    Mae,
    /// The coefficient of determination, 1 − (residual sum of squares) / (total sum of squares); of several outputs, the mean.
    R2,
}

impl BuiltIn {
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
        Accumulator { metric: self, reading: Reading::default(), state: State::new(self) }
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

/// A [`BuiltIn`] metric over the batches added so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator {
    metric: BuiltIn,
    reading: Reading,
    state: State,
}

/// What is counted for a metric, and what of it is the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A confusion matrix; the average is the usual one where there is none.
    Classes(ClassScore, Option<Average>),
    TopK(usize),
    Ranks,
    Regression(RegressionScore),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClassScore {
    Accuracy,
    Precision,
    Recall,
    F1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegressionScore {
    MeanSquaredError,
    MeanAbsoluteError,
    R2,
}

impl BuiltIn {
    const fn kind(self) -> Kind {
        match self {
            Self::Accuracy => Kind::Classes(ClassScore::Accuracy, None),
            Self::Precision => Kind::Classes(ClassScore::Precision, None),
            Self::PrecisionMacro => Kind::Classes(ClassScore::Precision, Some(Average::Macro)),
            Self::PrecisionMicro => Kind::Classes(ClassScore::Precision, Some(Average::Micro)),
            Self::PrecisionWeighted => Kind::Classes(ClassScore::Precision, Some(Average::Weighted)),
            Self::Recall => Kind::Classes(ClassScore::Recall, None),
            Self::RecallMacro => Kind::Classes(ClassScore::Recall, Some(Average::Macro)),
            Self::RecallMicro => Kind::Classes(ClassScore::Recall, Some(Average::Micro)),
            Self::RecallWeighted => Kind::Classes(ClassScore::Recall, Some(Average::Weighted)),
            Self::F1 => Kind::Classes(ClassScore::F1, None),
            Self::F1Macro => Kind::Classes(ClassScore::F1, Some(Average::Macro)),
            Self::F1Micro => Kind::Classes(ClassScore::F1, Some(Average::Micro)),
            Self::F1Weighted => Kind::Classes(ClassScore::F1, Some(Average::Weighted)),
            Self::TopKAccuracy(k) => Kind::TopK(k),
            Self::RocAuc => Kind::Ranks,
            Self::Mse => Kind::Regression(RegressionScore::MeanSquaredError),
            Self::Mae => Kind::Regression(RegressionScore::MeanAbsoluteError),
            Self::R2 => Kind::Regression(RegressionScore::R2),
        }
    }
}

impl Metric for BuiltIn {
    fn name(&self) -> String {
        Self::name(*self).to_owned()
    }

    fn higher_is_better(&self) -> bool {
        Self::higher_is_better(*self)
    }

    fn measure(&self, reading: Reading) -> Measure<'_> {
        Measure::Predictions(Box::new(Accumulator { reading, ..self.accumulator() }))
    }
}

impl Accumulate for Accumulator {
    fn update(&mut self, predictions: &TensorData, targets: &TensorData) -> Result<()> {
        Self::update(self, predictions, targets)
    }

    fn value(&self) -> Option<f64> {
        Self::value(self)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Classes { score: ClassScore, average: Option<Average>, matrix: Option<ConfusionMatrix> },
    TopK { k: usize, hits: u64, examples: u64 },
    Ranks(RankedScores),
    Regression { score: RegressionScore, sums: Regression },
}

impl State {
    fn new(metric: BuiltIn) -> Self {
        match metric.kind() {
            Kind::Classes(score, average) => Self::Classes { score, average, matrix: None },
            Kind::TopK(k) => Self::TopK { k, hits: 0, examples: 0 },
            Kind::Ranks => Self::Ranks(RankedScores::default()),
            Kind::Regression(score) => Self::Regression { score, sums: Regression::default() },
        }
    }
}

impl Accumulator {
    /// Where binary predictions are taken for class 1: above 0.5 by default, for probabilities; logits want 0.
    #[must_use]
    pub const fn with_threshold(mut self, threshold: f64) -> Self {
        self.reading.threshold = threshold;
        self
    }

    /// A label that marks examples to be left out, such as the padding of a sequence.
    #[must_use]
    pub const fn with_ignored_label(mut self, label: i32) -> Self {
        self.reading.ignored_label = Some(label);
        self
    }

    /// What is measured.
    pub const fn metric(&self) -> BuiltIn {
        self.metric
    }

    /// The metric's name.
    pub const fn name(&self) -> &'static str {
        self.metric.name()
    }

    /// Adds a batch.
    ///
    /// Of classes, `predictions` are scores (logits or probabilities; the highest wins) as `[n, c]` with labels `[n]` or `[n, 1]`,
    /// or with one-hot rows `[n, c]`; as `[n, c, …]` with labels `[n, …]`, where axis 1 holds the classes as for a cross-entropy;
    /// or as `[…, c]` with labels `[…]`. A score per example, `[n]` or `[n, 1]`, is that of class 1 against class 0.
    ///
    /// For mse, mae and r2, both have one shape, but for a last axis of 1.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for shapes that do not fit, a label out of range, another number of classes than before, and a
    /// prediction that is not a number. The accumulator is then as it was.
    pub fn update(&mut self, predictions: &TensorData, targets: &TensorData) -> Result<()> {
        match &mut self.state {
            State::Regression { sums, .. } => sums.update(predictions, targets),
            State::Classes { matrix, .. } => {
                let scored = decode(predictions, targets, self.reading)?;
                let mut counted = match matrix.take() {
                    Some(matrix) => matrix,
                    None => ConfusionMatrix::new(scored.classes().max(2)),
                };
                let result = counted.add(&scored);
                *matrix = Some(counted);
                result
            }
            State::TopK { k, hits, examples } => {
                let scored = decode(predictions, targets, self.reading)?;
                let (right, all) = ranking::top_k_hits(&scored, *k);
                *hits += right;
                *examples += all;
                Ok(())
            }
            State::Ranks(scores) => scores.add(&decode(predictions, targets, self.reading)?),
        }
    }

    /// The value so far. None where there is none: nothing was added yet, or a ROC AUC of a single class, or an R² of fewer than
    /// two examples.
    pub fn value(&self) -> Option<f64> {
        match &self.state {
            State::Classes { score, average, matrix } => {
                let matrix = matrix.as_ref()?;
                let usual = if matrix.classes() == 2 { Average::Binary } else { Average::Macro };
                let average = average.unwrap_or(usual);
                match score {
                    ClassScore::Accuracy => matrix.accuracy(),
                    ClassScore::Precision => matrix.precision(average),
                    ClassScore::Recall => matrix.recall(average),
                    ClassScore::F1 => matrix.f1(average),
                }
            }
            State::TopK { hits, examples, .. } => (*examples > 0).then(|| *hits as f64 / *examples as f64),
            State::Ranks(scores) => scores.area(),
            State::Regression { score, sums } => match score {
                RegressionScore::MeanSquaredError => sums.mean_squared_error(),
                RegressionScore::MeanAbsoluteError => sums.mean_absolute_error(),
                RegressionScore::R2 => sums.r2(),
            },
        }
    }

    /// Forgets what was added.
    pub fn reset(&mut self) {
        self.state = State::new(self.metric);
    }
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
        let mut accuracy = BuiltIn::Accuracy.accumulator();
        assert_eq!(accuracy.value(), None);
        accuracy.update(&scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?, &labels(&[1, 1])?)?;
        accuracy.update(&scores(&[0.2, 0.8], &[1, 2])?, &labels(&[1])?)?;
        assert_eq!(accuracy.value(), Some(2.0 / 3.0));
        accuracy.reset();
        assert_eq!(accuracy, BuiltIn::Accuracy.accumulator());
        for metric in [BuiltIn::F1, BuiltIn::TopKAccuracy(2), BuiltIn::RocAuc, BuiltIn::Mse, BuiltIn::R2] {
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
                assert_eq!(BuiltIn::Accuracy.evaluate(&scores(&probabilities, dims)?, &truth)?, Some(0.5));
            }
        }
        let mut logits = BuiltIn::Accuracy.accumulator().with_threshold(0.0);
        logits.update(&scores(&[3.0, 0.2, -0.5, -1.0], &[4])?, &truth)?;
        assert_eq!(logits.value(), Some(1.0));

        let three = scores(&[1.0, 5.0, 2.0, 3.0, 1.0, 2.0], &[2, 3])?;
        let one_hot = scores(&[0.0, 1.0, 0.0, 0.0, 0.0, 1.0], &[2, 3])?;
        for truth in [labels(&[1, 2])?, labels(&[1, 2])?.reshape([2, 1])?, one_hot] {
            assert_eq!(BuiltIn::Accuracy.evaluate(&three, &truth)?, Some(0.5));
        }
        // The same four scores of two classes, once as [n, c, d] and once as [n, d, c].
        let truth = labels(&[1, 0, 0])?.reshape([1, 3])?;
        let spatial = scores(&[1.0, 9.0, 0.0, 2.0, 3.0, 4.0], &[1, 2, 3])?;
        let last = scores(&[1.0, 2.0, 9.0, 3.0, 0.0, 4.0], &[1, 3, 2])?;
        assert_eq!(BuiltIn::Accuracy.evaluate(&spatial, &truth)?, Some(2.0 / 3.0));
        assert_eq!(BuiltIn::Accuracy.evaluate(&last, &truth)?, Some(2.0 / 3.0));
        Ok(())
    }

    #[test]
    fn ignored_labels_do_not_count() -> Result<()> {
        let mut accuracy = BuiltIn::Accuracy.accumulator().with_ignored_label(-100);
        accuracy.update(&scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?, &labels(&[1, -100])?)?;
        assert_eq!(accuracy.value(), Some(1.0));
        Ok(())
    }

    #[test]
    fn nothing_to_measure_is_none_and_no_number() -> Result<()> {
        let (two, none) = (scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?, scores(&[], &[0, 2])?);
        let classes = [
            BuiltIn::Accuracy,
            BuiltIn::TopKAccuracy(1),
            BuiltIn::Precision,
            BuiltIn::PrecisionMacro,
            BuiltIn::Recall,
            BuiltIn::RecallMicro,
            BuiltIn::RecallWeighted,
            BuiltIn::F1,
            BuiltIn::F1Macro,
            BuiltIn::RocAuc,
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
        for metric in [BuiltIn::Mse, BuiltIn::Mae, BuiltIn::R2] {
            assert_eq!(metric.evaluate(&none, &none)?, None, "{}", metric.name());
        }
        Ok(())
    }

    #[test]
    fn mistakes_are_named_and_change_nothing() -> Result<()> {
        let two = scores(&[0.2, 0.8, 0.9, 0.1], &[2, 2])?;
        let mut accuracy = BuiltIn::Accuracy.accumulator();
        accuracy.update(&two, &labels(&[1, 1])?)?;
        let before = accuracy.clone();
        let expected = "label 2 of example 1 is out of range: with 2 classes, labels are 0 to 1";
        assert_eq!(message(accuracy.update(&two, &labels(&[1, 2])?)), expected);
        assert!(message(accuracy.update(&two, &labels(&[1, 1, 1])?)).contains("f32[2, 2] with targets i32[3]"));
        assert!(message(accuracy.update(&scores(&[0.0; 3], &[1, 3])?, &labels(&[1])?)).contains("3 classes"));
        assert!(message(accuracy.update(&scores(&[f32::NAN], &[1])?, &labels(&[1])?)).contains("diverged"));
        assert!(message(BuiltIn::Mse.evaluate(&two, &labels(&[1, 2])?)).contains("one shape"));
        assert!(message(BuiltIn::Mae.evaluate(&scores(&[f32::NAN], &[1])?, &labels(&[1])?)).contains("diverged"));
        let three = scores(&[0.0; 3], &[1, 3])?;
        assert!(message(BuiltIn::RocAuc.evaluate(&three, &labels(&[1])?)).contains("two classes"));
        assert_eq!(accuracy, before);
        Ok(())
    }

    #[test]
    fn the_usual_f1_is_of_class_one_where_there_are_two() -> Result<()> {
        let predictions = scores(&[0.9, 0.9, 0.1, 0.1, 0.9], &[5, 1])?;
        let truth = labels(&[1, 0, 0, 1, 1])?;
        let value = |metric: BuiltIn| metric.evaluate(&predictions, &truth);
        assert_eq!(value(BuiltIn::Precision)?, Some(2.0 / 3.0));
        assert_eq!(value(BuiltIn::Recall)?, Some(2.0 / 3.0));
        assert_ne!(value(BuiltIn::F1)?, value(BuiltIn::F1Macro)?);
        assert_eq!(value(BuiltIn::F1Micro)?, value(BuiltIn::Accuracy)?);
        Ok(())
    }
}
