//! A recurrence on the CPU: slices of the batch, each computed through the whole sequence by a thread of its own, with a weight
//! that is laid out once for the products of all steps. How the batch is cut depends on its size alone.

use super::stored::{Results, Values, round};
use super::units::{Backward, Forward};
use super::{Cell, Pass, Recurrent};
use crate::ops::matmul::{self, Matrix, Panels, Start};
use crate::ops::tasks::{each, lend};
use crate::scalar::vectorized;
use crate::scalar::vectors::{Scratch, Units};
use crate::shader::Operand;
use crate::tensor::{DType, Element, TensorType};

/// Multiplications of all steps from which threads pay.
const PARALLEL_FROM: usize = 1 << 17;

/// Rows of a slice of the batch, at most: more of them share a pass over the weight, fewer keep more threads busy.
const ROWS: usize = 16;

/// What the arithmetic is in.
pub(super) trait Float: Units + matmul::Float + Element {
    fn to_f32(self) -> f32;
}

impl Float for f32 {
    fn to_f32(self) -> f32 {
        self
    }
}

impl Float for f64 {
    fn to_f32(self) -> f32 {
        self as f32
    }
}

pub(super) fn evaluate(
    recurrent: &Recurrent,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    let of_states = outputs.get(1).map_or(DType::F32, |(ty, _)| ty.dtype);
    match of_states {
        DType::F32 => typed::<f32>(recurrent, inputs, outputs),
        DType::F64 => typed::<f64>(recurrent, inputs, outputs),
        dtype => Err(format!("recurrences compute in f32 or f64, not {dtype}")),
    }
}

/// A pass with its extents and its inputs as slices.
struct Problem<'a, T> {
    cell: &'a Cell,
    reverse: bool,
    steps: usize,
    batch: usize,
    hidden: usize,
    /// Rows of a slice of the batch.
    rows: usize,
    first: Values<'a, T>,
    second: Values<'a, T>,
    bias: Option<&'a [T]>,
    parameters: &'a [T],
    initial: Option<&'a [T]>,
    outputs: Option<Values<'a, T>>,
    last: Option<&'a [T]>,
    lengths: Option<&'a [i32]>,
    /// The type of the sequences that are computed: what the arithmetic is in, or f16 or bf16.
    stored: DType,
}

fn typed<T: Float>(
    recurrent: &Recurrent,
    inputs: &[(&Operand, &[u8])],
    outputs: &mut [(&TensorType, &mut [u8])],
) -> Result<(), String> {
    let types: Vec<&TensorType> = inputs.iter().map(|(operand, _)| &operand.ty).collect();
    let [steps, batch, hidden] = recurrent.extents(&types)?;
    let indices = recurrent.input_indices();
    fn values<'a, T: bytemuck::Pod>(inputs: &[(&Operand, &'a [u8])], index: usize) -> &'a [T] {
        let (operand, bytes) = inputs[index];
        &bytemuck::cast_slice(bytes)[..operand.ty.len()]
    }
    let some = |index: Option<usize>| index.map(|index| values::<T>(inputs, index));
    let cell = &recurrent.cell;
    let width = if matches!(recurrent.pass, Pass::Forward { bias: true, .. }) { cell.gates() * hidden } else { 0 };
    let (bias, parameters) = some(indices.vectors).unwrap_or_default().split_at(width);
    let problem = Problem {
        cell,
        reverse: recurrent.reverse,
        steps,
        batch,
        hidden,
        rows: batch.div_ceil(2).clamp(1, ROWS),
        first: Values::of(&inputs[0].0.ty, inputs[0].1),
        second: Values::of(&inputs[1].0.ty, inputs[1].1),
        bias: (width > 0).then_some(bias),
        parameters,
        initial: some(indices.initial),
        outputs: indices.outputs.map(|index| Values::of(&inputs[index].0.ty, inputs[index].1)),
        last: some(indices.last),
        lengths: indices.lengths.map(|index| values::<i32>(inputs, index)),
        stored: outputs.first().map_or(T::DTYPE, |(ty, _)| ty.dtype),
    };
    if outputs.iter().any(|(ty, _)| ty.is_empty()) {
        return Ok(());
    }
    let mut results: Vec<Results<'_, T>> = outputs.iter_mut().map(|(ty, bytes)| Results::of(ty, bytes)).collect();
    let parallel = recurrent.cell.gates() * steps * batch * hidden * hidden >= PARALLEL_FROM;
    let weights = problem.weights(recurrent.pass);
    let size = weights.iter().map(|weight| Panels::<T>::size(weight.rows, weight.columns)).sum();
    lend(size, |mut memory| {
        let mut laid_out = Vec::with_capacity(weights.len());
        for weight in weights {
            let (part, rest) = std::mem::take(&mut memory).split_at_mut(Panels::<T>::size(weight.rows, weight.columns));
            memory = rest;
            laid_out.push(Panels::lay_out(weight, part));
        }
        match (recurrent.pass, results.as_mut_slice()) {
            (Pass::Forward { .. }, [outputs, Results::Computed(last), saved]) => {
                let slices = problem.slices([outputs.take(), saved.take()].into(), last);
                each(slices, parallel, |slice| problem.forward(&laid_out, slice))
            }
            (Pass::Backward { .. }, [gates, Results::Computed(initial)]) => {
                let slices = problem.slices([gates.take()].into(), initial);
                each(slices, parallel, |slice| problem.backward(&laid_out, slice))
            }
            _ => Err("a recurrence has other results".into()),
        }
    })
}

