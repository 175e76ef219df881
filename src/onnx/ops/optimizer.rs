//! ONNX's preview of optimizers, as updates of tensors that are inputs and outputs.

use super::wide::wide;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("ai.onnx.preview.training::Adagrad", |node| updates(node, 3, adagrad)),
    ("ai.onnx.preview.training::Adam", |node| updates(node, 4, adam)),
    ("ai.onnx.preview.training::Momentum", |node| updates(node, 3, momentum)),
];

/// Learning rate and number of updates before this one.
struct Schedule {
    rate: Tensor,
    count: Tensor,
}

/// One rule for each tensor, with its gradient and its states: the tensor and its states as they become. Inputs list first
/// all tensors, then all gradients, then each kind of state; outputs too.
fn updates(
    node: &Node<'_>,
    kinds: usize,
    rule: fn(&Node<'_>, &Schedule, &[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<Vec<Value>> {
    let inputs = node.input_count().saturating_sub(2);
    if inputs == 0 || !inputs.is_multiple_of(kinds) {
        return Err(node.error(format!("wants a rate, a count, and {kinds} lists of tensors, not {inputs} tensors")));
    }
    let (rate, count) = (wide(&node.input(0)?), node.input(1)?);
    if rate.shape().len() != 1 || count.shape().len() != 1 {
        return Err(node.error("rate and count should be one number each"));
    }
    let schedule = Schedule { count: count.reshape([]).cast(rate.dtype()), rate: rate.reshape([]) };
    let tensors = inputs / kinds;
    let mut outputs = vec![Value::None; tensors * (kinds - 1)];
    for tensor in 0..tensors {
        let of = |kind: usize| node.input(2 + kind * tensors + tensor);
        let own = (0..kinds).map(of).collect::<Result<Vec<Tensor>>>()?;
        let dtype = own.first().map(Tensor::dtype);
        if let Some(other) = own.iter().find(|other| Some(other.shape()) != own.first().map(Tensor::shape)) {
            return Err(
                node.error(format!("gradients and states should be of their tensor's shape, not {}", other.shape()))
            );
        }
        let own: Vec<Tensor> = own.iter().map(wide).collect();
        for (kind, value) in rule(node, &schedule, &own)?.into_iter().enumerate() {
            if let (Some(output), Some(dtype)) = (outputs.get_mut(kind * tensors + tensor), dtype) {
                *output = value.cast(dtype).into();
            }
        }
    }
    Ok(outputs)
}

/// The gradient with that of the penalty.
fn regularized(node: &Node<'_>, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let coefficient = node.float("norm_coefficient", 0.0)?;
    Ok(if coefficient == 0.0 { gradient.clone() } else { x * coefficient + gradient })
}

fn adagrad(node: &Node<'_>, schedule: &Schedule, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
    let [x, gradient, squares] = tensors else { return Err(node.error("wants three tensors")) };
    let rate = &schedule.rate / (&schedule.count * node.float("decay_factor", 0.0)? + 1.0);
    let gradient = regularized(node, x, gradient)?;
    let squares = squares + gradient.square();
    let next = x - rate * gradient / (squares.sqrt() + node.float("epsilon", 1e-6)?);
    Ok(vec![next, squares])
}

fn adam(node: &Node<'_>, schedule: &Schedule, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
    let [x, gradient, mean, squares] = tensors else { return Err(node.error("wants four tensors")) };
    let (alpha, beta) = (node.float("alpha", 0.9)?, node.float("beta", 0.999)?);
    let gradient = regularized(node, x, gradient)?;
    let mean = mean * alpha + &gradient * (1.0 - alpha);
    let squares = squares * beta + gradient.square() * (1.0 - beta);
    let left = |factor: f64| 1.0 - (&schedule.count * factor.ln()).exp();
    // No correction before the first update.
    let first = schedule.count.le(0.0);
    let correction = first.select(schedule.count.ones_like(), left(beta).sqrt() / left(alpha));
    let next = x - &schedule.rate * correction * &mean / (squares.sqrt() + node.float("epsilon", 1e-6)?);
    let decayed = next * (1.0 - node.float("norm_coefficient_post", 0.0)?);
    Ok(vec![decayed, mean, squares])
}

fn momentum(node: &Node<'_>, schedule: &Schedule, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
    let [x, gradient, velocity] = tensors else { return Err(node.error("wants three tensors")) };
    let (alpha, beta) = (node.float("alpha", 0.9)?, node.float("beta", 1.0)?);
    let gradient = regularized(node, x, gradient)?;
    let share = schedule.count.gt(0.0).select(schedule.count.filled_like(beta), schedule.count.ones_like());
    let velocity = velocity * alpha + share * &gradient;
    let step = match node.string("mode", "standard")? {
        "standard" => velocity.clone(),
        "nesterov" => gradient + &velocity * alpha,
        other => return Err(node.error(format!("mode should be standard or nesterov, not {other:?}"))),
    };
    Ok(vec![x - &schedule.rate * step, velocity])
}
