//! Products that ONNX Runtime fuses when it optimizes a model.

use super::wide::wide_input;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Handler)] =
    &[("com.microsoft::FusedMatMul", matmul), ("com.microsoft::TransposeMatMul", matmul)];

/// `alpha · A · B`. With `transBatch`, an operand is `[m, b…, k]`: its batch stands behind its rows.
fn matmul(node: &Node<'_>) -> Result<Vec<Value>> {
    let operand = |input: usize, transposed: &str, batch: &str| -> Result<(Tensor, crate::tensor::DType)> {
        let (mut x, dtype) = wide_input(node, input)?;
        let rank = x.rank();
        if node.flag(batch, false)? && rank > 2 {
            // The rows come first: [m, b…, k] to [b…, m, k].
            let order: Vec<usize> = (1..rank - 1).chain([0, rank - 1]).collect();
            x = x.permute(&order);
        }
        if node.flag(transposed, false)? && rank > 1 {
            x = x.transpose(-1, -2);
        }
        Ok((x, dtype))
    };
    let ((a, dtype), (b, _)) = (operand(0, "transA", "transBatchA")?, operand(1, "transB", "transBatchB")?);
    let alpha = node.float("alpha", 1.0)?;
    let product = a.matmul(&b);
    let scaled = if alpha == 1.0 { product } else { product * alpha };
    Ok(vec![scaled.cast(dtype).into()])
}
