//! Recurrent layers of a [`Sequential`]: plain data, whose input features follow from what is before.

use std::fmt;

use super::stack::{Stack, joined};
use super::{Recurrent, RecurrentInputs};
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

/// A recurrent layer on examples of `[steps, features]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecurrentLayer {
    /// Which.
    pub kind: RecurrentKind,
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
    pub const fn new(kind: RecurrentKind, units: usize) -> Self {
        Self { kind, units, options: Recurrent::new(), return_sequences: false }
    }

    const fn cell(&self) -> Cell {
        self.options.cell(self.kind)
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
        self.options.check(self.kind, self.units)?;
        let width = self.units * self.options.directions();
        Ok(if self.return_sequences { [steps, width].into() } else { [width].into() })
    }

    fn parameter_count(&self, input: &Shape) -> usize {
        self.options.parameter_count(self.cell(), input.last().copied().unwrap_or(0), self.units)
    }

    /// Applied to a batch, `[batch, steps, features]`.
    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let g = scope.graph();
        let features = x.shape().get(2).copied().unwrap_or(0);
        let options = self.options.batch_first(true);
        let stack = Stack::shared(g, self.kind, scope.name(), [features, self.units], options);
        let passed = stack.forward(x, &RecurrentInputs::new(), scope.mode());
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
        write!(formatter, "{}({}", self.kind.name(), self.units)?;
        if self.options.num_layers != 1 {
            write!(formatter, ", {} layers", self.options.num_layers)?;
        }
        if self.options.bidirectional {
            formatter.write_str(", bidirectional")?;
        }
        formatter.write_str(")")
    }
}

/// For other options, `layer(RecurrentLayer { options, ..RecurrentLayer::new(kind, units) })`.
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

    /// The recurrent layer just added processes its sequence from both ends; outputs of both are concatenated.
    #[must_use]
    #[track_caller]
    pub fn bidirectional(self) -> Self {
        self.recurrent("bidirectional", |layer| layer.options.bidirectional = true)
    }

    /// The recurrent layer just added returns the outputs of all steps, `[steps, units]`, and not only the last, `[units]`.
    #[must_use]
    #[track_caller]
    pub fn return_sequences(self, all: bool) -> Self {
        self.recurrent("return_sequences", |layer| layer.return_sequences = all)
    }

    /// The recurrent layer just added becomes a stack of `layers` layers.
    #[must_use]
    #[track_caller]
    pub fn num_layers(self, layers: usize) -> Self {
        self.recurrent("num_layers", |layer| layer.options.num_layers = layers)
    }

    #[track_caller]
    fn recurrent(self, call: &str, change: impl FnOnce(&mut RecurrentLayer)) -> Self {
        self.modify(call, "a recurrent layer", |layer| {
            change(layer);
            true
        })
    }
}
