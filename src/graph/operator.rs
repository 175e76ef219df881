//! What an operator is. One implementation of this trait is all that the engine knows about it.

use std::fmt;

use super::Tensor;
use crate::scalar::{Affine, Builder, NodeId, Reduction};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// How the compiler treats an operator.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// It computes nothing: an input, a variable, a constant.
    Source,
    /// Each element of the output is a scalar expression of elements of the inputs, given by [`Operator::express`].
    Expression,
    /// The same elements in the same order under another shape.
    Reshape,
    /// A reduction over the axes (ascending), which stay as extents of 1 where `keep` says so.
    Reduction {
        /// Which.
        reduction: Reduction,
        /// Over which axes.
        axes: Vec<usize>,
    },
    /// Work with kernels of its own, from [`Operator::kernels`] and [`Operator::evaluate`].
    Routine,
}

/// How an expression reads one of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputAccess {
    /// Through affine maps of the coordinates: whatever computes the input can replace it.
    Mapped,
    /// At computed addresses: the input must be in memory.
    Addressed,
}

/// Arithmetic and traffic of one application of a routine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoutineCost {
    /// Floating-point operations; a multiplication with addition counts as two.
    pub flops: u64,
}

/// What [`Operator::express`] works with: the inputs as functions of the output's coordinates, and a builder.
pub struct Expressing<'a> {
    pub(crate) builder: &'a mut Builder,
    pub(crate) dims: &'a [usize],
    /// The value of an input under maps from the output's coordinates to the input's.
    pub(crate) mapped: &'a mut dyn FnMut(&mut Builder, usize, &[Affine]) -> NodeId,
    /// An input in memory: its number, stored type, and the map from its coordinates to addresses.
    pub(crate) addressed: &'a mut dyn FnMut(usize) -> (usize, DType, Affine),
}

impl Expressing<'_> {
    /// The builder of the expression.
    pub fn builder(&mut self) -> &mut Builder {
        self.builder
    }

    /// Extents of the output.
    pub fn dims(&self) -> &[usize] {
        self.dims
    }

    /// The input's element at the same coordinates as the output's.
    pub fn input(&mut self, input: usize) -> NodeId {
        let rank = self.dims.len();
        let maps: Vec<Affine> = (0..rank).map(|axis| Affine::coordinate(axis, rank)).collect();
        self.input_at(input, &maps)
    }

    /// The input's element at mapped coordinates: one map for each of the input's axes.
    pub fn input_at(&mut self, input: usize, maps: &[Affine]) -> NodeId {
        (self.mapped)(self.builder, input, maps)
    }

    /// An output coordinate as i32.
    pub fn coordinate(&mut self, axis: usize) -> NodeId {
        self.builder.index(Affine::coordinate(axis, self.dims.len()))
    }

    /// The map from an addressed input's coordinates to its addresses.
    pub fn addresses(&mut self, input: usize) -> Affine {
        (self.addressed)(input).2
    }

    /// The element of an addressed input at a computed address.
    pub fn gather(&mut self, input: usize, address: NodeId) -> NodeId {
        let (number, stored, _) = (self.addressed)(input);
        self.builder.gather(number, stored, address)
    }
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

/// An operator: its shape rule, definition, gradient, kernels and cost.
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

    /// How the compiler treats it.
    fn kind(&self) -> Kind;

    /// How an expression reads an input.
    fn access(&self, _input: usize) -> InputAccess {
        InputAccess::Mapped
    }

    /// The value at the output's coordinates. Asked of operators whose kind is an expression.
    fn express(&self, expressing: &mut Expressing<'_>, _inputs: &[&TensorType], _output: &TensorType) -> NodeId {
        expressing.input(0)
    }

    /// Its definition in terms of simpler operators: oracle, default gradient and fallback at once.
    fn decompose(&self, _inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        None
    }

    /// The gradient with respect to each input; `None` for an input that has none, and as a whole where it is to be
    /// taken from [`decompose`](Self::decompose).
    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>>;

    /// The CPU's implementation. Asked of routines. Inputs are read through their maps (row-major unless the operator accepts
    /// views), outputs are row-major bytes of the given types.
    ///
    /// # Errors
    /// Where the element type has no implementation; a program that could meet this is refused when compiled.
    fn evaluate(&self, _inputs: &[(&Operand, &[u8])], _outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        Err(format!("{} has no CPU implementation", self.name()))
    }

    /// Computes the only output on the CPU as [`evaluate`](Self::evaluate) does, in chunks that are finished while they are in a
    /// cache: adds a value for each index along the last axis, where there is a bias, then passes the chunk with the index of its
    /// first element to `finish`, once. False where it cannot; nothing is written then. Asked of routines that accept an epilogue.
    ///
    /// # Errors
    /// As for `evaluate`.
    fn evaluate_in_chunks(
        &self,
        _inputs: &[(&Operand, &[u8])],
        _output: (&TensorType, &mut [u8]),
        _bias: Option<&[f32]>,
        _finish: &(dyn Fn(usize, &mut [u8]) + Sync),
    ) -> Result<bool, String> {
        Ok(false)
    }

    /// The GPU's variants, best guess first. Asked of routines.
    ///
    /// # Errors
    /// A message for the user where no kernel fits the device or type.
    fn kernels(&self, _shapes: &RoutineShapes<'_>, _adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        Err(format!("{} has no GPU kernel", self.name()))
    }

    /// The variants that may be the fastest on a GPU, some more than [`kernels`](Self::kernels) has, with the same best guess
    /// first: what tuning tries. They are made only while tuning, and where it found one of them.
    ///
    /// # Errors
    /// As of [`kernels`](Self::kernels).
    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        self.kernels(shapes, adapter)
    }

    /// True where an expression of the output can be applied before it is stored.
    fn accepts_epilogue(&self) -> bool {
        false
    }

    /// True where the routine reads inputs through any strides; else they are laid out row-major first.
    fn accepts_views(&self) -> bool {
        false
    }

    /// True where the kernels read an input of f16 or bf16 as it is stored; else it is widened into f32 first. Asked for GPUs only:
    /// on the CPU, inputs are always of compute types.
    fn reads_stored(&self, _input: usize) -> bool {
        false
    }

    /// True where the kernels store results of this type in groups of four neighbours along the last axis, so that an epilogue
    /// can store 16-bit floats of them. Asked of routines that accept an epilogue, for GPUs only.
    fn stores_quads(&self, _output: &TensorType) -> bool {
        false
    }

    /// Arithmetic of one application. Asked of routines.
    fn cost(&self, _inputs: &[&TensorType], _outputs: &[&TensorType]) -> RoutineCost {
        RoutineCost::default()
    }
}

/// An operator that an embedder brings: the trait, shareable between threads.
pub trait CustomOperator: Operator + Send + Sync {}
impl<T: Operator + Send + Sync> CustomOperator for T {}
