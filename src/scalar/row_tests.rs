//! Maps and reductions where a fast path could go wrong: odd lengths, memory that is not aligned, registers that stand for inputs, and
//! NaN.

use super::{Affine, Builder, ReduceDims, Reduction, ScalarFunction as F, Source, Tape, map, reduce};
use crate::shader::testing::with_threads;
use crate::tensor::DType;

const LENGTHS: [usize; 11] = [1, 2, 7, 31, 32, 33, 1023, 1024, 1025, 5000, 70_001];

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|k| ((k * 7919 + 13) % 1009) as f32 / 256.0 - 2.0).collect()
}

/// The values themselves, which are read where they are, or as a difference, which is computed in blocks.
fn tape(dims: &[usize], stored: DType, computed: bool) -> Tape {
    let mut builder = Builder::new(stored);
    let value = builder.load(0, stored, Affine::row_major(dims));
    let value = if computed {
        let zero = builder.load(1, stored, Affine::constant(0, dims.len()));
        builder.sub(value, zero)
    } else {
        value
    };
    Tape::new(&builder.finish(dims.to_vec(), vec![stored; 2], vec![(value, stored)]))
}

fn reduced(values: &[f32], reduction: Reduction, dims: ReduceDims, computed: bool) -> Vec<f32> {
    let tape = tape(&[dims.outer, dims.reduced, dims.inner], DType::F32, computed);
    let zero = 0.0_f32.to_le_bytes();
    let inputs = [Source::Bytes(bytemuck::cast_slice(values)), Source::Bytes(&zero)];
    let words = reduce(&tape, &inputs, DType::F32, reduction, dims);
    bytemuck::cast_slice::<u64, f32>(&words)[..dims.outer * dims.inner].to_vec()
}

fn expected(values: &[f32], reduction: Reduction, dims: ReduceDims) -> Vec<f64> {
    let at =
        |outer: usize, k: usize, column: usize| f64::from(values[(outer * dims.reduced + k) * dims.inner + column]);
    (0..dims.outer * dims.inner)
        .map(|result| {
            let row = (0..dims.reduced).map(|k| at(result / dims.inner, k, result % dims.inner));
            match reduction {
                Reduction::Sum => row.sum(),
                Reduction::Max => row.fold(f64::NEG_INFINITY, f64::max),
                Reduction::Min => row.fold(f64::INFINITY, f64::min),
                _ => row.map(f64::exp).sum::<f64>().ln(),
            }
        })
        .collect()
}

#[test]
fn rows_and_columns_of_any_length_reduce() {
    for reduced_len in LENGTHS {
        for (outer, inner) in [(1, 1), (3, 1), (1, 3), (2, 5)] {
            let dims = ReduceDims { outer, reduced: reduced_len, inner };
            let values = values(outer * reduced_len * inner);
            for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::LogSumExp] {
                let expected = expected(&values, reduction, dims);
                for computed in [false, true] {
                    let found = reduced(&values, reduction, dims, computed);
                    for (found, expected) in found.into_iter().zip(&expected) {
                        let error = (f64::from(found) - expected).abs();
                        assert!(
                            error <= 2e-6 * expected.abs().max(1.0),
                            "{reduction:?} of {dims:?}: {found}, not {expected}"
                        );
                    }
                }
            }
        }
    }
}

/// Small numbers after a large one: sums of f32 are carried in f64.
#[test]
fn a_sum_keeps_what_f32_would_lose() {
    for (outer, inner) in [(1, 1), (1, 2)] {
        let dims = ReduceDims { outer, reduced: 4097, inner };
        let mut values = vec![0.25_f32; 4097 * inner];
        values[..inner].fill(16_777_216.0);
        for computed in [false, true] {
            assert_eq!(reduced(&values, Reduction::Sum, dims, computed), vec![16_778_240.0; inner]);
        }
    }
}

