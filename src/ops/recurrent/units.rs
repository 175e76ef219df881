//! A cell's expressions as the CPU's code, and where each reads and writes in the memory of a step.

use super::Cell;
use super::derived::{Counts, Derived, Leaf};
use crate::scalar::ScalarExpr;
use crate::scalar::vectors::{Code, OutputPlane, Plane, Scratch, Units};

/// The code of each expression of a cell.
#[derive(Debug)]
pub(super) struct Codes {
    first: Option<Code>,
    step: Code,
    backward: Code,
    /// With the gradients that it adds to: what is 0 everywhere is not computed.
    backward_inner: Option<(Code, Vec<usize>)>,
}

impl Codes {
    pub(super) fn new(counts: Counts, derived: &Derived) -> Self {
        // States of their own buffers, then what goes into one buffer for all.
        let with_states = |states_first: bool, others: usize| -> Vec<usize> {
            let (states, others) = (0..counts.states, std::iter::repeat_n(counts.states, others));
            if states_first { states.chain(others).collect() } else { others.chain(states).collect() }
        };
        let code = |expression: &ScalarExpr, states_first: bool| {
            let others = expression.outputs.len().saturating_sub(counts.states);
            Code::new(expression, &with_states(states_first, others))
        };
        let backward_inner = derived.backward_inner.as_ref().map(|expression| {
            let added: Vec<usize> =
                (0..expression.outputs.len()).filter(|&output| !expression.is_constant(output, 0.0)).collect();
            let outputs = added.iter().map(|&output| expression.outputs[output]).collect();
            let expression = ScalarExpr { outputs, ..expression.clone() };
            (Code::new(&expression, &vec![0; added.len()]), added)
        });
        Self {
            first: derived.first.as_ref().map(|first| Code::new(first, &vec![0; first.outputs.len()])),
            step: code(&derived.step, true),
            backward: code(&derived.backward, false),
            backward_inner,
        }
    }
}

/// What a step of some rows reads in the forward pass.
pub(super) struct Forward<'a, T> {
    pub(super) cell: &'a Cell,
    pub(super) rows: usize,
    pub(super) units: usize,
    /// `[rows, gates · units]`
    pub(super) x: &'a [T],
    pub(super) product: &'a [T],
    /// The states before the step, `[rows, units]` each.
    pub(super) states: &'a [Vec<T>],
    /// `[parameters · units]`
    pub(super) parameters: &'a [T],
}

impl<T: Units> Forward<'_, T> {
    fn planes<'b>(&'b self, first_half: &'b [T]) -> Vec<Plane<'b, T>> {
        let (counts, units, derived) = (self.cell.counts(), self.units, self.cell.derived());
        let width = counts.gates * units;
        let count = counts.input(Leaf::Saved(derived.saved_first));
        let plane = |input: usize| match counts.leaf(input) {
            Leaf::Input(gate) => Plane { values: &self.x[gate * units..], stride: width },
            Leaf::Product(gate) => Plane { values: &self.product[gate * units..], stride: width },
            Leaf::State(state) => Plane { values: &self.states[state][..], stride: units },
            Leaf::Parameter(index) => Plane { values: &self.parameters[index * units..], stride: 0 },
            // Not there while the first half is computed.
            Leaf::Saved(value) => {
                let values = first_half.get(value * units..).unwrap_or_default();
                Plane { values, stride: derived.saved_first * units }
            }
            // Of no forward expression.
            Leaf::Upstream(_) | Leaf::InnerUpstream => Plane { values: &[], stride: 0 },
        };
        (0..count).map(plane).collect()
    }

    /// The first half of a step, into the saved values `[rows, saved · units]`.
    pub(super) fn first_half(&self, scratch: &mut Scratch<T>, saved: &mut [T]) {
        let Some(code) = &self.cell.codes().first else { return };
        let stride = self.cell.saved() * self.units;
        let outputs: Vec<OutputPlane> = (0..self.cell.derived().saved_first)
            .map(|value| OutputPlane { buffer: 0, offset: value * self.units, stride })
            .collect();
        code.run(scratch, self.rows, &self.planes(&[]), &outputs, &mut [saved]);
    }

    /// The step, or its second half: the states after it, `[rows, units]` each, and the saved values but for the states before.
    pub(super) fn step(&self, scratch: &mut Scratch<T>, next: &mut [Vec<T>], saved: &mut [T]) {
        let (counts, units, first) = (self.cell.counts(), self.units, self.cell.derived().saved_first);
        let stride = self.cell.saved() * units;
        // What the first half saved is beside what this one writes.
        let mut first_half = Vec::with_capacity(self.rows * first * units);
        if first > 0 {
            saved.chunks_exact(stride).for_each(|row| first_half.extend_from_slice(&row[..first * units]));
        }
        let states = (0..counts.states).map(|buffer| OutputPlane { buffer, offset: 0, stride: units });
        let others = (first..self.cell.derived().saved).map(|value| OutputPlane {
            buffer: counts.states,
            offset: value * units,
            stride,
        });
        let outputs: Vec<OutputPlane> = states.chain(others).collect();
        let mut buffers: Vec<&mut [T]> = next.iter_mut().map(Vec::as_mut_slice).collect();
        buffers.push(saved);
        self.cell.codes().step.run(scratch, self.rows, &self.planes(&first_half), &outputs, &mut buffers);
    }
}

