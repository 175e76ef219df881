//! Single steps, for what is written one step after another.

use super::stack::{RecurrentWeights, Stack, label};
use super::{Recurrent, RecurrentCell, RecurrentKind};
use crate::graph::{Graph, Tensor};
use crate::ops::{Cell, RecurrentOptions};
use crate::tensor::{Shape, no_batch_axis};

/// What the cells have in common.
#[derive(Clone, Debug)]
struct Step {
    name: String,
    label: String,
    cell: Cell,
    input: usize,
    graph: Graph,
    /// `None` after a mistake.
    weights: Option<RecurrentWeights>,
}

impl Step {
    #[track_caller]
    fn new(g: &Graph, kind: &RecurrentCell, name: &str, [input, hidden]: [usize; 2], options: Recurrent) -> Self {
        let label = label(kind, name).replacen(' ', "_cell ", 1);
        let cell = kind.cell(&options);
        let mut step = Self { name: name.to_owned(), label, cell, input, graph: g.clone(), weights: None };
        if g.find(&format!("{name}.weight_ih")).is_some() {
            g.mistake(&step.label, "the name is used already; clone a cell to share its parameters");
        } else if let Err(message) = options.check(kind, hidden) {
            g.mistake(&step.label, message);
        } else if options.num_layers > 1 || options.bidirectional || options.dropout > 0.0 {
            g.mistake(&step.label, "is one layer in one direction, without dropout");
        } else {
            step.weights = Some(RecurrentWeights::new(g, name, "", &step.cell, [input, hidden], options.bias));
        }
        step
    }

    /// The step of a layer, forward.
    #[track_caller]
    fn of(stack: &Stack, layer: usize) -> Self {
        let directions = stack.options.directions();
        let weights = layer.checked_mul(directions).and_then(|index| stack.weights.get(index)).cloned();
        if weights.is_none() {
            let message = format!("has no layer {layer}; there are {}, counted from 0", stack.options.num_layers);
            stack.graph.mistake(&stack.label(), message);
        }
        let input = if layer == 0 { stack.input } else { stack.hidden * directions };
        let label = format!("{} (layer {layer})", stack.label());
        Self { name: stack.name.clone(), label, cell: stack.cell(), input, graph: stack.graph.clone(), weights }
    }

    fn complaint(
        &self,
        x: &Tensor,
        state: &[Option<&Tensor>],
        weights: &RecurrentWeights,
    ) -> Result<Vec<usize>, String> {
        let ty = x.ty();
        if *ty.shape == [self.input] {
            return Err(no_batch_axis(&format!("[batch, {}]", self.input), &ty.shape, 0));
        }
        if ty.shape.rank() != 2 || ty.shape.last() != Some(&self.input) {
            return Err(format!("takes [batch, {}], but its input is {}", self.input, ty.shape));
        }
        let dtype = weights.input.dtype();
        if ty.dtype != dtype {
            return Err(format!("takes {dtype}, but its input is {}; cast it", ty.dtype));
        }
        let wanted = vec![ty.shape.first().copied().unwrap_or(0), weights.hidden_size()];
        for state in state.iter().flatten() {
            if state.shape()[..] != wanted || state.dtype() != dtype {
                let shape = Shape::from(wanted);
                return Err(format!("the state should be {dtype} of shape {shape}, and is {}", state.ty()));
            }
        }
        Ok(wanted)
    }

    /// The states after the step. A state that is not passed is zeros.
    #[track_caller]
    fn forward(&self, x: &Tensor, state: &[Option<&Tensor>]) -> Vec<Tensor> {
        let _layer = self.graph.in_layer(&self.name);
        let mut shape = Err("has no weights, after an earlier mistake".to_owned());
        if let (Some(weights), None) = (&self.weights, self.graph.error()) {
            shape = self.complaint(x, state, weights);
        }
        let (shape, weights) = match (shape, &self.weights) {
            (Ok(shape), Some(weights)) => (shape, weights),
            (found, _) => {
                let message = found.err().unwrap_or_default();
                return vec![self.graph.mistake(&self.label, message); self.cell.states()];
            }
        };
        let mut before = Vec::new();
        for state in state {
            before.push(match state {
                Some(state) => Tensor::clone(state),
                None => self.graph.scalar(x.dtype(), 0.0).broadcast_to(shape.as_slice()),
            });
        }
        // A sequence of one step.
        let gates = weights.gates(x).unsqueeze(0);
        let initial = self.graph.stack(&before.iter().collect::<Vec<_>>(), 0);
        let options = RecurrentOptions {
            bias: weights.biases.as_ref().map(|(_, second)| second),
            initial: Some(&initial),
            parameters: &weights.parameters,
            ..RecurrentOptions::new(self.cell.clone())
        };
        let last = gates.recurrent(&weights.hidden, &options).last;
        let mut after = Vec::new();
        for state in 0..self.cell.states() {
            after.push(if self.graph.error().is_some() { last.clone() } else { last.at(0, state) });
        }
        after
    }
}

