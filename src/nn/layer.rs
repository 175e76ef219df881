//! The layers of a [`Sequential`](super::Sequential), as data: what each makes of a shape, and of a tensor.

use std::fmt;

use super::{
    Activation, Conv, Dropout, Dropout2d, EmbeddingLayer, Initializer, Linear, Mode, Normalization, Pool,
    RecurrentLayer, Residual,
};
use crate::graph::{Graph, Tensor};
use crate::tensor::Shape;

/// A fully connected layer whose number of inputs follows from what is before it. See [`Linear`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dense {
    /// Number of outputs.
    pub units: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// First values of the weight; `None` for PyTorch's.
    pub initializer: Option<Initializer>,
    /// First values of the bias; `None` for PyTorch's.
    pub bias_initializer: Option<Initializer>,
}

impl Dense {
    /// With a bias, and PyTorch's first values.
    pub const fn new(units: usize) -> Self {
        Self { units, bias: true, initializer: None, bias_initializer: None }
    }
}

/// One layer of a [`Sequential`](super::Sequential). Shapes are those of one example, without the batch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// A fully connected layer on the last axis: `[…, in]` to `[…, units]`.
    Dense(Dense),
    /// A convolution: `[channels, spatial…]` to `[channels, spatial…]`.
    Conv(Box<Conv>),
    /// A nonlinearity.
    Activation(Activation),
    /// Elements set to 0 at random while training.
    Dropout(Dropout),
    /// A pool, or an interpolation, over the spatial axes of `[channels, spatial…]`.
    Pool(Pool),
    /// All axes as one.
    Flatten,
    /// A normalisation.
    Normalization(Normalization),
    /// Whole channels set to 0 at random while training.
    Dropout2d(Dropout2d),
    /// Layers whose result is added to the input.
    Residual(Box<Residual>),
    /// Rows of a table, by indices: i32 `[…]` to `[…, dim]`.
    Embedding(EmbeddingLayer),
    /// A recurrent layer: `[steps, features]` to `[units]` or `[steps, units]`.
    Recurrent(RecurrentLayer),
}

impl Layer {
    /// The output shape for an example of shape `input`.
    ///
    /// # Errors
    /// A message for the user where the shape does not fit, or a number in the layer is out of range.
    pub fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        match self {
            Self::Dense(dense) => {
                let Some((_, lead)) = input.split_last() else {
                    return Err("takes examples of one dimension or more, not scalars".into());
                };
                if dense.units == 0 {
                    return Err("needs one unit or more".into());
                }
                Ok(lead.iter().copied().chain([dense.units]).collect())
            }
            Self::Conv(conv) => conv.output_shape(input),
            Self::Activation(activation) => activation.check(input).map(|()| input.clone()),
            Self::Dropout(dropout) => dropout.check().map(|()| input.clone()),
            Self::Pool(pool) => pool.output_shape(input),
            Self::Flatten => Ok([input.len()].into()),
            Self::Dropout2d(dropout) => dropout.check_example(input).map(|()| input.clone()),
            Self::Residual(residual) => residual.output_shape(input),
            Self::Normalization(normalization) => normalization.check(input).map(|()| input.clone()),
            Self::Embedding(embedding) => embedding.output_shape(input),
            Self::Recurrent(recurrent) => recurrent.output_shape(input),
        }
    }

    /// Number of trainable values, for examples of shape `input`.
    pub fn parameter_count(&self, input: &Shape) -> usize {
        match self {
            Self::Dense(dense) => {
                let inputs = input.last().copied().unwrap_or(0);
                (inputs + usize::from(dense.bias)) * dense.units
            }
            Self::Conv(conv) => conv.parameter_count(input),
            Self::Residual(residual) => residual.parameter_count(),
            Self::Activation(_) | Self::Dropout(_) | Self::Dropout2d(_) | Self::Pool(_) | Self::Flatten => 0,
            Self::Normalization(normalization) => normalization.parameter_count(input),
            Self::Embedding(embedding) => embedding.parameter_count(),
            Self::Recurrent(recurrent) => recurrent.parameter_count(input),
        }
    }

    /// Applied to a batch; parameters are called `name.weight` and so on.
    #[track_caller]
    pub(super) fn forward(&self, g: &Graph, name: &str, x: &Tensor, mode: Mode) -> Tensor {
        match self {
            Self::Dense(dense) => {
                let inputs = x.shape().last().copied().unwrap_or(0);
                let mut linear = Linear::shared(g, name, inputs, dense.units, dense.bias);
                if let Some(initializer) = dense.initializer {
                    linear = linear.initializer(initializer);
                }
                if let Some(initializer) = dense.bias_initializer {
                    linear = linear.bias_initializer(initializer);
                }
                linear.forward(x)
            }
            Self::Conv(conv) => conv.forward(g, name, x),
            Self::Activation(activation) => activation.apply(x),
            Self::Dropout(dropout) => dropout.forward(x, mode),
            Self::Pool(pool) => pool.forward(x),
            Self::Flatten => x.flatten(1),
            Self::Dropout2d(dropout) => dropout.forward(x, mode),
            Self::Residual(residual) => residual.forward(g, name, x, mode),
            Self::Normalization(normalization) => normalization.forward(g, name, x, mode),
            Self::Embedding(embedding) => embedding.forward(g, name, x),
            Self::Recurrent(recurrent) => recurrent.forward(g, name, x, mode),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense(dense) => write!(formatter, "dense({})", dense.units),
            Self::Conv(conv) => conv.fmt(formatter),
            Self::Activation(activation) => activation.fmt(formatter),
            Self::Dropout(dropout) => write!(formatter, "dropout({})", dropout.probability),
            Self::Pool(pool) => pool.fmt(formatter),
            Self::Flatten => formatter.write_str("flatten"),
            Self::Dropout2d(dropout) => write!(formatter, "dropout2d({})", dropout.probability),
            Self::Residual(residual) => residual.fmt(formatter),
            Self::Normalization(normalization) => normalization.fmt(formatter),
            Self::Embedding(embedding) => embedding.fmt(formatter),
            Self::Recurrent(recurrent) => recurrent.fmt(formatter),
        }
    }
}
