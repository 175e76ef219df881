//! Operators of `ai.onnx.ml` on features: picked ones, and ones converted to 0 and 1.

use super::index::indices;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::tensor::DType;

pub(super) const OPERATORS: &[(&str, Handler)] =
    &[("ai.onnx.ml::ArrayFeatureExtractor", extract), ("ai.onnx.ml::Binarizer", binarize)];

/// Elements of the last axis. A vector counts as a matrix of one row.
fn extract(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    let Some(&extent) = shape.last() else { return Err(node.error("takes an array, not a scalar")) };
    let index = indices(node, 1, extent)?.flatten(0);
    let picked = x.take(-1, &index);
    Ok(vec![if shape.rank() == 1 { picked.unsqueeze(0) } else { picked }.into()])
}

/// 1 where an element is above the threshold.
fn binarize(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let threshold = node.float("threshold", 0.0)?;
    let above = if x.dtype().is_float() {
        x.gt(threshold)
    } else {
        // An integer is above any number exactly where it is above the number's floor.
        let (low, high) = if x.dtype() == DType::I64 { (-TWO_63, TWO_63) } else { (-TWO_31, TWO_31) };
        match threshold.floor() {
            floor if floor < low => x.eq(&x),
            floor if floor < high => x.gt(node.graph().scalar(x.dtype(), floor)),
            // NaN too: nothing is above it.
            _ => x.ne(&x),
        }
    };
    Ok(vec![above.cast(x.dtype()).into()])
}

const TWO_31: f64 = 2_147_483_648.0;
const TWO_63: f64 = 9_223_372_036_854_775_808.0;
