//! What becomes of a run's checkpoints when something is damaged, in the way, or another than it was.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use support::devices::devices;
use wgrad::data::Dataset;
use wgrad::optim::schedule::{Constant, Linear, ReduceOnPlateau};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::train::{Control, Event};

const BATCH: usize = 10;

fn data(seed: u64) -> Dataset {
    let mut random = HostRandom::new(seed);
    let x: Vec<f32> = (0..120).map(|_| random.normal() as f32).collect();
    let y: Vec<i32> = (0..40).map(|example| example % 3).collect();
    let x = TensorData::from_vec(x, [40, 3]).unwrap();
    Dataset::new([("x", x), ("y", TensorData::from_vec(y, [40]).unwrap())]).unwrap()
}

fn trainer(device: &Device, learning_rate: f64) -> Trainer {
    let model = Sequential::new([3]).dense(8).relu().dense(3);
    model.compile(device, Adam::new(learning_rate), CrossEntropy, []).unwrap().seed(3)
}

fn checkpoints(directory: &Path) -> Checkpoints {
    Checkpoints::new(directory).resume(true).option("--model", "small").note("--epochs", "2")
}

/// A run of some epochs in a directory.
fn run(device: &Device, checkpoints: Checkpoints, epochs: u64) -> Result<History> {
    trainer(device, 1e-2).fit(&data(1), Fit::epochs(epochs).batch_size(BATCH).checkpoints(checkpoints))
}

#[track_caller]
fn refused<T>(result: Result<T>, parts: &[&str]) {
    let text = result.err().map_or_else(|| "nothing was refused".to_owned(), |error| error.to_string());
    assert!(parts.iter().all(|part| text.contains(part)), "{text:?}; wanted {parts:?}");
}

#[test]
fn one_flipped_bit_is_noticed_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let checkpoints = checkpoints(directory.path());
    run(&Device::cpu(), checkpoints.clone(), 3).unwrap();
    let saved = checkpoints.saved_options().unwrap().unwrap();
    assert_eq!((saved["--model"].as_str(), saved["--epochs"].as_str()), ("small", "2"));
    let whole = fs::read(checkpoints.file()).unwrap();
    let mut random = HostRandom::new(11);
    for _ in 0..1000 {
        let (position, bit) =
            ((random.uniform_f64() * whole.len() as f64) as usize, (random.uniform_f64() * 8.0) as u32);
        let mut damaged = whole.clone();
        damaged[position] ^= 1 << bit;
        fs::write(checkpoints.file(), damaged).unwrap();
        let error = checkpoints.saved_options().unwrap_err().to_string();
        assert!(error.contains("checkpoint.previous.safetensors, is whole (step 8)"), "byte {position}: {error}");
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_one_before_it_named_and_good() {
    for device in devices() {
        let directory = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints(directory.path());
        run(&device, checkpoints.clone(), 3).unwrap();
        let whole = fs::read(checkpoints.file()).unwrap();
        let flipped = |position: usize| {
            let mut damaged = whole.clone();
            damaged[position] ^= 0x40;
            damaged
        };
        let text = String::from_utf8_lossy(&whole);
        let version = text.find("wgrad-checkpoint-2").unwrap() + "wgrad-checkpoint-".len();
        let damaged = [
            flipped(whole.len() - 30),
            flipped(0),
            flipped(version),
            whole[..whole.len() - 1].to_vec(),
            Vec::new(),
            [whole.as_slice(), b"more"].concat(),
        ];
        let previous = fs::read(checkpoints.previous_file()).unwrap();
        for content in &damaged {
            fs::write(checkpoints.file(), content).unwrap();
            let parts = ["checkpoint.safetensors: ", "checkpoint.previous.safetensors, is whole (step 8)"];
            refused(run(&device, checkpoints.clone(), 4), &parts);
            assert_eq!(fs::read(checkpoints.file()).unwrap(), *content, "what was refused stays as it is");
            assert_eq!(fs::read(checkpoints.previous_file()).unwrap(), previous);
        }
        // Both are damaged, or there is no other.
        fs::write(checkpoints.previous_file(), &previous[..100]).unwrap();
        refused(run(&device, checkpoints.clone(), 4), &["nor can the one before it be used"]);
        fs::remove_file(checkpoints.previous_file()).unwrap();
        refused(run(&device, checkpoints.clone(), 4), &["there is none before it"]);
        // As the advice says: it is replaced by the one before it, and the run ends as it would have.
        fs::write(checkpoints.file(), &previous).unwrap();
        assert_eq!(run(&device, checkpoints.clone(), 3).unwrap().epochs.len(), 3);
        let times = |bytes: &[u8]| bytes[bytes.len() - 200..].to_vec();
        assert_eq!(times(&fs::read(checkpoints.file()).unwrap()), times(&whole));
        // Killed between two renamings, there is only the one before.
        fs::remove_file(checkpoints.file()).unwrap();
        assert_eq!(run(&device, checkpoints.clone(), 3).unwrap().epochs.len(), 3);
        assert_eq!(times(&fs::read(checkpoints.file()).unwrap()), times(&whole));
    }
}

#[test]
fn a_run_is_not_overwritten_by_another() {
    let directory = tempfile::tempdir().unwrap();
    let own = checkpoints(directory.path());
    run(&Device::cpu(), own.clone(), 2).unwrap();
    let before = fs::read(own.file()).unwrap();
    let parts = ["checkpoint.safetensors is there already", "resume(true)", "another directory"];
    refused(run(&Device::cpu(), own.clone().resume(false), 2), &parts);
    fs::rename(own.file(), own.previous_file()).unwrap();
    refused(run(&Device::cpu(), own.clone().resume(false), 2), &["checkpoint.previous.safetensors is there already"]);
    assert_eq!(fs::read(own.previous_file()).unwrap(), before);
    assert!(!own.file().exists());
}

#[test]
fn what_would_make_other_steps_is_refused_when_a_run_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let own = checkpoints(directory.path());
    run(&Device::cpu(), own.clone(), 1).unwrap();
    let before = fs::read(own.file()).unwrap();
    let again = |fit: Fit<'_>, data: &Dataset| trainer(&Device::cpu(), 1e-2).fit(data, fit.checkpoints(own.clone()));
    let fit = || Fit::epochs(2).batch_size(BATCH);
    refused(again(fit().batch_size(20), &data(1)), &["made with batches of 10, this run has batches of 20"]);
    refused(again(fit().shuffle(false), &data(1)), &["made with shuffle true, this run has shuffle false"]);
    refused(again(fit().drop_last(true), &data(1)), &["made with drop_last false, this run has drop_last true"]);
    refused(
        again(fit(), &data(2)),
        &["made with training data x f32[40, 3]", "this run has training data x f32[40, 3]"],
    );
    let other_seed = trainer(&Device::cpu(), 1e-2).seed(4).fit(&data(1), fit().checkpoints(own.clone()));
    refused(other_seed, &["made with seed 3, this run has seed 4"]);
    let option = |name: &str, value: &str| run(&Device::cpu(), own.clone().option(name, value), 2);
    refused(option("--model", "large"), &["made with --model small, this run has --model large"]);
    refused(option("--window", "9"), &["made without --window, this run has --window 9"]);
    refused(run(&Device::cpu(), Checkpoints::new(directory.path()).resume(true), 2), &["made with --model small"]);
    let model = Sequential::new([3]).dense(8).relu().dense(3);
    let mut plain = model.compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, []).unwrap().seed(3);
    refused(plain.fit(&data(1), fit().checkpoints(own.clone())), &["another model or optimizer", "exp_avg"]);
    assert_eq!(fs::read(own.file()).unwrap(), before);
    run(&Device::cpu(), own.note("--epochs", "3"), 2).unwrap();
}

