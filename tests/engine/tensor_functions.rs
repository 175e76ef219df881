//! Functions of tensors that are composed of others: values and gradients as PyTorch's, for an upstream gradient of 1/4, 2/4, 3/4 …

use wgrad::graph::{Graph, Tensor};
use wgrad::ops::{Axes, keepdim};
use wgrad::tensor::DType::{self, Bool, F32, F64, I32, I64};
use wgrad::tensor::TensorData;

use super::support::devices::devices;

type Row = (fn(&Tensor) -> Tensor, &'static [usize], &'static [f64], &'static [f64]);

const X: [f64; 12] = [1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.25];

/// The function, the result's shape and values, and the gradient.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    (|x| x.std(-1, 1), &[3], &[2.23023728, 0.0, 4.57062632], &[0.030359251, -0.100419061, -0.025688597, 0.0957484069, 0.0, 0.0, 0.0, 0.0, 0.0170928434, 0.263229788, -0.338438299, 0.0581156676]),
    (|x| x.std(keepdim(0), 0), &[1, 4], &[0.849836586, 2.49443826, 3.29983165, 1.47667043], &[0.114401079, -0.178174161, 0.176776695, 0.470277207, -0.0326860225, -0.0445435403, 0.176776695, -0.263355236, -0.0817150563, 0.222717702, -0.353553391, -0.206921971]),
    (|x| x.std(.., 1), &[], &[2.73203498], &[0.012824828, -0.0162909977, 0.000346616973, 0.0273827409, 0.000346616973, 0.000346616973, 0.000346616973, 0.000346616973, -0.00381278671, 0.0336218464, -0.0578850345, 0.00242631881]),
    (|x| x.norm(-1), &[3], &[4.10030487, 0.0, 8.08161494], &[0.0914566141, -0.121942152, 0.0, 0.198155997, 0.0, 0.0, 0.0, 0.0, -0.0464016169, 0.371212935, -0.649622636, 0.0232008084]),
    (|x| x.norm(..), &[], &[9.06228448], &[0.0413802944, -0.0551737259, 0.0, 0.0896573046, 0.0, 0.0, 0.0, 0.0, -0.0137934315, 0.110347452, -0.193108041, 0.00689671574]),
    (|x| x.norm_of_order(1.0, keepdim(0)), &[1, 4], &[2.0, 6.0, 7.0, 3.5], &[0.25, -0.5, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -0.25, 0.5, -0.75, 1.0]),
    (|x| x.norm_of_order(3.0, -1), &[3], &[3.57532313, 0.0, 7.41164847], &[0.044003977, -0.0782292925, 0.0, 0.206574225, 0.0, 0.0, 0.0, 0.0, -0.00341327788, 0.218449784, -0.669002464, 0.00085331947]),
    (|x| x.norm_of_order(f64::INFINITY, -1), &[3], &[3.25, 0.0, 7.0], &[0.0, -0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, -0.0, 0.0, -0.75, 0.0]),
    (|x| x.norm_of_order(f64::NEG_INFINITY, 0), &[4], &[0.0, 0.0, 0.0, 0.0], &[0.0, -0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.0, 0.0, -0.0, 0.0]),
    (|x| x.norm_of_order(0.0, -1), &[3], &[3.0, 0.0, 4.0], &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    (|x| x.mean(keepdim([0, 1])), &[1, 1], &[-0.0416666667], &[0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333, 0.0208333333]),
    (|x| x.variance(keepdim(-1), 1), &[3, 1], &[4.97395833, 0.0, 20.890625], &[0.135416667, -0.447916667, -0.114583333, 0.427083333, 0.0, 0.0, 0.0, 0.0, 0.15625, 2.40625, -3.09375, 0.53125]),
    (|x| x.tril(0), &[3, 4], &[1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.0], &[0.25, 0.0, 0.0, 0.0, 1.25, 1.5, 0.0, 0.0, 2.25, 2.5, 2.75, 0.0]),
    (|x| x.tril(-1), &[3, 4], &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, 0.0, 0.0], &[0.0, 0.0, 0.0, 0.0, 1.25, 0.0, 0.0, 0.0, 2.25, 2.5, 0.0, 0.0]),
    (|x| x.tril(2), &[3, 4], &[1.5, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.25], &[0.25, 0.5, 0.75, 0.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0]),
    (|x| x.triu(0), &[3, 4], &[1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -7.0, 0.25], &[0.25, 0.5, 0.75, 1.0, 0.0, 1.5, 1.75, 2.0, 0.0, 0.0, 2.75, 3.0]),
    (|x| x.triu(1), &[3, 4], &[0.0, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25], &[0.0, 0.5, 0.75, 1.0, 0.0, 0.0, 1.75, 2.0, 0.0, 0.0, 0.0, 3.0]),
    (|x| x.triu(-2), &[3, 4], &[1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.25], &[0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0]),
    (|x| x.diagonal(0), &[3], &[1.5, 0.0, -7.0], &[0.25, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.75, 0.0]),
    (|x| x.diagonal(2), &[2], &[0.0, 0.0], &[0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]),
    (|x| x.diagonal(-1), &[2], &[0.0, 4.0], &[0.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0]),
    (|x| x.trace(), &[], &[-5.5], &[0.25, 0.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.25, 0.0]),
    (|x| x.roll(1, -1), &[3, 4], &[3.25, 1.5, -2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25, -0.5, 4.0, -7.0], &[0.5, 0.75, 1.0, 0.25, 1.5, 1.75, 2.0, 1.25, 2.5, 2.75, 3.0, 2.25]),
    (|x| x.roll(-5, 0), &[3, 4], &[-0.5, 4.0, -7.0, 0.25, 1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0], &[1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 0.25, 0.5, 0.75, 1.0]),
    (|x| x.repeat(&[2, 1, 3]), &[2, 3, 12], &[1.5, -2.0, 0.0, 3.25, 1.5, -2.0, 0.0, 3.25, 1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.25, -0.5, 4.0, -7.0, 0.25, -0.5, 4.0, -7.0, 0.25, 1.5, -2.0, 0.0, 3.25, 1.5, -2.0, 0.0, 3.25, 1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.25, -0.5, 4.0, -7.0, 0.25, -0.5, 4.0, -7.0, 0.25], &[34.5, 36.0, 37.5, 39.0, 52.5, 54.0, 55.5, 57.0, 70.5, 72.0, 73.5, 75.0]),
    (|x| x.move_axis(0, 1), &[4, 3], &[1.5, 0.0, -0.5, -2.0, 0.0, 4.0, 0.0, 0.0, -7.0, 3.25, 0.0, 0.25], &[0.25, 1.0, 1.75, 2.5, 0.5, 1.25, 2.0, 2.75, 0.75, 1.5, 2.25, 3.0]),
    (|x| x.lerp(&(x * 2.0), 0.25), &[3, 4], &[1.875, -2.5, 0.0, 4.0625, 0.0, 0.0, 0.0, 0.0, -0.625, 5.0, -8.75, 0.3125], &[0.3125, 0.625, 0.9375, 1.25, 1.5625, 1.875, 2.1875, 2.5, 2.8125, 3.125, 3.4375, 3.75]),
    (|x| x.masked_fill(&x.lt(0), 9.0), &[3, 4], &[1.5, 9.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, 9.0, 4.0, 9.0, 0.25], &[0.25, 0.0, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 0.0, 2.5, 0.0, 3.0]),
    (|x| x.outer(x), &[3, 4, 4], &[2.25, -3.0, 0.0, 4.875, -3.0, 4.0, -0.0, -6.5, 0.0, -0.0, 0.0, 0.0, 4.875, -6.5, 0.0, 10.5625, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25, -2.0, 3.5, -0.125, -2.0, 16.0, -28.0, 1.0, 3.5, -28.0, 49.0, -1.75, -0.125, 1.0, -1.75, 0.0625], &[11.0625, 14.5, 17.9375, 21.375, 0.0, 0.0, 0.0, 0.0, -65.1875, -69.25, -73.3125, -77.375]),
    (|x| x.dot(&(x + 1)), &[3], &[19.5625, 0.0, 62.0625], &[1.0, -0.75, 0.25, 1.875, 0.5, 0.5, 0.5, 0.5, 0.0, 6.75, -9.75, 1.125]),
    (|x| x.chunk(3, -1).swap_remove(1), &[3, 2], &[0.0, 3.25, 0.0, 0.0, -7.0, 0.25], &[0.0, 0.0, 0.25, 0.5, 0.0, 0.0, 0.75, 1.0, 0.0, 0.0, 1.25, 1.5]),
    (|x| x.concat(&[x, &(2 * x)], 0), &[9, 4], &[1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.25, 1.5, -2.0, 0.0, 3.25, 0.0, 0.0, 0.0, 0.0, -0.5, 4.0, -7.0, 0.25, 3.0, -4.0, 0.0, 6.5, 0.0, 0.0, 0.0, 0.0, -1.0, 8.0, -14.0, 0.5], &[16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0]),
    (|x| x.stack(&[&(1 - x)], -1), &[3, 4, 2], &[1.5, -0.5, -2.0, 3.0, 0.0, 1.0, 3.25, -2.25, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, -0.5, 1.5, 4.0, -3.0, -7.0, 8.0, 0.25, 0.75], &[-0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25]),
    (|x| x.einsum("ik,jk->ij", &[x]), &[3, 3], &[16.8125, 0.0, -7.9375, 0.0, 0.0, 0.0, -7.9375, 0.0, 65.3125], &[-0.5, 9.0, -17.5, 2.25, 0.5, 11.0, -24.5, 5.75, 1.5, 13.0, -31.5, 9.25]),
];

