//! `wgrad fit`: a model continues to learn, from batches in files.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use serde_json::Value;
use wgrad::Device;
use wgrad::graph::Tensor;
use wgrad::loss::Loss;
use wgrad::onnx::{Import, Imported, Model};
use wgrad::ops::Role;
use wgrad::optim::Group;
use wgrad::optim::schedule::Scheduler;
use wgrad::session::{Capture, ProgramId, Session};
use wgrad::tensor::{Shape, TensorData, TensorType};
use wgrad::train::checkpoint_file::{self, Tensors};

use super::jobs;
use super::objective::Objective;
use super::optimizer::{self, Recipe};
use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::interrupt;
use crate::output::{Output, counted};

/// What a batch is compared with, by this name in its file.
const TARGET: &str = "target";

const STEPS: &str = "\"steps\" should be an integer from 1 on";

/// Programs that stay: each shape of a batch has one of its own, and each value of an input that steers shapes.
const PROGRAMS: usize = 64;

/// Losses that are read together: the device need not wait for the host after each step.
const READ_TOGETHER: usize = 64;

/// What `fit` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The model
    #[arg(value_name = "MODEL.onnx", required_unless_present = "jobs", conflicts_with = "jobs")]
    model: Option<PathBuf>,
    /// A folder with 0.safetensors, 1.safetensors, …, each with the model's inputs and `target`; they are used cyclically
    #[arg(long, value_name = "DIR", requires = "model", required_unless_present = "jobs")]
    batches: Option<PathBuf>,
    /// What is made smaller, of the first output and the target: mse, l1, smooth_l1, cross_entropy, nll, bce, bce_with_logits, …
    #[arg(long, value_name = "NAME", requires = "model", required_unless_present = "jobs")]
    loss: Option<String>,
    /// The optimizer as a JSON object with PyTorch's names: {"name":"sgd","lr":0.1,"momentum":0.9}; also with
    /// "clip_grad_norm", "clip_grad_value" and "lr_scheduler": {"name":"StepLR","step_size":30}
    #[arg(long, value_name = "JSON", requires = "model", required_unless_present = "jobs")]
    optimizer: Option<String>,
    /// How many steps, one batch each
    #[arg(long, value_name = "N", requires = "model", required_unless_present = "jobs")]
    steps: Option<usize>,
    /// An initializer that stays as it is; can be given several times
    #[arg(long, value_name = "NAME", requires = "model")]
    freeze: Vec<String>,
    /// Trains weights that the file has as Constant nodes beside its initializers too; they are trained anyway where no initializer is
    #[arg(long, requires = "model")]
    train_constants: bool,
    /// Where the losses (`loss`) and the initializers after the last step go
    #[arg(long, value_name = "OUT.safetensors", requires = "model", required_unless_present = "jobs")]
    outputs: Option<PathBuf>,
    /// Many jobs instead: a JSON object {"name", "model", "batches", "loss", "optimizer", "steps", "outputs"} a line
    #[arg(long, value_name = "JOBS.jsonl")]
    jobs: Option<PathBuf>,
}

/// One model to train.
struct Task {
    model: PathBuf,
    batches: PathBuf,
    objective: Objective,
    recipe: Recipe,
    steps: usize,
    frozen: Vec<String>,
    train_constants: bool,
    outputs: PathBuf,
}

impl Task {
    fn of_arguments(arguments: &Arguments) -> Result<Self> {
        let missing =
            || Failure::new("a model, batches, a loss, an optimizer, steps and a file for the results are needed");
        Ok(Self {
            model: arguments.model.clone().ok_or_else(missing)?,
            batches: arguments.batches.clone().ok_or_else(missing)?,
            objective: Objective::find(arguments.loss.as_deref().ok_or_else(missing)?)?,
            recipe: optimizer::parse(arguments.optimizer.as_deref().ok_or_else(missing)?)?,
            steps: arguments.steps.filter(|&steps| steps > 0).ok_or_else(|| Failure::new(STEPS))?,
            frozen: arguments.freeze.clone(),
            train_constants: arguments.train_constants,
            outputs: arguments.outputs.clone().ok_or_else(missing)?,
        })
    }

