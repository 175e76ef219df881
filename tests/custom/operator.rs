//! The example's operators on every device: training, checks, tuning, listings, sizes and types.

use wgrad::check::{self, Cases, Input};
use wgrad::compiler::Options;
use wgrad::data::Dataset;
use wgrad::device::Tune;
use wgrad::ops::{Initial, Variable};
use wgrad::prelude::*;
use wgrad::session::ProgramId;
use wgrad::tensor::TensorType;

use crate::snake::{Snake, snake};
use crate::sparsemax::{Sparsemax, sparsemax};
use crate::support::HostRandom;
use crate::support::devices::devices;

fn numbers(seed: u64, dtype: DType, shape: &[usize]) -> TensorData {
    let mut random = HostRandom::new(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| random.normal()).collect();
    TensorData::from_f64(dtype, &values, shape).unwrap()
}

/// Rows of scores, an odd number of them, short and longer than a workgroup.
fn rows() -> Cases {
    [&[1, 1][..], &[7, 9], &[300], &[2, 3, 70], &[5, 513]]
        .iter()
        .fold(Cases::new(), |cases, shape| cases.of([Input::normal(shape)]))
}

/// Values and positive frequencies.
fn waves() -> Cases {
    [&[1][..], &[5, 70], &[3, 1, 259]]
        .iter()
        .fold(Cases::new(), |cases, shape| cases.of([Input::normal(shape), Input::uniform(shape, 0.5, 2.0, &[])]))
}

#[test]
fn both_operators_are_right_on_every_device_in_every_variant() {
    for device in devices() {
        let mut reports = check::operator(&device, &Snake, &waves()).unwrap();
        reports.extend(check::operator(&device, &Sparsemax, &rows()).unwrap());
        let wrong: Vec<_> = reports.iter().filter(|report| !report.ok()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
        let form = if device.is_cpu() { "sparsemax" } else { "sparsemax/cpu" };
        for name in ["snake", "snake/gradient", form, "sparsemax/gradient"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        if !device.is_cpu() {
            for part in ["of 8", "of 32", "of 64", "of 256", "folded"] {
                assert!(names.iter().any(|name| name.contains(part)), "{part} is not in {names:?}");
            }
        }
        assert!(reports.iter().all(|report| report.cases > 0 && report.max_error.is_finite()));
    }
}

/// Rows of six numbers, labelled by a wave of the largest one.
fn waving() -> Dataset {
    let x = numbers(1, F32, &[240, 6]);
    let label = |row: &[f32]| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        i32::from((3.0 * largest).sin() > 0.0)
    };
    let labels: Vec<i32> = x.as_slice::<f32>().unwrap().chunks(6).map(label).collect();
    Dataset::new([("x", x), ("y", TensorData::from_vec(labels, [240]).unwrap())]).unwrap()
}

fn model(g: &Graph, x: &Tensor, _: Mode) -> Tensor {
    let attention = sparsemax(g, &nn::Linear::new(g, "score", 6, 6).forward(x));
    let hidden = nn::Linear::new(g, "hidden", 12, 24).forward(&g.concat(&[&(attention * x), x], 1));
    let initial = Initial::Uniform { low: 0.5, high: 2.0 };
    let frequencies = g.variable(Variable::parameter("frequencies", TensorType::new(F32, [24]), initial));
    nn::Linear::new(g, "out", 24, 2).forward(&snake(g, &hidden, &frequencies))
}

fn trainer(device: &Device) -> Trainer {
    Trainer::new(model, device, Adam::new(2e-2), CrossEntropy, [Accuracy]).seed(4)
}

#[test]
fn a_model_of_both_trains_alike_on_every_device_and_resumes_where_it_was() {
    let data = waving();
    let mut losses = Vec::new();
    for device in devices() {
        let mut whole = trainer(&device);
        let history = whole.fit(&data, Fit::epochs(30).batch_size(40)).unwrap();
        let loss = |history: &History| history.epochs.last().unwrap().train_loss;
        assert!(loss(&history) < 0.35, "{} on {}", loss(&history), device.name());
        losses.push(history.epochs[0].train_loss);

        let directory = tempfile::tempdir().unwrap();
        let resumed = |epochs: u64| {
            let mut trainer = trainer(&device);
            let checkpoints = Checkpoints::new(directory.path()).resume(true);
            trainer.fit(&data, Fit::epochs(epochs).batch_size(40).checkpoints(checkpoints)).unwrap();
            trainer
        };
        resumed(11);
        let resumed = resumed(30).evaluate(&data).unwrap().predictions;
        let whole = whole.evaluate(&data).unwrap().predictions;
        assert_eq!(resumed, whole, "on {}", device.name());
    }
    assert!(losses.iter().all(|loss| (loss - losses[0]).abs() < 1e-4), "{losses:?}");
}

#[test]
fn saved_parameters_give_the_same_predictions() {
    let data = waving();
    for device in devices() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("model.safetensors");
        let mut first = trainer(&device);
        first.fit(&data, Fit::epochs(2).batch_size(40)).unwrap();
        first.save(&file).unwrap();
        let mut second = trainer(&device).seed(99);
        second.load_parameters(&file).unwrap();
        assert_eq!(first.evaluate(&data).unwrap().predictions, second.evaluate(&data).unwrap().predictions);
    }
}

