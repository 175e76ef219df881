//! What a model is worth on some data.

use crate::tensor::TensorData;

/// Loss and metrics on some data.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// Metrics by name, in the order asked for; those that the data does not define are left out.
    pub metrics: Vec<(String, f64)>,
    /// The model's output for every example; `[0]` where it was not kept ([`Trainer::perplexity`](super::Trainer::perplexity)).
    pub predictions: TensorData,
}

impl Evaluation {
    /// A metric by name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}
