//! Recurrence over a sequence: everything of an RNN, LSTM or GRU that depends on the step before. What does not (the product of all
//! inputs with their weights) is one matrix product ahead of it, whose result is the input `gates`.

mod cell;
mod derived;
mod kernels;
mod module;
mod native;
mod stored;
#[cfg(test)]
mod tests;
mod units;
mod unrolled;

use super::Op;
use crate::error::counted;
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

pub use cell::{Cell, CellDefinition, CellStep};

/// Which inputs a pass over a sequence has beside those that it always has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// Gates `[steps, batch, gates · hidden]` and the transposed weight `[hidden, gates · hidden]`; then a bias followed by the cell's
    /// parameters, an initial state and lengths, where they are there. Returns outputs, the last state, and what the backward pass needs.
    Forward {
        /// The bias of the state's product.
        bias: bool,
        /// The state before the first step.
        initial: bool,
        /// Steps of each sequence.
        lengths: bool,
    },
    /// The weight `[gates · hidden, hidden]` and what the forward pass saved; then the gradients of the outputs and of the last
    /// state, lengths and the cell's parameters, where they are there. Returns the gradients of the gates (of their sums, of their
    /// products with the state where those differ, and of the parameters, a value for each step) and of the initial state.
    Backward {
        /// The gradient of the outputs.
        outputs: bool,
        /// The gradient of the last state.
        last: bool,
        /// Steps of each sequence.
        lengths: bool,
    },
}

/// A pass over a whole sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recurrent {
    /// What a step computes.
    pub cell: Cell,
    /// From the last step to the first (in the backward pass: from the first to the last).
    pub reverse: bool,
    /// Forward or backward.
    pub pass: Pass,
}

/// Which of the operator's inputs is which: their indices, by name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputIndices {
    /// Values for each unit, `[n · hidden]`: the bias of the products, then the cell's parameters.
    pub(super) vectors: Option<usize>,
    pub(super) initial: Option<usize>,
    pub(super) outputs: Option<usize>,
    pub(super) last: Option<usize>,
    pub(super) lengths: Option<usize>,
    pub(super) count: usize,
}

impl Recurrent {
    fn input_indices(&self) -> InputIndices {
        let mut indices = InputIndices { count: 2, ..InputIndices::default() };
        let mut take = |there: bool| {
            indices.count += usize::from(there);
            there.then_some(indices.count - 1)
        };
        match self.pass {
            Pass::Forward { initial, lengths, .. } => {
                (indices.vectors, indices.initial) = (take(self.vectors() > 0), take(initial));
                indices.lengths = take(lengths);
            }
            Pass::Backward { outputs, last, lengths } => {
                (indices.outputs, indices.last) = (take(outputs), take(last));
                (indices.lengths, indices.vectors) = (take(lengths), take(self.vectors() > 0));
            }
        }
        indices
    }

    /// True for the inputs that may be of 16 bits in memory: the gates; what the forward pass saved, and the gradients of the outputs.
    fn reads_half(&self, input: usize) -> bool {
        match self.pass {
            Pass::Forward { .. } => input == 0,
            Pass::Backward { .. } => input == 1 || Some(input) == self.input_indices().outputs,
        }
    }

    /// The outputs that may be of 16 bits in memory: those with a value for each step. Such a sequence is rounded as a whole: the states
    /// that are multiplied are the rounded ones, as operands of products are. What else a step computes from states is computed from
    /// states in f32. On a GPU two neighbouring units are a word, so units are even in number; elsewhere too, for the same results.
    fn half_outputs(&self, outputs: &[TensorType]) -> &'static [usize] {
        let is_even = match (self.pass, outputs) {
            (Pass::Forward { .. }, [_, state, _]) | (Pass::Backward { .. }, [_, state]) => {
                state.shape.last().is_some_and(|hidden| hidden.is_multiple_of(2))
            }
            _ => false,
        };
        match self.pass {
            _ if !is_even => &[],
            Pass::Forward { .. } => &[0, 2],
            Pass::Backward { .. } => &[0],
        }
    }

    /// Values for each unit among the inputs.
    fn vectors(&self) -> usize {
        let bias = matches!(self.pass, Pass::Forward { bias: true, .. });
        self.cell.parameters().len() + if bias { self.cell.gates() } else { 0 }
    }

    /// Steps, batch and hidden units, from the types of the inputs.
    fn extents(&self, inputs: &[&TensorType]) -> Result<[usize; 3], String> {
        if inputs.len() != self.input_indices().count {
            return Err(format!("takes {} inputs, not {}", self.input_indices().count, inputs.len()));
        }
        let wrong = || format!("inputs {} and {} do not fit", inputs[0], inputs[1]);
        let (sequence, weight, width) = match self.pass {
            Pass::Forward { .. } => (inputs[0], inputs[1].shape.dims(), self.cell.gates()),
            Pass::Backward { .. } => (inputs[1], inputs[0].shape.dims(), self.cell.saved()),
        };
        let ([steps, batch, last], [rows, columns]) = (sequence.shape.dims(), weight) else { return Err(wrong()) };
        let hidden = match self.pass {
            Pass::Forward { .. } => *rows,
            Pass::Backward { .. } => *columns,
        };
        let fits = *last == width * hidden && rows * columns == self.cell.gates() * hidden * hidden;
        // Sequences may be stored in 16 bits.
        let is_half = |index: usize| self.reads_half(index) && matches!(inputs[index].dtype, DType::F16 | DType::BF16);
        let computes = |index: usize| if is_half(index) { DType::F32 } else { inputs[index].dtype };
        let is_one_type = computes(0) == computes(1);
        if fits && is_one_type { Ok([*steps, *batch, hidden]) } else { Err(wrong()) }
    }
}

