//! Gradients of neural networks' operators against finite differences, in f64.

use wgrad::onnx::proto::{AttributeProto, NodeProto, OperatorSetIdProto, ValueInfoProto, attribute_type, data_type};
use wgrad::onnx::{Import, Model};
use wgrad::prelude::*;

use super::{declared, graph, int, ints, model, node, with};

/// A list of integers as an attribute.
fn list(name: &str, values: &[i64]) -> AttributeProto {
    let ints = values.to_vec();
    AttributeProto { name: name.into(), r#type: attribute_type::INTS, ints, ..AttributeProto::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: attribute_type::FLOAT, f: Some(value), ..AttributeProto::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    let s = Some(value.as_bytes().to_vec());
    AttributeProto { name: name.into(), r#type: attribute_type::STRING, s, ..AttributeProto::default() }
}

fn texts(name: &str, values: &[&str]) -> AttributeProto {
    let strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    AttributeProto { name: name.into(), r#type: attribute_type::STRINGS, strings, ..AttributeProto::default() }
}

/// Numbers that look like chance, from −1 to 1, none of them near an edge that a function has there.
fn values(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|k| (((k + 1) * 7919 + seed * 104_729) as f64 * 0.618_033_988_7).fract() * 2.0 - 1.0).collect()
}

/// One operator with double inputs `a`, `b`, … of these shapes, and constants of int64.
struct Case {
    node: NodeProto,
    opset: i64,
    shapes: Vec<Vec<usize>>,
    constants: Vec<(&'static str, Vec<i64>, Vec<i64>)>,
}

impl Case {
    fn new(node: NodeProto, shapes: &[&[usize]]) -> Self {
        let shapes = shapes.iter().map(|shape| shape.to_vec()).collect();
        Self { node, opset: 22, shapes, constants: Vec::new() }
    }

    fn attribute(mut self, attribute: AttributeProto) -> Self {
        self.node = with(self.node, attribute);
        self
    }

    fn constant(mut self, name: &'static str, dims: &[i64], values: &[i64]) -> Self {
        self.constants.push((name, dims.to_vec(), values.to_vec()));
        self
    }

    fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    fn check(self) {
        let what = format!("{} {:?}", self.node.op_type, self.shapes);
        let names: Vec<String> = (0..self.shapes.len()).map(|k| char::from(b'a' + k as u8).to_string()).collect();
        let inputs: Vec<ValueInfoProto> = names
            .iter()
            .zip(&self.shapes)
            .map(|(name, shape)| {
                let dims: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
                declared(name, data_type::DOUBLE, &dims)
            })
            .collect();
        let constants: Vec<_> = self
            .constants
            .iter()
            .map(|(name, dims, values)| {
                let mut tensor = ints(name, values);
                tensor.dims.clone_from(dims);
                tensor
            })
            .collect();
        let mut proto = model(graph([self.node], inputs, &["y"], constants));
        proto.opset_import = vec![OperatorSetIdProto { domain: String::new(), version: self.opset }];
        let imported = Model::from_proto(proto, None).unwrap().import(&Import::new()).unwrap();
        let (g, y) = (&imported.graph, &imported.outputs[0].1);
        let shape = y.shape();
        let weights = TensorData::from_f64(y.dtype(), &values(shape.len(), 99), shape).unwrap();
        let loss = (y * g.constant(weights)).sum_all();
        g.output("loss", &loss);
        let tensors: Vec<&Tensor> = imported.inputs.iter().map(|(_, tensor)| tensor).collect();
        for (name, gradient) in names.iter().zip(g.gradients(&loss, &tensors)) {
            g.output(&format!("grad.{name}"), &gradient);
        }
        let mut session = g.compile(&Device::cpu()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let given: Vec<Vec<f64>> =
            self.shapes.iter().enumerate().map(|(k, shape)| values(shape.iter().product(), k)).collect();
        let mut run = |given: &[Vec<f64>]| {
            let data: Vec<TensorData> = given
                .iter()
                .zip(&self.shapes)
                .map(|(values, shape)| TensorData::from_slice(values, shape.as_slice()).unwrap())
                .collect();
            let inputs: Vec<(&str, &TensorData)> = names.iter().map(String::as_str).zip(&data).collect();
            session.run(&inputs).unwrap()
        };
        let found = run(&given);
        let step = 1e-6;
        for (k, name) in names.iter().enumerate() {
            let gradient = found[format!("grad.{name}").as_str()].to_f64_vec();
            for element in 0..gradient.len() {
                let mut moved = |by: f64| {
                    let mut given = given.clone();
                    given[k][element] += by;
                    run(&given)["loss"].to_f64_vec()[0]
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                let error = (slope - gradient[element]).abs();
                assert!(
                    error < 1e-5 * (1.0 + slope.abs()),
                    "{what}, {name}[{element}]: {} for {slope}",
                    gradient[element]
                );
            }
        }
    }
}

#[test]
fn pools() {
    let window = |op: &str| {
        let node = with(with(node(op, "a", "y"), list("kernel_shape", &[3, 2])), list("strides", &[2, 1]));
        Case::new(with(node, list("pads", &[1, 0, 1, 1])), &[&[1, 2, 5, 4]])
    };
    window("LpPool").attribute(int("p", 3)).check();
    window("AveragePool").attribute(int("ceil_mode", 1)).check();
    window("MaxPool").attribute(list("dilations", &[1, 2])).check();
    Case::new(node("GlobalLpPool", "a", "y"), &[&[2, 2, 3]]).check();
    let unpool = with(node("MaxUnpool", "a indices", "y"), list("kernel_shape", &[2]));
    Case::new(with(unpool, list("strides", &[2])), &[&[1, 1, 3]]).constant("indices", &[1, 1, 3], &[0, 3, 4]).check();
}

#[test]
fn convolutions() {
    let transposed = with(node("ConvTranspose", "a b c", "y"), list("strides", &[3, 2]));
    Case::new(transposed, &[&[1, 2, 2, 3], &[2, 2, 2, 3], &[4]])
        .attribute(list("output_padding", &[1, 1]))
        .attribute(list("pads", &[0, 1, 0, 0]))
        .attribute(int("group", 2))
        .check();
    let deformable = with(node("DeformConv", "a b c _ d", "y"), list("kernel_shape", &[2, 2]));
    Case::new(deformable, &[&[1, 2, 3, 3], &[2, 2, 2, 2], &[1, 8, 2, 2], &[1, 4, 2, 2]]).check();
    Case::new(node("CausalConvWithState", "a b c d", "y"), &[&[1, 2, 3], &[2, 1, 3], &[2], &[1, 2, 2]])
        .attribute(text("activation", "silu"))
        .opset(27)
        .check();
}

#[test]
fn normalisations() {
    let norm = |op: &str, shapes: &[&[usize]]| {
        let names: Vec<String> = (0..shapes.len()).map(|k| char::from(b'a' + k as u8).to_string()).collect();
        Case::new(node(op, &names.join(" "), "y"), shapes)
    };
    norm("BatchNormalization", &[&[3, 2, 2], &[2], &[2], &[2], &[2]]).attribute(int("training_mode", 1)).check();
    norm("BatchNormalization", &[&[2, 2], &[2], &[2], &[2], &[2]]).attribute(float("epsilon", 2.0)).check();
    norm("InstanceNormalization", &[&[2, 2, 3], &[2], &[2]]).check();
    norm("GroupNormalization", &[&[2, 4, 3], &[4], &[4]]).attribute(int("num_groups", 2)).check();
    norm("LayerNormalization", &[&[2, 2, 3], &[2, 3], &[2, 3]]).attribute(int("axis", 1)).check();
    norm("LRN", &[&[1, 4, 2]]).attribute(int("size", 3)).attribute(float("alpha", 0.7)).check();
    norm("LpNormalization", &[&[2, 3]]).check();
    norm("MeanVarianceNormalization", &[&[2, 2, 2, 2]]).check();
    norm("RMSNormalization", &[&[2, 3], &[3]]).opset(23).check();
}

#[test]
fn attention() {
    let heads = |case: Case| case.attribute(int("q_num_heads", 4)).attribute(int("kv_num_heads", 2)).opset(23);
    heads(Case::new(node("Attention", "a b c d", "y"), &[&[1, 3, 8], &[1, 3, 4], &[1, 3, 6], &[3, 3]]))
        .attribute(int("is_causal", 1))
        .attribute(float("softcap", 2.0))
        .check();
    heads(Case::new(
        node("LinearAttention", "a b c _ d e", "y"),
        &[&[1, 3, 8], &[1, 3, 4], &[1, 3, 6], &[1, 3, 2], &[1, 3, 2]],
    ))
    .opset(27)
    .check();
    let rotary = with(node("RotaryEmbedding", "a b c", "y"), int("interleaved", 1));
    Case::new(rotary, &[&[1, 2, 2, 4], &[1, 2, 2], &[1, 2, 2]]).opset(23).check();
}

#[test]
fn recurrences() {
    let shapes = |gates: usize| -> Vec<Vec<usize>> {
        vec![vec![3, 2, 2], vec![2, gates * 2, 2], vec![2, gates * 2, 2], vec![2, 2 * gates * 2], vec![2, 2, 2]]
    };
    for (op, gates, functions) in [("RNN", 1, 1), ("GRU", 3, 2), ("LSTM", 4, 3)] {
        let shapes = shapes(gates);
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let case = || {
            let node = with(node(op, "a b c d lengths e", "y"), text("direction", "bidirectional"));
            let mut case = Case::new(with(node, int("hidden_size", 2)), &shapes);
            case.constants.push(("lengths", vec![2], vec![3, 2]));
            case
        };
        case().check();
        let all = ["Softsign"; 6];
        case().attribute(texts("activations", &all[..2 * functions])).attribute(float("clip", 3.0)).check();
    }
}

#[test]
fn places_between_elements() {
    for mode in ["nearest", "linear", "cubic"] {
        let resize = with(node("Resize", "a _ _ sizes", "y"), text("mode", mode));
        Case::new(resize, &[&[2, 5, 3]]).constant("sizes", &[3], &[2, 3, 6]).attribute(int("antialias", 0)).check();
        for beyond in ["zeros", "border", "reflection"] {
            let sampled = with(node("GridSample", "a b", "y"), text("mode", mode));
            Case::new(sampled, &[&[1, 2, 4, 3], &[1, 2, 2, 2]]).attribute(text("padding_mode", beyond)).check();
        }
    }
    Case::new(node("AffineGrid", "a size", "y"), &[&[1, 2, 3]]).constant("size", &[4], &[1, 1, 2, 3]).check();
}

#[test]
fn losses() {
    for op in ["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"] {
        for reduction in ["none", "mean", "sum"] {
            Case::new(node(op, "a labels b", "y"), &[&[2, 3, 2], &[3]])
                .constant("labels", &[2, 2], &[2, -7, 0, 1])
                .attribute(int("ignore_index", -7))
                .attribute(text("reduction", reduction))
                .check();
        }
    }
}
