//! Products on a device against the CPU's, in every variant.

use super::Matmul;
use super::problem::Problem;
use crate::graph::{CpuRoutine, GpuRoutine, Operator};
use crate::ops::device_tests::{compare, compare_candidates};
use crate::scalar::{Affine, Builder, Epilogue, ScalarFunction};
use crate::shader::testing::{Runner, adapters, assert_close, check, numbers, operand, stored, widened};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

struct Case {
    lhs: Operand,
    rhs: Operand,
    out: TensorType,
}

impl Case {
    fn new(batch: &[usize], m: usize, k: usize, n: usize) -> Self {
        let shape =
            |rows: usize, columns: usize| -> Vec<usize> { batch.iter().copied().chain([rows, columns]).collect() };
        Self {
            lhs: operand(DType::F32, &shape(m, k)),
            rhs: operand(DType::F32, &shape(k, n)),
            out: TensorType::new(DType::F32, shape(m, n)),
        }
    }

    /// The operands are transposed in memory.
    fn transposed(mut self, lhs: bool, rhs: bool) -> Self {
        for (operand, transpose) in [(&mut self.lhs, lhs), (&mut self.rhs, rhs)] {
            if transpose {
                let rank = operand.ty.shape.rank();
                let mut dims = operand.ty.shape.to_vec();
                dims.swap(rank - 2, rank - 1);
                let mut at = Affine::row_major(&dims);
                at.strides.swap(rank - 2, rank - 1);
                operand.at = at;
            }
        }
        self
    }

    /// All strides scaled, from an offset on.
    fn spread(mut self, step: i64, offset: i64) -> Self {
        for operand in [&mut self.lhs, &mut self.rhs] {
            operand.at.strides.iter_mut().for_each(|stride| *stride *= step);
            operand.at.offset = offset;
        }
        self
    }

    /// The operands are stored in these types.
    fn stored(mut self, lhs: DType, rhs: DType) -> Self {
        self.lhs.ty.dtype = lhs;
        self.rhs.ty.dtype = rhs;
        self
    }

    fn memory(operand: &Operand, seed: u32) -> Vec<u8> {
        let last = if operand.ty.is_empty() { 0 } else { operand.at.range(operand.ty.shape.dims()).1 };
        stored(operand.ty.dtype, &numbers(last as usize + 1, seed))
    }

    fn run(&self, label: &str) {
        self.run_with(label, compare);
    }

    /// The plans that only tuning tries.
    fn run_candidates(&self, label: &str) {
        self.run_with(label, compare_candidates);
    }

    fn run_with(&self, label: &str, compare: Compare) {
        let (a, b) = (Self::memory(&self.lhs, 1), Self::memory(&self.rhs, 2));
        let inputs = [(&self.lhs, a.as_slice()), (&self.rhs, b.as_slice())];
        compare(label, &Matmul::PLAIN, &inputs, std::slice::from_ref(&self.out), 1e-5);
        let rank = self.out.shape.rank();
        let sums = TensorType::new(DType::F32, self.out.shape[..rank - 1].to_vec());
        let label = format!("{label} with row sums");
        compare(&label, &Matmul { row_sums: true }, &inputs, &[self.out.clone(), sums], 1e-5);
    }
}

/// One of the comparisons of `device_tests`.
type Compare = fn(&str, &dyn Operator, &[(&Operand, &[u8])], &[TensorType], f32) -> usize;

#[test]
fn what_tuning_tries() {
    Case::new(&[], 33, 300, 70).transposed(true, false).run_candidates("33x300x70");
    Case::new(&[2], 70, 40, 131).transposed(false, true).run_candidates("2 of 70x40x131");
    Case::new(&[], 10, 3000, 20).run_candidates("10x3000x20");
    Case::new(&[], 1, 3000, 40).run_candidates("1x3000x40");
}

#[test]
fn odd_sizes() {
    for (m, k, n) in [(1, 1, 1), (1, 7, 1), (3, 5, 2), (17, 33, 9), (33, 8, 65), (64, 64, 64), (5, 130, 131)] {
        Case::new(&[], m, k, n).run(&format!("{m}x{k}x{n}"));
    }
}

