//! The table: a row a case.

use console::style;
use wgrad::bench::{Clock, Outcome};

use super::baseline::Comparison;
use crate::output::{bytes, seconds};

/// What times and shares are of.
pub fn about(has_steps: bool, has_no_kernels: bool, clock: Clock) -> String {
    let kernels = match clock {
        Clock::Gpu => "kernels by the GPU's clock",
        Clock::Wall => "kernels by wall time",
    };
    let what = match (has_steps, has_no_kernels) {
        (_, true) => "training steps by wall time".to_owned(),
        (true, false) => format!("{kernels}, training steps by wall time"),
        (false, false) => kernels.to_owned(),
    };
    format!("times  {what}; of peak: of the arithmetic or the memory, whichever is nearer\n")
}

/// The names of the columns.
pub fn heading(compared: bool) -> String {
    let ratio = if compared { "  against baseline" } else { "" };
    format!(
        "{:<50} {:>11} {:>11} {:>11} {:>4} {:>9} {:>7} {:<15} {:>10} {:>10} {:>8}{ratio}",
        "case", "median", "min", "max", "by", "GFLOP/s", "GB/s", "of peak", "dispatches", "planned", "error"
    )
}

/// A case.
pub fn row(name: &str, outcome: &Outcome, fraction: f64, compared: Option<Option<Comparison>>) -> String {
    let error = format!("{:>8.1e}", outcome.max_error);
    let error = if outcome.is_right { style(error).dim() } else { style(error).red().bold() };
    let ratio = match compared {
        None => String::new(),
        Some(None) => "  (not in it)".to_owned(),
        Some(Some(found)) if !found.is_different() => format!("  the same (± {:.0} %)", found.noise * 100.0),
        Some(Some(found)) if found.ratio > 1.0 => style(format!("  {:.2}x faster", found.ratio)).green().to_string(),
        Some(Some(found)) => style(format!("  {:.2}x slower", found.ratio.recip())).red().to_string(),
    };
    let host = outcome.host.map_or_else(String::new, |host| format!("  host {}", seconds(host)));
    format!(
        "{name:<50} {:>11} {:>11} {:>11} {:>4} {:>9.1} {:>7.1} {} {:>3.0}% {:>10} {:>10} {error}{ratio}{host}",
        seconds(outcome.timing.median),
        seconds(outcome.timing.min),
        seconds(outcome.timing.max),
        outcome.clock,
        outcome.gflops(),
        outcome.gbytes_per_s(),
        style(bar(fraction)).cyan(),
        fraction * 100.0,
        outcome.dispatches,
        bytes(outcome.planned_bytes as u64),
    )
}

/// A share as a bar of ten cells, in eighths of one.
fn bar(fraction: f64) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (fraction.clamp(0.0, 1.0) * 80.0).round() as usize;
    let mut cells: String = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        cells.push(EIGHTHS[eighths % 8]);
    }
    format!("{cells:<10}")
}
