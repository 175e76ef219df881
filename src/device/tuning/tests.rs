//! Tuning on whatever GPU there is, and what programs make of it.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Tune, TunedEntry, choice};
use crate::compiler::{Layout, Options, Target, compile};
use crate::device::Device;
use crate::graph::Graph;
use crate::shader::KernelPlan;
use crate::shader::testing::skipped;
use crate::tensor::DType::{F32, I32};
use crate::tensor::TensorData;

/// A handle to the GPU whose table is in the folder.
fn gpu(folder: &std::path::Path) -> Option<Device> {
    match Device::gpu() {
        Ok(device) => Some(device.tuning_in(folder)),
        Err(error) => {
            skipped(&error.to_string());
            None
        }
    }
}

/// A product with an epilogue, a reduction, and rows added at indices.
fn graph() -> Graph {
    let g = Graph::new();
    let (x, w, b) = (g.input("x", [33, 70], F32), g.input("w", [70, 20], F32), g.input("b", [20], F32));
    let hidden = (x.matmul(&w) + &b).relu();
    g.output("shares", &hidden.softmax(-1));
    let base = g.scalar(F32, 0.0).broadcast_to([9, 20]);
    g.output("rows", &base.scatter_rows(&g.input("index", [33], I32), &hidden));
    g
}

fn outputs(device: &Device) -> crate::Result<[Vec<f64>; 2]> {
    let numbers = |count: usize| (0..count).map(|k| (k * 37 % 101) as f64 / 101.0 - 0.4).collect::<Vec<f64>>();
    let tensor = |shape: &[usize]| TensorData::from_f64(F32, &numbers(shape.iter().product()), shape);
    let index = TensorData::from_vec((0..33).map(|k| k * 5 % 9).collect::<Vec<i32>>(), [33])?;
    let (x, w, b) = (tensor(&[33, 70])?, tensor(&[70, 20])?, tensor(&[20])?);
    let found = graph().compile(device)?.run(&[("x", &x), ("w", &w), ("b", &b), ("index", &index)])?;
    Ok([found["shares"].to_f64_vec(), found["rows"].to_f64_vec()])
}

fn assert_close(found: &[Vec<f64>; 2], wanted: &[Vec<f64>; 2]) {
    for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
        assert!((found - wanted).abs() <= 1e-4 * (1.0 + wanted.abs()), "{found} should be {wanted}");
    }
}

#[test]
fn tuning_is_remembered_and_changes_no_result() -> crate::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = gpu(folder.path()) else { return Ok(()) };
    let wanted = outputs(&device.without_tuning())?;
    let mut told = Vec::new();
    let tuning = graph().tune(
        &device,
        Tune::new().progress(|progress| {
            told.push((progress.done, progress.all, progress.step.gain()));
            ControlFlow::Continue(())
        }),
    )?;
    assert!(tuning.steps.len() >= 3 && tuning.skipped == 0 && tuning.problem.is_none(), "{tuning}");
    assert_eq!(told.len(), tuning.steps.len());
    assert_eq!(told.last().map(|last| (last.0, last.1)), Some((told.len(), told.len())));
    for step in &tuning.steps {
        assert!(step.wrong.is_empty() && step.candidates > 1, "{step:?}");
        assert!(step.winner_seconds > 0.0 && step.winner_seconds <= step.default_seconds, "{step:?}");
        assert_eq!(step.is_improved(), step.winner != step.default, "{step:?}");
    }
    assert_close(&outputs(&device)?, &wanted);
    // A later process reads what this one wrote, with the figures that were reported.
    let later = device.tuning_in(folder.path());
    let mut entries = later.tuned();
    assert_eq!(entries, device.tuned());
    assert_eq!(later.tuning_file(), tuning.file);
    for step in &tuning.steps {
        let index = entries.iter().position(|entry| entry.key == step.key).unwrap();
        let entry = entries.remove(index);
        let times = (entry.default_seconds, entry.winner_seconds, entry.winner.as_str());
        assert_eq!(times, (step.default_seconds, step.winner_seconds, step.winner.as_str()));
    }
    assert!(entries.is_empty());
    assert_eq!(device.forget_tuning()?, tuning.steps.len());
    assert!(device.tuned().is_empty() && device.tuning_in(folder.path()).tuned().is_empty());
    Ok(())
}

