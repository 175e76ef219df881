//! What a model's outputs mean: classes with their probabilities, or numbers.

use serde_json::{Map, Value, json};
use wgrad::tensor::TensorData;

use crate::failure::Result;
use crate::output::shortened;
use crate::train::demo::{Asked, Names, Task};
use crate::train::saved;

/// Columns of a terminal that a name takes at most.
const MOST: usize = 60;

/// An answer to each example.
pub struct Answers {
    all: Vec<Answer>,
    /// The names of the classes; none where the answers are numbers.
    pub classes: Vec<String>,
}

/// An answer.
pub enum Answer {
    /// The likeliest class, and the probability of each.
    Class { label: usize, probabilities: Vec<f64> },
    /// A number in the unit of what was learned; of a series, as many steps ahead as its index says, from the first.
    Value(f64),
}

impl Answers {
    /// From the model's outputs.
    pub fn of(predictions: &TensorData, asked: &Asked) -> Result<Self> {
        let data = &asked.data;
        let (mean, std) = asked.unit.unwrap_or((0.0, 1.0));
        let outputs = match data.task {
            // Each step ahead is an answer.
            Task::Series { .. } => 1,
            task => task.outputs().max(1),
        };
        let values = predictions.to_f64_vec();
        let answer = |row: &[f64]| match data.task {
            Task::Binary => {
                let probability = row.first().copied().unwrap_or_default();
                // As the metrics have it.
                let label = usize::from(probability > 0.5);
                Answer::Class { label, probabilities: vec![1.0 - probability, probability] }
            }
            Task::Classes(_) | Task::Text { .. } | Task::Translation { .. } => {
                let probabilities = softmax(row);
                Answer::Class { label: largest(row), probabilities }
            }
            Task::Series { .. } | Task::Number { .. } | Task::Words { .. } => {
                Answer::Value(row.first().copied().unwrap_or_default() * std + mean)
            }
        };
        let classes = (0..data.task.classes()).map(|class| saved::class_name(&data.test, class)).collect();
        Ok(Self { all: values.chunks_exact(outputs).map(answer).collect(), classes })
    }

    /// Number of answers.
    pub const fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Answer> {
        self.all.iter()
    }

    /// The name of a class.
    pub fn class(&self, label: usize) -> &str {
        self.classes.get(label).map_or("", String::as_str)
    }

    /// An answer as an event.
    pub fn event(&self, index: usize) -> Map<String, Value> {
        let mut event = Map::new();
        event.insert("event".to_owned(), json!("prediction"));
        event.insert("index".to_owned(), json!(index));
        match self.all.get(index) {
            Some(Answer::Class { label, probabilities }) => {
                event.insert("class".to_owned(), json!(self.class(*label)));
                event.insert("label".to_owned(), json!(label));
                event.insert("probabilities".to_owned(), json!(probabilities));
            }
            Some(Answer::Value(value)) => {
                event.insert("value".to_owned(), json!(value));
            }
            None => {}
        }
        event
    }

    /// The first ones for people: columns with their sides, and cells.
    pub fn rows(&self, names: Option<&Names>, most: usize) -> (Vec<String>, Vec<Vec<String>>) {
        let mut columns = vec![">index".to_owned()];
        columns.extend(names.map(|names| format!("<{}", names.of)));
        match self.all.first() {
            Some(Answer::Class { .. }) => columns.extend(["<class", ">probability"].map(str::to_owned)),
            Some(Answer::Value(_)) | None => columns.push(">value".to_owned()),
        }
        let row = |(index, answer): (usize, &Answer)| {
            let mut cells = vec![index.to_string()];
            cells.extend(names.map(|names| shortened(names.names.get(index).map_or("", String::as_str), MOST)));
            match answer {
                Answer::Class { label, probabilities } => {
                    let probability = probabilities.get(*label).copied().unwrap_or_default();
                    cells.extend([self.class(*label).to_owned(), format!("{probability:.4}")]);
                }
                Answer::Value(value) => cells.push(format!("{value:.4}")),
            }
            cells
        };
        (columns, self.all.iter().enumerate().take(most).map(row).collect())
    }
}

/// The first of the largest.
fn largest(row: &[f64]) -> usize {
    let better = |best: usize, (index, value): (usize, &f64)| {
        if row.get(best).is_none_or(|known| value > known) { index } else { best }
    };
    row.iter().enumerate().fold(0, better)
}

/// Probabilities of logits, which sum to 1.
fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_softmax() {
        let found = softmax(&[0.0, 1.0, 2.0]);
        for (found, expected) in found.iter().zip([0.09003057317038046, 0.24472847105479764, 0.6652409557748218]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!((largest(&[1.0, 3.0, 3.0]), largest(&[-1.0]), largest(&[])), (1, 0, 0));
    }
}