/// A graph of both operators: two maps around a routine.
fn both() -> Graph {
    let g = Graph::new();
    let x = g.input("x", [6, 40], F32);
    let y = sparsemax(&g, &(&x * 2.0)) + 1.0;
    g.output("y", &(snake(&g, &x.exp(), &y) * 3.0));
    g
}

#[test]
fn programs_and_profiles_list_them_by_their_names() {
    for device in devices() {
        let mut session = both().compile(&device).unwrap();
        let stages = session.stages(ProgramId::FIRST).clone();
        assert!(stages.graph.contains("snake") && stages.graph.contains("sparsemax"), "{}", stages.graph);
        let labels: Vec<String> = session.program().steps.iter().map(|step| step.label.clone()).collect();
        // What the routine reads, and the routine with all that follows as its epilogue.
        assert_eq!(labels, ["mul", "sparsemax+exp+add+snake+mul"]);
        let profile = session.profile(ProgramId::FIRST, &[("x", &numbers(2, F32, &[6, 40]))]).unwrap();
        let step = profile.steps.iter().find(|step| step.label.contains("sparsemax")).unwrap();
        assert_eq!(step.kernels.is_empty(), device.is_cpu());
        assert!(step.kernels.iter().all(|kernel| kernel == "sparsemax of 64"), "{:?}", step.kernels);
        assert!(step.origin.to_string().contains("operator.rs"), "{}", step.origin);
    }
}

#[test]
fn tuning_compares_its_kernels_and_finds_the_winner_again() {
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        let directory = tempfile::tempdir().unwrap();
        let device = device.tuning_in(directory.path());
        let session = both().compile(&device).unwrap();
        let tuning = device.tune([session.program()], Tune::new()).unwrap();
        let step = tuning.steps.iter().find(|step| step.step.contains("sparsemax")).unwrap();
        assert_eq!((step.candidates, step.wrong.len()), (4, 0), "{tuning}");
        assert!(step.default.contains("sparsemax of 64"), "{}", step.default);
        // Another handle reads the table, and takes the winner.
        let again = both().compile(&device.tuning_in(directory.path())).unwrap();
        let kernels: Vec<&str> = again.program().kernels.iter().map(|kernel| kernel.label.as_str()).collect();
        let winner = step.winner.split(" ×").next().unwrap();
        assert!(kernels.contains(&winner), "{winner} is not among {kernels:?}");
    }
}

#[test]
fn nodes_are_joined_only_where_the_operator_says_so() {
    let nodes = |same: bool| {
        let g = Graph::new();
        let x = g.input("x", [4, 5], F32);
        let apply = || if same { g.custom1(Sparsemax, &[&x]) } else { g.custom1(Apart, &[&x]) };
        g.output("y", &(apply() + apply()));
        g.compile(&Device::cpu()).unwrap().program().nodes
    };
    assert_eq!((nodes(true), nodes(false)), (2, 3));
}

