//! Convolutions on the CPU against their definition, and kernels on a device against the CPU, in every variant.

use proptest::prelude::*;

use super::{Convolution, Direction};
use crate::graph::{CpuRoutine, GpuRoutine, Operator};
use crate::ops::device_tests::{compare, compare_candidates};
use crate::ops::{Rounding, WindowAxis};
use crate::scalar::Epilogue;
use crate::shader::testing::{Runner, adapters, assert_close, check, numbers, operand, stored, widened};
use crate::shader::{Operand, RoutineShapes};
use crate::tensor::{DType, Shape, TensorType};

/// A convolution with the shapes of its three tensors.
#[derive(Clone, Debug)]
struct Case {
    batch: usize,
    /// Channels of a group: of the input, and of the result.
    channels: [usize; 2],
    groups: usize,
    axes: Vec<WindowAxis>,
    extents: Vec<usize>,
}

fn axis(kernel: usize, stride: usize, dilation: usize, low: usize, high: usize) -> WindowAxis {
    WindowAxis { kernel, stride, dilation, low, high }
}

impl Case {
    fn new(batch: usize, channels: [usize; 2], groups: usize, axes: &[WindowAxis], extents: &[usize]) -> Self {
        Self { batch, channels, groups, axes: axes.to_vec(), extents: extents.to_vec() }
    }

    fn toward(&self, direction: Direction) -> Convolution {
        Convolution { direction, axes: self.axes.clone(), extents: self.extents.clone(), groups: self.groups }
    }

    fn windows(&self) -> Option<Vec<usize>> {
        self.axes.iter().zip(&self.extents).map(|(axis, &extent)| axis.windows(extent, Rounding::Floor).ok()).collect()
    }

    /// Shapes of input, weight and result.
    fn shapes(&self) -> [Shape; 3] {
        let [c, k] = self.channels;
        let shape = |lead: [usize; 2], space: Vec<usize>| -> Shape { lead.into_iter().chain(space).collect() };
        let kernel = self.axes.iter().map(|axis| axis.kernel).collect();
        [
            shape([self.batch, c * self.groups], self.extents.clone()),
            shape([k * self.groups, c], kernel),
            shape([self.batch, k * self.groups], self.windows().unwrap()),
        ]
    }

    /// Which of the shapes are the operands, and which is the result.
    fn roles(direction: Direction) -> [usize; 3] {
        match direction {
            Direction::Forward => [0, 1, 2],
            Direction::Input => [2, 1, 0],
            Direction::Weight => [0, 2, 1],
        }
    }

    /// By the definition: each product of an input element and a weight belongs to one element of the result.
    fn reference(&self, direction: Direction, first: &[f32], second: &[f32]) -> Vec<f32> {
        let shapes = self.shapes();
        let [a, b, out] = Self::roles(direction);
        let mut result = vec![0.0_f64; shapes[out].len()];
        let strides: Vec<Vec<i64>> = shapes.iter().map(Shape::strides).collect();
        let rank = self.axes.len();
        let count = |extents: &[usize]| extents.iter().product::<usize>();
        let unfold = |mut index: usize, extents: &[usize]| {
            let mut at = vec![0; extents.len()];
            for axis in (0..extents.len()).rev() {
                at[axis] = index % extents[axis];
                index /= extents[axis];
            }
            at
        };
        let (kernel, windows) = (shapes[1][2..].to_vec(), shapes[2][2..].to_vec());
        let [c, k] = self.channels;
        for n in 0..self.batch {
            for g in 0..self.groups {
                for (kk, cc) in (0..k).flat_map(|kk| (0..c).map(move |cc| (kk, cc))) {
                    for o in (0..count(&windows)).map(|index| unfold(index, &windows)) {
                        for t in (0..count(&kernel)).map(|index| unfold(index, &kernel)) {
                            let at: Vec<i64> = (0..rank)
                                .map(|axis| {
                                    let window = &self.axes[axis];
                                    (o[axis] * window.stride + t[axis] * window.dilation) as i64 - window.low as i64
                                })
                                .collect();
                            if (0..rank).any(|axis| at[axis] < 0 || at[axis] >= self.extents[axis] as i64) {
                                continue;
                            }
                            let address = |tensor: usize, lead: [usize; 2], space: &[i64]| {
                                let lead = lead.map(|index| index as i64);
                                let all = lead.iter().chain(space);
                                strides[tensor].iter().zip(all).map(|(stride, index)| stride * index).sum::<i64>()
                                    as usize
                            };
                            let wide =
                                |indices: &[usize]| indices.iter().map(|&index| index as i64).collect::<Vec<_>>();
                            let addresses = [
                                address(0, [n, g * c + cc], &at),
                                address(1, [g * k + kk, cc], &wide(&t)),
                                address(2, [n, g * k + kk], &wide(&o)),
                            ];
                            result[addresses[out]] += f64::from(first[addresses[a]]) * f64::from(second[addresses[b]]);
                        }
                    }
                }
            }
        }
        result.into_iter().map(|value| value as f32).collect()
    }

