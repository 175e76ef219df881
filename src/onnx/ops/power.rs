//! Powers, whose two operands may be of different types: the result has the base's.

use super::elementwise::operands;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::DType;

pub(super) const OPERATORS: &[(&str, Handler)] = &[("Pow", power)];

fn power(node: &Node<'_>) -> Result<Vec<Value>> {
    let (base, exponent) = operands(node)?;
    let dtype = base.dtype();
    if dtype == DType::Bool || exponent.dtype() == DType::Bool {
        return Err(node.error("wants numbers, not truth values"));
    }
    // The exponent of a square or cube is nearly always a constant: products are exact, and cheaper.
    if node.is_constant(1)
        && let [exponent] = node.host_floats(1)?[..]
        && exponent.fract() == 0.0
        && (1.0..=4.0).contains(&exponent)
        && dtype != DType::U8
        && node.ty(1)?.shape.rank() <= base.rank()
    {
        let square = base.square();
        let value = match exponent as u32 {
            1 => base,
            2 => square,
            3 => square * &base,
            _ => square.square(),
        };
        return Ok(vec![value.into()]);
    }
    let value = match (dtype.is_float(), exponent.dtype().is_float()) {
        (true, _) => base.pow(exponent.cast(dtype)),
        (false, false) => integer_power(&base.cast(DType::I64), &exponent.cast(DType::I64)).cast(dtype),
        (false, true) => {
            let rounded = exponent.cast(DType::F64);
            let is_integer = rounded.floor().eq(&rounded).logical_and(rounded.abs().lt(2_147_483_648.0));
            let by_products = integer_power(&base.cast(DType::I64), &is_integer.select(&rounded, 0.0).cast(DType::I64));
            // What is not chosen is clamped to the range, lest a device notice that it is not.
            let power = is_integer.select(rounded.zeros_like(), base.cast(DType::F64).pow(&rounded));
            let by_logarithm = power.cast(DType::I64);
            is_integer.select(by_products, by_logarithm).cast(dtype)
        }
    };
    Ok(vec![value.into()])
}

/// Powers of i64, exact: products of the squares that the exponent's bits name. Those of a negative exponent are truncated, as
/// C's `pow` is.
fn integer_power(base: &Tensor, exponent: &Tensor) -> Tensor {
    let steps = exponent.maximum(0);
    let mut value = base.ones_like();
    let mut square = base.clone();
    // Beyond 2³¹ no power fits its type but those of 0, 1 and −1, for which the last bit alone counts. What is not needed is 1:
    // nothing leaves the range but what the result leaves.
    for bit in 0..31 {
        let left = steps.shift_right(bit);
        value = &value * left.bitwise_and(1).eq(1).select(&square, 1);
        square = left.gt(1).select(&square, 1).square();
    }
    let odd = exponent.bitwise_and(1).eq(1);
    let unit = base.abs().eq(1).select(odd.select(base, 1), 0);
    exponent.lt(0).select(unit, value)
}
