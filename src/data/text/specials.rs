//! Special tokens: numbers of a vocabulary that stand for no part of a text, as padding and the ends of a sentence.

use crate::error::{Error, Result};

/// The token with the number 0.
pub(super) const PADDING: &str = "<pad>";

/// The token with the number 1.
pub(super) const UNKNOWN: &str = "<unk>";

/// Whether a token is written as special ones are, `<name>`. No word of a text is: [`words`](super::words) takes `<` for a word of
/// its own. That is how a vocabulary's list of words tells which of them are special.
pub(super) fn is_special(token: &str) -> bool {
    let name = token.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    name.is_some_and(|name| !name.is_empty() && !name.contains(['<', '>']) && !name.contains(char::is_whitespace))
}

/// `<pad>`, `<unk>` and further tokens, in the order of their numbers.
///
/// # Errors
/// [`Error::Argument`] for a token that is not written `<name>`, or is there twice.
pub(super) fn specials<Name: AsRef<str>>(further: impl IntoIterator<Item = Name>) -> Result<Vec<String>> {
    let mut tokens = vec![PADDING.to_owned(), UNKNOWN.to_owned()];
    for token in further {
        let token = token.as_ref();
        if !is_special(token) {
            return Err(Error::Argument(format!("'{token}' is no special token: those are written <name>")));
        }
        if tokens.iter().any(|other| other == token) {
            return Err(Error::Argument(format!(
                "the special token {token} occurs twice; {PADDING} and {UNKNOWN} are always there"
            )));
        }
        tokens.push(token.to_owned());
    }
    Ok(tokens)
}

/// The number of a special token.
///
/// # Errors
/// [`Error::Argument`] where there is none of that name.
pub(super) fn special_number(specials: &[String], token: &str) -> Result<i32> {
    specials.iter().position(|other| other == token).map(|number| number as i32).ok_or_else(|| {
        let known = if specials.is_empty() { "none".to_owned() } else { specials.join(", ") };
        Error::Argument(format!("{token} is no special token of the vocabulary, which has {known}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_special_tokens_are_checked() -> Result<()> {
        assert_eq!(specials(["<bos>", "<eos>"])?, ["<pad>", "<unk>", "<bos>", "<eos>"]);
        for (name, expected) in [("<pad>", "twice"), ("bos", "written <name>"), ("<>", "written"), ("<a b>", "written")]
        {
            assert!(specials([name]).is_err_and(|error| error.to_string().contains(expected)), "{name}");
        }
        let error = special_number(&specials(["<bos>"])?, "<eos>").unwrap_err().to_string();
        assert_eq!(error, "<eos> is no special token of the vocabulary, which has <pad>, <unk>, <bos>");
        Ok(())
    }
}
