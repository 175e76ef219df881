//! How a run is asked for, and what it tells while it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::checkpoints::Checkpoints;
use super::history::{EpochRecord, History};
use crate::data::Examples;
use crate::error::Result;
use crate::optim::schedule::{Constant, Schedule};
use crate::session::Session;

/// What happens during a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The training program is compiled; the run begins (or continues) after this step.
    Start {
        /// Steps done before.
        step: u64,
        /// Steps that the whole run will have done; `None` where it ends with a stream.
        total_steps: Option<u64>,
    },
    /// A step's loss has arrived. Losses are read without holding the device up, so this comes a few steps late.
    Step {
        /// Number of the step, from 1 on.
        step: u64,
        /// Its mean loss.
        loss: f64,
        /// The learning rate that it used.
        learning_rate: f64,
        /// Examples in it.
        examples: usize,
    },
    /// An epoch is done, validation included.
    Epoch(EpochRecord),
}

/// What a callback wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// End the run; what was learned stays.
    Stop,
}

/// Sees every event of a run. Closures are callbacks.
pub trait Callback {
    /// Called for each event, in order.
    ///
    /// # Errors
    /// An error ends the run and is returned from `fit`.
    fn on_event(&mut self, event: &Event) -> Result<Control>;

    /// Called after each epoch, after its event, with the session: to run a program of one's own with what was learned so far, or
    /// to look at parameters. What changes them, or counts steps, changes the run.
    ///
    /// # Errors
    /// As for [`on_event`](Self::on_event).
    fn after_epoch(&mut self, session: &mut Session, record: &EpochRecord) -> Result<()> {
        let _ = (session, record);
        Ok(())
    }
}

impl<F: FnMut(&Event) -> Result<Control>> Callback for F {
    fn on_event(&mut self, event: &Event) -> Result<Control> {
        self(event)
    }
}

/// Ends a run when a validation value (or the training loss) has not improved for some epochs.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: String,
    higher_is_better: bool,
    patience: u64,
    minimum_change: f64,
    best: Option<f64>,
    waited: u64,
}

impl EarlyStopping {
    /// Watches a value for which smaller is better: `loss` (validation) or `train_loss`. The run ends after `patience` epochs in a row
    /// without improvement. A value that epochs do not report is an error of `fit`.
    pub fn lowest(monitor: impl Into<String>, patience: u64) -> Self {
        Self { monitor: monitor.into(), higher_is_better: false, patience, minimum_change: 0.0, best: None, waited: 0 }
    }

    /// As [`lowest`](Self::lowest), for a value for which larger is better: `accuracy`.
    pub fn highest(monitor: impl Into<String>, patience: u64) -> Self {
        Self { higher_is_better: true, ..Self::lowest(monitor, patience) }
    }

    /// Changes smaller than this are no improvement.
    #[must_use]
    pub fn minimum_change(mut self, change: f64) -> Self {
        self.minimum_change = change;
        self
    }
}

impl Callback for EarlyStopping {
    fn on_event(&mut self, event: &Event) -> Result<Control> {
        let Event::Epoch(record) = event else { return Ok(Control::Continue) };
        let value =
            if self.monitor == "train_loss" { Some(record.train_loss) } else { record.validation(&self.monitor) };
        let Some(value) = value else {
            let known: Vec<&str> = record.validation.iter().map(|(name, _)| name.as_str()).collect();
            return Err(crate::Error::Argument(format!(
                "early stopping watches {:?}, but an epoch reports train_loss and {known:?}",
                self.monitor
            )));
        };
        let better = self.best.is_none_or(|best| {
            if self.higher_is_better { value > best + self.minimum_change } else { value < best - self.minimum_change }
        });
        if better {
            self.best = Some(value);
            self.waited = 0;
        } else {
            self.waited += 1;
        }
        Ok(if self.waited >= self.patience.max(1) { Control::Stop } else { Control::Continue })
    }
}

/// How to train: a builder for [`Trainer::fit`](super::Trainer::fit).
pub struct Fit<'a> {
    pub(crate) epochs: u64,
    pub(crate) steps: Option<u64>,
    pub(crate) batch_size: usize,
    pub(crate) drop_last: bool,
    pub(crate) shuffle: bool,
    pub(crate) validation: Option<Examples<'a>>,
    pub(crate) schedule: Arc<dyn Schedule>,
    pub(crate) callbacks: Vec<&'a mut dyn Callback>,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) stop: Option<Arc<AtomicBool>>,
}

impl<'a> Fit<'a> {
    /// A run of this number of passes over the training data, by default in batches of 32, shuffled anew each time.
    pub fn epochs(epochs: u64) -> Self {
        Self {
            epochs,
            steps: None,
            batch_size: 32,
            drop_last: false,
            shuffle: true,
            validation: None,
            schedule: Arc::new(Constant),
            callbacks: Vec::new(),
            checkpoints: None,
            stop: None,
        }
    }

    /// Ends after `steps` steps in all, or after the epochs, whichever comes first.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Examples in a batch.
    #[must_use]
    pub fn batch_size(mut self, examples: usize) -> Self {
        self.batch_size = examples;
        self
    }

    /// Leaves out the last batch of an epoch where it is smaller than the others; otherwise it is trained on too.
    #[must_use]
    pub fn drop_last(mut self, drop: bool) -> Self {
        self.drop_last = drop;
        self
    }

    /// Whether a data set is shuffled anew in each epoch, as by default; else every epoch has the data's own order. A stream has its order
    /// from [`Stream::shuffle`](crate::data::Stream::shuffle) alone.
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Data to measure loss and metrics on after each epoch: a data set, or a stream.
    #[must_use]
    pub fn validate(mut self, data: impl Into<Examples<'a>>) -> Self {
        self.validation = Some(data.into());
        self
    }

    /// How the learning rate changes from step to step; by default it is constant.
    #[must_use]
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Arc::new(schedule);
        self
    }

    /// Something that receives the events; several are called in the order given.
    #[must_use]
    pub fn callback(mut self, callback: &'a mut dyn Callback) -> Self {
        self.callbacks.push(callback);
        self
    }

    /// Saves the run as it proceeds.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Ends the run cleanly, with a checkpoint, soon after the flag is set: for signals.
    #[must_use]
    pub fn stop_when(mut self, flag: Arc<AtomicBool>) -> Self {
        self.stop = Some(flag);
        self
    }

    /// Tells every callback; true where one wants to stop.
    pub(crate) fn tell(&mut self, event: &Event) -> Result<bool> {
        let mut stop = false;
        for callback in &mut self.callbacks {
            stop |= callback.on_event(event)? == Control::Stop;
        }
        Ok(stop)
    }

    /// Shows every callback the session.
    pub(crate) fn show(&mut self, session: &mut Session, record: &EpochRecord) -> Result<()> {
        self.callbacks.iter_mut().try_for_each(|callback| callback.after_epoch(session, record))
    }

    pub(crate) fn is_stopped(&self, history: &History) -> bool {
        history.stopped || self.stop.as_ref().is_some_and(|flag| flag.load(std::sync::atomic::Ordering::Relaxed))
    }
}
