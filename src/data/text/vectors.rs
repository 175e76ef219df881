//! Vectors of words: which are near, analogies, and word2vec's file of text.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use super::{Encoding, read_text};
use crate::error::{Error, Result};
use crate::file;
use crate::tensor::{DType, TensorData};

/// Words with a vector each.
///
/// ```
/// use wgrad::data::WordEmbeddings;
/// use wgrad::prelude::*;
/// let vectors = vec![1.0_f32, 0.0, 0.9, 0.1, 0.0, 1.0]; // of three words
/// let words = ["cat", "dog", "car"].map(str::to_owned).to_vec();
/// let embeddings = WordEmbeddings::new(words, &TensorData::from_vec(vectors, [3, 2])?)?;
/// let near = embeddings.nearest("cat", 2).unwrap();
/// assert_eq!((near[0].0, near[1].0), ("dog", "car"));
/// assert!((near[0].1 - 0.9939).abs() < 1e-4);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WordEmbeddings {
    words: Vec<String>,
    numbers: HashMap<String, usize>,
    dim: usize,
    vectors: Vec<f32>,
    /// The same with a length of 1; a vector of zeros stays one.
    directions: Vec<f32>,
}

impl WordEmbeddings {
    /// Of vectors `[words, dim]` of floats.
    ///
    /// # Errors
    /// [`Error::Data`] where the shape is another, a word is there twice, is empty or has spaces, or a number is not finite.
    pub fn new(words: Vec<String>, vectors: &TensorData) -> Result<Self> {
        let &[count, dim] = vectors.shape().dims() else {
            return Err(Error::Data(format!("vectors of words are [words, dim], not {}", vectors.shape())));
        };
        if count != words.len() || dim == 0 {
            return Err(Error::Data(format!("there are {} words for vectors {}", words.len(), vectors.shape())));
        }
        let vectors = vectors.cast(DType::F32)?.to_vec::<f32>()?;
        if let Some(index) = vectors.iter().position(|value| !value.is_finite()) {
            return Err(Error::Data(format!("the vector of {:?} is not finite", words[index / dim])));
        }
        let mut numbers = HashMap::with_capacity(count);
        for (number, word) in words.iter().enumerate() {
            if word.is_empty() || word.contains(char::is_whitespace) {
                return Err(Error::Data(format!("{word:?} is not one word")));
            }
            if numbers.insert(word.clone(), number).is_some() {
                return Err(Error::Data(format!("the word {word:?} is there twice")));
            }
        }
        let mut directions = vectors.clone();
        for vector in directions.chunks_exact_mut(dim) {
            let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
            }
        }
        Ok(Self { words, numbers, dim, vectors, directions })
    }

    /// Reads a file of word2vec's text format: a line with the number of words and that of a vector's numbers, then a line a word with its
    /// numbers, all with spaces between.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`] with the line that is wrong.
    pub fn read_text(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path, Encoding::Utf8)?;
        let wrong = |line: usize, message: String| Error::format(path, format!("line {}: {message}", line + 1));
        let mut lines = text.lines();
        let header: Vec<usize> =
            lines.next().unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let &[count, dim] = header.as_slice() else {
            return Err(wrong(0, "it should be the number of words and that of a vector's numbers".into()));
        };
        let (mut words, mut vectors) = (Vec::new(), Vec::new());
        for (line, text) in lines.enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let mut fields = text.split_whitespace();
            words.push(fields.next().unwrap_or_default().to_owned());
            let before = vectors.len();
            for field in fields {
                vectors.push(field.parse::<f32>().map_err(|_| wrong(line + 1, format!("{field:?} is no number")))?);
            }
            if vectors.len() - before != dim {
                let found = vectors.len() - before;
                return Err(wrong(line + 1, format!("a vector of {found} numbers, where line 1 says {dim}")));
            }
        }
        if words.len() != count {
            return Err(Error::format(path, format!("{} words, where line 1 says {count}", words.len())));
        }
        Self::new(words, &TensorData::from_vec(vectors, [count, dim])?)
            .map_err(|error| Error::format(path, error.to_string()))
    }

    /// Writes word2vec's text format, which gensim reads (`KeyedVectors.load_word2vec_format`): with as many digits as it takes to read the
    /// same numbers again. What was there before is replaced as a whole.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be written.
    pub fn write_text(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut text = format!("{} {}\n", self.words.len(), self.dim);
        for (word, vector) in self.words.iter().zip(self.vectors.chunks_exact(self.dim)) {
            text.push_str(word);
            for value in vector {
                let _ = write!(text, " {value}");
            }
            text.push('\n');
        }
        file::write(path, text.as_bytes())
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Numbers of a vector.
    pub const fn dim(&self) -> usize {
        self.dim
    }

    /// The vector of a word.
    pub fn vector(&self, word: &str) -> Option<&[f32]> {
        self.numbers.get(word).map(|&number| &self.vectors[number * self.dim..][..self.dim])
    }

    /// The cosine of the angle between two words' vectors; `None` where a word is not there.
    pub fn similarity(&self, first: &str, second: &str) -> Option<f64> {
        Some(dot(self.direction(first)?, self.direction(second)?))
    }

    /// The words whose vectors point in the most similar directions, with the cosines, the nearest first; `None` where the word is not there.
    pub fn nearest(&self, word: &str, count: usize) -> Option<Vec<(&str, f64)>> {
        let direction = self.direction(word)?;
        Some(self.nearest_to(direction, &[word], count))
    }

    /// What is to `c` as `b` is to `a`: the words nearest to b − a + c (of length 1 each), without those three, as word2vec and gensim
    /// have it (Mikolov et al. 2013). `None` where a word is not there.
    pub fn analogy(&self, [a, b, c]: [&str; 3], count: usize) -> Option<Vec<(&str, f64)>> {
        let (from, to, at) = (self.direction(a)?, self.direction(b)?, self.direction(c)?);
        let mut sum: Vec<f32> = (0..self.dim).map(|k| to[k] - from[k] + at[k]).collect();
        let length = dot(&sum, &sum).sqrt();
        if length > 0.0 {
            sum.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
        Some(self.nearest_to(&sum, &[a, b, c], count))
    }

    fn direction(&self, word: &str) -> Option<&[f32]> {
        self.numbers.get(word).map(|&number| &self.directions[number * self.dim..][..self.dim])
    }

    fn nearest_to(&self, direction: &[f32], without: &[&str], count: usize) -> Vec<(&str, f64)> {
        let cosines = self.directions.chunks_exact(self.dim).map(|other| dot(direction, other));
        let all = self.words.iter().map(String::as_str).zip(cosines);
        let mut found: Vec<(&str, f64)> = all.filter(|(word, _)| !without.contains(word)).collect();
        // Equal ones stay in the order of their numbers.
        found.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        found.truncate(count);
        found
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str], vectors: &[f32]) -> Result<WordEmbeddings> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let shape = [words.len(), vectors.len() / words.len().max(1)];
        WordEmbeddings::new(words, &TensorData::from_vec(vectors.to_vec(), shape)?)
    }

    #[test]
    fn a_file_keeps_every_bit() -> Result<()> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vectors.txt");
        let embeddings = of(&["naïve", "b"], &[0.1, -1.5e-8, f32::MIN_POSITIVE, 3.4e38])?;
        embeddings.write_text(&path)?;
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("2 2\nnaïve 0.1 -0.000000015\n"));
        assert_eq!(WordEmbeddings::read_text(&path)?, embeddings);
        for (text, part) in [
            ("2\n", "line 1: it should be the number of words"),
            ("1 2\na 1 x\n", "line 2: \"x\" is no number"),
            ("1 2\na 1\n", "line 2: a vector of 1 numbers, where line 1 says 2"),
            ("3 1\na 1\nb 2\n", "2 words, where line 1 says 3"),
            ("2 1\na 1\na 2\n", "\"a\" is there twice"),
            ("1 1\na inf\n", "not finite"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = WordEmbeddings::read_text(&path).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("vectors.txt"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn analogies_and_neighbours_leave_out_what_was_asked() -> Result<()> {
        let words = ["man", "woman", "king", "queen", "none"];
        let embeddings = of(&words, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0])?;
        let found = embeddings.analogy(["man", "woman", "king"], 1).unwrap();
        assert_eq!(found[0].0, "queen");
        assert_eq!(embeddings.nearest("none", 9).unwrap().len(), 4);
        assert_eq!(embeddings.similarity("none", "man"), Some(0.0));
        assert!(
            embeddings.nearest("nobody", 1).is_none() && embeddings.analogy(["man", "nobody", "king"], 1).is_none()
        );
        assert!(
            of(&["a b"], &[1.0]).is_err() && of(&["a", "a"], &[1.0, 2.0]).is_err() && of(&["a"], &[f32::NAN]).is_err()
        );
        Ok(())
    }
}
