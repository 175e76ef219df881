//! An epoch of a stream, cut into batches.

use std::sync::Arc;

use super::rows::Rows;
use super::{Shared, Stream};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::scalar::threefry::HostRandom;

/// The sub-stream of a seed that orders streams.
const STREAM_ORDER: u32 = 0x7374_726d;

/// How an epoch is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) seed: u64,
    pub(crate) epoch: u64,
    /// Examples in a batch.
    pub(crate) size: usize,
    pub(crate) drop_last: bool,
    /// Batches at the beginning that are left out: they were done before.
    pub(crate) done: u64,
}

/// Reads an epoch of a stream, batch by batch.
pub(crate) struct Reader {
    source: Arc<Shared>,
    /// Its turn at the source, which ends where another begins.
    turn: u64,
    cut: Cut,
    has_begun: bool,
    /// Examples that are still to be left out.
    skipped: u64,
    /// What the source gave last, and how many of its examples are used up.
    given: Option<(Dataset, usize)>,
    has_ended: bool,
    order: Order,
    /// The batch in progress, once the columns are known.
    batch: Option<Rows>,
}

/// The order of examples.
enum Order {
    AsGiven,
    /// Each is drawn from a buffer.
    Shuffled {
        random: HostRandom,
        size: usize,
        buffer: Rows,
    },
}

impl Stream {
    /// Begins an epoch; nothing is read yet.
    pub(crate) fn read(&mut self, cut: Cut) -> Reader {
        let skipped = cut.done.saturating_mul(cut.size as u64);
        let order = match self.buffer {
            None => Order::AsGiven,
            Some(size) => {
                let random = HostRandom::new(cut.seed).fold(STREAM_ORDER);
                let random = random.fold(cut.epoch as u32).fold((cut.epoch >> 32) as u32);
                Order::Shuffled { random, size, buffer: Rows::default() }
            }
        };
        // What was read already of this epoch need not be read again.
        let peeked = self.peeked.take().filter(|(epoch, _)| *epoch == cut.epoch && skipped == 0);
        Reader {
            turn: self.source.turn(),
            source: Arc::clone(&self.source),
            cut,
            has_begun: peeked.is_some(),
            skipped,
            given: peeked.map(|(_, data)| (data, 0)),
            has_ended: false,
            order,
            batch: None,
        }
    }
}

