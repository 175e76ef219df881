//! Multi-head attention and the layers of transformers as PyTorch computes them, with the gradients of inputs and parameters; and models of
//! them that learn.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod support;

use support::devices::{devices, slack};
use support::golden::{self, Case, Tolerance};
use wgrad::data::Dataset;
use wgrad::nn::{Activation, AttentionInputs, AttentionLayer, Dense, Embedding, Position, Rotary, Transformer};
use wgrad::ops::Score;
use wgrad::prelude::*;

/// The layer of a case applied to its inputs.
fn build(g: &Graph, case: &Case, inputs: &[Tensor]) -> Tensor {
    let lengths = |key: &str| {
        let lengths: Vec<i32> = case.integers(key).into_iter().map(|length| length as i32).collect();
        let count = lengths.len();
        (count > 0).then(|| g.constant(TensorData::from_vec(lengths, [count]).unwrap()))
    };
    let (own, of_memory) = (lengths("lengths"), lengths("memory_lengths"));
    let own = AttentionInputs { lengths: own.as_ref(), ..AttentionInputs::default() };
    let of_memory = AttentionInputs { lengths: of_memory.as_ref(), ..AttentionInputs::default() };
    let mode = Mode::Training;
    if case.op == "attention" {
        let mut layer = AttentionLayer::new(2);
        layer.bias = case.flag("bias");
        if case.flag("causal") {
            layer = layer.causal();
        }
        let keys = inputs.get(1).unwrap_or(&inputs[0]);
        let values = inputs.get(2).unwrap_or(keys);
        let width = |key: &str| case.integer(key).unwrap_or(8) as usize;
        let attention = match case.integer("kdim") {
            Some(_) => layer.build_for(g, "layer", 8, width("kdim"), width("vdim")),
            None => layer.build(g, "layer", 8),
        };
        return attention.forward_with(&inputs[0], keys, values, own, mode);
    }
    if case.op == "tied" {
        let indices: Vec<i32> = case.integers("indices").into_iter().map(|index| index as i32).collect();
        let indices = g.constant(TensorData::from_vec(indices, [2, 3]).unwrap());
        let words = Embedding::new(g, "layer.words", 7, 8);
        let head = Dense::new(7).build_from(g, "layer.head", words.weight());
        return head.forward(&(words.forward(&indices) + &inputs[0]).tanh());
    }
    let activation = if case.text("activation") == "gelu" { Activation::Gelu } else { Activation::Relu };
    let mut options = Transformer::new(2).feed_forward(12).dropout(0.0).activation(activation);
    options.norm_first = case.flag("norm_first");
    match case.op.as_str() {
        "decoder" => {
            let layer = options.build_decoder_layer(g, "layer", 8);
            layer.forward((&inputs[0], own), (&inputs[1], of_memory), mode)
        }
        kind => {
            options.bias = case.flag("bias");
            if case.flag("causal") {
                options = options.score(Score::causal());
            }
            if kind == "encoder" {
                return options.build_encoder_layer(g, "layer", 8).forward(&inputs[0], own, mode);
            }
            let options = options.layers(case.integer("layers").unwrap() as usize);
            options.build_encoder(g, "layer", 8).forward(&inputs[0], own, mode)
        }
    }
}

#[test]
fn layers_are_torchs() {
    let cases = golden::read("transformer").unwrap();
    assert!(cases.len() >= 18, "{} cases", cases.len());
    let mut complaints = Vec::new();
    for device in devices() {
        for case in &cases {
            let count = case.integer("inputs").unwrap() as usize;
            let names: Vec<String> = case
                .attribute("parameters")
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().into())
                .collect();
            let g = Graph::new();
            let inputs: Vec<Tensor> =
                (0..count).map(|index| g.input(&format!("x{index}"), case.inputs[index].shape(), F32)).collect();
            let y = build(&g, case, &inputs);
            let upstream = g.constant(case.upstream[0].clone().unwrap());
            let parameters: Vec<Tensor> =
                names.iter().map(|name| g.find(&format!("layer.{name}")).unwrap_or_else(|| panic!("{name}"))).collect();
            assert_eq!(g.parameters().len(), names.len(), "{}", case.name);
            let sources: Vec<&Tensor> = inputs.iter().chain(&parameters).collect();
            g.output("y", &y);
            for (index, gradient) in g.gradients_from(&[(&y, &upstream)], &sources).iter().enumerate() {
                g.output(&format!("gradient{index}"), gradient);
            }
            let mut session = g.compile(&device).unwrap();
            for (name, value) in names.iter().zip(&case.inputs[count..]) {
                session.set_parameter(&format!("layer.{name}"), value).unwrap();
            }
            let known: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
            let named: Vec<(String, &TensorData)> =
                (0..count).map(|index| (format!("x{index}"), &case.inputs[index])).collect();
            let given: Vec<(&str, &TensorData)> = named
                .iter()
                .filter(|(name, _)| known.contains(name))
                .map(|(name, data)| (name.as_str(), *data))
                .collect();
            let found = session.run(&given).unwrap();
            let tolerance = Tolerance { absolute: 2e-6, relative: 2e-5 }.times(slack(&device));
            let mut compare = |what: &str, found: &TensorData, right: &TensorData| {
                let difference = golden::difference(found, right, tolerance);
                complaints.extend(difference.map(|text| format!("{} on {device:?}: {what}: {text}", case.name)));
            };
            compare("y", &found["y"], &case.outputs[0]);
            for (index, right) in case.gradients.iter().enumerate() {
                let name = if index < count { format!("x{index}") } else { names[index - count].clone() };
                compare(
                    &format!("gradient of {name}"),
                    &found[&format!("gradient{index}")[..]],
                    right.as_ref().unwrap(),
                );
            }
        }
    }
    golden::assert_none(&complaints);
}

