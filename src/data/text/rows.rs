//! Texts of different length as rows of one length: begin and end tokens, padding, truncation.

use super::specials::special_number;
use crate::error::{Error, Result};
use crate::tensor::TensorData;

/// How texts become the rows of [`WordVocabulary::encode_rows`](super::WordVocabulary::encode_rows) and
/// [`CharVocabulary::encode_rows`](super::CharVocabulary::encode_rows). By default a row has no begin or end token, and all are
/// as long as the longest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowOptions {
    begin: Option<String>,
    end: Option<String>,
    length: Length,
}

/// How long rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    Longest,
    AtMost(usize),
    Exactly(usize),
}

impl RowOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A special token before each text, such as `<bos>`.
    #[must_use]
    pub fn begin(mut self, token: impl Into<String>) -> Self {
        self.begin = Some(token.into());
        self
    }

    /// A special token after each text, such as `<eos>`; a text that is cut has it too.
    #[must_use]
    pub fn end(mut self, token: impl Into<String>) -> Self {
        self.end = Some(token.into());
        self
    }

    /// The greatest length of a row, with begin and end token: longer texts lose their ends. Rows are as long as the longest that
    /// remains.
    #[must_use]
    pub const fn max_length(mut self, length: usize) -> Self {
        self.length = Length::AtMost(length);
        self
    }

    /// The length of every row, with begin and end token: longer texts lose their ends, shorter ones are padded.
    #[must_use]
    pub const fn length(mut self, length: usize) -> Self {
        self.length = Length::Exactly(length);
        self
    }

    /// Rows of encoded texts.
    ///
    /// # Errors
    /// [`Error::Argument`] for a begin or end token that is not among the special ones, and for a length that leaves no room beside
    /// them; [`Error::Data`] for no texts.
    pub(super) fn rows(&self, specials: &[String], padding: i32, mut texts: Vec<Vec<i32>>) -> Result<PaddedRows> {
        let number = |token: &Option<String>| token.as_ref().map(|token| special_number(specials, token)).transpose();
        let (begin, end) = (number(&self.begin)?, number(&self.end)?);
        let added = usize::from(begin.is_some()) + usize::from(end.is_some());
        let limit = match self.length {
            Length::Longest => usize::MAX,
            Length::AtMost(length) | Length::Exactly(length) => length,
        };
        let Some(room) = limit.checked_sub(added).filter(|&room| room > 0) else {
            let beside = if added == 0 { "" } else { " beside the begin and end tokens" };
            return Err(Error::Argument(format!("rows of length {limit} leave no room for a text{beside}")));
        };
        if texts.is_empty() {
            return Err(Error::Data("there are no texts to make rows of".into()));
        }
        for text in &mut texts {
            text.truncate(room);
            text.splice(0..0, begin);
            text.extend(end);
        }
        let longest = texts.iter().map(Vec::len).max().unwrap_or_default().max(1);
        let width = if let Length::Exactly(length) = self.length { length } else { longest };
        let count = texts.len();
        let lengths: Vec<i32> = texts.iter().map(|text| text.len() as i32).collect();
        let mut numbers = Vec::with_capacity(count.saturating_mul(width));
        for mut text in texts {
            text.resize(width, padding);
            numbers.append(&mut text);
        }
        Ok(PaddedRows {
            numbers: TensorData::from_vec(numbers, [count, width])?,
            lengths: TensorData::from_vec(lengths, [count])?,
        })
    }
}

/// Texts as rows of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct PaddedRows {
    /// The numbers, i32 `[texts, length]`; padding stands behind each text.
    pub numbers: TensorData,
    /// How many of a row's numbers are no padding, i32 `[texts]`: begin and end tokens count, and an empty text without them has 0.
    pub lengths: TensorData,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::text::specials::specials;

    fn rows(options: &RowOptions, texts: &[&[i32]]) -> Result<(Vec<i32>, Vec<i32>)> {
        let texts = texts.iter().map(|text| text.to_vec()).collect();
        let rows = options.rows(&specials(["<bos>", "<eos>"])?, 0, texts)?;
        Ok((rows.numbers.to_vec()?, rows.lengths.to_vec()?))
    }

    #[test]
    fn the_end_token_survives_truncation() -> Result<()> {
        let texts: [&[i32]; 3] = [&[7, 8, 9], &[], &[7]];
        let both = RowOptions::new().begin("<bos>").end("<eos>");
        assert_eq!(rows(&both, &texts)?.0, [2, 7, 8, 9, 3, 2, 3, 0, 0, 0, 2, 7, 3, 0, 0]);
        let (numbers, lengths) = rows(&both.clone().max_length(4), &texts)?;
        assert_eq!(numbers, [2, 7, 8, 3, 2, 3, 0, 0, 2, 7, 3, 0]);
        assert_eq!(lengths, [4, 2, 3]);
        assert_eq!(rows(&both.clone().max_length(9), &texts[1..])?.0, [2, 3, 0, 2, 7, 3]);
        assert_eq!(rows(&both.clone().length(6), &texts[2..])?.0, [2, 7, 3, 0, 0, 0]);
        assert_eq!(rows(&RowOptions::new().length(2), &texts)?, (vec![7, 8, 0, 0, 7, 0], vec![2, 0, 1]));
        assert_eq!(rows(&RowOptions::new(), &[&[]])?, (vec![0], vec![0]));
        Ok(())
    }

    #[test]
    fn what_gives_no_rows_is_told() {
        let message = |options: RowOptions, texts: &[&[i32]]| rows(&options, texts).unwrap_err().to_string();
        let both = RowOptions::new().begin("<bos>").end("<eos>");
        assert_eq!(
            message(both.clone().length(2), &[&[7]]),
            "rows of length 2 leave no room for a text beside the begin and end tokens"
        );
        assert_eq!(message(RowOptions::new().max_length(0), &[&[7]]), "rows of length 0 leave no room for a text");
        assert_eq!(message(both, &[]), "there are no texts to make rows of");
        assert!(message(RowOptions::new().end("<end>"), &[&[7]]).starts_with("<end> is no special token"));
    }
}
