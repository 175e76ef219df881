//! A model that is used and no longer trained.

use super::model_file::ModelFile;
use super::network::ModelInputs;
use super::trainer::Trainer;
use crate::device::Device;
use crate::error::Result;
use crate::graph::Tensor;
use crate::loss::custom;
use crate::nn::{Mode, Model, Precision};
use crate::optim::SGD;
use crate::tensor::TensorData;

/// A model on a device that computes its outputs for inputs, with parameters from a [`ModelFile`]; its documentation has an
/// example.
pub struct Predictor {
    trainer: Trainer,
}

impl Predictor {
    /// For a model, whose parameters [`load`](Self::load) reads.
    pub fn new(model: impl Model + Send + Sync + 'static, device: &Device) -> Self {
        // Loss and optimizer are compiled with training alone, which never comes.
        let loss = custom(|prediction, _| prediction.mean_all());
        Self { trainer: Trainer::new(model, device, SGD::new(0.0), loss, []) }
    }

    /// Something done to each batch on the device before the model sees it, as [`Trainer::prepare`].
    #[must_use]
    pub fn prepare(self, prepare: impl Fn(&Tensor, Mode) -> Tensor + Send + Sync + 'static) -> Self {
        Self { trainer: self.trainer.prepare(prepare) }
    }

    /// The type in which layers multiply, as at the training.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Self { trainer: self.trainer.precision(precision) }
    }

    /// Takes the parameters of a file, which must be those of the model; where they are not, [`predict`](Self::predict) says so.
    ///
    /// # Errors
    /// None as yet: nothing is compiled before the first inputs have come.
    pub fn load(mut self, file: &ModelFile) -> Result<Self> {
        self.trainer.load_model(file)?;
        Ok(self)
    }

    /// The model's output for a batch of inputs, as [`Trainer::predict`] returns it.
    ///
    /// # Errors
    /// A file of another model; inputs that do not fit; a device that fails.
    pub fn predict<'a>(&mut self, x: impl Into<ModelInputs<'a>>) -> Result<TensorData> {
        self.trainer.predict(x)
    }
}
