//! `train tabular`: classes or a number from a table; bundled breast-cancer data, or any CSV.

mod ask;
mod picture;
mod results;

use std::path::Path;
use std::rc::Rc;

use wgrad::data::{Csv, Dataset, Missing, Parts, Preparation, PreparationOptions, Table, Target};
use wgrad::train::ModelSettings;

use super::demo::{Data, Defaults, Demo, ModelChoice, Source, Task, dense};
use super::note::Note;
use super::options::Own;
use crate::failure::{Failure, Result};
use crate::output::{counted, grouped};
use results::Results;

const FILE: &[u8] = include_bytes!("../../../data/breast-cancer.csv");

/// The share of the rows that is learned, where no other file is the test.
const TRAINING: f64 = 0.8;

/// Small tables are gone through more often, so that there are as many steps; up to ten times as often.
const FEWEST_STEPS: u64 = 1500;

pub const TABULAR: Demo = Demo {
    name: "tabular",
    about: "classes or a number from a table: bundled breast-cancer data (569 examples), or --data FILE.csv --target COLUMN",
    models: &[
        ModelChoice::new(&["mlp", "mlp-tiny"], "64 relu, 32 relu, 1 sigmoid", |data| dense(data, &[64, 32])),
        ModelChoice::new(&["linear"], "logistic or linear regression", |data| dense(data, &[])),
    ],
    defaults: Defaults { epochs: 20, batch_size: 32, optimizer: "adam", learning_rate: 1e-3, falls: false },
    load,
    ask: ask::ask,
    blank: None,
    own: Own::Tables,
    pictures: false,
    resizes: false,
};

fn load(source: &Source) -> Result<Data> {
    let options = &source.tables;
    let csv = options.csv();
    let (table, target) = match (&source.path, &source.target) {
        (None, None) => (csv.from_bytes(FILE, "breast-cancer.csv")?, "target"),
        (None, Some(_)) => return Err(Failure::new("--target names a column of the file given with --data FILE")),
        (Some(path), None) => {
            let columns = columns(&Csv::new().keep_missing().read(path)?);
            return Err(Failure::new(format!(
                "say which column is to be learned with --target COLUMN; {} has {columns}",
                path.display()
            )));
        }
        (Some(path), Some(target)) => (csv.read(path)?, target.as_str()),
    };
    let preparing = options.preparing(target);
    let (parts, test_table) = parts(&preparing, &table, source)?;
    let Parts { preparation, mut train, mut test, train_rows, test_rows } = parts;
    if source.path.is_none() {
        train = train.with_class_names(["malignant", "benign"]);
        test = test.with_class_names(["malignant", "benign"]);
    }
    let task = task(&preparation);
    if options.scatter.is_some() && !matches!(task, Task::Number { .. }) {
        return Err(Failure::new(format!(
            "--scatter draws numbers, and '{}' is learned as classes; --task regression learns it as a number",
            preparation.target_name()
        )));
    }
    let mut notes = Vec::new();
    if source.path.is_some() {
        let whole = test_table.is_none().then_some(train_rows.len() + test_rows.len());
        notes.extend(whole.map(|used| left_out(&table, used, &preparation)).unwrap_or_default());
        notes.extend(results::columns(&preparation, table.header_line()).into_iter().map(Note::Text));
        notes.extend(results::column_events(&preparation));
        let tested = match &test_table {
            Some(table) => preparation.unknown(table)?,
            None => preparation.unknown(&table.take(&test_rows)?)?,
        };
        notes.extend(tested.iter().map(|(name, count)| {
            Note::Warning(format!(
                "'{name}' has {} in the test part that the training part has not: {}",
                counted(*count, "value"),
                as_no_label(*count)
            ))
        }));
    }
    let batch = source.batch_size.unwrap_or(TABULAR.defaults.batch_size).max(1);
    let least = TABULAR.defaults.epochs;
    let epochs = (FEWEST_STEPS / train.len().div_ceil(batch) as u64).clamp(least, 10 * least);
    Ok(Data {
        notes,
        // The bundled data is learned in few steps.
        epochs: source.path.is_some().then_some(epochs),
        settings: ModelSettings::new(TABULAR.name).with(ask::PREPARATION, preparation.to_json()),
        show: Some(Rc::new(Results { preparation, model: source.model, scatter: options.scatter.clone() })),
        ..data(train, test, task)
    })
}

/// What is to be learned of a target.
fn task(preparation: &Preparation) -> Task {
    match preparation.target() {
        Target::Binary => Task::Binary,
        Target::Classes => Task::Classes(preparation.class_names().len()),
        Target::Number => Task::Number { std: preparation.target_scale().1 },
    }
}

fn data(train: Dataset, test: Dataset, task: Task) -> Data {
    Data {
        train,
        test,
        validation: None,
        task,
        prepare: None,
        picture: None,
        drawn: None,
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: None,
        settings: ModelSettings::new(TABULAR.name),
    }
}

/// Training and test data: of one table, or of two.
fn parts(preparing: &PreparationOptions, table: &Table, source: &Source) -> Result<(Parts, Option<Table>)> {
    let of_table = |error| in_file(source.path.as_deref(), error);
    // What is missing is said first, with the way out.
    let train_rows = preparing.rows(table).map_err(|error| advised(of_table(error), table))?;
    let Some(path) = &source.tables.test_data else {
        return Ok((preparing.split(table, TRAINING, source.seed).map_err(of_table)?, None));
    };
    let preparation = preparing.fit(table, &train_rows).map_err(of_table)?;
    let train = preparation.dataset(&table.take(&train_rows)?).map_err(of_table)?;
    let other = preparation.read(path)?;
    let of_other = |error| in_file(Some(path), error);
    let test_rows = preparation.usable_rows(&other).map_err(|error| advised(of_other(error), &other))?;
    let usable = other.take(&test_rows)?;
    let test = preparation.dataset(&usable).map_err(of_other)?;
    Ok((Parts { preparation, train, test, train_rows, test_rows }, Some(usable)))
}

/// An error about a table's content, with the name of its file.
fn in_file(path: Option<&Path>, error: wgrad::Error) -> Failure {
    match (path, error) {
        (Some(path), wgrad::Error::Data(message)) => Failure::new(format!("{}: {message}", path.display())),
        (_, other) => other.into(),
    }
}

/// The error of a table that lacks values, with the option for it.
fn advised(failure: Failure, table: &Table) -> Failure {
    match failure {
        Failure::Message(message) if !table.missing().is_empty() => Failure::Message(format!(
            "{message}; say what becomes of them with --missing drop, mean, median, frequent or class"
        )),
        other => other,
    }
}

/// What becomes of values that training has not seen.
const fn as_no_label(count: usize) -> &'static str {
    if count == 1 { "it counts as no label" } else { "they count as no label" }
}

fn left_out(table: &Table, used: usize, preparation: &Preparation) -> Vec<Note> {
    let rest = table.len().saturating_sub(used);
    if rest == 0 {
        return Vec::new();
    }
    let why = if preparation.missing() == Missing::Drop { "a value" } else { "the target" };
    let [verb, they] = if rest == 1 { ["is", "it lacks"] } else { ["are", "they lack"] };
    let all = counted(table.len(), "row");
    let text = format!("{} of {all} {verb} left out, as {they} {why}", grouped(rest as u64));
    vec![Note::Count("rows_left_out", rest), Note::Text(text)]
}

fn columns(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}
