//! Recurrence over a sequence: everything of an RNN, LSTM or GRU that depends on the step before. What does not (the product of all
//! inputs with their weights) is one matrix product ahead of it, whose result comes in as `gates`.

mod cell;
mod unrolled;

use crate::graph::Tensor;
use crate::tensor::DType;

pub use cell::Cell;

/// How a sequence is gone through.
///
/// Steps are the first axis: gates are `[steps, batch, gates · hidden]` with PyTorch's order of gates, states `[states, batch, hidden]`,
/// where an LSTM has two (hidden, cell) and the others one.
#[derive(Clone, Copy, Debug)]
pub struct RecurrentOptions<'a> {
    /// What a step computes.
    pub cell: Cell,
    /// From the last step to the first.
    pub reverse: bool,
    /// For [`Cell::Gru`]: `[hidden]`, added to the new gate's product before the reset gate is applied (PyTorch's `bias_hh` of that
    /// gate). Every other bias is a part of the gates.
    pub bias: Option<&'a Tensor>,
    /// The state before the first step, `[states, batch, hidden]`; zeros where there is none.
    pub initial: Option<&'a Tensor>,
    /// Steps of each sequence, i32 `[batch]`, from 1 up to all. Beyond them outputs are zeros, and the state stays as it was.
    pub lengths: Option<&'a Tensor>,
}

impl RecurrentOptions<'_> {
    /// Forward, from zeros, over all steps.
    pub const fn new(cell: Cell) -> Self {
        Self { cell, reverse: false, bias: None, initial: None, lengths: None }
    }
}

/// What comes of a sequence.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// The hidden state after each step, `[steps, batch, hidden]`, in the order of the steps.
    pub outputs: Tensor,
    /// The state after the last step of each sequence, `[states, batch, hidden]`.
    pub last: Tensor,
}

impl Tensor {
    /// Goes through a sequence: `self` is what the inputs contribute to the gates, `[steps, batch, gates · hidden]`, and the weight
    /// (PyTorch's `weight_hh`, `[gates · hidden, hidden]`) is what the state contributes.
    ///
    /// ```
    /// use wgrad::ops::{Cell, RecurrentOptions};
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let (x, w) = (g.input("x", [50, 8, 4 * 16], F32), g.input("w", [4 * 16, 16], F32));
    /// let found = x.recurrent(&w, &RecurrentOptions::new(Cell::Lstm));
    /// assert_eq!((found.outputs.shape(), found.last.shape()), ([50, 8, 16].into(), [2, 8, 16].into()));
    /// ```
    #[track_caller]
    pub fn recurrent(&self, weight: &Self, options: &RecurrentOptions<'_>) -> Recurrence {
        if let Err(message) = self.check_recurrent(weight, options) {
            let mistake = self.graph().mistake(options.cell.name(), message);
            return Recurrence { outputs: mistake.clone(), last: mistake };
        }
        unrolled::unrolled(self, weight, options)
    }

    fn check_recurrent(&self, weight: &Self, options: &RecurrentOptions<'_>) -> Result<(), String> {
        let cell = options.cell;
        let (gates, shape) = (self.shape(), weight.shape());
        if self.graph().error().is_some() {
            return Err("follows from an earlier mistake".into());
        }
        let [_, batch, width] = gates[..] else {
            return Err(format!("takes gates of [steps, batch, {} · hidden], not {gates}", cell.gates()));
        };
        if shape.rank() != 2 || shape[0] != cell.gates() * shape[1] || shape[0] != width {
            return Err(format!(
                "gates {gates} and weight {shape} do not fit: the weight is [{0} · hidden, hidden], and the gates end in {0} · hidden",
                cell.gates()
            ));
        }
        if self.dtype() != weight.dtype() || !self.dtype().is_float() {
            return Err(format!(
                "takes gates and weight of one float type, not {} and {}",
                self.dtype(),
                weight.dtype()
            ));
        }
        let hidden = shape[1];
        if gates.is_empty() || hidden == 0 {
            return Err(format!("gates {gates} have no steps, no batch or no hidden units"));
        }
        let expect = |what: &str, tensor: Option<&Self>, wanted: &[usize], dtype: DType| match tensor {
            Some(tensor) if tensor.shape()[..] != *wanted || tensor.dtype() != dtype => {
                Err(format!("{what} should be {dtype}{wanted:?}, and is {}", tensor.ty()))
            }
            _ => Ok(()),
        };
        if options.bias.is_some() && cell != Cell::Gru {
            return Err("has no bias of its own; add it to the gates".into());
        }
        expect("the bias", options.bias, &[hidden], self.dtype())?;
        expect("the initial state", options.initial, &[cell.states(), batch, hidden], self.dtype())?;
        expect("the lengths", options.lengths, &[batch], DType::I32)
    }
}
