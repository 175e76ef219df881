//! Recurrent layers of a [`Sequential`]: plain data, whose input features follow from what is before.

use std::fmt;

use super::Recurrent;
use super::stack::{Stack, joined};
use crate::graph::Tensor;
use crate::nn::{Layer, Scope, Sequential, Setting};
use crate::ops::Cell;
use crate::tensor::Shape;

/// Which recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecurrentKind {
    /// See [`RNN`](super::RNN).
    Rnn,
    /// See [`LSTM`](super::LSTM).
    Lstm,
    /// See [`GRU`](super::GRU).
    Gru,
}

impl RecurrentKind {
    /// The name, as in summaries and mistakes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rnn => "rnn",
            Self::Lstm => "lstm",
            Self::Gru => "gru",
        }
    }
}

/// What the steps of a recurrent layer compute: a built-in cell, by the layer's options, or a custom one.
#[derive(Clone, Debug, PartialEq)]
pub enum RecurrentCell {
    /// An RNN's, LSTM's or GRU's.
    Kind(RecurrentKind),
    /// A cell of one's own; see [`CellDefinition`](crate::ops::CellDefinition).
    Custom(Cell),
}

impl RecurrentCell {
    /// The name, as in summaries and mistakes.
    pub fn name(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.name(),
            Self::Custom(cell) => cell.name(),
        }
    }

    /// What a step computes.
    pub(super) fn cell(&self, options: &Recurrent) -> Cell {
        match self {
            Self::Kind(RecurrentKind::Rnn) if options.relu => Cell::relu(),
            Self::Kind(RecurrentKind::Rnn) => Cell::tanh(),
            Self::Kind(RecurrentKind::Lstm) => Cell::lstm(),
            Self::Kind(RecurrentKind::Gru) if options.reset_after => Cell::gru(),
            Self::Kind(RecurrentKind::Gru) => Cell::gru_reset_before(),
            Self::Custom(cell) => cell.clone(),
        }
    }

    /// The name of a state.
    pub(super) fn state_name(&self, state: usize) -> String {
        match (self, state) {
            (_, 0) => "hidden state".into(),
            (Self::Kind(_), _) => "cell state".into(),
            (Self::Custom(_), state) => format!("state {state}"),
        }
    }
}

impl From<RecurrentKind> for RecurrentCell {
    fn from(kind: RecurrentKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<&Cell> for RecurrentCell {
    fn from(cell: &Cell) -> Self {
        Self::Custom(cell.clone())
    }
}

/// A recurrent layer on examples of `[steps, features]`; as data. In a graph it is an [`LSTM`](super::LSTM), [`GRU`](super::GRU),
/// [`RNN`](super::RNN) or [`CustomRNN`](super::CustomRNN).
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentLayer {
    /// What its steps compute.
    pub cell: RecurrentCell,
    /// Hidden units of each direction.
    pub units: usize,
    /// Layers, directions and so on. The batch is always first.
    pub options: Recurrent,
    /// Whether the outputs of all steps are returned, `[steps, directions · units]`, or each direction's last one,
    /// `[directions · units]`.
    pub return_sequences: bool,
}

impl RecurrentLayer {
    /// PyTorch's options, and Keras's output: that of the last step.
    pub fn new(cell: impl Into<RecurrentCell>, units: usize) -> Self {
        Self { cell: cell.into(), units, options: Recurrent::new(), return_sequences: false }
    }
}

impl Layer for RecurrentLayer {
    fn describe(&self) -> String {
        self.to_string()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let &[steps, features] = input.dims() else {
            return Err(format!("takes examples of [steps, features], not {input}"));
        };
        if steps == 0 || features == 0 {
            return Err(format!("takes one step and feature or more, not {input}"));
        }
        self.options.check(&self.cell, self.units)?;
        let width = self.units * self.options.directions();
        Ok(if self.return_sequences { [steps, width].into() } else { [width].into() })
    }

    fn parameter_count(&self, input: &Shape) -> usize {
        self.options.parameter_count(&self.cell.cell(&self.options), input.last().copied().unwrap_or(0), self.units)
    }

    /// Applied to a batch, `[batch, steps, features]`.
    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let g = scope.graph();
        let features = x.shape().get(2).copied().unwrap_or(0);
        let options = self.options.batch_first(true);
        let stack = Stack::shared(g, self.cell.clone(), scope.name(), [features, self.units], options);
        let passed = stack.forward(x, &[], None, scope.mode());
        let Some(last) = passed.last.first() else { return passed.outputs };
        if self.return_sequences || g.error().is_some() {
            return passed.outputs;
        }
        let (directions, count) = (options.directions(), stack.directed_layers());
        let mut parts = Vec::new();
        for index in count - directions..count {
            parts.push(last.at(0, index));
        }
        joined(&parts, 1)
    }

    fn set(&mut self, setting: &Setting) -> bool {
        if *setting == Setting::WithoutBias {
            self.options.bias = false;
        }
        *setting == Setting::WithoutBias
    }
}

impl fmt::Display for RecurrentLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}({}", self.cell.name(), self.units)?;
        if self.options.num_layers != 1 {
            write!(formatter, ", {} layers", self.options.num_layers)?;
        }
        if self.options.bidirectional {
            formatter.write_str(", bidirectional")?;
        }
        formatter.write_str(")")
    }
}

