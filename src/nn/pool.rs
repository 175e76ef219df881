//! Pools and upsampling as layers of a [`Sequential`].

use super::{Layer, Scope, Sequential, Setting};
use crate::graph::Tensor;
use crate::ops::{AvgPool, Interpolate, Interpolation, LpPool, MaxPool, Padding, PoolAxis, Sizes, adaptive_axes};
use crate::tensor::Shape;

/// What a [`Pool`] layer does to the spatial axes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PoolKind {
    /// The largest of each window.
    Max(MaxPool),
    /// The average of each window.
    Average(AvgPool),
    /// The power average of each window.
    Power(LpPool),
    /// The largest of each of a number of windows, spread over each axis.
    AdaptiveMax(Sizes),
    /// The averages of a number of windows, spread over each axis.
    AdaptiveAverage(Sizes),
    /// The largest of all; the axes go.
    GlobalMax,
    /// The average of all; the axes go.
    GlobalAverage,
    /// Enlarged or shrunk.
    Interpolate(Interpolate),
}

/// A pool, or an interpolation, over the spatial axes of examples `[channels, spatial…]`, of which there are one to three; as data. In a
/// graph these are methods of [`Tensor`], such as [`max_pool`](Tensor::max_pool).
///
/// ```
/// use wgrad::nn::Sequential;
/// use wgrad::ops::Interpolation;
/// let model = Sequential::new([3, 32, 32])
///     .max_pool2d(2)
///     .avg_pool2d([3, 2])
///     .upsample(2.0, Interpolation::Linear)
///     .adaptive_avg_pool2d([4, 4])
///     .global_max_pool();
/// assert_eq!(model.output_shape()?, [3].into());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// What it does.
    pub kind: PoolKind,
    /// How many spatial axes there must be; `None` where it is for any number.
    pub axes: Option<usize>,
}

impl Pool {
    /// For any number of spatial axes.
    pub const fn new(kind: PoolKind) -> Self {
        Self { kind, axes: None }
    }

    const fn over(axes: usize, kind: PoolKind) -> Self {
        Self { kind, axes: Some(axes) }
    }

    /// Applied to a batch.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        match &self.kind {
            PoolKind::Max(pool) => x.max_pool(pool),
            PoolKind::Average(pool) => x.avg_pool(pool),
            PoolKind::Power(pool) => x.lp_pool(pool),
            PoolKind::AdaptiveMax(size) => x.adaptive_max_pool(size.clone()),
            PoolKind::AdaptiveAverage(size) => x.adaptive_avg_pool(size.clone()),
            PoolKind::GlobalMax => x.global_max_pool(),
            PoolKind::GlobalAverage => x.global_avg_pool(),
            PoolKind::Interpolate(interpolate) => x.interpolate(interpolate),
        }
    }

    /// Another stride; false where the layer has none.
    fn set_stride(&mut self, stride: Sizes) -> bool {
        match &mut self.kind {
            PoolKind::Max(pool) => *pool = pool.clone().stride(stride),
            PoolKind::Average(pool) => *pool = pool.clone().stride(stride),
            PoolKind::Power(pool) => *pool = pool.clone().stride(stride),
            _ => return false,
        }
        true
    }

    /// Another padding; false where the layer has none.
    fn set_padding(&mut self, padding: Padding) -> bool {
        match &mut self.kind {
            PoolKind::Max(pool) => *pool = pool.clone().padding(padding),
            PoolKind::Average(pool) => *pool = pool.clone().padding(padding),
            _ => return false,
        }
        true
    }

    /// Another dilation; false where the layer has none.
    fn set_dilation(&mut self, dilation: Sizes) -> bool {
        match &mut self.kind {
            PoolKind::Max(pool) => *pool = pool.clone().dilation(dilation),
            PoolKind::Average(pool) => *pool = pool.clone().dilation(dilation),
            _ => return false,
        }
        true
    }

    /// Whether a last window may reach beyond the edge; false where the layer has no windows.
    fn set_ceil_mode(&mut self, ceil: bool) -> bool {
        match &mut self.kind {
            PoolKind::Max(pool) => *pool = pool.clone().ceil_mode(ceil),
            PoolKind::Average(pool) => *pool = pool.clone().ceil_mode(ceil),
            PoolKind::Power(pool) => *pool = pool.clone().ceil_mode(ceil),
            _ => return false,
        }
        true
    }

    /// Whether zeros of the padding are counted; false where the layer is no average pool.
    fn set_count_include_pad(&mut self, count: bool) -> bool {
        match &mut self.kind {
            PoolKind::Average(pool) => *pool = pool.clone().count_include_pad(count),
            _ => return false,
        }
        true
    }
}

