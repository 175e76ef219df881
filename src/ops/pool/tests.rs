//! Pools on a device against the CPU's, and the CPU's against what the definition says, over random geometries.

use proptest::prelude::*;

use super::{Pool, PoolAxis, PoolKind};
use crate::graph::{CpuRoutine, GpuRoutine, Operator};
use crate::ops::WindowAxis;
use crate::ops::device_tests::compare;
use crate::shader::testing::{adapters, numbers, operand};
use crate::shader::{Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

fn regular(extent: usize, [kernel, stride, dilation, low, high]: [usize; 5], ceil: bool) -> PoolAxis {
    PoolAxis::regular(WindowAxis { kernel, stride, dilation, low, high }, extent, ceil).unwrap()
}

fn shape(batch: usize, channels: usize, extents: impl Iterator<Item = usize>) -> Vec<usize> {
    [batch, channels].into_iter().chain(extents).collect()
}

/// The elements of each window, as the definition has them: their indices in the plane, in order.
fn windows(axes: &[PoolAxis]) -> Vec<Vec<usize>> {
    let elements = |axis: &PoolAxis, o: usize| -> Vec<usize> {
        match axis.steps {
            super::Steps::Regular(window) => (0..window.kernel)
                .map(|t| (o * window.stride + t * window.dilation) as i64 - window.low as i64)
                .filter(|index| (0..axis.extent as i64).contains(index))
                .map(|index| index as usize)
                .collect(),
            super::Steps::Adaptive => {
                let share = axis.extent as f64 / axis.windows as f64;
                let (first, end) = ((o as f64 * share + 1e-9).floor(), ((o + 1) as f64 * share - 1e-9).ceil());
                (first as usize..end as usize).collect()
            }
        }
    };
    let mut all: Vec<Vec<usize>> = vec![vec![0]];
    for axis in axes {
        all = all
            .iter()
            .flat_map(|outer| {
                (0..axis.windows).map(|o| {
                    let inner = elements(axis, o);
                    outer.iter().flat_map(|start| inner.iter().map(move |i| start * axis.extent + i)).collect()
                })
            })
            .collect();
    }
    all
}

fn evaluate(pool: &Pool, inputs: &[(&Operand, &[u8])], outputs: &[TensorType]) -> Vec<Vec<u32>> {
    let mut words: Vec<Vec<u32>> = outputs.iter().map(|ty| vec![0x7fc0_0000; ty.len()]).collect();
    let mut results: Vec<(&TensorType, &mut [u8])> =
        outputs.iter().zip(&mut words).map(|(ty, words)| (ty, bytemuck::cast_slice_mut(words))).collect();
    pool.evaluate(inputs, &mut results).unwrap();
    words
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().copied().map(f32::from_bits).collect()
}

/// Every kind of pool with these windows: the CPU's results against the definition; with `device`, the kernels' against the CPU's.
fn check(batch: usize, channels: usize, axes: &[PoolAxis], device: bool) {
    let label = format!("{batch} {channels} {axes:?}");
    let source = operand(DType::F32, &shape(batch, channels, axes.iter().map(|axis| axis.extent)));
    let some = operand(DType::F32, &shape(batch, channels, axes.iter().map(|axis| axis.windows)));
    let found = operand(DType::I32, &some.ty.shape);
    // Some are equal, and one is NaN.
    let mut x: Vec<f32> = numbers(source.ty.len(), 1).iter().map(|x| (x * 5.0).round() / 3.0).collect();
    let middle = x.len() / 2;
    x[middle] = f32::NAN;
    let dy: Vec<f32> = numbers(some.ty.len(), 2).iter().map(|x| x / 7.0).collect();
    let (elements, count) = (axes.iter().map(|axis| axis.extent).product::<usize>(), windows(axes).len());
    let of = |kind| Pool { kind, axes: axes.to_vec() };
    let (bytes, upstream): (&[u8], &[u8]) = (bytemuck::cast_slice(&x), bytemuck::cast_slice(&dy));
    let run = |kind: PoolKind, inputs: &[(&Operand, &[u8])], outputs: &[TensorType], tolerance: f32| {
        let pool = of(kind);
        let types: Vec<&TensorType> = inputs.iter().map(|(operand, _)| &operand.ty).collect();
        assert_eq!(pool.infer(&types).unwrap(), outputs);
        if device {
            assert!(compare(&format!("{label} {kind:?}"), &pool, inputs, outputs, tolerance) < 2);
        }
        evaluate(&pool, inputs, outputs)
    };
    let both = [some.ty.clone(), found.ty.clone()];
    let largest = run(PoolKind::Max, &[(&source, bytes)], &both, 0.0);
    let sums = floats(&run(PoolKind::Sum, &[(&source, bytes)], &both[..1], 1e-4)[0]);
    let indices: Vec<i32> = bytemuck::cast_slice(&largest[1]).to_vec();
    let index_bytes: &[u8] = bytemuck::cast_slice(&indices);
    let gathered = run(PoolKind::MaxGather, &[(&source, bytes), (&found, index_bytes)], &both[..1], 0.0);
    let (source_type, pair) = (std::slice::from_ref(&source.ty), [(&some, upstream), (&found, index_bytes)]);
    let scattered = floats(&run(PoolKind::MaxScatter, &pair, source_type, 0.0)[0]);
    let spread = floats(&run(PoolKind::SumGradient, &pair[..1], source_type, 0.0)[0]);

    let (mut want_scattered, mut want_spread) = (vec![0.0_f32; x.len()], vec![0.0_f32; x.len()]);
    for plane in 0..batch * channels {
        for (o, window) in windows(axes).iter().enumerate() {
            let number = plane * count + o;
            let values: Vec<f32> = window.iter().map(|&index| x[plane * elements + index]).collect();
            let best = values.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a });
            let first = match values.iter().rposition(|value| value.is_nan()) {
                Some(last) => Some(last),
                None => values.iter().position(|&value| value == best),
            };
            let index = first.map_or(-1, |first| window[first] as i32);
            let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
            assert!(same(f32::from_bits(largest[0][number]), best), "{label}: window {o}");
            assert_eq!(indices[number], index, "{label}: window {o}");
            let chosen = if index < 0 { 0.0 } else { best };
            assert!(same(f32::from_bits(gathered[0][number]), chosen), "{label}: window {o}");
            let sum = values.iter().map(|&value| f64::from(value)).sum::<f64>() as f32;
            assert!(same(sums[number], sum), "{label}: window {o} sums to {}, not {sum}", sums[number]);
            window.iter().for_each(|&index| want_spread[plane * elements + index] += dy[number]);
            if index >= 0 {
                want_scattered[plane * elements + index as usize] += dy[number];
            }
        }
    }
    assert_eq!(scattered, want_scattered, "{label}");
    assert_eq!(spread, want_spread, "{label}");
}

