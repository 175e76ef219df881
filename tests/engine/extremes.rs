//! NaN, infinities, zeros of both signs, subnormal and the largest numbers: through every kernel of `wgrad check` on every device, and
//! against what PyTorch makes of them.

use wgrad::loss::Reduction;
use wgrad::ops::Order;
use wgrad::ops::{AvgPool, Combine, ConvOptions, Initial, Interpolate, Interpolation, LpPool, MaxPool, Variable};
use wgrad::optim::Minimize;
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

use super::support::devices::devices;

/// Families that are quick everywhere, and have kernels of each kind; `wgrad check` has all.
const FAMILIES: [&str; 14] = [
    "reduce/max",
    "reduce/argmin",
    "reduce/log_sum_exp",
    "softmax",
    "matmul/vectors",
    "matmul/batched",
    "matmul/einsum",
    "conv2d/points",
    "sequence",
    "movement/",
    "index/",
    "pool/max_dilated",
    "pool/power",
    "resample/linear",
];

#[test]
fn kernels_keep_what_is_no_number() {
    let mut problems = Vec::new();
    for device in devices() {
        for family in FAMILIES {
            let told = wgrad::check::check(&device, family, &mut |report| {
                if let Some(problem) = &report.problem {
                    problems.push(format!("{} on {}: {problem}", report.name, device.name()));
                }
            });
            told.unwrap();
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// What is done, to which numbers of which shape, and what PyTorch 2 gives for it.
type Case<'a> = (&'a str, fn(&Tensor) -> Tensor, &'a [usize], &'a [f64], &'a [f64]);

const MIXED: &[f64] = &[1.0, NAN, 3.0, -INF, INF, NAN, 0.0, -0.0];
const PLANE: &[f64] = &[1.0, NAN, 3.0, 4.0, NAN, INF, -INF, -INF];

fn of(x: &Tensor, shape: &[usize], values: &[f64]) -> Tensor {
    x.graph().constant(TensorData::from_f64(F32, values, shape).unwrap())
}

/// The gradient of the sum of what is built from x.
fn slope(x: &Tensor, build: fn(&Tensor) -> Tensor) -> Tensor {
    x.graph().gradients(&build(x), &[x]).swap_remove(0)
}

const CASES: &[Case<'_>] = &[
    ("sort", |x| x.sort(0, Order::Ascending).0, &[8], MIXED, &[-INF, 0.0, -0.0, 1.0, 3.0, INF, NAN, NAN]),
    (
        "its indices",
        |x| x.sort(0, Order::Ascending).1.cast(F32),
        &[8],
        MIXED,
        &[3.0, 6.0, 7.0, 0.0, 2.0, 4.0, 1.0, 5.0],
    ),
    ("sort down", |x| x.sort(0, Order::Descending).1.cast(F32), &[8], MIXED, &[1.0, 5.0, 4.0, 2.0, 0.0, 6.0, 7.0, 3.0]),
    ("top_k", |x| x.top_k(3, 0).0, &[8], MIXED, &[NAN, NAN, INF]),
    ("its indices", |x| x.top_k(3, 0).1.cast(F32), &[8], MIXED, &[1.0, 5.0, 4.0]),
    ("least k", |x| x.bottom_k(3, 0).1.cast(F32), &[8], MIXED, &[3.0, 6.0, 7.0]),
    ("argmax", |x| x.argmax(0).cast(F32), &[8], MIXED, &[1.0]),
    ("argmin", |x| x.argmin(0).cast(F32), &[8], MIXED, &[1.0]),
    ("max", |x| x.max([0]), &[8], MIXED, &[NAN]),
    ("min", |x| x.min([0]), &[8], MIXED, &[NAN]),
    ("sum", |x| x.sum([1]), &[2, 3], &[1.0, INF, -INF, 2.0, INF, INF], &[NAN, INF]),
    ("mean", |x| x.mean([1]), &[2, 2], &[1.0, NAN, -INF, 2.0], &[NAN, -INF]),
    ("product", |x| x.product([1]), &[2, 2], &[0.0, INF, -2.0, INF], &[NAN, -INF]),
    ("its slope", |x| slope(x, |x| x.product([0])), &[3], &[INF, 1.0, 2.0], &[NAN, INF, INF]),
    ("cumulative_sum", |x| x.cumulative_sum(0), &[5], &[1.0, INF, 2.0, -INF, 3.0], &[1.0, INF, INF, NAN, NAN]),
    ("cumulative_product", |x| x.cumulative_product(0), &[4], &[2.0, INF, 0.0, 3.0], &[2.0, INF, NAN, NAN]),
    (
        "log_sum_exp",
        |x| x.log_sum_exp([1]),
        &[4, 2],
        &[1.0, INF, NAN, 1.0, -INF, -INF, -INF, 2.0],
        &[INF, NAN, -INF, 2.0],
    ),
    ("its slope", |x| slope(x, |x| x.log_sum_exp([0])), &[3], &[1.0, INF, 2.0], &[0.0, NAN, 0.0]),
    ("softmax", |x| x.softmax(-1), &[2, 3], &[INF, 1.0, 2.0, -INF, 1.0, 1.0], &[NAN, NAN, NAN, 0.0, 0.5, 0.5]),
    ("softmax of nothing", |x| x.softmax(-1), &[2], &[-INF, -INF], &[NAN, NAN]),
    ("slope of max", |x| slope(x, |x| x.max([0])), &[4], &[INF, 1.0, INF, 2.0], &[0.5, 0.0, 0.5, 0.0]),
    ("slope of max of NaN", |x| slope(x, |x| x.max([0])), &[2], &[NAN, 1.0], &[NAN, NAN]),
    ("max_pool", |x| x.max_pool(&MaxPool::new(2)), &[1, 1, 8], PLANE, &[NAN, 4.0, NAN, -INF]),
    (
        "its indices",
        |x| x.max_pool_with_indices(&MaxPool::new(2)).1.cast(F32),
        &[1, 1, 8],
        PLANE,
        &[1.0, 3.0, 4.0, 6.0],
    ),
    (
        "indices of overlapping windows",
        |x| x.max_pool_with_indices(&MaxPool::new(3).stride(1).padding(1)).1.cast(F32),
        &[1, 1, 8],
        PLANE,
        &[1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 5.0, 6.0],
    ),
    (
        "slope of max_pool",
        |x| slope(x, |x| x.max_pool(&MaxPool::new(2))),
        &[1, 1, 4],
        &[NAN, 1.0, NAN, 2.0],
        &[1.0, 0.0, 1.0, 0.0],
    ),
    ("avg_pool", |x| x.avg_pool(&AvgPool::new(2)), &[1, 1, 8], PLANE, &[NAN, 3.5, NAN, -INF]),
    ("lp_pool", |x| x.lp_pool(&LpPool::new(2.0, 2)), &[1, 1, 8], PLANE, &[NAN, 5.0, NAN, INF]),
    ("adaptive_max_pool", |x| x.adaptive_max_pool(3), &[1, 1, 8], PLANE, &[NAN, NAN, INF]),
    (
        "matmul",
        |x| x.matmul(&of(x, &[2, 2], &[INF, 1.0, 0.0, NAN])),
        &[2, 2],
        &[0.0, 1.0, INF, 1.0],
        &[NAN, NAN, INF, NAN],
    ),
    (
        "conv over padding",
        |x| x.conv(&of(x, &[1, 1, 3], &[INF, 1.0, 1.0]), &ConvOptions::default().padding(1)),
        &[1, 1, 4],
        &[1.0, 1.0, 1.0, 1.0],
        &[NAN, INF, INF, INF],
    ),
    (
        "conv of an infinity",
        |x| x.conv(&of(x, &[1, 1, 3], &[1.0, 0.0, 1.0]), &ConvOptions::default().padding(1)),
        &[1, 1, 5],
        &[INF, 1.0, 1.0, 1.0, 1.0],
        &[NAN, INF, 2.0, 2.0, 1.0],
    ),
    ("layer_norm", |x| x.layer_norm(1, None, None, 1e-5), &[2, 2], &[INF, 1.0, NAN, 1.0], &[NAN, NAN, NAN, NAN]),
    ("variance", |x| x.variance([1], 1), &[2, 2], &[INF, 1.0, NAN, 1.0], &[NAN, NAN]),
    (
        "scatter of the larger",
        |x| x.zeros_like().scatter(0, &of(x, &[4], &[0.0, 0.0, 1.0, 1.0]).cast(I32), x, Combine::Max),
        &[4],
        &[NAN, 1.0, 2.0, INF],
        &[NAN, INF, 0.0, 0.0],
    ),
    (
        "scatter_add",
        |x| x.zeros_like().scatter_add(0, &x.zeros_like().cast(I32), x),
        &[3],
        &[INF, 1.0, -INF],
        &[NAN, 0.0, 0.0],
    ),
    (
        "linear interpolation",
        |x| x.interpolate(&Interpolate::size(4).mode(Interpolation::Linear)),
        &[1, 1, 2],
        &[NAN, 1.0],
        &[NAN, NAN, NAN, 1.0],
    ),
    (
        "dropout of NaN",
        |x| nn::Dropout::new(0.5).forward(x, Mode::Training),
        &[4],
        &[NAN, NAN, NAN, NAN],
        &[NAN, NAN, NAN, NAN],
    ),
    (
        "cross-entropy",
        logits_loss,
        &[4, 3],
        &[INF, 2.0, 3.0, 0.0, -INF, 0.5, NAN, 1.0, 2.0, 0.0, 0.0, -INF],
        &[NAN, INF, NAN, std::f64::consts::LN_2],
    ),
];

fn logits_loss(x: &Tensor) -> Tensor {
    CrossEntropy.reduced(x, &of(x, &[4], &[0.0, 1.0, 1.0, 1.0]).cast(I32), Reduction::None)
}

#[test]
fn what_is_no_number_goes_where_pytorch_lets_it_go() {
    let mut problems = Vec::new();
    for device in devices() {
        for &(name, build, shape, values, right) in CASES {
            let g = Graph::new();
            let x = g.input("x", shape, F32);
            g.output("y", &build(&x));
            let x = TensorData::from_f64(F32, values, shape).unwrap();
            let mut session = g.compile(&device).unwrap();
            let inputs: Vec<(&str, &TensorData)> = session.program().inputs.iter().map(|_| ("x", &x)).take(1).collect();
            let found = session.run(&inputs).unwrap()["y"].to_f64_vec();
            let same = |(a, b): (&f64, &f64)| a == b || (a - b).abs() < 1e-5 || (a.is_nan() && b.is_nan());
            if found.len() != right.len() || !found.iter().zip(right).all(same) {
                problems.push(format!("{name} on {}: {found:?}, not {right:?}", device.name()));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

type Recipe = fn(&Graph, &Tensor) -> Minimize;

#[test]
fn gradients_that_are_no_numbers_reach_the_weights() {
    let recipes: [(&str, Recipe, [f64; 3]); 7] = [
        ("sgd", |g, loss| g.minimize(loss, SGD::new(0.1)), [NAN, -INF, INF]),
        ("adam", |g, loss| g.minimize(loss, Adam::new(0.1)), [NAN; 3]),
        ("rmsprop", |g, loss| g.minimize(loss, RMSprop::new(0.1)), [NAN; 3]),
        ("adadelta", |g, loss| g.minimize(loss, Adadelta::new(0.1)), [NAN; 3]),
        ("nadam", |g, loss| g.minimize(loss, NAdam::new(0.1)), [NAN; 3]),
        ("clip_norm", |g, loss| g.minimize(loss, SGD::new(0.1)).clip_norm(1.0), [NAN; 3]),
        ("clip_value", |g, loss| g.minimize(loss, SGD::new(0.1)).clip_value(1.0), [NAN, 0.9, 1.1]),
    ];
    for device in devices() {
        for (name, recipe, right) in recipes {
            let g = Graph::new();
            let ones = TensorData::from_f64(F32, &[1.0; 3], [3]).unwrap();
            let variable = Variable::parameter("p", TensorType::new(F32, [3]), Initial::Values(ones));
            let loss = (g.variable(variable) * g.input("gradient", [3], F32)).sum_all();
            let mut session = recipe(&g, &loss).compile(&device).unwrap();
            let gradient = TensorData::from_f64(F32, &[NAN, INF, -INF], [3]).unwrap();
            session.step(&[("gradient", &gradient)]).unwrap();
            let found = session.parameter("p").unwrap().to_f64_vec();
            let same = |(a, b): (&f64, &f64)| a == b || (a - b).abs() < 1e-6 || (a.is_nan() && b.is_nan());
            assert!(found.iter().zip(&right).all(same), "{name} on {device:?}: {found:?}, not {right:?}");
        }
    }
}
