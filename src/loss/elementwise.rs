//! Losses whose value is one for each element of a prediction, with a target beside each.

use super::targets::Numbers;
use super::{Reduction, aligned};
use crate::graph::Tensor;

/// What such a loss is; [`elementwise`] makes it a [`Loss`](super::Loss).
pub(super) trait Elementwise {
    /// As that of the tensor's method.
    const NAME: &'static str;
    /// What targets it takes.
    const TARGETS: Numbers;
    /// Above which score a binary prediction is taken for class 1.
    const THRESHOLD: Option<f64> = None;

    /// The losses of the single elements, where prediction and target are alike.
    #[track_caller]
    fn each(&self, x: &Tensor, y: &Tensor) -> Tensor;

    #[track_caller]
    fn mean(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
        self.reduce(prediction, &aligned(prediction, target), Reduction::Mean)
    }

    #[track_caller]
    fn reduce(&self, prediction: &Tensor, target: &Tensor, reduction: Reduction) -> Tensor {
        if let Some(complaint) = unlike(prediction, target) {
            return prediction.graph().mistake(Self::NAME, complaint);
        }
        reduction.of(&self.each(prediction, target))
    }
}

/// What is wrong with a pair that should be of one shape and one float type: broadcasting would hide a mistake.
fn unlike(prediction: &Tensor, target: &Tensor) -> Option<String> {
    if prediction.graph().error().is_some() {
        return None; // whatever follows from a mistake is none of its own
    }
    let (left, right) = (prediction.ty(), target.ty());
    if left.shape != right.shape {
        return Some(format!("the prediction is {}, the target {}; they must be alike", left.shape, right.shape));
    }
    if left.dtype != right.dtype || !left.dtype.is_float() {
        return Some(format!(
            "wants a prediction and a target of one float type, not {} and {}; cast them",
            left.dtype, right.dtype
        ));
    }
    None
}

/// Makes losses of what is [`Elementwise`].
macro_rules! elementwise {
    ($($loss:ident)*) => {$(
        impl super::Loss for $loss {
            fn name(&self) -> &str {
                <Self as super::elementwise::Elementwise>::NAME
            }

            #[track_caller]
            fn forward(&self, prediction: &Tensor, target: &Tensor) -> Tensor {
                super::elementwise::Elementwise::mean(self, prediction, target)
            }

            #[track_caller]
            fn reduced(&self, prediction: &Tensor, target: &Tensor, reduction: super::Reduction) -> Tensor {
                super::elementwise::Elementwise::reduce(self, prediction, target, reduction)
            }

            fn check_targets(
                &self,
                _: &crate::tensor::Shape,
                targets: &crate::tensor::TensorData,
            ) -> crate::error::Result<()> {
                <Self as super::elementwise::Elementwise>::TARGETS.check(super::Loss::name(self), targets)
            }

            fn threshold(&self) -> Option<f64> {
                <Self as super::elementwise::Elementwise>::THRESHOLD
            }
        }
    )*};
}

pub(super) use elementwise;
