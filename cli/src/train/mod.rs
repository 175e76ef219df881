//! `wgrad train DEMO`: a demo from data to a trained model, with progress, a final table, and what the user asks to keep.

mod axis_unit;
pub mod canvas;
mod char_lm;
mod convolutional;
mod curve;
pub mod demo;
pub mod demos;
mod digits;
mod folder;
mod forecast;
mod gallery;
mod images;
mod letters;
pub mod network;
pub mod note;
pub mod optimizer;
pub mod options;
mod picture;
mod pixels;
mod plot;
pub mod precision;
mod recurrent;
mod residual;
mod resume;
pub mod saved;
mod sentiment;
pub mod show;
mod spirals;
pub mod summary;
mod tabular;
mod tale;
mod tokens;
pub mod trainer;
mod translate;
pub mod watch;
pub mod word2vec;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use wgrad::Device;
use wgrad::file;
use wgrad::nn::Precision;
use wgrad::optim::schedule::{Linear, LinearWarmUp};
use wgrad::session::Program;
use wgrad::train::{Checkpoints, Evaluation, Fit, Trainer};

use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::files::Files;
use crate::interrupt;
use crate::output::{Output, bytes, counted, grouped, seconds};
use curve::Curve;
use demo::{Data, Demo, Source};
use demos::DEMOS;
use network::Network;
use precision::PrecisionChoice;
pub use trainer::{scores, trainer};
use watch::Watch;

/// Steps between two checkpoints within an epoch.
const CHECKPOINT_STEPS: u64 = 500;

/// What `train` takes.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// What to learn
    #[arg(value_name = "DEMO", value_parser = PossibleValuesParser::new(DEMOS.iter().map(|demo| {
        clap::builder::PossibleValue::new(demo.name).help(demo.about)
    })))]
    demo: String,
    /// Which of the demo's models
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Times over the training data
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// Stop after this number of steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Examples in a step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: Option<u64>,
    /// Learning rate
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = learning_rate)]
    lr: Option<f64>,
    /// Optimizer, as in PyTorch: adam, adamw, sgd, …
    #[arg(long, value_name = "NAME")]
    optimizer: Option<String>,
    /// Type in which layers multiply and save what the backward pass needs; auto takes the one of 16 bits for the device [default: f32]
    #[arg(long, value_enum)]
    precision: Option<PrecisionChoice>,
    /// Report the loss each time after this number of steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    log_every: Option<u64>,
    /// The data: a directory or a file, as the demo wants
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// The column to be learned, of a table or series
    #[arg(long, value_name = "COLUMN", allow_negative_numbers = true)]
    target: Option<String>,
    /// Width and height that pictures are resized to, where they have no common size (32 if nothing is said)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    image_size: Option<u64>,
    /// Leave damaged pictures out, and say how many there are; otherwise the first one ends the run
    #[arg(long)]
    skip_damaged: bool,
    /// Keep the run in this directory, so that it can be resumed after an end of any kind
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint, if there is one, with the options that the run began with; --lr and --epochs may be others
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Draw the loss, and the accuracy where there is one
    #[arg(long, value_name = "FILE.png|.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    gallery: gallery::Pictures,
    #[command(flatten)]
    writing: options::Writing,
    #[command(flatten)]
    forecasting: options::Forecasting,
    #[command(flatten)]
    tables: options::Tables,
    #[command(flatten)]
    vectors: options::Vectors,
    #[command(flatten)]
    translating: options::Translating,
    /// Write the model, for `predict`: its parameters, as PyTorch reads them too, and what else it needs
    #[arg(long, value_name = "FILE.safetensors")]
    save: Option<PathBuf>,
    /// Measure a training step at the end, kernel by kernel, and write it as a trace for Perfetto or Chrome
    #[arg(long, value_name = "FILE.json")]
    profile: Option<PathBuf>,
}

impl Arguments {
    /// What a run reads and writes.
    fn files(&self) -> Files {
        // Saved models may be beside the data, which is of no such files.
        let is_data = |path: &Path| canvas::extension(path) != "safetensors";
        let mut files = Files::new()
            .reads_some("--data", self.data.as_deref(), is_data)
            .reads("--test-data", self.tables.test_data.as_deref())
            .writes("--save", self.save.as_deref())
            .writes("--plot", self.plot.as_deref())
            .writes("--profile", self.profile.as_deref())
            .writes("--forecast", self.forecasting.forecast.as_deref())
            .writes("--scatter", self.tables.scatter.as_deref())
            .reads("--similarity", self.vectors.similarity.as_deref())
            .writes("--vectors", self.vectors.vectors.as_deref())
            .writes("--map", self.vectors.map.as_deref())
            .writes("--attention", self.translating.attention.as_deref());
        for (option, path) in self.gallery.options() {
            files = files.writes(option, path.as_deref());
        }
        let saved = self.checkpoint.as_ref().map(Checkpoints::new).map(|own| [own.file(), own.previous_file()]);
        files.writes_into("--checkpoint", self.checkpoint.as_deref(), saved.as_ref().map_or(&[], |saved| saved))
    }
}

