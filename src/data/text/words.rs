//! A vocabulary of words, with special tokens for padding, unknown words and the ends of a text.

use std::collections::HashMap;
use std::path::Path;

use super::rows::{PaddedRows, RowOptions};
use super::specials::{PADDING, UNKNOWN, is_special, special_number, specials};
use super::{Encoding, read_text};
use crate::error::{Error, Result};
use crate::file;
use crate::tensor::TensorData;

/// The words of a text in lower case: letters and digits with the apostrophes and hyphens between them. Every other character
/// that is no space is a word of its own.
///
/// ```
/// let words = wgrad::data::words("It's a well-made film -- \"touching\"!");
/// assert_eq!(words.join(" "), "it's a well-made film - - \" touching \" !");
/// ```
pub fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let lower = text.to_lowercase();
    let mut characters = lower.chars().peekable();
    while let Some(character) = characters.next() {
        let joins = matches!(character, '\'' | '’' | '-') && !word.is_empty();
        if character.is_alphanumeric() || (joins && characters.peek().is_some_and(|next| next.is_alphanumeric())) {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        if !character.is_whitespace() {
            found.push(character.into());
        }
    }
    if !word.is_empty() {
        found.push(word);
    }
    found
}

/// Words with their numbers, the most frequent first (and in alphabetical order where they are equally frequent). Number 0 is
/// padding, `<pad>`, and 1 stands for every word that has no number, `<unk>`.
///
/// ```
/// use wgrad::data::WordVocabulary;
/// let texts = ["The cat sat.", "The dog sat on the cat."];
/// let vocabulary = WordVocabulary::of(texts, 2, 100);
/// assert_eq!(vocabulary.words(), ["<pad>", "<unk>", "the", ".", "cat", "sat"]);
/// assert_eq!(vocabulary.encode("The dog sat"), [2, 1, 5]);
/// let rows = vocabulary.encode_padded(["The cat", "A dog sat on"], 3)?; // cut and filled to a length of 3
/// assert_eq!(rows.as_slice::<i32>()?, [2, 4, 0, 1, 1, 5]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// Further special tokens have the numbers from 2 on ([`with_specials`](Self::with_specials)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordVocabulary {
    words: Vec<String>,
    /// How many of the words, at the beginning, are special tokens.
    specials: usize,
    numbers: HashMap<String, i32>,
}

impl WordVocabulary {
    /// The number of padding.
    pub const PADDING: i32 = 0;

    /// The number of words that are not in the vocabulary.
    pub const UNKNOWN: i32 = 1;

    /// The [`words`] that occur at least `minimum_count` times, of which the most frequent so that there are at most
    /// `maximum_size` numbers, with those of padding and of unknown words.
    pub fn of<Text: AsRef<str>>(
        texts: impl IntoIterator<Item = Text>,
        minimum_count: usize,
        maximum_size: usize,
    ) -> Self {
        let specials = vec![PADDING.to_owned(), UNKNOWN.to_owned()];
        Self::counted(specials, texts, minimum_count, maximum_size)
    }

    /// As [`of`](Self::of), with further special tokens, each written `<name>`, that have the numbers from 2 on. They count towards the
    /// maximum size.
    ///
    /// ```
    /// use wgrad::data::{RowOptions, WordVocabulary};
    /// let german = WordVocabulary::with_specials(["<bos>", "<eos>"], ["das Haus", "das alte Haus"], 1, 10_000)?;
    /// assert_eq!(german.words(), ["<pad>", "<unk>", "<bos>", "<eos>", "das", "haus", "alte"]);
    /// let options = RowOptions::new().begin("<bos>").end("<eos>").max_length(4);
    /// let rows = german.encode_rows(["das alte Haus", "Haus"], &options)?;
    /// assert_eq!(rows.numbers.as_slice::<i32>()?, [2, 4, 6, 3, 2, 5, 3, 0]); // a decoder reads columns 0 to 2, and is to give 1 to 3
    /// assert_eq!(rows.lengths.as_slice::<i32>()?, [4, 3]);
    /// assert_eq!(german.decode(&[2, 4, 5, 3, 0])?, "das haus");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] for a special token that is not written `<name>`, or is there twice.
    pub fn with_specials<Name: AsRef<str>, Text: AsRef<str>>(
        further: impl IntoIterator<Item = Name>,
        texts: impl IntoIterator<Item = Text>,
        minimum_count: usize,
        maximum_size: usize,
    ) -> Result<Self> {
        Ok(Self::counted(specials(further)?, texts, minimum_count, maximum_size))
    }

