//! BLEU (Papineni et al. 2002): how much of a translation is in references, by n-grams. The definition is sacrebleu's, and the tests compare
//! with it.

mod tokens;

use std::collections::HashMap;
use std::fmt;

use crate::error::{Error, Result};
use tokens::tokens_13a;

/// The longest n-gram that counts.
pub const ORDERS: usize = 4;

/// What becomes of an n-gram precision of 0, with which the score would be 0 (Chen and Cherry 2014).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum BleuSmoothing {
    /// It stays 0.
    None,
    /// NIST's, sacrebleu's default: the first such precision is as if half an n-gram fitted, the next a quarter, and so on.
    #[default]
    Exponential,
    /// As if so many n-grams fitted; sacrebleu's default is 0.1.
    Floor(f64),
    /// So much is added to the numbers of n-grams of two words or more, and of those that fit; sacrebleu's default is 1.
    AddK(f64),
}

/// How BLEU is computed. Texts are as people write them: the tokenizer is a part of the definition, mteval's `13a`.
///
/// ```
/// use wgrad::metrics::Bleu;
/// let translations = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."];
/// let first = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."];
/// let second = ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."];
/// let score = Bleu::new().corpus(&translations, &[&first, &second])?;
/// assert!((score.score - 100.0).abs() < 1e-9);
/// let score = Bleu::new().corpus(&["A dog bit the man"], &[&["The dog bit the man."]])?;
/// assert_eq!(score.to_string(), "BLEU = 54.75 80.0/75.0/66.7/50.0 (BP = 0.819 ratio = 0.833 hyp_len = 5 ref_len = 6)");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bleu {
    /// Whether the case of letters makes no difference.
    pub lowercase: bool,
    /// What becomes of precisions of 0.
    pub smoothing: BleuSmoothing,
}

/// A score with what it was made of.
#[derive(Clone, Debug, PartialEq)]
pub struct BleuScore {
    /// From 0 to 100.
    pub score: f64,
    /// Percentages of n-grams that fit, for n from 1 on; 0 where there are none.
    pub precisions: [f64; ORDERS],
    /// The factor for translations that are shorter than their references.
    pub brevity_penalty: f64,
    /// Numbers of n-grams that fit.
    pub matches: [u64; ORDERS],
    /// Numbers of n-grams.
    pub totals: [u64; ORDERS],
    /// Tokens of the translations.
    pub length: u64,
    /// Tokens of the references, of several the one nearest in length.
    pub reference_length: u64,
}

impl Bleu {
    /// sacrebleu's defaults.
    pub const fn new() -> Self {
        Self { lowercase: false, smoothing: BleuSmoothing::Exponential }
    }

    /// The case of letters makes no difference.
    #[must_use]
    pub const fn lowercase(self) -> Self {
        Self { lowercase: true, ..self }
    }

    /// With another smoothing.
    #[must_use]
    pub const fn smoothing(self, smoothing: BleuSmoothing) -> Self {
        Self { smoothing, ..self }
    }

    /// The score of translations with one or more sets of references, each with one for each translation. An empty translation counts as one
    /// of no words.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no translation or no set of references, or a set has another number of texts than there are
    /// translations.
    pub fn corpus<T: AsRef<str>, R: AsRef<str>>(&self, translations: &[T], references: &[&[R]]) -> Result<BleuScore> {
        self.check(translations.len(), references)?;
        let mut counts = Counts::default();
        for (index, translation) in translations.iter().enumerate() {
            let own = references.iter().filter_map(|set| set.get(index)).map(|text| self.tokens(text.as_ref()));
            counts.add(&self.tokens(translation.as_ref()), &own.collect::<Vec<_>>());
        }
        Ok(counts.score(self.smoothing, false))
    }

    /// The score of one translation. N-grams that are longer than it do not count, as with sacrebleu's `sentence_bleu`.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no reference.
    pub fn sentence<R: AsRef<str>>(&self, translation: &str, references: &[R]) -> Result<BleuScore> {
        if references.is_empty() {
            return Err(Error::Argument("bleu: there is no reference".into()));
        }
        let mut counts = Counts::default();
        let references: Vec<_> = references.iter().map(|text| self.tokens(text.as_ref())).collect();
        counts.add(&self.tokens(translation), &references);
        Ok(counts.score(self.smoothing, true))
    }

    fn check<R: AsRef<str>>(&self, count: usize, references: &[&[R]]) -> Result<()> {
        if count == 0 || references.is_empty() {
            let missing = if count == 0 { "translation" } else { "set of references" };
            return Err(Error::Argument(format!("bleu: there is no {missing}")));
        }
        if let Some((index, set)) = references.iter().enumerate().find(|(_, set)| set.len() != count) {
            return Err(Error::Argument(format!(
                "bleu: there are {count} translations, but set {index} of references has {}",
                set.len()
            )));
        }
        match self.smoothing {
            BleuSmoothing::Floor(value) | BleuSmoothing::AddK(value) if !(value.is_finite() && value >= 0.0) => {
                Err(Error::Argument(format!("bleu: a smoothing of {value} is no number of at least 0")))
            }
            _ => Ok(()),
        }
    }