fn learning_rate(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a learning rate is a number above 0".to_owned()),
    }
}

/// A run that is ready to begin: everything that can be wrong with the arguments has been looked at.
struct Run<'a> {
    /// With all that a checkpoint remembers filled in.
    arguments: Arguments,
    everywhere: &'a Everywhere,
    demo: &'static Demo,
    /// What the user wants to change before a run is resumed.
    changed: Vec<String>,
    /// Where the user says nothing.
    epochs: u64,
    /// Whether the learning rate falls over them.
    falls: bool,
    model_name: &'static str,
    optimizer_name: &'static str,
    rate: f64,
    batch: usize,
    data: Data,
    model: Network,
    chosen: device::Chosen,
}

/// Trains.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let run = Run::prepare(arguments, everywhere)?;
    let arguments = &run.arguments;
    let mut trainer = run.trainer(&run.chosen.device)?;
    run.announce(output)?;
    let start = Instant::now();
    let mut stream = run.data.drawn.as_ref().map(|drawn| (drawn.stream)());
    let program = match &mut stream {
        Some(stream) => trainer.compile_training(stream, run.batch)?,
        None => trainer.compile_training(&run.data.train, run.batch)?,
    };
    run.program(&program, start.elapsed().as_secs_f64(), output)?;

    let steps_per_epoch = run.steps_per_epoch();
    let mut watch =
        Watch::new(output, arguments.log_every, steps_per_epoch).of_task(run.data.task).showing(run.data.show.clone());
    let start = Instant::now();
    let fit = run.fit(&mut watch);
    let outcome = match &mut stream {
        Some(stream) => trainer.fit(stream, fit),
        None => trainer.fit(&run.data.train, fit),
    };
    let took = start.elapsed().as_secs_f64();
    let (curve, trained, told) = watch.finish();
    told?;
    let history = outcome?;
    if let Some(directory) = arguments.checkpoint.as_ref().filter(|_| trained == 0 && !history.stopped) {
        eprintln!(
            "warning: nothing is left to do: the run in {} has {} already, and stays as it is; more --epochs or --steps continue it",
            directory.display(),
            counted(history.epochs.len(), "epoch")
        );
    }
    let mut evaluation = trainer.evaluate(&run.data.test)?;
    run.data.task.in_unit(&mut evaluation.metrics);
    let steps = trainer.session().map_or(0, wgrad::session::Session::steps);
    if let Some(path) = &arguments.save {
        trainer.save_model(path, &saved::settings(&run.data, run.model_name, run.precision()))?;
    }
    if let Some(path) = &arguments.profile {
        let profile = trainer.profile(&run.data.train, run.batch)?;
        file::write(path, profile.chrome_trace().as_bytes())?;
        output
            .text(format!("\n{profile}\nprofile in {}; open it with Perfetto or chrome://tracing", path.display()))?;
    }
    if let Some(path) = &arguments.plot {
        plot::draw(path, &run.title(), &curve.with_epochs(&history.epochs))?;
    }
    let title = format!("{} · {}", run.demo.name, run.model_name);
    arguments.gallery.draw(&title, &run.data, &mut trainer, &evaluation.predictions)?;
    let mut all = scores(&evaluation);
    let mut drawn = None;
    if let Some(show) = &run.data.show {
        let samples = show.samples(&run.data, &mut trainer, &evaluation)?;
        if !samples.is_empty() {
            output.text("")?;
        }
        for sample in samples {
            output.event(&json!({"event": "sample", "text": sample}))?;
            output.text(watch::indented(&sample))?;
        }
        all.extend(show.scores(&run.data, &evaluation)?.into_iter().map(|(name, value)| (name, json!(value))));
        drawn = show.draw(&title, &run.data, &evaluation)?;
    }
    output.event(&json!({
        "event": "done", "steps": steps, "seconds": took,
        "steps_per_second": trained as f64 / took.max(1e-9), "test": all,
    }))?;
    if history.stopped || interrupt::flag().load(std::sync::atomic::Ordering::Relaxed) {
        output.text("stopped early, as asked")?;
    }
    run.tell(output, &evaluation, steps, trained, took)?;
    match drawn {
        Some(path) => output.text(format!("picture in {}", path.display())),
        None => Ok(()),
    }
}

