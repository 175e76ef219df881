//! RNN, LSTM and GRU as PyTorch computes them, forward and backward, on every device: `tests/golden/recurrent.json`.
//!
//! Inputs and weights come from a formula that stands in `tools/golden_cases/recurrent.py` too; of each result some elements and
//! the mean magnitude of all are compared.

use super::support::devices::{devices, slack};
use super::support::drawn;
use super::support::golden::{self, Case};
use wgrad::compiler::Options;
use wgrad::nn::{EmbeddingLayer, GRU, LSTM, RNN, Recurrent, RecurrentInputs, RecurrentWeights};
use wgrad::prelude::*;

const PROBES: usize = 24;
const X: u32 = 1000;
const HIDDEN: u32 = 1001;
const CELL: u32 = 1002;
const UPSTREAM: u32 = 1003;

/// Numbers within ± bound.
fn draw(seed: u32, shape: &[usize], bound: f64) -> TensorData {
    TensorData::from_vec(drawn::draw(seed, shape, bound), shape).unwrap()
}

/// Up to 24 elements from the first to the last, and the mean magnitude of all.
fn probe(values: &TensorData) -> Vec<f64> {
    let values = values.to_f64_vec();
    let indices: Vec<usize> = if values.len() <= PROBES {
        (0..values.len()).collect()
    } else {
        (0..PROBES).map(|k| k * (values.len() - 1) / (PROBES - 1)).collect()
    };
    let mean = values.iter().map(|value| value.abs()).sum::<f64>() / values.len() as f64;
    indices.into_iter().map(|index| values[index]).chain([mean]).collect()
}

#[test]
fn short_sequences() {
    run(|case| case.integer("steps").is_some_and(|steps| steps < 100));
}

#[test]
fn long_sequences() {
    run(|case| case.integer("steps").is_some_and(|steps| steps >= 100));
}

#[test]
fn embeddings() {
    let cases: Vec<Case> =
        golden::read("recurrent").unwrap().into_iter().filter(|case| case.op == "embedding").collect();
    assert!(cases.len() >= 16, "{} cases", cases.len());
    for device in devices() {
        golden::assert_none(&golden::complaints(&cases, &device, &|case, inputs| {
            let table = inputs[0].shape();
            let mut embedding = EmbeddingLayer::new(table[0], table[1]);
            if let Some(index) = case.integer("padding_idx") {
                embedding = embedding.padding_idx(index as isize);
            }
            if let Some(max_norm) = case.number("max_norm") {
                embedding = embedding.max_norm(max_norm);
            }
            let embedding = embedding.build_from(inputs[0].graph(), "table", &inputs[0]);
            Some(vec![embedding.forward(&inputs[1])])
        }));
    }
}

fn run(wanted: impl Fn(&Case) -> bool) {
    let cases = golden::read("recurrent").unwrap();
    assert!(cases.len() >= 55, "{} cases", cases.len());
    let mut complaints = Vec::new();
    for device in devices() {
        for case in cases.iter().filter(|case| wanted(case)) {
            complaints.extend(check(case, &device).unwrap_or_else(|error| vec![format!("{}: {error}", case.name)]));
        }
    }
    golden::assert_none(&complaints);
}

/// Inputs of a graph with their values.
struct Inputs {
    graph: Graph,
    given: Vec<(String, TensorData)>,
}

impl Inputs {
    fn add(&mut self, name: &str, data: TensorData) -> Tensor {
        let tensor = self.graph.input(name, data.shape(), data.dtype());
        self.given.push((name.to_owned(), data));
        tensor
    }
}

