//! What a training step plans of memory, in f32 and in 16 bits.

use wgrad::compiler::{Layout, Options, Program, Target, compile};
use wgrad::nn::{AttentionInputs, Transformer};
use wgrad::prelude::*;
use wgrad::shader::Adapter;

type Build = fn(&Graph) -> Tensor;

fn targets() -> [(&'static str, Target); 3] {
    let software = Adapter { is_software: true, subgroups: Some((8, 8)), ..Adapter::default() };
    [("cpu", Target::Cpu), ("software", Target::Gpu(software)), ("hardware", Target::Gpu(Adapter::default()))]
}

fn program(build: Build, precision: Precision, target: &Target) -> Program {
    let g = Graph::new();
    g.set_precision(precision);
    let loss = build(&g);
    g.minimize(&loss, SGD::new(0.1)).build();
    compile(&g, target, &mut Layout::default(), Options::default()).unwrap_or_else(|error| panic!("{error}")).0
}

/// Bytes of all but inputs.
fn planned(program: &Program) -> usize {
    let inputs: usize = program.inputs.iter().map(|input| input.location.bytes).sum();
    program.planned_bytes() - inputs
}

fn convolutional(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [32, 3, 32, 32], F32), g.input("y", [32], I32));
    let mut model = Sequential::new([3, 32, 32]);
    for _ in 0..6 {
        model = model.conv2d(32, 3).padding(1).relu();
    }
    let model = model.max_pool2d(2).conv2d(32, 3).padding(1).relu().max_pool2d(2).flatten().dense(10);
    model.forward(g, &x, Mode::Training).cross_entropy(&y)
}

fn normalized(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [16, 3, 32, 32], F32), g.input("y", [16], I32));
    let mut model = Sequential::new([3, 32, 32]);
    for _ in 0..6 {
        model = model.conv2d(32, 3).padding(1).batch_norm().relu();
    }
    model.global_avg_pool().dense(10).forward(g, &x, Mode::Training).cross_entropy(&y)
}

fn dropped(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [4096, 64], F32), g.input("y", [4096], I32));
    let mut model = Sequential::new([64]);
    for _ in 0..5 {
        model = model.dense(256).relu().dropout(0.2);
    }
    model.dense(10).forward(g, &x, Mode::Training).cross_entropy(&y)
}

/// Rows of 14 elements.
fn ragged(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [32, 3, 14, 14], F32), g.input("y", [32], I32));
    let mut model = Sequential::new([3, 14, 14]);
    for _ in 0..6 {
        model = model.conv2d(32, 3).padding(1).relu();
    }
    model.global_avg_pool().dense(10).forward(g, &x, Mode::Training).cross_entropy(&y)
}

fn recurrent(g: &Graph, model: impl Fn(Sequential) -> Sequential) -> Tensor {
    let (x, y) = (g.input("x", [64, 40, 32], F32), g.input("y", [64, 40], I32));
    let model = model(model(Sequential::new([40, 32]))).dense(10);
    let logits = model.forward(g, &x, Mode::Training).reshape([64 * 40, 10]);
    logits.cross_entropy(&y.reshape([64 * 40]))
}

fn lstm(g: &Graph) -> Tensor {
    recurrent(g, |model| model.lstm(128).return_sequences(true))
}

fn gru(g: &Graph) -> Tensor {
    recurrent(g, |model| model.gru(128).return_sequences(true))
}

fn transformer(g: &Graph) -> Tensor {
    let (x, y) = (g.input("x", [64, 64, 64], F32), g.input("y", [64], I32));
    let encoder = Transformer::new(4).layers(4).feed_forward(256).dropout(0.0).norm_first();
    let x = encoder.build_encoder(g, "transformer", 64).forward(&x, AttentionInputs::default(), Mode::Training);
    nn::Linear::new(g, "head", 64, 10).forward(&x.mean(1)).cross_entropy(&y)
}

/// Models whose memory is that of activations, and the share of it that remains at most.
const MODELS: [(&str, Build, f64); 7] = [
    ("ragged", ragged, 0.66),
    ("lstm", lstm, 0.63),
    ("gru", gru, 0.6),
    ("convolutional", convolutional, 0.6),
    ("normalized", normalized, 0.65),
    ("dropped", dropped, 0.6),
    ("transformer", transformer, 0.62),
];

#[test]
fn activations_take_about_half() {
    let mut wrong = Vec::new();
    for (name, build, share) in MODELS {
        for (kind, target) in targets() {
            let whole = planned(&program(build, Precision::F32, &target));
            for precision in [Precision::BF16, Precision::F16] {
                let found = planned(&program(build, precision, &target));
                if found as f64 > share * whole as f64 {
                    wrong.push(format!("{name} in {precision:?} on {kind}: {found} bytes of {whole}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
