//! The pools' methods on tensors.

use super::options::adaptive_axes;
use super::{AvgPool, LpPool, MaxPool, Pool, PoolAxis, PoolKind};
use crate::graph::Tensor;
use crate::ops::keepdim;
use crate::ops::{Op, Sizes};
use crate::tensor::{DType, TensorData};

/// Elements of a window above which it is pooled an axis at a time: work by the sum of its sides, instead of their product.
const LARGE: usize = 1 << 10;

/// A pool over one spatial axis alone, for each that has anything to do; the last one first.
fn one_by_one(axes: &[PoolAxis]) -> Vec<Vec<PoolAxis>> {
    let mut parts = Vec::new();
    let mut extents: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
    for (index, axis) in axes.iter().enumerate().rev() {
        if axis.is_identity() {
            continue;
        }
        let part =
            axes.iter().zip(&extents).enumerate().map(|(other, (_, &extent))| {
                if other == index { Ok(*axis) } else { PoolAxis::adaptive(extent, extent) }
            });
        let Ok(part) = part.collect() else { return vec![axes.to_vec()] };
        parts.push(part);
        extents[index] = axis.windows;
    }
    parts
}

fn is_large(axes: &[PoolAxis]) -> bool {
    let sides: Vec<usize> = axes.iter().map(PoolAxis::longest).collect();
    sides.iter().fold(1, |elements: usize, &side| elements.saturating_mul(side)) > LARGE
        && sides.iter().filter(|&&side| side > 1).count() > 1
}

