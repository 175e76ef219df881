//! Scans on a device against the CPU's, in every variant.

use super::CumulativeSum;
use crate::ops::device_tests::compare;
use crate::shader::testing::{numbers, operand};
use crate::tensor::DType;

#[test]
fn all_variants_along_each_axis() {
    for (shape, axis) in [(vec![1], 0), (vec![7, 300, 3], 1), (vec![70, 33], 0), (vec![3, 1000], 1)] {
        let values: Vec<i32> = numbers(shape.iter().product(), 3).iter().map(|x| (x * 100.0) as i32).collect();
        let source = operand(DType::I32, &shape);
        for (reverse, exclusive) in [(false, false), (true, false), (false, true), (true, true)] {
            let op = CumulativeSum { axis, reverse, exclusive };
            let inputs = [(&source, bytemuck::cast_slice(&values))];
            compare(&format!("{op:?} of {shape:?}"), &op, &inputs, std::slice::from_ref(&source.ty), 0.0);
        }
    }
}

#[test]
fn long_lines_are_cut_into_chunks() {
    for (shape, axis) in [(vec![40_000], 0), (vec![20_000, 2], 0)] {
        let values = numbers(40_000, 5);
        let source = operand(DType::F32, &shape);
        let op = CumulativeSum { axis, reverse: shape.len() == 2, exclusive: false };
        let inputs = [(&source, bytemuck::cast_slice(&values))];
        compare(&format!("{shape:?}"), &op, &inputs, std::slice::from_ref(&source.ty), 1e-4);
    }
}

#[test]
fn nothing() {
    let source = operand(DType::F32, &[3, 0]);
    compare(
        "empty",
        &CumulativeSum { axis: 1, reverse: false, exclusive: false },
        &[(&source, &[])],
        std::slice::from_ref(&source.ty),
        0.0,
    );
}
