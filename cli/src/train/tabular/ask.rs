//! Tables for a saved model.

use wgrad::data::{Dataset, Preparation};
use wgrad::tensor::DType;
use wgrad::train::ModelFile;

use super::{data, in_file, task};
use crate::failure::Result;
use crate::output::counted;
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
    let rows = preparation.usable_rows(&whole).map_err(of_table)?;
    let table = whole.take(&rows).map_err(of_table)?;
    let x = preparation.features_of(&table).map_err(of_table)?;
    let y = preparation.has_targets(&table).then(|| preparation.targets_of(&table)).transpose().map_err(of_table)?;
    let mut warnings = Vec::new();
    for (name, count) in preparation.unknown(&table).map_err(of_table)? {
        warnings.push(format!(
            "{}: '{name}' has {} that the model never saw: {} as no label",
            path.display(),
            counted(count, "value"),
            if count == 1 { "it counts" } else { "they count" }
        ));
    }
    let left_out = whole.len() - table.len();
    if left_out > 0 {
        let lacking = if left_out == 1 { "is left out, as it lacks" } else { "are left out, as they lack" };
        warnings.push(format!("{}: {} {lacking} a value", path.display(), counted(left_out, "row")));
    }
    let test: Dataset = saved::questions(x, y, &classes)?;
    // Where rows are left out, an answer's index is not its row.
    let lines = || (0..table.len()).map(|row| table.line(row).to_string()).collect();
    let names = (left_out > 0).then(|| Names { of: "line", names: lines() });
    let unit = matches!(task, Task::Number { .. }).then(|| preparation.target_scale());
    let settings = file.settings().clone();
    let notes = warnings.into_iter().map(Note::Warning).collect();
    Ok(Asked { names, unit, ..Asked::new(Data { settings, notes, ..data(train, test, task) }) })
}
