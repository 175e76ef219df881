//! Activations by name, for layers that are plain data. On tensors they are methods: `x.relu()`.

use std::fmt;

use super::{Layer, Scope, Sequential};
use crate::graph::Tensor;
use crate::tensor::Shape;

/// A nonlinearity that is applied to a layer's output.
///
/// ```
/// use wgrad::nn::Activation;
/// assert_eq!(Activation::leaky_relu().to_string(), "leaky_relu(0.01)");
/// assert_eq!(Activation::Relu.to_string(), "relu");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// x, or slope·x where x is negative.
    LeakyRelu {
        /// The slope below 0.
        slope: f64,
    },
    /// x, or α·(e^x − 1) where x is negative.
    Elu {
        /// What it falls to, negated.
        alpha: f64,
    },
    /// x, or α·(e^(x/α) − 1) where x is negative.
    Celu {
        /// What it falls to, negated.
        alpha: f64,
    },
    /// The self-normalising exponential linear unit (Klambauer et al. 2017).
    Selu,
    /// x·Φ(x), with the error function.
    Gelu,
    /// GELU in its tanh approximation.
    GeluTanh,
    /// x·sigmoid(x), also called swish.
    Silu,
    /// x·tanh(softplus(x))
    Mish,
    /// log(1 + e^x)
    Softplus,
    /// log(sigmoid(x)) = −log(1 + e^−x)
    LogSigmoid,
    /// x / (1 + |x|)
    Softsign,
    /// x/6 + 1/2, clamped to 0…1.
    HardSigmoid,
    /// x·hard_sigmoid(x)
    HardSwish,
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// e^x / Σ e^x along an axis; negative axes count from the end.
    Softmax {
        /// The axis.
        axis: isize,
    },
    /// x − log Σ e^x along an axis; negative axes count from the end.
    LogSoftmax {
        /// The axis.
        axis: isize,
    },
}

impl Activation {
    /// [`LeakyRelu`](Self::LeakyRelu) with PyTorch's slope, 0.01.
    pub const fn leaky_relu() -> Self {
        Self::LeakyRelu { slope: 0.01 }
    }

    /// [`Elu`](Self::Elu) with α = 1.
    pub const fn elu() -> Self {
        Self::Elu { alpha: 1.0 }
    }

    /// [`Celu`](Self::Celu) with α = 1.
    pub const fn celu() -> Self {
        Self::Celu { alpha: 1.0 }
    }

    /// [`Softmax`](Self::Softmax) along the last axis.
    pub const fn softmax() -> Self {
        Self::Softmax { axis: -1 }
    }

    /// [`LogSoftmax`](Self::LogSoftmax) along the last axis.
    pub const fn log_softmax() -> Self {
        Self::LogSoftmax { axis: -1 }
    }

