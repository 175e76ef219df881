//! The printed stages of a small network's training step, so that a change of any pass shows.

use wgrad::ops::{Initial, Variable};
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

/// Without the origins, which change with every line above.
fn without_origins(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find("tests/engine/stages.rs:") {
        Some(start) => line[..start].trim_end_matches([' ', '/']).to_owned(),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn network() -> Graph {
    let g = Graph::new();
    let (x, y) = (g.input("x", [32, 10], F32), g.input("y", [32, 1], F32));
    let mut hidden = x;
    let mut parameters = Vec::new();
    for (layer, (inputs, outputs)) in [(10, 16), (16, 8), (8, 1)].into_iter().enumerate() {
        let part = |name: &str, shape: &[usize], initial: Initial| {
            g.variable(Variable::parameter(format!("fc{layer}.{name}"), TensorType::new(F32, shape), initial))
        };
        let weight = part("weight", &[outputs, inputs], Initial::Uniform { low: -0.3, high: 0.3 });
        let bias = part("bias", &[outputs], Initial::Constant(0.0));
        hidden = hidden.matmul(&weight.transpose(0, 1)) + &bias;
        if layer < 2 {
            hidden = hidden.relu();
        }
        parameters.extend([weight, bias]);
    }
    let loss = (hidden - y).square().mean_all();
    let references: Vec<&Tensor> = parameters.iter().collect();
    for (parameter, gradient) in parameters.iter().zip(g.gradients(&loss, &references)) {
        g.assign(parameter, &(parameter - gradient * 0.1));
    }
    g.output("loss", &loss);
    g
}

#[test]
fn the_stages_of_a_small_network() {
    let session = network().compile(&Device::cpu()).unwrap();
    let stages = session.program().stages();
    insta::assert_snapshot!("graph", without_origins(&stages.graph));
    insta::assert_snapshot!("fused", without_origins(&stages.fused));
    insta::assert_snapshot!("memory", without_origins(&stages.memory));
    let program: Vec<String> = session
        .program()
        .to_string()
        .lines()
        .map(|line| line.split("  tests/engine/").next().unwrap_or(line).trim_end().to_owned())
        .collect();
    insta::assert_snapshot!("program", program.join("\n"));
}

/// A linear regression: the network's smallest relative finds the right weights.
#[test]
fn a_linear_regression_learns() {
    let g = Graph::new();
    let (x, y) = (g.input("x", [8, 3], F32), g.input("y", [8, 1], F32));
    let part = |name: &str, shape: &[usize]| {
        g.variable(Variable::parameter(name, TensorType::new(F32, shape), Initial::Constant(0.1)))
    };
    let (w, b) = (part("w", &[3, 1]), part("b", &[1]));
    let loss = (x.matmul(&w) + &b - &y).square().mean_all();
    g.output("loss", &loss);
    let rate = g.host_scalar("@rate", |state| if state.step < 200 { 0.3 } else { 0.1 });
    for (parameter, gradient) in [&w, &b].into_iter().zip(g.gradients(&loss, &[&w, &b])) {
        g.assign(parameter, &(parameter - gradient * &rate));
    }
    let xs: Vec<f32> = (0..24).map(|k| (k * 7 % 11) as f32 / 5.0 - 1.0).collect();
    let ys: Vec<f32> = xs.chunks(3).map(|row| row[0] - 2.0 * row[1] + 0.5 * row[2] + 0.3).collect();
    let (x, y) = (TensorData::from_vec(xs, [8, 3]).unwrap(), TensorData::from_vec(ys, [8, 1]).unwrap());
    for device in super::support::devices::devices() {
        let mut session = g.compile(&device).unwrap();
        (0..400).for_each(|_| session.step(&[("x", &x), ("y", &y)]).unwrap());
        assert!(session.read("loss").unwrap().item().unwrap() < 1e-3, "{device:?}");
    }
}
