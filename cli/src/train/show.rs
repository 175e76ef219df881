//! What a demo shows beside loss and metrics: generated text, sentences with verdicts, a forecast.

use std::path::PathBuf;

use wgrad::session::Session;
use wgrad::train::{Evaluation, Trainer};

use super::demo::Data;
use crate::failure::Result;
use crate::output::Output;

/// A sentence and its translation.
#[derive(Clone, Debug)]
pub struct Translation {
    pub text: String,
    pub translation: String,
}

/// Something to show.
pub trait Show {
    /// Scores after an epoch beside the trainer's, by name.
    ///
    /// # Errors
    /// A device that fails.
    fn validate(&self, session: &mut Session) -> Result<Vec<(String, f64)>> {
        let _ = session;
        Ok(Vec::new())
    }

    /// What a saved model makes of the sentences that it is asked about, once it was compiled.
    ///
    /// # Errors
    /// A device that fails.
    fn translate(&self, trainer: &mut Trainer) -> Result<Vec<Translation>> {
        let _ = trainer;
        Ok(Vec::new())
    }

    /// A sample of what was learned up to the end of an epoch.
    ///
    /// # Errors
    /// A device that fails.
    fn after_epoch(&self, session: &mut Session) -> Result<Option<String>> {
        let _ = session;
        Ok(None)
    }

    /// Something that a model writes without being asked about data, once it was compiled.
    ///
    /// # Errors
    /// A device that fails.
    fn write(&self, trainer: &mut Trainer) -> Result<Option<String>> {
        let _ = trainer;
        Ok(None)
    }

    /// Samples of what was learned in all.
    ///
    /// # Errors
    /// A device that fails.
    fn samples(&self, data: &Data, trainer: &mut Trainer, evaluation: &Evaluation) -> Result<Vec<String>> {
        let _ = (data, trainer, evaluation);
        Ok(Vec::new())
    }

    /// Scores beside the trainer's, by name.
    ///
    /// # Errors
    /// Predictions that do not fit the data.
    fn scores(&self, data: &Data, evaluation: &Evaluation) -> Result<Vec<(String, f64)>> {
        let _ = (data, evaluation);
        Ok(Vec::new())
    }

    /// The scores, for people; false where the usual table of classes is wanted.
    ///
    /// # Errors
    /// A reader who has gone.
    fn print(&self, output: &mut Output, data: &Data, evaluation: &Evaluation) -> Result<bool> {
        let _ = (output, data, evaluation);
        Ok(false)
    }

    /// Draws what was asked for, and says where it is.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn draw(&self, title: &str, data: &Data, evaluation: &Evaluation) -> Result<Option<PathBuf>> {
        let _ = (title, data, evaluation);
        Ok(None)
    }
}
