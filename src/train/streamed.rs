//! Programs for batches that come from the host, and measuring on a stream of them.

use super::carried;
use super::evaluation::Evaluation;
use super::feed::StreamBatches;
use super::network::column;
use super::programs::Use;
use super::tally::Tally;
use super::trainer::{Trainer, uncompiled};
use crate::data::{Cut, Dataset, Stream};
use crate::error::{Error, Result};
use crate::metrics::Reading;
use crate::nn::{Inputs, Mode};
use crate::session::Program;
use crate::tensor::{DType, Shape, TensorData, TensorType};

use super::arriving::Weights;

impl Trainer {
    /// The program for batches of `examples` like those of a data set, and the shape of what it predicts; none as of
    /// [`admit`](Self::admit).
    pub(super) async fn streamed_for(
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
        let inputs = Inputs::new(&g, own);
        let forward = self.outcome(g, &inputs, y.clone(), mode);
        let shape = forward.prediction.shape();
        let divisible = match mode {
            Mode::Training => {
                self.minimized(&forward.graph, &forward.loss);
                1
            }
            Mode::Evaluation => {
                self.measured(&forward);
                examples
            }
        };
        let Some(program) = self.admit(wanted, &forward.graph, divisible).await? else { return Ok(None) };
        let session = self.session.as_ref();
        self.predicted
            .retain(|(known, _)| session.is_some_and(|session| session.programs().any(|other| other == known)));
        self.predicted.push((program.clone(), shape.clone()));
        Ok(Some((program, shape)))
    }

    /// The training program for batches of a stream.
    pub(super) async fn training_on(&mut self, stream: &mut Stream, batch: usize) -> Result<Program> {
        let found = self.streamed_for(stream.peek().await?, batch, Mode::Training).await?;
        found.map(|(program, _)| program).ok_or_else(|| Error::Limit("the training step takes too much memory".into()))
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
        Ok(Weights::of_targets(self.loss.as_ref(), data.column(&self.target)?).of_all(data.len()))
    }

    /// The program for a batch, whose values are looked at.
    pub(super) async fn streamed_checked(&mut self, data: &Dataset, mode: Mode) -> Result<Option<Program>> {
        let Some((program, shape)) = self.streamed_for(data, data.len(), mode).await? else { return Ok(None) };
        self.network.check(&self.network.columns(data)?)?;
        self.loss.check_targets(&shape, data.column(&self.target)?)?;
        Ok(Some(program))
    }

    /// Compiles what evaluates a stream, so that what is wrong with it is found before a run.
    pub(super) async fn compile_streamed_evaluation(&mut self, stream: &mut Stream) -> Result<()> {
        let first = stream.peek().await?;
        loop {
            let batch = self.evaluation_batch.max(1);
            if self.streamed_for(first, batch, Mode::Evaluation).await?.is_some() {
                return Ok(());
            }
            self.fewer(batch);
        }
    }

    /// Loss and metrics on a stream: on its first epoch.
    pub(super) async fn evaluate_stream(&mut self, stream: &mut Stream) -> Result<Evaluation> {
        self.compile_streamed_evaluation(stream).await?;
        carried::begin_pass(self.open()?, Mode::Evaluation)?;
        let cut = Cut { seed: self.seed, epoch: 0, size: self.evaluation_batch.max(1), drop_last: false, done: 0 };
        let mut tally = Tally::new(&self.metrics, Reading::of(self.loss.as_ref()));
        let mut batches = StreamBatches::new(stream, cut)?;
        while let Some(data) = batches.next().await? {
            self.add(&data, &mut tally).await?;
        }
        Ok(tally.result(&self.metrics, TensorData::zeros(DType::F32, [0])))
    }

    /// Measures on a batch, in parts where it is too large.
    async fn add(&mut self, data: &Dataset, tally: &mut Tally) -> Result<()> {
        let Some(program) = self.streamed_checked(data, Mode::Evaluation).await? else {
            let part = self.fewer(data.len());
            let order: Vec<usize> = (0..data.len()).collect();
            for examples in order.chunks(part) {
                Box::pin(self.add(&data.take(examples)?, tally)).await?;
            }
            return Ok(());
        };
        let targets = data.column(&self.target)?;
        let given = self.streamed_columns(data)?;
        let session = self.session.as_mut().ok_or_else(uncompiled)?;
        let outputs = session.using(&program).run_async(&given).await?;
        tally.add(&outputs, self.weight(data)?)?;
        match outputs.get("prediction") {
            Some(prediction) => tally.predictions(prediction, targets),
            None => Ok(()),
        }
    }
}
