//! How many tokens are told right, and how surprising the right ones are, measured on the device: the logits of a whole data set are large.

use wgrad::data::WordVocabulary;
use wgrad::graph::Tensor;
use wgrad::metrics::{Batch, Measure, Metric, Reading, Sums};
use wgrad::tensor::DType;

/// A label of padding, where nothing is to be told.
pub const IGNORED: i32 = WordVocabulary::PADDING;

/// The share of tokens that are the likeliest.
#[derive(Clone, Copy, Debug)]
pub struct TokenAccuracy;

/// e to the mean of −log p of the right token. Unlike that of the loss, it is of the model's probabilities without smoothed labels.
#[derive(Clone, Copy, Debug)]
pub struct TokenPerplexity;

impl Metric for TokenAccuracy {
    fn name(&self) -> String {
        "accuracy".into()
    }

    fn measure(&self, _: Reading) -> Measure<'_> {
        Measure::Sums(self)
    }
}

impl Sums for TokenAccuracy {
    #[track_caller]
    fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor> {
        let (counted, right) = (batch.counted(), batch.prediction().argmax(-1).eq(batch.target()));
        vec![(right.cast(DType::F32) * &counted).sum_all(), counted.sum_all()]
    }

    fn result(&self, sums: &[f64]) -> Option<f64> {
        quotient(sums)
    }
}

impl Metric for TokenPerplexity {
    fn name(&self) -> String {
        "perplexity".into()
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn measure(&self, _: Reading) -> Measure<'_> {
        Measure::Sums(self)
    }
}

impl Sums for TokenPerplexity {
    #[track_caller]
    fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor> {
        let (counted, logits) = (batch.counted(), batch.prediction());
        let target = batch.target().unsqueeze(-1);
        let surprise = logits.log_sum_exp([-1]) - logits.gather(-1, &target).squeeze(-1);
        vec![(surprise * &counted).sum_all(), counted.sum_all()]
    }

    fn result(&self, sums: &[f64]) -> Option<f64> {
        quotient(sums).map(f64::exp)
    }
}

fn quotient(sums: &[f64]) -> Option<f64> {
    match sums {
        &[sum, count] if count > 0.0 => Some(sum / count),
        _ => None,
    }
}
