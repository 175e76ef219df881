//! A vocabulary of characters, with special tokens where those are wanted.

use std::collections::BTreeSet;

use super::rows::{PaddedRows, RowOptions};
use super::specials::specials;
use crate::error::{Error, Result};

/// What an unknown character is decoded as.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// The characters of a text, sorted, each with its number.
///
/// ```
/// use wgrad::data::CharVocabulary;
/// let vocabulary = CharVocabulary::of("to be or not to be");
/// assert_eq!(vocabulary.characters().iter().collect::<String>(), " benort");
/// assert_eq!(vocabulary.encode("nob")?, [3, 4, 1]);
/// assert_eq!(vocabulary.decode(&[3, 4, 1])?, "nob");
/// let error = vocabulary.encode("to be\nquick").unwrap_err().to_string();
/// assert_eq!(error, "line 1, character 6: '\\n' is not among the 7 characters of the vocabulary");
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// With [special tokens](Self::with_specials), 0 is padding, and characters that the vocabulary lacks have the number 1 instead of
/// being an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharVocabulary {
    specials: Vec<String>,
    characters: Vec<char>,
}

impl CharVocabulary {
    /// The number of padding, where there are special tokens.
    pub const PADDING: i32 = 0;

    /// The number of characters that are not in the vocabulary, where there are special tokens.
    pub const UNKNOWN: i32 = 1;

    /// Every character that a text has.
    pub fn of(text: &str) -> Self {
        let distinct: BTreeSet<char> = text.chars().collect();
        Self { specials: Vec::new(), characters: distinct.into_iter().collect() }
    }

    /// Every character that a text has, after `<pad>`, `<unk>` and further special tokens, each written `<name>`.
    ///
    /// ```
    /// use wgrad::data::{CharVocabulary, RowOptions};
    /// let vocabulary = CharVocabulary::with_specials(["<eos>"], "abcd")?;
    /// let rows = vocabulary.encode_rows(["dab", "ax"], &RowOptions::new().end("<eos>"))?;
    /// assert_eq!(rows.numbers.as_slice::<i32>()?, [6, 3, 4, 2, 3, 1, 2, 0]);
    /// assert_eq!(rows.lengths.as_slice::<i32>()?, [4, 3]);
    /// assert_eq!(vocabulary.decode(&[3, 1, 2, 0])?, "a\u{fffd}"); // of the special tokens, only what is unknown is shown
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] for a special token that is not written `<name>`, or is there twice.
    pub fn with_specials<Name: AsRef<str>>(further: impl IntoIterator<Item = Name>, text: &str) -> Result<Self> {
        Ok(Self { specials: specials(further)?, ..Self::of(text) })
    }

    /// Number of characters and special tokens.
    pub const fn len(&self) -> usize {
        self.specials.len() + self.characters.len()
    }

    /// True for the vocabulary of an empty text, without special tokens.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The characters, in the order of their numbers.
    pub fn characters(&self) -> &[char] {
        &self.characters
    }

    /// The special tokens, which have the numbers before those of the characters.
    pub fn specials(&self) -> &[String] {
        &self.specials
    }

    /// The number of a character, if it has one.
    pub fn number(&self, character: char) -> Option<i32> {
        self.characters.binary_search(&character).ok().map(|index| (self.specials.len() + index) as i32)
    }

    /// A text as numbers.
    ///
    /// # Errors
    /// [`Error::Data`] for the first character that has no number, with its position, unless there are special tokens.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>> {
        let unknown = (!self.specials.is_empty()).then_some(Self::UNKNOWN);
        let (mut line, mut column) = (1, 1);
        let mut numbers = Vec::with_capacity(text.len());
        for character in text.chars() {
            numbers.push(self.number(character).or(unknown).ok_or_else(|| {
                Error::Data(format!(
                    "line {line}, character {column}: {character:?} is not among the {} characters of the vocabulary",
                    self.len()
                ))
            })?);
            (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        Ok(numbers)
    }

    /// Texts as rows of one length, beside the number of numbers in each.
    ///
    /// # Errors
    /// [`Error::Argument`] for a vocabulary without special tokens, which has no padding, for a begin or end token that is not among
    /// them, and for a length that leaves no room beside those; [`Error::Data`] for no texts.
    pub fn encode_rows<Text: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = Text>,
        options: &RowOptions,
    ) -> Result<PaddedRows> {
        if self.specials.is_empty() {
            return Err(Error::Argument(
                "a vocabulary of characters without special tokens has no padding (CharVocabulary::with_specials)"
                    .into(),
            ));
        }
        let texts = texts.into_iter().map(|text| self.encode(text.as_ref())).collect::<Result<_>>()?;
        options.rows(&self.specials, Self::PADDING, texts)
    }

    /// Numbers as text. Special tokens are left out, but for `<unk>`, which is U+FFFD.
    ///
    /// # Errors
    /// [`Error::Data`] for a number that no character has.
    pub fn decode(&self, numbers: &[i32]) -> Result<String> {
        let character = |&number: &i32| match usize::try_from(number) {
            Ok(index) if index < self.specials.len() => Ok((number == Self::UNKNOWN).then_some(REPLACEMENT)),
            Ok(index) if index < self.len() => Ok(self.characters.get(index - self.specials.len()).copied()),
            _ => {
                Err(Error::Data(format!("{number} is no character's number: there are {}, counted from 0", self.len())))
            }
        };
        numbers.iter().map(character).filter_map(Result::transpose).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_restored() -> Result<()> {
        let text = "héllo,\n wörld ☃";
        let vocabulary = CharVocabulary::of(text);
        assert_eq!(vocabulary.decode(&vocabulary.encode(text)?)?, text);
        assert!(vocabulary.encode("hello\nX").is_err_and(|error| error.to_string().starts_with("line 1, character 2")));
        assert!(vocabulary.decode(&[-1]).is_err() && vocabulary.decode(&[99]).is_err());
        assert!(CharVocabulary::of("").is_empty());
        Ok(())
    }

    #[test]
    fn special_tokens_come_before_the_characters() -> Result<()> {
        let vocabulary = CharVocabulary::with_specials(["<bos>"], "ba")?;
        assert_eq!((vocabulary.len(), vocabulary.number('a')), (5, Some(3)));
        assert_eq!(vocabulary.encode("abc")?, [3, 4, 1]);
        assert_eq!(vocabulary.decode(&[2, 3, 0])?, "a");
        assert!(vocabulary.decode(&[5]).is_err() && vocabulary.decode(&[-1]).is_err());
        assert!(!CharVocabulary::with_specials([""; 0], "")?.is_empty());
        assert!(CharVocabulary::with_specials(["bos"], "").is_err());
        let plain = CharVocabulary::of("ab").encode_rows(["a"], &RowOptions::new());
        assert!(plain.is_err_and(|error| error.to_string().contains("no padding")));
        Ok(())
    }
}
