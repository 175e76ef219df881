//! Recurrent layers: RNN, LSTM and GRU as PyTorch has them, and those of any other cell, over [`Tensor::recurrent`].
//!
//! What depends on the step before is one operator for each layer and direction. What does not, the product of all inputs with
//! their weights and the sum of both biases, is one matrix product ahead of it. Names, layouts and the order of gates are
//! PyTorch's, so that weights move between the two unchanged.

mod carried;
mod cells;
mod custom;
mod layers;
mod lengths;
mod sequential;
mod stack;

pub use carried::CarriedState;
pub use cells::{CustomRNNCell, GRUCell, LSTMCell, RNNCell};
pub use custom::{CustomRNN, CustomRNNInputs, CustomRNNOutput};
pub use layers::{GRU, LSTM, RNN};
pub use lengths::check_lengths;
pub use sequential::{RecurrentCell, RecurrentKind, RecurrentLayer};
pub use stack::RecurrentWeights;

use super::Dropout;
use crate::graph::Tensor;
use crate::ops::Cell;

/// What an [`RNN`], [`LSTM`], [`GRU`] or [`CustomRNN`] does, apart from its sizes.
///
/// ```
/// use wgrad::nn::Recurrent;
/// let options = Recurrent::new().num_layers(2).bidirectional().dropout(0.3).batch_first(true);
/// assert_eq!(options.directions(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent {
    /// Layers, each of which takes the outputs of the one before.
    pub num_layers: usize,
    /// Whether the sequence is also processed in reverse, from its end.
    pub bidirectional: bool,
    /// Whether there are biases.
    pub bias: bool,
    /// The probability of an output to become 0 before the next layer, while training.
    pub dropout: f64,
    /// Whether inputs and outputs are `[batch, steps, …]` and not `[steps, batch, …]`. States are `[…, batch, hidden]` either way.
    pub batch_first: bool,
    /// Of an RNN: max(x, 0) instead of tanh.
    pub relu: bool,
    /// Of a GRU: whether the reset gate is applied after the product with the state (PyTorch, and Keras unless told otherwise) or
    /// before it (Cho et al. 2014).
    pub reset_after: bool,
}

impl Default for Recurrent {
    fn default() -> Self {
        Self::new()
    }
}

impl Recurrent {
    /// PyTorch's: one layer, one direction, with biases, steps first.
    pub const fn new() -> Self {
        Self {
            num_layers: 1,
            bidirectional: false,
            bias: true,
            dropout: 0.0,
            batch_first: false,
            relu: false,
            reset_after: true,
        }
    }

    /// With `num_layers` layers.
    #[must_use]
    pub const fn num_layers(self, num_layers: usize) -> Self {
        Self { num_layers, ..self }
    }

    /// Through the sequence from both ends.
    #[must_use]
    pub const fn bidirectional(self) -> Self {
        Self { bidirectional: true, ..self }
    }

    /// With biases or without.
    #[must_use]
    pub const fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// With dropout between layers.
    #[must_use]
    pub const fn dropout(self, probability: f64) -> Self {
        Self { dropout: probability, ..self }
    }

    /// With inputs and outputs of `[batch, steps, …]`.
    #[must_use]
    pub const fn batch_first(self, batch_first: bool) -> Self {
        Self { batch_first, ..self }
    }

    /// Of an RNN: with max(x, 0) instead of tanh.
    #[must_use]
    pub const fn relu(self) -> Self {
        Self { relu: true, ..self }
    }

    /// Of a GRU: with the reset gate after the product or before it.
    #[must_use]
    pub const fn reset_after(self, reset_after: bool) -> Self {
        Self { reset_after, ..self }
    }

    /// Directions through the sequence: 1 or 2.
    pub const fn directions(self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// What is wrong with the options of a layer.
    fn check(self, cell: &RecurrentCell, hidden: usize) -> Result<(), String> {
        if hidden == 0 {
            return Err("needs one unit or more".into());
        }
        if self.num_layers == 0 {
            return Err("needs one layer or more".into());
        }
        if self.relu && *cell != RecurrentCell::Kind(RecurrentKind::Rnn) {
            return Err("has gates of its own and takes no relu; that is for an rnn".into());
        }
        if !self.reset_after && *cell != RecurrentCell::Kind(RecurrentKind::Gru) {
            return Err("has no reset gate; reset_after is for a gru".into());
        }
        Dropout::new(self.dropout).check().map_err(|message| format!("dropout between layers: {message}"))
    }

    /// Number of trainable values.
    fn parameter_count(self, cell: &Cell, input: usize, hidden: usize) -> usize {
        let rows = cell.gates() * hidden;
        let later = hidden * self.directions();
        (0..self.num_layers)
            .map(|layer| {
                let inputs = if layer == 0 { input } else { later };
                let own = cell.parameters().len() * hidden;
                self.directions() * (rows * (inputs + hidden + if self.bias { 2 } else { 0 }) + own)
            })
            .sum()
    }
}

/// What a sequence begins with, and how long its rows are.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecurrentInputs<'a> {
    /// The hidden state before the first step, `[layers · directions, batch, hidden]`, PyTorch's `h_0`; zeros where there is none.
    pub hidden: Option<&'a Tensor>,
    /// Of an LSTM: the cell's state, of the same shape, PyTorch's `c_0`.
    pub cell: Option<&'a Tensor>,
    /// Steps of each row, i32 `[batch]`; see [`check_lengths`]. Beyond them outputs are zeros and states stay as they were, as with
    /// PyTorch's `pack_padded_sequence`.
    pub lengths: Option<&'a Tensor>,
}

impl<'a> RecurrentInputs<'a> {
    /// Nothing: from zeros, over all steps.
    pub const fn new() -> Self {
        Self { hidden: None, cell: None, lengths: None }
    }

    /// The states by their number, as far as they are there.
    fn states(&self) -> [Option<&'a Tensor>; 2] {
        [self.hidden, self.cell]
    }

    /// From this hidden state, `[layers · directions, batch, hidden]`.
    #[must_use]
    pub const fn hidden(self, hidden: &'a Tensor) -> Self {
        Self { hidden: Some(hidden), ..self }
    }

    /// Of an LSTM: from this cell state, `[layers · directions, batch, hidden]`.
    #[must_use]
    pub const fn cell(self, cell: &'a Tensor) -> Self {
        Self { cell: Some(cell), ..self }
    }

    /// The number of steps of each row, i32 `[batch]`.
    #[must_use]
    pub const fn lengths(self, lengths: &'a Tensor) -> Self {
        Self { lengths: Some(lengths), ..self }
    }
}

/// What comes of a sequence, of an [`RNN`] or [`GRU`].
#[derive(Clone, Debug)]
pub struct RecurrentOutput {
    /// The last layer's hidden state after each step, `[steps, batch, directions · hidden]`, or `[batch, steps, …]`.
    pub outputs: Tensor,
    /// Every layer's hidden state after the last step, `[layers · directions, batch, hidden]`: layer 0, layer 0 reversed, layer 1,
    /// …
    pub h_n: Tensor,
}

/// What comes of a sequence, of an [`LSTM`].
#[derive(Clone, Debug)]
pub struct LSTMOutput {
    /// The last layer's hidden state after each step, `[steps, batch, directions · hidden]`, or `[batch, steps, …]`.
    pub outputs: Tensor,
    /// Every layer's hidden state after the last step, `[layers · directions, batch, hidden]`: layer 0, layer 0 reversed, layer 1,
    /// …
    pub h_n: Tensor,
    /// Every layer's cell state after the last step, in the same order.
    pub c_n: Tensor,
}
