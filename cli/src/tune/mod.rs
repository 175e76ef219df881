//! `wgrad tune`: finds the fastest kernels for a device, and remembers them for every later run on it.

pub mod work;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Args;
use console::style;
use serde_json::json;
use wgrad::Device;
use wgrad::device::{Tune, TuneProgress, TunedStep, Tuning};

use crate::Everywhere;
use crate::failure::{Failure, Result};
use crate::output::{Output, seconds};
use crate::{device, interrupt};
use work::Work;

/// What `tune` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Cases of `bench` or parts of their names, shapes (matmul/f32/ROWSxINNERxCOLUMNS), demos, ONNX models; all cases where
    /// nothing is named
    #[arg(value_name = "WHAT")]
    what: Vec<String>,
    /// Which of a demo's models
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Examples in a demo's step
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    batch_size: Option<u64>,
    /// A demo's data, where shapes depend on it
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Begin nothing more after this number of seconds; what costs most comes first
    #[arg(long, value_name = "SECONDS", value_parser = budget)]
    budget: Option<Duration>,
    /// Only list what was found so far
    #[arg(long, conflicts_with_all = ["forget", "what"])]
    list: bool,
    /// Forget what was found so far
    #[arg(long, conflicts_with = "what")]
    forget: bool,
}

fn budget(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Tunes, lists or forgets.
pub fn run(arguments: &Arguments, everywhere: &Everywhere, output: &mut Output) -> Result {
    let chosen = device::open(&everywhere.device)?;
    let device = &chosen.device;
    if arguments.list {
        return list(device, output);
    }
    if arguments.forget {
        let file = device.tuning_file();
        let entries = device.forget_tuning()?;
        output.event(&json!({"event": "forgotten", "entries": entries, "file": file}))?;
        return output.text(format!("forgot {entries} tuned kernels of {}", device.name()));
    }
    let works = work::named(arguments, everywhere.seed, device)?;
    output.text(format!("tuning {}", chosen.describe()))?;
    let begun = Instant::now();
    let stop = interrupt::flag();
    let mut told = Ok(());
    let tune = Tune::new().progress(|progress: TuneProgress<'_>| {
        if told.is_ok() {
            told = tell(&progress, output);
        }
        if told.is_err() || stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let tune = match arguments.budget {
        Some(budget) => tune.budget(budget),
        None => tune,
    };
    let tuning = device.tune(works.iter().map(|work| &work.program), tune)?;
    told?;
    conclude(&tuning, &works, begun.elapsed(), output)
}

/// What is in the table.
fn list(device: &Device, output: &mut Output) -> Result {
    let entries = device.tuned();
    for entry in &entries {
        output.event(&json!({
            "event": "entry", "step": entry.step, "default": entry.default, "winner": entry.winner,
            "default_s": entry.default_seconds, "winner_s": entry.winner_seconds,
        }))?;
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            let gain = entry.default_seconds / entry.winner_seconds.max(1e-12);
            vec![entry.step.clone(), entry.winner.clone(), seconds(entry.winner_seconds), format!("{gain:.2}")]
        })
        .collect();
    if rows.is_empty() {
        return output.text(format!("nothing was tuned for {} yet", device.name()));
    }
    output.table(&["<step", "<kernels", ">time", ">×"], &rows)
}

/// A piece of work that is done.
fn tell(progress: &TuneProgress<'_>, output: &mut Output) -> Result {
    let TuneProgress { done, all, step } = *progress;
    output.event(&json!({
        "event": "tuned", "step": step.step, "default": step.default, "winner": step.winner,
        "default_s": step.default_seconds, "winner_s": step.winner_seconds, "gain": step.gain(),
        "occurrences": step.occurrences, "candidates": step.candidates, "wrong": step.wrong,
    }))?;
    let result = if step.is_improved() {
        style(format!(
            "{} instead of {}, {:.2}x",
            seconds(step.winner_seconds),
            seconds(step.default_seconds),
            step.gain()
        ))
        .green()
    } else {
        style(format!("{}, the fastest of {}", seconds(step.default_seconds), step.candidates)).dim()
    };
    output.text(format!("{done:>4}/{all}  {}  {result}", step.step))?;
    for wrong in &step.wrong {
        output.text(format!("           {} {wrong}", style("WRONG").red().bold()))?;
    }
    Ok(())
}

/// What was gained, and where it is stored.
fn conclude(tuning: &Tuning, works: &[Work], took: Duration, output: &mut Output) -> Result {
    let ratio = |[before, after]: [f64; 2]| if after > 0.0 { before / after } else { 1.0 };
    let compared = |work: &&Work| tuning.seconds_of(&work.program)[0] > 0.0;
    for work in works.iter().filter(compared) {
        let [before, after] = tuning.seconds_of(&work.program);
        output.event(&json!({
            "event": "gained", "name": work.name, "before_s": before, "after_s": after, "gain": ratio([before, after]),
        }))?;
    }
    output.event(&json!({
        "event": "done", "device": tuning.device, "steps": tuning.steps.len(), "improved": tuning.improved(),
        "before_s": tuning.seconds_before(), "after_s": tuning.seconds_after(), "gain": tuning.gain(),
        "skipped": tuning.skipped, "seconds": took.as_secs_f64(), "file": tuning.file,
    }))?;
    if tuning.is_empty() {
        let left = if tuning.skipped > 0 { " in so little time" } else { "" };
        return output.text(format!("{} has nothing to tune{left}", tuning.device));
    }
    let saved = |step: &&TunedStep| (step.default_seconds - step.winner_seconds) * step.occurrences as f64;
    let mut improved: Vec<&TunedStep> = tuning.steps.iter().filter(|step| step.is_improved()).collect();
    improved.sort_by(|a, b| saved(b).total_cmp(&saved(a)));
    let rows: Vec<Vec<String>> = improved
        .into_iter()
        .map(|step| {
            let [before, after] = [step.default_seconds, step.winner_seconds].map(|time| format!("{:.1}", time * 1e6));
            vec![
                step.step.clone(),
                step.default.clone(),
                step.winner.clone(),
                before,
                after,
                format!("{:.2}", step.gain()),
            ]
        })
        .collect();
    if !rows.is_empty() {
        output.text("")?;
        output.table(&["<step", "<default", "<winner", ">before µs", ">after µs", ">×"], &rows)?;
    }
    let rows: Vec<Vec<String>> = works
        .iter()
        .filter(compared)
        .map(|work| {
            let times = tuning.seconds_of(&work.program);
            let [before, after] = times.map(|time| format!("{:.1}", time * 1e6));
            vec![work.name.clone(), before, after, format!("{:.2}", ratio(times))]
        })
        .collect();
    output.text("")?;
    output.table(&["<compared steps of", ">before µs", ">after µs", ">×"], &rows)?;
    output.text(format!(
        "\n{} of {} steps are faster now: {:.2} times as fast in all, in {}",
        tuning.improved(),
        tuning.steps.len(),
        tuning.gain(),
        seconds(took.as_secs_f64())
    ))?;
    if tuning.skipped > 0 {
        output.text(format!("{} steps were left for want of time", tuning.skipped))?;
    }
    let wrong: usize = tuning.steps.iter().map(|step| step.wrong.len()).sum();
    if wrong > 0 {
        eprintln!(
            "warning: {wrong} kernels compute something else on this device and were left out; see `wgrad check`"
        );
    }
    match (&tuning.problem, &tuning.file) {
        (Some(problem), _) => Err(Failure::new(format!("what was found could not be saved: {problem}"))),
        (None, Some(file)) => output.text(format!("saved in {}", file.display())),
        (None, None) => output.text("saved nowhere, as WGRAD_NO_TUNING is set"),
    }
}
