//! Who is the fastest, in as few runs as will tell: all are timed alternately, those that are far behind drop out, and the best of the rest
//! has to beat the default once more, by more than the noise.

use crate::error::Result;

/// A winner is faster by this much at least, or everything that differs by chance would be a winner.
const LEAST_GAIN: f64 = 0.03;

/// Rounds in which those that are left are compared, and rounds of the last two.
const ROUNDS: usize = 3;
const DUEL: usize = 7;

/// Seconds that a first run may take for other reasons than the work.
const COMPILING: f64 = 0.3;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Race {
    /// The fastest; 0, the default, unless another one is faster beyond doubt.
    pub(super) winner: usize,
    /// Median seconds of the default, and of the winner, measured alternately.
    pub(super) default_seconds: f64,
    pub(super) winner_seconds: f64,
}

/// Runs it, with what each runner's first run took; the default comes first. `time` gives the seconds of one run of a runner, on average
/// over several in a row. A sample takes about `sample` seconds.
pub(super) fn race(
    runners: &[(usize, f64)],
    sample: f64,
    time: &mut dyn FnMut(usize, usize) -> Result<f64>,
) -> Result<Option<Race>> {
    let Some(&(default, _)) = runners.first() else { return Ok(None) };
    let first = runners.iter().map(|(_, seconds)| *seconds).fold(f64::INFINITY, f64::min);
    let mut field: Vec<Runner> = Vec::with_capacity(runners.len());
    for &(number, seconds) in runners {
        // Drivers may compile in the first run; who is behind by more than that is not run again.
        if number != default && seconds > 3.0 * first + COMPILING {
            continue;
        }
        let seconds = time(number, 1)?;
        field.push(Runner { number, runs: runs_of(seconds, sample), samples: vec![seconds] });
    }
    // A single run has much beside it, as of submitting; only what is far behind is dropped.
    keep(&mut field, default, 3.0, usize::MAX);
    for (round, (within, most)) in [(1.3, 6), (1.15, 4), (1.1, 3)].into_iter().enumerate() {
        for runner in &mut field {
            if round == 0 {
                runner.samples.clear();
            }
            for _ in 0..if round == 0 { 1 } else { ROUNDS - 1 } {
                let seconds = time(runner.number, runner.runs)?;
                runner.runs = runs_of(seconds, sample);
                runner.samples.push(seconds);
            }
        }
        keep(&mut field, default, within, most);
    }
    let best = field.iter().min_by(|a, b| a.best().total_cmp(&b.best()));
    let Some(best) = best.filter(|best| best.number != default) else {
        let seconds = field.first().map_or(f64::NAN, |runner| median(&runner.samples));
        return Ok(Some(Race { winner: default, default_seconds: seconds, winner_seconds: seconds }));
    };
    let (number, runs) = (best.number, best.runs);
    let default_runs = field.first().map_or(1, |runner| runner.runs);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for _ in 0..DUEL {
        before.push(time(default, default_runs)?);
        after.push(time(number, runs)?);
    }
    let (default_seconds, winner_seconds) = (median(&before), median(&after));
    let noise = LEAST_GAIN.max(spread(&before)).max(spread(&after));
    if winner_seconds * (1.0 + noise) < default_seconds {
        return Ok(Some(Race { winner: number, default_seconds, winner_seconds }));
    }
    Ok(Some(Race { winner: default, default_seconds, winner_seconds: default_seconds }))
}

struct Runner {
    number: usize,
    /// Runs of a sample.
    runs: usize,
    samples: Vec<f64>,
}

impl Runner {
    fn best(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Runs in a row that take about a sample's time.
fn runs_of(seconds: f64, sample: f64) -> usize {
    ((sample / seconds.max(1e-9)).ceil() as usize).clamp(1, 1000)
}

/// Keeps the default and those whose best sample is within a factor of the fastest, `most` at most. The default stays in front.
fn keep(field: &mut Vec<Runner>, default: usize, within: f64, most: usize) {
    let mut bests: Vec<f64> = field.iter().map(Runner::best).collect();
    bests.sort_by(f64::total_cmp);
    let fastest = bests.first().copied().unwrap_or(0.0);
    let last = bests.get(most.saturating_sub(1)).copied().unwrap_or(f64::INFINITY);
    field.retain(|runner| runner.number == default || runner.best() <= (fastest * within).min(last));
}

/// The middle value.
pub(super) fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// Half the distance between the quartiles, over the median.
fn spread(samples: &[f64]) -> f64 {
    (quantile(samples, 0.75) - quantile(samples, 0.25)) / 2.0 / median(samples).max(1e-12)
}

fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A race of runners with fixed times, of which the nth sample is off by the nth share.
    fn run(times: &[f64], off: &[f64]) -> (Race, usize) {
        let mut samples = 0;
        let numbers: Vec<(usize, f64)> = times.iter().copied().enumerate().collect();
        let race = race(&numbers, 0.01, &mut |runner, _| {
            samples += 1;
            Ok(times[runner] * (1.0 + off[samples % off.len()]))
        });
        (race.unwrap().unwrap(), samples)
    }

    #[test]
    fn the_fastest_wins_with_the_times_that_were_measured() {
        let (race, samples) = run(&[4e-3, 9.0, 3e-3, 2e-3, 2.4e-3], &[0.0]);
        assert_eq!(race, Race { winner: 3, default_seconds: 4e-3, winner_seconds: 2e-3 });
        assert!(samples < 4 + 4 * 5 + 2 * DUEL, "{samples}");
    }

    #[test]
    fn what_is_hardly_faster_does_not_win() {
        assert_eq!(run(&[1e-3, 0.98e-3], &[0.0]).0.winner, 0);
        assert_eq!(run(&[1e-3, 0.95e-3], &[0.0]).0.winner, 1);
        // As much noise as gain.
        assert_eq!(run(&[1e-3, 0.9e-3], &[0.0, 0.3, -0.2, 0.1, -0.1, 0.25, -0.3, 0.05]).0.winner, 0);
    }

    #[test]
    fn the_default_wins_where_it_is_the_fastest_or_alone() {
        let (race, _) = run(&[1e-3, 2e-3], &[0.0]);
        assert_eq!(race, Race { winner: 0, default_seconds: 1e-3, winner_seconds: 1e-3 });
        assert_eq!(run(&[1e-3], &[0.0]).0.winner, 0);
        assert_eq!(super::race(&[], 0.01, &mut |_, _| Ok(1.0)).unwrap(), None);
    }
}
