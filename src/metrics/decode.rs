//! Predictions and targets of the many shapes in which they come, as scores of classes and a label for each example.

use super::{Reading, mismatch, not_a_number};
use crate::data::{class_index, label_out_of_range};
use crate::error::Result;
use crate::tensor::TensorData;

/// Examples with the scores of their classes and their true class.
pub(super) struct Scored {
    /// Scores as [outer, classes, inner]; one class means the score of class 1 against class 0.
    scores: Vec<f64>,
    classes: usize,
    inner: usize,
    threshold: f64,
    /// Number and true class of each example that is not ignored.
    truths: Vec<(usize, usize)>,
}

impl Scored {
    /// Number of classes; 1 for a single score an example.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The true class and the scores of each example.
    pub fn examples(&self) -> impl Iterator<Item = (usize, impl Iterator<Item = f64> + Clone)> {
        self.truths.iter().map(|&(example, truth)| {
            let start = example / self.inner * self.classes * self.inner + example % self.inner;
            (truth, self.scores.iter().skip(start).step_by(self.inner).take(self.classes).copied())
        })
    }

    /// The true and the predicted class of each example. Of equal scores the first wins, as in NumPy's argmax.
    pub fn decisions(&self) -> impl Iterator<Item = (usize, usize)> {
        self.examples().map(|(truth, mut scores)| match self.classes {
            1 => (truth, usize::from(scores.next().is_some_and(|score| score > self.threshold))),
            _ => (truth, argmax(scores)),
        })
    }
}

fn argmax(scores: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, score) in scores.enumerate() {
        if score > best.1 {
            best = (class, score);
        }
    }
    best.0
}

/// Finds the axis of classes and checks labels and scores.
pub(super) fn decode(predictions: &TensorData, targets: &TensorData, reading: Reading) -> Result<Scored> {
    let (shape, target_shape) = (predictions.shape().dims(), targets.shape().dims());
    let layout = layout(shape, target_shape).ok_or_else(|| {
        mismatch(
            predictions,
            targets,
            "it takes scores [n, classes] with labels [n] or one-hot rows, or a score and a label each",
        )
    })?;
    let scores = predictions.to_f64_vec();
    let Layout { classes, inner, one_hot } = layout;
    if let Some(position) = scores.iter().position(|score| score.is_nan()) {
        return Err(not_a_number(position / (classes * inner) * inner + position % inner));
    }
    let values = targets.to_f64_vec();
    let labels: Vec<f64> = if one_hot {
        values.chunks_exact(classes).map(|row| argmax(row.iter().copied()) as f64).collect()
    } else {
        values
    };
    let mut truths = Vec::with_capacity(labels.len());
    for (example, label) in labels.into_iter().enumerate() {
        if reading.ignored_label.is_some_and(|ignored| f64::from(ignored) == label) {
            continue;
        }
        let truth =
            class_index(label, classes.max(2)).ok_or_else(|| label_out_of_range(label, example, classes.max(2)))?;
        truths.push((example, truth));
    }
    Ok(Scored { scores, classes, inner, threshold: reading.threshold, truths })
}

struct Layout {
    classes: usize,
    inner: usize,
    one_hot: bool,
}

fn layout(predictions: &[usize], targets: &[usize]) -> Option<Layout> {
    let (plain, plain_targets) = (squeeze(predictions), squeeze(targets));
    if plain == plain_targets {
        // As in Keras, rows against rows of the same length are scores against one-hot rows.
        return Some(match *plain {
            [_, classes] if classes >= 2 => Layout { classes, inner: 1, one_hot: true },
            _ => Layout { classes: 1, inner: 1, one_hot: false },
        });
    }
    let targets = if predictions.len() == targets.len() + 1 { targets } else { plain_targets };
    let (first, rest) = predictions.split_first()?;
    let (&classes, spatial) = rest.split_first()?;
    if targets.split_first() == Some((first, spatial)) {
        return Some(Layout { classes, inner: spatial.iter().product(), one_hot: false }).filter(Layout::is_valid);
    }
    let (&classes, outer) = predictions.split_last()?;
    (outer == targets).then_some(Layout { classes, inner: 1, one_hot: false }).filter(Layout::is_valid)
}

impl Layout {
    fn is_valid(&self) -> bool {
        self.classes >= 2 && self.inner >= 1
    }
}

/// A shape without a last axis of 1.
pub(super) fn squeeze(shape: &[usize]) -> &[usize] {
    match shape {
        [outer @ .., 1] if !outer.is_empty() => outer,
        _ => shape,
    }
}
