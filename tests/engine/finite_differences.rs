//! Gradients, and gradients of gradients, against finite differences in f64.
//!
//! The operator stands mid-graph: the loss is Σ w · sin(op(s · tanh(x) + c)), so that what arrives at the operator is not ones
//! and what leaves it is changed once more.

use wgrad::ops::{ConvOptions, ConvTransposeOptions, PaddingMode};
use wgrad::ops::{Order, Running};
use wgrad::prelude::*;
use wgrad::scalar::{NUMERIC, ScalarFunction as F};

use super::{numbers, tensor};

/// An input's shape and the range from which the operator gets its values.
pub(super) type Source<'a> = (&'a [usize], f64, f64);

const ANY: (f64, f64) = (-1.3, 1.7);
const POSITIVE: (f64, f64) = (0.4, 2.6);

/// Half the distance of the two points of a difference.
const STEP: f64 = 1e-5;

/// Compares the gradient and its own gradient along a direction with differences.
pub(super) fn check(name: &str, sources: &[Source<'_>], build: impl Fn(&Graph, &[Tensor]) -> Tensor) {
    let g = Graph::new();
    let inputs: Vec<Tensor> =
        sources.iter().enumerate().map(|(k, (shape, ..))| g.input(&format!("x{k}"), *shape, F64)).collect();
    let mut moved = Vec::new();
    for (x, (_, low, high)) in inputs.iter().zip(sources) {
        moved.push(x.tanh() * ((high - low) / 2.0) + (high + low) / 2.0);
    }
    let result = build(&g, &moved);
    let weights = g.constant(tensor(9, F64, &result.shape(), 0.3, 1.1));
    let loss = (result.sin() * weights).sum_all();
    let references: Vec<&Tensor> = inputs.iter().collect();
    let gradients = g.gradients(&loss, &references);
    let directions: Vec<TensorData> =
        sources.iter().enumerate().map(|(k, (shape, ..))| tensor(40 + k as u64, F64, shape, -1.0, 1.0)).collect();
    let mut along = g.scalar(F64, 0.0);
    for (gradient, direction) in gradients.iter().zip(&directions) {
        along = along + (gradient * g.constant(direction.clone())).sum_all();
    }
    let second = g.gradients(&along, &references);
    g.output("loss", &loss);
    for (k, (gradient, second)) in gradients.iter().zip(&second).enumerate() {
        g.output(&format!("gradient{k}"), gradient);
        g.output(&format!("second{k}"), second);
    }
    let mut session = g.compile(&Device::cpu()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let start: Vec<Vec<f64>> = sources
        .iter()
        .enumerate()
        .map(|(k, (shape, ..))| numbers(20 + k as u64, shape.iter().product(), -1.2, 1.2))
        .collect();
    let mut run = |values: &[Vec<f64>]| {
        let data: Vec<(String, TensorData)> = values
            .iter()
            .zip(sources)
            .enumerate()
            .map(|(k, (values, (shape, ..)))| (format!("x{k}"), TensorData::from_f64(F64, values, *shape).unwrap()))
            .collect();
        super::run(&mut session, &data)
    };
    let found = run(&start);
    let close = |what: String, found: f64, wanted: f64| {
        let bound = 1e-6 + 2e-6 * wanted.abs();
        assert!((found - wanted).abs() < bound, "{name}: {what} is {found}, differences give {wanted}");
    };
    for input in 0..sources.len() {
        let gradient = found[format!("gradient{input}").as_str()].to_f64_vec();
        for element in 0..start[input].len() {
            let mut loss_at = |step: f64| {
                let mut moved = start.clone();
                moved[input][element] += step;
                run(&moved)["loss"].item().unwrap()
            };
            let difference = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
            close(format!("gradient {element} of input {input}"), gradient[element], difference);
        }
    }
    let mut gradients_at = |step: f64| {
        let moved: Vec<Vec<f64>> = start
            .iter()
            .zip(&directions)
            .map(|(values, direction)| values.iter().zip(direction.to_f64_vec()).map(|(x, d)| x + step * d).collect())
            .collect();
        run(&moved)
    };
    let (after, before) = (gradients_at(STEP), gradients_at(-STEP));
    for input in 0..sources.len() {
        let key = format!("gradient{input}");
        let values = |outputs: &wgrad::session::Outputs| outputs[key.as_str()].to_f64_vec();
        let second = found[format!("second{input}").as_str()].to_f64_vec();
        for (element, (after, before)) in values(&after).into_iter().zip(values(&before)).enumerate() {
            let difference = (after - before) / (2.0 * STEP);
            close(format!("second derivative {element} of input {input}"), second[element], difference);
        }
    }
}

#[test]
fn every_scalar_function() {
    // `clamp` has a test of its own.
    for &function in NUMERIC.iter().filter(|&&function| function != F::Clamp) {
        let needs_positive =
            matches!(function, F::Log | F::Log1p | F::Sqrt | F::Rsqrt | F::Reciprocal | F::Div | F::Rem | F::Pow);
        let ranges: &[(f64, f64)] = match function {
            F::Asin | F::Acos | F::Atanh => &[(-0.8, 0.8)],
            F::Acosh => &[(1.3, 3.0)],
            _ if needs_positive => &[POSITIVE],
            _ => &[POSITIVE, ANY],
        };
        for &(low, high) in ranges {
            // Slopes and alphas are positive; numbers on the right of the others come from the same range.
            let (low_b, high_b) = if matches!(function, F::Elu | F::Celu) { POSITIVE } else { (low, high) };
            let name = format!("{} from {low}", function.name());
            if function.arity() == 1 {
                check(&name, &[(&[2, 1, 3], low, high)], |_, x| x[0].elementwise(function, &[]));
            } else {
                check(&name, &[(&[3, 1], low, high), (&[2], low_b, high_b)], |_, x| {
                    x[0].elementwise(function, &[&x[1]])
                });
                check(&name, &[(&[], low, high), (&[1, 4], low_b, high_b)], |_, x| {
                    x[0].elementwise(function, &[&x[1]])
                });
            }
        }
    }
}

#[test]
fn selection_and_casts() {
    let any = |shape: &'static [usize]| (shape, ANY.0, ANY.1);
    check("select", &[any(&[2, 3]), any(&[3]), any(&[2, 1])], |_, x| x[0].gt(0.2).select(&x[1], &x[2]));
    check("clamp", &[any(&[6])], |_, x| x[0].clamp(-0.5, 0.9));
    check("a cast and back", &[any(&[4])], |_, x| x[0].cast(F64) * x[0].cast(Bool).cast(F64));
}

#[test]
fn reductions() {
    let any = |shape: &'static [usize]| (shape, ANY.0, ANY.1);
    for axes in [&[0_isize][..], &[1], &[2], &[0, 2], &[-1, 1, 0]] {
        check("sum", &[any(&[2, 3, 2])], |_, x| x[0].sum(axes));
        check("mean", &[any(&[2, 3, 2])], |_, x| x[0].mean(axes));
        check("product", &[any(&[2, 3, 2])], |_, x| x[0].product(axes));
        check("max", &[any(&[2, 3, 2])], |_, x| x[0].max(axes));
        check("min", &[any(&[2, 3, 2])], |_, x| x[0].min(axes));
        check("log_sum_exp", &[any(&[2, 3, 2])], |_, x| x[0].log_sum_exp(axes));
        check("variance", &[any(&[2, 3, 2])], |_, x| x[0].variance(axes, 1));
    }
    check("sum of one", &[any(&[1, 1])], |_, x| x[0].sum([0]) + x[0].sum_all());
    for axis in [0, 1, -1] {
        check("softmax", &[any(&[2, 3, 2])], |_, x| x[0].softmax(axis));
        check("log_softmax", &[any(&[2, 3, 2])], |_, x| x[0].log_softmax(axis));
        check("cumulative_sum", &[any(&[2, 3, 2])], |_, x| x[0].cumulative_sum(axis));
        check("cumulative_sum", &[any(&[2, 3, 2])], |_, x| {
            x[0].cumulative_sum(Running::along(axis).reverse().exclusive())
        });
        check("sort", &[any(&[2, 3, 2])], |_, x| x[0].sort(axis, Order::Descending).0);
        check("top_k", &[any(&[2, 3, 2])], |_, x| x[0].top_k(2, axis).0);
    }
}

#[test]
fn movement() {
    let any = |shape: &'static [usize]| (shape, ANY.0, ANY.1);
    let index =
        |g: &Graph, values: &[f64], shape: &[usize]| g.constant(TensorData::from_f64(I32, values, shape).unwrap());
    check("reshape", &[any(&[2, 3, 2])], |_, x| x[0].permute(&[2, 0, 1]).reshape([4, 3]));
    check("broadcast", &[any(&[2, 1, 2])], |_, x| x[0].broadcast_to([2, 2, 3, 2]));
    check("slice", &[any(&[5, 4])], |_, x| x[0].slice_steps(&[4, 1], &[2, 2], &[-3, 2]));
    check("flip", &[any(&[3, 2])], |_, x| x[0].flip(&[0, 1]));
    check("pad", &[any(&[2, 3])], |_, x| x[0].pad_between(&[1, 0], &[0, 2], &[2, 1], 0.7));
    check("concat", &[any(&[2, 1]), any(&[2, 2]), any(&[2, 1])], |g, x| g.concat(&[&x[0], &x[1], &x[2], &x[0]], 1));
    check("stack", &[any(&[2, 2]), any(&[2, 2])], |g, x| g.stack(&[&x[0], &x[1], &x[0]], 1));
    check("split", &[any(&[2, 5])], |_, x| {
        let parts = x[0].split(1, &[2, 1, 2]);
        &parts[0] * &parts[2] + &parts[1]
    });
    check("gather", &[any(&[3, 4])], |g, x| x[0].gather(1, &index(g, &[0., 3., 3., 1., 2., 2.], &[2, 3])));
    check("take", &[any(&[3, 2, 2])], |g, x| x[0].take(1, &index(g, &[1., 1., 0., 1.], &[2, 2])));
    check("scatter_add", &[any(&[3, 3]), any(&[3, 4])], |g, x| {
        x[0].scatter_add(1, &index(g, &[0., 2., 2., 1., 1., 1.], &[2, 3]), &x[1])
    });
    check("index_add", &[any(&[2, 3]), any(&[2, 2])], |g, x| x[0].index_add(1, &index(g, &[2., 2.], &[2]), &x[1]));
    check("stop_gradient", &[any(&[3])], |_, x| &x[0] + x[0].zeros_like().stop_gradient());
}

#[test]
fn pools() {
    use wgrad::ops::{AvgPool, AxisMap, Interpolate, Interpolation, LpPool, MaxPool};
    let any = |shape: &'static [usize]| (shape, ANY.0, ANY.1);
    check("max_pool", &[any(&[2, 1, 5])], |_, x| x[0].max_pool(&MaxPool::new(3).stride(1).padding(1)));
    check("max_pool dilated", &[any(&[1, 2, 4, 3])], |_, x| {
        x[0].max_pool(&MaxPool::new(2).stride([2, 1]).dilation([2, 1]).ceil_mode(true))
    });
    check("avg_pool", &[any(&[1, 2, 3, 4])], |_, x| {
        x[0].avg_pool(&AvgPool::new([3, 2]).stride([1, 2]).padding([1, 0]).count_include_pad(false))
    });
    check("avg_pool of volumes", &[any(&[1, 1, 3, 2, 3])], |_, x| {
        x[0].avg_pool(&AvgPool::new([2, 1, 3]).stride(1).padding([1, 0, 1]).ceil_mode(true))
    });
    check("lp_pool", &[(&[1, 1, 4, 3], 0.4, 2.6)], |_, x| x[0].lp_pool(&LpPool::new(3.0, 2).stride(1)));
    check("adaptive_avg_pool", &[any(&[1, 1, 5, 3])], |_, x| x[0].adaptive_avg_pool([3, 2]));
    check("adaptive_max_pool", &[any(&[1, 1, 5, 3])], |_, x| x[0].adaptive_max_pool([3, 2]));
    check("global pools", &[any(&[2, 2, 3])], |_, x| x[0].global_avg_pool() * x[0].global_max_pool());
    let map = AxisMap::from_rows(3, vec![vec![(0, 0.5), (2, -1.0)], vec![(1, 2.0)]]).unwrap();
    check("resample", &[any(&[3, 2])], |_, x| x[0].resample(0, &map));
    check("nearest", &[any(&[1, 2, 3, 2])], |_, x| x[0].interpolate(&Interpolate::size([5, 4])));
    check("linear", &[any(&[1, 2, 3, 2])], |_, x| {
        x[0].interpolate(&Interpolate::size([2, 5]).mode(Interpolation::Linear))
    });
    check("cubic", &[any(&[1, 1, 3, 2])], |_, x| {
        x[0].interpolate(&Interpolate::size([2, 5]).mode(Interpolation::Cubic).align_corners(true))
    });
}

#[test]
fn matrix_products() {
    let any = |shape: &'static [usize]| (shape, ANY.0, ANY.1);
    check("matmul", &[any(&[2, 3]), any(&[3, 2])], |_, x| x[0].matmul(&x[1]));
    check("matmul of transposes", &[any(&[3, 2]), any(&[2, 3])], |_, x| {
        x[0].transpose(0, 1).matmul(&x[1].transpose(0, 1))
    });
    check("matmul of vectors", &[any(&[3]), any(&[3])], |_, x| x[0].matmul(&x[1]));
    check("matrix and vector", &[any(&[2, 3]), any(&[3])], |_, x| x[0].matmul(&x[1]));
    check("vector and matrices", &[any(&[2]), any(&[2, 2, 2])], |_, x| x[0].matmul(&x[1]));
    check("batches that broadcast", &[any(&[2, 1, 1, 2]), any(&[3, 2, 1])], |_, x| x[0].matmul(&x[1]));
    check("rows of any rank", &[any(&[2, 2, 2]), any(&[2, 3])], |_, x| x[0].matmul(&x[1]).relu());
    check("a product with itself", &[any(&[2, 2])], |_, x| x[0].matmul(&x[0].transpose(0, 1)).tanh());
}

#[test]
fn convolutions() {
    let any = |shape: &'static [usize]| (shape, ANY.0, ANY.1);
    let plain = ConvOptions::new();
    check("conv1d", &[any(&[2, 2, 5]), any(&[2, 2, 3])], |_, x| x[0].conv(&x[1], &plain.clone().padding(1)));
    check("conv2d", &[any(&[1, 2, 4, 3]), any(&[2, 1, 2, 2])], |_, x| {
        x[0].conv(&x[1], &plain.clone().stride([2, 1]).padding([[1, 0], [0, 1]]).groups(2)).tanh()
    });
    check("conv2d of reflections", &[any(&[1, 1, 3, 3]), any(&[1, 1, 3, 3])], |_, x| {
        x[0].conv(&x[1], &plain.clone().padding(1).padding_mode(PaddingMode::Reflect).dilation(1))
    });
    check("conv3d", &[any(&[1, 1, 2, 3, 2]), any(&[1, 1, 2, 2, 1])], |_, x| x[0].conv(&x[1], &plain));
    let transposed = ConvTransposeOptions::new();
    check("conv_transpose2d", &[any(&[1, 2, 2, 2]), any(&[2, 1, 3, 2])], |_, x| {
        x[0].conv_transpose(&x[1], &transposed.clone().stride(2).padding(1).output_padding(1))
    });
    // More output padding than a stride leaves windows without an element of the input.
    check("conv_transpose1d", &[any(&[1, 1, 3]), any(&[1, 2, 2])], |_, x| {
        x[0].conv_transpose(&x[1], &transposed.clone().dilation(3).output_padding(2))
    });
    check("a convolution with itself", &[any(&[2, 2, 3])], |_, x| x[0].conv(&x[0], &plain.clone().padding(1)));
}

#[test]
fn normalisation() {
    let any = |shape: &'static [usize]| (shape, ANY.0, ANY.1);
    let pair = |x: &'static [usize], channels: &'static [usize]| [any(x), any(channels), any(channels)];
    // ε is large enough to be seen in the differences.
    check("batch_norm", &pair(&[3, 2, 2], &[2]), |_, x| x[0].batch_norm(Some(&x[1]), Some(&x[2]), 0.1));
    check("batch_norm, plain", &[any(&[4, 2])], |_, x| x[0].batch_norm(None, None, 0.1));
    check("batch_norm, weight alone", &[any(&[4, 2]), any(&[2])], |_, x| x[0].batch_norm(Some(&x[1]), None, 0.1));
    let variance = (&[2_usize][..], POSITIVE.0, POSITIVE.1);
    check("batch_norm, evaluation", &[any(&[3, 2, 2]), any(&[2]), variance, any(&[2]), any(&[2])], |_, x| {
        x[0].batch_norm_with(&x[1], &x[2], Some(&x[3]), Some(&x[4]), 0.1)
    });
    check("layer_norm", &pair(&[2, 2, 3], &[3]), |_, x| x[0].layer_norm(1, Some(&x[1]), Some(&x[2]), 0.1));
    check("layer_norm, two axes", &pair(&[2, 2, 3], &[2, 3]), |_, x| x[0].layer_norm(2, Some(&x[1]), Some(&x[2]), 0.1));
    check("layer_norm of one", &[any(&[3, 1])], |_, x| x[0].layer_norm(1, None, None, 0.1));
    check("rms_norm", &[any(&[2, 3]), any(&[3])], |_, x| x[0].rms_norm(1, Some(&x[1]), Some(0.1)));
    check("group_norm", &pair(&[2, 4, 2], &[4]), |_, x| x[0].group_norm(2, Some(&x[1]), Some(&x[2]), 0.1));
    check("instance_norm", &pair(&[2, 2, 3], &[2]), |_, x| x[0].instance_norm(Some(&x[1]), Some(&x[2]), 0.1));
    check("local_response_norm", &[any(&[2, 4, 2])], |_, x| nn::LocalResponseNorm::new(3).alpha(0.5).forward(&x[0]));
    // Pictures that are moved have gradients too; the draws stay the same within a step.
    check("augmentation", &[any(&[2, 1, 3, 3])], |_, x| {
        x[0].random_flip_horizontal(0.5).random_crop(1, nn::Border::Zeros).random_rotation(30.0)
    });
}