/// Turned by their positions, a query and a key have a product that depends on their distance alone; and lengths stay.
#[test]
fn rotary_positions_are_relative() {
    for interleaved in [false, true] {
        let g = Graph::new();
        let rotary = Rotary::new(&g, 6, 50);
        let rotary = if interleaved { rotary.interleaved() } else { rotary };
        let (q, k) = (g.input("q", [1, 1, 1, 6], F32), g.input("k", [1, 1, 1, 6], F32));
        let all = |x: &Tensor| rotary.forward(&x.broadcast_to([1, 1, 40, 6]), None);
        let (q_turned, k_turned) = (all(&q), all(&k));
        g.output("products", &q_turned.matmul(&k_turned.transpose(2, 3)));
        g.output("length", &q_turned.square().sum([3]));
        let positions = g.constant(TensorData::from_slice(&[7, 3], [2]).unwrap());
        let some = rotary.forward(&q.broadcast_to([1, 1, 2, 6]), Some(&positions));
        g.output("difference", &(some.slice(2, 0, 1) - q_turned.slice(2, 7, 8)));
        let mut session = g.compile(&Device::cpu()).unwrap();
        let row =
            |seed: f32| TensorData::from_vec((0..6).map(|k| (seed + k as f32).sin()).collect(), [1, 1, 1, 6]).unwrap();
        let found = session.run(&[("q", &row(1.0)), ("k", &row(2.5))]).unwrap();
        let products = found["products"].to_f64_vec();
        for query in 1..40 {
            for key in 1..40 {
                let (here, before) = (products[query * 40 + key], products[(query - 1) * 40 + key - 1]);
                assert!((here - before).abs() < 1e-5, "{query}, {key}: {here} and {before}");
            }
        }
        assert!((products[1] - products[0]).abs() > 1e-3);
        let lengths = found["length"].to_f64_vec();
        assert!(lengths.iter().all(|length| (length - lengths[0]).abs() < 1e-5));
        assert!(found["difference"].to_f64_vec().iter().all(|value| value.abs() < 1e-6));
    }
}

/// A model of positions, attention and dropout finds which of two marked words comes first, which no bag of words could.
#[test]
fn an_encoder_learns_an_order() {
    let mut state = 1_u32;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..600 {
        let mut row: Vec<i32> = (0..12).map(|_| random(8) as i32 + 2).collect();
        let (first, second) = (random(6), random(6) + 6);
        let is_swapped = random(2) == 1;
        row[first as usize] = i32::from(is_swapped);
        row[second as usize] = i32::from(!is_swapped);
        x.extend(row);
        y.push(i32::from(is_swapped));
    }
    let data = Dataset::new([
        ("x", TensorData::from_vec(x, [600, 12]).unwrap()),
        ("y", TensorData::from_vec(y, [600]).unwrap()),
    ])
    .unwrap();
    let encoder = Transformer::new(4).layers(1).feed_forward(32).dropout(0.05).norm_first();
    let positions = Position::Learned { longest: 12 };
    let model = Sequential::new([12]).embedding(10, 16).positions(positions).layer(encoder).flatten().dense(2);
    for device in devices() {
        let mut trainer = model.clone().compile(&device, Adam::new(5e-3), CrossEntropy, [Accuracy]).unwrap();
        trainer.fit(&data, Fit::epochs(if device.is_cpu() { 12 } else { 1 }).batch_size(50)).unwrap();
        if device.is_cpu() {
            let found = trainer.evaluate(&data).unwrap();
            let accuracy = found.metric("accuracy").unwrap();
            assert!(accuracy > 0.95, "{accuracy}");
        }
    }
}
