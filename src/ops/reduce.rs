//! Folding axes into one value each: sums, extremes, and what follows from them.

use super::Op;
use crate::graph::{Gradient, Kind, Operator, Tensor};
use crate::scalar::Reduction;
use crate::tensor::{DType, Shape, TensorType};

/// A reduction over some axes, which stay with an extent of 1 or are removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// Which reduction.
    pub reduction: Reduction,
    /// Over which axes, ascending.
    pub axes: Vec<usize>,
    /// True where the axes stay with an extent of 1.
    pub keep: bool,
}

impl Reduce {
    fn shape(&self, shape: &Shape) -> Shape {
        (0..shape.rank())
            .filter(|axis| self.keep || !self.axes.contains(axis))
            .map(|axis| if self.axes.contains(&axis) { 1 } else { shape[axis] })
            .collect()
    }

    /// A tensor of the reduced shape, expanded to the input's.
    fn expanded(&self, tensor: &Tensor, shape: &Shape) -> Tensor {
        let with_ones: Shape =
            (0..shape.rank()).map(|axis| if self.axes.contains(&axis) { 1 } else { shape[axis] }).collect();
        tensor.reshape(with_ones).broadcast_to(shape)
    }
}

impl Operator for Reduce {
    fn name(&self) -> String {
        self.reduction.name().into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        let ty = inputs[0];
        if let Some(axis) = self.axes.iter().find(|&&axis| axis >= ty.shape.rank()) {
            return Err(format!("axis {axis} does not exist in shape {}", ty.shape));
        }
        if self.axes.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(format!("axes {:?} name one twice", self.axes));
        }
        let arithmetic = matches!(self.reduction, Reduction::Sum | Reduction::Product);
        match ty.dtype {
            DType::U8 => return Err("u8 is for storage; cast first".into()),
            DType::Bool if arithmetic => return Err("truth values are not added; cast first".into()),
            dtype if self.reduction == Reduction::LogSumExp && !dtype.is_float() => {
                return Err(format!("wants floats, not {dtype}; cast first"));
            }
            _ => {}
        }
        let empty = self.axes.iter().any(|&axis| ty.shape[axis] == 0);
        if empty && !self.reduction.has_identity() && !self.shape(&ty.shape).is_empty() {
            return Err(format!("nothing to choose from along axes {:?} of shape {}", self.axes, ty.shape));
        }
        let dtype = match self.reduction {
            Reduction::ArgMax | Reduction::ArgMin => DType::I32,
            _ => ty.dtype,
        };
        Ok(vec![TensorType::new(dtype, self.shape(&ty.shape))])
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Reduction { reduction: self.reduction, axes: &self.axes }
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let (x, y) = (&gradient.inputs[0], &gradient.outputs[0]);
        let shape = x.shape();
        let upstream = self.expanded(upstream, &shape);
        Some(vec![match self.reduction {
            Reduction::Sum => Some(upstream),
            Reduction::Max | Reduction::Min => {
                // Equal extremes share the gradient evenly, as PyTorch's amax does.
                let chosen = x.eq(self.expanded(y, &shape));
                let count = chosen.cast(x.dtype()).stop_gradient().reduce_axes(Reduction::Sum, &self.axes);
                // What is not chosen gets 0, and NaN where the extreme is.
                let rest = y.is_nan().select(y, 0.0).stop_gradient();
                let rest = self.expanded(&rest, &shape);
                Some(chosen.select(upstream / self.expanded(&count, &shape), rest))
            }
            Reduction::LogSumExp => Some(upstream * (x - &self.expanded(y, &shape)).exp()),
            Reduction::Product => {
                // The product of the others; one zero leaves it at the zero's position alone, two leave nothing.
                let zero = x.eq(0.0);
                let safe = zero.select(x.ones_like(), x);
                let rest = self.expanded(&safe.reduce_axes(Reduction::Product, &self.axes), &shape);
                let zeros = self.expanded(&zero.cast(x.dtype()).reduce_axes(Reduction::Sum, &self.axes), &shape);
                let nothing = x.zeros_like();
                let at_zero = zeros.eq(1.0).select(&rest, &nothing);
                let elsewhere = zeros.eq(0.0).select(&(&rest / &safe), &nothing);
                Some(upstream * zero.select(at_zero, elsewhere))
            }
            Reduction::ArgMax | Reduction::ArgMin => None,
        }])
    }
}

impl Tensor {
    /// Reduces resolved axes, which are removed.
    #[track_caller]
    pub(crate) fn reduce_axes(&self, reduction: Reduction, axes: &[usize]) -> Self {
        if axes.is_empty() && !matches!(reduction, Reduction::ArgMax | Reduction::ArgMin | Reduction::LogSumExp) {
            return self.clone();
        }
        self.graph().apply1(Op::Reduce(Reduce { reduction, axes: axes.to_vec(), keep: false }), &[self])
    }

    /// Any reduction over axes (negative ones count from the end), which stay with an extent of 1 where `keep` says so.
    #[track_caller]
    #[must_use]
    pub fn reduce(&self, reduction: Reduction, axes: &[isize], keep: bool) -> Self {
        let mut resolved = Vec::with_capacity(axes.len());
        for &axis in axes {
            match self.resolve_axis(reduction.name(), axis) {
                Some(axis) => resolved.push(axis),
                None => return self.clone(),
            }
        }
        resolved.sort_unstable();
        self.graph().apply1(Op::Reduce(Reduce { reduction, axes: resolved, keep }), &[self])
    }

