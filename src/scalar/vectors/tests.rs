//! Codes against the expressions that they were compiled from, in all of their domain.

use super::*;
use crate::scalar::threefry::HostRandom;
use crate::scalar::{Affine, NUMERIC, Source, Tape, Value, Writing, map};
use crate::tensor::DType;

const INPUTS: usize = 4;

/// Numbers of every kind, and where functions change.
const AWKWARD: [f64; 14] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    3.0e38,
    -3.0e38,
    1e-30,
    -1e-42,
    88.0,
    -90.0,
];

type Write = for<'b> fn([Value<'b>; INPUTS]) -> Vec<Value<'b>>;

fn written(write: impl for<'b> Fn([Value<'b>; INPUTS]) -> Vec<Value<'b>>) -> ScalarExpr {
    let writing = Writing::new(DType::F64);
    let inputs = std::array::from_fn(|k| writing.build(|builder| builder.load(k, DType::F64, Affine::constant(0, 0))));
    let outputs: Vec<_> = write(inputs).into_iter().map(|value| (value.id(), DType::F64)).collect();
    writing.finish().unwrap().finish(Vec::new(), vec![DType::F64; INPUTS], outputs)
}

/// What the tape makes of one point.
fn reference(expression: &ScalarExpr, point: [f64; INPUTS]) -> Vec<f64> {
    let bytes = point.map(f64::to_ne_bytes);
    let mut results = vec![[0; 8]; expression.outputs.len()];
    let mut outputs: Vec<&mut [u8]> = results.iter_mut().map(|bytes| &mut bytes[..]).collect();
    map(&Tape::new(expression), &bytes.each_ref().map(|bytes| Source::Bytes(bytes)), &mut outputs);
    results.into_iter().map(f64::from_ne_bytes).collect()
}

/// Runs an expression over rows of units whose inputs are beside each other in memory, and so are its outputs.
fn check<T: Units>(expression: &ScalarExpr, [rows, units]: [usize; 2], tolerance: f64, back: fn(T) -> f64) {
    let mut random = HostRandom::new(units as u64);
    let draw = |k: usize, random: &mut HostRandom| match k % 3 {
        0 => AWKWARD[(random.uniform_f32() * AWKWARD.len() as f32) as usize],
        _ => random.normal() * 2.0,
    };
    let values: Vec<T> = (0..rows * units * INPUTS).map(|k| T::real(draw(k, &mut random))).collect();
    let width = units * INPUTS;
    let inputs: Vec<Layout> = (0..INPUTS).map(|offset| Layout { buffer: 0, offset, stride: INPUTS }).collect();
    // All outputs in one buffer, and each in its own.
    let count = expression.outputs.len();
    for shared in [true, false] {
        let outputs: Vec<Layout> = (0..count)
            .map(|k| match shared {
                true => Layout { buffer: 0, offset: k, stride: count },
                false => Layout { buffer: k, offset: 0, stride: 1 },
            })
            .collect();
        let code = Code::new(expression, &inputs, &outputs);
        let mut memory = vec![vec![T::real(7.0); rows * units * count]; if shared { 1 } else { count }];
        let mut slices: Vec<&mut [T]> = memory.iter_mut().map(Vec::as_mut_slice).collect();
        code.run(&mut Scratch::new(units), rows, &[&values], &mut slices);
        for row in 0..rows {
            for unit in 0..units {
                let point = std::array::from_fn(|k| back(values[row * width + k * units + unit]));
                for (output, &wanted) in reference(expression, point).iter().enumerate() {
                    let Layout { buffer, offset, stride } = outputs[output];
                    let found = back(memory[buffer][(offset + row * stride) * units + unit]);
                    let close = found.is_nan() && wanted.is_nan()
                        || found == wanted
                        || (found - wanted).abs() <= tolerance * wanted.abs().max(1.0)
                        // What overflows f32 but not f64.
                        || size_of::<T>() == 4 && !(point.iter().all(|value| value.abs() < 1e4 && value.abs() > 1e-20));
                    assert!(close, "{expression} at {point:?}: output {output} is {found}, and should be {wanted}");
                }
            }
        }
    }
}

