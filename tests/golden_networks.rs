//! Small forms of the benchmarks' networks: their loss, logits and gradients as PyTorch computes them, `tests/golden/networks.json`.
//!
//! Parameters and inputs come from formulas (`support::drawn`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod support;

use support::devices::devices;
use support::drawn::{LABELS, TOKENS, floats, integers, parameter};
use support::golden::{self, Case, Tolerance};
use wgrad::bench::{Llama, ResNet, Whisper};
use wgrad::prelude::*;

const PROBES: usize = 24;

const LLAMA: Llama = Llama {
    vocabulary: 64,
    layers: 2,
    width: 32,
    heads: 4,
    key_value_heads: 2,
    inner: 48,
    rotary_base: 100_000.0,
    longest: 32,
};
const RESNET: ResNet = ResNet { blocks: [1, 2, 1, 1], width: 4, classes: 10 };
const WHISPER: Whisper = Whisper { vocabulary: 64, layers: 2, width: 32, heads: 4, longest: 16 };

/// Up to 24 elements from the first to the last, and the mean magnitude of all.
fn probe(values: &TensorData) -> TensorData {
    let values = values.to_f64_vec();
    let count = values.len().min(PROBES);
    let index = |k: usize| if values.len() <= PROBES { k } else { k * (values.len() - 1) / (PROBES - 1) };
    let mean = values.iter().map(|value| value.abs()).sum::<f64>() / values.len() as f64;
    let probes: Vec<f64> = (0..count).map(|k| values[index(k)]).chain([mean]).collect();
    TensorData::from_f64(F32, &probes, [count + 1]).unwrap()
}

/// What a network is given, the labels, and its logits in a graph.
struct Network {
    inputs: Vec<(&'static str, TensorData)>,
    labels: TensorData,
    logits: fn(&Graph, &[Tensor], Mode) -> Tensor,
}

fn network(op: &str) -> Network {
    match op {
        "llama" => Network {
            inputs: vec![("tokens", integers(TOKENS, &[2, 12], 64))],
            labels: integers(LABELS, &[24], 64),
            logits: |g, inputs, _| LLAMA.logits(g, &inputs[0], None),
        },
        "resnet" => Network {
            inputs: vec![("images", floats(&[3, 3, 32, 32]))],
            labels: integers(LABELS, &[3], 10),
            logits: |g, inputs, mode| RESNET.logits(g, &inputs[0], mode),
        },
        "whisper" => Network {
            inputs: vec![("sound", floats(&[2, 8, 40])), ("tokens", integers(TOKENS, &[2, 10], 64))],
            labels: integers(LABELS, &[20], 64),
            logits: |g, inputs, mode| WHISPER.logits(g, &inputs[0], &inputs[1], mode),
        },
        other => panic!("nothing is known of {other:?}"),
    }
}

impl Network {
    fn graph(&self, mode: Mode) -> (Graph, Tensor) {
        let g = Graph::new();
        let inputs: Vec<Tensor> =
            self.inputs.iter().map(|(name, data)| g.input(name, data.shape(), data.dtype())).collect();
        let logits = (self.logits)(&g, &inputs, mode);
        g.output("logits", &logits);
        (g, logits)
    }

