//! Operators that are an expression: each element of the output is a scalar expression of elements of the inputs. Movement is one
//! too: an affine map of coordinates, or a load at a computed address.

use crate::scalar::{Affine, Builder, NodeId};
use crate::tensor::{DType, TensorType};

/// How an expression reads one of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputAccess {
    /// Through affine maps of the coordinates: whatever computes the input can replace it.
    Mapped,
    /// At computed addresses: the input must be in memory.
    Addressed,
}

/// How an operator that is an expression computes its only output. It fuses with its neighbours on every device.
pub trait Expression {
    /// How it reads an input.
    fn access(&self, _input: usize) -> InputAccess {
        InputAccess::Mapped
    }

    /// The value at the output's coordinates.
    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], output: &TensorType) -> NodeId;
}

/// What [`Expression::express`] works with: the inputs as functions of the output's coordinates, and a builder.
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
