//! Attention whose scores and shares the model changes by graphs of its own (Dong et al. 2024, FlexAttention).

use super::attention::repeat_heads;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::onnx::tensor::proto_dtype;
use crate::ops::AttentionOptions;
use crate::tensor::DType;

pub(super) const OPERATORS: &[(&str, Handler)] = &[("ai.onnx.preview::FlexAttention", flex_attention)];

/// What the graph in an attribute makes of a tensor; the tensor itself, where there is no such graph.
fn modified(node: &Node<'_>, name: &str, x: Tensor) -> Result<Tensor> {
    if !node.has_attribute(name) {
        return Ok(x);
    }
    let results = node.run(node.subgraph(name)?, vec![x.clone().into()])?;
    let [result] = &results[..] else {
        return Err(node.error(format!("{name} should have one output, not {}", results.len())));
    };
    let result = node.importer.tensor(result).map_err(|message| node.error(format!("{name}: {message}")))?;
    node.check()?;
    if result.ty() != x.ty() {
        return Err(node.error(format!("{name} should keep {}, and gives {}", x.ty(), result.ty())));
    }
    Ok(result)
}

fn flex_attention(node: &Node<'_>) -> Result<Vec<Value>> {
    let (q, k, v) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let (shape, key, value) = (q.shape(), k.shape(), v.shape());
    let unfit = || node.error(format!("queries {shape}, keys {key} and values {value} do not fit"));
    let (&[batch, q_heads, _, size], &[_, kv_heads, keys, _]) = (shape.dims(), key.dims()) else {
        return Err(unfit());
    };
    let fits = key.dims() == [batch, kv_heads, keys, size]
        && value.rank() == 4
        && value.dims().starts_with(&[batch, kv_heads, keys])
        && kv_heads > 0
        && q_heads.is_multiple_of(kv_heads);
    if !fits || !q.dtype().is_float() {
        return Err(unfit());
    }
    let precision = match node.optional_int("softmax_precision")? {
        Some(number) => proto_dtype(i32::try_from(number).unwrap_or_default())
            .ok()
            .filter(|dtype| dtype.is_float())
            .ok_or_else(|| node.error(format!("softmax_precision {number} is no type of floats")))?,
        None if q.dtype() == DType::F64 => DType::F64,
        None => DType::F32,
    };
    let scale = node.float("scale", 1.0 / (size.max(1) as f64).sqrt())?;
    if !["score_mod", "prob_mod"].iter().any(|name| node.has_attribute(name))
        && [k.dtype(), v.dtype(), precision] == [q.dtype(); 3]
    {
        let options = AttentionOptions { scale: Some(scale), ..AttentionOptions::default() };
        return Ok(vec![q.scaled_dot_product_attention(&k, &v, &options).into()]);
    }
    let (k, v_dtype) = (repeat_heads(&k, q_heads / kv_heads), v.dtype());
    let v = repeat_heads(&v, q_heads / kv_heads);
    // The product in the wider of both types, so that no bit is lost before the precision that is asked for.
    let wide = if q.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
    let scores = (q.cast(wide) * scale).matmul(&k.cast(wide).transpose(-1, -2)).cast(precision);
    let scores = modified(node, "score_mod", scores)?;
    let shares = modified(node, "prob_mod", scores.softmax(-1))?;
    Ok(vec![shares.matmul(&v.cast(precision)).cast(v_dtype).into()])
}
