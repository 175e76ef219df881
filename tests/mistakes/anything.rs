//! Every method of a tensor, with arguments that seldom fit.

use wgrad::ops::keepdim;
use wgrad::ops::{Order, Running};
use wgrad::prelude::*;
use wgrad::scalar::{NUMERIC, Reduction, ScalarFunction};

/// Axes, indices and sizes, most of which do not exist.
const AXES: [isize; 6] = [0, 1, 2, -1, -3, isize::MIN];
const SIZES: [usize; 5] = [0, 1, 3, 1 << 40, usize::MAX];

/// Calls everything. What comes back is of no interest, only that something does.
pub fn call_everything(x: &Tensor, other: &Tensor) {
    let g = x.graph();
    for &function in NUMERIC {
        let _ = x.elementwise(function, &vec![other; function.arity() - 1]);
    }
    use ScalarFunction as F;
    for function in
        [F::Equal, F::Less, F::And, F::Xor, F::BitAnd, F::ShiftLeft, F::Select, F::Threefry(0), F::Threefry(1)]
    {
        let _ = x.elementwise(function, &vec![other; function.arity() - 1]);
    }
    for dtype in DType::ALL {
        let _ = x.cast(dtype);
        let _ = x.one_hot(3, dtype);
    }
    let _ = x.elementwise(F::Add, &[]);
    let _ = x.elementwise(F::Neg, &[other, other]);
    let _ = (x + other, x - 1.0, x * 0.5, 2.0 / x, -x, x % 3, x.clamp(-1.0, 1.0));
    let _ = (x.logical_not(), x.select(other, 1.0), other.select(x, x), x.stop_gradient());
    let _ = (x.zeros_like(), x.ones_like(), x.filled_like(0.5), x.sum_all(), x.mean_all());
    for axis in AXES {
        for reduction in Reduction::ALL {
            let _ = (x.reduce(reduction, keepdim([axis])), x.reduce(reduction, [axis, 0]));
        }
        let _ = (x.mean([axis]), x.variance([axis], 1), x.variance([axis], usize::MAX));
        let _ = (x.argmax(axis), x.argmin(axis), x.softmax(axis), x.log_softmax(axis));
        let _ = (x.cumulative_sum(axis), x.cumulative_sum(Running::along(axis).reverse().exclusive()));
        let _ = (x.sort(axis, Order::Descending), x.flip(&[axis]), x.flip(&[axis, axis]));
        let _ = (x.unsqueeze(axis), x.squeeze(axis), x.transpose(axis, 0), x.transpose(0, axis));
        let _ = (x.gather(axis, other), x.take(axis, other), x.index_select(axis, other));
        let _ = (
            x.scatter_add(axis, other, x),
            x.scatter_add(axis, x, other),
            x.index_add(axis, other, x),
            x.index_add(axis, x, other),
        );
        let _ = (g.concat(&[x, other], axis), g.concat(&[x], axis), g.concat(&[], axis), g.stack(&[x, other], axis));
        for size in SIZES {
            let _ = (x.top_k(size, axis), x.at(axis, size), x.split(axis, &[size, size]), x.split(axis, &[]));
            let _ = (x.slice(axis, size, 1), x.slice(axis, 0, size), x.slice(axis, size, size));
        }
    }
    super::pools::call_pools(x);
    for size in SIZES {
        let _ = (x.reshape([size]), x.reshape([size, size]), x.broadcast_to([size]), x.broadcast_to([size, size, 1]));
        let _ = (x.one_hot(size, F32), x.flatten(size), x.permute(&[size]), x.permute(&[size, 0]));
        let _ = (x.pad(&[size], &[size], 0.5), x.pad(&[size, size], &[size, size], 0.0), x.pad(&[size], &[], 0.0));
        let _ = (x.pad_between(&[0, 0], &[0, 0], &[size, size], 0.0), x.pad(&[], &[], f64::NAN));
        for step in [0, 1, -1, isize::MIN, isize::MAX] {
            let _ = x.slice_steps(&[size], &[size], &[step]);
            let _ = x.slice_steps(&[size, 0], &[1, size], &[step, 1]);
        }
        let _ = (g.arange(size), g.coordinate([size, size], size), g.random_uniform([size, 2], 0.0, 1.0));
        let _ = (g.random_normal([size], 0.0, 1.0), g.random_bernoulli([size], 0.5), g.random_bits([size, size]));
    }
    let _ = (x.slice_steps(&[], &[], &[]), x.slice_steps(&[0], &[1, 1], &[1]), x.permute::<usize>(&[]));
    let _ = (x.matmul(other), other.matmul(x), x.matmul(x), x.scatter_rows(other, x), x.scatter_rows(x, other));
    let _ = (
        g.gradients(x, &[other]),
        g.gradients(other, &[x, x]),
        g.gradients_from(&[(x, other)], &[x]),
        g.gradients_from(&[], &[x]),
    );
    normalise_and_augment(x, other);
    g.assign(x, other);
    g.output("", x);
    g.output("anything", x);
    g.output("anything", other);
    let _ = (x.ty(), x.shape(), x.dtype(), x.rank(), x.id(), format!("{x:?} {g:?}"), g.error(), g.parameters());
}

fn normalise_and_augment(x: &Tensor, other: &Tensor) {
    let g = x.graph();
    let some = Some(other);
    for number in [0.0, 0.5, -1.0, f64::NAN, f64::INFINITY, 1e300] {
        let _ = (x.batch_norm(some, None, number), x.batch_norm_with(other, x, None, some, number));
        let _ = (x.instance_norm(some, some, number), x.rms_norm(1, some, Some(number)), x.gaussian_noise(number));
        let _ = (x.random_flip_horizontal(number), x.random_flip_vertical(number), x.random_rotation(number));
        let _ = (x.random_scale(number, 2.0), x.normalize(&[number], &[number, 1.0]), x.normalize(&[], &[]));
        let _ = nn::LocalResponseNorm::new(3).alpha(number).beta(number).k(number).forward(x);
        let _ = nn::Dropout2d::new(number).forward(x, Mode::Training);
    }
    for size in SIZES {
        let _ =
            (x.layer_norm(size, some, some, 0.1), x.group_norm(size, some, some, 0.1), x.rms_norm(size, None, None));
        let _ = (x.random_shift(size), x.random_crop(size, nn::Border::Reflect), x.cutout(size));
        let _ = nn::LocalResponseNorm::new(size).forward(x);
        for mode in [Mode::Training, Mode::Evaluation] {
            let name = format!("layer of {} and {size} {mode:?}", x.id());
            let _ = nn::BatchNormalization::new().momentum(2.0).build(g, &name, size).forward(x, mode);
            let _ = nn::InstanceNorm::new(g, &name, size).forward(x, mode);
            let _ = nn::GroupNorm::new(g, &name, size, size).forward(x);
            let _ = (nn::LayerNorm::new(g, &name, [size]).forward(x), nn::RmsNorm::new(g, &name, [size, 0]).forward(x));
            let augment = nn::Augment::new().shift(size).flip_vertical(0.5).crop(size).rotation(9.0).cutout(size);
            let _ = augment.gaussian_noise(1.0).normalize([], [1.0]).apply(&x.to_images(), mode);
        }
    }
}
