//! Whole runs with the trainer, on every device: learning, stopping and resuming bit for bit, equal runs, plans, mistakes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;

use support::devices::devices;
use wgrad::data::{Dataset, streams};
use wgrad::loss::{CrossEntropyOptions, CrossEntropyWith, Hinge, Mse, Nll};
use wgrad::optim::Group;
use wgrad::optim::schedule::Cosine;
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;
use wgrad::train::{Control, EarlyStopping, Event};

/// Points of three noisy clusters, as u8 pixels and i32 labels.
fn clusters(count: usize, seed: u64) -> Dataset {
    let mut random = HostRandom::new(seed);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for example in 0..count {
        let class = example % 3;
        for k in 0..6 {
            let centre = if k % 3 == class { 170.0 } else { 90.0 };
            x.push((centre + 25.0 * random.normal()).clamp(0.0, 255.0) as u8);
        }
        y.push(class as i32);
    }
    Dataset::new([
        ("x", TensorData::from_vec(x, [count, 6]).unwrap()),
        ("y", TensorData::from_vec(y, [count]).unwrap()),
    ])
    .unwrap()
}

fn trainer(device: &Device) -> Trainer {
    let model = Sequential::new([6]).dense(16).relu().dropout(0.1).dense(3);
    model.compile(device, Adam::new(5e-3), CrossEntropy, [Accuracy]).unwrap().seed(7)
}

/// The bytes of what `save` writes.
fn saved(trainer: &Trainer) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.safetensors");
    trainer.save(&file).unwrap();
    std::fs::read(file).unwrap()
}

#[test]
fn a_classifier_learns_and_repeats_itself() {
    let (train, test) = (clusters(250, 1), clusters(90, 2));
    for device in devices() {
        let run = || {
            let mut trainer = trainer(&device);
            let history = trainer.fit(&train, Fit::epochs(12).batch_size(32).validate(&test)).unwrap();
            (history, saved(&trainer))
        };
        let ((first, bytes), (second, again)) = (run(), run());
        let accuracy = first.epochs.last().unwrap().validation("accuracy").unwrap();
        assert!(accuracy > 0.85, "{device:?}: accuracy {accuracy}");
        assert_eq!(bytes, again, "{device:?}: two runs differ");
        let losses = |history: &History| history.epochs.iter().map(|epoch| epoch.train_loss).collect::<Vec<_>>();
        assert_eq!(losses(&first), losses(&second));
        assert_eq!(first.epochs.last().unwrap().step, 12 * 8, "the ragged last batch is trained on too");
    }
}

