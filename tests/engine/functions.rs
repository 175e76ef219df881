//! Functions that are composed of others, and tests of what kind of number there is: against Rust's own, on every device.

use wgrad::prelude::*;

use super::finite_differences::check;
use super::support::devices::{devices, slack};

type Rule = (&'static str, fn(&Tensor) -> Tensor, fn(f64) -> f64, &'static [f64]);

const WIDE: &[f64] = &[0.0, 1e-6, -1e-6, 1e-3, -0.3, 0.7, -1.0, 1.0, 2.5, -4.0, 20.0, -20.0, 80.0];
const HUGE: &[f64] = &[0.0, 1e-6, -1e-3, 0.5, -0.5, 1.0, -3.0, 1e3, -1e8, 1e12, -1e20, 1e30];
const WITHIN_ONE: &[f64] = &[0.0, 1e-6, -1e-6, 0.3, -0.5, 0.7, -0.9, 0.999];
const FROM_ONE: &[f64] = &[1.0, 1.001, 1.5, 2.0, 10.0, 1e4, 1e20, 1e30];

const RULES: [Rule; 8] = [
    ("asin", Tensor::asin, f64::asin, WITHIN_ONE),
    ("acos", Tensor::acos, f64::acos, WITHIN_ONE),
    ("atan", Tensor::atan, f64::atan, HUGE),
    ("sinh", Tensor::sinh, f64::sinh, WIDE),
    ("cosh", Tensor::cosh, f64::cosh, WIDE),
    ("asinh", Tensor::asinh, f64::asinh, HUGE),
    ("acosh", Tensor::acosh, f64::acosh, FROM_ONE),
    ("atanh", Tensor::atanh, f64::atanh, WITHIN_ONE),
];

#[test]
fn values_are_those_of_the_standard_library() {
    for (name, build, rule, points) in RULES {
        for (dtype, tolerance) in [(F64, 1e-14), (F32, 2e-6)] {
            let g = Graph::new();
            let x = g.input("x", [points.len()], dtype);
            g.output("y", &build(&x));
            let data = TensorData::from_f64(dtype, points, [points.len()]).unwrap();
            let points = data.to_f64_vec();
            for device in devices() {
                // A GPU computes in f32 whatever the type.
                let bound = if device.is_cpu() { tolerance } else { 2e-6 * slack(&device) };
                let found = g.compile(&device).unwrap().run(&[("x", &data)]).unwrap()["y"].to_f64_vec();
                for (&x, y) in points.iter().zip(found) {
                    let x = if device.is_cpu() { x } else { f64::from(x as f32) };
                    let wanted = rule(x);
                    let close = (y - wanted).abs() <= bound * wanted.abs().max(1e-6) + 1e-3 * bound;
                    assert!(close || y == wanted, "{name} of {x} in {dtype} is {y}, not {wanted}, on {device:?}");
                }
            }
        }
    }
}

#[test]
fn gradients_are_those_of_differences() {
    for (name, build, ..) in RULES {
        let range = match name {
            "acosh" => (1.3, 3.0),
            "asin" | "acos" | "atanh" => (-0.8, 0.8),
            _ => (-2.0, 2.0),
        };
        check(name, &[(&[2, 3], range.0, range.1)], |_, x| build(&x[0]));
    }
    check("floor_rem", &[(&[5], 0.6, 0.9), (&[5], -0.5, -0.4)], |_, x| x[0].floor_rem(&x[1]));
    let g = Graph::new();
    let x = g.input("x", [1], F64);
    g.output("slope", &g.gradients(&x.asinh(), &[&x]).swap_remove(0));
    let run = g.compile(&Device::cpu()).unwrap().run(&[("x", &TensorData::zeros(F64, [1]))]).unwrap();
    assert_eq!(run["slope"].item().unwrap(), 1.0);
}

#[test]
fn what_is_no_number_is_told_apart() {
    let values = [0.0, -0.0, 1.5, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e-38, 3e-39];
    for dtype in [F32, F64, BF16] {
        let g = Graph::new();
        let x = g.input("x", [values.len()], dtype);
        g.output("nan", &x.is_nan());
        g.output("inf", &x.is_inf());
        g.output("sum", &x.is_nan().logical_or(x.is_inf()).cast(F32).sum_all());
        let data = TensorData::from_f64(dtype, &values, [values.len()]).unwrap();
        for device in devices() {
            let found = g.compile(&device).unwrap().run(&[("x", &data)]).unwrap();
            let truth =
                |rule: fn(f64) -> bool| values.iter().map(|&x| f64::from(u8::from(rule(x)))).collect::<Vec<_>>();
            assert_eq!(found["nan"].to_f64_vec(), truth(f64::is_nan), "{dtype} on {device:?}");
            assert_eq!(found["inf"].to_f64_vec(), truth(f64::is_infinite), "{dtype} on {device:?}");
            assert_eq!(found["sum"].item().unwrap(), 4.0);
        }
    }
    let g = Graph::new();
    let _ = g.input("x", [1], I32).is_nan();
    assert!(g.error().is_some_and(|error| error.to_string().contains("wants floats, not i32")));
}

#[test]
fn a_rest_has_the_sign_of_the_divisor() {
    let pairs = [(7, 3), (-7, 3), (7, -3), (-7, -3), (6, 3), (-6, 3), (0, -5), (5, 0)];
    let (a, b): (Vec<i64>, Vec<i64>) = pairs.iter().copied().unzip();
    let g = Graph::new();
    let (x, y) = (g.input("x", [pairs.len()], I64), g.input("y", [pairs.len()], I64));
    g.output("whole", &x.floor_rem(&y));
    g.output("float", &x.cast(F32).floor_rem(y.cast(F32)));
    let data = |values: &[i64]| TensorData::from_slice(values, [values.len()]).unwrap();
    for device in devices() {
        let found = g.compile(&device).unwrap().run(&[("x", &data(&a)), ("y", &data(&b))]).unwrap();
        assert_eq!(found["whole"].to_vec::<i64>().unwrap(), [1, 2, -2, -1, 0, 0, 0, 0], "{device:?}");
        assert_eq!(found["float"].to_f64_vec()[..7], [1.0, 2.0, -2.0, -1.0, 0.0, 0.0, 0.0], "{device:?}");
    }
}

#[test]
fn the_last_of_equals_and_the_smallest() {
    let values = [3.0, 1.0, 3.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let g = Graph::new();
    let x = g.input("x", [2, 5], F32);
    for (name, y) in [
        ("max", x.argmax(1)),
        ("last max", x.argmax_last(1)),
        ("min", x.argmin(-1)),
        ("last min", x.argmin_last(-1)),
        ("last of a column", x.argmax_last(0)),
    ] {
        g.output(name, &y);
    }
    let (smallest, indices) = x.bottom_k(3, 1);
    g.output("smallest", &smallest);
    g.output("indices", &indices);
    for device in devices() {
        let data = TensorData::from_f64(F32, &values, [2, 5]).unwrap();
        let found = g.compile(&device).unwrap().run(&[("x", &data)]).unwrap();
        let indices = |name: &str| found[name].to_vec::<i32>().unwrap();
        assert_eq!(indices("max"), [0, 0]);
        assert_eq!(indices("last max"), [2, 4]);
        assert_eq!(indices("min"), [1, 0]);
        assert_eq!(indices("last min"), [3, 4]);
        assert_eq!(indices("last of a column"), [0, 0, 0, 0, 0]);
        assert_eq!(found["smallest"].to_f64_vec(), [1.0, 1.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(indices("indices"), [1, 3, 4, 0, 1, 2]);
    }
}
