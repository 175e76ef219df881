//! Test examples with what the model says of them.

use wgrad::tensor::TensorData;

use super::super::demo::{Data, Picture};
use super::super::pixels::Pixels;
use crate::failure::{Failure, Result};

/// What the model says of an example.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Number of the example in the test part.
    pub example: usize,
    pub truth: usize,
    pub guess: usize,
    /// How sure the model is of its guess.
    pub probability: f64,
}

impl Verdict {
    /// True where the guess is the truth.
    pub const fn is_right(&self) -> bool {
        self.truth == self.guess
    }
}

/// The test part of a data set, with verdicts.
pub struct Examples<'a> {
    pub data: &'a Data,
    pub picture: &'a Picture,
    pub verdicts: Vec<Verdict>,
}

impl<'a> Examples<'a> {
    /// From logits, a row for each test example.
    pub fn new(data: &'a Data, picture: &'a Picture, predictions: &TensorData) -> Result<Self> {
        let labels = data.test.labels("y")?;
        let classes = data.task.outputs();
        let scores = predictions.to_f64_vec();
        if classes < 2 || scores.len() != labels.len() * classes {
            return Err(Failure::new(format!(
                "pictures want one score for each class, and there are {}",
                predictions.ty()
            )));
        }
        let verdicts = scores.chunks_exact(classes).zip(labels).enumerate().map(|(example, (scores, truth))| {
            let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let guess = scores.iter().position(|score| *score == best).unwrap_or_default();
            // The softmax of the largest score.
            let probability = 1.0 / scores.iter().map(|score| (score - best).exp()).sum::<f64>();
            Verdict { example, truth, guess, probability }
        });
        Ok(Self { data, picture, verdicts: verdicts.collect() })
    }

    /// The wrong ones, the surest first.
    pub fn mistakes(&self) -> Vec<Verdict> {
        let mut mistakes: Vec<Verdict> = self.verdicts.iter().filter(|verdict| !verdict.is_right()).copied().collect();
        mistakes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        mistakes
    }

    /// Up to `count` right ones, of each class one after another.
    pub fn right(&self, count: usize) -> Vec<Verdict> {
        let classes = self.data.task.classes();
        let mut by_class = vec![Vec::new(); classes];
        for verdict in self.verdicts.iter().filter(|verdict| verdict.is_right()) {
            if let Some(class) = by_class.get_mut(verdict.truth) {
                class.push(*verdict);
            }
        }
        let most = by_class.iter().map(Vec::len).max().unwrap_or_default();
        let rounds = (0..most).flat_map(|round| by_class.iter().filter_map(move |class| class.get(round).copied()));
        let mut chosen: Vec<Verdict> = rounds.take(count).collect();
        chosen.sort_by_key(|verdict| (verdict.truth, verdict.example));
        chosen
    }

    /// A class by name, or by number where it has none.
    pub fn class(&self, class: usize) -> String {
        self.data.test.class_names().get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    /// An example as a picture in its own size.
    pub fn show(&self, example: usize) -> Result<Pixels> {
        let x = self.data.test.column("x")?;
        let row = self.picture.shape().iter().product::<usize>();
        self.picture.show(x.as_slice::<u8>()?.get(example * row..(example + 1) * row).unwrap_or_default())
    }
}

/// A probability as a percentage that does not claim to be certain.
pub fn percent(probability: f64) -> String {
    match probability * 100.0 {
        high if high >= 99.95 => ">99.9%".to_owned(),
        value => format!("{value:.1}%"),
    }
}
