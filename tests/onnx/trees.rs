//! Ensembles of trees: ONNX's own cases, several trees, and trees that are none.

use wgrad::onnx::proto::{AttributeProto, NodeProto, OperatorSetIdProto, TensorProto, attribute_type, data_type};
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{declared, floats, graph, int, list, node, of_opset, with};

fn tensor(name: &str, values: &[f32]) -> AttributeProto {
    let t = Some(Box::new(floats("", &[values.len() as i64], values)));
    AttributeProto { name: name.into(), r#type: attribute_type::TENSOR, t, ..AttributeProto::default() }
}

fn modes(values: &[u8]) -> AttributeProto {
    let data = TensorProto {
        dims: vec![values.len() as i64],
        data_type: data_type::UINT8,
        raw_data: Some(values.to_vec()),
        ..TensorProto::default()
    };
    AttributeProto {
        name: "nodes_modes".into(),
        r#type: attribute_type::TENSOR,
        t: Some(Box::new(data)),
        ..AttributeProto::default()
    }
}

fn run(tree: NodeProto, x: &TensorData, device: &Device) -> Result<TensorData> {
    let tree = NodeProto { domain: "ai.onnx.ml".into(), ..tree };
    let dims: Vec<i64> = x.shape().iter().map(|&extent| extent as i64).collect();
    let mut proto = of_opset(21, graph([tree], [declared("x", data_type::FLOAT, &dims)], &["y"], []));
    proto.opset_import.push(OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 5 });
    let imported = Model::from_proto(proto, None)?.import(&Import::new())?;
    let mut outputs = imported.graph.compile(device)?.run(&[("x", x)])?;
    outputs.take("y").ok_or_else(|| Error::Data("no output".into()))
}

/// Feature 0 at 3.1, then at 1.2 or 4.2.
fn single(roots: &[i64], aggregate: i64) -> NodeProto {
    let attributes = [
        int("n_targets", 2),
        int("aggregate_function", aggregate),
        list("tree_roots", roots),
        modes(&[0, 0, 0]),
        list("nodes_featureids", &[0, 0, 0]),
        tensor("nodes_splits", &[3.1, 1.2, 4.2]),
        list("nodes_truenodeids", &[1, 0, 1]),
        list("nodes_trueleafs", &[0, 1, 1]),
        list("nodes_falsenodeids", &[2, 2, 3]),
        list("nodes_falseleafs", &[0, 1, 1]),
        list("leaf_targetids", &[0, 1, 0, 1]),
        tensor("leaf_weights", &[5.23, 12.12, -12.23, 7.21]),
    ];
    attributes.into_iter().fold(node("TreeEnsemble", "x", "y"), with)
}

#[test]
fn trees_are_gone_down_to_their_leaves() {
    let rows = |values: &[f32], width: usize| TensorData::from_slice(values, [values.len() / width, width]).unwrap();
    let x = rows(&[1.2, 3.4, -0.12, 1.66, 4.14, 1.77], 2);
    for device in devices() {
        let close = |found: TensorData, expected: &[f64]| {
            let found = found.to_f64_vec();
            let near =
                found.iter().zip(expected).all(|(found, right)| (found - right).abs() <= 1e-5 * (1.0 + right.abs()));
            assert!(found.len() == expected.len() && near, "{found:?}, not {expected:?}");
        };
        close(run(single(&[0], 1), &x, &device).unwrap(), &[5.23, 0.0, 5.23, 0.0, 0.0, 12.12]);
        // Node 1 alone is a tree, too: it gives its first leaf up to 1.2, else its third.
        close(run(single(&[0, 1], 1), &x, &device).unwrap(), &[10.46, 0.0, 10.46, 0.0, -12.23, 12.12]);
        close(run(single(&[0, 1], 0), &x, &device).unwrap(), &[5.23, 0.0, 5.23, 0.0, -6.115, 6.06]);
        // Membership: node 1 takes 1.2, 3.7, 8 and 9, node 2 takes 12 and 7.
        let attributes = [
            int("n_targets", 4),
            tensor("membership_values", &[1.2, 3.7, 8.0, 9.0, f32::NAN, 12.0, 7.0, f32::NAN]),
            list("tree_roots", &[0]),
            modes(&[0, 6, 6]),
            list("nodes_featureids", &[0, 0, 0]),
            tensor("nodes_splits", &[11.0, 232_344.0, f32::NAN]),
            list("nodes_trueleafs", &[0, 1, 1]),
            list("nodes_truenodeids", &[1, 0, 1]),
            list("nodes_falseleafs", &[1, 0, 1]),
            list("nodes_falsenodeids", &[2, 2, 3]),
            list("leaf_targetids", &[0, 1, 2, 3]),
            tensor("leaf_weights", &[1.0, 10.0, 1000.0, 100.0]),
        ];
        let sets = attributes.into_iter().fold(node("TreeEnsemble", "x", "y"), with);
        let x = rows(&[1.2, 3.4, -0.12, f32::NAN, 12.0, 7.0], 1);
        let expected = [
            [1.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 100.0],
            [0.0, 0.0, 0.0, 100.0],
            [0.0, 0.0, 1000.0, 0.0],
            [0.0, 0.0, 1000.0, 0.0],
            [0.0, 10.0, 0.0, 0.0],
        ];
        close(run(sets.clone(), &x, &device).unwrap(), expected.as_flattened());
        // What is missing takes the true branch where a node says so.
        let tracking = with(sets, list("nodes_missing_value_tracks_true", &[1, 0, 1]));
        close(run(tracking, &rows(&[f32::NAN], 1), &device).unwrap(), &[0.0, 10.0, 0.0, 0.0]);
    }
}

#[test]
fn trees_that_are_none_are_refused() {
    let x = TensorData::zeros(F32, [2, 2]);
    let message = |tree: NodeProto| run(tree, &x, &Device::cpu()).unwrap_err().to_string();
    assert!(message(single(&[3], 1)).contains("begins at node 3 of 3"));
    let change = |name: &str, ints: &[i64]| {
        let mut tree = single(&[0], 1);
        tree.attribute.retain(|attribute| attribute.name != name);
        with(tree, list(name, ints))
    };
    assert!(message(change("nodes_truenodeids", &[0, 0, 1])).contains("has a cycle"));
    assert!(message(change("nodes_truenodeids", &[7, 0, 1])).contains("no node and no leaf"));
    assert!(message(change("nodes_featureids", &[0, 0, 2])).contains("features below 2"));
    assert!(message(change("leaf_targetids", &[0, 1, 2, 0])).contains("targets below 2"));
}
