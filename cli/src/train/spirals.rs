//! `train spirals`: points of three spirals around each other, drawn by the seed. No line divides them; a hidden layer or two do.

use std::f64::consts::TAU;
use std::rc::Rc;

use wgrad::data::{Csv, Dataset};
use wgrad::nn::Sequential;
use wgrad::scalar::threefry::HostRandom;
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{Evaluation, ModelFile, ModelSettings, Trainer};

use super::demo::{Asked, Data, Defaults, Demo, ModelChoice, Source, Task};
use super::options::Own;
use super::saved;
use super::show::Show;
use crate::failure::{Failure, Result};

const SPIRALS: usize = 3;

/// Points of a spiral.
const POINTS: usize = 500;

/// How far a spiral turns from the middle to its end, and the deviation of points from it, in turns.
const TURNS: f64 = 0.65;
const NOISE: f64 = 0.03;

/// Columns and rows of the map, which goes from -1 to 1 both ways. A character is twice as high as wide.
const MAP: [usize; 2] = [48, 24];

/// The column of the spiral, where it is known.
const TARGET: &str = "spiral";

pub const DEMO: Demo = Demo {
    name: "spirals",
    about: "points of three spirals around each other, made up (1,500 examples)",
    models: &[
        ModelChoice::new(&["mlp"], "64 tanh, 64 tanh, 3", |_| {
            inputs().dense(64).tanh().dense(64).tanh().dense(SPIRALS)
        }),
        ModelChoice::new(&["linear"], "3, without hidden layers", |_| inputs().dense(SPIRALS)),
    ],
    defaults: Defaults { epochs: 60, batch_size: 32, optimizer: "adam", learning_rate: 5e-3, falls: true },
    load,
    ask,
    blank: None,
    own: Own::None,
    pictures: false,
    resizes: false,
};

fn inputs() -> Sequential {
    Sequential::new([2])
}

fn load(source: &Source) -> Result<Data> {
    if let Some(path) = &source.path {
        return Err(Failure::new(format!(
            "spirals makes its points up, and takes no --data; train tabular learns those of {}",
            path.display()
        )));
    }
    let mut random = HostRandom::new(source.seed);
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for (spiral, step) in (0..SPIRALS).flat_map(|spiral| (0..POINTS).map(move |step| (spiral, step))) {
        let radius = (step as f64 + 0.5) / POINTS as f64;
        let turn = spiral as f64 / SPIRALS as f64 + TURNS * radius + NOISE * random.normal();
        points.extend([(radius * (TAU * turn).cos()) as f32, (radius * (TAU * turn).sin()) as f32]);
        labels.push(spiral as i32);
    }
    let count = labels.len();
    let columns = [("x", TensorData::from_vec(points, [count, 2])?), ("y", TensorData::from_vec(labels, [count])?)];
    let (train, test) = Dataset::new(columns)?.stratified_split("y", 0.8, source.seed)?;
    Ok(data(train, test, ModelSettings::new(DEMO.name)))
}

fn data(train: Dataset, test: Dataset, settings: ModelSettings) -> Data {
    Data {
        train,
        test,
        validation: None,
        task: Task::Classes(SPIRALS),
        prepare: None,
        picture: None,
        drawn: None,
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: Some(Rc::new(Map)),
        settings,
    }
}

/// A table of points, with the spirals or without.
fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let classes = saved::classes(file, SPIRALS)?;
    let path = saved::asked(source, "FILE.csv with the columns x and y")?;
    let table = Csv::new().read(path)?;
    let column = |name: &str| table.columns.iter().find(|column| column.name == name);
    let of_file = |what: String| Failure::new(format!("{}: {what}", path.display()));
    let numbers = |name: &str| {
        let column = column(name).ok_or_else(|| of_file(format!("it has no column '{name}'")))?;
        column.values.numbers().map_err(|error| of_file(format!("column '{name}': {error}")))
    };
    let points = numbers("x")?.into_iter().zip(numbers("y")?).flat_map(|(x, y)| [x as f32, y as f32]).collect();
    let labels = column(TARGET).map(|column| saved::labels(&column.values, &classes, path)).transpose()?;
    let test = saved::questions(TensorData::from_vec(points, [table.len(), 2])?, labels, &classes)?;
    Ok(Asked::new(data(saved::blank(file, DType::F32, &[2])?, test, file.settings().clone())))
}

/// What the model says of each point of the plane.
struct Map;

impl Show for Map {
    fn samples(&self, _: &Data, trainer: &mut Trainer, _: &Evaluation) -> Result<Vec<String>> {
        let [columns, rows] = MAP;
        let at = |index: usize, count: usize| (2.0 * (index as f32 + 0.5) / count as f32) - 1.0;
        let points =
            (0..rows).rev().flat_map(|row| (0..columns).flat_map(move |column| [at(column, columns), at(row, rows)]));
        let points = TensorData::from_vec(points.collect(), [rows * columns, 2])?;
        let scores = trainer.predict(&points)?.to_f64_vec();
        let mark = |scores: &[f64]| {
            let best = (1..SPIRALS).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
            [" ", "+", "#"][best]
        };
        let line = |row: &[f64]| row.chunks(SPIRALS).map(mark).collect::<String>();
        Ok(vec![scores.chunks(columns * SPIRALS).map(line).collect::<Vec<_>>().join("\n")])
    }
}