#[test]
fn programs_take_what_was_found() -> crate::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = gpu(folder.path()) else { return Ok(()) };
    let wanted = outputs(&device)?;
    let Target::Gpu(adapter) = device.target() else { unreachable!("a GPU") };
    let (program, _) = compile(&graph(), &device.target(), &mut Layout::default(), Options::default())?;
    let mut named = Vec::new();
    for step in &program.steps {
        let Some(key) = step.work.key() else { continue };
        let plans = choice::candidates(&step.work, &adapter).unwrap();
        let plan = plans.last().unwrap();
        named.push(plan.describe());
        let [step, default, winner] = [step.label.clone(), String::new(), plan.describe()];
        let entry =
            TunedEntry { key, plan: plan.id(), step, default, winner, default_seconds: 1.0, winner_seconds: 0.5 };
        device.as_gpu()?.known().add(entry)?;
    }
    // A clone knows at once, another handle to the folder when it reads it.
    for device in [device.clone(), device.tuning_in(folder.path())] {
        let session = graph().compile(&device)?;
        let program = session.program();
        let kernels = program.steps.iter().filter(|step| step.work.key().is_some()).map(|step| {
            let labels = step.dispatches.iter().map(|dispatch| program.kernels[dispatch.kernel].label.as_str());
            labels.collect::<Vec<&str>>()
        });
        for (kernels, named) in kernels.zip(&named) {
            assert!(kernels.iter().all(|kernel| named.contains(kernel)), "{kernels:?} should be {named}");
        }
        assert_close(&outputs(&device)?, &wanted);
    }
    assert_eq!(outputs(&device.without_tuning())?, wanted, "without the table, bit for bit as before");
    Ok(())
}

#[test]
fn a_table_that_is_none_is_said_and_replaced() -> crate::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = gpu(folder.path()) else { return Ok(()) };
    let path = device.tuning_file().unwrap();
    std::fs::write(&path, "no table").unwrap();
    let problem = device.tuning_problem().unwrap_or_default();
    assert!(problem.contains(path.to_str().unwrap()), "{problem}");
    assert!(device.tuned().is_empty());
    outputs(&device)?;
    let tuning = graph().tune(&device, Tune::new().progress(|_| ControlFlow::Break(())))?;
    assert_eq!((tuning.steps.len(), tuning.skipped > 0, device.tuning_problem()), (1, true, None));
    assert_eq!(device.tuning_in(folder.path()).tuned().len(), 1);
    Ok(())
}

#[test]
fn no_time_is_enough_for_nothing() -> crate::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = gpu(folder.path()) else { return Ok(()) };
    let tuning = graph().tune(&device, Tune::new().budget(Duration::ZERO))?;
    assert!(tuning.is_empty() && tuning.skipped >= 3, "{tuning:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    Ok(())
}

#[test]
fn the_cpu_has_nothing_to_tune() -> crate::Result<()> {
    let device = Device::cpu();
    let tuning = graph().tune(&device, Tune::new())?;
    assert!(tuning.is_empty() && tuning.gain() == 1.0 && tuning.file.is_none());
    assert_eq!((device.tuned().len(), device.forget_tuning()?, device.tuning_problem()), (0, 0, None));
    Ok(())
}

/// Prints keys and plans for the test below, which runs this one in another process.
#[test]
fn keys_of_this_process() {
    if std::env::var_os("WGRAD_PRINT_KEYS").is_some() {
        println!("keys: {}", keys());
    }
}

fn keys() -> String {
    let adapter = crate::shader::Adapter::default();
    let target = Target::Gpu(adapter.clone());
    let (program, _) = compile(&graph(), &target, &mut Layout::default(), Options::default()).unwrap();
    let works = program.steps.iter().filter_map(|step| Some((step.work.key()?, &step.work)));
    let texts = works.map(|(key, work)| {
        let plans = choice::candidates(work, &adapter).unwrap();
        format!("{key}:{}", plans.iter().map(KernelPlan::id).map(|id| id.to_string()).collect::<Vec<_>>().join(","))
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn keys_are_the_same_in_another_process() {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .args(["--exact", "device::tuning::tests::keys_of_this_process", "--nocapture"])
        .env("WGRAD_PRINT_KEYS", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let theirs = text.lines().find_map(|line| line.split_once("keys: ").map(|(_, keys)| keys.trim().to_owned()));
    assert_eq!(theirs.as_deref(), Some(keys().as_str()), "{text}");
}
