//! Data that is larger than memory: a source of examples, read epoch by epoch, shuffled within a buffer, and cut into batches by a thread
//! that is a few batches ahead.

mod batches;
mod rows;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Dataset;
use crate::error::{Error, Result};
use crate::waiting::elsewhere;

pub(crate) use batches::Cut;

/// Batches that are prepared ahead.
const AHEAD: usize = 4;

/// Where a [`Stream`]'s examples come from. An iterator is enough for most: see [`Stream::from_fn`].
///
/// ```
/// use wgrad::data::{Dataset, Source, Stream};
/// use wgrad::prelude::*;
/// /// The numbers below a limit, a hundred at a time.
/// struct Numbers { next: u64, limit: u64 }
/// impl Source for Numbers {
///     fn begin(&mut self, _epoch: u64) -> Result<()> {
///         self.next = 0;
///         Ok(())
///     }
///     fn next(&mut self) -> Result<Option<Dataset>> {
///         let end = self.limit.min(self.next + 100);
///         let x: Vec<f32> = (self.next..end).map(|number| number as f32).collect();
///         self.next = end;
///         let (rows, y) = (x.len(), x.clone());
///         if rows == 0 {
///             return Ok(None);
///         }
///         let columns = [("x", TensorData::from_vec(x, [rows, 1])?), ("y", TensorData::from_vec(y, [rows, 1])?)];
///         Dataset::new(columns).map(Some)
///     }
///     fn skip(&mut self, examples: u64) -> Result<u64> {
///         self.next = self.limit.min(self.next + examples); // it can seek
///         Ok(examples)
///     }
/// }
/// let mut stream = Stream::new(Numbers { next: 0, limit: 250 });
/// let model = Sequential::new([1]).dense(1);
/// let mut trainer = model.compile(&Device::cpu(), SGD::new(1e-6), wgrad::loss::Mse, [])?;
/// let history = trainer.fit(&mut stream, Fit::epochs(2).batch_size(32))?;
/// assert_eq!(history.epochs[1].step, 2 * 8); // the eighth batch has 26 examples
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Source: Send {
    /// An epoch begins, the first is 0: what comes next is its first example. The same epoch has the same examples each time.
    ///
    /// # Errors
    /// What cannot be opened; it ends the run.
    fn begin(&mut self, epoch: u64) -> Result<()>;

    /// The next examples, as many as are at hand; `None` where the epoch ends. All have the same columns.
    ///
    /// # Errors
    /// What cannot be read; it ends the run.
    fn next(&mut self) -> Result<Option<Dataset>>;

    /// Leaves out the epoch's next `examples`, where a run continues in the middle of it; returns how many it did leave out. The rest
    /// is read and thrown away, which is all of them unless a source knows better.
    ///
    /// # Errors
    /// As of [`next`](Self::next).
    fn skip(&mut self, examples: u64) -> Result<u64> {
        let _ = examples;
        Ok(0)
    }
}

/// Examples that are read while a model is trained or measured on them, for [`Trainer::fit`](crate::train::Trainer::fit),
/// [`Fit::validate`](crate::train::Fit::validate) and [`Trainer::evaluate`](crate::train::Trainer::evaluate). There may be more of them
/// than memory holds, and nobody needs to know how many: an epoch ends where the source does.
///
/// A thread reads and prepares a few batches [ahead](Self::ahead). In memory are those, the buffer of [`shuffle`](Self::shuffle), and
/// what the source gives at a time.
pub struct Stream {
    source: Arc<Shared>,
    buffer: Option<usize>,
    ahead: usize,
    name: String,
    /// An epoch that was begun, and its first examples.
    peeked: Option<(u64, Dataset)>,
}

impl Stream {
    /// A stream of a source.
    pub fn new(source: impl Source + 'static) -> Self {
        let source = Arc::new(Shared { turn: AtomicU64::new(0), source: Mutex::new(source) });
        Self { source, buffer: None, ahead: AHEAD, name: "stream".into(), peeked: None }
    }

