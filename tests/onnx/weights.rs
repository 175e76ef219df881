//! Which values of a model are its parameters, and their gradients: weights in `Constant` nodes, and running statistics that come
//! through other nodes or are used twice. Expected numbers are PyTorch's in f64.

use wgrad::onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, attribute_type, data_type,
};
use wgrad::onnx::{Import, Imported, Model};
use wgrad::prelude::*;

use super::support::devices::devices;
use super::{declared, floats, graph, int, ints, list, node, of_opset, subgraph, with};

/// Numbers between two bounds, in no order.
fn numbers(count: usize, low: f64, high: f64) -> Vec<f32> {
    (0..count).map(|k| (low + (high - low) * ((k * 7 + 3) % 31) as f64 / 31.0) as f32).collect()
}

fn value(tensor: TensorProto) -> AttributeProto {
    AttributeProto {
        name: "value".into(),
        r#type: attribute_type::TENSOR,
        t: Some(Box::new(tensor)),
        ..AttributeProto::default()
    }
}

/// A `Constant` node of floats.
fn constant(name: &str, dims: &[i64], values: &[f32]) -> NodeProto {
    with(node("Constant", "", name), value(floats("", dims, values)))
}

/// The same with numbers of no meaning.
fn any(name: &str, dims: &[i64]) -> NodeProto {
    let count = dims.iter().product::<i64>() as usize;
    constant(name, dims, &numbers(count, -0.9, 1.1))
}

fn import(proto: ModelProto) -> Imported {
    match Model::from_proto(proto, None).and_then(|model| model.import(&Import::new())) {
        Ok(imported) => imported,
        Err(error) => panic!("{error}"),
    }
}

/// The names of the parameters of a model of one input `x`.
fn parameters(x: &[i64], nodes: impl Into<Vec<NodeProto>>, initializers: &[TensorProto]) -> Vec<String> {
    parameters_of(of_opset(18, graph(nodes, [declared("x", data_type::FLOAT, x)], &["y"], initializers)))
}

fn parameters_of(mut proto: ModelProto) -> Vec<String> {
    for domain in ["com.microsoft", "local"] {
        proto.opset_import.push(OperatorSetIdProto { domain: domain.into(), version: 1 });
    }
    let imported = import(proto);
    // What is no parameter runs as well.
    let inputs: Vec<(&str, TensorData)> = imported
        .inputs
        .iter()
        .map(|(name, tensor)| (name.as_str(), TensorData::zeros(tensor.dtype(), tensor.shape())))
        .collect();
    let given: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (*name, data)).collect();
    imported.graph.compile(&Device::cpu()).unwrap().run(&given).unwrap();
    imported.parameters.into_iter().map(|(name, _)| name).collect()
}

/// Gradients by name, of what the initializers and constants of a model hold, for Σ y·up.
fn gradients(proto: ModelProto, x: &TensorData, up: &[f32], device: &Device) -> Vec<(String, Vec<f64>)> {
    let imported = import(proto);
    let g = &imported.graph;
    let y = &imported.outputs[0].1;
    let weights = g.constant(TensorData::from_slice(up, y.shape()).unwrap());
    let loss = (y * weights).sum_all();
    let sources: Vec<&Tensor> = imported.variables.iter().flat_map(|(_, tensors)| tensors).collect();
    let mut found = g.gradients(&loss, &sources).into_iter();
    for (name, tensors) in &imported.variables {
        let sum = found.by_ref().take(tensors.len()).reduce(|sum, gradient| sum + gradient).unwrap();
        g.output(&format!("grad.{name}"), &sum);
    }
    let outputs = g.compile(device).unwrap().run(&[("x", x)]).unwrap();
    let named = |(name, _): &(String, Vec<Tensor>)| (name.clone(), outputs[&*format!("grad.{name}")].to_f64_vec());
    imported.variables.iter().map(named).collect()
}

fn assert_close(found: &[(String, Vec<f64>)], expected: &[(&str, &[f64])]) {
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for ((name, found), (_, right)) in found.iter().zip(expected) {
        assert_eq!(found.len(), right.len(), "{name}");
        let close = |(found, right): (&f64, &f64)| (found - right).abs() <= 2e-5 * (1.0 + right.abs());
        assert!(found.iter().zip(*right).all(close), "{name}: {found:?}, not {right:?}");
    }
}