#[test]
fn vectors() {
    for (m, k, n) in [(1, 300, 70), (70, 300, 1), (1, 1000, 1)] {
        Case::new(&[], m, k, n).run(&format!("{m}x{k}x{n}"));
        Case::new(&[3], m, k, n).transposed(true, true).run(&format!("{m}x{k}x{n} transposed"));
    }
}

#[test]
fn long_inner_dimension_is_split() {
    Case::new(&[], 10, 3000, 20).run("10x3000x20");
    // Lavapipe leaves loops after 65,535 iterations; kernels for it split earlier.
    Case::new(&[], 2, 50_000, 3).run("2x50000x3");
    Case::new(&[], 20, 1030, 36).transposed(true, false).run("lhs transposed");
}

#[test]
fn transposed_and_strided_operands() {
    for (lhs, rhs) in [(true, false), (false, true), (true, true)] {
        Case::new(&[], 19, 21, 37).transposed(lhs, rhs).run(&format!("transposed {lhs} {rhs}"));
    }
    Case::new(&[2], 9, 11, 10).spread(3, 5).run("spread");
    for (lhs, rhs) in [(false, false), (true, false), (false, true), (true, true)] {
        Case::new(&[], 130, 50, 140).transposed(lhs, rhs).run(&format!("several tiles, transposed {lhs} {rhs}"));
    }
}

/// Even extents, offsets and strides: software drivers read two neighbours of the right operand at once.
#[test]
fn operands_in_pairs() {
    let pairs = |case: &Case| Problem::new(&case.lhs, &case.rhs).unwrap().pairs();
    let along_columns = Case::new(&[], 33, 21, 70);
    assert_eq!(pairs(&along_columns), Some(false));
    along_columns.run("pairs along the columns, an odd number of inner indices");
    // Splits of an odd length would begin at odd addresses.
    let along_inner = Case::new(&[], 10, 3002, 19).transposed(false, true);
    assert_eq!(pairs(&along_inner), Some(true));
    along_inner.run("pairs along the inner dimension, split");
    let mut batched = Case::new(&[3], 9, 10, 18);
    batched.rhs.at.offset = 2;
    assert_eq!(pairs(&batched), Some(false));
    batched.run("pairs from an offset on");
    batched.rhs.at.offset = 3;
    assert_eq!(pairs(&batched), None);
    batched.run("from an odd offset on");
    assert_eq!(pairs(&Case::new(&[], 9, 10, 17)), None);
    assert_eq!(pairs(&Case::new(&[2], 9, 11, 17).transposed(false, true)), None);
    assert_eq!(pairs(&Case::new(&[], 8, 8, 8).stored(DType::F32, DType::F16)), None);
}

/// Extents, offsets and strides that are multiples of four: real GPUs read four neighbours at once.
#[test]
fn operands_in_groups_of_four() {
    for (lhs, rhs) in [(false, false), (true, false), (false, true), (true, true)] {
        Case::new(&[], 132, 20, 136).transposed(lhs, rhs).run(&format!("groups of four, transposed {lhs} {rhs}"));
    }
    Case::new(&[3], 12, 2056, 8).transposed(true, false).run("groups of four, split");
    let mut case = Case::new(&[2], 8, 12, 16);
    case.lhs.at.offset = 4;
    case.rhs.at.offset = 20;
    case.run("from an offset on");
    case.rhs.at.offset = 2;
    case.run("from an odd offset on");
}

#[test]
fn operands_of_16_bits() {
    for half in [DType::F16, DType::BF16] {
        Case::new(&[], 19, 21, 37).stored(half, half).run(&format!("{half}"));
        Case::new(&[], 36, 20, 40).transposed(true, true).stored(half, half).run(&format!("{half} in fours"));
        Case::new(&[], 1, 300, 70).stored(half, half).run(&format!("{half}, a row"));
    }
    Case::new(&[2], 9, 11, 10).spread(3, 5).stored(DType::F16, DType::F32).run("f16 spread, and f32");
    Case::new(&[2], 16, 1028, 12).stored(DType::F32, DType::BF16).run("f32 and bf16 in fours, split");
}