#[test]
fn devices_follow_the_same_losses() {
    let train = clusters(128, 3);
    let losses: Vec<Vec<f64>> = devices()
        .iter()
        .map(|device| {
            let mut losses = Vec::new();
            let mut note = |event: &Event| {
                if let Event::Step { loss, .. } = event {
                    losses.push(*loss);
                }
                Ok(Control::Continue)
            };
            trainer(device).fit(&train, Fit::epochs(10).batch_size(32).callback(&mut note)).unwrap();
            losses
        })
        .collect();
    for other in &losses[1..] {
        assert_eq!(other.len(), losses[0].len());
        for (a, b) in losses[0].iter().zip(other) {
            assert!((a - b).abs() <= 1e-3 * a.abs(), "{a} on the CPU, {b} elsewhere");
        }
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_bits() {
    let (train, test) = (clusters(100, 4), clusters(30, 5));
    let schedule = Cosine { steps: 24, minimum: 1e-4 };
    for device in devices() {
        let whole = {
            let mut trainer = trainer(&device);
            let fit = Fit::epochs(6).batch_size(25).validate(&test).schedule(schedule);
            (trainer.fit(&train, fit).unwrap(), saved(&trainer))
        };
        // Stopped by a callback in the middle of an epoch, and taken up again by another trainer.
        for stop_at in [1, 4, 7, 10, 23] {
            let directory = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(directory.path()).every_steps(3).resume(true);
            let mut stop = |event: &Event| match event {
                Event::Step { step, .. } if *step >= stop_at => Ok(Control::Stop),
                _ => Ok(Control::Continue),
            };
            let fit = Fit::epochs(6).batch_size(25).validate(&test).schedule(schedule);
            trainer(&device).fit(&train, fit.callback(&mut stop).checkpoints(checkpoints.clone())).unwrap();
            let mut second = trainer(&device);
            let fit = Fit::epochs(6).batch_size(25).validate(&test).schedule(schedule);
            let history = second.fit(&train, fit.checkpoints(checkpoints)).unwrap();
            assert_eq!(saved(&second), whole.1, "{device:?} stopped at {stop_at}");
            let losses = |history: &History| {
                history.epochs.iter().map(|epoch| (epoch.epoch, epoch.step, epoch.train_loss)).collect::<Vec<_>>()
            };
            assert_eq!(losses(&history), losses(&whole.0), "{device:?} stopped at {stop_at}");
        }
    }
}

#[test]
fn the_plan_of_a_step_is_small_and_constant() {
    let train = clusters(64, 6);
    for device in devices() {
        let mut trainer = Sequential::new([6])
            .dense(64)
            .relu()
            .dense(32)
            .relu()
            .dense(3)
            .compile(&device, Adam::new(1e-3), CrossEntropy, [])
            .unwrap();
        let id = trainer.compile_training(&train, 32).unwrap();
        let program = trainer.session().unwrap().program_of(id);
        assert!(program.dispatches() <= 20, "{device:?}: {} dispatches\n{program}", program.dispatches());
        let (planned, buffers) = (program.planned_bytes(), program.buffers.len());
        trainer.fit(&train, Fit::epochs(5)).unwrap();
        let program = trainer.session().unwrap().program_of(id);
        assert_eq!((program.planned_bytes(), program.buffers.len()), (planned, buffers));
    }
}

#[test]
fn early_stopping_ends_a_run_that_does_not_improve() {
    let (train, test) = (clusters(60, 7), clusters(30, 8));
    let mut patience = EarlyStopping::lowest("loss", 2).minimum_change(10.0);
    let history = trainer(&Device::cpu()).fit(&train, Fit::epochs(50).validate(&test).callback(&mut patience)).unwrap();
    assert!(history.stopped);
    assert_eq!(history.epochs.len(), 3);
}

#[test]
fn a_saved_model_predicts_in_a_fresh_trainer() {
    let data = clusters(60, 9);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.safetensors");
    for device in devices() {
        let mut first = trainer(&device);
        first.fit(&data, Fit::epochs(2).batch_size(10)).unwrap();
        first.save(&file).unwrap();
        let mut second = trainer(&device).seed(8);
        second.load_parameters(&file).unwrap();
        assert_eq!(first.evaluate(&data).unwrap().predictions, second.evaluate(&data).unwrap().predictions);
    }
    // A file of another model is told by what compiles first.
    let other = Sequential::new([6]).dense(4).relu().dense(3);
    let mut other = other.compile(&Device::cpu(), Adam::new(5e-3), CrossEntropy, []).unwrap();
    other.load_parameters(&file).unwrap();
    let error = other.evaluate(&data).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("0.weight"), "{error}");
    assert!(other.load_parameters(directory.path().join("missing.safetensors")).is_err());
}

#[test]
fn accumulated_small_batches_train_like_large_ones() {
    let data = clusters(60, 9);
    let model = || Sequential::new([6]).dense(16).tanh().dense(3);
    let train = |batch: usize, steps: u64| {
        let mut trainer = model()
            .compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, [])
            .unwrap()
            .minimize(move |minimize| minimize.accumulate(steps).clip_value(10.0));
        trainer.fit(&data, Fit::epochs(2).batch_size(batch).shuffle(false)).unwrap();
        trainer.session().unwrap().parameter("0.weight").unwrap().to_f64_vec()
    };
    let (large, small) = (train(20, 1), train(5, 4));
    assert!(large.iter().zip(&small).all(|(a, b)| (a - b).abs() < 1e-6), "{large:?} {small:?}");
    let frozen = model()
        .compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, [])
        .unwrap()
        .minimize(|minimize| minimize.group(Group::named("nobody").frozen()))
        .fit(&data, Fit::epochs(1).batch_size(20));
    assert!(frozen.unwrap_err().to_string().contains("nobody"));
}

