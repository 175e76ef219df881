//! How the time of a training step is spent.

use super::Trainer;
use super::resident::{INDEX, index_of};
use crate::data::Dataset;
use crate::error::Result;
use crate::session::Profile;

impl Trainer {
    /// Measures training steps of this batch size: see [`Session::profile`](crate::session::Session::profile). They are real steps,
    /// on the first examples.
    ///
    /// # Errors
    /// As of [`compile_training`](Self::compile_training); a device that fails.
    pub fn profile(&mut self, data: &Dataset, batch: usize) -> Result<Profile> {
        let id = self.compile_training(data, batch)?;
        let index = index_of(&(0..batch).collect::<Vec<_>>())?;
        self.open()?.using(&id).profile(&[(INDEX, &index)])
    }
}
