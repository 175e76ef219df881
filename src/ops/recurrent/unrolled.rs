//! What a recurrence means, step by step, in simpler operators.

use super::{Cell, Recurrence, RecurrentOptions};
use crate::graph::Tensor;
use crate::tensor::TensorData;

/// The recurrence as one node after another.
#[track_caller]
pub(super) fn unrolled(gates: &Tensor, weight: &Tensor, options: &RecurrentOptions<'_>) -> Recurrence {
    let graph = gates.graph();
    let (steps, batch, hidden) = (gates.shape()[0], gates.shape()[1], weight.shape()[1]);
    let cell = options.cell;
    let zeros = || graph.constant(TensorData::zeros(gates.dtype(), [batch, hidden]));
    let mut state: Vec<Tensor> = (0..cell.states())
        .map(|place| match options.initial {
            Some(initial) => initial.slice(0, place, place + 1).reshape([batch, hidden]),
            None => zeros(),
        })
        .collect();
    let turned = weight.transpose(0, 1);
    let mut outputs = vec![zeros(); steps];
    let order: Vec<usize> = if options.reverse { (0..steps).rev().collect() } else { (0..steps).collect() };
    for step in order {
        let x = gates.slice(0, step, step + 1).reshape([batch, cell.gates() * hidden]);
        let next = advance(&x, &turned, &state, options, hidden);
        match options.lengths {
            None => {
                outputs[step] = next[0].clone();
                state = next;
            }
            Some(lengths) => {
                let active = lengths.gt(step as f64).reshape([batch, 1]);
                outputs[step] = active.select(&next[0], next[0].zeros_like());
                state = next.iter().zip(&state).map(|(next, before)| active.select(next, before)).collect();
            }
        }
    }
    let all = |tensors: &[Tensor]| graph.stack(&tensors.iter().collect::<Vec<_>>(), 0);
    Recurrence { outputs: all(&outputs), last: all(&state) }
}

/// The states after a step.
#[track_caller]
fn advance(
    x: &Tensor,
    turned: &Tensor,
    state: &[Tensor],
    options: &RecurrentOptions<'_>,
    hidden: usize,
) -> Vec<Tensor> {
    let h = &state[0];
    let gate = |tensor: &Tensor, gate: usize| tensor.slice(1, gate * hidden, (gate + 1) * hidden);
    match options.cell {
        Cell::Tanh => vec![(x + h.matmul(turned)).tanh()],
        Cell::Relu => vec![(x + h.matmul(turned)).relu()],
        Cell::Lstm => {
            let sum = x + h.matmul(turned);
            let (i, f) = (gate(&sum, 0).sigmoid(), gate(&sum, 1).sigmoid());
            let (g, o) = (gate(&sum, 2).tanh(), gate(&sum, 3).sigmoid());
            let c = f * &state[1] + i * g;
            vec![o * c.tanh(), c]
        }
        Cell::Gru => {
            let product = h.matmul(turned);
            let sum = x + &product;
            let (r, z) = (gate(&sum, 0).sigmoid(), gate(&sum, 1).sigmoid());
            let mut inner = gate(&product, 2);
            if let Some(bias) = options.bias {
                inner = inner + bias;
            }
            let n = (gate(x, 2) + r * inner).tanh();
            vec![&n + z * (h - &n)]
        }
        Cell::GruResetBefore => {
            let sum = x.slice(1, 0, 2 * hidden) + h.matmul(&turned.slice(1, 0, 2 * hidden));
            let (r, z) = (gate(&sum, 0).sigmoid(), gate(&sum, 1).sigmoid());
            let n = (gate(x, 2) + (r * h).matmul(&turned.slice(1, 2 * hidden, 3 * hidden))).tanh();
            vec![&n + z * (h - &n)]
        }
    }
}
