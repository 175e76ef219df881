//! NaN stays NaN, and infinities follow IEEE: whatever the operands are (inputs, constants, the same value twice), and whatever a compiler of
//! shaders would like to make of the expression.

use wgrad::prelude::*;
use wgrad::scalar::{NUMERIC, ScalarFunction as F};

use super::rules::RULES;
use super::support::devices::devices;
use super::walk::SPECIALS;
use super::{evaluate, same, vector};

/// Constants: those of `SPECIALS` but subnormals, which a GPU may take for 0.
fn constants() -> Vec<f32> {
    SPECIALS.into_iter().filter(|x| *x == 0.0 || !x.is_finite() || x.abs() >= f32::MIN_POSITIVE).collect()
}

fn apply(function: F, operands: &[&Tensor]) -> Tensor {
    operands[0].elementwise(function, &operands[1..])
}

#[test]
fn what_is_no_number_stays_none() {
    for device in devices() {
        for &function in NUMERIC {
            for argument in 0..function.arity() {
                let columns: Vec<Vec<f32>> = (0..function.arity())
                    .map(|k| if k == argument { vec![f32::NAN, -f32::NAN] } else { vec![0.5, 2.0] })
                    .collect();
                let inputs: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
                let found = evaluate(&device, &inputs, |x| vec![apply(function, &x.iter().collect::<Vec<_>>())]);
                // In LeakyRelu and the like, the slope of a positive number plays no part.
                let unused = argument == 1 && matches!(function, F::LeakyRelu | F::Elu | F::Celu);
                assert!(unused || found[0].iter().all(|y| y.is_nan()), "{} {argument} on {device:?}", function.name());
            }
        }
    }
}

/// The value of a function of one or two operands in f32, by the rule in f64.
fn expected(function: F, a: f32, b: f32) -> f32 {
    let rule = RULES.iter().find(|rule| rule.function == function).unwrap();
    (rule.exact)(&[f64::from(a), f64::from(b)][..function.arity()]) as f32
}

/// Within two units in the last place, or both NaN. Results that are subnormal may be 0.
fn close(found: f32, right: f32) -> bool {
    let tiny = right.abs() < f32::MIN_POSITIVE && found.abs() <= f32::MIN_POSITIVE;
    same(found, right) || tiny || (found - right).abs() <= 2.5 * f32::EPSILON * right.abs()
}

#[test]
fn constants_are_operands_like_others() {
    let functions = [F::Add, F::Sub, F::Mul, F::Div, F::Rem, F::Pow, F::Maximum, F::Minimum, F::Atan2];
    let numbers = constants();
    for device in devices() {
        for function in functions {
            let found = evaluate(&device, &[&numbers], |x| {
                let constant = |value: f32| x[0].graph().constant(vector(&[value])).broadcast_to(x[0].shape());
                let sides = numbers.iter().flat_map(|&number| {
                    let number = constant(number);
                    [apply(function, &[&x[0], &number]), apply(function, &[&number, &x[0]])]
                });
                let mut all: Vec<Tensor> = sides.collect();
                // Two constants: known before any device sees them.
                all.extend(
                    numbers
                        .iter()
                        .flat_map(|&a| numbers.iter().map(move |&b| (a, b)).collect::<Vec<_>>())
                        .step_by(7)
                        .map(|(a, b)| apply(function, &[&constant(a), &constant(b)])),
                );
                all
            });
            let mut found = found.into_iter();
            for &constant in &numbers {
                for flipped in [false, true] {
                    let values = found.next().unwrap();
                    for (&x, y) in numbers.iter().zip(values) {
                        let (a, b) = if flipped { (constant, x) } else { (x, constant) };
                        let right = expected(function, a, b);
                        let name = function.name();
                        assert!(
                            close(y, right),
                            "{name}({a:e}, {b:e}) is {y:e}, not {right:e}: constant {constant:e}, {device:?}"
                        );
                    }
                }
            }
            let pairs = numbers.iter().flat_map(|&a| numbers.iter().map(move |&b| (a, b))).step_by(7);
            for ((a, b), values) in pairs.zip(found) {
                let right = expected(function, a, b);
                assert!(
                    values.iter().all(|&y| close(y, right)),
                    "{}({a:e}, {b:e}) of constants, {device:?}",
                    function.name()
                );
            }
        }
    }
}

type Form = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(f32, f32) -> f32);

