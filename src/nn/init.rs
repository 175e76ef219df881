//! Initialisers: how a parameter's first values follow from its shape.
//!
//! An [`Initializer`] becomes an [`Initial`], which the session draws when it makes the parameter. Fans, gains and formulas are
//! those of PyTorch's `torch.nn.init`.

use crate::graph::Tensor;
use crate::ops::Initial;
use crate::tensor::Shape;

/// Which number of connections a scale is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fan {
    /// Those that lead into a unit: keeps the variance of the activations.
    In,
    /// Those that lead out of a unit: keeps the variance of the gradients.
    Out,
}

/// How a parameter's first values are chosen.
///
/// A weight's fans are taken from its shape `[out, in, kernel…]`: `fan_in = in · kernel`, `fan_out = out · kernel`.
///
/// ```
/// use wgrad::nn::Initializer;
/// use wgrad::ops::Initial;
/// let initial = Initializer::XavierUniform { gain: 1.0 }.initial(&[5, 7].into())?;
/// assert_eq!(initial, Initial::Uniform { low: -0.5_f64.sqrt(), high: 0.5_f64.sqrt() }); // √(6 / (7 + 5))
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Initializer {
    /// Uniform within ± gain · √(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    XavierUniform {
        /// The gain; see [`gain`].
        gain: f64,
    },
    /// Normal with σ = gain · √(2 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    XavierNormal {
        /// The gain; see [`gain`].
        gain: f64,
    },
    /// [`KaimingUniform`](Self::KaimingUniform) for layers before a relu: fan_in, gain √2 (He et al. 2015).
    HeUniform,
    /// [`KaimingNormal`](Self::KaimingNormal) for layers before a relu: fan_in, gain √2 (He et al. 2015).
    HeNormal,
    /// Uniform within ± gain · √(3 / fan).
    KaimingUniform {
        /// Which fan.
        fan: Fan,
        /// The gain; see [`gain`].
        gain: f64,
    },
    /// Normal with σ = gain / √fan.
    KaimingNormal {
        /// Which fan.
        fan: Fan,
        /// The gain; see [`gain`].
        gain: f64,
    },
    /// Uniform within ± √(3 / fan_in) (LeCun et al. 1998); for selu.
    LeCunUniform,
    /// Normal with σ = √(1 / fan_in) (LeCun et al. 1998); for selu.
    LeCunNormal,
    /// Rows (or columns, where they are fewer) orthonormal, times a gain (Saxe et al. 2013).
    Orthogonal {
        /// The gain; see [`gain`].
        gain: f64,
    },
    /// Uniform between two bounds.
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// 0 everywhere.
    Zeros,
    /// 1 everywhere.
    Ones,
    /// The same number everywhere.
    Constant(f64),
}

impl Initializer {
    /// What PyTorch's `Linear` and convolutions do to their weights unless told otherwise: `kaiming_uniform_(a=√5)`, which
    /// comes to ± 1/√fan_in.
    pub fn torch_default() -> Self {
        // gain(leaky_relu with slope √5) = √(2 / 6).
        Self::KaimingUniform { fan: Fan::In, gain: (1.0_f64 / 3.0).sqrt() }
    }

    /// Gives a parameter these first values; where it has a shape that they are not for, that is an error of the layer.
    #[track_caller]
    pub(super) fn apply(self, parameter: &Tensor, layer: &str) {
        let graph = parameter.graph();
        // After an earlier error, there is no parameter.
        if graph.error().is_some() {
            return;
        }
        match self.initial(&parameter.shape()) {
            Ok(initial) => graph.set_initial(parameter, initial),
            Err(message) => {
                graph.mistake(layer, message);
            }
        }
    }

    /// The first values for a shape.
    ///
    /// # Errors
    /// A message for the user where the shape has no fans (fewer than two dimensions) or a number is out of range.
    pub fn initial(self, shape: &Shape) -> Result<Initial, String> {
        let fans = || {
            fans(shape).ok_or_else(|| {
                format!("{} takes a weight of two dimensions or more, not of shape {shape}", self.name())
            })
        };
        let one = |fan: Fan| fans().map(|(fan_in, fan_out)| if fan == Fan::In { fan_in } else { fan_out });
        let initial = match self {
            Self::XavierUniform { gain } => {
                fans().map(|(fan_in, fan_out)| uniform(gain * scale(6.0, fan_in + fan_out)))?
            }
            Self::XavierNormal { gain } => {
                fans().map(|(fan_in, fan_out)| normal(gain * scale(2.0, fan_in + fan_out)))?
            }
            Self::HeUniform => uniform(2.0_f64.sqrt() * scale(3.0, one(Fan::In)?)),
            Self::HeNormal => normal(scale(2.0, one(Fan::In)?)),
            Self::KaimingUniform { fan, gain } => uniform(gain * scale(3.0, one(fan)?)),
            Self::KaimingNormal { fan, gain } => normal(gain * scale(1.0, one(fan)?)),
            Self::LeCunUniform => uniform(scale(3.0, one(Fan::In)?)),
            Self::LeCunNormal => normal(scale(1.0, one(Fan::In)?)),
            Self::Orthogonal { gain } => fans().map(|_| Initial::Orthogonal { gain })?,
            Self::Uniform { low, high } => Initial::Uniform { low, high },
            Self::Normal { mean, std } => Initial::Normal { mean, std },
            Self::Zeros => Initial::Constant(0.0),
            Self::Ones => Initial::Constant(1.0),
            Self::Constant(value) => Initial::Constant(value),
        };
        let sound = match initial {
            Initial::Uniform { low, high } => low.is_finite() && high.is_finite() && low <= high,
            Initial::Normal { mean, std } => mean.is_finite() && std.is_finite() && std >= 0.0,
            Initial::Constant(value) | Initial::Orthogonal { gain: value } => value.is_finite(),
            Initial::Values(_) | Initial::ZeroRow { .. } => true,
        };
        if sound { Ok(initial) } else { Err(format!("{self:?} is no distribution")) }
    }

