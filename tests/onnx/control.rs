//! Loops, choices and lists, which exist while importing alone.

use wgrad::onnx::proto::{GraphProto, ModelProto, data_type};
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::{declared, graph, int, ints, list, model, node, of_opset, subgraph, with};

fn run(proto: ModelProto, inputs: &[(&str, &TensorData)]) -> Vec<TensorData> {
    let import = inputs.iter().fold(Import::new(), |import, (name, data)| import.value(*name, TensorData::clone(data)));
    let imported = Model::from_proto(proto, None).unwrap().import(&import).unwrap();
    let mut outputs = imported.graph.compile(&Device::cpu()).unwrap().run(inputs).unwrap();
    imported.outputs.iter().map(|(name, _)| outputs.take(name).unwrap()).collect()
}

fn refused(proto: ModelProto) -> String {
    match Model::from_proto(proto, None).and_then(|model| model.import(&Import::new())) {
        Ok(_) => panic!("the model was imported"),
        Err(error) => error.to_string(),
    }
}

fn tensor(values: &[f32]) -> TensorData {
    TensorData::from_slice(values, [values.len()]).unwrap()
}

/// Doubles a state as long as the sum of its elements is small, and collects it.
fn doubling(condition: &str) -> GraphProto {
    graph(
        [
            node("Add", "s s", "t"),
            node("ReduceSum", "t", "sum"),
            node("Squeeze", "sum", "total"),
            node("Less", "total most", "small"),
            node("Identity", condition, "on"),
            node("Identity", "t", "u"),
        ],
        [
            declared("k", data_type::INT64, &[]),
            declared("go", data_type::BOOL, &[]),
            declared("s", data_type::FLOAT, &[2]),
        ],
        &["on", "t", "u"],
        [super::floats("most", &[], &[20.0])],
    )
}

#[test]
fn loops_end_by_count_and_by_condition() {
    let x = declared("x", data_type::FLOAT, &[2]);
    let start = tensor(&[1.0, 2.0]);
    let counted = with(node("Loop", "n _ x", "y all"), subgraph("body", doubling("small")));
    let outputs = run(model(graph([counted], [x.clone()], &["y", "all"], [ints("n", &[2])])), &[("x", &start)]);
    assert_eq!(outputs[0].to_f64_vec(), [4.0, 8.0]);
    assert_eq!(outputs[1].shape().dims(), [2, 2]);
    assert_eq!(outputs[1].to_f64_vec(), [2.0, 4.0, 4.0, 8.0]);
    // The value decides: the state is known, as it was given.
    let yes = [with(node("Constant", "", "yes"), int("value_int", 1)), with(node("Cast", "yes", "c"), int("to", 9))];
    let steered = with(node("Loop", "_ c x", "y all"), subgraph("body", doubling("small")));
    let [first, second] = yes;
    let proto = model(graph([first, second, steered], [x.clone()], &["y", "all"], []));
    assert_eq!(run(proto, &[("x", &start)])[1].shape().dims(), [3, 2]);
    // No iteration leaves the state, and an empty collection.
    let none = with(node("Loop", "n _ x", "y all"), subgraph("body", doubling("small")));
    let outputs = run(model(graph([none], [x], &["y", "all"], [ints("n", &[0])])), &[("x", &start)]);
    assert_eq!(outputs[0], start);
    assert_eq!(outputs[1].shape().dims(), [0, 2]);
}

#[test]
fn loops_that_are_not_known_or_do_not_end_are_refused() {
    let x = declared("x", data_type::FLOAT, &[2]);
    let endless = with(node("Loop", "_ _ x", "y all"), subgraph("body", doubling("small")));
    let message = refused(model(graph([endless], [x.clone()], &["y"], [])));
    assert!(message.contains("more than 4096 iterations are not unrolled"), "{message}");
    let count = declared("n", data_type::INT64, &[]);
    let unknown = with(node("Loop", "n _ x", "y all"), subgraph("body", doubling("small")));
    let message = refused(model(graph([unknown], [x.clone(), count], &["y"], [])));
    assert!(message.contains("\"n\"") && message.contains("Import::value"), "{message}");
    let small = graph([node("Identity", "s", "t")], [declared("s", data_type::FLOAT, &[2])], &["t"], []);
    let misfit = with(node("Loop", "n _ x", "y"), subgraph("body", small));
    let message = refused(model(graph([misfit], [x], &["y"], [ints("n", &[2])])));
    assert!(message.contains("its body should take 3 inputs"), "{message}");
}

