//! The layer of a hand-written model for any cell.

use super::cells::CustomRNNCell;
use super::layers::stack_methods;
use super::stack::{Stack, Which};
use super::{CarriedState, Recurrent, RecurrentWeights};
use crate::graph::{Graph, Tensor};
use crate::nn::{Initializer, Mode};
use crate::ops::Cell;

/// A recurrent layer of a cell of one's own (see [`CellDefinition`](crate::ops::CellDefinition)), with layers, directions, lengths and
/// states as an [`LSTM`](super::LSTM) has them.
///
/// Parameters are `NAME.weight_ih_l0` `[gates · hidden, in]`, `NAME.weight_hh_l0` `[gates · hidden, hidden]`, `NAME.bias_ih_l0` and
/// `NAME.bias_hh_l0` `[gates · hidden]`, then those that the cell names, `[hidden]` each, and so on for `_l0_reverse`, `_l1`, ….
///
/// ```
/// use wgrad::nn::{CustomRNN, CustomRNNInputs, Recurrent};
/// use wgrad::ops::CellDefinition;
/// use wgrad::prelude::*;
/// // A leaky integrator whose rate of forgetting is learnt for each unit.
/// let leaky = CellDefinition::new("leaky", 1).parameters(["rate"]).step(|s| {
///     let rate = s.parameter("rate").sigmoid();
///     [rate * s.state(0) + (1.0 - rate) * s.gate(0).tanh()]
/// })?;
/// let g = Graph::new();
/// let (x, lengths) = (g.input("x", [20, 8, 5], F32), g.input("lengths", [8], I32));
/// let layer = CustomRNN::with(&g, "layer", &leaky, 5, 16, Recurrent::new().bidirectional());
/// let found = layer.forward_with(&x, &CustomRNNInputs::new().lengths(&lengths), Mode::Training);
/// assert_eq!((found.outputs.shape(), found.last[0].shape()), ([20, 8, 32].into(), [2, 8, 16].into()));
/// assert_eq!(g.parameters()[4].0, "layer.rate_l0");
/// # assert!(g.error().is_none());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CustomRNN(pub(super) Stack);

impl CustomRNN {
    /// From `input_size` features to `hidden_size` units, in one layer and direction.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, cell: &Cell, input_size: usize, hidden_size: usize) -> Self {
        Self::with(g, name, cell, input_size, hidden_size, Recurrent::new())
    }

    /// With options. All parameters begin uniform within ± 1/√hidden.
    #[track_caller]
    pub fn with(g: &Graph, name: &str, cell: &Cell, input_size: usize, hidden_size: usize, options: Recurrent) -> Self {
        Self(Stack::new(g, cell.into(), name, [input_size, hidden_size], options))
    }

    /// With weights that come from somewhere else; the name is for mistakes. There is one entry for each layer and direction: layer 0,
    /// layer 0 reversed, layer 1, ….
    #[track_caller]
    pub fn with_weights(
        g: &Graph,
        name: &str,
        cell: &Cell,
        options: Recurrent,
        weights: Vec<RecurrentWeights>,
    ) -> Self {
        Self(Stack::with_weights(g, cell.into(), name, options, weights))
    }

    /// With other first values of the parameters that the cell defines.
    #[track_caller]
    #[must_use]
    pub fn parameter_initializer(self, initializer: Initializer) -> Self {
        self.0.initialize(Which::Own, initializer);
        self
    }

    /// Outputs and last states, from initial states and for lengths of rows where `inputs` has them.
    #[track_caller]
    pub fn forward_with(&self, x: &Tensor, inputs: &CustomRNNInputs<'_>, mode: Mode) -> CustomRNNOutput {
        let states: Vec<Option<&Tensor>> = inputs.states.iter().copied().map(Some).collect();
        let passed = self.0.forward(x, &states, inputs.lengths, mode);
        CustomRNNOutput { outputs: passed.outputs, last: passed.last }
    }

    /// Outputs and last states from the carried states, which at the end of the step become the last ones, without a gradient:
    /// backpropagation through time is truncated here.
    #[track_caller]
    pub fn forward_carried(
        &self,
        x: &Tensor,
        state: &CarriedState,
        lengths: Option<&Tensor>,
        mode: Mode,
    ) -> CustomRNNOutput {
        let states = state.variables().collect();
        let found = self.forward_with(x, &CustomRNNInputs { states, lengths }, mode);
        state.carry(&found.last.iter().collect::<Vec<_>>());
        found
    }
}

stack_methods!(CustomRNN CustomRNNCell);

/// What a sequence of a [`CustomRNN`] begins with, and how long its rows are.
#[derive(Clone, Debug, Default)]
pub struct CustomRNNInputs<'a> {
    /// States before the first step in the cell's order, `[layers · directions, batch, hidden]` each; those that are missing are zeros.
    pub states: Vec<&'a Tensor>,
    /// Steps of each row, i32 `[batch]`; see [`check_lengths`](super::check_lengths).
    pub lengths: Option<&'a Tensor>,
}

impl<'a> CustomRNNInputs<'a> {
    /// Nothing: from zeros, over all steps.
    pub const fn new() -> Self {
        Self { states: Vec::new(), lengths: None }
    }

    /// From these states, the hidden one first.
    #[must_use]
    pub fn states(self, states: impl IntoIterator<Item = &'a Tensor>) -> Self {
        Self { states: states.into_iter().collect(), ..self }
    }

    /// The number of steps of each row, i32 `[batch]`.
    #[must_use]
    pub fn lengths(self, lengths: &'a Tensor) -> Self {
        Self { lengths: Some(lengths), ..self }
    }
}

/// What comes of a sequence, of a [`CustomRNN`].
#[derive(Clone, Debug)]
pub struct CustomRNNOutput {
    /// The last layer's hidden state after each step, `[steps, batch, directions · hidden]`, or `[batch, steps, …]`.
    pub outputs: Tensor,
    /// Every layer's states after the last step in the cell's order, `[layers · directions, batch, hidden]` each.
    pub last: Vec<Tensor>,
}
