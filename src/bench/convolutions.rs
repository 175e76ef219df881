//! Convolutions of known networks, forward and both gradients; pools and batch normalisation beside them.

use super::{Case, Input, with_gradients};
use crate::ops::{ConvOptions, ConvTransposeOptions, MaxPool};
use crate::tensor::{DType, TensorData};

/// Images, channels and extents of the input; channels and extent of the kernel; groups.
pub(super) type Extents = ([usize; 4], [usize; 2], usize);

const SHAPES: [Extents; 4] = [
    ([8, 64, 56, 56], [64, 3], 1),
    ([8, 256, 14, 14], [256, 3], 1),
    ([8, 256, 28, 28], [64, 1], 1),
    ([8, 128, 28, 28], [128, 3], 128),
];

/// Images, channels and extents of what is pooled and normalised.
const IMAGES: [usize; 4] = [16, 64, 56, 56];

pub(super) fn cases() -> Vec<Case> {
    let all = SHAPES.into_iter().map(|shape| (DType::F32, shape));
    let halves = SHAPES.into_iter().filter(|(.., groups)| *groups == 1).map(|shape| (DType::F16, shape));
    let mut cases: Vec<Case> = all.chain(halves).flat_map(|(dtype, shape)| passes(dtype, shape)).collect();
    cases.extend(images());
    cases
}

/// The forward pass and both gradients of a convolution with padding of half a kernel.
pub(super) fn passes(dtype: DType, ([n, c, h, w], [k, r], groups): Extents) -> [Case; 3] {
    // A kernel of even extent has one more result.
    let result = [h, w].map(|extent| extent + 2 * (r / 2) + 1 - r);
    let (input, weight, result) = ([n, c, h, w], [k, c / groups, r, r], [n, k, result[0], result[1]]);
    let pair = |left: [usize; 4], right: [usize; 4]| [left, right].map(|shape| Input::uniform(dtype, shape));
    let grouped = if groups > 1 { format!("g{groups}") } else { String::new() };
    let name = |pass: &str| format!("conv2d/{dtype}/n{n}c{c}h{h}w{w}k{k}r{r}{grouped}/{pass}");
    let options = ConvOptions::new().padding(r / 2).groups(groups);
    let transposed = ConvTransposeOptions::new().padding(r / 2).groups(groups);
    let forward = options.clone();
    let passes = [
        Case::kernel(name("forward"), pair(input, weight), move |x| vec![x[0].conv(&x[1], &forward)]),
        Case::kernel(name("input_gradient"), pair(result, weight), move |x| {
            vec![x[0].conv_transpose(&x[1], &transposed)]
        }),
        Case::kernel(name("weight_gradient"), pair(input, result), move |x| {
            let weight = x[0].graph().constant(TensorData::zeros(x[0].dtype(), weight));
            let convolved = x[0].conv(&weight, &options);
            x[0].graph().gradients_from(&[(&convolved, &x[1])], &[&weight])
        }),
    ];
    passes.map(|case| if dtype == DType::F16 { case.tolerance(2e-3) } else { case })
}

fn images() -> Vec<Case> {
    let [n, c, h, w] = IMAGES;
    let name = |what: &str, rest: &str| format!("{what}/f32/n{n}c{c}h{h}w{w}{rest}");
    let images = || Input::uniform(DType::F32, IMAGES);
    let channels = || Input::between(DType::F32, [c], 0.5, 1.5);
    vec![
        Case::kernel(name("max_pool2d", "r2/forward"), [images()], |x| vec![x[0].max_pool(&MaxPool::new(2))]),
        Case::kernel(
            name("max_pool2d", "r2/forward_backward"),
            [images(), Input::uniform(DType::F32, [n, c, h / 2, w / 2])],
            |x| with_gradients(&x[0].max_pool(&MaxPool::new(2)), &x[1], &[&x[0]]),
        ),
        Case::kernel(name("batch_norm", "/forward_backward"), [images(), channels(), channels(), images()], |x| {
            let result = x[0].batch_norm(Some(&x[1]), Some(&x[2]), 1e-5);
            with_gradients(&result, &x[3], &[&x[0], &x[1], &x[2]])
        }),
    ]
}