impl<'a> Run<'a> {
    /// Names first, then files, then the device: what is cheap to find wrong is found before what takes time.
    fn prepare(arguments: &Arguments, everywhere: &'a Everywhere) -> Result<Self> {
        let mut arguments = arguments.clone();
        let changed = resume::take_up(&mut arguments)?;
        let demo = demos::find(&arguments.demo)?;
        let model = demo.model(arguments.model.as_deref())?;
        let defaults = demo.defaults(model);
        let optimizer_name = optimizer::find(arguments.optimizer.as_deref().unwrap_or(defaults.optimizer))?;
        demo.check_image_size(arguments.image_size)?;
        demo.check_skip_damaged(arguments.skip_damaged)?;
        arguments.gallery.check(demo)?;
        arguments.writing.check(demo)?;
        arguments.forecasting.check(demo)?;
        arguments.tables.check(demo)?;
        arguments.vectors.check(demo)?;
        arguments.translating.check(demo)?;
        if let Some(path) = &arguments.plot {
            plot::check_name(path)?;
        }
        arguments.files().check()?;
        let source = Source {
            path: arguments.data.clone(),
            target: arguments.target.clone(),
            image_size: arguments.image_size.map(|size| size as usize),
            skip_damaged: arguments.skip_damaged,
            seed: everywhere.seed,
            model: model.name(),
            batch_size: arguments.batch_size.map(|size| size as usize),
            writing: arguments.writing.clone(),
            forecasting: arguments.forecasting.clone(),
            tables: arguments.tables.clone(),
            vectors: arguments.vectors.clone(),
            translating: arguments.translating.clone(),
        };
        let mut data = (demo.load)(&source)?;
        let usual = data.drawn.as_ref().map_or(defaults.batch_size, |drawn| drawn.batch);
        let batch = arguments.batch_size.map_or(usual.min(data.train.len()), |size| size as usize);
        if batch > data.train.len() {
            let (examples, ending) = (data.train.len(), if data.train.len() == 1 { "" } else { "s" });
            let message = format!("a batch of {batch} cannot be taken from {examples} training example{ending}");
            return Err(Failure::new(message));
        }
        let rate = match arguments.lr {
            Some(rate) => rate,
            None if optimizer_name == defaults.optimizer => defaults.learning_rate,
            None => optimizer::default_rate(optimizer_name)?,
        };
        Ok(Self {
            model: model.fit_to(&mut data),
            model_name: model.name(),
            chosen: device::open(&everywhere.device)?,
            arguments,
            everywhere,
            demo,
            changed,
            epochs: data.epochs.unwrap_or(defaults.epochs),
            falls: defaults.falls,
            optimizer_name,
            rate,
            batch,
            data,
        })
    }

    fn trainer(&self, device: &Device) -> Result<Trainer> {
        trainer(&self.model, &self.data, device, optimizer::make(self.optimizer_name, self.rate)?)
            .map(|trainer| trainer.seed(self.everywhere.seed).precision(self.precision()))
    }

    /// Steps of an epoch; of the first one, where they differ.
    fn steps_per_epoch(&self) -> u64 {
        self.data.examples().div_ceil(self.batch as u64)
    }

    /// As it is on the device.
    fn precision(&self) -> Precision {
        Precision::from(self.arguments.precision.unwrap_or(PrecisionChoice::F32)).on(&self.chosen.device)
    }

    /// The options as they are used, also those that nobody gave.
    fn used(&self) -> Arguments {
        Arguments {
            model: Some(self.model_name.to_owned()),
            optimizer: Some(self.optimizer_name.to_owned()),
            batch_size: Some(self.batch as u64),
            precision: Some(self.precision().into()),
            lr: Some(self.rate),
            ..self.arguments.clone()
        }
    }

