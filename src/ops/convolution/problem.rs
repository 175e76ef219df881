//! A convolution as an implicit product, for each group: rows × columns, summed over an inner dimension that is never stored in
//! memory. Both devices work with this description.
//!
//! | direction | rows | columns | inner |
//! |---|---|---|---|
//! | forward | out channels | batch × windows | in channels × kernel |
//! | input | in channels | batch × input elements | out channels × kernel |
//! | weight | out channels | in channels × kernel | batch × windows |
//!
//! The gradient of the input *gathers*: an element looks at the windows over it. With a stride of s, only every s-th tap of the
//! kernel meets a window, and which ones depends on the element's position modulo s, its *phase*. Elements of one phase form a
//! product of their own, with a part of the kernel and no stride, so that nothing is multiplied by zeros in between.

use super::{Convolution, Direction};
use crate::shader::Operand;
use crate::tensor::{DType, TensorType};

/// Values for depth, height and width; convolutions over fewer axes have extents of 1 in front.
pub(super) type Space = [usize; 3];

/// Addresses of a `[major, minor, space]` tensor, in elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Addresses {
    /// The element type in memory.
    pub(super) stored: DType,
    pub(super) offset: i64,
    pub(super) major: i64,
    pub(super) minor: i64,
    pub(super) space: [i64; 3],
    /// The last address.
    pub(super) last: i64,
}

/// The windows of one axis for the elements of one phase: element `o` meets tap `t` of its part of the kernel at
/// `o · scale + base + t · step` of the source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PhaseAxis {
    /// The first element, and the distance to the next.
    pub(super) first: usize,
    pub(super) every: usize,
    /// Elements.
    pub(super) count: usize,
    pub(super) scale: i64,
    pub(super) base: i64,
    pub(super) step: i64,
    /// The first tap of the kernel, the distance to the next, and how many there are.
    pub(super) tap: usize,
    pub(super) tap_every: usize,
    pub(super) taps: usize,
}

/// The extents, windows and strides of the problem.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) direction: Direction,
    /// Number of spatial axes.
    pub(super) axes: usize,
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// Channels of the result and of the input, of a group.
    pub(super) out_channels: usize,
    pub(super) in_channels: usize,
    pub(super) kernel: Space,
    pub(super) stride: Space,
    pub(super) dilation: Space,
    pub(super) low: Space,
    /// Extents of the input and of the result.
    pub(super) input: Space,
    pub(super) windows: Space,
    /// The operator's operands, in order.
    pub(super) operands: [Addresses; 2],
}

fn space<T: Copy>(values: &[T], fill: T) -> [T; 3] {
    let mut space = [fill; 3];
    space[3 - values.len()..].copy_from_slice(values);
    space
}

pub(super) fn volume(space: Space) -> usize {
    space.iter().product()
}

impl Problem {
    /// Refuses operands that do not fit each other.
    pub(super) fn new(convolution: &Convolution, operands: &[&Operand], result: &TensorType) -> Result<Self, String> {
        let [first, second] = operands else { return Err("takes two operands".into()) };
        let axes = convolution.axes.len();
        let rank = axes + 2;
        let shapes = [&first.ty.shape, &second.ty.shape, &result.shape];
        if !(1..=3).contains(&axes)
            || shapes.iter().any(|shape| shape.rank() != rank)
            || operands.iter().any(|operand| operand.at.strides.len() != rank)
        {
            return Err(format!("operands {} and {} do not fit {axes} spatial axes", first.ty, second.ty));
        }
        let (batch, weight, windows) = match convolution.direction {
            Direction::Forward => (first.ty.shape[0], &second.ty.shape, &result.shape),
            Direction::Input => (first.ty.shape[0], &second.ty.shape, &first.ty.shape),
            Direction::Weight => (first.ty.shape[0], &result.shape, &second.ty.shape),
        };
        let numbers = |value: fn(&crate::ops::WindowAxis) -> usize, fill: usize| {
            space(&convolution.axes.iter().map(value).collect::<Vec<_>>(), fill)
        };
        let addresses = |operand: &Operand| Addresses {
            stored: operand.ty.dtype,
            offset: operand.at.offset,
            major: operand.at.strides[0],
            minor: operand.at.strides[1],
            space: space(&operand.at.strides[2..], 0),
            last: operand.last(),
        };
        Ok(Self {
            direction: convolution.direction,
            axes,
            batch,
            groups: convolution.groups,
            out_channels: weight[0] / convolution.groups,
            in_channels: weight[1],
            kernel: numbers(|axis| axis.kernel, 1),
            stride: numbers(|axis| axis.stride, 1),
            dilation: numbers(|axis| axis.dilation, 1),
            low: numbers(|axis| axis.low, 0),
            input: space(&convolution.extents, 1),
            windows: space(&windows[2..], 1),
            operands: [addresses(first), addresses(second)],
        })
    }