    fn of_job(job: &jobs::Job) -> Result<Self> {
        let steps = job.field("steps")?.as_u64().and_then(|steps| usize::try_from(steps).ok());
        let frozen = match job.field("freeze") {
            Ok(Value::Array(names)) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
            Ok(_) => None,
            Err(_) => Some(Vec::new()),
        };
        let recipe = match job.field("optimizer")? {
            Value::String(text) => optimizer::parse(text)?,
            other => optimizer::read(other.clone())?,
        };
        Ok(Self {
            model: job.path("model")?,
            batches: job.path("batches")?,
            objective: Objective::find(job.field("loss")?.as_str().unwrap_or_default())?,
            recipe,
            steps: steps.filter(|&steps| steps > 0).ok_or_else(|| Failure::new(STEPS))?,
            frozen: frozen.ok_or_else(|| Failure::new("\"freeze\" should be a list of initializers' names"))?,
            train_constants: match job.field("train_constants") {
                Ok(trained) => {
                    trained.as_bool().ok_or_else(|| Failure::new("\"train_constants\" should be true or false"))?
                }
                Err(_) => false,
            },
            outputs: job.path("outputs")?,
        })
    }
}

/// Trains a model, or many.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let device = device::open(&everywhere.device)?.device;
    if let Some(path) = &arguments.jobs {
        return jobs::all("fit", path, output, |job| train(&Task::of_job(job)?, &device, everywhere.seed).map(|_| ()));
    }
    let name = arguments.model.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    jobs::single("fit", &name, output, || {
        let fixed = train(&Task::of_arguments(arguments)?, &device, everywhere.seed)?;
        if let [first, ..] = fixed.as_slice() {
            eprintln!(
                "note: {} of the weights stand in Constant nodes ({first:?}, …) and were not trained, since the file has initializers; \
                 --train-constants trains them",
                fixed.len()
            );
        }
        Ok(())
    })
}

/// The number of a batch by the name of its file, where it is one.
pub fn batch_number(path: &Path) -> Option<usize> {
    let stem = path.file_stem().filter(|_| path.extension().is_some_and(|extension| extension == "safetensors"))?;
    stem.to_str()?.parse().ok()
}

/// The files of the batches, in their order.
fn batches(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", folder.display()));
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        numbers.extend(batch_number(&path).map(|number| (number, path)));
    }
    numbers.sort();
    let gap = numbers.iter().enumerate().find(|&(index, &(number, _))| index != number).map(|(index, _)| index);
    if let Some(missing) = gap.or(if numbers.is_empty() { Some(0) } else { None }) {
        return Err(Failure::new(format!("there is no {missing}.safetensors in {}", folder.display())));
    }
    Ok(numbers.into_iter().map(|(_, path)| path).collect())
}

/// A batch from its file: the model's inputs, and the target.
fn read(path: &Path) -> Result<(Tensors, TensorData)> {
    let mut tensors = checkpoint_file::read(path)?.0;
    let target = tensors.remove(TARGET);
    let target = target.ok_or_else(|| Failure::new(format!("{} has no tensor {TARGET:?}", path.display())))?;
    Ok((tensors, target))
}

/// A program, and which batches it is for.
/// A loss, and the prediction's shape, for which it checks targets.
type Checked = (Box<dyn Loss>, Shape);

struct Prepared {
    id: ProgramId,
    types: Vec<(String, TensorType)>,
    target: TensorType,
    /// Inputs for whose values the graph was made.
    fixed: Tensors,
    /// What target and loss are called in its graph.
    names: Names,
    /// What the target's values are checked for.
    loss: Checked,
}

impl Prepared {
    fn suits(&self, inputs: &Tensors, target: &TensorData) -> bool {
        *target.ty() == self.target
            && inputs.len() == self.types.len()
            && self.types.iter().all(|(name, ty)| inputs.get(name).is_some_and(|data| data.ty() == ty))
            && self.fixed.iter().all(|(name, data)| inputs.get(name) == Some(data))
    }
}

