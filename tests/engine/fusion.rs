//! Fused programs against unfused ones, on graphs drawn at random: with gradients, in every float type, on every device.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use wgrad::compiler::Options;
use wgrad::ops::keepdim;
use wgrad::ops::{Initial, Variable};
use wgrad::prelude::*;
use wgrad::session::Outputs;
use wgrad::tensor::TensorType;

use super::graphs::{Builder, Draw, difference, draws};
use super::support::devices::{devices, lacks_kernel};
use super::tensor;

/// A graph, and what it is to be run on.
fn graph(draws: &[Draw], dtype: DType, shapes: bool) -> (Graph, Vec<(String, TensorData)>) {
    let g = Graph::new();
    let forms: [&[usize]; 4] =
        if shapes { [&[4, 3], &[3], &[2, 1, 3], &[]] } else { [&[4, 3], &[4, 3], &[4, 3], &[4, 3]] };
    let mut data = Vec::new();
    let mut inputs = Vec::new();
    for (k, form) in forms.into_iter().enumerate() {
        let name = format!("x{k}");
        inputs.push(g.input(&name, form, dtype));
        data.push((name, tensor(k as u64 + 7, dtype, form, -1.5, 1.5)));
    }
    let mut builder = Builder { g: g.clone(), values: inputs.clone() };
    draws.iter().for_each(|&draw| builder.add(draw, shapes));
    let last = builder.values.len() - 1;
    for index in std::collections::BTreeSet::from([last, last / 2 + 1, last - 1]) {
        g.output(&format!("value{index}"), &builder.values[index]);
    }
    let loss = builder.values[last].tanh().sum_all() + builder.values[last / 2].sin().mean_all();
    let references: Vec<&Tensor> = inputs.iter().collect();
    for (k, gradient) in g.gradients(&loss, &references).iter().enumerate() {
        g.output(&format!("gradient{k}"), gradient);
    }
    g.output("loss", &loss);
    (g, data)
}

fn run(g: &Graph, device: &Device, fuse: bool, inputs: &[(String, TensorData)]) -> Result<Outputs> {
    let mut session = Session::with_options(g, device, 0, Options { fuse, ..Options::default() })?;
    Ok(super::run(&mut session, inputs))
}

/// Compares fused and unfused programs on many graphs; a failure is made smaller and printed.
fn compare(cases: u32, most: usize, dtype: DType, shapes: bool, bound: f64) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(cases) });
    let outcome = runner.run(&draws(most), |draws| {
        let (g, inputs) = graph(&draws, dtype, shapes);
        let device = Device::cpu();
        let fused = run(&g, &device, true, &inputs).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let unfused = run(&g, &device, false, &inputs).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(difference(&fused, &unfused, bound), None);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{dtype}: {error}"));
}

#[test]
fn elementwise_chains_have_the_same_bits() {
    for dtype in [F32, F16, BF16, F64] {
        compare(40, 24, dtype, false, 0.0);
    }
}

#[test]
fn any_graph_has_the_same_values() {
    compare(300, 20, F32, true, 1e-5);
    compare(60, 20, F64, true, 1e-13);
    compare(60, 12, F16, true, 2e-2);
    compare(60, 12, BF16, true, 1e-1);
}

#[test]
fn a_gpu_gives_the_values_of_the_cpu() {
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        let mut runner = TestRunner::deterministic();
        let strategy = draws(14);
        for case in 0..8 {
            let draws = strategy.new_tree(&mut runner).unwrap().current();
            let (g, inputs) = graph(&draws, F32, true);
            let right = run(&g, &Device::cpu(), true, &inputs).unwrap();
            for fuse in [true, false] {
                match run(&g, &device, fuse, &inputs) {
                    Ok(found) => {
                        assert_eq!(difference(&found, &right, 2e-4), None, "case {case} {draws:?}, fuse {fuse}")
                    }
                    Err(error) => assert!(lacks_kernel(&error), "{error}"),
                }
            }
        }
    }
}

