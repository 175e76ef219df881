//! `predict` of a model of vectors of words: the words nearest to those of a file, or what completes an analogy.

use std::path::Path;

use serde_json::{Value, json};
use wgrad::data::{Encoding, WordEmbeddings, read_text};
use wgrad::train::Trainer;

use super::super::demo::Asked;
use super::{TABLE, embeddings};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Words of an answer.
const NEAREST: usize = 10;

/// What a file says where it is not given.
const WANTED: &str = "a file of text with a word a line, whose neighbours are told, or three words, of which the third is to the answer as \
                      the first is to the second";

/// Answers each line of a file.
pub fn answer(asked: &Asked, trainer: &mut Trainer, path: Option<&Path>, output: &mut Output) -> Result {
    let path = path.ok_or_else(|| Failure::new(format!("say what is asked with --data: {WANTED}")))?;
    let text = read_text(path, Encoding::Utf8)?;
    // The parameters come with the first program.
    trainer.predict(asked.data.train.column("x")?)?;
    let words = asked.names.as_ref().map(|names| names.names.as_slice()).unwrap_or_default();
    let session = trainer.session().ok_or_else(|| Failure::new("the model has no parameters"))?;
    let vectors = embeddings(words, &session.parameter(TABLE)?)?;
    output.text("")?;
    let mut count = 0;
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let question: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let found = nearest(&vectors, &question)
            .map_err(|message| Failure::new(format!("{}: line {}: {message}", path.display(), line + 1)))?;
        let near: Vec<Value> = found.iter().map(|(word, cosine)| json!({"word": word, "similarity": cosine})).collect();
        output.event(&json!({
            "event": "prediction", "index": count, "question": question.join(" "),
            "value": found.first().map(|(word, _)| *word), "nearest": near,
        }))?;
        let shown: Vec<String> = found.iter().map(|(word, cosine)| format!("{word} {cosine:.3}")).collect();
        let asked = match question.as_slice() {
            [a, b, c] => format!("{a} : {b} = {c} : ?"),
            other => other.join(" "),
        };
        output.text(format!("{asked}\n    {}", shown.join(", ")))?;
        count += 1;
    }
    output.event(&json!({"event": "done", "predictions": count}))
}

/// The answer to a line.
fn nearest<'v>(vectors: &'v WordEmbeddings, question: &[String]) -> std::result::Result<Vec<(&'v str, f64)>, String> {
    if let Some(word) = question.iter().find(|word| vectors.vector(word).is_none()) {
        return Err(format!("the model has no vector of {word:?}"));
    }
    let found = match question {
        [word] => vectors.nearest(word, NEAREST),
        [a, b, c] => vectors.analogy([a, b, c], NEAREST),
        _ => return Err(format!("there are {} words, and a question has one or three", question.len())),
    };
    Ok(found.unwrap_or_default())
}
