//! Bag of words: how often each term occurs in each text, as scikit-learn's `CountVectorizer` has it.

use std::collections::HashMap;

use super::saved;
use super::terms::Analyzer;
use crate::data::sparse::SparseRows;
use crate::error::{Error, Result, counted};

/// A number of texts, for [`BagOfWordsOptions::min_df`] and [`BagOfWordsOptions::max_df`]: integers are counts, and floats shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Frequency {
    /// So many texts, at least 1.
    Count(usize),
    /// A share of the texts, from 0 to 1.
    Share(f64),
}

impl From<usize> for Frequency {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Frequency {
    fn from(share: f64) -> Self {
        Self::Share(share)
    }
}

impl Frequency {
    fn check(self, name: &str) -> Result<()> {
        match self {
            Self::Count(0) => Err(Error::Argument(format!("{name} is a count of 0; a count is at least 1"))),
            Self::Share(share) if !(0.0..=1.0).contains(&share) => {
                Err(Error::Argument(format!("{name} is a share of {share}; a share is from 0.0 to 1.0")))
            }
            Self::Count(_) | Self::Share(_) => Ok(()),
        }
    }

    /// As a number of texts out of some.
    fn texts(self, texts: usize) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Share(share) => share * texts as f64,
        }
    }

    /// For messages.
    fn describe(self, texts: usize) -> String {
        match self {
            Self::Count(count) => counted(count, "text"),
            Self::Share(share) => format!("{share} of the {}", counted(texts, "text")),
        }
    }
}

/// Which terms a [`BagOfWords`] has. Names and defaults are those of scikit-learn's `CountVectorizer`.
#[derive(Clone, Debug, PartialEq)]
pub struct BagOfWordsOptions {
    analyzer: Analyzer,
    min_df: Frequency,
    max_df: Frequency,
    max_features: Option<usize>,
    binary: bool,
}

impl Default for BagOfWordsOptions {
    fn default() -> Self {
        Self {
            analyzer: Analyzer { lowercase: true, ngrams: (1, 1) },
            min_df: Frequency::Count(1),
            max_df: Frequency::Share(1.0),
            max_features: None,
            binary: false,
        }
    }
}

impl BagOfWordsOptions {
    /// The defaults: single words in lower case, all of them, counted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether texts are read in lower case, as they are by default.
    #[must_use]
    pub const fn lowercase(mut self, lowercase: bool) -> Self {
        self.analyzer.lowercase = lowercase;
        self
    }

    /// Terms are sequences of `min` to `max` words; by default, of one. `ngrams(1, 2)` are single words and pairs.
    #[must_use]
    pub const fn ngrams(mut self, min: usize, max: usize) -> Self {
        self.analyzer.ngrams = (min, max);
        self
    }

    /// Leaves out terms that fewer texts have than this: `2` texts, or `0.01` of them.
    #[must_use]
    pub fn min_df(mut self, texts: impl Into<Frequency>) -> Self {
        self.min_df = texts.into();
        self
    }

    /// Leaves out terms that more texts have than this: `100` texts, or `0.5` of them.
    #[must_use]
    pub fn max_df(mut self, texts: impl Into<Frequency>) -> Self {
        self.max_df = texts.into();
        self
    }

    /// Of the terms that are left, takes those that occur most often in all texts together; of terms that occur equally often, the first in
    /// alphabetical order. (So does scikit-learn where NumPy's sorting happens to be stable, which is not the case everywhere.)
    #[must_use]
    pub const fn max_features(mut self, terms: usize) -> Self {
        self.max_features = Some(terms);
        self
    }

    /// Whether a term counts as 1 however often a text has it.
    #[must_use]
    pub const fn binary(mut self, binary: bool) -> Self {
        self.binary = binary;
        self
    }

    /// Finds the terms of texts.
    ///
    /// # Errors
    /// [`Error::Argument`] for options outside of their ranges, and where `max_df` is fewer texts than `min_df`; [`Error::Data`] where the
    /// texts have no terms, or none is left.
    pub fn fit<Text: AsRef<str>>(&self, texts: impl IntoIterator<Item = Text>) -> Result<BagOfWords> {
        Ok(self.count(texts)?.0)
    }

