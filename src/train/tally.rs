//! What an evaluation adds up over batches: the loss and the metrics.

use super::evaluation::Evaluation;
use crate::error::{Error, Result};
use crate::metrics::{Accumulate, Measure, Metric, Reading};
use crate::session::Outputs;
use crate::tensor::TensorData;

/// The output of an evaluation that holds something that a metric adds up.
pub(super) fn sum_of(metric: usize, number: usize) -> String {
    format!("metric.{metric}.{number}")
}

/// A loss and metrics over batches.
pub(super) struct Tally {
    reading: Reading,
    loss: f64,
    weight: f64,
    /// Of each metric, where it adds up predictions on the host.
    accumulators: Vec<Option<Box<dyn Accumulate>>>,
    /// Of each metric, what it adds up on the device.
    sums: Vec<Vec<f64>>,
}

impl Tally {
    pub(super) fn new(metrics: &[Box<dyn Metric>], reading: Reading) -> Self {
        let accumulators = metrics.iter().map(|metric| match metric.measure(reading) {
            Measure::Predictions(accumulator) => Some(accumulator),
            Measure::Sums(_) | Measure::Loss(_) => None,
        });
        Self {
            reading,
            loss: 0.0,
            weight: 0.0,
            accumulators: accumulators.collect(),
            sums: vec![Vec::new(); metrics.len()],
        }
    }

    /// Adds what the program returned for a batch that weighs so much in mean losses.
    pub(super) fn add(&mut self, outputs: &Outputs, weight: f64) -> Result<()> {
        if weight > 0.0 {
            let loss = outputs.get("loss").ok_or_else(|| Error::Data("the program has no loss".into()))?;
            self.loss += loss.item()? * weight;
            self.weight += weight;
        }
        for (index, sums) in self.sums.iter_mut().enumerate() {
            let parts = (0..).map_while(|number| outputs.get(&sum_of(index, number)));
            let added: Vec<f64> = parts.flat_map(TensorData::to_f64_vec).collect();
            sums.resize(added.len(), 0.0);
            sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
        }
        Ok(())
    }

    /// Adds predictions, where a metric reads them.
    pub(super) fn predictions(&mut self, predictions: &TensorData, targets: &TensorData) -> Result<()> {
        let mut accumulators = self.accumulators.iter_mut().flatten();
        accumulators.try_for_each(|accumulator| accumulator.update(predictions, targets))
    }

    /// What it came to.
    pub(super) fn result(self, metrics: &[Box<dyn Metric>], predictions: TensorData) -> Evaluation {
        let loss = self.loss / self.weight;
        let values =
            metrics.iter().zip(self.accumulators.iter().zip(&self.sums)).filter_map(|(metric, (host, sums))| {
                let value = match (metric.measure(self.reading), host) {
                    (_, Some(accumulator)) => accumulator.value(),
                    (Measure::Sums(metric), None) => metric.result(sums),
                    (Measure::Loss(of), None) => Some(of(loss)),
                    (Measure::Predictions(_), None) => None,
                };
                Some((metric.name(), value?))
            });
        Evaluation { loss, metrics: values.collect(), predictions }
    }
}
