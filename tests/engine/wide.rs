//! i64 and f64: exact on the CPU, in 32 bits on a GPU, where the session checks what goes in and widens what comes out.

use proptest::prelude::*;
use wgrad::device::Device;
use wgrad::ops::Order;
use wgrad::ops::{ConvOptions, Initial, Interpolate, PaddingMode, Role, Variable};
use wgrad::prelude::*;
use wgrad::scalar::Reduction;
use wgrad::tensor::TensorType;

use super::support::devices::devices;

/// Beyond what f32, i32 and f64 hold, in this order, and the ends.
const INTEGERS: [i64; 16] = [
    0,
    1,
    -1,
    2,
    -7,
    63,
    (1 << 24) + 1,
    -(1 << 31) - 1,
    1 << 32,
    (1 << 53) + 1,
    -(1 << 53) - 1,
    (1 << 62) + 3,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
];

fn integers(values: &[i64], shape: &[usize]) -> TensorData {
    TensorData::from_slice(values, shape).unwrap()
}

fn run_on(device: &Device, g: &Graph, inputs: &[(&str, &TensorData)]) -> wgrad::session::Outputs {
    g.compile(device).unwrap().run(inputs).unwrap()
}

#[test]
fn arithmetic_of_i64_is_exact_on_the_cpu() {
    type Rule = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(i64, i64) -> i64);
    let rules: [Rule; 15] = [
        ("add", |a, b| a + b, i64::wrapping_add),
        ("sub", |a, b| a - b, i64::wrapping_sub),
        ("mul", |a, b| a * b, i64::wrapping_mul),
        ("div", |a, b| a / b, |a, b| if b == 0 { a } else { a.wrapping_div(b) }),
        ("rem", |a, b| a % b, |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) }),
        ("maximum", |a, b| a.maximum(b), i64::max),
        ("minimum", |a, b| a.minimum(b), i64::min),
        ("and", |a, b| a.bitwise_and(b), |a, b| a & b),
        ("or", |a, b| a.bitwise_or(b), |a, b| a | b),
        ("xor", |a, b| a.bitwise_xor(b), |a, b| a ^ b),
        ("shift_left", |a, b| a.shift_left(b), |a, b| a.wrapping_shl(b as u32)),
        ("shift_right", |a, b| a.shift_right(b), |a, b| a.wrapping_shr(b as u32)),
        ("neg", |a, _| -a, |a, _| a.wrapping_neg()),
        ("abs", |a, _| a.abs(), |a, _| a.wrapping_abs()),
        ("sign", |a, _| a.sign(), |a, _| a.signum()),
    ];
    type Comparison = (&'static str, fn(&Tensor, &Tensor) -> Tensor, fn(&i64, &i64) -> bool);
    let comparisons: [Comparison; 3] =
        [("lt", |a, b| a.lt(b), i64::lt), ("eq", |a, b| a.eq(b), i64::eq), ("ge", |a, b| a.ge(b), i64::ge)];
    let (a, b): (Vec<i64>, Vec<i64>) = INTEGERS.iter().flat_map(|&a| INTEGERS.iter().map(move |&b| (a, b))).unzip();
    let g = Graph::new();
    let (x, y) = (g.input("x", [a.len()], I64), g.input("y", [a.len()], I64));
    rules.iter().for_each(|(name, build, _)| g.output(name, &build(&x, &y)));
    comparisons.iter().for_each(|(name, build, _)| g.output(name, &build(&x, &y)));
    g.output("select", &x.lt(&y).select(&x, &y));
    // A number in an expression, small and beyond what f64 holds.
    g.output("plus", &(&x + ((1_i64 << 53) + 1)));
    g.output("minus", &(&x - 5));
    let found = run_on(&Device::cpu(), &g, &[("x", &integers(&a, &[a.len()])), ("y", &integers(&b, &[a.len()]))]);
    let pairs = || a.iter().copied().zip(b.iter().copied());
    for (name, _, rule) in rules {
        let wanted: Vec<i64> = pairs().map(|(a, b)| rule(a, b)).collect();
        assert_eq!(found[name].to_vec::<i64>().unwrap(), wanted, "{name}");
    }
    for (name, _, rule) in comparisons {
        let wanted: Vec<f64> = pairs().map(|(a, b)| f64::from(u8::from(rule(&a, &b)))).collect();
        assert_eq!(found[name].to_f64_vec(), wanted, "{name}");
    }
    let check = |name: &str, rule: fn(i64, i64) -> i64| {
        assert_eq!(
            found[name].to_vec::<i64>().unwrap(),
            pairs().map(|(a, b)| rule(a, b)).collect::<Vec<_>>(),
            "{name}"
        );
    };
    check("select", i64::min);
    check("plus", |a, _| a.wrapping_add((1 << 53) + 1));
    check("minus", |a, _| a.wrapping_sub(5));
}

