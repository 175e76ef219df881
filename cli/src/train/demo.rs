//! What a demo is: a name, data, models and defaults, as plain data. `train` and `inspect` know nothing else of one.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use wgrad::data::{Dataset, Stream};
use wgrad::graph::Tensor;
use wgrad::loss::{
    BinaryCrossEntropy, CrossEntropy, CrossEntropyOptions, CrossEntropyWith, Loss, Mse, NegativeSampling,
};
use wgrad::metrics::{BuiltIn, Metric, Metrics, Perplexity};
use wgrad::nn::{Mode, Sequential};
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{ModelFile, ModelSettings};

use super::network::Network;
use super::note::Note;
use super::options::{Forecasting, Own, Tables, Translating, Vectors, Writing};
pub use super::picture::Picture;
use super::show::Show;
use super::tokens::{IGNORED, TokenAccuracy, TokenPerplexity};
use crate::failure::{Failure, Result};

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
    /// A saved model's data as `load` would make it, of what the source names instead of what was learned from.
    pub ask: fn(&ModelFile, &Source) -> Result<Asked>,
    /// Data of the same types with nothing in it, for looking at the program of a model; none where the bundled data serves.
    pub blank: Option<fn(&str) -> Result<Data>>,
    /// The options that it takes beside those of all demos.
    pub own: Own,
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
    /// The model for data of this kind.
    pub build: Build,
    /// Defaults of its own, instead of the demo's.
    pub defaults: Option<Defaults>,
    /// What it wants done to each batch, instead of what the data says.
    pub prepare: Option<fn(&Data) -> Option<Prepare>>,
}

/// How a model is made.
#[derive(Clone, Copy)]
pub enum Build {
    Layers(fn(&Data) -> Sequential),
    Function(fn(&Data) -> Network),
}

impl ModelChoice {
    /// A model that is a function of its input, with the demo's defaults.
    pub const fn function(names: &'static [&'static str], about: &'static str, build: fn(&Data) -> Network) -> Self {
        Self { names, about, build: Build::Function(build), defaults: None, prepare: None }
    }

    /// Its usual name.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// A model that takes the demo's defaults and the data as they are.
    pub const fn new(names: &'static [&'static str], about: &'static str, build: fn(&Data) -> Sequential) -> Self {
        Self { names, about, build: Build::Layers(build), defaults: None, prepare: None }
    }

    /// The model for some data, which is converted into the form that it wants.
    pub fn fit_to(&self, data: &mut Data) -> Network {
        if let Some(prepare) = self.prepare {
            data.prepare = prepare(data);
        }
        match self.build {
            Build::Layers(build) => Network::Layers(build(data)),
            Build::Function(build) => build(data),
        }
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
    /// `--skip-damaged`.
    pub skip_damaged: bool,
    /// Splits come from it.
    pub seed: u64,
    /// The usual name of the model.
    pub model: &'static str,
    /// Examples in a step, where the user says so.
    pub batch_size: Option<usize>,
    /// What is to be written, for texts.
    pub writing: Writing,
    /// What is to be foretold, for series.
    pub forecasting: Forecasting,
    /// How a table is read.
    pub tables: Tables,
    /// How vectors of words are learned.
    pub vectors: Vectors,
    /// What is to be translated, and how.
    pub translating: Translating,
}

/// The share of a target that is spread over all words.
const LABEL_SMOOTHING: f64 = 0.1;

/// Steps until a transformer learns at its full rate.
const WARM_UP: u64 = 400;

/// What is to be learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Task {
    /// One of two classes: a sigmoid, compared with 0 and 1.
    Binary,
    /// One of several classes: logits, compared with labels.
    Classes(usize),
    /// The next character at each position of a text: logits. Examples continue from batch to batch, in their order.
    Text {
        /// Number of characters.
        vocabulary: usize,
        /// Examples of a batch of the test part.
        streams: usize,
    },
    /// The next word at each position of a translation: logits, with padding among the labels.
    Translation {
        /// Number of words.
        vocabulary: usize,
    },
    /// The next values of a series, standardized.
    Series {
        /// How many.
        horizon: usize,
        /// The standard deviation of the training part, in the series' own unit.
        std: f64,
    },
    /// A number, standardized.
    Number {
        /// The standard deviation of the training part, in the number's own unit.
        std: f64,
    },
    /// Which words belong together, of words alone.
    Words {
        /// Scores of an example: of what belongs together, and of what was drawn.
        scores: usize,
    },
}

impl Task {
    /// Numbers that the model gives for an example.
    pub const fn outputs(self) -> usize {
        match self {
            Self::Binary | Self::Number { .. } => 1,
            Self::Classes(classes) => classes,
            Self::Text { vocabulary, .. } | Self::Translation { vocabulary } => vocabulary,
            Self::Series { horizon, .. } => horizon,
            Self::Words { scores } => scores,
        }
    }

    /// Number of classes.
    pub const fn classes(self) -> usize {
        match self {
            Self::Binary => 2,
            Self::Classes(classes) => classes,
            Self::Text { vocabulary, .. } => vocabulary,
            Self::Series { .. } | Self::Number { .. } | Self::Words { .. } | Self::Translation { .. } => 0,
        }
    }

