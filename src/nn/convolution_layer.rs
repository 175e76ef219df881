//! Convolutions as layers of a [`Sequential`]: plain data, whose input channels follow from what is before.

use std::fmt;

use super::convolution::{Convolving, Moves};
use super::{Initializer, Layer, Sequential};
use crate::graph::{Graph, Tensor};
use crate::ops::{ConvOptions, ConvTransposeOptions, Padding, PaddingMode, Sizes};
use crate::tensor::Shape;

/// A convolution, or a transposed one. See [`Conv2d`](super::Conv2d).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    axes: usize,
    channels: usize,
    kernel: Sizes,
    moves: Moves,
    pub(super) bias: bool,
    pub(super) initializer: Option<Initializer>,
    pub(super) bias_initializer: Option<Initializer>,
}

impl Conv {
    /// The number of spatial axes, and the number of output channels.
    pub fn new(axes: usize, channels: usize, kernel: impl Into<Sizes>, options: ConvOptions) -> Self {
        Self::moving(axes, channels, kernel.into(), Moves::Forward(options))
    }

    /// The transposed one.
    pub fn transposed(axes: usize, channels: usize, kernel: impl Into<Sizes>, options: ConvTransposeOptions) -> Self {
        Self::moving(axes, channels, kernel.into(), Moves::Transposed(options))
    }

    const fn moving(axes: usize, channels: usize, kernel: Sizes, moves: Moves) -> Self {
        Self { axes, channels, kernel, moves, bias: true, initializer: None, bias_initializer: None }
    }

    fn weight_shape(&self, input: &Shape) -> Result<Shape, String> {
        if input.rank() != self.axes + 1 {
            let spatial = ["", "width", "height, width", "depth, height, width"][self.axes.min(3)];
            return Err(format!("takes examples of [channels, {spatial}], not {input}"));
        }
        let kernel = self.kernel.along(self.axes, "kernel")?;
        self.moves.weight_shape([input[0], self.channels], &kernel)
    }

    pub(super) fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let weight = self.weight_shape(input)?;
        let spatial = self.moves.output(&weight[2..], &input[1..])?;
        Ok(std::iter::once(self.channels).chain(spatial).collect())
    }

    pub(super) fn parameter_count(&self, input: &Shape) -> usize {
        self.weight_shape(input).map_or(0, |weight| weight.len() + if self.bias { self.channels } else { 0 })
    }

    #[track_caller]
    pub(super) fn forward(&self, g: &Graph, name: &str, x: &Tensor) -> Tensor {
        let channels = [x.shape().get(1).copied().unwrap_or(0), self.channels];
        let layer = Convolving::shared(g, name, self.axes, channels, &self.kernel, self.moves.clone(), self.bias);
        for (bias, initializer) in [(false, self.initializer), (true, self.bias_initializer)] {
            if let Some(initializer) = initializer {
                layer.initialize(bias, initializer);
            }
        }
        layer.forward(x)
    }
}

impl fmt::Display for Conv {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.moves {
            Moves::Forward(_) => "conv",
            Moves::Transposed(_) => "conv_transpose",
        };
        write!(formatter, "{name}{}d({}, {})", self.axes, self.channels, self.kernel)
    }
}

macro_rules! builders {
    ($($name:ident $transposed:ident $axes:literal $input:literal;)*) => {
        impl Sequential {
            $(
                #[doc = concat!("A convolution to `channels` channels, for examples of `", $input, "`. What follows it may say how ",
                    "it moves: [`stride`](Self::stride), [`padding`](Self::padding), [`dilation`](Self::dilation), ",
                    "[`groups`](Self::groups), [`padding_mode`](Self::padding_mode).")]
                #[must_use]
                #[track_caller]
                pub fn $name(self, channels: usize, kernel: impl Into<Sizes>) -> Self {
                    self.layer(Layer::Conv(Box::new(Conv::new($axes, channels, kernel, ConvOptions::new()))))
                }

                #[doc = concat!("A transposed convolution to `channels` channels, for examples of `", $input, "`.")]
                #[must_use]
                #[track_caller]
                pub fn $transposed(self, channels: usize, kernel: impl Into<Sizes>) -> Self {
                    let conv = Conv::transposed($axes, channels, kernel, ConvTransposeOptions::new());
                    self.layer(Layer::Conv(Box::new(conv)))
                }
            )*
        }
    };
}

builders! {
    conv1d conv_transpose1d 1 "[channels, width]";
    conv2d conv_transpose2d 2 "[channels, height, width]";
    conv3d conv_transpose3d 3 "[channels, depth, height, width]";
}

