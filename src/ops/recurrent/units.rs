//! A cell's expressions as the CPU's code, and where each reads and writes in the memory of a step.

use smallvec::SmallVec;

use super::Cell;
use super::derived::{Counts, Derived, Leaf};
use crate::scalar::ScalarExpr;
use crate::scalar::vectors::{Code, Layout, Scratch, Units};

/// The code of each expression of a cell.
///
/// Buffers that the forward pass reads are x, the products, the parameters, what the first half saved and the step reads again, then the
/// states before; it writes the states after, then what is saved. The backward pass reads what was saved, the parameters, the gradient of
/// the inner state, then those of the states after the step; it writes those of the states before, then those of the gates.
#[derive(Debug)]
pub(super) struct Codes {
    first: Option<Code>,
    step: Code,
    /// The values of the first half that the step reads.
    again: Vec<usize>,
    backward: Code,
    /// Whether a step's hidden state has no gradient but through products, as an LSTM's: it is not computed then.
    pub(super) hidden_is_zero: bool,
    /// With the gradients that it adds to: what is 0 everywhere is not computed.
    backward_inner: Option<(Code, Vec<usize>)>,
}

impl Codes {
    pub(super) fn new(counts: Counts, derived: &Derived) -> Self {
        let Counts { gates, states, parameters } = counts;
        let saved_count = derived.saved + states;
        let again: Vec<usize> =
            (0..derived.saved_first).filter(|&value| derived.step.reads(counts.input(Leaf::Saved(value)))).collect();
        let at = |buffer: usize, offset: usize, stride: usize| Layout { buffer, offset, stride };
        let forward = |input: usize| match counts.leaf(input) {
            Leaf::Input(gate) => at(0, gate, gates),
            Leaf::Product(gate) => at(1, gate, gates),
            Leaf::Parameter(index) => at(2, index, 0),
            Leaf::Saved(value) => at(3, again.iter().position(|&other| other == value).unwrap_or(0), again.len()),
            Leaf::State(state) => at(4 + state, 0, 1),
            // Of no forward expression.
            Leaf::Upstream(_) | Leaf::InnerUpstream => at(2, 0, 0),
        };
        let backward = |input: usize| match counts.leaf(input) {
            Leaf::State(state) => at(0, saved_count - 1 - state, saved_count),
            Leaf::Saved(value) => at(0, value, saved_count),
            Leaf::Parameter(index) => at(1, index, 0),
            Leaf::InnerUpstream => at(2, 0, 1),
            Leaf::Upstream(state) => at(3 + state, 0, 1),
            // Of no backward expression.
            Leaf::Input(_) | Leaf::Product(_) => at(1, 0, 0),
        };
        let count = counts.input(Leaf::Saved(derived.saved));
        let [forward, backward]: [Vec<Layout>; 2] =
            [(0..count).map(forward).collect(), (0..count).map(backward).collect()];
        let first = |buffer: usize| (0..derived.saved_first).map(move |value| at(buffer, value, saved_count));
        let of_states = || (0..states).map(|state| at(state, 0, 1));
        let others = (derived.saved_first..derived.saved).map(|value| at(states, value, saved_count));
        let gradients = gates + parameters + if derived.separate_products { gates } else { 0 };
        let own = (0..gradients).map(|k| at(states, k, gradients));
        let backward_inner = derived.backward_inner.as_ref().map(|expression| {
            let added: Vec<usize> =
                (0..expression.outputs.len()).filter(|&output| !expression.is_constant(output, 0.0)).collect();
            let outputs = added.iter().map(|&output| expression.outputs[output]).collect();
            let layouts: Vec<Layout> = (0..added.len()).map(|k| at(0, k, added.len())).collect();
            (Code::new(&ScalarExpr { outputs, ..expression.clone() }, &backward, &layouts), added)
        });
        let hidden_is_zero = derived.inner.is_none() && derived.backward.is_constant(gradients, 0.0);
        let mut backward_outputs = derived.backward.outputs.clone();
        let mut backward_layouts: Vec<Layout> = own.chain(of_states()).collect();
        if hidden_is_zero {
            backward_outputs.remove(gradients);
            backward_layouts.remove(gradients);
        }
        let backward_step = ScalarExpr { outputs: backward_outputs, ..derived.backward.clone() };
        Self {
            first: derived.first.as_ref().map(|code| Code::new(code, &forward, &first(0).collect::<Vec<_>>())),
            step: Code::new(&derived.step, &forward, &of_states().chain(others).collect::<Vec<_>>()),
            backward: Code::new(&backward_step, &backward, &backward_layouts),
            hidden_is_zero,
            again,
            backward_inner,
        }
    }
}

