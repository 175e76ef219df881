//! Recurrent layers and embeddings to check: what they put around the recurrence itself.

use super::Family;
use super::input::Input;
use crate::graph::Tensor;
use crate::nn::{EmbeddingLayer, GRU, LSTM, Mode, RNN, Recurrent, RecurrentInputs, RecurrentKind, RecurrentWeights};

/// Sums of products through several steps and layers.
const SUM: f64 = 5e-5;

pub(super) fn families() -> Vec<Family> {
    let both = Recurrent::new().num_layers(2).bidirectional();
    let family = |name: &str, kind: RecurrentKind, options: Recurrent| {
        let family = Family::new(format!("layer/{name}"), SUM);
        let family = recurrent(family, kind, options, [5, 3, 4, 7]);
        recurrent(family, kind, Recurrent { num_layers: 1, ..options }, [1, 1, 1, 1])
    };
    vec![
        family("rnn", RecurrentKind::Rnn, both),
        family("rnn_relu", RecurrentKind::Rnn, both.relu()),
        family("lstm", RecurrentKind::Lstm, both),
        family("gru", RecurrentKind::Gru, both),
        family("gru_reset_before", RecurrentKind::Gru, both.reset_after(false)),
        Family::new("layer/embedding", SUM)
            .case([Input::normal(&[50, 17]), Input::integers(&[4, 6], 0, 50)], |inputs| {
                EmbeddingLayer::new(50, 17)
                    .padding_idx(3)
                    .build_from(inputs[0].graph(), "table", &inputs[0])
                    .forward(&inputs[1])
            })
            .case([Input::normal(&[9, 5]), Input::integers(&[64], 0, 9)], |inputs| {
                EmbeddingLayer::new(9, 5)
                    .max_norm(2.0)
                    .build_from(inputs[0].graph(), "table", &inputs[0])
                    .forward(&inputs[1])
            }),
    ]
}

/// Steps, rows, features and hidden units; from zeros, for rows of lengths.
fn recurrent(family: Family, kind: RecurrentKind, options: Recurrent, sizes: [usize; 4]) -> Family {
    let [steps, batch, features, hidden] = sizes;
    let gates = match kind {
        RecurrentKind::Rnn => 1,
        RecurrentKind::Lstm => 4,
        RecurrentKind::Gru => 3,
    };
    let bound = (hidden as f64).sqrt().recip();
    let mut inputs = vec![Input::normal(&[steps, batch, features]), Input::integers(&[batch], 1, steps as i64 + 1)];
    for index in 0..options.num_layers * options.directions() {
        let width = if index < options.directions() { features } else { hidden * options.directions() };
        let rows = gates * hidden;
        for shape in [&[rows, width][..], &[rows, hidden], &[rows], &[rows]] {
            inputs.push(Input::uniform(shape, -bound, bound, &[]));
        }
    }
    family.case(inputs, move |inputs| build(inputs, kind, options))
}

fn build(inputs: &[Tensor], kind: RecurrentKind, options: Recurrent) -> Tensor {
    let [x, lengths, rest @ ..] = inputs else { return inputs[0].clone() };
    let mut weights = Vec::new();
    for part in rest.chunks(4) {
        if let [input, hidden, first, second] = part {
            let biases = Some((first.clone(), second.clone()));
            let (input, hidden) = (input.clone(), hidden.clone());
            weights.push(RecurrentWeights { input, hidden, biases, parameters: Vec::new() });
        }
    }
    let (g, inputs) = (x.graph(), RecurrentInputs::new().lengths(lengths));
    let parts = match kind {
        RecurrentKind::Rnn => {
            let found = RNN::with_weights(g, "layer", options, weights).forward_with(x, &inputs, Mode::Training);
            vec![found.outputs, found.h_n]
        }
        RecurrentKind::Lstm => {
            let found = LSTM::with_weights(g, "layer", options, weights).forward_with(x, &inputs, Mode::Training);
            vec![found.outputs, found.h_n, found.c_n]
        }
        RecurrentKind::Gru => {
            let found = GRU::with_weights(g, "layer", options, weights).forward_with(x, &inputs, Mode::Training);
            vec![found.outputs, found.h_n]
        }
    };
    let flat: Vec<Tensor> = parts.iter().map(|part| part.reshape([part.shape().len()])).collect();
    g.concat(&flat.iter().collect::<Vec<_>>(), 0)
}
