//! What `train translate` shows: translations while it learns and at its end, their BLEU, and what words attend to.

use std::cell::RefCell;
use std::path::PathBuf;

use wgrad::graph::Graph;
use wgrad::session::Session;
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{Evaluation, Trainer};

use super::super::demo::{Data, Source};
use super::super::show::{Show, Translation};
use super::super::summary;
use super::corpus::{INTO, Pairs};
use super::network::Translator;
use super::picture::{self, Attention};
use super::rows::{BEGIN, Languages};
use super::search::Search;
use super::{BEAM, texts};
use crate::failure::Result;
use crate::output::Output;

/// Translations that are shown after an epoch, and at the end.
const FEW: usize = 3;
const SOME: usize = 8;

/// The words that a picture of attention should have, to be looked at.
const PICTURED: usize = 10;

/// What a search found at the end of a run.
#[derive(Default)]
struct Found {
    scores: Vec<(String, f64)>,
    attention: Option<Attention>,
}

/// Sentences to be translated by a model.
pub struct Translations {
    from: String,
    languages: Languages,
    translator: Translator,
    beam: usize,
    /// Where the picture goes.
    attention: Option<PathBuf>,
    search: Search,
    validation: Pairs,
    test: Pairs,
    /// Those of the validation part after an epoch.
    latest: RefCell<Vec<String>>,
    found: RefCell<Found>,
}

impl Translations {
    pub fn new(from: &str, languages: Languages, translator: Translator, source: &Source) -> Self {
        Self {
            from: from.to_owned(),
            languages,
            translator,
            beam: source.translating.searching.beam.map_or(BEAM, |beam| beam as usize),
            attention: source.translating.attention.clone(),
            search: Search::new(translator),
            validation: Pairs::default(),
            test: Pairs::default(),
            latest: RefCell::default(),
            found: RefCell::default(),
        }
    }

    /// Sentences that are translated after each epoch.
    #[must_use]
    pub fn watching(self, validation: Pairs) -> Self {
        Self { validation, ..self }
    }

    /// Sentences that are translated at the end.
    #[must_use]
    pub fn testing(self, test: Pairs) -> Self {
        Self { test, ..self }
    }

    fn translate(&self, session: &mut Session, sources: &[String], beam: usize) -> Result<Vec<String>> {
        let sources: Vec<Vec<i32>> = sources.iter().map(|text| self.languages.source(text)).collect();
        let found = self.search.translate(session, &sources, beam)?;
        found.into_iter().map(|tokens| Ok(texts::sentence(self.words(&tokens)?.iter().map(String::as_str)))).collect()
    }

    fn words(&self, tokens: &[i32]) -> Result<Vec<String>> {
        Ok(self.languages.target.decode(tokens)?.split(' ').map(str::to_owned).collect())
    }

    /// Sentences with their translations and, where they are known, those of people.
    fn samples_of(&self, pairs: &Pairs, translations: &[String], count: usize) -> String {
        let every = (pairs.len() / count.max(1)).max(1);
        let sample = |(index, translation): (usize, &String)| {
            let mut text = format!("{}: {}\n{INTO}: {translation}", self.from, pairs.sources.get(index)?);
            if let Some(right) = pairs.targets.get(index) {
                text.push_str(&format!("\n    ({right})"));
            }
            Some(text)
        };
        let samples: Vec<String> =
            translations.iter().enumerate().step_by(every).take(count).filter_map(sample).collect();
        samples.join("\n")
    }

