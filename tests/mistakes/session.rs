//! Mistakes made with a compiled program.

use super::support::devices::devices;
use wgrad::device::Tune;
use wgrad::device::gpu::AdapterKind;
use wgrad::ops::{Initial, Variable};
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

fn counter(shape: &[usize]) -> (Graph, Tensor) {
    let g = Graph::new();
    let x = g.input("x", shape, F32);
    let w = g.variable(Variable::parameter("w", TensorType::new(F32, shape), Initial::Constant(0.0)));
    g.assign(&w, &(&w + &x));
    g.output("twice", &(&x * 2.0));
    (g, w)
}

/// The error's text, which must contain each part.
#[track_caller]
fn refused<T>(result: Result<T>, parts: &[&str]) {
    match result {
        Ok(_) => panic!("it was taken for right; wanted {parts:?}"),
        Err(error) => {
            let text = error.to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text:?}; wanted {parts:?}");
        }
    }
}

#[test]
fn mistakes_with_a_session() {
    for device in devices() {
        let (g, _) = counter(&[2]);
        let mut session = g.compile(&device).unwrap();
        let (x, wrong) = (TensorData::zeros(F32, [2]), TensorData::zeros(F32, [3]));
        refused(session.read("twice"), &["\"twice\"", "before the program ran"]);
        refused(session.read("other"), &["\"other\"", "\"twice\""]);
        refused(session.step(&[]), &["\"x\"", "f32[2]", "not given"]);
        refused(session.step(&[("x", &wrong)]), &["\"x\"", "f32[2]", "f32[3]"]);
        refused(session.step(&[("x", &TensorData::zeros(I32, [2]))]), &["\"x\"", "f32[2]", "i32[2]"]);
        refused(session.step(&[("x", &x), ("y", &x)]), &["\"y\"", "\"x\""]);
        refused(session.step(&[("x", &x), ("x", &x)]), &["\"x\"", "twice"]);
        assert_eq!(session.steps(), 0, "a step that was refused does not count");
        refused(session.parameter("v"), &["\"v\"", "\"w\""]);
        refused(session.set_parameter("v", &x), &["\"v\"", "\"w\""]);
        refused(session.set_parameter("w", &wrong), &["\"w\"", "f32[2]", "f32[3]"]);
        refused(session.step_capture(&[("x", &x)], &["other"]), &["\"other\"", "\"twice\""]);

        // A graph of another model, and one whose variable is another: the session stays as it was.
        let (other, _) = counter(&[5]);
        refused(session.load(&other), &["\"w\"", "f32[2]", "f32[5]"]);
        let broken = Graph::new();
        broken.output("y", &broken.arange(3).exp());
        refused(session.load(&broken), &["exp", "i32"]);
        session.step(&[("x", &x)]).unwrap();
        assert_eq!(session.steps(), 1);

        // Handles of a program that another session has, and of one that was unloaded.
        let mut second = g.compile(&device).unwrap();
        let (foreign, gone) = (second.program().clone(), session.load(&g).unwrap());
        let last = session.load(&g).unwrap();
        let held = session.memory();
        session.unload(&gone).unwrap();
        assert_eq!(session.memory().programs, held.programs - 1);
        assert!(session.memory().program_bytes <= held.program_bytes);
        for (program, expected) in [(&foreign, "another session"), (&gone, "was unloaded")] {
            refused(session.unload(program), &[expected]);
            let mut session = session.using(program);
            refused(session.step(&[("x", &x)]), &[expected]);
            refused(session.try_step(&[("x", &x)]), &[expected]);
            refused(session.run(&[("x", &x)]), &[expected]);
            refused(session.read("twice"), &[expected]);
            refused(session.profile(&[("x", &x)]), &[expected]);
            refused(session.time_runs(&[("x", &x)], 1), &[expected]);
            refused(session.tune(Tune::new()), &[expected]);
            refused(session.set_learning_rate(0.1), &[expected]);
        }
        // The others are what they were: one that was used ends with its scope, and no program changes its number.
        assert_eq!(session.steps(), 1);
        session.using(&last).using(&foreign).step(&[("x", &x)]).unwrap_err();
        session.using(&last).step(&[("x", &x)]).unwrap();
        session.step(&[("x", &x)]).unwrap();
        assert_eq!(session.steps(), 3);
        assert!(session.programs().eq([session.program(), &last]));
        // The first program can go too.
        let first = session.program().clone();
        session.unload(&first).unwrap();
        refused(session.step(&[("x", &x)]), &["was unloaded"]);
        session.using(&last).step(&[("x", &x)]).unwrap();
        second.step(&[("x", &x)]).unwrap();
    }
}

