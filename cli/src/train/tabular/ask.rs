//! Tables for a saved model.

use wgrad::data::{Dataset, Missing, Preparation, Table};
use wgrad::tensor::DType;
use wgrad::train::ModelFile;

use super::{data, in_file, task};
use crate::failure::{Failure, Result};
use crate::output::{counted, grouped};
use crate::train::demo::{Asked, Data, Names, Source, Task};
use crate::train::note::Note;
use crate::train::saved;

/// The setting that says how a table becomes features.
pub const PREPARATION: &str = "preparation";

/// The columns that were learned from, in any order, with the target or without it.
pub fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let preparation = Preparation::from_json(file.text(PREPARATION)?).map_err(|error| file.wrong(error.to_string()))?;
    let task = task(&preparation);
    let classes = saved::classes(file, task.classes())?;
    let train = saved::blank(file, DType::F32, &[preparation.features()])?;
    let path = saved::asked(source, "FILE.csv with the columns that the model learned from")?;
    let of_table = |error| in_file(Some(path), error);
    let whole = preparation.read(path)?;
    let rows =
        preparation.answerable_rows(&whole).map_err(|error| without_missing(of_table(error), &preparation, &whole))?;
    let table = whole.take(&rows).map_err(of_table)?;
    let x = preparation.features_of(&table).map_err(of_table)?;
    let answered = preparation.rows_with_target(&table).map_err(of_table)?;
    let known = if answered.is_empty() { None } else { Some(table.take(&answered).map_err(of_table)?) };
    let y = known.as_ref().map(|known| preparation.targets_of(known)).transpose().map_err(of_table)?;
    let mut warnings = Vec::new();
    for (name, count) in preparation.unknown(&table).map_err(of_table)? {
        warnings.push(format!(
            "{}: '{name}' has {} that the model never saw: {}",
            path.display(),
            counted(count, "value"),
            super::as_no_label(count)
        ));
    }
    let left_out = whole.len() - table.len();
    if left_out > 0 {
        let lacking = if left_out == 1 { "is left out, as it lacks" } else { "are left out, as they lack" };
        warnings.push(format!("{}: {} {lacking} a value", path.display(), counted(left_out, "row")));
    }
    // Every row is predicted; scores are over those that have an answer.
    let mut notes = Vec::new();
    let (tested, question) = match &known {
        Some(known) if known.len() < table.len() => {
            let (count, all) = (grouped(known.len() as u64), grouped(table.len() as u64));
            notes.push(Note::Text(format!(
                "scores are of the {count} of {all} rows that have a value of '{}'",
                preparation.target_name()
            )));
            (preparation.features_of(known).map_err(of_table)?, Some(x))
        }
        _ => (x, None),
    };
    let test: Dataset = saved::questions(tested, y, &classes)?;
    // Where rows are left out, an answer's index is not its row.
    let lines = || (0..table.len()).map(|row| table.line(row).to_string()).collect();
    let names = (left_out > 0).then(|| Names { of: "line", names: lines() });
    let unit = matches!(task, Task::Number { .. }).then(|| preparation.target_scale());
    let settings = file.settings().clone();
    notes.extend(warnings.into_iter().map(Note::Warning));
    Ok(Asked { names, question, unit, ..Asked::new(Data { settings, notes, ..data(train, test, task) }) })
}

/// The error of a table that lacks values, for a model that has nothing to stand for them.
fn without_missing(failure: Failure, preparation: &Preparation, table: &Table) -> Failure {
    match failure {
        Failure::Message(message) if preparation.missing() == Missing::Refuse && !table.missing().is_empty() => {
            Failure::Message(format!(
                "{message}; the model was trained without --missing, and so knows nothing to stand for them"
            ))
        }
        other => other,
    }
}
