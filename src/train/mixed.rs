//! Mixed precision of a trainer.

use super::Trainer;
use crate::graph::Graph;
use crate::nn::Precision;
use crate::optim::LossScale;

impl Trainer {
    /// Mixed precision: layers multiply in 16 bits and save what the backward pass needs in 16 bits, while parameters, optimizer and sums
    /// stay f32 (see [`Precision`]). [`Precision::Auto`] takes the type that suits the device ([`Precision::on`]). With f16, the loss is
    /// scaled by itself ([`LossScale::dynamic`]) where no [`loss_scale`](Self::loss_scale) is given, and a step whose gradients overflow
    /// leaves no trace but a smaller scale. Predictions are f32: the model's last rounding is left out.
    ///
    /// ```
    /// use wgrad::data::Dataset;
    /// use wgrad::prelude::*;
    /// # let x: Vec<f32> = (0..400).map(|k| (k * k % 97) as f32 / 48.5 - 1.0).collect();
    /// # let y: Vec<i32> = (0..100).map(|k| i32::from(x[4 * k] > 0.0)).collect();
    /// let data = Dataset::new([("x", TensorData::from_vec(x, [100, 4])?), ("y", TensorData::from_vec(y, [100])?)])?;
    /// let model = Sequential::new([4]).dense(32).relu().dense(2);
    /// let mut trainer = model
    ///     .compile(&Device::cpu(), Adam::new(0.02), CrossEntropy, [Accuracy])?
    ///     .precision(Precision::Auto);
    /// let history = trainer.fit(&data, Fit::epochs(20).batch_size(20).validate(&data))?;
    /// assert!(history.epochs[19].validation("accuracy").unwrap() > 0.9);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Multiplies the loss before it is differentiated, for models of [`Precision::F16`](crate::nn::Precision::F16), which have
    /// [`LossScale::dynamic`] otherwise.
    #[must_use]
    pub fn loss_scale(mut self, scale: impl Into<LossScale>) -> Self {
        self.loss_scale = Some(scale.into());
        self
    }

    /// The loss scale of a graph that trains.
    pub(super) fn loss_scale_of(&self, g: &Graph) -> Option<LossScale> {
        self.loss_scale.or_else(|| (g.precision() == Precision::F16).then(LossScale::dynamic))
    }
}