impl Operator for Recurrent {
    fn name(&self) -> String {
        match self.pass {
            Pass::Forward { .. } => self.cell.operator_name(),
            Pass::Backward { .. } => format!("{}_gradient", self.cell.operator_name()),
        }
    }

    fn output_count(&self) -> usize {
        match self.pass {
            Pass::Forward { .. } => 3,
            Pass::Backward { .. } => 2,
        }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let [steps, batch, hidden] = self.extents(inputs)?;
        let dtype = inputs[0].dtype;
        let state = TensorType::new(dtype, [self.cell.states(), batch, hidden]);
        let sequence = |width: usize| TensorType::new(dtype, [steps, batch, width * hidden]);
        Ok(match self.pass {
            Pass::Forward { .. } => vec![sequence(1), state, sequence(self.cell.saved())],
            Pass::Backward { .. } => vec![sequence(self.cell.gradients()), state],
        })
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self))
    }

    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(match self.pass {
            Pass::Forward { .. } => unrolled::forward(self, inputs),
            Pass::Backward { .. } => unrolled::backward(self, inputs),
        })
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        // What is saved has a gradient only where a gradient is differentiated again.
        let (Pass::Forward { lengths, .. }, None) = (self.pass, gradient.upstream.get(2)?) else { return None };
        let indices = self.input_indices();
        let (outputs, last) = (gradient.upstream[0].as_ref(), gradient.upstream[1].as_ref());
        let pass = Pass::Backward { outputs: outputs.is_some(), last: last.is_some(), lengths };
        let weight = gradient.inputs[1].transpose(0, 1);
        let saved = &gradient.outputs[2].graph().saved(&gradient.outputs[2]);
        let mut inputs = vec![&weight, saved];
        inputs.extend(outputs);
        inputs.extend(last);
        inputs.extend(indices.lengths.map(|index| &gradient.inputs[index]));
        let graph = weight.graph();
        let bias = if matches!(self.pass, Pass::Forward { bias: true, .. }) { self.cell.gates() } else { 0 };
        let parameters = indices.vectors.filter(|_| self.vectors() > bias).map(|index| {
            let vectors = &gradient.inputs[index];
            let hidden = vectors.shape().first().map_or(0, |width| width / self.vectors());
            vectors.slice(0, bias * hidden, self.vectors() * hidden)
        });
        inputs.extend(&parameters);
        let mut found = graph.apply(Op::Recurrent(Self { pass, ..self.clone() }), &inputs);
        let (initial, gates) = (found.swap_remove(1), graph.saved(&found.swap_remove(0)));
        let mut parts = vec![None; indices.count];
        if graph.error().is_some() {
            return Some(parts);
        }
        let hidden = gradient.inputs[1].shape()[0];
        let rows = saved.shape()[0] * saved.shape()[1];
        let values = |tensor: &Tensor, from: usize, to: usize| {
            tensor.slice(2, from * hidden, to * hidden).reshape([rows, (to - from) * hidden])
        };
        let count = self.cell.saved();
        let before = values(saved, count - 1, count);
        let (first, end) = (self.cell.of_products(), self.cell.of_products() + self.cell.gates());
        // Transposed twice: the weight as the user has it gets its gradient straight from the product.
        let product = |source: &Tensor, from: usize, to: usize| values(&gates, from, to).transpose(0, 1).matmul(source);
        let weight = match self.cell.derived().inner {
            None => product(&before, first, end),
            Some(inner) => {
                let source = values(saved, inner.state, inner.state + 1);
                let second = first + inner.first_gate;
                graph.concat(&[&product(&before, first, second), &product(&source, second, end)], 0)
            }
        };
        parts[1] = Some(weight.transpose(0, 1));
        if let Some(index) = indices.vectors {
            let from = if bias > 0 { first } else { end };
            parts[index] = Some(values(&gates, from, self.cell.gradients()).sum([0]));
        }
        if let Some(index) = indices.initial {
            parts[index] = Some(initial);
        }
        parts[0] = Some(gates.slice(2, 0, self.cell.gates() * hidden));
        Some(parts)
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        let Ok([steps, batch, hidden]) = self.extents(inputs) else { return RoutineCost::default() };
        let (steps, hidden) = ((steps * batch) as u64, hidden as u64);
        RoutineCost { flops: steps * hidden * (2 * self.cell.gates() as u64 * hidden + 12) }
    }
}

impl CpuRoutine for Recurrent {
    fn reads_stored(&self, input: usize) -> bool {
        self.reads_half(input)
    }

