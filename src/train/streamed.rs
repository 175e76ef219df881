//! Programs for batches that come from the host, and measuring on a stream of them.

use super::carried;
use super::evaluation::Evaluation;
use super::feed::streaming;
use super::network::column;
use super::programs::Use;
use super::trainer::{Trainer, uncompiled};
use crate::data::{Cut, Dataset, Stream};
use crate::error::{Error, Result};
use crate::metrics::Accumulator;
use crate::nn::{Inputs, Mode};
use crate::session::Program;
use crate::tensor::{DType, Shape, TensorData, TensorType};

use super::arriving::Weights;

/// What an evaluation adds up.
struct Sums {
    loss: f64,
    weight: f64,
    accumulators: Vec<Accumulator>,
}

impl Trainer {
    /// The program for batches of `examples` like those of a data set, and the shape of what it predicts; none as of
    /// [`admit`](Self::admit).
    pub(super) fn streamed_for(
        &mut self,
        data: &Dataset,
        examples: usize,
        mode: Mode,
    ) -> Result<Option<(Program, Shape)>> {
        let batch = |values: &TensorData| {
            let dims: Vec<usize> = std::iter::once(examples).chain(values.shape().iter().copied().skip(1)).collect();
            TensorType::new(values.dtype(), dims)
        };
        let columns = self.streamed_columns(data)?;
        let types: Vec<TensorType> = columns.iter().map(|(_, values)| batch(values)).collect();
        let wanted = match mode {
            Mode::Training => Use::TrainOn(types.clone()),
            Mode::Evaluation => Use::EvaluateOn(types.clone()),
        };
        if let Some(program) = self.programs.find(&wanted)
            && let Some((program, shape)) = self.predicted.iter().find(|(known, _)| *known == program)
        {
            return Ok(Some((program.clone(), shape.clone())));
        }
        let g = self.graph();
        let all = columns.iter().zip(&types).map(|((name, _), ty)| (*name, g.input(name, &ty.shape, ty.dtype)));
        let all = Inputs::new(&g, all);
        let own = self.network.names().iter().filter_map(|name| Some((name.as_str(), all.get(name)?.clone())));
        let Some(y) = all.get(&self.target) else { return Ok(None) };
        let (prediction, loss) = self.outcome(&g, &Inputs::new(&g, own), y, mode);
        let shape = prediction.shape();
        let divisible = match mode {
            Mode::Training => {
                self.minimized(&g, &loss);
                1
            }
            Mode::Evaluation => {
                self.measured(&g, &prediction, &loss);
                examples
            }
        };
        let Some(program) = self.admit(wanted, &g, divisible)? else { return Ok(None) };
        let session = self.session.as_ref();
        self.predicted
            .retain(|(known, _)| session.is_some_and(|session| session.programs().any(|other| other == known)));
        self.predicted.push((program.clone(), shape.clone()));
        Ok(Some((program, shape)))
    }

    /// The columns of a batch that its program takes: inputs and targets, each once.
    pub(super) fn streamed_columns<'a>(&self, data: &'a Dataset) -> Result<Vec<(&'a str, &'a TensorData)>> {
        let mut columns = self.network.columns(data)?;
        if !self.network.names().contains(&self.target) {
            columns.push(column(data, &self.target)?);
        }
        Ok(columns)
    }

    /// What a batch weighs in mean losses.
    pub(super) fn weight(&self, data: &Dataset) -> Result<f64> {
        Ok(Weights::of_targets(&self.loss, data.column(&self.target)?).of_all(data.len()))
    }

    /// The program for a batch, whose values are looked at.
    pub(super) fn streamed_checked(&mut self, data: &Dataset, mode: Mode) -> Result<Option<Program>> {
        let Some((program, shape)) = self.streamed_for(data, data.len(), mode)? else { return Ok(None) };
        self.network.check(&self.network.columns(data)?)?;
        self.loss.check_targets(&shape, data.column(&self.target)?)?;
        Ok(Some(program))
    }

    /// Compiles what evaluates a stream, so that what is wrong with it is found before a run.
    pub(super) fn compile_streamed_evaluation(&mut self, stream: &mut Stream) -> Result<()> {
        let first = stream.peek()?;
        loop {
            let batch = self.evaluation_batch.max(1);
            if self.streamed_for(first, batch, Mode::Evaluation)?.is_some() {
                return Ok(());
            }
            self.fewer(batch);
        }
    }

    /// Loss and metrics on a stream: on its first epoch.
    pub(super) fn evaluate_stream(&mut self, stream: &mut Stream) -> Result<Evaluation> {
        self.compile_streamed_evaluation(stream)?;
        carried::begin_pass(self.open()?, Mode::Evaluation)?;
        let cut = Cut { seed: self.seed, epoch: 0, size: self.evaluation_batch.max(1), drop_last: false, done: 0 };
        let accumulators = self.metrics.iter().map(|&metric| self.accumulator(metric)).collect();
        let sums = Sums { loss: 0.0, weight: 0.0, accumulators };
        let Sums { loss, weight, accumulators } = streaming(stream, cut, |mut batches| {
            let mut sums = sums;
            while let Some(data) = batches.wait()? {
                self.add(&data, &mut sums)?;
            }
            Ok(sums)
        })?;
        let loss = loss / weight;
        let mut metrics: Vec<(String, f64)> = Vec::new();
        metrics.extend(self.perplexity.then(|| ("perplexity".to_owned(), loss.exp())));
        let values = accumulators.iter().filter_map(|accumulator| Some((accumulator.name(), accumulator.value()?)));
        metrics.extend(values.map(|(name, value)| (name.to_owned(), value)));
        Ok(Evaluation { loss, metrics, predictions: TensorData::zeros(DType::F32, [0]) })
    }

    /// Measures on a batch, in parts where it is too large.
    fn add(&mut self, data: &Dataset, sums: &mut Sums) -> Result<()> {
        let Some(program) = self.streamed_checked(data, Mode::Evaluation)? else {
            let part = self.fewer(data.len());
            let order: Vec<usize> = (0..data.len()).collect();
            return order.chunks(part).try_for_each(|examples| self.add(&data.take(examples)?, sums));
        };
        let targets = data.column(&self.target)?;
        let given = self.streamed_columns(data)?;
        let session = self.session.as_mut().ok_or_else(uncompiled)?;
        let outputs = session.using(&program).run(&given)?;
        let weight = self.weight(data)?;
        if weight > 0.0 {
            let loss = outputs.get("loss").ok_or_else(|| Error::Data("the program has no loss".into()))?;
            sums.loss += loss.item()? * weight;
            sums.weight += weight;
        }
        if let Some(prediction) = outputs.get("prediction") {
            sums.accumulators.iter_mut().try_for_each(|accumulator| accumulator.update(prediction, targets))?;
        }
        Ok(())
    }
}
