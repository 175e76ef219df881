//! What a recurrence means, and its gradient, step by step in simpler operators. Nothing is computed this way unless a gradient is
//! differentiated again.

use super::{Cell, Recurrent};
use crate::graph::Tensor;
use crate::tensor::TensorData;

/// `[steps, batch, width · hidden]` as it is gone through.
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
    fn slot(&self, tensor: &Tensor, slot: usize) -> Tensor {
        tensor.slice(1, slot * self.hidden, (slot + 1) * self.hidden)
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
        let state = |place: usize| match tensor {
            Some(tensor) => tensor.slice(0, place, place + 1).reshape([self.batch, self.hidden]),
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

/// Outputs, last state, and what is kept.
#[track_caller]
pub(super) fn forward(recurrent: &Recurrent, inputs: &[Tensor]) -> Vec<Tensor> {
    let places = recurrent.places();
    let (gates, turned) = (&inputs[0], &inputs[1]);
    let (steps, batch, hidden) = (gates.shape()[0], gates.shape()[1], turned.shape()[0]);
    let sequence = Sequence::new(recurrent, steps, batch, hidden, places.lengths.map(|place| &inputs[place]));
    let mut state = sequence.states(places.initial.map(|place| &inputs[place]), recurrent.cell, gates);
    let zeros = sequence.zeros(gates);
    let mut outputs = vec![zeros.clone(); steps];
    let mut kept = vec![zeros.clone(); steps];
    for (turn, &step) in sequence.order.iter().enumerate() {
        let x = sequence.step(gates, step);
        // Where there is no state yet, there is no product: not even with what is infinite.
        let product = if turn == 0 && places.initial.is_none() { x.zeros_like() } else { state[0].matmul(turned) };
        let bias = places.bias.map(|place| &inputs[place]);
        let (next, mut own) = advance(&sequence, recurrent.cell, &x, turned, &state, &product, bias);
        own.extend(state.iter().rev().cloned());
        kept[step] = concat(&own);
        outputs[step] = sequence.active(step, &next[0], &zeros);
        state = next.iter().zip(&state).map(|(next, before)| sequence.active(step, next, before)).collect();
    }
    vec![stack(&outputs, 0), stack(&state, 0), stack(&kept, 0)]
}

/// The states after a step, and its own values.
#[track_caller]
fn advance(
    sequence: &Sequence,
    cell: Cell,
    x: &Tensor,
    turned: &Tensor,
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
            let gate = |gate: usize| sequence.slot(&sum, gate);
            let (i, f, g, o) = (gate(0).sigmoid(), gate(1).sigmoid(), gate(2).tanh(), gate(3).sigmoid());
            let c = &f * &state[1] + &i * &g;
            (vec![&o * c.tanh(), c], vec![i, f, g, o])
        }
        Cell::Gru | Cell::GruResetBefore => {
            let gate = |gate: usize| sequence.slot(x, gate) + sequence.slot(&product, gate);
            let (r, z) = (gate(0).sigmoid(), gate(1).sigmoid());
            let (inner, fourth) = if cell == Cell::Gru {
                let inner = sequence.slot(&product, 2);
                (&r * &inner, inner)
            } else {
                let reset = &r * h;
                let inner = reset.matmul(&turned.slice(1, 2 * hidden, 3 * hidden));
                let inner = if let Some(bias) = bias { inner + bias.slice(0, 2 * hidden, 3 * hidden) } else { inner };
                (inner, reset)
            };
            let n = (sequence.slot(x, 2) + inner).tanh();
            (vec![&n + &z * (h - &n)], vec![r, z, n, fourth])
        }
    }
}

/// Gradients of the gates and of the initial state.
#[track_caller]
pub(super) fn back(recurrent: &Recurrent, inputs: &[Tensor]) -> Vec<Tensor> {
    let places = recurrent.places();
    let (weight, kept) = (&inputs[0], &inputs[1]);
    let (steps, batch, hidden) = (kept.shape()[0], kept.shape()[1], weight.shape()[1]);
    let sequence = Sequence::new(recurrent, steps, batch, hidden, places.lengths.map(|place| &inputs[place]));
    let cell = recurrent.cell;
    let mut state = sequence.states(places.last.map(|place| &inputs[place]), cell, kept);
    let zeros = sequence.zeros(kept);
    let mut gates = vec![zeros.clone(); steps];
    let rows = |from: usize, to: usize| weight.slice(0, from * hidden, to * hidden);
    for &step in sequence.order.iter().rev() {
        let values = sequence.step(kept, step);
        let slot = |place: usize| sequence.slot(&values, place);
        let slope = |y: &Tensor| y * (1.0 - y);
        let mut dh = state[0].clone();
        if let Some(place) = places.outputs {
            dh = dh + sequence.step(&inputs[place], step);
        }
        let (mut own, before) = match cell {
            Cell::Tanh | Cell::Relu => {
                let h = slot(0);
                let d = if cell == Cell::Tanh { &dh * (1.0 - h.square()) } else { h.le(0.0).select(&zeros, &dh) };
                let before = d.matmul(weight);
                (vec![d], vec![before])
            }
            Cell::Lstm => {
                let (i, f, g, o, c_before) = (slot(0), slot(1), slot(2), slot(3), slot(4));
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
                let (r, z, n, fourth, h) = (slot(0), slot(1), slot(2), slot(3), slot(4));
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
