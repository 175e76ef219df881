//! Timing: enough samples that a median means something, and no more.

use crate::clock::Instant;

use crate::error::Result;

/// How much time is spent on a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Seconds that one sample takes at least; short work is repeated.
    pub sample: f64,
    /// Seconds in all, about.
    pub total: f64,
    /// Samples at least.
    pub least: usize,
    /// Seconds that a block of training steps takes at most, where steps are slow.
    pub block: f64,
    /// Seconds in which the device's limits are measured, again and again.
    pub limits: f64,
}

impl Effort {
    /// Of a second for each case: for results to keep.
    pub const FULL: Self = Self { sample: 0.01, total: 1.0, least: 7, block: 2.0, limits: 4.0 };
    /// Of a tenth of a second for each case: for a first impression.
    pub const QUICK: Self = Self { sample: 0.002, total: 0.1, least: 3, block: 0.1, limits: 1.5 };
}

/// Seconds of one repetition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// The median of all samples.
    pub median: f64,
    /// The best sample.
    pub min: f64,
    /// The worst.
    pub max: f64,
    /// Number of samples.
    pub runs: usize,
}

/// The number in the middle.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (1, Some(value), _) => *value,
        (0, Some(above), Some(below)) => (above + below) / 2.0,
        _ => f64::NAN,
    }
}

/// Times `work(n)`, which does something n times, waits until it is done, and tells the seconds that it took. With `block`, n is
/// that, or as many as the effort allows. What is timed has run before.
pub(super) fn time(effort: Effort, block: Option<usize>, mut work: impl FnMut(usize) -> Result<f64>) -> Result<Timing> {
    let mut once = |repetitions: usize| -> Result<f64> { Ok(work(repetitions)? / repetitions as f64) };
    let mut repetitions = 1;
    if let Some(most) = block {
        repetitions = ((effort.block / once(1)?.max(1e-8)) as usize).clamp(2.min(most), most);
    } else {
        // A single run of something short is mostly overhead: what is needed is found in a few leaps.
        loop {
            let guess = once(repetitions)?.max(1e-9);
            let wanted = ((effort.sample / guess).ceil() as usize).clamp(1, 10_000);
            if wanted <= repetitions * 2 {
                repetitions = repetitions.max(wanted);
                break;
            }
            repetitions = wanted.min(repetitions * 16);
        }
    }
    let begun = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < effort.least || (begun.elapsed().as_secs_f64() < effort.total && samples.len() < 200) {
        samples.push(once(repetitions)?);
    }
    let runs = samples.len();
    let median = median(&mut samples);
    let (min, max) = (samples.first().copied().unwrap_or(median), samples.last().copied().unwrap_or(median));
    Ok(Timing { median, min, max, runs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn times_are_of_one_repetition() -> Result<()> {
        let effort = Effort { sample: 0.004, total: 0.0, least: 3, ..Effort::QUICK };
        let timing = time(effort, None, |times| Ok(0.002 * times as f64))?;
        assert!((timing.runs, timing.median) == (3, 0.002) && timing.min <= timing.max, "{timing:?}");
        Ok(())
    }

    #[test]
    fn short_work_is_repeated_until_a_sample_is_long_enough() -> Result<()> {
        let mut last = 0;
        let timing = time(Effort { sample: 0.01, ..Effort::QUICK }, None, |times| {
            last = times;
            // A start that takes a hundred times as long as the work.
            Ok(1e-4 + 1e-6 * times as f64)
        })?;
        assert!(last > 2000 && timing.median < 2e-6, "{last} times, {timing:?}");
        Ok(())
    }
}
