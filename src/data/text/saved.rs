//! Counts and weights of terms as JSON, which a model's file carries.

use serde_json::{Map, Value, json};

use super::counts::BagOfWords;
use super::terms::Analyzer;
use crate::error::{Error, Result};

/// What the JSON says it is; the number grows where old ones cannot be read any more.
const VERSION: u64 = 1;

/// What is saved.
pub(super) const BAG: &str = "bag of words";
pub(super) const TF_IDF: &str = "TF-IDF";

/// A bag of words as JSON, with further fields.
pub(super) fn write<const N: usize>(kind: &str, bag: &BagOfWords, further: [(&str, Value); N]) -> String {
    let (min, max) = bag.analyzer.ngrams;
    let fields = [
        ("version", json!(VERSION)),
        ("kind", json!(kind)),
        ("lowercase", json!(bag.analyzer.lowercase)),
        ("ngrams", json!([min, max])),
        ("binary", json!(bag.binary)),
        ("terms", json!(bag.terms)),
    ];
    let fields = fields.into_iter().chain(further).map(|(name, value)| (name.to_owned(), value));
    Value::Object(fields.collect::<Map<String, Value>>()).to_string()
}

/// What [`write`] gave: the bag of words, of which `rest` makes the whole with the further fields.
///
/// # Errors
/// [`Error::Data`] for anything else.
pub(super) fn read<T>(kind: &str, text: &str, rest: impl FnOnce(BagOfWords, &Value) -> Option<T>) -> Result<T> {
    let wrong = |problem: &str| Error::Data(format!("no {kind}: {problem}"));
    let value: Value = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => {}
        Some(other) => return Err(wrong(&format!("its version is {other}, and {VERSION} is known"))),
        None => return Err(wrong("it has no version")),
    }
    match value.get("kind").and_then(Value::as_str) {
        Some(found) if found == kind => {}
        Some(other) => return Err(wrong(&format!("it is a {other}"))),
        None => return Err(wrong("it does not say what it is")),
    }
    bag(&value).and_then(|bag| rest(bag, &value)).ok_or_else(|| wrong("a field is lacking or of another kind"))
}

fn bag(value: &Value) -> Option<BagOfWords> {
    let terms = value.get("terms")?.as_array()?.iter().map(|term| term.as_str().map(str::to_owned));
    let terms = terms.collect::<Option<Vec<String>>>()?;
    let [min, max] = value.get("ngrams")?.as_array()?.as_slice() else { return None };
    let words = |count: &Value| count.as_u64().and_then(|count| usize::try_from(count).ok());
    let ngrams = (words(min)?, words(max)?);
    // Terms are searched by halves.
    let is_right =
        !terms.is_empty() && terms.is_sorted_by(|term, next| term < next) && (1..=ngrams.1).contains(&ngrams.0);
    let analyzer = Analyzer { lowercase: value.get("lowercase")?.as_bool()?, ngrams };
    is_right.then_some(BagOfWords { analyzer, binary: value.get("binary")?.as_bool()?, terms })
}
