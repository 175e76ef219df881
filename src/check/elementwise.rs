//! Families of scalar functions: one for each row of their table, with the inputs on which it is worth looking at.

use super::Family;
use super::input::Input;
use crate::graph::Tensor;
use crate::ops::{Elementwise, Op};
use crate::scalar::{NUMERIC, ScalarFunction, Signature};
use crate::tensor::DType;

/// Arithmetic that is rounded once or twice.
const EXACT: f64 = 2e-6;

/// Functions that WGSL leaves some slack: e^x may be off by 3 + 2·|x| units in the last place.
const SLACK: f64 = 5e-5;

/// Where functions bend, cancel, or leave the range of what their formula can take.
const AWKWARD: &[f64] = &[0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-6, -1e-6, 1e-3, -3.0, 3.0, 20.0, -20.0, 80.0, -80.0];

/// Halves, between which rounding decides.
const HALVES: &[f64] = &[0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 7.0, -7.0, 16_777_216.0];

/// Positive numbers of all sizes.
const POSITIVE: &[f64] = &[1e-30, 1e-6, 0.25, 1.0, 1.0 + 1e-6, 2.0, 65_504.0, 1e30];

/// Everything that is awkward about floats: NaN, infinities, zeros of both signs, the largest and the smallest, and
/// neighbours of 1. Without subnormals, for functions whose results differ where a driver takes those for 0.
const EXTREMES: &[f64] = &[
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -3.0,
    3.0,
    F32_MAX,
    -F32_MAX,
    F32_MIN,
    -F32_MIN,
    1e30,
    -1e30,
    1.0 - 6e-8,
    16_777_216.0,
    -8_388_607.5,
    100.5,
    -88.0,
    2_147_483_648.0,
    -2_147_483_904.0,
    4_294_967_296.0,
];

/// The same with subnormals.
const SUBNORMALS: &[f64] =
    &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40, 1e-45, 9e-39, F32_MAX];

/// The largest and the smallest normal f32.
const F32_MAX: f64 = f32::MAX as f64;
const F32_MIN: f64 = f32::MIN_POSITIVE as f64;

/// Integers whose sums, products, negatives and quotients leave the type, or are by 0.
const INTEGER_EXTREMES: &[i64] = &[0, 1, -1, 2, -7, 31, 46_341, i32::MAX as i64, i32::MIN as i64, i32::MIN as i64 + 1];

/// True where a subnormal argument taken for 0 changes the result by more than a little.
fn minds_subnormals(function: ScalarFunction) -> bool {
    use ScalarFunction as F;
    matches!(function, F::Div | F::Rem | F::Reciprocal | F::Rsqrt | F::Atan2)
}

/// Sizes around those of a quad of lanes, a workgroup and a block.
const SHAPES: &[&[usize]] = &[&[1], &[3], &[5, 7], &[256], &[3, 1, 259], &[1025]];

/// What an argument of a function is.
fn argument(function: ScalarFunction, index: usize, shape: &[usize]) -> Input {
    use ScalarFunction as F;
    match (function, index) {
        (F::Log | F::Sqrt | F::Rsqrt, _) => Input::uniform(shape, 0.01, 10.0, POSITIVE),
        (F::Log1p, _) => Input::uniform(shape, -0.9, 10.0, &[0.0, 1e-6, -1e-6, 1e6]),
        (F::Pow, 0) => Input::uniform(shape, 0.1, 4.0, &[1.0, 2.0]),
        (F::Pow, _) => Input::awkward(shape, 2.0, &[0.0, 1.0, 2.0, 0.5, -1.0]),
        (F::Div, 1) | (F::Reciprocal, _) => Input::uniform(shape, 0.3, 4.0, &[-1.0, -3.0, 1e-3, 1e6]),
        // Powers of two: a quotient is exact, so that all agree on which side of an integer it is.
        (F::Rem, 1) => Input::some(shape, &[0.5, 1.0, 2.0, 4.0]),
        (F::Tan, _) => Input::uniform(shape, -1.4, 1.4, &[0.0, 1e-6]),
        (F::Sin | F::Cos, _) => {
            Input::awkward(shape, 10.0, &[0.0, 1e-6, 100.0, -100.0, std::f64::consts::FRAC_PI_2, std::f64::consts::PI])
        }
        (F::Atan2, _) => Input::uniform(shape, 0.1, 3.0, &[-1.0, -0.2, 100.0]),
        (F::LeakyRelu | F::Elu | F::Celu, 1) => Input::uniform(shape, 0.1, 2.0, &[]),
        (F::Floor | F::Ceil | F::Round | F::Trunc, _) => Input::awkward(shape, 10.0, HALVES),
        (F::Asin | F::Acos | F::Atanh, _) => Input::uniform(shape, -0.95, 0.95, &[0.0, 1e-6, -1e-6, 0.5]),
        (F::Acosh, _) => Input::uniform(shape, 1.1, 10.0, &[1.5, 1e4]),
        (F::Sinh | F::Cosh, _) => Input::awkward(shape, 3.0, &[0.0, -0.0, 1e-6, -1e-6, 0.99, 1.01]),
        (F::Clamp, 1) => Input::uniform(shape, -1.0, 0.0, &[]),
        (F::Clamp, 2) => Input::uniform(shape, 0.0, 1.0, &[]),
        (F::Celu | F::Elu, _) => Input::awkward(shape, 3.0, &[0.0, -0.0, 1e-6, -1e-6, 20.0, -20.0]),
        _ => Input::awkward(shape, 3.0, AWKWARD),
    }
}

