//! Positions on a device against the CPU's, and the CPU's against counting.

use super::SearchSorted;
use crate::device::Device;
use crate::graph::{CpuRoutine, Graph, Operator};
use crate::ops::device_tests::compare;
use crate::shader::testing::{numbers, operand};
use crate::tensor::{DType, TensorData, TensorType};

fn by_counting<T: Copy>(row: &[T], values: &[T], right: bool, less: impl Fn(T, T) -> bool) -> Vec<i32> {
    let before = |value, element| if right { !less(value, element) } else { less(element, value) };
    values.iter().map(|&value| row.iter().filter(|&&element| before(value, element)).count() as i32).collect()
}

/// Rows and values of one type, on both sides.
fn run<T: bytemuck::Pod>(
    dtype: DType,
    rows: [usize; 2],
    per_row: usize,
    sorted: &[T],
    values: &[T],
    less: fn(T, T) -> bool,
) {
    let [count, length] = rows;
    let sorted_operand = operand(dtype, &if count == 1 { vec![length] } else { vec![count, length] });
    let values_operand = operand(dtype, &[count, per_row]);
    let inputs = [(&sorted_operand, bytemuck::cast_slice(sorted)), (&values_operand, bytemuck::cast_slice(values))];
    let outputs = [TensorType::new(DType::I32, [count, per_row])];
    for right in [false, true] {
        let label = format!("{dtype} {rows:?} {per_row} right {right}");
        let mut found = vec![-1_i32; count * per_row];
        let results = &mut [(&outputs[0], bytemuck::cast_slice_mut(&mut found))];
        SearchSorted { right }.evaluate(&inputs, results).unwrap();
        for row in 0..count {
            let (sorted, of_row) = (&sorted[row * length..][..length], row * per_row..(row + 1) * per_row);
            assert_eq!(found[of_row.clone()], by_counting(sorted, &values[of_row], right, less), "{label} row {row}");
        }
        let g = Graph::new();
        let [rows, of_rows] = [("rows", &sorted_operand), ("values", &values_operand)]
            .map(|(name, operand)| g.input(name, operand.ty.shape.clone(), dtype));
        g.output("y", &SearchSorted { right }.decompose(&[rows, of_rows]).unwrap()[0]);
        let data = |index: usize| TensorData::from_bytes(inputs[index].0.ty.clone(), inputs[index].1).unwrap();
        let run = g.compile(&Device::cpu()).unwrap().run(&[("rows", &data(0)), ("values", &data(1))]).unwrap();
        assert_eq!(run["y"].to_vec::<i32>().unwrap(), found, "{label} decomposed");
        if dtype != DType::F64 && dtype != DType::I64 {
            compare(&label, &SearchSorted { right }, &inputs, &outputs, 0.0);
        }
    }
}

fn less(a: f32, b: f32) -> bool {
    a < b || (b.is_nan() && !a.is_nan())
}

fn in_order(mut values: Vec<f32>, length: usize) -> Vec<f32> {
    values.chunks_mut(length).for_each(|row| row.sort_by(|&a, &b| less(b, a).cmp(&less(a, b))));
    values
}

#[test]
fn rows_and_values_of_all_lengths() {
    for (rows, per_row) in
        [([1, 1], 1), ([1, 7], 130), ([3, 5], 2), ([2, 1000], 65), ([5, 2], 1), ([1, 33], 9000), ([3, 64], 5000)]
    {
        let round = |values: Vec<f32>| values.iter().map(|x| (x * 20.0).round()).collect::<Vec<f32>>();
        let sorted = in_order(round(numbers(rows[0] * rows[1], 3)), rows[1]);
        let values = round(numbers(rows[0] * per_row, 4));
        run(DType::F32, rows, per_row, &sorted, &values, less);
        let (sorted, values): (Vec<i32>, Vec<i32>) =
            (sorted.iter().map(|&x| x as i32).collect(), values.iter().map(|&x| x as i32).collect());
        run(DType::I32, rows, per_row, &sorted, &values, |a, b| a < b);
        let wide = |values: &[i32]| values.iter().map(|&x| i64::from(x) << 40).collect::<Vec<i64>>();
        run(DType::I64, rows, per_row, &wide(&sorted), &wide(&values), |a, b| a < b);
        let positive = |values: &[i32]| values.iter().map(|&x| (x + 20).unsigned_abs() << 24).collect::<Vec<u32>>();
        run(DType::U32, rows, per_row, &positive(&sorted), &positive(&values), |a, b| a < b);
    }
}

#[test]
fn special_floats() {
    let special =
        [0.0, -0.0, f32::NAN, 1.0, f32::INFINITY, -1.0, f32::NEG_INFINITY, -f32::NAN, 1e-40, -1e-40, f32::MAX];
    run(DType::F32, [1, 11], 11, &in_order(special.to_vec(), 11), &special, less);
    let wide: Vec<f64> = in_order(special.to_vec(), 11).iter().map(|&x| f64::from(x)).collect();
    run(DType::F64, [1, 11], 11, &wide, &special.map(f64::from), |a, b| a < b || (b.is_nan() && !a.is_nan()));
}

#[test]
fn empty_rows_and_no_values() {
    run::<f32>(DType::F32, [1, 0], 3, &[], &[1.0, f32::NAN, -1.0], less);
    run::<f32>(DType::F32, [2, 3], 0, &[1.0; 6], &[], less);
}
