//! A model with its loss, optimizer and metrics, and the programs that they become.

use std::fmt;
use std::sync::Arc;

use super::named::{Matching, Parameters};
use super::network::Network;
use super::programs::{Programs, Use};
use super::resident::{self, INDEX, Resident};
use super::tally::sum_of;
use crate::compiler::Options;
use crate::data::{Dataset, Examples};
use crate::device::Device;
use crate::error::{Error, Origin, Result};
use crate::graph::{Graph, Tensor};
use crate::loss::Loss;
use crate::metrics::{Batch, Measure, Metric, Metrics, Reading};
use crate::nn::{Inputs, Mode, Model, Precision};
use crate::optim::{LossScale, Minimize, Optimizer};
use crate::session::{Program, Session, Snapshot};
use crate::tensor::{DType, Shape};
use crate::waiting::block_on;

/// The columns of a data set that a trainer uses, unless it is told others: the inputs and the targets.
pub(super) const X: &str = "x";
pub(super) const Y: &str = "y";

/// Examples of an evaluation batch, and bytes that its values may take where it has more than one.
const EVALUATION_BATCH: usize = 512;
const EVALUATION_MEMORY: usize = 1 << 30;

/// A graph that begins with a batch and ends with its loss.
pub(super) struct Forward {
    pub(super) graph: Graph,
    pub(super) prediction: Tensor,
    pub(super) target: Tensor,
    pub(super) loss: Tensor,
}

type Minimizing = dyn Fn(Minimize) -> Minimize + Send + Sync;

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
    /// The user's line that made it: what a trainer adds to a model comes from there.
    origin: Origin,
    device: Device,
    pub(super) network: Network,
    /// The column of the targets.
    pub(super) target: String,
    pub(super) loss: Box<dyn Loss>,
    pub(super) optimizer: Arc<dyn Optimizer>,
    pub(super) metrics: Vec<Box<dyn Metric>>,
    pub(super) seed: u64,
    pub(super) precision: Precision,
    /// How programs are compiled, and after how many steps a state is kept.
    options: Options,
    keep_every: u64,
    pub(super) clip_norm: Option<f64>,
    pub(super) loss_scale: Option<LossScale>,
    pub(super) minimizing: Option<Arc<Minimizing>>,
    pub(super) evaluation_batch: usize,
    evaluation_memory: usize,
    pub(super) session: Option<Session>,
    /// Parameters that wait for the session.
    pub(super) loaded: Option<Parameters>,
    pub(super) programs: Programs,
    /// The shape of what programs on streamed batches predict.
    pub(super) predicted: Vec<(Program, Shape)>,
    /// The program of the last run of `fit`, for those who inspect it.
    pub(super) training: Option<Program>,
}

impl fmt::Debug for Trainer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut trainer = formatter.debug_struct("Trainer");
        trainer.field("device", &self.device).field("session", &self.session).finish_non_exhaustive()
    }
}

impl Trainer {
    /// A trainer of a model with one input. Nothing is compiled before the shapes are known from data. Of a
    /// [`Sequential`](crate::nn::Sequential), its [`compile`](crate::nn::Sequential::compile) checks the layers first.
    #[track_caller]
    pub fn new(
        model: impl Model + Send + Sync + 'static,
        device: &Device,
        optimizer: impl Optimizer + 'static,
        loss: impl Loss + 'static,
        metrics: impl Metrics,
    ) -> Self {
        Self::of(Network::one(model), device, optimizer, loss, metrics)
    }