/// Forms that compilers of shaders calculate with, as with real numbers. Truth values are numbers here.
const FORMS: &[Form] = &[
    ("x - x", |x, _| x - x, |x, _| x - x),
    ("x / x", |x, _| x / x, |x, _| x / x),
    ("x * 0", |x, _| x * 0.0, |x, _| x * 0.0),
    ("0 / x", |x, _| 0.0 / x, |x, _| 0.0 / x),
    ("x / 0", |x, _| x / 0.0, |x, _| x / 0.0),
    ("x / 3e38", |x, _| x / 3e38, |x, _| x / 3e38),
    ("(x + y) - x", |x, y| (x + y) - x, |x, y| (x + y) - x),
    ("x - (x + y)", |x, y| x - (x + y), |x, y| x - (x + y)),
    ("(x + 1e8) - 1e8", |x, _| (x + 1e8) - 1e8, |x, _| (x + 1e8) - 1e8),
    ("(x * y) / x", |x, y| (x * y) / x, |x, y| (x * y) / x),
    ("x * (1 / x)", |x, _| x * x.reciprocal(), |x, _| x * (1.0 / x)),
    ("sqrt(x)²", |x, _| x.sqrt().square(), |x, _| x.sqrt() * x.sqrt()),
    ("sqrt(x) sqrt(x)", |x, _| x.sqrt() * x.sqrt(), |x, _| x.sqrt() * x.sqrt()),
    ("sqrt(x²)", |x, _| x.square().sqrt(), |x, _| (x * x).sqrt()),
    ("x == x", |x, _| x.eq(x), |x, _| f32::from(u8::from(!x.is_nan()))),
    ("x != x", |x, _| x.ne(x), |x, _| f32::from(u8::from(x.is_nan()))),
    ("x <= x", |x, _| x.le(x), |x, _| f32::from(u8::from(!x.is_nan()))),
    ("x < x", |x, _| x.lt(x), |_, _| 0.0),
    ("x == y", |x, y| x.eq(y), |x, y| f32::from(u8::from(x == y))),
    ("x != y", |x, y| x.ne(y), |x, y| f32::from(u8::from(x != y))),
    ("x < y", |x, y| x.lt(y), |x, y| f32::from(u8::from(x < y))),
    ("x <= y", |x, y| x.le(y), |x, y| f32::from(u8::from(x <= y))),
    ("x > y", |x, y| x.gt(y), |x, y| f32::from(u8::from(x > y))),
    ("x >= y", |x, y| x.ge(y), |x, y| f32::from(u8::from(x >= y))),
    (
        "!(x < y)",
        |x, y| x.lt(y).logical_not(),
        |x, y| f32::from(u8::from(!matches!(x.partial_cmp(&y), Some(std::cmp::Ordering::Less)))),
    ),
    ("!(x >= 0)", |x, _| x.ge(0.0).logical_not(), |x, _| f32::from(u8::from(x < 0.0 || x.is_nan()))),
    ("x + y < x", |x, y| (x + y).lt(x), |x, y| f32::from(u8::from(x + y < x))),
    ("x < y ? x : y", |x, y| x.lt(y).select(x, y), |x, y| if x < y { x } else { y }),
    ("x > y ? x : y", |x, y| x.gt(y).select(x, y), |x, y| if x > y { x } else { y }),
    ("x <= y ? y : x", |x, y| x.le(y).select(y, x), |x, y| if x <= y { y } else { x }),
    ("x < 0 ? 0 : x", |x, _| x.lt(0.0).select(0.0, x).cast(F32), |x, _| if x < 0.0 { 0.0 } else { x }),
    ("x > 0 ? x : 0", |x, _| x.gt(0.0).select(x, 0.0), |x, _| if x > 0.0 { x } else { 0.0 }),
    ("x < 0 ? -x : x", |x, _| x.lt(0.0).select(-x, x), |x, _| if x < 0.0 { -x } else { x }),
    ("relu", |x, _| x.relu(), |x, _| if x < 0.0 { 0.0 } else { x }),
    ("relu6", |x, _| x.clamp(0.0, 6.0), |x, _| if x.is_nan() { x } else { x.clamp(0.0, 6.0) }),
    ("maximum with 0.5", |x, _| x.maximum(0.5), |x, _| if x.is_nan() { x } else { x.max(0.5) }),
    (
        "0.5 with minimum",
        |x, _| x.graph().scalar(F32, 0.5).broadcast_to(x.shape()).minimum(x),
        |x, _| if x.is_nan() { x } else { x.min(0.5) },
    ),
    ("clamp by infinities", |x, _| x.clamp(f64::NEG_INFINITY, f64::INFINITY), |x, _| x),
    ("x + inf", |x, _| x + f64::INFINITY, |x, _| x + f32::INFINITY),
    ("x * -inf", |x, _| x * f64::NEG_INFINITY, |x, _| x * f32::NEG_INFINITY),
    ("x + NaN", |x, _| x + f64::NAN, |_, _| f32::NAN),
    ("log(exp(x))", |x, _| x.exp().log(), |x, _| f64::from((f64::from(x)).exp() as f32).ln() as f32),
    ("to i32", |x, _| x.cast(I32), |x, _| x as i32 as f32),
    ("to u32", |x, _| x.cast(U32), |x, _| x as u32 as f32),
    ("to u8", |x, _| x.cast(U8), |x, _| f32::from(x as u8)),
    ("to bool", |x, _| x.cast(Bool), |x, _| f32::from(u8::from(x != 0.0))),
    ("to f16", |x, _| x.cast(F16), |x, _| half::f16::from_f32(x).to_f32()),
    ("to bf16", |x, _| x.cast(BF16), |x, _| half::bf16::from_f32(x).to_f32()),
    ("is NaN", |x, _| x.is_nan(), |x, _| f32::from(u8::from(x.is_nan()))),
    ("is infinite", |x, _| x.is_inf(), |x, _| f32::from(u8::from(x.is_infinite()))),
];