    fn stores_half(&self, outputs: &[TensorType]) -> &'static [usize] {
        self.half_outputs(outputs)
    }

    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        native::evaluate(self, inputs, outputs)
    }
}

impl GpuRoutine for Recurrent {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter, false)
    }

    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self, shapes, adapter, true)
    }

    fn reads_stored(&self, input: usize) -> bool {
        self.reads_half(input)
    }

    fn stores_half(&self, outputs: &[TensorType]) -> &'static [usize] {
        self.half_outputs(outputs)
    }
}

/// How a sequence is computed.
///
/// Steps are the first axis: gates are `[steps, batch, gates · hidden]` with PyTorch's order of gates, states `[states, batch,
/// hidden]`, where an LSTM has two (hidden, cell) and the others one.
#[derive(Clone, Debug)]
pub struct RecurrentOptions<'a> {
    /// What a step computes.
    pub cell: Cell,
    /// From the last step to the first.
    pub reverse: bool,
    /// `[gates · hidden]`, added to the state's product (PyTorch's `bias_hh`); any other bias is a part of the gates.
    pub bias: Option<&'a Tensor>,
    /// The cell's parameters, `[hidden]` each, in its order.
    pub parameters: &'a [Tensor],
    /// The state before the first step, `[states, batch, hidden]`; zeros where there is none.
    pub initial: Option<&'a Tensor>,
    /// Steps of each sequence, i32 `[batch]`, from 1 up to all. Beyond them outputs are zeros, and the state stays as it was.
    pub lengths: Option<&'a Tensor>,
}

impl RecurrentOptions<'_> {
    /// Forward, from zeros, over all steps.
    pub fn new(cell: Cell) -> Self {
        Self { cell, reverse: false, bias: None, parameters: &[], initial: None, lengths: None }
    }
}

/// The results of a sequence.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// The hidden state after each step, `[steps, batch, hidden]`, in the order of the steps.
    pub outputs: Tensor,
    /// The state after the last step of each sequence, `[states, batch, hidden]`.
    pub last: Tensor,
}

impl Tensor {
    /// Computes a sequence: `self` is what the inputs contribute to the gates, `[steps, batch, gates · hidden]`, and the weight
    /// (PyTorch's `weight_hh`, `[gates · hidden, hidden]`) is what the state contributes.
    ///
    /// ```
    /// use wgrad::ops::{Cell, RecurrentOptions};
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let (x, w) = (g.input("x", [50, 8, 4 * 16], F32), g.input("w", [4 * 16, 16], F32));
    /// let found = x.recurrent(&w, &RecurrentOptions::new(Cell::lstm()));
    /// assert_eq!((found.outputs.shape(), found.last.shape()), ([50, 8, 16].into(), [2, 8, 16].into()));
    /// ```
    #[track_caller]
    pub fn recurrent(&self, weight: &Self, options: &RecurrentOptions<'_>) -> Recurrence {
        if let Err(message) = self.check_recurrent(weight, options) {
            let mistake = self.graph().mistake(&options.cell.operator_name(), message);
            return Recurrence { outputs: mistake.clone(), last: mistake };
        }
        let pass = Pass::Forward {
            bias: options.bias.is_some(),
            initial: options.initial.is_some(),
            lengths: options.lengths.is_some(),
        };
        let transposed = weight.transpose(0, 1);
        let mut lengths = options.lengths.cloned();
        // No closure: the user's line does not reach through one.
        if let Some(lengths) = &mut lengths {
            *lengths = lengths.i32_indices();
        }
        let vectors: Vec<&Self> = options.bias.into_iter().chain(options.parameters).collect();
        let vectors = match vectors.as_slice() {
            [] => None,
            [one] => Some(Self::clone(one)),
            several => Some(self.graph().concat(several, 0)),
        };
        let mut inputs = vec![self, &transposed];
        inputs.extend(&vectors);
        inputs.extend(options.initial);
        inputs.extend(&lengths);
        let recurrent = Recurrent { cell: options.cell.clone(), reverse: options.reverse, pass };
        let mut found = self.graph().apply(Op::Recurrent(recurrent), &inputs);
        let (last, outputs) = (found.swap_remove(1), found.swap_remove(0));
        Recurrence { outputs: self.graph().saved(&outputs), last }
    }

    fn check_recurrent(&self, weight: &Self, options: &RecurrentOptions<'_>) -> Result<(), String> {
        let cell = &options.cell;
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
        expect("the bias", options.bias, &[width], self.dtype())?;
        let (found, names) = (options.parameters, cell.parameters());
        if found.len() != names.len() {
            return Err(format!("takes {} of {names:?}, not {}", counted(names.len(), "parameter"), found.len()));
        }
        for (name, parameter) in names.iter().zip(found) {
            expect(&format!("parameter {name:?}"), Some(parameter), &[hidden], self.dtype())?;
        }
        expect("the initial state", options.initial, &[cell.states(), batch, hidden], self.dtype())?;
        let lengths = options.lengths.map_or(DType::I32, Self::dtype);
        expect("the lengths", options.lengths, &[batch], if lengths == DType::I64 { lengths } else { DType::I32 })
    }
}
