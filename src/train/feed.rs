//! Where the batches of an epoch come from: indices into a data set on the device, or a stream.

use std::future::Future;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::vec;

use super::arriving::Weights;
use super::resident::Resident;
use crate::data::{Cut, Dataset, Message, Stream};
use crate::error::{Error, Result};
use crate::waiting::{block_on, may_wait};

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

/// The batches of a stream.
pub(super) struct Batches {
    source: Prepared,
    epoch: u64,
    received: u64,
}

/// Where they come from.
enum Prepared {
    /// A thread that sends them.
    Ahead(Receiver<Result<Message>>),
    /// All of an epoch, read before.
    AtOnce(vec::IntoIter<Result<Message>>),
}

impl Batches {
    /// The next one, for which it waits; `None` where the epoch ends.
    pub(super) fn wait(&mut self) -> Result<Option<Dataset>> {
        let next = match &mut self.source {
            Prepared::Ahead(receiver) => receiver.recv().map_err(|_| panicked()).flatten(),
            Prepared::AtOnce(batches) => batches.next().unwrap_or(Ok(Message::End)),
        };
        self.took(next)
    }

    fn ready(&mut self) -> Option<Result<Option<Dataset>>> {
        let Prepared::Ahead(receiver) = &self.source else { return Some(self.wait()) };
        match receiver.try_recv() {
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

/// Reads an epoch of a stream while `consume` takes the batches: in a thread of its own where this one may wait for it.
pub(super) async fn streaming<T, Consumed>(
    stream: &mut Stream,
    cut: Cut,
    consume: impl FnOnce(Batches) -> Consumed,
) -> Result<T>
where
    Consumed: Future<Output = Result<T>>,
{
    let of = |source| Batches { source, epoch: cut.epoch, received: cut.done };
    if !may_wait() {
        let mut batches = Vec::new();
        let outcome = stream.produce(cut, &mut |message| {
            batches.push(Ok(message));
            true
        });
        batches.extend(outcome.err().map(Err));
        return consume(of(Prepared::AtOnce(batches.into_iter()))).await;
    }
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
        let result = block_on(consume(of(Prepared::Ahead(receiver))));
        // Its panic was told where a batch was waited for.
        let _ = thread.join();
        result
    })
}
