//! i64 of ONNX models: exact on the CPU, and on a GPU, which computes in i32, the same or an error.

use wgrad::onnx::proto::data_type;
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{declared, graph, int, ints, node, of_opset};

/// An operator, its attributes, its inputs, and what it gives.
type Case<'a> = (&'a str, Option<(&'a str, i64)>, &'a [&'a [i64]], &'a [i64]);

const MAX: i64 = i32::MAX as i64;

const LARGE: &[Case<'_>] = &[
    ("Add", None, &[&[MAX], &[1]], &[1 << 31]),
    ("Mul", None, &[&[65_536, 100_000], &[65_536, 100_000]], &[1 << 32, 10_000_000_000]),
    ("Sub", None, &[&[-MAX], &[2]], &[-(1 << 31) - 1]),
    ("Pow", None, &[&[-3, 2, 10], &[3, 40, 12]], &[-27, 1 << 40, 1_000_000_000_000]),
    ("ReduceSum", Some(("keepdims", 0)), &[&[MAX, MAX]], &[4_294_967_294]),
    ("ReduceProd", Some(("keepdims", 0)), &[&[100_000, 100_000]], &[10_000_000_000]),
    ("CumSum", None, &[&[MAX, 1, 1]], &[MAX, MAX + 1, MAX + 2]),
    ("MatMul", None, &[&[65_536, 1], &[65_536, 5]], &[(1 << 32) + 5]),
    ("Abs", None, &[&[-(1 << 31)]], &[1 << 31]),
    ("Neg", None, &[&[-(1 << 31)]], &[1 << 31]),
];

const SMALL: &[Case<'_>] = &[
    (
        "Pow",
        None,
        &[&[-3, 2, 10, 0, -1, 7, 46_340], &[3, 30, 9, 0, -5, -1, 2]],
        &[-27, 1 << 30, 1_000_000_000, 1, -1, 0, 2_147_395_600],
    ),
    ("Mul", None, &[&[65_536, -46_340], &[-32_768, 46_340]], &[-(1 << 31), -2_147_395_600]),
    ("ReduceSum", Some(("keepdims", 0)), &[&[MAX, MAX, -MAX]], &[MAX]),
    ("ReduceL2", Some(("keepdims", 0)), &[&[30_000, 34_640]], &[45_824]),
    ("ReduceL2", Some(("keepdims", 0)), &[&[3, -4]], &[5]),
    ("ReduceL2", Some(("keepdims", 0)), &[&[0, 0]], &[0]),
    ("CumSum", None, &[&[MAX, -1, 1]], &[MAX, MAX - 1, MAX]),
    ("Mod", None, &[&[-7, 7, MAX], &[3, -3, 10]], &[2, -2, 7]),
];

fn run(case: &Case<'_>, device: &Device) -> Result<Vec<i64>> {
    let (operator, attribute, inputs, _) = *case;
    let names = ["a", "b"];
    let given = if operator == "CumSum" { "a axis" } else { ["a", "a b"][inputs.len() - 1] };
    let mut one = node(operator, given, "y");
    one.attribute = attribute.iter().map(|&(name, value)| int(name, value)).collect();
    let infos: Vec<_> = inputs
        .iter()
        .zip(names)
        .map(|(values, name)| declared(name, data_type::INT64, &[values.len() as i64]))
        .collect();
    let imported = Model::from_proto(of_opset(18, graph([one], infos, &["y"], [ints("axis", &[0])])), None)?
        .import(&Import::new())?;
    let data: Vec<TensorData> =
        inputs.iter().map(|values| TensorData::from_slice(values, [values.len()])).collect::<Result<_>>()?;
    let given: Vec<(&str, &TensorData)> = names.into_iter().zip(&data).collect();
    let found = imported.graph.compile(device)?.run(&given)?;
    found["y"].to_vec::<i64>()
}

#[test]
fn results_are_exact_or_refused() {
    for device in devices() {
        for case in SMALL {
            assert_eq!(run(case, &device).unwrap(), case.3, "{} on {device:?}", case.0);
        }
        for case in LARGE {
            match run(case, &device) {
                Ok(found) => assert_eq!(found, case.3, "{} on {device:?}", case.0),
                Err(error) => {
                    assert!(!device.is_cpu(), "{}: {error}", case.0);
                    assert!(error.to_string().contains("does not fit i32"), "{}: {error}", case.0);
                }
            }
        }
    }
}
