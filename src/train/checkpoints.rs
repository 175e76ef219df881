//! Where a run is saved, and what of it is there already.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::checkpoint;
use crate::error::{Error, Result};

/// Where and how often a run is saved.
///
/// There are two files in the directory: the newest state, [`file`](Self::file), and the one before it,
/// [`previous_file`](Self::previous_file). Both have checksums. A newest file that is damaged is refused; the error names the other.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub(crate) directory: PathBuf,
    pub(crate) every_steps: Option<u64>,
    pub(crate) resume: bool,
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) notes: BTreeMap<String, String>,
}

impl Checkpoints {
    /// Saves to `checkpoint.safetensors` in a directory at the end of each epoch. A directory that holds another run is refused by
    /// [`Trainer::fit`](super::Trainer::fit), unless this one [resumes](Self::resume) it.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            every_steps: None,
            resume: false,
            options: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Also after every `steps` steps.
    #[must_use]
    pub fn every_steps(mut self, steps: u64) -> Self {
        self.every_steps = Some(steps.max(1));
        self
    }

    /// Continues from the checkpoint that is there, if there is one. What is restored is what the run has learned and where it
    /// stands; what the trainer and [`Fit`](super::Fit) say is used as it is, also where it was another before: optimizer settings,
    /// learning rate, schedule, precision, number of epochs. Seed, batch size, order and training data must be the same, since
    /// steps are counted by them. Where nothing is left to do, nothing is written.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Something that a run must not change when it is resumed, by the name that the user knows it by: it is saved, and another
    /// value is an error.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(name.into(), value.into());
        self
    }

    /// Something that is saved with the run and may be another when it is resumed.
    #[must_use]
    pub fn note(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.notes.insert(name.into(), value.into());
        self
    }

    /// What [`option`](Self::option) and [`note`](Self::note) said when the run that is there was saved; `None` where there is
    /// none.
    ///
    /// # Errors
    /// A checkpoint that cannot be read or is damaged.
    pub fn saved_options(&self) -> Result<Option<BTreeMap<String, String>>> {
        self.found().map(|file| checkpoint::options(&file, &self.previous_file())).transpose()
    }

    /// The file of the newest state.
    pub fn file(&self) -> PathBuf {
        self.directory.join("checkpoint.safetensors")
    }

    /// The file of the state before the newest.
    pub fn previous_file(&self) -> PathBuf {
        self.directory.join("checkpoint.previous.safetensors")
    }

    /// The newest file that is there. The older one is alone where a run was killed between two renamings.
    pub fn found(&self) -> Option<PathBuf> {
        [self.file(), self.previous_file()].into_iter().find(|file| file.exists())
    }

    /// Makes the directory; the file to resume from, if that is wanted and there is one.
    pub(super) fn open(&self) -> Result<Option<PathBuf>> {
        std::fs::create_dir_all(&self.directory)
            .map_err(|source| Error::file("cannot make the directory", &self.directory, source))?;
        match self.found() {
            Some(file) if !self.resume => Err(Error::Argument(occupied(&file))),
            found => Ok(found),
        }
    }
}

fn occupied(file: &Path) -> String {
    format!(
        "{} is there already: resume it with Checkpoints::resume(true), or save to another directory",
        file.display()
    )
}
