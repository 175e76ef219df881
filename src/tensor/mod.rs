//! What a tensor is, before there is any graph. Shapes, element types, and values on the host.

mod data;
mod display;
mod dtype;
mod index;
mod narrow;
mod shape;
mod storage;

pub use data::TensorData;
pub use dtype::{DType, Element};
pub use index::AxisIndex;
pub use shape::Shape;
pub(crate) use shape::no_batch_axis;
pub use storage::Storage;

use std::fmt;

/// Element type and shape: everything that the compiler needs to know about a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The element type.
    pub dtype: DType,
    /// The extent of each dimension, outermost first.
    pub shape: Shape,
}

impl TensorType {
    /// A type from its two parts.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { dtype, shape: shape.into() }
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.shape.len()
    }

    /// True where a dimension is 0.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the elements take, without padding.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.len().saturating_mul(self.dtype.size())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.dtype, self.shape)
    }
}
