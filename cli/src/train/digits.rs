//! `train digits`: the 8×8 handwritten digits of UCI, bundled with the binary.
//!
//! There are few examples, so the training sees each with other noise every time, and with other units left out: by
//! themselves the hidden layers would learn the training part by heart. Measured over five seeds, that makes 98.3% of 96.9%.

use std::sync::Arc;

use wgrad::data::{Csv, Dataset, Table, Target};
use wgrad::graph::Tensor;
use wgrad::nn::{Mode, Sequential};
use wgrad::tensor::DType;

use super::convolutional;
use super::demo::{Data, Defaults, Demo, ModelChoice, Picture, Prepare, Source, Task, dense};
use super::residual;
use crate::failure::Result;

const FILE: &[u8] = include_bytes!("../../data/digits.csv");

/// Grey levels go from 0 to this.
const WHITE: f64 = 16.0;

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
    blank: None,
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
    let data = examples(&table, source.target.as_deref().unwrap_or("target"))?;
    data.check_labels("y", 10)?;
    let (train, test) = data.stratified_split("y", 0.8, source.seed)?;
    let side = data.column("x")?.shape().last().copied().unwrap_or_default();
    let picture = Some(Picture::new([1, side, side], WHITE, &[0.0], &[1.0])?);
    Ok(Data {
        train,
        test,
        task: Task::Classes(10),
        prepare: Some(prepare()),
        picture,
        notes: Vec::new(),
        epochs: None,
        network: None,
        show: None,
    })
}

/// The rows of a table as images of bytes.
fn examples(table: &Table, target: &str) -> Result<Dataset> {
    let data = table.dataset(target, Target::Classes)?;
    let columns = data.column("x")?.shape().iter().skip(1).product::<usize>();
    let side = columns.isqrt();
    if side * side != columns {
        let message = format!("a table of digits has a square of pixels beside the target, and this one has {columns}");
        return Err(wgrad::Error::Data(message).into());
    }
    Ok(data.map_column("x", |x| x.cast(DType::U8)?.reshape([x.shape()[0], side, side]))?)
}
