//! What an operator is. One implementation of this trait, and of that of its kind, is all that the engine knows about it.

use std::fmt;

use super::Tensor;
use super::expression::{Expression, InputAccess};
use super::routine::Routine;
use crate::scalar::Reduction;
use crate::tensor::TensorType;

/// How the compiler treats an operator.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// It computes nothing: an input, a variable, a constant.
    Source,
    /// The same elements in the same order under another shape.
    Reshape,
    /// Each element of the output is a scalar expression of elements of the inputs.
    Expression(&'a dyn Expression),
    /// A reduction over the axes (ascending).
    Reduction {
        /// Which.
        reduction: Reduction,
        /// Over which axes.
        axes: &'a [usize],
    },
    /// Work with kernels of its own.
    Routine(Routine<'a>),
}

impl<'a> Kind<'a> {
    /// What an operator has that is a routine.
    pub(crate) fn routine(self) -> Option<Routine<'a>> {
        match self {
            Self::Routine(routine) => Some(routine),
            Self::Source | Self::Reshape | Self::Expression(_) | Self::Reduction { .. } => None,
        }
    }

    /// True where an input must be in memory: where a routine reads it, or it is read at computed addresses.
    pub(crate) fn addresses(self, input: usize) -> bool {
        match self {
            Self::Routine(_) => true,
            Self::Expression(expression) => expression.access(input) == InputAccess::Addressed,
            Self::Source | Self::Reshape | Self::Reduction { .. } => false,
        }
    }
}

/// Arithmetic of one application of a routine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoutineCost {
    /// Floating-point operations; a multiplication with addition counts as two.
    pub flops: u64,
}

/// What [`Operator::gradient`] works with: the node's ends as tensors of the graph.
pub struct Gradient {
    /// The node's inputs.
    pub inputs: Vec<Tensor>,
    /// The node's outputs.
    pub outputs: Vec<Tensor>,
    /// The gradient that arrives at each output; `None` where nothing depends on it.
    pub upstream: Vec<Option<Tensor>>,
}

/// An operator: its shape rule, definition, gradient and cost. What only one kind of operator has is in that kind's trait.
pub trait Operator: fmt::Debug {
    /// The name, as in error messages and printed programs.
    fn name(&self) -> String;

    /// Number of outputs.
    fn output_count(&self) -> usize {
        1
    }

    /// Types of the outputs, or what is wrong with the inputs and what was expected.
    ///
    /// # Errors
    /// A message for the user; the graph adds the operator's name and the user's line.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String>;

    /// How the compiler treats it, with what that kind of operator has.
    fn kind(&self) -> Kind<'_>;

    /// The gradient with respect to each input; `None` for an input that has none, and as a whole where it is to be
    /// taken from [`decompose`](Self::decompose).
    fn gradient(&self, _gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        None
    }

    /// Its definition in terms of simpler operators: what tests compare with, the default gradient, and what is compiled where it has no
    /// form for a device. `None` where it is not made of others.
    fn decompose(&self, _inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        None
    }

    /// Arithmetic of one application of a routine; that of other kinds is counted from their expressions.
    fn cost(&self, _inputs: &[&TensorType], _outputs: &[&TensorType]) -> RoutineCost {
        RoutineCost::default()
    }

    /// True for a routine that can compute its only output, of the first input's type, in that input's memory, for inputs of these types:
    /// it has [`CpuRoutine::update`](super::CpuRoutine::update) and
    /// [`GpuRoutine::update_kernels`](super::GpuRoutine::update_kernels), where it has those forms. The compiler does so where nobody needs
    /// the input afterwards, and where the input is a variable that gets the output as its new value.
    fn updates_in_place(&self, _inputs: &[&TensorType]) -> bool {
        false
    }
}