#[test]
fn mistakes_are_one_clear_error() {
    let data = clusters(20, 9);
    let message = |result: Result<History>| result.unwrap_err().to_string();
    let cpu = Device::cpu();
    let large = message(trainer(&cpu).fit(&data, Fit::epochs(1).batch_size(21)));
    assert!(large.contains("batch of 21") && large.contains("20 training examples"), "{large}");
    let narrow = Sequential::new([5]).dense(3).compile(&cpu, SGD::new(0.1), CrossEntropy, []).unwrap();
    let shape = message({ narrow }.fit(&data, Fit::epochs(1).batch_size(4)));
    assert!(shape.contains('5') && shape.contains('6'), "{shape}");
    // A checkpoint of another model, and one that is cut off.
    let directory = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(directory.path()).resume(true);
    trainer(&cpu).fit(&data, Fit::epochs(1).batch_size(10).checkpoints(checkpoints.clone())).unwrap();
    let other = Sequential::new([6]).dense(4).relu().dense(3).compile(&cpu, Adam::new(5e-3), CrossEntropy, []).unwrap();
    let wrong = message(other.seed(7).fit(&data, Fit::epochs(2).batch_size(10).checkpoints(checkpoints.clone())));
    assert!(wrong.contains("another model"), "{wrong}");
    let bytes = std::fs::read(checkpoints.file()).unwrap();
    std::fs::write(checkpoints.file(), &bytes[..bytes.len() - 9]).unwrap();
    let short = message(trainer(&cpu).fit(&data, Fit::epochs(2).batch_size(10).checkpoints(checkpoints)));
    assert!(short.contains("checkpoint.safetensors"), "{short}");
    // A run that diverges says so.
    let wild = Sequential::new([6]).dense(3).compile(&cpu, SGD::new(3e38), CrossEntropy, []).unwrap();
    let diverged = message({ wild }.fit(&data, Fit::epochs(5).batch_size(10)));
    assert!(diverged.contains("diverged"), "{diverged}");
}

#[test]
fn input_gradients_agree_with_differences() {
    let (train, test) = (clusters(120, 1), clusters(5, 2));
    for device in devices() {
        let mut trainer = trainer(&device).evaluation_batch(7);
        trainer.fit(&train, Fit::epochs(3).batch_size(32).validate(&test)).unwrap();
        let x = test.column("x").unwrap();
        let answer = trainer.input_gradient(x).unwrap();
        assert_eq!(answer.prediction, trainer.predict(x).unwrap());
        // The input is bytes; the gradient is that of what the model sees of them, x / 255.
        assert_eq!((answer.gradient.dtype(), answer.gradient.shape().dims()), (F32, &[5, 6][..]));
        let seen: Vec<f32> = x.to_f64_vec().iter().map(|x| *x as f32 / 255.0).collect();
        let outputs = answer.prediction.to_f64_vec();
        for element in 0..30 {
            let example = element / 6;
            let winner = (0..3).max_by(|a, b| outputs[example * 3 + a].total_cmp(&outputs[example * 3 + b])).unwrap();
            let mut moved = |by: f32| {
                let mut x = seen.clone();
                x[element] += by;
                let moved = trainer.predict(&TensorData::from_vec(x, [5, 6]).unwrap()).unwrap();
                moved.to_f64_vec()[example * 3 + winner]
            };
            let difference = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            let gradient = answer.gradient.to_f64_vec()[element];
            assert!((gradient - difference).abs() < 0.02, "{device:?} {element}: {gradient}, {difference}");
        }
    }
}

#[test]
fn input_gradients_of_one_output_and_of_integers() {
    for device in devices() {
        let model = Sequential::new([2, 2]).flatten().dense(1).sigmoid();
        let mut trainer = model.compile(&device, Adam::new(5e-3), BinaryCrossEntropy, []).unwrap();
        let answer = trainer.input_gradient(&TensorData::zeros(F32, [3, 2, 2])).unwrap();
        assert_eq!(answer.gradient.shape().dims(), [3, 2, 2]);
        assert!(answer.gradient.to_f64_vec().iter().all(|slope| *slope != 0.0));
        let words = |_: &Graph, x: &Tensor, _: Mode| x.cast(F32);
        let mut trainer = Trainer::new(words, &device, Adam::new(5e-3), CrossEntropy, []);
        let error = trainer.input_gradient(&TensorData::zeros(I32, [3, 2])).unwrap_err().to_string();
        assert!(error.contains("with respect to floats"), "{error}");
    }
}

