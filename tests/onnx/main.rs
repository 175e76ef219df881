//! ONNX models: what an import makes of good ones, and what it says of bad ones. Beside this file, `backend.py` runs ONNX's own
//! tests of operators, `gradients.py` compares gradients and training with PyTorch, and `export.py` runs exports in onnxruntime.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod control;
mod detection_and_text;
mod export;
mod gradients;
mod import;
mod integers;
mod layer_gradients;
mod lists;
mod mistakes;
mod mutations;
mod operators;
#[path = "../../examples/custom_operator/snake.rs"]
mod snake;
#[path = "../../examples/custom_operator/sparsemax.rs"]
mod sparsemax;
#[path = "../support/mod.rs"]
mod support;
mod trees;
mod weights;

use wgrad::onnx::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};

/// A declared tensor; a negative extent is the symbol `n`.
pub fn declared(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|&extent| match extent {
        extent if extent < 0 => DimensionProto { dim_value: None, dim_param: Some("n".into()) },
        extent => DimensionProto { dim_value: Some(extent), dim_param: None },
    });
    let tensor = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim: dim.collect() }) };
    let ty = TypeProto { tensor_type: Some(tensor), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty), ..ValueInfoProto::default() }
}

/// A node; names are separated by spaces, and `_` leaves an input out.
pub fn node(op_type: &str, inputs: &str, outputs: &str) -> NodeProto {
    let names = |text: &str| {
        let names = text.split_whitespace().map(|name| if name == "_" { String::new() } else { name.to_owned() });
        names.collect::<Vec<String>>()
    };
    NodeProto {
        op_type: op_type.into(),
        input: names(inputs),
        output: names(outputs),
        name: format!("{op_type}_{}", outputs.replace(' ', "_")),
        ..NodeProto::default()
    }
}

/// The node with an attribute more.
pub fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

/// An integer as an attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: attribute_type::INT, i: Some(value), ..AttributeProto::default() }
}

/// A text as an attribute.
pub fn text(name: &str, value: &str) -> AttributeProto {
    let s = Some(value.as_bytes().to_vec());
    AttributeProto { name: name.into(), r#type: attribute_type::STRING, s, ..AttributeProto::default() }
}

/// Integers as an attribute.
pub fn list(name: &str, values: &[i64]) -> AttributeProto {
    let ints = values.to_vec();
    AttributeProto { name: name.into(), r#type: attribute_type::INTS, ints, ..AttributeProto::default() }
}

/// A graph as an attribute.
pub fn subgraph(name: &str, graph: GraphProto) -> AttributeProto {
    let g = Some(Box::new(graph));
    AttributeProto { name: name.into(), r#type: attribute_type::GRAPH, g, ..AttributeProto::default() }
}

/// An initializer of floats.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// An initializer of int64.
pub fn ints(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: data_type::INT64,
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        ..TensorProto::default()
    }
}

/// A model of one graph, for opset 17.
pub fn model(graph: GraphProto) -> ModelProto {
    of_opset(17, graph)
}

/// A model of one graph for an opset.
pub fn of_opset(version: i64, graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version }],
        ..ModelProto::default()
    }
}

/// A graph from its parts.
pub fn graph(
    nodes: impl Into<Vec<NodeProto>>,
    inputs: impl Into<Vec<ValueInfoProto>>,
    outputs: &[&str],
    initializers: impl Into<Vec<TensorProto>>,
) -> GraphProto {
    GraphProto {
        node: nodes.into(),
        input: inputs.into(),
        output: outputs.iter().map(|&name| ValueInfoProto { name: name.into(), ..ValueInfoProto::default() }).collect(),
        initializer: initializers.into(),
        ..GraphProto::default()
    }
}
