//! Running statistics: what a layer remembers of the batches that it was trained on, for the evaluation.

use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Role, Variable};
use crate::tensor::{DType, Shape, TensorType};

/// The variables `NAME.running_mean`, `NAME.running_var` and `NAME.num_batches_tracked`, as PyTorch calls them. The last is i32.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) mean: Tensor,
    pub(super) variance: Tensor,
    pub(super) batches: Tensor,
}

impl Running {
    /// The graph's own, if it has them already.
    #[track_caller]
    pub(super) fn new(g: &Graph, layer: &str, channels: usize) -> Self {
        let shape = Shape::from([channels]);
        Self {
            mean: buffer(g, format!("{layer}.running_mean"), TensorType::new(DType::F32, &shape), 0.0),
            variance: buffer(g, format!("{layer}.running_var"), TensorType::new(DType::F32, &shape), 1.0),
            batches: buffer(g, format!("{layer}.num_batches_tracked"), TensorType::new(DType::I32, []), 0.0),
        }
    }

    /// At the end of the step, they move towards a batch's mean and unbiased variance by `momentum`, or become the averages of
    /// all batches so far; and the batch is counted.
    #[track_caller]
    pub(super) fn update(&self, label: &str, mean: &Tensor, variance: &Tensor, momentum: Option<f64>) {
        let g = self.mean.graph();
        let batches = &self.batches + 1;
        let share = match momentum {
            Some(momentum) => g.scalar(DType::F32, momentum),
            None => batches.cast(DType::F32).reciprocal(),
        };
        if self.move_by(label, mean, variance, &share) {
            g.assign(&self.batches, &batches);
        }
    }

    /// The same without counting, as PyTorch's instance normalisation does it.
    #[track_caller]
    pub(super) fn follow(&self, label: &str, mean: &Tensor, variance: &Tensor, momentum: f64) {
        let share = self.mean.graph().scalar(DType::F32, momentum);
        self.move_by(label, mean, variance, &share);
    }

    /// False where another application of the layer has done so already.
    #[track_caller]
    fn move_by(&self, label: &str, mean: &Tensor, variance: &Tensor, share: &Tensor) -> bool {
        let g = self.mean.graph();
        if g.is_assigned(&self.mean) {
            g.mistake(
                label,
                "is applied twice while training, and cannot take the running statistics of both: use two layers, or one \
                 without running statistics",
            );
            return false;
        }
        let shape = self.mean.shape();
        g.assign(&self.mean, &(&self.mean + (mean.reshape(&shape) - &self.mean) * share));
        g.assign(&self.variance, &(&self.variance + (variance.reshape(&shape) - &self.variance) * share));
        true
    }
}

#[track_caller]
fn buffer(g: &Graph, name: String, ty: TensorType, value: f64) -> Tensor {
    g.variable(Variable { name, ty, role: Role::Buffer, initial: Initial::Constant(value) })
}