/// Where the adapter has them: operands of f16, with any strides and in groups of four, in every direction.
#[test]
fn matrix_instructions() {
    let halves = |case: Case| case.stored(DType::F16, DType::F16);
    halves(Case::new(&[], 1, 1, 1)).run("1x1x1 of f16");
    // Each operand with neighbours along the inner dimension, and along the other one.
    for transposed in [false, true] {
        let label = format!("f16, transposed {transposed}");
        halves(Case::new(&[], 131, 70, 70)).transposed(transposed, transposed).run(&label);
        let fours = halves(Case::new(&[], 132, 36, 136)).transposed(transposed, transposed);
        fours.run(&format!("{label}, in fours"));
    }
    halves(Case::new(&[3], 40, 300, 24)).run("a batch of f16, split");
    halves(Case::new(&[], 12, 3004, 36)).transposed(true, false).run_candidates("f16, split, in fours");
}

/// What is not finite stays in its row and column, also where tiles reach over the edges.
#[test]
fn matrix_instructions_beside_infinities() {
    let (m, k, n) = (19, 37, 23);
    for special in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let case = Case::new(&[], m, k, n).stored(DType::F16, DType::F16);
        let (mut a, mut b) = (numbers(m * k, 1), numbers(k * n, 2));
        // The last of all, and the first of a row and of a column.
        for index in [m * k - 1, 5 * k] {
            a[index] = special;
        }
        for index in [k * n - 1, 7] {
            b[index] = special;
        }
        let memory = [stored(DType::F16, &a), stored(DType::F16, &b)];
        let inputs = [(&case.lhs, memory[0].as_slice()), (&case.rhs, memory[1].as_slice())];
        let label = format!("f16 with {special}");
        compare(&label, &Matmul::PLAIN, &inputs, std::slice::from_ref(&case.out), 1e-5);
    }
}

#[test]
fn matrix_instructions_are_for_f16_alone() {
    let uses = |lhs: DType, rhs: DType, adapter: &Adapter| {
        let case = Case::new(&[], 256, 256, 256).stored(lhs, rhs);
        let (operands, outputs) = ([case.lhs, case.rhs], [case.out]);
        let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
        let plans = Matmul::PLAIN.kernels(&shapes, adapter).unwrap();
        let label = |plan: &KernelPlan| plan.dispatches[0].kernel.label.starts_with("matmul_cooperative");
        (plans.first().is_some_and(label), plans.iter().any(label))
    };
    let with = adapters().into_iter().filter(|adapter| adapter.cooperative.is_some());
    for adapter in with {
        // A software driver has them for tests.
        assert_eq!(uses(DType::F16, DType::F16, &adapter), (!adapter.is_software, true), "{}", adapter.name);
        for (lhs, rhs) in [(DType::F32, DType::F32), (DType::BF16, DType::BF16), (DType::F16, DType::F32)] {
            assert_eq!(uses(lhs, rhs, &adapter), (false, false), "{lhs} and {rhs}, {}", adapter.name);
        }
        let without = Adapter { cooperative: None, ..adapter };
        assert_eq!(uses(DType::F16, DType::F16, &without), (false, false), "{}", without.name);
    }
}

#[test]
fn halves_at_the_edges_of_their_type() {
    // The rows of a diagonal matrix pick elements: each must come out as it is, the smallest and the infinite among them.
    for (half, values) in [
        (DType::F16, [65504.0, -65504.0, 6.103_515_6e-5, 5.960_464_5e-8, -5.960_464_5e-8, 0.333_251_95, 1.0, -0.5]),
        (DType::BF16, [3.389_531_4e38, -3.0e38, 2.350_988_7e-38, 0.333_984_38, 1.0, -0.5, 65536.0, 2.0]),
    ] {
        let case = Case::new(&[], 8, 1, 4).stored(half, half);
        let memory = [stored(half, &values), stored(half, &[1.0, -1.0, 1.0, 0.5])];
        let inputs = [(&case.lhs, memory[0].as_slice()), (&case.rhs, memory[1].as_slice())];
        compare(&format!("edges of {half}"), &Matmul::PLAIN, &inputs, std::slice::from_ref(&case.out), 0.0);
        let infinite = stored(half, &[f32::INFINITY; 8]);
        let inputs = [(&case.lhs, infinite.as_slice()), (&case.rhs, memory[1].as_slice())];
        compare(&format!("infinite {half}"), &Matmul::PLAIN, &inputs, std::slice::from_ref(&case.out), 0.0);
    }
}

