//! The coordinate along an axis as a tensor: what counting from 0 gives. One-hot, masks and positions are made of it.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, Graph, Kind, Operator, Tensor};
use crate::scalar::NodeId;
use crate::tensor::{AxisIndex, DType, Shape, TensorType};

/// An i32 tensor whose elements are their own coordinate along an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinate {
    /// The shape.
    pub shape: Shape,
    /// The axis.
    pub axis: usize,
}

impl Operator for Coordinate {
    fn name(&self) -> String {
        "coordinate".into()
    }

    fn infer(&self, _: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if self.axis >= self.shape.rank() {
            return Err(format!("axis {} does not exist in shape {}", self.axis, self.shape));
        }
        Ok(vec![TensorType::new(DType::I32, &self.shape)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, _: &Gradient) -> Option<Vec<Option<Tensor>>> {
        Some(Vec::new())
    }
}

impl Expression for Coordinate {
    fn express(&self, expressing: &mut Expressing<'_>, _: &[&TensorType], _: &TensorType) -> NodeId {
        expressing.coordinate(self.axis)
    }
}

impl Graph {
    /// An i32 tensor whose elements are their own coordinate along an axis; a negative axis counts from the end.
    #[track_caller]
    pub fn coordinate(&self, shape: impl Into<Shape>, axis: impl AxisIndex) -> Tensor {
        let shape = shape.into();
        let Some(axis) = axis.within(shape.rank()) else {
            return self.mistake("coordinate", format!("axis {axis} does not exist in shape {shape}"));
        };
        self.apply1(Op::Coordinate(Coordinate { shape, axis }), &[])
    }

    /// 0, 1, …, n − 1 as i32.
    #[track_caller]
    pub fn arange(&self, n: usize) -> Tensor {
        self.coordinate([n], 0)
    }
}

impl Tensor {
    /// One-hot rows of i32 or i64 labels: `[…]` to `[…, classes]` of the type `dtype`, with 1 at the label's index and 0 elsewhere (0
    /// everywhere for a label out of range).
    #[track_caller]
    #[must_use]
    pub fn one_hot(&self, classes: usize, dtype: DType) -> Self {
        if !matches!(self.dtype(), DType::I32 | DType::I64) {
            return self.graph().mistake("one_hot", format!("wants i32 or i64 labels, not {}", self.dtype()));
        }
        let shape: Shape = self.shape().iter().copied().chain([classes]).collect();
        let rank = shape.rank();
        self.graph().coordinate(shape, rank - 1).eq(self.i32_indices().unsqueeze(-1)).cast(dtype)
    }
}