#[test]
fn another_learning_rate_is_used_from_there_on() {
    let plateau = ReduceOnPlateau {
        factor: 0.5,
        patience: 0,
        threshold: 10.0, // nothing is an improvement
        higher_is_better: true,
        ..ReduceOnPlateau::new()
    };
    let linear = Linear { steps: 100, start_factor: 1.0, end_factor: 0.0 };
    // The schedule, and the rates of step 9 with the rate of before, and with another.
    let cases: [(Arc<dyn Schedule>, f64, f64); 3] =
        [(Arc::new(Constant), 0.1, 0.3), (Arc::new(linear), 0.1 * 0.92, 0.3 * 0.92), (Arc::new(plateau), 0.05, 0.3)];
    for device in devices() {
        for (schedule, unchanged, changed) in &cases {
            for (rate, expected) in [(0.1, unchanged), (0.3, changed)] {
                let directory = tempfile::tempdir().unwrap();
                let fit = |epochs| {
                    let fit = Fit::epochs(epochs).batch_size(BATCH).schedule(schedule.clone());
                    fit.checkpoints(checkpoints(directory.path()))
                };
                trainer(&device, 0.1).fit(&data(1), fit(2)).unwrap();
                let mut rates = Vec::new();
                let mut note = |event: &Event| {
                    if let Event::Step { step, learning_rate, .. } = event {
                        rates.push((*step, *learning_rate));
                    }
                    Ok(Control::Continue)
                };
                trainer(&device, rate).fit(&data(1), fit(3).callback(&mut note)).unwrap();
                assert_eq!(rates.len(), 4);
                let (step, found) = rates[0];
                assert!(step == 9 && (found - expected).abs() < 1e-12, "{schedule:?}: {found}, not {expected}");
            }
        }
    }
}
