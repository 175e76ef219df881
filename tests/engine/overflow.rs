//! i64 on every device: the right value or an error, never a wrong one. A GPU computes in i32 and notices what leaves it.

use proptest::prelude::*;
use wgrad::ops::Order;
use wgrad::ops::{Combine, Initial, Role, Variable};
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

use super::support::devices::devices;

/// 2³¹
const END: i64 = 1 << 31;

fn integers(values: &[i64]) -> TensorData {
    TensorData::from_slice(values, [values.len()]).unwrap()
}

/// What a graph of two inputs gives on the CPU, and what each GPU makes of it: the same, or an error that names the operator.
#[track_caller]
fn compare(build: &dyn Fn(&Tensor, &Tensor) -> Tensor, a: &[i64], b: &[i64]) -> Vec<(Vec<f64>, Result<(), String>)> {
    let g = Graph::new();
    let (x, y) = (g.input("x", [a.len()], I64), g.input("y", [b.len()], I64));
    g.output("z", &build(&x, &y));
    g.output("x again", &x);
    g.output("y again", &y);
    let (a, b) = (integers(a), integers(b));
    let inputs = [("x", &a), ("y", &b)];
    let right = g.compile(&Device::cpu()).unwrap().run(&inputs).unwrap();
    let found = devices().into_iter().map(|device| {
        let outcome = g.compile(&device).and_then(|mut session| session.run(&inputs));
        let told = outcome.map_err(|error| error.to_string()).map(|found| {
            assert_eq!(found.iter().count(), 3, "hidden numbers are no outputs");
            assert_eq!(found["z"], right["z"], "of {a:?} and {b:?} on {device:?}");
        });
        if device.is_cpu() {
            assert_eq!(told, Ok(()));
        }
        (right["z"].to_f64_vec(), told)
    });
    found.collect()
}

type Rule = fn(&Tensor, &Tensor) -> Tensor;
/// A name, the rule, inputs whose result leaves 32 bits, and inputs whose result just does not.
type Case<'a> = (&'a str, Rule, &'a [i64], &'a [i64], &'a [i64], &'a [i64]);

#[test]
fn what_leaves_32_bits_is_an_error_and_what_just_fits_is_right() {
    let max = END - 1;
    let cases: &[Case<'_>] = &[
        ("add", |x, y| x + y, &[max], &[1], &[max - 1, -max], &[1, -1]),
        ("sub", |x, y| x - y, &[-END], &[1], &[-max, max], &[1, 0]),
        ("mul", |x, y| x * y, &[65_536], &[65_536], &[65_536, 46_341], &[-32_768, 46_340]),
        ("mul", |x, y| x * y, &[3, max], &[1, max], &[max, -END], &[1, 1]),
        ("mul", |x, y| x * y, &[-END], &[-1], &[-END], &[1]),
        ("neg", |x, _| -x, &[-END], &[0], &[max, -max], &[0, 0]),
        ("abs", |x, _| x.abs(), &[5, -END], &[0, 0], &[-max], &[0]),
        ("square", |x, _| x.square(), &[46_341], &[0], &[-46_340], &[0]),
        ("div", |x, y| x / y, &[-END], &[-1], &[-END, max, -END], &[1, -1, 0]),
        ("shift_left", |x, y| x.shift_left(y), &[3], &[30], &[1, -1, 0], &[30, 31, 40]),
        ("shift_left", |x, y| x.shift_left(y), &[1], &[33], &[5], &[0]),
        ("shift_right", |x, y| x.shift_right(y), &[9], &[33], &[9, -9, max], &[3, 31, 0]),
        ("sum", |x, _| x.sum_all(), &[max, max, 5], &[0], &[max, max, -max], &[0]),
        ("sum", |x, _| x.sum_all(), &[-END, -1], &[0], &[-END, 0], &[0]),
        ("cumulative_sum", |x, _| x.cumulative_sum(0), &[max, 1, -1], &[0], &[max, -5, 5], &[0]),
        ("product", |x, _| x.product([0]), &[2048, 2048, 1024], &[0], &[2048, 1024, 1023], &[0]),
        ("mul", |x, _| x.cumulative_product(0), &[2048, 2048, 1024], &[0], &[2048, 1024, 1023], &[0]),
        ("matmul", |x, y| x.matmul(y), &[65_536, 65_536], &[65_536, 1], &[65_536, 32_767], &[32_767, 2]),
        ("scatter_add", |x, y| x.scatter_add(0, &y.zeros_like(), y), &[max, 0], &[1, 0], &[max, 0], &[-1, 1]),
        (
            "scatter",
            |x, y| x.scatter(0, &y.zeros_like(), y, Combine::Product),
            &[65_536, 0],
            &[256, 256],
            &[65_536, 0],
            &[256, 127],
        ),
        ("cast", |x, y| (x.cast(F32) * y.cast(F32)).cast(I64), &[65_536], &[32_768], &[65_536], &[-32_768]),
        ("cast", |x, y| (x.cast(F32) / y.cast(F32)).cast(I64), &[1], &[0], &[1], &[1]),
        ("cast", |x, _| x.cast(U32).cast(I64), &[-1], &[0], &[max], &[0]),
    ];
    for &(name, rule, a, b, fine_a, fine_b) in cases {
        let told = compare(&rule, a, b);
        for (values, outcome) in &told {
            let leaves = values.iter().any(|value| !(-(END as f64)..END as f64).contains(value));
            assert!(leaves || name.starts_with("shift"), "{name} of {a:?} and {b:?} is {values:?}");
            if let Err(message) = outcome {
                assert!(message.starts_with(name) && message.contains("does not fit i32"), "{name}: {message}");
                assert!(message.contains(file!()) || name == "mul", "{message}");
            }
        }
        assert!(told.iter().skip(1).all(|(_, outcome)| outcome.is_err()), "{name} of {a:?} and {b:?} is not noticed");
        let told = compare(&rule, fine_a, fine_b);
        assert!(told.iter().all(|(_, outcome)| outcome.is_ok()), "{name}: {told:?}");
    }
}

