//! A run in one file: parameters, optimizer state, step, position in the epoch, schedule, seed and history. Resuming from it
//! gives the same bits as never having stopped.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::checkpoints::Checkpoints;
use super::counters;
use super::history::History;
use super::named::{self, Matching};
use crate::data::{Dataset, Stream};
use crate::error::{Error, Result};
use crate::ops::Role;
use crate::safetensors::{self, Metadata, Tensors};
use crate::session::Session;
use crate::tensor::TensorData;

/// Version of the metadata; others are refused.
const FORMAT: &str = "wgrad-checkpoint-2";

/// Where a run stands, apart from its variables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// Steps done.
    pub(super) step: u64,
    /// Finished epochs.
    pub(super) epoch: u64,
    /// Batches done of the epoch in progress.
    pub(super) batch: u64,
    /// Sum of the batches' mean losses in the epoch in progress, each times what its examples weigh; and the sum of that.
    pub(super) loss_sum: f64,
    pub(super) weight: f64,
    /// State of the learning-rate schedule.
    pub(super) schedule: [f64; 4],
    /// The seed that orders and draws come from.
    pub(super) seed: u64,
    /// The learning rate before any schedule.
    pub(super) learning_rate: f64,
    /// What the steps are counted by.
    pub(super) batches: Batches,
    pub(super) history: History,
}

impl Progress {
    /// Steps, epochs and batches are counts of the same thing; without that, an epoch might never end.
    /// Of a stream, nobody knows how many batches an epoch has.
    pub(super) fn check(&self, path: &Path, per_epoch: Option<u64>) -> Result<()> {
        let Some(per_epoch) = per_epoch else { return Ok(()) };
        let steps = self.epoch.checked_mul(per_epoch).and_then(|steps| steps.checked_add(self.batch));
        if self.batch <= per_epoch && steps == Some(self.step) {
            return Ok(());
        }
        let Self { step, epoch, batch, .. } = self;
        let message = format!("step {step} is not batch {batch} after {epoch} epochs of {per_epoch}: it is damaged");
        Err(Error::format(path, message))
    }
}

/// How examples become steps. Others would make the position in the epoch mean something else.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Batches {
    /// Examples in a batch.
    pub(super) size: usize,
    pub(super) shuffle: bool,
    pub(super) drop_last: bool,
    /// A digest of the training data.
    pub(super) data: String,
}

impl Batches {
    pub(super) fn new(size: usize, shuffle: bool, drop_last: bool, data: &Dataset) -> Self {
        Self { size, shuffle, drop_last, data: digest(data) }
    }

    pub(super) fn of_stream(size: usize, drop_last: bool, stream: &Stream) -> Self {
        Self { size, shuffle: stream.is_shuffled(), drop_last, data: stream.description() }
    }

