//! Operators by the rules of older versions, and what they say of inputs that do not fit.

use wgrad::onnx::proto::{AttributeProto, NodeProto, TensorProto, attribute_type, data_type};
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::{declared, graph, int, ints, list, node, of_opset, text, with};

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: attribute_type::FLOAT, f: Some(value), ..AttributeProto::default() }
}

/// The output `y` of a node for x = 0, 1, 2, … of a shape.
fn evaluate(opset: i64, node: NodeProto, shape: &[i64], initializers: &[TensorProto]) -> Result<TensorData> {
    let x = declared("x", data_type::FLOAT, shape);
    let proto = of_opset(opset, graph([node], [x], &["y"], initializers));
    let imported = Model::from_proto(proto, None)?.import(&Import::new())?;
    let dims: Vec<usize> = shape.iter().map(|&extent| extent as usize).collect();
    let count: usize = dims.iter().product();
    let x = TensorData::from_vec((0..count).map(|k| k as f32).collect(), dims)?;
    let mut run = imported.graph.compile(&Device::cpu())?.run(&[("x", &x)])?;
    run.take("y").ok_or_else(|| Error::Data("no output".into()))
}

#[track_caller]
fn gives(opset: i64, node: NodeProto, shape: &[i64], initializers: &[TensorProto], dims: &[usize], values: &[f64]) {
    let y = evaluate(opset, node, shape, initializers).unwrap();
    assert_eq!((y.shape().dims(), &*y.to_f64_vec()), (dims, values));
}

#[track_caller]
fn says(opset: i64, node: NodeProto, shape: &[i64], initializers: &[TensorProto], part: &str) {
    let message = evaluate(opset, node, shape, initializers).unwrap_err().to_string();
    assert!(message.contains(part), "{message:?} should say {part:?}");
}

#[test]
fn attributes_that_became_inputs() {
    let clip = with(with(node("Clip", "x", "y"), float("min", 1.0)), float("max", 2.0));
    gives(6, clip, &[4], &[], &[4], &[1.0, 1.0, 2.0, 2.0]);
    let pad = with(with(node("Pad", "x", "y"), list("pads", &[1, -1])), float("value", 7.0));
    gives(2, pad, &[3], &[], &[3], &[7.0, 0.0, 1.0]);
    let slice = with(with(node("Slice", "x", "y"), list("starts", &[-2])), list("ends", &[-1]));
    gives(6, slice, &[3], &[], &[1], &[1.0]);
    let sum = with(with(node("ReduceSum", "x", "y"), list("axes", &[0])), int("keepdims", 0));
    gives(11, sum, &[2, 2], &[], &[2], &[2.0, 4.0]);
    gives(9, with(node("TopK", "x", "y z"), int("k", 2)), &[3], &[], &[2], &[2.0, 1.0]);
    gives(9, with(node("Split", "x", "y z"), int("axis", 0)), &[4], &[], &[2], &[0.0, 1.0]);
}

#[test]
fn axes_as_they_were() {
    let add = with(with(node("Add", "x b", "y"), int("broadcast", 1)), int("axis", 0));
    gives(6, add, &[2, 2], &[super::floats("b", &[2], &[10.0, 20.0])], &[2, 2], &[10.0, 11.0, 22.0, 23.0]);
    // Before opset 13 all axes from the given one on were one.
    gives(11, node("Hardmax", "x", "y"), &[1, 2, 2], &[], &[1, 2, 2], &[0.0, 0.0, 0.0, 1.0]);
    gives(13, node("Hardmax", "x", "y"), &[1, 2, 2], &[], &[1, 2, 2], &[0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn borders_that_go_round_several_times() {
    let far = |mode: &str| with(node("Pad", "x k", "y"), text("mode", mode));
    let wide = [ints("k", &[5, 4])];
    let reflected = [1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0];
    gives(19, far("reflect"), &[3], &wide, &[12], &reflected);
    let wrapped = [1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0];
    gives(19, far("wrap"), &[3], &wide, &[12], &wrapped);
    gives(19, far("reflect"), &[1], &[ints("k", &[2, 1])], &[4], &[0.0; 4]);
}

#[test]
fn nothing_is_reduced_to_its_identity() {
    let reduce = |op: &str| with(node(op, "x k", "y"), int("keepdims", 0));
    let axis = [ints("k", &[1])];
    for (op, value) in [("ReduceMax", f64::NEG_INFINITY), ("ReduceMin", f64::INFINITY), ("ReduceProd", 1.0)] {
        gives(20, reduce(op), &[2, 0], &axis, &[2], &[value; 2]);
    }
    gives(20, reduce("ReduceLogSumExp"), &[2, 0], &axis, &[2], &[f64::NEG_INFINITY; 2]);
}

#[test]
fn inputs_that_do_not_fit() {
    let k = |values: &[i64]| [ints("k", values)];
    says(13, node("Tile", "x k", "y"), &[2], &k(&[1 << 40]), "Tile_y");
    says(13, node("Tile", "x k", "y"), &[2], &k(&[2, 2]), "a number for each axis");
    says(13, node("Expand", "x k", "y"), &[2], &k(&[i64::MAX]), "Expand_y");
    says(13, node("Pad", "x k", "y"), &[2], &k(&[-2, -1]), "more than 2 elements away");
    says(13, node("Pad", "x k", "y"), &[2], &k(&[i64::MAX, 1]), "Pad_y");
    says(13, with(node("Pad", "x k", "y"), text("mode", "other")), &[2], &k(&[1, 1]), "its mode");
    says(13, with(node("Gather", "x k", "y"), int("axis", 1)), &[2], &k(&[0]), "axis 1 does not exist");
    says(13, node("Gather", "x k", "y"), &[2], &k(&[2]), "index 2 is out of range for 2 elements");
    says(13, node("TopK", "x k", "y z"), &[2], &k(&[3]), "3 of 2 elements");
    says(18, with(node("Split", "x", "y z"), int("num_outputs", -1)), &[2], &[], "cannot be split");
    says(13, node("Split", "x k", "y z"), &[2], &k(&[1, 2]), "do not add up");
    says(11, with(node("DepthToSpace", "x", "y"), int("blocksize", 2)), &[1, 3, 1, 1], &[], "no blocks of 2");
    says(11, with(node("SpaceToDepth", "x", "y"), int("blocksize", 0)), &[1, 1, 2, 2], &[], "at least 1");
    says(12, with(node("Einsum", "x", "y"), text("equation", "ij->k")), &[2, 2], &[], "no operand has");
    says(11, node("Det", "x", "y"), &[2, 3], &[], "as many rows as columns");
    says(16, node("ScatterND", "x k x", "y"), &[2], &k(&[0]), "do not fit");
    says(14, node("Trilu", "x", "y"), &[2], &[], "wants matrices");
    says(11, node("Range", "k x x", "y"), &[], &k(&[0]), "one type");
    says(11, node("Unique", "x", "y"), &[2], &[], "must be known on the host");
    says(14, node("CumSum", "x k", "y"), &[2], &k(&[5]), "axis 5 does not exist");
}
