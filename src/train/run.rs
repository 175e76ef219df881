//! The loop: batches in, losses out, validation after each epoch, checkpoints in between.

use crate::clock::Instant;
use std::collections::VecDeque;

use super::arriving::{Arriving, IN_FLIGHT, Weights, arrive};
use super::carried;
use super::checkpoint::{self, Batches, Progress};
use super::feed::{Batch, Feed, Material, StreamBatches};
use super::fit::{Event, Fit};
use super::history::{EpochRecord, History};
use super::resident::{INDEX, Resident, index_of};
use super::trainer::{Trainer, uncompiled};
use crate::data::{Cut, Dataset, Examples};
use crate::error::{Error, Result, counted};
use crate::nn::Mode;
use crate::optim::schedule::Scheduler;
use crate::session::Capture;
use crate::waiting::block_on;

impl Trainer {
    /// Trains on the columns `x` and `y` of a data set (or as [`with_inputs`](Self::with_inputs) and [`target`](Self::target) say), whose
    /// first axes count examples, or of a [`Stream`](crate::data::Stream) of such examples: `fit(&data, …)`, `fit(&mut stream, …)`.
    ///
    /// A stream that fails ends the run, with a checkpoint of what was done before, where there are [`Fit::checkpoints`].
    ///
    /// # Errors
    /// Data that does not fit the model or the options; a loss that is no longer finite; a checkpoint of another model or
    /// that cannot be written; a stream that fails; a device that fails; whatever a callback returns. What was learned up to then stays.
    pub fn fit<'data>(&mut self, data: impl Into<Examples<'data>>, fit: Fit<'_>) -> Result<History> {
        block_on(self.fit_async(data, fit))
    }

    /// As [`fit`](Self::fit), without blocking: an application's or a page's other tasks go on while steps, and the batches of a stream,
    /// are awaited. A page has no threads: there, a stream is read a batch at a time, when it is that batch's turn.
    ///
    /// # Errors
    /// As there.
    pub async fn fit_async<'data>(&mut self, data: impl Into<Examples<'data>>, fit: Fit<'_>) -> Result<History> {
        match data.into() {
            Examples::Dataset(data) => {
                self.check(data)?;
                if fit.batch_size == 0 || fit.batch_size > data.len() {
                    let message = format!(
                        "a batch of {} cannot be taken from {}",
                        fit.batch_size,
                        counted(data.len(), "training example")
                    );
                    return Err(Error::Argument(message));
                }
                self.fit_material(Material::Resident(data, Resident::of(data)), fit).await
            }
            Examples::Stream(_) if fit.batch_size == 0 => {
                Err(Error::Argument("a batch of 0 cannot be taken from a stream".into()))
            }
            Examples::Stream(stream) => self.fit_material(Material::Streamed(stream), fit).await,
        }
    }

    async fn fit_material(&mut self, mut material: Material<'_>, mut fit: Fit<'_>) -> Result<History> {
        let found = match &fit.checkpoints {
            Some(checkpoints) => checkpoints.open()?.map(|file| (checkpoints.clone(), file)),
            None => None,
        };
        let (first, batches, per_epoch) = match &mut material {
            Material::Resident(data, resident) => {
                let whole = data.len() / fit.batch_size;
                let ragged = !fit.drop_last && !data.len().is_multiple_of(fit.batch_size);
                let batches = Batches::new(fit.batch_size, fit.shuffle, fit.drop_last, data);
                let first = self.training_for(data, resident, fit.batch_size).await?;
                (first, batches, Some((whole + usize::from(ragged)) as u64))
            }
            Material::Streamed(stream) => {
                let first = self.training_on(stream, fit.batch_size).await?;
                (first, Batches::of_stream(fit.batch_size, fit.drop_last, stream), None)
            }
        };
        self.training = Some(first);
        if let Some(validation) = &mut fit.validation {
            self.compile_evaluation(validation).await?;
        }
        let mut scheduler = Scheduler::new(fit.schedule.clone(), self.optimizer.learning_rate())?;
        let mut progress =
            Progress { seed: self.seed, learning_rate: self.optimizer.learning_rate(), batches, ..Progress::default() };
        let mut resumed = None;
        if let Some((checkpoints, file)) = found {
            progress = checkpoint::load(&file, &checkpoints, self.open()?, progress)?;
            progress.check(&file, per_epoch)?;
            scheduler.restore(&progress.schedule)?;
            resumed = Some(progress.step);
        }
        let by_epochs = per_epoch.map(|steps| fit.epochs.saturating_mul(steps));
        let total = fit.steps.into_iter().chain(by_epochs).min();
        let total_steps = total.unwrap_or(u64::MAX);
        let begun = Event::Start { step: progress.step, total_steps: total };
        progress.history.stopped = fit.tell(&begun)?;
        while progress.epoch < fit.epochs && progress.step < total_steps && !fit.is_stopped(&progress.history) {
            let run = (&mut fit, &mut scheduler, &mut progress);
            match &mut material {
                Material::Resident(data, resident) => self.resident_epoch(data, resident, run, total_steps).await?,
                Material::Streamed(stream) => {
                    let cut = Cut {
                        seed: self.seed,
                        epoch: run.2.epoch,
                        size: run.0.batch_size,
                        drop_last: run.0.drop_last,
                        done: run.2.batch,
                    };
                    let feed = Feed::Streamed(StreamBatches::new(stream, cut)?);
                    self.epoch(feed, run, total_steps).await?;
                }
            }
        }
        progress.history.stopped |= fit.is_stopped(&progress.history);
        // A run that was finished before has nothing to save: the same state again would replace the one before it.
        if resumed == Some(progress.step) {
            return Ok(progress.history);
        }
        self.save_progress(&fit, &scheduler, &mut progress).await?;
        Ok(progress.history)
    }

    /// The rest of the epoch in progress of a data set.
    async fn resident_epoch(
        &mut self,
        data: &Dataset,
        resident: &Resident,
        run: Run<'_, '_>,
        total_steps: u64,
    ) -> Result<()> {
        let (fit, _, progress) = &run;
        let order: Vec<usize> =
            if fit.shuffle { data.epoch_order(self.seed, progress.epoch) } else { (0..data.len()).collect() };
        let batches = if fit.drop_last {
            data.full_batches(&order, fit.batch_size)
        } else {
            data.batches(&order, fit.batch_size)
        };
        let mut batches: Vec<Vec<usize>> = batches?.map(<[usize]>::to_vec).collect();
        batches.drain(..batches.len().min(progress.batch as usize));
        let weights = Weights::of_targets(&self.loss, data.column(&self.target)?);
        self.epoch(Feed::Resident { data, resident, weights, batches: batches.into_iter() }, run, total_steps).await
    }

    /// The rest of the epoch in progress.
    async fn epoch(&mut self, mut feed: Feed<'_>, run: Run<'_, '_>, total_steps: u64) -> Result<()> {
        let (fit, scheduler, progress) = run;
        if progress.batch == 0 {
            carried::begin_pass(self.open()?, Mode::Training)?;
        }
        let start = Instant::now();
        let mut trained = 0;
        let mut pending: VecDeque<Arriving> = VecDeque::new();
        let mut is_complete = false;
        let mut failure = None;
        loop {
            let next = match feed.ready() {
                Some(next) => next,
                // The device does what it has, and that is told while the stream is waited for.
                None => {
                    arrive_all(&mut pending, fit, progress, (&feed, self.network.names())).await?;
                    if fit.is_stopped(&progress.history) {
                        break;
                    }
                    feed.next().await
                }
            };
            let batch = match next {
                Ok(Some(batch)) => batch,
                Ok(None) => {
                    is_complete = true;
                    break;
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            let learning_rate = scheduler.learning_rate(progress.step);
            let capture = self.submit(&feed, &batch, learning_rate).await?;
            progress.step += 1;
            progress.batch += 1;
            trained += batch.len();
            let weight = match &batch {
                Batch::Resident(examples) => feed.weight(examples),
                Batch::Streamed(data) => self.weight(data)?,
            };
            pending.push_back(Arriving { step: progress.step, learning_rate, batch, weight, capture });
            while pending.len() > IN_FLIGHT {
                arrive(&mut pending, fit, progress, (&feed, self.network.names())).await?;
            }
            let due = fit.checkpoints.as_ref().and_then(|checkpoints| checkpoints.every_steps);
            if due.is_some_and(|steps| progress.step.is_multiple_of(steps)) && progress.step < total_steps {
                arrive_all(&mut pending, fit, progress, (&feed, self.network.names())).await?;
                self.save_progress(fit, scheduler, progress).await?;
            }
            if progress.step >= total_steps || fit.is_stopped(&progress.history) {
                break;
            }
        }
        arrive_all(&mut pending, fit, progress, (&feed, self.network.names())).await?;
        if let Some(error) = failure {
            self.save_progress(fit, scheduler, progress).await?;
            return Err(error);
        }
        is_complete |= feed.is_over(progress.step >= total_steps).await;
        if !is_complete && progress.step < total_steps {
            return Ok(());
        }
        if progress.batch == 0 {
            return Err(Error::Data(format!("the stream has no batch in epoch {}", progress.epoch + 1)));
        }
        drop(feed);
        let seconds = start.elapsed().as_secs_f64();
        let mut record = EpochRecord {
            epoch: progress.epoch + 1,
            step: progress.step,
            train_loss: progress.loss_sum / progress.weight,
            validation: Vec::new(),
            seconds,
            examples_per_second: trained as f64 / seconds.max(1e-9),
        };
        if let Some(validation) = &mut fit.validation {
            let evaluation = self.evaluate_on(validation).await?;
            record.validation = vec![("loss".to_owned(), evaluation.loss)];
            record.validation.extend(evaluation.metrics);
        }
        scheduler.observe(record.validation("loss").unwrap_or(record.train_loss));
        progress.history.epochs.push(record.clone());
        progress.history.stopped |= fit.tell(&Event::Epoch(record.clone()))?;
        fit.show(self.open()?, &record)?;
        if is_complete {
            progress.epoch += 1;
            (progress.batch, progress.loss_sum, progress.weight) = (0, 0.0, 0.0);
            if progress.epoch < fit.epochs && progress.step < total_steps {
                self.save_progress(fit, scheduler, progress).await?;
            }
        }
        Ok(())
    }

    /// A step on a batch, whose loss is read later.
    async fn submit(&mut self, feed: &Feed<'_>, batch: &Batch, learning_rate: f64) -> Result<Capture> {
        match (feed, batch) {
            (Feed::Resident { data, resident, .. }, Batch::Resident(examples)) => {
                let program = self.training_for(data, resident, examples.len()).await?;
                let index = index_of(examples)?;
                let mut session = self.open()?.using(&program);
                session.set_learning_rate(learning_rate)?;
                session.step_capture_async(&[(INDEX, &index)], &["loss"]).await
            }
            (_, Batch::Streamed(data)) => {
                let program = self.streamed_checked(data, Mode::Training).await?;
                let program = program.ok_or_else(|| Error::Limit("the training step takes too much memory".into()))?;
                let given = self.streamed_columns(data)?;
                let session = self.session.as_mut().ok_or_else(uncompiled)?;
                let mut session = session.using(&program);
                session.set_learning_rate(learning_rate)?;
                session.step_capture_async(&given, &["loss"]).await
            }
            (Feed::Streamed(_), Batch::Resident(_)) => {
                Err(Error::Argument("a stream has no examples on the device".into()))
            }
        }
    }

    async fn save_progress(&mut self, fit: &Fit<'_>, scheduler: &Scheduler, progress: &mut Progress) -> Result<()> {
        let Some(checkpoints) = &fit.checkpoints else { return Ok(()) };
        progress.schedule = scheduler.state();
        checkpoint::save(checkpoints, self.open()?, progress).await
    }
}

/// How a run goes, and where it is.
type Run<'a, 'fit> = (&'a mut Fit<'fit>, &'a mut Scheduler, &'a mut Progress);

/// Takes in all losses.
async fn arrive_all(
    pending: &mut VecDeque<Arriving>,
    fit: &mut Fit<'_>,
    progress: &mut Progress,
    from: (&Feed<'_>, &[String]),
) -> Result<()> {
    while !pending.is_empty() {
        arrive(pending, fit, progress, from).await?;
    }
    Ok(())
}
