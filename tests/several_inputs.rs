//! Models that take several named inputs, on data in memory and on streams.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use support::devices::devices;
use wgrad::data::{Dataset, Stream};
use wgrad::loss::Mse;
use wgrad::nn::Inputs;
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

const EXAMPLES: usize = 50;

/// What is to be told is whether the sum of the first `length` numbers and twice the `bias` is above 0.
fn data() -> Dataset {
    let mut random = HostRandom::new(2);
    let states: Vec<f32> = (0..EXAMPLES * 4).map(|_| random.normal() as f32).collect();
    let lengths: Vec<i32> = (0..EXAMPLES as i32).map(|example| 1 + example % 4).collect();
    let bias: Vec<u8> = (0..EXAMPLES).map(|_| random.below(256) as u8).collect();
    let target = |example: usize| {
        let sum: f32 = states[4 * example..][..lengths[example] as usize].iter().sum();
        f32::from(u8::from(sum + 2.0 * (f32::from(bias[example]) / 255.0 - 0.5) > 0.0))
    };
    let targets: Vec<f32> = (0..EXAMPLES).map(target).collect();
    Dataset::new([
        ("unused", TensorData::zeros(F32, [EXAMPLES, 7])),
        ("states", TensorData::from_vec(states, [EXAMPLES, 4]).unwrap()),
        ("label", TensorData::from_vec(targets, [EXAMPLES, 1]).unwrap()),
        ("lengths", TensorData::from_vec(lengths, [EXAMPLES]).unwrap()),
        ("bias", TensorData::from_vec(bias, [EXAMPLES, 1]).unwrap()),
    ])
    .unwrap()
}

fn model(g: &Graph, inputs: &Inputs, _: Mode) -> Tensor {
    let (states, lengths) = (&inputs["states"], &inputs["lengths"]);
    let within = g.arange(4).lt(lengths.unsqueeze(-1)).cast(F32);
    let both = (states * within).concat(&[&inputs["bias"]], 1);
    nn::Linear::new(g, "out", 5, 1).forward(&nn::Linear::new(g, "in", 5, 5).forward(&both).tanh())
}

fn trainer(device: &Device) -> Trainer {
    let loss = BinaryCrossEntropyWithLogits;
    let names = ["states", "lengths", "bias"];
    Trainer::with_inputs(names, model, device, Adam::new(0.05), loss, [Accuracy]).target("label").evaluation_batch(16)
}

#[test]
fn columns_are_inputs_by_their_names() {
    for device in devices() {
        let data = data();
        let fit = || Fit::epochs(20).batch_size(12).shuffle(false);
        let mut first = trainer(&device);
        let history = first.fit(&data, fit().validate(&data)).unwrap();
        let last = history.epochs.last().unwrap();
        assert!(last.validation("accuracy").unwrap() > 0.9, "{device:?}: {last:?}");
        let evaluation = first.evaluate(&data).unwrap();
        let predictions = first.predict(&data).unwrap();
        assert_eq!(predictions, evaluation.predictions);
        // The same by name, in another order, and all at once.
        let column = |name: &str| data.column(name).unwrap();
        let named = [("bias", column("bias")), ("lengths", column("lengths")), ("states", column("states"))];
        assert_eq!(first.predict(&named).unwrap(), predictions);
        assert!(trainer(&device).training_graph(&data, 12).unwrap().error().is_none());

        // A stream of them trains and is measured as they are.
        let mut second = trainer(&device);
        let make = || {
            let data = data.clone();
            Stream::from_fn(move |_| {
                [data.take(&(0..30).collect::<Vec<_>>()), data.take(&(30..EXAMPLES).collect::<Vec<_>>())]
            })
        };
        let streamed = second.fit(&mut make(), fit()).unwrap();
        for (found, right) in streamed.epochs.iter().zip(&history.epochs) {
            assert!((found.train_loss - right.train_loss).abs() < 1e-4, "{device:?}: {found:?} {right:?}");
        }
        let found = first.evaluate(&mut make()).unwrap();
        assert!((found.loss - evaluation.loss).abs() < 1e-5 && found.metrics == evaluation.metrics);
        assert!(!first.profile(&data, 8).unwrap().steps.is_empty());

        // Gradients of what is floats; what is beyond the length has none.
        let gradients = first.input_gradient(&data).unwrap().gradients;
        assert!(gradients.get("lengths").is_none());
        assert_eq!(gradients["bias"].ty().to_string(), "f32[50, 1]");
        let slopes = gradients["states"].to_f64_vec();
        for (index, slope) in slopes.iter().enumerate() {
            let (example, position) = (index / 4, index % 4);
            assert_eq!(*slope == 0.0, position > example % 4, "{device:?}: {example} {position} {slope}");
        }
    }
}

