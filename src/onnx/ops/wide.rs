//! Floats of 16 bits, computed with in f32: convolutions, pools and recurrences know no others, and in longer formulas the
//! roundings between would add up.

use super::Node;
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::DType;

/// A tensor of f32 or f64: the tensor itself, if it is one.
pub(super) fn wide(x: &Tensor) -> Tensor {
    match x.dtype() {
        DType::F32 | DType::F64 => x.clone(),
        _ => x.cast(DType::F32),
    }
}

/// An input as [`wide`] gives it, and the type that results are to have.
pub(super) fn wide_input(node: &Node<'_>, input: usize) -> Result<(Tensor, DType)> {
    let x = node.input(input)?;
    Ok((wide(&x), x.dtype()))
}

/// An input that may be left out, as [`wide`] gives it.
pub(super) fn wide_optional(node: &Node<'_>, input: usize) -> Result<Option<Tensor>> {
    Ok(node.optional(input)?.as_ref().map(wide))
}