#[test]
fn casts_truncate_saturate_or_keep_the_lower_bits() {
    let floats = [0.0, -0.0, 0.9, -0.9, 1.5, -2.5, 3e9, -3e9, 1e18, 9.3e18, -9.3e18, f64::INFINITY, f64::NAN];
    let g = Graph::new();
    let (n, x) = (g.input("n", [INTEGERS.len()], I64), g.input("x", [floats.len()], F64));
    for dtype in [F32, F64, I32, U32, U8, Bool, F16, BF16] {
        g.output(dtype.name(), &n.cast(dtype));
        g.output(&format!("{dtype} back"), &n.cast(dtype).cast(I64));
    }
    g.output("from f64", &x.cast(I64));
    g.output("from f32", &x.cast(F32).cast(I64));
    let x = TensorData::from_slice(&floats, [floats.len()]).unwrap();
    let found = run_on(&Device::cpu(), &g, &[("n", &integers(&INTEGERS, &[INTEGERS.len()])), ("x", &x)]);
    let back = |name: &str| found[format!("{name} back").as_str()].to_vec::<i64>().unwrap();
    let each = |rule: fn(i64) -> i64| INTEGERS.map(rule).to_vec();
    assert_eq!(found["f32"].to_vec::<f32>().unwrap(), INTEGERS.map(|n| n as f32));
    assert_eq!(found["f64"].to_vec::<f64>().unwrap(), INTEGERS.map(|n| n as f64));
    assert_eq!(found["i32"].to_vec::<i32>().unwrap(), INTEGERS.map(|n| n as i32));
    assert_eq!(found["u8"].to_vec::<u8>().unwrap(), INTEGERS.map(|n| n as u8));
    assert_eq!(back("f32"), each(|n| n as f32 as i64));
    assert_eq!(back("i32"), each(|n| i64::from(n as i32)));
    assert_eq!(back("u32"), each(|n| i64::from(n as u32)));
    assert_eq!(back("u8"), each(|n| i64::from(n as u8)));
    assert_eq!(back("bool"), each(|n| i64::from(n != 0)));
    assert_eq!(found["from f64"].to_vec::<i64>().unwrap(), floats.map(|x| x as i64));
    assert_eq!(found["from f32"].to_vec::<i64>().unwrap(), floats.map(|x| x as f32 as i64));
}

