//! Parameters by name: from a session into files or bytes, and back, with a report of what fits.

use std::path::{Path, PathBuf};

use crate::compiler::VariablePlan;
use crate::error::{Error, Result};
use crate::ops::Role;
use crate::safetensors::{self, Tensors};
use crate::session::Session;
use crate::tensor::{DType, TensorData, TensorType};
use crate::waiting::block_on;

/// Names that a message lists of each kind.
const LISTED: usize = 12;

/// Parameters (and buffers) by name, as a safetensors file has them: one that [`Session::save_parameters`] or PyTorch wrote.
#[derive(Clone, Debug)]
pub struct Parameters {
    source: PathBuf,
    tensors: Tensors,
}

impl Parameters {
    /// From a file of safetensors.
    ///
    /// # Errors
    /// A file that cannot be read, or is damaged.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self::of(path, safetensors::read(path)?.0))
    }

    /// From the bytes of such a file.
    ///
    /// # Errors
    /// Bytes that are no safetensors, or are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self::of(Path::new("parameters in memory"), safetensors::from_bytes(bytes)?.0))
    }

    pub(super) fn of(source: &Path, tensors: Tensors) -> Self {
        Self { source: source.to_owned(), tensors }
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &TensorData)> {
        self.tensors.iter().map(|(name, data)| (name.as_str(), data))
    }

    /// One by its name.
    pub fn get(&self, name: &str) -> Option<&TensorData> {
        self.tensors.get(name)
    }

    /// The same by other names, for models whose layers are called otherwise; those for which there is none are left out.
    ///
    /// # Errors
    /// Two that would have one name.
    pub fn rename(self, new_name: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut tensors = Tensors::new();
        for (name, data) in self.tensors {
            let Some(new) = new_name(&name) else { continue };
            if tensors.insert(new.clone(), data).is_some() {
                return Err(Error::Argument(format!(
                    "two parameters would be named {new:?}, {name:?} the second of them"
                )));
            }
        }
        Ok(Self { source: self.source, tensors })
    }

    /// Some of them, joined along their first axis in this order, as one of a new name: what other libraries have as separate weights of
    /// queries, keys and values is here [`in_proj_weight`](crate::nn::MultiheadAttention).
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// use wgrad::train::Parameters;
    /// let g = Graph::new();
    /// let x = g.input("x", [1, 4], F32);
    /// g.output("y", &(nn::Linear::new(&g, "a", 4, 2).forward(&x).sum_all() + nn::Linear::new(&g, "b", 4, 3).forward(&x).sum_all()));
    /// let saved = g.compile(&Device::cpu())?.parameter_bytes()?;
    /// let parameters = Parameters::from_bytes(&saved)?.join(&["a.weight", "b.weight"], "both.weight")?;
    /// assert_eq!(parameters.get("both.weight").map(TensorData::shape), Some(&[5, 4].into()));
    /// assert!(parameters.get("a.weight").is_none());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// One that is missing, or whose type or other axes differ from the first one's; a new name that is taken.
    pub fn join(mut self, names: &[&str], new_name: &str) -> Result<Self> {
        let mut parts = Vec::with_capacity(names.len());
        for name in names {
            let part = self.tensors.remove(*name);
            let message = || format!("it has no {name:?}, which would be a part of {new_name:?}");
            parts.push(part.ok_or_else(|| Error::format(&self.source, message()))?);
        }
        let wrong = |message: String| Error::format(&self.source, message);
        let Some(first) = parts.first().map(TensorData::ty) else {
            return Err(Error::Argument(format!("{new_name:?} would be joined of nothing")));
        };
        let Some((_, inner)) = first.shape.split_first() else {
            return Err(wrong(format!("{:?} is a scalar, which has no axis to be joined along", names[0])));
        };
        let (mut rows, mut bytes) = (0, Vec::new());
        for (name, part) in names.iter().zip(&parts) {
            match part.shape().split_first() {
                Some((own, rest)) if rest == inner && part.dtype() == first.dtype => rows += own,
                _ => {
                    return Err(wrong(format!(
                        "{name:?} is {}, and cannot be joined to {:?}, {first}",
                        part.ty(),
                        names[0]
                    )));
                }
            }
            bytes.extend_from_slice(part.bytes());
        }
        let shape: Vec<usize> = std::iter::once(rows).chain(inner.iter().copied()).collect();
        let joined = TensorData::from_bytes(TensorType::new(first.dtype, shape), &bytes)?;
        if self.tensors.insert(new_name.to_owned(), joined).is_some() {
            return Err(Error::Argument(format!("two parameters would be named {new_name:?}")));
        }
        Ok(self)
    }
}

