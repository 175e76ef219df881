//! Results in files: the JSON lines that `--json` prints.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use wgrad::Error;

use crate::failure::{Failure, Result};

/// Medians of an earlier run, by case.
pub struct Baseline(HashMap<String, f64>);

impl Baseline {
    /// Reads a file that `--save` wrote, or what `--json` printed.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| Error::file("cannot read", path, source))?;
        let mut medians = HashMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let event: Value = serde_json::from_str(line)
                .map_err(|error| Failure::new(format!("{}, line {}: {error}", path.display(), number + 1)))?;
            if let (Some(name), Some(median)) = (event["name"].as_str(), event["median_s"].as_f64()) {
                medians.insert(name.to_owned(), median);
            }
        }
        if medians.is_empty() {
            return Err(Failure::new(format!("{}: there are no results of a benchmark in it", path.display())));
        }
        Ok(Self(medians))
    }

    /// Seconds that a case took.
    pub fn median(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

/// Writes events, a line each.
pub fn write(path: &Path, lines: &[Value]) -> Result {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).map_err(|source| Error::file("cannot write", path, source).into())
}