/// Names that the model's own inputs and outputs do not take.
struct Names {
    target: String,
    loss: String,
}

/// Writes loss and updates into the graph of a model.
fn objective(imported: &Imported, task: &Task, target: &TensorType) -> Result<(Names, Checked)> {
    let graph = &imported.graph;
    let Some((name, prediction)) = imported.outputs.first() else {
        return Err(Failure::new("the model has no output that could be compared with a target"));
    };
    if !prediction.dtype().is_float() {
        return Err(Failure::new(format!(
            "the model's first output is {}, of which there is no loss",
            prediction.ty()
        )));
    }
    let mut names = Names { target: TARGET.into(), loss: "loss".into() };
    while graph.find(&names.target).is_some() {
        names.target.push('\'');
    }
    while imported.outputs.iter().any(|(name, _)| *name == names.loss) {
        names.loss.push('\'');
    }
    let target = graph.input(&names.target, target.shape.clone(), target.dtype);
    let function = task.objective.loss(prediction, &target);
    let loss: Tensor = function.forward(prediction, &target);
    graph.output(&names.loss, &loss);
    if let Some(error) = graph.error() {
        return Err(error.into());
    }
    if graph.parameters_of(&loss).is_empty() {
        return Err(Failure::new(nothing_to_learn(imported, name)));
    }
    let mut step = task.recipe.clipped(graph.minimize(&loss, task.recipe.optimizer.clone()));
    for frozen in &task.frozen {
        let frozen = frozen.clone();
        step = step.group(Group::matching(move |name, _| name == frozen).frozen());
    }
    step.build();
    for (statistic, next) in &imported.statistics {
        graph.assign(statistic, next);
    }
    Ok((names, (function, prediction.shape())))
}

/// Why no step would change anything.
fn nothing_to_learn(imported: &Imported, output: &str) -> String {
    let names: Vec<&str> = imported.parameters.iter().map(|(name, _)| name.as_str()).collect();
    match names.as_slice() {
        [] => "the model has no initializer that could be trained".to_owned(),
        [first, ..] => format!(
            "the model's first output {output:?}, which the loss is of, depends on none of the {} initializers that could be trained ({first:?}, …)",
            names.len()
        ),
    }
}

/// A training under way.
struct Training<'a> {
    task: &'a Task,
    device: &'a Device,
    seed: u64,
    model: Model,
    session: Option<Session>,
    /// The least recently used first.
    programs: Vec<Prepared>,
    scheduler: Scheduler,
    /// All initializers as the file has them.
    initializers: Vec<(String, TensorData)>,
    /// Weights in `Constant` nodes that are not trained.
    untrained: Vec<String>,
}