/// Targets that no loss can learn from, wherever they come from.
#[test]
fn targets_are_looked_at_before_they_are_learned_or_measured_on() {
    let data = |y: TensorData| Dataset::new([("x", TensorData::zeros(F32, [y.shape()[0], 4])), ("y", y)]).unwrap();
    let floats = |values: &[f32]| data(TensorData::from_slice(values, [values.len()]).unwrap());
    let labels = |values: &[i32]| data(TensorData::from_slice(values, [values.len(), 1]).unwrap());
    let crossed = || -> Arc<dyn Loss> { Arc::new(CrossEntropy) };
    let ignoring = || -> Arc<dyn Loss> {
        Arc::new(CrossEntropyWith(CrossEntropyOptions { ignore_index: Some(-100), ..Default::default() }))
    };
    let cases: [(Arc<dyn Loss>, Dataset, &str); 8] = [
        (crossed(), labels(&[0, 1, 2, 3, 0, 1]), "label 3 of example 3 is out of range: with 3 classes"),
        (crossed(), labels(&[0, 1, 2, 2, 0, -1]), "label -1 of example 5 is out of range"),
        (crossed(), floats(&[0.0, 0.5, 1.0, 2.0]), "label 0.5 of example 1 is no class"),
        (crossed(), floats(&[0.0, 1.0, f32::NAN, 2.0]), "label NaN of example 2 is no class"),
        (crossed(), labels(&[0, -100, 1, 2]), "label -100 of example 1 is out of range"),
        (ignoring(), labels(&[0, -100, -99, 2]), "label -99 of example 2 is out of range"),
        (ignoring(), labels(&[0, -100, -100, -100]), ""),
        (Arc::new(Nll), labels(&[0, 1, 2, 7]), "label 7 of example 3"),
    ];
    let binary: [(Arc<dyn Loss>, Dataset, &str); 4] = [
        (Arc::new(BinaryCrossEntropy), floats(&[0.0, 1.0, 2.0, 0.0]), "target 2 of example 2 is not from 0 to 1"),
        (
            Arc::new(BinaryCrossEntropyWithLogits),
            floats(&[0.0, 1.0, 0.0, -1.0]),
            "target -1 of example 3 is not from 0 to 1",
        ),
        (Arc::new(Mse), floats(&[0.0, f32::INFINITY, 0.0, 1.0]), "target inf of example 1 is not a finite number"),
        (Arc::new(Hinge), floats(&[1.0, 0.0, 1.0, -1.0]), "target 0 of example 1 is neither -1 nor 1"),
    ];
    for device in devices() {
        let all = cases.iter().map(|case| (3, case)).chain(binary.iter().map(|case| (1, case)));
        for (units, (loss, data, expected)) in all {
            let trainer = || {
                let model = Sequential::new([4]).dense(units);
                let model = if loss.name() == "binary_cross_entropy" { model.sigmoid() } else { model };
                model.compile(&device, SGD::new(0.1), loss.clone(), []).unwrap()
            };
            let good = match units {
                3 => labels(&[0, 1, 2, 0]),
                _ => floats(&[1.0; 4]),
            };
            let check = |result: Result<()>, method: &str| {
                let found = result.err().map(|error| error.to_string()).unwrap_or_default();
                assert!(
                    found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                    "{device:?} {} {method}: {found:?}, not {expected:?}",
                    loss.name()
                );
            };
            check(trainer().fit(data, Fit::epochs(1).batch_size(2)).map(|_| ()), "fit");
            let mut begun = 0;
            let mut count = |_: &Event| {
                begun += 1;
                Ok(Control::Continue)
            };
            let fit = Fit::epochs(1).batch_size(2).validate(data).callback(&mut count);
            check(trainer().fit(&good, fit).map(|_| ()), "validate");
            assert!(begun == 0 || expected.is_empty(), "it was found after the first epoch");
            check(trainer().evaluate(data).map(|_| ()), "evaluate");
            check(trainer().compile_training(data, 2).map(|_| ()), "compile_training");
            check(trainer().training_graph(data, 2).map(|_| ()), "training_graph");
        }
    }
}

