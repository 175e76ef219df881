//! Reductions on a device against the CPU's, in every variant.

use crate::scalar::{
    Affine, Builder, Epilogue, ReduceDims, Reduction, ScalarExpr, ScalarFunction, Source, Tape, reduce,
};
use crate::shader::testing::{Runner, adapters, assert_close, check, numbers};
use crate::shader::{Adapter, KernelPlan, reduce_candidates, reduce_plans};
use crate::tensor::DType;

/// The sum of a load and a constant, over row-major dimensions that are in memory in this order of strides.
fn expression(dims: &[usize], dtype: DType, at: Affine) -> ScalarExpr {
    let mut builder = Builder::new(dtype);
    let value = builder.load(0, dtype, at);
    builder.finish(dims.to_vec(), vec![dtype], vec![(value, dtype)])
}

/// Runs all plans and compares bits of integers, nearly equal floats.
fn compare(label: &str, expression: &ScalarExpr, borders: [usize; 2], reduction: Reduction, data: &[u8]) {
    compare_plans(label, reduce_plans, expression, borders, reduction, data);
}

type Plans = fn(&ScalarExpr, [usize; 2], Reduction, &Epilogue, &Adapter) -> Result<Vec<KernelPlan>, String>;

fn compare_plans(
    label: &str,
    plans: Plans,
    expression: &ScalarExpr,
    borders: [usize; 2],
    reduction: Reduction,
    data: &[u8],
) {
    let product = |dims: &[usize]| dims.iter().product::<usize>();
    let dims = ReduceDims {
        outer: product(&expression.dims[..borders[0]]),
        reduced: product(&expression.dims[borders[0]..borders[1]]),
        inner: product(&expression.dims[borders[1]..]),
    };
    let dtype = expression.outputs[0].1;
    let want = reduce(&Tape::new(expression), &[Source::Bytes(data)], dtype, reduction, dims);
    let result = reduction.result(dtype);
    let count = dims.outer * dims.inner;
    let want: &[u8] = &bytemuck::cast_slice(&want)[..4 * count];
    let retained: Vec<usize> =
        expression.dims[..borders[0]].iter().chain(&expression.dims[borders[1]..]).copied().collect();
    let epilogue = Epilogue::identity(result, &retained, [borders[0], borders[0]]);
    let mut visited = Vec::new();
    for adapter in adapters() {
        for plan in plans(expression, borders, reduction, &epilogue, &adapter).unwrap() {
            check(&plan, &adapter);
            let Some(mut runner) = Runner::lock() else { continue };
            if visited.contains(&plan) {
                continue;
            }
            let name = format!("{label}: {}", plan.dispatches.first().map_or("nothing", |d| d.kernel.label.as_str()));
            let got = &runner.run(&plan, &[data], &[4 * count])[0];
            if result == DType::F32 {
                let (got, want) = (bytemuck::pod_collect_to_vec(got), bytemuck::pod_collect_to_vec::<u8, f32>(want));
                // Roundings near 1 lean to one side.
                assert_close(&name, &got, &want, if reduction == Reduction::Product { 2e-4 } else { 1e-5 });
            } else {
                assert_eq!(got, want, "{name}");
            }
            visited.push(plan);
        }
    }
}

/// `outer × reduced × inner`, row-major.
fn case(reduction: Reduction, dtype: DType, dims: [usize; 3], data: &[u8]) {
    let label = format!("{} of {dtype} {dims:?}", reduction.name());
    compare(&label, &expression(&dims, dtype, Affine::row_major(&dims)), [1, 2], reduction, data);
}

const SHAPES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [3, 10, 1],
    [70, 33, 1],
    [5, 700, 1],
    [1, 9000, 1],
    [1, 100, 37],
    [4, 70, 65],
    [1, 3000, 3],
    [2, 1, 300],
];

#[test]
fn floats_of_all_shapes() {
    for reduction in Reduction::ALL {
        for dims in SHAPES {
            let count = dims.iter().product();
            // A product of many values would vanish.
            let values: Vec<f32> = match reduction {
                Reduction::Product => numbers(count, 7).iter().map(|x| 1.0 + x / count as f32).collect(),
                _ => numbers(count, 7),
            };
            case(reduction, DType::F32, dims, bytemuck::cast_slice(&values));
        }
    }
}

#[test]
fn what_tuning_tries() {
    for (reduction, dims) in [
        (Reduction::Sum, [5, 700, 1]),
        (Reduction::LogSumExp, [1, 9000, 1]),
        (Reduction::ArgMax, [1, 3000, 3]),
        (Reduction::Sum, [4, 70, 65]),
    ] {
        let values = numbers(dims.iter().product(), 7);
        let expression = expression(&dims, DType::F32, Affine::row_major(&dims));
        let label = format!("{} {dims:?}", reduction.name());
        compare_plans(&label, reduce_candidates, &expression, [1, 2], reduction, bytemuck::cast_slice(&values));
    }
}

