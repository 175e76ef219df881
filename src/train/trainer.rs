//! The loop: batches in, losses out, validation after each epoch, checkpoints on the way.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::arriving::{Arriving, IN_FLIGHT, Weights, arrive};
use super::carried;
use super::checkpoint::{self, Batches, Progress};
use super::fit::{Event, Fit};
use super::history::{EpochRecord, History};
use super::resident::{INDEX, Resident, index_of};
use crate::data::Dataset;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::loss::Loss;
use crate::metrics::Metric;
use crate::nn::{Mode, Model, Precision};
use crate::optim::schedule::Scheduler;
use crate::optim::{LossScale, Minimize, Optimizer};
use crate::session::{ProgramId, Session};
use crate::tensor::{DType, TensorData};

/// The columns of a data set that a trainer uses: what goes in and what should come out.
pub(super) const X: &str = "x";
pub(super) const Y: &str = "y";

/// Examples of an evaluation batch.
const EVALUATION_BATCH: usize = 512;

type Prepare = dyn Fn(&Tensor, Mode) -> Tensor + Send + Sync;

type Minimizing = dyn Fn(Minimize) -> Minimize + Send + Sync;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Use {
    Train(Resident, usize),
    Evaluate(Resident, usize),
    Predict(DType, Vec<usize>),
    InputGradient(DType, Vec<usize>),
}

/// A model with its loss, optimizer and metrics on a device: trains, measures, predicts, saves.
///
/// ```
/// use wgrad::data::Dataset;
/// use wgrad::prelude::*;
/// # let x: Vec<f32> = (0..200).map(|k| k as f32 / 100.0 - 1.0).collect();
/// # let y: Vec<f32> = x.iter().map(|x| if *x > 0.2 { 1.0 } else { 0.0 }).collect();
/// let data = Dataset::new([("x", TensorData::from_vec(x, [200, 1])?), ("y", TensorData::from_vec(y, [200, 1])?)])?;
/// let (train, test) = data.split(0.8, 0)?;
/// let model = Sequential::new([1]).dense(8).relu().dense(1).sigmoid();
/// let mut trainer = model.compile(&Device::cpu(), Adam::new(0.02), BinaryCrossEntropy, [Accuracy])?;
/// let history = trainer.fit(&train, Fit::epochs(20).batch_size(16).validate(&test))?;
/// assert!(history.epochs[19].validation("accuracy").unwrap() > 0.9);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Trainer {
    device: Device,
    model: Arc<dyn Model + Send + Sync>,
    pub(super) loss: Loss,
    pub(super) optimizer: Arc<dyn Optimizer + Send + Sync>,
    pub(super) metrics: Vec<Metric>,
    seed: u64,
    precision: Precision,
    pub(super) clip_norm: Option<f64>,
    pub(super) loss_scale: Option<LossScale>,
    pub(super) minimizing: Option<Arc<Minimizing>>,
    prepare: Option<Arc<Prepare>>,
    pub(super) evaluation_batch: usize,
    pub(super) perplexity: bool,
    pub(super) session: Option<Session>,
    /// Parameters that wait for the session.
    pub(super) loaded: Option<checkpoint::Loaded>,
    programs: HashMap<Use, ProgramId>,
    /// The program of the last run of `fit`, for those who inspect it.
    training: Option<ProgramId>,
}