/// x + x, which says nothing of its identity.
#[derive(Clone, Debug)]
struct Apart;

impl wgrad::graph::Operator for Apart {
    fn name(&self) -> String {
        "apart".into()
    }
    fn infer(&self, inputs: &[&TensorType]) -> std::result::Result<Vec<TensorType>, String> {
        Ok(vec![TensorType::clone(inputs[0])])
    }
    fn kind(&self) -> wgrad::graph::Kind<'_> {
        wgrad::graph::Kind::Expression(self)
    }
}

impl wgrad::graph::Expression for Apart {
    fn express(
        &self,
        e: &mut wgrad::graph::Expressing<'_>,
        _: &[&TensorType],
        _: &TensorType,
    ) -> wgrad::scalar::NodeId {
        let x = e.input(0);
        e.builder().add(x, x)
    }
}

impl wgrad::graph::CustomOperator for Apart {}

#[test]
fn second_gradients_come_from_the_expression_too() {
    for device in devices() {
        let g = Graph::new();
        let (x, a) = (g.input("x", [3], F32), g.input("a", [3], F32));
        let first = g.gradients(&snake(&g, &x, &a).sum_all(), &[&x]).swap_remove(0);
        g.output("second", &g.gradients(&first.sum_all(), &[&x])[0]);
        let values = TensorData::from_vec(vec![0.3_f32, -1.2, 2.0], [3]).unwrap();
        let frequencies = TensorData::from_vec(vec![0.5_f32, 1.0, 2.0], [3]).unwrap();
        let found = g.compile(&device).unwrap().run(&[("x", &values), ("a", &frequencies)]).unwrap();
        // d²/dx² (x + sin²(a·x)/a) = 2·a·cos(2·a·x)
        let expected = values.to_f64_vec().into_iter().zip(frequencies.to_f64_vec());
        for (found, (x, a)) in found["second"].to_f64_vec().into_iter().zip(expected) {
            assert!((found - 2.0 * a * (2.0 * a * x).cos()).abs() < 1e-5, "{found} at {x}, {a}");
        }
    }
}

#[test]
fn sizes_of_nothing_and_of_more_workgroups_than_a_line_has() {
    for device in devices() {
        let run = |shape: &[usize]| {
            let g = Graph::new();
            g.output("y", &sparsemax(&g, &g.input("x", shape, F32)));
            let values = numbers(3, F32, shape);
            let outputs = g.compile(&device).unwrap().run(&[("x", &values)]).unwrap();
            outputs["y"].to_f64_vec()
        };
        assert!(run(&[0, 5]).is_empty());
        let many = run(&[70_001, 2]);
        let wrong = many.chunks(2).position(|row| (row[0] + row[1] - 1.0).abs() > 1e-6);
        assert_eq!(wrong, None, "on {}", device.name());
        let distinct = many.chunks(2).filter(|row| row[0] > 0.0 && row[0] < 1.0).count();
        assert!(distinct > 10_000, "{distinct} rows have two shares");
    }
}

#[test]
fn sixteen_bit_floats_are_computed_in_f32_and_rounded_once() {
    for device in devices() {
        for dtype in [F16, BF16] {
            let run = |narrow: bool, fuse: bool| {
                let g = Graph::new();
                let x = g.input("x", [5, 16], F32).cast(dtype);
                let operand = if narrow { x } else { x.cast(F32) };
                let ones = operand.ones_like();
                let y = snake(&g, &sparsemax(&g, &operand).cast(dtype).cast(operand.dtype()), &ones);
                g.output("y", &y.cast(dtype).cast(F32));
                let options = Options { fuse, ..Options::default() };
                let mut session = Session::with_options(&g, &device, 0, options).unwrap();
                session.run(&[("x", &numbers(4, F32, &[5, 16]))]).unwrap()["y"].to_f64_vec()
            };
            assert_eq!(run(true, true), run(false, true), "{dtype} on {}", device.name());
            assert_eq!(run(true, true), run(true, false), "{dtype} on {}", device.name());
        }
    }
}