#[test]
fn batches() {
    Case::new(&[5], 6, 7, 8).run("one axis");
    Case::new(&[2, 3], 6, 7, 8).transposed(false, true).run("two axes");
    // The right operand is the same for all of the first axis, the left one for all of the second.
    let mut case = Case::new(&[2, 3], 6, 7, 8);
    case.lhs.at.strides[1] = 0;
    case.rhs.at.strides[0] = 0;
    case.run("broadcast");
}

#[test]
fn nothing_to_add_gives_zeros() {
    Case::new(&[2], 3, 0, 4).run("k = 0");
    Case::new(&[0], 3, 2, 4).run("no batch");
}

#[test]
fn more_workgroups_than_a_dimension_has() {
    let case = Case::new(&[65_600], 1, 1, 1);
    let (operands, outputs) = ([case.lhs.clone(), case.rhs.clone()], [case.out.clone()]);
    let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
    let Some(mut runner) = Runner::lock() else { return };
    let plans = Matmul::PLAIN.kernels(&shapes, &Adapter::default()).unwrap();
    let plan = plans.iter().find(|plan| plan.dispatches[0].kernel.label.starts_with("matmul_direct")).unwrap();
    assert!(plan.dispatches[0].workgroups > 65_535);
    let (a, b) = (numbers(65_600, 1), numbers(65_600, 2));
    let want: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
    let got = runner.run(plan, &[bytemuck::cast_slice(&a), bytemuck::cast_slice(&b)], &[case.out.bytes()]);
    assert_close("65,600 products", bytemuck::cast_slice(&got[0]), &want, 1e-6);
}

/// The same with matrix instructions, where the device has them; and the same bits again.
#[test]
fn more_workgroups_of_matrix_instructions_than_a_dimension_has() {
    let case = Case::new(&[65_600], 1, 1, 1).stored(DType::F16, DType::F16);
    let (operands, outputs) = ([case.lhs.clone(), case.rhs.clone()], [case.out.clone()]);
    let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
    let Some(mut runner) = Runner::lock() else { return };
    let plans = Matmul::PLAIN.kernels(&shapes, &runner.adapter.clone()).unwrap();
    let is_it = |plan: &&KernelPlan| plan.dispatches[0].kernel.label.starts_with("matmul_cooperative 32x32");
    let Some(plan) = plans.iter().find(is_it) else {
        assert_eq!(runner.adapter.cooperative, None, "no plan has matrix instructions");
        return;
    };
    assert!(plan.dispatches[0].workgroups > 65_535);
    let (a, b) = (numbers(65_600, 1), numbers(65_600, 2));
    let want: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
    let memory = [stored(DType::F16, &a), stored(DType::F16, &b)];
    let mut run = || runner.run(plan, &[&memory[0], &memory[1]], &[case.out.bytes()]);
    let got = run();
    assert_close("65,600 products", bytemuck::cast_slice(&got[0]), &want, 1e-6);
    assert_eq!(got, run());
}

#[test]
fn every_choice_for_large_shapes_is_sound() {
    let shapes = [
        (1, 4096, 4096, 4096),
        (1, 1024, 1024, 1024),
        (1, 128, 60_000, 128),
        (1, 10, 1_000_000, 784),
        (96, 256, 64, 256),
        (1, 8192, 512, 10),
        (1, 1, 4096, 50_000),
        (4, 50_000, 4096, 1),
    ];
    for (batch, m, k, n) in shapes {
        for transposed in [false, true] {
            let case = Case::new(&[batch], m, k, n).transposed(transposed, !transposed);
            let (operands, outputs) = ([case.lhs, case.rhs], [case.out]);
            let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
            for adapter in adapters() {
                for plan in Matmul::PLAIN.kernels(&shapes, &adapter).unwrap() {
                    check(&plan, &adapter);
                    let most = adapter.limits.binding_bytes as usize;
                    assert!(plan.scratch.iter().all(|&bytes| bytes <= most), "{m}x{k}x{n}: {:?}", plan.scratch);
                }
            }
        }
    }
}