impl Layer for Pool {
    fn describe(&self) -> String {
        let axes = self.axes.map_or(String::new(), |axes| format!("{axes}d"));
        match &self.kind {
            PoolKind::Max(pool) => format!("max_pool{axes}({})", pool.kernel()),
            PoolKind::Average(pool) => format!("avg_pool{axes}({})", pool.kernel()),
            PoolKind::Power(pool) => format!("lp_pool{axes}({}, {})", pool.norm(), pool.kernel()),
            PoolKind::AdaptiveMax(size) => format!("adaptive_max_pool{axes}({size})"),
            PoolKind::AdaptiveAverage(size) => format!("adaptive_avg_pool{axes}({size})"),
            PoolKind::GlobalMax => format!("global_max_pool{axes}"),
            PoolKind::GlobalAverage => format!("global_avg_pool{axes}"),
            PoolKind::Interpolate(interpolate) => format!("upsample{axes}({interpolate})"),
        }
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let spatial = input.rank().saturating_sub(1);
        let fits = self.axes.map_or((1..=3).contains(&spatial), |axes| axes == spatial);
        let Some((channels, extents)) = input.split_first().filter(|_| fits) else {
            let wanted = self.axes.map_or("one to three".to_owned(), |axes| axes.to_string());
            return Err(format!("takes examples of channels and {wanted} spatial axes, not of shape {input}"));
        };
        let windows = |axes: Vec<PoolAxis>| axes.into_iter().map(|axis| axis.windows).collect::<Vec<_>>();
        let made = match &self.kind {
            PoolKind::Max(pool) => windows(pool.axes(extents)?),
            PoolKind::Average(pool) => windows(pool.axes(extents)?),
            PoolKind::Power(pool) => windows(pool.axes(extents)?),
            PoolKind::AdaptiveMax(size) | PoolKind::AdaptiveAverage(size) => windows(adaptive_axes(size, extents)?),
            PoolKind::GlobalMax | PoolKind::GlobalAverage if extents.contains(&0) => {
                return Err(format!("has nothing to choose from in shape {input}"));
            }
            PoolKind::GlobalMax | PoolKind::GlobalAverage => Vec::new(),
            PoolKind::Interpolate(interpolate) => interpolate.output_extents(extents)?,
        };
        Ok([*channels].into_iter().chain(made).collect())
    }

    #[track_caller]
    fn forward(&self, _: &Scope<'_>, x: &Tensor) -> Tensor {
        Self::forward(self, x)
    }

    fn set(&mut self, setting: &Setting) -> bool {
        match setting {
            Setting::Stride(stride) => self.set_stride(stride.clone()),
            Setting::Padding(padding) => self.set_padding(padding.clone()),
            Setting::Dilation(dilation) => self.set_dilation(dilation.clone()),
            _ => false,
        }
    }
}