    /// A trainer of a model that takes several inputs by name, each a column of the data, whose first axes count examples.
    ///
    /// ```
    /// use wgrad::data::Dataset;
    /// use wgrad::loss::Mse;
    /// use wgrad::nn::Inputs;
    /// use wgrad::prelude::*;
    /// # let tokens = TensorData::from_vec((0..60).map(|k| k % 5).collect::<Vec<i32>>(), [20, 3])?;
    /// # let price = TensorData::zeros(F32, [20, 1]);
    /// # let sold = TensorData::zeros(F32, [20, 1]);
    /// let data = Dataset::new([("tokens", tokens), ("price", price), ("sold", sold)])?;
    /// let model = |g: &Graph, inputs: &Inputs, _mode: Mode| {
    ///     let words = nn::Embedding::new(g, "words", 5, 4).forward(&inputs["tokens"]).mean(1);
    ///     let both = words.concat(&[&inputs["price"]], 1);
    ///     nn::Linear::new(g, "out", 5, 1).forward(&both)
    /// };
    /// let names = ["tokens", "price"];
    /// let mut trainer = Trainer::with_inputs(names, model, &Device::cpu(), Adam::new(0.01), Mse, []).target("sold");
    /// trainer.fit(&data, Fit::epochs(2).batch_size(8))?;
    /// assert_eq!(trainer.predict(&data)?.shape().dims(), [20, 1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn with_inputs<Name: Into<String>>(
        names: impl IntoIterator<Item = Name>,
        model: impl Fn(&Graph, &Inputs, Mode) -> Tensor + Send + Sync + 'static,
        device: &Device,
        optimizer: impl Optimizer + 'static,
        loss: impl Loss + 'static,
        metrics: impl Metrics,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self::of(Network::several(names, model), device, optimizer, loss, metrics)
    }

    #[track_caller]
    fn of(
        network: Network,
        device: &Device,
        optimizer: impl Optimizer + 'static,
        loss: impl Loss + 'static,
        metrics: impl Metrics,
    ) -> Self {
        Self {
            origin: Origin::caller(),
            device: device.clone(),
            network,
            target: Y.to_owned(),
            loss: Box::new(loss),
            optimizer: Arc::new(optimizer),
            metrics: metrics.boxed(),
            seed: 0,
            precision: Precision::F32,
            options: Options::default(),
            keep_every: 0,
            clip_norm: None,
            loss_scale: None,
            minimizing: None,
            evaluation_batch: EVALUATION_BATCH,
            evaluation_memory: EVALUATION_MEMORY,
            session: None,
            loaded: None,
            programs: Programs::default(),
            predicted: Vec::new(),
            training: None,
        }
    }

    /// The seed of first values, orders and draws; before anything is trained.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Scales gradients down so that their common norm is at most this.
    #[must_use]
    pub fn clip_norm(mut self, norm: f64) -> Self {
        self.clip_norm = Some(norm);
        self
    }

    /// Watches for the first NaN or infinity, and names the operator, layer and line where it arose: see
    /// [`Session::watch_non_finite`]. For finding a fault, as it costs time.
    #[must_use]
    pub fn watch_non_finite(mut self) -> Self {
        self.options.watch_non_finite = true;
        self
    }

    /// Keeps the model's state on the host after this number of steps, again and again, so that [`move_to`](Self::move_to) can go on from there where the device is
    /// lost: see [`Session::keep_every`].
    #[must_use]
    pub fn keep_every(mut self, steps: u64) -> Self {
        self.keep_every = steps;
        self
    }

    /// Goes on with another device: see [`Session::move_to`]. A run of [`fit`](Self::fit) that ended with
    /// [`Error::DeviceLost`] continues with the same bits where it has [`checkpoints`](crate::train::Fit::checkpoints), else as a new run that
    /// begins with what was kept.
    ///
    /// # Errors
    /// As of [`Session::move_to`].
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        // What was decided stays, as the programs and states do.
        self.precision = self.precision.on(&self.device);
        if let Some(session) = &mut self.session {
            session.move_to(device)?;
        }
        self.device = device.clone();
        Ok(())
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
    /// are scaled to 0…1 and others left as they are.
    #[must_use]
    pub fn prepare(mut self, prepare: impl Fn(&Tensor, Mode) -> Tensor + Send + Sync + 'static) -> Self {
        self.network.prepare(None, prepare);
        self
    }

    /// The same for one of several inputs by its name; what [`prepare`](Self::prepare) says is for the others.
    #[must_use]
    pub fn prepare_input(
        mut self,
        name: impl Into<String>,
        prepare: impl Fn(&Tensor, Mode) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        self.network.prepare(Some(name.into()), prepare);
        self
    }

    /// The column of the targets, instead of `y`. It may be an input too, as for an autoencoder.
    #[must_use]
    pub fn target(mut self, column: impl Into<String>) -> Self {
        self.target = column.into();
        self
    }

    /// Examples that [`evaluate`](Self::evaluate) and [`predict`](Self::predict) take at a time, instead of 512: fewer take less
    /// memory.
    #[must_use]
    pub fn evaluation_batch(mut self, examples: usize) -> Self {
        self.evaluation_batch = examples;
        self
    }

    /// Bytes that the values of a program for evaluation or prediction may take, instead of 2³⁰. Where they would take more, as few
    /// examples go at a time as it takes; a single one may take what it needs.
    #[must_use]
    pub fn evaluation_memory(mut self, bytes: usize) -> Self {
        self.evaluation_memory = bytes;
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

    /// The parameters and buffers as they are now, for a session on another thread: [`Session::snapshot`].
    ///
    /// # Errors
    /// As there; where nothing was compiled yet.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.session.as_ref().ok_or_else(uncompiled)?.snapshot()
    }

    /// The training program of the last `fit`, once there was one.
    pub fn training_program(&self) -> Option<&Program> {
        self.training.as_ref()
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Compiles a graph into the session, which is made with the first; none where its values would take too many bytes.
    async fn load(&mut self, graph: &Graph, bytes: usize) -> Result<Option<Program>> {
        if let Some(session) = &mut self.session {
            return session.load_within_async(graph, bytes).await;
        }
        let mut session = Session::empty(&self.device, self.seed, self.options);
        let Some(id) = session.load_within_async(graph, bytes).await? else { return Ok(None) };
        if let Some(loaded) = &self.loaded {
            session.load_parameters(loaded, Matching::Strict)?;
        }
        session.keep_every_async(self.keep_every).await?;
        self.session = Some(session);
        self.loaded = None;
        Ok(Some(id))
    }

    /// Compiles a graph for a use, of a number of examples, and drops what was not used for long. None where its values would take
    /// too much memory and fewer examples would do.
    pub(super) async fn admit(&mut self, wanted: Use, graph: &Graph, examples: usize) -> Result<Option<Program>> {
        // A batch that depends on the one before it cannot be cut.
        let divisible = examples > 1 && !graph.assigns();
        let bytes = if divisible { self.evaluation_memory } else { usize::MAX };
        let id = match self.load(graph, bytes).await {
            Ok(Some(id)) => id,
            Ok(None) => return Ok(None),
            Err(Error::Limit(_)) if divisible => return Ok(None),
            Err(error) => return Err(error),
        };
        let gone = self.programs.add(wanted, id.clone(), self.training.as_ref());
        let sets = self.programs.data_sets();
        let session = self.open()?;
        gone.into_iter().try_for_each(|id| session.unload(&id))?;
        resident::forget_others(session, &sets)?;
        Ok(Some(id))
    }

    /// Lets evaluation and prediction take fewer than `examples` examples at a time, from now on.
    pub(super) fn fewer(&mut self, examples: usize) -> usize {
        self.evaluation_batch = (examples / 2).max(1);
        self.evaluation_batch
    }

    /// An empty graph for the user's model.
    pub(super) fn graph(&self) -> Graph {
        let g = Graph::new();
        g.set_precision(self.precision.on(&self.device));
        g.built_for(self.origin);
        g
    }

    /// The program of a use, of a number of examples, which `write` puts into a graph the first time; none as of `admit`.
    pub(super) async fn program(
        &mut self,
        wanted: Use,
        examples: usize,
        write: impl FnOnce(&Self, &Graph),
    ) -> Result<Option<Program>> {
        if let Some(id) = self.programs.find(&wanted) {
            return Ok(Some(id));
        }
        let g = self.graph();
        write(self, &g);
        self.admit(wanted, &g, examples).await
    }

    pub(super) fn open(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(uncompiled)
    }

    pub(super) fn check(&self, data: &Dataset) -> Result<()> {
        for name in self.network.names().iter().chain([&self.target]) {
            if data.column(name)?.is_empty() {
                return Err(Error::Data("the data set is empty".into()));
            }
        }
        Ok(())
    }

    /// The training program for a batch size, of a data set or a [`Stream`](crate::data::Stream); compiled the first time.
    ///
    /// # Errors
    /// The model's first mistake; what breaks a limit of the device; of a stream, what cannot be read.
    pub fn compile_training<'data>(&mut self, data: impl Into<Examples<'data>>, batch: usize) -> Result<Program> {
        block_on(self.compile_training_async(data, batch))
    }

    /// As [`compile_training`](Self::compile_training), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn compile_training_async<'data>(
        &mut self,
        data: impl Into<Examples<'data>>,
        batch: usize,
    ) -> Result<Program> {
        match data.into() {
            Examples::Dataset(data) => {
                self.check(data)?;
                self.training_for(data, &Resident::of(data), batch).await
            }
            Examples::Stream(stream) => self.training_on(stream, batch).await,
        }
    }

    pub(super) async fn training_for(&mut self, data: &Dataset, resident: &Resident, batch: usize) -> Result<Program> {
        let wanted = Use::Train(resident.clone(), batch);
        if let Some(id) = self.programs.find(&wanted) {
            return Ok(id);
        }
        let g = self.step_graph(data, resident, batch)?;
        // A training step is as large as the user wants it, and assigns; so there is always a program.
        let id = self.admit_with(wanted, &g, resident, data, 1).await?;
        id.ok_or_else(|| Error::Limit("the training step takes too much memory".into()))
    }

    /// The program that evaluates a batch; none as of `admit`.
    pub(super) async fn evaluation_for(
        &mut self,
        data: &Dataset,
        resident: &Resident,
        batch: usize,
    ) -> Result<Option<Program>> {
        let wanted = Use::Evaluate(resident.clone(), batch);
        if let Some(id) = self.programs.find(&wanted) {
            return Ok(Some(id));
        }
        let forward = self.forward(data, resident, batch, Mode::Evaluation)?;
        self.measured(&forward);
        self.admit_with(wanted, &forward.graph, resident, data, batch).await
    }

    /// What an evaluation reads.
    pub(super) fn measured(&self, forward: &Forward) {
        let Forward { graph: g, prediction, target, loss } = forward;
        g.output("loss", loss);
        let reading = Reading::of(self.loss.as_ref());
        // For who asks for no metric at all, too.
        let mut reads_predictions = self.metrics.is_empty();
        for (index, metric) in self.metrics.iter().enumerate() {
            let _layer = g.in_layer(&metric.name());
            match metric.measure(reading) {
                Measure::Predictions(_) => reads_predictions = true,
                Measure::Sums(metric) => {
                    for (number, sum) in metric.sums(&Batch::new(prediction, target, reading)).iter().enumerate() {
                        g.output(&sum_of(index, number), sum);
                    }
                }
                Measure::Loss(_) => {}
            }
        }
        if reads_predictions {
            g.output("prediction", &prediction.cast(DType::F32));
        }
    }

    /// A graph with the model's prediction and its loss for a batch of a data set, which is looked at: every program for training
    /// or evaluation begins here, so that whatever is learned from or measured on was checked.
    pub(super) fn forward(&self, data: &Dataset, resident: &Resident, batch: usize, mode: Mode) -> Result<Forward> {
        let g = self.graph();
        let columns = self.network.columns(data)?;
        let targets = data.column(&self.target)?;
        let (inputs, y) = {
            let _layer = g.in_layer("batch");
            let index = g.input(INDEX, [batch], DType::I32);
            let inputs = columns.iter().map(|(name, column)| (*name, resident.batch(&g, name, column, &index)));
            let inputs = Inputs::new(&g, inputs);
            let y = inputs.get(&self.target).cloned();
            (inputs, y.unwrap_or_else(|| resident.batch(&g, &self.target, targets, &index)))
        };
        let forward = self.outcome(g, &inputs, y, mode);
        if forward.graph.error().is_none() {
            self.network.check(&columns)?;
            self.loss.check_targets(&forward.prediction.shape(), targets)?;
        }
        Ok(forward)
    }

    /// The model's prediction for a batch of inputs, and its loss.
    pub(super) fn outcome(&self, graph: Graph, inputs: &Inputs, target: Tensor, mode: Mode) -> Forward {
        let prediction = self.network.forward(&graph, &self.network.prepared(&graph, inputs, mode), mode);
        let loss = {
            let _layer = graph.in_layer("loss");
            self.loss.forward(&prediction, &target)
        };
        Forward { graph, prediction, target, loss }
    }

    /// As `admit`, of a graph that reads a data set, which is uploaded to the device if it is not there.
    async fn admit_with(
        &mut self,
        wanted: Use,
        graph: &Graph,
        resident: &Resident,
        data: &Dataset,
        examples: usize,
    ) -> Result<Option<Program>> {
        let known = self.session.as_ref().is_some_and(|session| resident.is_known(session, data));
        let id = self.admit(wanted, graph, examples).await?;
        if id.is_some() && !known {
            let session = self.open()?;
            if let Err(error) = resident.upload(session, data) {
                // Whoever tries again is not to find a data set of zeros.
                let gone = self.programs.without(resident);
                let sets = self.programs.data_sets();
                let session = self.open()?;
                gone.into_iter().try_for_each(|id| session.unload(&id))?;
                resident::forget_others(session, &sets)?;
                return Err(error);
            }
        }
        Ok(id)
    }
}

pub(super) fn uncompiled() -> Error {
    Error::Argument("the model has not been compiled yet: fit, evaluate or predict first".into())
}
