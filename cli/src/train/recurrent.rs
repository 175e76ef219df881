//! Recurrent layers of the demos, by the kind that the user names.

use wgrad::graph::{Graph, Tensor};
use wgrad::ops::{Cell, Initial, Recurrence, RecurrentOptions, Variable};
use wgrad::tensor::{DType, TensorType};

/// A layer, in one direction. Names, shapes and first values of its parameters are PyTorch's.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    pub cell: Cell,
    pub hidden: usize,
    /// Its place in a stack, from 0 on.
    pub number: usize,
    /// From the last step to the first.
    pub reverse: bool,
}

/// The cell of a model's name.
pub fn cell(name: &str) -> Cell {
    match name {
        "rnn" => Cell::Tanh,
        "gru" => Cell::Gru,
        _ => Cell::Lstm,
    }
}

/// What comes before a parameter's name.
pub const fn prefix(cell: Cell) -> &'static str {
    match cell {
        Cell::Tanh | Cell::Relu => "rnn",
        Cell::Lstm => "lstm",
        Cell::Gru | Cell::GruResetBefore => "gru",
    }
}

impl Layer {
    /// Goes through `x` `[steps, batch, width]`.
    pub fn forward(self, g: &Graph, x: &Tensor, initial: Option<&Tensor>, lengths: Option<&Tensor>) -> Recurrence {
        let Self { cell, hidden, number, reverse } = self;
        let rows = cell.gates() * hidden;
        let bound = 1.0 / (hidden.max(1) as f64).sqrt();
        let parameter = |name: &str, dims: &[usize]| {
            let name = format!("{}.{name}_l{number}{}", prefix(cell), if reverse { "_reverse" } else { "" });
            let initial = Initial::Uniform { low: -bound, high: bound };
            g.variable(Variable::parameter(name, TensorType::new(DType::F32, dims), initial))
        };
        let width = x.shape().last().copied().unwrap_or(1);
        let of_input = parameter("weight_ih", &[rows, width]);
        let of_state = parameter("weight_hh", &[rows, hidden]);
        let (bias, other) = (parameter("bias_ih", &[rows]), parameter("bias_hh", &[rows]));
        let product = x.matmul(&of_input.transpose(0, 1)) + &bias;
        let (gates, inner) = match cell {
            // The new gate's part is added before the reset gate, inside of the recurrence.
            Cell::Gru => {
                let outer = other.slice(0, 0, 2 * hidden).pad(&[0], &[hidden], 0.0);
                (product + outer, Some(other.slice(0, 2 * hidden, rows)))
            }
            _ => (product + &other, None),
        };
        let options =
            RecurrentOptions { reverse, bias: inner.as_ref(), initial, lengths, ..RecurrentOptions::new(cell) };
        gates.recurrent(&of_state, &options)
    }
}
