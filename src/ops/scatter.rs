//! Values written to positions that indices name, and combined with what is there: ONNX's `ScatterElements` and `ScatterND`,
//! PyTorch's `scatter` and `scatter_reduce`. Sums have operators of their own ([`super::ScatterAdd`]), since gradients are made
//! of them; kernels and order are the same. Whatever joins, it does so in the order of the source, so that results have the
//! same bits every time.

use super::scatter_add::{evaluate, infer_elements, infer_rows, kernels, update, updates_in_place};
use super::subnormal::Factors;
use super::{Op, ScatterAdd, ScatterRows};
use crate::graph::{CpuRoutine, GpuRoutine, Gradient, Kind, Operator, Routine, RoutineCost, Tensor};
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, Shape, TensorType};

/// How a value is combined with what is at its position already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// Their sum.
    Sum,
    /// Their product.
    Product,
    /// The larger; a NaN wins.
    Max,
    /// The smaller; a NaN wins.
    Min,
    /// The new one; of several for one position the last of the source.
    Last,
}

/// A base, i32 indices (clamped into the axis) and a source, of the shapes of [`ScatterAdd`] or, with `rows`, of [`ScatterRows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scatter {
    /// The axis that the index refers to.
    pub axis: usize,
    /// True where one index stands for a slice, as for a row of a matrix.
    pub rows: bool,
    /// How values join.
    pub combine: Combine,
}

impl Scatter {
    /// The same with another `Combine`.
    #[track_caller]
    fn with(self, combine: Combine, base: &Tensor, index: &Tensor, source: &Tensor) -> Tensor {
        let op = match combine {
            Combine::Sum if self.rows => Op::ScatterRows(ScatterRows { axis: self.axis }),
            Combine::Sum => Op::ScatterAdd(ScatterAdd { axis: self.axis }),
            Combine::Product | Combine::Max | Combine::Min | Combine::Last => Op::Scatter(Self { combine, ..self }),
        };
        base.graph().apply1(op, &[base, index, source])
    }

    /// What is at each source element's position.
    #[track_caller]
    fn picked(self, from: &Tensor, index: &Tensor) -> Tensor {
        if self.rows { from.take(self.axis as isize, index) } else { from.gather(self.axis as isize, index) }
    }
}

impl Operator for Scatter {
    fn name(&self) -> String {
        "scatter".into()
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        if self.rows { infer_rows(self.axis, inputs) } else { infer_elements(self.axis, inputs) }
    }

    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::new(self, self))
    }

    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let upstream = gradient.upstream[0].as_ref()?;
        let [base, index, source] = &gradient.inputs[..] else { return None };
        let y = &gradient.outputs[0];
        let arriving = self.picked(upstream, index);
        let sum = |base: &Tensor, source: &Tensor| self.with(Combine::Sum, base, index, source);
        let (for_base, for_source) = match self.combine {
            Combine::Sum => (upstream.clone(), arriving),
            Combine::Last => {
                // Each source element's own number; the one that is left at its position won.
                let numbers = source.graph().arange(source.shape().len()).reshape(source.shape());
                let none = base.graph().scalar(DType::I32, -1.0).broadcast_to(base.shape());
                let winner = self.with(Combine::Last, &none, index, &numbers);
                let won = self.picked(&winner, index).eq(&numbers);
                (winner.lt(0).select(upstream, 0.0), won.select(&arriving, 0.0))
            }
            Combine::Max | Combine::Min => {
                // Equal extremes share the gradient evenly, as PyTorch's do.
                let (from_base, chosen) = (base.eq(y), source.eq(self.picked(y, index)));
                let counts = [&from_base, &chosen].map(|truth| truth.cast(y.dtype()).stop_gradient());
                let share = upstream / sum(&counts[0], &counts[1]);
                (from_base.select(&share, 0.0), chosen.select(self.picked(&share, index), 0.0))
            }
            Combine::Product => {
                let (of_base, of_source) = (Factors::of(base), Factors::of(source));
                let product = self.with(Combine::Product, &of_base.safe, index, &of_source.safe);
                let weights = sum(&of_base.weight, &of_source.weight);
                let zeros = sum(&of_base.zero, &of_source.zero);
                let for_base = upstream * of_base.others(&product, &weights, &zeros);
                let [product, weights, zeros] = [product, weights, zeros].map(|all| self.picked(&all, index));
                (for_base, arriving * of_source.others(&product, &weights, &zeros))
            }
        };
        Some(vec![Some(for_base), None, Some(for_source)])
    }

    fn cost(&self, inputs: &[&TensorType], _: &[&TensorType]) -> RoutineCost {
        RoutineCost { flops: inputs[2].len() as u64 }
    }

    fn updates_in_place(&self, inputs: &[&TensorType]) -> bool {
        updates_in_place(self.axis, self.rows, inputs)
    }
}