#[test]
fn an_input_that_nothing_needs_may_be_given_or_not() {
    let g = Graph::new();
    let (x, _) = (g.input("x", [2], F32), g.input("labels", [2], I32));
    g.output("y", &(&x + 1.0));
    let mut session = g.compile(&Device::cpu()).unwrap();
    let (x, labels) = (TensorData::zeros(F32, [2]), TensorData::zeros(I32, [2]));
    session.run(&[("x", &x)]).unwrap();
    session.run(&[("x", &x), ("labels", &labels)]).unwrap();
    refused(session.run(&[("x", &x), ("labels", &x)]), &["\"labels\"", "i32[2]", "f32[2]"]);
}

#[test]
fn a_program_without_results_runs() {
    for device in devices() {
        let g = Graph::new();
        let _ = g.input("x", [2], F32) + 1.0;
        let mut session = g.compile(&device).unwrap();
        session.step(&[]).unwrap();
        assert_eq!(session.run(&[]).unwrap().iter().count(), 0);
    }
}

#[test]
fn numbers_and_tensors_beyond_a_gpu_s_limits_are_refused_when_compiled() {
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        let g = Graph::new();
        let x = g.input("x", [2], I64);
        let line = line!() + 1;
        let large = g.constant(TensorData::from_vec(vec![1, 1_i64 << 31], [2]).unwrap());
        g.output("y", &(&x + &large));
        let origin = format!("tests/mistakes/session.rs:{line}");
        refused(g.compile(&device), &["constant", "2147483648 at index [1]", "i32", "i64", &origin]);
        let g = Graph::new();
        let line = line!() + 1;
        g.output("y", &(g.input("x", [2], F32).cast(F64) * 1e39));
        refused(g.compile(&device), &["1e39", "f32", "f64", &format!("tests/mistakes/session.rs:{line}")]);
        let g = Graph::new();
        let ty = TensorType::new(I64, [1]);
        let initial = Initial::Values(TensorData::from_vec(vec![-(1_i64 << 40)], [1]).unwrap());
        g.output("y", &g.variable(Variable::parameter("w", ty, initial)));
        refused(g.compile(&device), &["\"w\"", "-1099511627776", "tests/mistakes/session.rs"]);
        // What nothing needs is no mistake.
        let g = Graph::new();
        let _ = g.input("x", [1], I64) + (1_i64 << 40);
        g.output("y", &(g.input("z", [1], I64) + 1));
        assert!(g.compile(&device).is_ok());
        let g = Graph::new();
        let large = g.input("large", [1 << 15, 1 << 15, 2 - 1], F32);
        g.output("y", &(&large + 1.0));
        let limit = device.as_gpu().unwrap().adapter().limits.binding_bytes;
        if limit < 4 << 30 {
            refused(g.compile(&device), &["device limit", "bytes"]);
        }
    }
}

#[test]
fn memory_that_the_host_does_not_have_is_an_error() {
    let g = Graph::new();
    let mut parts = Vec::new();
    for k in 0..3 {
        parts.push(g.input(&format!("x{k}"), [1 << 30, 1], F64).exp());
    }
    let sum = parts.iter().skip(1).fold(parts[0].clone(), |sum, part| sum + part);
    g.output("y", &sum);
    // Either the system has room (it may promise more than it has), or it says so; it does not abort.
    if let Err(error) = g.compile(&Device::cpu()) {
        assert!(error.to_string().contains("bytes"), "{error}");
    }
}

