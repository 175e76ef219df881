//! The graph as `inspect` prints it: a line a node with its inputs, its arguments, its type and the user's line.

use std::fmt::{Debug, Write};

use crate::graph::GraphData;
use crate::ops::{Initial, Op, Role};
use crate::tensor::TensorData;

/// Elements of a constant that are shown.
const SHOWN: usize = 8;

/// A constant's value, or, where it is long, its least and its largest.
fn value(data: &TensorData) -> String {
    if data.len() <= SHOWN {
        let text = data.to_string();
        return text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let values = data.to_f64_vec();
    let first = values.first().copied().unwrap_or(0.0);
    if values.iter().all(|&value| value == first) {
        return format!("all {}", TensorData::scalar(first));
    }
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let nan = if values.iter().any(|value| value.is_nan()) { ", nan" } else { "" };
    format!("{} to {}{nan}", TensorData::scalar(low), TensorData::scalar(high))
}

/// The fields of a structure, as `{:?}` writes them: `axis: 0, reverse: true`.
fn fields(operator: &impl Debug) -> String {
    let text = format!("{operator:?}").replace("Shape(", "(");
    let inner = text.split_once([' ', '(']).map_or("", |(_, inner)| inner);
    inner.trim_start_matches('{').trim_end_matches(['}', ')']).trim().replace("([", "[").replace("])", "]")
}

/// What an operator does beyond its name: values of constants, axes, strides, windows.
fn arguments(op: &Op) -> String {
    match op {
        Op::Constant(data) => value(data),
        Op::Variable(variable) => {
            let role = match &variable.role {
                Role::Parameter => "parameter".to_owned(),
                Role::Buffer => "buffer".to_owned(),
                Role::State(kind) => format!("state {kind}"),
                Role::Data => "data".to_owned(),
            };
            match &variable.initial {
                Initial::Constant(initial) => format!("{role}, first {}", TensorData::scalar(*initial)),
                Initial::Values(_)
                | Initial::Uniform { .. }
                | Initial::Normal { .. }
                | Initial::ZeroRow { .. }
                | Initial::Orthogonal { .. } => role,
            }
        }
        Op::Coordinate(operator) => format!("axis: {}", operator.axis),
        Op::Permute(operator) => format!("axes: {:?}", operator.0),
        Op::Reduce(operator) => format!("axes: {:?}, keep: {}", operator.axes, operator.keep),
        Op::Matmul(operator) => {
            if operator.row_sums {
                "with row sums".into()
            } else {
                String::new()
            }
        }
        Op::Resample(operator) => format!("axis: {}", operator.axis),
        // Names and types say it all.
        Op::Placeholder | Op::Input(..) | Op::StopGradient | Op::Elementwise(_) | Op::Reshape(_) | Op::Broadcast(_) => {
            String::new()
        }
        other => fields(&other.operator()),
    }
}

/// A line a node: number, operator, inputs, arguments, types, the user's line.
pub(super) fn print(data: &GraphData) -> String {
    let mut text = String::new();
    for (index, node) in data.nodes.iter().enumerate() {
        let inputs: Vec<String> = node.inputs.iter().map(ToString::to_string).collect();
        let arguments = arguments(&node.op);
        let between = if inputs.is_empty() || arguments.is_empty() { "" } else { "; " };
        let types: Vec<String> = node.outputs.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            text,
            "%{index} = {}({}{between}{arguments}): {}  // {}",
            node.op.operator().name(),
            inputs.join(", "),
            types.join(", "),
            node.origin
        );
    }
    for (name, id) in &data.outputs {
        let _ = writeln!(text, "output {name:?} = {id}");
    }
    for (variable, value) in &data.assignments {
        let _ = writeln!(text, "assign {variable} = {value}");
    }
    text
}
