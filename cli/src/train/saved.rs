//! What the files of saved models say of themselves, and what is made of it again.

use std::path::Path;

use wgrad::data::{Dataset, Values};
use wgrad::nn::Precision;
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{ModelFile, ModelSettings};

use super::demo::{Data, Source};
use crate::failure::{Failure, Result};
use crate::output::counted;

/// An example of more numbers than this is a mistake, or malice; memory would be taken for a batch of them.
const MOST_ELEMENTS: usize = 1 << 24;

const PRECISIONS: [(&str, Precision); 3] =
    [("f32", Precision::F32), ("bf16", Precision::BF16), ("f16", Precision::F16)];

/// A demo's settings, with those that all have.
pub fn settings(data: &Data, model: &str, precision: Precision) -> ModelSettings {
    let name = precision_name(precision).unwrap_or("f32");
    let names = (0..data.task.classes()).map(|class| class_name(&data.test, class));
    data.settings.clone().with("model", model).with("precision", name).with_words("classes", names)
}

/// The name of a precision of 16 bits.
pub fn precision_name(precision: Precision) -> Option<&'static str> {
    let known = PRECISIONS.into_iter().find(|(_, known)| *known == precision && precision != Precision::F32);
    known.map(|(name, _)| name)
}

/// The name of a class, which is its number where none was given.
pub fn class_name(data: &Dataset, class: usize) -> String {
    data.class_names().get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// The type in which the model's layers multiply.
pub fn precision(file: &ModelFile) -> Result<Precision> {
    let name = file.text("precision")?;
    let found = PRECISIONS.into_iter().find(|(known, _)| *known == name);
    Ok(found
        .ok_or_else(|| file.wrong(format!("its precision is {name:?}, which this version of wgrad does not know")))?
        .1)
}

/// The names of the classes, of which there must be a given number.
pub fn classes(file: &ModelFile, count: usize) -> Result<Vec<String>> {
    let names = file.words("classes")?;
    match names.len() {
        found if found == count => Ok(names),
        found => Err(file.wrong(format!("it has {} where {count} are expected", counted(found, "class"))).into()),
    }
}

/// A blank example, for the shapes and types that a model is built for.
pub fn blank(file: &ModelFile, dtype: DType, shape: &[usize]) -> Result<Dataset> {
    let elements = shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent));
    if !elements.is_some_and(|elements| (1..=MOST_ELEMENTS).contains(&elements)) {
        return Err(file.wrong(format!("its examples have the shape {shape:?}, which cannot be")).into());
    }
    Ok(Dataset::new([("x", TensorData::zeros(dtype, [&[1], shape].concat()))])?)
}

/// What is asked, with the answers where they are known.
pub fn questions(x: TensorData, y: Option<TensorData>, classes: &[String]) -> Result<Dataset> {
    let columns = [Some(("x", x)), y.map(|y| ("y", y))];
    Ok(Dataset::new(columns.into_iter().flatten())?.with_class_names(classes))
}

/// The classes' numbers of a column by their names, `[rows]`.
pub fn labels(values: &Values, classes: &[String], path: &Path) -> Result<TensorData> {
    let (codes, names) = values.classes().map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let known: Vec<Option<usize>> = names.iter().map(|name| classes.iter().position(|class| class == name)).collect();
    if let Some((name, _)) = names.iter().zip(&known).find(|(_, known)| known.is_none()) {
        return Err(Failure::new(format!(
            "{}: the model knows no class '{name}'; it knows {}",
            path.display(),
            classes.join(", ")
        )));
    }
    let labels: Vec<i32> =
        codes.iter().filter_map(|&code| known.get(code).copied().flatten()).map(|label| label as i32).collect();
    let count = labels.len();
    Ok(TensorData::from_vec(labels, [count])?)
}

/// The path of what is asked.
pub fn asked<'a>(source: &'a Source, what: &str) -> Result<&'a Path> {
    source.path.as_deref().ok_or_else(|| Failure::new(format!("say what is to be predicted with --data: {what}")))
}
