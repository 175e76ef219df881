//! Gradients where functions bend, stop, or have none: PyTorch's conventions, with values that it gave (2.15).

use wgrad::prelude::*;
use wgrad::scalar::ScalarFunction as F;

use super::support::devices::devices;
use super::{same, vector};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

type Kink = (&'static str, fn(&Tensor) -> Tensor, &'static [f32], &'static [f32]);

/// A constant operand as long as x.
fn full(x: &Tensor, value: f64) -> Tensor {
    x.graph().scalar(F32, value).broadcast_to(x.shape())
}

/// An operand that no pass knows: x's zeroth power times a number.
fn opaque(x: &Tensor, value: f64) -> Tensor {
    x.stop_gradient().is_nan().select(value, value).broadcast_to(x.shape())
}

const KINKS: &[Kink] = &[
    ("relu", Tensor::relu, &[0.0, -0.0, NAN, INF, -1.0], &[0.0, 0.0, 1.0, 1.0, 0.0]),
    ("clamp", |x| x.clamp(-1.0, 1.0), &[-2.0, -1.0, 0.0, 1.0, 2.0], &[0.0, 0.0, 1.0, 0.0, 0.0]),
    ("relu6", |x| x.clamp(0.0, 6.0), &[0.0, 3.0, 6.0], &[0.0, 1.0, 0.0]),
    ("leaky_relu", |x| x.leaky_relu(0.125), &[0.0, -0.0, -INF, 1.0, NAN], &[0.125, 0.125, 0.125, 1.0, 0.125]),
    ("elu", |x| x.elu(1.5), &[0.0, -0.0, -INF, INF], &[1.5, 1.5, 0.0, 1.0]),
    ("selu", Tensor::selu, &[0.0, -INF], &[1.758_099_3, 0.0]),
    ("celu", |x| x.celu(2.0), &[0.0, -INF, 1.0], &[1.0, 0.0, 1.0]),
    ("hard_sigmoid", Tensor::hard_sigmoid, &[-3.0, 3.0, 0.0, NAN], &[0.0, 0.0, 0.166_666_67, 0.0]),
    ("hard_swish", Tensor::hard_swish, &[-3.0, 3.0, -1.5], &[0.0, 1.0, 0.0]),
    ("abs", Tensor::abs, &[0.0, -0.0, -1.0, INF, -INF], &[0.0, 0.0, -1.0, 1.0, -1.0]),
    ("sign", Tensor::sign, &[0.0, 2.0], &[0.0, 0.0]),
    ("maximum with 1", |x| x.maximum(opaque(x, 1.0)), &[1.0, NAN, 0.0, 2.0], &[0.5, 1.0, 0.0, 1.0]),
    ("minimum with 1", |x| x.minimum(opaque(x, 1.0)), &[1.0, 0.0, 2.0], &[0.5, 1.0, 0.0]),
    ("max over equals", |x| x.max([0]), &[1.0, 1.0, 0.0], &[0.5, 0.5, 0.0]),
    ("sqrt", Tensor::sqrt, &[0.0, -0.0, INF, -1.0], &[INF, -INF, 0.0, NAN]),
    ("rsqrt", Tensor::rsqrt, &[0.0, INF, -1.0], &[-INF, 0.0, NAN]),
    ("reciprocal", Tensor::reciprocal, &[0.0, -0.0, INF], &[-INF, -INF, 0.0]),
    ("log", Tensor::log, &[0.0, -0.0, -1.0, INF], &[INF, -INF, -1.0, 0.0]),
    ("log1p", Tensor::log1p, &[-1.0, -2.0, 0.0, INF], &[INF, -1.0, 1.0, 0.0]),
    ("acos", Tensor::acos, &[1.0, -1.0, 0.0, 1.5, 0.5, NAN], &[-INF, -INF, -1.0, NAN, -1.154_700_5, NAN]),
    ("asin", Tensor::asin, &[1.0, -1.0, 0.0, 1.5, NAN], &[INF, INF, 1.0, NAN, NAN]),
    ("acosh", Tensor::acosh, &[1.0, 0.5, INF, 2.0], &[INF, NAN, 0.0, 0.577_350_26]),
    ("atanh", Tensor::atanh, &[1.0, -1.0, 0.0, 2.0], &[INF, INF, 1.0, -0.333_333_34]),
    ("asinh", Tensor::asinh, &[0.0, -0.0, INF, -INF], &[1.0, 1.0, 0.0, 0.0]),
    ("atan", Tensor::atan, &[0.0, INF, -INF, 1e30], &[1.0, 0.0, 0.0, 0.0]),
    ("sinh", Tensor::sinh, &[0.0, INF, -INF], &[1.0, INF, INF]),
    ("cosh", Tensor::cosh, &[0.0, INF, -INF], &[0.0, INF, -INF]),
    ("tanh", Tensor::tanh, &[0.0, 20.0, INF], &[1.0, 0.0, 0.0]),
    ("sigmoid", Tensor::sigmoid, &[0.0, -INF, INF, -100.0], &[0.25, 0.0, 0.0, 0.0]),
    ("softplus", Tensor::softplus, &[0.0, -INF, INF], &[0.5, 0.0, 1.0]),
    ("softsign", Tensor::softsign, &[0.0, 1e30], &[1.0, 0.0]),
    ("erf", Tensor::erf, &[0.0, INF], &[1.128_379_2, 0.0]),
    ("expm1", Tensor::expm1, &[0.0, -INF, INF], &[1.0, 0.0, INF]),
    ("x^2", |x| x.pow(2.0), &[0.0, INF, -INF, 1.0], &[0.0, INF, -INF, 2.0]),
    ("x^1", |x| x.pow(1.0), &[0.0, INF, -INF], &[1.0, 1.0, 1.0]),
    ("x^0", |x| x.pow(0.0), &[0.0, INF, -INF], &[0.0, 0.0, 0.0]),
    ("x^0.5", |x| x.pow(0.5), &[0.0, INF, 4.0], &[INF, 0.0, 0.25]),
    ("x^-1", |x| x.pow(-1.0), &[0.0, -0.0, INF, -INF], &[-INF, -INF, 0.0, 0.0]),
    ("x^3", |x| x.pow(3.0), &[0.0, -0.0, INF, -INF], &[0.0, 0.0, INF, INF]),
    ("x^1.5", |x| x.pow(1.5), &[0.0, INF, 1.0], &[0.0, INF, 1.5]),
    ("x^opaque 2", |x| x.pow(opaque(x, 2.0)), &[0.0, INF, -INF, 1.0], &[0.0, INF, -INF, 2.0]),
    ("x^opaque 0", |x| x.pow(opaque(x, 0.0)), &[0.0, INF, -INF, 1.0], &[0.0, 0.0, 0.0, 0.0]),
    ("0^x", |x| opaque(x, 0.0).pow(x), &[0.0, 1.0, -1.0, 2.0, 0.5, -INF], &[0.0, 0.0, -INF, 0.0, 0.0, -INF]),
    ("1^x", |x| opaque(x, 1.0).pow(x), &[0.0, 1.0, -1.0], &[0.0, 0.0, 0.0]),
    ("2^x", |x| full(x, 2.0).pow(x), &[0.0, 1.0, -1.0], &[0.693_147_2, 1.386_294_4, 0.346_573_6]),
    ("atan2(x, 0)", |x| x.atan2(opaque(x, 0.0)), &[0.0, 1.0], &[0.0, 0.0]),
    ("atan2(0, x)", |x| opaque(x, 0.0).atan2(x), &[0.0, 1.0, -1.0], &[0.0, 0.0, 0.0]),
    ("fmod(x, 3)", |x| x.rem(3.0), &[7.0, -7.0, 6.0], &[1.0, 1.0, 1.0]),
    ("fmod(7, x)", |x| opaque(x, 7.0).rem(x), &[3.0, -3.0, 7.0], &[-2.0, 2.0, -1.0]),
    ("0 / x", |x| opaque(x, 0.0) / x, &[0.0, 1.0, INF], &[NAN, 0.0, 0.0]),
    // Nothing comes through where a choice or a bound has cut it off, not even infinity.
    ("sqrt of relu", |x| x.relu().sqrt(), &[0.0, -1.0, 4.0], &[0.0, 0.0, 0.25]),
    ("sqrt of clamp", |x| x.clamp(0.0, 9.0).sqrt(), &[0.0, -1.0, 4.0], &[0.0, 0.0, 0.25]),
    ("log of a choice", |x| x.gt(0.0).select(x, full(x, 0.0)).log(), &[-1.0, 2.0], &[0.0, 0.5]),
    (
        "clamp by tensors",
        |x| x.elementwise(F::Clamp, &[&full(x, -1.0), &full(x, 1.0)]),
        &[-1.0, 0.5, 1.0],
        &[0.0, 1.0, 0.0],
    ),
];

#[test]
fn gradients_at_kinks_and_bounds_are_pytorchs() {
    let mut wrong = Vec::new();
    for device in devices() {
        for (name, build, points, slopes) in KINKS {
            let g = Graph::new();
            let x = g.input("x", [points.len()], F32);
            g.output("slope", &g.gradients(&build(&x).sum_all(), &[&x]).swap_remove(0));
            let mut session = g.compile(&device).unwrap();
            let data = vector(points);
            let given: Vec<(&str, &TensorData)> = session.program().inputs.iter().map(|_| ("x", &data)).collect();
            let found = session.run(&given).unwrap()["slope"].to_vec::<f32>().unwrap();
            for ((x, &found), &right) in points.iter().zip(&found).zip(*slopes) {
                // 1e-60 is 0 in f32, as the square of 1e30 is infinite.
                let close = (found - right).abs() <= 2e-6 * right.abs() || (right == 0.0 && found.abs() < 1e-30);
                if !same(found, right) && !close {
                    wrong.push(format!("the slope of {name} at {x} is {found}, not {right}, on {device:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
