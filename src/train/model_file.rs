//! A model in a file: its parameters, and what else a program has to know to use them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::safetensors::{self, Tensors};

/// What the file is, and the version of what is in it; others are refused.
const FORMAT: &str = "wgrad-model-1";

/// What the formats of other versions begin with.
const FAMILY: &str = "wgrad-model-";

/// The keys that are taken.
const FORMAT_KEY: &str = "format";
const KIND_KEY: &str = "kind";

/// What a model's file says beside the parameters: which kind of model it is, and by name whatever its program needs to build the
/// network and to prepare data: sizes, a [`Scaler`](crate::data::Scaler)'s numbers, the names of classes, a vocabulary.
///
/// It is the text in the safetensors header, where PyTorch and others find it too (`safe_open(…).metadata()`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSettings {
    kind: String,
    entries: BTreeMap<String, String>,
}

impl ModelSettings {
    /// For a kind of model, by a name that tells it from those of other programs.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), entries: BTreeMap::new() }
    }

    /// A number, or a text; the last of a name counts.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Display) -> Self {
        self.entries.insert(name.into(), value.to_string());
        self
    }

    /// Numbers, which are restored to the last bit.
    #[must_use]
    pub fn with_numbers(self, name: impl Into<String>, values: &[f64]) -> Self {
        // What JSON has no number for becomes an error when it is read.
        let numbers: Vec<serde_json::Value> = values.iter().map(|&value| value.into()).collect();
        self.with(name, serde_json::Value::Array(numbers))
    }

    /// Texts: the names of classes, the words of a vocabulary.
    #[must_use]
    pub fn with_words<Word: AsRef<str>>(self, name: impl Into<String>, words: impl IntoIterator<Item = Word>) -> Self {
        let words = words.into_iter().map(|word| word.as_ref().into()).collect();
        self.with(name, serde_json::Value::Array(words))
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn metadata(&self) -> Result<Vec<(String, String)>> {
        if let Some(taken) = [FORMAT_KEY, KIND_KEY].into_iter().find(|key| self.entries.contains_key(*key)) {
            return Err(Error::Argument(format!(
                "a setting of a model cannot be called {taken:?}, which says what the file is"
            )));
        }
        let own = [(FORMAT_KEY.to_owned(), FORMAT.to_owned()), (KIND_KEY.to_owned(), self.kind.clone())];
        Ok(self.entries.clone().into_iter().chain(own).collect())
    }
}

/// A model's file as it was read.
///
/// ```
/// use wgrad::data::{Dataset, Scaler};
/// use wgrad::prelude::*;
/// use wgrad::train::{ModelFile, ModelSettings, Predictor};
/// # let directory = tempfile::tempdir().map_err(|error| Error::file("cannot create", "", error))?;
/// # let path = directory.path().join("model.safetensors");
/// # let x: Vec<f32> = (0..100).map(|k| 50.0 + k as f32).collect();
/// # let y: Vec<f32> = x.iter().map(|x| if *x > 90.0 { 1.0 } else { 0.0 }).collect();
/// # let x = TensorData::from_vec(x, [100, 1])?;
/// # let data = Dataset::new([("x", x.clone()), ("y", TensorData::from_vec(y, [100, 1])?)])?;
/// let network = |hidden: usize| Sequential::new([1]).dense(hidden).relu().dense(1).sigmoid();
///
/// // The program that trains: features on a like scale, whose numbers go into the file.
/// let scaler = Scaler::standardize(data.column("x")?)?;
/// let scaled = data.map_column("x", |x| scaler.apply(x))?;
/// let mut trainer = network(8).compile(&Device::cpu(), Adam::new(0.05), BinaryCrossEntropy, [Accuracy])?;
/// trainer.fit(&scaled, Fit::epochs(5))?;
/// let settings = ModelSettings::new("my-switch")
///     .with("hidden", 8)
///     .with_numbers("offset", scaler.offset())
///     .with_numbers("scale", scaler.scale());
/// trainer.save_model(&path, &settings)?;
///
/// // The program that uses it.
/// let file = ModelFile::read(&path)?.of_kind("my-switch")?;
/// let scaler = Scaler::from_parts(file.numbers("offset")?, file.numbers("scale")?)?;
/// let mut predictor = Predictor::new(network(file.parse("hidden")?), &Device::cpu()).load(&file)?;
/// let predicted = predictor.predict(&scaler.apply(&x)?)?;
/// assert_eq!(predicted, trainer.evaluate(&scaled)?.predictions);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    path: PathBuf,
    settings: ModelSettings,
    tensors: Tensors,
}