fn check(case: &Case, device: &Device) -> Result<Vec<String>> {
    let size = |key: &str| case.integer(key).unwrap() as usize;
    let (steps, batch, features, hidden) = (size("steps"), size("batch"), size("input"), size("hidden"));
    let (layers, bias, batch_first) = (size("layers"), case.flag("bias"), case.flag("batch_first"));
    let directions = if case.flag("bidirectional") { 2 } else { 1 };
    let gates = match case.op.as_str() {
        "lstm" => 4,
        "rnn" | "rnn_relu" => 1,
        _ => 3,
    };
    let g = Graph::new();
    let mut inputs = Inputs { graph: g.clone(), given: Vec::new() };
    // Mid-graph: the input passes through numbers that the compiler does not know.
    let one = inputs.add("one", TensorData::scalar(1.0_f32));
    let x = inputs.add("x", draw(X, &[steps, batch, features], 1.5));
    let mut sources = vec![x.clone()];
    let shape = [layers * directions, batch, hidden];
    let mut states = Vec::new();
    if case.flag("states") {
        let seeds = [("h_0", HIDDEN), ("c_0", CELL)];
        for (name, seed) in seeds.into_iter().take(if gates == 4 { 2 } else { 1 }) {
            states.push(inputs.add(name, draw(seed, &shape, 0.8)));
        }
        sources.extend(states.clone());
    }
    let bound = 1.0 / (hidden as f64).sqrt();
    let mut weights = Vec::new();
    for cell in 0..layers * directions {
        let width = if cell < directions { features } else { hidden * directions };
        let rows = gates * hidden;
        let mut parameter = |shape: &[usize]| {
            let seed = sources.len() - 1 - states.len();
            let tensor = inputs.add(&format!("parameter{seed}"), draw(seed as u32, shape, bound));
            sources.push(tensor.clone());
            tensor
        };
        let (input, hidden) = (parameter(&[rows, width]), parameter(&[rows, hidden]));
        let biases = bias.then(|| (parameter(&[rows]), parameter(&[rows])));
        weights.push(RecurrentWeights { input, hidden, biases, parameters: Vec::new() });
    }
    let lengths: Vec<i32> = case.integers("lengths").iter().map(|&length| length as i32).collect();
    let lengths = (!lengths.is_empty()).then(|| {
        let data = TensorData::from_slice(&lengths, [batch]).unwrap();
        nn::check_lengths(&data, steps).unwrap();
        inputs.add("lengths", data)
    });
    let mut options = Recurrent::new().num_layers(layers).bias(bias).batch_first(batch_first);
    options.bidirectional = directions == 2;
    options.relu = case.op == "rnn_relu";
    options.reset_after = case.op != "gru_reset_before";
    let x = &x * &one;
    let x = if batch_first { x.transpose(0, 1) } else { x };
    let recurrent = RecurrentInputs { hidden: states.first(), cell: states.get(1), lengths: lengths.as_ref() };
    let mut outputs = match gates {
        4 => {
            let found = LSTM::with_weights(&g, "layer", options, weights).forward_with(&x, &recurrent, Mode::Training);
            vec![found.outputs, found.h_n, found.c_n]
        }
        1 => {
            let found = RNN::with_weights(&g, "layer", options, weights).forward_with(&x, &recurrent, Mode::Training);
            vec![found.outputs, found.h_n]
        }
        _ => {
            let found = GRU::with_weights(&g, "layer", options, weights).forward_with(&x, &recurrent, Mode::Training);
            vec![found.outputs, found.h_n]
        }
    };
    if batch_first {
        outputs[0] = outputs[0].transpose(0, 1);
    }
    let mut pairs = Vec::new();
    for (k, output) in outputs.iter().enumerate() {
        pairs.push((
            output * &one,
            inputs.add(&format!("upstream{k}"), draw(UPSTREAM + k as u32, &output.shape(), 1.0)),
        ));
    }
    let pairs: Vec<(&Tensor, &Tensor)> = pairs.iter().map(|(output, upstream)| (output, upstream)).collect();
    let gradients = g.gradients_from(&pairs, &sources.iter().collect::<Vec<_>>());
    let mut names: Vec<String> = ["outputs", "h_n", "c_n"].map(str::to_owned)[..outputs.len()].to_vec();
    names.push("gradient of x".into());
    names.extend(["gradient of h_0", "gradient of c_0"].map(str::to_owned).into_iter().take(states.len()));
    names.extend((0..sources.len() - 1 - states.len()).map(|seed| format!("gradient of parameter {seed}")));
    for (name, tensor) in names.iter().zip(outputs.iter().chain(&gradients)) {
        g.output(name, tensor);
    }
    let given: Vec<(&str, &TensorData)> = inputs.given.iter().map(|(name, data)| (name.as_str(), data)).collect();
    let right = case.tensor(&case.fields["probes"])?.to_f64_vec();
    let mut complaints = Vec::new();
    // Every kernel that could be chosen, the first of which is; of small cases, as a software driver takes its time.
    let small = steps * batch * hidden * layers * directions <= 2000;
    let mut variants = 0..1;
    while let Some(variant) = variants.next() {
        let mut session = Session::with_options(&g, device, 0, Options { variant, ..Options::default() })?;
        if small {
            variants.end = session.program().variants;
        }
        let found = session.run(&given)?;
        let mut start = 0;
        let tolerance = case.tolerance.times(slack(device));
        for name in &names {
            let probes = probe(&found[name.as_str()]);
            let wanted = &right[start..start + probes.len()];
            start += probes.len();
            let as_data = |values: &[f64]| TensorData::from_f64(F32, values, [values.len()]).unwrap();
            if let Some(difference) = golden::difference(&as_data(&probes), &as_data(wanted), tolerance) {
                let device = device.name();
                complaints.push(format!("{} on {device}, variant {variant}: {name}: {difference}", case.name));
            }
        }
        assert_eq!(start, right.len(), "{}", case.name);
    }
    Ok(complaints)
}