#[test]
fn kernels_in_one_to_three_dimensions() {
    let adaptive = |windows, extent| PoolAxis::adaptive(windows, extent).unwrap();
    check(1, 1, &[regular(1, [1, 1, 1, 0, 0], false)], true);
    check(5, 3, &[regular(11, [3, 2, 1, 1, 0], false)], true);
    check(2, 37, &[regular(17, [2, 5, 1, 0, 1], true)], true);
    check(1, 3, &[regular(9, [3, 2, 2, 1, 1], true), regular(7, [2, 1, 3, 0, 2], false)], true);
    check(5, 1, &[regular(6, [3, 1, 1, 1, 1], false), regular(8, [3, 2, 1, 1, 1], true)], true);
    check(2, 3, &[adaptive(3, 7), adaptive(5, 9)], true);
    check(1, 2, &[adaptive(7, 3), regular(9, [4, 3, 1, 2, 2], true)], true);
    check(2, 2, &[regular(5, [2, 2, 1, 0, 0], true), adaptive(2, 5), regular(6, [3, 2, 1, 1, 1], false)], true);
    // Windows in the padding alone, with the only element of the axis between theirs.
    check(2, 1, &[regular(1, [2, 1, 2, 1, 1], false)], true);
    check(3, 2, &[regular(50, [50, 1, 1, 0, 0], false), regular(40, [40, 40, 1, 0, 0], false)], true);
}