/// What a reduction of rows gives, in Rust's own arithmetic.
fn reduced(reduction: Reduction, row: &[i64]) -> i64 {
    let index = |best: i64| row.iter().position(|&x| x == best).map_or(0, |k| k as i64);
    let (max, min) = (row.iter().copied().fold(i64::MIN, i64::max), row.iter().copied().fold(i64::MAX, i64::min));
    match reduction {
        Reduction::Sum => row.iter().fold(0, |sum, &x| sum.wrapping_add(x)),
        Reduction::Product => row.iter().fold(1, |product, &x| product.wrapping_mul(x)),
        Reduction::Max => max,
        Reduction::Min => min,
        Reduction::ArgMax => index(max),
        _ => index(min),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn reductions_of_i64_are_exact_on_the_cpu(rows in 1_usize..5, columns in 1_usize..300, seed in any::<u64>()) {
        let word = |k: usize| {
            let word = seed.wrapping_add(k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) as i64
        };
        let values: Vec<i64> = (0..rows * columns).map(word).collect();
        let g = Graph::new();
        let x = g.input("x", [rows, columns], I64);
        let kinds = Reduction::ALL.into_iter().filter(|kind| *kind != Reduction::LogSumExp);
        for kind in kinds.clone() {
            g.output(kind.name(), &x.reduce(kind, [1]).cast(I64));
            g.output(&format!("{} of columns", kind.name()), &x.transpose(0, 1).reduce(kind, [0]).cast(I64));
        }
        let found = run_on(&Device::cpu(), &g, &[("x", &integers(&values, &[rows, columns]))]);
        for kind in kinds {
            let wanted: Vec<i64> = values.chunks(columns).map(|row| reduced(kind, row)).collect();
            prop_assert_eq!(found[kind.name()].to_vec::<i64>().unwrap(), wanted.clone());
            prop_assert_eq!(found[format!("{} of columns", kind.name()).as_str()].to_vec::<i64>().unwrap(), wanted);
        }
    }
}

#[test]
fn a_long_reduction_of_i64_joins_its_parts() {
    let n = 100_000_usize;
    let values: Vec<i64> = (0..n as i64).map(|k| (1 << 54) + (k * 7919) % 100_003).collect();
    let g = Graph::new();
    let x = g.input("x", [n], I64);
    for kind in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::ArgMax, Reduction::ArgMin] {
        g.output(kind.name(), &x.reduce(kind, [0]).cast(I64));
    }
    let found = run_on(&Device::cpu(), &g, &[("x", &integers(&values, &[n]))]);
    for kind in [Reduction::Sum, Reduction::Max, Reduction::Min, Reduction::ArgMax, Reduction::ArgMin] {
        assert_eq!(found[kind.name()].to_vec::<i64>().unwrap(), [reduced(kind, &values)], "{}", kind.name());
    }
}

/// Everything that moves, sorts, sums and multiplies, on small values: the same on every device, in the graph's own types.
#[test]
fn i64_goes_through_every_operator_on_every_device() {
    let g = Graph::new();
    let x = g.input("x", [3, 4], I64);
    let index = g.input("index", [2, 4], I64);
    g.output("gather", &x.gather(0, &index));
    g.output("take", &x.take(1, &index));
    g.output("scatter", &x.scatter_add(0, &index, &x.slice(0, 0, 2)));
    let rows = index.at(0, 0);
    g.output("rows", &x.scatter_rows(&rows, &g.constant(integers(&[1; 16], &[4, 4]))));
    let (values, order) = x.sort(1, Order::Descending);
    g.output("sorted", &values);
    g.output("order", &order);
    g.output("running", &x.cumulative_sum(1));
    g.output("sum", &x.sum([0]));
    g.output("product", &x.product([1]));
    g.output("max", &x.max([1]));
    g.output("argmin", &x.argmin(1));
    g.output("matmul", &x.matmul(&x.transpose(0, 1)));
    g.output("batched", &x.reshape([3, 2, 2]).matmul(&x.reshape([3, 2, 2]).transpose(1, 2)));
    g.output("vector", &x.matmul(&g.constant(integers(&[1, -1, 2, 5], &[4]))));
    g.output("padded", &x.pad(&[1, 0], &[0, 2], -9.0));
    g.output("joined", &g.concat(&[&x, &x.slice(0, 1, 2)], 0));
    g.output("one_hot", &index.one_hot(3, I64));
    g.output("clamped", &x.clamp(-2.0, 3.0));
    g.output("half", &(x.cast(F32) * 0.5));
    g.output("floats", &(x.cast(F64) * 0.25));
    g.output("truth", &x.gt(0));
    let x = integers(&[5, -3, 0, 12, 7, 7, -8, 1, 2, 90, -90, 4], &[3, 4]);
    let index = integers(&[0, 2, 1, 1, 2, 0, 0, 2], &[2, 4]);
    let inputs = [("x", &x), ("index", &index)];
    let reference = run_on(&Device::cpu(), &g, &inputs);
    assert_eq!(reference["gather"].to_vec::<i64>().unwrap(), [5, 90, -8, 1, 2, -3, 0, 4]);
    assert_eq!(reference["scatter"].to_vec::<i64>().unwrap(), [10, 4, -8, 12, 7, 7, -8, 13, 9, 87, -90, 5]);
    assert_eq!(reference["matmul"].to_vec::<i64>().unwrap(), [178, 26, -212, 26, 163, 1368, -212, 1368, 16220]);
    assert_eq!(reference["vector"].to_vec::<i64>().unwrap(), [68, -11, -248]);
    assert_eq!(reference["product"].to_vec::<i64>().unwrap(), [0, -392, -64800]);
    assert_eq!(reference["floats"].dtype(), F64);
    for device in devices() {
        let found = run_on(&device, &g, &inputs);
        for (name, wanted) in reference.iter() {
            assert_eq!(&found[name], wanted, "{name} on {device:?}");
        }
    }
}

