//! The words around each word of a corpus, as examples that are drawn anew in every epoch: what word2vec learns from.

use std::sync::Arc;

use super::corpus::Corpus;
use crate::data::Dataset;
use crate::data::stream::Source;
use crate::error::{Error, Result};
use crate::scalar::threefry::HostRandom;
use crate::tensor::TensorData;

/// The sub-streams of a seed that windows are drawn from, and the order of examples.
const DRAWS: u32 = 0x7769_6e64;
const ORDER: u32 = 0x6f72_6465;

/// Examples that are made and mixed at a time.
const MIXED: usize = 1 << 16;

/// The widest window.
const WIDEST: usize = 1000;

/// Examples of words and the words around them, for [`nn::Word2Vec`](crate::nn::Word2Vec): a source of the column `x`, i32.
///
/// In every epoch, frequent words are left out by chance before anything else ([`subsample`](Self::subsample)), and each word looks at up to
/// 1 to `window` words on either side, which is drawn too, so that near words count more. Both are word2vec's. Sentences do not mix. Some
/// tens of thousands of examples at a time come in random order: those of one word should not all be in one batch. All draws are functions of
/// seed, epoch and sentence, so that an epoch is the same each time.
///
/// ```
/// use std::sync::Arc;
/// use wgrad::data::{Corpus, Source, WordWindows};
/// let corpus = Arc::new(Corpus::of("a b c d e f g", 1)?);
/// let mut pairs = WordWindows::skip_gram(&corpus).window(1).subsample(0.0);
/// pairs.begin(0)?;
/// let x = pairs.next()?.unwrap();
/// assert_eq!(x.column("x")?.shape().dims(), [12, 2]); // b and a, a and b, b and c, …
/// let mut bags = WordWindows::cbow(&corpus).window(2).subsample(0.0);
/// bags.begin(0)?;
/// assert_eq!(bags.next()?.unwrap().column("x")?.shape().dims(), [7, 5]); // a word and up to four around it
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WordWindows {
    corpus: Arc<Corpus>,
    bags: bool,
    window: usize,
    sample: f64,
    seed: u64,
    /// For each word, the chance to stay.
    chances: Vec<f64>,
    epoch: u64,
    sentence: usize,
    mixtures: u32,
}

impl WordWindows {
    /// Pairs `[n, 2]` of a word and one around it.
    pub fn skip_gram(corpus: &Arc<Corpus>) -> Self {
        let windows = Self {
            corpus: Arc::clone(corpus),
            bags: false,
            window: 5,
            sample: 0.0,
            seed: 0,
            chances: Vec::new(),
            epoch: 0,
            sentence: 0,
            mixtures: 0,
        };
        windows.subsample(1e-3)
    }

    /// Rows `[n, 1 + 2·window]` of a word and all around it, filled up with −1. A word without any around it is left out.
    pub fn cbow(corpus: &Arc<Corpus>) -> Self {
        Self { bags: true, ..Self::skip_gram(corpus) }
    }

    /// Words on either side, at the most, instead of 5.
    #[must_use]
    pub const fn window(mut self, words: usize) -> Self {
        self.window = words;
        self
    }

    /// The share of the text from which a word is a frequent one, instead of 10⁻³; 0 leaves none out. A word of share f stays with a chance of
    /// (√(f / sample) + 1) · sample / f, as in word2vec's code.
    #[must_use]
    pub fn subsample(mut self, sample: f64) -> Self {
        self.sample = sample;
        let total = self.corpus.len() as f64;
        let chance = |&count: &u64| {
            let ratio = sample * total / count as f64;
            if sample > 0.0 { (ratio.sqrt() + ratio).min(1.0) } else { 1.0 }
        };
        self.chances = self.corpus.counts().iter().map(chance).collect();
        self
    }