/// Two gathers at the same indices of different tables are two, also where they become one kernel.
#[test]
fn gathers_of_siblings_stay_apart() {
    let g = Graph::new();
    let (a, b, n) = (g.input("a", [5, 3], F32), g.input("b", [5, 3], F32), g.input("n", [4], I32));
    g.output("a rows", &(a.take(0, &n) + 1.0));
    g.output("b rows", &(b.take(0, &n) + 1.0));
    g.output("both", &(a.take(0, &n) * b.take(0, &n)));
    let inputs = [
        ("a".to_owned(), tensor(1, F32, &[5, 3], 0.0, 1.0)),
        ("b".to_owned(), tensor(2, F32, &[5, 3], 0.0, 1.0)),
        ("n".to_owned(), TensorData::from_vec(vec![4, 0, 0, 2], [4]).unwrap()),
    ];
    let right = run(&g, &Device::cpu(), false, &inputs).unwrap();
    let row = |k: usize, index: usize| inputs[k].1.to_f64_vec()[index * 3];
    assert_eq!(right["a rows"].to_f64_vec()[0] as f32, (row(0, 4) + 1.0) as f32);
    assert_eq!(right["b rows"].to_f64_vec()[9] as f32, (row(1, 2) + 1.0) as f32);
    for device in devices() {
        assert_eq!(difference(&run(&g, &device, true, &inputs).unwrap(), &right, 1e-6), None, "{device:?}");
    }
}

/// Gradients of biases come with the products that make those of the weights, and are what they were.
#[test]
fn sums_that_products_bring_are_the_same() -> Result<()> {
    let build = |batch: usize, units: usize| {
        let g = Graph::new();
        let variable = |name: &str, shape: &[usize]| {
            let ty = TensorType::new(F32, shape.to_vec());
            g.variable(Variable::parameter(format!("variable {name}"), ty, Initial::Normal { mean: 0.0, std: 0.5 }))
        };
        let x = g.input("x", [batch, 3, 7], F32);
        // Two layers of which one takes a slice, whose biases have one gradient, and a sum that a product itself needs.
        let (a, b) = (variable("a", &[units, 7]), variable("b", &[units]));
        let (c, d) = (variable("c", &[units, 5]), variable("d", &[units]));
        let h = x.matmul(&a.transpose(0, 1)) + &b + x.slice(2, 1, 6).matmul(&c.transpose(0, 1)) + &d;
        let e = variable("e", &[2, units]);
        let f = variable("f", &[2]);
        let y = h.tanh().reshape([batch * 3, units]).matmul(&e.transpose(0, 1)) + &f;
        let centred = &y - y.mean(keepdim([0]));
        let loss = y.square().sum_all() + centred.transpose(0, 1).matmul(&y).sum_all();
        for (name, gradient) in ["a", "b", "c", "d", "e", "f"].iter().zip(g.gradients(&loss, &[&a, &b, &c, &d, &e, &f]))
        {
            g.output(name, &gradient);
        }
        g
    };
    for device in devices() {
        for (batch, units) in [(2, 4), (1, 1), (700, 33)] {
            let g = build(batch, units);
            let values: Vec<f64> = (0..batch * 21).map(|k| ((k * 37 % 101) as f64 - 50.0) / 50.0).collect();
            let inputs = [("x".to_owned(), TensorData::from_f64(F32, &values, [batch, 3, 7])?)];
            let mut session = Session::with_options(&g, &device, 0, Options::default())?;
            let sums = session.program().to_string().matches("row sums").count();
            assert!(sums >= 2, "{sums} sums come with products:\n{}", session.program());
            let fused = session.run(&[("x", &inputs[0].1)])?;
            let plain = run(&g, &device, false, &inputs)?;
            assert_eq!(difference(&fused, &plain, 1e-4), None, "{} of {batch} × {units}", device.name());
        }
    }
    Ok(())
}
