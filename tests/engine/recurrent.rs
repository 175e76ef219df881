//! Gradients of recurrent layers and embeddings, and gradients of those, against finite differences in f64.

use wgrad::nn::{Embedding, GRU, LSTM, RNN, Recurrent, RecurrentInputs, RecurrentWeights};
use wgrad::ops::{Cell, CellDefinition, RecurrentOptions};
use wgrad::prelude::*;

use super::finite_differences::{Source, check};

const INPUTS: usize = 2;
const HIDDEN: usize = 2;

/// Steps, rows, and what a layer of these is gone through with.
#[derive(Clone, Copy)]
struct Layer {
    kind: &'static str,
    options: Recurrent,
    lengths: Option<[f64; 2]>,
}

/// Everything that a layer has is a source: x, first states, weights, biases.
fn layer(what: Layer) {
    let Layer { kind, options, lengths } = what;
    let gates = match kind {
        "lstm" => 4,
        "gru" => 3,
        _ => 1,
    };
    let cells = options.num_layers * options.directions();
    let mut shapes = vec![vec![3, 2, INPUTS], vec![cells, 2, HIDDEN]];
    if kind == "lstm" {
        shapes.push(vec![cells, 2, HIDDEN]);
    }
    let states = shapes.len() - 1;
    for cell in 0..cells {
        let width = if cell < options.directions() { INPUTS } else { HIDDEN * options.directions() };
        shapes.push(vec![gates * HIDDEN, width]);
        shapes.push(vec![gates * HIDDEN, HIDDEN]);
        if options.bias {
            shapes.extend([vec![gates * HIDDEN], vec![gates * HIDDEN]]);
        }
    }
    let sources: Vec<Source<'_>> = shapes.iter().map(|shape| (shape.as_slice(), -1.1, 1.3)).collect();
    check(&format!("{kind}, {options:?}, {lengths:?}"), &sources, |g, x| {
        let lengths = lengths.map(|lengths| g.constant(TensorData::from_f64(I32, &lengths, [2]).unwrap()));
        let inputs =
            RecurrentInputs { hidden: Some(&x[1]), cell: (states == 2).then(|| &x[2]), lengths: lengths.as_ref() };
        let weights = x[1 + states..].chunks(if options.bias { 4 } else { 2 });
        let weights = weights
            .map(|part| RecurrentWeights {
                input: part[0].clone(),
                hidden: part[1].clone(),
                biases: options.bias.then(|| (part[2].clone(), part[3].clone())),
                parameters: Vec::new(),
            })
            .collect();
        let all = match kind {
            "lstm" => {
                let found =
                    LSTM::with_weights(g, "layer", options, weights).forward_with(&x[0], &inputs, Mode::Training);
                vec![found.outputs, found.h_n, found.c_n]
            }
            "gru" => {
                let found =
                    GRU::with_weights(g, "layer", options, weights).forward_with(&x[0], &inputs, Mode::Training);
                vec![found.outputs, found.h_n]
            }
            _ => {
                let found =
                    RNN::with_weights(g, "layer", options, weights).forward_with(&x[0], &inputs, Mode::Training);
                vec![found.outputs, found.h_n]
            }
        };
        let flat: Vec<Tensor> = all.iter().map(|tensor| tensor.reshape([tensor.shape().len()])).collect();
        g.concat(&flat.iter().collect::<Vec<_>>(), 0)
    });
}

#[test]
fn layers_of_every_cell() {
    for kind in ["rnn", "lstm", "gru"] {
        layer(Layer { kind, options: Recurrent::new(), lengths: None });
        layer(Layer { kind, options: Recurrent::new().bidirectional(), lengths: Some([1.0, 3.0]) });
    }
    layer(Layer {
        kind: "gru",
        options: Recurrent::new().reset_after(false).bidirectional(),
        lengths: Some([3.0, 2.0]),
    });
    layer(Layer { kind: "rnn", options: Recurrent::new().relu(), lengths: None });
    layer(Layer { kind: "lstm", options: Recurrent::new().num_layers(2).bias(false), lengths: None });
}

/// A cell by itself: gates, weight, bias, first states and parameters are sources.
fn cell(cell: &Cell, reverse: bool, lengths: Option<[f64; 2]>) {
    let width = cell.gates() * HIDDEN;
    let mut shapes = vec![vec![3, 2, width], vec![width, HIDDEN], vec![width], vec![cell.states(), 2, HIDDEN]];
    shapes.extend(cell.parameters().iter().map(|_| vec![HIDDEN]));
    let sources: Vec<Source<'_>> = shapes.iter().map(|shape| (shape.as_slice(), -1.1, 1.3)).collect();
    check(&format!("{cell:?}, {reverse}, {lengths:?}"), &sources, |g, x| {
        let lengths = lengths.map(|lengths| g.constant(TensorData::from_f64(I32, &lengths, [2]).unwrap()));
        let options = RecurrentOptions {
            reverse,
            bias: Some(&x[2]),
            initial: Some(&x[3]),
            parameters: &x[4..],
            lengths: lengths.as_ref(),
            ..RecurrentOptions::new(cell.clone())
        };
        let found = x[0].recurrent(&x[1], &options);
        let flat = [found.outputs, found.last].map(|tensor| tensor.reshape([tensor.shape().len()]));
        g.concat(&[&flat[0], &flat[1]], 0)
    });
}

#[test]
fn cells_of_ones_own() -> Result<()> {
    let peephole = CellDefinition::new("peephole_lstm", 4).parameters(["ci", "cf", "co"]).step(|s| {
        let c = s.state(1);
        let i = (s.gate(0) + s.parameter("ci") * c).sigmoid();
        let f = (s.gate(1) + s.parameter("cf") * c).sigmoid();
        let c = f * c + i * s.gate(2).tanh();
        [(s.gate(3) + s.parameter("co") * c).sigmoid() * c.tanh(), c]
    })?;
    // Products and sums with gradients of their own in both halves, and three states.
    let mixed = CellDefinition::new("mixed", 3).parameters(["a", "b"]).step(|s| {
        let r = (s.input(0) + s.parameter("a") * s.product(0)).sigmoid();
        s.second_product(1, r * s.state(0) + s.state(2).tanh() * s.parameter("b"));
        let n = (s.input(1) + r * s.product(1)).tanh();
        let m = s.gate(2).softsign();
        [n + m * (s.state(1) - n), s.state(1) * 0.5 + m, (n * s.state(2)).erf() + r]
    })?;
    cell(&peephole, false, None);
    cell(&peephole, true, Some([1.0, 3.0]));
    cell(&mixed, false, Some([3.0, 2.0]));
    cell(&mixed, true, None);
    Ok(())
}

#[test]
fn embeddings() {
    let indices = |g: &Graph| g.constant(TensorData::from_f64(I32, &[3., 0., 3., 1., 1., 2.], [2, 3]).unwrap());
    check("embedding", &[(&[4, 2], -1.3, 1.7)], |g, x| Embedding::from_weight(g, "table", &x[0]).forward(&indices(g)));
}
