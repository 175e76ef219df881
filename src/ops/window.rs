//! Windows that move over spatial axes: what convolutions and pools share.

use std::fmt;

/// A number for each spatial axis, outermost first; a single one stands for all of them.
///
/// ```
/// use wgrad::ops::Sizes;
/// assert_eq!(Sizes::from(3).along(2, "kernel"), Ok(vec![3, 3]));
/// assert_eq!(Sizes::from([3, 5]).along(2, "kernel"), Ok(vec![3, 5]));
/// assert!(Sizes::from([3, 5]).along(3, "kernel").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sizes(Vec<usize>);

impl Sizes {
    /// The sizes for this number of axes.
    ///
    /// # Errors
    /// A message for the user that names `what` the sizes are, where there are too many or too few.
    pub fn along(&self, axes: usize, what: &str) -> Result<Vec<usize>, String> {
        match self.0.as_slice() {
            [one] => Ok(vec![*one; axes]),
            several if several.len() == axes => Ok(several.to_vec()),
            several => {
                Err(format!("{what} is {several:?}, and must be one number or {axes}, one for each spatial axis"))
            }
        }
    }

    /// True where every number is this one.
    pub fn all(&self, number: usize) -> bool {
        self.0.iter().all(|&own| own == number)
    }
}

impl fmt::Display for Sizes {
    /// A number alone, or a list.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(formatter, "{one}"),
            several => write!(formatter, "{several:?}"),
        }
    }
}

impl From<usize> for Sizes {
    fn from(size: usize) -> Self {
        Self(vec![size])
    }
}

impl<const N: usize> From<[usize; N]> for Sizes {
    fn from(sizes: [usize; N]) -> Self {
        Self(sizes.to_vec())
    }
}

impl From<Vec<usize>> for Sizes {
    fn from(sizes: Vec<usize>) -> Self {
        Self(sizes)
    }
}

/// How far windows reach beyond the edges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// As far at both ends of an axis.
    Symmetric(Sizes),
    /// These widths at the beginning and at the end of each axis.
    Explicit(Vec<[usize; 2]>),
    /// As far as makes extent ÷ stride windows, rounded up: Keras's `same`. An odd one is added at the end.
    Same,
    /// Not at all: Keras's `valid`.
    Valid,
}

impl From<usize> for Padding {
    fn from(size: usize) -> Self {
        Self::Symmetric(size.into())
    }
}

impl<const N: usize> From<[usize; N]> for Padding {
    fn from(sizes: [usize; N]) -> Self {
        Self::Symmetric(sizes.into())
    }
}

impl<const N: usize> From<[[usize; 2]; N]> for Padding {
    fn from(sizes: [[usize; 2]; N]) -> Self {
        Self::Explicit(sizes.to_vec())
    }
}

/// Windows along one axis. Window `o` begins at element `o · stride − low`, and its element `t` is `t · dilation` further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowAxis {
    /// Elements of a window.
    pub kernel: usize,
    /// Elements from one window to the next.
    pub stride: usize,
    /// Elements of the axis from one of them to the next.
    pub dilation: usize,
    /// Elements that the first window may reach before the axis.
    pub low: usize,
    /// Elements that the last window may reach beyond it.
    pub high: usize,
}

/// How many windows there are where the last one does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// It is left out.
    Floor,
    /// It may reach beyond the padding, if it begins within the axis or the padding before it, as with PyTorch's `ceil_mode`.
    Ceil,
}

impl Rounding {
    /// What PyTorch's and ONNX's `ceil_mode` say.
    pub const fn of_ceil_mode(ceil_mode: bool) -> Self {
        if ceil_mode { Self::Ceil } else { Self::Floor }
    }
}

impl WindowAxis {
    /// Elements from the first one of a window to the end behind its last.
    pub const fn span(&self) -> usize {
        self.dilation.saturating_mul(self.kernel.saturating_sub(1)).saturating_add(1)
    }

    /// Number of windows over an axis of this extent.
    ///
    /// # Errors
    /// A message for the user where not even one fits.
    pub fn windows(&self, extent: usize, rounding: Rounding) -> Result<usize, String> {
        let padded = extent.saturating_add(self.low).saturating_add(self.high);
        let Some(rest) = padded.checked_sub(self.span()) else {
            let dilated = if self.dilation == 1 { String::new() } else { format!(" dilated by {}", self.dilation) };
            return Err(format!(
                "a kernel of {}{dilated} spans {} elements, and the axis has {extent} with a padding of {} + {}",
                self.kernel,
                self.span(),
                self.low,
                self.high
            ));
        };
        if rounding == Rounding::Floor {
            return Ok(rest / self.stride + 1);
        }
        let windows = rest.div_ceil(self.stride) + 1;
        Ok(if (windows - 1) * self.stride >= extent + self.low { windows - 1 } else { windows })
    }
}