#[test]
fn texts_and_indices_are_looked_at_too() {
    let text: Vec<i32> = (0..41).map(|k| if k == 30 { 7 } else { k % 5 }).collect();
    let data = streams(&text, 2, 4).unwrap();
    let message = |result: Result<History>| result.unwrap_err().to_string();
    let model = |rows| {
        Sequential::new([4]).embedding(rows, 3).dense(5).compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, [])
    };
    let fit = || Fit::epochs(1).batch_size(2).shuffle(false);
    // 30 stands in the second stream: sequence 2 of it as a target, example 5 in all.
    assert!(message(model(8).unwrap().fit(&data, fit())).starts_with("label 7 of example 5 is out of range"));
    let error = message(model(5).unwrap().fit(&data, fit()));
    assert!(error.contains("index 7 at [5, 2] is none of 5 rows"), "{error}");
    let x = TensorData::from_vec(vec![0, 1, 5, 2], [1, 4]).unwrap();
    assert!(model(5).unwrap().predict(&x).unwrap_err().to_string().contains("index 5 at [0, 2]"));
    model(6).unwrap().predict(&x).unwrap();
    // What is done to them before the model sees them is not looked at.
    let mut shifted = model(5).unwrap().prepare(|x, _| x - 1);
    shifted.predict(&TensorData::from_vec(vec![5, 1, 5, 2], [1, 4]).unwrap()).unwrap();
}

/// The mean loss of an evaluation is over the labels that count, whatever batches they come in; so is that of an epoch.
#[test]
fn labels_that_do_not_count_count_nowhere() {
    let y = vec![0, -100, 1, -100, -100, -100, 2];
    let x: Vec<f32> = (0..28).map(|k| (k as f32 * 0.7).sin()).collect();
    let data = Dataset::new([
        ("x", TensorData::from_vec(x.clone(), [7, 4]).unwrap()),
        ("y", TensorData::from_vec(y.clone(), [7]).unwrap()),
    ])
    .unwrap();
    let counted = data.take(&[0, 2, 6]).unwrap();
    for weights in [None, Some(vec![0.5, 2.0, 1.0])] {
        let options = CrossEntropyOptions { ignore_index: Some(-100), class_weights: weights, ..Default::default() };
        for device in devices() {
            let trainer = |batch| {
                let model = Sequential::new([4]).dense(3);
                let loss = CrossEntropyWith(options.clone());
                model.compile(&device, SGD::new(0.0), loss, [Accuracy]).unwrap().evaluation_batch(batch)
            };
            let whole = trainer(7).evaluate(&counted).unwrap();
            // Of batches of three, two and one, some have no label that counts.
            for batch in [1, 2, 3, 4, 7] {
                let found = trainer(batch).evaluate(&data).unwrap();
                assert!(
                    (found.loss - whole.loss).abs() < 1e-6,
                    "{device:?} {batch}: {} not {}",
                    found.loss,
                    whole.loss
                );
                assert_eq!(found.metric("accuracy"), whole.metric("accuracy"));
                let history = trainer(7).fit(&data, Fit::epochs(1).batch_size(batch).shuffle(false)).unwrap();
                let loss = history.epochs[0].train_loss;
                assert!((loss - whole.loss).abs() < 1e-6, "{device:?} {batch}: an epoch's {loss}, not {}", whole.loss);
            }
        }
    }
}

#[test]
fn logits_of_two_classes_are_taken_for_the_second_above_zero() {
    let x = TensorData::from_vec(vec![-1.0_f32, 0.2, 0.3, 3.0], [4, 1]).unwrap();
    let data = Dataset::new([("x", x), ("y", TensorData::from_vec(vec![0, 1, 1, 1], [4]).unwrap())]).unwrap();
    let same = |_: &Graph, x: &Tensor, _: Mode| x.clone();
    let mut trainer = Trainer::new(same, &Device::cpu(), SGD::new(0.1), BinaryCrossEntropyWithLogits, [Accuracy]);
    assert_eq!(trainer.evaluate(&data).unwrap().metric("accuracy"), Some(1.0));
}

