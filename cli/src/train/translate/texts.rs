//! Words as people write them.

use wgrad::metrics::{Bleu, BleuScore};

use crate::failure::Result;

/// The sentence of words: marks follow what is before them, and brackets what is behind them.
pub fn sentence<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let (mut joins, mut quoted) = (true, false);
    for word in words {
        let closes =
            matches!(word, "." | "," | "!" | "?" | ";" | ":" | ")" | "]" | "%" | "'" | "’") || (word == "\"" && quoted);
        if !joins && !closes {
            text.push(' ');
        }
        joins = matches!(word, "(" | "[" | "#" | "$") || (word == "\"" && !quoted);
        if word == "\"" {
            quoted = !quoted;
        }
        text.push_str(word);
    }
    text
}

/// sacrebleu's score, where the case of letters makes no difference: the words are learned in lower case.
pub fn bleu(translations: &[String], references: &[String]) -> Result<BleuScore> {
    Ok(Bleu::new().lowercase().corpus(translations, &[references])?)
}

#[cfg(test)]
mod tests {
    use wgrad::data::words;

    use super::*;

    #[test]
    fn marks_are_where_they_belong() {
        for text in ["a man, who's 3 (or 4) years old: \"hello, well-known friend!\"", "is it 5%? no; it's #1."] {
            assert_eq!(sentence(words(text).iter().map(String::as_str)), text);
        }
        assert_eq!(sentence([]), "");
    }
}
