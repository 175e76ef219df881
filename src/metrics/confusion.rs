//! The confusion matrix, and what follows from it: accuracy, precision, recall and F1.

use std::fmt;

use unicode_width::UnicodeWidthStr;

use super::Reading;
use super::decode::{Scored, decode};
use crate::data::label_out_of_range;
use crate::error::{Error, Result, counted};
use crate::tensor::TensorData;

/// How the scores of several classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Average {
    /// Of class 1 alone.
    Binary,
    /// The mean over all classes; one that never occurs and is never predicted counts as 0.
    Macro,
    /// Counted over all classes together.
    Micro,
    /// The mean over all classes, weighted by how often each occurs.
    Weighted,
}

/// The scores of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScores {
    /// Its name, or its number.
    pub name: String,
    /// The share of right ones among those predicted as this class; 0 where none was.
    pub precision: f64,
    /// The share of this class that was predicted as such; 0 where it does not occur.
    pub recall: f64,
    /// The harmonic mean of the two; 0 where both are.
    pub f1: f64,
    /// How many examples are of this class.
    pub support: u64,
}

/// How often each true class (row) was predicted as each class (column).
///
/// ```
/// use wgrad::metrics::ConfusionMatrix;
/// let mut matrix = ConfusionMatrix::new(2).with_class_names(["cat", "dog"]);
/// for (truth, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     matrix.record(truth, predicted)?;
/// }
/// assert_eq!(matrix.accuracy(), Some(0.75));
/// assert_eq!(matrix.to_string(), "\
/// true \\ predicted  cat  dog
///              cat    1    1
///              dog    0    2
/// ");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
    names: Vec<String>,
}

impl ConfusionMatrix {
    /// An empty matrix of `classes` rows and columns.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes], names: Vec::new() }
    }

    /// The same with names for the classes; those left unnamed keep their numbers.
    #[must_use]
    pub fn with_class_names<Name: Into<String>>(mut self, names: impl IntoIterator<Item = Name>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Takes a batch of scores and labels, in the shapes that
    /// [`Accumulator::update`](super::Accumulator::update) names.
    ///
    /// # Errors
    /// [`Error::Data`], as there.
    pub fn update(&mut self, predictions: &TensorData, targets: &TensorData) -> Result<()> {
        self.add(&decode(predictions, targets, Reading::default())?)
    }

    pub(super) fn add(&mut self, scored: &Scored) -> Result<()> {
        let classes = scored.classes().max(2);
        if classes != self.classes {
            return Err(Error::Data(format!(
                "predictions of {} for a metric of {}",
                counted(classes, "class"),
                self.classes
            )));
        }
        scored.decisions().try_for_each(|(truth, predicted)| self.record(truth, predicted))
    }

    /// Counts one example.
    ///
    /// # Errors
    /// [`Error::Data`] for a class that there is not.
    pub fn record(&mut self, truth: usize, predicted: usize) -> Result<()> {
        for class in [truth, predicted] {
            if class >= self.classes {
                return Err(label_out_of_range(class as f64, self.total() as usize, self.classes));
            }
        }
        if let Some(count) = self.counts.get_mut(truth * self.classes + predicted) {
            *count += 1;
        }
        Ok(())
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// How often class `truth` was predicted as class `predicted`; 0 for a class that there is not.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        let inside = truth < self.classes && predicted < self.classes;
        inside.then(|| self.counts.get(truth * self.classes + predicted).copied()).flatten().unwrap_or(0)
    }

    /// The rows, one a true class.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.max(1))
    }

    /// Number of examples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of examples on the diagonal; None without examples.
    pub fn accuracy(&self) -> Option<f64> {
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        (self.total() > 0).then(|| quotient(right, self.total()))
    }

    /// The scores of each class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        (0..self.classes)
            .map(|class| {
                let right = self.count(class, class);
                let predicted: u64 = (0..self.classes).map(|truth| self.count(truth, class)).sum();
                let support: u64 = (0..self.classes).map(|predicted| self.count(class, predicted)).sum();
                ClassScores {
                    name: self.name(class),
                    precision: quotient(right, predicted),
                    recall: quotient(right, support),
                    f1: quotient(2 * right, predicted + support),
                    support,
                }
            })
            .collect()
    }

    /// Precision; None without examples.
    pub fn precision(&self, average: Average) -> Option<f64> {
        self.average(average, |class| class.precision)
    }

    /// Recall; None without examples.
    pub fn recall(&self, average: Average) -> Option<f64> {
        self.average(average, |class| class.recall)
    }

    /// F1, the harmonic mean of precision and recall; None without examples.
    pub fn f1(&self, average: Average) -> Option<f64> {
        self.average(average, |class| class.f1)
    }

    fn average(&self, average: Average, score: impl Fn(&ClassScores) -> f64) -> Option<f64> {
        let accuracy = self.accuracy()?;
        let classes = self.per_class();
        match average {
            Average::Binary => classes.get(1).map(score),
            Average::Macro => Some(classes.iter().map(score).sum::<f64>() / self.classes as f64),
            // Each wrong example is one predicted too much for its column and one missed for its row, so over all
            // classes precision, recall and F1 are the same share.
            Average::Micro => Some(accuracy),
            Average::Weighted => {
                let sum: f64 = classes.iter().map(|class| score(class) * class.support as f64).sum();
                Some(sum / self.total() as f64)
            }
        }
    }

    fn name(&self, class: usize) -> String {
        self.names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// A table of precision, recall, F1 and support, a line a class, with the averages below; to be printed.
    pub fn report(&self) -> String {
        let mut table = vec![["", "precision", "recall", "f1", "support"].map(str::to_owned).to_vec()];
        let line = |name: &str, scores: [Option<f64>; 3], support: u64| {
            let cells = scores.map(|score| score.map_or_else(|| "-".into(), |score| format!("{score:.4}")));
            [name.to_owned()].into_iter().chain(cells).chain([support.to_string()]).collect::<Vec<String>>()
        };
        for class in self.per_class() {
            table.push(line(&class.name, [class.precision, class.recall, class.f1].map(Some), class.support));
        }
        for (name, average) in [("macro", Average::Macro), ("weighted", Average::Weighted)] {
            let scores = [self.precision(average), self.recall(average), self.f1(average)];
            table.push(line(name, scores, self.total()));
        }
        aligned(&table)
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head =
            std::iter::once("true \\ predicted".to_owned()).chain((0..self.classes).map(|class| self.name(class)));
        let rows = self.rows().enumerate().map(|(class, counts)| {
            std::iter::once(self.name(class)).chain(counts.iter().map(u64::to_string)).collect()
        });
        formatter.write_str(&aligned(&std::iter::once(head.collect()).chain(rows).collect::<Vec<_>>()))
    }
}

