//! The model of a trainer, with the columns that it takes.

use std::sync::Arc;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::nn::{Inputs, Mode, Model};
use crate::tensor::{DType, TensorData};

use super::trainer::X;

type Forward = dyn Fn(&Graph, &Inputs, Mode) -> Tensor + Send + Sync;

type Prepare = dyn Fn(&Tensor, Mode) -> Tensor + Send + Sync;

enum Kind {
    One(Arc<dyn Model + Send + Sync>),
    Several(Arc<Forward>),
}

/// A model, the names of its inputs, and what is done to them before.
pub(super) struct Network {
    names: Vec<String>,
    kind: Kind,
    /// For an input by its name, or for all others.
    prepare: Vec<(Option<String>, Arc<Prepare>)>,
}

impl Network {
    pub(super) fn one(model: impl Model + Send + Sync + 'static) -> Self {
        Self { names: vec![X.to_owned()], kind: Kind::One(Arc::new(model)), prepare: Vec::new() }
    }

    pub(super) fn several(
        names: Vec<String>,
        forward: impl Fn(&Graph, &Inputs, Mode) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        Self { names, kind: Kind::Several(Arc::new(forward)), prepare: Vec::new() }
    }

    /// The columns that it takes.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn prepare(
        &mut self,
        name: Option<String>,
        prepare: impl Fn(&Tensor, Mode) -> Tensor + Send + Sync + 'static,
    ) {
        self.prepare.retain(|(known, _)| *known != name);
        self.prepare.push((name, Arc::new(prepare)));
    }

    fn preparation(&self, name: &str) -> Option<&Arc<Prepare>> {
        let own = self.prepare.iter().find(|(known, _)| known.as_deref() == Some(name));
        own.or_else(|| self.prepare.iter().find(|(known, _)| known.is_none())).map(|(_, prepare)| prepare)
    }

    /// Inputs as the model sees them.
    pub(super) fn prepared(&self, g: &Graph, inputs: &Inputs, mode: Mode) -> Inputs {
        let prepared = inputs.iter().map(|(name, x)| {
            let _layer = x.graph().in_layer("prepare");
            let prepared = match self.preparation(name) {
                Some(prepare) => prepare(x, mode),
                None if x.dtype() == DType::U8 => x.cast(DType::F32) * (1.0 / 255.0),
                None => x.clone(),
            };
            (name.to_owned(), prepared)
        });
        Inputs::new(g, prepared)
    }

    /// The prediction for prepared inputs. Where layers multiply in 16 bits, its last rounding is left out.
    pub(super) fn forward(&self, g: &Graph, inputs: &Inputs, mode: Mode) -> Tensor {
        let prediction = match (&self.kind, inputs.iter().next()) {
            (Kind::Several(forward), _) => forward(g, inputs, mode),
            (Kind::One(model), Some((_, x))) => model.forward(g, x, mode),
            (Kind::One(model), None) => model.forward(g, &g.constant(TensorData::zeros(DType::F32, [0])), mode),
        };
        prediction.before_rounding()
    }

    /// Looks at the values of inputs, where the model sees them as they are.
    pub(super) fn check(&self, inputs: &[(&str, &TensorData)]) -> Result<()> {
        match (&self.kind, inputs) {
            (Kind::One(model), [(name, x)]) if self.preparation(name).is_none() => model.check_input(x),
            (Kind::One(_) | Kind::Several(_), _) => Ok(()),
        }
    }

    /// The columns of a data set that it takes.
    pub(super) fn columns<'a>(&self, data: &'a Dataset) -> Result<Vec<(&'a str, &'a TensorData)>> {
        self.names.iter().map(|name| column(data, name)).collect()
    }

    /// What was given to predict from, by the names of its inputs.
    pub(super) fn given<'a>(&self, given: ModelInputs<'a>) -> Result<Vec<(String, &'a TensorData)>> {
        let inputs = match given {
            ModelInputs::Dataset(data) => {
                let columns = self.columns(data)?;
                return Ok(columns.into_iter().map(|(name, values)| (name.to_owned(), values)).collect());
            }
            ModelInputs::Tensor(x) => match self.names.as_slice() {
                [name] => return Ok(vec![(name.clone(), x)]),
                names => return Err(Error::Argument(format!("one tensor was given, but the model takes {names:?}"))),
            },
            ModelInputs::Named(inputs) => inputs,
        };
        if let Some((name, _)) = inputs.iter().find(|(name, _)| !self.names.iter().any(|known| known == name)) {
            return Err(Error::Argument(format!("the model has no input {name:?}; it has {:?}", self.names)));
        }
        let found = self.names.iter().map(|name| {
            let value = inputs.iter().find(|(known, _)| known == name).map(|(_, value)| (name.clone(), *value));
            value.ok_or_else(|| Error::Argument(format!("input {name:?} was not given")))
        });
        let found = found.collect::<Result<Vec<_>>>()?;
        let examples = |value: &TensorData| value.shape().first().copied();
        if let [(first, x), others @ ..] = found.as_slice()
            && let Some((other, y)) = others.iter().find(|(_, y)| examples(y) != examples(x))
        {
            let message =
                format!("input {first:?} is {}, but {other:?} is {}: their first axes count examples", x.ty(), y.ty());
            return Err(Error::Data(message));
        }
        Ok(found)
    }
}

/// A column with its name.
pub(super) fn column<'a>(data: &'a Dataset, name: &str) -> Result<(&'a str, &'a TensorData)> {
    let values = data.column(name)?;
    let own = data.columns().iter().find(|(own, _)| own == name);
    Ok((own.map_or("", |(own, _)| own.as_str()), values))
}

/// What a model is to predict from: a tensor for a model of one input, named tensors, or a data set with columns of the inputs' names.
///
/// ```no_run
/// # use wgrad::prelude::*;
/// # fn predict(trainer: &mut Trainer, x: TensorData, data: wgrad::data::Dataset, image: TensorData, size: TensorData) -> Result<()> {
/// trainer.predict(&x)?;
/// trainer.predict(&data)?;
/// trainer.predict(&[("image", &image), ("size", &size)])?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub enum ModelInputs<'a> {
    /// The one input.
    Tensor(&'a TensorData),
    /// The columns of the inputs' names; others are left out.
    Dataset(&'a Dataset),
    /// Inputs by name.
    Named(&'a [(&'a str, &'a TensorData)]),
}

impl<'a> From<&'a TensorData> for ModelInputs<'a> {
    fn from(x: &'a TensorData) -> Self {
        Self::Tensor(x)
    }
}

impl<'a> From<&'a Dataset> for ModelInputs<'a> {
    fn from(data: &'a Dataset) -> Self {
        Self::Dataset(data)
    }
}

impl<'a> From<&'a [(&'a str, &'a TensorData)]> for ModelInputs<'a> {
    fn from(inputs: &'a [(&'a str, &'a TensorData)]) -> Self {
        Self::Named(inputs)
    }
}

impl<'a, const N: usize> From<&'a [(&'a str, &'a TensorData); N]> for ModelInputs<'a> {
    fn from(inputs: &'a [(&'a str, &'a TensorData); N]) -> Self {
        Self::Named(inputs)
    }
}
