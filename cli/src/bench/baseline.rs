//! Results in files: the JSON lines that `--json` prints.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use wgrad::Error;
use wgrad::bench::Timing;
use wgrad::file;

use crate::failure::{Failure, Result};

/// What an earlier run measured, by case.
pub struct Baseline(HashMap<String, Known>);

/// A case of an earlier run.
#[derive(Clone, Copy, Debug)]
struct Known {
    median: f64,
    min: f64,
}

/// How a case compares with an earlier run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// The earlier median over this one: above 1 is faster.
    pub ratio: f64,
    /// How far medians of the same thing may be apart, as a fraction: what is between the median and the best sample of
    /// either run, and 5 % at least.
    pub noise: f64,
}

impl Comparison {
    /// True where the difference is more than noise.
    pub fn is_different(&self) -> bool {
        self.ratio.max(self.ratio.recip()) > 1.0 + self.noise
    }
}

impl Baseline {
    /// Reads a file that `--save` wrote, or what `--json` printed.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| Error::file("cannot read", path, source))?;
        let mut medians = HashMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let event: Value = serde_json::from_str(line)
                .map_err(|error| Failure::new(format!("{}, line {}: {error}", path.display(), number + 1)))?;
            if let (Some(name), Some(median)) = (event["name"].as_str(), event["median_s"].as_f64()) {
                let min = event["min_s"].as_f64().unwrap_or(median);
                medians.insert(name.to_owned(), Known { median, min });
            }
        }
        if medians.is_empty() {
            return Err(Failure::new(format!("{}: there are no results of a benchmark in it", path.display())));
        }
        Ok(Self(medians))
    }

    /// A case against what it was.
    pub fn compare(&self, name: &str, timing: Timing) -> Option<Comparison> {
        let known = self.0.get(name)?;
        let spread = |median: f64, min: f64| (median - min) / median.max(1e-12);
        let noise = spread(known.median, known.min).max(spread(timing.median, timing.min)).max(0.05);
        Some(Comparison { ratio: known.median / timing.median.max(1e-12), noise })
    }
}

/// Writes events, a line each.
pub fn write(path: &Path, lines: &[Value]) -> Result {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Ok(file::write(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_within_the_noise_is_the_same() {
        let known = |median: f64, min: f64| Baseline(HashMap::from([("a".to_owned(), Known { median, min })]));
        let timing = |median: f64, min: f64| Timing { median, min, max: median, runs: 7 };
        let differs =
            |baseline: Baseline, timing: Timing| baseline.compare("a", timing).is_some_and(|c| c.is_different());
        assert!(!differs(known(1.0, 0.99), timing(1.04, 1.0)));
        assert!(differs(known(1.0, 0.99), timing(1.5, 1.49)));
        // Half of the samples were a third faster than the median: such a case has to differ by more.
        assert!(!differs(known(1.0, 0.67), timing(1.3, 1.29)));
        assert!(known(1.0, 1.0).compare("b", timing(1.0, 1.0)).is_none());
    }
}
