//! What an import makes of good models.

use wgrad::onnx::proto::{AttributeProto, FunctionProto, NodeProto, OperatorSetIdProto, attribute_type, data_type};
use wgrad::onnx::{Import, Imported, Model};
use wgrad::prelude::*;

use super::{declared, floats, graph, int, ints, model, node, subgraph, with};

fn import(proto: wgrad::onnx::proto::ModelProto, import: &Import) -> Imported {
    Model::from_proto(proto, None).unwrap().import(import).unwrap()
}

fn run(imported: &Imported, inputs: &[(&str, &TensorData)]) -> Vec<TensorData> {
    let mut outputs = imported.graph.compile(&Device::cpu()).unwrap().run(inputs).unwrap();
    imported.outputs.iter().map(|(name, _)| outputs.take(name).unwrap()).collect()
}

fn tensor(values: &[f32], shape: &[usize]) -> TensorData {
    TensorData::from_slice(values, shape).unwrap()
}

#[test]
fn a_linear_layer_runs_and_keeps_its_names() {
    // Out of order on purpose.
    let nodes = [node("Relu", "h", "y"), with(node("Gemm", "x fc.weight fc.bias", "h"), int("transB", 1))];
    let weights =
        [floats("fc.weight", &[2, 3], &[1.0, 0.0, 0.0, 0.0, -1.0, 0.0]), floats("fc.bias", &[2], &[0.5, 0.25])];
    let x = declared("x", data_type::FLOAT, &[-1, 3]);
    let imported = import(model(graph(nodes, [x], &["y"], weights)), &Import::new().symbol("n", 1));
    let names: Vec<&str> = imported.parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["fc.weight", "fc.bias"]);
    let outputs = run(&imported, &[("x", &tensor(&[1.0, 2.0, 3.0], &[1, 3]))]);
    assert_eq!(outputs, [tensor(&[1.5, 0.0], &[1, 2])]);
}

#[test]
fn values_come_from_the_line_that_imports_and_from_their_nodes() {
    let nodes = [node("Exp", "x", "h"), node("Softmax", "h", "y")];
    let proto = model(graph(nodes, [declared("x", data_type::FLOAT, &[2, 3])], &["y"], []));
    let loaded = Model::from_proto(proto, None).unwrap();
    let (imported, line) = (loaded.import(&Import::new()).unwrap(), line!());
    let session = imported.graph.compile(&Device::cpu()).unwrap();
    let printed = &session.program().stages().graph;
    let at = |node: &str| format!("tests/onnx/import.rs:{line} in node {node}");
    for node in ["\"Exp_h\" (Exp)", "\"Softmax_y\" (Softmax)"] {
        assert!(printed.contains(&at(node)), "{printed}");
    }
    assert!(
        printed.lines().filter(|line| line.starts_with('%')).all(|line| line.contains("// tests/onnx/import.rs:")),
        "{printed}"
    );
}

#[test]
fn arithmetic_of_shapes_is_folded() {
    // Flattens all but the first axis, as PyTorch writes it.
    let nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "batch"),
        node("Concat", "batch rest", "wanted"),
        node("Reshape", "x wanted", "y"),
    ];
    let nodes = nodes.map(|node| if node.op_type == "Concat" { with(node, int("axis", 0)) } else { node });
    let x = declared("x", data_type::FLOAT, &[-1, 2, 2]);
    let proto = model(graph(nodes, [x], &["y"], [ints("zero", &[0]), ints("rest", &[-1])]));
    let imported = import(proto, &Import::new().shape("x", [3, 2, 2]));
    assert_eq!(imported.outputs[0].1.shape().dims(), [3, 4]);
    assert!(imported.fixed.is_empty());
}

