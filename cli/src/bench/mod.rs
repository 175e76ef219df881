//! `wgrad bench`: how close a device comes to its limits, and whether what it computes there is right.
//!
//! First the limits are measured on the spot ([`peak`]). Then each case ([`cases`]) is compiled, checked against a
//! reference on the CPU, and timed ([`measure`]). Results are JSON lines in files too, so that the output of
//! `--json` is a baseline.

mod baseline;
pub mod cases;
mod measure;
mod peak;
mod processor;
mod roofline;

use std::path::PathBuf;

use clap::Args;
use console::style;
use serde_json::{Value, json};

use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::output::{Output, bytes, seconds};
use baseline::{Baseline, Comparison};
use cases::{Case, Outcome};
use measure::Effort;
use peak::Peak;

/// What `bench` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only cases with this in their name
    #[arg(value_name = "FILTER", default_value = "")]
    filter: String,
    /// Only list the cases
    #[arg(long)]
    list: bool,
    /// Compare with results saved earlier
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Save the results
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Draw each case below the device's limits
    #[arg(long, value_name = "FILE.svg|.png")]
    roofline: Option<PathBuf>,
    /// Fewer and shorter runs
    #[arg(long)]
    quick: bool,
}

/// Measures.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.name.contains(&arguments.filter)).collect();
    if cases.is_empty() {
        let names: Vec<String> = cases::all().into_iter().map(|case| case.name).collect();
        return Err(Failure::new(format!(
            "no case has {:?} in its name; there are {}",
            arguments.filter,
            names.join(", ")
        )));
    }
    if arguments.list {
        for case in &cases {
            output.event(&json!({"event": "name", "name": case.name}))?;
            output.text(&case.name)?;
        }
        return Ok(());
    }
    if let Some(path) = &arguments.roofline {
        roofline::check_name(path)?;
    }
    let baseline = arguments.baseline.as_deref().map(Baseline::read).transpose()?;
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let chosen = device::open(&everywhere.device)?;
    let device = &chosen.device;
    let mut lines: Vec<Value> = Vec::new();

    let tuned = device.tuned().len();
    let known = if tuned > 0 { format!(", {tuned} tuned kernels") } else { String::new() };
    output.text(format!("device {}{known}", chosen.describe()))?;
    let peak = Peak::measure(device, effort)?;
    let mut event = peak.event(&device.name());
    if let Some(fields) = event.as_object_mut() {
        fields.insert("tuned".to_owned(), json!(tuned));
    }
    output.event(&event)?;
    lines.push(event);
    output.text(format!(
        "limits {:.1} GFLOP/s f32, {:.1} GB/s, {:.2} µs a dispatch, {:.2} µs to submit and read back\n",
        peak.gflops_f32, peak.gbytes_per_s, peak.dispatch_us, peak.submit_readback_us
    ))?;
    output.text(style(heading(baseline.is_some())).dim().to_string())?;
    let (mut wrong, mut points) = (Vec::new(), Vec::new());
    for case in &cases {
        let outcome = case.run(device, everywhere.seed, effort)?;
        let fraction = peak.fraction(outcome.gflops(), outcome.gbytes_per_s());
        let event = outcome.event(&case.name, &device.name(), fraction);
        output.event(&event)?;
        let compared = baseline.as_ref().map(|baseline| baseline.compare(&case.name, outcome.timing));
        output.text(row(&case.name, &outcome, fraction, compared))?;
        lines.push(event);
        points.push(roofline::Point::of(&case.name, &outcome));
        if !outcome.is_right() {
            wrong.push(case.name.clone());
        }
    }
    if let Some(path) = &arguments.save {
        baseline::write(path, &lines)?;
        output.text(format!("\nsaved in {}", path.display()))?;
    }
    if let Some(path) = &arguments.roofline {
        roofline::draw(path, &device.name(), &peak, &points)?;
        output.text(format!("\nroofline in {}", path.display()))?;
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("wrong results from {}", wrong.join(", ")))),
    }
}

fn heading(compared: bool) -> String {
    let ratio = if compared { "  against baseline" } else { "" };
    format!(
        "{:<46} {:>11} {:>11} {:>9} {:>7} {:<15} {:>10} {:>10} {:>8}{ratio}",
        "case", "median", "min", "GFLOP/s", "GB/s", "of peak", "dispatches", "planned", "error"
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

fn row(name: &str, outcome: &Outcome, fraction: f64, compared: Option<Option<Comparison>>) -> String {
    let error = format!("{:>8.1e}", outcome.max_error);
    let error = if outcome.is_right() { style(error).dim() } else { style(error).red().bold() };
    let ratio = match compared {
        None => String::new(),
        Some(None) => "  (not in it)".to_owned(),
        Some(Some(found)) if !found.is_different() => format!("  the same (± {:.0} %)", found.noise * 100.0),
        Some(Some(found)) if found.ratio > 1.0 => style(format!("  {:.2}x faster", found.ratio)).green().to_string(),
        Some(Some(found)) => style(format!("  {:.2}x slower", found.ratio.recip())).red().to_string(),
    };
    let host = outcome.host.map_or_else(String::new, |host| format!("  host {}", seconds(host)));
    format!(
        "{name:<46} {:>11} {:>11} {:>9.1} {:>7.1} {} {:>3.0}% {:>10} {:>10} {error}{ratio}{host}",
        seconds(outcome.timing.median),
        seconds(outcome.timing.min),
        outcome.gflops(),
        outcome.gbytes_per_s(),
        style(bar(fraction)).cyan(),
        fraction * 100.0,
        outcome.dispatches,
        bytes(outcome.planned_bytes as u64),
    )
}