#[test]
fn no_number_and_chosen_numbers_are_right() {
    let max = END - 1;
    let rules: &[Rule] = &[
        |x, y| (x.cast(F32) / y.cast(F32) * 0.0).cast(I64),
        |x, y| x.maximum(y),
        |x, y| x.lt(y).select(x, y),
        |x, y| x.bitwise_xor(y).bitwise_and(x),
        |x, y| x.bitwise_or(y),
        |x, y| x % y,
        |x, y| x.floor_rem(y),
        |x, y| x.eq(y).cast(I64),
        |x, _| x.sign(),
        |x, _| x.cast(I32).cast(I64),
        |x, _| x.cast(U8).cast(I64),
        |x, _| x.max([0]),
        |x, _| x.sort(0, Order::Descending).0,
        |x, y| x.take(0, &y.maximum(0).minimum(4)),
        |x, y| x.scatter(0, &y.maximum(0).minimum(4), x, Combine::Max),
        |x, _| x.pad(&[1], &[2], -7.0),
        |x, _| x.min([0]),
    ];
    for (number, rule) in rules.iter().enumerate() {
        let (a, b) = ([max, -END, 0, -1, 7], [-1, 1, 0, max, -END]);
        let told = compare(rule, &a, &b);
        assert!(told.iter().all(|(_, outcome)| outcome.is_ok()), "rule {number}: {told:?}");
    }
}

#[test]
fn sums_of_many_large_numbers_are_right_or_refused() {
    // The whole is within 32 bits, the magnitudes are far beyond.
    let balanced: Vec<i64> = (0..5001).map(|k| if k % 2 == 0 { END - 1 } else { 1 - END }).collect();
    let small: Vec<i64> = (0..5001).map(|k| k * 100).collect();
    for rule in [(|x, _| x.sum_all()) as Rule, |x, _| x.cumulative_sum(0), |x, _| x.matmul(&x.ones_like())] {
        // Either way it is no wrong number, which `compare` looks at.
        compare(&rule, &balanced, &[0]);
        assert!(compare(&rule, &small, &[0]).iter().all(|(_, outcome)| outcome.is_ok()));
        let large: Vec<i64> = small.iter().map(|value| value * 10_000).map(|value| value.min(END - 1)).collect();
        assert!(compare(&rule, &large, &[0]).iter().skip(1).all(|(_, outcome)| outcome.is_err()));
    }
}

#[test]
fn what_is_bounded_costs_nothing() {
    let g = Graph::new();
    let (table, words) = (g.input("table", [50, 4], F32), g.input("words", [3, 7], I64));
    let positions = g.coordinate([3, 7], 1).cast(I64) * 2 + 1;
    let seen = words.ne(0).cast(I64).sum([1]);
    g.output("rows", &table.take(0, &words));
    g.output("positions", &positions);
    g.output("lengths", &(seen - 1).maximum(0));
    g.output("best", &table.argmax(1).cast(I64));
    for device in devices() {
        let session = g.compile(&device).unwrap();
        assert!(session.program().checked.is_empty(), "{:?}", session.program().checked);
        assert!(session.program().outputs.iter().all(|port| !port.name.starts_with('@')));
    }
}

