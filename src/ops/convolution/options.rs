//! What users say of a convolution, and the methods that apply one.

use super::{Convolution, Direction};
use crate::graph::Tensor;

use crate::ops::{Op, Padding, PaddingMode, Sizes, window_axes};
use crate::tensor::no_batch_axis;

/// How a convolution moves over its input: PyTorch's arguments, with its defaults. A number stands for all spatial axes.
///
/// ```
/// use wgrad::ops::{ConvOptions, Padding};
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let x = g.input("x", [8, 3, 32, 32], F32);
/// let weight = g.input("weight", [16, 3, 3, 3], F32);
/// let y = x.conv(&weight, &ConvOptions::new().stride(2).padding(Padding::Same));
/// assert_eq!(y.shape(), [8, 16, 16, 16].into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvOptions {
    pub(crate) stride: Sizes,
    pub(crate) padding: Padding,
    pub(crate) padding_mode: PaddingMode,
    pub(crate) dilation: Sizes,
    pub(crate) groups: usize,
}

impl Default for ConvOptions {
    fn default() -> Self {
        Self { stride: 1.into(), padding: 0.into(), padding_mode: PaddingMode::Zeros, dilation: 1.into(), groups: 1 }
    }
}

impl ConvOptions {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Elements from one window to the next.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Sizes>) -> Self {
        self.stride = stride.into();
        self
    }

    /// How far windows reach beyond the edges: a number, one for each axis, pairs, or [`Padding::Same`].
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.padding = padding.into();
        self
    }

    /// What is beyond the edges.
    #[must_use]
    pub const fn padding_mode(mut self, mode: PaddingMode) -> Self {
        self.padding_mode = mode;
        self
    }

    /// Elements from one tap of the kernel to the next.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Sizes>) -> Self {
        self.dilation = dilation.into();
        self
    }

    /// Parts into which the channels are divided, each convolved by itself; as many as channels is depthwise.
    #[must_use]
    pub const fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
}

/// How a transposed convolution moves: PyTorch's arguments, with its defaults.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvTransposeOptions {
    pub(crate) stride: Sizes,
    pub(crate) padding: Padding,
    pub(crate) output_padding: Sizes,
    pub(crate) dilation: Sizes,
    pub(crate) groups: usize,
}

impl Default for ConvTransposeOptions {
    fn default() -> Self {
        Self { stride: 1.into(), padding: 0.into(), output_padding: 0.into(), dilation: 1.into(), groups: 1 }
    }
}

impl ConvTransposeOptions {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Elements of the result from one element of the input to the next.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Sizes>) -> Self {
        self.stride = stride.into();
        self
    }

    /// Elements that are left out at the edges of the result: those that a convolution would pad. `Same` makes stride times as many
    /// elements as there are.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.padding = padding.into();
        self
    }

    /// Elements that the result has more at the end of each axis; less than the stride or the dilation.
    #[must_use]
    pub fn output_padding(mut self, padding: impl Into<Sizes>) -> Self {
        self.output_padding = padding.into();
        self
    }

    /// Elements of the result from one tap of the kernel to the next.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Sizes>) -> Self {
        self.dilation = dilation.into();
        self
    }

    /// Parts into which the channels are divided, each convolved by itself.
    #[must_use]
    pub const fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// The convolution whose input gradient this is, for an input and a weight of these extents.
    pub(crate) fn resolve(&self, kernel: &[usize], input: &[usize]) -> Result<Convolution, String> {
        let axes = input.len();
        let stride = self.stride.along(axes, "stride")?;
        let extra = self.output_padding.along(axes, "output padding")?;
        let dilation = self.dilation.along(axes, "dilation")?;
        // What the convolution would have had as its input, where its padding follows from that.
        let full: Vec<usize> = input.iter().zip(&stride).map(|(extent, stride)| extent * stride).collect();
        let windows = window_axes(kernel, &self.stride, &self.dilation, &self.padding, &full)?;
        let same = matches!(self.padding, Padding::Same);
        let mut extents = Vec::with_capacity(axes);
        for (axis, window) in windows.iter().enumerate() {
            if input[axis] == 0 {
                return Err(format!("its input has no elements along spatial axis {axis}"));
            }
            if extra[axis] >= stride[axis].max(dilation[axis]) && extra[axis] > 0 {
                return Err(format!(
                    "output padding is {extra:?}, and must be less than the stride {stride:?} or the dilation {dilation:?}"
                ));
            }
            let total = (input[axis] - 1)
                .checked_mul(window.stride)
                .and_then(|steps| steps.checked_add(window.span() + extra[axis]))
                .ok_or("the result is too large")?;
            let extent = if same { Some(full[axis]) } else { total.checked_sub(window.low + window.high) };
            match extent {
                Some(extent) if extent > 0 => extents.push(extent),
                _ => {
                    return Err(format!(
                        "nothing is left of {total} elements along spatial axis {axis} less a padding of {} + {}",
                        window.low, window.high
                    ));
                }
            }
        }
        Ok(Convolution { direction: Direction::Input, axes: windows, extents, groups: self.groups })
    }

    /// Spatial extents of the result.
    pub(crate) fn output(&self, kernel: &[usize], input: &[usize]) -> Result<Vec<usize>, String> {
        Ok(self.resolve(kernel, input)?.extents)
    }
}

