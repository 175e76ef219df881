//! The handle to a value of a graph. Operators add their methods to it, each in its own file under `ops/`.

use std::fmt;

use super::{Graph, ValueId};
use crate::ops::Op;
use crate::tensor::{DType, Shape, TensorData, TensorType};

/// A value in a graph: cheap to clone, with the arithmetic operators and a method for each operation.
///
/// Methods compute nothing; they append to the graph. Operands broadcast by NumPy's rule, but element types are not promoted: both sides
/// have one type, and [`cast`](Self::cast) converts. A bare number takes the type of the tensor beside it. Axes count from 0, or from the
/// end where they are negative. What does not fit is a mistake of the graph, which [`Graph::compile`] returns as an error.
#[derive(Clone)]
pub struct Tensor {
    graph: Graph,
    id: ValueId,
}

impl Tensor {
    pub(crate) fn new(graph: Graph, id: ValueId) -> Self {
        Self { graph, id }
    }

    /// The graph that it belongs to.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its position in the graph.
    pub fn id(&self) -> ValueId {
        self.id
    }

    /// What computes it, and from what.
    pub(crate) fn origin(&self) -> (Op, Vec<Self>) {
        let node = self.graph.data().nodes[self.id.node()].clone();
        (node.op, node.inputs.into_iter().map(|id| Self::new(self.graph.clone(), id)).collect())
    }

    /// Element type and shape.
    pub fn ty(&self) -> TensorType {
        self.graph.data().ty(self.id).clone()
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.graph.data().ty(self.id).shape.clone()
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.graph.data().ty(self.id).dtype
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.graph.data().ty(self.id).shape.rank()
    }

    /// Zeros of the same type.
    #[track_caller]
    #[must_use]
    pub fn zeros_like(&self) -> Self {
        self.filled_like(0.0)
    }

    /// Ones of the same type.
    #[track_caller]
    #[must_use]
    pub fn ones_like(&self) -> Self {
        self.filled_like(1.0)
    }

    /// One value everywhere, in the same type.
    #[track_caller]
    #[must_use]
    pub fn filled_like(&self, value: f64) -> Self {
        let ty = self.ty();
        self.graph.scalar(ty.dtype, value).broadcast_to(ty.shape)
    }

    /// The axis that `axis` names, where a negative one counts from the end; a mistake where there is none.
    #[track_caller]
    pub(crate) fn resolve_axis(&self, operator: &str, axis: isize) -> Option<usize> {
        let shape = self.shape();
        let resolved = shape.axis(axis);
        if resolved.is_none() {
            self.graph.mistake(operator, format!("axis {axis} does not exist in shape {shape}"));
        }
        resolved
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.id, self.ty())
    }
}

/// What can be the right operand of an operator: a tensor, or a number, which takes the left side's type.
pub trait IntoTensor {
    /// The value as a tensor of the graph; a bare number gets the given type.
    #[track_caller]
    fn into_tensor(self, graph: &Graph, dtype: DType) -> Tensor;

    /// The element type, where it has one of its own: bare numbers have none.
    fn own_dtype(&self) -> Option<DType> {
        None
    }
}

impl IntoTensor for Tensor {
    fn into_tensor(self, _: &Graph, _: DType) -> Tensor {
        self
    }

    fn own_dtype(&self) -> Option<DType> {
        Some(self.dtype())
    }
}

impl IntoTensor for &Tensor {
    fn into_tensor(self, _: &Graph, _: DType) -> Tensor {
        self.clone()
    }

    fn own_dtype(&self) -> Option<DType> {
        Some(self.dtype())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl IntoTensor for $number {
            #[track_caller]
            fn into_tensor(self, graph: &Graph, dtype: DType) -> Tensor {
                graph.scalar(dtype, f64::from(self))
            }
        })*
    };
}

numbers!(f64, f32, i32, u32, u8);

impl IntoTensor for i64 {
    /// An i64 is exact; in any other type it is what that type can hold of it.
    #[track_caller]
    fn into_tensor(self, graph: &Graph, dtype: DType) -> Tensor {
        if dtype == DType::I64 { graph.constant(TensorData::scalar(self)) } else { graph.scalar(dtype, self as f64) }
    }
}

impl IntoTensor for usize {
    /// As an i64.
    #[track_caller]
    fn into_tensor(self, graph: &Graph, dtype: DType) -> Tensor {
        // No memory has more bytes than an i64 can count.
        i64::try_from(self).unwrap_or(i64::MAX).into_tensor(graph, dtype)
    }
}