    /// Finds the terms of texts, and counts them there.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit).
    pub fn fit_transform<Text: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = Text>,
    ) -> Result<(BagOfWords, SparseRows)> {
        let (bag, counts) = self.count(texts)?;
        let rows = bag.rows(counts);
        Ok((bag, rows))
    }

    fn check(&self) -> Result<()> {
        let (min, max) = self.analyzer.ngrams;
        if min == 0 || min > max {
            return Err(Error::Argument(format!("terms of {min} to {max} words are none: 1 ≤ min ≤ max")));
        }
        if self.max_features == Some(0) {
            return Err(Error::Argument("max_features is 0, and must be at least 1".into()));
        }
        self.min_df.check("min_df")?;
        self.max_df.check("max_df")
    }

    /// Finds the terms, and how often each text has them.
    pub(super) fn count<Text: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = Text>,
    ) -> Result<(BagOfWords, Vec<TermCounts>)> {
        self.check()?;
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut counts: Vec<TermCounts> = Vec::new();
        for text in texts {
            let mut found = Vec::new();
            self.analyzer.terms(text.as_ref(), |term| {
                let next = numbers.len() as u32;
                // Most terms are known, and need no string of their own.
                found.push(
                    numbers.get(term).copied().unwrap_or_else(|| *numbers.entry(term.to_owned()).or_insert(next)),
                );
            });
            counts.push(tally(found, self.binary));
        }
        if numbers.is_empty() {
            return Err(Error::Data(format!(
                "there are no terms in the {}: a term has words of at least two letters, digits or underscores",
                counted(counts.len(), "text")
            )));
        }
        let selected = self.select(numbers, &counts)?;
        let columns: HashMap<u32, u32> =
            selected.iter().enumerate().map(|(column, &(_, number))| (number, column as u32)).collect();
        for text in &mut counts {
            text.retain_mut(|(number, _)| columns.get(number).map(|&column| *number = column).is_some());
            text.sort_unstable();
        }
        let terms = selected.into_iter().map(|(term, _)| term).collect();
        Ok((BagOfWords { analyzer: self.analyzer, binary: self.binary, terms }, counts))
    }

    /// The terms that are left, in alphabetical order, with the numbers that they had.
    fn select(&self, numbers: HashMap<String, u32>, counts: &[TermCounts]) -> Result<Vec<(String, u32)>> {
        let texts = counts.len();
        let (least, most) = (self.min_df.texts(texts), self.max_df.texts(texts));
        if most < least {
            return Err(Error::Argument(format!(
                "max_df, {}, is fewer than min_df, {}",
                self.max_df.describe(texts),
                self.min_df.describe(texts)
            )));
        }
        let mut occurrences = vec![(0_usize, 0_u64); numbers.len()];
        for &(number, count) in counts.iter().flatten() {
            if let Some((texts, total)) = occurrences.get_mut(number as usize) {
                *texts += 1;
                *total += u64::from(count);
            }
        }
        let of = |number: u32| occurrences.get(number as usize).copied().unwrap_or_default();
        let (mut rare, mut common) = (0, 0);
        let all = numbers.len();
        let mut selected: Vec<(String, u32)> = numbers.into_iter().collect();
        selected.retain(|&(_, number)| {
            let found = of(number).0 as f64;
            rare += usize::from(found < least);
            common += usize::from(found > most);
            found >= least && found <= most
        });
        if selected.is_empty() {
            return Err(Error::Data(format!(
                "of {}, none is left: {rare} in fewer than {} (min_df), {common} in more than {} (max_df)",
                counted(all, "term"),
                self.min_df.describe(texts),
                self.max_df.describe(texts)
            )));
        }
        selected.sort_unstable();
        if let Some(limit) = self.max_features.filter(|&limit| limit < selected.len()) {
            selected.sort_by_key(|&(_, number)| std::cmp::Reverse(of(number).1)); // stable
            selected.truncate(limit);
            selected.sort_unstable();
        }
        Ok(selected)
    }
}

/// The terms that a text has, each with how often.
pub(super) type TermCounts = Vec<(u32, u32)>;

/// How often each number occurs.
fn tally(mut numbers: Vec<u32>, binary: bool) -> TermCounts {
    numbers.sort_unstable();
    let runs = numbers.chunk_by(|number, next| number == next);
    runs.filter_map(|run| Some((*run.first()?, if binary { 1 } else { run.len() as u32 }))).collect()
}

/// Counts of terms: each text becomes a row with a column for each term, in alphabetical order. Made by [`BagOfWordsOptions`].
///
/// ```
/// use wgrad::data::{BagOfWords, BagOfWordsOptions};
/// let texts = ["The cat sat on the mat.", "The dog!", ""];
/// let (bag, counts) = BagOfWordsOptions::new().fit_transform(texts)?;
/// assert_eq!(bag.terms(), ["cat", "dog", "mat", "on", "sat", "the"]);
/// assert_eq!(counts.dense(0..3)?.as_slice::<f32>()?[..12], [1., 0., 1., 1., 1., 2., 0., 1., 0., 0., 0., 1.]);
/// let pairs = BagOfWordsOptions::new().ngrams(1, 2).min_df(2).fit(["a red car", "a red bus", "the red car"])?;
/// assert_eq!(pairs.terms(), ["car", "red", "red car"]);
/// assert_eq!(pairs.transform(["red, red roses"]).row(0)?, (&[1][..], &[2.0][..])); // unknown terms are left out
/// assert_eq!(BagOfWords::from_json(&pairs.to_json())?, pairs);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BagOfWords {
    pub(super) analyzer: Analyzer,
    pub(super) binary: bool,
    /// In alphabetical order, by which they are searched.
    pub(super) terms: Vec<String>,
}

impl BagOfWords {
    /// Number of terms, and of a row's columns; at least 1.
    pub const fn len(&self) -> usize {
        self.terms.len()
    }