/// Whether all names have to fit when parameters are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Anything that is missing, left over or of another type is an error.
    Strict,
    /// What fits is loaded, the rest is reported: for models that share some layers.
    Lenient,
}

/// A parameter that is of another type in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherType {
    /// Its name.
    pub name: String,
    /// Its type in the file.
    pub found: TensorType,
    /// Its type in the session.
    pub expected: TensorType,
}

/// The result of loading parameters by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Those that were loaded.
    pub loaded: Vec<String>,
    /// Those of the session that the file lacks: they are unchanged.
    pub missing: Vec<String>,
    /// Those of the file that the session does not have.
    pub unexpected: Vec<String>,
    /// Those of another element type in the file: they are unchanged.
    pub other_type: Vec<OtherType>,
}

impl LoadReport {
    /// True where every parameter of the session and of the file was loaded.
    pub const fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.other_type.is_empty()
    }
}

pub(super) const fn is_parameter(role: &Role) -> bool {
    matches!(role, Role::Parameter | Role::Buffer)
}

impl Session {
    /// Writes parameters and buffers as safetensors, by their names, which are PyTorch's, whole or not at all. What else a session has
    /// to continue training is in [`save`](Self::save).
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// use wgrad::train::{Matching, Parameters};
    /// # let directory = tempfile::tempdir().map_err(|error| wgrad::Error::file("cannot create", "", error))?;
    /// # let path = directory.path().join("model.safetensors");
    /// let model = |classes: usize| {
    ///     let g = Graph::new();
    ///     let x = g.input("x", [1, 4], F32);
    ///     let hidden = nn::Linear::new(&g, "body", 4, 8).forward(&x).relu();
    ///     g.output("y", &nn::Linear::new(&g, &format!("head{classes}"), 8, classes).forward(&hidden));
    ///     g
    /// };
    /// model(10).compile(&Device::cpu())?.save_parameters(&path)?;
    /// // Another head on the same body: what fits is loaded, the rest is told.
    /// let mut other = model(3).compile(&Device::cpu())?;
    /// let report = other.load_parameters(&Parameters::read(&path)?, Matching::Lenient)?;
    /// assert_eq!(report.loaded, ["body.bias", "body.weight"]);
    /// assert_eq!(report.missing, ["head3.bias", "head3.weight"]);
    /// assert_eq!(report.unexpected, ["head10.bias", "head10.weight"]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that cannot be written; a device that fails.
    pub fn save_parameters(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_parameters_with(path.as_ref(), &[])
    }

    /// The same with the text that belongs to them.
    pub(super) fn save_parameters_with(&self, path: &Path, metadata: &[(String, String)]) -> Result<()> {
        safetensors::write(path, &self.named()?, metadata)
    }

    /// What [`save_parameters`](Self::save_parameters) would write, as bytes, for [`Parameters::from_bytes`].
    ///
    /// # Errors
    /// A device that fails.
    pub fn parameter_bytes(&self) -> Result<Vec<u8>> {
        block_on(self.parameter_bytes_async())
    }

    /// As [`parameter_bytes`](Self::parameter_bytes), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn parameter_bytes_async(&self) -> Result<Vec<u8>> {
        let named = self.values_async(|variable| is_parameter(&variable.role)).await?;
        safetensors::to_bytes(&named, &[])
    }

    fn named(&self) -> Result<Vec<(String, TensorData)>> {
        block_on(self.values_async(|variable| is_parameter(&variable.role)))
    }

    /// Takes up parameters and buffers by name. Nothing is changed where there is an error.
    ///
    /// # Errors
    /// A parameter of another shape; with [`Matching::Strict`] also one that is missing, left over, or of another element type. The error
    /// lists all of them.
    pub fn load_parameters(&mut self, parameters: &Parameters, matching: Matching) -> Result<LoadReport> {
        restore(&parameters.source, self, &parameters.tensors, matching, is_parameter)
    }
}