    fn counted<Text: AsRef<str>>(
        specials: Vec<String>,
        texts: impl IntoIterator<Item = Text>,
        minimum_count: usize,
        maximum_size: usize,
    ) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for text in texts {
            for word in words(text.as_ref()) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut counted: Vec<(String, usize)> =
            counts.into_iter().filter(|(_, count)| *count >= minimum_count).collect();
        counted.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
        counted.truncate(maximum_size.saturating_sub(specials.len()));
        let count = specials.len();
        let words: Vec<String> = specials.into_iter().chain(counted.into_iter().map(|(word, _)| word)).collect();
        let numbers = words.iter().enumerate().map(|(number, word)| (word.clone(), number as i32)).collect();
        Self { words, specials: count, numbers }
    }

    /// Of words in the order of their numbers, as [`words`](Self::words) gives them. Those at the beginning that are written `<name>`
    /// are special tokens.
    ///
    /// # Errors
    /// [`Error::Data`] where the first two are not those of padding and unknown words, or a word occurs twice.
    pub fn from_words(words: Vec<String>) -> Result<Self> {
        if !matches!(words.as_slice(), [first, second, ..] if first == PADDING && second == UNKNOWN) {
            return Err(Error::Data(format!(
                "a vocabulary begins with {PADDING} and {UNKNOWN}, and this one does not"
            )));
        }
        let mut numbers = HashMap::with_capacity(words.len());
        for (number, word) in words.iter().enumerate() {
            if let Some(first) = numbers.insert(word.clone(), number as i32) {
                return Err(Error::Data(format!(
                    "a word occurs twice in a vocabulary: '{word}' is {first} and {number}"
                )));
            }
        }
        let specials = words.iter().take_while(|word| is_special(word)).count();
        Ok(Self { words, specials, numbers })
    }