    fn tokens(&self, text: &str) -> Vec<String> {
        let text = text.trim_end();
        if self.lowercase { tokens_13a(&text.to_lowercase()) } else { tokens_13a(text) }
    }
}

/// What is counted, over all translations.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    matches: [u64; ORDERS],
    totals: [u64; ORDERS],
    length: u64,
    reference_length: u64,
}

impl Counts {
    fn add(&mut self, tokens: &[String], references: &[Vec<String>]) {
        let length = tokens.len();
        self.length += length as u64;
        let nearest = references.iter().map(Vec::len).min_by_key(|&other| (other.abs_diff(length), other));
        self.reference_length += nearest.unwrap_or(0) as u64;
        for (order, (matches, total)) in self.matches.iter_mut().zip(&mut self.totals).enumerate() {
            // Of several references, the one in which an n-gram is most frequent says how often it fits.
            let mut allowed: HashMap<&[String], u64> = HashMap::new();
            for reference in references {
                for (ngram, count) in ngrams(reference, order + 1) {
                    let most = allowed.entry(ngram).or_default();
                    *most = count.max(*most);
                }
            }
            for (ngram, count) in ngrams(tokens, order + 1) {
                *total += count;
                *matches += allowed.get(ngram).map_or(0, |&allowed| count.min(allowed));
            }
        }
    }

    /// With `effective`, orders of which there are no n-grams are left out of the mean.
    fn score(&self, smoothing: BleuSmoothing, effective: bool) -> BleuScore {
        let (length, reference) = (self.length as f64, self.reference_length as f64);
        let brevity_penalty = match self.length {
            0 if self.reference_length > 0 => 0.0,
            _ if length < reference => (1.0 - reference / length).exp(),
            _ => 1.0,
        };
        let mut precisions = [0.0; ORDERS];
        let mut score = 0.0;
        if self.matches.iter().any(|&count| count > 0) {
            let (mut halves, mut orders) = (1.0, ORDERS);
            for (order, precision) in precisions.iter_mut().enumerate() {
                let added = match smoothing {
                    BleuSmoothing::AddK(value) if order > 0 => value,
                    _ => 0.0,
                };
                let (fitting, total) = (self.matches[order] as f64 + added, self.totals[order] as f64 + added);
                if total == 0.0 {
                    break;
                }
                if effective {
                    orders = order + 1;
                }
                *precision = match smoothing {
                    _ if fitting > 0.0 => 100.0 * fitting / total,
                    BleuSmoothing::Exponential => {
                        halves *= 2.0;
                        100.0 / (halves * total)
                    }
                    BleuSmoothing::Floor(value) => 100.0 * value / total,
                    BleuSmoothing::None | BleuSmoothing::AddK(_) => 0.0,
                };
            }
            let mean = precisions[..orders].iter().map(|precision| precision.ln()).sum::<f64>() / orders as f64;
            score = brevity_penalty * mean.exp();
        }
        BleuScore {
            score,
            precisions,
            brevity_penalty,
            matches: self.matches,
            totals: self.totals,
            length: self.length,
            reference_length: self.reference_length,
        }
    }
}

/// How often each n-gram occurs.
fn ngrams(tokens: &[String], order: usize) -> HashMap<&[String], u64> {
    let mut counts = HashMap::new();
    for ngram in tokens.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

/// As sacrebleu writes it.
impl fmt::Display for BleuScore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precisions: Vec<String> = self.precisions.iter().map(|precision| format!("{precision:.1}")).collect();
        let ratio = if self.reference_length > 0 { self.length as f64 / self.reference_length as f64 } else { 0.0 };
        write!(
            formatter,
            "BLEU = {:.2} {} (BP = {:.3} ratio = {ratio:.3} hyp_len = {} ref_len = {})",
            self.score,
            precisions.join("/"),
            self.brevity_penalty,
            self.length,
            self.reference_length
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        let message = |score: Result<BleuScore>| score.err().map_or_else(String::new, |error| error.to_string());
        let none: [&str; 0] = [];
        assert!(message(Bleu::new().corpus(&none, &[&["a"]])).contains("there is no translation"));
        assert!(message(Bleu::new().corpus::<_, &str>(&["a"], &[])).contains("no set of references"));
        let unequal = message(Bleu::new().corpus(&["a", "b"], &[&["a", "b"][..], &["a"]]));
        assert!(unequal.contains("there are 2 translations, but set 1 of references has 1"), "{unequal}");
        assert!(message(Bleu::new().sentence("a", &none)).contains("no reference"));
        let bleu = Bleu::new().smoothing(BleuSmoothing::Floor(f64::NAN));
        assert!(message(bleu.corpus(&["a"], &[&["a"]])).contains("smoothing of NaN"));
    }

    #[test]
    fn marks_are_tokens() {
        let tokens = tokens_13a("\"It's 3,000.5 dollars, e.g. 20-30 &amp; more-or-less...\" <skipped>(end)");
        assert_eq!(tokens.join(" "), "\" It's 3,000.5 dollars , e . g . 20 - 30 & more-or-less . . . \" ( end )");
    }
}