    /// A stream of an iterator for each epoch, which yields any number of examples at a time.
    ///
    /// ```
    /// use wgrad::data::{Dataset, Stream};
    /// use wgrad::prelude::*;
    /// let read = |file: u64| {
    ///     // in truth from a file
    ///     let x = TensorData::from_f64(F32, &[file as f64; 20], [10, 2])?;
    ///     Dataset::new([("x", x), ("y", TensorData::zeros(I32, [10]))])
    /// };
    /// let mut stream = Stream::from_fn(move |_epoch| (0..6).map(read)).shuffle(25);
    /// let mut trainer = Sequential::new([2]).dense(3).compile(&Device::cpu(), Adam::new(0.01), CrossEntropy, [])?;
    /// let history = trainer.fit(&mut stream, Fit::epochs(3).batch_size(16))?;
    /// assert_eq!(history.epochs[2].step, 12);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn from_fn<I>(epochs: impl FnMut(u64) -> I + Send + 'static) -> Self
    where
        I: IntoIterator<Item = Result<Dataset>>,
        I::IntoIter: Send + 'static,
    {
        Self::new(Iterators { epochs, current: None })
    }

    /// Shuffles: each example of a batch is drawn from a buffer of this many, and the next one of the source takes its place. The order
    /// depends on the trainer's seed and the epoch alone. A run that continues in the middle of an epoch reads it from its beginning.
    #[must_use]
    pub fn shuffle(mut self, buffer: usize) -> Self {
        self.buffer = (buffer > 1).then_some(buffer);
        self
    }

    /// Batches that are prepared ahead, instead of 4.
    #[must_use]
    pub fn ahead(mut self, batches: usize) -> Self {
        self.ahead = batches.max(1);
        self
    }

    /// A name for what is in it: a run is not resumed with a stream of another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The first examples of the first epoch, which tell the types of all.
    ///
    /// # Errors
    /// Of the source; a source without examples.
    pub(crate) async fn peek(&mut self) -> Result<&Dataset> {
        if self.peeked.is_none() {
            let source = Arc::clone(&self.source);
            let first = elsewhere(move || {
                let mut source = source.lock(source.turn())?;
                source.begin(0)?;
                source.next()
            });
            self.peeked = first.await??.map(|data| (0, data));
        }
        self.peeked.as_ref().map(|(_, data)| data).ok_or_else(|| Error::Data("the stream has no examples".into()))
    }

    /// What tells a checkpoint this stream from others.
    pub(crate) fn description(&self) -> String {
        match self.buffer {
            Some(buffer) => format!("{} shuffled among {buffer}", self.name),
            None => self.name.clone(),
        }
    }

    pub(crate) const fn is_shuffled(&self) -> bool {
        self.buffer.is_some()
    }

    pub(crate) const fn batches_ahead(&self) -> usize {
        self.ahead
    }
}

/// A source, which one reader at a time has: a thread whose batches nobody wants any more may still be at it.
struct Shared<S: ?Sized = dyn Source> {
    turn: AtomicU64,
    source: Mutex<S>,
}

impl Shared {
    /// Ends the turn of whoever has the source, and begins the next.
    fn turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The source. After a panic of it, its next epoch begins anew.
    ///
    /// # Errors
    /// Where the turn is over.
    fn lock(&self, turn: u64) -> Result<MutexGuard<'_, dyn Source + 'static>> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if self.turn.load(Ordering::Acquire) == turn {
            Ok(source)
        } else {
            Err(Error::Data("it is read by another run".into()))
        }
    }
}

/// A source of iterators.
struct Iterators<F, I> {
    epochs: F,
    current: Option<I>,
}

impl<F, I> Source for Iterators<F, I::IntoIter>
where
    F: FnMut(u64) -> I + Send,
    I: IntoIterator<Item = Result<Dataset>>,
    I::IntoIter: Send,
{
    fn begin(&mut self, epoch: u64) -> Result<()> {
        self.current = Some((self.epochs)(epoch).into_iter());
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Dataset>> {
        self.current.as_mut().and_then(Iterator::next).transpose()
    }
}

/// What a model is trained or measured on: a data set, which goes to the device as a whole, or a stream.
pub enum Examples<'data> {
    /// A data set in memory.
    Dataset(&'data Dataset),
    /// A stream.
    Stream(&'data mut Stream),
}

impl<'data> From<&'data Dataset> for Examples<'data> {
    fn from(data: &'data Dataset) -> Self {
        Self::Dataset(data)
    }
}

impl<'data> From<&'data mut Stream> for Examples<'data> {
    fn from(stream: &'data mut Stream) -> Self {
        Self::Stream(stream)
    }
}