#[test]
fn indices_beyond_32_bits_stay_out_of_range() {
    let g = Graph::new();
    let index = g.input("index", [3], I64);
    g.output("take", &g.constant(integers(&[10, 11, 12], &[3])).take(0, &index));
    g.output("one_hot", &index.one_hot(2, I64));
    let found = run_on(&Device::cpu(), &g, &[("index", &integers(&[1 << 32, -(1 << 32), 1], &[3]))]);
    assert_eq!(found["take"].to_vec::<i64>().unwrap(), [12, 10, 11]);
    assert_eq!(found["one_hot"].to_vec::<i64>().unwrap(), [0, 0, 0, 0, 0, 1]);
}

#[test]
fn products_of_i64_are_exact_on_the_cpu() {
    let g = Graph::new();
    let (x, y) = (g.input("x", [2, 2], I64), g.input("y", [2, 2], I64));
    g.output("z", &x.matmul(&y));
    let (a, b) = ([(1_i64 << 53) + 1, 3, i64::MAX, 5], [1, -1, 1 << 40, 2]);
    let found = run_on(&Device::cpu(), &g, &[("x", &integers(&a, &[2, 2])), ("y", &integers(&b, &[2, 2]))]);
    let entry =
        |i: usize, j: usize| (0..2).fold(0_i64, |sum, k| sum.wrapping_add(a[2 * i + k].wrapping_mul(b[2 * k + j])));
    assert_eq!(found["z"].to_vec::<i64>().unwrap(), [entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1)]);
}

#[test]
fn what_is_fed_to_a_gpu_is_checked() {
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        let g = Graph::new();
        let (n, x) = (g.input("n", [2, 2], I64), g.input("x", [2], F64));
        g.output("n", &(n + 1));
        g.output("x", &(x * 2.0));
        let mut session = g.compile(&device).unwrap();
        let (n, x) = (integers(&[1, 2, 3, 4], &[2, 2]), TensorData::from_vec(vec![0.5, f64::INFINITY], [2]).unwrap());
        let found = session.run(&[("n", &n), ("x", &x)]).unwrap();
        assert_eq!(found["n"], integers(&[2, 3, 4, 5], &[2, 2]));
        assert_eq!(found["x"].to_vec::<f64>().unwrap(), [1.0, f64::INFINITY]);
        assert_eq!(session.read("n").unwrap(), found["n"]);
        let large = integers(&[0, 0, -(1 << 33), 1 << 34], &[2, 2]);
        let message = session.run(&[("n", &large), ("x", &x)]).unwrap_err().to_string();
        assert!(message.contains("input \"n\": -8589934592 at index [1, 0] does not fit i32"), "{message}");
        let large = TensorData::from_vec(vec![0.0, 1e300], [2]).unwrap();
        let message = session.run(&[("n", &n), ("x", &large)]).unwrap_err().to_string();
        assert!(message.contains("input \"x\": 1e300 at index [1] does not fit f32"), "{message}");
        // Another type is still another type.
        let narrow = n.narrowed().unwrap();
        assert!(session.run(&[("n", &narrow), ("x", &x)]).is_err());
    }
}

