//! Bad models: one clear error each.

use prost::Message;
use wgrad::onnx::proto::{
    EXTERNAL, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, data_type,
};
use wgrad::onnx::{Import, Model};

use super::{declared, floats, graph, ints, model, node};

fn refused(proto: ModelProto) -> String {
    match Model::from_proto(proto, None).and_then(|model| model.import(&Import::new())) {
        Ok(_) => panic!("the model was imported"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn says(error: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| error.contains(part)), "{error:?} should say {parts:?}");
}

fn of_nodes<const N: usize>(nodes: [NodeProto; N]) -> ModelProto {
    model(graph(nodes, [declared("x", data_type::FLOAT, &[2])], &["y"], []))
}

#[test]
fn what_is_no_model() {
    says(&Model::parse(b"", None).unwrap_err().to_string(), &["no graph"]);
    says(&Model::parse(b"this is a text, no model", None).unwrap_err().to_string(), &["not an ONNX model"]);
    let whole = of_nodes([node("Relu", "x", "y")]).encode_to_vec();
    for length in 0..whole.len() {
        if let Ok(model) = Model::parse(&whole[..length], None) {
            let _ = model.import(&Import::new());
        }
    }
    says(&Model::load("no/such.onnx").unwrap_err().to_string(), &["cannot read", "no/such.onnx"]);
}

#[test]
fn names_that_do_not_fit() {
    says(&refused(of_nodes([node("Relu", "z", "y")])), &["Relu_y", "\"z\"", "nothing gives"]);
    says(&refused(of_nodes([node("Relu", "x", "y"), node("Neg", "x", "y")])), &["Neg_y", "\"y\"", "twice"]);
    says(&refused(of_nodes([node("Relu", "x", "x")])), &["\"x\"", "twice"]);
    says(&refused(of_nodes([node("Relu", "x", "z")])), &["output \"y\"", "no node"]);
    let cycle = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")];
    says(&refused(of_nodes(cycle)), &["Add_a", "cycle"]);
    says(&refused(of_nodes([node("Relu", "y", "y")])), &["cycle"]);
}

#[test]
fn operators_that_are_missing_are_named_together() {
    let custom = NodeProto { domain: "mine".into(), ..node("Thing", "x", "b") };
    let proto = of_nodes([node("NoSuch", "x", "a"), custom, node("NoSuch", "a", "y")]);
    says(&refused(proto), &["NoSuch (2)", "mine::Thing (1)"]);
}

#[test]
fn opsets_that_are_not_known() {
    let mut proto = of_nodes([node("Relu", "x", "y")]);
    proto.opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 0 }];
    says(&refused(proto.clone()), &["opset 0", "1 to"]);
    proto.opset_import = vec![OperatorSetIdProto { domain: "ai.onnx".into(), version: 999 }];
    says(&refused(proto), &["opset 999"]);
}

#[test]
fn initializers_that_are_not_what_they_say() {
    let of = |initializer: TensorProto| {
        model(graph([node("Add", "x w", "y")], [declared("x", data_type::FLOAT, &[2])], &["y"], [initializer]))
    };
    says(&refused(of(floats("w", &[3], &[1.0]))), &["\"w\"", "3 values", "there are 1"]);
    says(&refused(of(floats("w", &[-2], &[1.0]))), &["\"w\"", "negative"]);
    says(&refused(of(floats("w", &[1 << 40, 1 << 40], &[]))), &["\"w\"", "addressed"]);
    says(&refused(of(floats("w", &[1 << 30], &[]))), &["\"w\"", "1073741824 values"]);
    says(
        &refused(of(TensorProto { data_type: data_type::COMPLEX64, ..floats("w", &[1], &[]) })),
        &["\"w\"", "complex64"],
    );
    says(
        &refused(of(TensorProto { raw_data: Some(vec![0; 7]), ..floats("w", &[2], &[]) })),
        &["8 bytes", "there are 7"],
    );
}

#[test]
fn shapes_that_do_not_fit() {
    let inputs = [declared("x", data_type::FLOAT, &[2, 3]), declared("z", data_type::FLOAT, &[4])];
    let error = refused(model(graph([node("Add", "x z", "y")], inputs, &["y"], [])));
    says(&error, &["Add_y", "[2, 3]", "[4]", "broadcast"]);
    let reshape =
        graph([node("Reshape", "x s", "y")], [declared("x", data_type::FLOAT, &[6])], &["y"], [ints("s", &[4, -1])]);
    says(&refused(model(reshape)), &["Reshape_y", "[6]", "[4, -1]"]);
    let expand = graph(
        [node("Expand", "x s", "y")],
        [declared("x", data_type::FLOAT, &[1])],
        &["y"],
        [ints("s", &[1 << 20, 1 << 20])],
    );
    says(&refused(model(expand)), &["Expand_y", "can address"]);
}

#[test]
fn external_data_stays_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("model");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(inside.join("data"), [0; 16]).unwrap();
    std::fs::write(folder.path().join("outside"), [0; 16]).unwrap();
    let load = |location: &str, offset: &str| {
        let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
        let external_data = vec![entry("location", location), entry("offset", offset)];
        let w = TensorProto { external_data, data_location: EXTERNAL, ..floats("w", &[2], &[]) };
        let nodes = [node("Add", "x w", "y")];
        let proto = model(graph(nodes, [declared("x", data_type::FLOAT, &[2])], &["y"], [w]));
        let file = inside.join("model.onnx");
        std::fs::write(&file, proto.encode_to_vec()).unwrap();
        Model::load(file).and_then(|model| model.import(&Import::new())).map_err(|error| error.to_string())
    };
    assert!(load("data", "8").is_ok());
    assert_eq!(Model::load(inside.join("model.onnx")).unwrap().data_files(), [inside.join("data")]);
    says(&load("data", "9").unwrap_err(), &["model.onnx", "\"w\"", "16 bytes"]);
    says(&load("data", "18446744073709551615").unwrap_err(), &["\"w\""]);
    says(&load("missing", "0").unwrap_err(), &["\"missing\"", "cannot be read"]);
    says(&load("../outside", "0").unwrap_err(), &["not inside"]);
    says(&load(&folder.path().join("outside").to_string_lossy(), "0").unwrap_err(), &["not inside"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("outside"), inside.join("link")).unwrap();
        says(&load("link", "0").unwrap_err(), &["leads out"]);
    }
}

#[test]
fn functions_that_call_themselves_end() {
    let call = |input: &str, output: &str| NodeProto { domain: "mine".into(), ..node("Self", input, output) };
    let mut proto = of_nodes([call("x", "y")]);
    proto.functions.push(FunctionProto {
        name: "Self".into(),
        domain: "mine".into(),
        input: vec!["a".into()],
        output: vec!["c".into()],
        node: vec![call("a", "b"), call("b", "c")],
        ..FunctionProto::default()
    });
    says(&refused(proto), &["nested"]);
}
