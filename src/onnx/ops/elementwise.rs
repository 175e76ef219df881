//! Arithmetic and functions element by element.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::scalar::ScalarFunction as F;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Abs", |node| unary(node, F::Abs)),
    ("Add", |node| binary(node, F::Add)),
    ("Div", |node| binary(node, F::Div)),
    ("Exp", |node| unary(node, F::Exp)),
    ("Log", |node| unary(node, F::Log)),
    ("Mul", |node| binary(node, F::Mul)),
    ("Neg", |node| unary(node, F::Neg)),
    ("Reciprocal", |node| unary(node, F::Reciprocal)),
    ("Relu", relu),
    ("Sigmoid", |node| unary(node, F::Sigmoid)),
    ("Sqrt", |node| unary(node, F::Sqrt)),
    ("Sub", |node| binary(node, F::Sub)),
    ("Tanh", |node| unary(node, F::Tanh)),
];

/// One scalar function of the first input.
fn unary(node: &Node<'_>, function: F) -> Result<Vec<Value>> {
    Ok(vec![node.input(0)?.elementwise(function, &[]).into()])
}

/// One scalar function of two inputs, broadcast.
fn binary(node: &Node<'_>, function: F) -> Result<Vec<Value>> {
    let (left, right) = operands(node)?;
    Ok(vec![left.elementwise(function, &[&right]).into()])
}

/// Two inputs that broadcast by NumPy's rule. Before opset 7, the second one was aligned at an axis, and only where `broadcast`
/// said so.
pub(super) fn operands(node: &Node<'_>) -> Result<(Tensor, Tensor)> {
    let (left, right) = (node.input(0)?, node.input(1)?);
    if node.opset() >= 7 || !node.flag("broadcast", false)? {
        return Ok((left, right));
    }
    let (rank, own) = (left.rank(), right.rank());
    let start = match node.optional_int("axis")? {
        Some(axis) if axis < 0 || rank > 0 => node.axis(axis, rank)?,
        _ => rank.saturating_sub(own),
    };
    let Some(after) = rank.checked_sub(start + own) else {
        return Err(node.error(format!("shape {} does not fit {} from axis {start} on", right.shape(), left.shape())));
    };
    let shape = right.shape();
    let dims: Vec<usize> = shape.iter().copied().chain(std::iter::repeat_n(1, after)).collect();
    Ok((left, right.reshape(dims)))
}

fn relu(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    if x.dtype().is_float() {
        return Ok(vec![x.elementwise(F::Relu, &[]).into()]);
    }
    let zero = x.zeros_like();
    Ok(vec![x.elementwise(F::Maximum, &[&zero]).into()])
}
