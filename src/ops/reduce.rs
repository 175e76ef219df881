//! Folding axes into one value each: sums, extremes, and what follows from them. Softmax is e^(x − log Σ e^x): reductions, and a map that
//! fuses with its users.

use super::Op;
use super::axes::{Axes, keepdim};
use super::subnormal::Factors;
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
                let factors = Factors::of(x);
                let all = |of: &Tensor, reduction| self.expanded(&of.reduce_axes(reduction, &self.axes), &shape);
                let product = all(&factors.safe, Reduction::Product);
                let [weights, zeros] = [&factors.weight, &factors.zero].map(|part| all(part, Reduction::Sum));
                Some(upstream * factors.others(&product, &weights, &zeros))
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

    /// Folds axes by any [`Reduction`].
    #[track_caller]
    #[must_use]
    pub fn reduce(&self, reduction: Reduction, axes: impl Into<Axes>) -> Self {
        let Some((axes, keep)) = axes.into().resolve(reduction.name(), self) else { return self.clone() };
        self.graph().apply1(Op::Reduce(Reduce { reduction, axes, keep }), &[self])
    }

    /// Σ over axes.
    #[track_caller]
    #[must_use]
    pub fn sum(&self, axes: impl Into<Axes>) -> Self {
        self.reduce(Reduction::Sum, axes)
    }

    /// Σ over all axes, as `sum(..)`: a scalar.
    #[track_caller]
    #[must_use]
    pub fn sum_all(&self) -> Self {
        self.reduce_axes(Reduction::Sum, &self.all_axes())
    }

    /// The mean of floats over axes; NaN where there is nothing to average.
    #[track_caller]
    #[must_use]
    pub fn mean(&self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        if let Some(mistake) = self.refuse_integers("mean", &axes) {
            return mistake;
        }
        let sum = self.reduce(Reduction::Sum, axes);
        let count = self.shape().len() as f64 / sum.shape().len().max(1) as f64;
        if count == 0.0 { sum.filled_like(f64::NAN) } else { sum * (1.0 / count) }
    }

    /// The mean over all axes, as `mean(..)`: a scalar.
    #[track_caller]
    #[must_use]
    pub fn mean_all(&self) -> Self {
        self.mean(..)
    }

    /// Π over axes.
    #[track_caller]
    #[must_use]
    #[doc(alias = "prod")]
    pub fn product(&self, axes: impl Into<Axes>) -> Self {
        self.reduce(Reduction::Product, axes)
    }

    /// The largest over axes; NaN where there is one. Equals share the gradient. [`maximum`](Self::maximum) compares two tensors.
    #[track_caller]
    #[must_use]
    #[doc(alias = "amax")]
    pub fn max(&self, axes: impl Into<Axes>) -> Self {
        self.reduce(Reduction::Max, axes)
    }

    /// The smallest over axes; NaN where there is one. Equals share the gradient. [`minimum`](Self::minimum) compares two tensors.
    #[track_caller]
    #[must_use]
    #[doc(alias = "amin")]
    pub fn min(&self, axes: impl Into<Axes>) -> Self {
        self.reduce(Reduction::Min, axes)
    }

    /// The index of the largest along an axis, the first of equals; with `..`, that in the flattened tensor. i32. Several axes are a
    /// mistake.
    #[track_caller]
    #[must_use]
    pub fn argmax(&self, axis: impl Into<Axes>) -> Self {
        self.index_of(Reduction::ArgMax, &axis.into())
    }

    /// The index of the smallest along an axis, the first of equals; with `..`, that in the flattened tensor. i32. Several axes are a
    /// mistake.
    #[track_caller]
    #[must_use]
    pub fn argmin(&self, axis: impl Into<Axes>) -> Self {
        self.index_of(Reduction::ArgMin, &axis.into())
    }

    /// As [`argmax`](Self::argmax), with the last of equals.
    #[track_caller]
    #[must_use]
    pub fn argmax_last(&self, axis: impl Into<Axes>) -> Self {
        self.last_index_of(Reduction::ArgMax, &axis.into())
    }

    /// As [`argmin`](Self::argmin), with the last of equals.
    #[track_caller]
    #[must_use]
    pub fn argmin_last(&self, axis: impl Into<Axes>) -> Self {
        self.last_index_of(Reduction::ArgMin, &axis.into())
    }

    #[track_caller]
    fn index_of(&self, reduction: Reduction, axes: &Axes) -> Self {
        if axes.single().is_some() {
            return self.reduce(reduction, axes.clone());
        }
        let Some(index) = self.flattened(reduction, axes) else { return self.clone() };
        let found = index.reduce(reduction, 0);
        if axes.keeps() { found.reshape(vec![1; self.rank()]) } else { found }
    }

    #[track_caller]
    fn last_index_of(&self, reduction: Reduction, axes: &Axes) -> Self {
        let Some(axis) = axes.single() else {
            let Some(flat) = self.flattened(reduction, axes) else { return self.clone() };
            let found = flat.last_index_of(reduction, &0.into());
            return if axes.keeps() { found.reshape(vec![1; self.rank()]) } else { found };
        };
        let Some(resolved) = self.resolve_axis(reduction.name(), axis) else { return self.clone() };
        let from_end = self.flip(&[axis]).reduce(reduction, axes.clone());
        if self.graph().error().is_some() {
            return from_end;
        }
        self.graph().scalar(DType::I32, self.shape()[resolved] as f64 - 1.0) - from_end
    }

    /// All elements in a row, for the index of one among all; none where several axes are named, which the graph then knows.
    #[track_caller]
    fn flattened(&self, reduction: Reduction, axes: &Axes) -> Option<Self> {
        if axes.is_all() {
            return Some(self.reshape([self.shape().len()]));
        }
        self.graph().mistake(reduction.name(), "wants one axis, or `..` for the index in the flattened tensor");
        None
    }

    /// log Σ e^x over axes, without overflow.
    #[track_caller]
    #[must_use]
    #[doc(alias = "logsumexp")]
    pub fn log_sum_exp(&self, axes: impl Into<Axes>) -> Self {
        self.reduce(Reduction::LogSumExp, axes)
    }

    /// The variance over axes: the sum of squared distances from the mean, over n − `correction` (1 for a sample, PyTorch's default; 0 for
    /// a whole population, NumPy's).
    #[track_caller]
    #[must_use]
    #[doc(alias = "var")]
    pub fn variance(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        let axes = axes.into();
        if let Some(mistake) = self.refuse_integers("variance", &axes) {
            return mistake;
        }
        let centred = self - &self.mean(keepdim(axes.clone()));
        let square = centred.square().sum(axes);
        let count = self.shape().len() as f64 / square.shape().len().max(1) as f64;
        square * (1.0 / (count - correction as f64).max(0.0))
    }

    /// The standard deviation over axes: the root of the [variance](Self::variance). Where it is 0, no gradient flows, as in PyTorch.
    #[track_caller]
    #[must_use]
    pub fn std(&self, axes: impl Into<Axes>, correction: usize) -> Self {
        self.variance(axes, correction).sqrt_or_zero()
    }

    /// The Euclidean norm over axes, √Σx². Where it is 0, no gradient flows, as in PyTorch.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.constant(TensorData::from_vec(vec![3.0_f32, 4.0, 0.0, 0.0], [2, 2])?);
    /// g.output("norm", &x.norm(-1));
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[])?["norm"].to_f64_vec(), [5.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn norm(&self, axes: impl Into<Axes>) -> Self {
        self.norm_of_order(2.0, axes)
    }

    /// The norm of an order p over axes, (Σ|x|ᵖ)^(1/p); with ∞ the largest magnitude, with −∞ the smallest, with 0 the number of elements
    /// that are not 0. Where it is 0, no gradient flows.
    #[track_caller]
    #[must_use]
    pub fn norm_of_order(&self, order: f64, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        if let Some(mistake) = self.refuse_integers("norm", &axes) {
            return mistake;
        }
        if order == 2.0 {
            return self.square().sum(axes).sqrt_or_zero();
        }
        let magnitude = self.abs();
        if order.is_nan() {
            self.graph().mistake("norm", "an order is NaN")
        } else if order == 1.0 {
            magnitude.sum(axes)
        } else if order == 0.0 {
            self.ne(0).cast(self.dtype()).sum(axes)
        } else if order.is_infinite() {
            magnitude.reduce(if order > 0.0 { Reduction::Max } else { Reduction::Min }, axes)
        } else {
            // With a negative order, the power of a zero is infinite, as it must be.
            let power = if order > 0.0 { magnitude.pow_or_zero(order) } else { magnitude.pow(order) };
            power.sum(axes).pow_or_zero(1.0 / order)
        }
    }

    /// The root, with the gradient 0 where it is 0.
    #[track_caller]
    pub(super) fn sqrt_or_zero(&self) -> Self {
        let lifted = self.lifted();
        let zero = lifted.value.eq(0);
        let root = zero.select(1.0, &lifted.value).sqrt();
        zero.select(0.0, lifted.is_small.select(&root * lifted.factor.sqrt().recip(), &root))
    }

    /// A power, where this is 0 the power 0 with the gradient 0.
    #[track_caller]
    pub(super) fn pow_or_zero(&self, exponent: f64) -> Self {
        let zero = self.eq(0);
        zero.select(0.0, zero.select(1.0, self).pow(exponent))
    }

    /// True where an element along the axes is true, or not 0 (as NaN is); false of no elements.
    #[track_caller]
    #[must_use]
    pub fn any(&self, axes: impl Into<Axes>) -> Self {
        self.count_nonzero(axes).gt(0)
    }

    /// True where all elements along the axes are true, or not 0; true of no elements.
    #[track_caller]
    #[must_use]
    pub fn all(&self, axes: impl Into<Axes>) -> Self {
        self.is_zero().cast(DType::I32).sum(axes).eq(0)
    }

    /// The number of elements along the axes that are true, or not 0. i32.
    #[track_caller]
    #[must_use]
    pub fn count_nonzero(&self, axes: impl Into<Axes>) -> Self {
        self.is_zero().logical_not().cast(DType::I32).sum(axes)
    }

    #[track_caller]
    fn is_zero(&self) -> Self {
        if self.dtype() == DType::Bool { self.logical_not() } else { self.eq(0) }
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
        let shifted = self - &self.max(keepdim(axis)).stop_gradient();
        &shifted - &shifted.log_sum_exp(keepdim(axis))
    }

    /// A placeholder where an operator that is composed of others would fail inside, under another's name: of what is no float, or has no
    /// such axes.
    #[track_caller]
    fn refuse_integers(&self, operator: &str, axes: &Axes) -> Option<Self> {
        if !self.dtype().is_float() {
            return Some(self.graph().mistake(operator, format!("wants floats, not {}; cast first", self.dtype())));
        }
        if axes.resolve(operator, self).is_none() {
            return Some(self.clone());
        }
        None
    }

    fn all_axes(&self) -> Vec<usize> {
        (0..self.rank()).collect()
    }
}