    /// The name, as in PyTorch.
    pub const fn name(self) -> &'static str {
        match self {
            Self::XavierUniform { .. } => "xavier_uniform",
            Self::XavierNormal { .. } => "xavier_normal",
            Self::HeUniform | Self::KaimingUniform { .. } => "kaiming_uniform",
            Self::HeNormal | Self::KaimingNormal { .. } => "kaiming_normal",
            Self::LeCunUniform => "lecun_uniform",
            Self::LeCunNormal => "lecun_normal",
            Self::Orthogonal { .. } => "orthogonal",
            Self::Uniform { .. } => "uniform",
            Self::Normal { .. } => "normal",
            Self::Zeros => "zeros",
            Self::Ones => "ones",
            Self::Constant(_) => "constant",
        }
    }
}

/// The gains that keep variances through common nonlinearities: PyTorch's `calculate_gain`.
pub mod gain {
    /// No nonlinearity, and sigmoid.
    pub const LINEAR: f64 = 1.0;
    /// tanh: 5/3.
    pub const TANH: f64 = 5.0 / 3.0;
    /// relu: √2.
    pub const RELU: f64 = std::f64::consts::SQRT_2;
    /// selu: 3/4.
    pub const SELU: f64 = 0.75;

    /// leaky_relu: √(2 / (1 + slope²)).
    pub fn leaky_relu(slope: f64) -> f64 {
        (2.0 / (1.0 + slope * slope)).sqrt()
    }
}

/// Connections into and out of a unit, for a weight `[out, in, kernel…]`: PyTorch's `_calculate_fan_in_and_fan_out`.
fn fans(shape: &Shape) -> Option<(f64, f64)> {
    let [fan_out, fan_in, kernel @ ..] = shape.dims() else { return None };
    let kernel: usize = kernel.iter().product();
    Some(((fan_in * kernel) as f64, (fan_out * kernel) as f64))
}

/// √(numerator / fan), and 0 where nothing is connected.
fn scale(numerator: f64, fan: f64) -> f64 {
    if fan > 0.0 { (numerator / fan).sqrt() } else { 0.0 }
}

fn uniform(bound: f64) -> Initial {
    Initial::Uniform { low: -bound, high: bound }
}

fn normal(std: f64) -> Initial {
    Initial::Normal { mean: 0.0, std }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn the_default_of_a_linear_layer_is_one_over_the_root_of_its_inputs() -> Result<(), String> {
        let Initial::Uniform { low, high } = Initializer::torch_default().initial(&[3, 16].into())? else {
            return Err("not uniform".into());
        };
        assert_relative_eq!(high, 0.25, epsilon = 1e-12);
        assert_relative_eq!(low, -0.25, epsilon = 1e-12);
        Ok(())
    }

    #[test]
    fn a_bias_has_no_fans() {
        let message = Initializer::HeNormal.initial(&[3].into());
        assert_eq!(message, Err("kaiming_normal takes a weight of two dimensions or more, not of shape [3]".into()));
        assert!(Initializer::Orthogonal { gain: 1.0 }.initial(&[3].into()).is_err());
        assert_eq!(Initializer::Ones.initial(&[3].into()), Ok(Initial::Constant(1.0)));
    }

    #[test]
    fn numbers_out_of_range_are_errors() {
        let shape = Shape::from([2, 2]);
        assert!(Initializer::Normal { mean: 0.0, std: -1.0 }.initial(&shape).is_err());
        assert!(Initializer::Uniform { low: 1.0, high: 0.0 }.initial(&shape).is_err());
        assert!(Initializer::Constant(f64::NAN).initial(&shape).is_err());
    }

    #[test]
    fn a_layer_without_inputs_gets_zeros() {
        assert_eq!(Initializer::LeCunUniform.initial(&[4, 0].into()), Ok(Initial::Uniform { low: 0.0, high: 0.0 }));
    }
}
