//! Where the batches of an epoch come from: indices into a data set on the device, or a stream.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::vec;

use super::arriving::Weights;
use super::resident::Resident;
use crate::data::{Cut, Dataset, Message, Stream};
use crate::error::{Error, Result};

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
    Streamed(Batches),
}

impl Feed<'_> {
    /// The next batch, if it is there; `Ok(None)` where the epoch ends.
    pub(super) fn ready(&mut self) -> Option<Result<Option<Batch>>> {
        match self {
            Self::Resident { batches, .. } => Some(Ok(batches.next().map(Batch::Resident))),
            Self::Streamed(batches) => batches.ready().map(|next| Ok(next?.map(Batch::Streamed))),
        }
    }

    /// The next batch, for which it waits.
    pub(super) fn wait(&mut self) -> Result<Option<Batch>> {
        match self {
            Self::Resident { batches, .. } => Ok(batches.next().map(Batch::Resident)),
            Self::Streamed(batches) => Ok(batches.wait()?.map(Batch::Streamed)),
        }
    }

    /// True where no batch is left. A stream is asked for it, and waited for where `waits`.
    pub(super) fn is_over(&mut self, waits: bool) -> bool {
        match self {
            Self::Resident { batches, .. } => batches.len() == 0,
            Self::Streamed(batches) if waits => matches!(batches.wait(), Ok(None)),
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

/// The batches that a stream's thread sends.
pub(super) struct Batches {
    receiver: Receiver<Result<Message>>,
    epoch: u64,
    received: u64,
}

impl Batches {
    /// The next one, for which it waits; `None` where the epoch ends.
    pub(super) fn wait(&mut self) -> Result<Option<Dataset>> {
        let next = self.receiver.recv().map_err(|_| panicked()).flatten();
        self.took(next)
    }

    fn ready(&mut self) -> Option<Result<Option<Dataset>>> {
        match self.receiver.try_recv() {
            Ok(next) => Some(self.took(next)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(self.took(Err(panicked()))),
        }
    }

    fn took(&mut self, next: Result<Message>) -> Result<Option<Dataset>> {
        match next {
            Ok(Message::Batch(data)) => {
                self.received += 1;
                Ok(Some(data))
            }
            Ok(Message::End) => Ok(None),
            Err(error) => {
                let (epoch, received) = (self.epoch + 1, self.received);
                Err(Error::Data(format!("the stream failed in epoch {epoch}, batch {}: {error}", received + 1)))
            }
        }
    }
}

fn panicked() -> Error {
    Error::Data("its source panicked".into())
}

/// Reads an epoch of a stream in a thread of its own while `consume` takes the batches.
pub(super) fn streaming<T>(stream: &mut Stream, cut: Cut, consume: impl FnOnce(Batches) -> Result<T>) -> Result<T> {
    let (sender, receiver) = sync_channel(stream.batches_ahead());
    thread::scope(|scope| {
        let produce = move || {
            let outcome = stream.produce(cut, &mut |message| sender.send(Ok(message)).is_ok());
            if let Err(error) = outcome {
                // Where nobody listens any more, nobody needs to know.
                let _ = sender.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name("wgrad-stream".into()).spawn_scoped(scope, produce);
        let thread =
            thread.map_err(|error| Error::Data(format!("no thread could be started for the stream: {error}")))?;
        let result = consume(Batches { receiver, epoch: cut.epoch, received: cut.done });
        // Its panic was told where a batch was waited for.
        let _ = thread.join();
        result
    })
}