#[test]
fn forms_that_compilers_calculate_with_are_what_they_are() {
    let numbers = constants();
    let (a, b): (Vec<f32>, Vec<f32>) = numbers.iter().flat_map(|&a| numbers.iter().map(move |&b| (a, b))).unzip();
    let mut wrong = Vec::new();
    for device in devices() {
        for (name, build, rule) in FORMS {
            let found = evaluate(&device, &[&a, &b], |x| vec![build(&x[0], &x[1])]).swap_remove(0);
            for ((&x, &y), found) in a.iter().zip(&b).zip(found) {
                let right = rule(x, y);
                let off = if *name == "log(exp(x))" { 1e-6 * right.abs().max(1.0) } else { 0.0 };
                if !close(found, right) && (found - right).abs().partial_cmp(&off) != Some(std::cmp::Ordering::Less) {
                    wrong.push(format!("{name} of {x:e}, {y:e} is {found:e}, not {right:e}, on {device:?}"));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type OfIntegers = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(i32, i32) -> i32);

/// Integers wrap; a quotient by 0 is the dividend, and its rest 0.
const INTEGERS: &[OfIntegers] = &[
    ("+", |x, y| x + y, i32::wrapping_add),
    ("-", |x, y| x - y, i32::wrapping_sub),
    ("*", |x, y| x * y, i32::wrapping_mul),
    ("/", |x, y| x / y, |x, y| if y == 0 { x } else { x.wrapping_div(y) }),
    ("%", |x, y| x % y, |x, y| if y == 0 { 0 } else { x.wrapping_rem(y) }),
    ("max", |x, y| x.maximum(y), i32::max),
    ("min", |x, y| x.minimum(y), i32::min),
    ("neg", |x, _| -x, |x, _| x.wrapping_neg()),
    ("abs", |x, _| x.abs(), |x, _| x.wrapping_abs()),
    ("sign", |x, _| x.sign(), |x, _| x.signum()),
    ("square", |x, _| x.square(), |x, _| x.wrapping_mul(x)),
    ("clamp", |x, _| x.clamp(-2.0, 7.0), |x, _| x.clamp(-2, 7)),
    ("x - x", |x, _| x - x, |_, _| 0),
    ("7 / 0", |x, _| (x.zeros_like() + 7) / x.zeros_like(), |_, _| 7),
    ("max + 1", |x, _| x.zeros_like() + 2_147_483_647 + 1, |_, _| i32::MIN),
    ("x / 0", |x, _| x / 0, |x, _| x),
    ("x % 0", |x, _| x % 0, |_, _| 0),
    ("x / -1", |x, _| x / -1, |x, _| x.wrapping_neg()),
];

#[test]
fn integers_wrap_alike_everywhere() {
    let numbers = [0, 1, -1, 2, -2, 7, -7, 31, 46_341, i32::MAX, i32::MIN, i32::MIN + 1];
    let (a, b): (Vec<i32>, Vec<i32>) = numbers.iter().flat_map(|&a| numbers.iter().map(move |&b| (a, b))).unzip();
    for device in devices() {
        let g = Graph::new();
        let (x, y) = (g.input("x", [a.len()], I32), g.input("y", [a.len()], I32));
        // What plays no part is an input all the same.
        g.output("both", &(&x + &y));
        for (name, build, _) in INTEGERS {
            g.output(name, &build(&x, &y));
        }
        let data = [&a, &b].map(|values| TensorData::from_slice(values, [values.len()]).unwrap());
        let found = g.compile(&device).unwrap().run(&[("x", &data[0]), ("y", &data[1])]).unwrap();
        for (name, _, rule) in INTEGERS {
            let values = found[name].to_vec::<i32>().unwrap();
            for ((&x, &y), found) in a.iter().zip(&b).zip(values) {
                assert_eq!(found, rule(x, y), "{name} of {x} and {y} on {device:?}");
            }
        }
    }
}
