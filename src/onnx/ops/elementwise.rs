//! Arithmetic and functions element by element.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::scalar::ScalarFunction as F;
use crate::tensor::{DType, Shape};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Abs", |node| unary(node, F::Abs)),
    ("Acos", |node| unary(node, F::Acos)),
    ("Acosh", |node| unary(node, F::Acosh)),
    ("Add", |node| binary(node, F::Add)),
    ("Asin", |node| unary(node, F::Asin)),
    ("Asinh", |node| unary(node, F::Asinh)),
    ("Atan", |node| unary(node, F::Atan)),
    ("Atanh", |node| unary(node, F::Atanh)),
    ("Ceil", |node| unary(node, F::Ceil)),
    ("Clip", clip),
    ("Cos", |node| unary(node, F::Cos)),
    ("Cosh", |node| unary(node, F::Cosh)),
    ("Div", |node| binary(node, F::Div)),
    ("Erf", erf),
    ("Exp", |node| unary(node, F::Exp)),
    ("Floor", |node| unary(node, F::Floor)),
    ("Log", |node| unary(node, F::Log)),
    ("Max", |node| several(node, F::Maximum)),
    ("Mean", mean),
    ("Min", |node| several(node, F::Minimum)),
    ("Mod", modulo),
    ("Mul", |node| binary(node, F::Mul)),
    ("Neg", |node| unary(node, F::Neg)),
    ("Reciprocal", |node| unary(node, F::Reciprocal)),
    ("Relu", relu),
    ("Round", |node| unary(node, F::Round)),
    ("Sigmoid", |node| unary(node, F::Sigmoid)),
    ("Sign", |node| unary(node, F::Sign)),
    ("Sin", |node| unary(node, F::Sin)),
    ("Sinh", |node| unary(node, F::Sinh)),
    ("Sqrt", |node| unary(node, F::Sqrt)),
    ("Sub", |node| binary(node, F::Sub)),
    ("Sum", |node| several(node, F::Add)),
    ("Tan", |node| unary(node, F::Tan)),
    ("Tanh", |node| unary(node, F::Tanh)),
];

/// Work on tensors whose type is for storage alone (uint8) done in i32, whose lower bits are returned.
pub(super) fn by_i32(tensors: &[&Tensor], work: impl FnOnce(&[Tensor]) -> Tensor) -> Tensor {
    let stored = tensors.iter().any(|tensor| tensor.dtype() == DType::U8);
    let cast = |tensor: &&Tensor| if stored { tensor.cast(DType::I32) } else { (*tensor).clone() };
    let done = work(&tensors.iter().map(cast).collect::<Vec<Tensor>>());
    if stored { done.cast(DType::U8) } else { done }
}

/// Work of several steps, done in f32 where the type has 16 bits: it is rounded once, at the end.
pub(super) fn by_f32(x: &Tensor, work: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    match x.dtype() {
        dtype @ (DType::F16 | DType::BF16) => work(&x.cast(DType::F32)).cast(dtype),
        _ => work(x),
    }
}

/// The shape to which all of them broadcast.
pub(super) fn broadcast(node: &Node<'_>, tensors: &[&Tensor]) -> Result<Shape> {
    let mut shape = Shape::scalar();
    for tensor in tensors {
        let Some(common) = shape.broadcast(&tensor.shape()) else {
            let shapes: Vec<String> = tensors.iter().map(|tensor| tensor.shape().to_string()).collect();
            return Err(node.error(format!("shapes {} do not broadcast", shapes.join(", "))));
        };
        shape = common;
    }
    Ok(shape)
}

/// One scalar function of the first input.
fn unary(node: &Node<'_>, function: F) -> Result<Vec<Value>> {
    Ok(vec![by_i32(&[&node.input(0)?], |x| x[0].elementwise(function, &[])).into()])
}

