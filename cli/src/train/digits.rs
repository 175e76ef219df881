//! `train digits`: the 8×8 handwritten digits of UCI, bundled with the binary.
//!
//! There are few examples, so the training sees each with other noise every time, and with other units left out: by
//! themselves the hidden layers would learn the training part by heart. Measured over five seeds, that makes 98.3% of 96.9%.

use std::sync::Arc;

use wgrad::data::{Column, Csv, Dataset, Table, Target, Values};
use wgrad::graph::Tensor;
use wgrad::nn::{Mode, Sequential};
use wgrad::tensor::DType;
use wgrad::train::{ModelFile, ModelSettings};

use super::convolutional;
use super::demo::{Asked, Data, Defaults, Demo, ModelChoice, Picture, Prepare, Source, Task, dense};
use super::options::Own;
use super::{residual, saved};
use crate::failure::{Failure, Result};
use crate::output::counted;

const FILE: &[u8] = include_bytes!("../../data/digits.csv");

/// Grey levels go from 0 to this.
const WHITE: f64 = 16.0;

const CLASSES: usize = 10;

/// The column of the digits, where the user names none.
const TARGET: &str = "target";

/// The largest width and height: there is a column a pixel.
const LARGEST: usize = 1024;

/// Standard deviation of the noise, where white is 1.
const NOISE: f64 = 0.15;

const DEFAULTS: Defaults =
    Defaults { epochs: 60, batch_size: 32, optimizer: "adam", learning_rate: 1e-3, falls: false };

pub const DIGITS: Demo = Demo {
    name: "digits",
    about: "handwritten digits, 8x8 pixels, bundled (1,797 examples)",
    models: &[
        ModelChoice::new(&["mlp"], "256 relu, 128 relu, 10, with dropout", mlp),
        convolutional::textbook(Defaults { epochs: 40, falls: true, ..DEFAULTS }),
        residual::network(Defaults { epochs: 30, falls: true, ..DEFAULTS }),
        ModelChoice::new(&["linear"], "10, without hidden layers", |data| dense(data, &[])),
    ],
    defaults: DEFAULTS,
    load,
    ask,
    blank: None,
    own: Own::None,
    pictures: true,
    resizes: false,
};

fn mlp(data: &Data) -> Sequential {
    let shape = data.input_shape().unwrap_or_default();
    let model = Sequential::new(shape.as_slice()).flatten();
    model.dense(256).relu().dropout(0.2).dense(128).relu().dropout(0.2).dense(data.task.outputs())
}

fn prepare() -> Prepare {
    let scale = Data::scale_bytes(WHITE, 0.0, 1.0);
    Arc::new(move |x: &Tensor, mode: Mode| {
        let scaled = scale(x, mode);
        match mode {
            Mode::Training => &scaled + &x.graph().random_normal(x.shape(), 0.0, NOISE),
            Mode::Evaluation => scaled,
        }
    })
}

fn load(source: &Source) -> Result<Data> {
    let table = match &source.path {
        Some(path) => Csv::new().read(path)?,
        None => Csv::new().from_bytes(FILE, "digits.csv")?,
    };
    let target = source.target.as_deref().unwrap_or(TARGET);
    let data = examples(&table, target, Target::Classes)?;
    data.check_labels("y", CLASSES)?;
    let (train, test) = data.stratified_split("y", 0.8, source.seed)?;
    let side = data.column("x")?.shape().last().copied().unwrap_or_default();
    let (shape, mean, std) = ([1, side, side], [0.0], [1.0]);
    let picture = Picture::new(shape, WHITE, &mean, &std)?;
    let settings = Picture::settings(DIGITS.name, shape, &mean, &std).with("target", target);
    Ok(with_picture(train, test, picture, settings))
}

fn with_picture(train: Dataset, test: Dataset, picture: Picture, settings: ModelSettings) -> Data {
    Data {
        train,
        test,
        validation: None,
        task: Task::Classes(CLASSES),
        prepare: Some(prepare()),
        picture: Some(picture),
        drawn: None,
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: None,
        settings,
    }
}

fn ask(file: &ModelFile, source: &Source) -> Result<Asked> {
    let picture = Picture::restored(file, 1, WHITE, LARGEST)?;
    let [_, height, width] = picture.shape();
    let train = saved::blank(file, DType::U8, &[height, width])?;
    let classes = saved::classes(file, CLASSES)?;
    let path = saved::asked(source, "FILE.csv with a column a pixel")?;
    let mut table = Csv::new().read(path)?;
    let target = file.text("target")?;
    let y = match table.columns.iter().find(|column| column.name == target) {
        Some(column) => Some(saved::labels(&column.values, &classes, path)?),
        None => {
            // A table without answers: the reader wants a column of them, and nobody looks at it.
            let values = Values::of_numbers(std::iter::repeat_n(0.0, table.len()));
            table.columns.push(Column::named(target, values));
            None
        }
    };
    let inside = |error: Failure| match error {
        Failure::Message(message) => Failure::new(format!("{}: {message}", path.display())),
        other => other,
    };
    let x = examples(&table, target, if y.is_some() { Target::Classes } else { Target::Number }).map_err(inside)?;
    let x = x.column("x")?.clone();
    if x.shape().get(1..) != Some(&[height, width]) {
        let found = x.shape().iter().skip(1).product::<usize>();
        return Err(Failure::new(format!(
            "{}: it has {} of pixels beside '{target}', and the model takes {height}x{width}, which are {}",
            path.display(),
            counted(found, "column"),
            height * width
        )));
    }
    let test = saved::questions(x, y, &classes)?;
    Ok(Asked::new(with_picture(train, test, picture, file.settings().clone())))
}

/// The rows of a table as images of bytes.
fn examples(table: &Table, target: &str, kind: Target) -> Result<Dataset> {
    let data = table.dataset(target, kind)?;
    if let Some(level) =
        data.column("x")?.to_f64_vec().into_iter().find(|level| level.fract() != 0.0 || !(0.0..=255.0).contains(level))
    {
        return Err(wgrad::Error::Data(format!("a pixel is an integer from 0 to 255, and there is {level}")).into());
    }
    let columns = data.column("x")?.shape().iter().skip(1).product::<usize>();
    let side = columns.isqrt();
    if side * side != columns {
        let message = format!("a table of digits has a square of pixels beside the target, and this one has {columns}");
        return Err(wgrad::Error::Data(message).into());
    }
    Ok(data.map_column("x", |x| x.cast(DType::U8)?.reshape([x.shape()[0], side, side]))?)
}