#[test]
fn values_and_gradients_are_pytorchs() {
    for device in devices() {
        for (number, (function, shape, values, gradient)) in ROWS.iter().enumerate() {
            for dtype in [F32, F64] {
                let g = Graph::new();
                let x = g.input("x", [3, 4], dtype);
                let y = function(&x);
                assert_eq!(y.shape().dims(), *shape, "row {number}");
                let upstream = (g.arange(values.len()).cast(dtype) + 1.0).reshape(y.shape()) * 0.25;
                let dx = g.gradients(&(&y * upstream).sum(..), &[&x]).swap_remove(0);
                g.output("y", &y);
                g.output("dx", &dx);
                let x = TensorData::from_f64(dtype, &X, [3, 4]).unwrap();
                let run = g.compile(&device).unwrap().run(&[("x", &x)]).unwrap();
                for (name, expected) in [("y", values), ("dx", gradient)] {
                    let found = run[name].to_f64_vec();
                    assert_eq!(found.len(), expected.len());
                    for (found, expected) in found.iter().zip(*expected) {
                        let error = (found - expected).abs() / (1.0 + expected.abs());
                        assert!(error < 2e-6, "row {number}, {dtype} on {device:?}: {name} is {found}, not {expected}");
                    }
                }
            }
        }
    }
}

