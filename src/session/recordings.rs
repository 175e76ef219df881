//! Steps that were recorded into an application's encoder. They are counted when they are recorded, since their numbers go into the
//! recording; one that is dropped without being submitted is uncounted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Session;
use crate::error::{Error, Result};

/// A recording that never took place: its number among all that was counted, and the optimizers that counted it.
type Dropped = (u64, Vec<usize>);

/// What is known of a session's recordings.
#[derive(Default)]
pub(super) struct Recordings {
    /// Steps and recordings that were counted.
    counted: u64,
    dropped: Arc<Mutex<Vec<Dropped>>>,
    /// Whether a part of a step was dropped.
    lost_part: Arc<AtomicBool>,
}

/// Belongs to the recording of a part of a step.
pub(super) struct PartFate {
    is_submitted: bool,
    lost: Arc<AtomicBool>,
}

impl PartFate {
    /// The part took place.
    pub(super) fn submitted(mut self) {
        self.is_submitted = true;
    }
}

impl Drop for PartFate {
    fn drop(&mut self) {
        if !self.is_submitted {
            self.lost.store(true, Ordering::Release);
        }
    }
}

/// Belongs to a recording: it is dropped together with it, or told that it was submitted and is done.
pub(super) struct Fate {
    recording: Option<Dropped>,
    dropped: Arc<Mutex<Vec<Dropped>>>,
}

impl Fate {
    /// The recording took place.
    pub(super) fn submitted(mut self) {
        self.recording = None;
    }
}

impl Drop for Fate {
    fn drop(&mut self) {
        if let Some(recording) = self.recording.take() {
            lock(&self.dropped).push(recording);
        }
    }
}

impl Recordings {
    /// Something was counted.
    pub(super) fn count(&mut self) {
        self.counted += 1;
    }

    /// What belongs to the recording that was counted last.
    pub(super) fn fate(&self, optimizers: Vec<usize>) -> Fate {
        Fate { recording: Some((self.counted, optimizers)), dropped: Arc::clone(&self.dropped) }
    }

    /// What belongs to the recording of a part.
    pub(super) fn part(&self) -> PartFate {
        PartFate { is_submitted: false, lost: Arc::clone(&self.lost_part) }
    }

    /// Steps of dropped recordings that are not uncounted yet.
    pub(super) fn dropped(&self) -> Vec<Dropped> {
        lock(&self.dropped).clone()
    }
}

fn lock(dropped: &Mutex<Vec<Dropped>>) -> MutexGuard<'_, Vec<Dropped>> {
    dropped.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Uncounts the recordings that were dropped.
    ///
    /// # Errors
    /// Where something was counted after one of them, so that it took place under a number that is too high. That is told once.
    pub(super) fn settle(&mut self) -> Result<()> {
        if self.recordings.lost_part.swap(false, Ordering::AcqRel) {
            self.in_progress = None;
            // A device that goes away drops everything.
            self.device.check()?;
            return Err(Error::Argument(
                "a part of a training step was dropped without being submitted, so that the step is not what it should be: variables \
                 may have been updated in part; take up a saved state, and submit every encoder that `record_some` recorded into"
                    .into(),
            ));
        }
        let mut dropped = std::mem::take(&mut *lock(&self.recordings.dropped));
        // The last one first.
        dropped.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let mut is_late = false;
        for (number, optimizers) in dropped {
            is_late |= number != self.recordings.counted;
            self.recordings.counted -= 1;
            self.step -= 1;
            self.optimizers.uncount(&optimizers);
        }
        if is_late {
            return Err(Error::Argument(
                "a recorded training step was dropped without being submitted after later steps had been counted, so that these \
                 took place with the numbers (of bias corrections and schedules) of the step after; submit recordings in the order in \
                 which they were made, and drop none but the last"
                    .into(),
            ));
        }
        Ok(())
    }
}
