//! Products of matrices: square ones, and those of training.

use super::{Case, Input};
use crate::tensor::DType;

/// Rows, inner extent and columns.
const SHAPES: [[usize; 3]; 9] = [
    [256, 256, 256],
    [512, 512, 512],
    [1024, 1024, 1024],
    [2048, 2048, 2048],
    // A layer of a batch of 128.
    [128, 784, 512],
    // One example: a row, and a column, times a matrix.
    [1, 4096, 4096],
    [4096, 4096, 1],
    // A narrow layer on many rows.
    [16384, 64, 64],
    [4096, 512, 10],
];

/// A weight's gradient, xᵀ·dy: the features of x, the rows of both, the features of dy.
const TRANSPOSED: [[usize; 3]; 2] = [[784, 128, 512], [256, 16384, 64]];

/// A layer's product, x·Wᵀ, as its weight is stored: rows, inputs and outputs, of a small and a middling transformer.
const LAYERS: [[usize; 3]; 2] = [[768, 128, 512], [128, 576, 1536]];

/// Matrices in a batch, and their extents.
const BATCHED: [[usize; 4]; 2] = [[64, 128, 64, 128], [512, 32, 32, 32]];

/// A weight's gradient and a layer in mixed precision: rows, inner dimension and columns.
const HALF_TRANSPOSED: [usize; 3] = [512, 4096, 2048];
const HALF_LAYER: [usize; 3] = [4096, 512, 2048];

/// 11 and 8 bits of precision in operands and result.
const HALF: [(DType, f64); 2] = [(DType::F16, 2e-3), (DType::BF16, 1.6e-2)];

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = SHAPES.into_iter().map(|shape| product(DType::F32, shape)).collect();
    for [m, k, n] in TRANSPOSED {
        let inputs = [Input::uniform(DType::F32, [k, m]), Input::uniform(DType::F32, [k, n])];
        cases.push(Case::kernel(format!("matmul/f32/{m}x{k}x{n}/tn"), inputs, |x| {
            vec![x[0].transpose(0, 1).matmul(&x[1])]
        }));
    }
    for [m, k, n] in LAYERS {
        let inputs = [Input::uniform(DType::F32, [m, k]), Input::uniform(DType::F32, [n, k])];
        cases.push(Case::kernel(format!("matmul/f32/{m}x{k}x{n}/nt"), inputs, |x| {
            vec![x[0].matmul(&x[1].transpose(0, 1))]
        }));
    }
    for [batch, m, k, n] in BATCHED {
        let inputs = [Input::uniform(DType::F32, [batch, m, k]), Input::uniform(DType::F32, [batch, k, n])];
        cases.push(Case::kernel(format!("matmul/f32/batch{batch}/{m}x{k}x{n}"), inputs, |x| vec![x[0].matmul(&x[1])]));
    }
    cases.extend(HALF.map(|(dtype, _)| product(dtype, [1024; 3])));
    let [m, k, n] = HALF_TRANSPOSED;
    let inputs = [Input::uniform(DType::F16, [k, m]), Input::uniform(DType::F16, [k, n])];
    let weight_gradient =
        Case::kernel(format!("matmul/f16/{m}x{k}x{n}/tn"), inputs, |x| vec![x[0].transpose(0, 1).matmul(&x[1])]);
    let [m, k, n] = HALF_LAYER;
    let inputs =
        [Input::uniform(DType::F16, [m, k]), Input::uniform(DType::F16, [n, k]), Input::uniform(DType::F16, [n])];
    let layer = Case::kernel(format!("matmul/f16/{m}x{k}x{n}/nt_bias_relu"), inputs, |x| {
        vec![(x[0].matmul(&x[1].transpose(0, 1)) + &x[2]).relu()]
    });
    cases.extend([weight_gradient, layer].map(|case| case.tolerance(HALF[0].1)));
    cases
}

/// A product of matrices that are stored in some type.
pub(super) fn product(dtype: DType, [m, k, n]: [usize; 3]) -> Case {
    let inputs = [Input::uniform(dtype, [m, k]), Input::uniform(dtype, [k, n])];
    let case = Case::kernel(format!("matmul/{dtype}/{m}x{k}x{n}"), inputs, |x| vec![x[0].matmul(&x[1])]);
    match HALF.iter().find(|(half, _)| *half == dtype) {
        Some((_, tolerance)) => case.tolerance(*tolerance),
        None => case,
    }
}
