//! `wgrad check`: whether a device computes what it should; printed as it goes.

use clap::Args;
use console::style;
use serde_json::json;
use wgrad::check::Report;

use crate::Everywhere;
use crate::device;
use crate::failure::{Failure, Result};
use crate::output::{Output, counted};

/// What `check` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only what has this between the slashes of its name (`relu`, `elementwise`), else anywhere in it (`relu_`)
    #[arg(value_name = "FILTER", default_value = "")]
    filter: String,
    /// The kernels that only `tune` tries, too
    #[arg(long)]
    candidates: bool,
    /// Only list the names
    #[arg(long)]
    list: bool,
}

/// Checks.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    if arguments.list {
        for name in wgrad::check::select(wgrad::check::names(), &arguments.filter, |name| name) {
            output.event(&json!({"event": "name", "name": name}))?;
            output.text(name)?;
        }
        return Ok(());
    }
    let chosen = device::open(&everywhere.device)?;
    output.text(format!("checking {} against the CPU in f64", chosen.describe()))?;
    let (mut kernels, mut cases, mut wrong) = (0_usize, 0_usize, 0_usize);
    let mut told = Ok(());
    let check = if arguments.candidates { wgrad::check::check_candidates } else { wgrad::check::check };
    // What tuning found is no matter here: every kernel is checked.
    let ok = check(&chosen.device.without_tuning(), &arguments.filter, &mut |report| {
        kernels += 1;
        cases += report.cases;
        wrong += usize::from(!report.ok());
        if told.is_ok() {
            told = tell(report, output);
        }
    })?;
    told?;
    if ok {
        return output.text(format!("all {} are right, in {}", counted(kernels, "kernel"), counted(cases, "case")));
    }
    output.text(format!("{wrong} of {kernels} kernels are wrong"))?;
    eprintln!("error: {wrong} of {kernels} kernels are wrong on {}", chosen.device.name());
    Err(Failure::Told)
}

fn tell(report: &Report, output: &mut Output) -> Result {
    let mut event = json!({
        "event": "kernel", "name": report.name, "cases": report.cases, "max_error": report.max_error,
        "tolerance": report.tolerance, "ok": report.ok(),
    });
    if let (Some(problem), Some(fields)) = (&report.problem, event.as_object_mut()) {
        fields.insert("problem".to_owned(), json!(problem));
    }
    output.event(&event)?;
    let mark = if report.ok() { style("ok   ").green() } else { style("WRONG").red().bold() };
    let numbers = format!("{:>3} cases  error {:.1e} of {:.0e}", report.cases, report.max_error, report.tolerance);
    output.text(format!("{mark} {:<44} {}", report.name, style(numbers).dim()))?;
    report.problem.as_ref().map_or(Ok(()), |problem| output.text(format!("      {problem}")))
}