    /// The seed of all draws.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The number of examples in an epoch, which differs a little from epoch to epoch. Takes as long as drawing them does.
    ///
    /// # Errors
    /// As of [`begin`](Source::begin).
    pub fn examples(&self, epoch: u64) -> Result<u64> {
        self.check()?;
        let sentences = (0..self.corpus.sentences().len()).map(|sentence| {
            let mut count = 0;
            self.each(epoch, sentence, |_, around| count += if self.bags { 1 } else { around.len() as u64 });
            count
        });
        Ok(sentences.sum())
    }

    fn check(&self) -> Result<()> {
        if self.window == 0 || self.window > WIDEST {
            return Err(Error::Argument(format!("a window of {} words; it is 1 to {WIDEST}", self.window)));
        }
        if !(self.sample.is_finite() && self.sample >= 0.0) {
            return Err(Error::Argument(format!("a sample of {}; it is a share of at least 0", self.sample)));
        }
        Ok(())
    }

    /// Calls `take` with each word of a sentence that has some around it, and those.
    fn each(&self, epoch: u64, sentence: usize, mut take: impl FnMut(i32, &[i32])) {
        let Some(words) = self.corpus.sentence(sentence) else { return };
        let mut random =
            HostRandom::new(self.seed).fold(DRAWS).fold(epoch as u32).fold((epoch >> 32) as u32).fold(sentence as u32);
        let mut stays = |word: &i32| {
            let chance = self.chances[*word as usize];
            chance >= 1.0 || random.uniform_f64() < chance
        };
        let words: Vec<i32> = words.iter().copied().filter(|word| stays(word)).collect();
        let mut around = Vec::with_capacity(2 * self.window);
        for (position, &word) in words.iter().enumerate() {
            let reach = 1 + random.below(self.window as u64) as usize;
            let end = (position + 1 + reach).min(words.len());
            around.clear();
            around.extend_from_slice(&words[position.saturating_sub(reach)..position]);
            around.extend_from_slice(&words[position + 1..end]);
            if !around.is_empty() {
                take(word, &around);
            }
        }
    }

    /// Numbers of an example.
    const fn width(&self) -> usize {
        if self.bags { 1 + 2 * self.window } else { 2 }
    }
}