impl ConvOptions {
    /// The convolution of an input and a weight of these spatial extents.
    pub(crate) fn resolve(&self, kernel: &[usize], input: &[usize]) -> Result<Convolution, String> {
        let axes = window_axes(kernel, &self.stride, &self.dilation, &self.padding, input)?;
        let convolution =
            Convolution { direction: Direction::Forward, axes, extents: input.to_vec(), groups: self.groups };
        convolution.windows().map(|_| convolution)
    }

    /// Spatial extents of the result.
    pub(crate) fn output(&self, kernel: &[usize], input: &[usize]) -> Result<Vec<usize>, String> {
        self.resolve(kernel, input)?.windows()
    }
}

impl Tensor {
    /// The convolution with a weight `[out, in / groups, kernel…]`, over as many spatial axes (1 to 3) as both have:
    /// `[n, in, spatial…]` to `[n, out, windows…]`. PyTorch's `conv1d`, `conv2d` and `conv3d`; a bias is added as
    /// [`nn::Conv2d`](crate::nn::Conv2d) does. Integers of 32 and 64 bits are convolved exactly, and have no gradient.
    #[track_caller]
    #[must_use]
    pub fn conv(&self, weight: &Self, options: &ConvOptions) -> Self {
        let graph = self.graph();
        if graph.error().is_some() {
            return self.clone();
        }
        let Some((kernel, extents)) = self.spatial_extents("convolution", weight) else { return self.clone() };
        let mut convolution = match options.resolve(&kernel, &extents) {
            Ok(convolution) => convolution,
            Err(message) => return graph.mistake("convolution", message),
        };
        let padded = match options.padding_mode {
            PaddingMode::Zeros => self.clone(),
            mode => {
                let ends = |end: fn(&super::WindowAxis) -> usize| -> Vec<usize> {
                    [0, 0].into_iter().chain(convolution.axes.iter().map(end)).collect()
                };
                let padded = self.pad_with(&ends(|axis| axis.low), &ends(|axis| axis.high), mode);
                for (axis, extent) in convolution.axes.iter_mut().zip(&mut convolution.extents) {
                    *extent += axis.low + axis.high;
                    (axis.low, axis.high) = (0, 0);
                }
                padded
            }
        };
        if self.dtype().is_float() {
            graph.apply1(Op::Convolution(convolution), &[&padded, weight])
        } else {
            convolution.of_integers(&padded, weight)
        }
    }

    /// The transposed convolution with a weight `[in, out / groups, kernel…]`: the gradient of a convolution with respect to its
    /// input, as a layer. `[n, in, spatial…]` to `[n, out, (spatial − 1) · stride − 2 · padding + span + output padding…]`.
    /// PyTorch's `conv_transpose1d`, `conv_transpose2d` and `conv_transpose3d`.
    #[track_caller]
    #[must_use]
    pub fn conv_transpose(&self, weight: &Self, options: &ConvTransposeOptions) -> Self {
        let graph = self.graph();
        if graph.error().is_some() {
            return self.clone();
        }
        let Some((kernel, extents)) = self.spatial_extents("conv_transpose", weight) else { return self.clone() };
        match options.resolve(&kernel, &extents) {
            Ok(convolution) => graph.apply1(Op::Convolution(convolution), &[self, weight]),
            Err(message) => graph.mistake("conv_transpose", message),
        }
    }

    /// The spatial extents of a weight and of an input that have the same number of them.
    #[track_caller]
    fn spatial_extents(&self, operator: &str, weight: &Self) -> Option<(Vec<usize>, Vec<usize>)> {
        let (input, kernel) = (self.shape(), weight.shape());
        if (3..=5).contains(&input.rank()) && input.rank() == kernel.rank() {
            return Some((kernel[2..].to_vec(), input[2..].to_vec()));
        }
        let message = if (3..=5).contains(&kernel.rank()) && input.rank() + 1 == kernel.rank() {
            no_batch_axis("[batch, channels, spatial…]", &input, 0)
        } else {
            format!(
                "takes an input [n, channels, spatial…] and a weight [out, in, kernel…] of 1 to 3 spatial axes, not {input} and {kernel}"
            )
        };
        let _ = self.graph().mistake(operator, message);
        None
    }
}
