//! Comparisons, truth values, choices and bits.

use super::elementwise::{broadcast, by_i32, operands};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::scalar::ScalarFunction as F;
use crate::tensor::DType;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("And", |node| compare(node, F::And)),
    ("BitShift", shift),
    ("BitwiseAnd", |node| bits(node, F::BitAnd)),
    ("BitwiseNot", bits_not),
    ("BitwiseOr", |node| bits(node, F::BitOr)),
    ("BitwiseXor", |node| bits(node, F::BitXor)),
    ("Equal", |node| compare(node, F::Equal)),
    ("Greater", |node| compare(node, F::Greater)),
    ("GreaterOrEqual", |node| compare(node, F::GreaterEqual)),
    ("IsInf", is_inf),
    ("IsNaN", |node| Ok(vec![node.input(0)?.elementwise(F::IsNan, &[]).into()])),
    ("Less", |node| compare(node, F::Less)),
    ("LessOrEqual", |node| compare(node, F::LessEqual)),
    ("Not", |node| Ok(vec![node.input(0)?.elementwise(F::Not, &[]).into()])),
    ("Or", |node| compare(node, F::Or)),
    ("Where", choose),
    ("Xor", |node| compare(node, F::Xor)),
];

/// A tensor in a type that is compared and computed with: pixels as i32, which holds them all.
fn comparable(tensor: Tensor) -> Tensor {
    if tensor.dtype() == DType::U8 { tensor.cast(DType::I32) } else { tensor }
}

/// A truth value of two inputs, broadcast.
fn compare(node: &Node<'_>, function: F) -> Result<Vec<Value>> {
    let (left, right) = operands(node)?;
    Ok(vec![comparable(left).elementwise(function, &[&comparable(right)]).into()])
}

/// Two integers bit by bit, broadcast.
fn bits(node: &Node<'_>, function: F) -> Result<Vec<Value>> {
    let (left, right) = operands(node)?;
    Ok(vec![by_i32(&[&left, &right], |both| both[0].elementwise(function, &[&both[1]])).into()])
}

fn bits_not(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    // −1 − x for signed types, and the same distance from the largest for the others.
    let all = match x.dtype() {
        DType::U32 => f64::from(u32::MAX),
        DType::U8 => f64::from(u8::MAX),
        _ => -1.0,
    };
    Ok(vec![by_i32(&[&x], |x| x[0].bitwise_xor(all)).into()])
}

/// Bits moved by the numbers in the second input. What leaves the type is gone, all of it where the number is negative or as large
/// as the type; signed numbers are filled up with their sign.
fn shift(node: &Node<'_>) -> Result<Vec<Value>> {
    let left = match node.optional_string("direction")? {
        Some("LEFT") => true,
        Some("RIGHT") => false,
        other => return Err(node.error(format!("its direction should be LEFT or RIGHT, not {other:?}"))),
    };
    let (x, y) = operands(node)?;
    let bits = 8.0 * x.dtype().size() as f64;
    let moved = by_i32(&[&x, &y], |both| {
        let (x, y) = (&both[0], &both[1]);
        let width = 8.0 * x.dtype().size() as f64;
        let step = |x: &Tensor, y: &Tensor| if left { x.shift_left(y) } else { x.shift_right(y) };
        // In steps below 32, as a GPU's integers have 32 bits whatever they stand for.
        let mut rest = y.clone();
        let mut value = x.clone();
        for _ in 0..(width / 31.0).ceil() as usize {
            let part = rest.minimum(31);
            value = step(&value, &part);
            rest = rest - part;
        }
        let beyond = y.lt(0).logical_or(y.ge(bits));
        let nothing = if left || x.dtype() == DType::U32 {
            x.zeros_like()
        } else {
            x.lt(0).select(x.filled_like(-1.0), x.zeros_like())
        };
        beyond.select(nothing, value)
    });
    Ok(vec![moved.into()])
}

/// Where the first input is infinite, on the sides that are asked for.
fn is_inf(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let infinite = x.elementwise(F::IsInf, &[]);
    Ok(vec![
        match (node.flag("detect_negative", true)?, node.flag("detect_positive", true)?) {
            (true, true) => infinite,
            (true, false) => infinite.logical_and(x.lt(0.0)),
            (false, true) => infinite.logical_and(x.gt(0.0)),
            (false, false) => infinite.zeros_like(),
        }
        .into(),
    ])
}

/// Elements of the second input where the first is true, of the third elsewhere, all three broadcast.
fn choose(node: &Node<'_>) -> Result<Vec<Value>> {
    let condition = node.input(0)?;
    let (a, b) = (node.input(1)?, node.input(2)?);
    broadcast(node, &[&condition, &a, &b])?;
    if a.dtype() != b.dtype() {
        return Err(node.error(format!("its values are of {} and {}", a.dtype(), b.dtype())));
    }
    Ok(vec![by_i32(&[&a, &b], |both| condition.elementwise(F::Select, &[&both[0], &both[1]])).into()])
}
