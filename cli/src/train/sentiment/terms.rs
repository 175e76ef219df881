//! Sentences as the terms that occur in them, whatever their order: counts of words, or TF-IDF of words and pairs of words.
//!
//! Of tens of thousands of terms a sentence has some twenty. So an example is a sparse row, filled up to the longest: as many columns
//! as it has terms, then as many values, `[2 · longest]`, f32. The logistic model reads that form; what it computes is one dense layer
//! on the whole row.

use wgrad::data::{BagOfWords, BagOfWordsOptions, SparseRows, TfIdf, TfIdfOptions};
use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{Initializer, Mode, Model, Scope};
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{ModelFile, ModelSettings};

use crate::failure::{Failure, Result};
use crate::output::counted;

/// A term that fewer sentences of the training part have is left out.
const MINIMUM_SENTENCES: usize = 2;

/// The most frequent terms, of which f32 holds every column's number.
const MAXIMUM_TERMS: usize = 200_000;

/// Different terms of a sentence; one with more of them is no sentence, and every row would be as long.
const LONGEST: usize = 4096;

/// The setting of a saved model.
const SETTING: &str = "terms";

/// Which terms there are, and what they weigh.
#[derive(Clone, Debug)]
pub enum Terms {
    Bag(BagOfWords),
    TfIdf(TfIdf),
}

impl Terms {
    /// Finds the terms of the training part.
    pub fn bag(texts: &[&str]) -> Result<Self> {
        Ok(Self::Bag(options().fit(texts)?))
    }

    /// The same, with pairs of words, and how rare they are.
    pub fn tf_idf(texts: &[&str]) -> Result<Self> {
        Ok(Self::TfIdf(TfIdfOptions::new().terms(options().ngrams(1, 2)).sublinear_tf(true).fit(texts)?))
    }

    /// Those of a saved model.
    pub fn of(file: &ModelFile, is_bag: bool) -> Result<Self> {
        let json = file.text(SETTING)?;
        let found =
            if is_bag { BagOfWords::from_json(json).map(Self::Bag) } else { TfIdf::from_json(json).map(Self::TfIdf) };
        let terms = found.map_err(|error| file.wrong(error.to_string()))?;
        let count = terms.len();
        if count > MAXIMUM_TERMS {
            let message = format!("it has {}, and there can be {MAXIMUM_TERMS}", counted(count, "term"));
            return Err(file.wrong(message).into());
        }
        Ok(terms)
    }

    /// Number of terms.
    pub const fn len(&self) -> usize {
        match self {
            Self::Bag(bag) => bag.len(),
            Self::TfIdf(tf_idf) => tf_idf.len(),
        }
    }

    /// Adds them to what a saved model says.
    pub fn save(&self, settings: ModelSettings) -> ModelSettings {
        settings.with(
            SETTING,
            match self {
                Self::Bag(bag) => bag.to_json(),
                Self::TfIdf(tf_idf) => tf_idf.to_json(),
            },
        )
    }

    /// Sentences as sparse rows.
    pub fn rows<Text: AsRef<str>>(&self, texts: &[Text]) -> SparseRows {
        match self {
            Self::Bag(bag) => bag.transform(texts),
            Self::TfIdf(tf_idf) => tf_idf.transform(texts),
        }
    }
}

fn options() -> BagOfWordsOptions {
    BagOfWordsOptions::new().min_df(MINIMUM_SENTENCES).max_features(MAXIMUM_TERMS)
}

/// The number of terms of the longest row, at least 1.
pub fn longest(rows: &SparseRows) -> Result<usize> {
    let lengths = rows.indptr().windows(2).map(|ends| ends.iter().rev().copied().reduce(|end, start| end - start));
    let mut longest = 1;
    for (number, length) in lengths.flatten().enumerate() {
        if length > LONGEST {
            return Err(Failure::new(format!(
                "sentence {} has {length} different terms, and there can be {LONGEST}: sentences are separated by ends of lines",
                number + 1
            )));
        }
        longest = longest.max(length);
    }
    Ok(longest)
}

/// Rows of one length, `[rows, 2 · length]`: what is filled up has column 0 and value 0.
pub fn padded(rows: &SparseRows, length: usize) -> Result<TensorData> {
    let mut values = Vec::with_capacity(rows.rows() * 2 * length);
    for index in 0..rows.rows() {
        let (columns, weights) = rows.row(index)?;
        let zeros = std::iter::repeat_n(0.0, length.saturating_sub(columns.len()));
        values.extend(columns.iter().map(|&column| column as f32).chain(zeros.clone()));
        values.extend(weights.iter().copied().chain(zeros));
    }
    Ok(TensorData::from_vec(values, [rows.rows(), 2 * length])?)
}

/// Logistic regression: one dense layer, which takes a sentence's row of all `terms` to 1.
#[derive(Clone, Copy, Debug)]
pub struct Logistic {
    pub terms: usize,
}

impl Model for Logistic {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        let length = x.shape().last().copied().unwrap_or(0) / 2;
        let (columns, values) = (x.slice(1, 0, length).cast(DType::I32), x.slice(1, length, 2 * length));
        // The names and shapes of a dense layer's parameters. The loss has one minimum, so there is nothing to draw.
        let head = Scope::new(g, "head", mode);
        let weight = head.parameter("weight", [1, self.terms], Initializer::Zeros);
        let bias = head.parameter("bias", [1], Initializer::Zeros);
        let weights = weight.reshape([self.terms]).take(0, &columns);
        ((weights * values).sum([1]).unsqueeze(-1) + bias).sigmoid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_up() -> std::result::Result<(), wgrad::Error> {
        let rows = SparseRows::new(vec![0, 2, 2, 3], vec![1, 4, 0], vec![2.0, 3.0, 0.5], 5)?;
        assert_eq!(longest(&rows).ok(), Some(2));
        let expected = [1.0_f32, 4.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0];
        assert_eq!(padded(&rows, 2).ok(), Some(TensorData::from_vec(expected.to_vec(), [3, 4])?));
        let empty = SparseRows::new(vec![0, 0], Vec::new(), Vec::new(), 5)?;
        assert_eq!(longest(&empty).ok(), Some(1));
        Ok(())
    }

    #[test]
    fn a_row_that_is_no_sentence_is_refused() -> std::result::Result<(), wgrad::Error> {
        let count = LONGEST + 1;
        let rows = SparseRows::new(vec![0, 0, count], (0..count as u32).collect(), vec![1.0; count], count)?;
        assert!(matches!(longest(&rows), Err(Failure::Message(message)) if message.contains("sentence 2 has 4097")));
        Ok(())
    }
}