#[test]
fn inputs_that_are_no_numbers_are_named_where_a_loss_is_none() {
    let mut x = vec![0.5_f32; 40];
    x[4 * 7 + 1] = f32::NAN;
    let y = TensorData::from_vec(vec![0; 10], [10]).unwrap();
    let data = Dataset::new([("x", TensorData::from_vec(x, [10, 4]).unwrap()), ("y", y)]).unwrap();
    for device in devices() {
        let mut trainer = Sequential::new([4]).dense(3).compile(&device, SGD::new(0.1), CrossEntropy, []).unwrap();
        let error = trainer.fit(&data, Fit::epochs(1).batch_size(2).shuffle(false)).unwrap_err().to_string();
        assert_eq!(error, "the loss of step 4 is NaN: the inputs of example 7 have a value that is NaN");
    }
}

/// Inputs of a size, all different.
fn rows(count: usize) -> TensorData {
    let values = (0..count * 6).map(|k| ((k * 37 + count) % 251) as u8).collect::<Vec<_>>();
    TensorData::from_vec(values, [count, 6]).unwrap()
}

#[track_caller]
fn assert_near(found: &TensorData, right: &TensorData) {
    assert_eq!(found.ty(), right.ty());
    let pairs = found.to_f64_vec().into_iter().zip(right.to_f64_vec());
    pairs.enumerate().for_each(|(k, (a, b))| assert!((a - b).abs() < 1e-5, "{k}: {a}, not {b}"));
}

#[test]
fn predictions_do_not_hang_on_how_many_examples_go_at_a_time() {
    let x = rows(45);
    let data = Dataset::new([("x", x.clone()), ("y", TensorData::from_vec(vec![1; 45], [45]).unwrap())]).unwrap();
    for device in devices() {
        let trainer = |batch| trainer(&device).evaluation_batch(batch);
        let (whole, slopes) = (trainer(45).predict(&x).unwrap(), trainer(45).input_gradient(&x).unwrap());
        let measured = trainer(45).evaluate(&data).unwrap();
        for batch in [1, 7, 9, 44, 1000] {
            assert_near(&trainer(batch).predict(&x).unwrap(), &whole);
            let found = trainer(batch).input_gradient(&x).unwrap();
            assert_near(&found.prediction, &slopes.prediction);
            assert_near(&found.gradient, &slopes.gradient);
            let found = trainer(batch).evaluate(&data).unwrap();
            assert_near(&found.predictions, &measured.predictions);
            assert!((found.loss - measured.loss).abs() < 1e-6 && found.metrics == measured.metrics);
        }
        // As many as fit: each example by itself, where nothing fits.
        let mut single = 0;
        for bytes in [0, 700, 5000, usize::MAX] {
            let mut trainer = trainer(45).evaluation_memory(bytes);
            assert_near(&trainer.predict(&x).unwrap(), &whole);
            assert_near(&trainer.evaluate(&data).unwrap().predictions, &measured.predictions);
            let session = trainer.session().unwrap();
            let largest = session.programs().map(|id| session.program_of(id).planned_bytes()).max().unwrap();
            if bytes == 0 {
                assert_eq!(session.memory().programs, 2, "{device:?}: of single examples");
                single = largest;
            }
            assert!(largest <= bytes.max(single), "{device:?}: {largest} bytes, not {bytes}");
        }
    }
}

#[test]
fn what_is_not_of_examples_goes_at_once() {
    let x = TensorData::from_f64(F32, &[1.0, 2.0, 3.0, 4.0, 5.0], [5, 1]).unwrap();
    // A sum over the batch, and a state that goes from batch to batch.
    let sum = |_: &Graph, x: &Tensor, _: Mode| x.sum_all();
    let carried = |g: &Graph, x: &Tensor, mode: Mode| {
        let state = wgrad::train::carried_state(g, "state", mode, [x.shape()[0], 1]);
        g.assign(&state, &(&state + x));
        &state + x
    };
    for device in devices() {
        let trainer = Trainer::new(sum, &device, SGD::new(0.1), Mse, []).evaluation_batch(2).evaluation_memory(1);
        assert_eq!({ trainer }.predict(&x).unwrap().to_f64_vec(), [15.0]);
        let mut trainer =
            Trainer::new(carried, &device, SGD::new(0.1), Mse, []).evaluation_batch(2).evaluation_memory(1);
        for _ in 0..2 {
            assert_eq!(trainer.predict(&x).unwrap(), x);
        }
    }
}

