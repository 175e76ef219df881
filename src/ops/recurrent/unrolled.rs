//! The definition of a recurrence, and its gradient, step by step in simpler operators. Nothing is computed this way unless a
//! gradient is differentiated again.

use super::derived::Leaf;
use super::{Cell, Pass, Recurrent};
use crate::graph::{Tensor, as_nodes};
use crate::scalar::{ScalarExpr, ScalarNode};
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
    fn states(&self, tensor: Option<&Tensor>, cell: &Cell, like: &Tensor) -> Vec<Tensor> {
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

/// The values of an expression of a cell, each `[batch, hidden]`.
#[track_caller]
fn values(
    sequence: &Sequence,
    cell: &Cell,
    expression: &ScalarExpr,
    like: &Tensor,
    read: &dyn Fn(Leaf) -> Tensor,
) -> Vec<Tensor> {
    let graph = like.graph();
    let leaf = |node: &ScalarNode| match node {
        ScalarNode::Constant(constant) => {
            let dtype = if constant.dtype.is_float() { like.dtype() } else { constant.dtype };
            Some(graph.scalar(dtype, constant.value))
        }
        ScalarNode::Load { input, .. } => Some(read(cell.counts().leaf(*input))),
        ScalarNode::Call { .. } | ScalarNode::Index(_) | ScalarNode::Gather { .. } | ScalarNode::Accumulator(_) => None,
    };
    let found = as_nodes(expression, &leaf).unwrap_or_else(|| {
        vec![graph.mistake(cell.name(), "a step reads nothing by its address"); expression.outputs.len()]
    });
    let shape = [sequence.batch, sequence.hidden];
    found.iter().map(|tensor| tensor.broadcast_to(shape)).collect()
}

/// Outputs, last state, and what is saved.
#[track_caller]
pub(super) fn forward(recurrent: &Recurrent, inputs: &[Tensor]) -> Vec<Tensor> {
    let (cell, indices) = (&recurrent.cell, recurrent.input_indices());
    let (gates, transposed) = (&inputs[0], &inputs[1]);
    let (steps, batch, hidden) = (gates.shape()[0], gates.shape()[1], transposed.shape()[0]);
    let sequence = Sequence::new(recurrent, steps, batch, hidden, indices.lengths.map(|index| &inputs[index]));
    let mut state = sequence.states(indices.initial.map(|index| &inputs[index]), cell, gates);
    let zeros = sequence.zeros(gates);
    let mut outputs = vec![zeros.clone(); steps];
    let mut saved = vec![zeros.clone(); steps];
    let width = cell.gates() * hidden;
    let vectors = indices.vectors.map(|index| &inputs[index]);
    let has_bias = matches!(recurrent.pass, Pass::Forward { bias: true, .. });
    let bias = vectors.filter(|_| has_bias).map(|vectors| vectors.slice(0, 0, width));
    let parameter = |index: usize| {
        let index = index + if has_bias { cell.gates() } else { 0 };
        vectors.map_or_else(|| zeros.clone(), |vectors| vectors.slice(0, index * hidden, (index + 1) * hidden))
    };
    let derived = cell.derived();
    let split = derived.inner.map_or(cell.gates(), |inner| inner.first_gate);
    // The products of gates, with their bias.
    let product = |state: Option<&Tensor>, from: usize, to: usize| {
        let columns = transposed.slice(1, from * hidden, to * hidden);
        let product = match state {
            Some(state) => state.matmul(&columns),
            None => zeros.slice(1, 0, 1).broadcast_to([batch, (to - from) * hidden]),
        };
        match &bias {
            Some(bias) => product + bias.slice(0, from * hidden, to * hidden),
            None => product,
        }
    };
    for (iteration, &step) in sequence.order.iter().enumerate() {
        let x = sequence.step(gates, step);
        // Where there is no state yet, there is no product: not even with what is infinite.
        let first_state = (iteration > 0 || indices.initial.is_some()).then(|| &state[0]);
        let first_product = product(first_state, 0, split);
        let read = |leaf: Leaf, second: Option<&Tensor>, saved: &[Tensor]| match leaf {
            Leaf::Input(gate) => sequence.value(&x, gate),
            Leaf::Product(gate) if gate < split => sequence.value(&first_product, gate),
            Leaf::Product(gate) => second.map_or_else(|| zeros.clone(), |second| sequence.value(second, gate - split)),
            Leaf::State(index) => state[index].clone(),
            Leaf::Parameter(index) => parameter(index),
            Leaf::Saved(index) => saved[index].clone(),
            Leaf::Upstream(_) | Leaf::InnerUpstream => zeros.clone(),
        };
        let mut own = Vec::new();
        if let Some(first) = &derived.first {
            own = values(&sequence, cell, first, gates, &|leaf| read(leaf, None, &[]));
        }
        let second = derived.inner.map(|inner| product(Some(&own[inner.state]), split, cell.gates()));
        let mut next = values(&sequence, cell, &derived.step, gates, &|leaf| read(leaf, second.as_ref(), &own));
        own.extend(next.split_off(cell.states()));
        own.extend(state.iter().rev().cloned());
        saved[step] = concat(&own);
        outputs[step] = sequence.active(step, &next[0], &zeros);
        state = next.iter().zip(&state).map(|(next, before)| sequence.active(step, next, before)).collect();
    }
    vec![stack(&outputs, 0), stack(&state, 0), stack(&saved, 0)]
}

/// Gradients of the gates and of the initial state.
#[track_caller]
pub(super) fn backward(recurrent: &Recurrent, inputs: &[Tensor]) -> Vec<Tensor> {
    let (cell, indices) = (&recurrent.cell, recurrent.input_indices());
    let (weight, saved) = (&inputs[0], &inputs[1]);
    let (steps, batch, hidden) = (saved.shape()[0], saved.shape()[1], weight.shape()[1]);
    let sequence = Sequence::new(recurrent, steps, batch, hidden, indices.lengths.map(|index| &inputs[index]));
    let mut state = sequence.states(indices.last.map(|index| &inputs[index]), cell, saved);
    let zeros = sequence.zeros(saved);
    let mut gates = vec![zeros.clone(); steps];
    let vectors = indices.vectors.map(|index| &inputs[index]);
    let derived = cell.derived();
    let split = derived.inner.map_or(cell.gates(), |inner| inner.first_gate);
    let (first, count) = (cell.of_products(), cell.gradients());
    // What products with gates of these gradients were computed from.
    let source = |gradients: &[Tensor], from: usize, to: usize| {
        concat(&gradients[first + from..first + to]).matmul(&weight.slice(0, from * hidden, to * hidden))
    };
    for &step in sequence.order.iter().rev() {
        let row = sequence.step(saved, step);
        let mut upstream = state.clone();
        if let Some(index) = indices.outputs {
            upstream[0] = &upstream[0] + sequence.step(&inputs[index], step);
        }
        let read = |leaf: Leaf, inner: Option<&Tensor>| match leaf {
            Leaf::State(index) => sequence.value(&row, cell.saved() - 1 - index),
            Leaf::Saved(index) => sequence.value(&row, index),
            Leaf::Upstream(index) => upstream[index].clone(),
            Leaf::InnerUpstream => inner.unwrap_or(&zeros).clone(),
            Leaf::Parameter(index) => {
                vectors.map_or_else(|| zeros.clone(), |vectors| vectors.slice(0, index * hidden, (index + 1) * hidden))
            }
            Leaf::Input(_) | Leaf::Product(_) => zeros.clone(),
        };
        let mut all = values(&sequence, cell, &derived.backward, saved, &|leaf| read(leaf, None));
        if let Some(backward_inner) = &derived.backward_inner {
            let inner = source(&all, split, cell.gates());
            let more = values(&sequence, cell, backward_inner, saved, &|leaf| read(leaf, Some(&inner)));
            all = all.iter().zip(&more).map(|(direct, more)| direct + more).collect();
        }
        let mut before = all.split_off(count);
        before[0] = &before[0] + source(&all, 0, split);
        for part in &mut all {
            *part = sequence.active(step, part, &zeros);
        }
        gates[step] = concat(&all);
        state = before.iter().zip(&state).map(|(before, after)| sequence.active(step, before, after)).collect();
    }
    vec![stack(&gates, 0), stack(&state, 0)]
}
