//! Normalisation as layers of a [`Sequential`]: builder methods, shapes, counts and names.

use std::fmt;

use super::{
    BatchNorm, BatchNormalization, GroupNorm, GroupNormalization, InstanceNorm, InstanceNormalization, LayerNorm,
    LayerNormalization, LocalResponseNorm, RmsNorm, RmsNormalization,
};
use crate::graph::{Graph, Tensor};
use crate::nn::{Layer, Mode, Sequential};
use crate::tensor::Shape;

/// A normalisation, as data.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Normalization {
    /// Of channels over the batch; see [`BatchNorm`].
    Batch(BatchNormalization),
    /// Of the last axes; see [`LayerNorm`].
    Layer(LayerNormalization),
    /// Of groups of channels; see [`GroupNorm`].
    Group(GroupNormalization),
    /// Of the channels of each example; see [`InstanceNorm`].
    Instance(InstanceNormalization),
    /// Of the last axes, over their root mean square; see [`RmsNorm`].
    Rms(RmsNormalization),
    /// Of channels by their neighbours.
    LocalResponse(LocalResponseNorm),
}

macro_rules! layers {
    ($($variant:ident $options:ident;)*) => {
        $(
            impl From<$options> for Layer {
                fn from(options: $options) -> Self {
                    Self::Normalization(Normalization::$variant(options))
                }
            }
        )*
    };
}

layers! {
    Batch BatchNormalization;
    Layer LayerNormalization;
    Group GroupNormalization;
    Instance InstanceNormalization;
    Rms RmsNormalization;
    LocalResponse LocalResponseNorm;
}

impl Normalization {
    /// What is wrong with applying it to one example of a shape.
    pub(in crate::nn) fn check(self, example: &Shape) -> Result<(), String> {
        let channels = || example.first().copied().ok_or("takes examples of one dimension or more, not scalars");
        match self {
            Self::Batch(options) => channels().map_err(String::from).and(options.check()),
            Self::Layer(options) => options.check(example),
            Self::Group(options) => options.check(channels()?),
            Self::Instance(options) if example.rank() >= 2 => options.check(),
            Self::Instance(_) => Err(format!("takes examples of channels with spatial axes, not of shape {example}")),
            Self::Rms(options) => options.check(example),
            Self::LocalResponse(options) => options.check_example(example),
        }
    }

    /// Number of trainable values.
    pub(in crate::nn) fn parameter_count(self, example: &Shape) -> usize {
        let channels = example.first().copied().unwrap_or(0);
        let last = |axes: usize| example.iter().rev().take(axes).product::<usize>();
        match self {
            Self::Batch(options) if options.affine => 2 * channels,
            Self::Group(options) if options.affine => 2 * channels,
            Self::Instance(options) if options.affine => 2 * channels,
            Self::Layer(options) if options.affine => last(options.axes) * (1 + usize::from(options.bias)),
            Self::Rms(options) if options.affine => last(options.axes),
            Self::Batch(_) | Self::Group(_) | Self::Instance(_) | Self::Layer(_) | Self::Rms(_) => 0,
            Self::LocalResponse(_) => 0,
        }
    }

    /// Applied to a batch; parameters are called `name.weight` and so on.
    #[track_caller]
    pub(in crate::nn) fn forward(self, g: &Graph, name: &str, x: &Tensor, mode: Mode) -> Tensor {
        let shape = x.shape();
        let channels = shape.get(1).copied().unwrap_or(0);
        let last = |axes: usize| Shape::from(&shape[shape.rank().saturating_sub(axes)..]);
        match self {
            Self::Batch(options) => BatchNorm::shared(g, name, channels, options).forward(x, mode),
            Self::Layer(options) => LayerNorm::shared(g, name, last(options.axes), options).forward(x),
            Self::Group(options) => GroupNorm::shared(g, name, channels, options).forward(x),
            Self::Instance(options) => InstanceNorm::shared(g, name, channels, options).forward(x, mode),
            Self::Rms(options) => RmsNorm::shared(g, name, last(options.axes), options).forward(x),
            Self::LocalResponse(options) => options.forward(x),
        }
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(_) => formatter.write_str("batch_norm"),
            Self::Layer(LayerNormalization { axes: 1, .. }) => formatter.write_str("layer_norm"),
            Self::Layer(options) => write!(formatter, "layer_norm({} axes)", options.axes),
            Self::Group(options) => write!(formatter, "group_norm({})", options.groups),
            Self::Instance(_) => formatter.write_str("instance_norm"),
            Self::Rms(RmsNormalization { axes: 1, .. }) => formatter.write_str("rms_norm"),
            Self::Rms(options) => write!(formatter, "rms_norm({} axes)", options.axes),
            Self::LocalResponse(options) => write!(formatter, "local_response_norm({})", options.size),
        }
    }
}

/// For other options than PyTorch's, `layer(BatchNormalization::new().momentum(0.01).into())`.
impl Sequential {
    /// Batch normalisation of the channels, the first axis of an example. See [`BatchNorm`].
    #[must_use]
    #[track_caller]
    pub fn batch_norm(self) -> Self {
        self.layer(BatchNormalization::new().into())
    }

    /// Normalisation over the last axis. See [`LayerNorm`].
    #[must_use]
    #[track_caller]
    pub fn layer_norm(self) -> Self {
        self.layer(LayerNormalization::new().into())
    }

    /// Normalisation of each example's groups of channels. See [`GroupNorm`].
    #[must_use]
    #[track_caller]
    pub fn group_norm(self, groups: usize) -> Self {
        self.layer(GroupNormalization::new(groups).into())
    }

    /// Normalisation of each channel of each example. See [`InstanceNorm`].
    #[must_use]
    #[track_caller]
    pub fn instance_norm(self) -> Self {
        self.layer(InstanceNormalization::new().into())
    }

    /// Division by the root mean square of the last axis. See [`RmsNorm`].
    #[must_use]
    #[track_caller]
    pub fn rms_norm(self) -> Self {
        self.layer(RmsNormalization::new().into())
    }

    /// Normalisation by a window of neighbouring channels. See [`LocalResponseNorm`].
    #[must_use]
    #[track_caller]
    pub fn local_response_norm(self, size: usize) -> Self {
        self.layer(LocalResponseNorm::new(size).into())
    }
}
