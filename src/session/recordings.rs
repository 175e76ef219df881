//! Steps that were recorded into an application's encoder. They are counted when they are recorded, since their numbers go into the
//! recording; one that is dropped without being submitted is uncounted.
//!
//! The application decides when a recording is submitted, and the GPU does things in the order in which they are submitted. So each has
//! its turn, whose end the GPU tells: a turn that ends after a later one was out of order, and one that has not ended where everything
//! that was submitted has, was not submitted yet.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Session;
use crate::device::Device;
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
    turns: u64,
    order: Arc<Mutex<Order>>,
}

/// Turns that have not ended.
#[derive(Default)]
struct Order {
    open: BTreeSet<u64>,
    /// The latest of those that the GPU has done, and whether it did one after a later one.
    latest: u64,
    is_broken: bool,
}

/// Belongs to what is submitted, by the application or by the session.
pub(super) struct Turn {
    number: u64,
    is_done: bool,
    order: Arc<Mutex<Order>>,
}

impl Turn {
    /// The GPU has done it.
    pub(super) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut order = lock(&self.order);
        order.open.remove(&self.number);
        if self.is_done {
            order.is_broken |= self.number < order.latest;
            order.latest = order.latest.max(self.number);
        }
    }
}

/// Recordings that may not be submitted yet, where something that comes after them is read.
pub(super) struct Before {
    turns: u64,
    order: Arc<Mutex<Order>>,
    device: Device,
}

impl Before {
    fn is_left(&self) -> bool {
        lock(&self.order).open.range(..=self.turns).next().is_some()
    }

    /// # Errors
    /// Where one of them was not submitted, so that what was read is of before it.
    pub(super) async fn check(&self) -> Result<()> {
        if !self.is_left() {
            return Ok(());
        }
        // What was submitted is done then.
        self.device.idle_async().await?;
        if !self.is_left() {
            return Ok(());
        }
        Err(Error::Argument(
            "a recorded run was not submitted yet, so that there is nothing of it to be read; submit the encoder that it was recorded \
             into first, or drop it"
                .into(),
        ))
    }
}

/// Belongs to the recording of a part of a step.
pub(super) struct PartFate {
    is_submitted: bool,
    lost: Arc<AtomicBool>,
    turn: Option<Turn>,
}

impl PartFate {
    /// The part took place.
    pub(super) fn submitted(mut self) {
        self.is_submitted = true;
        self.turn.take().into_iter().for_each(Turn::done);
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
    turn: Option<Turn>,
}

impl Fate {
    /// The recording took place.
    pub(super) fn submitted(mut self) {
        self.recording = None;
        self.turn.take().into_iter().for_each(Turn::done);
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

    /// What belongs to the recording of a run; of one that was counted, the last, with the optimizers that counted it.
    pub(super) fn fate(&mut self, optimizers: Option<Vec<usize>>) -> Fate {
        Fate {
            recording: optimizers.map(|optimizers| (self.counted, optimizers)),
            dropped: Arc::clone(&self.dropped),
            turn: Some(self.turn()),
        }
    }

    /// What belongs to the recording of a part.
    pub(super) fn part(&mut self) -> PartFate {
        PartFate { is_submitted: false, lost: Arc::clone(&self.lost_part), turn: Some(self.turn()) }
    }

    fn turn(&mut self) -> Turn {
        self.turns += 1;
        lock(&self.order).open.insert(self.turns);
        Turn { number: self.turns, is_done: false, order: Arc::clone(&self.order) }
    }

    /// The turn of what the session submits itself, where recordings before it may not be submitted yet.
    pub(super) fn own_turn(&mut self) -> Option<Turn> {
        let is_alone = lock(&self.order).open.is_empty();
        (!is_alone).then(|| self.turn())
    }

    /// Those that may not be submitted yet.
    pub(super) fn before(&self, device: &Device) -> Option<Before> {
        let is_alone = lock(&self.order).open.is_empty();
        (!is_alone).then(|| Before { turns: self.turns, order: Arc::clone(&self.order), device: device.clone() })
    }

    /// Steps of dropped recordings that are not uncounted yet.
    pub(super) fn dropped(&self) -> Vec<Dropped> {
        lock(&self.dropped).clone()
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Sees to it that all recordings were submitted, before something is read on the host.
    ///
    /// # Errors
    /// Where one was not.
    pub(super) async fn submitted(&self) -> Result<()> {
        match self.recordings.before(&self.device) {
            Some(before) => before.check().await,
            None => Ok(()),
        }
    }

    /// Uncounts the recordings that were dropped.
    ///
    /// # Errors
    /// Where something was counted after one of them, so that it took place under a number that is too high; where recordings were
    /// submitted out of order. That is told once.
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
        if std::mem::take(&mut lock(&self.recordings.order).is_broken) {
            self.device.check()?;
            return Err(Error::Argument(
                "recorded runs were submitted in another order than they were made in, or after a run that the session submitted: \
                 each took the variables as another one left them; take up a saved state, and submit every encoder before the session \
                 does anything else"
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