#[test]
fn integers() {
    for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::ArgMax, Reduction::ArgMin] {
        for dims in [[3, 100, 1], [2, 50, 9], [1, 5000, 1]] {
            let values: Vec<i32> = numbers(dims.iter().product(), 3).iter().map(|x| (x * 50.0) as i32).collect();
            case(reduction, DType::I32, dims, bytemuck::cast_slice(&values));
            let values: Vec<u32> = values.iter().map(|&x| (x + 60) as u32).collect();
            case(reduction, DType::U32, dims, bytemuck::cast_slice(&values));
        }
    }
}

#[test]
fn infinities_and_nan() {
    let (top, bottom) = (f32::INFINITY, f32::NEG_INFINITY);
    let rows = [
        [bottom; 6],
        [bottom, bottom, 1.0, bottom, 2.0, bottom],
        [1.0, top, 2.0, bottom, 3.0, 4.0],
        [1.0, 2.0, f32::NAN, 3.0, f32::NAN, 9.0],
        [top; 6],
        [-3.0e38, 3.0e38, 0.0, -0.0, 1.0e-40, 5.0],
        [1000.0, 1000.0, 999.0, -1000.0, 1.0, 0.0],
    ];
    for reduction in [Reduction::Max, Reduction::Min, Reduction::ArgMax, Reduction::ArgMin, Reduction::LogSumExp] {
        // The CPU's sum of two NaNs' blocks differs in nothing but the NaN's bits.
        case(reduction, DType::F32, [7, 6, 1], bytemuck::cast_slice(&rows));
    }
}

#[test]
fn nothing_to_fold() {
    for reduction in [Reduction::Sum, Reduction::Product, Reduction::LogSumExp] {
        case(reduction, DType::F32, [3, 0, 1], &[]);
        case(reduction, DType::F32, [3, 0, 2], &[]);
        case(reduction, DType::F32, [0, 4, 2], &[]);
    }
}

#[test]
fn long_ranges_keep_their_digits() {
    let values: Vec<f32> = numbers(300_000, 5).iter().map(|x| 1.0 + x / 16.0).collect();
    case(Reduction::Sum, DType::F32, [1, 300_000, 1], bytemuck::cast_slice(&values));
    case(Reduction::Sum, DType::F32, [1, 100_000, 3], bytemuck::cast_slice(&values));
}

#[test]
fn many_results() {
    let values = numbers(140_000, 5);
    case(Reduction::Sum, DType::F32, [70_000, 2, 1], bytemuck::cast_slice(&values));
    case(Reduction::Max, DType::F32, [1, 2, 70_000], bytemuck::cast_slice(&values));
}

#[test]
fn views() {
    // Reduced along the memory's rows though it comes last, and the reverse.
    let values = numbers(2000, 9);
    let transposed = expression(&[20, 100], DType::F32, Affine::new(0, [1, 20]));
    compare("transposed", &transposed, [1, 2], Reduction::Sum, bytemuck::cast_slice(&values));
    // Several axes in each group.
    let at = Affine::new(7, [240, 60, 4, 20, 1]);
    let many = expression(&[2, 4, 5, 3, 4], DType::F32, at);
    compare("many axes", &many, [1, 3], Reduction::LogSumExp, bytemuck::cast_slice(&values));
}

#[test]
fn fours_of_several_axes() {
    // Reduced axes that are apart in memory, whose last one is read four elements at a time.
    let dims = [4, 5, 3, 8];
    let values = numbers(8 + 480, 9);
    let at = Affine::new(8, [24, 96, 8, 1]);
    for reduction in [Reduction::Sum, Reduction::Max, Reduction::ArgMin, Reduction::LogSumExp] {
        let label = format!("fours of several axes, {}", reduction.name());
        compare(&label, &expression(&dims, DType::F32, at.clone()), [1, 4], reduction, bytemuck::cast_slice(&values));
    }
    // Of packed words, too.
    let halves: Vec<half::f16> = values.iter().map(|&value| half::f16::from_f32(value)).collect();
    let mut builder = Builder::new(DType::F16);
    let value = builder.load(0, DType::F16, at.clone());
    let wide = builder.call(ScalarFunction::Cast(DType::F32), &[value]);
    let packed = builder.finish(dims.to_vec(), vec![DType::F16], vec![(wide, DType::F32)]);
    compare("packed fours", &packed, [1, 4], Reduction::Sum, bytemuck::cast_slice(&halves));
}

#[test]
fn rows_of_a_multiple_of_four_are_read_in_fours() {
    let labels = |reduced: usize, is_software: bool| {
        let dims = [6, reduced];
        let expression = expression(&dims, DType::F32, Affine::row_major(&dims));
        let epilogue = Epilogue::identity(DType::F32, &[6], [1, 1]);
        let adapter = Adapter { is_software, ..Adapter::default() };
        let plans = reduce_plans(&expression, [1, 2], Reduction::Sum, &epilogue, &adapter).unwrap();
        plans.iter().map(|plan| plan.dispatches[0].kernel.label.contains("quads")).collect::<Vec<_>>()
    };
    assert!(labels(64, false)[0] && !labels(64, false).last().unwrap());
    assert!(labels(63, false).iter().all(|quads| !quads));
    assert!(labels(64, true).iter().all(|quads| !quads));
}

