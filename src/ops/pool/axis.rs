//! The windows of a pool along one spatial axis.

use crate::ops::{Rounding, WindowAxis};

/// Elements of an axis, windows included, that the kernels' 32-bit integers can hold.
const FARTHEST: usize = 1 << 30;

/// How windows follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Steps {
    /// At equal distances, all as wide.
    Regular(WindowAxis),
    /// Spread over the axis: window `i` of `n` goes from ⌊i·extent/n⌋ to ⌈(i+1)·extent/n⌉, as in PyTorch's adaptive pools.
    Adaptive,
}

/// The windows along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolAxis {
    /// Elements of the axis.
    pub extent: usize,
    /// Number of windows.
    pub windows: usize,
    /// How they follow one another.
    pub steps: Steps,
}

/// The elements of an axis that are in a window: `count` of them, from `first` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowElements {
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) step: usize,
}

impl WindowElements {
    #[inline(always)]
    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |k| self.first + k * self.step)
    }
}

impl PoolAxis {
    /// What replaces an axis that is not there.
    pub(super) const SINGLE: Self = Self {
        extent: 1,
        windows: 1,
        steps: Steps::Regular(WindowAxis { kernel: 1, stride: 1, dilation: 1, low: 0, high: 0 }),
    };

    /// Regular windows over an extent.
    ///
    /// # Errors
    /// A message for the user where none fits, or sizes exceed 32 bits.
    pub fn regular(window: WindowAxis, extent: usize, rounding: Rounding) -> Result<Self, String> {
        if extent == 0 {
            return Err("an axis of no elements has no windows".into());
        }
        let reach = extent.saturating_add(window.low).saturating_add(window.high);
        let windows = window.windows(extent, rounding)?;
        if reach > FARTHEST {
            return Err(format!("an axis of {extent} elements with its padding is longer than {FARTHEST}"));
        }
        Ok(Self { extent, windows, steps: Steps::Regular(window) })
    }

    /// A number of windows, spread over an extent. Where it is a multiple of their number, they are regular.
    ///
    /// # Errors
    /// A message for the user where there is nothing to spread, or sizes exceed 32 bits.
    pub fn adaptive(windows: usize, extent: usize) -> Result<Self, String> {
        if windows == 0 || extent == 0 {
            return Err(format!("cannot make {windows} windows of {extent} elements"));
        }
        if extent.is_multiple_of(windows) && extent <= FARTHEST {
            let kernel = extent / windows;
            let window = WindowAxis { kernel, stride: kernel, dilation: 1, low: 0, high: 0 };
            return Ok(Self { extent, windows, steps: Steps::Regular(window) });
        }
        let product = extent.saturating_mul(windows);
        if product.saturating_add(extent).saturating_add(windows) > FARTHEST {
            return Err(format!("{windows} windows of {extent} elements: their product is larger than {FARTHEST}"));
        }
        Ok(Self { extent, windows, steps: Steps::Adaptive })
    }

    /// The elements in a window.
    pub(super) fn elements(&self, window: usize) -> WindowElements {
        match self.steps {
            Steps::Regular(WindowAxis { kernel, stride, dilation, low, .. }) => {
                let start = window * stride;
                let skipped = low.saturating_sub(start).div_ceil(dilation).min(kernel);
                let first = start + skipped * dilation - low.min(start + skipped * dilation);
                let count = self.extent.saturating_sub(first).div_ceil(dilation).min(kernel - skipped);
                WindowElements { first, count, step: dilation }
            }
            Steps::Adaptive => {
                let first = window * self.extent / self.windows;
                let end = ((window + 1) * self.extent).div_ceil(self.windows);
                WindowElements { first, count: end - first, step: 1 }
            }
        }
    }