impl Reader {
    /// The next batch; `None` where the epoch ends.
    ///
    /// # Errors
    /// Of the source; examples of other columns than those before.
    pub(crate) fn next(&mut self) -> Result<Option<Dataset>> {
        self.begin()?;
        loop {
            let is_over = !self.advance()?;
            // The last of the batches that were done may have been a smaller one.
            if is_over && self.skipped >= self.cut.size as u64 {
                let message = "it ends before the examples that a run has seen of this epoch: it is another stream";
                return Err(Error::Data(message.into()));
            }
            let wanted = if is_over && !self.cut.drop_last { 1 } else { self.cut.size };
            match &mut self.batch {
                Some(batch) if batch.count() >= wanted => return batch.take().map(Some),
                _ if is_over => return Ok(None),
                _ => {}
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        let mut source = self.source.lock(self.turn)?;
        source.begin(self.cut.epoch)?;
        if self.skipped > 0 && matches!(self.order, Order::AsGiven) {
            let (skipped, left_out) = (self.skipped, source.skip(self.skipped)?);
            self.skipped = skipped.checked_sub(left_out).ok_or_else(|| {
                Error::Data(format!("it left out {left_out} examples where {skipped} were to be left out"))
            })?;
        }
        Ok(())
    }

    /// Has the source's next examples at hand; false where there are none.
    fn has_more(&mut self) -> Result<bool> {
        while self.given.as_ref().is_none_or(|(data, used)| *used >= data.len()) {
            if self.has_ended {
                return Ok(false);
            }
            let next = self.source.lock(self.turn)?.next()?;
            self.has_ended = next.is_none();
            self.given = next.map(|data| (data, 0));
        }
        Ok(true)
    }

    /// Moves some examples on towards the batch in progress, no further than it has room; false where there are none left.
    fn advance(&mut self) -> Result<bool> {
        let has_more = self.has_more()?;
        let given = self.given.as_mut().filter(|_| has_more);
        if let Some((data, used)) = &given {
            match &self.batch {
                Some(batch) if *used == 0 => batch.check(data)?,
                Some(_) => {}
                None => self.batch = Some(Rows::like(data)),
            }
        }
        let Some(batch) = &mut self.batch else { return Ok(false) };
        match (&mut self.order, given) {
            (Order::AsGiven, None) => Ok(false),
            (Order::AsGiven, Some((data, used))) => {
                let rest = data.len() - *used;
                let left_out = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(rest);
                self.skipped -= left_out as u64;
                *used += left_out;
                let count = (self.cut.size - batch.count()).min(rest - left_out);
                batch.extend(data, *used, count);
                *used += count;
                Ok(true)
            }
            (Order::Shuffled { size, buffer, .. }, Some((data, used))) if buffer.count() < *size => {
                if buffer.is_empty() {
                    *buffer = Rows::like(data);
                }
                let count = (*size - buffer.count()).min(data.len() - *used);
                buffer.extend(data, *used, count);
                *used += count;
                Ok(true)
            }
            (Order::Shuffled { buffer, .. }, None) if buffer.is_empty() => Ok(false),
            (Order::Shuffled { random, buffer, .. }, given) => {
                let index = random.below(buffer.count() as u64) as usize;
                if self.skipped > 0 {
                    self.skipped -= 1;
                } else {
                    batch.push(buffer, index);
                }
                match given {
                    Some((data, used)) => {
                        buffer.replace(index, data, *used);
                        *used += 1;
                    }
                    None => buffer.swap_remove(index),
                }
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;

    /// The numbers 0 to `examples`, in pieces of changing size.
    fn numbers(examples: i32) -> Stream {
        Stream::from_fn(move |_| {
            let mut next = 0;
            std::iter::from_fn(move || {
                let end = examples.min(next + 1 + next % 7);
                let x: Vec<i32> = (next..end).collect();
                next = end;
                let rows = x.len();
                (rows > 0).then(|| Dataset::new([("x", TensorData::from_vec(x, [rows])?)]))
            })
        })
    }

    fn batches(stream: &mut Stream, cut: Cut) -> Result<Vec<Vec<i32>>> {
        let mut reader = stream.read(cut);
        let mut found = Vec::new();
        while let Some(data) = reader.next()? {
            found.push(data.column("x").unwrap().to_vec::<i32>().unwrap());
        }
        assert!(reader.next()?.is_none());
        Ok(found)
    }

    const CUT: Cut = Cut { seed: 3, epoch: 1, size: 10, drop_last: false, done: 0 };

    #[test]
    fn batches_have_one_size_but_for_the_last() {
        for buffer in [1, 7, 1000] {
            let mut stream = numbers(95).shuffle(buffer);
            let all = batches(&mut stream, CUT).unwrap();
            assert!(all.len() == 10 && all[..9].iter().all(|batch| batch.len() == 10) && all[9].len() == 5);
            let mut sorted = all.concat();
            assert_eq!(sorted.is_sorted(), buffer == 1);
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..95), "each example once");
            assert_eq!(batches(&mut stream, Cut { drop_last: true, ..CUT }).unwrap(), all[..9]);
            // Any position is found again.
            for done in 0..=11 {
                let rest = batches(&mut stream, Cut { done, ..CUT });
                if done <= 10 {
                    assert_eq!(rest.unwrap(), all[done as usize..]);
                } else {
                    assert!(rest.unwrap_err().to_string().contains("another stream"));
                }
            }
            let other = batches(&mut stream, Cut { epoch: 2, ..CUT }).unwrap();
            assert_eq!(other == all, buffer == 1);
        }
        assert!(batches(&mut numbers(0), CUT).unwrap().is_empty());
    }

    #[test]
    fn one_reader_at_a_time_has_the_source() {
        let mut stream = numbers(95);
        let mut first = stream.read(CUT);
        first.next().unwrap();
        let mut second = stream.read(CUT);
        assert!(first.next().is_err(), "its turn is over");
        assert_eq!(second.next().unwrap().unwrap().column("x").unwrap().to_vec::<i32>().unwrap()[0], 0);
    }

    #[test]
    fn examples_of_other_columns_are_refused() {
        fn column(name: &str, data: TensorData) -> Result<Dataset> {
            Dataset::new([(name, data)])
        }
        fn zeros() -> TensorData {
            TensorData::zeros(crate::tensor::DType::F32, [3, 2])
        }
        for (name, other) in [
            ("y", zeros()),
            ("x", TensorData::zeros(crate::tensor::DType::I32, [3, 2])),
            ("x", TensorData::zeros(crate::tensor::DType::F32, [3, 4])),
        ] {
            let mut stream = Stream::from_fn(move |_| [column("x", zeros()), column(name, other.clone())]);
            let error = batches(&mut stream, CUT).unwrap_err().to_string();
            assert!(error.contains("f32[2] before"), "{error}");
        }
    }
}
