//! Sorts on a device against the CPU's, in every variant.

use super::Sort;
use crate::ops::device_tests::compare;
use crate::shader::testing::{numbers, operand};
use crate::tensor::{DType, TensorType};

fn run(dtype: DType, shape: &[usize], data: &[u8]) {
    let source = operand(dtype, shape);
    let outputs = [source.ty.clone(), TensorType::new(DType::I32, shape)];
    for descending in [false, true] {
        let label = format!("{dtype} {shape:?} descending {descending}");
        compare(&label, &Sort { descending }, &[(&source, data)], &outputs, 0.0);
    }
}

#[test]
fn lengths() {
    for shape in [vec![1], vec![5, 2], vec![3, 1], vec![4, 33], vec![2, 64], vec![3, 100], vec![2, 1000], vec![3, 1025]]
    {
        run(DType::F32, &shape, bytemuck::cast_slice(&numbers(shape.iter().product(), 4)));
    }
}

#[test]
fn long_lines() {
    run(DType::F32, &[2, 5000], bytemuck::cast_slice(&numbers(10_000, 4)));
}

#[test]
fn many_equal_values_keep_their_order() {
    for n in [40, 300, 1500] {
        let values: Vec<i32> = numbers(n, 8).iter().map(|x| (x * 2.0) as i32).collect();
        run(DType::I32, &[n], bytemuck::cast_slice(&values));
        let values: Vec<u32> = values.iter().map(|&x| x as u32).collect();
        run(DType::U32, &[n], bytemuck::cast_slice(&values));
    }
}

#[test]
fn special_floats() {
    let values =
        [0.0, -0.0, f32::NAN, 1.0, f32::INFINITY, -1.0, f32::NEG_INFINITY, -f32::NAN, 0.0, -0.0, 1e-40, -1e-40];
    run(DType::F32, &[12], bytemuck::cast_slice(&values));
    // The same in lines that are not counted.
    let many: Vec<f32> = values.iter().copied().cycle().take(500).collect();
    run(DType::F32, &[500], bytemuck::cast_slice(&many));
}

#[test]
fn the_cpu_sorts_as_a_stable_sort_by_comparing_does() {
    use crate::graph::CpuRoutine;
    let special = [0.0, -0.0, f32::NAN, 1.0, f32::INFINITY, -1.0, f32::NEG_INFINITY, -f32::NAN, 1e-40, -1e-40, -0.0];
    let lines = [numbers(300, 3), numbers(300, 1).iter().map(|x| (x * 5.0).round()).collect(), special.repeat(30)];
    for values in lines {
        let ty = TensorType::new(DType::F32, [values.len()]);
        for descending in [false, true] {
            let mut wanted: Vec<i32> = (0..values.len() as i32).collect();
            wanted.sort_by(|&a, &b| {
                let (a, b) = (values[a as usize], values[b as usize]);
                let order = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                if descending { order.reverse() } else { order }
            });
            let (mut sorted, mut indices) = (vec![0_f32; values.len()], vec![0_i32; values.len()]);
            let source = operand(DType::F32, &[values.len()]);
            let index_type = TensorType::new(DType::I32, [values.len()]);
            let outputs: &mut [(&TensorType, &mut [u8])] = &mut [
                (&ty, bytemuck::cast_slice_mut(&mut sorted)),
                (&index_type, bytemuck::cast_slice_mut(&mut indices)),
            ];
            Sort { descending }.evaluate(&[(&source, bytemuck::cast_slice(&values))], outputs).unwrap();
            assert_eq!(indices, wanted, "descending {descending}");
            let bits = |x: f32| x.to_bits();
            assert!(indices.iter().zip(&sorted).all(|(&index, &value)| bits(value) == bits(values[index as usize])));
        }
    }
}

#[test]
fn nothing() {
    run(DType::F32, &[3, 0], &[]);
}
