//! A rectifier whose slope is learnt.

use super::{Initializer, Layer, Scope, Sequential, Setting};
use crate::graph::Tensor;
use crate::tensor::Shape;

/// max(0, x) + a·min(0, x) with a learnt slope a, one for all or one for each channel (He et al. 2015): PyTorch's `PReLU`. The
/// parameter is `NAME.weight`, of shape `[1]` or `[channels]`; channels are the first axis of an example.
///
/// ```
/// use wgrad::nn::{PReLU, Sequential};
/// let model = Sequential::new([8, 5, 5]).layer(PReLU::new()).layer(PReLU::new().per_channel());
/// assert_eq!((model.output_shape()?, model.parameter_count()?), ([8, 5, 5].into(), 1 + 8));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PReLU {
    /// Whether each channel has a slope of its own.
    pub per_channel: bool,
    /// First values of the slope.
    pub initializer: Initializer,
}

impl Default for PReLU {
    fn default() -> Self {
        Self::new()
    }
}

impl PReLU {
    /// With one slope for all, which begins as 0.25, as in PyTorch.
    pub const fn new() -> Self {
        Self { per_channel: false, initializer: Initializer::Constant(0.25) }
    }

    /// With a slope for each channel.
    #[must_use]
    pub const fn per_channel(mut self) -> Self {
        self.per_channel = true;
        self
    }

    /// With other first values of the slope.
    #[must_use]
    pub const fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = initializer;
        self
    }
}

impl Layer for PReLU {
    fn describe(&self) -> String {
        "prelu".into()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if self.per_channel && input.rank() == 0 {
            return Err("takes examples of channels, not scalars".into());
        }
        Ok(input.clone())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let shape = x.shape();
        let slopes = if self.per_channel { shape.get(1).copied().unwrap_or(1) } else { 1 };
        let axes: Shape = (0..shape.rank()).map(|axis| if axis == 1 { slopes } else { 1 }).collect();
        let slope = scope.parameter("weight", [slopes], self.initializer).reshape(axes);
        x.gt(0.0).select(x, x * &slope)
    }

    fn set(&mut self, setting: &Setting) -> bool {
        if let Setting::Initializer(initializer) = setting {
            self.initializer = *initializer;
            return true;
        }
        false
    }
}

impl Sequential {
    /// A rectifier with a learnt slope below 0. See [`PReLU`].
    #[must_use]
    #[track_caller]
    pub fn prelu(self) -> Self {
        self.layer(PReLU::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::graph::Graph;
    use crate::nn::Mode;
    use crate::tensor::{DType, TensorData};

    /// Values and the slopes' gradients, against what the formula gives by hand.
    #[test]
    fn slopes_are_of_channels_and_learn() -> crate::Result<()> {
        let g = Graph::new();
        let x = g.input("x", [2, 2, 2], DType::F32);
        let y = Sequential::new([2, 2]).layer(PReLU::new().per_channel()).forward(&g, &x, Mode::Training);
        g.output("y", &y);
        let slopes: Vec<Tensor> = g.parameters().into_iter().map(|(_, slope)| slope).collect();
        let gradients = g.gradients(&y.sum_all(), &[&slopes[0], &x]);
        g.output("slopes", &gradients[0]);
        g.output("gradient", &gradients[1]);
        let mut session = g.compile(&Device::cpu())?;
        let x = TensorData::from_vec(vec![1.0_f32, -2.0, -3.0, 4.0, -5.0, 6.0, 7.0, -8.0], [2, 2, 2])?;
        let outputs = session.run(&[("x", &x)])?;
        assert_eq!(outputs["y"].to_f64_vec(), [1.0, -0.5, -0.75, 4.0, -1.25, 6.0, 7.0, -2.0]);
        assert_eq!(outputs["slopes"].to_f64_vec(), [-2.0 - 5.0, -3.0 - 8.0]);
        assert_eq!(outputs["gradient"].to_f64_vec(), [1.0, 0.25, 0.25, 1.0, 0.25, 1.0, 1.0, 0.25]);
        Ok(())
    }

    #[test]
    fn one_slope_is_for_examples_of_any_shape() {
        for shape in [vec![], vec![3], vec![3, 4, 5]] {
            let g = Graph::new();
            let model = Sequential::new(shape.clone()).prelu().initializer(Initializer::Zeros);
            let batch: Vec<usize> = std::iter::once(2).chain(shape).collect();
            let y = model.forward(&g, &g.input("x", batch.clone(), DType::F32), Mode::Training);
            assert_eq!((y.shape(), g.error().is_none()), (batch.into(), true));
        }
        let scalar = Sequential::new([]).layer(PReLU::new().per_channel()).output_shape();
        assert!(scalar.is_err_and(|error| error.to_string().contains("layer 0, prelu: takes examples of channels")));
    }
}
