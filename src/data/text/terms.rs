//! The terms of a text, as scikit-learn's `CountVectorizer` finds them: words of at least two word characters, and sequences of such
//! words.

use super::word_characters::is_word_character;

/// How a text becomes terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Analyzer {
    pub(super) lowercase: bool,
    /// The fewest and the most words of a term.
    pub(super) ngrams: (usize, usize),
}

impl Analyzer {
    /// Calls `each` with every term of a text.
    pub(super) fn terms(&self, text: &str, mut each: impl FnMut(&str)) {
        let lower = self.lowercase.then(|| text.to_lowercase());
        // What the pattern `\b\w\w+\b` matches: runs of at least two word characters.
        let runs = lower.as_deref().unwrap_or(text).split(|character| !is_word_character(character));
        let words = runs.filter(|run| run.chars().nth(1).is_some());
        let (fewest, most) = self.ngrams;
        if most == 1 {
            return words.for_each(each);
        }
        let words: Vec<&str> = words.collect();
        for count in fewest..=most.min(words.len()) {
            words.windows(count).for_each(|words| each(&words.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str, lowercase: bool, ngrams: (usize, usize)) -> Vec<String> {
        let mut found = Vec::new();
        Analyzer { lowercase, ngrams }.terms(text, |term| found.push(term.to_owned()));
        found
    }

    #[test]
    fn terms_are_words_of_two_characters_and_their_sequences() {
        assert_eq!(terms("It's a New_York, x2 I", true, (1, 1)), ["it", "new_york", "x2"]);
        assert_eq!(terms("It's a New_York", false, (1, 1)), ["It", "New_York"]);
        assert_eq!(terms("aa bb, cc", true, (1, 2)), ["aa", "bb", "cc", "aa bb", "bb cc"]);
        assert_eq!(terms("aa bb cc", true, (2, 9)), ["aa bb", "bb cc", "aa bb cc"]);
        assert!(terms("aa", true, (2, 3)).is_empty() && terms(" . a", true, (1, 1)).is_empty());
    }
}