/// A slice of the batch: its rows of each step of the results, and of each state.
struct Slice<'a, T> {
    first_row: usize,
    rows: usize,
    steps: Vec<Vec<Results<'a, T>>>,
    state: Vec<&'a mut [T]>,
}

impl<'a, T: Float> Problem<'a, T> {
    /// What states are multiplied by in the forward pass, and gradients in the backward pass. Where a step has two products, the
    /// weights of both are apart: the one of the inner state is the second in the forward pass, the first in the backward pass.
    fn weights(&self, pass: Pass) -> Vec<Matrix<'a, T>> {
        let (hidden, gates) = (self.hidden, self.cell.gates());
        let inner = self.cell.derived().inner;
        if matches!(pass, Pass::Forward { .. }) {
            let columns = |from: usize, to: usize| Matrix {
                elements: &self.second.all()[from * hidden..],
                rows: hidden,
                columns: (to - from) * hidden,
                steps: [gates * hidden, 1],
            };
            match inner {
                Some(inner) => vec![columns(0, inner.first_gate), columns(inner.first_gate, gates)],
                None => vec![columns(0, gates)],
            }
        } else {
            let rows = |from: usize, to: usize| Matrix {
                elements: &self.first.all()[from * hidden * hidden..],
                rows: (to - from) * hidden,
                columns: hidden,
                steps: [hidden, 1],
            };
            match inner {
                Some(inner) => vec![rows(inner.first_gate, gates), rows(0, inner.first_gate)],
                None => vec![rows(0, gates)],
            }
        }
    }

    fn slices<'b>(&self, sequences: Vec<Results<'b, T>>, state: &'b mut [T]) -> Vec<Slice<'b, T>> {
        let count = self.batch.div_ceil(self.rows);
        let mut slices: Vec<Slice<'b, T>> = (0..count)
            .map(|slice| Slice {
                first_row: slice * self.rows,
                rows: self.rows.min(self.batch - slice * self.rows),
                steps: sequences.iter().map(|_| Vec::with_capacity(self.steps)).collect(),
                state: Vec::new(),
            })
            .collect();
        for (index, mut sequence) in sequences.into_iter().enumerate() {
            let width = sequence.len() / (self.steps * self.batch);
            for _ in 0..self.steps {
                for slice in &mut slices {
                    slice.steps[index].push(sequence.split_first(slice.rows * width));
                }
            }
        }
        for state in state.chunks_mut(self.batch * self.hidden) {
            for (slice, part) in slices.iter_mut().zip(state.chunks_mut(self.rows * self.hidden)) {
                slice.state.push(part);
            }
        }
        slices
    }

    /// Rows of each state, or zeros.
    fn states(&self, source: Option<&[T]>, slice: &Slice<'_, T>) -> Vec<Vec<T>> {
        let count = slice.rows * self.hidden;
        let state = |state: usize| match source {
            Some(source) => source[(state * self.batch + slice.first_row) * self.hidden..][..count].to_vec(),
            None => vec![T::real(0.0); count],
        };
        (0..self.cell.states()).map(state).collect()
    }

    fn is_active(&self, row: usize, step: usize) -> bool {
        self.lengths.is_none_or(|lengths| (step as i64) < i64::from(lengths[row]))
    }

    fn order(&self) -> Vec<usize> {
        if self.reverse { (0..self.steps).rev().collect() } else { (0..self.steps).collect() }
    }

    /// Gates and the transposed weight to outputs, last state and what is saved.
    fn forward(&self, weights: &[Panels<'_, T>], mut slice: Slice<'_, T>) -> Result<(), String> {
        let (cell, hidden, rows, first_row) = (self.cell, self.hidden, slice.rows, slice.first_row);
        let (width, saved_width) = (cell.gates() * hidden, cell.saved() * hidden);
        let mut states = self.states(self.initial, &slice);
        let mut next = states.clone();
        let mut scratch = Scratch::new(hidden);
        let mut product = vec![T::real(0.0); rows * width];
        let is_half = self.stored != T::DTYPE;
        // A step's results, and the hidden state before it, as far as they are rounded.
        let [mut saved_room, mut output_room, mut gates_room] = [const { Vec::new() }; 3];
        let mut rounded = vec![T::real(0.0); if is_half { rows * hidden } else { 0 }];
        let ([outputs, all_saved], [weight, others @ ..]) = (slice.steps.as_mut_slice(), weights) else {
            return Err("a recurrence has other results".into());
        };
        // The columns of the weight that the state before is multiplied by, before those of the inner state.
        let columns = cell.derived().inner.map_or(cell.gates(), |inner| inner.first_gate) * hidden;
        let bias = |from: usize, to: usize| match self.bias {
            Some(bias) => Start::Bias(&bias[from..to]),
            None => Start::Zero,
        };
        for (iteration, step) in self.order().into_iter().enumerate() {
            if iteration > 0 || self.initial.is_some() {
                if is_half && iteration > 0 {
                    rounded.copy_from_slice(&states[0]);
                    round(self.stored, &mut rounded);
                }
                let elements = if is_half && iteration > 0 { &rounded } else { &states[0] };
                let hidden_state = Matrix { elements, rows, columns: hidden, steps: [hidden, 1] };
                weight.multiply_matrix(hidden_state, &mut product, width, bias(0, columns));
            } else if let Some(bias) = self.bias {
                // Where there is no state yet, there is no product: not even with what is infinite.
                product.chunks_mut(width).for_each(|row| row[..columns].copy_from_slice(&bias[..columns]));
            }
            let first = step * self.batch + first_row;
            let x = self.first.range(first * width..(first + rows) * width, &mut gates_room);
            let saved = all_saved[step].begin(&mut saved_room);
            let output = outputs[step].begin(&mut output_room);
            for (row, saved) in saved.chunks_mut(saved_width).enumerate() {
                for (state, saved) in states.iter().zip(saved.chunks_exact_mut(hidden).rev()) {
                    saved.copy_from_slice(&state[row * hidden..(row + 1) * hidden]);
                }
            }
            let parameters = self.parameters;
            if let (Some(inner), [weight]) = (cell.derived().inner, others) {
                let from = Forward { cell, rows, x, product: &product, states: &states, parameters };
                from.first_half(&mut scratch, saved);
                round(self.stored, saved);
                let state =
                    Matrix { elements: &saved[inner.state * hidden..], rows, columns: hidden, steps: [saved_width, 1] };
                weight.multiply_matrix(state, &mut product[columns..], width, bias(columns, width));
            }
            let from = Forward { cell, rows, x, product: &product, states: &states, parameters };
            from.step(&mut scratch, &mut next, saved);
            output.copy_from_slice(&next[0]);
            for row in (0..rows).filter(|&row| !self.is_active(first_row + row, step)) {
                // Its states stay as they were before the step.
                let span = row * hidden..(row + 1) * hidden;
                output[span.clone()].fill(T::real(0.0));
                for (next, state) in next.iter_mut().zip(&states) {
                    next[span.clone()].copy_from_slice(&state[span.clone()]);
                }
            }
            all_saved[step].end(&saved_room);
            outputs[step].end(&output_room);
            std::mem::swap(&mut states, &mut next);
        }
        for (state, values) in slice.state.iter_mut().zip(states) {
            state.copy_from_slice(&values);
        }
        Ok(())
    }

    /// The weight and what was saved to the gradients of the gates and of the initial state.
    fn backward(&self, weights: &[Panels<'_, T>], mut slice: Slice<'_, T>) -> Result<(), String> {
        let (cell, hidden, rows) = (self.cell, self.hidden, slice.rows);
        let (saved_width, width) = (cell.saved() * hidden, cell.gradients() * hidden);
        let mut upstream = self.states(self.last, &slice);
        let mut before = upstream.clone();
        let mut scratch = Scratch::new(hidden);
        let [others @ .., weight] = weights else { return Err("a recurrence has a weight".into()) };
        let [mut widened, mut gates_room, mut outputs_room] = [const { Vec::new() }; 3];
        let mut inner_gradient = vec![T::real(0.0); others.len() * rows * hidden];
        // What the states before were multiplied by: the gradients of products, those of the inner state's after the others.
        let first_product = cell.of_products() * hidden;
        let columns = cell.derived().inner.map_or(cell.gates(), |inner| inner.first_gate) * hidden;
        for step in self.order().into_iter().rev() {
            let gates = slice.steps[0][step].begin(&mut gates_room);
            let first = step * self.batch + slice.first_row;
            let saved = self.second.range(first * saved_width..(first + rows) * saved_width, &mut widened);
            let is_active = |row: usize| self.is_active(slice.first_row + row, step);
            if let Some(outputs) = self.outputs {
                let outputs = outputs.range(first * hidden..(first + rows) * hidden, &mut outputs_room);
                let output = outputs.chunks_exact(hidden);
                let rows = upstream[0].chunks_exact_mut(hidden).zip(output).enumerate();
                let mut active = rows.filter(|(row, _)| is_active(*row));
                vectorized(
                    #[inline(always)]
                    || {
                        for (_, (sum, output)) in active.by_ref() {
                            sum.iter_mut().zip(output).for_each(|(sum, &output)| *sum += output);
                        }
                    },
                );
            }
            let from = Backward { cell, rows, saved, upstream: &upstream, parameters: self.parameters };
            from.step(&mut scratch, gates, &mut before);
            // Rows whose sequence is over have a gradient of the hidden state to retain.
            let start = if cell.codes().hidden_is_zero && self.lengths.is_none() { Start::Zero } else { Start::Sums };
            if cell.codes().hidden_is_zero && self.lengths.is_some() {
                before[0].fill(T::real(0.0));
            }
            self.leave_out(&is_active, gates, &mut before, &upstream);
            round(self.stored, gates);
            if let [weight] = others {
                let second = Matrix {
                    elements: &gates[first_product + columns..],
                    rows,
                    columns: cell.gates() * hidden - columns,
                    steps: [width, 1],
                };
                weight.multiply_matrix(second, &mut inner_gradient, hidden, Start::Zero);
                from.inner(&mut scratch, &inner_gradient, gates, &mut before);
                self.leave_out(&is_active, gates, &mut before, &upstream);
                round(self.stored, gates);
            }
            let lhs = Matrix { elements: &gates[first_product..], rows, columns, steps: [width, 1] };
            weight.multiply_matrix(lhs, &mut before[0], hidden, start);
            slice.steps[0][step].end(&gates_room);
            std::mem::swap(&mut upstream, &mut before);
        }
        for (state, values) in slice.state.iter_mut().zip(upstream) {
            state.copy_from_slice(&values);
        }
        Ok(())
    }

    /// Of rows whose sequence does not have the step, the gates' gradients are zeros, and those of the states stay.
    fn leave_out(
        &self,
        is_active: &impl Fn(usize) -> bool,
        gates: &mut [T],
        before: &mut [Vec<T>],
        upstream: &[Vec<T>],
    ) {
        if self.lengths.is_none() {
            return;
        }
        let hidden = self.hidden;
        for (row, gates) in gates.chunks_exact_mut(self.cell.gradients() * hidden).enumerate() {
            if !is_active(row) {
                gates.fill(T::real(0.0));
                let span = row * hidden..(row + 1) * hidden;
                for (before, upstream) in before.iter_mut().zip(upstream) {
                    before[span.clone()].copy_from_slice(&upstream[span.clone()]);
                }
            }
        }
    }
}