impl Trainer {
    /// Puts the parts together. Nothing is compiled before the shapes are known from data.
    pub fn new(
        model: impl Model + Send + Sync + 'static,
        device: &Device,
        optimizer: impl Optimizer + Send + Sync + 'static,
        loss: impl Into<Loss>,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Self {
        Self {
            device: device.clone(),
            model: Arc::new(model),
            loss: loss.into(),
            optimizer: Arc::new(optimizer),
            metrics: metrics.into_iter().collect(),
            seed: 0,
            precision: Precision::F32,
            clip_norm: None,
            loss_scale: None,
            minimizing: None,
            prepare: None,
            evaluation_batch: EVALUATION_BATCH,
            perplexity: false,
            session: None,
            loaded: None,
            programs: HashMap::new(),
            training: None,
        }
    }

    /// The seed of first values, orders and draws; before anything is trained.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The type in which layers multiply. With f16, training wants a [`loss_scale`](Self::loss_scale) too.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Scales gradients down so that their common norm is at most this.
    #[must_use]
    pub fn clip_norm(mut self, norm: f64) -> Self {
        self.clip_norm = Some(norm);
        self
    }

    /// Multiplies the loss before it is differentiated, for models of [`Precision::F16`](crate::nn::Precision::F16).
    #[must_use]
    pub fn loss_scale(mut self, scale: impl Into<LossScale>) -> Self {
        self.loss_scale = Some(scale.into());
        self
    }

    /// Whatever else [`Minimize`] can do: gradients added up over several batches, clipped element by element, groups of
    /// parameters with learning rates or decays of their own. Called for each program that is compiled.
    ///
    /// ```
    /// # use wgrad::optim::Group;
    /// # use wgrad::prelude::*;
    /// # let model = Sequential::new([4]).dense(8).relu().dense(1);
    /// let trainer = model
    ///     .compile(&Device::cpu(), AdamW::new(1e-3), CrossEntropy, [])?
    ///     .minimize(|minimize| minimize.accumulate(4).group(Group::named("0.").frozen()));
    /// # let _ = trainer;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    pub fn minimize(mut self, change: impl Fn(Minimize) -> Minimize + Send + Sync + 'static) -> Self {
        self.minimizing = Some(Arc::new(change));
        self
    }

    /// Something done to each batch on the device before the model sees it: scaling, augmentation. Without it, u8 inputs
    /// are brought to 0…1 and others left as they are.
    #[must_use]
    pub fn prepare(mut self, prepare: impl Fn(&Tensor, Mode) -> Tensor + Send + Sync + 'static) -> Self {
        self.prepare = Some(Arc::new(prepare));
        self
    }

    /// Examples that [`evaluate`](Self::evaluate) takes at a time, in place of 512: fewer take less memory.
    #[must_use]
    pub fn evaluation_batch(mut self, examples: usize) -> Self {
        self.evaluation_batch = examples;
        self
    }

    /// Measures perplexity too, e to the mean loss, as is usual for the cross-entropy of texts. Where no other metric was asked for,
    /// predictions are not read: there are as many numbers as the text has places, times the vocabulary.
    #[must_use]
    pub fn perplexity(mut self) -> Self {
        self.perplexity = true;
        self
    }