fn tensor(values: &[f64], dtype: DType) -> TensorData {
    TensorData::from_f64(dtype, values, [values.len()]).unwrap()
}

#[test]
fn truth_values_and_comparisons() {
    const INF: f64 = f64::INFINITY;
    for device in devices() {
        let g = Graph::new();
        let x = g.constant(tensor(&[1.0, f64::NAN, INF, -INF, 0.0, 2.0], F32));
        let other = g.constant(tensor(&[1.000_009, f64::NAN, INF, INF, 1e-9, INF], F32));
        let nothing = g.zeros([0, 3], F32);
        let mut expected: Vec<(&str, Tensor, Vec<f64>)> = vec![
            ("finite", x.is_finite(), vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
            ("numbers", x.nan_to_num(7.0, 8.0, 9.0), vec![1.0, 7.0, 8.0, 9.0, 0.0, 2.0]),
            ("close", x.is_close(&other, 1e-5, 1e-8), vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0]),
            ("all close", x.all_close(&other, 1e-5, 1e-8), vec![0.0]),
            (
                "itself",
                other.masked_fill(&other.is_nan(), 0.0).all_close(other.nan_to_num(0.0, INF, -INF), 0.0, 0.0),
                vec![1.0],
            ),
            ("any", x.any(..), vec![1.0]),
            ("all", x.all(..), vec![0.0]),
            ("all of the first", x.slice(0, 0usize, 4usize).all(keepdim(0)), vec![1.0]),
            ("count", x.count_nonzero(..), vec![5.0]),
            ("any of nothing", nothing.any(0), vec![0.0; 3]),
            ("all of nothing", nothing.all(keepdim(0)), vec![1.0; 3]),
            ("any truth", x.gt(1.5).any(0), vec![1.0]),
            ("all truths", x.ge(0).all(0), vec![0.0]),
            ("largest of all", x.nan_to_num(0.0, 5.0, -5.0).reshape([2, 3]).argmax(..), vec![2.0]),
            ("smallest of all", x.nan_to_num(0.0, 5.0, -5.0).reshape([2, 3]).argmin(keepdim(..)), vec![3.0]),
        ];
        let last = x.ge(2).cast(I32).reshape([2, 3]).argmax_last(..);
        expected.push(("last of equals", last, vec![5.0]));
        expected.iter().for_each(|(name, tensor, _)| g.output(name, tensor));
        assert_eq!(expected[14].1.shape().dims(), [1, 1]);
        let run = g.compile(&device).unwrap().run(&[]).unwrap();
        for (name, _, values) in &expected {
            assert_eq!(&run[*name].to_f64_vec(), values, "{name} on {device:?}");
        }
    }
}

