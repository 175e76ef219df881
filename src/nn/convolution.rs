//! Convolutional layers, of a graph.

use super::Conv;
use crate::graph::{Graph, Tensor};
use crate::ops::{ConvOptions, ConvTransposeOptions, Initial, Sizes, Variable};
use crate::tensor::{DType, Shape, TensorType, no_batch_axis};

/// The direction of a layer: a convolution or a transposed one.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Moves {
    /// A convolution.
    Forward(ConvOptions),
    /// A transposed one.
    Transposed(ConvTransposeOptions),
}

impl Moves {
    const fn groups(&self) -> usize {
        match self {
            Self::Forward(options) => options.groups,
            Self::Transposed(options) => options.groups,
        }
    }

    /// `[out, in / groups, kernel…]`, or `[in, out / groups, kernel…]` for a transposed convolution.
    pub(super) fn weight_shape(&self, channels: [usize; 2], kernel: &[usize]) -> Result<Shape, String> {
        let groups = self.groups();
        if groups == 0 {
            return Err("needs one group or more".into());
        }
        if channels.contains(&0) || kernel.contains(&0) {
            return Err(format!(
                "{} channels to {} with a kernel of {kernel:?} are no layer",
                channels[0], channels[1]
            ));
        }
        if channels.iter().any(|channels| channels % groups != 0) {
            return Err(format!("{} channels to {} do not divide into {groups} groups", channels[0], channels[1]));
        }
        let [input, output] = channels;
        let lead = match self {
            Self::Forward(_) => [output, input / groups],
            Self::Transposed(_) => [input, output / groups],
        };
        Ok(lead.into_iter().chain(kernel.iter().copied()).collect())
    }

    /// Spatial extents of the result.
    pub(super) fn output(&self, kernel: &[usize], extents: &[usize]) -> Result<Vec<usize>, String> {
        match self {
            Self::Forward(options) => options.output(kernel, extents),
            Self::Transposed(options) => options.output(kernel, extents),
        }
    }

    #[track_caller]
    fn apply(&self, x: &Tensor, weight: &Tensor) -> Tensor {
        match self {
            Self::Forward(options) => x.conv(weight, options),
            Self::Transposed(options) => x.conv_transpose(weight, options),
        }
    }
}

/// A convolution in a graph, transposed or not, over one to three axes; made by [`Conv::build`](super::Conv::build).
#[derive(Clone, Debug)]
pub struct Convolution {
    name: String,
    in_channels: usize,
    options: Conv,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Convolution {
    /// With the parameters of its name, if the graph has them already.
    #[track_caller]
    pub(super) fn shared(g: &Graph, name: &str, in_channels: usize, options: Conv) -> Self {
        // Not by combinators: the user's line does not reach through a closure.
        let (weight, bias) = match options.weight_of(in_channels) {
            Ok(shape) => {
                let initial = default_initial(&shape);
                let ty = TensorType::new(DType::F32, shape);
                let weight = g.variable(Variable::parameter(format!("{name}.weight"), ty, initial.clone()));
                let mut bias = None;
                if options.bias {
                    let ty = TensorType::new(DType::F32, [options.channels]);
                    bias = Some(g.variable(Variable::parameter(format!("{name}.bias"), ty, initial)));
                }
                (weight, bias)
            }
            Err(message) => (g.mistake(&label(name), message), None),
        };
        if let Some(initializer) = options.initializer {
            initializer.apply(&weight, &label(name));
        }
        if let (Some(bias), Some(initializer)) = (&bias, options.bias_initializer) {
            initializer.apply(bias, &label(name));
        }
        Self { name: name.to_owned(), in_channels, options, weight, bias }
    }

    /// The layer applied to a batch: `[n, in, spatial…]` to `[n, out, windows…]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let _layer = self.weight.graph().in_layer(&self.name);
        let graph = self.weight.graph();
        if graph.error().is_some() {
            return x.clone();
        }
        let (shape, dtype) = (x.shape(), x.dtype());
        let (axes, input, output) = (self.options.axes, self.in_channels, self.options.channels);
        if shape.rank() != axes + 2 || shape[1] != input {
            let spatial = ["", "width", "height, width", "depth, height, width"][axes.min(3)];
            let message = if shape.rank() == axes + 1 && shape.first() == Some(&input) {
                no_batch_axis(&format!("[batch, {input}, {spatial}]"), &shape, 0)
            } else {
                format!("takes [batch, {input}, {spatial}] to [batch, {output}, {spatial}], but its input is {shape}")
            };
            return graph.mistake(&label(&self.name), message);
        }
        if dtype != self.weight.dtype() {
            let message = format!("takes {}, but its input is {dtype}; cast it", self.weight.dtype());
            return graph.mistake(&label(&self.name), message);
        }
        let moves = &self.options.moves;
        let precision = graph.precision_of(self.options.precision, &label(&self.name));
        let result = moves.apply(&precision.operand(x), &precision.operand(&self.weight)).cast(dtype);
        precision.round(&match &self.bias {
            Some(bias) if graph.error().is_none() => {
                let dims: Vec<usize> = std::iter::once(output).chain(vec![1; axes]).collect();
                result + bias.reshape(dims)
            }
            _ => result,
        })
    }

