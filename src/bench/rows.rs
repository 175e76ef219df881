//! What runs along the rows or columns of a matrix: reductions, softmax and norms, cumulative sums, sorting.

use super::{Case, Input, with_gradients};
use crate::ops::Order;
use crate::tensor::DType;

/// 16M elements: beyond every cache.
const LONG: usize = 16 << 20;

/// A matrix of as many.
const SQUARE: [usize; 2] = [4096, 4096];

/// Rows of softmax and norms.
const ROWS: [usize; 2] = [4096, 1024];

fn floats(shape: &[usize]) -> Input {
    Input::uniform(DType::F32, shape)
}

/// Positive numbers, whose sum is far from 0, which errors are relative to.
fn positive(shape: &[usize]) -> Input {
    Input::between(DType::F32, shape, 0.0, 1.0)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::kernel("sum/f32/16M", [positive(&[LONG])], |x| vec![x[0].sum_all()]),
        Case::kernel("sum/f32/4096x4096/rows", [positive(&SQUARE)], |x| vec![x[0].sum([1])]),
        Case::kernel("sum/f32/4096x4096/columns", [positive(&SQUARE)], |x| vec![x[0].sum([0])]),
    ];
    cases.extend(normalizing());
    cases.push(Case::kernel("cumulative_sum/f32/4096x1024", [positive(&ROWS)], |x| vec![x[0].cumulative_sum(-1)]));
    cases
        .push(Case::kernel("sort/f32/1024x1024", [floats(&[1024, 1024])], |x| vec![x[0].sort(-1, Order::Ascending).0]));
    cases.push(Case::kernel("top_k/f32/256x4096k8", [floats(&[256, 4096])], |x| vec![x[0].top_k(8, -1).0]));
    cases
}

fn normalizing() -> Vec<Case> {
    let gains = || Input::between(DType::F32, [ROWS[1]], 0.5, 1.5);
    vec![
        Case::kernel("softmax/f32/4096x1024", [floats(&ROWS)], |x| vec![x[0].softmax(-1)]),
        Case::kernel("softmax/f32/4096x1024/forward_backward", [floats(&ROWS), floats(&ROWS)], |x| {
            with_gradients(&x[0].softmax(-1), &x[1], &[&x[0]])
        }),
        Case::kernel(
            "cross_entropy/f32/4096x1024/forward_backward",
            [floats(&ROWS), Input::below(ROWS[1] as u32, [ROWS[0]])],
            |x| {
                let loss = x[0].cross_entropy(&x[1]);
                let gradient = x[0].graph().gradients(&loss, &[&x[0]]).swap_remove(0);
                vec![loss, gradient]
            },
        ),
        Case::kernel("layer_norm/f32/4096x1024", [floats(&ROWS), gains(), gains()], |x| {
            vec![x[0].layer_norm(1, Some(&x[1]), Some(&x[2]), 1e-5)]
        }),
        Case::kernel(
            "layer_norm/f32/4096x1024/forward_backward",
            [floats(&ROWS), gains(), gains(), floats(&ROWS)],
            |x| {
                let result = x[0].layer_norm(1, Some(&x[1]), Some(&x[2]), 1e-5);
                with_gradients(&result, &x[3], &[&x[0], &x[1], &x[2]])
            },
        ),
    ]
}
