//! An epoch of a stream, cut into batches: what its thread does.

use super::rows::Rows;
use super::{Source, Stream};
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

/// What comes of an epoch, in order.
pub(crate) enum Message {
    Batch(Dataset),
    End,
}

/// What collects rows to batches and passes them on.
struct Collector<'s> {
    cut: Cut,
    /// Examples that are still to be left out.
    skipped: u64,
    batch: Rows,
    send: &'s mut dyn FnMut(Message) -> bool,
}

impl Collector<'_> {
    /// How many examples the batch in progress takes now, at the most `count`; and whether they are left out.
    fn room(&mut self, count: usize) -> (usize, bool) {
        if self.skipped > 0 {
            let count = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(count);
            self.skipped -= count as u64;
            return (count, true);
        }
        ((self.cut.size - self.batch.count()).min(count), false)
    }

    /// Passes the batch on where it is whole; false where nobody wants it.
    fn pass(&mut self) -> Result<bool> {
        if self.batch.count() < self.cut.size {
            return Ok(true);
        }
        let batch = self.batch.take()?;
        Ok((self.send)(Message::Batch(batch)))
    }
}

impl Stream {
    /// Sends the batches of an epoch, until nobody wants more.
    ///
    /// # Errors
    /// Of the source; examples of other columns than those before.
    pub(crate) fn produce(&mut self, cut: Cut, send: &mut dyn FnMut(Message) -> bool) -> Result<()> {
        let mut skipped = cut.done.saturating_mul(cut.size as u64);
        let next = self.begin(cut.epoch, skipped)?;
        let source = self.source.as_mut();
        if self.buffer.is_none() && skipped > 0 {
            let left_out = source.skip(skipped)?;
            skipped = skipped.checked_sub(left_out).ok_or_else(|| {
                Error::Data(format!("it left out {left_out} examples where {skipped} were to be left out"))
            })?;
        }
        let mut collector = Collector { cut, skipped, batch: Rows::default(), send };
        let wanted = match self.buffer {
            None => in_order(source, next, &mut collector)?,
            Some(buffer) => shuffled(source, next, buffer, &mut collector)?,
        };
        if !wanted {
            return Ok(());
        }
        // The last of the batches that were done may have been a smaller one.
        if collector.skipped >= cut.size as u64 {
            let message = "it ends before the examples that a run has seen of this epoch: it is another stream";
            return Err(Error::Data(message.into()));
        }
        if collector.batch.count() > 0 && !cut.drop_last {
            let last = collector.batch.take()?;
            if !(collector.send)(Message::Batch(last)) {
                return Ok(());
            }
        }
        (collector.send)(Message::End);
        Ok(())
    }
}

/// The next examples, those that were read already before others.
fn following(source: &mut dyn Source, peeked: &mut Option<Dataset>) -> Result<Option<Dataset>> {
    peeked.take().map_or_else(|| source.next(), |data| Ok(Some(data)))
}

fn first(collector: &mut Collector<'_>, known: &mut Option<Rows>, data: &Dataset) -> Result<()> {
    match known {
        Some(known) => known.check(data),
        None => {
            collector.batch = Rows::like(data);
            *known = Some(Rows::like(data));
            Ok(())
        }
    }
}

fn in_order(source: &mut dyn Source, mut peeked: Option<Dataset>, collector: &mut Collector<'_>) -> Result<bool> {
    let mut known = None;
    while let Some(data) = following(source, &mut peeked)? {
        first(collector, &mut known, &data)?;
        let mut start = 0;
        while start < data.len() {
            let (count, is_left_out) = collector.room(data.len() - start);
            if !is_left_out {
                collector.batch.extend(&data, start, count);
            }
            start += count;
            if !collector.pass()? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn shuffled(
    source: &mut dyn Source,
    mut peeked: Option<Dataset>,
    size: usize,
    collector: &mut Collector<'_>,
) -> Result<bool> {
    let cut = collector.cut;
    let random = HostRandom::new(cut.seed).fold(STREAM_ORDER);
    let mut random = random.fold(cut.epoch as u32).fold((cut.epoch >> 32) as u32);
    let mut buffer = None;
    let mut draw = |collector: &mut Collector<'_>, buffer: &Rows| -> Result<(usize, bool)> {
        let index = random.below(buffer.count() as u64) as usize;
        if !collector.room(1).1 {
            collector.batch.push(buffer, index);
        }
        Ok((index, collector.pass()?))
    };
    while let Some(data) = following(source, &mut peeked)? {
        first(collector, &mut buffer, &data)?;
        let Some(buffer) = &mut buffer else { continue };
        for row in 0..data.len() {
            if buffer.count() < size {
                buffer.extend(&data, row, 1);
                continue;
            }
            let (index, is_wanted) = draw(collector, buffer)?;
            if !is_wanted {
                return Ok(false);
            }
            buffer.replace(index, &data, row);
        }
    }
    let Some(mut buffer) = buffer else { return Ok(true) };
    while buffer.count() > 0 {
        let (index, is_wanted) = draw(collector, &buffer)?;
        if !is_wanted {
            return Ok(false);
        }
        buffer.swap_remove(index);
    }
    Ok(true)
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
        let mut found = Vec::new();
        let mut is_ended = false;
        stream.produce(cut, &mut |message| {
            match message {
                Message::Batch(data) => found.push(data.column("x").unwrap().to_vec::<i32>().unwrap()),
                Message::End => is_ended = true,
            }
            true
        })?;
        assert!(is_ended);
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
            let error = stream.produce(CUT, &mut |_| true).unwrap_err().to_string();
            assert!(error.contains("f32[2] before"), "{error}");
        }
    }
}
