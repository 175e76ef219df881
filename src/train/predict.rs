//! What a model says of inputs, and what in them it says it for.

use super::trainer::{Trainer, Use, X};
use crate::error::Result;
use crate::nn::Mode;
use crate::tensor::{DType, TensorData};

/// A prediction, and how it hangs on its input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputGradient {
    /// The model's output, as [`Trainer::predict`] gives it.
    pub prediction: TensorData,
    /// The gradient of each example's largest output with respect to the input that the model saw: what
    /// [`Trainer::prepare`] made of the example, in its shape.
    pub gradient: TensorData,
}

impl Trainer {
    /// The model's output for a batch of inputs.
    ///
    /// # Errors
    /// Inputs that do not fit the model; a device that fails.
    pub fn predict(&mut self, x: &TensorData) -> Result<TensorData> {
        let key = Use::Predict(x.dtype(), x.shape().to_vec());
        let id = self.program(key, |trainer, g| {
            let input = g.input(X, x.shape(), x.dtype());
            let prediction = trainer.model().forward(g, &trainer.prepared(&input, Mode::Evaluation), Mode::Evaluation);
            g.output("prediction", &prediction);
        })?;
        self.check_input(x)?;
        let outputs = self.open()?.run_with(id, &[(X, x)])?;
        Ok(outputs["prediction"].clone())
    }

    /// What the model says of a batch of inputs, and the gradient of each example's largest output (the score of the class
    /// that wins) with respect to its input. The magnitude of that gradient is the saliency map of Simonyan, Vedaldi and
    /// Zisserman, "Deep Inside Convolutional Networks" (2013): where a small change of the input changes the score most.
    ///
    /// The input is what the model is given, after [`prepare`](Self::prepare): floats, also where `x` is bytes. An output of
    /// one number, as a probability of two classes, counts as the largest.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// # let weights = TensorData::from_vec(vec![1.0_f32, 2.0, 3.0, -4.0, 5.0, -6.0], [2, 3])?;
    /// let model = Sequential::new([3]).dense(2).without_bias();
    /// let mut trainer = model.compile(&Device::cpu(), SGD::new(0.1), CrossEntropy, [])?;
    /// let x = TensorData::from_vec(vec![1.0_f32, 1.0, 1.0], [1, 3])?;
    /// trainer.predict(&x)?;
    /// # trainer.session_mut().ok_or(wgrad::Error::Data(String::new()))?.set_parameter("0.weight", &weights)?;
    /// // With the weights [[1, 2, 3], [-4, 5, -6]], the outputs are 6 and -5: the first wins.
    /// let answer = trainer.input_gradient(&x)?;
    /// assert_eq!(answer.prediction.to_vec::<f32>()?, [6.0, -5.0]);
    /// assert_eq!(answer.gradient.to_vec::<f32>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Inputs that do not fit the model, or that it takes as integers; a device that fails.
    pub fn input_gradient(&mut self, x: &TensorData) -> Result<InputGradient> {
        let key = Use::InputGradient(x.dtype(), x.shape().to_vec());
        let id = self.program(key, |trainer, g| {
            let input = trainer.prepared(&g.input(X, x.shape(), x.dtype()), Mode::Evaluation);
            let prediction = trainer.model().forward(g, &input, Mode::Evaluation);
            let examples = prediction.shape().first().copied().unwrap_or(1);
            let outputs = prediction.shape().iter().skip(1).product::<usize>();
            let rows = prediction.reshape([examples, outputs]);
            let winner = rows.argmax(1).one_hot(outputs, rows.dtype());
            // Examples do not mix in evaluation, so the sum's gradient holds that of each.
            let gradient = g.gradients(&(&rows * &winner), &[&input]);
            g.output("prediction", &prediction.cast(DType::F32));
            if let Some(gradient) = gradient.first() {
                g.output("gradient", &gradient.cast(DType::F32));
            }
        })?;
        self.check_input(x)?;
        let outputs = self.open()?.run_with(id, &[(X, x)])?;
        Ok(InputGradient { prediction: outputs["prediction"].clone(), gradient: outputs["gradient"].clone() })
    }
}
