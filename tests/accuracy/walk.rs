//! The walk: arguments, what is tolerated by name, and the table of largest errors in docs/accuracy.md.

use std::fmt::Write;

use wgrad::prelude::*;
use wgrad::scalar::NUMERIC;
use wgrad::scalar::threefry::HostRandom;

use super::rules::{RULES, Rule};
use super::support::devices::devices;
use super::{evaluate, same};

/// Zeros, infinities, NaNs of both signs, subnormals, the smallest and largest numbers, integers and their neighbours.
pub const SPECIALS: [f32; 28] = [
    0.0,
    -0.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    -f32::NAN,
    1.0,
    -1.0,
    2.0,
    -2.0,
    0.5,
    -0.5,
    3.0,
    -3.0,
    1.5,
    1e-40,
    -1e-40,
    1e-45,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    f32::MAX,
    f32::MIN,
    1e30,
    -1e30,
    16_777_216.0,
    8_388_607.5,
    0.999_999_94,
    1.000_000_1,
];

/// Every exponent, both signs, several mantissas.
pub fn walk(seed: u64) -> Vec<f32> {
    let mut random = HostRandom::new(seed);
    let mut values = SPECIALS.to_vec();
    for exponent in 0..255_u32 {
        let drawn = std::array::from_fn::<u32, 8, _>(|_| random.below(1 << 23) as u32);
        for mantissa in [0, 1, 0x40_0000, 0x7f_ffff, 0x35_04f3].into_iter().chain(drawn) {
            let value = f32::from_bits(exponent << 23 | mantissa);
            values.extend([value, -value]);
        }
    }
    values
}