    fn given(&self) -> Vec<(&str, &TensorData)> {
        self.inputs.iter().map(|(name, data)| (*name, data)).collect()
    }
}

fn complaints(case: &Case, device: &Device) -> Vec<String> {
    let network = network(&case.op);
    let (g, logits) = network.graph(Mode::Training);
    let classes = logits.shape()[logits.rank() - 1];
    let loss = logits.reshape([network.labels.shape()[0], classes]).cross_entropy(&g.constant(network.labels.clone()));
    let parameters = g.parameters();
    let sources: Vec<&Tensor> = parameters.iter().map(|(_, parameter)| parameter).collect();
    let gradients = g.gradients(&loss, &sources);
    g.output("loss", &loss);
    for ((name, _), gradient) in parameters.iter().zip(&gradients) {
        g.output(name, gradient);
    }
    let mut session = g.compile(device).unwrap();
    for (name, tensor) in &parameters {
        session.set_parameter(name, &parameter(name, &tensor.shape())).unwrap();
    }
    let found = session.run(&network.given()).unwrap();
    let mut complaints = Vec::new();
    let mut compare = |what: &str, found: &TensorData, right: &TensorData| {
        let largest = right.to_f64_vec().into_iter().fold(1e-2_f64, |largest, value| largest.max(value.abs()));
        let tolerance = Tolerance { absolute: 1e-4 * largest, relative: 1e-4 };
        let difference = golden::difference(found, right, tolerance);
        complaints.extend(difference.map(|text| format!("{} on {device:?}: {what}: {text}", case.name)));
    };
    let number = |value: f64| TensorData::from_f64(F32, &[value], [1]).unwrap();
    compare("loss", &number(found["loss"].to_f64_vec()[0]), &number(case.fields["loss"].as_f64().unwrap()));
    compare("logits", &probe(&found["logits"]), case.tensor(&case.fields["logits"]).unwrap());
    let expected = case.fields["gradients"].as_object().unwrap();
    assert_eq!(expected.len(), parameters.len(), "{}", case.name);
    let mut squares = 0.0;
    for (name, right) in expected {
        squares += found[name.as_str()].to_f64_vec().into_iter().map(|value| value * value).sum::<f64>();
        compare(name, &probe(&found[name.as_str()]), case.tensor(right).unwrap());
    }
    compare("norm", &number(squares.sqrt()), &number(case.fields["norm"].as_f64().unwrap()));
    let program = session.load(&network.graph(Mode::Evaluation).0).unwrap();
    let evaluated = session.using(&program).run(&network.given()).unwrap();
    compare("evaluation", &probe(&evaluated["logits"]), case.tensor(&case.fields["evaluation"]).unwrap());
    complaints
}

#[test]
fn losses_and_gradients_are_torchs() {
    let cases = golden::read("networks").unwrap();
    assert_eq!(cases.len(), 3);
    let all: Vec<String> =
        devices().iter().flat_map(|device| cases.iter().flat_map(|case| complaints(case, device))).collect();
    golden::assert_none(&all);
}

/// Token by token with a cache, grouped heads and rotary positions give what the whole sequence does.
#[test]
fn tokens_in_a_cache_have_the_logits_of_the_whole_sequence() {
    const LENGTH: usize = 12;
    let network = network("llama");
    let tokens = &network.inputs[0].1;
    for device in devices() {
        let (g, _) = network.graph(Mode::Evaluation);
        let mut session = g.compile(&device).unwrap();
        for (name, tensor) in g.parameters() {
            session.set_parameter(&name, &parameter(&name, &tensor.shape())).unwrap();
        }
        let whole = session.run(&network.given()).unwrap()["logits"].to_f64_vec();
        let step = |new: usize| {
            let g = Graph::new();
            let (tokens, position) = (g.input("tokens", [2, new], I32), g.input("position", [2], I32));
            let cache = nn::KeyValueCache::new(&g, "cache", 2, LENGTH, &position);
            g.output("logits", &LLAMA.logits(&g, &tokens, Some(&cache)));
            g
        };
        let programs = [5, 1].map(|new| (new, session.load(&step(new)).unwrap()));
        let mut position = nn::CachePosition::new(2, LENGTH);
        while position.filled() < LENGTH {
            let begin = position.filled();
            let (new, program) = &programs[usize::from(begin > 0)];
            let rows = tokens.to_f64_vec();
            let part: Vec<i32> = (0..2)
                .flat_map(|row| (begin..begin + new).map(move |at| row * LENGTH + at))
                .map(|at| rows[at] as i32)
                .collect();
            let part = TensorData::from_vec(part, [2, *new]).unwrap();
            let given = [("tokens", &part), ("position", &position.advance(*new).unwrap())];
            let found = session.using(program).run(&given).unwrap()["logits"].to_f64_vec();
            for (index, found) in found.iter().enumerate() {
                let (row, at, class) = (index / (new * 64), index / 64 % new, index % 64);
                let right = whole[(row * LENGTH + begin + at) * 64 + class];
                assert!(
                    (found - right).abs() < 2e-5,
                    "{device:?}: {row}, {}, {class}: {found} and {right}",
                    begin + at
                );
            }
        }
    }
}

#[test]
fn heads_that_do_not_divide_are_a_mistake() {
    let g = Graph::new();
    let x = g.input("x", [1, 4, 32], F32);
    nn::AttentionLayer::new(4).key_value_heads(3).build(&g, "attention", 32).forward(&x, Mode::Evaluation);
    let message = g.error().unwrap().to_string();
    assert!(message.contains("4 heads of queries are no multiple of 3 heads of keys and values"), "{message}");
}
