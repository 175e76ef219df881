//! What is told of a table: its columns before the run, and after it how well a number is guessed.

use std::path::PathBuf;

use console::{measure_text_width, pad_str};
use wgrad::data::{DescribedColumn, Preparation, TakenAs, Target};
use wgrad::metrics::BuiltIn;
use wgrad::train::Evaluation;

use super::super::demo::Data;
use super::super::note::Note;
use super::super::show::Show;
use super::super::summary;
use super::picture::{self, Shown};
use crate::failure::Result;
use crate::output::{Output, are, counted, shortened};

/// From this number of neighbours of one kind on, they are told in one line.
const ALIKE: usize = 4;

/// Names are cut where they would push the rest away.
const WIDEST: usize = 24;

/// Columns that are left out with a line for each.
const MOST_WARNINGS: usize = 5;

/// What was learned from a table, and what is to be drawn.
pub struct Results {
    pub preparation: Preparation,
    pub model: &'static str,
    pub scatter: Option<PathBuf>,
}

/// A line for each column, or for a run of columns of one kind.
pub fn columns(preparation: &Preparation, header: Option<usize>) -> Vec<String> {
    let all = preparation.describe();
    let mut rows: Vec<(String, String)> = Vec::new();
    for run in all.chunk_by(|left, right| left.note == right.note) {
        match run {
            [first, .., last] if run.len() >= ALIKE => {
                rows.push((
                    format!("{} … {}", name(first.name), name(last.name)),
                    format!("{} columns: {}", run.len(), first.note),
                ));
            }
            _ => rows.extend(run.iter().map(|column| (name(column.name), column.note.clone()))),
        }
    }
    let width = rows.iter().map(|(name, _)| measure_text_width(name)).max().unwrap_or(0);
    let heading = match header {
        Some(line) => format!("columns, named by line {line}:"),
        None => "columns, counted from 0 as no line names them:".to_owned(),
    };
    let lines =
        rows.iter().map(|(name, what)| format!("  {}  {what}", pad_str(name, width, console::Alignment::Left, None)));
    std::iter::once(heading).chain(lines).chain([decision(preparation)]).collect()
}

/// An event for each column, and a warning for those that are left out though nobody asked for it.
pub fn column_events(preparation: &Preparation) -> Vec<Note> {
    let all = preparation.describe();
    let mut left_out = all.iter().filter(|column| column.taken_as == TakenAs::LeftOut);
    let shown = left_out.by_ref().take(MOST_WARNINGS);
    let mut notes: Vec<Note> =
        shown.map(|column| Note::Warning(format!("column {} is {}", quoted(column.name), column.note))).collect();
    let rest = left_out.count();
    if rest > 0 {
        notes.push(Note::Warning(format!("{} {} left out, too", counted(rest, "other column"), are(rest))));
    }
    notes.extend(all.into_iter().map(|DescribedColumn { name, taken_as, note }| Note::Column {
        name: name.to_owned(),
        taken_as: taken_as.name(),
        note,
    }));
    notes
}

/// A name in a sentence.
fn quoted(own: &str) -> String {
    format!("'{}'", shortened(own, WIDEST))
}

/// A name as it is told: what is empty is in quotes.
fn name(name: &str) -> String {
    match name {
        "" => "''".to_owned(),
        name => shortened(name, WIDEST),
    }
}

/// A name that is no more than a number, with what it numbers.
fn named(name: &str) -> String {
    if name.parse::<usize>().is_ok() { format!("column {name}") } else { name.to_owned() }
}

/// What is learned, and how to learn it otherwise.
fn decision(preparation: &Preparation) -> String {
    let target = preparation.target_name();
    match preparation.target() {
        Target::Number => format!("'{target}' is learned as a number (regression)"),
        Target::Binary | Target::Classes => {
            let names = preparation.class_names();
            let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
            let more = if names.len() > shown.len() { ", …" } else { "" };
            let other = if names.len() > 2 && names.iter().all(|name| name.parse::<f64>().is_ok()) {
                "; --task regression learns it as a number"
            } else {
                ""
            };
            format!(
                "'{target}' is learned as one of {}: {}{more}{other}",
                counted(names.len(), "class"),
                shown.join(", ")
            )
        }
    }
}

impl Results {
    /// The truths of the test part in their own unit, and the guesses.
    fn pairs(&self, data: &Data, evaluation: &Evaluation) -> Result<Vec<(f64, f64)>> {
        let restored = |values: Vec<f64>| values.into_iter().map(|value| self.preparation.restored(value));
        let truths = restored(data.test.column("y")?.to_f64_vec());
        Ok(truths.zip(restored(evaluation.predictions.to_f64_vec())).collect())
    }

    /// Scores of the guess that knows nothing but the training part's mean, in the target's unit.
    fn mean_alone(&self, data: &Data) -> Result<[f64; 3]> {
        let targets = data.test.column("y")?;
        let zeros = wgrad::tensor::TensorData::zeros(targets.dtype(), targets.shape().to_vec());
        let (_, std) = self.preparation.target_scale();
        let value = |metric: BuiltIn| Ok::<f64, wgrad::Error>(metric.evaluate(&zeros, targets)?.unwrap_or(f64::NAN));
        Ok([value(BuiltIn::Mse)? * std * std, value(BuiltIn::Mae)? * std, value(BuiltIn::R2)?])
    }
}

impl Show for Results {
    fn print(&self, output: &mut Output, data: &Data, evaluation: &Evaluation) -> Result<bool> {
        if self.preparation.target() != Target::Number {
            return Ok(false);
        }
        summary::scores(output, evaluation, &[])?;
        let own = ["mse", "mae", "r2"].map(|name| evaluation.metric(name).unwrap_or(f64::NAN));
        let row = |name: &str, [mse, mae, r2]: [f64; 3]| {
            let cells = [mse.sqrt(), mae].map(picture::short);
            [name.to_owned()].into_iter().chain(cells).chain([format!("{r2:.4}")]).collect::<Vec<String>>()
        };
        let rows = [row(self.model, own), row("the mean", self.mean_alone(data)?)];
        output.table(&["<guess", ">rmse", ">mae", ">r2"], &rows)?;
        output.text("")?;
        Ok(true)
    }

    fn draw(&self, title: &str, data: &Data, evaluation: &Evaluation) -> Result<Option<PathBuf>> {
        let Some(path) = &self.scatter else { return Ok(None) };
        let shown = Shown {
            title: format!("{title} · {}", named(self.preparation.target_name())),
            target: named(self.preparation.target_name()),
            pairs: self.pairs(data, evaluation)?,
            r2: evaluation.metric("r2"),
        };
        picture::draw(path, &shown)?;
        Ok(Some(path.clone()))
    }
}
