//! Keras's `compile`: from a model to its trainer.

use super::trainer::Trainer;
use crate::device::Device;
use crate::error::Result;
use crate::loss::Loss;
use crate::metrics::Metric;
use crate::nn::Sequential;
use crate::optim::Optimizer;

impl Sequential {
    /// A trainer for this model, Keras-like.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    #[track_caller]
    pub fn compile(
        self,
        device: &Device,
        optimizer: impl Optimizer + Send + Sync + 'static,
        loss: impl Into<Loss>,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Trainer> {
        self.output_shape()?;
        Ok(Trainer::new(self, device, optimizer, loss, metrics))
    }
}