    /// Names for people, and values.
    fn fields(&self) -> [(&'static str, String); 4] {
        [
            ("batches of", self.size.to_string()),
            ("shuffle", self.shuffle.to_string()),
            ("drop_last", self.drop_last.to_string()),
            ("training data", self.data.clone()),
        ]
    }

    fn to_json(&self) -> String {
        let fields: BTreeMap<_, _> = self.fields().into_iter().collect();
        json!(fields).to_string()
    }
}

/// Types and a CRC-32 of the columns, the same for the same content in every process.
fn digest(data: &Dataset) -> String {
    let column = |(name, values): &(String, TensorData)| {
        format!("{name} {} {:08x}", values.ty(), crc32fast::hash(values.bytes()))
    };
    data.columns().iter().map(column).collect::<Vec<_>>().join(", ")
}

fn is_saved(role: &Role) -> bool {
    matches!(role, Role::Parameter | Role::Buffer | Role::State(_))
}

/// Writes the file whole or not at all; the one before it is moved to the other path.
pub(super) async fn save(checkpoints: &Checkpoints, session: &Session, progress: &Progress) -> Result<()> {
    let tensors = session.values_async(|variable| is_saved(&variable.role)).await?;
    // Floats as their bits: what is read back is what was there.
    let bits = |value: f64| format!("{:016x}", value.to_bits());
    let schedule: Vec<String> = progress.schedule.iter().map(|&value| bits(value)).collect();
    let metadata: Vec<(String, String)> = [
        ("format", FORMAT.to_owned()),
        ("step", progress.step.to_string()),
        ("epoch", progress.epoch.to_string()),
        ("batch", progress.batch.to_string()),
        ("batches", progress.batches.to_json()),
        ("loss_sum", bits(progress.loss_sum)),
        ("weight", bits(progress.weight)),
        ("learning_rate", bits(progress.learning_rate)),
        ("schedule", schedule.join(" ")),
        ("seed", progress.seed.to_string()),
        ("optimizers", counters::to_json(session)),
        ("options", json!(checkpoints.options).to_string()),
        ("notes", json!(checkpoints.notes).to_string()),
        ("history", progress.history.to_json()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    safetensors::write_after(&checkpoints.file(), Some(&checkpoints.previous_file()), &tensors, &metadata)
}

/// Reads a checkpoint. Of a damaged one, the error says what there is instead.
fn read(path: &Path, previous: &Path) -> Result<(Tensors, Metadata)> {
    let whole = |path: &Path| -> Result<(Tensors, Metadata)> {
        let (tensors, metadata, verified) = safetensors::read_verified(path)?;
        let wrong = |message: String| Error::format(path, message);
        match metadata.get("format") {
            None => Err(wrong("it is no checkpoint of a training run: it has no \"format\"".to_owned())),
            Some(format) if format != FORMAT => Err(wrong(format!("its format is {format:?}, not {FORMAT:?}"))),
            Some(_) if !verified => Err(wrong("damaged: it has no checksum".to_owned())),
            Some(_) => Ok((tensors, metadata)),
        }
    };
    whole(path).map_err(|error| match error {
        Error::Format { path, message } if path != previous => {
            let advice = match whole(previous) {
                Ok((_, metadata)) => format!(
                    "the one before it, {}, is whole (step {}): replace the damaged one with it to continue from there",
                    previous.display(),
                    metadata.get("step").map_or("?", String::as_str)
                ),
                Err(Error::File { .. }) => "there is none before it".to_owned(),
                Err(error) => format!("nor can the one before it be used: {error}"),
            };
            Error::Format { path, message: format!("{message}; {advice}") }
        }
        other => other,
    })
}

/// What the user said of the run in a checkpoint.
pub(super) fn options(path: &Path, previous: &Path) -> Result<BTreeMap<String, String>> {
    let (_, metadata) = read(path, previous)?;
    let mut options = fields(path, &metadata, "options")?;
    options.extend(fields(path, &metadata, "notes")?);
    Ok(options)
}

/// A field of names and values.
fn fields(path: &Path, metadata: &Metadata, name: &str) -> Result<BTreeMap<String, String>> {
    let text = metadata.get(name).map(|text| serde_json::from_str(text));
    text.and_then(Result::ok).ok_or_else(|| Error::format(path, format!("its {name} are not readable")))
}

/// Reads the file into a session of the same model. `run` is what this run would be at its beginning; that and what the file says
/// make the progress from which it continues.
pub(super) fn load(path: &Path, checkpoints: &Checkpoints, session: &mut Session, run: Progress) -> Result<Progress> {
    let (tensors, metadata) = read(path, &checkpoints.previous_file())?;
    let wrong = |message: String| Error::format(path, message);
    let field = |name: &str| metadata.get(name).ok_or_else(|| wrong(format!("it has no {name:?}")));
    let number =
        |name: &str| -> Result<u64> { field(name)?.parse().map_err(|_| wrong(format!("its {name} is not a number"))) };
    let float = |text: &str| -> Result<f64> {
        u64::from_str_radix(text, 16)
            .map(f64::from_bits)
            .map_err(|_| wrong(format!("{text:?} are not the bits of a float")))
    };
    let seed = number("seed")?;
    if run.seed != seed {
        return Err(wrong(format!("it was made with seed {seed}, this run has seed {}", run.seed)));
    }
    let batches = fields(path, &metadata, "batches")?;
    let options = fields(path, &metadata, "options")?;
    let now = run.batches.fields();
    let now = now.iter().map(|(name, value)| (*name, value, &batches));
    let now = now.chain(checkpoints.options.iter().map(|(name, value)| (name.as_str(), value, &options)));
    for (name, value, saved) in now {
        match saved.get(name) {
            Some(saved) if saved == value => {}
            Some(saved) => return Err(wrong(format!("it was made with {name} {saved}, this run has {name} {value}"))),
            None => return Err(wrong(format!("it was made without {name}, this run has {name} {value}"))),
        }
    }
    if let Some((name, saved)) = options.iter().find(|(name, _)| !checkpoints.options.contains_key(*name)) {
        return Err(wrong(format!("it was made with {name} {saved}, this run has no {name}")));
    }
    let mut progress = Progress {
        step: number("step")?,
        epoch: number("epoch")?,
        batch: number("batch")?,
        loss_sum: float(field("loss_sum")?)?,
        weight: float(field("weight")?)?,
        history: History::from_json(field("history")?).map_err(|error| wrong(error.to_string()))?,
        ..run
    };
    for (state, text) in progress.schedule.iter_mut().zip(field("schedule")?.split(' ')) {
        *state = float(text)?;
    }
    // Another rate than before replaces the old one, with whatever a plateau made of it.
    if float(field("learning_rate")?)?.to_bits() != progress.learning_rate.to_bits() {
        progress.schedule[0] = progress.learning_rate;
    }
    named::restore(path, session, &tensors, Matching::Strict, is_saved)?;
    session.set_steps(progress.step);
    counters::restore(session, field("optimizers")?).map_err(|error| wrong(error.to_string()))?;
    Ok(progress)
}
