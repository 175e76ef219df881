//! What a training run reports: a record an epoch, saved in checkpoints.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// One epoch of training.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRecord {
    /// Number of the epoch, from 1 on.
    pub epoch: u64,
    /// Steps done at its end.
    pub step: u64,
    /// Mean loss over its examples.
    pub train_loss: f64,
    /// Validation loss and metrics by name, at its end; empty without validation data.
    pub validation: Vec<(String, f64)>,
    /// Seconds that its training took.
    pub seconds: f64,
    /// Training examples a second.
    pub examples_per_second: f64,
}

impl EpochRecord {
    /// A validation value by name: `loss`, or that of a metric. `None` where there is none.
    pub fn validation(&self, name: &str) -> Option<f64> {
        self.validation.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// All epochs of a run, and the losses that were asked for step by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Finished epochs.
    pub epochs: Vec<EpochRecord>,
    /// True where a callback or a signal ended the run early.
    pub stopped: bool,
}

impl History {
    /// As JSON text.
    pub(crate) fn to_json(&self) -> String {
        let epochs: Vec<Value> = self
            .epochs
            .iter()
            .map(|record| {
                let validation: Map<String, Value> =
                    record.validation.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                json!({
                    "epoch": record.epoch, "step": record.step, "train_loss": record.train_loss,
                    "validation": validation, "seconds": record.seconds,
                    "examples_per_second": record.examples_per_second,
                })
            })
            .collect();
        Value::Array(epochs).to_string()
    }

    /// From JSON text.
    pub(crate) fn from_json(text: &str) -> Result<Self> {
        let wrong = || Error::Data("its history is not readable".to_owned());
        let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
        let mut history = Self::default();
        for record in value.as_array().ok_or_else(wrong)? {
            let number = |name: &str| record.get(name).and_then(Value::as_f64);
            let validation = record.get("validation").and_then(Value::as_object).ok_or_else(wrong)?;
            history.epochs.push(EpochRecord {
                epoch: number("epoch").ok_or_else(wrong)? as u64,
                step: number("step").ok_or_else(wrong)? as u64,
                train_loss: number("train_loss").unwrap_or(f64::NAN),
                validation: validation
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
                    .collect(),
                seconds: number("seconds").unwrap_or(0.0),
                examples_per_second: number("examples_per_second").unwrap_or(0.0),
            });
        }
        Ok(history)
    }
}
