//! A series for a saved model: what comes after its end, and how right the model would have been within it.

use wgrad::data::{Dataset, Series};
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{ModelFile, ModelSettings};

use super::{FORECAST, Foretelling};
use crate::failure::{Failure, Result};
use crate::output::counted;
use crate::train::demo::{Asked, Data, Source, Task};
use crate::train::network::Network;
use crate::train::note::Note;
use crate::train::{recurrent, saved};

/// The largest window and horizon, as on the command line.
const MOST_VALUES: usize = 100_000;
const MOST_AHEAD: usize = 10_000;

/// What a saved model's file says. `column` is that of a file; the bundled series has none.
pub fn settings(window: usize, horizon: usize, mean: f64, std: f64, column: Option<&str>) -> ModelSettings {
    ModelSettings::new(FORECAST.name)
        .with("window", window)
        .with("horizon", horizon)
        .with_numbers("scale", &[mean, std])
        .with("column", column.unwrap_or_default())
}

pub fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let (window, horizon): (usize, usize) = (file.parse("window")?, file.parse("horizon")?);
    let scale = file.numbers("scale")?;
    let (mean, std) = match scale.as_slice() {
        &[mean, std] if std > 0.0 && (1..=MOST_VALUES).contains(&window) && (1..=MOST_AHEAD).contains(&horizon) => {
            (mean, std)
        }
        _ => return Err(file.wrong("its window, horizon and scale do not fit each other").into()),
    };
    let train = saved::blank(file, DType::F32, &[window, 1])?;
    let path = saved::asked(source, "FILE.csv with the series up to now")?;
    let column = Some(file.text("column")?).filter(|column| !column.is_empty());
    let series = Series::read_csv(path, column)?;
    let values = series.values();
    let count = values.len();
    if count < window {
        return Err(Failure::new(format!(
            "{}: the series '{}' has {}, and the model looks at {window}",
            path.display(),
            series.name(),
            counted(count, "value")
        )));
    }
    let standardized = series.standardized(mean, std).map_err(|error| super::in_file(path, error))?;
    let part = |start: usize, length: usize| standardized.get(start..start + length).unwrap_or_default();
    let last = TensorData::from_vec(part(count - window, window).to_vec(), [1, window, 1])?;
    let windows = (count + 1).saturating_sub(window + horizon);
    let test = if windows == 0 {
        train.clone()
    } else {
        let (x, y): (Vec<&[f32]>, Vec<&[f32]>) =
            (0..windows).map(|start| (part(start, window), part(start + window, horizon))).unzip();
        let x = TensorData::from_vec(x.concat(), [windows, window, 1])?;
        Dataset::new([("x", x), ("y", TensorData::from_vec(y.concat(), [windows, horizon])?)])?
    };
    let note = format!(
        "'{}': {}; the next {horizon} from the last {window}{}",
        series.name(),
        counted(count, "value"),
        if windows == 0 { "" } else { ", and scores of those that are known" }
    );
    let mut notes = super::warnings(Some(path), &series, false);
    notes.push(Note::Text(note));
    let data = Data {
        train,
        test,
        validation: None,
        task: Task::Series { horizon, std },
        prepare: None,
        picture: None,
        drawn: None,
        notes,
        epochs: None,
        network: Some(Network::of(Foretelling { kind: recurrent::kind(source.model), window, horizon })),
        show: None,
        settings: file.settings().clone(),
    };
    Ok(Asked { question: Some(last), unit: Some((mean, std)), ..Asked::new(data) })
}
