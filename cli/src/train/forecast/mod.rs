//! `train forecast`: a recurrent network reads a window of a series and tells the values that follow, compared with those who know
//! nothing: that all stays as it is, or comes as it did a season ago.

mod ask;
mod axis;
mod baseline;
mod picture;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use wgrad::data::Series;
use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{Dropout, Linear, Mode, Model, Recurrent, RecurrentInputs, RecurrentKind};
use wgrad::scalar::threefry::HostRandom;
use wgrad::train::Evaluation;

use super::demo::{Data, Defaults, Demo, ModelChoice, Source, Task};
use super::network::Network;
use super::note::Note;
use super::options::Own;
use super::recurrent;
use super::show::Show;
use super::summary;
use crate::failure::{Failure, Result};
use crate::output::{Output, counted};
use baseline::Errors;

/// The share of the series that is learned; what is left, its end, is the test.
const TRAINING: f64 = 0.8;

/// Short series are gone through more often, so that there are as many steps; up to ten times as often.
const FEWEST_STEPS: u64 = 600;

const WINDOW: usize = 36;
const HORIZON: usize = 12;
const HIDDEN: usize = 64;

pub const FORECAST: Demo = Demo {
    name: "forecast",
    about: "the next values of a series: a synthetic one, or --data FILE.csv [--target COLUMN]",
    models: &[
        ModelChoice::function(&["lstm"], "LSTM 64 over the window, then one output a step ahead", network),
        ModelChoice::function(&["gru"], "GRU 64 over the window, then one output a step ahead", network),
        ModelChoice::function(&["rnn"], "RNN 64 (tanh) over the window, then one output a step ahead", network),
    ],
    defaults: Defaults { epochs: 30, batch_size: 32, optimizer: "adam", learning_rate: 2e-3, falls: true },
    load,
    ask: ask::ask,
    blank: None,
    own: Own::Forecasting,
    pictures: false,
    resizes: false,
};

fn load(source: &Source) -> Result<Data> {
    let options = &source.forecasting;
    let (series, bundled) = match &source.path {
        Some(path) if path.is_dir() => {
            return Err(Failure::new(format!("{} is a directory, and forecast reads a CSV file", path.display())));
        }
        Some(path) => (
            Series::read_csv(path, source.target.as_deref()).map_err(|error| match error {
                wgrad::Error::Argument(message) => Failure::new(format!("{message} (--target COLUMN)")),
                other => other.into(),
            })?,
            false,
        ),
        None if source.target.is_some() => {
            return Err(Failure::new("--target names a column of the file given with --data FILE"));
        }
        None => (synthetic()?, true),
    };
    let number = |option: Option<u64>, usual: usize| option.map_or(usual, |number| number as usize);
    let (window, horizon) = (number(options.window, WINDOW), number(options.horizon, HORIZON));
    let parts = series.windows(window, horizon, TRAINING).map_err(|error| match &source.path {
        Some(path) => in_file(path, error),
        None => error.into(),
    })?;
    let season = options.season.map(|season| season as usize).or(bundled.then_some(YEAR));
    if let Some(season) = season.filter(|&season| season > parts.train_len) {
        return Err(Failure::new(format!(
            "a season of {season} is longer than the training part of '{}', {}",
            series.name(),
            counted(parts.train_len, "value")
        )));
    }
    let mut notes = warnings(source.path.as_deref(), &series, parts.is_constant);
    notes.push(Note::Text(format!(
        "'{}': {}; {window} in, the next {horizon} out",
        series.name(),
        counted(series.values().len(), "value")
    )));
    let defaults = FORECAST.defaults;
    let batch = source.batch_size.unwrap_or(defaults.batch_size).max(1);
    let epochs = (FEWEST_STEPS / parts.train.len().div_ceil(batch) as u64).clamp(defaults.epochs, 10 * defaults.epochs);
    let (mean, std) = (parts.mean, parts.std);
    let model = Foretelling { kind: recurrent::kind(source.model), window, horizon };
    Ok(Data {
        train: parts.train,
        test: parts.test,
        validation: None,
        task: Task::Series { horizon, std },
        prepare: None,
        picture: None,
        drawn: None,
        notes,
        epochs: Some(epochs),
        network: Some(Network::of(model)),
        show: Some(Rc::new(Forecast {
            name: series.name().to_owned(),
            model: source.model,
            values: series.values().to_vec(),
            dates: series.dates().map(<[f64]>::to_vec),
            train_len: parts.train_len,
            horizon,
            season,
            mean,
            std,
            path: options.forecast.clone(),
        })),
        settings: ask::settings(window, horizon, mean, std, (!bundled).then(|| series.name())),
    })
}

/// What everybody should know of a series.
fn warnings(path: Option<&Path>, series: &Series, is_constant: bool) -> Vec<Note> {
    let origin = path.map_or_else(String::new, |path| format!("{}: ", path.display()));
    let mut warnings: Vec<Note> =
        series.remarks().iter().map(|remark| Note::Warning(format!("{origin}{remark}"))).collect();
    if is_constant {
        let what = "is constant in its training part, or as good as: nothing is learned from it";
        warnings.push(Note::Warning(format!("{origin}the series '{}' {what}", series.name())));
    }
    warnings
}

/// An error about a series, with the name of its file.
fn in_file(path: &Path, error: wgrad::Error) -> Failure {
    match error {
        wgrad::Error::Data(message) => Failure::new(format!("{}: {message}", path.display())),
        other => other.into(),
    }
}

/// Values of a season in the bundled series.
const YEAR: usize = 12;

