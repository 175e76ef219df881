//! What a graph of mixed precision leaves in f32: the same bits as without it.

use wgrad::prelude::*;

use super::support::devices::devices;

/// What becomes of an input, with its gradient.
type Function = fn(&Graph, &Tensor) -> Tensor;

/// Numbers that no 16 bits hold: large ones with small differences, and their sums.
const FUNCTIONS: [(&str, Function); 8] = [
    ("softmax", |_, x| (x + 1000.0).softmax(-1)),
    ("log softmax", |_, x| (x * 300.0 + 1000.0).log_softmax(-1)),
    ("layer norm", |g, x| nn::LayerNorm::new(g, "norm", [64]).forward(&(x * 0.01 + 100.0))),
    ("batch norm", |g, x| nn::BatchNorm::new(g, "norm", 64).forward(&(x * 0.01 + 100.0), Mode::Training)),
    ("sum", |_, x| (x + 3000.0).sum([1])),
    ("mean", |_, x| (x + 3000.0).mean(1)),
    ("cross-entropy", |g, x| (x * 50.0 + 500.0).cross_entropy(&g.input("y", [32], I32))),
    ("functions", |_, x| ((x + 2.0).log() * x.exp()).tanh() + x.gelu()),
];

fn run(device: &Device, function: Function, precision: Precision) -> Vec<TensorData> {
    let g = Graph::new();
    g.set_precision(precision);
    let x = g.input("x", [32, 64], F32);
    let y = function(&g, &x);
    g.output("result", &y);
    g.output("gradient", &g.gradients(&y.square().sum_all(), &[&x])[0]);
    let mut session = g.compile(device).unwrap();
    let x = TensorData::from_f64(F32, &super::numbers(5, 32 * 64), [32, 64]).unwrap();
    let y = TensorData::from_vec((0..32).collect::<Vec<i32>>(), [32]).unwrap();
    let mut inputs = vec![("x", &x)];
    if g.find("y").is_some() {
        inputs.push(("y", &y));
    }
    let found = session.run(&inputs).unwrap();
    ["result", "gradient"].map(|name| found[name].clone()).into()
}

#[test]
fn functions_without_products_are_f32() {
    for device in devices() {
        for (name, function) in FUNCTIONS {
            let exact = run(&device, function, Precision::F32);
            for precision in [Precision::BF16, Precision::F16] {
                assert_eq!(run(&device, function, precision), exact, "{name} in {precision:?} on {device:?}");
            }
        }
        // What has a product is not.
        let dense: Function = |g, x| nn::Linear::new(g, "fc", 64, 4).forward(x);
        assert_ne!(run(&device, dense, Precision::BF16), run(&device, dense, Precision::F32));
    }
}

/// A layer's results and the operands of products are what 16 bits hold, for all that reads them.
#[test]
fn what_layers_round_is_rounded_for_all() {
    for device in devices() {
        let g = Graph::new();
        g.set_precision(Precision::BF16);
        let x = g.input("x", [4, 8], F32);
        let hidden = (&x * 3.0 + 1.0).exp();
        let y = nn::Linear::new(&g, "fc", 8, 8).forward(&hidden);
        g.output("hidden", &(&hidden * 1.0).relu());
        g.output("y", &y);
        // A cast of the user's own rounds nothing but itself.
        let apart = (&x * 5.0).exp();
        g.output("cast", &apart.cast(BF16));
        g.output("apart", &apart);
        let mut session = g.compile(&device).unwrap();
        let x = TensorData::from_f64(F32, &super::numbers(6, 32), [4, 8]).unwrap();
        let found = session.run(&[("x", &x)]).unwrap();
        let narrow = |name: &str| found[name].to_f64_vec().iter().all(|value| (*value as f32).to_bits() & 0xffff == 0);
        assert_eq!(["hidden", "y", "apart"].map(narrow), [true, true, false], "{device:?}");
    }
}
