//! Text as numbers: reading it, vocabularies of characters and of words, and long texts as batches.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use super::Dataset;
use crate::error::{Error, Result, counted};
use crate::tensor::TensorData;

/// How bytes stand for characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// ISO 8859-1: each byte is the character of its number, so that nothing can be wrong with a file.
    Latin1,
}

/// Reads a text file.
///
/// # Errors
/// [`Error::File`] where it cannot be read; [`Error::Format`] where it is empty, or is not UTF-8 although it should be, with the
/// position of the first byte that does not fit.
pub fn read_text(path: impl AsRef<Path>, encoding: Encoding) -> Result<String> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
    decode_text(&bytes, encoding).map_err(|message| Error::format(path, message))
}

/// The text of bytes; a message says where they are none.
fn decode_text(bytes: &[u8], encoding: Encoding) -> Result<String, String> {
    if bytes.is_empty() {
        return Err("the file is empty, and should hold text".into());
    }
    if encoding == Encoding::Latin1 {
        return Ok(bytes.iter().map(|&byte| char::from(byte)).collect());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to().min(bytes.len()));
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        let byte = rest.first().copied().unwrap_or_default();
        format!("not UTF-8 text: byte 0x{byte:02x} at offset {}, in line {line}", before.len())
    })
}

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharVocabulary {
    characters: Vec<char>,
}

impl CharVocabulary {
    /// Every character that a text has.
    pub fn of(text: &str) -> Self {
        let distinct: BTreeSet<char> = text.chars().collect();
        Self { characters: distinct.into_iter().collect() }
    }

    /// Number of characters.
    pub const fn len(&self) -> usize {
        self.characters.len()
    }

    /// True for the vocabulary of an empty text.
    pub const fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    /// The characters, in the order of their numbers.
    pub fn characters(&self) -> &[char] {
        &self.characters
    }

    /// The number of a character, if it has one.
    pub fn number(&self, character: char) -> Option<i32> {
        self.characters.binary_search(&character).ok().map(|index| index as i32)
    }