    /// The weight.
    pub const fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, one value for each channel of the result.
    pub const fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

/// PyTorch's `kaiming_uniform_(a=√5)` of a weight, and the same bounds for a bias.
fn default_initial(weight: &Shape) -> Initial {
    let fan_in: usize = weight[1..].iter().product();
    let bound = if fan_in > 0 { 1.0 / (fan_in as f64).sqrt() } else { 0.0 };
    Initial::Uniform { low: -bound, high: bound }
}

/// The layer as mistakes name it.
pub(super) fn label(name: &str) -> String {
    format!("convolution {name:?}")
}

macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident $axes:literal $make:ident $options:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $name(Convolution);

            impl $name {
                /// A layer with a bias. Both begin uniform within ± 1/√fan_in, as in PyTorch.
                #[track_caller]
                pub fn new(
                    g: &Graph,
                    name: &str,
                    in_channels: usize,
                    out_channels: usize,
                    kernel: impl Into<Sizes>,
                    options: &$options,
                ) -> Self {
                    Self(Conv::$make($axes, out_channels, kernel, options.clone()).build(g, name, in_channels))
                }

                /// The same without a bias.
                #[track_caller]
                pub fn without_bias(
                    g: &Graph,
                    name: &str,
                    in_channels: usize,
                    out_channels: usize,
                    kernel: impl Into<Sizes>,
                    options: &$options,
                ) -> Self {
                    let conv = Conv::$make($axes, out_channels, kernel, options.clone()).without_bias();
                    Self(conv.build(g, name, in_channels))
                }

                /// The layer applied to a batch.
                #[track_caller]
                pub fn forward(&self, x: &Tensor) -> Tensor {
                    self.0.forward(x)
                }

                /// The weight.
                pub const fn weight(&self) -> &Tensor {
                    self.0.weight()
                }

                /// The bias, one value for each channel of the result.
                pub const fn bias(&self) -> Option<&Tensor> {
                    self.0.bias()
                }
            }
        )*
    };
}

