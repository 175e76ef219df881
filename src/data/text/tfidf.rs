//! TF-IDF: counts of terms that weigh the more, the fewer texts have the term, as scikit-learn's `TfidfVectorizer` has it.

use serde_json::json;

use super::counts::{BagOfWords, BagOfWordsOptions, TermCounts};
use super::saved;
use crate::data::sparse::SparseRows;
use crate::error::Result;

/// What the length of a row is made 1 by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RowNorm {
    /// Its values are divided by the root of the sum of their squares, so that the product of two rows is the cosine of their angle.
    #[default]
    L2,
    /// Its values are divided by their sum.
    L1,
    /// Rows stay as they are.
    None,
}

impl RowNorm {
    /// Its name: `l2`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L1 => "l1",
            Self::None => "none",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::L2, Self::L1, Self::None].into_iter().find(|norm| norm.name() == name)
    }
}

/// Which terms a [`TfIdf`] has, and how they are weighted. Names and defaults are those of scikit-learn's `TfidfVectorizer`.
#[derive(Clone, Debug, PartialEq)]
pub struct TfIdfOptions {
    terms: BagOfWordsOptions,
    use_idf: bool,
    smooth_idf: bool,
    sublinear_tf: bool,
    norm: RowNorm,
}

impl Default for TfIdfOptions {
    fn default() -> Self {
        let terms = BagOfWordsOptions::default();
        Self { terms, use_idf: true, smooth_idf: true, sublinear_tf: false, norm: RowNorm::L2 }
    }
}

impl TfIdfOptions {
    /// The defaults: the terms of [`BagOfWordsOptions::new`], smoothed weights, rows of length 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which terms are counted.
    #[must_use]
    pub fn terms(mut self, terms: BagOfWordsOptions) -> Self {
        self.terms = terms;
        self
    }

    /// Whether counts are weighted by the inverse document frequency (default true).
    #[must_use]
    pub const fn use_idf(mut self, use_idf: bool) -> Self {
        self.use_idf = use_idf;
        self
    }

    /// Whether weights are those of one more text, which has every term once (default true): `ln((1 + texts) / (1 + df)) + 1`, and not
    /// `ln(texts / df) + 1`, where `df` of the texts have the term.
    #[must_use]
    pub const fn smooth_idf(mut self, smooth_idf: bool) -> Self {
        self.smooth_idf = smooth_idf;
        self
    }

    /// Whether a count `tf` is taken as `1 + ln(tf)` (default false).
    #[must_use]
    pub const fn sublinear_tf(mut self, sublinear_tf: bool) -> Self {
        self.sublinear_tf = sublinear_tf;
        self
    }

    /// What rows are divided by at last.
    #[must_use]
    pub const fn norm(mut self, norm: RowNorm) -> Self {
        self.norm = norm;
        self
    }

    /// Finds the terms of texts and their weights.
    ///
    /// # Errors
    /// As for [`BagOfWordsOptions::fit`].
    pub fn fit<Text: AsRef<str>>(&self, texts: impl IntoIterator<Item = Text>) -> Result<TfIdf> {
        Ok(self.count(texts)?.0)
    }

    /// Finds the terms of texts and their weights, and makes rows of the same texts.
    ///
    /// # Errors
    /// As for [`BagOfWordsOptions::fit`].
    pub fn fit_transform<Text: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = Text>,
    ) -> Result<(TfIdf, SparseRows)> {
        let (tf_idf, counts) = self.count(texts)?;
        let rows = tf_idf.rows(counts);
        Ok((tf_idf, rows))
    }

    fn count<Text: AsRef<str>>(&self, texts: impl IntoIterator<Item = Text>) -> Result<(TfIdf, Vec<TermCounts>)> {
        let (bag, counts) = self.terms.count(texts)?;
        let idf = self.use_idf.then(|| {
            let mut frequencies = vec![0_usize; bag.len()];
            for &(column, _) in counts.iter().flatten() {
                if let Some(frequency) = frequencies.get_mut(column as usize) {
                    *frequency += 1;
                }
            }
            let more = f64::from(u8::from(self.smooth_idf));
            let texts = counts.len() as f64 + more;
            frequencies.into_iter().map(|frequency| (texts / (frequency as f64 + more)).ln() + 1.0).collect()
        });
        Ok((TfIdf { bag, idf, sublinear_tf: self.sublinear_tf, norm: self.norm }, counts))
    }
}