/// For other options, `layer(RecurrentLayer { options, ..RecurrentLayer::new(cell, units) })`.
impl Sequential {
    /// A long short-term memory on examples of `[steps, features]`. What follows it may say more:
    /// [`bidirectional`](Self::bidirectional), [`num_layers`](Self::num_layers), [`return_sequences`](Self::return_sequences).
    /// See [`LSTM`](super::LSTM).
    ///
    /// ```
    /// use wgrad::nn::Sequential;
    /// let model = Sequential::new([40])
    ///     .embedding(1000, 32)
    ///     .lstm(64).bidirectional().return_sequences(true)
    ///     .gru(16)
    ///     .dense(1);
    /// assert_eq!(model.output_shape()?, [1].into());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn lstm(self, units: usize) -> Self {
        self.layer(RecurrentLayer::new(RecurrentKind::Lstm, units))
    }

    /// A gated recurrent unit on examples of `[steps, features]`. See [`GRU`](super::GRU), and [`lstm`](Self::lstm) for what may
    /// follow.
    #[must_use]
    #[track_caller]
    pub fn gru(self, units: usize) -> Self {
        self.layer(RecurrentLayer::new(RecurrentKind::Gru, units))
    }

    /// A plain recurrent layer with tanh on examples of `[steps, features]`. See [`RNN`](super::RNN), and [`lstm`](Self::lstm) for
    /// what may follow.
    #[must_use]
    #[track_caller]
    pub fn rnn(self, units: usize) -> Self {
        self.layer(RecurrentLayer::new(RecurrentKind::Rnn, units))
    }

    /// A recurrent layer of a cell of one's own on examples of `[steps, features]`. See [`CustomRNN`](super::CustomRNN), and
    /// [`lstm`](Self::lstm) for what may follow.
    ///
    /// ```
    /// use wgrad::nn::Sequential;
    /// use wgrad::ops::CellDefinition;
    /// let leaky = CellDefinition::new("leaky", 1).step(|s| [0.9 * s.state(0) + 0.1 * s.gate(0).tanh()])?;
    /// let model = Sequential::new([40, 3]).recurrent(&leaky, 32).num_layers(2).dense(1);
    /// assert_eq!(model.output_shape()?, [1].into());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn recurrent(self, cell: &Cell, units: usize) -> Self {
        self.layer(RecurrentLayer::new(cell, units))
    }

    /// The recurrent layer just added processes its sequence from both ends; outputs of both are concatenated.
    #[must_use]
    #[track_caller]
    pub fn bidirectional(self) -> Self {
        self.change_recurrent("bidirectional", |layer| layer.options.bidirectional = true)
    }

    /// The recurrent layer just added returns the outputs of all steps, `[steps, units]`, and not only the last, `[units]`.
    #[must_use]
    #[track_caller]
    pub fn return_sequences(self, all: bool) -> Self {
        self.change_recurrent("return_sequences", |layer| layer.return_sequences = all)
    }

    /// The recurrent layer just added becomes a stack of `layers` layers.
    #[must_use]
    #[track_caller]
    pub fn num_layers(self, layers: usize) -> Self {
        self.change_recurrent("num_layers", |layer| layer.options.num_layers = layers)
    }

    #[track_caller]
    fn change_recurrent(self, call: &str, change: impl FnOnce(&mut RecurrentLayer)) -> Self {
        self.modify(call, "a recurrent layer", |layer| {
            change(layer);
            true
        })
    }
}