    /// Its value for a tensor of any shape, element by element (softmax and log_softmax: along their axis).
    #[track_caller]
    #[must_use]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Relu => x.relu(),
            Self::LeakyRelu { slope } => x.leaky_relu(slope),
            Self::Elu { alpha } => x.elu(alpha),
            Self::Celu { alpha } => x.celu(alpha),
            Self::Selu => x.selu(),
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
            Self::Silu => x.silu(),
            Self::Mish => x.mish(),
            Self::Softplus => x.softplus(),
            Self::LogSigmoid => x.log_sigmoid(),
            Self::Softsign => x.softsign(),
            Self::HardSigmoid => x.hard_sigmoid(),
            Self::HardSwish => x.hard_swish(),
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Softmax { axis } => x.softmax(axis),
            Self::LogSoftmax { axis } => x.log_softmax(axis),
        }
    }

    /// The name, as that of the tensor's method.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Elu { .. } => "elu",
            Self::Celu { .. } => "celu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Softplus => "softplus",
            Self::LogSigmoid => "log_sigmoid",
            Self::Softsign => "softsign",
            Self::HardSigmoid => "hard_sigmoid",
            Self::HardSwish => "hard_swish",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax { .. } => "softmax",
            Self::LogSoftmax { .. } => "log_softmax",
        }
    }

    /// What is wrong with applying it to one example of a shape; nothing for most.
    ///
    /// # Errors
    /// Where the axis of a softmax does not exist. A positive axis counts the batch as 0.
    fn check(self, example: &Shape) -> Result<(), String> {
        match self {
            Self::Softmax { axis } | Self::LogSoftmax { axis } => {
                let batched: Shape = std::iter::once(1).chain(example.iter().copied()).collect();
                match batched.axis(axis) {
                    Some(_) => Ok(()),
                    None => Err(format!("axis {axis} does not exist in a batch of shape {example}")),
                }
            }
            Self::LeakyRelu { .. } | Self::Elu { .. } | Self::Celu { .. } => Ok(()),
            Self::Relu
            | Self::Selu
            | Self::Gelu
            | Self::GeluTanh
            | Self::Silu
            | Self::Mish
            | Self::Softplus
            | Self::LogSigmoid
            | Self::Softsign
            | Self::HardSigmoid
            | Self::HardSwish
            | Self::Sigmoid
            | Self::Tanh => Ok(()),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())?;
        match self {
            Self::LeakyRelu { slope: number } | Self::Elu { alpha: number } | Self::Celu { alpha: number } => {
                write!(formatter, "({number})")
            }
            Self::Softmax { .. } | Self::LogSoftmax { .. } => Ok(()),
            Self::Relu
            | Self::Selu
            | Self::Gelu
            | Self::GeluTanh
            | Self::Silu
            | Self::Mish
            | Self::Softplus
            | Self::LogSigmoid
            | Self::Softsign
            | Self::HardSigmoid
            | Self::HardSwish
            | Self::Sigmoid
            | Self::Tanh => Ok(()),
        }
    }
}

impl Layer for Activation {
    fn describe(&self) -> String {
        self.to_string()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        self.check(input).map(|()| input.clone())
    }

    #[track_caller]
    fn forward(&self, _: &Scope<'_>, x: &Tensor) -> Tensor {
        self.apply(x)
    }
}

impl Sequential {
    /// A nonlinearity.
    #[must_use]
    #[track_caller]
    pub fn activation(self, activation: Activation) -> Self {
        self.layer(activation)
    }
}

macro_rules! activations {
    ($($name:ident $value:expr, $doc:literal;)*) => {
        impl Sequential {
            $(#[doc = $doc]
            #[must_use]
            #[track_caller]
            pub fn $name(self) -> Self {
                self.layer($value)
            })*
        }
    };
}

activations! {
    relu Activation::Relu, "max(x, 0)";
    leaky_relu Activation::leaky_relu(), "x, or 0.01·x where x is negative.";
    elu Activation::elu(), "x, or e^x − 1 where x is negative.";
    celu Activation::celu(), "x, or e^x − 1 where x is negative (α = 1).";
    selu Activation::Selu, "The self-normalising exponential linear unit.";
    gelu Activation::Gelu, "x·Φ(x), with the error function.";
    gelu_tanh Activation::GeluTanh, "GELU in its tanh approximation.";
    silu Activation::Silu, "x·sigmoid(x), also called swish.";
    mish Activation::Mish, "x·tanh(softplus(x))";
    softplus Activation::Softplus, "log(1 + e^x)";
    log_sigmoid Activation::LogSigmoid, "log(sigmoid(x)) = −log(1 + e^−x)";
    softsign Activation::Softsign, "x / (1 + |x|)";
    hard_sigmoid Activation::HardSigmoid, "x/6 + 1/2, clamped to 0…1.";
    hard_swish Activation::HardSwish, "x·hard_sigmoid(x)";
    sigmoid Activation::Sigmoid, "1 / (1 + e^−x)";
    tanh Activation::Tanh, "The hyperbolic tangent.";
    softmax Activation::softmax(), "e^x / Σ e^x along the last axis.";
    log_softmax Activation::log_softmax(), "x − log Σ e^x along the last axis.";
}