/// Weighted counts of terms: each text becomes a row with a column for each term. Made by [`TfIdfOptions`].
///
/// ```
/// use wgrad::data::{BagOfWordsOptions, TfIdf, TfIdfOptions};
/// let texts = ["a good film", "a bad film", "good, good!"];
/// let options = TfIdfOptions::new().terms(BagOfWordsOptions::new().max_df(0.9));
/// let (tf_idf, rows) = options.fit_transform(texts)?;
/// assert_eq!(tf_idf.terms(), ["bad", "film", "good"]);
/// let row = rows.dense(1..2)?.to_f64_vec(); // "bad" is in one text of three, "film" in two
/// assert!((row[0] / row[1] - (2_f64.ln() + 1.0) / ((4_f64 / 3.0).ln() + 1.0)).abs() < 1e-6);
/// assert!((row[0].hypot(row[1]) - 1.0).abs() < 1e-6);
/// assert_eq!(TfIdf::from_json(&tf_idf.to_json())?, tf_idf);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TfIdf {
    bag: BagOfWords,
    idf: Option<Vec<f64>>,
    sublinear_tf: bool,
    norm: RowNorm,
}

impl TfIdf {
    /// Number of terms, and of a row's columns; at least 1.
    pub const fn len(&self) -> usize {
        self.bag.len()
    }

    /// False: there is always a term.
    pub const fn is_empty(&self) -> bool {
        self.bag.is_empty()
    }

    /// The terms, as of [`BagOfWords::terms`].
    pub fn terms(&self) -> &[String] {
        self.bag.terms()
    }

    /// The column of a term, if it has one.
    pub fn column(&self, term: &str) -> Option<usize> {
        self.bag.column(term)
    }

    /// The weights of the terms; none where counts are not weighted.
    pub fn idf(&self) -> Option<&[f64]> {
        self.idf.as_deref()
    }

    /// Rows of texts. A text without a term that is known has a row of zeros.
    pub fn transform<Text: AsRef<str>>(&self, texts: impl IntoIterator<Item = Text>) -> SparseRows {
        self.rows(self.bag.counts(texts))
    }

    fn rows(&self, counts: Vec<TermCounts>) -> SparseRows {
        SparseRows::from_rows(counts.iter().map(|text| self.row(text)), self.len())
    }

    /// A row, computed in f64.
    fn row(&self, counts: &[(u32, u32)]) -> Vec<(u32, f32)> {
        let weight = |&(column, count): &(u32, u32)| {
            let tf = f64::from(count);
            let tf = if self.sublinear_tf { 1.0 + tf.ln() } else { tf };
            let idf = self.idf.as_ref().and_then(|idf| idf.get(column as usize)).copied();
            (column, tf * idf.unwrap_or(1.0))
        };
        let weights: Vec<(u32, f64)> = counts.iter().map(weight).collect();
        let values = weights.iter().map(|(_, value)| value);
        let norm: f64 = match self.norm {
            RowNorm::L2 => values.map(|value| value * value).sum::<f64>().sqrt(),
            RowNorm::L1 => values.sum(),
            RowNorm::None => 1.0,
        };
        weights.into_iter().map(|(column, value)| (column, (value / norm) as f32)).collect()
    }

