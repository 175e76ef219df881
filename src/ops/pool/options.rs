//! Pools as users describe them, under PyTorch's names and defaults.

use super::axis::PoolAxis;
use crate::ops::{Padding, Rounding, Sizes, window_axes};

/// Windows that move over the spatial axes of `[batch, channels, spatial…]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Windows {
    kernel: Sizes,
    /// `None` for the kernel.
    stride: Option<Sizes>,
    padding: Padding,
    dilation: Sizes,
    ceil_mode: bool,
}

impl Windows {
    fn new(kernel: impl Into<Sizes>) -> Self {
        Self { kernel: kernel.into(), stride: None, padding: 0.into(), dilation: 1.into(), ceil_mode: false }
    }

    fn axes(&self, extents: &[usize]) -> Result<Vec<PoolAxis>, String> {
        let kernel = self.kernel.along(extents.len(), "kernel")?;
        let stride = self.stride.clone().unwrap_or_else(|| kernel.clone().into());
        let windows = window_axes(&kernel, &stride, &self.dilation, &self.padding, extents)?;
        if let Some(window) = windows.iter().find(|window| window.low.max(window.high) > window.span() / 2) {
            return Err(format!(
                "padding is {} + {}, and may be half the kernel at most, which spans {}",
                window.low,
                window.high,
                window.span()
            ));
        }
        windows
            .into_iter()
            .zip(extents)
            .map(|(window, &extent)| PoolAxis::regular(window, extent, Rounding::of_ceil_mode(self.ceil_mode)))
            .collect()
    }
}

/// The methods that change a description's windows.
macro_rules! modifiers {
    ($description:ident: $($(#[$doc:meta])* $name:ident($argument:ty) = $value:expr;)*) => {
        impl $description {
            /// Elements of a window along each axis.
            pub const fn kernel(&self) -> &Sizes {
                &self.windows.kernel
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $argument) -> Self {
                self.windows.$name = $value;
                self
            })*
        }
    };
}

/// A max pool: PyTorch's `MaxPool1d`, `2d` and `3d`. See [`Tensor::max_pool`](crate::graph::Tensor::max_pool).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MaxPool {
    windows: Windows,
}

impl MaxPool {
    /// With a stride of the kernel, and no padding. A single number stands for all axes.
    pub fn new(kernel: impl Into<Sizes>) -> Self {
        Self { windows: Windows::new(kernel) }
    }

    /// The windows along each axis.
    ///
    /// # Errors
    /// A message for the user where a number is invalid or no window fits.
    pub fn axes(&self, extents: &[usize]) -> Result<Vec<PoolAxis>, String> {
        self.windows.axes(extents)
    }
}

modifiers! {
    MaxPool:
    /// Elements from one window to the next.
    stride(impl Into<Sizes>) = Some(stride.into());
    /// How far windows reach beyond the edges: half the kernel at most. What is there is never the largest.
    padding(impl Into<Padding>) = padding.into();
    /// Elements of the axis from one element of a window to the next.
    dilation(impl Into<Sizes>) = dilation.into();
    /// Whether a last window may reach beyond the edge.
    ceil_mode(bool) = ceil_mode;
}

/// An average pool: PyTorch's `AvgPool1d`, `2d` and `3d`. See [`Tensor::avg_pool`](crate::graph::Tensor::avg_pool).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AvgPool {
    windows: Windows,
    pub(super) count_include_pad: bool,
    pub(super) divisor_override: Option<usize>,
}

impl AvgPool {
    /// With a stride of the kernel, and no padding. A single number stands for all axes.
    pub fn new(kernel: impl Into<Sizes>) -> Self {
        Self { windows: Windows::new(kernel), count_include_pad: true, divisor_override: None }
    }

    /// Whether the zeros of the padding are counted, as they are by default.
    #[must_use]
    pub const fn count_include_pad(mut self, count: bool) -> Self {
        self.count_include_pad = count;
        self
    }

    /// What the sums are divided by, whatever a window has. 1 gives the sums.
    #[must_use]
    pub const fn divisor_override(mut self, divisor: usize) -> Self {
        self.divisor_override = Some(divisor);
        self
    }

    /// The windows along each axis.
    ///
    /// # Errors
    /// A message for the user where a number is invalid or no window fits.
    pub fn axes(&self, extents: &[usize]) -> Result<Vec<PoolAxis>, String> {
        if self.divisor_override == Some(0) {
            return Err("divisor_override is 0".into());
        }
        self.windows.axes(extents)
    }
}

modifiers! {
    AvgPool:
    /// Elements from one window to the next.
    stride(impl Into<Sizes>) = Some(stride.into());
    /// How far windows reach beyond the edges: half the kernel at most. What is there is 0.
    padding(impl Into<Padding>) = padding.into();
    /// Elements of the axis from one element of a window to the next, which PyTorch does not have here.
    dilation(impl Into<Sizes>) = dilation.into();
    /// Whether a last window may reach beyond the edge. What it has beyond the padding is not counted.
    ceil_mode(bool) = ceil_mode;
}

/// A power-average pool: PyTorch's `LPPool1d`, `2d` and `3d`. See [`Tensor::lp_pool`](crate::graph::Tensor::lp_pool).
#[derive(Clone, Debug, PartialEq)]
pub struct LpPool {
    windows: Windows,
    norm: f64,
}

impl LpPool {
    /// With the power p, PyTorch's `norm_type`, and a stride of the kernel. A single number stands for all axes.
    pub fn new(norm: f64, kernel: impl Into<Sizes>) -> Self {
        Self { windows: Windows::new(kernel), norm }
    }

    /// The power p.
    pub const fn norm(&self) -> f64 {
        self.norm
    }

    /// The windows along each axis.
    ///
    /// # Errors
    /// A message for the user where a number is invalid or no window fits.
    pub fn axes(&self, extents: &[usize]) -> Result<Vec<PoolAxis>, String> {
        if !(self.norm.is_finite() && self.norm > 0.0) {
            return Err(format!("the power is {}, and must be a number above 0", self.norm));
        }
        self.windows.axes(extents)
    }
}

modifiers! {
    LpPool:
    /// Elements from one window to the next.
    stride(impl Into<Sizes>) = Some(stride.into());
    /// Whether a last window may reach beyond the edge. Its sum is then scaled as if it had all its elements.
    ceil_mode(bool) = ceil_mode;
}

/// A number of windows along each axis, spread over it.
///
/// # Errors
/// A message for the user where there are too many or too few numbers, or no windows.
pub(crate) fn adaptive_axes(sizes: &Sizes, extents: &[usize]) -> Result<Vec<PoolAxis>, String> {
    let sizes = sizes.along(extents.len(), "size")?;
    sizes.iter().zip(extents).map(|(&size, &extent)| PoolAxis::adaptive(size, extent)).collect()
}
