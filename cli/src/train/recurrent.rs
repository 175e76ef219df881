//! Recurrent layers of the demos, by the kind that the user names.

use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{GRU, LSTM, Mode, RNN, Recurrent, RecurrentInputs, RecurrentKind};

/// The kind of a model's name.
pub fn kind(model: &str) -> RecurrentKind {
    match model {
        "rnn" => RecurrentKind::Rnn,
        "gru" => RecurrentKind::Gru,
        _ => RecurrentKind::Lstm,
    }
}

/// The outputs and last states of a sequence.
pub struct Passed {
    /// `[steps, batch, directions · hidden]`
    pub outputs: Tensor,
    /// Hidden and, of an LSTM, cell: `[layers · directions, batch, hidden]` each.
    pub last: Vec<Tensor>,
}

/// Runs layers over `x` `[steps, batch, width]`; they are named after their kind.
#[track_caller]
pub fn forward(
    g: &Graph,
    kind: RecurrentKind,
    x: &Tensor,
    hidden: usize,
    options: Recurrent,
    inputs: &RecurrentInputs<'_>,
    mode: Mode,
) -> Passed {
    let width = x.shape().last().copied().unwrap_or(1);
    let name = kind.name();
    match kind {
        RecurrentKind::Lstm => {
            let found = LSTM::with(g, name, width, hidden, options).forward_with(x, inputs, mode);
            Passed { outputs: found.outputs, last: vec![found.h_n, found.c_n] }
        }
        RecurrentKind::Gru => {
            let found = GRU::with(g, name, width, hidden, options).forward_with(x, inputs, mode);
            Passed { outputs: found.outputs, last: vec![found.h_n] }
        }
        RecurrentKind::Rnn => {
            let found = RNN::with(g, name, width, hidden, options).forward_with(x, inputs, mode);
            Passed { outputs: found.outputs, last: vec![found.h_n] }
        }
    }
}