#[test]
fn operand_and_result_are_expressions() {
    // Σ over columns of a·b, times scale[row] and plus one.
    let dims = [6, 50];
    let mut builder = Builder::new(DType::F32);
    let a = builder.load(0, DType::F32, Affine::row_major(&dims));
    let b = builder.load(2, DType::F32, Affine::new(0, [0, 1]));
    let product = builder.mul(a, b);
    let operand = builder.finish(dims.to_vec(), vec![DType::F32; 3], vec![(product, DType::F32)]);
    let mut builder = Builder::new(DType::F32);
    let value = builder.accumulator(DType::F32);
    let scale = builder.load(1, DType::F32, Affine::new(0, [1]));
    let scaled = builder.mul(value, scale);
    let root = builder.call(ScalarFunction::Abs, &[value]);
    let outputs = vec![(scaled, DType::F32), (root, DType::F32)];
    let epilogue = Epilogue { expression: builder.finish(vec![6], vec![DType::F32; 2], outputs), borders: [1, 1] };
    let (x, y, scale) = (numbers(300, 1), numbers(50, 2), numbers(6, 3));
    let sums: Vec<f32> = x.chunks(50).map(|row| row.iter().zip(&y).map(|(x, y)| x * y).sum()).collect();
    let want: [Vec<f32>; 2] =
        [sums.iter().zip(&scale).map(|(sum, scale)| sum * scale).collect(), sums.iter().map(|sum| sum.abs()).collect()];
    let empty = [0_u8; 16];
    let inputs: [&[u8]; 5] =
        [bytemuck::cast_slice(&x), &empty, bytemuck::cast_slice(&y), &empty, bytemuck::cast_slice(&scale)];
    for adapter in adapters() {
        for plan in reduce_plans(&operand, [1, 2], Reduction::Sum, &epilogue, &adapter).unwrap() {
            check(&plan, &adapter);
            let Some(mut runner) = Runner::lock() else { continue };
            let got = runner.run(&plan, &inputs, &[24, 24]);
            for (got, want) in got.iter().zip(&want) {
                assert_close(&plan.dispatches[0].kernel.label, bytemuck::cast_slice(got), want, 1e-5);
            }
        }
    }
}

/// Prints timings. `cargo test reduce::tests::speed -- --ignored --nocapture`
#[test]
#[ignore = "prints timings"]
fn speed() {
    let Some(mut runner) = Runner::lock() else { return };
    let adapter = runner.adapter.clone();
    for (reduction, dims) in [
        (Reduction::Sum, [1, 4 << 20, 1]),
        (Reduction::Sum, [4096, 1024, 1]),
        (Reduction::Sum, [1, 4096, 1024]),
        (Reduction::Sum, [64, 10, 1]),
        (Reduction::Sum, [1, 8192, 128]),
        (Reduction::LogSumExp, [4096, 1024, 1]),
        (Reduction::ArgMax, [4096, 10, 1]),
    ] {
        let values = numbers(dims.iter().product(), 1);
        let expression = expression(&dims, DType::F32, Affine::row_major(&dims));
        let epilogue = Epilogue::identity(reduction.result(DType::F32), &[dims[0], dims[2]], [1, 1]);
        let mut plans = reduce_plans(&expression, [1, 2], reduction, &epilogue, &adapter).unwrap();
        if std::env::var_os("EXPLORE").is_some() {
            use crate::shader::reduce::{Extents, Source, Variant};
            let source = Source::new(&expression, [1, 2], reduction, &epilogue, false).unwrap();
            let extents = Extents { outer: dims[0], reduced: dims[1], inner: dims[2] };
            for (lines, lanes) in [(1, 8), (8, 1), (32, 1), (64, 1), (8, 8), (4, 8), (256, 1)] {
                for splits in [1, 2, 4, 8, 16, 64] {
                    if dims[1] / splits < 64 || dims[1] / splits / lanes > 30000 {
                        continue;
                    }
                    for along_lanes in [true, false] {
                        if lanes == 1 && along_lanes {
                            continue;
                        }
                        plans.push(source.plan(extents, Variant { lines, lanes, along_lanes, splits }).unwrap());
                    }
                }
            }
        }
        for plan in plans {
            let groups = plan.dispatches[0].workgroups;
            let (_, [seconds, processor]) =
                runner.run_timed(&plan, &[bytemuck::cast_slice(&values)], &[4 * dims[0] * dims[2]], 5);
            let rate = 4e-9 * values.len() as f64 / seconds;
            let alone = 4e-9 * values.len() as f64 / (processor / 2.0);
            let label = &plan.dispatches[0].kernel.label;
            eprintln!(
                "{dims:?}  {label:50} {groups} {:9.3} ms {rate:6.2} GB/s, by processor time {alone:6.2}",
                seconds * 1e3
            );
        }
    }
}