#[test]
fn products_and_biases_of_constants_have_pytorchs_gradients() {
    let nodes = [
        constant("w", &[4, 3], &numbers(12, -0.9, 1.1)),
        constant("b", &[1, 4], &numbers(4, -0.4, 0.7)),
        constant("v", &[4, 2], &numbers(8, -1.2, 0.8)),
        constant("c", &[2], &numbers(2, 0.1, 0.6)),
        with(node("Constant", "", "four"), value(ints("", &[4]))),
        with(node("Transpose", "w", "wt"), list("perm", &[1, 0])),
        node("Identity", "wt", "wi"),
        node("MatMul", "x wi", "product"),
        node("Reshape", "b four", "flat"),
        node("Add", "flat product", "sum"),
        node("Relu", "sum", "hidden"),
        with(node("Cast", "v", "cast"), int("to", data_type::FLOAT.into())),
        node("Gemm", "hidden cast c", "y"),
    ];
    let model = of_opset(18, graph(nodes, [declared("x", data_type::FLOAT, &[2, 3])], &["y"], []));
    let x = TensorData::from_vec(numbers(6, -1.0, 1.2), [2, 3]).unwrap();
    let expected: [(&str, &[f64]); 4] = [
        (
            "w",
            &[
                0.8319802,
                0.3068779,
                -0.2182243,
                0.2360673,
                -0.335692,
                -0.1689289,
                1.048207,
                0.3866336,
                -0.2749394,
                -0.04090495,
                0.1282803,
                0.04701821,
            ],
        ),
        ("b", &[-1.057024, 0.335692, -1.331738, -0.1635796]),
        ("v", &[0.2250479, 0.3102011, 1.610785, 1.957723, 0.1526401, 0.2103958, 0.698085, 0.9521396]),
        ("c", &[1.645161, 2.096774]),
    ];
    for device in devices() {
        assert_close(&gradients(model.clone(), &x, &numbers(4, 0.5, 1.5), &device), &expected);
    }
}

/// What it is, the shape of x, the nodes, and the names of the parameters.
type WeightCase<'a> = (&'a str, &'a [i64], Vec<NodeProto>, Vec<&'a str>);

