//! A device that goes away, because its application destroys it, is one state: one typed error, from the call that meets it on.

use std::thread;
use std::time::Duration;

use super::{adapter, batch, mask, open, training};
use wgrad::bench::{self, Effort};
use wgrad::device::Tune;
use wgrad::device::gpu::{Checks, Selection};
use wgrad::prelude::*;

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Every call that reaches the device, by its number.
const CALLS: u64 = 18;

fn call(number: u64, session: &mut Session, device: &Device, raw: &wgpu::Device) -> (&'static str, Result<()>) {
    let (x, mask) = (batch(1, [3, 4]), mask(1));
    let inputs = [("x", &x), ("mask", &mask)];
    let weight = session.variables()[0].name.clone();
    let folder = tempfile::tempdir().unwrap();
    match number % CALLS {
        0 => ("step", session.step(&inputs)),
        1 => ("run", session.run(&inputs).map(|_| ())),
        2 => ("read", session.read("loss").map(|_| ())),
        3 => ("parameter", session.parameter(&weight).map(|_| ())),
        4 => {
            let value = TensorData::zeros(F32, session.variables()[0].ty.shape.clone());
            let name = session.variables()[0].name.clone();
            ("set_parameter", session.set_parameter(&name, &value))
        }
        5 => ("save", session.save(folder.path().join("session.safetensors"))),
        6 => ("compile", training().compile(device).map(|_| ())),
        7 => ("load", session.load(&training()).map(|_| ())),
        8 => {
            let mut encoder = raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            ("record", session.record(&mut encoder, &inputs))
        }
        9 => ("tune", session.tune(Tune::new().budget(Duration::ZERO)).map(|_| ())),
        10 => ("profile", session.profile(&inputs).map(|_| ())),
        11 => ("time_runs", session.time_runs(&inputs, 2).map(|_| ())),
        12 => (
            "try_step",
            match session.try_step(&inputs) {
                Err(Error::Busy { .. }) => Ok(()),
                other => other,
            },
        ),
        13 => ("step_capture", session.step_capture(&inputs, &["loss"]).and_then(|loss| loss.wait()).map(|_| ())),
        14 => ("pending", session.pending().map(|_| ())),
        15 => ("wait_idle", device.wait_idle()),
        16 => ("check", device.check()),
        _ => {
            let empty = Graph::new();
            ("compile nothing", empty.compile(device).map(|_| ()))
        }
    }
}

/// The error of a lost device, in words for people.
#[track_caller]
fn lost(what: &str, outcome: Result<()>) -> String {
    let error = outcome.expect_err(what);
    let message = error.to_string();
    assert!(matches!(error, Error::DeviceLost(_)), "{what}: {error:?}");
    for internal in ["submission index", "label", "readback", "Caused by", "In Device", "wgpu"] {
        assert!(!message.contains(internal), "{what}: {message}");
    }
    assert!(message.contains("lost") && message.contains("destroyed"), "{message}");
    message
}

#[test]
fn a_device_destroyed_at_any_step_is_lost_from_the_next_call_on() {
    let Some(adapter) = adapter() else { return };
    let mut numbers = Numbers(1);
    for round in 0..100 {
        let (raw, device) = open(&adapter, adapter.limits());
        let mut session = training().compile(&device).unwrap();
        let inputs = [batch(1, [3, 4]), mask(1)];
        let inputs = [("x", &inputs[0]), ("mask", &inputs[1])];
        session.step(&inputs).unwrap();
        // Calls of every kind before; which of them is the last one is drawn.
        for _ in 0..numbers.below(6) {
            let number = [0, 1, 2, 3, 4, 8, 12, 13, 14][numbers.below(9) as usize];
            let (what, outcome) = call(number, &mut session, &device, &raw);
            outcome.unwrap_or_else(|error| panic!("round {round}, {what}: {error}"));
        }
        let captured = session.step_capture(&inputs, &["loss"]).unwrap();
        let steps = session.steps();
        let first = numbers.below(CALLS);
        raw.destroy();
        let (what, outcome) = call(first, &mut session, &device, &raw);
        let message = lost(what, outcome);
        for number in 0..2 * CALLS {
            let (what, outcome) = call(first + number * 5, &mut session, &device, &raw);
            assert_eq!(lost(what, outcome), message, "{what}");
        }
        assert_eq!(lost("capture", captured.wait().map(|_| ())), message);
        assert_eq!(session.steps(), steps, "a step that was lost is not counted");
    }
}

#[test]
fn a_device_destroyed_by_another_thread_is_lost_once() {
    let Some(adapter) = adapter() else { return };
    let mut numbers = Numbers(7);
    for _ in 0..20 {
        let (raw, device) = open(&adapter, adapter.limits());
        let mut session = training().compile(&device).unwrap();
        let wait = Duration::from_micros(numbers.below(5_000));
        let end = raw.clone();
        let other = thread::spawn(move || {
            thread::sleep(wait);
            end.destroy();
        });
        let mut number = 0;
        // No compiling among them: it would only take the time.
        let cheap = [0, 2, 0, 13, 3, 0, 12, 4, 1];
        let message = loop {
            let (what, outcome) = call(cheap[number % cheap.len()], &mut session, &device, &raw);
            number += 1;
            match outcome {
                // Before its first run, the program has nothing to read.
                Ok(()) => {}
                Err(_) => break lost(what, outcome),
            }
        };
        other.join().unwrap();
        for number in 0..CALLS {
            let (what, outcome) = call(number, &mut session, &device, &raw);
            assert_eq!(lost(what, outcome), message);
        }
    }
}

#[test]
fn benches_and_trainers_tell_that_the_device_was_lost() {
    let Some(adapter) = adapter() else { return };
    let (raw, device) = open(&adapter, adapter.limits());
    let cases = bench::cases();
    let case = cases.iter().find(|case| !case.is_step()).unwrap();
    let data = wgrad::data::Dataset::new([("x", batch(1, [8, 4])), ("y", TensorData::zeros(F32, [8, 1]))]).unwrap();
    let model = || Sequential::new([4]).dense(3).relu().dense(1);
    let mut trainer = model().compile(&device, Adam::new(1e-3), BinaryCrossEntropyWithLogits, []).unwrap();
    trainer.fit(&data, Fit::epochs(1).batch_size(4)).unwrap();
    let mut prepared = case.prepare(&device, 0).unwrap();
    raw.destroy();
    let message = lost("measure", prepared.measure(Effort::QUICK).map(|_| ()));
    assert_eq!(lost("prepare", case.prepare(&device, 0).map(|_| ())), message);
    assert_eq!(lost("fit", trainer.fit(&data, Fit::epochs(1).batch_size(4)).map(|_| ())), message);
    assert_eq!(lost("evaluate", trainer.evaluate(&data).map(|_| ())), message);
    assert_eq!(lost("tune", training().tune(&device, Tune::new()).map(|_| ())), message);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(lost("save", trainer.save(folder.path().join("model.safetensors"))), message);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
    // The adapter can be opened again.
    let again = Device::open(&Selection::Any, Checks::All).unwrap();
    training().compile(&again).unwrap();
}