    fn operands(&self, direction: Direction) -> ([Operand; 2], TensorType) {
        let shapes = self.shapes();
        let [a, b, out] = Self::roles(direction);
        let types = [operand(DType::F32, &shapes[a]), operand(DType::F32, &shapes[b])];
        (types, TensorType::new(DType::F32, shapes[out].clone()))
    }

    fn native(&self, direction: Direction, first: &[f32], second: &[f32]) -> Vec<f32> {
        let (operands, ty) = self.operands(direction);
        let mut out = vec![f32::NAN; ty.len()];
        let inputs = [(&operands[0], bytemuck::cast_slice(first)), (&operands[1], bytemuck::cast_slice(second))];
        let convolution = self.toward(direction);
        let types: Vec<&TensorType> = operands.iter().map(|operand| &operand.ty).collect();
        assert_eq!(convolution.infer(&types).unwrap(), std::slice::from_ref(&ty));
        convolution.evaluate(&inputs, &mut [(&ty, bytemuck::cast_slice_mut(&mut out))]).unwrap();
        out
    }

    fn check_native(&self) {
        for direction in [Direction::Forward, Direction::Input, Direction::Weight] {
            let (operands, _) = self.operands(direction);
            let (first, second) = (numbers(operands[0].ty.len(), 1), numbers(operands[1].ty.len(), 2));
            let want = self.reference(direction, &first, &second);
            let got = self.native(direction, &first, &second);
            assert_close(&format!("{direction:?} of {self:?}"), &got, &want, 1e-4);
        }
    }

    fn check_kernels(&self) {
        self.check_plans([DType::F32; 2], compare);
    }

    /// With operands that are stored in these types.
    fn check_plans(&self, types: [DType; 2], compare: Compare) {
        for direction in [Direction::Forward, Direction::Input, Direction::Weight] {
            let (mut operands, ty) = self.operands(direction);
            for (operand, dtype) in operands.iter_mut().zip(types) {
                operand.ty.dtype = dtype;
            }
            let memory = [0, 1].map(|k| stored(types[k], &numbers(operands[k].ty.len(), k as u32 + 1)));
            let inputs = [(&operands[0], memory[0].as_slice()), (&operands[1], memory[1].as_slice())];
            compare(&format!("{direction:?} of {types:?} {self:?}"), &self.toward(direction), &inputs, &[ty], 1e-4);
        }
    }
}

/// One, two and three axes; odd sizes; strides beyond the kernel; dilation that shares a divisor with the stride; groups.
fn cases() -> Vec<Case> {
    let three = axis(3, 1, 1, 1, 1);
    vec![
        Case::new(1, [1, 1], 1, &[axis(1, 1, 1, 0, 0)], &[1]),
        Case::new(2, [3, 5], 1, &[axis(3, 2, 1, 1, 0)], &[11]),
        Case::new(2, [2, 3], 2, &[axis(4, 3, 2, 2, 3)], &[17]),
        Case::new(1, [1, 4], 1, &[three; 2], &[7, 5]),
        Case::new(3, [5, 7], 1, &[three; 2], &[9, 8]),
        Case::new(2, [4, 6], 1, &[axis(3, 2, 1, 1, 1); 2], &[8, 7]),
        Case::new(2, [3, 2], 1, &[axis(2, 3, 1, 0, 0), axis(3, 4, 1, 0, 2)], &[10, 11]),
        Case::new(2, [3, 2], 1, &[axis(3, 2, 2, 2, 2), axis(3, 2, 3, 3, 0)], &[9, 10]),
        Case::new(2, [1, 1], 6, &[three; 2], &[6, 7]),
        Case::new(2, [1, 2], 5, &[axis(5, 2, 1, 2, 2); 2], &[9, 9]),
        Case::new(2, [4, 3], 3, &[axis(3, 1, 1, 0, 1); 2], &[5, 6]),
        Case::new(3, [37, 20], 1, &[axis(1, 1, 1, 0, 0); 2], &[5, 5]),
        Case::new(2, [6, 9], 1, &[axis(1, 2, 1, 0, 0); 2], &[6, 5]),
        Case::new(2, [2, 3], 1, &[axis(1, 1, 1, 1, 1); 2], &[4, 3]),
        Case::new(1, [2, 3], 1, &[three; 3], &[4, 5, 6]),
        Case::new(2, [2, 2], 2, &[axis(2, 2, 1, 1, 0), axis(3, 1, 2, 2, 2), axis(3, 3, 1, 0, 1)], &[5, 6, 7]),
        Case::new(2, [16, 40], 1, &[three; 2], &[12, 12]),
        // So many rows of the weight's gradient that threads take some each.
        Case::new(2, [5, 120], 1, &[three; 2], &[7, 7]),
        Case::new(9, [2, 3], 1, &[axis(3, 1, 1, 1, 1); 2], &[16, 16]),
    ]
}

