//! Losses in transfer from the device: training continues meanwhile.

use std::collections::VecDeque;

use super::checkpoint::Progress;
use super::feed::{Batch, Feed};
use super::fit::{Event, Fit};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::session::Capture;
use crate::tensor::TensorData;

/// Losses that may be in transfer before the loop waits for the oldest.
pub(super) const IN_FLIGHT: usize = 16;

/// What the examples of a data set weigh in mean losses.
pub(super) struct Weights(Option<Vec<f64>>);

impl Weights {
    pub(super) fn of_targets(loss: &dyn Loss, targets: &TensorData) -> Self {
        Self(loss.example_weights(targets))
    }

    /// What a batch weighs.
    pub(super) fn of(&self, batch: &[usize]) -> f64 {
        match &self.0 {
            Some(weights) => batch.iter().filter_map(|&example| weights.get(example)).sum(),
            None => batch.len() as f64,
        }
    }

    /// What all examples weigh.
    pub(super) fn of_all(&self, examples: usize) -> f64 {
        self.0.as_ref().map_or(examples as f64, |weights| weights.iter().sum())
    }
}

/// A loss in transfer.
pub(super) struct Arriving {
    pub(super) step: u64,
    pub(super) learning_rate: f64,
    pub(super) batch: Batch,
    pub(super) weight: f64,
    pub(super) capture: Capture,
}

/// Takes in the oldest loss.
pub(super) async fn arrive(
    pending: &mut VecDeque<Arriving>,
    fit: &mut Fit<'_>,
    progress: &mut Progress,
    from: (&Feed<'_>, &[String]),
) -> Result<()> {
    let Some(Arriving { step, learning_rate, batch, weight, capture }) = pending.pop_front() else { return Ok(()) };
    let values = capture.arrive().await?;
    let loss = values.first().map_or(Ok(f64::NAN), TensorData::item)?;
    // A batch of which nothing counts has no mean, and changes nothing.
    if weight > 0.0 {
        if !loss.is_finite() {
            return Err(diverged(step, loss, learning_rate, &batch, from));
        }
        progress.loss_sum += loss * weight;
        progress.weight += weight;
    }
    let examples = batch.len();
    progress.history.stopped |= fit.tell(&Event::Step { step, loss, learning_rate, examples })?;
    Ok(())
}

fn diverged(step: u64, loss: f64, learning_rate: f64, batch: &Batch, from: (&Feed<'_>, &[String])) -> Error {
    let (feed, inputs) = from;
    let every: Vec<usize>;
    let (data, examples) = match (batch, feed) {
        (Batch::Resident(examples), Feed::Resident { data, .. }) => (Some(*data), examples),
        (Batch::Streamed(data), _) => {
            every = (0..data.len()).collect();
            (Some(data), &every)
        }
        (Batch::Resident(examples), Feed::Streamed(_)) => (None, examples),
    };
    let mut columns = inputs.iter().filter_map(|name| data?.column(name).ok());
    let found = columns.find_map(|x| infinite(x, examples));
    Error::Data(match found {
        Some((example, value)) => {
            let of = if matches!(batch, Batch::Streamed(_)) { " of its batch" } else { "" };
            format!(
                "the loss of step {step} is {loss}: the inputs of example {example}{of} have a value that is {value}"
            )
        }
        None => format!(
            "the loss of step {step} is {loss}: training has diverged; try a lower learning rate than {learning_rate}, or clip gradients"
        ),
    })
}

/// The first of some examples with a value that is no finite number, and the value.
fn infinite(x: &TensorData, batch: &[usize]) -> Option<(usize, f64)> {
    if !x.dtype().is_float() {
        return None;
    }
    let values = x.to_f64_vec();
    let row = values.len() / x.shape().first().copied().unwrap_or(1).max(1);
    batch.iter().find_map(|&example| {
        let values = values.get(example * row..(example + 1) * row)?;
        values.iter().find(|value| !value.is_finite()).map(|&value| (example, value))
    })
}
