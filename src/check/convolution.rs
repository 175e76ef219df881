//! Convolutions to check: forward, and with it the gradients of input and weight, each a kernel of its own.

use super::Family;
use super::input::Input;
use crate::ops::{ConvOptions, ConvTransposeOptions};
use crate::tensor::DType;

/// Sums of products, in any order; those of a weight's gradient are long.
const SUM: f64 = 5e-5;

/// Input, weight, stride, padding, dilation, groups.
type Row = (&'static [usize], &'static [usize], usize, usize, usize, usize);

/// One to three axes, single elements, odd sizes, strides, dilation, groups down to depthwise, products of matrices, tiles and
/// their edges, sums that are split.
const CONVOLUTIONS: &[(&str, &[Row])] = &[
    (
        "conv1d",
        &[
            (&[1, 1, 1], &[1, 1, 1], 1, 0, 1, 1),
            (&[3, 5, 70], &[33, 5, 3], 2, 1, 1, 1),
            (&[2, 6, 40], &[4, 3, 5], 1, 4, 2, 2),
        ],
    ),
    (
        "conv2d",
        &[
            (&[2, 3, 17, 13], &[8, 3, 3, 3], 1, 1, 1, 1),
            (&[4, 16, 16, 16], &[32, 16, 3, 3], 1, 1, 1, 1),
            (&[2, 7, 15, 14], &[65, 7, 5, 5], 2, 2, 1, 1),
            (&[1, 4, 20, 20], &[5, 4, 3, 3], 3, 2, 2, 1),
            (&[3, 130, 5, 5], &[40, 130, 1, 1], 1, 0, 1, 1),
            (&[8, 2, 24, 24], &[3, 2, 3, 3], 1, 1, 1, 1),
        ],
    ),
    ("conv2d/grouped", &[(&[2, 12, 9, 9], &[8, 3, 3, 3], 1, 1, 1, 4), (&[2, 24, 11, 11], &[24, 1, 3, 3], 2, 1, 1, 24)]),
    ("conv3d", &[(&[2, 3, 5, 6, 7], &[4, 3, 3, 3, 3], 1, 1, 1, 1), (&[1, 4, 6, 5, 9], &[6, 2, 2, 2, 2], 2, 0, 1, 2)]),
];

/// The same for transposed convolutions, whose weights are `[in, out / groups, kernel…]`.
const TRANSPOSED: &[(&str, &[Row])] =
    &[("conv_transpose2d", &[(&[2, 8, 7, 6], &[8, 5, 4, 4], 2, 1, 1, 1), (&[1, 6, 5, 5], &[6, 2, 3, 3], 3, 0, 1, 3)])];

pub(super) fn families() -> Vec<Family> {
    let inputs = |input: &[usize], weight: &[usize]| {
        // Small factors keep the sums near 1, where the tolerance is relative to.
        let summed = (weight.iter().product::<usize>() / weight[0].min(input[1])) as f64;
        [Input::normal(input), Input::awkward(weight, summed.max(1.0).sqrt().recip(), &[])]
    };
    let mut families = Vec::new();
    for &(name, rows) in CONVOLUTIONS {
        families.push(rows.iter().fold(
            Family::new(name, SUM),
            |family, &(input, weight, stride, padding, dilation, groups)| {
                let options = ConvOptions::new().stride(stride).padding(padding).dilation(dilation).groups(groups);
                family.case(inputs(input, weight), move |inputs| inputs[0].conv(&inputs[1], &options))
            },
        ));
    }
    for &(name, rows) in TRANSPOSED {
        families.push(rows.iter().fold(
            Family::new(name, SUM),
            |family, &(input, weight, stride, padding, dilation, groups)| {
                let options =
                    ConvTransposeOptions::new().stride(stride).padding(padding).dilation(dilation).groups(groups);
                family.case(inputs(input, weight), move |inputs| inputs[0].conv_transpose(&inputs[1], &options))
            },
        ));
    }
    // What follows a convolution is applied before it is stored.
    let epilogue = |inputs: &[crate::graph::Tensor]| {
        let options = ConvOptions::new().padding(1);
        let sum = inputs[0].conv(&inputs[1], &options) + inputs[2].reshape([16, 1, 1]) + &inputs[3];
        sum.relu()
    };
    let shapes: [&[usize]; 4] = [&[2, 3, 9, 10], &[16, 3, 3, 3], &[16], &[2, 16, 9, 10]];
    families.push(Family::new("conv2d/epilogue", SUM).case(shapes.map(Input::normal), epilogue));
    // Groups of four neighbours, where a convolution is a product of matrices.
    let points: [[&[usize]; 2]; 3] =
        [[&[3, 36, 6, 6], &[20, 36, 1, 1]], [&[2, 8, 4, 18], &[132, 8, 1, 1]], [&[2, 6, 4, 4], &[9, 6, 1, 1]]];
    families.push(points.iter().fold(Family::new("conv2d/points", SUM), |family, shapes| {
        family.case(shapes.map(Input::normal), |inputs| inputs[0].conv(&inputs[1], &ConvOptions::new()))
    }));
    // One convolution of another's result, in 16 bits.
    for (name, dtype, tolerance) in [("bf16", DType::BF16, 1.6e-2), ("f16", DType::F16, 2e-3)] {
        let rows: [&[usize]; 3] = [&[2, 4, 6, 8], &[1, 4, 5, 5], &[3, 4, 4, 12]];
        families.push(rows.iter().fold(Family::new(format!("conv2d/{name}"), tolerance), |family, &input| {
            let small = |shape: &[usize]| Input::uniform(shape, -0.2, 0.2, &[]);
            let inputs = [small(input), small(&[8, 4, 3, 3]), small(&[5, 8, 1, 1])];
            family.forward(inputs, move |_, inputs| {
                let padded = ConvOptions::new().padding(1);
                let hidden = inputs[0].cast(dtype).conv(&inputs[1].cast(dtype), &padded).relu();
                vec![hidden.conv(&inputs[2].cast(dtype), &ConvOptions::new()).cast(DType::F32)]
            })
        }));
    }
    families
}