/// A hundred years of something that grows, has a season that swells, a slow wave, and noise that stays for a while.
fn synthetic() -> Result<Series> {
    let mut random = HostRandom::new(0x7365_7269);
    let mut noise = 0.0;
    let values = (0..1200_u32).map(|month| {
        let time = f64::from(month);
        noise = 0.6 * noise + 2.0 * random.normal();
        let year = std::f64::consts::TAU * time / YEAR as f64;
        let wave = (std::f64::consts::TAU * time / 77.0).sin();
        100.0 + 0.05 * time + (9.0 + 0.006 * time) * (year.sin() + 0.4 * (2.0 * year + 0.7).cos()) + 12.0 * wave + noise
    });
    Ok(Series::new("synthetic, monthly", values.collect())?)
}

/// What `load` has made.
fn network(data: &Data) -> Network {
    let nothing = |_: &Graph, x: &Tensor, _: Mode| x.clone();
    data.network.clone().unwrap_or_else(|| Network::of(nothing))
}

/// The network tells how far the values ahead are from the last one: what stays as it is needs not be learned.
#[derive(Clone, Copy, Debug)]
struct Foretelling {
    kind: RecurrentKind,
    window: usize,
    horizon: usize,
}

impl Model for Foretelling {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        let steps = x.transpose(0, 1);
        let found = recurrent::forward(g, self.kind, &steps, HIDDEN, Recurrent::new(), &RecurrentInputs::new(), mode);
        let state = found.outputs.at(0, self.window.saturating_sub(1));
        let state = Dropout::new(0.1).forward(&state, mode);
        let ahead = Linear::new(g, "head", HIDDEN, self.horizon).forward(&state);
        let last = x.at(1, self.window.saturating_sub(1));
        ahead + last
    }
}

/// What the forecast is worth.
struct Forecast {
    name: String,
    model: &'static str,
    values: Vec<f64>,
    /// Seconds since 1970, one a value, where the series has dates.
    dates: Option<Vec<f64>>,
    train_len: usize,
    horizon: usize,
    season: Option<usize>,
    path: Option<PathBuf>,
    mean: f64,
    std: f64,
}

impl Forecast {
    /// The model's forecasts in the series' own unit.
    fn restored(&self, evaluation: &Evaluation) -> Vec<f64> {
        evaluation.predictions.to_f64_vec().into_iter().map(|value| value * self.std + self.mean).collect()
    }

    /// The model's errors, and those of the naive forecasts, by their names.
    fn compare(&self, evaluation: &Evaluation) -> Vec<(String, Errors)> {
        let own = self.restored(evaluation);
        let windows = own.len() / self.horizon.max(1);
        let value = |index: usize| self.values.get(index).copied().unwrap_or_default();
        let errors = |forecast: &dyn Fn(usize, usize) -> f64| {
            Errors::of(windows, self.horizon, |window, ahead| {
                forecast(window, ahead) - value(self.train_len + window + ahead)
            })
        };
        let model = |window: usize, ahead: usize| own.get(window * self.horizon + ahead).copied().unwrap_or_default();
        let last = |window: usize, _: usize| value(self.train_len + window - 1);
        let mut all = vec![(self.model.to_uppercase(), errors(&model)), ("naive".to_owned(), errors(&last))];
        if let Some(season) = self.season {
            let before =
                |window: usize, ahead: usize| value(baseline::season_before(self.train_len + window, ahead, season));
            all.push(("seasonal naive".to_owned(), errors(&before)));
        }
        all
    }
}

impl Show for Forecast {
    fn scores(&self, _: &Data, evaluation: &Evaluation) -> Result<Vec<(String, f64)>> {
        let mut scores = Vec::new();
        for (name, errors) in self.compare(evaluation).iter().skip(1) {
            let name = name.replace(' ', "_");
            scores.push((format!("{name}_mse"), errors.mse()));
            scores.push((format!("{name}_mae"), errors.mae()));
        }
        Ok(scores)
    }

    fn print(&self, output: &mut Output, _: &Data, evaluation: &Evaluation) -> Result<bool> {
        summary::scores(output, evaluation, &[])?;
        let all = self.compare(evaluation);
        let rows: Vec<Vec<String>> = all
            .iter()
            .map(|(name, errors)| {
                vec![
                    name.clone(),
                    format!("{:.4}", errors.mse()),
                    format!("{:.4}", errors.mse().sqrt()),
                    format!("{:.4}", errors.mae()),
                ]
            })
            .collect();
        output.table(&["<forecast", ">mse", ">rmse", ">mae"], &rows)?;
        output.text("")?;
        if let Some((name, own)) = all.first() {
            for (other, errors) in all.iter().skip(1) {
                let change = 100.0 * (own.mse() / errors.mse().max(f64::MIN_POSITIVE) - 1.0);
                let (much, where_to) = (change.abs(), if change <= 0.0 { "below" } else { "above" });
                output.text(format!(
                    "the {name}'s squared error is {much:.1}% {where_to} that of the {other} forecast"
                ))?;
            }
        }
        output.text("")?;
        Ok(true)
    }

    fn draw(&self, title: &str, _: &Data, evaluation: &Evaluation) -> Result<Option<PathBuf>> {
        let Some(path) = &self.path else { return Ok(None) };
        let shown = picture::Shown {
            title: format!("{title} · {}", self.name),
            series: &self.name,
            values: &self.values,
            dates: self.dates.as_deref(),
            train_len: self.train_len,
            horizon: self.horizon,
            forecasts: self.restored(evaluation),
            errors: self.compare(evaluation),
        };
        picture::draw(path, &shown)?;
        Ok(Some(path.clone()))
    }
}
