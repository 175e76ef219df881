//! Where the batches of an epoch come from: indices into a data set on the device, or a stream.

use std::vec;

use super::arriving::Weights;
use super::resident::Resident;
use crate::data::{Cut, Dataset, Stream};
use crate::error::{Error, Result};
use crate::waiting::Ahead;

/// A batch.
pub(super) enum Batch {
    /// Examples of a data set on the device.
    Resident(Vec<usize>),
    /// The examples themselves.
    Streamed(Dataset),
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Resident(examples) => examples.len(),
            Self::Streamed(data) => data.len(),
        }
    }
}

/// What a model is trained on.
pub(super) enum Material<'data> {
    Resident(&'data Dataset, Resident),
    Streamed(&'data mut Stream),
}

/// The rest of an epoch.
pub(super) enum Feed<'a> {
    Resident { data: &'a Dataset, resident: &'a Resident, weights: Weights, batches: vec::IntoIter<Vec<usize>> },
    Streamed(StreamBatches),
}

impl Feed<'_> {
    /// The next batch, if it is there; `Ok(None)` where the epoch ends.
    pub(super) fn ready(&mut self) -> Option<Result<Option<Batch>>> {
        match self {
            Self::Resident { batches, .. } => Some(Ok(batches.next().map(Batch::Resident))),
            Self::Streamed(batches) => batches.ready().map(|next| Ok(next?.map(Batch::Streamed))),
        }
    }

    /// The next batch.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>> {
        match self {
            Self::Resident { batches, .. } => Ok(batches.next().map(Batch::Resident)),
            Self::Streamed(batches) => Ok(batches.next().await?.map(Batch::Streamed)),
        }
    }

    /// True where no batch is left. A stream is asked for it, and waited for where `waits`.
    pub(super) async fn is_over(&mut self, waits: bool) -> bool {
        match self {
            Self::Resident { batches, .. } => batches.len() == 0,
            Self::Streamed(batches) if waits => matches!(batches.next().await, Ok(None)),
            Self::Streamed(batches) => matches!(batches.ready(), Some(Ok(None))),
        }
    }

    /// What examples on the device weigh in the mean loss.
    pub(super) fn weight(&self, examples: &[usize]) -> f64 {
        match self {
            Self::Resident { weights, .. } => weights.of(examples),
            Self::Streamed(_) => examples.len() as f64,
        }
    }
}

/// The batches of a stream, which a thread reads ahead.
pub(super) struct StreamBatches {
    source: Ahead<Result<Option<Dataset>>>,
    epoch: u64,
    received: u64,
}

impl StreamBatches {
    /// Begins to read an epoch.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn new(stream: &mut Stream, cut: Cut) -> Result<Self> {
        let (mut reader, mut is_over) = (stream.read(cut), false);
        let make = move || {
            (!is_over).then(|| {
                let next = reader.next();
                is_over = !matches!(next, Ok(Some(_)));
                next
            })
        };
        let source = Ahead::new("wgrad-stream", stream.batches_ahead(), make)?;
        Ok(Self { source, epoch: cut.epoch, received: cut.done })
    }

    /// The next one; `None` where the epoch ends.
    pub(super) async fn next(&mut self) -> Result<Option<Dataset>> {
        let next = self.source.next().await;
        self.took(next)
    }

    fn ready(&mut self) -> Option<Result<Option<Dataset>>> {
        let next = self.source.ready()?;
        Some(self.took(next))
    }

    fn took(&mut self, next: Option<Result<Option<Dataset>>>) -> Result<Option<Dataset>> {
        match next.unwrap_or_else(|| Err(Error::Data("its source panicked".into()))) {
            Ok(next) => {
                self.received += u64::from(next.is_some());
                Ok(next)
            }
            Err(error) => {
                let (epoch, received) = (self.epoch + 1, self.received);
                Err(Error::Data(format!("the stream failed in epoch {epoch}, batch {}: {error}", received + 1)))
            }
        }
    }
}