    /// Rows of the product of one group.
    pub(super) fn rows(&self) -> usize {
        match self.direction {
            Direction::Input => self.in_channels,
            Direction::Forward | Direction::Weight => self.out_channels,
        }
    }

    /// Spatial extents of the result.
    pub(super) fn result(&self) -> Space {
        match self.direction {
            Direction::Forward => self.windows,
            Direction::Input => self.input,
            Direction::Weight => self.kernel,
        }
    }

    /// Spatial extents of what is read through the windows.
    pub(super) fn source(&self) -> Space {
        match self.direction {
            Direction::Input => self.windows,
            Direction::Forward | Direction::Weight => self.input,
        }
    }

    /// Number of phases along each axis.
    pub(super) fn phases(&self) -> Space {
        match self.direction {
            Direction::Input => std::array::from_fn(|axis| self.stride[axis].min(self.input[axis].max(1))),
            Direction::Forward | Direction::Weight => [1; 3],
        }
    }

    /// For the gradient of the input: how far apart the taps of the kernel are that meet a window.
    pub(super) fn tap_every(&self) -> Space {
        match self.direction {
            Direction::Input => {
                std::array::from_fn(|axis| self.stride[axis] / greatest_divisor(self.stride[axis], self.dilation[axis]))
            }
            Direction::Forward | Direction::Weight => [1; 3],
        }
    }

    /// The windows for the elements of a phase, along an axis.
    pub(super) fn phase(&self, axis: usize, phase: usize) -> PhaseAxis {
        let (stride, dilation) = (self.stride[axis] as i64, self.dilation[axis] as i64);
        let (low, kernel) = (self.low[axis] as i64, self.kernel[axis]);
        match self.direction {
            Direction::Forward | Direction::Weight => PhaseAxis {
                first: 0,
                every: 1,
                count: self.windows[axis],
                scale: stride,
                base: -low,
                step: dilation,
                tap: 0,
                tap_every: 1,
                taps: kernel,
            },
            Direction::Input => {
                let tap_every = self.tap_every()[axis];
                let from = phase as i64 + low;
                let met = (0..tap_every.min(kernel)).find(|&tap| (from - tap as i64 * dilation) % stride == 0);
                let tap = met.unwrap_or(0);
                PhaseAxis {
                    first: phase,
                    every: self.stride[axis],
                    count: self.input[axis].saturating_sub(phase).div_ceil(self.stride[axis]),
                    scale: 1,
                    base: (from - tap as i64 * dilation) / stride,
                    step: -(tap_every as i64 * dilation / stride),
                    tap,
                    tap_every,
                    taps: if met.is_some() { (kernel - tap).div_ceil(tap_every) } else { 0 },
                }
            }
        }
    }

    /// True where no window reaches beyond the source.
    pub(super) fn is_inside(&self) -> bool {
        let source = self.source();
        self.direction != Direction::Input
            && (0..3).all(|axis| {
                let last = self.windows[axis].saturating_sub(1) * self.stride[axis]
                    + (self.kernel[axis] - 1) * self.dilation[axis];
                self.low[axis] == 0 && last < source[axis]
            })
            || self.is_point()
    }

    /// True where the convolution is a product of matrices: a kernel of one tap, which meets every element.
    pub(super) fn is_point(&self) -> bool {
        self.kernel == [1; 3] && self.stride == [1; 3] && self.low == [0; 3] && self.windows == self.input
    }
}

impl Addresses {
    /// Elements in space, where they are neighbours in row-major order.
    fn pixels(&self, extents: Space) -> Option<usize> {
        let mut step = 1;
        for (&extent, &stride) in extents.iter().zip(&self.space).rev() {
            if extent != 1 && stride != step {
                return None;
            }
            step *= extent as i64;
        }
        Some(volume(extents))
    }
}

impl Problem {
    /// Whether neighbours of weight (or gradient of the result) and source lie along the inner dimension, where the convolution is
    /// a product of matrices and both can be read in groups of four from a multiple of four on.
    pub(super) fn quads(&self) -> Option<[bool; 2]> {
        let [source, other] = self.operands;
        let aligned = |numbers: &[i64]| numbers.iter().all(|number| number % 4 == 0);
        let fits = self.is_point()
            && source.pixels(self.source())?.is_multiple_of(4)
            && aligned(&[source.offset, source.major, source.minor, other.offset]);
        if !fits {
            return None;
        }
        match self.direction {
            // Weights `[out, in]`: rows are the former or the latter.
            Direction::Forward => (other.minor == 1 && aligned(&[other.major]) && self.in_channels.is_multiple_of(4))
                .then_some([true, false]),
            Direction::Input => (other.minor == 1 && aligned(&[other.major]) && self.in_channels.is_multiple_of(4))
                .then_some([false, false]),
            Direction::Weight => {
                let pixels = other.pixels(self.windows)?;
                (pixels.is_multiple_of(4) && aligned(&[other.major, other.minor])).then_some([true, true])
            }
        }
    }
}

fn greatest_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}