/// Fifty batch sizes, and fifty data sets, leave no more behind than a few.
#[test]
fn memory_does_not_grow_with_sizes_and_data_sets() {
    let train = clusters(50, 1);
    for device in devices() {
        let mut trainer = trainer(&device);
        trainer.fit(&train, Fit::epochs(1).batch_size(16).validate(&clusters(20, 2))).unwrap();
        let training = trainer.training_program().unwrap();
        let mut seen = Vec::new();
        for size in 1..=50 {
            let x = rows(size);
            let first = trainer.predict(&x).unwrap();
            let labels = TensorData::from_vec((0..size as i32).map(|k| k % 3).collect(), [size]).unwrap();
            let data = Dataset::new([("x", x.clone()), ("y", labels)]).unwrap();
            assert_near(&trainer.evaluate(&data).unwrap().predictions, &first);
            seen.push(trainer.session().unwrap().memory());
        }
        let (most, last) = (12, seen[49]);
        assert!(seen.iter().all(|memory| memory.programs <= most), "{device:?}: {seen:?}");
        assert_eq!((last.programs, last.programs > 8), (seen[30].programs, true), "{device:?}: {seen:?}");
        // Four data sets and the training set, in pieces of 256 bytes; parameters and states are those of before.
        let data: Vec<_> =
            trainer.session().unwrap().variables().iter().filter(|known| known.name.starts_with("data/")).collect();
        assert!(data.len() <= 2 * 5, "{device:?}: {} columns", data.len());
        assert!(last.variable_bytes <= seen[3].variable_bytes + 4 * 2 * 512, "{device:?}: {seen:?}");
        // Training continues with the program that it had, and with data that had to go.
        assert!(trainer.session().unwrap().programs().any(|id| id == training));
        let history = trainer.fit(&train, Fit::epochs(1).batch_size(16).validate(&clusters(20, 2))).unwrap();
        assert_eq!((history.epochs.len(), trainer.training_program()), (1, Some(training)));
        for batch in 1..=50 {
            trainer.fit(&train, Fit::epochs(1).steps(1).batch_size(batch)).unwrap();
            assert!(trainer.session().unwrap().memory().programs <= most + 1);
        }
        // An id that was released names nothing.
        let session = trainer.session_mut().unwrap();
        assert!(!session.programs().any(|id| id == training));
        let error = session.run_with(training, &[]).unwrap_err().to_string();
        assert!(error.contains("was unloaded"), "{error}");
        assert_eq!(session.program_of(training).steps.len(), 0);
    }
}

#[test]
fn only_data_that_nothing_reads_is_forgotten() {
    for device in devices() {
        let mut trainer = trainer(&device);
        trainer.fit(&clusters(20, 1), Fit::epochs(1).batch_size(10)).unwrap();
        let session = trainer.session_mut().unwrap();
        let before = session.memory();
        let data = session.variables().iter().find(|known| known.name.ends_with("/x")).unwrap().name.clone();
        let message = |result: Result<()>| result.unwrap_err().to_string();
        assert!(message(session.forget(&data)).contains("unload it first"));
        assert!(message(session.forget("0.weight")).contains("is no data"));
        assert!(message(session.forget("nothing")).contains("there is no variable"));
        assert_eq!(session.memory(), before);
        let weight = session.parameter("0.weight").unwrap();
        let ids: Vec<_> = session.programs().collect();
        ids.into_iter().try_for_each(|id| session.unload(id)).unwrap();
        session.forget(&data).unwrap();
        assert!(message(session.forget(&data)).contains("there is no variable"));
        assert_eq!(session.parameter("0.weight").unwrap(), weight);
        assert!(session.memory().variable_bytes < before.variable_bytes && session.memory().program_bytes == 0);
    }
}
