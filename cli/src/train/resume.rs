//! `--resume`: which options a run takes over from its checkpoint, and which must not change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use wgrad::train::Checkpoints;

use super::Arguments;
use super::precision::PrecisionChoice;
use crate::failure::{Failure, Result};

/// What the user says where the resumed run had another value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It is refused: the run would be another.
    Same,
    /// It is used from there on.
    Free,
}

/// The value of an option, if the user gave one.
trait Field {
    fn text(&self) -> Option<String>;

    /// Takes the value of a text; false where that is none.
    fn take(&mut self, text: &str) -> bool;
}

macro_rules! fields {
    ($($type:ty),*) => {
        $(impl Field for Option<$type> {
            fn text(&self) -> Option<String> {
                self.as_ref().map(ToString::to_string)
            }

            fn take(&mut self, text: &str) -> bool {
                *self = text.parse().ok();
                self.is_some()
            }
        })*
    };
}

fields!(u64, f64, String);

impl Field for Option<PathBuf> {
    /// From wherever the run continues.
    fn text(&self) -> Option<String> {
        let path = self.as_ref()?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        path.to_str().map(str::to_owned)
    }

    fn take(&mut self, text: &str) -> bool {
        *self = Some(PathBuf::from(text));
        true
    }
}

impl Field for Option<PrecisionChoice> {
    /// What a device chose is remembered; `auto` asks for that.
    fn text(&self) -> Option<String> {
        let choice = self.as_ref().filter(|choice| **choice != PrecisionChoice::Auto)?;
        Some(choice.to_possible_value()?.get_name().to_owned())
    }

    fn take(&mut self, text: &str) -> bool {
        *self = PrecisionChoice::from_str(text, false).ok();
        self.is_some()
    }
}

/// Options that a checkpoint remembers.
fn options(arguments: &mut Arguments) -> [(&'static str, Rule, &mut dyn Field); 23] {
    let (window, horizon) = arguments.forecasting.sizes();
    let tables = &mut arguments.tables;
    let vectors = &mut arguments.vectors;
    [
        ("--model", Rule::Same, &mut arguments.model),
        ("--optimizer", Rule::Same, &mut arguments.optimizer),
        ("--batch-size", Rule::Same, &mut arguments.batch_size),
        ("--precision", Rule::Same, &mut arguments.precision),
        ("--target", Rule::Same, &mut arguments.target),
        ("--image-size", Rule::Same, &mut arguments.image_size),
        ("--window", Rule::Same, window),
        ("--horizon", Rule::Same, horizon),
        ("--missing", Rule::Same, &mut tables.missing),
        ("--task", Rule::Same, &mut tables.task),
        ("--drop", Rule::Same, &mut tables.drop),
        ("--categorical", Rule::Same, &mut tables.categorical),
        ("--header", Rule::Same, &mut tables.header),
        ("--width", Rule::Same, &mut vectors.width),
        ("--negatives", Rule::Same, &mut vectors.negatives),
        ("--min-count", Rule::Same, &mut vectors.min_count),
        ("--subsample", Rule::Same, &mut vectors.subsample),
        ("--similarity", Rule::Free, &mut vectors.similarity),
        ("--from", Rule::Same, &mut arguments.translating.from),
        ("--test-data", Rule::Free, &mut tables.test_data),
        ("--data", Rule::Free, &mut arguments.data),
        ("--lr", Rule::Free, &mut arguments.lr),
        ("--epochs", Rule::Free, &mut arguments.epochs),
    ]
}

/// What the checkpoint of a run is to remember: its options as they are used, also those that nobody gave.
pub fn remember(mut checkpoints: Checkpoints, demo: &str, used: &Arguments) -> Checkpoints {
    checkpoints = checkpoints.option("demo", demo);
    for (name, rule, field) in options(&mut used.clone()) {
        let Some(value) = field.text() else { continue };
        checkpoints = match rule {
            Rule::Same => checkpoints.option(name, value),
            Rule::Free => checkpoints.note(name, value),
        };
    }
    checkpoints
}

/// The directory's checkpoints, after a look at what is there: a run that nobody asked to resume is refused, and one that is
/// resumed takes over the options that were not given again. Says what a changed one was.
pub fn take_up(arguments: &mut Arguments) -> Result<Vec<String>> {
    let Some(directory) = arguments.checkpoint.clone() else { return Ok(Vec::new()) };
    let checkpoints = Checkpoints::new(&directory);
    let Some(file) = checkpoints.found() else { return Ok(Vec::new()) };
    if !arguments.resume {
        return Err(Failure::new(format!(
            "{} holds a run already: continue it with --resume, or give another directory",
            directory.display()
        )));
    }
    if file != checkpoints.file() {
        let (newest, file) = (checkpoints.file(), file.display());
        eprintln!("warning: {} is not there: the run continues from the state before it, {file}", newest.display());
    }
    let saved = checkpoints.saved_options()?.unwrap_or_default();
    agree(arguments, &saved, &file)
}

fn agree(arguments: &mut Arguments, saved: &BTreeMap<String, String>, file: &Path) -> Result<Vec<String>> {
    let file = file.display();
    if let Some(demo) = saved.get("demo").filter(|demo| **demo != arguments.demo) {
        return Err(Failure::new(format!("{file} is a run of {demo}, not of {}", arguments.demo)));
    }
    let mut changed = Vec::new();
    for (name, rule, field) in options(arguments) {
        match (field.text(), saved.get(name)) {
            (Some(given), Some(before)) if given == *before => {}
            (Some(given), Some(before)) if rule == Rule::Same => {
                return Err(Failure::new(format!(
                    "{file} was made with {name} {before}, not {given}: leave {name} out to resume it, or begin a new run"
                )));
            }
            (Some(given), Some(before)) => changed.push(format!("{name} {given}, {before} so far")),
            (Some(given), None) if rule == Rule::Same => {
                return Err(Failure::new(format!(
                    "{file} was made without {name}, so {name} {given} would make another run of it"
                )));
            }
            (None, Some(before)) if !field.take(before) => {
                return Err(Failure::new(format!("{file} was made with {name} {before}, which is not known here")));
            }
            (Some(_) | None, None) | (None, Some(_)) => {}
        }
    }
    Ok(changed)
}
