//! Expanding axes of extent 1, and adding new ones in front. A view: nothing is copied.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, Kind, Operator, Tensor};
use crate::scalar::{Affine, NodeId};
use crate::tensor::{Shape, TensorType};

/// The shape that is broadcast to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broadcast(pub Shape);

impl Operator for Broadcast {
    fn name(&self) -> String {
        "broadcast_to".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if inputs[0].shape.broadcast(&self.0).as_ref() != Some(&self.0) {
            return Err(format!("shape {} does not broadcast to {}", inputs[0].shape, self.0));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, &self.0)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let own = gradient.inputs[0].shape();
        let lead = self.0.rank() - own.rank();
        let axes: Vec<usize> =
            (0..self.0.rank()).filter(|&axis| axis < lead || (own[axis - lead] == 1 && self.0[axis] != 1)).collect();
        Some(vec![Some(upstream.reduce_axes(crate::scalar::Reduction::Sum, &axes).reshape(own))])
    }
}

impl Expression for Broadcast {
    fn express(&self, expressing: &mut Expressing<'_>, inputs: &[&TensorType], _: &TensorType) -> NodeId {
        let (rank, own) = (self.0.rank(), &inputs[0].shape);
        let lead = rank - own.rank();
        let maps: Vec<Affine> = (0..own.rank())
            .map(|axis| if own[axis] == 1 { Affine::constant(0, rank) } else { Affine::coordinate(axis + lead, rank) })
            .collect();
        expressing.input_at(0, &maps)
    }
}

impl Tensor {
    /// Expanded to a shape by NumPy's rule: axes are aligned at the right, extents of 1 expand.
    #[track_caller]
    #[must_use]
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if shape == self.shape() {
            return self.clone();
        }
        self.graph().apply1(Op::Broadcast(Broadcast(shape)), &[self])
    }
}
