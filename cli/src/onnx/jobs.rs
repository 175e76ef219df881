//! Jobs of one kind in one process: a single one from options, or many from a file with a line of JSON each. One that fails does
//! not keep the others from being done.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::{Value, json};
use wgrad::onnx::{Import, Model};
use wgrad::safetensors::{self, Tensors};

use super::fit::batch_number;
use crate::failure::{Failure, Result};
use crate::files::{Before, Files};
use crate::interrupt;
use crate::output::{Output, counted, seconds};

/// One job of a file.
pub struct Job {
    /// What it is called in events.
    name: String,
    fields: Value,
}

impl Job {
    /// A field of the job's line.
    pub fn field(&self, field: &str) -> Result<&Value> {
        self.fields.get(field).ok_or_else(|| Failure::new(format!("job {:?} has no {field:?}", self.name)))
    }

    /// What the job reads and writes, so far as its line says it. What is missing there is told when the job is done.
    fn files(&self) -> Files {
        let path = |field: &str| self.fields.get(field).and_then(Value::as_str).map(Path::new);
        let of = |what: &str| format!("{what} of job {:?},", self.name);
        Files::new()
            .reads(of("the model"), path("model"))
            .reads(of("the inputs"), path("inputs"))
            .reads(of("the upstream gradients"), path("upstream"))
            .reads_some(of("the batches"), path("batches"), |path| batch_number(path).is_some())
            .writes(of("the outputs"), path("outputs"))
    }

    /// The job's model alone.
    fn model(&self) -> Files {
        let path = self.fields.get("model").and_then(Value::as_str).map(Path::new);
        Files::new().reads(format!("the model of job {:?},", self.name), path)
    }

    /// A path of the job's line.
    pub fn path(&self, field: &str) -> Result<PathBuf> {
        self.fields
            .get(field)
            .and_then(Value::as_str)
            .map(PathBuf::from)
            .ok_or_else(|| Failure::new(format!("job {:?} has no {field:?}, which should be a path", self.name)))
    }
}

/// The jobs of a file.
fn read(path: &Path) -> Result<Vec<Job>> {
    let text =
        fs::read_to_string(path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let at = |message: String| Failure::new(format!("{}:{}: {message}", path.display(), number + 1));
            let fields: Value =
                serde_json::from_str(line).map_err(|error| at(format!("not a JSON object: {error}")))?;
            let Some(name) = fields.get("name").and_then(Value::as_str).map(str::to_owned) else {
                return Err(at("a job is an object with a \"name\"".to_owned()));
            };
            Ok(Job { name, fields })
        })
        .collect()
}

/// A model's inputs from a file, none where there is no file, and an import that knows them all: values that steer shapes are among them.
pub fn read_inputs(path: Option<&Path>) -> Result<(Tensors, Import)> {
    let inputs = match path {
        Some(path) => safetensors::read(path)?.0,
        None => Tensors::new(),
    };
    let import = inputs.iter().fold(Import::new(), |import, (name, data)| import.value(name, data.clone()));
    Ok((inputs, import))
}

/// What a job reads and writes beside the files in which the model may have its weights.
pub fn files(model: &Path, inputs: &[(&str, Option<&Path>)], outputs: &Path) -> Files {
    let files = Files::new().reads("the model", Some(model)).writes("--outputs", Some(outputs));
    inputs.iter().fold(files, |files, (name, path)| files.reads(*name, *path))
}

/// The model, if the outputs replace none of the files in which it has its weights.
pub fn load(path: &Path, outputs: &Path) -> Result<Model> {
    let model = Model::load(path)?;
    let own = model.data_files();
    let files = Files::new().writes("--outputs", Some(outputs));
    own.iter().fold(files, |files, data| files.reads("the model's data", Some(data))).check()?;
    Ok(model)
}

/// A line for a job that is done or has failed.
fn tell(event: &str, name: &str, done: &Result, took: f64, output: &mut Output) -> Result {
    let error = match done {
        Ok(()) => None,
        Err(Failure::Message(message)) => Some(message.lines().map(str::trim).collect::<Vec<_>>().join(" ")),
        Err(_) => Some("failed".to_owned()),
    };
    output.event(&json!({"event": event, "name": name, "ok": error.is_none(), "error": error, "seconds": took}))?;
    match error {
        None => output.text(format!("{name}: done in {}", seconds(took))),
        Some(error) => output.text(format!("{name}: {error}")),
    }
}

/// Does one job that options describe.
pub fn single(event: &str, name: &str, output: &mut Output, work: impl FnOnce() -> Result) -> Result {
    let start = Instant::now();
    let done = work();
    if done.is_ok() || output.is_json() {
        tell(event, name, &done, start.elapsed().as_secs_f64(), output)?;
    }
    done
}

/// Does all jobs of a file, one after the other.
pub fn all(event: &str, path: &Path, output: &mut Output, mut work: impl FnMut(&Job) -> Result) -> Result {
    let jobs = read(path)?;
    let interrupted = interrupt::flag();
    let mut failed = 0;
    // A job may read what one before it has written, and write over nothing that one before it has read.
    let mut before = Before::reading(&Files::new().reads("the list of jobs", Some(path)));
    jobs.iter().for_each(|job| before.extend(&job.model()));
    for (done, job) in jobs.iter().enumerate() {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Failure::new(format!("stopped after {done} of {}", counted(jobs.len(), "job"))));
        }
        let start = Instant::now();
        // A mistake of ours in one job does not take the others with it.
        let files = job.files();
        let done = before.refuse(&files).and_then(|()| {
            catch_unwind(AssertUnwindSafe(|| work(job)))
                .unwrap_or_else(|_| Err(Failure::new("wgrad has a mistake in it, please report")))
        });
        before.extend(&files);
        failed += usize::from(done.is_err());
        tell(event, &job.name, &done, start.elapsed().as_secs_f64(), output)?;
    }
    if failed == 0 { Ok(()) } else { Err(Failure::new(format!("{failed} of {} failed", counted(jobs.len(), "job")))) }
}