impl CpuRoutine for Scatter {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Result<(), String> {
        evaluate(self.axis, self.rows, self.combine, inputs, outputs)
    }

    fn update(&self, first: (&TensorType, &mut [u8]), others: &[(&Operand, &[u8])]) -> Result<(), String> {
        update(self.axis, self.rows, self.combine, first, others)
    }
}

impl GpuRoutine for Scatter {
    fn kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::plans(self.axis, self.rows, self.combine, shapes, adapter)
    }

    fn update_kernels(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Result<Vec<KernelPlan>, String> {
        kernels::update_plans(self.axis, self.rows, self.combine, shapes, adapter)
    }
}

impl Tensor {
    /// Indices (i32 or i64) of an axis of this extent as i32 from 0 on: negative ones, which count from the end, get the extent added.
    #[track_caller]
    #[must_use]
    pub fn wrap_indices(&self, extent: usize) -> Self {
        let indices = self.i32_indices();
        if indices.dtype() != DType::I32 {
            return self.graph().mistake("wrap_indices", format!("wants i32 or i64 indices, not {}", self.dtype()));
        }
        indices.lt(0).select(&indices + extent as f64, &indices)
    }

    /// This, with each source element combined with the element that its integer index (i32 or i64) names along an axis: ONNX's
    /// `ScatterElements`, PyTorch's `scatter` and `scatter_reduce`. The index may be smaller than this and the source; what is outside of
    /// it stays as it is. Indices out of range are clamped to the axis; for negative ones see [`wrap_indices`](Self::wrap_indices).
    ///
    /// ```
    /// use wgrad::ops::Combine;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let (x, index) = (g.input("x", [4], F32), g.input("index", [3], I64));
    /// g.output("y", &g.scalar(F32, 0.0).broadcast_to([2]).scatter(0, &index, &x.slice(0, 0, 3), Combine::Max));
    /// let x = TensorData::from_vec(vec![5.0_f32, -1.0, 7.0, 9.0], [4])?;
    /// let index = TensorData::from_vec(vec![0_i64, 1, 0], [3])?;
    /// let run = g.compile(&Device::cpu())?.run(&[("x", &x), ("index", &index)])?;
    /// assert_eq!(run["y"].to_f64_vec(), [7.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn scatter(&self, axis: isize, index: &Self, source: &Self, combine: Combine) -> Self {
        if combine == Combine::Sum {
            return self.scatter_add(axis, index, source);
        }
        let Some(axis) = self.resolve_axis("scatter", axis) else { return self.clone() };
        if let Some(done) = self.by_i32(source, |base, source| base.scatter(axis as isize, index, source, combine)) {
            return done;
        }
        let (source, smaller) = match self.scattered("scatter", axis, index, source) {
            Ok(fitting) => fitting,
            Err(placeholder) => return placeholder,
        };
        let base = self.shape();
        let (zeros, ones) = (vec![0; base.rank()], vec![1; base.rank()]);
        let scatter = Scatter { axis, rows: false, combine };
        let part = scatter.with(combine, &self.slice_steps(&zeros, &smaller, &ones), &index.i32_indices(), &source);
        if smaller == base || self.graph().error().is_some() {
            return part;
        }
        let rest: Vec<usize> = base.iter().zip(smaller.iter()).map(|(full, part)| full - part).collect();
        let mut inside = self.graph().scalar(DType::Bool, 1.0).broadcast_to(&base);
        for (axis, &extent) in smaller.iter().enumerate() {
            inside = inside.logical_and(self.graph().coordinate(&base, axis).lt(extent as f64));
        }
        inside.select(part.pad(&zeros, &rest, 0.0), self)
    }

    /// PyTorch's `index_copy`: this, with the source's m slices along an axis in place of those that the integer indices `[m]` (i32 or i64)
    /// name; of several for one index, the last stays. Indices out of range are clamped to the axis.
    ///
    /// Where this is a variable that is assigned the result, only the slices that are named are written: what a cache of keys and values
    /// gets at each position costs the same however long the cache is.
    ///
    /// ```
    /// use wgrad::ops::{Initial, Role, Variable};
    /// use wgrad::prelude::*;
    /// use wgrad::tensor::TensorType;
    /// let g = Graph::new();
    /// let (ty, initial) = (TensorType::new(F32, [2, 1000, 3]), Initial::Constant(0.0));
    /// let cache = g.variable(Variable { name: "cache".into(), ty, role: Role::Buffer, initial });
    /// let (position, key) = (g.input("position", [1], I32), g.input("key", [2, 1, 3], F32));
    /// let filled = cache.index_copy(1, &position, &key);
    /// g.assign(&cache, &filled);
    /// g.output("sum", &filled.sum_all());
    /// let mut session = g.compile(&Device::cpu())?;
    /// let key = TensorData::from_vec(vec![1.0_f32; 6], [2, 1, 3])?;
    /// for position in [7, 8, 7] {
    ///     session.step(&[("position", &TensorData::from_vec(vec![position], [1])?), ("key", &key)])?;
    /// }
    /// assert_eq!(session.read("sum")?.item()?, 12.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn index_copy(&self, axis: isize, index: &Self, source: &Self) -> Self {
        if let Some(done) = self.by_i32(source, |base, source| base.index_copy(axis, index, source)) {
            return done;
        }
        match self.slices("index_copy", axis, source) {
            Ok(axis) => {
                let scatter = Scatter { axis, rows: true, combine: Combine::Last };
                scatter.with(Combine::Last, self, &index.i32_indices(), source)
            }
            Err(placeholder) => placeholder,
        }
    }

    /// This, with slices of the source combined with the slices that indices name: ONNX's `ScatterND`. The index is `[…, k]`, and its last
    /// axis has an index for each of the first `k` axes of this; the source is `[…, rest of this]`. Negative indices count from the end.
    #[track_caller]
    #[must_use]
    pub fn scatter_nd(&self, index: &Self, source: &Self, combine: Combine) -> Self {
        if let Some(done) = self.by_i32(source, |base, source| base.scatter_nd(index, source, combine)) {
            return done;
        }
        let (base, given) = (self.shape(), index.shape());
        let depth = given.last().copied().unwrap_or(0);
        let lead = given.split_last().map_or(&[][..], |(_, lead)| lead);
        let wanted: Shape = lead.iter().chain(base.get(depth..).unwrap_or_default()).copied().collect();
        if depth == 0 || depth > base.rank() || source.shape() != wanted {
            let message = format!("indices {given} and source {} do not fit base {base}", source.shape());
            return self.graph().mistake("scatter_nd", message);
        }
        let (outer, rest) = base.split_at(depth);
        let (count, width) = (Shape::from(lead).len(), Shape::from(rest).len());
        let rows = self.reshape([Shape::from(outer).len(), width]);
        let source = source.reshape([count, width]);
        let linear = index.linear(outer).reshape([count]);
        Scatter { axis: 0, rows: true, combine }.with(combine, &rows, &linear, &source).reshape(base)
    }

    /// Slices at the positions that indices name: ONNX's `GatherND` without batch axes. The index is `[…, k]`, and its last axis has an
    /// index for each of the first `k` axes of this; the result is `[…, rest of this]`. Negative indices count from the end.
    #[track_caller]
    #[must_use]
    pub fn gather_nd(&self, index: &Self) -> Self {
        let (base, given) = (self.shape(), index.shape());
        let depth = given.last().copied().unwrap_or(0);
        if depth == 0 || depth > base.rank() {
            return self.graph().mistake("gather_nd", format!("indices {given} do not fit shape {base}"));
        }
        let (outer, rest) = base.split_at(depth);
        let flat: Shape = [Shape::from(outer).len()].into_iter().chain(rest.iter().copied()).collect();
        self.reshape(flat).take(0, &index.linear(outer))
    }

    /// From indices along several axes, in the last axis, to indices in row-major order; each clamped to its axis.
    #[track_caller]
    fn linear(&self, extents: &[usize]) -> Self {
        let strides = Shape::from(extents).strides();
        let shape = self.shape();
        let lead = Shape::from(&shape[..shape.rank().saturating_sub(1)]);
        let mut sum = self.graph().scalar(DType::I32, 0.0).broadcast_to(lead);
        for (axis, (&extent, &stride)) in extents.iter().zip(&strides).enumerate() {
            let index = self.at(-1, axis).wrap_indices(extent).clamp(0.0, extent.saturating_sub(1) as f64);
            sum = sum + index * stride as f64;
        }
        sum
    }

    /// The same on i32, for the types that are for storage.
    #[track_caller]
    fn by_i32(&self, source: &Self, work: impl FnOnce(&Self, &Self) -> Self) -> Option<Self> {
        let dtype = self.dtype();
        if !matches!(dtype, DType::Bool | DType::U8) || source.dtype() != dtype {
            return None;
        }
        Some(work(&self.cast(DType::I32), &source.cast(DType::I32)).cast(dtype))
    }
}
