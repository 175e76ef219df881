//! The graph of a training step, and the tuning of its kernels.

use std::sync::Arc;

use super::Trainer;
use super::resident::Resident;
use super::trainer::Forward;
use crate::data::Dataset;
use crate::device::{Tune, Tuning};
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::nn::Mode;

impl Trainer {
    /// Compares the kernels that could do each part of a training step of this batch size and remembers the fastest: see
    /// [`Device::tune`](crate::Device::tune). Nothing is trained, and programs that are compiled already stay as they are, so this
    /// comes before [`fit`](Self::fit).
    ///
    /// ```
    /// use wgrad::data::Dataset;
    /// use wgrad::device::Tune;
    /// use wgrad::prelude::*;
    ///
    /// let data = Dataset::new([("x", TensorData::zeros(F32, [64, 4])), ("y", TensorData::zeros(I32, [64]))])?;
    /// let model = Sequential::new([4]).dense(8).relu().dense(3);
    /// let trainer = model.compile(&Device::cpu(), Adam::new(1e-3), CrossEntropy, [Accuracy])?;
    /// println!("{}", trainer.tune(&data, 32, Tune::new())?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`training_graph`](Self::training_graph) and [`Device::tune`](crate::Device::tune).
    pub fn tune(&self, data: &Dataset, batch: usize, tune: Tune<'_>) -> Result<Tuning> {
        self.training_graph(data, batch)?.tune(self.device(), tune)
    }

    /// The graph of a training step for a batch size, as [`fit`](Self::fit) compiles it.
    ///
    /// # Errors
    /// A data set that is empty or lacks a column.
    pub fn training_graph(&self, data: &Dataset, batch: usize) -> Result<Graph> {
        self.check(data)?;
        self.step_graph(data, &Resident::of(data), batch)
    }

    pub(super) fn step_graph(&self, data: &Dataset, resident: &Resident, batch: usize) -> Result<Graph> {
        let Forward { graph: g, loss, .. } = self.forward(data, resident, batch, Mode::Training)?;
        self.minimized(&g, &loss);
        Ok(g)
    }

    /// The update of the parameters.
    pub(super) fn minimized(&self, g: &Graph, loss: &Tensor) {
        let mut minimize = g.minimize(loss, Arc::clone(&self.optimizer));
        if let Some(norm) = self.clip_norm {
            minimize = minimize.clip_norm(norm);
        }
        if let Some(scale) = self.loss_scale_of(g) {
            minimize = minimize.loss_scale(scale);
        }
        if let Some(change) = &self.minimizing {
            minimize = change(minimize);
        }
        {
            let _layer = g.in_layer("optimizer");
            minimize.build();
        }
    }
}
