//! Axes in another order. A view: consumers read through its strides.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, Kind, Operator, Tensor};
use crate::scalar::{Affine, NodeId};
use crate::tensor::{AxisIndex, TensorType};

/// Output axis k is input axis `0[k]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permute(pub Vec<usize>);

impl Permute {
    fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.0.len()];
        self.0.iter().enumerate().for_each(|(position, &axis)| inverse[axis] = position);
        inverse
    }
}

impl Operator for Permute {
    fn name(&self) -> String {
        "permute".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let shape = &inputs[0].shape;
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..shape.rank()) {
            return Err(format!("{:?} does not name each axis of shape {shape} once", self.0));
        }
        Ok(vec![TensorType::new(
            inputs[0].dtype,
            self.0.iter().map(|&axis| shape[axis]).collect::<crate::tensor::Shape>(),
        )])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        Some(vec![Some(upstream.permute(&self.inverse()))])
    }
}

impl Expression for Permute {
    fn express(&self, expressing: &mut Expressing<'_>, _: &[&TensorType], _: &TensorType) -> NodeId {
        let rank = self.0.len();
        let maps: Vec<Affine> = self.inverse().into_iter().map(|axis| Affine::coordinate(axis, rank)).collect();
        expressing.input_at(0, &maps)
    }
}

impl Tensor {
    /// Axes in another order: output axis k is input axis `axes[k]`; negative ones count from the end.
    #[track_caller]
    #[must_use]
    pub fn permute<A: AxisIndex>(&self, axes: &[A]) -> Self {
        let rank = self.rank();
        if let Some(axis) = axes.iter().find(|axis| axis.within(rank).is_none()) {
            let message = format!("axis {axis} does not exist in shape {}", self.shape());
            return self.graph().mistake("permute", message);
        }
        let axes: Vec<usize> = axes.iter().filter_map(|axis| axis.within(rank)).collect();
        if axes.iter().copied().eq(0..self.rank()) {
            return self.clone();
        }
        self.graph().apply1(Op::Permute(Permute(axes.to_vec())), &[self])
    }

    /// Two axes exchanged; negative ones count from the end.
    #[track_caller]
    #[must_use]
    pub fn transpose(&self, a: isize, b: isize) -> Self {
        let (Some(a), Some(b)) = (self.resolve_axis("transpose", a), self.resolve_axis("transpose", b)) else {
            return self.clone();
        };
        let mut axes: Vec<usize> = (0..self.rank()).collect();
        axes.swap(a, b);
        self.permute(&axes)
    }
}
