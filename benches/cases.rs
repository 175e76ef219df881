//! The cases of `wgrad bench` through criterion: `cargo bench -p wgrad-benches`, with `-- matmul` for those with a text in their name. Each is
//! checked against its reference before it is timed. The device is the CPU, or what `WGRAD_BENCH_DEVICE` names: `gpu`, `auto`, a part of
//! an adapter's name. On a GPU with timestamps, kernels are timed by its own clock.

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use wgrad::bench::{Case, Prepared, cases};
use wgrad::{Device, Error, Result};

/// The variable that names the device.
const DEVICE: &str = "WGRAD_BENCH_DEVICE";

fn main() -> Result<()> {
    let name = std::env::var(DEVICE).unwrap_or_else(|_| "cpu".to_owned());
    let device = Device::named(&name)?;
    let mut criterion = Criterion::default()
        .sample_size(10)
        // Preparing a case falls into it, and criterion takes what is left to guess how long a run takes.
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args();
    let mut wrong = Vec::new();
    for case in cases() {
        bench(&mut criterion, &device, &case, &mut wrong);
    }
    criterion.final_summary();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::Data(wrong.join("; "))),
    }
}

/// One benchmark. Names have slashes, which criterion puts between a group and what is in it.
fn bench(criterion: &mut Criterion, device: &Device, case: &Case, wrong: &mut Vec<String>) {
    let (group, rest) = case.name().split_once('/').unwrap_or((case.name(), ""));
    let mut group = criterion.benchmark_group(group);
    group.sampling_mode(SamplingMode::Flat);
    // Prepared when criterion comes to it: what the filter leaves out costs nothing.
    let mut prepared: Option<Result<Prepared>> = None;
    group.bench_function(rest, |bencher| {
        bencher.iter_custom(|repetitions| {
            let prepared = prepared.get_or_insert_with(|| case.prepare(device, 0));
            seconds(prepared, repetitions).unwrap_or_else(|message| {
                let message = format!("{}: {message}", case.name());
                if wrong.last() != Some(&message) {
                    wrong.push(message);
                }
                // Criterion takes no failures; the benchmark is told as wrong in the end.
                Duration::from_secs(1)
            })
        });
    });
    group.finish();
}

fn seconds(prepared: &mut Result<Prepared>, repetitions: u64) -> Result<Duration, String> {
    let prepared = prepared.as_mut().map_err(|error| error.to_string())?;
    if !prepared.is_right() {
        return Err(format!("the result is off by {:.1e}", prepared.max_error()));
    }
    let seconds = prepared.repeat(repetitions as usize).map_err(|error| error.to_string())?;
    Ok(Duration::from_secs_f64(seconds))
}
