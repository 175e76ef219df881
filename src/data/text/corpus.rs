//! A text as numbers of words, for what learns from which words stand together.

use std::collections::HashMap;

use super::words;
use crate::error::{Error, Result};

/// Words of a sentence; longer ones are cut, as in gensim.
const LONGEST_SENTENCE: usize = 10_000;

/// The sentences of a text as numbers of words, without rare words. Words are those of [`words`], in lower case, without punctuation marks;
/// numbers count from 0, from the most frequent word on (in alphabetical order where they are equally frequent). Each line is a sentence;
/// one of more than 10,000 words is several.
///
/// ```
/// let corpus = wgrad::data::Corpus::of("The cat sat.\nThe dog sat -- on a cat!", 2)?;
/// assert_eq!(corpus.words(), ["cat", "sat", "the"]);
/// assert_eq!(corpus.counts(), [2, 2, 2]);
/// let sentences: Vec<&[i32]> = corpus.sentences().collect();
/// assert_eq!(sentences, [&[2, 0, 1], &[2, 1, 0]]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corpus {
    words: Vec<String>,
    counts: Vec<u64>,
    numbers: HashMap<String, i32>,
    tokens: Vec<i32>,
    /// Where sentences end.
    ends: Vec<usize>,
    read: usize,
}

impl Corpus {
    /// The sentences of a text, of the words that occur at least `minimum_count` times.
    ///
    /// # Errors
    /// [`Error::Data`] where no word is left.
    pub fn of(text: &str, minimum_count: u64) -> Result<Self> {
        // Words in the order in which they come, by numbers of their own.
        let mut first: HashMap<String, u32> = HashMap::new();
        let mut counted: Vec<(String, u64)> = Vec::new();
        let mut tokens: Vec<u32> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        for line in text.lines() {
            for word in words(line) {
                if !word.chars().any(char::is_alphanumeric) {
                    continue;
                }
                let number = first.get(&word).copied().unwrap_or_else(|| {
                    let next = counted.len() as u32;
                    first.insert(word.clone(), next);
                    counted.push((word, 0));
                    next
                });
                counted[number as usize].1 += 1;
                tokens.push(number);
            }
            if ends.last().copied().unwrap_or(0) < tokens.len() {
                ends.push(tokens.len());
            }
        }
        let read = tokens.len();
        let mut order: Vec<usize> = (0..counted.len()).filter(|&number| counted[number].1 >= minimum_count).collect();
        order.sort_by(|&a, &b| counted[b].1.cmp(&counted[a].1).then_with(|| counted[a].0.cmp(&counted[b].0)));
        if order.is_empty() {
            return Err(Error::Data(match read {
                0 => "the text has no words".to_owned(),
                _ => format!("no word of the text occurs {minimum_count} times, which is the least"),
            }));
        }
        let mut new = vec![-1; counted.len()];
        order.iter().enumerate().for_each(|(rank, &number)| new[number] = rank as i32);
        let mut retained = Vec::with_capacity(tokens.len());
        let mut new_ends = Vec::with_capacity(ends.len());
        let mut start = 0;
        for end in ends {
            let begun = retained.len();
            retained.extend(tokens[start..end].iter().map(|&token| new[token as usize]).filter(|&token| token >= 0));
            new_ends.extend((begun + LONGEST_SENTENCE..retained.len()).step_by(LONGEST_SENTENCE));
            if retained.len() > begun {
                new_ends.push(retained.len());
            }
            start = end;
        }
        let (words, counts): (Vec<String>, Vec<u64>) = order.iter().map(|&number| counted[number].clone()).unzip();
        let numbers = words.iter().enumerate().map(|(number, word)| (word.clone(), number as i32)).collect();
        Ok(Self { words, counts, numbers, tokens: retained, ends: new_ends, read })
    }

    /// The words, by their numbers.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// How often each word occurs.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of a word in lower case.
    pub fn number(&self, word: &str) -> Option<i32> {
        self.numbers.get(word).copied()
    }

    /// The sentences, one after another, without those in which no word is left.
    pub fn sentences(&self) -> impl ExactSizeIterator<Item = &[i32]> {
        (0..self.ends.len()).map(|index| self.sentence(index).unwrap_or_default())
    }

    /// A sentence by its position.
    pub(super) fn sentence(&self, index: usize) -> Option<&[i32]> {
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.tokens.get(start..*self.ends.get(index)?)
    }

    /// Words of the text, without the rare ones.
    pub const fn len(&self) -> usize {
        self.tokens.len()
    }

    /// False: a corpus has words.
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Words of the text, with the rare ones.
    pub const fn words_read(&self) -> usize {
        self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_cut_and_rare_words_leave_them_shorter() -> Result<()> {
        let text = format!("{}\n\nrare b b\nrarer\n", "a ".repeat(25_000));
        let corpus = Corpus::of(&text, 2)?;
        let lengths: Vec<usize> = corpus.sentences().map(<[i32]>::len).collect();
        assert_eq!(lengths, [10_000, 10_000, 5_000, 2]);
        assert_eq!((corpus.len(), corpus.words_read()), (25_002, 25_004));
        assert_eq!((corpus.words(), corpus.counts()), (&["a".to_owned(), "b".to_owned()][..], &[25_000, 2][..]));
        assert_eq!((corpus.number("b"), corpus.number("rare")), (Some(1), None));
        assert_eq!((corpus.sentence(3), corpus.sentence(4)), (Some(&[1, 1][..]), None));
        let exact = Corpus::of(&"a ".repeat(10_000), 1)?;
        assert_eq!(exact.sentences().len(), 1);
        Ok(())
    }

    #[test]
    fn a_text_without_words_is_none() {
        let error = |text: &str, count: u64| Corpus::of(text, count).unwrap_err().to_string();
        assert_eq!(error("", 1), "the text has no words");
        assert_eq!(error("... --\n!", 1), "the text has no words");
        assert_eq!(error("a b c", 2), "no word of the text occurs 2 times, which is the least");
        assert!(Corpus::of("a", 0).is_ok());
    }
}