    /// The session, once something was compiled.
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// The session, to look at or change parameters.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// The training program of the last `fit`, once there was one.
    pub fn training_program(&self) -> Option<ProgramId> {
        self.training
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    pub(super) fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// Looks at the values of inputs, where the model sees them as they are.
    pub(super) fn check_input(&self, x: &TensorData) -> Result<()> {
        if self.prepare.is_some() { Ok(()) } else { self.model.check_input(x) }
    }

    pub(super) fn prepared(&self, x: &Tensor, mode: Mode) -> Tensor {
        match &self.prepare {
            Some(prepare) => prepare(x, mode),
            None if x.dtype() == DType::U8 => x.cast(DType::F32) * (1.0 / 255.0),
            None => x.clone(),
        }
    }

    /// Compiles a graph into the session, which is made with the first.
    fn load(&mut self, graph: &Graph) -> Result<ProgramId> {
        match &mut self.session {
            Some(session) => session.load(graph),
            none => {
                let mut session = Session::new(graph, &self.device, self.seed)?;
                if let Some(loaded) = &self.loaded {
                    loaded.give(&mut session)?;
                }
                *none = Some(session);
                self.loaded = None;
                Ok(ProgramId::FIRST)
            }
        }
    }

    /// The program of a use, which `write` puts into a graph the first time.
    pub(super) fn program(&mut self, key: Use, write: impl FnOnce(&Self, &Graph)) -> Result<ProgramId> {
        if let Some(&id) = self.programs.get(&key) {
            return Ok(id);
        }
        let g = Graph::new();
        g.set_precision(self.precision);
        write(self, &g);
        let id = self.load(&g)?;
        self.programs.insert(key, id);
        Ok(id)
    }

    pub(super) fn open(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(|| {
            Error::Argument("the model has not been compiled yet: fit, evaluate or predict first".into())
        })
    }

    pub(super) fn check(data: &Dataset) -> Result<()> {
        for name in [X, Y] {
            if data.column(name)?.is_empty() {
                return Err(Error::Data("the data set is empty".into()));
            }
        }
        Ok(())
    }

    /// The training program for a batch size; compiled the first time.
    ///
    /// # Errors
    /// The model's first mistake; what breaks a limit of the device.
    pub fn compile_training(&mut self, data: &Dataset, batch: usize) -> Result<ProgramId> {
        Self::check(data)?;
        self.training_for(data, &Resident::of(data), batch)
    }

    fn training_for(&mut self, data: &Dataset, resident: &Resident, batch: usize) -> Result<ProgramId> {
        let key = Use::Train(resident.clone(), batch);
        if let Some(&id) = self.programs.get(&key) {
            return Ok(id);
        }
        let g = self.step_graph(data, resident, batch)?;
        let id = self.load_with(&g, resident, data)?;
        self.programs.insert(key, id);
        Ok(id)
    }

    pub(super) fn evaluation_for(&mut self, data: &Dataset, resident: &Resident, batch: usize) -> Result<ProgramId> {
        let key = Use::Evaluate(resident.clone(), batch);
        if let Some(&id) = self.programs.get(&key) {
            return Ok(id);
        }
        let (g, prediction, loss) = self.forward(data, resident, batch, Mode::Evaluation)?;
        g.output("loss", &loss);
        if !self.perplexity || !self.metrics.is_empty() {
            g.output("prediction", &prediction.cast(DType::F32));
        }
        let id = self.load_with(&g, resident, data)?;
        self.programs.insert(key, id);
        Ok(id)
    }

    /// A graph with the model's prediction and its loss for a batch of a data set, which is looked at: every program for training
    /// or evaluation begins here, so that whatever is learned from or measured on was checked.
    pub(super) fn forward(
        &self,
        data: &Dataset,
        resident: &Resident,
        batch: usize,
        mode: Mode,
    ) -> Result<(Graph, Tensor, Tensor)> {
        let g = Graph::new();
        g.set_precision(self.precision);
        let index = g.input(INDEX, [batch], DType::I32);
        let x = resident.batch(&g, X, data.column(X)?, &index);
        let y = resident.batch(&g, Y, data.column(Y)?, &index);
        let prediction = self.model.forward(&g, &self.prepared(&x, mode), mode);
        let loss = self.loss.forward(&prediction, &y);
        if g.error().is_none() {
            self.check_input(data.column(X)?)?;
            self.loss.check_targets(&prediction.shape(), data.column(Y)?)?;
        }
        Ok((g, prediction, loss))
    }

    /// Compiles a graph that reads a data set, and brings the data to the device if it is not there.
    fn load_with(&mut self, graph: &Graph, resident: &Resident, data: &Dataset) -> Result<ProgramId> {
        let known = self.session.as_ref().is_some_and(|session| resident.is_known(session, data));
        let id = self.load(graph)?;
        if !known {
            resident.upload(self.open()?, data)?;
        }
        Ok(id)
    }

    /// Trains on the columns `x` and `y` of a data set, whose first axes count examples.
    ///
    /// # Errors
    /// Data that does not fit the model or the options; a loss that is no longer finite; a checkpoint of another model or
    /// that cannot be written; a device that fails; whatever a callback returns. What was learned up to then stays.
    pub fn fit(&mut self, data: &Dataset, mut fit: Fit<'_>) -> Result<History> {
        Self::check(data)?;
        if fit.batch_size == 0 || fit.batch_size > data.len() {
            let message =
                format!("a batch of {} cannot be taken from {} training examples", fit.batch_size, data.len());
            return Err(Error::Argument(message));
        }
        let found = match &fit.checkpoints {
            Some(checkpoints) => checkpoints.open()?.map(|file| (checkpoints.clone(), file)),
            None => None,
        };
        let resident = Resident::of(data);
        let first = self.training_for(data, &resident, fit.batch_size)?;
        self.training = Some(first);
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
        if let Some((checkpoints, file)) = found {
            progress = checkpoint::load(&file, &checkpoints, self.open()?, progress)?;
            progress.check(&file, per_epoch)?;
            scheduler.restore(&progress.schedule)?;
        }
        let total_steps = fit.steps.unwrap_or(u64::MAX).min(fit.epochs.saturating_mul(per_epoch));
        let begun = Event::Start { step: progress.step, total_steps };
        progress.history.stopped = fit.tell(&begun)?;
        while progress.epoch < fit.epochs && progress.step < total_steps && !fit.is_stopped(&progress.history) {
            self.epoch(data, &resident, &mut fit, &mut scheduler, &mut progress, total_steps)?;
        }
        progress.history.stopped |= fit.is_stopped(&progress.history);
        self.save_progress(&fit, &scheduler, &mut progress)?;
        Ok(progress.history)
    }

    /// The rest of the epoch under way.
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