    /// A text as numbers.
    ///
    /// # Errors
    /// [`Error::Data`] for the first character that has no number, with its position.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>> {
        let (mut line, mut column) = (1, 1);
        let mut numbers = Vec::with_capacity(text.len());
        for character in text.chars() {
            numbers.push(self.number(character).ok_or_else(|| {
                Error::Data(format!(
                    "line {line}, character {column}: {character:?} is not among the {} characters of the vocabulary",
                    self.len()
                ))
            })?);
            (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        Ok(numbers)
    }

    /// Numbers as text.
    ///
    /// # Errors
    /// [`Error::Data`] for a number that no character has.
    pub fn decode(&self, numbers: &[i32]) -> Result<String> {
        let character = |&number: &i32| {
            let found = usize::try_from(number).ok().and_then(|index| self.characters.get(index));
            found.copied().ok_or_else(|| {
                Error::Data(format!("{number} is no character's number: there are {}, counted from 0", self.len()))
            })
        };
        numbers.iter().map(character).collect()
    }
}

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

/// The words with numbers 0 and 1.
const PADDING_WORD: &str = "<pad>";
const UNKNOWN_WORD: &str = "<unk>";

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordVocabulary {
    words: Vec<String>,
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
        let mut counts: HashMap<String, usize> = HashMap::new();
        for text in texts {
            for word in words(text.as_ref()) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut counted: Vec<(String, usize)> =
            counts.into_iter().filter(|(_, count)| *count >= minimum_count).collect();
        counted.sort_by(|(word, count), (other, others)| others.cmp(count).then_with(|| word.cmp(other)));
        counted.truncate(maximum_size.saturating_sub(2));
        let special = [PADDING_WORD.to_owned(), UNKNOWN_WORD.to_owned()];
        let words: Vec<String> = special.into_iter().chain(counted.into_iter().map(|(word, _)| word)).collect();
        let numbers = words.iter().enumerate().map(|(number, word)| (word.clone(), number as i32)).collect();
        Self { words, numbers }
    }

    /// Of words in the order of their numbers, as [`words`](Self::words) gives them.
    ///
    /// # Errors
    /// [`Error::Data`] where the first two are not those of padding and unknown words, or a word occurs twice.
    pub fn from_words(words: Vec<String>) -> Result<Self> {
        if !matches!(words.as_slice(), [first, second, ..] if first == PADDING_WORD && second == UNKNOWN_WORD) {
            return Err(Error::Data(format!(
                "a vocabulary begins with {PADDING_WORD} and {UNKNOWN_WORD}, and this one does not"
            )));
        }
        let numbers: HashMap<String, i32> =
            words.iter().enumerate().map(|(number, word)| (word.clone(), number as i32)).collect();
        if numbers.len() < words.len() {
            return Err(Error::Data("a word occurs twice in a vocabulary".into()));
        }
        Ok(Self { words, numbers })
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

    /// The numbers of a text's [`words`].
    pub fn encode(&self, text: &str) -> Vec<i32> {
        words(text).iter().map(|word| self.numbers.get(word).copied().unwrap_or(Self::UNKNOWN)).collect()
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

    /// Numbers as words with spaces between them, without the padding.
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
        let present = numbers.iter().filter(|&&number| number != Self::PADDING);
        Ok(present.map(word).collect::<Result<Vec<&str>>>()?.join(" "))
    }
}

/// A long text as a data set of short sequences, from which a model learns to tell each next number: `x` and `y`, i32
/// `[sequences, steps]`, where `y` is one position further on.
///
/// The text is cut into as many `streams` of equal length, and each stream into sequences of `steps`. Examples are ordered so that
/// batches of `streams` examples, taken in order, go along all streams at once: the state after one batch is the state before the
/// next ([`carried_state`](crate::train::carried_state)). What does not fill a sequence at the end of a stream is left out.
///
/// ```
/// let text: Vec<i32> = (0..14).collect();
/// let data = wgrad::data::streams(&text, 2, 3)?;
/// assert_eq!(data.column("x")?.as_slice::<i32>()?, [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]);
/// assert_eq!(data.column("y")?.as_slice::<i32>()?[..6], [1, 2, 3, 7, 8, 9]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for no streams or no steps; [`Error::Data`] for a text that does not give each stream a sequence.
pub fn streams(text: &[i32], streams: usize, steps: usize) -> Result<Dataset> {
    if streams == 0 || steps == 0 {
        return Err(Error::Argument(format!("{streams} streams of {steps} steps are none; there must be at least 1")));
    }
    let along = text.len().saturating_sub(1) / streams;
    let sequences = along / steps;
    if sequences == 0 {
        let needed = streams.saturating_mul(steps).saturating_add(1);
        return Err(Error::Data(format!(
            "a text of {} is too short for {} of {steps} side by side, which take {needed}",
            text.len(),
            counted(streams, "sequence")
        )));
    }
    let column = |shift: usize| {
        let mut values = Vec::with_capacity(sequences * streams * steps);
        for sequence in 0..sequences {
            for stream in 0..streams {
                let start = stream * along + sequence * steps + shift;
                values.extend_from_slice(text.get(start..start + steps).unwrap_or_default());
            }
        }
        TensorData::from_vec(values, [sequences * streams, steps])
    };
    Dataset::new([("x", column(0)?), ("y", column(1)?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_has_a_position() {
        assert_eq!(decode_text(b"", Encoding::Utf8), Err("the file is empty, and should hold text".into()));
        let expected = "not UTF-8 text: byte 0xe9 at offset 6, in line 2".to_owned();
        assert_eq!(decode_text(b"ab\ncaf\xe9s", Encoding::Utf8), Err(expected));
        assert_eq!(decode_text(b"caf\xe9s", Encoding::Latin1), Ok("cafés".into()));
        assert_eq!(decode_text(b"\xef\xbb\xbfok", Encoding::Utf8), Ok("ok".into()));
        assert!(decode_text(b"caf\xc3", Encoding::Utf8).is_err_and(|message| message.contains("offset 3")));
        let error = read_text("/nowhere/at/all", Encoding::Utf8).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("/nowhere/at/all")));
    }

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
    fn batches_go_on_where_the_last_ended() -> Result<()> {
        let text: Vec<i32> = (0..1000).collect();
        let (count, steps) = (7, 9);
        let data = streams(&text, count, steps)?;
        let (x, y) = (data.column("x")?.as_slice::<i32>()?, data.column("y")?.as_slice::<i32>()?);
        assert!(x.iter().zip(y).all(|(x, y)| x + 1 == *y));
        let batch = count * steps;
        for (before, after) in x.chunks_exact(batch).zip(x.chunks_exact(batch).skip(1)) {
            for stream in 0..count {
                assert_eq!(before[stream * steps + steps - 1] + 1, after[stream * steps]);
            }
        }
        assert_eq!(data.len() % count, 0);
        assert_eq!(streams(&text[..count * steps + 1], count, steps)?.len(), count);
        let short = streams(&text[..count * steps], count, steps).err().map(|error| error.to_string());
        let expected = "a text of 63 is too short for 7 sequences of 9 side by side, which take 64";
        assert_eq!(short.as_deref(), Some(expected));
        assert!(streams(&text, 0, 1).is_err() && streams(&text, 1, 0).is_err() && streams(&[], 1, 1).is_err());
        Ok(())
    }
}