#[test]
fn an_epilogue_is_applied() {
    epilogue(5, 40, 9);
    epilogue(5, 1100, 9);
    epilogue(1, 40, 45);
    epilogue(45, 40, 1);
}

fn epilogue(rows: usize, inner: usize, columns: usize) {
    // relu(x + bias[column]) and x · scale[batch], over [batch, row, column].
    let case = Case::new(&[3], rows, inner, columns);
    let dims = [3, rows, columns];
    let mut builder = Builder::new(DType::F32);
    let value = builder.accumulator(DType::F32);
    let bias = builder.load(0, DType::F32, Affine::new(0, [0, 0, 1]));
    let scale = builder.load(1, DType::F32, Affine::new(0, [1, 0, 0]));
    let sum = builder.add(value, bias);
    let relu = builder.call(ScalarFunction::Relu, &[sum]);
    let scaled = builder.mul(value, scale);
    let outputs = vec![(relu, DType::F32), (scaled, DType::F32)];
    let epilogue =
        Epilogue { expression: builder.finish(dims.to_vec(), vec![DType::F32; 2], outputs), borders: [1, 2] };
    let (a, b, bias, scale) =
        (numbers(3 * inner * rows, 1), numbers(3 * inner * columns, 2), numbers(columns, 3), numbers(3, 4));
    let mut product = vec![0_f32; 135];
    let bytes: [&[u8]; 4] =
        [bytemuck::cast_slice(&a), bytemuck::cast_slice(&b), bytemuck::cast_slice(&bias), bytemuck::cast_slice(&scale)];
    Matmul::PLAIN
        .evaluate(
            &[(&case.lhs, bytes[0]), (&case.rhs, bytes[1])],
            &mut [(&case.out, bytemuck::cast_slice_mut(&mut product))],
        )
        .unwrap();
    let want: [Vec<f32>; 2] = [
        product.iter().enumerate().map(|(index, value)| (value + bias[index % columns]).max(0.0)).collect(),
        product.iter().enumerate().map(|(index, value)| value * scale[index / 45]).collect(),
    ];
    let (operands, outputs) = ([case.lhs.clone(), case.rhs.clone()], [case.out.clone()]);
    let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: Some(&epilogue) };
    for adapter in adapters() {
        for plan in Matmul::PLAIN.kernels(&shapes, &adapter).unwrap() {
            check(&plan, &adapter);
            let Some(mut runner) = Runner::lock() else { continue };
            if !runner.can_run(&plan, &adapter) {
                continue;
            }
            let got = runner.run(&plan, &bytes, &[540, 540]);
            for (got, want) in got.iter().zip(&want) {
                assert_close(&plan.dispatches[0].kernel.label, bytemuck::cast_slice(got), want, 1e-5);
            }
        }
    }
}

#[test]
fn an_epilogue_stores_16_bits() {
    for dtype in [DType::F16, DType::BF16] {
        for (rows, inner, columns) in [(5, 24, 72), (2, 3000, 4)] {
            halves(dtype, rows, inner, columns);
        }
    }
}