/// Puts tensors into the variables of their names that are `wanted`, if all of them may be.
pub(super) fn restore(
    path: &Path,
    session: &mut Session,
    tensors: &Tensors,
    matching: Matching,
    wanted: impl Fn(&Role) -> bool,
) -> Result<LoadReport> {
    let variables: Vec<VariablePlan> =
        session.variables().iter().filter(|variable| wanted(&variable.role)).cloned().collect();
    let mut report = LoadReport::default();
    let mut other_shape = Vec::new();
    let mut converted = Tensors::new();
    let wrong = |message: String| Error::format(path, message);
    for variable in &variables {
        let Some(data) = tensors.get(&variable.name) else {
            report.missing.push(variable.name.clone());
            continue;
        };
        let (name, found, expected) = (variable.name.clone(), data.ty().clone(), variable.ty.clone());
        if found.shape != expected.shape {
            other_shape.push(OtherType { name, found, expected });
        } else if found.dtype == DType::I64 && expected.dtype == DType::I32 {
            // PyTorch has counters in 64 bits.
            let narrow = data.narrowed().map_err(|error| wrong(format!("{name:?}: {error}")))?;
            converted.insert(name.clone(), narrow);
            report.loaded.push(name);
        } else if found.dtype != expected.dtype {
            report.other_type.push(OtherType { name, found, expected });
        } else {
            if variable.stored != expected.dtype {
                // What the device cannot hold is found before anything is changed.
                data.fitting().map_err(|error| wrong(format!("{name:?}: {error}")))?;
            }
            report.loaded.push(name);
        }
    }
    let unknown = tensors.keys().filter(|name| !variables.iter().any(|variable| variable.name == **name));
    report.unexpected = unknown.cloned().collect();
    report.missing.sort_unstable();
    if !other_shape.is_empty() || (matching == Matching::Strict && !report.is_complete()) {
        return Err(wrong(mismatch(&report, &other_shape, matching, &variables)));
    }
    for name in &report.loaded {
        if let Some(value) = converted.get(name).or_else(|| tensors.get(name)) {
            session.set_parameter(name, value)?;
        }
    }
    report.loaded.sort_unstable();
    Ok(report)
}

/// What does not fit, in words.
fn mismatch(report: &LoadReport, shapes: &[OtherType], matching: Matching, variables: &[VariablePlan]) -> String {
    let list = |names: &mut dyn Iterator<Item = String>| {
        let all: Vec<String> = names.collect();
        let more = all.len().saturating_sub(LISTED);
        let listed = all.into_iter().take(LISTED).collect::<Vec<_>>().join(", ");
        if more == 0 { listed } else { format!("{listed} and {more} more") }
    };
    let mut parts = Vec::new();
    let types = if matching == Matching::Strict { report.other_type.as_slice() } else { &[] };
    if !(shapes.is_empty() && types.is_empty()) {
        let differing = shapes.iter().chain(types);
        let mut text =
            differing.map(|OtherType { name, found, expected }| format!("{name:?} is {found} there, {expected} here"));
        parts.push(list(&mut text));
    }
    let mut is_state = false;
    if matching == Matching::Strict {
        let of_states = |name: &String| {
            variables.iter().any(|variable| variable.name == *name && matches!(variable.role, Role::State(_)))
        };
        is_state = !report.unexpected.is_empty() || report.missing.iter().any(of_states);
        if !report.missing.is_empty() {
            let names = list(&mut report.missing.iter().map(|name| format!("{name:?}")));
            parts.push(format!("it has no {names}, which this one needs"));
        }
        if !report.unexpected.is_empty() {
            let names = list(&mut report.unexpected.iter().map(|name| format!("{name:?}")));
            parts.push(format!("it has {names}, which this one does not know"));
        }
    }
    let of = if is_state { "another model or optimizer" } else { "another model" };
    format!("it is of {of}: {}", parts.join("; "))
}