#[test]
fn empty_batches_have_nothing_to_do() {
    check_empty(&[0, 3, 5]);
    check_empty(&[2, 0, 5]);
}

fn check_empty(dims: &[usize]) {
    let pool = Pool { kind: PoolKind::Sum, axes: vec![regular(5, [2, 1, 1, 0, 0], false)] };
    let x = operand(DType::F32, dims);
    let out = pool.infer(&[&x.ty]).unwrap();
    assert!(evaluate(&pool, &[(&x, &[])], &out)[0].is_empty());
    let shapes = RoutineShapes { inputs: &[x], outputs: &out, epilogue: None };
    assert!(adapters().iter().all(|adapter| pool.kernels(&shapes, adapter).unwrap()[0].dispatches.is_empty()));
}

#[test]
fn more_steps_than_a_driver_takes_are_refused() {
    let pool = Pool { kind: PoolKind::Sum, axes: vec![regular(1 << 17, [1 << 16, 1, 1, 0, 0], false)] };
    let x = operand(DType::F32, &[1, 1, 1 << 17]);
    let out = pool.infer(&[&x.ty]).unwrap();
    let shapes = RoutineShapes { inputs: &[x], outputs: &out, epilogue: None };
    for adapter in adapters() {
        assert_eq!(pool.kernels(&shapes, &adapter).is_err(), adapter.is_software);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let pool = |kind| Pool { kind, axes: vec![regular(5, [2, 2, 1, 0, 0], false)] };
    let ty = |dtype, dims: &[usize]| TensorType::new(dtype, dims);
    let infer = |kind, inputs: &[&TensorType]| pool(kind).infer(inputs).unwrap_err();
    assert_eq!(infer(PoolKind::Sum, &[&ty(DType::I32, &[1, 1, 5])]), "wants floats, not i32; cast first");
    assert!(infer(PoolKind::Sum, &[&ty(DType::F32, &[1, 5])]).contains("1 spatial axes"));
    assert!(infer(PoolKind::Max, &[&ty(DType::F32, &[1, 1, 6])]).contains("are for [1, 1, 5]"));
    let (dy, indices) = (ty(DType::F32, &[1, 1, 2]), ty(DType::I32, &[1, 1, 3]));
    assert!(infer(PoolKind::MaxScatter, &[&dy, &indices]).starts_with("wants indices i32[1, 1, 2]"));
}

fn axis() -> impl Strategy<Value = PoolAxis> {
    let regular = (1..12_usize, 1..5_usize, 1..6_usize, 1..4_usize, 0..4_usize, 0..4_usize, any::<bool>());
    let regular = regular.prop_filter_map("no window fits", |(extent, kernel, stride, dilation, low, high, ceil)| {
        PoolAxis::regular(WindowAxis { kernel, stride, dilation, low, high }, extent, ceil).ok()
    });
    let adaptive = (1..12_usize, 1..12_usize).prop_map(|(n, extent)| PoolAxis::adaptive(n, extent).unwrap());
    prop_oneof![3 => regular, 1 => adaptive]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_windows_are_what_the_definition_says(
        batch in 1..3_usize, channels in 1..3_usize, axes in prop::collection::vec(axis(), 1..4),
    ) {
        check(batch, channels, &axes, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_windows_on_a_device(channels in 1..3_usize, axes in prop::collection::vec(axis(), 1..4)) {
        check(1, channels, &axes, true);
    }
}
