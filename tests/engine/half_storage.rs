//! Products read floats of 16 bits as they are stored, and pass them on like that: fewer passes and less memory than by way of f32.

use wgrad::compiler::{Layout, Options, Program, Target, compile};
use wgrad::ops::ConvOptions;
use wgrad::prelude::*;
use wgrad::shader::Adapter;

use super::support::devices::devices;

/// The program of a training step on a GPU with WebGPU's default limits.
fn program(precision: Precision, build: fn(&Graph) -> Tensor) -> Program {
    let g = Graph::new();
    g.set_precision(precision);
    let loss = build(&g);
    g.minimize(&loss, SGD::new(0.1)).build();
    let target = Target::Gpu(Adapter::default());
    compile(&g, &target, &mut Layout::default(), Options::default()).unwrap_or_else(|error| panic!("{error}")).0
}

fn one_layer(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [128, 256], F32), g.input("y", [128, 64], F32));
    nn::Linear::new(g, "fc", 256, 64).forward(&x).mse(&y)
}

fn three_layers(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [128, 784], F32), g.input("y", [128], I32));
    let hidden = nn::Linear::new(g, "fc1", 784, 512).forward(&x).relu();
    let hidden = nn::Linear::new(g, "fc2", 512, 512).forward(&hidden).relu();
    nn::Linear::new(g, "fc3", 512, 10).forward(&hidden).cross_entropy(&y)
}

fn convolutional(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [8, 4, 16, 16], F32), g.input("y", [8], I32));
    let padded = ConvOptions::new().padding(1);
    let hidden = nn::Conv2d::new(g, "conv1", 4, 8, 3, &padded).forward(&x).relu();
    let hidden = nn::Conv2d::new(g, "conv2", 8, 16, 1, &ConvOptions::new()).forward(&hidden).relu();
    let hidden = nn::Conv2d::new(g, "conv3", 16, 8, 3, &padded.stride(2)).forward(&hidden).relu();
    nn::Linear::new(g, "fc", 512, 10).forward(&hidden.flatten(1)).cross_entropy(&y)
}

/// Planes that are whole groups of four elements, of rows that are none, with biases and a residual sum.
fn ragged(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [4, 3, 6, 6], F32), g.input("y", [4], I32));
    let padded = ConvOptions::new().padding(1);
    let first = nn::Conv2d::new(g, "conv1", 3, 5, 3, &padded).forward(&x).relu();
    let second = (nn::Conv2d::new(g, "conv2", 5, 5, 3, &padded).forward(&first) + &first).relu();
    nn::Linear::new(g, "fc", 180, 10).forward(&second.flatten(1)).cross_entropy(&y)
}

type Build = fn(&Graph) -> Tensor;

/// What the steps took when operands of 16 bits were widened into f32 first: dispatches and planned bytes.
const WIDENED: [(&str, Build, usize, usize); 3] = [
    ("one layer", one_layer, 12, 622_848),
    ("three layers", three_layers, 30, 7_717_904),
    ("convolutions", convolutional, 34, 693_328),
];

#[test]
fn steps_take_fewer_dispatches_and_less_memory() {
    for (name, build, dispatches, planned) in WIDENED {
        for precision in [Precision::BF16, Precision::F16] {
            let program = program(precision, build);
            let (found, bytes) = (program.dispatches(), program.planned_bytes());
            assert!(found <= dispatches, "{name} in {precision:?}: {found} dispatches");
            assert!(bytes * 10 < planned * 9, "{name} in {precision:?}: {bytes} bytes");
            if name != "convolutions" {
                assert!(found < dispatches, "{name} in {precision:?}: {found} dispatches");
            }
        }
    }
}

/// Operands of products are not copied: whatever a step widens into f32 has other work in it, too.
#[test]
fn nothing_is_only_widened() {
    for (name, build, ..) in WIDENED {
        let program = program(Precision::F16, build);
        let copies = program.steps.iter().filter(|step| step.label == "cast" && step.types[0].dtype == F32);
        assert_eq!(copies.count(), 0, "{name}");
    }
}

/// The CPU computes with operands that were widened: after a few steps, a GPU's parameters are close to its.
#[test]
fn steps_agree_with_widened_operands() {
    let models = WIDENED.into_iter().map(|(name, build, ..)| (name, build)).filter(|(name, _)| *name != "three layers");
    for (name, build) in models.chain([("ragged", ragged as Build)]) {
        for precision in [Precision::BF16, Precision::F16] {
            let found: Vec<Vec<Vec<f64>>> = devices().iter().map(|device| trained(device, precision, build)).collect();
            // A sum that another order rounds to the other side of two neighbours in 16 bits.
            let tolerance = if precision == Precision::F16 { 2e-4 } else { 2e-3 };
            for other in &found[1..] {
                for (a, b) in found[0].iter().flatten().zip(other.iter().flatten()) {
                    assert!((a - b).abs() <= tolerance, "{name} in {precision:?}: {b}, not {a}");
                }
            }
        }
    }
}

/// All parameters after three steps.
fn trained(device: &Device, precision: Precision, build: Build) -> Vec<Vec<f64>> {
    let g = Graph::new();
    g.set_precision(precision);
    let loss = build(&g);
    let mut session = g.minimize(&loss, SGD::new(0.1)).compile(device).unwrap_or_else(|error| panic!("{error}"));
    let of = |name: &str| g.find(name).map(|tensor| tensor.ty()).unwrap();
    let x = super::tensor(1, F32, &of("x").shape, -1.0, 1.0);
    let target = of("y");
    let y = if target.dtype == I32 {
        let labels = super::numbers(2, target.len(), 0.0, 10.0).into_iter().map(|label| label as i32).collect();
        TensorData::from_vec(labels, target.shape.to_vec()).unwrap()
    } else {
        super::tensor(2, F32, &target.shape, -1.0, 1.0)
    };
    for _ in 0..3 {
        session.step(&[("x", &x), ("y", &y)]).unwrap();
    }
    g.parameters().iter().map(|(name, _)| session.parameter(name).unwrap().to_f64_vec()).collect()
}
