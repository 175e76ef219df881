//! Metrics of order: what counts is which score is higher, not by how much.

use super::decode::Scored;
use crate::error::{Error, Result};

/// How many examples have their true class among the `k` highest scores, and how many there are.
pub(super) fn top_k_hits(scored: &Scored, k: usize) -> (u64, u64) {
    let (mut hits, mut examples) = (0, 0);
    if scored.classes() == 1 {
        // One score an example stands for two classes, of which the first k are one or both.
        for (truth, predicted) in scored.decisions() {
            hits += u64::from(k >= 2 || (k == 1 && truth == predicted));
            examples += 1;
        }
        return (hits, examples);
    }
    for (truth, scores) in scored.examples() {
        let own = scores.clone().nth(truth).unwrap_or(f64::NEG_INFINITY);
        // Equal scores are ranked by class, so that k = 1 is the accuracy.
        let before = |(class, score): &(usize, f64)| *score > own || (*score == own && *class < truth);
        hits += u64::from(scores.enumerate().filter(before).count() < k);
        examples += 1;
    }
    (hits, examples)
}

/// The scores of two classes, stored until the area under the receiver operating characteristic is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RankedScores {
    scores: Vec<(f64, bool)>,
}

impl RankedScores {
    pub fn add(&mut self, scored: &Scored) -> Result<()> {
        if scored.classes() > 2 {
            return Err(Error::Data(format!("a ROC AUC is of two classes, not of {}", scored.classes())));
        }
        self.scores.extend(scored.examples().map(|(truth, mut scores)| {
            let first = scores.next().unwrap_or_default();
            // Of two scores the difference counts: it orders logits and probabilities alike.
            (scores.next().map_or(first, |second| second - first), truth == 1)
        }));
        Ok(())
    }

    /// The area, by the ranks' sum of Mann and Whitney, where tied scores share the mean of their ranks; None where one
    /// class is missing.
    pub fn area(&self) -> Option<f64> {
        let mut sorted = self.scores.clone();
        sorted.sort_by(|(left, _), (right, _)| left.total_cmp(right));
        let (mut rank_sum, mut done) = (0.0, 0_usize);
        for tied in sorted.chunk_by(|(left, _), (right, _)| left == right) {
            let mean_rank = done as f64 + (tied.len() as f64 + 1.0) / 2.0;
            rank_sum += mean_rank * tied.iter().filter(|(_, positive)| *positive).count() as f64;
            done += tied.len();
        }
        let positives = sorted.iter().filter(|(_, positive)| *positive).count() as f64;
        let negatives = sorted.len() as f64 - positives;
        let pairs = positives * negatives;
        (pairs > 0.0).then(|| (rank_sum - positives * (positives + 1.0) / 2.0) / pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::BuiltIn;
    use super::*;
    use crate::tensor::TensorData;

    #[test]
    fn two_columns_rank_like_one() -> Result<()> {
        let truth = TensorData::from_vec(vec![0_i32, 1, 0, 1, 1], [5])?;
        let one = TensorData::from_vec(vec![-3.5_f32, -1.25, -1.25, 2.0, -4.0], [5])?;
        let two = TensorData::from_vec(vec![0.0_f32, -3.5, 1.0, -0.25, 1.0, -0.25, 0.0, 2.0, 3.0, -1.0], [5, 2])?;
        assert_eq!(BuiltIn::RocAuc.evaluate(&one, &truth)?, Some(3.5 / 6.0));
        assert_eq!(BuiltIn::RocAuc.evaluate(&two, &truth)?, Some(3.5 / 6.0));
        Ok(())
    }

    #[test]
    fn top_one_is_the_accuracy_even_with_ties() -> Result<()> {
        let truth = TensorData::from_vec(vec![0_i32, 1, 2], [3])?;
        let scores = TensorData::from_vec(vec![1.0_f32, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0], [3, 3])?;
        let value = |metric: BuiltIn| metric.evaluate(&scores, &truth);
        assert_eq!(value(BuiltIn::TopKAccuracy(1))?, value(BuiltIn::Accuracy)?);
        assert_eq!(value(BuiltIn::TopKAccuracy(0))?, Some(0.0));
        assert_eq!(value(BuiltIn::TopKAccuracy(9))?, Some(1.0));
        Ok(())
    }
}
