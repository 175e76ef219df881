//! Tokenizers of Hugging Face's `tokenizer.json`: byte-pair encoding, WordPiece, Unigram, with all that stands around them there
//! (normalizers, pre-tokenizers, templates of special tokens, decoders). The crate `tokenizers` does the work; here are tensors, and
//! errors that say what was wrong.

mod batch;

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

pub use batch::{TokenPadding, TokenizerOptions};

use crate::error::{Error, Result};

/// Tokens that are taken for padding where a file does not say which one is.
const PADDING_TOKENS: [&str; 3] = ["[PAD]", "<pad>", "<|pad|>"];

/// A tokenizer, as a `tokenizer.json` describes it. What that file says of truncation is left out, as is the length that it pads to:
/// [`TokenizerOptions`] has both. (Feature `tokenizers`.)
///
/// ```
/// use wgrad::data::text::{Tokenizer, TokenizerOptions};
/// // In truth from a file, by `Tokenizer::read("tokenizer.json")`.
/// let file = r###"{
///     "version": "1.0", "added_tokens": [], "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
///     "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
///         "vocab": {"[PAD]": 0, "[UNK]": 1, "play": 2, "##ing": 3, "chess": 4}}
/// }"###;
/// let tokenizer = Tokenizer::from_bytes(file, "tokenizer.json")?;
/// assert_eq!(tokenizer.encode("Playing chess")?.ids, [2, 3, 4]);
/// assert_eq!((tokenizer.token(3)?, tokenizer.id("chess")), ("##ing".to_owned(), Some(4)));
/// let batch = tokenizer.encode_batch_padded(&["playing chess", "Go"], &TokenizerOptions::new())?;
/// assert_eq!(batch.column("input_ids")?.as_slice::<i32>()?, [2, 3, 4, 1, 0, 0]);
/// assert_eq!(batch.column("attention_mask")?.as_slice::<i32>()?, [1, 1, 1, 1, 0, 0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    padding: Option<Padding>,
}

/// How padding is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Padding {
    id: u32,
    type_id: u32,
    is_left: bool,
}

/// A text, or a pair of texts, as tokens: three lists of equal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizedText {
    /// The tokens' ids, with those of special tokens.
    pub ids: Vec<i32>,
    /// 1 for each token.
    pub attention_mask: Vec<i32>,
    /// Which text of a pair a token is of, 0 or 1, as the file's template has it.
    pub type_ids: Vec<i32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`] where it is no JSON, JSON of another kind, or a tokenizer with parts that
    /// are wrong or unknown.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
        Self::from_bytes(bytes, path)
    }

    /// As [`read`](Self::read), from bytes in memory; `origin` is the name under which errors speak of them.
    ///
    /// # Errors
    /// [`Error::Format`], as for [`read`](Self::read).
    pub fn from_bytes(bytes: impl AsRef<[u8]>, origin: impl AsRef<Path>) -> Result<Self> {
        let (bytes, origin) = (bytes.as_ref(), origin.as_ref());
        let value: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|error| Error::format(origin, format!("no JSON: {error}")))?;
        if !value.get("model").is_some_and(serde_json::Value::is_object) {
            let message = "JSON, but no tokenizer.json: it has no object 'model' (is it a config.json, tokenizer_config.json or \
                           vocab.json?)";
            return Err(Error::format(origin, message));
        }
        let wrong = |problem: String| Error::format(origin, format!("no tokenizer that is known: {problem}"));
        let mut inner = guarded(|| tokenizers::Tokenizer::from_bytes(bytes)).map_err(wrong)?;
        let padding = inner.get_padding().map(|padding| Padding {
            id: padding.pad_id,
            type_id: padding.pad_type_id,
            is_left: matches!(padding.direction, tokenizers::PaddingDirection::Left),
        });
        let usual = PADDING_TOKENS.iter().find_map(|token| inner.token_to_id(token));
        let padding = padding.or_else(|| usual.map(|id| Padding { id, type_id: 0, is_left: false }));
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { inner, padding })
    }

    /// Another token for padding than the file has, such as `<|endoftext|>` where it has none.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is no such token.
    pub fn padding_token(mut self, token: &str) -> Result<Self> {
        let id = self.inner.token_to_id(token);
        let id =
            id.ok_or_else(|| Error::Argument(format!("there is no token '{token}' for padding in the tokenizer")))?;
        let known = self.padding.unwrap_or(Padding { id, type_id: 0, is_left: false });
        self.padding = Some(Padding { id, ..known });
        Ok(self)
    }

    /// Number of tokens, with those that were added to the model's own.
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// True for a tokenizer without tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token of an id.
    ///
    /// # Errors
    /// [`Error::Argument`] where there is none.
    pub fn token(&self, id: i32) -> Result<String> {
        let token = u32::try_from(id).ok().and_then(|id| self.inner.id_to_token(id));
        token.ok_or_else(|| {
            Error::Argument(format!("{id} is no token's id: the tokenizer has {} tokens, counted from 0", self.len()))
        })
    }

    /// The id of a token, if there is one.
    pub fn id(&self, token: &str) -> Option<i32> {
        self.inner.token_to_id(token).and_then(|id| i32::try_from(id).ok())
    }

    /// A text as tokens, between the special tokens that the file's template has.
    ///
    /// # Errors
    /// [`Error::Data`] for what the tokenizer cannot encode.
    pub fn encode(&self, text: &str) -> Result<TokenizedText> {
        tokenized(&guarded(|| self.inner.encode(text, true)).map_err(refused)?)
    }

    /// A pair of texts as tokens, such as a question and what it is asked of.
    ///
    /// # Errors
    /// As for [`encode`](Self::encode).
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<TokenizedText> {
        tokenized(&guarded(|| self.inner.encode((first, second), true)).map_err(refused)?)
    }

    /// Ids as text, with the special tokens or without.
    ///
    /// # Errors
    /// [`Error::Argument`] for an id that no token has; [`Error::Data`] for what the file's decoder refuses.
    pub fn decode(&self, ids: &[i32], skip_special: bool) -> Result<String> {
        let known = |&id: &i32| self.token(id).map(|_| id.unsigned_abs());
        let ids = ids.iter().map(known).collect::<Result<Vec<u32>>>()?;
        guarded(|| self.inner.decode(&ids, skip_special)).map_err(refused)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer").field("tokens", &self.len()).field("padding", &self.padding).finish_non_exhaustive()
    }
}

/// What the crate does, with its panics as errors: it trusts some parts of a file, as that a template's special tokens are in its list.
fn guarded<T>(work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("a part of its tokenizer.json is wrong".into()),
    }
}

fn refused(problem: String) -> Error {
    Error::Data(format!("the tokenizer fails: {problem}"))
}

fn tokenized(encoding: &tokenizers::Encoding) -> Result<TokenizedText> {
    let numbers = |values: &[u32]| {
        let number = |&value: &u32| {
            i32::try_from(value).map_err(|_| Error::Data(format!("the tokenizer's id {value} is no 32-bit integer")))
        };
        values.iter().map(number).collect::<Result<Vec<i32>>>()
    };
    Ok(TokenizedText {
        ids: numbers(encoding.get_ids())?,
        attention_mask: numbers(encoding.get_attention_mask())?,
        type_ids: numbers(encoding.get_type_ids())?,
    })
}