fn tolerance(function: ScalarFunction) -> f64 {
    use ScalarFunction as F;
    match function {
        F::Add | F::Sub | F::Mul | F::Div | F::Rem | F::Maximum | F::Minimum | F::Neg | F::Abs | F::Sign | F::Floor => {
            EXACT
        }
        F::Clamp
        | F::Ceil
        | F::Round
        | F::Trunc
        | F::Square
        | F::Relu
        | F::LeakyRelu
        | F::HardSigmoid
        | F::HardSwish => EXACT,
        _ => SLACK,
    }
}

fn apply(function: ScalarFunction, inputs: &[Tensor]) -> Tensor {
    let [first, rest @ ..] = inputs else { unreachable!("a function has an argument") };
    first.graph().apply1(Op::Elementwise(Elementwise(function)), &[first].into_iter().chain(rest).collect::<Vec<_>>())
}

/// All of them.
pub(super) fn families() -> Vec<Family> {
    use ScalarFunction as F;
    let mut families: Vec<Family> = NUMERIC.iter().map(|&function| numeric(function)).collect();
    let pair = |shape: &[usize]| [Input::some(shape, AWKWARD), Input::some(shape, AWKWARD)];
    let extremes = [Input::some(&[1025], EXTREMES), Input::some(&[1025], EXTREMES)];
    for function in [F::Equal, F::NotEqual, F::Less, F::LessEqual, F::Greater, F::GreaterEqual] {
        let family = SHAPES.iter().fold(named(function, 0.0), |family, shape| {
            let family = family.forward(pair(shape), move |_, inputs| vec![apply(function, inputs)]);
            let integers = [Input::integers(shape, -3, 3), Input::integers(shape, -3, 3)];
            family.forward(integers, move |_, inputs| vec![apply(function, inputs)])
        });
        // Not by itself, and as the condition of a choice between what it compares: what compilers would make minima of.
        families.push(family.forward(extremes.clone(), move |_, inputs| {
            let [a, b] = inputs else { unreachable!("there are two") };
            let truth = apply(function, inputs);
            vec![truth.logical_not(), truth.select(a, b), truth.select(b, a)]
        }));
    }
    for function in [F::And, F::Or, F::Xor, F::Not] {
        let inputs = |shape: &[usize]| vec![Input::truth(shape); function.arity()];
        families.push(SHAPES.iter().fold(named(function, 0.0), |family, shape| {
            family.forward(inputs(shape), move |_, inputs| vec![apply(function, inputs)])
        }));
    }
    for function in [F::BitAnd, F::BitOr, F::BitXor, F::ShiftLeft, F::ShiftRight] {
        let shift = matches!(function, F::ShiftLeft | F::ShiftRight);
        let right = |shape: &[usize]| {
            if shift { Input::integers(shape, 0, 32) } else { Input::integers(shape, -99_999, 99_999) }
        };
        families.push(SHAPES.iter().fold(named(function, 0.0), |family, shape| {
            let inputs = [Input::integers(shape, -99_999, 99_999), right(shape)];
            family.forward(inputs, move |_, inputs| vec![apply(function, inputs)])
        }));
    }
    families.push(SHAPES.iter().fold(Family::new("elementwise/select", 0.0), |family, shape| {
        let inputs = [Input::truth(shape), Input::normal(shape), Input::normal(shape)];
        family.case(inputs, |inputs| apply(F::Select, inputs))
    }));
    families.push(casts());
    families.push(bit_casts());
    families
}

