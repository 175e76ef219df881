//! word2vec: vectors of words from the words around them, learnt by telling those from words that were drawn (Mikolov et al. 2013).

use super::{Mode, Model, check_indices, refuse_known};
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Variable};
use crate::tensor::{DType, TensorData, TensorType};

/// The score of a drawn word that does not count: its loss and gradient are 0.
const NONE: f64 = -1e9;

/// word2vec with negative sampling, as data: two tables with a row for each word, whose products say which words belong together. In a graph
/// it is a [`WordVectors`], and with [`loss::NegativeSampling`](crate::loss::NegativeSampling) it learns from what a
/// [`data::WordWindows`](crate::data::WordWindows) reads. Plain [`SGD`](crate::optim::SGD) then reads and writes only the rows that a batch
/// has, whatever the size of the vocabulary.
///
/// Vectors begin as in word2vec: uniform within ± 0.5 / dim, and 0 in the second table.
///
/// ```
/// use std::sync::Arc;
/// use wgrad::data::{Corpus, Stream, WordWindows};
/// use wgrad::loss::NegativeSampling;
/// use wgrad::nn::Word2Vec;
/// use wgrad::prelude::*;
/// let text = "the cat sat on the mat and the dog sat on the rug\n".repeat(50);
/// let corpus = Arc::new(Corpus::of(&text, 5)?);
/// let model = Word2Vec::skip_gram(corpus.counts(), 8);
/// let loss = NegativeSampling::new().summed(); // so 0.025 is what it is in word2vec
/// let mut trainer = Trainer::new(model, &Device::cpu(), SGD::new(0.025), loss, []).target("x");
/// let mut windows = Stream::new(WordWindows::skip_gram(&corpus).window(2).subsample(0.0));
/// trainer.fit(&mut windows, Fit::epochs(2).batch_size(64))?;
/// let vectors = trainer.session().unwrap().parameter("input.weight")?;
/// assert_eq!(vectors.shape().dims(), [corpus.words().len(), 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Word2Vec {
    /// How often each word occurs; negatives are drawn by it.
    pub counts: Vec<u64>,
    /// Numbers of a vector.
    pub dim: usize,
    /// Words drawn for each pair.
    pub negatives: usize,
    /// The power of a word's count that its chance to be drawn is in proportion to.
    pub power: f64,
    /// Whether the words around are taken together, and tell the one between them.
    pub bags: bool,
}

impl Word2Vec {
    /// Each word tells each of those around it: pairs `[n, 2]`, a word and one around it.
    pub fn skip_gram(counts: &[u64], dim: usize) -> Self {
        Self { counts: counts.to_vec(), dim, negatives: 5, power: 0.75, bags: false }
    }

    /// The mean of the words around a word tells it (continuous bag of words): rows `[n, 1 + m]`, a word and up to m around it, filled up
    /// with −1. As in word2vec and gensim, each word around gets the whole gradient of the mean, not its share of it.
    pub fn cbow(counts: &[u64], dim: usize) -> Self {
        Self { bags: true, ..Self::skip_gram(counts, dim) }
    }

    /// With other than 5 words drawn for each pair.
    #[must_use]
    pub const fn negatives(mut self, negatives: usize) -> Self {
        self.negatives = negatives;
        self
    }

    /// With another power of the counts than 0.75.
    #[must_use]
    pub const fn power(mut self, power: f64) -> Self {
        self.power = power;
        self
    }

    /// The tables in a graph: `NAME.input.weight` and `NAME.output.weight`, `[words, dim]`; without a name, `input.weight` and
    /// `output.weight`.
    #[track_caller]
    #[must_use]
    pub fn build(&self, g: &Graph, name: &str) -> WordVectors {
        let label = if name.is_empty() { "word2vec".to_owned() } else { format!("word2vec {name:?}") };
        let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
        refuse_known(g, &label, &format!("{prefix}input"), &["weight"]);
        self.shared(g, &label, &prefix)
    }

