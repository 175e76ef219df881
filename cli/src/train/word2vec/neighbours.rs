//! What vectors of words show: nearest words, analogies, agreement with people, files.

use std::cell::RefCell;
use std::path::PathBuf;

use wgrad::data::WordEmbeddings;
use wgrad::session::Session;
use wgrad::train::{Evaluation, Trainer};

use super::super::demo::Data;
use super::super::show::Show;
use super::super::summary;
use super::judgements::Judgements;
use super::{TABLE, embeddings, map};
use crate::failure::{Failure, Result};
use crate::output::Output;

/// Words whose neighbours are shown, and neighbours of each.
const SHOWN: usize = 6;
const NEAREST: usize = 5;

/// The most frequent words say little about a text, and so do short ones.
const FREQUENT: usize = 150;
const SHORT: usize = 4;

/// Analogies that are shown, of those below whose words are all known.
const ANALOGIES: usize = 5;

/// What is to the third as the second is to the first, and what it should be.
const KNOWN: &[[&str; 4]] = &[
    ["man", "woman", "he", "she"],
    ["man", "woman", "king", "queen"],
    ["father", "mother", "son", "daughter"],
    ["good", "better", "bad", "worse"],
    ["day", "days", "year", "years"],
    ["one", "first", "two", "second"],
    ["do", "did", "go", "went"],
    ["man", "men", "woman", "women"],
    ["little", "smaller", "big", "larger"],
    ["france", "paris", "england", "london"],
    ["north", "south", "east", "west"],
    ["old", "older", "young", "younger"],
    ["he", "his", "she", "her"],
    ["walk", "walked", "look", "looked"],
];

/// What there is to show.
pub struct Neighbours {
    words: Vec<String>,
    lists: Vec<Judgements>,
    file: Option<PathBuf>,
    map: Option<PathBuf>,
    /// The vectors at the end of a run.
    last: RefCell<Option<WordEmbeddings>>,
}

impl Neighbours {
    pub fn new(words: Vec<String>, lists: Vec<Judgements>, file: Option<PathBuf>, map: Option<PathBuf>) -> Self {
        Self { words, lists, file, map, last: RefCell::new(None) }
    }

    /// Neighbours of some frequent words, and analogies, a line each.
    fn text(&self, vectors: &WordEmbeddings) -> String {
        let near = |found: &[(&str, f64)]| -> String {
            let texts: Vec<String> = found.iter().map(|(word, cosine)| format!("{word} {cosine:.2}")).collect();
            texts.join(", ")
        };
        let telling = |from: usize| self.words.iter().skip(from).filter(|word| word.chars().count() >= SHORT);
        let mut chosen: Vec<&String> = telling(FREQUENT).take(SHOWN).collect();
        if chosen.len() < SHOWN {
            chosen = telling(0).take(SHOWN).collect();
        }
        let mut lines: Vec<String> = chosen
            .into_iter()
            .filter_map(|word| Some(format!("{word}: {}", near(&vectors.nearest(word, NEAREST)?))))
            .collect();
        let known = KNOWN.iter().filter(|words| words.iter().all(|word| vectors.vector(word).is_some()));
        for [a, b, c, wanted] in known.take(ANALOGIES) {
            let Some(found) = vectors.analogy([a, b, c], 3) else { continue };
            lines.push(format!("{a} : {b} = {c} : {} (should be {wanted})", near(&found)));
        }
        lines.join("\n")
    }

    fn scored(&self) -> Vec<(String, f64)> {
        let last = self.last.borrow();
        let Some(vectors) = last.as_ref() else { return Vec::new() };
        let mut scores = Vec::new();
        for list in &self.lists {
            let agreement = list.compare(vectors);
            if let Some(correlation) = agreement.correlation {
                scores.push((format!("spearman_{}", list.name), correlation));
            }
            scores.push((format!("pairs_{}", list.name), agreement.compared as f64));
            scores.push((format!("skipped_{}", list.name), agreement.skipped as f64));
        }
        scores
    }
}

impl Show for Neighbours {
    fn after_epoch(&self, session: &mut Session) -> Result<Option<String>> {
        // Where a run went wrong, its loss says so, and there are no neighbours.
        Ok(embeddings(&self.words, &session.parameter(TABLE)?).ok().map(|vectors| self.text(&vectors)))
    }

    fn samples(&self, _: &Data, trainer: &mut Trainer, _: &Evaluation) -> Result<Vec<String>> {
        let Some(session) = trainer.session() else { return Ok(Vec::new()) };
        let vectors = embeddings(&self.words, &session.parameter(TABLE)?)?;
        if let Some(path) = &self.file {
            vectors.write_text(path)?;
        }
        let text = self.text(&vectors);
        *self.last.borrow_mut() = Some(vectors);
        Ok(vec![text])
    }

    fn scores(&self, _: &Data, _: &Evaluation) -> Result<Vec<(String, f64)>> {
        Ok(self.scored())
    }

    fn print(&self, output: &mut Output, _: &Data, evaluation: &Evaluation) -> Result<bool> {
        summary::scores(output, evaluation, &[])?;
        let last = self.last.borrow();
        let rows: Vec<Vec<String>> = self
            .lists
            .iter()
            .filter_map(|list| {
                let agreement = list.compare(last.as_ref()?);
                let correlation = agreement.correlation.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
                Some(vec![
                    list.name.clone(),
                    correlation,
                    agreement.compared.to_string(),
                    agreement.skipped.to_string(),
                ])
            })
            .collect();
        if !rows.is_empty() {
            output.table(&["<agreement with people", ">Spearman's ρ", ">pairs", ">without a vector"], &rows)?;
            output.text("")?;
        }
        if let Some(path) = &self.file {
            output.text(format!("vectors in {}", path.display()))?;
        }
        Ok(true)
    }

    fn draw(&self, title: &str, _: &Data, _: &Evaluation) -> Result<Option<PathBuf>> {
        let Some(path) = &self.map else { return Ok(None) };
        let last = self.last.borrow();
        let vectors = last.as_ref().ok_or_else(|| Failure::new("there are no vectors to draw a map of"))?;
        map::draw(path, title, vectors)?;
        Ok(Some(path.clone()))
    }
}
