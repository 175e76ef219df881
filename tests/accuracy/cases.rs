//! Small cases that were wrong once, each the smallest of a kind, with values of NumPy, ONNX Runtime and PyTorch.

use wgrad::ops::ConvOptions;
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{evaluate, same, vector};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

#[track_caller]
fn check(device: &Device, inputs: &[&[f32]], right: &[f32], build: impl Fn(&[Tensor]) -> Tensor) {
    let found = evaluate(device, inputs, |x| vec![build(x)]).swap_remove(0);
    for (index, (&found, &right)) in found.iter().zip(right).enumerate() {
        let close = (found - right).abs() <= 1e-6 * right.abs();
        assert!(same(found, right) || close, "element {index} is {found:e}, not {right:e}, on {device:?}");
    }
}

#[test]
fn powers_of_zero_and_of_tiny_numbers() {
    for device in devices() {
        let tiny = [0.0, -0.0, 1e-39, 1e-38, 2e-38, 1e-20];
        check(&device, &[&tiny], &[INF, -INF, INF, 1e38, 5e37, 1e20], |x| x[0].pow(-1.0));
        check(&device, &[&[0.0, 1e-30, 4.0]], &[INF, 1e15, 0.5], |x| x[0].pow(-0.5));
        check(&device, &[&[0.0, 8.0]], &[INF, 0.5], |x| x[0].pow(-1.0 / 3.0));
        let (a, b) = ([0.0, 0.0, 0.0, 2.0], [-1.0, -0.5, -2.0, -1.0]);
        check(&device, &[&a, &b], &[INF, INF, INF, 0.5], |x| x[0].pow(&x[1]));
        let (a, b) = ([1.0, 1.0, 1.0, -1.0, -1.0, 0.5, 2.0, 0.0], [INF, -INF, NAN, INF, -INF, INF, INF, INF]);
        check(&device, &[&a, &b], &[1.0, 1.0, 1.0, 1.0, 1.0, 0.0, INF, 0.0], |x| x[0].pow(&x[1]));
        let (a, b) = ([-2.0, -2.0, -2.0, -0.0, -0.0, -INF, -INF], [3.0, 2.0, 0.5, 3.0, -3.0, 3.0, 0.5]);
        check(&device, &[&a, &b], &[-8.0, 4.0, NAN, -0.0, -INF, -INF, INF], |x| x[0].pow(&x[1]));
    }
}

#[test]
fn rests_of_large_quotients() {
    let a = [1e10, 123_456_792.0, 16_777_216.0, 1e8, 33_554_432.0, 5e7, 1e6, 3e7, 1e5, 65_537.0, 8_388_609.0, 99_999.9];
    let b = [3.0, 0.1, 0.3, 7.0, 3.0, 0.7, 0.001, 7.0, 0.1, 0.3, 3.0, 0.7];
    let right: Vec<f32> = a.iter().zip(&b).map(|(a, b): (&f32, &f32)| a % b).collect();
    assert_eq!(right[..2], [1.0, 0.060_350_47]);
    for device in devices() {
        check(&device, &[&a, &b], &right, |x| x[0].rem(&x[1]));
        let negative = a.map(|a| -a);
        check(&device, &[&negative, &b], &right.iter().map(|x| -x).collect::<Vec<_>>(), |x| x[0].rem(&x[1]));
    }
}

#[test]
fn not_a_number_goes_through_layers() {
    for device in devices() {
        let g = Graph::new();
        let x = g.input("x", [1, 1, 4, 4], F32);
        let w = g.constant(TensorData::from_vec(vec![1.0_f32; 9], [1, 1, 3, 3]).unwrap());
        g.output("conv", &x.conv(&w, &ConvOptions::default()).relu());
        let a = g.input("a", [2, 2], F32);
        g.output("matmul", &a.matmul(&g.constant(TensorData::from_vec(vec![1.0_f32; 6], [2, 3]).unwrap())).relu());
        let mut pixels = vec![1.0_f32; 16];
        pixels[5] = NAN;
        let x = TensorData::from_vec(pixels, [1, 1, 4, 4]).unwrap();
        let a = TensorData::from_vec(vec![NAN, 1.0, 1.0, -2.0], [2, 2]).unwrap();
        let found = g.compile(&device).unwrap().run(&[("x", &x), ("a", &a)]).unwrap();
        assert!(found["conv"].to_f64_vec().iter().all(|y| y.is_nan()), "{device:?}");
        let rows = found["matmul"].to_f64_vec();
        assert!(rows[..3].iter().all(|y| y.is_nan()) && rows[3..] == [0.0; 3], "{rows:?} on {device:?}");
    }
}

#[test]
fn infinity_times_the_sum_of_nothing_is_no_number() {
    for device in devices() {
        let g = Graph::new();
        let (x, w) = (g.input("x", [2, 3], F32), g.input("w", [3], F32));
        let none = x.slice(0, 0, 0).sum([0]) * f64::INFINITY;
        let y = &none * &w + x.mean([0]);
        let slopes = g.gradients(&y.sum_all(), &[&x, &w]);
        g.output("y", &y);
        g.output("dx", &slopes[0]);
        g.output("dw", &slopes[1]);
        let data = [vector(&[1.0; 6]).reshape([2, 3]).unwrap(), vector(&[1.0; 3])];
        let found = g.compile(&device).unwrap().run(&[("x", &data[0]), ("w", &data[1])]).unwrap();
        assert!(found["y"].to_f64_vec().iter().all(|y| y.is_nan()), "{device:?}");
        assert!(found["dw"].to_f64_vec().iter().all(|y| y.is_nan()), "{device:?}");
        assert_eq!(found["dx"].to_f64_vec(), [0.5; 6], "{device:?}");
    }
}

#[test]
fn a_bound_of_an_onnx_model_passes_no_gradient() {
    for device in devices() {
        let g = Graph::new();
        let x = g.input("x", [4], F32);
        let y = x.le(-1.0).select(-1.0, &x);
        let y = y.ge(1.0).select(1.0, &y);
        g.output("dx", &g.gradients(&y.sum_all(), &[&x]).swap_remove(0));
        let found = g.compile(&device).unwrap().run(&[("x", &vector(&[-1.0, 0.0, 1.0, 2.0]))]).unwrap();
        assert_eq!(found["dx"].to_f64_vec(), [0.0, 1.0, 0.0, 0.0], "{device:?}");
    }
}