/// relu(x + bias[column]) in 16 bits and x + bias[column] in 32, over [batch, row, column]; with the first pass of a product whose
/// inner dimension is split.
fn halves(dtype: DType, rows: usize, inner: usize, columns: usize) {
    let case = Case::new(&[3], rows, inner, columns).stored(dtype, dtype);
    let mut builder = Builder::new(DType::F32);
    let value = builder.accumulator(DType::F32);
    let bias = builder.load(0, dtype, Affine::new(0, [0, 0, 1]));
    let sum = builder.add(value, bias);
    let relu = builder.call(ScalarFunction::Relu, &[sum]);
    let outputs = vec![(relu, dtype), (sum, DType::F32)];
    let epilogue =
        Epilogue { expression: builder.finish(vec![3, rows, columns], vec![dtype], outputs), borders: [1, 2] };
    let len = 3 * rows * columns;
    let bias = numbers(columns, 3);
    let memory = [Case::memory(&case.lhs, 1), Case::memory(&case.rhs, 2), stored(dtype, &bias)];
    let mut product = vec![0_f32; len];
    let operands = [(&case.lhs, memory[0].as_slice()), (&case.rhs, memory[1].as_slice())];
    Matmul::PLAIN.evaluate(&operands, &mut [(&case.out, bytemuck::cast_slice_mut(&mut product))]).unwrap();
    let sums: Vec<f32> = product.iter().enumerate().map(|(index, value)| value + bias[index % columns]).collect();
    let (operands, outputs) = ([case.lhs.clone(), case.rhs.clone()], [case.out.clone()]);
    let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: Some(&epilogue) };
    let bytes: Vec<&[u8]> = memory.iter().map(Vec::as_slice).collect();
    for adapter in adapters() {
        for plan in Matmul::PLAIN.kernels(&shapes, &adapter).unwrap() {
            check(&plan, &adapter);
            let Some(mut runner) = Runner::lock() else { continue };
            if !runner.can_run(&plan, &adapter) {
                continue;
            }
            let label = format!("{} to {dtype}, {rows}x{inner}x{columns}", plan.dispatches[0].kernel.label);
            let got = runner.run(&plan, &bytes, &[2 * len, 4 * len]);
            assert_close(&label, bytemuck::cast_slice(&got[1]), &sums, 1e-5);
            // Of sums that are themselves rounded, the last of the 16 bits may differ.
            let (narrow, want) = (widened(dtype, &got[0]), sums.iter().map(|sum| sum.max(0.0)).collect::<Vec<_>>());
            assert_close(&label, &narrow, &want, if dtype == DType::F16 { 1e-3 } else { 8e-3 });
        }
    }
}

#[test]
fn what_does_not_fit_groups_of_four_is_refused() {
    let case = Case::new(&[], 4, 8, 6);
    let epilogue = Epilogue::identity(DType::F16, &[1, 4, 6], [1, 2]);
    let (operands, outputs) = ([case.lhs, case.rhs], [case.out]);
    let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: Some(&epilogue) };
    let refused = Matmul::PLAIN.kernels(&shapes, &Adapter::default()).map(|_| ());
    assert_eq!(refused, Err("does not store 16-bit floats in rows of 6 elements".to_owned()));
}

/// Not a test of speed, which machines differ in: prints it. `cargo test matmul::tests::speed -- --ignored --nocapture`
#[test]
#[ignore = "prints timings"]
fn speed() {
    let Some(mut runner) = Runner::lock() else { return };
    let adapter = runner.adapter.clone();
    for (m, k, n) in [(512, 512, 512), (1024, 1024, 1024), (64, 784, 128), (784, 64, 128), (32, 1024, 10)] {
        let case = Case::new(&[], m, k, n);
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let operands = [case.lhs.clone(), case.rhs.clone()];
        let outputs = [case.out.clone()];
        let shapes = RoutineShapes { inputs: &operands, outputs: &outputs, epilogue: None };
        for plan in Matmul::PLAIN.kernels(&shapes, &adapter).unwrap() {
            let inputs: [&[u8]; 2] = [bytemuck::cast_slice(&a), bytemuck::cast_slice(&b)];
            let times = if m * n * k > 1 << 27 { 4 } else { 20 };
            let (_, [seconds, processor]) = runner.run_timed(&plan, &inputs, &[case.out.bytes()], times);
            let rate = 2e-9 * (m * k * n) as f64 / seconds;
            let alone = 2e-9 * (m * k * n) as f64 / (processor / 2.0);
            eprintln!(
                "{m}x{k}x{n}  {:50} {:9.3} ms {rate:6.1} GFLOP/s, by processor time {alone:6.1}",
                plan.dispatches[0].kernel.label,
                seconds * 1e3
            );
        }
    }
}
