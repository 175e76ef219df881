//! Keras's `compile`: from a model to its trainer.

use super::trainer::Trainer;
use crate::device::Device;
use crate::error::Result;
use crate::loss::Loss;
use crate::metrics::Metrics;
use crate::nn::Sequential;
use crate::optim::Optimizer;

impl Sequential {
    /// A trainer for this model, as Keras's `compile` makes it. [`Metrics`] says how to give none, one, or several. No kernel is compiled
    /// yet, as the batch size is not known.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    #[track_caller]
    pub fn compile(
        self,
        device: &Device,
        optimizer: impl Optimizer + 'static,
        loss: impl Loss + 'static,
        metrics: impl Metrics,
    ) -> Result<Trainer> {
        self.output_shape()?;
        Ok(Trainer::new(self, device, optimizer, loss, metrics))
    }
}
