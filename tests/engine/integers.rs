//! Integers, and casts to and from them: every device gives what Rust's wrapping arithmetic and saturating casts give.

use wgrad::prelude::*;

use super::support::devices::devices;

const INTEGERS: [i32; 14] = [0, 1, -1, 2, -3, 7, -7, 31, 32, 100, -100, 65_537, i32::MAX, i32::MIN];

/// Every pair of the numbers.
fn pairs() -> (Vec<i32>, Vec<i32>) {
    INTEGERS.iter().flat_map(|&a| INTEGERS.iter().map(move |&b| (a, b))).unzip()
}

#[test]
fn arithmetic_wraps_and_division_by_zero_is_defined() {
    type Rule = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(i32, i32) -> i32, fn(u32, u32) -> u32);
    let rules: [Rule; 11] = [
        ("add", |a, b| a + b, i32::wrapping_add, u32::wrapping_add),
        ("sub", |a, b| a - b, i32::wrapping_sub, u32::wrapping_sub),
        ("mul", |a, b| a * b, i32::wrapping_mul, u32::wrapping_mul),
        ("div", |a, b| a / b, |a, b| if b == 0 { a } else { a.wrapping_div(b) }, |a, b| a.checked_div(b).unwrap_or(a)),
        ("rem", |a, b| a % b, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }, |a, b| a.checked_rem(b).unwrap_or(0)),
        ("maximum", |a, b| a.maximum(b), i32::max, u32::max),
        ("minimum", |a, b| a.minimum(b), i32::min, u32::min),
        ("bitwise_xor", |a, b| a.bitwise_xor(b), |a, b| a ^ b, |a, b| a ^ b),
        ("shift_left", |a, b| a.shift_left(b), |a, b| a.wrapping_shl(b as u32), u32::wrapping_shl),
        ("shift_right", |a, b| a.shift_right(b), |a, b| a.wrapping_shr(b as u32), u32::wrapping_shr),
        ("sign", |a, _| a.sign(), |a, _| a.signum(), |a, _| a.min(1)),
    ];
    let (a, b) = pairs();
    let n = a.len();
    let g = Graph::new();
    let (x, y) = (g.input("x", [n], I32), g.input("y", [n], I32));
    for (name, build, ..) in rules {
        g.output(name, &build(&x, &y));
        g.output(&format!("unsigned {name}"), &build(&x.cast(U32), &y.cast(U32)));
    }
    let inputs = [
        ("x".to_owned(), TensorData::from_vec(a.clone(), [n]).unwrap()),
        ("y".to_owned(), TensorData::from_vec(b.clone(), [n]).unwrap()),
    ];
    for device in devices() {
        let found = super::run(&mut g.compile(&device).unwrap(), &inputs);
        for (name, _, signed, unsigned) in rules {
            let (words, unsigned_words) = (
                found[name].to_vec::<i32>().unwrap(),
                found[format!("unsigned {name}").as_str()].to_vec::<u32>().unwrap(),
            );
            for k in 0..n {
                let (a, b) = (a[k], b[k]);
                assert_eq!(words[k], signed(a, b), "{name} of {a} and {b} on {device:?}");
                let (a, b) = (a as u32, b as u32);
                assert_eq!(unsigned_words[k], unsigned(a, b), "{name} of {a} and {b} on {device:?}");
            }
        }
    }
}

#[test]
fn casts_truncate_and_saturate() {
    let floats = [
        0.0_f32,
        -0.0,
        0.5,
        -0.5,
        0.99,
        -0.99,
        1.5,
        -1.5,
        2.5,
        254.9,
        255.0,
        256.0,
        1e6,
        -1e6,
        2_147_483_520.0,
        2_147_483_648.0,
        -2_147_483_648.0,
        -2_147_483_904.0,
        4_294_967_040.0,
        4_294_967_296.0,
        1e20,
        -1e20,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    let g = Graph::new();
    let (x, n) = (g.input("x", [floats.len()], F32), g.input("n", [INTEGERS.len()], I32));
    for dtype in [I32, U32, U8, Bool] {
        g.output(&format!("float to {dtype}"), &x.cast(dtype));
        g.output(&format!("integer to {dtype}"), &n.cast(dtype));
    }
    g.output("back", &n.cast(F32));
    g.output("unsigned back", &n.cast(U32).cast(F32));
    g.output("truth", &x.cast(Bool).cast(F32));
    g.output("pixel", &n.cast(U8).cast(F32));
    let inputs = [
        ("x".to_owned(), TensorData::from_vec(floats.to_vec(), [floats.len()]).unwrap()),
        ("n".to_owned(), TensorData::from_vec(INTEGERS.to_vec(), [INTEGERS.len()]).unwrap()),
    ];
    for device in devices() {
        let found = super::run(&mut g.compile(&device).unwrap(), &inputs);
        let compare =
            |name: &str, wanted: Vec<f64>| assert_eq!(found[name].to_f64_vec(), wanted, "{name} on {device:?}");
        compare("float to i32", floats.iter().map(|&x| f64::from(x as i32)).collect());
        compare("float to u32", floats.iter().map(|&x| f64::from(x as u32)).collect());
        compare("float to u8", floats.iter().map(|&x| f64::from(x as u8)).collect());
        compare("float to bool", floats.iter().map(|&x| f64::from(u8::from(x != 0.0))).collect());
        compare("integer to u32", INTEGERS.iter().map(|&n| f64::from(n as u32)).collect());
        compare("integer to u8", INTEGERS.iter().map(|&n| f64::from(n as u8)).collect());
        compare("integer to bool", INTEGERS.iter().map(|&n| f64::from(u8::from(n != 0))).collect());
        compare("back", INTEGERS.iter().map(|&n| f64::from(n as f32)).collect());
        compare("unsigned back", INTEGERS.iter().map(|&n| f64::from(n as u32 as f32)).collect());
        compare("truth", floats.iter().map(|&x| f64::from(u8::from(x != 0.0))).collect());
        compare("pixel", INTEGERS.iter().map(|&n| f64::from(n as u8)).collect());
    }
}