macro_rules! windowed {
    ($($axes:literal $max:ident $average:ident $power:ident $adaptive_max:ident $adaptive_average:ident;)*) => {
        impl Sequential {
            $(
            #[doc = concat!("The largest of each window over ", $axes, " spatial axes, with a stride of the kernel.")]
            #[must_use]
            #[track_caller]
            pub fn $max(self, kernel: impl Into<Sizes>) -> Self {
                self.pool(Pool::over($axes, PoolKind::Max(MaxPool::new(kernel))))
            }

            #[doc = concat!("The average of each window over ", $axes, " spatial axes, with a stride of the kernel.")]
            #[must_use]
            #[track_caller]
            pub fn $average(self, kernel: impl Into<Sizes>) -> Self {
                self.pool(Pool::over($axes, PoolKind::Average(AvgPool::new(kernel))))
            }

            #[doc = concat!("The power average, with the power p, of each window over ", $axes, " spatial axes, with a stride of the kernel.")]
            #[must_use]
            #[track_caller]
            pub fn $power(self, norm: f64, kernel: impl Into<Sizes>) -> Self {
                self.pool(Pool::over($axes, PoolKind::Power(LpPool::new(norm, kernel))))
            }

            #[doc = concat!("The largest of each of `size` windows, spread over each of ", $axes, " spatial axes.")]
            #[must_use]
            #[track_caller]
            pub fn $adaptive_max(self, size: impl Into<Sizes>) -> Self {
                self.pool(Pool::over($axes, PoolKind::AdaptiveMax(size.into())))
            }

            #[doc = concat!("The averages of `size` windows, spread over each of ", $axes, " spatial axes.")]
            #[must_use]
            #[track_caller]
            pub fn $adaptive_average(self, size: impl Into<Sizes>) -> Self {
                self.pool(Pool::over($axes, PoolKind::AdaptiveAverage(size.into())))
            }
            )*
        }
    };
}

windowed! {
    1 max_pool1d avg_pool1d lp_pool1d adaptive_max_pool1d adaptive_avg_pool1d;
    2 max_pool2d avg_pool2d lp_pool2d adaptive_max_pool2d adaptive_avg_pool2d;
    3 max_pool3d avg_pool3d lp_pool3d adaptive_max_pool3d adaptive_avg_pool3d;
}

impl Sequential {
    /// A pool of any kind.
    #[must_use]
    #[track_caller]
    pub fn pool(self, pool: Pool) -> Self {
        self.layer(pool)
    }

    /// The average over all spatial axes, which go: `[channels, spatial…]` to `[channels]`.
    #[must_use]
    #[track_caller]
    pub fn global_avg_pool(self) -> Self {
        self.pool(Pool::new(PoolKind::GlobalAverage))
    }

    /// The largest over all spatial axes, which go: `[channels, spatial…]` to `[channels]`.
    #[must_use]
    #[track_caller]
    pub fn global_max_pool(self) -> Self {
        self.pool(Pool::new(PoolKind::GlobalMax))
    }

    /// The spatial axes enlarged by a factor; extents are rounded down. [`interpolate`](Self::interpolate) takes extents and more options.
    #[must_use]
    #[track_caller]
    pub fn upsample(self, factor: f64, interpolation: Interpolation) -> Self {
        self.interpolate(Interpolate::scale_factor(factor).mode(interpolation))
    }

    /// The spatial axes enlarged or shrunk.
    #[must_use]
    #[track_caller]
    pub fn interpolate(self, interpolate: Interpolate) -> Self {
        self.pool(Pool::new(PoolKind::Interpolate(interpolate)))
    }

    /// Whether the last windows of the pool just added may reach beyond the edge.
    #[must_use]
    #[track_caller]
    pub fn ceil_mode(self, ceil: bool) -> Self {
        self.modify("ceil_mode", "a pool", |pool: &mut Pool| pool.set_ceil_mode(ceil))
    }

