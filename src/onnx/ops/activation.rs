//! Activations.

use super::wide::{wide, wide_input};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Celu", |node| one(node, |node, x| Ok(x.celu(node.float("alpha", 1.0)?)))),
    ("Elu", |node| one(node, |node, x| Ok(x.elu(node.float("alpha", 1.0)?)))),
    ("Gelu", |node| one(node, gelu)),
    ("HardSigmoid", |node| one(node, hard_sigmoid)),
    ("HardSwish", |node| one(node, |_, x| Ok(x.hard_swish()))),
    ("LeakyRelu", |node| one(node, |node, x| Ok(x.leaky_relu(node.float("alpha", 0.01)?)))),
    ("Mish", |node| one(node, |_, x| Ok(x.mish()))),
    ("PRelu", prelu),
    ("Selu", |node| one(node, selu)),
    ("Shrink", |node| one(node, shrink)),
    ("Softplus", |node| one(node, |_, x| Ok(x.softplus()))),
    ("Softsign", |node| one(node, |_, x| Ok(x.softsign()))),
    ("SwiGLU", swiglu),
    ("Swish", |node| one(node, swish)),
    ("ThresholdedRelu", |node| one(node, thresholded_relu)),
    ("com.microsoft::BiasGelu", |node| biased(node, |x| x.gelu())),
    ("com.microsoft::FastGelu", |node| biased(node, |x| x.gelu_tanh())),
    ("com.microsoft::Gelu", |node| one(node, |_, x| Ok(x.gelu()))),
    ("com.microsoft::QuickGelu", |node| one(node, quick_gelu)),
];

/// One formula for the first input.
fn one(node: &Node<'_>, formula: fn(&Node<'_>, &Tensor) -> Result<Tensor>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    Ok(vec![formula(node, &x)?.cast(dtype).into()])
}

/// One formula for the sum of the first input and, where there is one, a bias.
fn biased(node: &Node<'_>, formula: fn(&Tensor) -> Tensor) -> Result<Vec<Value>> {
    let (mut x, dtype) = wide_input(node, 0)?;
    if let Some(bias) = node.optional(1)? {
        x = x + wide(&bias);
    }
    Ok(vec![formula(&x).cast(dtype).into()])
}

fn gelu(node: &Node<'_>, x: &Tensor) -> Result<Tensor> {
    match node.string("approximate", "none")? {
        "none" => Ok(x.gelu()),
        "tanh" => Ok(x.gelu_tanh()),
        other => Err(node.error(format!("approximate should be none or tanh, not {other:?}"))),
    }
}

fn hard_sigmoid(node: &Node<'_>, x: &Tensor) -> Result<Tensor> {
    Ok((x * node.float("alpha", 0.2)? + node.float("beta", 0.5)?).clamp(0.0, 1.0))
}

fn selu(node: &Node<'_>, x: &Tensor) -> Result<Tensor> {
    let alpha = node.float("alpha", 1.673_263_192_176_818_8)?;
    Ok(x.elu(alpha) * node.float("gamma", 1.050_701_022_148_132_3)?)
}

/// Values within the threshold become 0; others move toward it by the bias.
fn shrink(node: &Node<'_>, x: &Tensor) -> Result<Tensor> {
    let (threshold, bias) = (node.float("lambd", 0.5)?, node.float("bias", 0.0)?);
    let zero = x.zeros_like();
    // NaN is neither below nor within.
    let above = x.le(threshold).select(&zero, x - bias);
    Ok(x.lt(-threshold).select(x + bias, above))
}

fn swish(node: &Node<'_>, x: &Tensor) -> Result<Tensor> {
    scaled_swish(x, node.float("alpha", 1.0)?)
}

fn quick_gelu(node: &Node<'_>, x: &Tensor) -> Result<Tensor> {
    scaled_swish(x, node.float("alpha", 1.702)?)
}

/// x · sigmoid(α · x)
fn scaled_swish(x: &Tensor, alpha: f64) -> Result<Tensor> {
    Ok(if alpha == 1.0 { x.silu() } else { x * (x * alpha).sigmoid() })
}

fn swiglu(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((gate, dtype), (linear, _)) = (wide_input(node, 0)?, wide_input(node, 1)?);
    if gate.shape() != linear.shape() {
        return Err(node.error(format!(
            "a gate {} and values {} should be equally many",
            gate.shape(),
            linear.shape()
        )));
    }
    Ok(vec![(swish(node, &gate)? * linear).cast(dtype).into()])
}

fn thresholded_relu(node: &Node<'_>, x: &Tensor) -> Result<Tensor> {
    Ok(x.le(node.float("alpha", 1.0)?).select(x.zeros_like(), x))
}

/// The slope broadcasts to the input. Before opset 7, its numbers were those of the channels.
fn prelu(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, mut slope) = (node.input(0)?, node.input(1)?);
    let shape = x.shape();
    if node.opset() < 7 && slope.rank() == 1 && slope.shape().len() > 1 && shape.rank() > 1 {
        let dims = (0..shape.rank()).map(|axis| if axis == 1 { slope.shape().len() } else { 1 });
        slope = slope.reshape(dims.collect::<Vec<usize>>());
    }
    if slope.shape().broadcast(&shape).as_ref() != Some(&shape) {
        return Err(node.error(format!("a slope of shape {} does not broadcast to {shape}", slope.shape())));
    }
    let zero = node.graph().scalar(x.dtype(), 0.0);
    // At 0 the gradient is the slope, as in PyTorch.
    Ok(vec![x.gt(&zero).select(&x, &x * &slope).into()])
}
