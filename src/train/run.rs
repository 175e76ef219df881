//! The loop: batches in, losses out, validation after each epoch, checkpoints in between.

use std::collections::VecDeque;
use std::time::Instant;

use super::arriving::{Arriving, IN_FLIGHT, Weights, arrive};
use super::carried;
use super::checkpoint::{self, Batches, Progress};
use super::fit::{Event, Fit};
use super::history::{EpochRecord, History};
use super::resident::{INDEX, Resident, index_of};
use super::trainer::{Trainer, Y};
use crate::data::Dataset;
use crate::error::{Error, Result, counted};
use crate::nn::Mode;
use crate::optim::schedule::Scheduler;

impl Trainer {
    /// Trains on the columns `x` and `y` of a data set, whose first axes count examples.
    ///
    /// # Errors
    /// Data that does not fit the model or the options; a loss that is no longer finite; a checkpoint of another model or
    /// that cannot be written; a device that fails; whatever a callback returns. What was learned up to then stays.
    pub fn fit(&mut self, data: &Dataset, mut fit: Fit<'_>) -> Result<History> {
        Self::check(data)?;
        if fit.batch_size == 0 || fit.batch_size > data.len() {
            let message = format!(
                "a batch of {} cannot be taken from {}",
                fit.batch_size,
                counted(data.len(), "training example")
            );
            return Err(Error::Argument(message));
        }
        let found = match &fit.checkpoints {
            Some(checkpoints) => checkpoints.open()?.map(|file| (checkpoints.clone(), file)),
            None => None,
        };
        let resident = Resident::of(data);
        let first = self.training_for(data, &resident, fit.batch_size)?;
        self.training = Some(first);
        if let Some(validation) = fit.validation {
            self.compile_evaluation(validation)?;
        }
        let mut scheduler = Scheduler::new(fit.schedule.clone(), self.optimizer.learning_rate())?;
        let mut progress = Progress {
            seed: self.seed,
            learning_rate: self.optimizer.learning_rate(),
            batches: Batches::new(fit.batch_size, fit.shuffle, fit.drop_last, data),
            ..Progress::default()
        };
        let whole = data.len() / fit.batch_size;
        let ragged = !fit.drop_last && !data.len().is_multiple_of(fit.batch_size);
        let per_epoch = (whole + usize::from(ragged)) as u64;
        let mut resumed = None;
        if let Some((checkpoints, file)) = found {
            progress = checkpoint::load(&file, &checkpoints, self.open()?, progress)?;
            progress.check(&file, per_epoch)?;
            scheduler.restore(&progress.schedule)?;
            resumed = Some(progress.step);
        }
        let total_steps = fit.steps.unwrap_or(u64::MAX).min(fit.epochs.saturating_mul(per_epoch));
        let begun = Event::Start { step: progress.step, total_steps };
        progress.history.stopped = fit.tell(&begun)?;
        while progress.epoch < fit.epochs && progress.step < total_steps && !fit.is_stopped(&progress.history) {
            self.epoch(data, &resident, &mut fit, &mut scheduler, &mut progress, total_steps)?;
        }
        progress.history.stopped |= fit.is_stopped(&progress.history);
        // A run that was finished before has nothing to save: the same state again would replace the one before it.
        if resumed == Some(progress.step) {
            return Ok(progress.history);
        }
        self.save_progress(&fit, &scheduler, &mut progress)?;
        Ok(progress.history)
    }

    /// The rest of the epoch in progress.
    fn epoch(
        &mut self,
        data: &Dataset,
        resident: &Resident,
        fit: &mut Fit<'_>,
        scheduler: &mut Scheduler,
        progress: &mut Progress,
        total_steps: u64,
    ) -> Result<()> {
        let order: Vec<usize> =
            if fit.shuffle { data.epoch_order(self.seed, progress.epoch) } else { (0..data.len()).collect() };
        let batches: Vec<Vec<usize>> =
            data.batches(&order, fit.batch_size, fit.drop_last)?.map(<[usize]>::to_vec).collect();
        if progress.batch == 0 {
            carried::begin_pass(self.open()?, Mode::Training)?;
        }
        let start = Instant::now();
        let mut trained = 0;
        let mut pending: VecDeque<Arriving> = VecDeque::new();
        let weights = Weights::of_targets(&self.loss, data.column(Y)?);
        for batch in batches.get(progress.batch as usize..).unwrap_or_default() {
            let id = self.training_for(data, resident, batch.len())?;
            let learning_rate = scheduler.learning_rate(progress.step);
            let index = index_of(batch)?;
            let session = self.open()?;
            session.set_learning_rate_of(id, learning_rate)?;
            let capture = session.step_capture(id, &[(INDEX, &index)], &["loss"])?;
            progress.step += 1;
            progress.batch += 1;
            trained += batch.len();
            let weight = weights.of(batch);
            pending.push_back(Arriving { step: progress.step, learning_rate, batch: batch.clone(), weight, capture });
            while pending.len() > IN_FLIGHT {
                arrive(&mut pending, fit, progress, data)?;
            }
            let due = fit.checkpoints.as_ref().and_then(|checkpoints| checkpoints.every_steps);
            if due.is_some_and(|steps| progress.step.is_multiple_of(steps)) && progress.step < total_steps {
                while !pending.is_empty() {
                    arrive(&mut pending, fit, progress, data)?;
                }
                self.save_progress(fit, scheduler, progress)?;
            }
            if progress.step >= total_steps || fit.is_stopped(&progress.history) {
                break;
            }
        }
        while !pending.is_empty() {
            arrive(&mut pending, fit, progress, data)?;
        }
        let complete = progress.batch as usize == batches.len();
        if !complete && progress.step < total_steps {
            return Ok(());
        }
        let seconds = start.elapsed().as_secs_f64();
        let mut record = EpochRecord {
            epoch: progress.epoch + 1,
            step: progress.step,
            train_loss: progress.loss_sum / progress.weight,
            validation: Vec::new(),
            seconds,
            examples_per_second: trained as f64 / seconds.max(1e-9),
        };
        if let Some(validation) = fit.validation {
            let evaluation = self.evaluate(validation)?;
            record.validation = vec![("loss".to_owned(), evaluation.loss)];
            record.validation.extend(evaluation.metrics);
        }
        scheduler.observe(record.validation("loss").unwrap_or(record.train_loss));
        progress.history.epochs.push(record.clone());
        progress.history.stopped |= fit.tell(&Event::Epoch(record.clone()))?;
        fit.show(self.open()?, &record)?;
        if complete {
            progress.epoch += 1;
            (progress.batch, progress.loss_sum, progress.weight) = (0, 0.0, 0.0);
            if progress.epoch < fit.epochs && progress.step < total_steps {
                self.save_progress(fit, scheduler, progress)?;
            }
        }
        Ok(())
    }

    fn save_progress(&mut self, fit: &Fit<'_>, scheduler: &Scheduler, progress: &mut Progress) -> Result<()> {
        let Some(checkpoints) = &fit.checkpoints else { return Ok(()) };
        progress.schedule = scheduler.state();
        checkpoint::save(checkpoints, self.open()?, progress)
    }
}