    /// Σ over axes, which are removed.
    #[track_caller]
    #[must_use]
    pub fn sum(&self, axes: &[isize]) -> Self {
        self.reduce(Reduction::Sum, axes, false)
    }

    /// Σ over everything.
    #[track_caller]
    #[must_use]
    pub fn sum_all(&self) -> Self {
        self.reduce_axes(Reduction::Sum, &self.all_axes())
    }

    /// The mean over axes, which are removed.
    #[track_caller]
    #[must_use]
    pub fn mean(&self, axes: &[isize]) -> Self {
        self.mean_keep(axes, false)
    }

    /// The mean over axes, which stay with an extent of 1 where `keep` says so.
    #[track_caller]
    #[must_use]
    pub fn mean_keep(&self, axes: &[isize], keep: bool) -> Self {
        if let Some(mistake) = self.refuse_mean("mean", axes) {
            return mistake;
        }
        let sum = self.reduce(Reduction::Sum, axes, keep);
        let count = self.shape().len() as f64 / sum.shape().len().max(1) as f64;
        if count == 0.0 { sum.filled_like(f64::NAN) } else { sum * (1.0 / count) }
    }

    /// The mean over everything.
    #[track_caller]
    #[must_use]
    pub fn mean_all(&self) -> Self {
        let axes: Vec<isize> = (0..self.rank() as isize).collect();
        self.mean(&axes)
    }

    /// Π over axes, which are removed.
    #[track_caller]
    #[must_use]
    pub fn product(&self, axes: &[isize]) -> Self {
        self.reduce(Reduction::Product, axes, false)
    }

    /// The largest over axes, which are removed.
    #[track_caller]
    #[must_use]
    pub fn max(&self, axes: &[isize]) -> Self {
        self.reduce(Reduction::Max, axes, false)
    }

    /// The smallest over axes, which are removed.
    #[track_caller]
    #[must_use]
    pub fn min(&self, axes: &[isize]) -> Self {
        self.reduce(Reduction::Min, axes, false)
    }

    /// The index of the largest along an axis, which is removed; the first of equals. i32.
    #[track_caller]
    #[must_use]
    pub fn argmax(&self, axis: isize) -> Self {
        self.reduce(Reduction::ArgMax, &[axis], false)
    }

    /// The index of the smallest along an axis, which is removed; the first of equals. i32.
    #[track_caller]
    #[must_use]
    pub fn argmin(&self, axis: isize) -> Self {
        self.reduce(Reduction::ArgMin, &[axis], false)
    }

    /// As [`argmax`](Self::argmax), with the last of equals.
    #[track_caller]
    #[must_use]
    pub fn argmax_last(&self, axis: isize) -> Self {
        self.last_index(Reduction::ArgMax, axis)
    }

    /// As [`argmin`](Self::argmin), with the last of equals.
    #[track_caller]
    #[must_use]
    pub fn argmin_last(&self, axis: isize) -> Self {
        self.last_index(Reduction::ArgMin, axis)
    }

    #[track_caller]
    fn last_index(&self, reduction: Reduction, axis: isize) -> Self {
        let Some(resolved) = self.resolve_axis(reduction.name(), axis) else { return self.clone() };
        let from_end = self.flip(&[axis]).reduce(reduction, &[axis], false);
        if self.graph().error().is_some() {
            return from_end;
        }
        self.graph().scalar(DType::I32, self.shape()[resolved] as f64 - 1.0) - from_end
    }

    /// log Σ e^x over axes, which are removed, without overflow.
    #[track_caller]
    #[must_use]
    pub fn log_sum_exp(&self, axes: &[isize]) -> Self {
        self.reduce(Reduction::LogSumExp, axes, false)
    }

    /// The variance over axes, which are removed: the mean square distance from the mean, over n − `correction` (1 for a sample).
    #[track_caller]
    #[must_use]
    pub fn variance(&self, axes: &[isize], correction: usize) -> Self {
        if let Some(mistake) = self.refuse_mean("variance", axes) {
            return mistake;
        }
        let centred = self - &self.mean_keep(axes, true);
        let square = centred.square().sum(axes);
        let count = self.shape().len() as f64 / square.shape().len().max(1) as f64;
        square * (1.0 / (count - correction as f64).max(0.0))
    }

    /// e^x / Σ e^x along an axis.
    #[track_caller]
    #[must_use]
    pub fn softmax(&self, axis: isize) -> Self {
        if self.resolve_axis("softmax", axis).is_none() {
            return self.clone();
        }
        self.log_softmax(axis).exp()
    }

    /// x − log Σ e^x along an axis. The largest is taken off first: else the difference of two large numbers would be left.
    #[track_caller]
    #[must_use]
    pub fn log_softmax(&self, axis: isize) -> Self {
        let Some(resolved) = self.resolve_axis("log_softmax", axis) else { return self.clone() };
        if self.shape()[resolved] == 0 {
            return self.clone();
        }
        let shifted = self - &self.reduce(Reduction::Max, &[axis], true).stop_gradient();
        &shifted - &shifted.reduce(Reduction::LogSumExp, &[axis], true)
    }

    /// A placeholder where an operator that is made of means would fail inside, under another's name.
    #[track_caller]
    fn refuse_mean(&self, operator: &str, axes: &[isize]) -> Option<Self> {
        if !self.dtype().is_float() {
            return Some(self.graph().mistake(operator, format!("wants floats, not {}; cast first", self.dtype())));
        }
        for &axis in axes {
            if self.resolve_axis(operator, axis).is_none() {
                return Some(self.clone());
            }
        }
        None
    }

    fn all_axes(&self) -> Vec<usize> {
        (0..self.rank()).collect()
    }
}
