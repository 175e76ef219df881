//! The trainer of a demo, and what it says of a model.

use serde_json::{Map, Value, json};
use wgrad::Device;
use wgrad::train::{Evaluation, Trainer};

use super::demo::{Data, Task};
use super::network::Network;
use super::optimizer;
use crate::failure::Result;

/// Rows of sentences that are judged at a time: each of their words has a score for every word there is.
const EVALUATION_ROWS: usize = 16;

/// What gradients through many steps are clipped to.
const CLIP_NORM: f64 = 1.0;

/// A trainer of a model for a demo's data.
pub fn trainer(model: &Network, data: &Data, device: &Device, optimizer: optimizer::Chosen) -> Result<Trainer> {
    // A mistake in the model's shapes is told before anything is built.
    model.check()?;
    let mut trainer = Trainer::new(model.clone(), device, optimizer, data.task.loss(), data.task.metrics());
    if let Some(picture) = &data.picture {
        trainer = trainer.evaluation_batch(picture.evaluation_batch());
    }
    match data.task {
        Task::Text { streams, .. } => trainer = trainer.evaluation_batch(streams).clip_norm(CLIP_NORM),
        Task::Series { .. } => trainer = trainer.clip_norm(CLIP_NORM),
        Task::Translation { .. } => trainer = trainer.evaluation_batch(EVALUATION_ROWS).clip_norm(CLIP_NORM),
        // Words are told from words: there is no other target.
        Task::Words { .. } => trainer = trainer.target("x"),
        Task::Binary | Task::Classes(_) | Task::Number { .. } => {}
    }
    if let Some(prepare) = data.prepare.clone() {
        trainer = trainer.prepare(move |x, mode| prepare(x, mode));
    }
    Ok(trainer)
}

/// Loss and metrics by name.
pub fn scores(evaluation: &Evaluation) -> Map<String, Value> {
    let metrics = evaluation.metrics.iter().map(|(name, value)| (name.to_string(), json!(value)));
    std::iter::once(("loss".to_owned(), json!(evaluation.loss))).chain(metrics).collect()
}
