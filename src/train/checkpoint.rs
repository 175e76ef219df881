//! A run in one file: parameters, optimizer state, step, place in the epoch, schedule, seed and history. Resuming from it
//! gives the same bits as never having stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::history::History;
use super::{checkpoint_file, counters};
use crate::error::{Error, Result};
use crate::ops::Role;
use crate::session::Session;
use crate::tensor::{DType, TensorData};

/// Version of the metadata; others are refused.
const FORMAT: &str = "wgrad-checkpoint-1";

/// Where a run stands, apart from its variables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// Steps done.
    pub(super) step: u64,
    /// Finished epochs.
    pub(super) epoch: u64,
    /// Batches done of the epoch under way.
    pub(super) batch: u64,
    /// Sum of losses of the epoch under way, each times its examples; and the examples.
    pub(super) loss_sum: f64,
    pub(super) examples: u64,
    /// State of the learning-rate schedule.
    pub(super) schedule: [f64; 4],
    /// The seed that orders and draws come from.
    pub(super) seed: u64,
    /// Examples in a batch: another size would make other steps.
    pub(super) batch_size: u64,
    pub(super) history: History,
}

fn kept(role: &Role) -> bool {
    matches!(role, Role::Parameter | Role::Buffer | Role::State(_))
}

/// Writes the file whole or not at all.
pub(super) fn save(path: &Path, session: &Session, progress: &Progress) -> Result<()> {
    let mut tensors = Vec::new();
    for variable in session.variables().iter().filter(|variable| kept(&variable.role)) {
        tensors.push((variable.name.clone(), session.parameter(&variable.name)?));
    }
    // Floats as their bits: what is read back is what was there.
    let bits = |value: f64| format!("{:016x}", value.to_bits());
    let schedule: Vec<String> = progress.schedule.iter().map(|&value| bits(value)).collect();
    let metadata: Vec<(String, String)> = [
        ("format", FORMAT.to_owned()),
        ("step", progress.step.to_string()),
        ("epoch", progress.epoch.to_string()),
        ("batch", progress.batch.to_string()),
        ("batch_size", progress.batch_size.to_string()),
        ("loss_sum", bits(progress.loss_sum)),
        ("examples", progress.examples.to_string()),
        ("schedule", schedule.join(" ")),
        ("seed", progress.seed.to_string()),
        ("optimizers", counters::to_json(session)),
        ("history", progress.history.to_json()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    checkpoint_file::write(path, &tensors, &metadata)
}

/// Reads the file into a session of the same model.
pub(super) fn load(path: &Path, session: &mut Session, seed: u64, batch_size: u64) -> Result<Progress> {
    let (tensors, metadata) = checkpoint_file::read(path)?;
    let wrong = |message: String| Error::format(path, message);
    let field = |name: &str| {
        metadata.get(name).ok_or_else(|| wrong(format!("it is no checkpoint of a training run: it has no {name:?}")))
    };
    if field("format")? != FORMAT {
        return Err(wrong(format!("its format is {:?}, not {FORMAT:?}", field("format")?)));
    }
    let number =
        |name: &str| -> Result<u64> { field(name)?.parse().map_err(|_| wrong(format!("its {name} is not a number"))) };
    let float = |text: &str| -> Result<f64> {
        u64::from_str_radix(text, 16)
            .map(f64::from_bits)
            .map_err(|_| wrong(format!("{text:?} are not the bits of a float")))
    };
    let mut progress = Progress {
        step: number("step")?,
        epoch: number("epoch")?,
        batch: number("batch")?,
        batch_size: number("batch_size")?,
        loss_sum: float(field("loss_sum")?)?,
        examples: number("examples")?,
        seed: number("seed")?,
        history: History::from_json(field("history")?).map_err(|error| wrong(error.to_string()))?,
        ..Progress::default()
    };
    for (state, text) in progress.schedule.iter_mut().zip(field("schedule")?.split(' ')) {
        *state = float(text)?;
    }
    if progress.seed != seed {
        return Err(wrong(format!("it was made with seed {}, this run has seed {seed}", progress.seed)));
    }
    if progress.batch_size != batch_size {
        return Err(wrong(format!("it was made with batches of {}, this run has {batch_size}", progress.batch_size)));
    }
    restore(path, session, &tensors, kept)?;
    session.set_steps(progress.step);
    // Files from before optimizers counted by themselves have one, which has done every step.
    if let Some(optimizers) = metadata.get("optimizers") {
        counters::restore(session, optimizers).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(progress)
}

/// Puts tensors into the variables of their names, after checking that they are this model's.
pub(super) fn restore(
    path: &Path,
    session: &mut Session,
    tensors: &BTreeMap<String, TensorData>,
    wanted: impl Fn(&Role) -> bool,
) -> Result<()> {
    let wrong = |message: String| Error::format(path, message);
    let mut converted = BTreeMap::new();
    let variables: Vec<_> = session.variables().iter().filter(|variable| wanted(&variable.role)).cloned().collect();
    for variable in &variables {
        match tensors.get(&variable.name) {
            None => {
                return Err(wrong(format!(
                    "it is of another model: it has no {:?}, which this one needs",
                    variable.name
                )));
            }
            // PyTorch keeps counters in 64 bits.
            Some(data)
                if data.dtype() == DType::I64
                    && variable.ty.dtype == DType::I32
                    && *data.shape() == variable.ty.shape =>
            {
                let narrow = data.narrowed().map_err(|error| wrong(format!("{:?}: {error}", variable.name)))?;
                converted.insert(variable.name.as_str(), narrow);
            }
            Some(data) if *data.ty() != variable.ty => {
                return Err(wrong(format!(
                    "it is of another model: {:?} is {} there, {} here",
                    variable.name,
                    data.ty(),
                    variable.ty
                )));
            }
            Some(_) => {}
        }
    }
    if let Some(name) = tensors.keys().find(|name| !variables.iter().any(|variable| variable.name == **name)) {
        return Err(wrong(format!("it is of another model: it has {name:?}, which this one does not know")));
    }
    for variable in &variables {
        let value = converted.get(variable.name.as_str()).or_else(|| tensors.get(&variable.name));
        if let Some(value) = value {
            session.set_parameter(&variable.name, value)?;
        }
    }
    Ok(())
}

/// Writes the parameters (and buffers) alone, by their names, as PyTorch reads them.
pub(super) fn save_parameters(path: &Path, session: &Session) -> Result<()> {
    let mut tensors = Vec::new();
    for variable in session.variables() {
        if matches!(variable.role, Role::Parameter | Role::Buffer) {
            tensors.push((variable.name.clone(), session.parameter(&variable.name)?));
        }
    }
    checkpoint_file::write(path, &tensors, &[])
}

/// Parameters from a file that [`save_parameters`] or PyTorch wrote.
pub(super) struct Loaded {
    path: PathBuf,
    tensors: checkpoint_file::Tensors,
}

impl Loaded {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let (tensors, _) = checkpoint_file::read(path)?;
        Ok(Self { path: path.to_owned(), tensors })
    }

    pub(super) fn give(&self, session: &mut Session) -> Result<()> {
        restore(&self.path, session, &self.tensors, |role| matches!(role, Role::Parameter | Role::Buffer))
    }
}