impl Sequential {
    /// Elements from one window to the next, of the convolution or pool just added.
    ///
    /// ```
    /// use wgrad::nn::Sequential;
    /// let model = Sequential::new([3, 32, 32]).conv2d(16, 3).stride(2).padding(1).relu().flatten().dense(10);
    /// assert_eq!(model.output_shape()?, [10].into());
    /// assert_eq!(model.parameter_count()?, 16 * 28 + 10 * (16 * 16 * 16 + 1));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn stride(self, stride: impl Into<Sizes>) -> Self {
        let stride = stride.into();
        self.modify("stride", "a convolution or pool", |layer| match layer {
            Layer::Conv(conv) => match &mut conv.moves {
                Moves::Forward(options) => replace(&mut options.stride, stride),
                Moves::Transposed(options) => replace(&mut options.stride, stride),
            },
            Layer::Pool(pool) => pool.set_stride(stride),
            _ => false,
        })
    }

    /// How far windows reach beyond the edges, of the convolution or pool just added: a number, one for each axis, pairs, or
    /// [`Padding::Same`].
    #[must_use]
    #[track_caller]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        let padding = padding.into();
        self.modify("padding", "a convolution or pool", |layer| match layer {
            Layer::Conv(conv) => match &mut conv.moves {
                Moves::Forward(options) => replace(&mut options.padding, padding),
                Moves::Transposed(options) => replace(&mut options.padding, padding),
            },
            Layer::Pool(pool) => pool.set_padding(padding),
            _ => false,
        })
    }

    /// Elements from one position of the kernel to the next, of the convolution or pool just added.
    #[must_use]
    #[track_caller]
    pub fn dilation(self, dilation: impl Into<Sizes>) -> Self {
        let dilation = dilation.into();
        self.modify("dilation", "a convolution or pool", |layer| match layer {
            Layer::Conv(conv) => match &mut conv.moves {
                Moves::Forward(options) => replace(&mut options.dilation, dilation),
                Moves::Transposed(options) => replace(&mut options.dilation, dilation),
            },
            Layer::Pool(pool) => pool.set_dilation(dilation),
            _ => false,
        })
    }

    /// Parts into which the channels are divided, of the convolution just added.
    #[must_use]
    #[track_caller]
    pub fn groups(self, groups: usize) -> Self {
        self.modify("groups", "a convolution", |layer| match layer {
            Layer::Conv(conv) => match &mut conv.moves {
                Moves::Forward(options) => replace(&mut options.groups, groups),
                Moves::Transposed(options) => replace(&mut options.groups, groups),
            },
            _ => false,
        })
    }

    /// What is beyond the edges, for the convolution just added.
    #[must_use]
    #[track_caller]
    pub fn padding_mode(self, mode: PaddingMode) -> Self {
        self.modify("padding_mode", "a convolution that is not transposed", |layer| match layer {
            Layer::Conv(conv) => match &mut conv.moves {
                Moves::Forward(options) => replace(&mut options.padding_mode, mode),
                Moves::Transposed(_) => false,
            },
            _ => false,
        })
    }

    /// Elements that the result of the transposed convolution just added has more at the end of each axis.
    #[must_use]
    #[track_caller]
    pub fn output_padding(self, padding: impl Into<Sizes>) -> Self {
        let padding = padding.into();
        self.modify("output_padding", "a transposed convolution", |layer| match layer {
            Layer::Conv(conv) => match &mut conv.moves {
                Moves::Transposed(options) => replace(&mut options.output_padding, padding),
                Moves::Forward(_) => false,
            },
            _ => false,
        })
    }
}

/// Puts a value where it belongs, where there is such a setting.
fn replace<T>(target: &mut T, value: T) -> bool {
    *target = value;
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Mode, Model};
    use crate::tensor::DType;

    fn forward(model: &Sequential, dims: &[usize]) -> (Shape, String) {
        let g = Graph::new();
        let y = model.forward(&g, &g.input("x", dims, DType::F32), Mode::Training);
        (y.shape(), g.error().map(|error| error.to_string()).unwrap_or_default())
    }

    #[test]
    fn shapes_follow_and_are_what_the_graph_has() {
        let models = [
            (Sequential::new([3, 9, 9]).conv2d(4, 3).padding(1).stride(2).relu().conv2d(6, [1, 3]), vec![6, 5, 3]),
            (Sequential::new([4, 10]).conv1d(8, 3).groups(2).dilation(2).padding(Padding::Same), vec![8, 10]),
            (Sequential::new([2, 5, 5]).conv_transpose2d(3, 4).stride(2).padding(1), vec![3, 10, 10]),
            (Sequential::new([2, 5, 5]).conv_transpose2d(3, 3).stride(2).padding(1).output_padding(1), vec![3, 10, 10]),
            (Sequential::new([1, 4, 5, 6]).conv3d(2, 2).without_bias().conv_transpose3d(1, 2), vec![1, 4, 5, 6]),
            (Sequential::new([1, 7]).conv1d(2, 3).padding(1).padding_mode(PaddingMode::Reflect), vec![2, 7]),
        ];
        for (model, expected) in models {
            assert_eq!(model.output_shape().unwrap(), Shape::from(expected.clone()), "{model:?}");
            let dims: Vec<usize> = std::iter::once(2).chain(model.input_shape().to_vec()).collect();
            let whole: Vec<usize> = std::iter::once(2).chain(expected).collect();
            assert_eq!(forward(&model, &dims), (whole.into(), String::new()));
        }
    }

    #[test]
    fn mistakes_name_the_layer() {
        let cases = [
            (
                Sequential::new([3]).conv2d(4, 3),
                "layer 0, conv2d(4, 3): takes examples of [channels, height, width], not [3]",
            ),
            (
                Sequential::new([3, 2, 8]).conv2d(4, 3),
                "layer 0, conv2d(4, 3): along spatial axis 0, a kernel of 3 spans 3",
            ),
            (Sequential::new([3, 8, 8]).conv2d(4, 3).groups(2), "layer 0, conv2d(4, 3): 3 channels to 4 do not divide"),
            (Sequential::new([3, 8, 8]).conv2d(4, 3).stride(0), "layer 0, conv2d(4, 3): stride is [0, 0], and must be"),
            (Sequential::new([3, 8, 8]).relu().stride(2), "stride is for a convolution or pool, but it follows relu"),
            (
                Sequential::new([3, 8, 8]).conv2d(4, 3).output_padding(1),
                "output_padding is for a transposed convolution, but it follows conv2d(4, 3)",
            ),
            (
                Sequential::new([3, 8]).conv_transpose1d(4, 3).output_padding(1),
                "layer 0, conv_transpose1d(4, 3): output padding is [1]",
            ),
        ];
        for (model, expected) in cases {
            let message = model.output_shape().unwrap_err().to_string().replace("sequential: ", "");
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
