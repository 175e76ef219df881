//! Text as numbers: reading it, vocabularies of characters and of words, long texts as batches, and counts of terms.
//!
//! A network that reads a text in order takes a row of numbers for it: those of its characters ([`CharVocabulary`]) or words
//! ([`WordVocabulary`]), with padding where texts differ in length. A model that only asks which words occur takes counts or
//! their weights ([`BagOfWords`], [`TfIdf`]), which are almost all 0 and so are sparse rows. What learns from which words stand together
//! takes a [`Corpus`] and [`WordWindows`] of it, and [`WordEmbeddings`] are what comes of it. With the feature `tokenizers`, a `Tokenizer`
//! reads Hugging Face's `tokenizer.json`, for models whose tokens are parts of words.

mod characters;
mod corpus;
mod counts;
mod rows;
mod saved;
mod specials;
mod streams;
mod terms;
mod tfidf;
#[cfg(feature = "tokenizers")]
mod tokenizer;
mod vectors;
mod windows;
mod word_characters;
mod words;

use std::fs;
use std::path::Path;

pub use characters::CharVocabulary;
pub use corpus::Corpus;
pub use counts::{BagOfWords, BagOfWordsOptions, Frequency};
pub use rows::{PaddedRows, RowOptions};
pub use streams::streams;
pub use tfidf::{RowNorm, TfIdf, TfIdfOptions};
#[cfg(feature = "tokenizers")]
pub use tokenizer::{TokenPadding, TokenizedText, Tokenizer, TokenizerOptions};
pub use vectors::WordEmbeddings;
pub use windows::WordWindows;
pub use words::{WordVocabulary, words};

use crate::error::{Error, Result};

/// How bytes stand for characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    Utf8,
    /// ISO 8859-1: each byte is the character of its number, so that nothing can be wrong with a file.
    Latin1,
}

/// Reads a text file, whether in gzip or not.
///
/// # Errors
/// [`Error::File`] where it cannot be read; [`Error::Format`] where it is empty, or is not UTF-8 although it should be, with the
/// position of the first byte that does not fit, or where gzip data ends early or is corrupt.
pub fn read_text(path: impl AsRef<Path>, encoding: Encoding) -> Result<String> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
    let text = if bytes.starts_with(GZIP) {
        inflated(&bytes).and_then(|bytes| decode_text(&bytes, encoding))
    } else {
        decode_text(&bytes, encoding)
    };
    text.map_err(|message| Error::format(path, message))
}

/// What gzip data begins with. No UTF-8 text does, and of Latin-1 none that is written.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// What gzip data holds; a message says where it holds nothing whole.
#[cfg(feature = "datasets")]
fn inflated(bytes: &[u8]) -> Result<Vec<u8>, String> {
    use std::io::{ErrorKind, Read};

    use flate2::read::MultiGzDecoder;

    let mut whole = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut whole).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => "truncated: the gzip data ends early".to_owned(),
        _ => format!("corrupt gzip data: {error}"),
    })?;
    Ok(whole)
}

#[cfg(not(feature = "datasets"))]
fn inflated(_: &[u8]) -> Result<Vec<u8>, String> {
    Err("gzip data, which only a build with the feature \"datasets\" reads".into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "datasets")]
    #[test]
    fn packed_texts_are_read_and_broken_ones_told() -> Result<()> {
        let directory = tempfile::tempdir().map_err(|error| Error::file("cannot create", "", error))?;
        let path = directory.path().join("text.gz");
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let whole = std::io::Write::write_all(&mut writer, "größer\n".as_bytes()).and_then(|()| writer.finish());
        let whole = whole.map_err(|error| Error::file("cannot write", "", error))?;
        let read = |bytes: &[u8]| -> Result<String> {
            fs::write(&path, bytes).map_err(|error| Error::file("cannot write", &path, error))?;
            read_text(&path, Encoding::Utf8)
        };
        assert_eq!(read(&whole)?, "größer\n");
        assert!(read(&whole[..whole.len() - 9]).is_err_and(|error| error.to_string().contains("ends early")));
        let mut other = whole.clone();
        other[whole.len() / 2] ^= 0xff;
        assert!(read(&other).is_err_and(|error| error.to_string().contains("gzip data")));
        Ok(())
    }

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
}
