//! Softmax and its logarithm, dropout, and the losses of classification.

use super::wide::{wide, wide_input};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::loss::weighted_mean;
use crate::tensor::{DType, Shape};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Dropout", dropout),
    ("LogSoftmax", |node| normalized(node, Tensor::log_softmax)),
    ("NegativeLogLikelihoodLoss", negative_log_likelihood),
    ("Softmax", |node| normalized(node, Tensor::softmax)),
    ("SoftmaxCrossEntropyLoss", softmax_cross_entropy),
];

/// Along one axis; before opset 13, over all axes from one on.
fn normalized(node: &Node<'_>, function: fn(&Tensor, isize) -> Tensor) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (shape, legacy) = (x.shape(), node.opset() < 13);
    let named = node.int("axis", if legacy { 1 } else { -1 })?;
    let y = if !legacy {
        if shape.rank() == 0 {
            return Err(node.error("wants an axis, and a number has none"));
        }
        function(&x, node.axis(named, shape.rank())? as isize)
    } else {
        let at = if named == shape.rank() as i64 { shape.rank() } else { node.axis(named, shape.rank())? };
        let (before, after) = shape.split_at(at);
        let rows = x.reshape([before.iter().product(), after.iter().product()]);
        function(&rows, 1).reshape(shape)
    };
    Ok(vec![y.cast(dtype).into()])
}

/// The identity, unless it is to train: then some are 0, and the others grow by as much as is lost. The second output says which
/// are left.
fn dropout(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let opset = node.opset();
    let (ratio, training) = if opset < 12 {
        (node.float("ratio", 0.5)?, opset < 7 && !node.flag("is_test", false)?)
    } else {
        let training = node.has(2) && node.host_int(2)? != 0;
        let ratio = if training && node.has(1) { node.host_float(1)? } else { 0.5 };
        (ratio, training)
    };
    if !(0.0..1.0).contains(&ratio) {
        return Err(node.error(format!("ratio is {ratio}, and must be at least 0 and less than 1")));
    }
    // The mask was of the input's type before opset 10.
    let mask_type = if opset < 10 { x.dtype() } else { DType::Bool };
    if !training || ratio == 0.0 {
        let mask = node.graph().scalar(mask_type, 1.0).broadcast_to(x.shape());
        return Ok(vec![x.into(), mask.into()]);
    }
    let mask = node.graph().random_bernoulli(x.shape(), 1.0 - ratio);
    let y = (wide(&x) * (1.0 / (1.0 - ratio))).cast(x.dtype()) * mask.cast(x.dtype());
    Ok(vec![y.into(), mask.cast(mask_type).into()])
}

fn negative_log_likelihood(node: &Node<'_>) -> Result<Vec<Value>> {
    let (log_probabilities, dtype) = wide_input(node, 0)?;
    Ok(vec![loss(node, &log_probabilities)?.cast(dtype).into()])
}

fn softmax_cross_entropy(node: &Node<'_>) -> Result<Vec<Value>> {
    let (scores, dtype) = wide_input(node, 0)?;
    if scores.rank() < 2 {
        return Err(node.error(format!("scores should be [n, classes, …], not {}", scores.shape())));
    }
    let log_probabilities = scores.log_softmax(1);
    Ok(vec![loss(node, &log_probabilities)?.cast(dtype).into(), log_probabilities.cast(dtype).into()])
}

/// What the log-probabilities `[n, classes, …]` say against the labels `[n, …]` in the second input, weighted by the classes'
/// weights in the third one.
fn loss(node: &Node<'_>, log_probabilities: &Tensor) -> Result<Tensor> {
    let labels = node.input(1)?;
    let (shape, dims) = (log_probabilities.shape(), labels.shape());
    let (Some(&batch), Some(&classes)) = (shape.first(), shape.get(1)) else {
        return Err(node.error(format!("scores should be [n, classes, …], not {shape}")));
    };
    let wanted: Shape = std::iter::once(batch).chain(shape.iter().skip(2).copied()).collect();
    if dims != wanted || !labels.dtype().is_integer() {
        return Err(node.error(format!("labels for scores {shape} should be integers {wanted}, not {}", labels.ty())));
    }
    let labels = labels.cast(DType::I32);
    let ignored = match node.optional_int("ignore_index")? {
        Some(index) => i32::try_from(index).ok(),
        None => None,
    };
    let counted = ignored.map(|index| labels.ne(index));
    let counted_labels = match &counted {
        Some(counted) => counted.select(&labels, labels.zeros_like()),
        None => labels,
    };
    let picked = -log_probabilities.gather(1, &counted_labels.unsqueeze(1)).reshape(&wanted);
    let mut weights = match node.optional(2)? {
        Some(weight) if weight.shape().dims() != [classes] => {
            return Err(node.error(format!("{classes} classes should have as many weights, not {}", weight.shape())));
        }
        Some(weight) => Some(wide(&weight).take(0, &counted_labels)),
        None => None,
    };
    if let Some(counted) = &counted {
        let all = weights.unwrap_or_else(|| picked.ones_like());
        weights = Some(counted.select(&all, all.zeros_like()));
    }
    let losses = match (&weights, &counted) {
        // What is ignored counts nothing, be its score infinite.
        (Some(weights), Some(counted)) => counted.select(&picked * weights, picked.zeros_like()),
        (Some(weights), None) => &picked * weights,
        (None, _) => picked,
    };
    Ok(match (node.string("reduction", "mean")?, weights) {
        ("none", _) => losses,
        ("sum", _) => losses.sum_all(),
        ("mean", Some(weights)) => weighted_mean(&losses, &weights),
        ("mean", None) => losses.mean_all(),
        (other, _) => return Err(node.error(format!("reduction should be none, sum or mean, not {other:?}"))),
    })
}
