//! The definition of a recurrence, and its gradient, step by step in simpler operators. Nothing is computed this way unless a
//! gradient is differentiated again.

use super::{Cell, Recurrent};
use crate::graph::Tensor;
use crate::tensor::TensorData;

/// The order and extents of a sequence `[steps, batch, width · hidden]`.
struct Sequence {
    order: Vec<usize>,
    batch: usize,
    hidden: usize,
    lengths: Option<Tensor>,
}

impl Sequence {
    fn new(recurrent: &Recurrent, steps: usize, batch: usize, hidden: usize, lengths: Option<&Tensor>) -> Self {
        let order = if recurrent.reverse { (0..steps).rev().collect() } else { (0..steps).collect() };
        Self { order, batch, hidden, lengths: lengths.cloned() }
    }

    #[track_caller]
    fn zeros(&self, like: &Tensor) -> Tensor {
        like.graph().constant(TensorData::zeros(like.dtype(), [self.batch, self.hidden]))
    }

    /// One step of a sequence, `[batch, width]`.
    #[track_caller]
    fn step(&self, sequence: &Tensor, step: usize) -> Tensor {
        let width = sequence.shape()[2];
        sequence.slice(0, step, step + 1).reshape([self.batch, width])
    }

    #[track_caller]
    fn value(&self, tensor: &Tensor, index: usize) -> Tensor {
        tensor.slice(1, index * self.hidden, (index + 1) * self.hidden)
    }

    /// The new value where the step is one of the sequence's, else the other.
    #[track_caller]
    fn active(&self, step: usize, new: &Tensor, otherwise: &Tensor) -> Tensor {
        match &self.lengths {
            Some(lengths) => lengths.gt(step as f64).reshape([self.batch, 1]).select(new, otherwise),
            None => new.clone(),
        }
    }

    /// The states of a `[states, batch, hidden]` tensor, or zeros.
    #[track_caller]
    fn states(&self, tensor: Option<&Tensor>, cell: Cell, like: &Tensor) -> Vec<Tensor> {
        let state = |state: usize| match tensor {
            Some(tensor) => tensor.slice(0, state, state + 1).reshape([self.batch, self.hidden]),
            None => self.zeros(like),
        };
        (0..cell.states()).map(state).collect()
    }
}

#[track_caller]
fn stack(tensors: &[Tensor], axis: isize) -> Tensor {
    tensors[0].graph().stack(&tensors.iter().collect::<Vec<_>>(), axis)
}

#[track_caller]
fn concat(tensors: &[Tensor]) -> Tensor {
    tensors[0].graph().concat(&tensors.iter().collect::<Vec<_>>(), 1)
}

/// Outputs, last state, and what is saved.
#[track_caller]
pub(super) fn forward(recurrent: &Recurrent, inputs: &[Tensor]) -> Vec<Tensor> {
    let indices = recurrent.input_indices();
    let (gates, transposed) = (&inputs[0], &inputs[1]);
    let (steps, batch, hidden) = (gates.shape()[0], gates.shape()[1], transposed.shape()[0]);
    let sequence = Sequence::new(recurrent, steps, batch, hidden, indices.lengths.map(|index| &inputs[index]));
    let mut state = sequence.states(indices.initial.map(|index| &inputs[index]), recurrent.cell, gates);
    let zeros = sequence.zeros(gates);
    let mut outputs = vec![zeros.clone(); steps];
    let mut saved = vec![zeros.clone(); steps];
    for (iteration, &step) in sequence.order.iter().enumerate() {
        let x = sequence.step(gates, step);
        // Where there is no state yet, there is no product: not even with what is infinite.
        let product =
            if iteration == 0 && indices.initial.is_none() { x.zeros_like() } else { state[0].matmul(transposed) };
        let bias = indices.bias.map(|index| &inputs[index]);
        let (next, mut own) = advance(&sequence, recurrent.cell, &x, transposed, &state, &product, bias);
        own.extend(state.iter().rev().cloned());
        saved[step] = concat(&own);
        outputs[step] = sequence.active(step, &next[0], &zeros);
        state = next.iter().zip(&state).map(|(next, before)| sequence.active(step, next, before)).collect();
    }
    vec![stack(&outputs, 0), stack(&state, 0), stack(&saved, 0)]
}