/// One scalar function of two inputs, broadcast.
fn binary(node: &Node<'_>, function: F) -> Result<Vec<Value>> {
    let (left, right) = operands(node)?;
    Ok(vec![by_i32(&[&left, &right], |both| both[0].elementwise(function, &[&both[1]])).into()])
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

/// All inputs, at least one, under one function after the other.
fn several(node: &Node<'_>, function: F) -> Result<Vec<Value>> {
    let tensors = node.all_inputs()?;
    let references: Vec<&Tensor> = tensors.iter().collect();
    let Some(first) = references.first() else { return Err(node.error("wants at least one input")) };
    if let Some(other) = references.iter().find(|tensor| tensor.dtype() != first.dtype()) {
        return Err(node.error(format!("its inputs are of {} and {}", first.dtype(), other.dtype())));
    }
    broadcast(node, &references)?;
    let fold = |all: &[Tensor]| {
        let joined = all.iter().cloned().reduce(|left, right| left.elementwise(function, &[&right]));
        joined.unwrap_or_else(|| (*first).clone())
    };
    Ok(vec![by_i32(&references, fold).into()])
}

fn mean(node: &Node<'_>) -> Result<Vec<Value>> {
    let tensors = node.all_inputs()?;
    broadcast(node, &tensors.iter().collect::<Vec<_>>())?;
    let Some(first) = tensors.first() else { return Err(node.error("wants at least one input")) };
    let (dtype, count) = (first.dtype(), tensors.len() as f64);
    if !dtype.is_float() {
        return Err(node.error(format!("wants floats, not {dtype}")));
    }
    let wide = if dtype == DType::F64 { dtype } else { DType::F32 };
    let sum = tensors.iter().map(|tensor| tensor.cast(wide)).reduce(|left, right| left + right);
    Ok(vec![sum.map_or_else(|| first.clone(), |sum| sum * (1.0 / count)).cast(dtype).into()])
}

fn relu(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    if x.dtype().is_float() {
        return Ok(vec![x.elementwise(F::Relu, &[]).into()]);
    }
    let zero = x.zeros_like();
    Ok(vec![x.elementwise(F::Maximum, &[&zero]).into()])
}

/// The error function, of integers too.
fn erf(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    if x.dtype().is_float() {
        return Ok(vec![x.erf().into()]);
    }
    Ok(vec![x.cast(DType::F32).erf().cast(x.dtype()).into()])
}

/// The first input clamped to two bounds: attributes before opset 11, inputs since. At a bound no gradient flows, as in PyTorch.
/// Where the lower bound is above the upper one, the upper one is the result.
fn clip(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let bound = |input: usize, name: &str| -> Result<Option<Tensor>> {
        if node.opset() >= 11 {
            return node.optional(input);
        }
        Ok(node.optional_float(name)?.map(|value| node.graph().scalar(x.dtype(), value)))
    };
    let (low, high) = (bound(1, "min")?, bound(2, "max")?);
    for bound in [&low, &high].into_iter().flatten() {
        if bound.ty().len() != 1 || bound.dtype() != x.dtype() {
            return Err(node.error(format!("a bound should be one number of {}, not {}", x.dtype(), bound.ty())));
        }
    }
    let all: Vec<&Tensor> = std::iter::once(&x).chain(&low).chain(&high).collect();
    let clipped = by_i32(&all, |all| {
        let mut value = all[0].clone();
        let mut bounds = all[1..].iter().map(|bound| bound.reshape([]));
        if let Some(low) = low.as_ref().and_then(|_| bounds.next()) {
            value = value.le(&low).select(&low, &value);
        }
        if let Some(high) = bounds.next() {
            value = value.ge(&high).select(&high, &value);
        }
        value
    });
    Ok(vec![clipped.into()])
}

/// The rest of a division: with the divisor's sign, or with the dividend's where `fmod` asks for C's.
fn modulo(node: &Node<'_>) -> Result<Vec<Value>> {
    let (left, right) = operands(node)?;
    let c = node.flag("fmod", false)?;
    let rest = |both: &[Tensor]| {
        let (left, right) = (&both[0], &both[1]);
        if c { left.elementwise(F::Rem, &[right]) } else { left.floor_rem(right) }
    };
    Ok(vec![by_i32(&[&left, &right], rest).into()])
}

#[cfg(test)]
mod tests {
    use crate::device::Device;
    use crate::graph::Graph;
    use crate::tensor::{DType, TensorData};

    #[test]
    fn sixteen_bits_are_rounded_once() {
        let graph = Graph::new();
        let x = graph.input("x", [1], DType::F16);
        graph.output("y", &super::by_f32(&x, |x| x * 3.0 + 1e-4 - x * 3.0));
        let x = TensorData::from_f64(DType::F16, &[100.0], [1]).unwrap();
        let y = graph.compile(&Device::cpu()).unwrap().run(&[("x", &x)]).unwrap()["y"].to_f64_vec();
        assert!((y[0] - 1e-4).abs() < 5e-5, "{y:?}");
    }
}
