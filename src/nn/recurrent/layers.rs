//! The layers of a hand-written model: RNN, LSTM and GRU.

use super::cells::{GRUCell, LSTMCell, RNNCell};
use super::stack::{Stack, Which};
use super::{CarriedState, LSTMOutput, Recurrent, RecurrentInputs, RecurrentKind, RecurrentOutput, RecurrentWeights};
use crate::graph::{Graph, Tensor};
use crate::nn::{Initializer, Mode};

/// What every recurrent layer, a [`Stack`], does whatever its cell is.
macro_rules! stack_methods {
    ($name:ident $cell:ident) => {
        impl $name {
            /// With other first values of the weights that inputs meet, PyTorch's `weight_ih_l…`.
            #[track_caller]
            #[must_use]
            pub fn initializer(self, initializer: Initializer) -> Self {
                self.0.initialize(Which::Input, initializer);
                self
            }

            /// With other first values of the weights that states meet, PyTorch's `weight_hh_l…`.
            #[track_caller]
            #[must_use]
            pub fn hidden_initializer(self, initializer: Initializer) -> Self {
                self.0.initialize(Which::Hidden, initializer);
                self
            }

            /// With other first values of the biases, where there are some.
            #[track_caller]
            #[must_use]
            pub fn bias_initializer(self, initializer: Initializer) -> Self {
                self.0.initialize(Which::Biases, initializer);
                self
            }

            /// The outputs of all steps, `[steps, batch, directions · hidden]` of `[steps, batch, in]` (or both with the batch
            /// first), from a state of zeros.
            #[track_caller]
            pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
                self.0.forward(x, &[], None, mode).outputs
            }

            /// A step of one of the layers, forward, with the same parameters: for text and music written one step after
            /// another.
            #[track_caller]
            pub fn cell(&self, layer: usize) -> $cell {
                $cell::of(&self.0, layer)
            }

            /// A state for `batch` rows that stays on the device from one batch to the next, in variables `NAME.carried_…`.
            #[track_caller]
            pub fn carried(&self, batch: usize) -> CarriedState {
                CarriedState::of(&self.0, batch)
            }

            /// The weights: layer 0, layer 0 reversed, layer 1, ….
            pub fn weights(&self) -> &[RecurrentWeights] {
                &self.0.weights
            }

            /// The options.
            pub const fn options(&self) -> &Recurrent {
                &self.0.options
            }
        }
    };
}
pub(super) use stack_methods;

macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident $kind:ident $cell:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $name(pub(super) Stack);

            impl $name {
                /// From `input_size` features to `hidden_size` units, in one layer and direction.
                #[track_caller]
                pub fn new(g: &Graph, name: &str, input_size: usize, hidden_size: usize) -> Self {
                    Self::with(g, name, input_size, hidden_size, Recurrent::new())
                }

                /// With options. All parameters begin uniform within ± 1/√hidden, as in PyTorch.
                #[track_caller]
                pub fn with(g: &Graph, name: &str, input_size: usize, hidden_size: usize, options: Recurrent) -> Self {
                    Self(Stack::new(g, RecurrentKind::$kind.into(), name, [input_size, hidden_size], options))
                }

                /// With weights that come from somewhere else; the name is for mistakes. There is one entry for each layer and
                /// direction: layer 0, layer 0 reversed, layer 1, ….
                #[track_caller]
                pub fn with_weights(g: &Graph, name: &str, options: Recurrent, weights: Vec<RecurrentWeights>) -> Self {
                    Self(Stack::with_weights(g, RecurrentKind::$kind.into(), name, options, weights))
                }
            }

            stack_methods!($name $cell);
        )*
    };
}

