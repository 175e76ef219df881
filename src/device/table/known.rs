//! The table of a device: read from disk when it is asked for the first time, and stored there when something is found.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::file::{Entries, Identity, TableFile, TunedEntry};
use crate::error::Result;
use crate::shader::Tuned;

/// Set to neither read nor write tables.
const DISABLED: &str = "WGRAD_NO_TUNING";

/// What is known of a device's kernels. All clones of a handle share it.
#[derive(Debug)]
pub(crate) struct Known {
    /// Where it is stored; nowhere where it lives and ends with the handle.
    file: Option<TableFile>,
    loaded: Mutex<Option<Loaded>>,
}

#[derive(Debug, Default)]
struct Loaded {
    entries: Entries,
    tuned: Tuned,
    /// Why the file was ignored.
    problem: Option<String>,
}

impl Loaded {
    fn new(entries: Entries, problem: Option<String>) -> Self {
        let tuned = entries.iter().map(|(key, entry)| (*key, entry.plan)).collect();
        Self { entries, tuned, problem }
    }
}

impl Known {
    /// The table in a folder.
    pub(crate) fn within(folder: &Path, identity: Identity) -> Self {
        let path = folder.join(identity.file_name());
        Self { file: Some(TableFile { path, identity }), loaded: Mutex::default() }
    }

    /// The table in the user's cache, if there is one and it is not turned off.
    pub(crate) fn of_user(cache: Option<PathBuf>, identity: Identity) -> Self {
        match cache {
            Some(cache) if std::env::var_os(DISABLED).is_none() => Self::within(&cache.join("tuning"), identity),
            _ => Self::nothing(),
        }
    }

    /// A table that is nowhere but in memory.
    pub(crate) fn nothing() -> Self {
        Self { file: None, loaded: Mutex::default() }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Loaded) -> T) -> T {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || match self.file.as_ref().map(TableFile::read) {
            None => Loaded::default(),
            Some(Ok(entries)) => Loaded::new(entries, None),
            Some(Err(error)) => Loaded::new(Entries::new(), Some(error.to_string())),
        };
        use_it(loaded.get_or_insert_with(read))
    }

    /// What the compiler goes by.
    pub(crate) fn tuned(&self) -> Tuned {
        self.with(|loaded| loaded.tuned.clone())
    }

    pub(crate) fn entries(&self) -> Vec<TunedEntry> {
        self.with(|loaded| loaded.entries.values().cloned().collect())
    }

    /// Why what is on disk was ignored, if it was.
    pub(crate) fn problem(&self) -> Option<String> {
        self.with(|loaded| loaded.problem.clone())
    }

    /// Where it is stored.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// Adds an entry, here and on disk.
    ///
    /// # Errors
    /// Where it cannot be written; it counts here all the same.
    pub(crate) fn add(&self, entry: TunedEntry) -> Result<()> {
        let added: Entries = [(entry.key, entry)].into_iter().collect();
        self.with(|loaded| {
            let mut entries = std::mem::take(&mut loaded.entries);
            entries.extend(added.clone());
            let written = self.file.as_ref().map(|file| file.merge(&added)).transpose();
            match written {
                Ok(merged) => {
                    // What another process found meanwhile counts as well.
                    let merged = merged.unwrap_or_default();
                    entries.extend(merged);
                    *loaded = Loaded::new(entries, None);
                    Ok(())
                }
                Err(error) => {
                    *loaded = Loaded::new(entries, loaded.problem.take());
                    Err(error)
                }
            }
        })
    }

    /// Forgets everything, on disk too; tells how much there was.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub(crate) fn forget(&self) -> Result<usize> {
        self.with(|loaded| {
            self.file.as_ref().map_or(Ok(()), TableFile::remove)?;
            Ok(std::mem::take(loaded).entries.len())
        })
    }
}