#[test]
fn what_does_not_fit_is_told_by_name() {
    let data = data();
    let mut trainer = trainer(&Device::cpu());
    let refused = |result: Result<TensorData>, parts: &[&str]| {
        let text = result.unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text:?}; wanted {parts:?}");
    };
    let column = |name: &str| data.column(name).unwrap();
    refused(trainer.predict(column("states")), &["one tensor", "\"lengths\""]);
    refused(trainer.predict(&[("states", column("states")), ("bias", column("bias"))]), &["\"lengths\" was not given"]);
    refused(trainer.predict(&[("colour", column("states"))]), &["no input \"colour\"", "\"states\""]);
    let short = data.take(&[0, 1]).unwrap();
    let uneven =
        [("states", column("states")), ("lengths", short.column("lengths").unwrap()), ("bias", column("bias"))];
    refused(trainer.predict(&uneven), &["\"lengths\" is i32[2]", "count examples"]);
    let unknown = |_: &Graph, inputs: &Inputs, _: Mode| inputs["colours"].relu();
    let mut other = Trainer::with_inputs(["states"], unknown, &Device::cpu(), SGD::new(0.1), Mse, []);
    let parts = ["no input \"colours\"; there are [\"states\"]", "several_inputs.rs:"];
    refused(other.predict(column("states")), &parts);
    let lacking = Dataset::new([("states", column("states").clone()), ("label", column("label").clone())]).unwrap();
    let error = trainer.fit(&lacking, Fit::epochs(1)).unwrap_err().to_string();
    assert!(error.contains("'lengths'"), "{error}");
}

/// Inputs and targets of one name, and a preparation of one of several inputs.
#[test]
fn a_target_may_be_an_input() {
    for device in devices() {
        let data = Dataset::new([("x", data().column("states").unwrap().clone())]).unwrap();
        let model = || {
            let layers = Sequential::new([4]).dense(4);
            layers.compile(&device, Adam::new(0.05), Mse, []).unwrap().target("x")
        };
        let history = model().fit(&data, Fit::epochs(60).batch_size(25)).unwrap();
        assert!(history.epochs[59].train_loss < 0.1 * history.epochs[0].train_loss, "{device:?}: {history:?}");
        let copy = data.clone();
        let history = model().fit(&mut Stream::from_fn(move |_| [Ok(copy.clone())]), Fit::epochs(2)).unwrap();
        assert_eq!(history.epochs[1].step, 4);

        let sum = |_: &Graph, inputs: &Inputs, _: Mode| &inputs["a"] + &inputs["b"];
        let trainer = Trainer::with_inputs(["a", "b"], sum, &device, SGD::new(0.1), Mse, []);
        let mut trainer = trainer.prepare(|x, _| x * 10.0).prepare_input("b", |x, _| x * 2.0);
        let one = TensorData::from_vec(vec![1.0_f32, 2.0], [2, 1]).unwrap();
        assert_eq!(trainer.predict(&[("a", &one), ("b", &one)]).unwrap().to_f64_vec(), [12.0, 24.0]);
    }
}