fn named(function: ScalarFunction, tolerance: f64) -> Family {
    Family::new(format!("elementwise/{}", function.name()), tolerance)
}

/// An argument at the ends of what there is.
fn extreme(function: ScalarFunction, index: usize, extremes: &'static [f64]) -> Input {
    use ScalarFunction as F;
    let shape = &[1025];
    match (function, index) {
        // As an α or a slope, only what is in range in f32 as in f64.
        (F::Elu | F::Celu | F::LeakyRelu, 1) => Input::uniform(shape, 0.1, 2.0, &[]),
        _ => Input::some(shape, extremes),
    }
}

fn numeric(function: ScalarFunction) -> Family {
    let mut family = named(function, tolerance(function));
    for shape in SHAPES {
        let inputs: Vec<Input> = (0..function.arity()).map(|index| argument(function, index, shape)).collect();
        family = family.case(inputs, move |inputs| apply(function, inputs));
    }
    for (extremes, wanted) in [(EXTREMES, true), (SUBNORMALS, !minds_subnormals(function))] {
        if wanted {
            let inputs: Vec<Input> = (0..function.arity()).map(|index| extreme(function, index, extremes)).collect();
            family = family.forward(inputs, move |_, inputs| vec![apply(function, inputs)]);
        }
    }
    if function.signature() == Signature::Number {
        let inputs = vec![Input::some_integers(&[301], INTEGER_EXTREMES); function.arity()];
        family = family.forward(inputs, move |_, inputs| vec![apply(function, inputs)]);
        let divides = matches!(function, ScalarFunction::Div | ScalarFunction::Rem);
        let low = |index: usize| if divides && index == 1 { 1 } else { -99 };
        let inputs: Vec<Input> = (0..function.arity()).map(|index| Input::integers(&[130], low(index), 99)).collect();
        family = family.forward(inputs, move |_, inputs| vec![apply(function, inputs)]);
    }
    family
}

/// Bits read as other types; the CPU, which otherwise computes in f64, does so in f32. Integers become floats only where they are
/// no denormal ones, which a GPU may flush.
fn bit_casts() -> Family {
    let mut family = Family::new("elementwise/bit_cast", 0.0);
    for shape in SHAPES {
        let floats = || Input::uniform(shape, -300.0, 300.0, &[0.0, -0.0, 1.0]);
        for to in [DType::I32, DType::U32] {
            family = family.forward([floats()], move |_, inputs| vec![inputs[0].cast(DType::F32).bit_cast(to)]);
        }
        family = family.forward([floats()], |_, inputs| {
            let bits = inputs[0].cast(DType::F32).bit_cast(DType::U32);
            vec![(bits.bit_cast(DType::I32) + 1).bit_cast(DType::F32)]
        });
        for (from, to) in [(DType::F16, DType::BF16), (DType::BF16, DType::F16)] {
            family = family.forward([floats()], move |_, inputs| vec![inputs[0].cast(from).bit_cast(to)]);
        }
    }
    family
}

/// From every type to every type that a GPU has, and back to one that can be read.
fn casts() -> Family {
    let mut family = Family::new("elementwise/cast", 0.0);
    for to in [DType::I32, DType::U32, DType::F16, DType::BF16, DType::Bool] {
        for shape in SHAPES {
            let low = if to == DType::U32 { 0.0 } else { -300.0 };
            let floats = Input::uniform(shape, low, 300.0, &[0.0, 0.5, 1.0, 100.5]);
            family = family.forward([floats], move |_, inputs| vec![inputs[0].cast(to)]);
            let integers = Input::integers(shape, low as i64, 300);
            family = family.forward([integers], move |_, inputs| vec![inputs[0].cast(to)]);
        }
    }
    for to in [DType::I32, DType::U32, DType::U8, DType::F16, DType::BF16, DType::Bool] {
        let floats = Input::some(&[301], if to == DType::Bool { SUBNORMALS } else { EXTREMES });
        family = family.forward([floats], move |_, inputs| vec![inputs[0].cast(to)]);
    }
    for shape in SHAPES {
        family = family.forward([Input::integers(shape, -999, 999)], |_, inputs| vec![inputs[0].cast(DType::F32)]);
        family = family.forward([Input::truth(shape)], |_, inputs| vec![inputs[0].cast(DType::F32)]);
    }
    family
}