/// What a step of some rows reads in the backward pass.
pub(super) struct Backward<'a, T> {
    pub(super) cell: &'a Cell,
    pub(super) rows: usize,
    pub(super) units: usize,
    /// `[rows, saved · units]`
    pub(super) saved: &'a [T],
    /// The gradients of the states after the step, `[rows, units]` each.
    pub(super) upstream: &'a [Vec<T>],
    /// `[parameters · units]`
    pub(super) parameters: &'a [T],
}

impl<T: Units> Backward<'_, T> {
    fn planes<'b>(&'b self, inner: &'b [T]) -> Vec<Plane<'b, T>> {
        let (counts, units, count) = (self.cell.counts(), self.units, self.cell.saved());
        let saved = |value: usize| Plane { values: &self.saved[value * units..], stride: count * units };
        let plane = |input: usize| match counts.leaf(input) {
            Leaf::State(state) => saved(count - 1 - state),
            Leaf::Saved(value) => saved(value),
            Leaf::Upstream(state) => Plane { values: &self.upstream[state][..], stride: units },
            Leaf::InnerUpstream => Plane { values: inner, stride: units },
            Leaf::Parameter(index) => Plane { values: &self.parameters[index * units..], stride: 0 },
            // Of no backward expression.
            Leaf::Input(_) | Leaf::Product(_) => Plane { values: &[], stride: 0 },
        };
        (0..counts.input(Leaf::Saved(self.cell.derived().saved))).map(plane).collect()
    }

    /// The gradients `[rows, gradients · units]`, and those of the states before the step.
    pub(super) fn step(&self, scratch: &mut Scratch<T>, gradients: &mut [T], before: &mut [Vec<T>]) {
        let (counts, units, count) = (self.cell.counts(), self.units, self.cell.gradients());
        let own = (0..count).map(|k| OutputPlane { buffer: counts.states, offset: k * units, stride: count * units });
        let states = (0..counts.states).map(|buffer| OutputPlane { buffer, offset: 0, stride: units });
        let outputs: Vec<OutputPlane> = own.chain(states).collect();
        let mut buffers: Vec<&mut [T]> = before.iter_mut().map(Vec::as_mut_slice).collect();
        buffers.push(gradients);
        self.cell.codes().backward.run(scratch, self.rows, &self.planes(&[]), &outputs, &mut buffers);
    }

    /// Adds what follows from the gradient of the inner state.
    pub(super) fn inner(&self, scratch: &mut Scratch<T>, inner: &[T], gradients: &mut [T], before: &mut [Vec<T>]) {
        let Some((code, added)) = &self.cell.codes().backward_inner else { return };
        let (units, count) = (self.units, self.cell.gradients());
        let stride = added.len() * units;
        let outputs: Vec<OutputPlane> =
            (0..added.len()).map(|k| OutputPlane { buffer: 0, offset: k * units, stride }).collect();
        let mut more = vec![T::real(0.0); self.rows * stride];
        code.run(scratch, self.rows, &self.planes(inner), &outputs, &mut [&mut more]);
        for (row, more) in more.chunks_exact(stride.max(1)).enumerate() {
            for (&k, more) in added.iter().zip(more.chunks_exact(units)) {
                let sum = if k < count {
                    &mut gradients[(row * count + k) * units..][..units]
                } else {
                    &mut before[k - count][row * units..][..units]
                };
                sum.iter_mut().zip(more).for_each(|(sum, &more)| *sum = *sum + more);
            }
        }
    }
}