/// The windows along each spatial axis of these extents.
///
/// # Errors
/// A message for the user where a number is 0 that must not be, or there are too many or too few.
pub fn window_axes(
    kernel: &[usize],
    stride: &Sizes,
    dilation: &Sizes,
    padding: &Padding,
    extents: &[usize],
) -> Result<Vec<WindowAxis>, String> {
    let axes = extents.len();
    if kernel.len() != axes {
        return Err(format!("the kernel {kernel:?} is for {} spatial axes, and there are {axes}", kernel.len()));
    }
    let (stride, dilation) = (stride.along(axes, "stride")?, dilation.along(axes, "dilation")?);
    for (what, sizes) in [("kernel", kernel), ("stride", &stride), ("dilation", &dilation)] {
        if sizes.contains(&0) {
            return Err(format!("{what} is {sizes:?}, and must be at least 1"));
        }
        // The kernels compute with 32-bit integers.
        if sizes.iter().any(|&size| size > 1 << 20) {
            return Err(format!("{what} is {sizes:?}, and may be {} at most", 1 << 20));
        }
    }
    let pads: Vec<[usize; 2]> = match padding {
        Padding::Symmetric(sizes) => sizes.along(axes, "padding")?.into_iter().map(|size| [size; 2]).collect(),
        Padding::Explicit(pads) if pads.len() == axes => pads.clone(),
        Padding::Explicit(pads) => {
            return Err(format!("padding is {pads:?}, and must be {axes} pairs, one for each spatial axis"));
        }
        Padding::Valid => vec![[0; 2]; axes],
        Padding::Same => (0..axes)
            .map(|axis| {
                let span = dilation[axis] * (kernel[axis] - 1) + 1;
                let last = extents[axis].div_ceil(stride[axis]).saturating_sub(1) * stride[axis];
                let total = (last + span).saturating_sub(extents[axis]);
                [total / 2, total - total / 2]
            })
            .collect(),
    };
    if pads.iter().flatten().any(|&size| size > 1 << 24) {
        return Err(format!("padding is {pads:?}, and may be {} at most", 1 << 24));
    }
    Ok((0..axes)
        .map(|axis| WindowAxis {
            kernel: kernel[axis],
            stride: stride[axis],
            dilation: dilation[axis],
            low: pads[axis][0],
            high: pads[axis][1],
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(kernel: usize, stride: usize, dilation: usize, low: usize, high: usize) -> WindowAxis {
        WindowAxis { kernel, stride, dilation, low, high }
    }

    #[test]
    fn windows_are_counted_as_in_torch() {
        assert_eq!(axis(3, 1, 1, 1, 1).windows(5, Rounding::Floor), Ok(5));
        assert_eq!(axis(3, 2, 1, 0, 0).windows(6, Rounding::Floor), Ok(2));
        assert_eq!(axis(3, 2, 1, 0, 0).windows(6, Rounding::Ceil), Ok(3));
        // The last window would begin in the padding behind: it does not count.
        assert_eq!(axis(2, 3, 1, 1, 1).windows(5, Rounding::Ceil), Ok(2));
        assert_eq!(axis(3, 1, 2, 0, 0).windows(5, Rounding::Floor), Ok(1));
        let message = axis(3, 1, 2, 0, 1).windows(3, Rounding::Floor).unwrap_err();
        assert_eq!(message, "a kernel of 3 dilated by 2 spans 5 elements, and the axis has 3 with a padding of 0 + 1");
    }

    #[test]
    fn same_padding_keeps_the_extent() {
        for (extent, kernel, stride, dilation) in
            [(7, 3, 1, 1), (7, 4, 1, 1), (7, 3, 2, 1), (8, 3, 2, 1), (9, 3, 1, 2), (5, 2, 3, 1)]
        {
            let axes = window_axes(&[kernel], &stride.into(), &dilation.into(), &Padding::Same, &[extent]).unwrap();
            assert_eq!(axes[0].windows(extent, Rounding::Floor), Ok(extent.div_ceil(stride)));
            assert!(axes[0].high == axes[0].low || axes[0].high == axes[0].low + 1);
        }
    }

    #[test]
    fn invalid_numbers_are_refused() {
        let axes = |kernel: &[usize], stride: Sizes, padding: Padding| {
            window_axes(kernel, &stride, &1.into(), &padding, &[5, 5]).unwrap_err()
        };
        assert_eq!(axes(&[3, 3], 0.into(), 0.into()), "stride is [0, 0], and must be at least 1");
        assert_eq!(axes(&[3], 1.into(), 0.into()), "the kernel [3] is for 1 spatial axes, and there are 2");
        assert!(axes(&[3, 3], [1, 2, 3].into(), 0.into()).contains("one number or 2"));
        assert!(axes(&[3, 3], 1.into(), [[1, 2]].into()).contains("2 pairs"));
    }
}
