//! What a model says of inputs, and what in them it says it for.

use super::carried;
use super::programs::Use;
use super::trainer::{Trainer, X};
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::nn::Mode;
use crate::session::ProgramId;
use crate::tensor::{DType, TensorData, TensorType};

/// A prediction, and how it depends on its input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputGradient {
    /// The model's output, as [`Trainer::predict`] returns it.
    pub prediction: TensorData,
    /// The gradient of each example's largest output with respect to the input that the model saw: what
    /// [`Trainer::prepare`] made of the example, in its shape.
    pub gradient: TensorData,
}

/// What a program returns for inputs of a type and shape.
struct Asked {
    wanted: fn(DType, Vec<usize>) -> Use,
    outputs: &'static [&'static str],
    write: fn(&Trainer, &Graph, &Tensor),
}

const PREDICTION: Asked = Asked {
    wanted: Use::Predict,
    outputs: &["prediction"],
    write: |trainer, g, input| {
        let prediction = trainer.model().forward(g, &trainer.prepared(input, Mode::Evaluation), Mode::Evaluation);
        g.output("prediction", &prediction);
    },
};

const INPUT_GRADIENT: Asked = Asked {
    wanted: Use::InputGradient,
    outputs: &["prediction", "gradient"],
    write: |trainer, g, input| {
        let input = trainer.prepared(input, Mode::Evaluation);
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
    },
};

impl Trainer {
    /// The model's output for inputs whose first axis counts examples. They go through the model as many at a time as
    /// [`evaluation_batch`](Self::evaluation_batch) says, or fewer where those would take more memory than there should be for it;
    /// all at once where the output has no such axis, or where the model carries a state from batch to batch.
    ///
    /// # Errors
    /// Inputs that do not fit the model; a device that fails.
    pub fn predict(&mut self, x: &TensorData) -> Result<TensorData> {
        Ok(self.ask(x, &PREDICTION)?.swap_remove(0))
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
        let mut answer = self.ask(x, &INPUT_GRADIENT)?;
        let gradient = answer.swap_remove(1);
        Ok(InputGradient { prediction: answer.swap_remove(0), gradient })
    }

    /// What a program returns, for as many examples at a time as fit.
    fn ask(&mut self, x: &TensorData, asked: &Asked) -> Result<Vec<TensorData>> {
        let examples = x.shape().first().copied().unwrap_or(0);
        let mut batch = self.evaluation_batch.max(1);
        if examples <= batch || self.carries_state(x, asked) {
            return self.ask_at_once(x, asked, true);
        }
        let mut parts: Vec<Vec<TensorData>> = Vec::new();
        let mut start = 0;
        while start < examples {
            let count = batch.min(examples - start);
            let part = rows(x, start, count)?;
            let Some(id) = self.program_within(&part, asked, count)? else {
                batch = self.fewer(count);
                continue;
            };
            if start == 0 {
                self.check_input(x)?;
            }
            let outputs = self.run(id, &part, asked)?;
            if outputs.iter().any(|output| output.shape().first() != Some(&count)) {
                return self.ask_at_once(x, asked, false);
            }
            parts.push(outputs);
            start += count;
        }
        (0..asked.outputs.len())
            .map(|output| joined(parts.iter().filter_map(|part| part.get(output)), examples))
            .collect()
    }

    /// True where the model's output depends on the batch before.
    fn carries_state(&self, x: &TensorData, asked: &Asked) -> bool {
        let g = self.graph();
        (asked.write)(self, &g, &g.input(X, x.shape(), x.dtype()));
        g.assigns()
    }

    /// The same as one batch, if that fits; else, where that is possible, some at a time.
    fn ask_at_once(&mut self, x: &TensorData, asked: &Asked, divisible: bool) -> Result<Vec<TensorData>> {
        let examples = if divisible { x.shape().first().copied().unwrap_or(1) } else { 1 };
        match self.program_within(x, asked, examples)? {
            Some(id) => {
                self.check_input(x)?;
                self.run(id, x, asked)
            }
            None => {
                self.fewer(examples);
                self.ask(x, asked)
            }
        }
    }

    fn run(&mut self, id: ProgramId, x: &TensorData, asked: &Asked) -> Result<Vec<TensorData>> {
        let session = self.open()?;
        carried::begin_pass(session, Mode::Evaluation)?;
        let mut outputs = session.run_with(id, &[(X, x)])?;
        Ok(asked.outputs.iter().filter_map(|name| outputs.take(name)).collect())
    }

    /// The program for inputs of a type; none where it would take too much memory for `examples`, and fewer could be taken.
    fn program_within(&mut self, x: &TensorData, asked: &Asked, examples: usize) -> Result<Option<ProgramId>> {
        let wanted = (asked.wanted)(x.dtype(), x.shape().to_vec());
        self.program(wanted, examples, |trainer, g| (asked.write)(trainer, g, &g.input(X, x.shape(), x.dtype())))
    }
}

/// Some of the examples.
fn rows(x: &TensorData, start: usize, count: usize) -> Result<TensorData> {
    let row = x.bytes().len() / x.shape().first().copied().unwrap_or(1).max(1);
    let dims: Vec<usize> = std::iter::once(count).chain(x.shape().iter().copied().skip(1)).collect();
    let bytes = x.bytes().get(start * row..(start + count) * row).unwrap_or_default();
    TensorData::from_bytes(TensorType::new(x.dtype(), dims), bytes)
}

/// Outputs for parts of the examples, one after the other.
fn joined<'a>(mut parts: impl Iterator<Item = &'a TensorData> + Clone, examples: usize) -> Result<TensorData> {
    let bytes: Vec<u8> = parts.clone().flat_map(|part| part.bytes().iter().copied()).collect();
    let Some(first) = parts.next() else { return Ok(TensorData::zeros(DType::F32, [0])) };
    let dims: Vec<usize> = std::iter::once(examples).chain(first.shape().iter().copied().skip(1)).collect();
    TensorData::from_bytes(TensorType::new(first.dtype(), dims), &bytes)
}