    /// Reads a file with one word a line, in the order of their numbers, as [`write`](Self::write) makes it.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`] where it is no UTF-8 text, where a line is not one word, and as for
    /// [`from_words`](Self::from_words).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read_text(path, Encoding::Utf8)?;
        let words: Vec<String> = text.lines().map(str::to_owned).collect();
        if let Some((line, word)) = words.iter().enumerate().find(|(_, word)| !is_one_word(word)) {
            let message = format!("line {}: {word:?} is not one word; a vocabulary has one a line", line + 1);
            return Err(Error::format(path, message));
        }
        Self::from_words(words).map_err(|error| Error::format(path, error.to_string()))
    }

    /// Writes a file with one word a line, in the order of their numbers. What was there before is replaced as a whole.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().map_err(|error| wgrad::Error::file("cannot create", "", error))?;
    /// # let path = directory.path().join("words.txt");
    /// use wgrad::data::WordVocabulary;
    /// let vocabulary = WordVocabulary::of(["to be or not to be"], 1, 100);
    /// vocabulary.write(&path)?; // <pad>, <unk>, be, to, not, or
    /// assert_eq!(WordVocabulary::read(&path)?, vocabulary);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be written; [`Error::Data`] for a word with a space in it, or nothing, which
    /// [`from_words`](Self::from_words) takes and a line cannot hold.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        if let Some(word) = self.words.iter().find(|word| !is_one_word(word)) {
            return Err(Error::Data(format!("{word:?} is not one word, and cannot be a line of a vocabulary's file")));
        }
        let text: String = self.words.iter().flat_map(|word| [word.as_str(), "\n"]).collect();
        file::write(path, text.as_bytes())
    }

    /// Number of words, with padding and unknown.
    pub const fn len(&self) -> usize {
        self.words.len()
    }

    /// False: padding and unknown are always there.
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, in the order of their numbers.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The special tokens, in the order of their numbers, which are the first ones: `<pad>`, `<unk>` and further ones.
    pub fn specials(&self) -> &[String] {
        self.words.get(..self.specials).unwrap_or_default()
    }

    /// The number of a word, in the lower case in which it is there, or of a special token.
    pub fn number(&self, word: &str) -> Option<i32> {
        self.numbers.get(word).copied()
    }

    /// The numbers of a text's [`words`].
    pub fn encode(&self, text: &str) -> Vec<i32> {
        words(text).iter().map(|word| self.number(word).unwrap_or(Self::UNKNOWN)).collect()
    }

    /// Texts as rows of one length, i32 `[texts, length]`: longer ones lose their ends, shorter ones are filled with padding.
    ///
    /// # Errors
    /// [`Error::Argument`] where the length is 0.
    pub fn encode_padded<Text: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = Text>,
        length: usize,
    ) -> Result<TensorData> {
        if length == 0 {
            return Err(Error::Argument("texts cannot be padded or cut to a length of 0 words".into()));
        }
        let mut rows = Vec::new();
        let mut count = 0;
        for text in texts {
            let mut row = self.encode(text.as_ref());
            row.resize(length, Self::PADDING);
            rows.extend(row);
            count += 1;
        }
        TensorData::from_vec(rows, [count, length])
    }

    /// The numbers of a text's [`words`] after a begin token and before an end token, where those are wanted. A language model that
    /// reads many texts in one takes them one after the other, each with its `<eos>`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a token that is not among the [`specials`](Self::specials).
    pub fn encode_between(&self, text: &str, begin: Option<&str>, end: Option<&str>) -> Result<Vec<i32>> {
        let number = |token: Option<&str>| token.map(|token| special_number(self.specials(), token)).transpose();
        let (begin, end) = (number(begin)?, number(end)?);
        Ok(begin.into_iter().chain(self.encode(text)).chain(end).collect())
    }

    /// Texts as rows of one length with begin and end tokens, beside the number of numbers in each.
    ///
    /// # Errors
    /// [`Error::Argument`] for a begin or end token that is not among the [`specials`](Self::specials), and for a length that leaves no
    /// room beside them; [`Error::Data`] for no texts.
    pub fn encode_rows<Text: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = Text>,
        options: &RowOptions,
    ) -> Result<PaddedRows> {
        let texts = texts.into_iter().map(|text| self.encode(text.as_ref())).collect();
        options.rows(self.specials(), Self::PADDING, texts)
    }

    /// Numbers as words with spaces between them, without the special tokens but `<unk>`. What a model wrote after its end token is
    /// no part of its text: leave that out before.
    ///
    /// # Errors
    /// [`Error::Data`] for a number that no word has.
    pub fn decode(&self, numbers: &[i32]) -> Result<String> {
        let word = |&number: &i32| {
            let found = usize::try_from(number).ok().and_then(|index| self.words.get(index));
            found.map(String::as_str).ok_or_else(|| {
                Error::Data(format!("{number} is no word's number: there are {}, counted from 0", self.len()))
            })
        };
        let is_shown = |number: &&i32| **number == Self::UNKNOWN || !(0..self.specials as i32).contains(*number);
        Ok(numbers.iter().filter(is_shown).map(word).collect::<Result<Vec<&str>>>()?.join(" "))
    }
}