layers! {
    /// h' = tanh(W·x + b + U·h + d), PyTorch's `torch.nn.RNN` (Elman 1990); with [`Recurrent::relu`] max(…, 0) instead of tanh.
    ///
    /// Parameters are `NAME.weight_ih_l0` `[hidden, in]`, `NAME.weight_hh_l0` `[hidden, hidden]`, `NAME.bias_ih_l0` and
    /// `NAME.bias_hh_l0` `[hidden]`, and so on for `_l0_reverse`, `_l1`, ….
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [20, 8, 5], F32); // steps, batch, features
    /// let y = nn::RNN::with(&g, "rnn", 5, 16, nn::Recurrent::new().bidirectional()).forward(&x, Mode::Training);
    /// assert_eq!(y.shape(), [20, 8, 32].into());
    /// assert!(g.error().is_none());
    /// ```
    RNN Rnn RNNCell;
    /// The long short-term memory, PyTorch's `torch.nn.LSTM` (Hochreiter and Schmidhuber 1997, with forget gates, without
    /// peepholes): c' = σ(f)·c + σ(i)·tanh(g), h' = σ(o)·tanh(c').
    ///
    /// Parameters are `NAME.weight_ih_l0` `[4 · hidden, in]`, `NAME.weight_hh_l0` `[4 · hidden, hidden]`, `NAME.bias_ih_l0` and
    /// `NAME.bias_hh_l0` `[4 · hidden]` with gates in the order i, f, g, o, and so on for `_l0_reverse`, `_l1`, ….
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [50, 8, 100], F32); // steps, batch, features
    /// let lstm = nn::LSTM::with(&g, "lstm", 100, 64, nn::Recurrent::new().num_layers(2));
    /// let found = lstm.forward_with(&x, &nn::RecurrentInputs::new(), Mode::Training);
    /// assert_eq!((found.outputs.shape(), found.c_n.shape()), ([50, 8, 64].into(), [2, 8, 64].into()));
    /// assert_eq!(g.parameters()[4].0, "lstm.weight_ih_l1");
    /// assert!(g.error().is_none());
    /// ```
    LSTM Lstm LSTMCell;
    /// The gated recurrent unit, PyTorch's `torch.nn.GRU` (Cho et al. 2014): h' = (1 − σ(z))·n + σ(z)·h with the new gate
    /// n = tanh(W·x + b + σ(r)·(U·h + d)), or tanh(W·x + b + U·(σ(r)·h) + d) without [`Recurrent::reset_after`].
    ///
    /// Parameters are `NAME.weight_ih_l0` `[3 · hidden, in]`, `NAME.weight_hh_l0` `[3 · hidden, hidden]`, `NAME.bias_ih_l0` and
    /// `NAME.bias_hh_l0` `[3 · hidden]` with gates in the order r, z, n, and so on for `_l0_reverse`, `_l1`, …. Keras has
    /// the order z, r, n, and one bias where `reset_after` is false.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let (x, lengths) = (g.input("x", [8, 20, 5], F32), g.input("lengths", [8], I32));
    /// let gru = nn::GRU::with(&g, "gru", 5, 16, nn::Recurrent::new().batch_first(true));
    /// let found = gru.forward_with(&x, &nn::RecurrentInputs::new().lengths(&lengths), Mode::Training);
    /// assert_eq!((found.outputs.shape(), found.h_n.shape()), ([8, 20, 16].into(), [1, 8, 16].into()));
    /// assert!(g.error().is_none());
    /// ```
    GRU Gru GRUCell;
}

macro_rules! one_state {
    ($($name:ident)*) => {
        $(
            impl $name {
                /// Outputs and last states, from initial states and for lengths of rows where `inputs` has them.
                #[track_caller]
                pub fn forward_with(&self, x: &Tensor, inputs: &RecurrentInputs<'_>, mode: Mode) -> RecurrentOutput {
                    let passed = self.0.forward(x, &inputs.states(), inputs.lengths, mode);
                    let h_n = passed.last.first().unwrap_or(&passed.outputs).clone();
                    RecurrentOutput { outputs: passed.outputs, h_n }
                }

                /// Outputs and last states from the carried state, which at the end of the step becomes the last one, without a
                /// gradient: backpropagation through time is truncated here.
                #[track_caller]
                pub fn forward_carried(
                    &self,
                    x: &Tensor,
                    state: &CarriedState,
                    lengths: Option<&Tensor>,
                    mode: Mode,
                ) -> RecurrentOutput {
                    let found = self.forward_with(x, &state.inputs(lengths), mode);
                    state.carry(&[&found.h_n]);
                    found
                }
            }
        )*
    };
}

one_state!(RNN GRU);

impl LSTM {
    /// Outputs and last states, from initial states and for lengths of rows where `inputs` has them.
    #[track_caller]
    pub fn forward_with(&self, x: &Tensor, inputs: &RecurrentInputs<'_>, mode: Mode) -> LSTMOutput {
        let passed = self.0.forward(x, &inputs.states(), inputs.lengths, mode);
        let state = |index: usize| passed.last.get(index).unwrap_or(&passed.outputs).clone();
        LSTMOutput { h_n: state(0), c_n: state(1), outputs: passed.outputs }
    }

    /// Outputs and last states from the carried state, which at the end of the step becomes the last one, without a gradient:
    /// backpropagation through time is truncated here.
    #[track_caller]
    pub fn forward_carried(
        &self,
        x: &Tensor,
        state: &CarriedState,
        lengths: Option<&Tensor>,
        mode: Mode,
    ) -> LSTMOutput {
        let found = self.forward_with(x, &state.inputs(lengths), mode);
        state.carry(&[&found.h_n, &found.c_n]);
        found
    }
}