#[test]
fn numbers_stand_on_either_side() {
    for device in devices() {
        let g = Graph::new();
        let (x, n) = (g.constant(tensor(&[1.0, 2.0], F32)), g.constant(tensor(&[7.0, 9.0], I64)));
        let half = 0.5_f32;
        let count = 3_usize;
        let expected = [
            ("float", (2.0 * &x).square(), [4.0, 16.0]),
            ("integer", (2 - &x).abs(), [1.0, 0.0]),
            ("owned", 1 + x.clone() * half, [1.5, 2.0]),
            ("count", &x / count * 3_i64, [1.0, 2.0]),
            ("integers", 20 - &n % count, [19.0, 20.0]),
            ("byte", &n + 1_u8 - 2_u32, [6.0, 8.0]),
        ];
        expected.iter().for_each(|(name, tensor, _)| g.output(name, tensor));
        let run = g.compile(&device).unwrap().run(&[]).unwrap();
        for (name, _, values) in &expected {
            assert!(
                run[*name].to_f64_vec().iter().zip(values).all(|(a, b)| (a - b).abs() < 1e-6),
                "{name} on {device:?}"
            );
        }
        assert_eq!(run["integers"].dtype(), I64);
    }
}

#[test]
fn tensors_of_numbers() {
    for device in devices() {
        let g = Graph::new();
        let expected = [
            ("eye", g.eye(2, F32), vec![1.0, 0.0, 0.0, 1.0]),
            ("integer eye", g.eye(1, I32), vec![1.0]),
            ("no eye", g.eye(0, F32), vec![]),
            ("ones", g.ones([3], I32), vec![1.0; 3]),
            ("truth", g.ones([2], Bool), vec![1.0; 2]),
            ("one point", g.linspace(2.0, 5.0, 1), vec![2.0]),
            ("no points", g.linspace(2.0, 5.0, 0), vec![]),
            ("points", g.linspace(-1.0, 0.1, 3), vec![-1.0, -0.45, 0.1]),
            ("more rows than columns", g.ones([4, 2], F32).tril(-2).sum(-1), vec![0.0, 0.0, 1.0, 2.0]),
            ("a diagonal beyond", g.ones([2, 3], F32).diagonal(5), vec![]),
            ("batches", g.arange(8).reshape([2, 2, 2]).trace(), vec![3.0, 11.0]),
        ];
        expected.iter().for_each(|(name, tensor, _)| g.output(name, tensor));
        let run = g.compile(&device).unwrap().run(&[]).unwrap();
        for (name, _, values) in &expected {
            let found = run[*name].to_f64_vec();
            assert_eq!(found.len(), values.len(), "{name}");
            assert!(found.iter().zip(values).all(|(a, b)| (a - b).abs() < 1e-6), "{name} on {device:?}: {found:?}");
        }
    }
}

#[test]
fn mistakes_name_the_operator_and_the_line() {
    type Mistake = (fn(&Tensor) -> Tensor, &'static str);
    let cases: [Mistake; 8] = [
        (|x| x.std(7, 1), "axis 7"),
        (|x| x.norm(-4), "axis -4"),
        (|x| x.argmax([0, 1]), "one axis"),
        (|x| x.norm_of_order(f64::NAN, 0), "order is NaN"),
        (|x| x.reshape([12]).tril(0), "two axes"),
        (|x| x.repeat(&[2]), "too few"),
        (|x| x.chunk(0, 0).swap_remove(0), "at least one"),
        (|x| x.cast(I32).norm(Axes::from(..)), "wants floats"),
    ];
    for (build, part) in cases {
        let g = Graph::new();
        g.output("y", &build(&g.input("x", [3, 4], F32)));
        let error = g.error().unwrap().to_string();
        assert!(error.contains(part) && error.contains("tensor_functions.rs"), "{error}");
    }
}
