//! What a language model's loss means.

use super::{Measure, Metric, Reading};

/// e to the mean loss, as is usual for the cross-entropy of texts. Where no other metric needs them, predictions are not read: there
/// are as many values as the text has positions, times the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Perplexity;

impl Metric for Perplexity {
    fn name(&self) -> String {
        "perplexity".into()
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn measure(&self, _: Reading) -> Measure<'_> {
        Measure::Loss(f64::exp)
    }
}
