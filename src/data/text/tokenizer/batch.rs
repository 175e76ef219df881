//! Many texts as rows of tokens.

use rayon::prelude::*;
use tokenizers::PostProcessor;
use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};

use super::{Padding, TokenizedText, Tokenizer, guarded, refused, tokenized};
use crate::data::Dataset;
use crate::error::{Error, Result, counted};
use crate::tensor::TensorData;

/// How long rows are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenPadding {
    /// As long as the longest of the batch.
    #[default]
    Longest,
    /// As long as the greatest length allowed.
    MaxLength,
    /// No padding: texts of different length are an error.
    Refuse,
}

/// How texts become rows of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizerOptions {
    max_length: Option<usize>,
    pad: TokenPadding,
    truncate: bool,
}

impl Default for TokenizerOptions {
    fn default() -> Self {
        Self { max_length: None, pad: TokenPadding::Longest, truncate: true }
    }
}

impl TokenizerOptions {
    /// The defaults: rows as long as the longest text.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most tokens of a row, with the special ones.
    #[must_use]
    pub const fn max_length(mut self, tokens: usize) -> Self {
        self.max_length = Some(tokens);
        self
    }

    /// How shorter texts are filled.
    #[must_use]
    pub const fn pad(mut self, pad: TokenPadding) -> Self {
        self.pad = pad;
        self
    }

    /// Whether longer texts are cut (default true) or an error. The special tokens stay; of a pair, the longer text is cut first.
    #[must_use]
    pub const fn truncate(mut self, truncate: bool) -> Self {
        self.truncate = truncate;
        self
    }
}

impl Tokenizer {
    /// Texts as rows of one length: columns `input_ids`, `attention_mask` (0 for padding) and `token_type_ids`, i32 `[n, length]`.
    ///
    /// # Errors
    /// [`Error::Data`] for no texts, for one that is too long and may not be cut, and for those of different length that may not be
    /// padded; [`Error::Argument`] where padding is needed and the tokenizer has none, where `max_length` leaves no room beside the
    /// special tokens, and where rows are to be of the greatest length and none is given.
    pub fn encode_batch_padded<Text: AsRef<str> + Sync>(
        &self,
        texts: &[Text],
        options: &TokenizerOptions,
    ) -> Result<Dataset> {
        let texts: Vec<(&str, Option<&str>)> = texts.iter().map(|text| (text.as_ref(), None)).collect();
        self.rows(&texts, options)
    }

    /// Pairs of texts as rows of one length, as [`encode_batch_padded`](Self::encode_batch_padded).
    ///
    /// # Errors
    /// As there.
    pub fn encode_pairs_padded<Text: AsRef<str> + Sync>(
        &self,
        pairs: &[(Text, Text)],
        options: &TokenizerOptions,
    ) -> Result<Dataset> {
        let pairs: Vec<(&str, Option<&str>)> =
            pairs.iter().map(|(first, second)| (first.as_ref(), Some(second.as_ref()))).collect();
        self.rows(&pairs, options)
    }

    fn rows(&self, texts: &[(&str, Option<&str>)], options: &TokenizerOptions) -> Result<Dataset> {
        if texts.is_empty() {
            return Err(Error::Data("there are no texts to make rows of tokens of".into()));
        }
        let encode = |&(first, second): &(&str, Option<&str>)| self.cut(first, second, options);
        let rows = texts.par_iter().map(encode).collect::<Vec<Result<TokenizedText>>>();
        let rows = rows
            .into_iter()
            .enumerate()
            .map(|(number, row)| row.map_err(|error| of_text(number, &error)))
            .collect::<Result<Vec<TokenizedText>>>()?;
        let longest = rows.iter().map(|row| row.ids.len()).max().unwrap_or_default();
        let width = match (options.pad, options.max_length) {
            (TokenPadding::Longest | TokenPadding::Refuse, _) => longest.max(1),
            (TokenPadding::MaxLength, Some(length)) => length,
            (TokenPadding::MaxLength, None) => {
                return Err(Error::Argument("rows of the greatest length need TokenizerOptions::max_length".into()));
            }
        };
        let shorter = rows.iter().enumerate().find(|(_, row)| row.ids.len() < width);
        let padding = match (shorter, options.pad, self.padding) {
            (Some((number, row)), TokenPadding::Refuse, _) => {
                return Err(Error::Data(format!(
                    "text {number} has {} and another one {width}, and padding is refused",
                    counted(row.ids.len(), "token")
                )));
            }
            (Some(_), _, None) => {
                return Err(Error::Argument(
                    "the tokenizer has no padding token; Tokenizer::padding_token can name one".into(),
                ));
            }
            (Some(_), _, Some(padding)) => padding,
            (None, _, _) => Padding { id: 0, type_id: 0, is_left: false },
        };
        let column = |list: fn(&TokenizedText) -> &[i32], fill: u32| {
            let mut values = Vec::with_capacity(rows.len().saturating_mul(width));
            for row in &rows {
                let list = list(row);
                let filling = std::iter::repeat_n(fill as i32, width - list.len().min(width));
                if padding.is_left {
                    values.extend(filling);
                    values.extend_from_slice(list);
                } else {
                    values.extend_from_slice(list);
                    values.extend(filling);
                }
            }
            TensorData::from_vec(values, [rows.len(), width])
        };
        Dataset::new([
            ("input_ids", column(|row| &row.ids, padding.id)?),
            ("attention_mask", column(|row| &row.attention_mask, 0)?),
            ("token_type_ids", column(|row| &row.type_ids, padding.type_id)?),
        ])
    }

    /// A text or a pair, cut where it is too long.
    fn cut(&self, first: &str, second: Option<&str>, options: &TokenizerOptions) -> Result<TokenizedText> {
        let whole = match second {
            None => self.encode(first)?,
            Some(second) => self.encode_pair(first, second)?,
        };
        let Some(length) = options.max_length.filter(|&length| whole.ids.len() > length) else { return Ok(whole) };
        if !options.truncate {
            return Err(Error::Data(format!(
                "it has {}, the most are {length}, and it may not be cut",
                counted(whole.ids.len(), "token")
            )));
        }
        let added = self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(second.is_some()));
        let Some(room) = length.checked_sub(added).filter(|&room| room > 0) else {
            return Err(Error::Argument(format!(
                "{} leave no room for a text beside the special ones, which are {added}",
                counted(length, "token")
            )));
        };
        // The special tokens come after the cut.
        let plain = |text: &str, type_id: u32| -> Result<tokenizers::Encoding> {
            let mut encoding = guarded(|| self.inner.encode(text, false)).map_err(refused)?;
            encoding.set_type_ids(vec![type_id; encoding.len()]);
            Ok(encoding)
        };
        let second = second.map(|second| plain(second, 1)).transpose()?;
        let limit = TruncationParams { max_length: room, ..TruncationParams::default() };
        let (mut first, mut second) = {
            let first = plain(first, 0)?;
            guarded(|| truncate_encodings(first, second, &limit)).map_err(refused)?
        };
        // What was cut off stands there, and is not wanted.
        first.take_overflowing();
        second.as_mut().map(tokenizers::Encoding::take_overflowing);
        tokenized(&guarded(|| self.inner.post_process(first, second, true)).map_err(refused)?)
    }
}

/// An error of one of many texts.
fn of_text(number: usize, error: &Error) -> Error {
    match error {
        Error::Data(message) => Error::Data(format!("text {number}: {message}")),
        other => other.clone(),
    }
}