    /// False: there is always a term.
    pub const fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, in the order of their columns, which is alphabetical (by code points). The words of a term have a space between them.
    pub fn terms(&self) -> &[String] {
        &self.terms
    }

    /// The column of a term, if it has one.
    pub fn column(&self, term: &str) -> Option<usize> {
        self.terms.binary_search_by(|other| other.as_str().cmp(term)).ok()
    }

    /// Counts the terms of texts. What is no term here is left out, so a row may be all zeros.
    pub fn transform<Text: AsRef<str>>(&self, texts: impl IntoIterator<Item = Text>) -> SparseRows {
        self.rows(self.counts(texts))
    }

    pub(super) fn counts<Text: AsRef<str>>(&self, texts: impl IntoIterator<Item = Text>) -> Vec<TermCounts> {
        let count = |text: Text| {
            let mut found = Vec::new();
            self.analyzer.terms(text.as_ref(), |term| found.extend(self.column(term).map(|column| column as u32)));
            tally(found, self.binary)
        };
        texts.into_iter().map(count).collect()
    }

    fn rows(&self, counts: Vec<TermCounts>) -> SparseRows {
        let row = |text: TermCounts| text.into_iter().map(|(column, count)| (column, count as f32)).collect();
        SparseRows::from_rows(counts.into_iter().map(row), self.len())
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        saved::write(saved::BAG, self, [])
    }

    /// From what [`to_json`](Self::to_json) gave.
    ///
    /// # Errors
    /// [`Error::Data`] for anything else.
    pub fn from_json(text: &str) -> Result<Self> {
        saved::read(saved::BAG, text, |bag, _| Some(bag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 4] = ["aa bb aa", "aa cc", "aa bb", ""];

    fn terms(options: &BagOfWordsOptions) -> String {
        options.fit(TEXTS).map_or_else(|error| error.to_string(), |bag| bag.terms().join(" "))
    }

    #[test]
    fn terms_are_selected() {
        let options = BagOfWordsOptions::new;
        assert_eq!(terms(&options()), "aa bb cc");
        assert_eq!(terms(&options().min_df(2)), "aa bb");
        assert_eq!(terms(&options().min_df(0.5)), "aa bb");
        assert_eq!(terms(&options().max_df(2)), "bb cc");
        assert_eq!(terms(&options().max_df(0.75)), "aa bb cc");
        assert_eq!(terms(&options().max_df(0.74)), "bb cc");
        assert_eq!(terms(&options().max_features(2)), "aa bb");
        assert_eq!(terms(&options().ngrams(2, 2).max_features(2)), "aa bb aa cc"); // of three that occur once or twice
    }

    #[test]
    fn what_leaves_no_term_is_told() {
        let options = BagOfWordsOptions::new;
        let expected =
            "of 3 terms, none is left: 1 in fewer than 2 texts (min_df), 2 in more than 0.25 of the 4 texts (max_df)";
        assert_eq!(
            terms(&options().min_df(2).max_df(0.25)),
            "max_df, 0.25 of the 4 texts, is fewer than min_df, 2 texts"
        );
        assert_eq!(
            terms(&options().min_df(4)),
            expected
                .replace("1 in fewer than 2 texts", "3 in fewer than 4 texts")
                .replace("2 in more than 0.25", "0 in more than 1")
        );
        for (options, expected) in [
            (options().ngrams(0, 1), "terms of 0 to 1 words are none: 1 ≤ min ≤ max"),
            (options().ngrams(2, 1), "terms of 2 to 1 words are none: 1 ≤ min ≤ max"),
            (options().min_df(0), "min_df is a count of 0; a count is at least 1"),
            (options().max_df(1.5), "max_df is a share of 1.5; a share is from 0.0 to 1.0"),
            (options().min_df(f64::NAN), "min_df is a share of NaN; a share is from 0.0 to 1.0"),
            (options().max_features(0), "max_features is 0, and must be at least 1"),
        ] {
            assert_eq!(terms(&options), expected);
        }
        let expected =
            "there are no terms in the 2 texts: a term has words of at least two letters, digits or underscores";
        assert_eq!(options().fit(["", "a"]).unwrap_err().to_string(), expected);
        assert!(options().fit([""; 0]).is_err_and(|error| error.to_string().contains("the 0 texts")));
    }

    #[test]
    fn what_is_fitted_transforms_alike() -> Result<()> {
        for options in [BagOfWordsOptions::new(), BagOfWordsOptions::new().ngrams(1, 2).binary(true).lowercase(false)] {
            let (bag, rows) = options.fit_transform(TEXTS)?;
            assert_eq!(bag.transform(TEXTS), rows);
            assert_eq!(options.fit(TEXTS)?, bag);
            assert_eq!(rows.row(3)?, (&[][..], &[][..]));
            assert_eq!(
                SparseRows::new(rows.indptr().to_vec(), rows.indices().to_vec(), rows.values().to_vec(), bag.len())?,
                rows
            );
        }
        Ok(())
    }
}
