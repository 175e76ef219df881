//! What tuning found, for people and programs.

use std::fmt;
use std::path::PathBuf;

use crate::compiler::Program;
use crate::error::Origin;
use crate::shader::WorkKey;

/// A piece of work whose kernels were compared.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedStep {
    /// What tells it from others, as in the table.
    pub key: WorkKey,
    /// Operators and operands.
    pub step: String,
    /// The user's line that its last operator came from, where it is met first.
    pub origin: Origin,
    /// How many steps of the program it is.
    pub occurrences: usize,
    /// The number of plans that were compared.
    pub candidates: usize,
    /// The kernels that are taken without tuning.
    pub default: String,
    /// The fastest kernels; the default's, unless others are faster by more than the noise.
    pub winner: String,
    /// Median seconds that the default takes.
    pub default_seconds: f64,
    /// Median seconds that the winner takes, measured alternately with the default.
    pub winner_seconds: f64,
    /// Kernels whose results are not the default's, with what is different. They are never chosen, and `wgrad check` has more to say.
    pub wrong: Vec<String>,
}

impl TunedStep {
    /// How many times as fast the winner is.
    pub fn gain(&self) -> f64 {
        ratio(self.default_seconds, self.winner_seconds)
    }

    /// True where another kernel than the default's is faster.
    pub fn is_improved(&self) -> bool {
        self.winner_seconds < self.default_seconds
    }
}

/// The result of tuning programs. Printed as a table, with the largest gains first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tuning {
    /// The device's name.
    pub device: String,
    /// Each distinct piece of work that has several kernels, in the order in which they were compared.
    pub steps: Vec<TunedStep>,
    /// Pieces of work that were left out when the time was up.
    pub skipped: usize,
    /// Where the winners are stored; nowhere on the CPU, and where tables are turned off.
    pub file: Option<PathBuf>,
    /// Why they could not be written there. They hold for this device and its clones all the same.
    pub problem: Option<String>,
}

impl Tuning {
    /// True where there was nothing to compare.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Steps whose kernel is another one now.
    pub fn improved(&self) -> usize {
        self.steps.iter().filter(|step| step.is_improved()).count()
    }

    /// Seconds that the compared steps took in a run of the program, each as often as it occurs.
    pub fn seconds_before(&self) -> f64 {
        self.steps.iter().map(|step| step.default_seconds * step.occurrences as f64).sum()
    }

    /// Seconds that they take with the winners.
    pub fn seconds_after(&self) -> f64 {
        self.steps.iter().map(|step| step.winner_seconds * step.occurrences as f64).sum()
    }

    /// The same two times for one of the programs that were tuned: its steps that were compared, before and after.
    pub fn seconds_of(&self, program: &Program) -> [f64; 2] {
        let keys = program.steps.iter().filter_map(|step| step.work.key());
        let steps = keys.filter_map(|key| self.steps.iter().find(|step| step.key == key));
        steps.fold([0.0; 2], |[before, after], step| [before + step.default_seconds, after + step.winner_seconds])
    }

    /// How many times as fast they are together; 1 where there was nothing to compare.
    pub fn gain(&self) -> f64 {
        ratio(self.seconds_before(), self.seconds_after())
    }
}

fn ratio(before: f64, after: f64) -> f64 {
    if before > 0.0 && after > 0.0 { before / after } else { 1.0 }
}

impl fmt::Display for Tuning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() && self.skipped == 0 {
            return writeln!(formatter, "{}: nothing to tune", self.device);
        }
        writeln!(formatter, "{:>11} {:>11} {:>6}  step", "before µs", "after µs", "×")?;
        let mut order: Vec<&TunedStep> = self.steps.iter().collect();
        let saved = |step: &TunedStep| (step.default_seconds - step.winner_seconds) * step.occurrences as f64;
        order.sort_by(|a, b| saved(b).total_cmp(&saved(a)));
        for step in order {
            let kernels =
                if step.is_improved() { format!("{} → {}", step.default, step.winner) } else { step.default.clone() };
            let times = if step.occurrences > 1 { format!(" ({} times)", step.occurrences) } else { String::new() };
            writeln!(
                formatter,
                "{:>11.1} {:>11.1} {:>6.2}  {}{times}: {kernels}",
                step.default_seconds * 1e6,
                step.winner_seconds * 1e6,
                step.gain(),
                step.step,
            )?;
            for wrong in &step.wrong {
                writeln!(formatter, "{:>31} WRONG: {wrong}", "")?;
            }
        }
        write!(
            formatter,
            "{}: {} of {} steps are faster; all of them together {:.2} times as fast, {:.1} µs instead of {:.1}",
            self.device,
            self.improved(),
            self.steps.len(),
            self.gain(),
            self.seconds_after() * 1e6,
            self.seconds_before() * 1e6,
        )?;
        if self.skipped > 0 {
            write!(formatter, "; {} more were left for want of time", self.skipped)?;
        }
        writeln!(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u32, occurrences: usize, default_seconds: f64, winner_seconds: f64) -> TunedStep {
        TunedStep {
            key: WorkKey::parse(&format!("{number:032x}")).unwrap(),
            step: format!("matmul {number}"),
            origin: Origin::caller(),
            occurrences,
            candidates: 5,
            default: "small".into(),
            winner: if winner_seconds < default_seconds { "large" } else { "small" }.into(),
            default_seconds,
            winner_seconds,
            wrong: Vec::new(),
        }
    }

    #[test]
    fn gains_are_weighted_by_occurrences() {
        let steps = vec![step(0, 3, 4e-3, 2e-3), step(1, 1, 1e-3, 1e-3)];
        let tuning = Tuning { device: "GPU".into(), steps, ..Tuning::default() };
        assert!((tuning.gain() - 13.0 / 7.0).abs() < 1e-12);
        assert_eq!((tuning.improved(), tuning.steps[0].gain()), (1, 2.0));
        let text = tuning.to_string();
        assert!(text.contains("matmul 0 (3 times): small → large") && text.contains("1 of 2 steps"), "{text}");
    }

    #[test]
    fn nothing_to_tune_is_said() {
        let tuning = Tuning { device: "CPU".into(), ..Tuning::default() };
        assert!(tuning.is_empty() && tuning.gain() == 1.0);
        assert_eq!(tuning.to_string(), "CPU: nothing to tune\n");
    }
}