impl Tensor {
    /// The largest of each window over the spatial axes of `[batch, channels, spatial…]`, of which there are one to three:
    /// PyTorch's `max_pool1d`, `2d` and `3d`. The gradient goes to the first of equals.
    ///
    /// ```
    /// use wgrad::ops::MaxPool;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [1, 1, 5], F32);
    /// g.output("y", &x.max_pool(&MaxPool::new(3).stride(2).padding(1)));
    /// let x = TensorData::from_vec(vec![-1.0_f32, -4.0, 2.0, 3.0, -5.0], [1, 1, 5])?;
    /// let run = g.compile(&Device::cpu())?.run(&[("x", &x)])?;
    /// assert_eq!(run["y"].to_f64_vec(), [-1.0, 3.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn max_pool(&self, pool: &MaxPool) -> Self {
        self.max_pool_with_indices(pool).0
    }

    /// [`max_pool`](Self::max_pool), and the i32 indices of the largest: counted row by row within the spatial axes, as in
    /// PyTorch.
    #[track_caller]
    pub fn max_pool_with_indices(&self, pool: &MaxPool) -> (Self, Self) {
        match self.spatial("max_pool").map(|extents| pool.axes(&extents)) {
            None => (self.clone(), self.clone()),
            Some(Err(message)) => {
                let mistake = self.graph().mistake("max_pool", message);
                (mistake.clone(), mistake)
            }
            Some(Ok(axes)) => self.largest("max_pool", axes),
        }
    }

    /// The largest of each window, of which `size` are spread over each spatial axis of `[batch, channels, spatial…]`: PyTorch's
    /// `adaptive_max_pool1d`, `2d` and `3d`.
    #[track_caller]
    #[must_use]
    pub fn adaptive_max_pool(&self, size: impl Into<Sizes>) -> Self {
        self.adaptive_max_pool_with_indices(size).0
    }

    /// [`adaptive_max_pool`](Self::adaptive_max_pool), and the i32 indices of the largest within the spatial axes.
    #[track_caller]
    pub fn adaptive_max_pool_with_indices(&self, size: impl Into<Sizes>) -> (Self, Self) {
        match self.spatial("adaptive_max_pool").map(|extents| adaptive_axes(&size.into(), &extents)) {
            None => (self.clone(), self.clone()),
            Some(Err(message)) => {
                let mistake = self.graph().mistake("adaptive_max_pool", message);
                (mistake.clone(), mistake)
            }
            Some(Ok(axes)) => self.largest("adaptive_max_pool", axes),
        }
    }

    /// The average of each window over the spatial axes of `[batch, channels, spatial…]`, of which there are one to three:
    /// PyTorch's `avg_pool1d`, `2d` and `3d`.
    ///
    /// ```
    /// use wgrad::ops::AvgPool;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [1, 1, 5], F32);
    /// g.output("with", &x.avg_pool(&AvgPool::new(3).stride(2).padding(1)));
    /// g.output("without", &x.avg_pool(&AvgPool::new(3).stride(2).padding(1).count_include_pad(false)));
    /// let x = TensorData::from_vec(vec![1.0_f32, 2.0, 3.0, 4.0, 8.0], [1, 1, 5])?;
    /// let run = g.compile(&Device::cpu())?.run(&[("x", &x)])?;
    /// assert_eq!(run["with"].to_f64_vec(), [1.0, 3.0, 4.0]);
    /// assert_eq!(run["without"].to_f64_vec(), [1.5, 3.0, 6.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn avg_pool(&self, pool: &AvgPool) -> Self {
        let Some(extents) = self.spatial("avg_pool") else { return self.clone() };
        match pool.axes(&extents) {
            Err(message) => self.graph().mistake("avg_pool", message),
            Ok(axes) => {
                let sums = self.pool_sums("avg_pool", &axes);
                match pool.divisor_override {
                    Some(divisor) => sums * (1.0 / divisor as f64),
                    None => sums.averaged(&axes, pool.count_include_pad, 1.0),
                }
            }
        }
    }

    /// The average of each window, of which `size` are spread over each spatial axis of `[batch, channels, spatial…]`: PyTorch's
    /// `adaptive_avg_pool1d`, `2d` and `3d`.
    #[track_caller]
    #[must_use]
    pub fn adaptive_avg_pool(&self, size: impl Into<Sizes>) -> Self {
        let Some(extents) = self.spatial("adaptive_avg_pool") else { return self.clone() };
        match adaptive_axes(&size.into(), &extents) {
            Err(message) => self.graph().mistake("adaptive_avg_pool", message),
            Ok(_) if !self.dtype().is_float() => self.no_floats("adaptive_avg_pool"),
            Ok(axes) if axes.iter().all(|axis| axis.windows == 1) => self.mean(keepdim(self.spatial_axes())),
            Ok(axes) => self.pool_sums("adaptive_avg_pool", &axes).averaged(&axes, false, 1.0),
        }
    }

    /// The power average (Σ x^p)^(1/p) of each window: PyTorch's `lp_pool1d`, `2d` and `3d`, with what those make of signs: powers
    /// are of x itself, and the root of a negative sum is NaN unless p is 1. Where the sum is 0, so is the gradient.
    #[track_caller]
    #[must_use]
    pub fn lp_pool(&self, pool: &LpPool) -> Self {
        let Some(extents) = self.spatial("lp_pool") else { return self.clone() };
        let axes = match pool.axes(&extents) {
            Err(message) => return self.graph().mistake("lp_pool", message),
            Ok(_) if !self.dtype().is_float() => return self.no_floats("lp_pool"),
            Ok(axes) => axes,
        };
        let powers = match pool.norm() {
            1.0 => self.clone(),
            2.0 => self.square(),
            norm => self.pow(norm),
        };
        // Windows cut short by the edge are scaled up, as in PyTorch, which takes an average times the kernel's elements.
        let kernel = axes.iter().map(PoolAxis::kernel).product::<usize>() as f64;
        let sums = powers.pool_sums("lp_pool", &axes).averaged(&axes, true, kernel);
        if pool.norm() == 1.0 {
            return sums;
        }
        // The root's slope at 0 is infinite: there PyTorch takes 0.
        if pool.norm() == 2.0 { sums.sqrt_or_zero() } else { sums.pow_or_zero(1.0 / pool.norm()) }
    }

    /// The average over all spatial axes: `[batch, channels, spatial…]` to `[batch, channels]`, as Keras's `GlobalAveragePooling`.
    #[track_caller]
    #[must_use]
    pub fn global_avg_pool(&self) -> Self {
        if self.spatial("global_avg_pool").is_none() {
            return self.clone();
        }
        if !self.dtype().is_float() {
            return self.no_floats("global_avg_pool");
        }
        self.mean(self.spatial_axes())
    }

    /// The largest over all spatial axes: `[batch, channels, spatial…]` to `[batch, channels]`, as Keras's `GlobalMaxPooling`.
    /// Equals share the gradient, while that of [`max_pool`](Self::max_pool) goes to the first.
    #[track_caller]
    #[must_use]
    pub fn global_max_pool(&self) -> Self {
        if self.spatial("global_max_pool").is_none() {
            return self.clone();
        }
        self.max(self.spatial_axes())
    }

    /// The extents of the spatial axes, of which there are one to three; a mistake where there are not.
    #[track_caller]
    pub(in crate::ops) fn spatial(&self, operator: &str) -> Option<Vec<usize>> {
        let shape = self.shape();
        if !(3..=5).contains(&shape.rank()) {
            self.graph()
                .mistake(operator, format!("wants a batch, channels and one to three spatial axes, not shape {shape}"));
            return None;
        }
        Some(shape[2..].to_vec())
    }

    fn spatial_axes(&self) -> Vec<isize> {
        (2..self.rank() as isize).collect()
    }

    #[track_caller]
    fn no_floats(&self, operator: &str) -> Self {
        self.graph().mistake(operator, format!("wants floats, not {}; cast first", self.dtype()))
    }

    /// The largest of each window, and its i32 index within the spatial axes.
    #[track_caller]
    pub(crate) fn largest(&self, operator: &str, axes: Vec<PoolAxis>) -> (Self, Self) {
        if !self.dtype().is_float() {
            let mistake = self.no_floats(operator);
            return (mistake.clone(), mistake);
        }
        let (batch, channels) = (self.shape()[0], self.shape()[1]);
        let parts = if is_large(&axes) { one_by_one(&axes) } else { vec![axes] };
        let mut found: Option<(Self, Self)> = None;
        for axes in parts {
            let source = found.as_ref().map_or(self, |(values, _)| values).clone();
            let mut both = self.graph().apply(Op::Pool(Pool { kind: PoolKind::Max, axes }), &[&source]);
            if self.graph().error().is_some() {
                return (both[0].clone(), both[0].clone());
            }
            let (mut indices, values) = (both.swap_remove(1), both.swap_remove(0));
            if let Some((_, earlier)) = found {
                // Indices of the earlier windows become indices of the elements that those found.
                let lines = [batch * channels, values.shape()[2..].iter().product()];
                let before = [batch * channels, earlier.shape()[2..].iter().product()];
                let chosen = earlier.reshape(before).gather(1, &indices.reshape(lines));
                indices = chosen.reshape(values.shape());
            }
            found = Some((values, indices));
        }
        found.unwrap_or_else(|| (self.clone(), self.clone()))
    }

    /// The sum of each window.
    #[track_caller]
    pub(crate) fn pool_sums(&self, operator: &str, axes: &[PoolAxis]) -> Self {
        if !self.dtype().is_float() {
            return self.no_floats(operator);
        }
        let parts = if is_large(axes) { one_by_one(axes) } else { vec![axes.to_vec()] };
        let mut sums = self.clone();
        for axes in parts {
            sums = self.graph().apply1(Op::Pool(Pool { kind: PoolKind::Sum, axes }), &[&sums]);
        }
        sums
    }

    /// Sums over what each window has, times a number. What is the same for all windows of an axis is one factor; other axes have
    /// one for each window.
    #[track_caller]
    pub(crate) fn averaged(&self, axes: &[PoolAxis], padding: bool, times: f64) -> Self {
        let (mut factor, mut averages) = (times, self.clone());
        for (index, axis) in axes.iter().enumerate() {
            let counts: Vec<f64> = (0..axis.windows).map(|window| axis.count(window, padding).max(1) as f64).collect();
            if counts.iter().all(|&count| count == counts[0]) {
                factor /= counts[0];
                continue;
            }
            let mut dims = vec![1; axes.len()];
            dims[index] = axis.windows;
            let shares: Vec<f64> = counts.into_iter().map(f64::recip).collect();
            let dtype = if self.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
            match TensorData::from_f64(dtype, &shares, dims) {
                Ok(shares) => averages = averages * self.graph().constant(shares).cast(self.dtype()),
                Err(error) => return self.graph().mistake("avg_pool", error.to_string()),
            }
        }
        if factor == 1.0 { averages } else { averages * factor }
    }
}
