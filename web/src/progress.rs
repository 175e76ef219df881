//! How far a demo is.

use wgrad::Result;
use wgrad::session::Session;

/// What a page shows of a training.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps so far.
    pub steps: u64,
    /// The loss of the last one.
    pub loss: f64,
}

impl Progress {
    /// After some steps more, of which the last one's loss is read.
    ///
    /// # Errors
    /// Of the device.
    pub(crate) async fn after(&mut self, steps: u64, session: &mut Session) -> Result<Self> {
        self.steps += steps;
        if steps > 0 {
            self.loss = session.read_async("loss").await?.item()?;
        }
        Ok(*self)
    }
}
