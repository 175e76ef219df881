//! What a demo is: a name, data, models and defaults, as plain data. `train` and `inspect` know nothing else of one.

use std::path::PathBuf;
use std::sync::Arc;

use wgrad::data::Dataset;
use wgrad::graph::Tensor;
use wgrad::loss::Loss;
use wgrad::metrics::Metric;
use wgrad::nn::{Mode, Sequential};
use wgrad::tensor::DType;

pub use super::picture::Picture;
use super::{digits, folder, images, tabular};
use crate::failure::{Failure, Result};

/// All demos, in the order in which help lists them.
pub const DEMOS: &[&Demo] = &[&digits::DIGITS, &images::MNIST, &images::FASHION, &folder::IMAGES, &tabular::TABULAR];

/// A demo.
pub struct Demo {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it learns, for help.
    pub about: &'static str,
    /// Models for it, the default first.
    pub models: &'static [ModelChoice],
    /// What is used where the user says nothing.
    pub defaults: Defaults,
    /// Reads its data.
    pub load: fn(&Source) -> Result<Data>,
    /// Data of the same types with nothing in it, for looking at programs; none where the bundled data serves.
    pub blank: Option<fn() -> Result<Data>>,
    /// Its examples are pictures that can be shown.
    pub pictures: bool,
    /// Its pictures come in the size that the user wants.
    pub resizes: bool,
}

/// What is used where the user says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    pub epochs: u64,
    pub batch_size: usize,
    pub optimizer: &'static str,
    pub learning_rate: f64,
    /// Whether the learning rate falls, in a straight line over the epochs, to a twentieth.
    pub falls: bool,
}

/// A model by name.
pub struct ModelChoice {
    /// Its names on the command line; the first is the usual one.
    pub names: &'static [&'static str],
    /// Its layers, for people.
    pub about: &'static str,
    /// The layers for data of this kind.
    pub build: fn(&Data) -> Sequential,
    /// Defaults of its own, instead of the demo's.
    pub defaults: Option<Defaults>,
    /// What it wants done to each batch, instead of what the data says.
    pub prepare: Option<fn(&Data) -> Option<Prepare>>,
}

impl ModelChoice {
    /// A model that takes the demo's defaults and the data as they are.
    pub const fn new(names: &'static [&'static str], about: &'static str, build: fn(&Data) -> Sequential) -> Self {
        Self { names, about, build, defaults: None, prepare: None }
    }

    /// The model for some data, which is brought into the form that it wants.
    pub fn fit_to(&self, data: &mut Data) -> Sequential {
        if let Some(prepare) = self.prepare {
            data.prepare = prepare(data);
        }
        (self.build)(data)
    }
}

/// Where the data comes from.
#[derive(Default)]
pub struct Source {
    /// `--data`.
    pub path: Option<PathBuf>,
    /// `--target`.
    pub target: Option<String>,
    /// `--image-size`.
    pub image_size: Option<usize>,
    /// Splits come from it.
    pub seed: u64,
}

/// What is to be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of two classes: a sigmoid, compared with 0 and 1.
    Binary,
    /// One of so many classes: logits, compared with labels.
    Classes(usize),
}

impl Task {
    /// Numbers that the model gives for an example.
    pub const fn outputs(self) -> usize {
        match self {
            Self::Binary => 1,
            Self::Classes(classes) => classes,
        }
    }

    /// Number of classes.
    pub const fn classes(self) -> usize {
        match self {
            Self::Binary => 2,
            Self::Classes(classes) => classes,
        }
    }

    /// The loss for it.
    pub const fn loss(self) -> Loss {
        match self {
            Self::Binary => Loss::BinaryCrossEntropy,
            Self::Classes(_) => Loss::CrossEntropy,
        }
    }

    /// The metrics for it.
    pub const fn metrics(self) -> [Metric; 4] {
        [Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::F1]
    }
}

/// Something done to each batch on the device before the model sees it.
pub type Prepare = Arc<dyn Fn(&Tensor, Mode) -> Tensor + Send + Sync>;

/// The data of a demo: columns `x` and `y`.
pub struct Data {
    pub train: Dataset,
    pub test: Dataset,
    pub task: Task,
    pub prepare: Option<Prepare>,
    /// What an example looks like, where it is a picture.
    pub picture: Option<Picture>,
    /// What people should know of how it was read.
    pub notes: Vec<String>,
}

impl Data {
    /// The shape of an input, without the batch.
    pub fn input_shape(&self) -> Result<Vec<usize>> {
        Ok(self.train.column("x")?.shape().iter().skip(1).copied().collect())
    }

    /// Scaling of bytes on the device: `x / divisor`, then minus a mean, over a standard deviation.
    pub fn scale_bytes(divisor: f64, mean: f64, std: f64) -> Prepare {
        Arc::new(move |x: &Tensor, _: Mode| {
            let scaled = x.cast(DType::F32) * (1.0 / (divisor * std));
            if mean == 0.0 { scaled } else { scaled - mean / std }
        })
    }
}

/// A model of layers after flattening; the last layer gives what the task wants.
pub fn dense(data: &Data, hidden: &[usize]) -> Sequential {
    let shape = data.input_shape().unwrap_or_default();
    let mut model = Sequential::new(shape.as_slice());
    if shape.len() > 1 {
        model = model.flatten();
    }
    for &units in hidden {
        model = model.dense(units).relu();
    }
    model = model.dense(data.task.outputs());
    if data.task == Task::Binary { model.sigmoid() } else { model }
}

impl Demo {
    /// The demo of a name.
    pub fn find(name: &str) -> Result<&'static Self> {
        let names = || DEMOS.iter().map(|demo| demo.name).collect::<Vec<_>>().join(", ");
        let found = DEMOS.iter().find(|demo| demo.name == name).copied();
        found.ok_or_else(|| Failure::new(format!("there is no demo {name:?}; there are {}", names())))
    }

    /// What is used with a model where the user says nothing.
    pub fn defaults(&self, model: &ModelChoice) -> Defaults {
        model.defaults.unwrap_or(self.defaults)
    }

    /// Refuses a size for pictures whose size is given.
    pub fn check_image_size(&self, size: Option<u64>) -> Result {
        match size {
            Some(_) if !self.resizes => Err(Failure::new(format!("--image-size has no meaning for {}", self.name))),
            _ => Ok(()),
        }
    }

    /// The model of a name, or the default.
    pub fn model(&self, name: Option<&str>) -> Result<&'static ModelChoice> {
        let found = match name {
            None => self.models.first(),
            Some(name) => self.models.iter().find(|model| model.names.contains(&name)),
        };
        found.ok_or_else(|| {
            let there: Vec<String> =
                self.models.iter().map(|model| format!("{} ({})", model.names.join(" or "), model.about)).collect();
            Failure::new(format!(
                "{} has no model {:?}; there is {}",
                self.name,
                name.unwrap_or_default(),
                there.join(", ")
            ))
        })
    }
}
