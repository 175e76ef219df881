//! What a model says of inputs, and what in them it says it for.

use super::carried;
use super::network::ModelInputs;
use super::programs::Use;
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::nn::{Inputs, Mode};
use crate::session::{Outputs, Program};
use crate::tensor::{DType, TensorData, TensorType};
use crate::waiting::block_on;

/// A prediction, and how it depends on its input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputGradient {
    /// The model's output, as [`Trainer::predict`] returns it.
    pub prediction: TensorData,
    /// The gradients of each example's largest output with respect to the inputs that the model saw, by their names (`x` where there is
    /// one): what [`Trainer::prepare`] made of the example, in its shape. What the model takes as integers has none.
    pub gradients: Outputs,
}

/// The outputs of the programs: the prediction, and a gradient for each input that has one.
const PREDICTION_OUTPUT: &str = "prediction";
const GRADIENT_OUTPUT: &str = "gradient/";

/// What a program returns for inputs of some types.
struct Asked {
    wanted: fn(Vec<TensorType>) -> Use,
    write: fn(&Trainer, &Graph, &Inputs),
}

const PREDICTION: Asked = Asked {
    wanted: Use::Predict,
    write: |trainer, g, inputs| {
        let inputs = trainer.network.prepared(g, inputs, Mode::Evaluation);
        g.output(PREDICTION_OUTPUT, &trainer.network.forward(g, &inputs, Mode::Evaluation));
    },
};