impl Training<'_> {
    /// The program for a batch's shapes, made where there is none yet. All share their parameters.
    fn prepare(&mut self, inputs: &Tensors, target: &TensorData) -> Result<usize> {
        if let Some(known) = self.programs.iter().position(|program| program.suits(inputs, target)) {
            let program = self.programs.remove(known);
            self.programs.push(program);
            return Ok(self.programs.len() - 1);
        }
        let import = if self.task.train_constants { Import::new().train_constants(true) } else { Import::new() };
        let import = inputs.iter().fold(import, |import, (name, data)| import.value(name, data.clone()));
        let imported = self.model.import(&import)?;
        let (names, loss) = objective(&imported, self.task, target.ty())?;
        let id = match &mut self.session {
            Some(session) => session.load(&imported.graph)?,
            None => {
                self.session = Some(Session::new(&imported.graph, self.device, self.seed)?);
                self.untrained = imported.untrained;
                self.initializers = imported.initializers;
                ProgramId::FIRST
            }
        };
        if self.programs.len() == PROGRAMS
            && let Some(session) = &mut self.session
        {
            session.unload(self.programs.remove(0).id)?;
        }
        let fixed = imported.fixed.iter().filter_map(|name| Some((name.clone(), inputs.get(name)?.clone())));
        self.programs.push(Prepared {
            id,
            types: inputs.iter().map(|(name, data)| (name.clone(), data.ty().clone())).collect(),
            target: target.ty().clone(),
            fixed: fixed.collect(),
            names,
            loss,
        });
        Ok(self.programs.len() - 1)
    }

    /// The step of a number, from 0 on, whose loss is read later.
    fn step(&mut self, number: usize, path: &Path) -> Result<Capture> {
        let (inputs, target) = read(path)?;
        let index = self.prepare(&inputs, &target)?;
        let (Some(session), Some(program)) = (&mut self.session, self.programs.get(index)) else {
            return Err(Failure::new("there is no program for the batch"));
        };
        let (loss, prediction) = &program.loss;
        loss.check_targets(prediction, &target)?;
        let mut given: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
        given.push((&program.names.target, &target));
        session.set_learning_rate(self.scheduler.learning_rate(number as u64))?;
        Ok(session.step_capture(program.id, &given, &[&program.names.loss])?)
    }

    /// The initializers as they are now: those that programs have no variable of are as they were. Then what else a model stores:
    /// weights of graphs within the graph, statistics that are stored together with a parameter.
    fn initializers(self) -> Result<Vec<(String, TensorData)>> {
        let Some(session) = self.session else { return Ok(self.initializers) };
        let known = |name: &str| session.variables().iter().any(|variable| variable.name == name);
        let now = self.initializers.into_iter().map(|(name, first)| {
            let value = if known(&name) { session.parameter(&name)? } else { first };
            Ok((name, value))
        });
        let mut now = now.collect::<Result<Vec<_>>>()?;
        for variable in session.variables() {
            let belongs = matches!(variable.role, Role::Parameter | Role::Buffer);
            if belongs && !now.iter().any(|(name, _)| *name == variable.name) {
                now.push((variable.name.clone(), session.parameter(&variable.name)?));
            }
        }
        Ok(now)
    }
}

/// One model from file to file; gives the weights in `Constant` nodes that were not trained.
fn train(task: &Task, device: &Device, seed: u64) -> Result<Vec<String>> {
    jobs::files(&task.model, &[], &task.outputs)
        .reads_some("--batches", Some(&task.batches), |path| batch_number(path).is_some())
        .check()?;
    let mut training = Training {
        task,
        device,
        seed,
        model: jobs::load(&task.model, &task.outputs)?,
        session: None,
        programs: Vec::new(),
        scheduler: Scheduler::new(task.recipe.schedule.clone(), task.recipe.optimizer.learning_rate())?,
        initializers: Vec::new(),
        untrained: Vec::new(),
    };
    // A schedule that depends on losses has to know each before the next step.
    let together = if task.recipe.schedule.observes() { 1 } else { READ_TOGETHER };
    let files = batches(&task.batches)?;
    let mut losses: Vec<f32> = Vec::new();
    let mut waiting: Vec<Capture> = Vec::new();
    let interrupted = interrupt::flag();
    for (done, path) in files.iter().cycle().take(task.steps).enumerate() {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::new(format!("stopped after {done} of {}", counted(task.steps, "step"))));
        }
        waiting.push(training.step(done, path).map_err(|failure| match failure {
            Failure::Message(message) => Failure::new(format!("{}: {message}", path.display())),
            other => other,
        })?);
        if waiting.len() == together {
            let known = losses.len();
            collect(&mut waiting, &mut losses)?;
            losses.iter().skip(known).for_each(|&loss| training.scheduler.observe(loss.into()));
        }
    }
    collect(&mut waiting, &mut losses)?;
    let count = losses.len();
    let mut tensors = vec![("loss".to_owned(), TensorData::from_vec(losses, [count])?)];
    let fixed = std::mem::take(&mut training.untrained);
    tensors.extend(training.initializers()?);
    checkpoint_file::write(&task.outputs, &tensors, &[])?;
    Ok(fixed)
}

/// Reads the losses of steps that were not waited for.
fn collect(waiting: &mut Vec<Capture>, losses: &mut Vec<f32>) -> Result {
    for capture in waiting.drain(..) {
        for loss in capture.wait()? {
            losses.push(loss.item()? as f32);
        }
    }
    Ok(())
}