impl ModelFile {
    /// Reads a model's file.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`] where it is damaged, of another version, or no file of a model
    /// with its settings: parameters alone, as PyTorch or [`Trainer::save`](super::Trainer::save) write them, are for
    /// [`Trainer::load_parameters`](super::Trainer::load_parameters).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (tensors, mut entries) = safetensors::read(path)?;
        let wrong = |message: String| Err(Error::format(path, message));
        match entries.remove(FORMAT_KEY) {
            Some(format) if format == FORMAT => {}
            Some(format) if format.starts_with(FAMILY) => {
                return wrong(format!("its format is {format:?}, and this version of wgrad reads {FORMAT:?}"));
            }
            Some(format) if format.starts_with("wgrad-checkpoint-") => {
                return wrong("it is a checkpoint to continue training from, and not a saved model".into());
            }
            _ => {
                return wrong(
                    "it is no model that wgrad saved: it may have parameters, but does not say of which model".into(),
                );
            }
        }
        let Some(kind) = entries.remove(KIND_KEY) else {
            return wrong("it does not say what kind of model it is".into());
        };
        Ok(Self { path: path.to_owned(), settings: ModelSettings { kind, entries }, tensors })
    }

    /// The same, if it is of a kind.
    ///
    /// # Errors
    /// [`Error::Format`] where it is of another.
    pub fn of_kind(self, kind: &str) -> Result<Self> {
        if self.kind() == kind {
            Ok(self)
        } else {
            Err(self.wrong(format!("it is a model of {:?}, not of {kind:?}", self.kind())))
        }
    }

    /// The kind of model.
    pub fn kind(&self) -> &str {
        self.settings.kind()
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The parameters, and the running statistics of norms, by name.
    pub const fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// The settings.
    pub const fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// An error of this file, for what a program finds wrong with its settings.
    pub fn wrong(&self, message: impl Into<String>) -> Error {
        Error::format(&self.path, message)
    }

    /// A setting as it is written.
    ///
    /// # Errors
    /// [`Error::Format`] where it is not there; the same holds for the others.
    pub fn text(&self, name: &str) -> Result<&str> {
        let found = self.settings.entries.get(name).map(String::as_str);
        found.ok_or_else(|| {
            self.wrong(format!("it does not say its {name:?}, which a model of {:?} needs", self.kind()))
        })
    }

    /// A setting as a number, or whatever else can be read from its text.
    ///
    /// # Errors
    /// [`Error::Format`] where it is not there, or is something else.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| self.wrong(format!("its {name:?} makes no sense: {}", shortened(text))))
    }

    /// A setting of numbers.
    ///
    /// # Errors
    /// [`Error::Format`] where it is not there, or has anything but finite numbers.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let text = self.text(name)?;
        serde_json::from_str(text)
            .map_err(|_| self.wrong(format!("its {name:?} is no list of numbers: {}", shortened(text))))
    }

    /// A setting of texts.
    ///
    /// # Errors
    /// [`Error::Format`] where it is not there, or has anything but texts.
    pub fn words(&self, name: &str) -> Result<Vec<String>> {
        let text = self.text(name)?;
        serde_json::from_str(text)
            .map_err(|_| self.wrong(format!("its {name:?} is no list of texts: {}", shortened(text))))
    }

    /// Compares the parameters of a graph with those of the file, before memory is taken for any.
    ///
    /// # Errors
    /// The graph's first mistake; [`Error::Format`] for a parameter that the file lacks, or has in another shape.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        if let Some(mistake) = graph.error() {
            return Err(mistake);
        }
        for (name, parameter) in graph.parameters() {
            match self.tensors.get(&name) {
                None => {
                    return Err(self.wrong(format!("it is of another model: it has no {name:?}, which this one needs")));
                }
                Some(found) if *found.shape() != parameter.shape() => {
                    return Err(self.wrong(format!(
                        "it is of another model: {name:?} is {} there, {} here",
                        found.shape(),
                        parameter.shape()
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

/// The beginning of a text that may be long.
fn shortened(text: &str) -> String {
    let beginning: String = text.chars().take(40).collect();
    if beginning.len() < text.len() { format!("{beginning:?}…") } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;

    fn written(metadata: &[(String, String)]) -> Result<ModelFile> {
        let directory = tempfile::tempdir().map_err(|source| Error::file("cannot create", "", source))?;
        let path = directory.path().join("m.safetensors");
        safetensors::write(&path, &[("w".into(), TensorData::scalar(1.0_f32))], metadata)?;
        ModelFile::read(&path)
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn settings_are_restored() -> Result<()> {
        let numbers = [1.0 / 3.0, -0.0, f64::MIN_POSITIVE, 1e300, 0.1 + 0.2];
        let settings = ModelSettings::new("mine")
            .with("size", 7)
            .with("text", "a \"b\"\n☃")
            .with_numbers("numbers", &numbers)
            .with_words("words", ["", "one, two", "[3]"]);
        let file = written(&settings.metadata()?)?;
        assert_eq!((file.kind(), file.settings()), ("mine", &settings));
        assert_eq!((file.parse::<usize>("size")?, file.text("text")?), (7, "a \"b\"\n☃"));
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&file.numbers("numbers")?), bits(&numbers));
        assert_eq!(file.words("words")?, ["", "one, two", "[3]"]);
        assert!(message(file.text("colour")).contains("\"colour\""));
        assert!(message(file.parse::<usize>("text")).contains("makes no sense"));
        assert!(message(file.numbers("words")).contains("no list of numbers"));
        assert!(message(file.words("size")).contains("no list of texts"));
        assert!(message(file.clone().of_kind("yours")).contains("\"mine\", not of \"yours\""));
        Ok(())
    }

    #[test]
    fn what_is_no_model_is_refused() -> Result<()> {
        let with = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            message(written(&pairs))
        };
        assert!(with(&[]).contains("no model that wgrad saved"));
        assert!(with(&[("format", "pt")]).contains("no model that wgrad saved"));
        assert!(with(&[("format", "wgrad-model-9"), ("kind", "a")]).contains("\"wgrad-model-9\""));
        assert!(with(&[("format", "wgrad-checkpoint-1")]).contains("checkpoint"));
        assert!(with(&[("format", FORMAT)]).contains("what kind"));
        assert!(message(ModelSettings::new("a").with("kind", "b").metadata()).contains("\"kind\""));
        let not_a_number = ModelSettings::new("a").with_numbers("n", &[f64::NAN]);
        assert!(written(&not_a_number.metadata()?)?.numbers("n").is_err());
        Ok(())
    }
}