#[test]
fn the_cpu_follows_the_definition() {
    for case in cases() {
        case.check_native();
    }
}

/// Each shape makes pipelines of its own for every tile, which software drivers build slowly: a few shapes with everything in them.
#[test]
fn kernels_agree_with_the_cpu() {
    let three = axis(3, 1, 1, 1, 1);
    let few = [
        Case::new(2, [2, 3], 2, &[axis(4, 3, 2, 2, 3)], &[17]),
        Case::new(2, [3, 5], 1, &[axis(3, 2, 2, 2, 2), axis(3, 2, 3, 3, 0)], &[9, 10]),
        Case::new(2, [1, 2], 5, &[axis(3, 2, 1, 2, 2); 2], &[9, 9]),
        Case::new(3, [37, 20], 1, &[axis(1, 1, 1, 0, 0); 2], &[5, 5]),
        Case::new(2, [2, 2], 2, &[axis(2, 2, 1, 1, 0), axis(3, 1, 2, 2, 2), axis(3, 3, 1, 0, 1)], &[5, 6, 7]),
        Case::new(2, [9, 35], 1, &[three; 2], &[12, 12]),
    ];
    for case in few {
        case.check_kernels();
    }
}

/// One of the comparisons of `device_tests`.
type Compare = fn(&str, &dyn Operator, &[(&Operand, &[u8])], &[TensorType], f32) -> usize;

#[test]
fn what_tuning_tries() {
    Case::new(2, [6, 20], 2, &[axis(3, 2, 1, 1, 1); 2], &[9, 10]).check_plans([DType::F32; 2], compare_candidates);
    Case::new(3, [9, 35], 1, &[axis(3, 1, 1, 1, 1); 2], &[12, 12]).check_plans([DType::F32; 2], compare_candidates);
}

#[test]
fn kernels_read_16_bits() {
    let windows = Case::new(2, [3, 5], 1, &[axis(3, 2, 2, 2, 2), axis(3, 1, 1, 1, 0)], &[9, 10]);
    windows.check_plans([DType::F16; 2], compare);
    let points = Case::new(2, [8, 12], 2, &[axis(1, 1, 1, 0, 0); 2], &[4, 6]);
    points.check_plans([DType::BF16, DType::F32], compare);
}

/// Windows, groups, phases and points of f16, in every direction, some in several tiles.
#[test]
fn matrix_instructions() {
    let cases = [
        Case::new(2, [3, 5], 1, &[axis(3, 2, 1, 1, 1); 2], &[9, 10]),
        Case::new(2, [17, 20], 2, &[axis(3, 1, 1, 1, 1); 2], &[7, 9]),
        Case::new(3, [37, 20], 1, &[axis(1, 1, 1, 0, 0); 2], &[5, 5]),
        Case::new(3, [36, 132], 1, &[axis(1, 1, 1, 0, 0); 2], &[6, 6]),
    ];
    for case in cases {
        case.check_plans([DType::F16; 2], compare);
    }
}

/// Where a convolution is a product of matrices, real GPUs read four neighbours at once.
#[test]
fn points_in_groups_of_four() {
    let point = axis(1, 1, 1, 0, 0);
    Case::new(3, [36, 132], 1, &[point; 2], &[6, 6]).check_kernels();
    // Rows of the result that are such groups, and windows that are not.
    Case::new(2, [5, 6], 1, &[axis(3, 2, 1, 1, 1), axis(3, 1, 1, 1, 1)], &[7, 8]).check_kernels();
}