#[test]
fn what_reads_a_constant_as_a_weight() {
    let cases: Vec<WeightCase<'_>> = vec![
        (
            "a convolution",
            &[1, 2, 5, 5],
            vec![
                any("w", &[3, 2, 3, 3]),
                any("b", &[3]),
                with(node("Constant", "", "shape"), value(ints("", &[1, 3, 1, 1]))),
                node("Conv", "x w", "z"),
                node("Reshape", "b shape", "wide"),
                node("Add", "z wide", "y"),
            ],
            vec!["w", "b"],
        ),
        (
            "a transposed one",
            &[1, 2, 5, 5],
            vec![any("w", &[2, 3, 2, 2]), any("b", &[3]), node("ConvTranspose", "x w b", "y")],
            vec!["w", "b"],
        ),
        (
            "a bias of one unit",
            &[2, 3],
            vec![any("w", &[3, 1]), any("b", &[1]), node("MatMul", "x w", "z"), node("Add", "z b", "y")],
            vec!["w", "b"],
        ),
        (
            "norms",
            &[2, 4, 3],
            vec![
                any("s", &[4]),
                any("b", &[4]),
                any("m", &[4]),
                constant("v", &[4], &[0.5, 1.0, 1.5, 2.0]),
                any("g", &[3]),
                any("h", &[3]),
                any("i", &[4]),
                any("j", &[4]),
                node("BatchNormalization", "x s b m v", "z"),
                node("LayerNormalization", "z g h", "u"),
                node("InstanceNormalization", "u i j", "y"),
            ],
            vec!["s", "b", "g", "h", "i", "j"],
        ),
        (
            "a norm of small operators",
            &[2, 4],
            vec![
                any("g", &[4]),
                any("h", &[4]),
                constant("two", &[], &[2.0]),
                constant("eps", &[], &[1e-5]),
                with(node("ReduceMean", "x last", "mean"), int("keepdims", 1)),
                node("Sub", "x mean", "centred"),
                node("Pow", "centred two", "squares"),
                with(node("ReduceMean", "squares last", "variance"), int("keepdims", 1)),
                node("Add", "variance eps", "more"),
                node("Sqrt", "more", "deviation"),
                node("Div", "centred deviation", "normal"),
                node("Mul", "normal g", "scaled"),
                node("Add", "scaled h", "y"),
            ],
            vec!["g", "h"],
        ),
        (
            "recurrences",
            &[3, 1, 2],
            vec![
                any("w", &[1, 8, 2]),
                any("r", &[1, 8, 2]),
                any("b", &[1, 16]),
                any("h0", &[1, 1, 2]),
                with(node("LSTM", "x w r b _ h0", "z final"), int("hidden_size", 2)),
                node("Identity", "final", "y"),
            ],
            vec!["w", "r", "b"],
        ),
        ("a slope", &[2, 3], vec![any("a", &[3]), node("PRelu", "x a", "y")], vec!["a"]),
        (
            "16 bits",
            &[2, 3],
            vec![
                any("w", &[3, 2]),
                with(node("Cast", "w", "half"), int("to", data_type::FLOAT16.into())),
                with(node("Cast", "x", "xh"), int("to", data_type::FLOAT16.into())),
                node("MatMul", "xh half", "y"),
            ],
            vec!["w"],
        ),
        (
            "a scale of quantized weights",
            &[2, 3],
            vec![
                with(
                    node("Constant", "", "q"),
                    value(TensorProto {
                        dims: vec![3, 2],
                        data_type: data_type::UINT8,
                        raw_data: Some(vec![1, 2, 3, 4, 5, 6]),
                        ..TensorProto::default()
                    }),
                ),
                constant("scale", &[], &[0.1]),
                node("DequantizeLinear", "q scale", "w"),
                node("MatMul", "x w", "y"),
            ],
            vec!["scale"],
        ),
        (
            "a weight of several constants",
            &[2, 3],
            vec![
                any("g", &[1, 2]),
                any("v", &[3, 2]),
                constant("factor", &[], &[0.5]),
                with(node("ReduceL2", "v zero", "norm"), int("keepdims", 1)),
                node("Div", "v norm", "unit"),
                node("Mul", "unit g", "w"),
                node("Mul", "w factor", "scaled"),
                node("MatMul", "x scaled", "y"),
            ],
            vec!["v", "g"],
        ),
        (
            "an addend of two products",
            &[2, 3],
            vec![
                any("w", &[3, 3]),
                any("u", &[3, 3]),
                any("b", &[3]),
                node("MatMul", "x w", "p"),
                node("MatMul", "x u", "q"),
                node("Add", "p q", "sum"),
                node("Add", "sum b", "y"),
            ],
            vec!["w", "u", "b"],
        ),
        // What is no weight.
        (
            "numbers of the program's text",
            &[2, 3],
            vec![
                any("w", &[3, 3]),
                constant("half", &[], &[0.5]),
                constant("more", &[1], &[1.5]),
                constant("low", &[], &[0.0]),
                node("MatMul", "x w", "z"),
                node("Mul", "z half", "u"),
                node("Add", "u more", "v"),
                node("Clip", "v low", "y"),
            ],
            vec!["w"],
        ),
        (
            "what pictures are normalized by",
            &[1, 3, 4, 4],
            vec![
                any("mean", &[1, 3, 1, 1]),
                any("std", &[1, 3, 1, 1]),
                any("w", &[2, 3, 1, 1]),
                node("Sub", "x mean", "z"),
                node("Div", "z std", "u"),
                node("Conv", "u w", "y"),
            ],
            vec!["w"],
        ),
        (
            "a mask of scores",
            &[3, 3],
            vec![
                any("mask", &[3, 3]),
                with(node("Transpose", "x", "t"), list("perm", &[1, 0])),
                node("MatMul", "x t", "scores"),
                node("Add", "scores mask", "masked"),
                with(node("Softmax", "masked", "y"), int("axis", -1)),
            ],
            vec![],
        ),
        (
            "a group norm as PyTorch writes it",
            &[1, 2, 6],
            vec![
                constant("ones", &[2], &[1.0, 1.0]),
                constant("zeros", &[2], &[0.0, 0.0]),
                node("InstanceNormalization", "x ones zeros", "y"),
            ],
            vec![],
        ),
    ];
    for (what, x, nodes, expected) in cases {
        let initializers = [ints("last", &[-1]), ints("zero", &[0])];
        assert_eq!(parameters(x, nodes, &initializers), expected, "{what}");
    }
}