impl Source for WordWindows {
    fn begin(&mut self, epoch: u64) -> Result<()> {
        self.check()?;
        (self.epoch, self.sentence, self.mixtures) = (epoch, 0, 0);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Dataset>> {
        let width = self.width();
        let mut rows: Vec<i32> = Vec::new();
        while rows.len() < MIXED * width && self.sentence < self.corpus.sentences().len() {
            self.each(self.epoch, self.sentence, |word, around| {
                if self.bags {
                    let end = rows.len() + width;
                    rows.push(word);
                    rows.extend_from_slice(around);
                    rows.resize(end, -1);
                } else {
                    around.iter().for_each(|&other| rows.extend_from_slice(&[word, other]));
                }
            });
            self.sentence += 1;
        }
        let count = rows.len() / width;
        if count == 0 {
            return Ok(None);
        }
        let random = HostRandom::new(self.seed).fold(ORDER).fold(self.epoch as u32).fold((self.epoch >> 32) as u32);
        let order = random.fold(self.mixtures).permutation(count);
        self.mixtures += 1;
        let mut mixed = Vec::with_capacity(rows.len());
        order.iter().for_each(|&row| mixed.extend_from_slice(&rows[row * width..(row + 1) * width]));
        Ok(Some(Dataset::new([("x", TensorData::from_vec(mixed, [count, width])?)])?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn all(windows: &mut WordWindows, epoch: u64) -> Result<Vec<i32>> {
        windows.begin(epoch)?;
        let mut rows = Vec::new();
        while let Some(data) = windows.next()? {
            rows.extend_from_slice(data.column("x")?.as_slice::<i32>()?);
        }
        Ok(rows)
    }

    #[test]
    fn pairs_are_near_and_within_a_sentence() -> Result<()> {
        // Numbers tell positions: equally frequent words are in alphabetical order.
        let line = |first: u32| (first..first + 50).map(|k| format!("w{k:03}")).collect::<Vec<_>>().join(" ");
        let corpus = Arc::new(Corpus::of(&format!("{}\n{}", line(0), line(50)), 1)?);
        let mut windows = WordWindows::skip_gram(&corpus).window(3).subsample(0.0);
        let mut distances: BTreeMap<u32, u32> = BTreeMap::new();
        for epoch in 0..40 {
            let rows = all(&mut windows, epoch)?;
            assert_eq!(rows.len() as u64, 2 * windows.examples(epoch)?);
            for pair in rows.chunks_exact(2) {
                assert_eq!(pair[0] / 50, pair[1] / 50, "{pair:?}");
                *distances.entry(pair[0].abs_diff(pair[1])).or_default() += 1;
            }
        }
        // Reaches of 1 to 3 are equally likely: distance d is within (4 − d) of 3.
        assert_eq!(distances.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
        for (distance, count) in distances {
            let wanted = 40.0 * 2.0 * 2.0 * f64::from(50 - distance) * f64::from(4 - distance) / 3.0;
            assert!((f64::from(count) - wanted).abs() < 0.06 * wanted, "{distance}: {count}, and not {wanted}");
        }
        Ok(())
    }

    #[test]
    fn an_epoch_is_the_same_each_time_and_differs_from_others() -> Result<()> {
        let corpus = Arc::new(Corpus::of(&"a b c d e f g h\n".repeat(30), 1)?);
        let mut windows = WordWindows::cbow(&corpus).window(2).subsample(0.1).seed(7);
        let (first, second) = (all(&mut windows, 0)?, all(&mut windows, 1)?);
        assert_ne!(first, second);
        assert_eq!(first, all(&mut windows.clone(), 0)?);
        assert_ne!(first, all(&mut windows.clone().seed(8), 0)?);
        for row in first.chunks_exact(5) {
            let there = row.iter().take_while(|&&word| word >= 0).count();
            assert!(there >= 2 && row[there..].iter().all(|&word| word == -1), "{row:?}");
        }
        Ok(())
    }

    #[test]
    fn frequent_words_are_left_out_as_word2vec_does() -> Result<()> {
        let text = format!("{} {}", "the ".repeat(9000), "cat ".repeat(1000));
        let corpus = Arc::new(Corpus::of(&text, 1)?);
        let windows = WordWindows::skip_gram(&corpus).window(1).subsample(0.01);
        let mut stayed = [0_u32; 2];
        // A word is there as often as it has others around it, but for the ends.
        (0..20).for_each(|epoch| windows.each(epoch, 0, |word, _| stayed[word as usize] += 1));
        for (count, occurs) in stayed.iter().zip([9000.0, 1000.0]) {
            let share: f64 = occurs / 10_000.0;
            let wanted = 20.0 * occurs * ((share / 0.01).sqrt() + 1.0) * 0.01 / share;
            assert!((f64::from(*count) - wanted).abs() < 0.05 * wanted, "{count}, and not {wanted}");
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_is_told() -> Result<()> {
        let corpus = Arc::new(Corpus::of("a b", 1)?);
        for (windows, part) in [
            (WordWindows::skip_gram(&corpus).window(0), "a window of 0 words"),
            (WordWindows::cbow(&corpus).window(1001), "1 to 1000"),
            (WordWindows::cbow(&corpus).subsample(-1.0), "a sample of -1"),
            (WordWindows::cbow(&corpus).subsample(f64::NAN), "a sample of NaN"),
        ] {
            let error = windows.clone().begin(0).unwrap_err().to_string();
            assert!(error.contains(part) && windows.examples(0).is_err(), "{error}");
        }
        // A lone word has none around it.
        let lone = Arc::new(Corpus::of("a\nb", 1)?);
        assert_eq!(WordWindows::skip_gram(&lone).examples(0)?, 0);
        Ok(())
    }
}
