//! A long text as sequences side by side.

use crate::data::Dataset;
use crate::error::{Error, Result, counted};
use crate::tensor::TensorData;

/// A long text as a data set of short sequences, from which a model learns to tell each next number: `x` and `y`, i32
/// `[sequences, steps]`, where `y` is one position further on.
///
/// The text is cut into as many `streams` of equal length, and each stream into sequences of `steps`. Examples are ordered so that
/// batches of `streams` examples, taken in order, go along all streams at once: the state after one batch is the state before the
/// next ([`carried_state`](crate::train::carried_state)). What does not fill a sequence at the end of a stream is left out.
///
/// ```
/// let text: Vec<i32> = (0..14).collect();
/// let data = wgrad::data::streams(&text, 2, 3)?;
/// assert_eq!(data.column("x")?.as_slice::<i32>()?, [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]);
/// assert_eq!(data.column("y")?.as_slice::<i32>()?[..6], [1, 2, 3, 7, 8, 9]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for no streams or no steps; [`Error::Data`] for a text that does not give each stream a sequence.
pub fn streams(text: &[i32], streams: usize, steps: usize) -> Result<Dataset> {
    if streams == 0 || steps == 0 {
        return Err(Error::Argument(format!("{streams} streams of {steps} steps are none; there must be at least 1")));
    }
    let along = text.len().saturating_sub(1) / streams;
    let sequences = along / steps;
    if sequences == 0 {
        let needed = streams.saturating_mul(steps).saturating_add(1);
        return Err(Error::Data(format!(
            "a text of {} is too short for {} of {steps} side by side, which take {needed}",
            text.len(),
            counted(streams, "sequence")
        )));
    }
    let column = |shift: usize| {
        let mut values = Vec::with_capacity(sequences * streams * steps);
        for sequence in 0..sequences {
            for stream in 0..streams {
                let start = stream * along + sequence * steps + shift;
                values.extend_from_slice(text.get(start..start + steps).unwrap_or_default());
            }
        }
        TensorData::from_vec(values, [sequences * streams, steps])
    };
    Dataset::new([("x", column(0)?), ("y", column(1)?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_go_on_where_the_last_ended() -> Result<()> {
        let text: Vec<i32> = (0..1000).collect();
        let (count, steps) = (7, 9);
        let data = streams(&text, count, steps)?;
        let (x, y) = (data.column("x")?.as_slice::<i32>()?, data.column("y")?.as_slice::<i32>()?);
        assert!(x.iter().zip(y).all(|(x, y)| x + 1 == *y));
        let batch = count * steps;
        for (before, after) in x.chunks_exact(batch).zip(x.chunks_exact(batch).skip(1)) {
            for stream in 0..count {
                assert_eq!(before[stream * steps + steps - 1] + 1, after[stream * steps]);
            }
        }
        assert_eq!(data.len() % count, 0);
        assert_eq!(streams(&text[..count * steps + 1], count, steps)?.len(), count);
        let short = streams(&text[..count * steps], count, steps).err().map(|error| error.to_string());
        let expected = "a text of 63 is too short for 7 sequences of 9 side by side, which take 64";
        assert_eq!(short.as_deref(), Some(expected));
        assert!(streams(&text, 0, 1).is_err() && streams(&text, 1, 0).is_err() && streams(&[], 1, 1).is_err());
        Ok(())
    }
}