#[test]
fn a_nan_or_infinity_reaches_the_result() {
    for len in LENGTHS {
        let dims = ReduceDims { outer: 1, reduced: len, inner: 1 };
        for computed in [false, true] {
            let of = |values: &[f32], reduction| reduced(values, reduction, dims, computed)[0];
            let low = vec![f32::NEG_INFINITY; len];
            for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::LogSumExp] {
                assert_eq!(of(&low, reduction), f32::NEG_INFINITY, "{reduction:?} of {len} −∞");
            }
            for index in [0, len / 2, len - 1] {
                let with = |odd: f32| {
                    let mut values = values(len);
                    values[index] = odd;
                    values
                };
                for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::LogSumExp] {
                    assert!(of(&with(f32::NAN), reduction).is_nan(), "{reduction:?} of {len} with a NaN at {index}");
                }
                for reduction in [Reduction::Sum, Reduction::Max, Reduction::LogSumExp] {
                    assert_eq!(of(&with(f32::INFINITY), reduction), f32::INFINITY, "{reduction:?} of {len}");
                }
                assert_eq!(of(&with(f32::NEG_INFINITY), Reduction::Min), f32::NEG_INFINITY);
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (outer, len, inner) in [(1, 300_001, 1), (37, 2049, 1), (1, 1025, 300)] {
        let dims = ReduceDims { outer, reduced: len, inner };
        let values = values(outer * len * inner);
        for reduction in [Reduction::Sum, Reduction::LogSumExp, Reduction::Max] {
            let with = |threads: usize| {
                let found = with_threads(threads, || reduced(&values, reduction, dims, true));
                found.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let alone = with(1);
            assert!([2, 3, 5].into_iter().all(|threads| with(threads) == alone), "{reduction:?} of {dims:?}");
        }
    }
}

/// An input begins anywhere in a buffer, if only at a multiple of its element's size.
#[test]
fn inputs_begin_anywhere() {
    for stored in [DType::F32, DType::F64, DType::I64, DType::F16, DType::U8] {
        let (len, size) = (2051, stored.size());
        let mut words = vec![0_u64; len + 4];
        let buffer = bytemuck::cast_slice_mut::<u64, u8>(&mut words);
        buffer.iter_mut().enumerate().for_each(|(k, byte)| *byte = (k * 31 % 59) as u8);
        let dims = ReduceDims { outer: 1, reduced: len, inner: 1 };
        let tape = tape(&[len], stored, false);
        for shift in 0..4 {
            let bytes = &buffer[shift * size..(shift + len) * size];
            let mut out = vec![0; len * size];
            map(&tape, &[Source::Bytes(bytes)], &mut [&mut out]);
            assert!(out == bytes, "{stored} from element {shift} on");
            let mut copy = vec![0_u64; len];
            let copy = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut copy)[..len * size];
            copy.copy_from_slice(bytes);
            let maximum = |bytes: &[u8]| reduce(&tape, &[Source::Bytes(bytes)], stored.compute(), Reduction::Max, dims);
            assert_eq!(maximum(bytes), maximum(copy), "{stored} from element {shift} on");
        }
    }
}

/// More inputs than registers can stand for, broadcast along rows and columns, with registers that are used again.
#[test]
fn many_inputs_keep_apart() {
    let (rows, columns, count) = (5, 1500, 40);
    let dims = [rows, columns];
    let mut builder = Builder::new(DType::F32);
    let strides = [[columns as i64, 1], [1, 0], [0, 1], [-(columns as i64), 1], [0, 0]];
    let offset = |input: usize| if input % 5 == 3 { ((rows - 1) * columns) as i64 } else { 0 };
    let at = |input: usize| Affine::new(offset(input), strides[input % 5]);
    let loads: Vec<_> = (0..count).map(|input| builder.load(input, DType::F32, at(input))).collect();
    let mut total = builder.add(loads[0], loads[1]);
    for (input, &load) in loads.iter().enumerate().skip(2) {
        total = if input % 2 == 0 { builder.sub(load, total) } else { builder.call(F::Maximum, &[total, load]) };
    }
    // An input as it is, the sum, and the input again.
    let outputs = vec![(loads[0], DType::F32), (total, DType::F32), (loads[38], DType::F32)];
    let tape = Tape::new(&builder.finish(dims.to_vec(), vec![DType::F32; count], outputs));
    let inputs: Vec<Vec<f32>> = (0..count)
        .map(|input| values(rows * columns).iter().map(|value| value * (input + 1) as f32).collect())
        .collect();
    let sources: Vec<Source<'_>> = inputs.iter().map(|input| Source::Bytes(bytemuck::cast_slice(input))).collect();
    let mut found = vec![vec![0.0_f32; rows * columns]; 3];
    let mut slices: Vec<&mut [u8]> = found.iter_mut().map(|out| bytemuck::cast_slice_mut(out)).collect();
    map(&tape, &sources, &mut slices);
    for row in 0..rows {
        for column in 0..columns {
            let value = |input: usize| inputs[input][at(input).at(&[row, column]) as usize];
            let total = (2..count).fold(value(0) + value(1), |total, input| {
                if input % 2 == 0 { value(input) - total } else { total.max(value(input)) }
            });
            let index = row * columns + column;
            assert_eq!(
                [0, 1, 2].map(|out: usize| found[out][index]),
                [value(0), total, value(38)],
                "at {row}, {column}"
            );
        }
    }
}

/// An address outside the memory reads as zero, in the middle of a block too.
#[test]
fn beyond_the_memory_there_are_zeros() {
    let memory = values(1000);
    let inputs = [Source::Bytes(bytemuck::cast_slice(&memory))];
    let mut out = vec![1.0_f32; 3000];
    map(&tape(&[3000], DType::F32, false), &inputs, &mut [bytemuck::cast_slice_mut(&mut out)]);
    assert_eq!(out[..1000], memory);
    assert!(out[1000..].iter().all(|&value| value == 0.0));
}
