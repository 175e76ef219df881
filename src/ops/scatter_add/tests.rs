//! Scatters on a device against the CPU's, in every variant; the order of additions makes them equal bit for bit.

use super::super::scatter::{Combine, Scatter};
use super::{ScatterAdd, ScatterRows};
use crate::graph::Operator;
use crate::ops::device_tests::{compare, compare_updates};
use crate::shader::testing::{numbers, operand};
use crate::tensor::DType;

/// Indices from a little below 0 to a little above `n`.
fn indices(count: usize, n: usize) -> Vec<i32> {
    numbers(count, 11).iter().map(|x| ((x + 1.0) * 0.5 * (n + 3) as f32) as i32 - 2).collect()
}

fn run(op: &dyn Operator, base: &[usize], index: &[usize], source: &[usize], n: usize) {
    let label = format!("{} {base:?} {index:?} {source:?}", op.name());
    let (base, index, source) = (operand(DType::F32, base), operand(DType::I32, index), operand(DType::F32, source));
    let start: Vec<f32> = numbers(base.ty.len(), 1).iter().map(|x| x / 3.0).collect();
    let values: Vec<f32> = numbers(source.ty.len(), 2).iter().map(|x| x / 7.0).collect();
    let targets = indices(index.ty.len(), n);
    let inputs: [(_, &[u8]); 3] = [
        (&base, bytemuck::cast_slice(&start)),
        (&index, bytemuck::cast_slice(&targets)),
        (&source, bytemuck::cast_slice(&values)),
    ];
    compare(&label, op, &inputs, std::slice::from_ref(&base.ty), 0.0);
    compare_updates(&format!("{label} in place"), op, &inputs);
}

#[test]
fn along_each_axis() {
    run(&ScatterAdd { axis: 0 }, &[10], &[7], &[7], 10);
    run(&ScatterAdd { axis: 1 }, &[3, 10, 5], &[3, 4, 5], &[3, 4, 5], 10);
    run(&ScatterAdd { axis: 0 }, &[4, 6], &[9, 6], &[9, 6], 4);
    run(&ScatterAdd { axis: 1 }, &[5, 20], &[5, 100], &[5, 100], 20);
    run(&ScatterAdd { axis: 1 }, &[5, 20], &[5, 1], &[5, 1], 20);
    run(&ScatterAdd { axis: 0 }, &[5], &[0], &[0], 5);
}

#[test]
fn rows() {
    for (n, m, d) in [(1, 1, 1), (10, 7, 3), (6, 100, 33), (50, 2000, 4), (9, 0, 2)] {
        run(&ScatterRows { axis: 0 }, &[n, d], &[m], &[m, d], n);
    }
    run(&ScatterRows { axis: 1 }, &[3, 10, 4], &[7], &[3, 7, 4], 10);
    run(&ScatterRows { axis: 1 }, &[3, 10, 4], &[200], &[3, 200, 4], 10);
    run(&ScatterRows { axis: 2 }, &[2, 3, 6], &[90], &[2, 3, 90], 6);
    run(&ScatterRows { axis: 0 }, &[6], &[9], &[9], 6);
}

#[test]
fn every_way_of_joining() {
    for combine in [Combine::Product, Combine::Max, Combine::Min, Combine::Last] {
        for (rows, axis) in [(true, 0), (true, 1), (false, 1)] {
            let scatter = Scatter { axis, rows, combine };
            let slices = |count: usize| {
                let mut shape = vec![20, 20];
                shape[axis] = count;
                shape
            };
            for count in [3, 150] {
                let index = if rows { vec![count] } else { slices(count) };
                run(&scatter, &[20, 20], &index, &slices(count), 20);
            }
        }
    }
}

#[test]
fn more_contributions_than_a_dispatch_takes() {
    run(&ScatterRows { axis: 0 }, &[2, 3], &[40_000], &[40_000, 3], 2);
    run(&ScatterAdd { axis: 0 }, &[3, 2], &[20_000, 2], &[20_000, 2], 3);
}

#[test]
fn integers() {
    let (base, index) = (operand(DType::I32, &[5]), operand(DType::I32, &[90]));
    let start = [i32::MAX, 0, -5, 7, 1];
    let (targets, values) = (indices(90, 5), (0..90).collect::<Vec<i32>>());
    let inputs: [(_, &[u8]); 3] = [
        (&base, bytemuck::cast_slice(&start)),
        (&index, bytemuck::cast_slice(&targets)),
        (&index, bytemuck::cast_slice(&values)),
    ];
    compare("integers", &ScatterAdd { axis: 0 }, &inputs, std::slice::from_ref(&base.ty), 0.0);
}