#[test]
fn epilogues_store_16_bits() {
    let few = [
        Case::new(2, [3, 5], 1, &[axis(3, 2, 1, 1, 1), axis(3, 1, 1, 1, 1)], &[7, 8]),
        Case::new(2, [300, 3], 1, &[axis(3, 1, 1, 1, 1)], &[12]),
        // Rows that are no groups of four in planes that are, and a sum that is split.
        Case::new(2, [3, 5], 1, &[axis(3, 1, 1, 1, 1); 2], &[6, 10]),
        Case::new(1, [700, 4], 1, &[axis(3, 1, 1, 1, 1); 2], &[2, 2]),
    ];
    for case in few {
        for (direction, dtype) in [(Direction::Forward, DType::F16), (Direction::Input, DType::BF16)] {
            let (operands, ty) = case.operands(direction);
            let (first, second) = (numbers(operands[0].ty.len(), 1), numbers(operands[1].ty.len(), 2));
            let want = case.native(direction, &first, &second);
            let rank = ty.shape.rank();
            let epilogue = Epilogue::identity(dtype, &ty.shape, [rank - 2, rank - 1]);
            let outputs = [ty.clone()];
            let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: Some(&epilogue) };
            let bytes: [&[u8]; 2] = [bytemuck::cast_slice(&first), bytemuck::cast_slice(&second)];
            for adapter in adapters() {
                for plan in case.toward(direction).kernels(&shapes, &adapter).unwrap() {
                    check(&plan, &adapter);
                    let Some(mut runner) = Runner::lock() else { continue };
                    if !runner.can_run(&plan, &adapter) {
                        continue;
                    }
                    let got = widened(dtype, &runner.run(&plan, &bytes, &[2 * ty.len()])[0]);
                    let tolerance = if dtype == DType::F16 { 1e-3 } else { 8e-3 };
                    let label = format!("{direction:?} to {dtype} by {}", plan.dispatches[0].kernel.label);
                    assert_close(&label, &got, &want, tolerance);
                }
            }
        }
    }
}

#[test]
fn long_sums_are_split() {
    Case::new(40, [3, 4], 1, &[axis(3, 1, 1, 1, 1); 2], &[16, 16]).check_kernels();
}

#[test]
fn every_choice_for_large_shapes_is_sound() {
    let three = axis(3, 1, 1, 1, 1);
    let large = [
        Case::new(256, [64, 64], 1, &[three; 2], &[56, 56]),
        Case::new(256, [3, 64], 1, &[axis(7, 2, 1, 3, 3); 2], &[224, 224]),
        Case::new(32, [512, 512], 1, &[three; 2], &[7, 7]),
        Case::new(64, [1, 1], 512, &[three; 2], &[28, 28]),
        Case::new(8, [256, 1024], 1, &[axis(1, 1, 1, 0, 0); 2], &[14, 14]),
        Case::new(2, [16, 16], 1, &[three; 3], &[32, 64, 64]),
    ];
    for case in large {
        for direction in [Direction::Forward, Direction::Input, Direction::Weight] {
            let (operands, ty) = case.operands(direction);
            let outputs = [ty];
            let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
            for adapter in adapters() {
                for plan in case.toward(direction).kernels(&shapes, &adapter).unwrap() {
                    check(&plan, &adapter);
                    let most = adapter.limits.binding_bytes as usize;
                    assert!(plan.scratch.iter().all(|&bytes| bytes <= most), "{case:?}: {:?}", plan.scratch);
                }
            }
        }
    }
}

fn window() -> impl Strategy<Value = (WindowAxis, usize)> {
    (1_usize..5, 1_usize..5, 1_usize..4, 0_usize..4, 0_usize..4, 1_usize..12)
        .prop_map(|(kernel, stride, dilation, low, high, extent)| (axis(kernel, stride, dilation, low, high), extent))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_window_follows_the_definition(
        windows in proptest::collection::vec(window(), 1..3),
        channels in [1_usize..4, 1_usize..4],
        groups in 1_usize..3,
        batch in 1_usize..3,
    ) {
        let (axes, extents): (Vec<_>, Vec<_>) = windows.into_iter().unzip();
        let case = Case::new(batch, channels, groups, &axes, &extents);
        prop_assume!(case.windows().is_some());
        case.check_native();
    }

    /// Depthwise ones have an implementation of their own, by lines.
    #[test]
    fn single_channels_follow_the_definition(
        windows in proptest::collection::vec((window(), 0_usize..30), 1..4),
        groups in 1_usize..4,
        batch in 1_usize..3,
    ) {
        let (axes, extents): (Vec<_>, Vec<_>) =
            windows.into_iter().map(|((axis, extent), more)| (axis, extent + more)).unzip();
        let case = Case::new(batch, [1, 1], groups, &axes, &extents);
        prop_assume!(case.windows().is_some() && extents.iter().product::<usize>() < 20_000);
        case.check_native();
    }
}