const SIZES: [[usize; 2]; 6] = [[1, 1], [3, 5], [2, 16], [5, 33], [70, 17], [2, 1100]];

fn check_all(expression: &ScalarExpr) {
    for size in SIZES {
        check::<f64>(expression, size, 0.0, |value| value);
        check::<f32>(expression, size, 1e-4, f64::from);
    }
}

#[test]
fn chains_are_what_they_were_compiled_from() {
    let cases: &[Write] = &[
        |[a, b, _, _]| vec![a + b, a - b, a * b, a / b],
        |[a, b, c, d]| vec![a * b + c * d, a * b + c, c + a * b, a - b * c, a + b * (c - a)],
        |[a, b, c, d]| vec![a.sigmoid(), (a + b).sigmoid(), (a + b * c).sigmoid(), (a + b + c * d).sigmoid()],
        |[a, b, c, d]| {
            vec![a.tanh(), (a + b).tanh(), (a + b * c).tanh(), (c * d + (a + b)).tanh(), (a * b + c * d).tanh()]
        },
        |[a, b, _, _]| vec![a.relu(), (a + b).relu(), a * b.tanh(), a.square(), a, a, b],
        |[a, b, c, _]| vec![a * (1.0 - b), a * b * (1.0 - c), a * (b * (1.0 - b)), a * b * (c * (1.0 - c))],
        |[a, b, c, d]| vec![a * (1.0 - b * b), a * b * (1.0 - c.square()), a + b * c * (1.0 - d * d)],
        |[a, b, _, _]| {
            vec![b.call(ScalarFunction::LessEqual, &[b.number(0.0)]).select(0.0, a), b.less(a).select(a, 2.0)]
        },
        // A step of an LSTM, whose outputs are read again; values that are read twice.
        |[a, b, c, d]| {
            let (i, f) = ((a + b).sigmoid(), (a + c).sigmoid());
            let state = f * d + i * b.tanh();
            vec![i, f, state, i * state.tanh(), state]
        },
        |[a, b, c, d]| {
            let n = (a + b.sigmoid() * c).tanh();
            vec![n, n + b.sigmoid() * (d - n), b.sigmoid(), b.sigmoid() + n, n.number(0.25)]
        },
    ];
    for write in cases {
        check_all(&written(write));
    }
}

/// Two gates of the same form, whose inputs and results are beside each other, are one instruction.
#[test]
fn neighbours_are_computed_together() {
    let expression = written(|[a, b, c, d]| vec![(a + c).sigmoid(), (b + d).sigmoid()]);
    let inputs: Vec<Layout> = (0..4).map(|offset| Layout { buffer: 0, offset, stride: 4 }).collect();
    let outputs: Vec<Layout> = (0..2).map(|offset| Layout { buffer: 0, offset, stride: 2 }).collect();
    let code = Code::new(&expression, &inputs, &outputs);
    assert_eq!((code.instructions.len(), code.instructions[0].width), (1, 2));
    check_all(&expression);
}

#[test]
fn every_function_is_computed() {
    use ScalarFunction as F;
    let comparisons = [F::Equal, F::NotEqual, F::Less, F::LessEqual, F::Greater, F::GreaterEqual];
    for &function in NUMERIC.iter().chain(&comparisons) {
        let expression = written(|[a, b, c, _]| {
            let value = a.call(function, &[b, c][..function.arity() - 1]);
            vec![if comparisons.contains(&function) { value.select(a, b) } else { value }]
        });
        check::<f64>(&expression, [3, 21], 0.0, |value| value);
        // Where functions of f32 are steep, a point says little.
        check::<f32>(&expression, [3, 21], f64::INFINITY, f64::from);
    }
    for function in [F::IsNan, F::IsInf] {
        check_all(&written(|[a, b, c, _]| vec![a.call(function, &[]).select(b, c)]));
    }
    for function in [F::And, F::Or, F::Xor] {
        check_all(&written(|[a, b, c, d]| vec![a.less(b).call(function, &[c.less(d)]).select(a, b)]));
    }
    check_all(&written(|[a, b, _, _]| vec![a.less(b).call(F::Not, &[]).select(a, b)]));
}
