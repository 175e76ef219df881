//! What a model is worth on some data.

use std::fmt;

use super::arriving::Weights;
use super::carried;
use super::resident::{INDEX, Resident, index_of};
use super::tally::Tally;
use super::trainer::Trainer;
use crate::data::Examples;
use crate::error::Result;
use crate::metrics::Reading;
use crate::nn::Mode;
use crate::tensor::TensorData;
use crate::waiting::block_on;

/// Loss and metrics on some data.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss; NaN where no example counts.
    pub loss: f64,
    /// Metrics by name, in the order asked for; those that the data does not define are left out.
    pub metrics: Vec<(String, f64)>,
    /// The model's output for every example; `[0]` where it was not read, as of a stream, or where all metrics are computed on
    /// the device or from the loss.
    pub predictions: TensorData,
}

impl Evaluation {
    /// A metric by name; `None` where it was not asked for, or the data does not define it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// A line for each: loss, metrics, predictions.
///
/// ```
/// use wgrad::tensor::TensorData;
/// use wgrad::train::Evaluation;
/// let predictions = TensorData::from_vec(vec![0.5_f32, 0.25], [2, 1])?;
/// let evaluation = Evaluation { loss: 0.125, metrics: vec![("accuracy".into(), 1.0)], predictions };
/// assert_eq!(evaluation.to_string(), "loss         0.125\naccuracy     1.0\npredictions  f32[2, 1]\n[[0.5 ]\n [0.25]]");
/// # Ok::<(), wgrad::Error>(())
/// ```
impl fmt::Display for Evaluation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.metrics.iter().map(|(name, _)| name.chars().count());
        let width = names.chain(["predictions".len()]).max().unwrap_or(0);
        for (name, value) in
            std::iter::once(("loss", self.loss)).chain(self.metrics.iter().map(|(name, value)| (&**name, *value)))
        {
            writeln!(formatter, "{name:<width$}  {}", TensorData::scalar(value))?;
        }
        write!(formatter, "{:<width$}  {}", "predictions", self.predictions.ty())?;
        if self.predictions.is_empty() { Ok(()) } else { write!(formatter, "\n{}", self.predictions) }
    }
}

impl Trainer {
    /// Compiles what evaluates a data set, so that what is wrong with it is found before a run and not after its first epoch.
    pub(super) async fn compile_evaluation(&mut self, data: &mut Examples<'_>) -> Result<()> {
        let data = match data {
            Examples::Dataset(data) => *data,
            Examples::Stream(stream) => return self.compile_streamed_evaluation(stream).await,
        };
        self.check(data)?;
        let resident = Resident::of(data);
        loop {
            let batch = self.evaluation_batch.clamp(1, data.len());
            if self.evaluation_for(data, &resident, batch).await?.is_some() {
                return Ok(());
            }
            self.fewer(batch);
        }
    }

    /// Loss and metrics on a data set or a [`Stream`](crate::data::Stream), in [`Mode::Evaluation`]; of a data
    /// set also the predictions that they come from. The model takes as many examples at a time as
    /// [`evaluation_batch`](Self::evaluation_batch) says, or fewer where those would take too much memory. Labels that the loss
    /// ignores count for neither. A score of a loss of logits is taken for class 1 above 0, any other above 0.5.
    ///
    /// # Errors
    /// Data that does not fit the model, targets that do not fit the loss; a device that fails.
    pub fn evaluate<'data>(&mut self, data: impl Into<Examples<'data>>) -> Result<Evaluation> {
        block_on(self.evaluate_async(data))
    }

    /// As [`evaluate`](Self::evaluate), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn evaluate_async<'data>(&mut self, data: impl Into<Examples<'data>>) -> Result<Evaluation> {
        self.evaluate_on(&mut data.into()).await
    }

    pub(super) async fn evaluate_on(&mut self, data: &mut Examples<'_>) -> Result<Evaluation> {
        let data = match data {
            Examples::Dataset(data) => *data,
            Examples::Stream(stream) => return self.evaluate_stream(stream).await,
        };
        self.check(data)?;
        let resident = Resident::of(data);
        let targets = data.column(&self.target)?;
        let weights = Weights::of_targets(self.loss.as_ref(), targets);
        let mut batch = self.evaluation_batch.clamp(1, data.len());
        let mut tally = Tally::new(&self.metrics, Reading::of(self.loss.as_ref()));
        let mut rows: Vec<f32> = Vec::new();
        let mut shape = Vec::new();
        let order: Vec<usize> = (0..data.len()).collect();
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let (examples, others) = rest.split_at(batch.min(rest.len()));
            let Some(id) = self.evaluation_for(data, &resident, examples.len()).await? else {
                batch = self.fewer(examples.len());
                continue;
            };
            if rest.len() == data.len() {
                carried::begin_pass(self.open()?, Mode::Evaluation)?;
            }
            rest = others;
            let index = index_of(examples)?;
            let outputs = self.open()?.using(&id).run_async(&[(INDEX, &index)]).await?;
            tally.add(&outputs, weights.of(examples))?;
            if let Some(prediction) = outputs.get("prediction") {
                rows.extend_from_slice(prediction.as_slice::<f32>()?);
                shape = prediction.shape().to_vec();
            }
        }
        match shape.first_mut() {
            Some(count) => *count = data.len(),
            None => shape.push(0),
        }
        let predictions = TensorData::from_vec(rows, shape)?;
        tally.predictions(&predictions, targets)?;
        Ok(tally.result(&self.metrics, predictions))
    }
}
