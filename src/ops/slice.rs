//! Every step-th element along each axis, forwards or backwards. A view. Flip, split and narrow are made of it.

use super::Op;
use crate::graph::{Expressing, Expression, Gradient, Kind, Operator, Tensor};
use crate::scalar::{Affine, NodeId};
use crate::tensor::{AxisIndex, Shape, TensorType};

/// Along axis k: the elements `starts[k] + i·steps[k]` for i below `lengths[k]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// First element along each axis.
    pub starts: Vec<usize>,
    /// Number of elements along each axis.
    pub lengths: Vec<usize>,
    /// Distance between elements along each axis; not 0.
    pub steps: Vec<isize>,
}

impl Operator for Slice {
    fn name(&self) -> String {
        "slice".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let shape = &inputs[0].shape;
        if [self.starts.len(), self.lengths.len(), self.steps.len()] != [shape.rank(); 3] {
            return Err(format!("wants a start, a length and a step for each axis of shape {shape}"));
        }
        for axis in 0..shape.rank() {
            let (start, length, step) = (self.starts[axis], self.lengths[axis], self.steps[axis]);
            if step == 0 {
                return Err(format!("the step along axis {axis} is 0"));
            }
            let last = (length as i128 - 1) * step as i128 + start as i128;
            if length > 0 && (start >= shape[axis] || last < 0 || last >= shape[axis] as i128) {
                return Err(format!(
                    "{length} elements from {start} in steps of {step} leave axis {axis} of shape {shape}"
                ));
            }
        }
        Ok(vec![TensorType::new(inputs[0].dtype, self.lengths.clone())])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Expression(self)
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let mut part = gradient.upstream[0].clone()?;
        let shape = gradient.inputs[0].shape();
        // Backwards slices are flipped first; then every element goes back to its position among zeros.
        let flipped: Vec<isize> =
            (0..shape.rank()).filter(|&axis| self.steps[axis] < 0).map(|axis| axis as isize).collect();
        part = part.flip(&flipped);
        let range = |axis: usize| {
            let span = (self.lengths[axis].max(1) - 1) * self.steps[axis].unsigned_abs();
            let low = if self.steps[axis] < 0 { self.starts[axis] - span } else { self.starts[axis] };
            (low, span)
        };
        let (mut low, mut high, mut between) = (Vec::new(), Vec::new(), Vec::new());
        for axis in 0..shape.rank() {
            let (first, span) = range(axis);
            if self.lengths[axis] == 0 {
                low.push(0);
                high.push(shape[axis]);
            } else {
                low.push(first);
                high.push(shape[axis] - first - span - 1);
            }
            between.push(self.steps[axis].unsigned_abs() - 1);
        }
        Some(vec![Some(part.pad_between(&low, &high, &between, 0.0))])
    }
}

impl Expression for Slice {
    fn express(&self, expressing: &mut Expressing<'_>, _: &[&TensorType], _: &TensorType) -> NodeId {
        let rank = self.starts.len();
        let maps: Vec<Affine> = (0..rank)
            .map(|axis| {
                let mut map = Affine::constant(self.starts[axis] as i64, rank);
                map.strides[axis] = self.steps[axis] as i64;
                map
            })
            .collect();
        expressing.input_at(0, &maps)
    }
}

impl Tensor {
    /// Along each axis k, `lengths[k]` elements from index `starts[k]` on, `steps[k]` apart; a negative step goes backwards.
    #[track_caller]
    #[must_use]
    pub fn slice_steps(&self, starts: &[usize], lengths: &[usize], steps: &[isize]) -> Self {
        let shape = self.shape();
        let named = [starts.len(), lengths.len(), steps.len()] == [shape.rank(); 3];
        let full = starts.iter().all(|&start| start == 0) && steps.iter().all(|&step| step == 1) && *lengths == *shape;
        if named && full {
            return self.clone();
        }
        let slice = Slice { starts: starts.to_vec(), lengths: lengths.to_vec(), steps: steps.to_vec() };
        self.graph().apply1(Op::Slice(slice), &[self])
    }

    /// Elements from `start` up to but not including `end` along one axis, as in `x[:, start:end]` for axis 1; negative ones count from the
    /// end. Bounds beyond the axis are a mistake.
    #[track_caller]
    #[must_use]
    pub fn slice(&self, axis: isize, start: impl AxisIndex, end: impl AxisIndex) -> Self {
        let Some(axis) = self.resolve_axis("slice", axis) else { return self.clone() };
        let shape = self.shape();
        let bounds = start.bound(shape[axis]).zip(end.bound(shape[axis])).filter(|(start, end)| start <= end);
        let Some((start, end)) = bounds else {
            return self.graph().mistake("slice", format!("{start}..{end} is not within axis {axis} of shape {shape}"));
        };
        let (mut starts, mut lengths) = (vec![0; shape.rank()], shape.to_vec());
        starts[axis] = start;
        lengths[axis] = end - start;
        self.slice_steps(&starts, &lengths, &vec![1; shape.rank()])
    }

    /// In reverse order along these axes.
    #[track_caller]
    #[must_use]
    pub fn flip(&self, axes: &[isize]) -> Self {
        let shape = self.shape();
        let (mut starts, mut steps) = (vec![0; shape.rank()], vec![1; shape.rank()]);
        for &axis in axes {
            let Some(axis) = self.resolve_axis("flip", axis) else { return self.clone() };
            starts[axis] = shape[axis].saturating_sub(1);
            steps[axis] = -1;
        }
        self.slice_steps(&starts, &shape, &steps)
    }

    /// Parts of the given sizes along an axis, which add up to its extent. [`chunk`](Self::chunk) makes parts of equal size.
    #[track_caller]
    pub fn split(&self, axis: isize, sizes: &[usize]) -> Vec<Self> {
        let Some(resolved) = self.resolve_axis("split", axis) else { return vec![self.clone(); sizes.len()] };
        let shape = self.shape();
        let total = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size));
        if total != Some(shape[resolved]) {
            let message = format!("parts {sizes:?} do not add up to axis {resolved} of shape {shape}");
            return vec![self.graph().mistake("split", message); sizes.len()];
        }
        // A loop, not a closure: the user's line does not reach through closures.
        let (mut start, mut parts) = (0, Vec::with_capacity(sizes.len()));
        for size in sizes {
            parts.push(self.slice(axis, start, start + size));
            start += size;
        }
        parts
    }

    /// The slice at one index of an axis, which is removed: PyTorch's `select`. A negative index counts from the end.
    #[track_caller]
    #[must_use]
    pub fn at(&self, axis: isize, index: impl AxisIndex) -> Self {
        let Some(resolved) = self.resolve_axis("at", axis) else { return self.clone() };
        let mut dims: Shape = self.shape();
        let Some(index) = index.within(dims[resolved]) else {
            return self.graph().mistake("at", format!("index {index} is not within axis {resolved} of shape {dims}"));
        };
        dims = dims.iter().enumerate().filter(|&(axis, _)| axis != resolved).map(|(_, &extent)| extent).collect();
        self.slice(axis, index, index + 1).reshape(dims)
    }
}