#[test]
fn steps_tell_when_something_is_read_or_soon_after() {
    let counter = || {
        let g = Graph::new();
        let variable = g.variable(Variable {
            name: "count".into(),
            ty: TensorType::new(I64, [1]),
            role: Role::Buffer,
            initial: Initial::Values(integers(&[1])),
        });
        let next = &variable * g.input("factor", [1], I64);
        g.assign(&variable, &next);
        g.output("next", &next);
        g
    };
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        let (small, large) = (integers(&[3]), integers(&[100_000]));
        let mut session = counter().compile(&device).unwrap();
        for _ in 0..2 {
            session.step(&[("factor", &small)]).unwrap();
        }
        assert_eq!(session.parameter("count").unwrap().to_vec::<i64>().unwrap(), [9]);
        session.step(&[("factor", &large)]).unwrap();
        session.step(&[("factor", &large)]).unwrap();
        let told = session.parameter("count").unwrap_err().to_string();
        assert!(told.starts_with("mul (at") && told.contains(file!()), "{told}");
        // Told once; a new value makes it well again.
        session.set_parameter("count", &integers(&[2])).unwrap();
        session.step(&[("factor", &small)]).unwrap();
        assert_eq!(session.read("next").unwrap().to_vec::<i64>().unwrap(), [6]);
        // A loop that reads nothing is told as well.
        let told = (0..12).find_map(|_| session.step(&[("factor", &large)]).err());
        assert!(told.is_some_and(|error| error.to_string().contains("does not fit i32")));
    }
}

#[test]
fn constants_and_variables_beyond_32_bits_are_refused() {
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        let g = Graph::new();
        g.output("y", &(g.input("x", [1], I64) + END));
        let told = g.compile(&device).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains("2147483648") && told.contains("does not fit i32"), "{told}");
        let g = Graph::new();
        let x = g.input("x", [1], F64);
        g.output("y", &(&x * 1e39));
        assert!(g.compile(&device).map(|_| ()).unwrap_err().to_string().contains("does not fit f32"));
    }
}

/// A step of a random graph: which rule, and which earlier values it takes.
type Choice = (u8, usize, usize);

fn grown(x: &Tensor, y: &Tensor, choices: &[Choice]) -> Tensor {
    let mut values = vec![x.clone(), y.clone()];
    for &(rule, first, second) in choices {
        let (a, b) = (values[first % values.len()].clone(), values[second % values.len()].clone());
        values.push(match rule % 20 {
            0 => &a + &b,
            1 => &a - &b,
            2 => &a * &b,
            3 => &a / &b,
            4 => &a % &b,
            5 => a.square(),
            6 => -a,
            7 => a.abs(),
            8 => a.cumulative_sum(0),
            9 => a.sum([0]).reshape([1]).broadcast_to([4]),
            10 => a.product([0]).reshape([1]).broadcast_to([4]),
            11 => a.shift_left(b.bitwise_and(7)),
            12 => a.shift_right(b.bitwise_and(15)),
            13 => a.maximum(&b),
            14 => a.lt(&b).select(&a, &b),
            15 => (a.cast(F32) * 3.0).cast(I64),
            16 => a.bitwise_xor(&b),
            17 => a.scatter_add(0, &b.bitwise_and(3), &b),
            18 => a.take(0, &b.bitwise_and(3)),
            _ => a.sort(0, Order::Ascending).0,
        });
    }
    values.swap_remove(values.len() - 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_are_right_or_refused(
        choices in proptest::collection::vec((any::<u8>(), 0_usize..16, 0_usize..16), 1..9),
        size in prop_oneof![Just(5_i64), Just(300), Just(70_000), Just(END)],
        seeds in proptest::collection::vec(any::<i32>(), 8),
    ) {
        let values: Vec<i64> = seeds.iter().map(|&seed| i64::from(seed) % size).collect();
        let told = compare(&|x, y| grown(x, y, &choices), &values[..4], &values[4..]);
        // Small numbers in few steps do not leave 32 bits, and are not refused.
        if size == 5 && choices.len() <= 2 && choices.iter().all(|choice| choice.0 % 20 != 11) {
            prop_assert!(told.iter().all(|(_, outcome)| outcome.is_ok()), "{:?}", told);
        }
    }
}
