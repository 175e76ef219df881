//! `train tabular`: classes from a table of numbers; bundled breast-cancer data, or any CSV.

use wgrad::data::{Csv, Scaler, Table, Target, Values};

use wgrad::train::ModelSettings;

use super::demo::{Data, Defaults, Demo, ModelChoice, Source, Task, dense};
use super::saved;
use crate::failure::{Failure, Result};

const FILE: &[u8] = include_bytes!("../../data/breast-cancer.csv");

/// A target with more different values than this is no class but a number, or a mistake.
const MOST_CLASSES: usize = 100;

/// A categorical column with more labels than this is a name or a key, from which nothing general is learned.
const MOST_LABELS: usize = 200;

pub const TABULAR: Demo = Demo {
    name: "tabular",
    about: "classes from a table: bundled breast-cancer data (569 examples), or --data FILE.csv --target COLUMN",
    models: &[
        ModelChoice::new(&["mlp", "mlp-tiny"], "64 relu, 32 relu, 1 sigmoid", |data| dense(data, &[64, 32])),
        ModelChoice::new(&["linear"], "logistic regression", |data| dense(data, &[])),
    ],
    defaults: Defaults { epochs: 20, batch_size: 32, optimizer: "adam", learning_rate: 1e-3, falls: false },
    load,
    ask: saved::not_yet,
    blank: None,
    pictures: false,
    resizes: false,
};

fn load(source: &Source) -> Result<Data> {
    let (table, target, names) = match (&source.path, &source.target) {
        (None, None) => (Csv::new().from_bytes(FILE, "breast-cancer.csv")?, "target", Some(["malignant", "benign"])),
        (None, Some(_)) => return Err(Failure::new("--target names a column of the file given with --data FILE")),
        (Some(path), None) => {
            let columns = columns(&Csv::new().read(path)?);
            return Err(Failure::new(format!(
                "say which column is to be learned with --target COLUMN; {} has {columns}",
                path.display()
            )));
        }
        (Some(path), Some(target)) => (Csv::new().read(path)?, target.as_str(), None),
    };
    let task = task(&table, target)?;
    let kind = if task == Task::Binary { Target::Binary } else { Target::Classes };
    let mut data = table.one_hot(target)?.dataset(target, kind)?;
    if let Some(names) = names {
        data = data.with_class_names(names);
    }
    let (train, test) = data.stratified_split("y", 0.8, source.seed)?;
    // What is known of the test part must not flow into the training, not even its mean.
    let scaler = Scaler::standardize(train.column("x")?)?;
    let scale = |part: &wgrad::data::Dataset| part.map_column("x", |x| scaler.apply(x));
    Ok(Data {
        train: scale(&train)?,
        test: scale(&test)?,
        task,
        prepare: None,
        picture: None,
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: None,
        settings: ModelSettings::new(TABULAR.name),
    })
}

/// Two classes or more; and every other column usable.
fn task(table: &Table, target: &str) -> Result<Task> {
    let place = table.position(target)?;
    for (number, column) in table.columns.iter().enumerate() {
        if let Values::Categories { labels, .. } = &column.values
            && number != place
            && labels.len() > MOST_LABELS
        {
            return Err(Failure::new(format!(
                "column '{}' has {} different words: too many for categories; remove the column",
                column.name,
                labels.len()
            )));
        }
    }
    let chosen = table.columns.get(place).ok_or_else(|| Failure::new(format!("there is no column '{target}'")))?;
    let (_, classes) = chosen.values.classes();
    match classes.len() {
        0 | 1 => Err(Failure::new(format!(
            "column '{}' has the same value everywhere: there is nothing to learn",
            chosen.name
        ))),
        2 => Ok(Task::Binary),
        count if count <= MOST_CLASSES => Ok(Task::Classes(count)),
        count => Err(Failure::new(format!(
            "column '{}' has {count} different values: that is no class (at most {MOST_CLASSES}), and this demo learns classes",
            chosen.name
        ))),
    }
}

fn columns(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    names.join(", ")
}