const INPUT_GRADIENT: Asked = Asked {
    wanted: Use::InputGradient,
    write: |trainer, g, inputs| {
        let inputs = trainer.network.prepared(g, inputs, Mode::Evaluation);
        let prediction = trainer.network.forward(g, &inputs, Mode::Evaluation);
        let examples = prediction.shape().first().copied().unwrap_or(1);
        let outputs = prediction.shape().iter().skip(1).product::<usize>();
        let rows = prediction.reshape([examples, outputs]);
        let winner = rows.argmax(1).one_hot(outputs, rows.dtype());
        // Examples do not mix in evaluation, so the sum's gradient holds that of each.
        // What is given as integers has no gradient; where there is nothing else, that is the user's mistake.
        let floats: Vec<_> = inputs.iter().filter(|(_, input)| input.dtype().is_float()).collect();
        let asked = if floats.is_empty() { inputs.iter().collect() } else { floats };
        let tensors: Vec<&Tensor> = asked.iter().map(|(_, input)| *input).collect();
        let gradients = g.gradients(&(&rows * &winner), &tensors);
        g.output(PREDICTION_OUTPUT, &prediction.cast(DType::F32));
        for ((name, _), gradient) in asked.iter().zip(&gradients) {
            g.output(&format!("{GRADIENT_OUTPUT}{name}"), &gradient.cast(DType::F32));
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
    pub fn predict<'a>(&mut self, x: impl Into<ModelInputs<'a>>) -> Result<TensorData> {
        block_on(self.predict_async(x))
    }

    /// As [`predict`](Self::predict), without blocking.
    ///
    /// # Errors
    /// As there.
    pub async fn predict_async<'a>(&mut self, x: impl Into<ModelInputs<'a>>) -> Result<TensorData> {
        let mut answer = self.answer(x.into(), &PREDICTION).await?;
        answer.take(PREDICTION_OUTPUT).ok_or_else(|| Error::Data("the program has no prediction".into()))
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
    /// assert_eq!(answer.gradients["x"].to_vec::<f32>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// Inputs that do not fit the model, or that it takes as integers; a device that fails.
    pub fn input_gradient<'a>(&mut self, x: impl Into<ModelInputs<'a>>) -> Result<InputGradient> {
        let mut answer = block_on(self.answer(x.into(), &INPUT_GRADIENT))?;
        let prediction = answer.take(PREDICTION_OUTPUT);
        let prediction = prediction.ok_or_else(|| Error::Data("the program has no prediction".into()))?;
        let names: Vec<String> = self.network.names().to_vec();
        let gradient = |name: String| Some((name.clone(), answer.take(&format!("{GRADIENT_OUTPUT}{name}"))?));
        Ok(InputGradient { prediction, gradients: names.into_iter().filter_map(gradient).collect() })
    }

    /// As `ask`, of what the user gave.
    async fn answer(&mut self, given: ModelInputs<'_>, asked: &Asked) -> Result<Outputs> {
        let inputs = self.network.given(given)?;
        let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), *data)).collect();
        self.ask(&inputs, asked).await
    }

    /// What a program returns, for as many examples at a time as fit.
    async fn ask(&mut self, x: &[(&str, &TensorData)], asked: &Asked) -> Result<Outputs> {
        let examples = examples_of(x).unwrap_or(0);
        let mut batch = self.evaluation_batch.max(1);
        if examples <= batch || self.carries_state(x, asked) {
            return self.ask_at_once(x, asked, true).await;
        }
        let mut parts: Vec<Outputs> = Vec::new();
        let mut start = 0;
        while start < examples {
            let count = batch.min(examples - start);
            let part = x.iter().map(|(name, x)| Ok((*name, rows(x, start, count)?))).collect::<Result<Vec<_>>>()?;
            let part: Vec<(&str, &TensorData)> = part.iter().map(|(name, x)| (*name, x)).collect();
            let Some(id) = self.program_within(&part, asked, count).await? else {
                batch = self.fewer(count);
                continue;
            };
            if start == 0 {
                self.network.check(x)?;
            }
            let outputs = self.run(&id, &part).await?;
            if outputs.iter().any(|(_, output)| output.shape().first() != Some(&count)) {
                return self.ask_at_once(x, asked, false).await;
            }
            parts.push(outputs);
            start += count;
        }
        let names: Vec<String> =
            parts.first().into_iter().flat_map(Outputs::iter).map(|(name, _)| name.to_owned()).collect();
        let whole = |name: String| {
            let whole = joined(parts.iter().filter_map(|part| part.get(&name)), examples)?;
            Ok((name, whole))
        };
        names.into_iter().map(whole).collect()
    }

    /// True where the model's output depends on the batch before.
    fn carries_state(&self, x: &[(&str, &TensorData)], asked: &Asked) -> bool {
        let g = self.graph();
        (asked.write)(self, &g, &inputs(&g, x));
        g.assigns()
    }

    /// The same as one batch, if that fits; else, where that is possible, some at a time.
    async fn ask_at_once(&mut self, x: &[(&str, &TensorData)], asked: &Asked, divisible: bool) -> Result<Outputs> {
        let examples = if divisible { examples_of(x).unwrap_or(1) } else { 1 };
        match self.program_within(x, asked, examples).await? {
            Some(id) => {
                self.network.check(x)?;
                self.run(&id, x).await
            }
            None => {
                self.fewer(examples);
                Box::pin(self.ask(x, asked)).await
            }
        }
    }

    async fn run(&mut self, id: &Program, x: &[(&str, &TensorData)]) -> Result<Outputs> {
        let session = self.open()?;
        carried::begin_pass(session, Mode::Evaluation)?;
        session.using(id).run_async(x).await
    }

    /// The program for inputs of a type; none where it would take too much memory for `examples`, and fewer could be taken.
    async fn program_within(
        &mut self,
        x: &[(&str, &TensorData)],
        asked: &Asked,
        examples: usize,
    ) -> Result<Option<Program>> {
        let wanted = (asked.wanted)(x.iter().map(|(_, x)| x.ty().clone()).collect());
        self.program(wanted, examples, |trainer, g| (asked.write)(trainer, g, &inputs(g, x))).await
    }
}

/// The number of examples, where the inputs have an axis for them.
fn examples_of(x: &[(&str, &TensorData)]) -> Option<usize> {
    x.first()?.1.shape().first().copied()
}

/// Inputs of a graph.
fn inputs(g: &Graph, x: &[(&str, &TensorData)]) -> Inputs {
    Inputs::new(g, x.iter().map(|(name, x)| (*name, g.input(name, x.shape(), x.dtype()))))
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
