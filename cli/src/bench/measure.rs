//! Timing: enough runs that a median means something, and no more.

use std::time::Instant;

use crate::failure::Result;

/// How much time goes into a case.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Seconds that one sample takes at least; short work is repeated.
    pub sample: f64,
    /// Seconds in all, about.
    pub total: f64,
    /// Samples at least.
    pub least: usize,
    /// Seconds that a block of steps takes at most, where steps are slow.
    pub block: f64,
    /// Side of the matrices whose product may set the limit.
    pub product: usize,
}

impl Effort {
    /// For results to keep.
    pub const FULL: Self = Self { sample: 0.02, total: 1.0, least: 7, block: 2.0, product: 1024 };
    /// For a look.
    pub const QUICK: Self = Self { sample: 0.005, total: 0.15, least: 3, block: 0.25, product: 512 };
}

/// Seconds of one repetition.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// Samples.
    pub runs: usize,
}

/// The number in the middle.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (1, Some(value), _) => *value,
        (0, Some(above), Some(below)) => (above + below) / 2.0,
        _ => f64::NAN,
    }
}

/// Times `work(n)`, which does something n times and waits until it is done. With `block`, n is that, or as many as the effort allows.
pub fn time(effort: Effort, block: Option<usize>, mut work: impl FnMut(usize) -> Result) -> Result<Timing> {
    let mut once = |repetitions: usize| -> Result<f64> {
        let start = Instant::now();
        work(repetitions)?;
        Ok(start.elapsed().as_secs_f64() / repetitions as f64)
    };
    // The first run compiles, allocates and touches memory for the first time.
    once(1)?;
    let guess = once(1)?.max(1e-8);
    let repetitions = match block {
        Some(most) => ((effort.block / guess) as usize).clamp(2.min(most), most),
        None => ((effort.sample / guess).ceil() as usize).clamp(1, 10_000),
    };
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
    fn times_are_of_one_repetition() -> std::result::Result<(), String> {
        let effort = Effort { sample: 0.004, total: 0.0, least: 3, block: 0.25, product: 512 };
        let pause = |times: usize| {
            std::thread::sleep(std::time::Duration::from_millis(2 * times as u64));
            Ok(())
        };
        let timing = time(effort, None, pause).map_err(|failure| format!("{failure:?}"))?;
        assert!(timing.runs == 3 && (0.002..0.02).contains(&timing.min) && timing.min <= timing.median, "{timing:?}");
        Ok(())
    }
}