/// The states after a step, and its own values.
#[track_caller]
fn advance(
    sequence: &Sequence,
    cell: Cell,
    x: &Tensor,
    transposed: &Tensor,
    state: &[Tensor],
    product: &Tensor,
    bias: Option<&Tensor>,
) -> (Vec<Tensor>, Vec<Tensor>) {
    let (h, hidden) = (&state[0], sequence.hidden);
    let product = if let Some(bias) = bias { product + bias } else { product.clone() };
    match cell {
        Cell::Tanh | Cell::Relu => {
            let sum = x + &product;
            let next = if cell == Cell::Tanh { sum.tanh() } else { sum.relu() };
            (vec![next.clone()], vec![next])
        }
        Cell::Lstm => {
            let sum = x + &product;
            let gate = |gate: usize| sequence.value(&sum, gate);
            let (i, f, g, o) = (gate(0).sigmoid(), gate(1).sigmoid(), gate(2).tanh(), gate(3).sigmoid());
            let c = &f * &state[1] + &i * &g;
            (vec![&o * c.tanh(), c], vec![i, f, g, o])
        }
        Cell::Gru | Cell::GruResetBefore => {
            let gate = |gate: usize| sequence.value(x, gate) + sequence.value(&product, gate);
            let (r, z) = (gate(0).sigmoid(), gate(1).sigmoid());
            let (inner, fourth) = if cell == Cell::Gru {
                let inner = sequence.value(&product, 2);
                (&r * &inner, inner)
            } else {
                let reset = &r * h;
                let inner = reset.matmul(&transposed.slice(1, 2 * hidden, 3 * hidden));
                let inner = if let Some(bias) = bias { inner + bias.slice(0, 2 * hidden, 3 * hidden) } else { inner };
                (inner, reset)
            };
            let n = (sequence.value(x, 2) + inner).tanh();
            (vec![&n + &z * (h - &n)], vec![r, z, n, fourth])
        }
    }
}

/// Gradients of the gates and of the initial state.
#[track_caller]
pub(super) fn backward(recurrent: &Recurrent, inputs: &[Tensor]) -> Vec<Tensor> {
    let indices = recurrent.input_indices();
    let (weight, saved) = (&inputs[0], &inputs[1]);
    let (steps, batch, hidden) = (saved.shape()[0], saved.shape()[1], weight.shape()[1]);
    let sequence = Sequence::new(recurrent, steps, batch, hidden, indices.lengths.map(|index| &inputs[index]));
    let cell = recurrent.cell;
    let mut state = sequence.states(indices.last.map(|index| &inputs[index]), cell, saved);
    let zeros = sequence.zeros(saved);
    let mut gates = vec![zeros.clone(); steps];
    let rows = |from: usize, to: usize| weight.slice(0, from * hidden, to * hidden);
    for &step in sequence.order.iter().rev() {
        let values = sequence.step(saved, step);
        let value = |index: usize| sequence.value(&values, index);
        let slope = |y: &Tensor| y * (1.0 - y);
        let mut dh = state[0].clone();
        if let Some(index) = indices.outputs {
            dh = dh + sequence.step(&inputs[index], step);
        }
        let (mut own, before) = match cell {
            Cell::Tanh | Cell::Relu => {
                let h = value(0);
                let d = if cell == Cell::Tanh { &dh * (1.0 - h.square()) } else { h.le(0.0).select(&zeros, &dh) };
                let before = d.matmul(weight);
                (vec![d], vec![before])
            }
            Cell::Lstm => {
                let (i, f, g, o, c_before) = (value(0), value(1), value(2), value(3), value(4));
                let c = (&f * &c_before + &i * &g).tanh();
                let dc = &state[1] + &dh * &o * (1.0 - c.square());
                let d = vec![
                    &dc * &g * slope(&i),
                    &dc * &c_before * slope(&f),
                    &dc * &i * (1.0 - g.square()),
                    &dh * &c * slope(&o),
                ];
                let before = concat(&d).matmul(weight);
                (d, vec![before, dc * f])
            }
            Cell::Gru | Cell::GruResetBefore => {
                let (r, z, n, fourth, h) = (value(0), value(1), value(2), value(3), value(4));
                let dn = &dh * (1.0 - &z) * (1.0 - n.square());
                let dz = &dh * (&h - &n) * slope(&z);
                if cell == Cell::Gru {
                    let (dr, dq) = (&dn * &fourth * slope(&r), &dn * &r);
                    let sum = concat(&[dr.clone(), dz.clone(), dq.clone()]).matmul(weight);
                    (vec![dr.clone(), dz.clone(), dn, dr, dz, dq], vec![&dh * &z + sum])
                } else {
                    let reset = dn.matmul(&rows(2, 3));
                    let dr = &reset * &h * slope(&r);
                    let sum = concat(&[dr.clone(), dz.clone()]).matmul(&rows(0, 2));
                    (vec![dr, dz, dn], vec![&dh * &z + &reset * &r + sum])
                }
            }
        };
        for part in &mut own {
            *part = sequence.active(step, part, &zeros);
        }
        gates[step] = concat(&own);
        state = before.iter().zip(&state).map(|(before, after)| sequence.active(step, before, after)).collect();
    }
    vec![stack(&gates, 0), stack(&state, 0)]
}