    fn fit<'w>(&'w self, watch: &'w mut Watch<'_>) -> Fit<'w> {
        let arguments = &self.arguments;
        // With steps alone, the epochs are as many as they take.
        let epochs = match (arguments.epochs, arguments.steps) {
            (Some(epochs), _) => epochs,
            (None, Some(_)) => u64::from(u32::MAX),
            (None, None) => self.epochs,
        };
        let mut fit = Fit::epochs(epochs)
            .batch_size(self.batch)
            .shuffle(!self.data.task.goes_on())
            .validate(self.data.validation.as_ref().unwrap_or(&self.data.test))
            .stop_when(interrupt::flag())
            .callback(watch);
        if let Some(steps) = arguments.steps {
            fit = fit.steps(steps);
        }
        if self.falls {
            // By the epochs, whatever ends the run earlier: a run in parts goes as one in a piece.
            let epochs = arguments.epochs.unwrap_or(self.epochs);
            let steps = epochs.saturating_mul(self.steps_per_epoch());
            fit = match self.data.task.warm_up() {
                Some(most) => {
                    let rising = (steps / 10).min(most);
                    let falling = Linear { steps: steps - rising, start_factor: 1.0, end_factor: 0.05 };
                    fit.schedule(LinearWarmUp { steps: rising, start_factor: 0.01, then: Arc::new(falling) })
                }
                None => fit.schedule(Linear { steps, start_factor: 1.0, end_factor: 0.05 }),
            };
        }
        if let Some(directory) = &arguments.checkpoint {
            let checkpoints = Checkpoints::new(directory).every_steps(CHECKPOINT_STEPS).resume(arguments.resume);
            fit = fit.checkpoints(resume::remember(checkpoints, self.demo.name, &self.used()));
        }
        fit
    }

    fn announce(&self, output: &mut Output) -> Result {
        let parameters = self.model.parameter_count(&self.data)?;
        let device = &self.chosen.device;
        let mut start = json!({
            "event": "start", "demo": self.demo.name, "model": self.model_name, "device": device.name(),
            "backend": device.backend(), "parameters": parameters, "train_examples": self.data.examples(),
            "test_examples": self.data.test.len(), "seed": self.everywhere.seed,
        });
        if let Some(name) = saved::precision_name(self.precision()) {
            start["precision"] = json!(name);
        }
        note::count(&self.data.notes, &mut start);
        output.event(&start)?;
        output.text(format!("device   {}", self.chosen.describe()))?;
        output.text(format!(
            "model    {} {}, {}",
            self.demo.name,
            self.model_name,
            counted(parameters, "parameter")
        ))?;
        output.text(format!(
            "data     {} to train on, {} to test with",
            counted(self.data.examples() as usize, "example"),
            grouped(self.data.test.len() as u64)
        ))?;
        note::tell(&self.data.notes, output)?;
        output.text(format!(
            "training {}{}, learning rate {}{}, batches of {}, seed {}",
            self.optimizer_name,
            saved::precision_name(self.precision()).map_or(String::new(), |name| format!(" in {name}")),
            self.rate,
            if self.falls { " and falling" } else { "" },
            self.batch,
            self.everywhere.seed
        ))?;
        for change in &self.changed {
            output.text(format!("changed  {change}"))?;
        }
        match self.model.summary().filter(|_| self.everywhere.verbose) {
            Some(summary) => output.text(summary.trim_end()),
            None => Ok(()),
        }
    }

    fn program(&self, program: &Program, took: f64, output: &mut Output) -> Result {
        output.event(&json!({
            "event": "program", "dispatches_per_step": program.dispatches(), "nodes": program.nodes,
            "fused_nodes": program.fused_nodes, "planned_bytes": program.planned_bytes(),
            "parameter_bytes": program.parameter_bytes(), "flops_per_step": program.flops(),
            "bytes_per_step": program.bytes(), "compile_seconds": took,
        }))?;
        output.text(format!(
            "program  {} a step ({}, {} of them fused), {} planned, {} of parameters, {:.1} MFLOP a step, compiled in {}",
            counted(program.dispatches(), "dispatch"),
            counted(program.nodes, "node"),
            program.fused_nodes,
            bytes(program.planned_bytes() as u64),
            bytes(program.parameter_bytes() as u64),
            program.flops() as f64 / 1e6,
            seconds(took)
        ))
    }

    fn title(&self) -> String {
        format!("{} · {} · {} · seed {}", self.demo.name, self.model_name, self.optimizer_name, self.everywhere.seed)
    }

    /// The end of a run, for people.
    fn tell(&self, output: &mut Output, evaluation: &Evaluation, steps: u64, trained: u64, took: f64) -> Result {
        output.text("")?;
        let told = self.data.show.as_ref().map_or(Ok(false), |show| show.print(output, &self.data, evaluation))?;
        if !told {
            summary::print(output, &self.data, evaluation)?;
        }
        output.text(format!(
            "{} in all, {} of them in this run in {} ({:.0} a second)",
            counted(steps as usize, "step"),
            grouped(trained),
            seconds(took),
            trained as f64 / took.max(1e-9)
        ))?;
        let arguments = &self.arguments;
        let written =
            [("parameters", &arguments.save), ("plot", &arguments.plot), ("checkpoint", &arguments.checkpoint)];
        for (what, path) in written.into_iter().chain(arguments.gallery.files()) {
            if let Some(path) = path {
                output.text(format!("{what} in {}", path.display()))?;
            }
        }
        Ok(())
    }
}