    /// Of the sentence whose length is nearest to what is good to look at.
    fn attention(&self, session: &mut Session) -> Result<Option<Attention>> {
        let tokens: Vec<Vec<i32>> = self.test.sources.iter().map(|text| self.languages.source(text)).collect();
        let Some(source) = tokens.into_iter().min_by_key(|tokens| tokens.len().abs_diff(PICTURED + 1)) else {
            return Ok(None);
        };
        let found = self.search.translate(session, std::slice::from_ref(&source), self.beam)?;
        let target = found.into_iter().next().unwrap_or_default();
        let read: Vec<i32> = std::iter::once(BEGIN.1).chain(target.iter().copied()).collect();
        let (of_source, of_target) = (source.len(), read.len());
        let g = Graph::new();
        let [sources, targets] =
            [("source", of_source), ("target", of_target)].map(|(name, length)| g.input(name, [1, length], DType::I32));
        // The mean over layers and heads.
        let weights = self.translator.attention(&sources, &targets).mean([0, 1]);
        g.output("weights", &weights);
        let program = session.load(&g)?;
        let given = [
            ("source", &TensorData::from_vec(source.clone(), [1, of_source])?),
            ("target", &TensorData::from_vec(read, [1, of_target])?),
        ];
        let weights = session.using(&program).run(&given)?;
        let weights = weights.get("weights").map_or_else(Vec::new, TensorData::to_f64_vec);
        session.unload(&program)?;
        let words: Vec<String> = self.languages.source.decode(&source)?.split(' ').map(str::to_owned).collect();
        let ended = |mut words: Vec<String>, length: usize| {
            words.retain(|word| !word.is_empty());
            words.truncate(length.saturating_sub(1));
            words.push("(end)".to_owned());
            words
        };
        Ok(Some(Attention {
            sources: ended(words, of_source),
            targets: ended(self.words(&target)?, of_target),
            weights,
        }))
    }
}

impl Show for Translations {
    fn validate(&self, session: &mut Session) -> Result<Vec<(String, f64)>> {
        let translations = self.translate(session, &self.validation.sources, 1)?;
        let score = texts::bleu(&translations, &self.validation.targets)?.score;
        *self.latest.borrow_mut() = translations;
        Ok(vec![("bleu".to_owned(), score)])
    }

    fn after_epoch(&self, _: &mut Session) -> Result<Option<String>> {
        Ok(Some(self.samples_of(&self.validation, &self.latest.borrow(), FEW)))
    }

    fn samples(&self, _: &Data, trainer: &mut Trainer, _: &Evaluation) -> Result<Vec<String>> {
        let Some(session) = trainer.session_mut() else { return Ok(Vec::new()) };
        let translations = self.translate(session, &self.test.sources, self.beam)?;
        let mut scores = vec![("bleu".to_owned(), texts::bleu(&translations, &self.test.targets)?.score)];
        if self.beam > 1 {
            let greedy = self.translate(session, &self.test.sources, 1)?;
            scores.push(("bleu_greedy".to_owned(), texts::bleu(&greedy, &self.test.targets)?.score));
        }
        let attention = if self.attention.is_some() { self.attention(session)? } else { None };
        *self.found.borrow_mut() = Found { scores, attention };
        Ok(vec![self.samples_of(&self.test, &translations, SOME)])
    }

    fn translate(&self, trainer: &mut Trainer) -> Result<Vec<Translation>> {
        let Some(session) = trainer.session_mut() else { return Ok(Vec::new()) };
        let found = self.translate(session, &self.test.sources, self.beam)?;
        if !self.test.targets.is_empty() {
            let score = texts::bleu(&found, &self.test.targets)?.score;
            self.found.borrow_mut().scores = vec![("bleu".to_owned(), score)];
        }
        let pair = |(text, translation): (&String, String)| Translation { text: text.clone(), translation };
        Ok(self.test.sources.iter().zip(found).map(pair).collect())
    }

    fn scores(&self, _: &Data, _: &Evaluation) -> Result<Vec<(String, f64)>> {
        Ok(self.found.borrow().scores.clone())
    }

    fn print(&self, output: &mut Output, _: &Data, evaluation: &Evaluation) -> Result<bool> {
        summary::scores(output, evaluation, &self.found.borrow().scores)?;
        Ok(true)
    }

    fn draw(&self, title: &str, _: &Data, _: &Evaluation) -> Result<Option<PathBuf>> {
        match (&self.attention, &self.found.borrow().attention) {
            (Some(path), Some(attention)) => {
                picture::draw(path, title, attention)?;
                Ok(Some(path.clone()))
            }
            _ => Ok(None),
        }
    }
}