layers! {
    /// A convolution over one axis, PyTorch's `Conv1d`: `[n, in, width]` to `[n, out, width']`, with the parameters
    /// `NAME.weight` of shape `[out, in / groups, kernel]` and `NAME.bias` of shape `[out]`.
    ///
    /// ```
    /// use wgrad::ops::ConvOptions;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let sound = g.input("sound", [4, 1, 16_000], F32);
    /// let y = nn::Conv1d::new(&g, "conv", 1, 8, 25, &ConvOptions::new().stride(5)).forward(&sound);
    /// assert_eq!(y.shape(), [4, 8, 3_196].into());
    /// ```
    Conv1d 1 new ConvOptions;
    /// A convolution over height and width, PyTorch's `Conv2d`: `[n, in, height, width]` to `[n, out, height', width']`, with the
    /// parameters `NAME.weight` of shape `[out, in / groups, kernel, kernel]` and `NAME.bias` of shape `[out]`.
    ///
    /// ```
    /// use wgrad::ops::ConvOptions;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let images = g.input("images", [16, 3, 32, 32], F32);
    /// let y = nn::Conv2d::new(&g, "conv1", 3, 32, 3, &ConvOptions::new().padding(1)).forward(&images).relu();
    /// assert_eq!(y.shape(), [16, 32, 32, 32].into());
    /// ```
    Conv2d 2 new ConvOptions;
    /// A convolution over depth, height and width, PyTorch's `Conv3d`: `[n, in, depth, height, width]` to
    /// `[n, out, depth', height', width']`. The weight's shape is `[out, in / groups, kernel, kernel, kernel]`.
    Conv3d 3 new ConvOptions;
    /// A transposed convolution over one axis, PyTorch's `ConvTranspose1d`: the gradient of a convolution with respect to its
    /// input, as a layer. `[n, in, width]` to `[n, out, width']`; the weight's shape is `[in, out / groups, kernel]`.
    ConvTranspose1d 1 transposed ConvTransposeOptions;
    /// A transposed convolution over height and width, PyTorch's `ConvTranspose2d`, which makes images larger:
    /// `[n, in, height, width]` to `[n, out, (height − 1) · stride − 2 · padding + kernel, …]`. The weight's shape is
    /// `[in, out / groups, kernel, kernel]`.
    ///
    /// ```
    /// use wgrad::ops::ConvTransposeOptions;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let small = g.input("small", [16, 8, 7, 7], F32);
    /// let options = ConvTransposeOptions::new().stride(2).padding(1);
    /// let large = nn::ConvTranspose2d::new(&g, "up", 8, 4, 4, &options).forward(&small);
    /// assert_eq!(large.shape(), [16, 4, 14, 14].into());
    /// ```
    ConvTranspose2d 2 transposed ConvTransposeOptions;
    /// A transposed convolution over depth, height and width, PyTorch's `ConvTranspose3d`. The weight's shape is
    /// `[in, out / groups, kernel, kernel, kernel]`.
    ConvTranspose3d 3 transposed ConvTransposeOptions;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(g: &Graph) -> String {
        g.error().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn parameters_have_torchs_names_and_shapes() {
        let g = Graph::new();
        let x = g.input("x", [2, 4, 9, 9], DType::F32);
        let y = Conv2d::new(&g, "conv", 4, 6, [3, 5], &ConvOptions::new().groups(2)).forward(&x);
        let z = ConvTranspose2d::without_bias(&g, "up", 6, 8, 2, &ConvTransposeOptions::new().stride(2)).forward(&y);
        assert_eq!((z.shape(), message(&g)), ([2, 8, 14, 10].into(), String::new()));
        let found: Vec<(String, Shape)> =
            g.parameters().into_iter().map(|(name, tensor)| (name, tensor.shape())).collect();
        let expected = [("conv.weight", vec![6, 2, 3, 5]), ("conv.bias", vec![6]), ("up.weight", vec![6, 8, 2, 2])];
        assert_eq!(found, expected.map(|(name, dims)| (name.to_owned(), Shape::from(dims))));
    }

    #[test]
    fn mistakes_name_the_layer_and_the_line() {
        let build = |build: &dyn Fn(&Graph, &Tensor)| {
            let g = Graph::new();
            build(&g, &g.input("x", [2, 4, 9, 9], DType::F32));
            message(&g)
        };
        let plain = ConvOptions::new();
        let cases: [(String, &str); 6] = [
            (
                build(&|g, x| drop(Conv2d::new(g, "c", 3, 6, 3, &plain).forward(x))),
                "convolution \"c\": takes [batch, 3, height, width] to [batch, 6, height, width], but its input is [2, 4, 9, 9]",
            ),
            (
                build(&|g, x| drop(Conv2d::new(g, "c", 4, 6, 3, &ConvOptions::new().groups(4)).forward(x))),
                "convolution \"c\": 4 channels to 6 do not divide into 4 groups",
            ),
            (
                build(&|g, x| drop(Conv2d::new(g, "c", 4, 6, 10, &plain).forward(x))),
                "convolution: along spatial axis 0, a kernel of 10 spans 10 elements, and the axis has 9 with a padding of 0 + 0",
            ),
            (
                build(&|g, x| drop(Conv2d::new(g, "c", 4, 6, [3, 3, 3], &plain).forward(x))),
                "convolution \"c\": kernel is [3, 3, 3], and must be one number or 2",
            ),
            (
                build(&|g, x| drop(Conv2d::new(g, "c", 4, 0, 3, &plain).forward(x))),
                "convolution \"c\": 4 channels to 0 with a kernel of [3, 3] are no layer",
            ),
            (
                build(&|g, x| drop(Conv2d::new(g, "c", 4, 6, 3, &plain).forward(&x.cast(DType::I32)))),
                "convolution \"c\": takes f32, but its input is i32; cast it",
            ),
        ];
        for (found, expected) in cases {
            assert!(found.starts_with(expected) && found.contains(file!()), "{found}");
        }
    }
}
