//! Gradients of imported operators against finite differences, in f64.

use wgrad::onnx::proto::{NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto, data_type};
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::{declared, graph, int, ints, list, node, of_opset, subgraph, text, with};

const PREVIEW: &str = "ai.onnx.preview";

/// Numbers between two bounds, in no order, none close to another.
fn numbers(count: usize, low: f64, high: f64) -> Vec<f64> {
    (0..count).map(|k| low + (high - low) * ((k * 7 + 3) % 31) as f64 / 31.0).collect()
}

/// Σ y·c for the outputs `y…` of nodes that take the inputs `a`, `b`, … of these shapes and bounds.
fn check(what: &str, nodes: &[NodeProto], inputs: &[(&[usize], f64, f64)], initializers: &[TensorProto]) {
    let names = ["a", "b", "c"];
    let infos: Vec<_> = inputs
        .iter()
        .zip(names)
        .map(|((shape, ..), name)| {
            let dims: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
            declared(name, data_type::DOUBLE, &dims)
        })
        .collect();
    let last = nodes.last().map(|node| node.output.clone()).unwrap_or_default();
    let outputs: Vec<&str> = last.iter().map(String::as_str).collect();
    let mut proto = of_opset(24, graph(nodes, infos, &outputs, initializers));
    proto.opset_import.push(OperatorSetIdProto { domain: PREVIEW.into(), version: 1 });
    let imported = Model::from_proto(proto, None).unwrap().import(&Import::new()).unwrap();
    let g = &imported.graph;
    let floats = imported.outputs.iter().filter(|(_, y)| y.dtype().is_float());
    let mut loss = g.scalar(F64, 0.0);
    for (_, y) in floats {
        let count = y.shape().len();
        let weights = g.constant(TensorData::from_vec(numbers(count, 0.5, 1.5), y.shape()).unwrap());
        loss = loss + (y * weights).sum_all();
    }
    let arguments: Vec<&Tensor> = imported.inputs.iter().map(|(_, tensor)| tensor).collect();
    let gradients = g.gradients(&loss, &arguments);
    g.output("@loss", &loss);
    for (gradient, name) in gradients.iter().zip(names) {
        g.output(&format!("@{name}"), gradient);
    }
    let mut session = g.compile(&Device::cpu()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let values: Vec<Vec<f64>> =
        inputs.iter().map(|(shape, low, high)| numbers(shape.iter().product(), *low, *high)).collect();
    let mut run = |values: &[Vec<f64>]| {
        let data: Vec<(&str, TensorData)> = (values.iter().zip(inputs).zip(names))
            .map(|((values, (shape, ..)), name)| (name, TensorData::from_slice(values, *shape).unwrap()))
            .collect();
        let given: Vec<(&str, &TensorData)> = data.iter().map(|(name, data)| (*name, data)).collect();
        session.run(&given).unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let first = run(&values);
    for (input, name) in (0..inputs.len()).zip(names) {
        let gradient = first[&*format!("@{name}")].to_f64_vec();
        for (k, &found) in gradient.iter().enumerate() {
            let mut at = |distance: f64| {
                let mut moved = values.clone();
                moved[input][k] += distance;
                run(&moved)["@loss"].item().unwrap()
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            let close = (found - expected).abs() <= 1e-5 * (1.0 + expected.abs());
            assert!(close, "{what}: the gradient of {name} at {k} is {found}, differences give {expected}");
        }
    }
}

fn one(
    op: &str,
    inputs: &str,
    attributes: impl IntoIterator<Item = wgrad::onnx::proto::AttributeProto>,
) -> [NodeProto; 1] {
    [attributes.into_iter().fold(node(op, inputs, "y"), with)]
}

const A: &[(&[usize], f64, f64)] = &[(&[2, 3, 4], 0.2, 1.7)];
const SIGNED: &[(&[usize], f64, f64)] = &[(&[2, 3, 4], -1.1, 1.3)];

#[test]
fn of_functions() {
    for op in ["Erf", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh", "Abs", "Reciprocal", "Sqrt"] {
        check(op, &one(op, "a", []), A, &[]);
    }
    for op in ["Max", "Min", "Mean", "Sum", "Pow", "Div", "Mul"] {
        check(op, &one(op, "a b", []), &[A[0], (&[3, 1], 0.31, 1.43)], &[]);
    }
    check("Mod", &one("Mod", "a b", [int("fmod", 1)]), &[A[0], (&[4], 0.613, 0.927)], &[]);
    let chosen = [node("Greater", "a b", "large"), node("Where", "large a b", "y")];
    check("Where", &chosen, &[A[0], (&[4], 0.61, 0.93)], &[]);
    check("Clip", &one("Clip", "a b c", []), &[SIGNED[0], (&[], -0.333, 0.0), (&[], 0.777, 0.8)], &[]);
}

#[test]
fn of_reductions() {
    for op in ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"] {
        let op = format!("Reduce{op}");
        check(&op, &one(&op, "a axes", [int("keepdims", 0)]), A, &[ints("axes", &[0, -1])]);
        check(&op, &one(&op, "a", [int("noop_with_empty_axes", 1)]), A, &[]);
    }
    let axis = [ints("axis", &[1])];
    for op in ["CumSum", "CumProd"] {
        check(op, &one(op, "a axis", []), A, &axis);
        check(op, &one(op, "a axis", [int("reverse", 1), int("exclusive", 1)]), A, &axis);
    }
    check("TopK", &[node("TopK", "a k", "y indices")], A, &[ints("k", &[3])]);
}

#[test]
fn of_movement() {
    check("Tile", &one("Tile", "a k", []), A, &[ints("k", &[2, 1, 3])]);
    check("Split", &[with(node("Split", "a k", "y z"), int("axis", 1))], A, &[ints("k", &[1, 2])]);
    check("Expand", &one("Expand", "a k", []), &[(&[3, 1], 0.0, 1.0)], &[ints("k", &[2, 1, 4])]);
    check(
        "Slice",
        &one("Slice", "a s e x t", []),
        A,
        &[ints("s", &[-1]), ints("e", &[-99]), ints("x", &[2]), ints("t", &[-2])],
    );
    for mode in ["reflect", "edge", "wrap"] {
        check(mode, &one("Pad", "a k", [text("mode", mode)]), A, &[ints("k", &[0, 1, 3, 0, 2, 5])]);
    }
    check("Pad", &one("Pad", "a k b", []), &[A[0], (&[], 0.4, 0.5)], &[ints("k", &[0, 1, -1, 0, 0, 2])]);
    check("DepthToSpace", &one("DepthToSpace", "a", [int("blocksize", 2)]), &[(&[1, 8, 2, 1], 0.0, 1.0)], &[]);
    check("SpaceToDepth", &one("SpaceToDepth", "a", [int("blocksize", 2)]), &[(&[1, 2, 4, 2], 0.0, 1.0)], &[]);
    check("Trilu", &one("Trilu", "a", []), A, &[]);
    check("ReverseSequence", &one("ReverseSequence", "a k", []), A, &[ints("k", &[2, 1, 2])]);
    check("CenterCropPad", &one("CenterCropPad", "a k", []), A, &[ints("k", &[3, 2, 5])]);
    let split = with(node("SplitToSequence", "a", "s"), int("axis", 1));
    let joined = with(node("ConcatFromSequence", "s", "y"), int("axis", 2));
    check("sequences", &[split, joined], A, &[]);
}

#[test]
fn of_indexing() {
    let index = |dims: &[i64], values: &[i64]| TensorProto { dims: dims.to_vec(), ..ints("i", values) };
    check("Gather", &one("Gather", "a i", [int("axis", 1)]), A, &[index(&[2, 2], &[0, -1, 2, 0])]);
    let elements = index(&[2, 1, 4], &[0, 1, 2, 0, -1, 0, 0, 1]);
    check("GatherElements", &one("GatherElements", "a i", [int("axis", 1)]), A, std::slice::from_ref(&elements));
    let pairs = index(&[2, 2, 1], &[0, 2, 1, -1]);
    check("GatherND", &one("GatherND", "a i", [int("batch_dims", 1)]), A, &[pairs]);
    check("Compress", &one("Compress", "a i", [int("axis", 2)]), A, &[index(&[4], &[1, 0, 0, 1])]);
    let updates: (&[usize], f64, f64) = (&[2, 1, 4], 0.23, 1.61);
    for reduction in ["none", "add", "mul", "max", "min"] {
        let nodes = one("ScatterElements", "a i b", [int("axis", 1), text("reduction", reduction)]);
        check(reduction, &nodes, &[A[0], updates], std::slice::from_ref(&elements));
        let nodes = one("ScatterND", "a i b", [text("reduction", reduction)]);
        check(reduction, &nodes, &[A[0], (&[3, 4], 0.23, 1.61)], &[index(&[3, 2], &[0, 1, 1, -1, 0, 1])]);
    }
    let ones = [ints("i", &[1, 0, -1]), ints("d", &[3])];
    check("OneHot", &one("OneHot", "i d a", []), &[(&[2], 0.0, 1.0)], &ones);
    let fold = one("Col2Im", "a i b", [list("pads", &[1, 0, 1, 0]), list("strides", &[2, 1])]);
    let block = TensorProto { name: "b".into(), ..ints("b", &[3, 2]) };
    check("Col2Im", &fold, &[(&[1, 12, 6], -1.0, 1.0)], &[index(&[2], &[3, 4]), block]);
}

#[test]
fn of_products() {
    check("Det", &one("Det", "a", []), &[(&[2, 3, 3], -1.0, 2.0)], &[]);
    let cases: [(&str, &[usize], &[usize]); 4] = [
        ("ij,jk->ki", &[2, 3], &[3, 4]),
        ("...i,i->...", &[2, 2, 3], &[3]),
        ("bii,bj->bij", &[2, 3, 3], &[2, 2]),
        ("ij,kl", &[2, 2], &[1, 3]),
    ];
    for (equation, a, b) in cases {
        check(equation, &one("Einsum", "a b", [text("equation", equation)]), &[(a, -1.0, 1.0), (b, -1.0, 1.0)], &[]);
    }
}

#[test]
fn of_loops() {
    let double = |name: &str, dims: &[i64]| declared(name, data_type::DOUBLE, dims);
    let body = graph(
        [node("Identity", "go", "on"), node("Mul", "s a", "t"), node("Sin", "t", "u"), node("Identity", "u", "v")],
        [declared("k", data_type::INT64, &[]), declared("go", data_type::BOOL, &[]), double("s", &[3])],
        &["on", "u", "v"],
        [],
    );
    let nodes = [with(node("Loop", "n _ b", "y z"), subgraph("body", body))];
    check("Loop", &nodes, &[(&[3], 0.2, 1.7), (&[3], 0.5, 1.5)], &[ints("n", &[4])]);
    let body = graph(
        [node("Mul", "s x", "t"), node("Identity", "t", "u")],
        [double("s", &[2]), double("x", &[2])],
        &["t", "u"],
        [],
    );
    let node = with(node("Scan", "a b", "y z"), subgraph("body", body));
    let node = with(with(node, int("num_scan_inputs", 1)), list("scan_input_axes", &[1]));
    check("Scan", &[node], &[(&[2], 0.2, 1.7), (&[2, 4], 0.5, 1.5)], &[]);
}

#[test]
fn of_regions_and_modified_attention() {
    let rois =
        super::floats("r", &[3, 5], &[0.0, 0.0, 0.0, 3.0, 3.0, 1.0, 1.0, 1.0, 2.0, 4.0, 0.0, 2.0, 2.0, 9.0, 9.0]);
    check(
        "MaxRoiPool",
        &one("MaxRoiPool", "a r", [list("pooled_shape", &[2, 2])]),
        &[(&[2, 1, 3, 4], -1.1, 1.3)],
        &[rois],
    );
    let squares =
        |inner: &str| graph([node("Mul", &format!("{inner} {inner}"), "out")], [untyped(inner)], &["out"], []);
    let modified = [subgraph("score_mod", squares("s")), subgraph("prob_mod", squares("p"))];
    let mut nodes = one("FlexAttention", "a b c", modified);
    nodes[0].domain = PREVIEW.into();
    let small: (&[usize], f64, f64) = (&[1, 1, 3, 2], -1.0, 1.2);
    check("FlexAttention", &nodes, &[(&[1, 2, 2, 2], -0.9, 1.1), small, small], &[]);
}

fn untyped(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.into(), ..ValueInfoProto::default() }
}