#[test]
fn a_table_that_is_looked_up_is_a_weight() {
    let ids = declared("x", data_type::INT64, &[3]);
    let nodes = [any("table", &[5, 2]), node("Gather", "table x", "y")];
    assert_eq!(parameters_of(of_opset(18, graph(nodes, [ids], &["y"], []))), ["table"]);
    // By numbers that are known, it is but a part of what it was.
    let nodes = [any("table", &[5, 2]), node("Gather", "table two", "row"), node("Mul", "x row", "y")];
    assert_eq!(parameters(&[3, 2], nodes, &[ints("two", &[2])]), [""; 0]);
}

/// A body that is built several times has its weights once.
#[test]
fn functions_and_graphs_within_share_their_constants() {
    let body = vec![any("w", &[3, 3]), node("MatMul", "a w", "b")];
    let function = FunctionProto {
        name: "Layer".into(),
        domain: "local".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: body.clone(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 18 }],
        ..FunctionProto::default()
    };
    let call = |input: &str, output: &str| NodeProto { domain: "local".into(), ..node("Layer", input, output) };
    let x = declared("x", data_type::FLOAT, &[2, 3]);
    let mut called = of_opset(18, graph([call("x", "z"), call("z", "y")], [x.clone()], &["y"], []));
    called.functions.push(function);
    assert_eq!(parameters_of(called), ["w"]);

    let iteration: GraphProto = graph(
        [vec![node("Identity", "go", "on")], body].concat(),
        [
            declared("k", data_type::INT64, &[]),
            declared("go", data_type::BOOL, &[]),
            declared("a", data_type::FLOAT, &[2, 3]),
        ],
        &["on", "b"],
        [],
    );
    let repeated = with(node("Loop", "n _ x", "y"), subgraph("body", iteration));
    assert_eq!(parameters(&[2, 3], [repeated], &[ints("n", &[3])]), ["w"]);
}

