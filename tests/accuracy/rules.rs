//! What each scalar function is, in f64, and how far a device may be off.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

use wgrad::scalar::ScalarFunction as F;

/// A function's rule.
pub struct Rule {
    pub function: F,
    /// Its value in f64, of arguments that are f32.
    pub exact: fn(&[f64]) -> f64,
    /// The magnitude in whose units errors are counted; for most functions the value's own.
    pub scale: fn(&[f64], f64) -> f64,
    /// What the scale is called.
    pub unit: &'static str,
    /// Units in the last place that the CPU and a GPU may be off.
    pub cpu: f64,
    pub gpu: f64,
}

fn own(_: &[f64], value: f64) -> f64 {
    value
}
fn argument(x: &[f64], _: f64) -> f64 {
    x[0]
}
fn one(_: &[f64], _: f64) -> f64 {
    1.0
}

fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}
fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}
fn softplus(x: f64) -> f64 {
    larger(x, 0.0) + (-x.abs()).exp().ln_1p()
}
fn sign(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}
fn hard_sigmoid(x: f64) -> f64 {
    smaller(larger(x / 6.0 + 0.5, 0.0), 1.0)
}
/// Where the difference of exponentials overflows, half of one by its half.
fn hyperbolic(x: f64, sign: f64) -> f64 {
    if x.abs() < 1.0 && sign < 0.0 { x.sinh() } else { (x - LN_2).exp() + sign * (-x - LN_2).exp() }
}
fn expansion(x: f64, slope: f64) -> f64 {
    slope * x.exp_m1()
}

macro_rules! rules {
    ($($function:ident |$x:ident| $exact:expr, $scale:ident $unit:literal, $cpu:literal, $gpu:literal;)*) => {
        /// All of them, in the table's order.
        pub const RULES: &[Rule] = &[$(Rule {
            function: F::$function,
            exact: |$x| $exact,
            scale: $scale,
            unit: $unit,
            cpu: $cpu,
            gpu: $gpu,
        }),*];
    };
}

rules! {
    Add |x| x[0] + x[1], own "", 0.5, 0.5;
    Sub |x| x[0] - x[1], own "", 0.5, 0.5;
    Mul |x| x[0] * x[1], own "", 0.5, 0.5;
    Div |x| x[0] / x[1], own "", 0.5, 2.5;
    Rem |x| x[0] % x[1], own "", 0.0, 0.0;
    Pow |x| x[0].powf(x[1]), own "", 1.0, 2.0;
    Maximum |x| larger(x[0], x[1]), own "", 0.0, 0.0;
    Minimum |x| smaller(x[0], x[1]), own "", 0.0, 0.0;
    Clamp |x| smaller(larger(x[0], x[1]), x[2]), own "", 0.0, 0.0;
    Atan2 |x| x[0].atan2(x[1]), own "", 1.5, 3.0;
    Neg |x| -x[0], own "", 0.0, 0.0;
    Abs |x| x[0].abs(), own "", 0.0, 0.0;
    Sign |x| sign(x[0]), own "", 0.0, 0.0;
    Floor |x| x[0].floor(), own "", 0.0, 0.0;
    Ceil |x| x[0].ceil(), own "", 0.0, 0.0;
    Round |x| x[0].round_ties_even(), own "", 0.0, 0.0;
    Trunc |x| x[0].trunc(), own "", 0.0, 0.0;
    Reciprocal |x| 1.0 / x[0], own "", 0.5, 2.5;
    Square |x| x[0] * x[0], own "", 0.5, 0.5;
    Sqrt |x| x[0].sqrt(), own "", 0.5, 3.0;
    Rsqrt |x| 1.0 / x[0].sqrt(), own "", 1.5, 3.0;
    Exp |x| x[0].exp(), own "", 2.0, 2.0;
    Expm1 |x| x[0].exp_m1(), own "", 4.0, 4.0;
    Log |x| x[0].ln(), own "", 2.0, 2.0;
    Log1p |x| x[0].ln_1p(), own "", 4.0, 4.0;
    Sin |x| x[0].sin(), own "", 1.0, 3.0;
    Cos |x| x[0].cos(), own "", 1.0, 3.0;
    Tan |x| x[0].tan(), own "", 1.0, 4.0;
    Asin |x| x[0].asin(), own "", 1.0, 3.0;
    Acos |x| x[0].acos(), own "", 1.0, 3.0;
    Atan |x| x[0].atan(), own "", 1.0, 3.0;
    Sinh |x| hyperbolic(x[0], -1.0), own "", 1.0, 4.0;
    Cosh |x| hyperbolic(x[0], 1.0), own "", 1.0, 4.0;
    Asinh |x| libm::asinh(x[0]), own "", 1.0, 4.0;
    Acosh |x| if x[0] < 1.0 { f64::NAN } else { libm::acosh(x[0]) }, own "", 1.0, 4.0;
    Atanh |x| libm::atanh(x[0]), own "", 1.0, 4.0;
    Erf |x| libm::erf(x[0]), own "", 4.0, 4.0;
    Tanh |x| x[0].tanh(), own "", 4.0, 4.0;
    Sigmoid |x| sigmoid(x[0]), own "", 4.0, 3.0;
    Relu |x| larger(x[0], 0.0), own "", 0.0, 0.0;
    LeakyRelu |x| if x[0] >= 0.0 { x[0] } else { x[0] * x[1] }, own "", 0.5, 0.5;
    Elu |x| if x[0] > 0.0 { x[0] } else { expansion(x[0], x[1]) }, own "", 4.0, 4.0;
    Selu |x| if x[0] > 0.0 { 1.050_700_987_355_480_5 * x[0] } else { expansion(x[0], 1.758_099_340_847_376_6) }, own "", 4.0, 5.0;
    Celu |x| if x[0] > 0.0 { x[0] } else { expansion(x[0] / x[1], x[1]) }, own "", 5.0, 5.0;
    Gelu |x| 0.5 * x[0] * libm::erfc(-x[0] * FRAC_1_SQRT_2), argument "of x", 3.0, 3.0;
    GeluTanh |x| x[0] * sigmoid(2.0 * 0.797_884_560_802_865_4 * (x[0] + 0.044_715 * x[0] * x[0] * x[0])), argument "of x", 4.0, 4.0;
    Silu |x| x[0] * sigmoid(x[0]), own "", 4.0, 4.0;
    Mish |x| x[0] * softplus(x[0]).tanh(), own "", 8.0, 8.0;
    Softplus |x| softplus(x[0]), own "", 4.0, 4.0;
    LogSigmoid |x| -softplus(-x[0]), own "", 4.0, 4.0;
    Softsign |x| x[0] / (1.0 + x[0].abs()), own "", 1.5, 3.5;
    HardSigmoid |x| hard_sigmoid(x[0]), one "of 1", 1.0, 1.0;
    HardSwish |x| x[0] * hard_sigmoid(x[0]), argument "of x", 1.5, 1.5;
}