/// Whether a word can be a line of a file.
fn is_one_word(word: &str) -> bool {
    !word.is_empty() && !word.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_limited() -> Result<()> {
        assert_eq!(words("Don't -- 'tis O’Neil's x-"), ["don't", "-", "-", "'", "tis", "o’neil's", "x", "-"]);
        assert!(words(" \n\t").is_empty());
        let vocabulary = WordVocabulary::of(["b a b", "c a b"], 1, 4);
        assert_eq!(vocabulary.words(), ["<pad>", "<unk>", "b", "a"]);
        assert_eq!(vocabulary.decode(&[2, 1, 3, 0, 0])?, "b <unk> a");
        assert!(vocabulary.decode(&[4]).is_err());
        assert_eq!(WordVocabulary::of(["a"], 1, 0).len(), 2);
        assert_eq!(WordVocabulary::from_words(vocabulary.words().to_vec())?, vocabulary);
        assert!(WordVocabulary::from_words(vec!["a".into(), "b".into()]).is_err());
        assert!(WordVocabulary::from_words(["<pad>", "<unk>", "a", "a"].map(str::to_owned).to_vec()).is_err());
        assert!(vocabulary.encode_padded(["a"], 0).is_err());
        assert_eq!(vocabulary.encode_padded([""], 2)?.as_slice::<i32>()?, [0, 0]);
        Ok(())
    }

    #[test]
    fn special_tokens_have_the_first_numbers() -> Result<()> {
        let vocabulary = WordVocabulary::with_specials(["<bos>", "<eos>"], ["b a b <bos>"], 1, 6)?;
        assert_eq!(vocabulary.words(), ["<pad>", "<unk>", "<bos>", "<eos>", "b", "<"]);
        assert_eq!(vocabulary.specials().len(), 4);
        assert_eq!((vocabulary.number("<eos>"), vocabulary.number("c")), (Some(3), None));
        assert_eq!(vocabulary.encode("<bos>"), [5, 1, 1]); // what stands in a text is no special token
        assert_eq!(vocabulary.encode_between("b x", Some("<bos>"), Some("<eos>"))?, [2, 4, 1, 3]);
        assert_eq!(vocabulary.encode_between("b x", None, None)?, [4, 1]);
        assert!(vocabulary.encode_between("b", Some("<x>"), None).is_err());
        assert_eq!(vocabulary.decode(&[2, 4, 1, 3, 0])?, "b <unk>");
        for number in [6, -1, i32::MAX, i32::MIN] {
            let error = vocabulary.decode(&[number]).unwrap_err().to_string();
            assert_eq!(error, format!("{number} is no word's number: there are 6, counted from 0"));
        }
        assert_eq!(WordVocabulary::from_words(vocabulary.words().to_vec())?, vocabulary);
        Ok(())
    }

    #[test]
    fn a_file_has_one_word_a_line() -> Result<()> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("words.txt");
        let vocabulary = WordVocabulary::with_specials(["<eos>"], ["naïve ☃ it's"], 1, 100)?;
        vocabulary.write(&path)?;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "<pad>\n<unk>\n<eos>\nit's\nnaïve\n☃\n");
        assert_eq!(WordVocabulary::read(&path)?, vocabulary);
        for (text, expected) in [
            ("<pad>\r\n<unk>\r\na\r\n\r\n", "line 4: \"\" is not one word; a vocabulary has one a line"),
            ("<pad>\n<unk>\na 12\n", "line 3: \"a 12\" is not one word"),
            ("<pad>\n<unk>\na\nb\na\n", "a word occurs twice in a vocabulary: 'a' is 2 and 4"),
            ("the\nand\n", "a vocabulary begins with <pad> and <unk>"),
            ("", "the file is empty"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = WordVocabulary::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("words.txt"), "{error}");
        }
        let spaced = WordVocabulary::from_words(["<pad>", "<unk>", "a b"].map(str::to_owned).to_vec())?;
        assert!(spaced.write(&path).is_err_and(|error| error.to_string().contains("not one word")));
        Ok(())
    }
}
