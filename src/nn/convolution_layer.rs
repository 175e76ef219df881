//! Convolutions as layers of a [`Sequential`]: plain data, whose input channels follow from what is before.

use super::convolution::{Convolution, Moves, label};
use super::{Initializer, Layer, Precision, Scope, Sequential, Setting, refuse_known};
use crate::graph::{Graph, Tensor};
use crate::ops::{ConvOptions, ConvTransposeOptions, PaddingMode, Sizes};
use crate::tensor::Shape;

/// A convolution, or a transposed one, of examples `[channels, spatial…]`; as data, so that its input channels follow from what is
/// before it. In a graph it is a [`Convolution`], or with the axes in its name a [`Conv2d`](super::Conv2d).
///
/// ```
/// use wgrad::nn::Conv;
/// use wgrad::ops::ConvOptions;
/// use wgrad::prelude::*;
/// let conv = Conv::new(2, 8, 3, ConvOptions::new().padding(1)).initializer(Initializer::HeNormal);
/// let model = Sequential::new([3, 32, 32]).layer(conv.clone()).relu();
/// assert_eq!(model.output_shape()?, [8, 32, 32].into());
/// let g = Graph::new();
/// let y = conv.build(&g, "conv", 3).forward(&g.input("x", [16, 3, 32, 32], F32));
/// assert_eq!(y.shape(), [16, 8, 32, 32].into());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    pub(super) axes: usize,
    pub(super) channels: usize,
    pub(super) kernel: Sizes,
    pub(super) moves: Moves,
    pub(super) bias: bool,
    pub(super) initializer: Option<Initializer>,
    pub(super) bias_initializer: Option<Initializer>,
    pub(super) precision: Option<Precision>,
}

impl Conv {
    /// A convolution over `axes` spatial axes (one to three), to `channels` channels, with a bias.
    pub fn new(axes: usize, channels: usize, kernel: impl Into<Sizes>, options: ConvOptions) -> Self {
        Self::moving(axes, channels, kernel.into(), Moves::Forward(options))
    }

    /// A transposed convolution over `axes` spatial axes (one to three), to `channels` channels, with a bias.
    pub fn transposed(axes: usize, channels: usize, kernel: impl Into<Sizes>, options: ConvTransposeOptions) -> Self {
        Self::moving(axes, channels, kernel.into(), Moves::Transposed(options))
    }

    const fn moving(axes: usize, channels: usize, kernel: Sizes, moves: Moves) -> Self {
        Self { axes, channels, kernel, moves, bias: true, initializer: None, bias_initializer: None, precision: None }
    }

    /// Without a bias.
    #[must_use]
    pub const fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// With other first values of the weight.
    #[must_use]
    pub const fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = Some(initializer);
        self
    }

    /// With other first values of the bias, where there is one.
    #[must_use]
    pub const fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = Some(initializer);
        self
    }

    /// With products in this precision, whatever the graph's is. The result is f32 again.
    #[must_use]
    pub const fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// The layer in a graph, with parameters of its own: `NAME.weight` of shape `[out, in / groups, kernel…]`, or
    /// `[in, out / groups, kernel…]` for a transposed one, and `NAME.bias`. A name that is used already is a
    /// mistake; to share parameters, clone the [`Convolution`].
    #[track_caller]
    pub fn build(&self, g: &Graph, name: &str, in_channels: usize) -> Convolution {
        refuse_known(g, &label(name), name, &["weight"]);
        Convolution::shared(g, name, in_channels, self.clone())
    }

    /// The weight's shape.
    pub(super) fn weight_of(&self, in_channels: usize) -> Result<Shape, String> {
        let kernel = self.kernel.along(self.axes, "kernel")?;
        self.moves.weight_shape([in_channels, self.channels], &kernel)
    }
}

impl Layer for Conv {
    fn describe(&self) -> String {
        let name = match self.moves {
            Moves::Forward(_) => "conv",
            Moves::Transposed(_) => "conv_transpose",
        };
        format!("{name}{}d({}, {})", self.axes, self.channels, self.kernel)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if input.rank() != self.axes + 1 {
            let spatial = ["", "width", "height, width", "depth, height, width"][self.axes.min(3)];
            return Err(format!("takes examples of [channels, {spatial}], not {input}"));
        }
        let weight = self.weight_of(input[0])?;
        let spatial = self.moves.output(&weight[2..], &input[1..])?;
        Ok(std::iter::once(self.channels).chain(spatial).collect())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let in_channels = x.shape().get(1).copied().unwrap_or(0);
        Convolution::shared(scope.graph(), scope.name(), in_channels, self.clone()).forward(x)
    }

    fn set(&mut self, setting: &Setting) -> bool {
        match (setting, &mut self.moves) {
            (Setting::Initializer(initializer), _) => self.initializer = Some(*initializer),
            (Setting::BiasInitializer(initializer), _) if self.bias => self.bias_initializer = Some(*initializer),
            (Setting::WithoutBias, _) => self.bias = false,
            (Setting::Stride(stride), Moves::Forward(options)) => options.stride = stride.clone(),
            (Setting::Stride(stride), Moves::Transposed(options)) => options.stride = stride.clone(),
            (Setting::Padding(padding), Moves::Forward(options)) => options.padding = padding.clone(),
            (Setting::Padding(padding), Moves::Transposed(options)) => options.padding = padding.clone(),
            (Setting::Dilation(dilation), Moves::Forward(options)) => options.dilation = dilation.clone(),
            (Setting::Dilation(dilation), Moves::Transposed(options)) => options.dilation = dilation.clone(),
            _ => return false,
        }
        true
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
                    self.layer(Conv::new($axes, channels, kernel, ConvOptions::new()))
                }

                #[doc = concat!("A transposed convolution to `channels` channels, for examples of `", $input, "`.")]
                #[must_use]
                #[track_caller]
                pub fn $transposed(self, channels: usize, kernel: impl Into<Sizes>) -> Self {
                    self.layer(Conv::transposed($axes, channels, kernel, ConvTransposeOptions::new()))
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
    /// Parts into which the channels are divided, of the convolution just added.
    #[must_use]
    #[track_caller]
    pub fn groups(self, groups: usize) -> Self {
        self.modify("groups", "a convolution", |conv: &mut Conv| match &mut conv.moves {
            Moves::Forward(options) => replace(&mut options.groups, groups),
            Moves::Transposed(options) => replace(&mut options.groups, groups),
        })
    }

    /// What is beyond the edges, for the convolution just added.
    #[must_use]
    #[track_caller]
    pub fn padding_mode(self, mode: PaddingMode) -> Self {
        self.modify("padding_mode", "a convolution that is not transposed", |conv: &mut Conv| match &mut conv.moves {
            Moves::Forward(options) => replace(&mut options.padding_mode, mode),
            Moves::Transposed(_) => false,
        })
    }

    /// Elements that the result of the transposed convolution just added has more at the end of each axis.
    #[must_use]
    #[track_caller]
    pub fn output_padding(self, padding: impl Into<Sizes>) -> Self {
        let padding = padding.into();
        self.modify("output_padding", "a transposed convolution", |conv: &mut Conv| match &mut conv.moves {
            Moves::Transposed(options) => replace(&mut options.output_padding, padding),
            Moves::Forward(_) => false,
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
    use crate::nn::Mode;
    use crate::ops::Padding;
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
