//! Losses by name, between a model's first output and a batch's target. They treat shapes and types as PyTorch does.

use wgrad::graph::Tensor;
use wgrad::loss::{
    BinaryCrossEntropy, BinaryCrossEntropyWithLogits, CrossEntropyOptions, CrossEntropyWith, Hinge, Huber, KlDiv, L1,
    Loss, Mse, NllWith, custom,
};

use crate::failure::{Failure, Result};

/// A loss of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    Mse,
    L1,
    Huber,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CrossEntropy,
    Nll,
    KlDiv,
    Hinge,
}

/// The names: the engine's own, and PyTorch's short ones. Of δ = 1, Huber's loss and the smooth L1 loss are the same.
const NAMES: &[(&str, Objective)] = &[
    ("mse", Objective::Mse),
    ("l1", Objective::L1),
    ("smooth_l1", Objective::Huber),
    ("huber", Objective::Huber),
    ("cross_entropy", Objective::CrossEntropy),
    ("nll", Objective::Nll),
    ("bce", Objective::BinaryCrossEntropy),
    ("binary_cross_entropy", Objective::BinaryCrossEntropy),
    ("bce_with_logits", Objective::BinaryCrossEntropyWithLogits),
    ("binary_cross_entropy_with_logits", Objective::BinaryCrossEntropyWithLogits),
    ("kl_div", Objective::KlDiv),
    ("hinge", Objective::Hinge),
];

/// PyTorch's label of positions that do not count.
const IGNORED: i32 = -100;

impl Objective {
    /// The loss of a name. PyTorch's endings `_loss` may be there or not.
    pub fn find(name: &str) -> Result<Self> {
        let short = name.strip_suffix("_loss").unwrap_or(name);
        NAMES.iter().find(|(known, _)| *known == short).map(|(_, objective)| *objective).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Failure::new(format!("there is no loss {name:?}; there are {}", names.join(", ")))
        })
    }

    /// The loss, for a prediction and a target. Of class probabilities there is none by itself.
    pub fn loss(self, prediction: &Tensor, target: &Tensor) -> Box<dyn Loss> {
        match self {
            Self::Mse => Box::new(Mse),
            Self::L1 => Box::new(L1),
            Self::Huber => Box::new(Huber { delta: 1.0 }),
            Self::BinaryCrossEntropy => Box::new(BinaryCrossEntropy),
            Self::BinaryCrossEntropyWithLogits => Box::new(BinaryCrossEntropyWithLogits),
            Self::KlDiv => Box::new(KlDiv),
            Self::Hinge => Box::new(Hinge),
            Self::CrossEntropy if target.dtype().is_float() && target.shape() == prediction.shape() => {
                let axis = class_axis(prediction, None);
                Box::new(custom(move |x, y| soft_cross_entropy(x, y, axis)))
            }
            Self::CrossEntropy => Box::new(CrossEntropyWith(options(prediction, target))),
            Self::Nll => Box::new(NllWith(options(prediction, target))),
        }
    }
}

/// The axis of the classes: PyTorch's, which is the second, unless labels fit the last one alone.
fn class_axis(prediction: &Tensor, target: Option<&Tensor>) -> isize {
    let shape = prediction.shape();
    let without = |axis: usize| -> Vec<usize> {
        let others = shape.iter().enumerate().filter(|&(k, _)| k != axis);
        others.map(|(_, &extent)| extent).collect()
    };
    let last = shape.rank().saturating_sub(1);
    let second = last.min(1);
    match target.map(|target| target.shape().to_vec()) {
        Some(labels) if labels != without(second) && labels == without(last) => last as isize,
        _ => second as isize,
    }
}

fn options(prediction: &Tensor, target: &Tensor) -> CrossEntropyOptions {
    CrossEntropyOptions {
        class_axis: class_axis(prediction, Some(target)),
        ignore_index: Some(IGNORED),
        ..CrossEntropyOptions::default()
    }
}

/// −Σ p·log softmax(x) over the classes, of class probabilities p; the mean over all other positions.
fn soft_cross_entropy(prediction: &Tensor, target: &Tensor, axis: isize) -> Tensor {
    let losses = -(target.cast(prediction.dtype()) * prediction.log_softmax(axis)).sum([axis]);
    losses.mean_all()
}