    /// Whether the average pool just added counts the zeros of its padding, as it does by default.
    #[must_use]
    #[track_caller]
    pub fn count_include_pad(self, count: bool) -> Self {
        self.modify("count_include_pad", "an average pool", |pool: &mut Pool| pool.set_count_include_pad(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::nn::Mode;
    use crate::tensor::DType;

    #[test]
    fn shapes_are_those_of_the_tensors() {
        let interpolate = Interpolate::size([7, 5]).mode(Interpolation::Linear);
        let models = [
            Sequential::new([2, 13]).max_pool1d(3).avg_pool1d(2).lp_pool1d(2.0, 2),
            Sequential::new([3, 9, 11]).max_pool2d(2).ceil_mode(true).avg_pool2d([2, 3]).count_include_pad(false),
            Sequential::new([1, 9, 8, 10]).max_pool3d([2, 1, 3]).avg_pool3d(2).adaptive_avg_pool3d([2, 3, 1]),
            Sequential::new([3, 9, 11]).adaptive_max_pool2d([4, 3]).upsample(2.5, Interpolation::Nearest),
            Sequential::new([3, 9, 11]).interpolate(interpolate).lp_pool2d(1.0, 2),
            Sequential::new([3, 9, 11]).adaptive_avg_pool2d(1).global_max_pool(),
            Sequential::new([3, 9]).adaptive_max_pool1d(2).global_avg_pool().dense(2),
        ];
        for model in models {
            let g = Graph::new();
            let dims: Vec<usize> = [5].into_iter().chain(model.input_shape().iter().copied()).collect();
            let y = model.forward(&g, &g.input("x", dims, DType::F32), Mode::Training);
            assert!(g.error().is_none(), "{}", model.summary());
            assert_eq!(y.shape()[1..], *model.output_shape().unwrap(), "{}", model.summary());
        }
    }

    #[test]
    fn modifiers_change_the_pool() {
        let mut pool = Pool::over(2, PoolKind::Max(MaxPool::new(3)));
        assert!(pool.set_stride(2.into()) && pool.set_padding(1.into()) && pool.set_dilation([1, 2].into()));
        assert!(!pool.set_count_include_pad(false));
        assert_eq!(pool.output_shape(&[3, 8, 9].into()), Ok([3, 4, 4].into()));
        let mut pool = Pool::new(PoolKind::Average(AvgPool::new(3)));
        assert!(pool.set_stride(2.into()) && pool.set_padding(1.into()) && pool.set_dilation(1.into()));
        assert!(pool.set_ceil_mode(true));
        assert_eq!(pool.output_shape(&[3, 8].into()), Ok([3, 5].into()));
        let mut pool = Pool::new(PoolKind::Power(LpPool::new(2.0, 3)));
        assert!(pool.set_stride(1.into()) && !pool.set_padding(1.into()) && !pool.set_dilation(1.into()));
        assert!(!Pool::new(PoolKind::GlobalMax).set_stride(1.into()));
    }

    #[test]
    fn mistakes_name_the_layer() {
        let cases = [
            (
                Sequential::new([3, 8]).max_pool2d(2),
                "layer 0, max_pool2d(2): takes examples of channels and 2 spatial axes, not of shape [3, 8]",
            ),
            (
                Sequential::new([8]).global_avg_pool(),
                "layer 0, global_avg_pool: takes examples of channels and one to three spatial axes, not of shape [8]",
            ),
            (
                Sequential::new([3, 2, 8]).relu().avg_pool2d([3, 2]),
                "layer 1, avg_pool2d([3, 2]): a kernel of 3 spans 3 elements, and the axis has 2 with a padding of 0 + 0",
            ),
            (Sequential::new([3, 2]).lp_pool1d(0.0, 1), "layer 0, lp_pool1d(0, 1): the power is 0, and must be"),
            (
                Sequential::new([3, 2]).upsample(2.0, Interpolation::Cubic),
                "layer 0, upsample(2, cubic): cubic is for two spatial axes, not 1",
            ),
            (Sequential::new([3, 2]).adaptive_avg_pool1d(0), "layer 0, adaptive_avg_pool1d(0): cannot make 0 windows"),
            (Sequential::new([3]).relu().ceil_mode(true), "ceil_mode is for a pool, but it follows relu"),
            (
                Sequential::new([3, 4]).max_pool1d(2).count_include_pad(true),
                "count_include_pad is for an average pool, but it follows max_pool1d(2)",
            ),
        ];
        for (model, expected) in cases {
            let message = model.output_shape().unwrap_err().to_string().replace("sequential: ", "");
            assert!(message.contains(expected), "{message}");
        }
    }
}
