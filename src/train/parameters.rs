//! What was learned, as files.

use std::path::Path;

use super::model_file::{ModelFile, ModelSettings};
use super::named::{Matching, Parameters};
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::session::Session;

impl Trainer {
    /// Writes the parameters as safetensors, by PyTorch's names and layouts, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written; nothing compiled yet.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.compiled()?.save_parameters(path)
    }

    /// As [`save`](Self::save), with what else is needed to use the model, for [`ModelFile::read`].
    ///
    /// # Errors
    /// A file that cannot be written; nothing compiled yet; a setting whose name is taken.
    pub fn save_model(&self, path: impl AsRef<Path>, settings: &ModelSettings) -> Result<()> {
        self.compiled()?.save_parameters_with(path.as_ref(), &settings.metadata()?)
    }

    fn compiled(&self) -> Result<&Session> {
        self.session.as_ref().ok_or_else(|| Error::Argument("there are no parameters yet: fit first".into()))
    }

    /// Takes the parameters of a model's file, as [`load_parameters`](Self::load_parameters) does.
    ///
    /// # Errors
    /// As there: a file of another model, at once or from what compiles.
    pub fn load_model(&mut self, file: &ModelFile) -> Result<()> {
        self.take(Parameters::of(file.path(), file.tensors().clone()))
    }

    fn take(&mut self, loaded: Parameters) -> Result<()> {
        match &mut self.session {
            Some(session) => session.load_parameters(&loaded, Matching::Strict).map(|_| ()),
            None => {
                self.loaded = Some(loaded);
                Ok(())
            }
        }
    }

    /// Reads parameters from a safetensors file of the same model, as [`save`](Self::save) or PyTorch wrote it. Before anything
    /// is compiled, they are held until then. Names must be the model's; a session takes those that fit, too
    /// ([`Session::load_parameters`]).
    ///
    /// # Errors
    /// A file that cannot be read or is of another model; before anything is compiled, the latter comes from what compiles:
    /// [`fit`](Self::fit), [`evaluate`](Self::evaluate) or [`predict`](Self::predict).
    pub fn load_parameters(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.take(Parameters::read(path)?)
    }
}
