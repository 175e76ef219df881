//! Shapes: extents of dimensions, outermost first; the empty shape is a scalar.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

/// The extents of a tensor's dimensions, outermost first. Arrays, slices and vectors of `usize` convert into it: `[2, 3]`, or `[]` for a
/// scalar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Shape {
    /// The shape of a single value.
    pub fn scalar() -> Self {
        Self(SmallVec::new())
    }

    /// Number of elements: the product of the extents, 1 for a scalar. What is too large to count is `usize::MAX`.
    #[inline]
    pub fn len(&self) -> usize {
        if self.is_empty() { 0 } else { self.0.iter().fold(1, |len: usize, &extent| len.saturating_mul(extent)) }
    }

    /// True where elements and strides can be addressed with 32 bits, as kernels do.
    pub(crate) fn is_addressable(&self) -> bool {
        let spanned = self.0.iter().fold(1, |len: usize, &extent| len.saturating_mul(extent.max(1)));
        i32::try_from(spanned).is_ok()
    }

    /// True where an extent is 0.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.contains(&0)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The extents as a slice.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Row-major strides, in elements.
    pub fn strides(&self) -> Vec<i64> {
        let mut strides = vec![1; self.rank()];
        for axis in (1..self.rank()).rev() {
            strides[axis - 1] = i64::saturating_mul(strides[axis], self.0[axis].max(1) as i64);
        }
        strides
    }

    /// The shape that both broadcast to by NumPy's rule (right-aligned; an extent of 1 expands), if there is one.
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let extent = |shape: &Self, axis: usize| (axis + shape.rank()).checked_sub(rank).map_or(1, |own| shape.0[own]);
        (0..rank)
            .map(|axis| match (extent(self, axis), extent(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The axis that `axis` names, where a negative one counts from the end, as in NumPy; `None` where it is out of range.
    pub fn axis(&self, axis: isize) -> Option<usize> {
        let rank = self.rank() as isize;
        let resolved = if axis < 0 { axis + rank } else { axis };
        (0..rank).contains(&resolved).then_some(resolved as usize)
    }
}

/// What is wrong where a shape is right but for its missing batch axis. `expected` is told as an error tells it: `[batch, 784]`.
pub(crate) fn no_batch_axis(expected: &str, actual: &Shape, axis: usize) -> String {
    format!("the input has no batch axis: expected {expected}, got {actual}; add it with unsqueeze({axis})")
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Self(dims.into())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.into())
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self(dims.as_slice().into())
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(dims: I) -> Self {
        Self(dims.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let shape = |dims: &[usize]| Shape::from(dims);
        assert_eq!(shape(&[3, 1]).broadcast(&shape(&[2])), Some(shape(&[3, 2])));
        assert_eq!(shape(&[]).broadcast(&shape(&[4, 0])), Some(shape(&[4, 0])));
        assert_eq!(shape(&[1]).broadcast(&shape(&[0])), Some(shape(&[0])));
        assert_eq!(shape(&[3]).broadcast(&shape(&[2])), None);
    }

    #[test]
    fn negative_axes_count_from_the_end() {
        let shape = Shape::from([2, 3]);
        assert_eq!(shape.axis(-1), Some(1));
        assert_eq!(shape.axis(-3), None);
        assert_eq!(shape.axis(2), None);
    }
}