/// A share; 0 of nothing, as scikit-learn's `zero_division=0`.
fn quotient(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Lines of cells flush right, with two spaces between columns.
fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let padding = width.saturating_sub(cell.width());
                format!("{:padding$}{cell}", "")
            })
            .collect();
        cells.join("  ") + "\n"
    };
    table.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Result<ConfusionMatrix> {
        let mut matrix = ConfusionMatrix::new(3).with_class_names(["ant", "bee"]);
        let pairs = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (1, 0), (2, 0), (2, 1), (2, 2), (2, 2)];
        pairs.into_iter().try_for_each(|(truth, predicted)| matrix.record(truth, predicted))?;
        Ok(matrix)
    }

    #[test]
    fn tables_are_aligned() -> Result<()> {
        let matrix = three()?;
        let expected = "\
true \\ predicted  ant  bee  2
             ant    2    1  0
             bee    1    2  0
               2    1    1  2
";
        assert_eq!(matrix.to_string(), expected);
        let expected = "          precision  recall      f1  support
     ant     0.5000  0.6667  0.5714        3
     bee     0.5000  0.6667  0.5714        3
       2     1.0000  0.5000  0.6667        4
   macro     0.6667  0.6111  0.6032       10
weighted     0.7000  0.6000  0.6095       10
";
        assert_eq!(matrix.report(), expected);
        Ok(())
    }

    #[test]
    fn an_empty_matrix_has_no_scores_and_prints_all_the_same() {
        let matrix = ConfusionMatrix::new(2);
        assert_eq!((matrix.accuracy(), matrix.f1(Average::Macro), matrix.total()), (None, None, 0));
        assert_eq!(matrix.report().lines().count(), 5);
        assert!(ConfusionMatrix::new(0).per_class().is_empty());
        assert_eq!(ConfusionMatrix::new(0).to_string(), "true \\ predicted\n");
        assert_eq!(matrix.count(2, 0), 0);
    }

    #[test]
    fn classes_that_are_not_are_errors() {
        let mut matrix = ConfusionMatrix::new(2);
        assert!(matrix.record(2, 0).is_err());
        assert!(matrix.record(0, 2).is_err());
        assert_eq!(matrix, ConfusionMatrix::new(2));
    }
}