/// What a step of some rows reads in the forward pass: gates and products `[rows, gates · units]`, `[rows, units]` of each state, and
/// `[parameters · units]`.
pub(super) struct Forward<'a, T> {
    pub(super) cell: &'a Cell,
    pub(super) rows: usize,
    pub(super) x: &'a [T],
    pub(super) product: &'a [T],
    pub(super) states: &'a [Vec<T>],
    pub(super) parameters: &'a [T],
}

impl<T: Units> Forward<'_, T> {
    fn sources<'b>(&'b self, again: &'b [T]) -> SmallVec<[&'b [T]; 8]> {
        let fixed = [self.x, self.product, self.parameters, again];
        fixed.into_iter().chain(self.states.iter().map(Vec::as_slice)).collect()
    }

    /// The first half of a step, into the saved values `[rows, saved · units]`.
    pub(super) fn first_half(&self, scratch: &mut Scratch<T>, saved: &mut [T]) {
        if let Some(code) = &self.cell.codes().first {
            code.run(scratch, self.rows, &self.sources(&[]), &mut [saved]);
        }
    }

    /// The step, or its second half: the states after it, `[rows, units]` each, and the saved values but for the states before.
    pub(super) fn step(&self, scratch: &mut Scratch<T>, next: &mut [Vec<T>], saved: &mut [T]) {
        // What the first half saved is in the memory that this one writes to.
        let Codes { step, again: values, .. } = self.cell.codes();
        let mut again = Vec::new();
        if !values.is_empty() {
            let units = saved.len() / (self.rows * self.cell.saved());
            again.reserve(self.rows * values.len() * units);
            for row in saved.chunks_exact(self.cell.saved() * units) {
                values.iter().for_each(|value| again.extend_from_slice(&row[value * units..][..units]));
            }
        }
        let mut buffers: SmallVec<[&mut [T]; 4]> = next.iter_mut().map(Vec::as_mut_slice).collect();
        buffers.push(saved);
        step.run(scratch, self.rows, &self.sources(&again), &mut buffers);
    }
}

/// What a step of some rows reads in the backward pass: what was saved, `[rows, saved · units]`, the gradients of the states after the
/// step, `[rows, units]` each, and `[parameters · units]`.
pub(super) struct Backward<'a, T> {
    pub(super) cell: &'a Cell,
    pub(super) rows: usize,
    pub(super) saved: &'a [T],
    pub(super) upstream: &'a [Vec<T>],
    pub(super) parameters: &'a [T],
}

impl<T: Units> Backward<'_, T> {
    fn sources<'b>(&'b self, inner: &'b [T]) -> SmallVec<[&'b [T]; 8]> {
        [self.saved, self.parameters, inner].into_iter().chain(self.upstream.iter().map(Vec::as_slice)).collect()
    }

    /// The gradients `[rows, gradients · units]`, and those of the states before the step, without one of the hidden state that is 0.
    pub(super) fn step(&self, scratch: &mut Scratch<T>, gradients: &mut [T], before: &mut [Vec<T>]) {
        let mut buffers: SmallVec<[&mut [T]; 4]> = before.iter_mut().map(Vec::as_mut_slice).collect();
        buffers.push(gradients);
        self.cell.codes().backward.run(scratch, self.rows, &self.sources(&[]), &mut buffers);
    }

    /// Adds what follows from the gradient of the inner state.
    pub(super) fn inner(&self, scratch: &mut Scratch<T>, inner: &[T], gradients: &mut [T], before: &mut [Vec<T>]) {
        let Some((code, added)) = &self.cell.codes().backward_inner else { return };
        let (units, count) = (inner.len() / self.rows, self.cell.gradients());
        let stride = added.len() * units;
        let mut more = vec![T::real(0.0); self.rows * stride];
        code.run(scratch, self.rows, &self.sources(inner), &mut [&mut more]);
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
