//! What was learned, as files.

use std::path::Path;

use super::checkpoint;
use super::trainer::Trainer;
use crate::error::{Error, Result};

impl Trainer {
    /// Writes the parameters as safetensors, by PyTorch's names and layouts, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written; nothing compiled yet.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let session =
            self.session.as_ref().ok_or_else(|| Error::Argument("there are no parameters yet: fit first".into()))?;
        checkpoint::save_parameters(path.as_ref(), session)
    }

    /// Reads parameters from a safetensors file of the same model, as [`save`](Self::save) or PyTorch wrote it. Before anything
    /// is compiled, they are kept until then.
    ///
    /// # Errors
    /// A file that cannot be read or is of another model; before anything is compiled, the latter comes from what compiles:
    /// [`fit`](Self::fit), [`evaluate`](Self::evaluate) or [`predict`](Self::predict).
    pub fn load_parameters(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let loaded = checkpoint::Loaded::read(path.as_ref())?;
        match &mut self.session {
            Some(session) => loaded.give(session),
            None => {
                self.loaded = Some(loaded);
                Ok(())
            }
        }
    }
}