    #[track_caller]
    fn shared(&self, g: &Graph, label: &str, prefix: &str) -> WordVectors {
        let shape = [self.counts.len(), self.dim];
        if g.error().is_none() && shape.contains(&0) {
            g.mistake(label, format!("needs one word and one number a vector or more, not {shape:?}"));
        }
        let bound = 0.5 / self.dim.max(1) as f64;
        let table = |name: &str, initial: Initial| {
            let ty = TensorType::new(DType::F32, shape);
            g.variable(Variable::parameter(format!("{prefix}{name}.weight"), ty, initial))
        };
        let input = table("input", Initial::Uniform { low: -bound, high: bound });
        let output = table("output", Initial::Constant(0.0));
        let weights = self.counts.iter().map(|&count| (count as f64).powf(self.power)).collect();
        WordVectors { label: label.to_owned(), input, output, weights, negatives: self.negatives, bags: self.bags }
    }
}

/// A [`Word2Vec`] in a graph.
#[derive(Clone, Debug)]
pub struct WordVectors {
    label: String,
    /// The vectors of words that tell others, which are what is wanted, `[words, dim]`.
    pub input: Tensor,
    /// The vectors of words that are told, `[words, dim]`.
    pub output: Tensor,
    weights: Vec<f64>,
    negatives: usize,
    bags: bool,
}

impl WordVectors {
    /// Scores `[n, 1 + negatives]` for the loss: of what belongs to an example, then of words drawn anew at each step. A drawn word that is
    /// the one that belongs to the example has a score of which neither loss nor gradient is left.
    ///
    /// Words are i32 `[n, 2]`, or `[n, 1 + m]` for bags; see [`Word2Vec`].
    #[track_caller]
    #[must_use]
    pub fn forward(&self, words: &Tensor) -> Tensor {
        let g = words.graph();
        let shape = words.shape();
        let fits = match *shape.dims() {
            [_, columns] => words.dtype() == DType::I32 && if self.bags { columns >= 2 } else { columns == 2 },
            _ => false,
        };
        if !fits {
            let wanted = if self.bags { "[n, 1 + m]" } else { "[n, 2]" };
            return g.mistake(&self.label, format!("takes i32 words {wanted}, not {}", words.ty()));
        }
        let first = words.at(1, 0);
        let (hidden, told) = if self.bags {
            let around = words.slice(1, 1, shape[1]);
            let is_there = around.ge(0).unsqueeze(2);
            let rows = is_there.select(self.input.take(0, &around), 0.0);
            let count = is_there.cast(DType::F32).sum([1]).maximum(1.0);
            let sum = rows.sum([1]);
            // The value of the mean, and the gradient of the sum.
            let hidden = (&sum / &count).stop_gradient() + (&sum - sum.stop_gradient());
            (hidden, first)
        } else {
            (self.input.take(0, &first), words.at(1, 1))
        };
        let told = told.unsqueeze(1);
        if self.negatives == 0 {
            return (hidden.unsqueeze(1) * self.output.take(0, &told)).sum([-1]);
        }
        let drawn = g.random_choice([shape[0], self.negatives], &self.weights);
        let all = told.concat(&[&drawn], 1);
        let scores = (hidden.unsqueeze(1) * self.output.take(0, &all)).sum([-1]);
        let counts = all.ne(&told).logical_or(g.coordinate(scores.shape(), 1).eq(0));
        counts.select(&scores, NONE)
    }
}

impl Model for Word2Vec {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, _: Mode) -> Tensor {
        self.shared(g, "word2vec", "").forward(x)
    }

    fn check_input(&self, x: &TensorData) -> Result<()> {
        if !self.bags {
            return check_indices(x, self.counts.len());
        }
        let columns = x.shape().get(1).copied().unwrap_or(1).max(1);
        let outside = |&(position, &index): &(usize, &i32)| {
            let least = if position % columns == 0 { 0 } else { -1 };
            index < least || index as i64 >= self.counts.len() as i64
        };
        match x.as_slice::<i32>()?.iter().enumerate().find(outside) {
            Some((position, index)) => Err(Error::Data(format!(
                "word {index} at [{}, {}] is none of {}, which count from 0",
                position / columns,
                position % columns,
                self.counts.len()
            ))),
            None => Ok(()),
        }
    }
}
