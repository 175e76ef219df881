//! Losses on their way from the device: training goes on while they come.

use std::collections::VecDeque;

use super::checkpoint::Progress;
use super::fit::{Event, Fit};
use crate::error::{Error, Result};
use crate::session::Capture;
use crate::tensor::TensorData;

/// Losses that may be on their way before the loop waits for the oldest.
pub(super) const IN_FLIGHT: usize = 16;

/// A loss on its way.
pub(super) struct Arriving {
    pub(super) step: u64,
    pub(super) learning_rate: f64,
    pub(super) examples: usize,
    pub(super) capture: Capture,
}

/// Takes in the oldest loss.
pub(super) fn arrive(pending: &mut VecDeque<Arriving>, fit: &mut Fit<'_>, progress: &mut Progress) -> Result<()> {
    let Some(Arriving { step, learning_rate, examples, capture }) = pending.pop_front() else { return Ok(()) };
    let values = capture.wait()?;
    let loss = values.first().map_or(Ok(f64::NAN), TensorData::item)?;
    if !loss.is_finite() {
        return Err(Error::Data(format!(
            "the loss of step {step} is {loss}: training has diverged; try a lower learning rate than {learning_rate}, or clip gradients"
        )));
    }
    progress.loss_sum += loss * examples as f64;
    progress.examples += examples as u64;
    progress.history.stopped |= fit.tell(&Event::Step { step, loss, learning_rate, examples })?;
    Ok(())
}
