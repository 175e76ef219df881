//! f16 and bf16: stored in 16 bits, computed in f32, rounded after every operator as the `half` crate rounds.

use half::{bf16, f16};
use wgrad::compiler::Options;
use wgrad::prelude::*;

use super::support::devices::devices;

/// Numbers at the edges of both types, and between two of their neighbours.
fn edges() -> Vec<f32> {
    let mut values = vec![
        0.0,
        -0.0,
        1.0,
        -1.5,
        1.0009765,
        1.000_488_3,
        1.001_464_8,
        0.1,
        1.0 / 3.0,
        65504.0,
        -65504.0,
        65519.0,
        65520.0,
        -65520.0,
        7e4,
        1e30,
        -1e38,
        3.39e38,
        3.3895e38,
        6.1035156e-5,
        6.097_555e-5,
        3.0517578e-5,
        5.9604645e-8,
        2.9802322e-8,
        2.9802326e-8,
        1e-8,
        -7e-8,
        1.1754944e-38,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    // Ties and near ties all over the range.
    for k in 0..40 {
        let exponent = 2.0_f32.powi(k - 26);
        values.extend([1.000_488_3 * exponent, 1.001_464_8 * exponent, 1.003_906_3 * exponent, 1.011_718_8 * exponent]);
    }
    values
}

fn round(dtype: DType, value: f32) -> f32 {
    if dtype == F16 { f16::from_f32(value).to_f32() } else { bf16::from_f32(value).to_f32() }
}

fn same(a: f32, b: f32) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

#[test]
fn casts_and_arithmetic_round_as_the_half_crate_does() {
    let values = edges();
    let n = values.len();
    for device in devices() {
        for dtype in [F16, BF16] {
            for fuse in [true, false] {
                let g = Graph::new();
                let (x, half_zero) = (g.input("x", [n], F32), g.input("half_zero", [1], dtype));
                let stored = g.input("stored", [n], dtype);
                let low = x.cast(dtype);
                g.output("cast", &low);
                g.output("widened", &stored.cast(F32));
                g.output("as_given", &(&stored + &half_zero));
                g.output("twice", &(&low + &low));
                g.output("chain", &((&low * &low + &low) * &stored));
                let session = Session::with_options(&g, &device, 0, Options { fuse, ..Options::default() });
                let mut session = session.unwrap_or_else(|error| panic!("{device:?}: {error}"));
                let narrow: Vec<f64> = values.iter().map(|&value| f64::from(round(dtype, value))).collect();
                let inputs = [
                    ("x".to_owned(), TensorData::from_vec(values.clone(), [n]).unwrap()),
                    ("half_zero".to_owned(), TensorData::zeros(dtype, [1])),
                    ("stored".to_owned(), TensorData::from_f64(dtype, &narrow, [n]).unwrap()),
                ];
                let found = super::run(&mut session, &inputs);
                let compare = |name: &str, wanted: &dyn Fn(f32) -> f32| {
                    for (&value, found) in values.iter().zip(found[name].to_f64_vec()) {
                        let wanted = wanted(value);
                        // A device may flush what is subnormal in f32.
                        let tiny = wanted.abs() < f32::MIN_POSITIVE || round(dtype, value).abs() < f32::MIN_POSITIVE;
                        if !same(found as f32, wanted) && (!tiny || device.is_cpu()) {
                            panic!("{name} of {value} in {dtype} on {device:?}, fuse {fuse}: {found}, wanted {wanted}");
                        }
                    }
                };
                let low = |value: f32| round(dtype, value);
                compare("cast", &low);
                compare("widened", &low);
                compare("as_given", &low);
                compare("twice", &|value| low(low(value) + low(value)));
                compare("chain", &|value| {
                    let x = low(value);
                    low(low(low(x * x) + x) * x)
                });
            }
        }
    }
}

#[test]
fn a_number_that_is_none_stays_none() {
    for device in devices() {
        for dtype in [F16, BF16] {
            let g = Graph::new();
            // Not x − x: WGSL lets a driver take that for 0.
            let (x, two) = (g.input("x", [3], dtype), g.input("two", [1], dtype));
            g.output("y", &(&x * &two));
            let given = |values: &[f64]| TensorData::from_f64(dtype, values, [values.len()]).unwrap();
            let inputs = [("x".to_owned(), given(&[f64::NAN, f64::INFINITY, 1.0])), ("two".to_owned(), given(&[2.0]))];
            let found = super::run(&mut g.compile(&device).unwrap(), &inputs)["y"].to_f64_vec();
            assert!(
                found[0].is_nan() && found[1] == f64::INFINITY && found[2] == 2.0,
                "{dtype} on {device:?}: {found:?}"
            );
        }
    }
}

#[test]
fn sums_of_halves_run_in_f32() {
    for device in devices() {
        let g = Graph::new();
        let x = g.input("x", [4096], F16);
        g.output("sum", &x.sum_all());
        g.output("mean", &x.mean_all());
        g.output("product", &x.reshape([1, 4096]).matmul(&x.reshape([4096, 1])));
        let x = TensorData::from_f64(F16, &[1.0; 4096], [4096]).unwrap();
        let found = super::run(&mut g.compile(&device).unwrap(), &[("x".to_owned(), x)]);
        assert_eq!(found["sum"].item().unwrap(), 4096.0);
        assert_eq!(found["mean"].item().unwrap(), 1.0);
        assert_eq!(found["product"].item().unwrap(), 4096.0);
    }
}
