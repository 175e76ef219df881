//! `wgrad bench`: how close a device comes to its limits, and whether what it computes there is right.
//!
//! First the limits are measured on the spot. Then each of the library's cases ([`wgrad::bench`]) is compiled, checked against a
//! reference on the CPU, and timed. Results are JSON lines in files too, so that the output of `--json` is a baseline.

mod baseline;
mod roofline;
mod row;

use std::path::{Path, PathBuf};

use clap::Args;
use console::style;
use serde_json::{Value, json};
use wgrad::bench::{Case, Effort, Outcome, Peak};
use wgrad::{Device, Error};

use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::files::{self, Files};
use crate::output::Output;
use baseline::Baseline;

/// What `bench` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only cases with this between the slashes of their name (`step/mlp`), else anywhere in it (`1024`). Whole networks (`smollm2-135m`,
    /// `resnet50`, `whisper-tiny`), which take minutes and gigabytes, are measured only where this names them; so are products and
    /// convolutions of other sizes (`matmul/f16/4096x4096x4096`, `conv2d/f32/n8c64h56w56k64r3/forward`)
    #[arg(value_name = "FILTER", default_value = "")]
    filter: String,
    /// Only list the cases, whole networks among them
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

impl Arguments {
    /// What is read and written. Results may replace the baseline, which is read before anything is measured.
    fn files(&self) -> Files {
        let is_updated = |baseline: &Path| self.save.as_deref().is_some_and(|save| files::are_same(save, baseline));
        Files::new()
            .reads("--baseline", self.baseline.as_deref().filter(|baseline| !is_updated(baseline)))
            .writes("--save", self.save.as_deref())
            .writes("--roofline", self.roofline.as_deref())
    }
}

/// Measures.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let lists_all = arguments.list && arguments.filter.is_empty();
    let cases = if lists_all { every_case() } else { chosen(&arguments.filter)? };
    if arguments.list {
        for case in &cases {
            output.event(&json!({"event": "name", "name": case.name()}))?;
            output.text(case.name())?;
        }
        return Ok(());
    }
    if let Some(path) = &arguments.roofline {
        roofline::check_name(path)?;
    }
    arguments.files().check()?;
    let baseline = arguments.baseline.as_deref().map(Baseline::read).transpose()?;
    let effort = if arguments.quick { Effort::QUICK } else { Effort::FULL };
    let chosen = device::open(&everywhere.device)?;
    let device = &chosen.device;
    let mut lines: Vec<Value> = Vec::new();

    let tuned = device.tuned().len();
    let known = if tuned > 0 { format!(", {tuned} tuned kernels") } else { String::new() };
    output.text(format!("device {}{known}", chosen.describe()))?;
    let peak = Peak::measure(device, effort)?;
    lines.push(limits(&peak, device));
    output.event(&limits(&peak, device))?;
    output.text(format!(
        "limits {:.1} GFLOP/s f32, {:.1} GB/s, {:.2} µs a dispatch, {:.2} µs to submit and read back",
        peak.gflops_f32, peak.gbytes_per_s, peak.dispatch_us, peak.submit_readback_us
    ))?;
    let (mut wrong, mut points) = (Vec::new(), Vec::new());
    for (number, case) in cases.iter().enumerate() {
        let outcome = measure(case, device, everywhere.seed, effort)?;
        if number == 0 {
            output.text(row::about(cases.iter().any(Case::is_step), cases.iter().all(Case::is_step), outcome.clock))?;
            output.text(style(row::heading(baseline.is_some())).dim().to_string())?;
        }
        let fraction = peak.fraction(outcome.gflops(), outcome.gbytes_per_s());
        let event = event(case.name(), &outcome, &device.name(), fraction);
        output.event(&event)?;
        let compared = baseline.as_ref().map(|baseline| baseline.compare(case.name(), outcome.timing));
        output.text(row::row(case.name(), &outcome, fraction, compared))?;
        lines.push(event);
        if !case.is_compiling() {
            points.push(roofline::Point::of(case.name(), &outcome));
        }
        if !outcome.is_right {
            wrong.push(case.name().to_owned());
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

/// The cases that a filter means.
fn chosen(filter: &str) -> Result<Vec<Case>> {
    let mut cases = wgrad::check::select(wgrad::bench::cases(), filter, Case::name);
    cases.extend(wgrad::bench::networks_named(filter));
    if cases.is_empty() {
        cases.extend(wgrad::bench::case_of_shape(filter));
    }
    if cases.is_empty() {
        let others = every_case();
        let names: Vec<&str> = others.iter().map(Case::name).collect();
        return Err(Failure::new(format!(
            "no case has {filter:?} in its name, and it is no shape as in matmul/f32/300x700x64; there are {}",
            names.join(", ")
        )));
    }
    Ok(cases)
}

/// All that can be named.
fn every_case() -> Vec<Case> {
    let mut cases = wgrad::bench::cases();
    cases.extend(wgrad::bench::networks());
    cases
}

/// Checks and times a case.
fn measure(case: &Case, device: &Device, seed: u64, effort: Effort) -> Result<Outcome> {
    let inside = |error: Error| Failure::new(format!("{}: {error}", case.name()));
    case.prepare(device, seed).and_then(|mut prepared| prepared.measure(effort)).map_err(inside)
}

/// The first line of a run.
fn limits(peak: &Peak, device: &Device) -> Value {
    json!({
        "event": "peak", "device": device.name(), "gflops_f32": peak.gflops_f32, "gbytes_per_s": peak.gbytes_per_s,
        "dispatch_us": peak.dispatch_us, "submit_readback_us": peak.submit_readback_us,
        "tuned": device.tuned().len(),
    })
}

/// The line of a case.
fn event(name: &str, outcome: &Outcome, device: &str, fraction: f64) -> Value {
    let timing = outcome.timing;
    let mut event = json!({
        "event": "case", "name": name, "device": device, "median_s": timing.median, "min_s": timing.min,
        "max_s": timing.max, "runs": timing.runs, "clock": outcome.clock.name(), "flops": outcome.flops,
        "bytes": outcome.bytes, "gflops": outcome.gflops(), "gbytes_per_s": outcome.gbytes_per_s(),
        "fraction_of_peak": fraction, "dispatches": outcome.dispatches, "max_error": outcome.max_error,
        "planned_bytes": outcome.planned_bytes, "ready_s": outcome.ready, "first_run_s": outcome.first_run,
    });
    if let (Some(host), Some(fields)) = (outcome.host, event.as_object_mut()) {
        fields.insert("host_s".to_owned(), json!(host));
    }
    event
}
