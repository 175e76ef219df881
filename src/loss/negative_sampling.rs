//! The loss of word2vec.

use super::{Loss, Reduction};
use crate::graph::Tensor;

/// Negative sampling (Mikolov et al., "Distributed Representations of Words and Phrases", 2013, equation 4): of scores `[n, 1 + k]`, of
/// which each example's first is of what belongs to it and the others of what was drawn, −log σ(s₀) − Σ log σ(−sₖ). It compares with
/// nothing, and takes any target. The scores of [`nn::Word2Vec`](crate::nn::Word2Vec) are such.
///
/// ```
/// use wgrad::loss::{Loss, NegativeSampling};
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let scores = g.constant(TensorData::zeros(F32, [2, 4]));
/// g.output("loss", &NegativeSampling::new().forward(&scores, &scores));
/// let run = g.compile(&Device::cpu())?.run(&[])?;
/// assert!((run["loss"].item()? - 4.0 * 2.0_f64.ln()).abs() < 1e-6);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NegativeSampling {
    /// Whether gradients are those of the sum over the examples; the value is the mean in any case.
    pub summed: bool,
}

impl NegativeSampling {
    /// The mean over the examples, with its gradient.
    pub const fn new() -> Self {
        Self { summed: false }
    }

    /// The mean over the examples with the gradient of their sum. word2vec takes a step for each pair of words; with this, a step for a batch
    /// adds up those of its pairs, and word2vec's learning rate is the learning rate.
    #[must_use]
    pub const fn summed(self) -> Self {
        Self { summed: true }
    }
}

impl Loss for NegativeSampling {
    fn name(&self) -> &str {
        "negative_sampling"
    }

    #[track_caller]
    fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
        if !self.summed {
            return self.reduced(prediction, target, Reduction::Mean);
        }
        let each = self.reduced(prediction, target, Reduction::None);
        let sum = each.sum_all();
        // A sum less itself is 0, and has a gradient.
        each.mean_all().stop_gradient() + (&sum - sum.stop_gradient())
    }

    #[track_caller]
    fn reduced(&self, prediction: &Tensor, _: &Tensor, reduction: Reduction) -> Tensor {
        let shape = prediction.shape();
        let &[_, columns] = shape.dims() else {
            let message = format!("takes scores [n, 1 + k], not {shape}");
            return prediction.graph().mistake("negative_sampling", message);
        };
        if columns == 0 {
            return prediction.graph().mistake("negative_sampling", "takes a score or more for each example, not 0");
        }
        // −log σ(x) is softplus(−x), which does not overflow.
        let signs = prediction.graph().coordinate([columns], 0).eq(0).select(-prediction, prediction);
        reduction.of(&signs.softplus().sum([-1]))
    }
}
