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
        compare(&label, &Sort { descending, first: None }, &[(&source, data)], &outputs, 0.0);
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
            Sort { descending, first: None }.evaluate(&[(&source, bytemuck::cast_slice(&values))], outputs).unwrap();
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

#[test]
fn the_first_of_a_line_are_those_of_a_whole_sort_and_the_others_follow_in_any_order() {
    use crate::graph::CpuRoutine;
    let special = [0.0, -0.0, f32::NAN, 1.0, f32::INFINITY, -1.0, f32::NEG_INFINITY, -f32::NAN, 1e-40, -1e-40, -0.0];
    let lines = [
        numbers(1000, 3),
        numbers(1000, 1).iter().map(|x| (x * 5.0).round()).collect(),
        special.repeat(50),
        vec![f32::NAN; 200],
        (0..700).map(|k| k as f32).collect(),
        vec![2.0],
    ];
    // Of each type, values that order like the numbers do.
    fn whole_and_first<T: bytemuck::Pod>(dtype: DType, values: &[T], descending: bool, first: usize) {
        let (source, n) = (operand(dtype, &[values.len()]), values.len());
        let run = |first: Option<usize>| {
            let (mut sorted, mut indices) = (values.to_vec(), vec![0_i32; n]);
            let index_ty = TensorType::new(DType::I32, [n]);
            let outputs: &mut [(&TensorType, &mut [u8])] = &mut [
                (&source.ty, bytemuck::cast_slice_mut(&mut sorted)),
                (&index_ty, bytemuck::cast_slice_mut(&mut indices)),
            ];
            Sort { descending, first }.evaluate(&[(&source, bytemuck::cast_slice(values))], outputs).unwrap();
            (sorted, indices)
        };
        let ((wanted, wanted_indices), (got, mut indices)) = (run(None), run(Some(first)));
        let label = format!("{first} of {n} {dtype}, descending {descending}");
        assert_eq!(indices[..first], wanted_indices[..first], "{label}");
        let bytes = |values: &[T]| bytemuck::cast_slice::<T, u8>(values).to_vec();
        assert_eq!(bytes(&got[..first]), bytes(&wanted[..first]), "{label}");
        for (value, &index) in got.iter().zip(&indices) {
            assert_eq!(bytes(&[*value]), bytes(&[values[index as usize]]), "{label}");
        }
        indices.sort_unstable();
        assert!(indices.iter().enumerate().all(|(k, &index)| index == k as i32), "{label}: an index is missing");
    }
    for line in &lines {
        let n = line.len();
        for descending in [false, true] {
            for first in [0, 1, 2, 8, 60, n / 2, n].into_iter().filter(|&first| first <= n) {
                whole_and_first(DType::F32, line, descending, first);
                let wide: Vec<f64> = line.iter().map(|&x| f64::from(x)).collect();
                whole_and_first(DType::F64, &wide, descending, first);
                let whole: Vec<i32> = line.iter().map(|&x| (x * 3.0) as i32).collect();
                whole_and_first(DType::I32, &whole, descending, first);
                let whole: Vec<u32> = whole.iter().map(|&x| x as u32).collect();
                whole_and_first(DType::U32, &whole, descending, first);
                let whole: Vec<i64> = line.iter().map(|&x| (x * 3.0) as i64).collect();
                whole_and_first(DType::I64, &whole, descending, first);
            }
        }
    }
}