macro_rules! cells {
    ($($(#[$doc:meta])* $name:ident $kind:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $name(Step);

            impl $name {
                /// From `input_size` features to `hidden_size` units.
                #[track_caller]
                pub fn new(g: &Graph, name: &str, input_size: usize, hidden_size: usize) -> Self {
                    Self::with(g, name, input_size, hidden_size, Recurrent::new())
                }

                /// With options, of which those of layers and directions do not matter to a single step.
                #[track_caller]
                pub fn with(g: &Graph, name: &str, input_size: usize, hidden_size: usize, options: Recurrent) -> Self {
                    Self(Step::new(g, &RecurrentKind::$kind.into(), name, [input_size, hidden_size], options))
                }

                #[track_caller]
                pub(super) fn of(stack: &Stack, layer: usize) -> Self {
                    Self(Step::of(stack, layer))
                }

                /// The weights; `None` after a mistake.
                pub const fn weights(&self) -> Option<&RecurrentWeights> {
                    self.0.weights.as_ref()
                }
            }
        )*
    };
}

cells! {
    /// A step of an [`RNN`](super::RNN), PyTorch's `torch.nn.RNNCell`: parameters `NAME.weight_ih`, `NAME.weight_hh`,
    /// `NAME.bias_ih`, `NAME.bias_hh`.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let cell = nn::RNNCell::new(&g, "cell", 3, 8);
    /// let h = cell.forward(&g.input("x", [2, 3], F32), None);
    /// assert_eq!(h.shape(), [2, 8].into());
    /// assert!(g.error().is_none());
    /// ```
    RNNCell Rnn;
    /// A step of an [`LSTM`](super::LSTM), PyTorch's `torch.nn.LSTMCell`: parameters `NAME.weight_ih`, `NAME.weight_hh`,
    /// `NAME.bias_ih`, `NAME.bias_hh`.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let lstm = nn::LSTM::new(&g, "lstm", 3, 8);
    /// let x = g.input("x", [2, 3], F32);
    /// let (h, c) = lstm.cell(0).forward(&x, None); // with the layer's parameters
    /// let (h, _) = lstm.cell(0).forward(&x, Some((&h, &c)));
    /// assert_eq!((h.shape(), g.parameters().len()), ([2, 8].into(), 4));
    /// assert!(g.error().is_none());
    /// ```
    LSTMCell Lstm;
    /// A step of a [`GRU`](super::GRU), PyTorch's `torch.nn.GRUCell`: parameters `NAME.weight_ih`, `NAME.weight_hh`,
    /// `NAME.bias_ih`, `NAME.bias_hh`.
    GRUCell Gru;
}

macro_rules! one_state {
    ($($name:ident)*) => {
        $(
            impl $name {
                /// The hidden state after a step, `[batch, hidden]`, of `[batch, in]` and the state before, which is zeros where
                /// there is none.
                #[track_caller]
                pub fn forward(&self, x: &Tensor, hidden: Option<&Tensor>) -> Tensor {
                    self.0.forward(x, &[hidden]).swap_remove(0)
                }
            }
        )*
    };
}

one_state!(RNNCell GRUCell);

impl LSTMCell {
    /// The hidden state and the cell's after a step, `[batch, hidden]` each, of `[batch, in]` and those before, which are zeros
    /// where there are none.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, states: Option<(&Tensor, &Tensor)>) -> (Tensor, Tensor) {
        let (hidden, cell) = states.unzip();
        let mut after = self.0.forward(x, &[hidden, cell]);
        let cell = after.swap_remove(1);
        (after.swap_remove(0), cell)
    }
}

/// A step of a [`CustomRNN`](super::CustomRNN).
///
/// ```
/// use wgrad::ops::CellDefinition;
/// use wgrad::prelude::*;
/// let leaky = CellDefinition::new("leaky", 1).step(|s| [0.9 * s.state(0) + 0.1 * s.gate(0).tanh()])?;
/// let g = Graph::new();
/// let layer = nn::CustomRNN::new(&g, "layer", &leaky, 3, 8);
/// let x = g.input("x", [2, 3], F32);
/// let states = layer.cell(0).forward(&x, &[]); // from zeros
/// let states = layer.cell(0).forward(&x, &[&states[0]]);
/// assert_eq!(states[0].shape(), [2, 8].into());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CustomRNNCell(Step);

impl CustomRNNCell {
    /// From `input_size` features to `hidden_size` units, with parameters `NAME.weight_ih`, `NAME.weight_hh`, `NAME.bias_ih`,
    /// `NAME.bias_hh` and the cell's own.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, cell: &Cell, input_size: usize, hidden_size: usize) -> Self {
        Self(Step::new(g, &cell.into(), name, [input_size, hidden_size], Recurrent::new()))
    }

    #[track_caller]
    pub(super) fn of(stack: &Stack, layer: usize) -> Self {
        Self(Step::of(stack, layer))
    }

    /// The weights; `None` after a mistake.
    pub const fn weights(&self) -> Option<&RecurrentWeights> {
        self.0.weights.as_ref()
    }

    /// The states after a step, `[batch, hidden]` each, of `[batch, in]` and the states before; those that are not passed are zeros.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, states: &[&Tensor]) -> Vec<Tensor> {
        let count = self.0.cell.states();
        if states.len() > count {
            let message = format!("takes {count} states at most, not {}", states.len());
            return vec![self.0.graph.mistake(&self.0.label, message); count];
        }
        let all: Vec<Option<&Tensor>> = (0..count).map(|state| states.get(state).copied()).collect();
        self.0.forward(x, &all)
    }
}