/// A file that says what its parameters are is believed.
#[test]
fn what_the_file_says_counts() {
    let nodes = [any("w", &[3, 3]), node("MatMul", "x w", "z"), node("Add", "z bias", "y")];
    let mut inner = graph(nodes, [declared("x", data_type::FLOAT, &[2, 3])], &["y"], [floats("bias", &[3], &[0.0; 3])]);
    // Beside initializers, a constant is one: training leaves it, and it has a gradient all the same.
    assert_eq!(parameters_of(of_opset(18, inner.clone())), ["bias"]);
    let mixed = Model::from_proto(of_opset(18, inner.clone()), None).unwrap();
    let imported = mixed.import(&Import::new()).unwrap();
    assert_eq!(imported.variables.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bias", "w"]);
    assert_eq!(imported.untrained, ["w"]);
    let trained = |trained| mixed.import(&Import::new().train_constants(trained)).unwrap().parameters.len();
    assert_eq!((trained(false), trained(true)), (1, 2));
    inner.metadata_props.push(StringStringEntryProto {
        key: "pkg.torch.export.ExportedProgram.graph_signature".into(),
        value: "p_bias: PARAMETER target='bias'".into(),
    });
    assert_eq!(parameters_of(of_opset(18, inner)), ["bias"]);
}

const SCALE: &[f64] = &[3.304271, -0.1255];
const BIAS: &[f64] = &[6.0, 5.064516];
const MEAN: &[f64] = &[-4.903177, -4.511547];
const VARIANCE: &[f64] = &[-1.879268, 0.06300635];

/// A batch norm of `x` [2, 2, 3], whose statistics are these values of the graph, after other nodes.
fn batch_norm(before: &[NodeProto], statistics: &str, after: &[NodeProto]) -> ModelProto {
    let output = if after.is_empty() { "y" } else { "z" };
    let norm = node("BatchNormalization", &format!("x s b {statistics}"), output);
    let nodes = [before, &[norm], after].concat();
    let initializers = [
        floats("s", &[2], &numbers(2, 0.5, 1.4)),
        floats("b", &[2], &numbers(2, -0.3, 0.5)),
        floats("mu", &[2], &numbers(2, -0.2, 0.3)),
        floats("va", &[2], &numbers(2, 0.4, 1.6)),
        ints("wide", &[2, 1]),
    ];
    of_opset(18, graph(nodes, [declared("x", data_type::FLOAT, &[2, 2, 3])], &["y"], initializers))
}

#[test]
fn statistics_have_gradients_however_they_come() {
    let x = TensorData::from_vec(numbers(12, -1.0, 1.2), [2, 2, 3]).unwrap();
    let up = numbers(12, 0.5, 1.5);
    let all: [(&str, &[f64]); 4] = [("s", SCALE), ("b", BIAS), ("mu", MEAN), ("va", VARIANCE)];
    let identities = [node("Identity", "mu", "m"), node("Identity", "va", "i"), node("Identity", "i", "v")];
    let casts = ["mu m", "va v"].map(|names| {
        let (from, to) = names.split_once(' ').unwrap();
        with(node("Cast", from, to), int("to", data_type::FLOAT.into()))
    });
    let again =
        [node("Mul", "mu va", "product"), node("Reshape", "product wide", "column"), node("Add", "z column", "y")];
    let twice: [(&str, &[f64]); 4] =
        [("s", SCALE), ("b", BIAS), ("mu", &[-1.806403, -0.525283]), ("va", &[-2.788945, -0.1330394])];
    for device in devices() {
        assert_close(&gradients(batch_norm(&[], "mu va", &[]), &x, &up, &device), &all);
        assert_close(&gradients(batch_norm(&identities, "m v", &[]), &x, &up, &device), &all);
        assert_close(&gradients(batch_norm(&casts, "m v", &[]), &x, &up, &device), &all);
        assert_close(&gradients(batch_norm(&[], "mu va", &again), &x, &up, &device), &twice);
        assert_close(&gradients(batch_norm(&identities, "m v", &again), &x, &up, &device), &twice);
        let early = [again[0].clone(), again[1].clone()];
        assert_close(&gradients(batch_norm(&early, "mu va", &again[2..]), &x, &up, &device), &twice);
    }
    // Statistics are not trained, whether they come directly or not; where they are used otherwise, that use is.
    let names = |proto| import(proto).parameters.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(batch_norm(&[], "mu va", &[])), ["s", "b"]);
    assert_eq!(names(batch_norm(&identities, "m v", &[])), ["s", "b"]);
    assert_eq!(names(batch_norm(&casts, "m v", &[])), ["s", "b"]);
    assert_eq!(names(batch_norm(&[], "mu va", &again)), ["s", "b", "mu", "va"]);
}

/// A mean that is stored together with a bias: the bias has the initializer's name, and is what is trained.
#[test]
fn a_bias_keeps_its_name_beside_the_statistic_that_is_stored_with_it() {
    let norm =
        [node("BatchNormalization", "x s b zeros ones", "z"), node("Mul", "z ones", "u"), node("Add", "u zeros", "y")];
    let initializers = [
        floats("s", &[2], &[1.0, 2.0]),
        floats("b", &[2], &[0.5, 0.25]),
        floats("zeros", &[2], &[0.0; 2]),
        floats("ones", &[2], &[1.0; 2]),
    ];
    let imported = import(of_opset(18, graph(norm, [declared("x", data_type::FLOAT, &[3, 2])], &["y"], initializers)));
    let names: Vec<&str> = imported.parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["s", "b", "ones", "zeros"]);
    assert_eq!(imported.variables[2].1.len(), 2);
    assert_eq!(imported.graph.find("zeros").map(|tensor| tensor.id()), Some(imported.variables[2].1[0].id()));
    assert!(imported.graph.find("zeros.1").is_some());
}
