//! Gradients that a model asks for itself, from ONNX's preview of training.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Handler)] = &[("ai.onnx.preview.training::Gradient", gradient)];

/// The gradients of the value named `y` with respect to those named `xs`, at the point where the graph computes them.
fn gradient(node: &Node<'_>) -> Result<Vec<Value>> {
    let Some(xs) = node.strings("xs")? else { return Err(node.error("wants the attribute \"xs\"")) };
    let Some(name) = node.optional_string("y")? else { return Err(node.error("wants the attribute \"y\"")) };
    if !node.proto.input.iter().map(String::as_str).take(xs.len()).eq(xs.iter().copied()) {
        return Err(
            node.error(format!("gradients are supported where the graph computes {xs:?}, and not for other values"))
        );
    }
    let Some(y) = node.scope.find(name) else {
        return Err(node.error(format!("{name:?} is not computed before its gradient")));
    };
    let y = node.importer.tensor(y).map_err(|message| node.error(message))?;
    let xs = (0..xs.len()).map(|input| node.input(input)).collect::<Result<Vec<Tensor>>>()?;
    let gradients = node.graph().gradients(&y, &xs.iter().collect::<Vec<_>>());
    Ok(gradients.into_iter().map(Value::from).collect())
}
