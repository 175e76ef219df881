//! Movement that is composed of slices, reshapes and joins; and joins with a tensor at their head.

use crate::graph::Tensor;

impl Tensor {
    /// This and others, joined along an axis; all other extents are equal. [`Graph::concat`](crate::graph::Graph::concat) takes a list.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let (a, b) = (g.input("a", [2, 3], F32), g.input("b", [2, 5], F32));
    /// assert_eq!(a.concat(&[&b, &a], -1).shape().dims(), [2, 11]);
    /// assert_eq!(a.stack(&[&a], 0).shape().dims(), [2, 2, 3]);
    /// assert_eq!(a.einsum("ik,ij->kj", &[&b]).shape().dims(), [3, 5]);
    /// ```
    #[track_caller]
    #[must_use]
    #[doc(alias = "cat")]
    pub fn concat(&self, others: &[&Self], axis: isize) -> Self {
        self.graph().concat(&self.and(others), axis)
    }

    /// This and others of its shape, joined along a new axis.
    #[track_caller]
    #[must_use]
    pub fn stack(&self, others: &[&Self], axis: isize) -> Self {
        self.graph().stack(&self.and(others), axis)
    }

    /// [`Graph::einsum`](crate::graph::Graph::einsum) with this as the first operand.
    #[track_caller]
    #[must_use]
    pub fn einsum(&self, equation: &str, others: &[&Self]) -> Self {
        self.graph().einsum(equation, &self.and(others))
    }

    fn and<'a>(&'a self, others: &[&'a Self]) -> Vec<&'a Self> {
        std::iter::once(self).chain(others.iter().copied()).collect()
    }

    /// Parts of equal length along an axis, of which the last may be shorter: as many as `chunks` at most, as in PyTorch.
    /// [`split`](Self::split) takes the lengths.
    #[track_caller]
    pub fn chunk(&self, chunks: usize, axis: isize) -> Vec<Self> {
        let Some(resolved) = self.resolve_axis("chunk", axis) else { return vec![self.clone()] };
        if chunks == 0 {
            return vec![self.graph().mistake("chunk", "wants at least one chunk")];
        }
        let extent = self.shape()[resolved];
        let length = extent.div_ceil(chunks).max(1);
        let sizes: Vec<usize> = (0..extent.max(1)).step_by(length).map(|start| length.min(extent - start)).collect();
        self.split(axis, &sizes)
    }

    /// Elements moved along an axis by `shift`, towards the end where it is positive; what leaves at one end comes in at the other.
    #[track_caller]
    #[must_use]
    pub fn roll(&self, shift: isize, axis: isize) -> Self {
        let Some(resolved) = self.resolve_axis("roll", axis) else { return self.clone() };
        let extent = self.shape()[resolved];
        if extent == 0 {
            return self.clone();
        }
        match shift.rem_euclid(extent as isize) as usize {
            0 => self.clone(),
            shift => {
                self.slice(axis, extent - shift, extent).concat(&[&self.slice(axis, 0usize, extent - shift)], axis)
            }
        }
    }

    /// The whole tensor, `counts[k]` times along axis k; counts beyond the tensor's axes stand for new ones in front. NumPy's `tile`.
    #[track_caller]
    #[must_use]
    #[doc(alias = "tile")]
    pub fn repeat(&self, counts: &[usize]) -> Self {
        let shape = self.shape();
        if counts.len() < shape.rank() {
            return self.graph().mistake("repeat", format!("{} counts are too few for shape {shape}", counts.len()));
        }
        let added = counts.len() - shape.rank();
        let extent = |axis: usize| if axis < added { 1 } else { shape[axis - added] };
        let axes = 0..counts.len();
        let apart: Vec<usize> = axes.clone().flat_map(|axis| [1, extent(axis)]).collect();
        let expanded: Vec<usize> = axes.clone().flat_map(|axis| [counts[axis], extent(axis)]).collect();
        let joined: Vec<usize> = axes.map(|axis| counts[axis] * extent(axis)).collect();
        self.reshape(apart).broadcast_to(expanded).reshape(joined)
    }

    /// An axis moved to another position; the order of the others stays.
    #[track_caller]
    #[must_use]
    #[doc(alias = "movedim")]
    pub fn move_axis(&self, from: isize, to: isize) -> Self {
        let (Some(from), Some(to)) = (self.resolve_axis("move_axis", from), self.resolve_axis("move_axis", to)) else {
            return self.clone();
        };
        let mut order: Vec<usize> = (0..self.rank()).filter(|&axis| axis != from).collect();
        order.insert(to, from);
        self.permute(&order)
    }

    /// All products of an element of this along its last axis and one of the other along its last: `[…, m]` and `[…, n]` give `[…, m, n]`.
    #[track_caller]
    #[must_use]
    pub fn outer(&self, other: &Self) -> Self {
        self.unsqueeze(-1) * other.unsqueeze(-2)
    }

    /// The scalar product along the last axis, which is removed. Other axes broadcast.
    #[track_caller]
    #[must_use]
    pub fn dot(&self, other: &Self) -> Self {
        (self * other).sum(-1)
    }
}
