//! The axes that a reduction folds, as an argument: one, several or all, kept or removed.

use std::ops::RangeFull;

use crate::graph::Tensor;

/// Which axes a reduction folds, and whether they stay. Negative axes count from the end. Whatever folds axes takes one of
///
/// | argument | folds |
/// |---|---|
/// | `-1` | an axis |
/// | `[0, 2]`, `&axes` | several |
/// | `..` | all |
/// | `keepdim(-1)`, `keepdim(..)` | the same; folded axes stay with an extent of 1 |
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [2, 3, 4], F32);
/// assert_eq!(x.sum(-1).shape().dims(), [2, 3]);
/// assert_eq!(x.mean([0, 2]).shape().dims(), [3]);
/// assert_eq!(x.max(..).shape().dims(), [0; 0]);
/// assert_eq!(x.sum(keepdim(-1)).shape().dims(), [2, 3, 1]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axes {
    /// Nothing stands for all.
    axes: Option<Vec<isize>>,
    keep: bool,
}

/// The same axes, which stay with an extent of 1 after they were folded: PyTorch's `keepdim`, NumPy's `keepdims`.
pub fn keepdim(axes: impl Into<Axes>) -> Axes {
    Axes { keep: true, ..axes.into() }
}

impl Axes {
    /// The same axes, which stay where `keep` says so: for what is decided while the program runs; else [`keepdim`].
    #[must_use]
    pub fn keepdim(self, keep: bool) -> Self {
        Self { keep, ..self }
    }

    /// The axes of a tensor, ascending, and whether they stay; none where one does not exist, which the graph then knows.
    #[track_caller]
    pub(super) fn resolve(&self, operator: &str, tensor: &Tensor) -> Option<(Vec<usize>, bool)> {
        let Some(axes) = &self.axes else { return Some(((0..tensor.rank()).collect(), self.keep)) };
        let mut resolved = Vec::with_capacity(axes.len());
        // Not `map`: the user's line does not reach through closures.
        for &axis in axes {
            resolved.push(tensor.resolve_axis(operator, axis)?);
        }
        resolved.sort_unstable();
        Some((resolved, self.keep))
    }

    /// The only axis that is named.
    pub(super) fn single(&self) -> Option<isize> {
        match self.axes.as_deref() {
            Some([axis]) => Some(*axis),
            _ => None,
        }
    }

    /// True for `..`.
    pub(super) const fn is_all(&self) -> bool {
        self.axes.is_none()
    }

    /// True where the axes stay.
    pub(super) const fn keeps(&self) -> bool {
        self.keep
    }
}

impl From<RangeFull> for Axes {
    fn from(_: RangeFull) -> Self {
        Self { axes: None, keep: false }
    }
}

impl From<Vec<isize>> for Axes {
    fn from(axes: Vec<isize>) -> Self {
        Self { axes: Some(axes), keep: false }
    }
}

impl From<isize> for Axes {
    fn from(axis: isize) -> Self {
        vec![axis].into()
    }
}

impl From<&[isize]> for Axes {
    fn from(axes: &[isize]) -> Self {
        axes.to_vec().into()
    }
}

impl From<&Vec<isize>> for Axes {
    fn from(axes: &Vec<isize>) -> Self {
        axes.clone().into()
    }
}

impl<const N: usize> From<[isize; N]> for Axes {
    fn from(axes: [isize; N]) -> Self {
        axes.to_vec().into()
    }
}

impl<const N: usize> From<&[isize; N]> for Axes {
    fn from(axes: &[isize; N]) -> Self {
        axes.to_vec().into()
    }
}
