//! The same elements in the same order under another shape. It moves nothing where the compiler can avoid it.

use super::Op;
use crate::graph::{Gradient, Kind, Operator, Tensor};
use crate::tensor::{AxisIndex, Shape, TensorType};

/// Another shape for as many elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reshape(pub Shape);

impl Operator for Reshape {
    fn name(&self) -> String {
        "reshape".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if inputs[0].len() != self.0.len() {
            return Err(format!(
                "shape {} has {} elements, {} has {}",
                inputs[0].shape,
                inputs[0].len(),
                self.0,
                self.0.len()
            ));
        }
        Ok(vec![TensorType::new(inputs[0].dtype, &self.0)])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Reshape
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        Some(vec![Some(upstream.reshape(gradient.inputs[0].shape()))])
    }
}

impl Tensor {
    /// The same elements in row-major order under another shape, all of whose extents are given: none is found out by −1.
    #[track_caller]
    #[must_use]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if shape == self.shape() {
            return self.clone();
        }
        self.graph().apply1(Op::Reshape(Reshape(shape)), &[self])
    }

    /// All axes from `start` on as one, as in PyTorch's `flatten`; a negative one counts from the end.
    #[track_caller]
    #[must_use]
    pub fn flatten(&self, start: impl AxisIndex) -> Self {
        let shape = self.shape();
        let Some(start) = start.bound(shape.rank()) else {
            return self.graph().mistake("flatten", format!("axis {start} does not exist in shape {shape}"));
        };
        let (head, tail) = shape.dims().split_at(start);
        self.reshape(head.iter().copied().chain([tail.iter().product()]).collect::<Shape>())
    }

    /// With an axis of extent 1 put before `axis`, which may be the rank; negative ones count from the end of the result, so −1 puts it
    /// last.
    #[track_caller]
    #[must_use]
    pub fn unsqueeze(&self, axis: isize) -> Self {
        let mut dims = self.shape().to_vec();
        let position = if axis < 0 { axis + dims.len() as isize + 1 } else { axis };
        if position < 0 || position > dims.len() as isize {
            return self.graph().mistake("unsqueeze", format!("axis {axis} does not exist in shape {:?}", dims));
        }
        dims.insert(position as usize, 1);
        self.reshape(dims)
    }

    /// Without an axis of extent 1; another extent is a mistake.
    #[track_caller]
    #[must_use]
    pub fn squeeze(&self, axis: isize) -> Self {
        let Some(resolved) = self.resolve_axis("squeeze", axis) else { return self.clone() };
        let mut dims = self.shape().to_vec();
        if dims[resolved] != 1 {
            return self.graph().mistake("squeeze", format!("axis {axis} of shape {dims:?} is not 1"));
        }
        dims.remove(resolved);
        self.reshape(dims)
    }
}