    /// As JSON; floats are restored bit for bit.
    pub fn to_json(&self) -> String {
        let fields =
            [("idf", json!(self.idf)), ("sublinear_tf", json!(self.sublinear_tf)), ("norm", json!(self.norm.name()))];
        saved::write(saved::TF_IDF, &self.bag, fields)
    }

    /// From what [`to_json`](Self::to_json) gave.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) for anything else.
    pub fn from_json(text: &str) -> Result<Self> {
        saved::read(saved::TF_IDF, text, |bag, value| {
            let idf = match value.get("idf")? {
                serde_json::Value::Null => None,
                idf => Some(idf.as_array()?.iter().map(|value| value.as_f64()).collect::<Option<Vec<f64>>>()?),
            };
            // A term that every text has weighs 1, and others more.
            let is_right = |idf: &Vec<f64>| {
                idf.len() == bag.len() && idf.iter().all(|weight| weight.is_finite() && *weight >= 1.0)
            };
            idf.as_ref().is_none_or(is_right).then_some(())?;
            let norm = RowNorm::from_name(value.get("norm")?.as_str()?)?;
            Some(Self { bag, idf, sublinear_tf: value.get("sublinear_tf")?.as_bool()?, norm })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fitted_transforms_alike() -> Result<()> {
        let texts = ["aa bb aa", "aa cc", "", "aa bb"];
        for norm in [RowNorm::L2, RowNorm::L1, RowNorm::None] {
            for flag in [true, false] {
                let options = TfIdfOptions::new().norm(norm).use_idf(flag).sublinear_tf(flag);
                let (tf_idf, rows) = options.fit_transform(texts)?;
                assert_eq!(tf_idf.transform(texts), rows);
                assert_eq!(options.fit(texts)?, tf_idf);
                assert!(rows.row(2)?.1.is_empty());
                let again = TfIdf::from_json(&tf_idf.to_json())?;
                assert_eq!(again, tf_idf);
                assert_eq!(again.idf().is_some(), flag);
            }
        }
        Ok(())
    }

    #[test]
    fn damaged_json_is_refused() -> Result<()> {
        let tf_idf = TfIdfOptions::new().fit(["aa bb", "aa"])?;
        let json = tf_idf.to_json();
        let weight = tf_idf.idf().and_then(|idf| idf.last()).map(|weight| weight.to_string()).unwrap_or_default();
        for (from, to) in [
            (weight.as_str(), "0.5"),
            (weight.as_str(), "null"),
            ("\"l2\"", "\"l3\""),
            ("\"aa\",\"bb\"", "\"bb\",\"aa\""),
            ("\"aa\",\"bb\"", "\"aa\",\"aa\""),
            ("\"aa\",\"bb\"", "\"aa\""),
            ("\"aa\",\"bb\"", ""),
            ("\"ngrams\":[1,1]", "\"ngrams\":[2,1]"),
            ("\"ngrams\":[1,1]", "\"ngrams\":[0,1]"),
            ("\"binary\":false", "\"binary\":0"),
        ] {
            assert!(json.contains(from), "{json} has no {from}");
            let error = TfIdf::from_json(&json.replace(from, to)).unwrap_err().to_string();
            assert_eq!(error, "no TF-IDF: a field is lacking or of another kind", "{from} → {to}");
        }
        let error = |text: &str| TfIdf::from_json(text).unwrap_err().to_string();
        assert!(error("{").starts_with("no TF-IDF: EOF"));
        assert_eq!(error("{}"), "no TF-IDF: it has no version");
        assert_eq!(
            error(&json.replace("\"version\":1", "\"version\":2")),
            "no TF-IDF: its version is 2, and 1 is known"
        );
        let bag = BagOfWordsOptions::new().fit(["aa"])?.to_json();
        assert_eq!(error(&bag), "no TF-IDF: it is a bag of words");
        assert_eq!(BagOfWords::from_json(&json).unwrap_err().to_string(), "no bag of words: it is a TF-IDF");
        Ok(())
    }
}