#[test]
fn scans_go_both_ways() {
    let body = graph(
        [node("Add", "s x", "t"), node("Identity", "t", "u")],
        [declared("s", data_type::FLOAT, &[]), declared("x", data_type::FLOAT, &[])],
        &["t", "u"],
        [],
    );
    let scan = with(node("Scan", "start x", "last all"), subgraph("body", body));
    let scan = [int("num_scan_inputs", 1), list("scan_input_directions", &[1]), list("scan_output_directions", &[1])]
        .into_iter()
        .fold(scan, with);
    let x = declared("x", data_type::FLOAT, &[3]);
    let proto = model(graph([scan], [x], &["last", "all"], [super::floats("start", &[], &[10.0])]));
    let outputs = run(proto, &[("x", &tensor(&[1.0, 2.0, 3.0]))]);
    assert_eq!(outputs[0].to_f64_vec(), [16.0]);
    assert_eq!(outputs[1].to_f64_vec(), [16.0, 15.0, 13.0]);
}

#[test]
fn choices_between_like_tensors_are_made_by_each_run() {
    let branch = |op: &str| graph([node(op, "x", "z")], [], &["z"], []);
    let choice = with(node("If", "c", "y"), subgraph("then_branch", branch("Neg")));
    let choice = with(choice, subgraph("else_branch", branch("Relu")));
    let inputs = [declared("x", data_type::FLOAT, &[2]), declared("c", data_type::BOOL, &[])];
    let imported =
        Model::from_proto(model(graph([choice], inputs.clone(), &["y"], [])), None).unwrap().import(&Import::new());
    let imported = imported.unwrap();
    assert!(imported.fixed.is_empty());
    let mut session = imported.graph.compile(&Device::cpu()).unwrap();
    for (condition, expected) in [(true, [-1.0, 2.0]), (false, [1.0, 0.0])] {
        let condition = TensorData::from_bools(&[condition], []).unwrap();
        let run = session.run(&[("x", &tensor(&[1.0, -2.0])), ("c", &condition)]).unwrap();
        assert_eq!(run["y"].to_f64_vec(), expected);
    }
    let other = with(node("If", "c", "y"), subgraph("then_branch", branch("Neg")));
    let other = with(other, subgraph("else_branch", branch("Size")));
    let message = refused(model(graph([other], inputs, &["y"], [])));
    assert!(message.contains("If_y") && message.contains("\"c\""), "{message}");
}

#[test]
fn sequences_and_optionals_give_their_tensors_back() {
    let nodes = [
        node("SequenceConstruct", "x x", "a"),
        node("Neg", "x", "z"),
        node("SequenceInsert", "a z first", "b"),
        node("SequenceErase", "b", "c"),
        node("SequenceLength", "c", "length"),
        with(node("ConcatFromSequence", "c", "y"), int("axis", 0)),
        node("Optional", "z", "maybe"),
        node("OptionalHasElement", "maybe", "there"),
        node("OptionalHasElement", "", "nowhere"),
        node("OptionalGetElement", "maybe", "again"),
        node("SequenceAt", "c first", "front"),
    ];
    let outputs = ["length", "y", "there", "nowhere", "again", "front"];
    let proto = of_opset(18, graph(nodes, [declared("x", data_type::FLOAT, &[1])], &outputs, [ints("first", &[0])]));
    let found: Vec<Vec<f64>> = run(proto, &[("x", &tensor(&[3.0]))]).iter().map(TensorData::to_f64_vec).collect();
    assert_eq!(found, [vec![2.0], vec![-3.0, 3.0], vec![1.0], vec![0.0], vec![-3.0], vec![-3.0]]);
    let nodes = [node("SequenceEmpty", "", "a"), node("SequenceAt", "a first", "y")];
    let message = refused(of_opset(18, graph(nodes, [], &["y"], [ints("first", &[0])])));
    assert!(message.contains("does not exist in a sequence of 0"), "{message}");
}