#[test]
fn variables_of_64_bits_keep_their_types_on_every_device() {
    for device in devices() {
        let g = Graph::new();
        let initial = Initial::Values(integers(&[7, -7], &[2]));
        let count =
            g.variable(Variable { name: "count".into(), ty: TensorType::new(I64, [2]), role: Role::Buffer, initial });
        let scale = g.variable(Variable::parameter("scale", TensorType::new(F64, [2]), Initial::Constant(0.5)));
        g.output("scaled", &(count.cast(F64) * &scale));
        g.assign(&count, &(&count + 1));
        let mut session = g.compile(&device).unwrap();
        session.step(&[]).unwrap();
        assert_eq!(session.parameter("count").unwrap(), integers(&[8, -6], &[2]));
        assert_eq!(session.parameter("scale").unwrap().to_vec::<f64>().unwrap(), [0.5, 0.5]);
        session.set_parameter("count", &integers(&[100, 200], &[2])).unwrap();
        assert_eq!(session.run(&[]).unwrap()["scaled"].to_vec::<f64>().unwrap(), [50.0, 100.0]);
        let types: Vec<DType> = session.variables().iter().map(|variable| variable.ty.dtype).collect();
        assert!(types.contains(&I64) && types.contains(&F64), "{types:?}");
        let large = session.set_parameter("count", &integers(&[1, 1 << 40], &[2]));
        assert_eq!(large.is_ok(), device.is_cpu());
        // A second program shares them; one that takes them for something else is refused.
        let other = Graph::new();
        let again = |dtype| Variable {
            name: "count".into(),
            ty: TensorType::new(dtype, [2]),
            role: Role::Buffer,
            initial: Initial::Constant(0.0),
        };
        other.output("count", &other.variable(again(I64)));
        assert!(session.load(&other).is_ok());
        let other = Graph::new();
        other.output("count", &other.variable(again(I32)));
        assert!(session.load(&other).is_err());
    }
}

#[test]
fn f64_on_a_gpu_is_what_f32_gives() {
    let g = Graph::new();
    let x = g.input("x", [2, 1, 3, 5], F64);
    let weight = g.input("weight", [4, 1, 2, 2], F64);
    let y = x.interpolate(&Interpolate::size([6, 7])).conv(&weight, &ConvOptions::default()).tanh();
    let loss = y.square().sum_all();
    g.output("y", &y);
    g.output("slope", &g.gradients(&loss, &[&x]).swap_remove(0));
    let x = super::tensor(1, F64, &[2, 1, 3, 5], -1.0, 1.0);
    let weight = super::tensor(2, F64, &[4, 1, 2, 2], -1.0, 1.0);
    let inputs = [("x", &x), ("weight", &weight)];
    let reference = run_on(&Device::cpu(), &g, &inputs);
    for device in devices() {
        let found = run_on(&device, &g, &inputs);
        for (name, wanted) in reference.iter() {
            assert_eq!(found[name].ty(), wanted.ty());
            for (a, b) in found[name].to_f64_vec().iter().zip(wanted.to_f64_vec()) {
                assert!((a - b).abs() < 1e-4, "{name}: {a} and {b} on {device:?}");
            }
        }
    }
}

#[test]
fn convolutions_of_integers_are_those_of_floats() {
    let cases: [(&[usize], &[usize], ConvOptions); 5] = [
        (&[2, 3, 9], &[4, 3, 3], ConvOptions::default()),
        (&[2, 4, 7, 6], &[6, 2, 3, 2], ConvOptions::default().groups(2).stride([2, 1]).padding([1, 2])),
        (&[1, 3, 8, 8], &[3, 1, 3, 3], ConvOptions::default().groups(3).dilation(2).padding(2)),
        (&[1, 2, 4, 5, 4], &[3, 2, 2, 3, 1], ConvOptions::default().stride(2)),
        (&[1, 2, 5, 5], &[2, 2, 3, 3], ConvOptions::default().padding(1).padding_mode(PaddingMode::Circular)),
    ];
    for (shape, kernel, options) in cases {
        let values = |seed, shape: &[usize]| super::tensor(seed, F64, shape, -99.0, 99.0).cast(I64).unwrap();
        let (x_data, w_data) = (values(3, shape), values(4, kernel));
        for device in devices() {
            let g = Graph::new();
            let (x, w) = (g.input("x", shape, I64), g.input("w", kernel, I64));
            g.output("whole", &x.conv(&w, &options));
            g.output("int", &x.cast(I32).conv(&w.cast(I32), &options).cast(I64));
            g.output("float", &x.cast(F32).conv(&w.cast(F32), &options).cast(I64));
            let found = run_on(&device, &g, &[("x", &x_data), ("w", &w_data)]);
            assert_eq!(found["whole"], found["float"], "{options:?} on {device:?}");
            assert_eq!(found["int"], found["float"], "{options:?} on {device:?}");
        }
    }
    let g = Graph::new();
    let (x, w) = (g.input("x", [1, 3, 4], I64), g.input("w", [1, 2, 2], I64));
    let _ = x.conv(&w, &ConvOptions::default());
    assert!(g.error().is_some_and(|error| error.to_string().contains("channels")));
}