    /// The loss for it.
    pub fn loss(self) -> Box<dyn Loss> {
        match self {
            Self::Binary => Box::new(BinaryCrossEntropy),
            Self::Classes(_) | Self::Text { .. } => Box::new(CrossEntropy),
            // Of several translations that are right, one is given.
            Self::Translation { .. } => Box::new(CrossEntropyWith(CrossEntropyOptions {
                label_smoothing: LABEL_SMOOTHING,
                ignore_index: Some(IGNORED),
                ..CrossEntropyOptions::default()
            })),
            // Of standardized values, so that learning rates mean the same for every unit.
            Self::Series { .. } | Self::Number { .. } => Box::new(Mse),
            // A step is that of each of its pairs, so that learning rates are word2vec's.
            Self::Words { .. } => Box::new(NegativeSampling::new().summed()),
        }
    }

    /// The metrics for it.
    pub fn metrics(self) -> Vec<Box<dyn Metric>> {
        match self {
            Self::Binary | Self::Classes(_) => {
                [BuiltIn::Accuracy, BuiltIn::Precision, BuiltIn::Recall, BuiltIn::F1].boxed()
            }
            Self::Text { .. } => Perplexity.boxed(),
            Self::Translation { .. } => (TokenAccuracy, TokenPerplexity).boxed(),
            Self::Series { .. } => [BuiltIn::Mse, BuiltIn::Mae].boxed(),
            Self::Number { .. } => [BuiltIn::Mse, BuiltIn::Mae, BuiltIn::R2].boxed(),
            Self::Words { .. } => Vec::new(),
        }
    }

    /// Converts metrics of standardized values into the unit of what they stand for.
    pub fn in_unit(self, metrics: &mut [(String, f64)]) {
        let (Self::Series { std, .. } | Self::Number { std }) = self else { return };
        for (name, value) in metrics {
            match name.as_str() {
                name if name == BuiltIn::Mse.name() => *value *= std * std,
                name if name == BuiltIn::Mae.name() => *value *= std,
                // The loss is of standardized values, and R² has no unit.
                _ => {}
            }
        }
    }

    /// Whether the learning rate rises at first, over a tenth of the run or so many steps.
    pub const fn warm_up(self) -> Option<u64> {
        match self {
            Self::Translation { .. } => Some(WARM_UP),
            _ => None,
        }
    }

    /// Whether a batch continues where the one before ended, so that their order must stay.
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

/// Something done to each batch on the device before the model sees it.
pub type Prepare = Arc<dyn Fn(&Tensor, Mode) -> Tensor + Send + Sync>;

/// Examples that are drawn anew in every epoch.
#[derive(Clone)]
pub struct Drawn {
    /// Those of a run, from its first epoch on.
    pub stream: Rc<dyn Fn() -> Stream>,
    /// How many the first epoch has.
    pub examples: u64,
    /// Those of a step where the user says nothing.
    pub batch: usize,
}

/// The data of a demo: columns `x` and `y`.
pub struct Data {
    pub train: Dataset,
    pub test: Dataset,
    /// What is learned from, where `train` is but some of it.
    pub drawn: Option<Drawn>,
    /// By what a run is watched, where that is not the test.
    pub validation: Option<Dataset>,
    pub task: Task,
    pub prepare: Option<Prepare>,
    /// What an example looks like, where it is a picture.
    pub picture: Option<Picture>,
    /// What there is to say of how it was read.
    pub notes: Vec<Note>,
    /// Times over the data where the user says nothing, where that hangs on the data.
    pub epochs: Option<u64>,
    /// The model, where it hangs on the data.
    pub network: Option<Network>,
    /// What there is to show beside loss and metrics.
    pub show: Option<Rc<dyn Show>>,
    /// What a saved model's file says beside what `saved` says of all of them.
    pub settings: ModelSettings,
}

/// What a saved model is asked.
pub struct Asked {
    /// Its `test` has the column `x`, and `y` where the answers are known; its `train` is a blank example.
    pub data: Data,
    /// What the examples are called, where they have names.
    pub names: Option<Names>,
    /// What is predicted, where that is not the test's `x`.
    pub question: Option<TensorData>,
    /// Mean and standard deviation of the numbers that the model gives standardized.
    pub unit: Option<(f64, f64)>,
}

impl Asked {
    /// Examples without names, in the order in which they are.
    pub const fn new(data: Data) -> Self {
        Self { data, names: None, question: None, unit: None }
    }
}

/// Names of examples.
pub struct Names {
    /// What they are: `file`, `text`.
    pub of: &'static str,
    pub names: Vec<String>,
}

impl Data {
    /// Training examples of an epoch.
    pub fn examples(&self) -> u64 {
        self.drawn.as_ref().map_or(self.train.len() as u64, |drawn| drawn.examples)
    }

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

    /// Refuses to skip damaged pictures where none are decoded.
    pub fn check_skip_damaged(&self, skip: bool) -> Result {
        match skip {
            true if !self.resizes => Err(Failure::new(format!("--skip-damaged has no meaning for {}", self.name))),
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