/// Where a system promises memory that it does not have, whoever takes it is ended: what the host never had is refused before.
#[cfg(target_os = "linux")]
#[test]
fn a_model_larger_than_the_host_is_refused_before_anything_is_taken() {
    let sum_of = |graph: &Graph, name: &str, elements: usize| {
        let variable = Variable::parameter(name, TensorType::new(F32, [elements]), Initial::Constant(0.5));
        graph.output(&format!("sum of {name}"), &graph.variable(variable).sum([0]));
    };
    // A terabyte, in pieces that can be bound.
    let many = Graph::new();
    (0..1 << 13).for_each(|part| sum_of(&many, &format!("w{part}"), 1 << 25));
    for device in devices() {
        if device.as_gpu().map_or(true, |gpu| gpu.info().kind == AdapterKind::Software) {
            refused(many.compile(&device), &["out of memory", "of variables", "the host has"]);
        }
    }
}

#[test]
fn host_tensors_refuse_what_does_not_fit() {
    refused(TensorData::from_vec(vec![1.0_f32; 3], [2, 2]), &["3", "[2, 2]"]);
    refused(TensorData::from_bools(&[true], [2]), &["1", "[2]"]);
    refused(TensorData::from_f64(F16, &[1.0], []).and_then(|data| data.reshape([2])), &["[2]"]);
    refused(TensorData::from_bytes(TensorType::new(I32, [2]), &[0; 7]), &["i32[2]", "8", "7"]);
    refused(TensorData::from_bytes(TensorType::new(Bool, [2]), &[1, 2]), &["bool"]);
    refused(TensorData::zeros(F32, [2]).item(), &["f32[2]"]);
    refused(TensorData::zeros(F32, [2]).to_vec::<i32>(), &["f32", "i32"]);
    refused(TensorData::from_vec(vec![1.0_f32], [usize::MAX, 2]), &["1"]);
}

/// A shape that is right but for its missing batch axis: the error says so, whichever layer meets it.
#[test]
fn a_missing_batch_axis_is_told() {
    let hint = "has no batch axis";
    let g = Graph::new();
    let model = Sequential::new([8, 8]).flatten().dense(10);
    let y = model.forward(&g, &g.input("x", [8, 8], F32), Mode::Evaluation);
    g.output("y", &y);
    refused(g.compile(&Device::cpu()), &[hint, "[batch, 8, 8]", "unsqueeze(0)"]);

    let g = Graph::new();
    let x = g.input("x", [3, 8, 8], F32);
    g.output("y", &nn::Conv2d::new(&g, "conv", 3, 4, 3, &wgrad::ops::ConvOptions::default()).forward(&x));
    refused(g.compile(&Device::cpu()), &[hint, "\"conv\"", "[batch, 3, height, width]", "unsqueeze(0)"]);

    let g = Graph::new();
    let x = g.input("x", [5, 7], F32);
    g.output("y", &nn::LSTM::new(&g, "lstm", 7, 4).forward(&x, Mode::Evaluation));
    refused(g.compile(&Device::cpu()), &[hint, "\"lstm\"", "7]"]);

    let g = Graph::new();
    let (x, w) = (g.input("x", [3, 8, 8], F32), g.input("w", [4, 3, 3, 3], F32));
    g.output("y", &x.conv(&w, &wgrad::ops::ConvOptions::default()));
    refused(g.compile(&Device::cpu()), &["conv", "[3, 8, 8]", hint, "unsqueeze(0)"]);

    let g = Graph::new();
    g.output("y", &g.input("x", [2, 3], F32).relu());
    let mut session = g.compile(&Device::cpu()).unwrap();
    refused(session.run(&[("x", &TensorData::zeros(F32, [3]))]), &[hint, "\"x\"", "f32[2, 3]", "f32[3]"]);
}