/// Arguments of a function: the walk, or for several arguments each special value with each other, and numbers from all over.
fn arguments(rule: &Rule) -> Vec<Vec<f32>> {
    let arity = rule.function.arity();
    if arity == 1 {
        return vec![walk(1)];
    }
    let mut random = HostRandom::new(2);
    let pool = walk(3);
    let mut columns = vec![Vec::new(); arity];
    // The α of an ELU is an ordinary number.
    let is_alpha = rule.function.name().ends_with("elu");
    let positive = |value: f32| if is_alpha { value.abs().clamp(0.1, 10.0) } else { value };
    for &a in &SPECIALS {
        for &b in &SPECIALS {
            let row = [a, positive(b), 2.0];
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
    }
    for k in 0..20_000_u32 {
        let mut row: [f32; 3] = std::array::from_fn(|_| pool[random.below(pool.len() as u64) as usize]);
        if rule.function.name() == "pow" {
            // Where the result is in range, and small integer exponents.
            let bits = random.uniform_f64() * 290.0 - 155.0;
            row[1] = match k % 4 {
                0 => (k / 4 % 19) as f32 - 9.0,
                _ => (bits / f64::from(row[0].abs()).log2()) as f32,
            };
        }
        if k % 2 == 0 && rule.function.name() != "pow" {
            row = row.map(|_| (random.normal() * 100.0) as f32);
        }
        row[1] = positive(row[1]);
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    columns
}

/// A number whose bits are those of a subnormal one.
fn is_subnormal(value: f64) -> bool {
    value != 0.0 && value.abs() < f64::from(f32::MIN_POSITIVE)
}

/// What drivers cannot keep: subnormal results may be 0, subnormal arguments and intermediate results may count as 0.
fn flushed(rule: &Rule, arguments: &[f64], found: f32, bound: f64) -> bool {
    let exact = (rule.exact)(arguments);
    // What is in between may be subnormal where the result is not: a sigmoid, a quotient by α.
    let least = if matches!(rule.function.name(), "silu" | "mish" | "celu") { 128.0 } else { 1.0 } * f32::MIN_POSITIVE;
    if exact.abs() < f64::from(least) && found.abs() <= least {
        return true;
    }
    let zeroed: Vec<f64> = arguments.iter().map(|&x| if is_subnormal(x) { 0.0_f64.copysign(x) } else { x }).collect();
    zeroed.iter().zip(arguments).any(|(a, b)| a != b) && error(rule, &zeroed, found) <= bound
}

/// The distance of a value from the exact one, in units of the last place.
fn error(rule: &Rule, arguments: &[f64], found: f32) -> f64 {
    let exact = (rule.exact)(arguments);
    let rounded = exact as f32;
    if same(found, rounded) {
        return 0.0;
    }
    if !found.is_finite() || !rounded.is_finite() {
        // The largest number is less than half a unit from infinity.
        let largest = found.abs().min(rounded.abs()) == f32::MAX && found.signum() == rounded.signum();
        return if largest { 1.0 } else { f64::INFINITY };
    }
    let scale = ((rule.scale)(arguments, exact) as f32).abs().clamp(f32::MIN_POSITIVE, f32::MAX.next_down());
    let unit = f64::from(scale.next_up()) - f64::from(scale);
    (f64::from(found) - exact).abs() / unit
}

/// The largest error of a function on a device, and its arguments; nothing of what is tolerated by name.
fn worst(rule: &Rule, device: &Device) -> (f64, Vec<f32>, f32) {
    let columns = arguments(rule);
    let inputs: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
    let found = evaluate(device, &inputs, |x| {
        let rest: Vec<&Tensor> = x[1..].iter().collect();
        vec![x[0].elementwise(rule.function, &rest)]
    });
    let bound = if device.is_cpu() { rule.cpu } else { rule.gpu };
    let mut worst = (0.0, Vec::new(), 0.0);
    for (index, &found) in found[0].iter().enumerate() {
        let row: Vec<f64> = columns.iter().map(|column| f64::from(column[index])).collect();
        let error = error(rule, &row, found);
        // On the CPU, only sigmoid is 0 where its value would be subnormal, and so is what is made of it; and a quotient by α loses digits.
        let may_flush = !device.is_cpu() || matches!(rule.function.name(), "sigmoid" | "silu" | "mish" | "celu");
        if error > worst.0 && !(may_flush && flushed(rule, &row, found, bound)) {
            worst = (error, columns.iter().map(|column| column[index]).collect(), found);
        }
    }
    worst
}

#[test]
fn every_function_has_a_rule() {
    let names: Vec<&str> = RULES.iter().map(|rule| rule.function.name()).collect();
    let table: Vec<&str> = NUMERIC.iter().map(|function| function.name()).collect();
    let missing: Vec<&&str> = table.iter().filter(|name| !names.contains(name)).collect();
    assert!(missing.is_empty() && names.len() == table.len(), "without a rule: {missing:?}");
}

#[test]
fn functions_are_right_over_their_whole_domain() {
    let mut complaints = Vec::new();
    for device in devices() {
        for rule in RULES {
            let bound = if device.is_cpu() { rule.cpu } else { rule.gpu };
            let (error, at, found) = worst(rule, &device);
            if error > bound {
                complaints.push(format!(
                    "{} of {at:?} on {device:?} is {found:e}: off by {error:.2} units, not {bound}",
                    rule.function.name()
                ));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

const BEGIN: &str = "<!-- table of errors: written by `cargo test --test accuracy -- --ignored` -->\n";
const END: &str = "<!-- end of the table -->\n";

/// Measures the table in docs/accuracy.md anew: `cargo test --test accuracy -- --ignored`.
#[test]
#[ignore = "writes docs/accuracy.md"]
fn write_the_table_of_errors() {
    let devices = devices();
    let mut table = String::from("| function | CPU | where | GPU (llvmpipe) | where |\n|---|---|---|---|---|\n");
    for rule in RULES {
        let _ = write!(table, "| {} ", format!("{} {}", rule.function.name(), rule.unit).trim_end());
        for device in &devices {
            let (error, at, _) = worst(rule, device);
            let at: Vec<String> = at.iter().map(|x| format!("{x:e}")).collect();
            let at = if at.is_empty() { "–".to_owned() } else { at.join(", ") };
            let _ = write!(table, "| {error:.2} | {at} ");
        }
        table.push_str("|\n");
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/accuracy.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
}