    /// Elements that a window has, with those of the padding where `padding` says so, as PyTorch counts them: a window that
    /// reaches beyond the padding (ceil mode) ends with it.
    pub(super) fn count(&self, window: usize, padding: bool) -> usize {
        match self.steps {
            Steps::Regular(WindowAxis { kernel, stride, dilation, low, high }) if padding => {
                let rest = (self.extent + low + high).saturating_sub(window * stride);
                rest.div_ceil(dilation).min(kernel)
            }
            _ => self.elements(window).count,
        }
    }

    /// Elements of a window, be they within the axis or not.
    pub(super) fn kernel(&self) -> usize {
        match self.steps {
            Steps::Regular(window) => window.kernel,
            Steps::Adaptive => self.longest(),
        }
    }

    /// Elements of the largest window.
    pub(super) fn longest(&self) -> usize {
        match self.steps {
            Steps::Regular(window) => window.kernel.min(self.extent),
            Steps::Adaptive => self.extent.div_ceil(self.windows) + 1,
        }
    }

    /// The most windows that contain one element, or begin before it and end behind it.
    pub(super) fn most_over(&self) -> usize {
        match self.steps {
            Steps::Regular(window) => window.span().div_ceil(window.stride).min(self.windows),
            Steps::Adaptive => self.windows.div_ceil(self.extent) + 1,
        }
    }

    /// True where each window is its own element.
    pub(super) fn is_identity(&self) -> bool {
        self.windows == self.extent
            && (0..self.windows).all(|window| {
                let elements = self.elements(window);
                elements.count == 1 && elements.first == window
            })
    }

    /// What kernels are made for: `struct Axis` of `family/windows`.
    pub(super) fn constant(&self) -> String {
        let (span, stride, dilation, low, adaptive) = match self.steps {
            Steps::Regular(window) => (window.span(), window.stride, window.dilation, window.low, 0),
            Steps::Adaptive => (0, 1, 1, 0, 1),
        };
        let fields =
            [self.extent, self.windows, span, stride, dilation, low, adaptive, self.longest(), self.most_over()];
        format!("Axis({})", fields.map(|field| field.to_string()).join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(kernel: usize, stride: usize, dilation: usize, low: usize, extent: usize) -> PoolAxis {
        PoolAxis::regular(WindowAxis { kernel, stride, dilation, low, high: low }, extent, Rounding::Ceil).unwrap()
    }

    #[test]
    fn elements_are_those_within_the_axis() {
        for extent in 1..9 {
            for kernel in 1..5 {
                for (stride, dilation) in [(1, 1), (2, 1), (3, 2), (1, 3), (5, 1)] {
                    for low in 0..=kernel / 2 {
                        let window = WindowAxis { kernel, stride, dilation, low, high: low };
                        let Ok(axis) = PoolAxis::regular(window, extent, Rounding::Ceil) else { continue };
                        for o in 0..axis.windows {
                            let expected: Vec<usize> = (0..kernel)
                                .filter_map(|t| (o * stride + t * dilation).checked_sub(low))
                                .filter(|&index| index < extent)
                                .collect();
                            assert_eq!(axis.elements(o).iter().collect::<Vec<_>>(), expected, "{axis:?} window {o}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn counts_are_those_of_torch() {
        // Five elements, padding 1, ceil mode: the last window of four begins at element 5 − … and ends with the padding.
        let axis = regular(4, 3, 1, 1, 5);
        assert_eq!(axis.windows, 2);
        assert_eq!([axis.count(0, true), axis.count(0, false)], [4, 3]);
        let axis = regular(3, 2, 1, 0, 6);
        assert_eq!((axis.windows, axis.count(2, true), axis.count(2, false)), (3, 2, 2));
        let axis = PoolAxis::adaptive(3, 7).unwrap();
        assert_eq!((0..3).map(|o| axis.count(o, true)).collect::<Vec<_>>(), [3, 3, 3]);
        assert!(PoolAxis::adaptive(0, 7).is_err() && PoolAxis::adaptive(3, 0).is_err());
        assert!(PoolAxis::adaptive(1 << 20, (1 << 20) + 1).is_err());
    }
}