#[test]
fn inputs_that_steer_shapes_are_read_on_the_host() {
    let inputs = [declared("x", data_type::FLOAT, &[6]), declared("shape", data_type::INT64, &[2])];
    let proto = model(graph([node("Reshape", "x shape", "y")], inputs, &["y"], []));
    let model = Model::from_proto(proto, None).unwrap();
    let error = model.import(&Import::new()).unwrap_err().to_string();
    assert!(error.contains("Reshape_y") && error.contains("\"shape\"") && error.contains("Import::value"), "{error}");
    let shape = TensorData::from_vec(vec![2.0_f32, -1.0], [2]).unwrap().cast(model.inputs()[1].dtype.unwrap()).unwrap();
    let imported = model.import(&Import::new().value("shape", shape.clone())).unwrap();
    assert_eq!(imported.fixed, ["shape"]);
    let x = tensor(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[6]);
    let outputs = run(&imported, &[("x", &x), ("shape", &shape)]);
    assert_eq!(outputs, [x.reshape([2, 3]).unwrap()]);
}

#[test]
fn outputs_may_be_inputs_initializers_and_the_same_value_twice() {
    let nodes = [node("Identity", "x", "a"), node("Identity", "a", "b")];
    let x = declared("x", data_type::FLOAT, &[2]);
    let imported = import(model(graph(nodes, [x], &["x", "a", "b", "w"], [floats("w", &[], &[7.0])])), &Import::new());
    let x = tensor(&[1.0, 2.0], &[2]);
    assert_eq!(run(&imported, &[("x", &x)]), [x.clone(), x.clone(), x.clone(), tensor(&[7.0], &[])]);
}

#[test]
fn conditions_choose_a_graph() {
    let branch = |op: &str| graph([node(op, "x", "z")], [], &["z"], []);
    let choice = with(node("If", "c", "y"), subgraph("then_branch", branch("Neg")));
    let choice = with(choice, subgraph("else_branch", branch("Relu")));
    let inputs = [declared("x", data_type::FLOAT, &[2]), declared("c", data_type::BOOL, &[])];
    let proto = model(graph([choice], inputs, &["y"], []));
    for (condition, expected) in [(true, [-1.0, 2.0]), (false, [1.0, 0.0])] {
        let condition = TensorData::from_bools(&[condition], []).unwrap();
        let imported = import(proto.clone(), &Import::new().value("c", condition.clone()));
        let outputs = run(&imported, &[("x", &tensor(&[1.0, -2.0], &[2])), ("c", &condition)]);
        assert_eq!(outputs, [tensor(&expected, &[2])]);
    }
}

#[test]
fn functions_are_put_in_place_with_their_attributes() {
    let reference = AttributeProto {
        name: "axis".into(),
        ref_attr_name: "along".into(),
        r#type: attribute_type::INT,
        ..AttributeProto::default()
    };
    let twice = FunctionProto {
        name: "Twice".into(),
        domain: "mine".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        attribute: vec!["along".into()],
        node: vec![with(node("Concat", "a a", "b"), reference)],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..FunctionProto::default()
    };
    let call = |output: &str, axis| {
        let call = NodeProto { domain: "mine".into(), ..node("Twice", "x", output) };
        with(call, int("along", axis))
    };
    let x = declared("x", data_type::FLOAT, &[1, 2]);
    let mut proto = model(graph([call("y", 0), call("z", 1)], [x], &["y", "z"], []));
    proto.functions.push(twice);
    let imported = import(proto, &Import::new());
    let outputs = run(&imported, &[("x", &tensor(&[1.0, 2.0], &[1, 2]))]);
    assert_eq!(outputs, [tensor(&[1.0, 2.0, 1.0, 2.0], &[2, 2]), tensor(&[1.0, 2.0, 1.0, 2.0], &[1, 4])]);
}

#[test]
fn a_model_trains() {
    let nodes = [node("MatMul", "x w", "y")];
    let x = declared("x", data_type::FLOAT, &[4, 1]);
    let imported = import(model(graph(nodes, [x], &["y"], [floats("w", &[1, 1], &[0.0])])), &Import::new());
    let loss = (&imported.outputs[0].1 - &(&imported.inputs[0].1 * 3.0)).square().mean_all();
    let mut session = imported.graph.minimize(&loss, SGD::new(0.1)).compile(&Device::cpu()).unwrap();
    for _ in 0..100 {
        session.step(&[("x", &tensor(&[1.0, -1.0, 2.0, 0.5], &[4, 1]))]).unwrap();
    }
    assert!((session.parameter("w").unwrap().item().unwrap() - 3.0).abs() < 1e-3);
}
