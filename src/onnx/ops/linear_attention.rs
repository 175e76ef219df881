//! Linear attention: a state of keys times values that each step decays, corrects and reads, step after step.

use super::attention::{heads, join_heads, repeat_heads, split_heads};
use super::wide::{wide, wide_input, wide_optional};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Handler)] = &[("LinearAttention", linear_attention)];

/// `[batch, length, heads · size]`, or one value a head, as `[batch, heads, length, size or 1]`.
fn per_head(node: &Node<'_>, input: usize, like: &Tensor, heads: usize) -> Result<Option<Tensor>> {
    let Some(tensor) = wide_optional(node, input)? else { return Ok(None) };
    let (shape, wanted) = (tensor.shape(), like.shape());
    if shape.rank() != 3 || shape.iter().take(2).ne(wanted.iter().take(2)) {
        return Err(node.error(format!("input {input} of shape {shape} does not fit queries {wanted}")));
    }
    split_heads(node, &tensor, if shape.last() == Some(&1) { 1 } else { heads }).map(Some)
}

fn linear_attention(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((query, dtype), (key, _), (value, _)) = (wide_input(node, 0)?, wide_input(node, 1)?, wide_input(node, 2)?);
    let (queries, keys) = (heads(node, "q_num_heads")?, heads(node, "kv_num_heads")?);
    if !queries.is_multiple_of(keys) {
        return Err(node.error(format!("{queries} heads of queries are no multiple of {keys}")));
    }
    let (gated, delta) = match node.string("update_rule", "gated_delta")? {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(node.error(format!("update_rule {other:?} is not known"))),
    };
    let (decay, beta) = (per_head(node, 4, &query, keys)?, per_head(node, 5, &query, keys)?);
    if decay.is_some() != gated || beta.is_some() != delta {
        return Err(node.error("wants decay where it is gated and beta where it is delta, and not else"));
    }
    let (q, k, v) =
        (split_heads(node, &query, queries)?, split_heads(node, &key, keys)?, split_heads(node, &value, keys)?);
    let (shape, of_keys, of_values) = (q.shape(), k.shape(), v.shape());
    let (&[batch, _, steps, size], &[.., values]) = (shape.dims(), of_values.dims()) else {
        return Err(node.error(format!("queries {shape} and values {of_values} do not fit")));
    };
    if of_keys.dims() != [batch, keys, steps, size] || of_values.dims() != [batch, keys, steps, values] {
        return Err(node.error(format!("queries {shape}, keys {of_keys} and values {of_values} do not fit")));
    }
    let per_step = |tensor: &Option<Tensor>| -> bool {
        tensor.as_ref().is_none_or(|tensor| tensor.shape().last().is_some_and(|&last| last == 1 || last == size))
    };
    if !per_step(&decay) || beta.as_ref().is_some_and(|beta| beta.shape().last() != Some(&1)) {
        return Err(node.error("decay should have one value a head or one for each of its keys, and beta one a head"));
    }
    let wanted = [batch, keys, size, values];
    let (mut state, state_type) = match node.optional(3)? {
        Some(past) if past.shape().dims() != wanted => {
            return Err(node.error(format!("the state should be {wanted:?}, not {}", past.shape())));
        }
        Some(past) => (wide(&past), past.dtype()),
        None => (node.graph().scalar(q.dtype(), 0.0).broadcast_to(wanted), dtype),
    };
    let scale = match node.float("scale", 0.0)? {
        0.0 => 1.0 / (size.max(1) as f64).sqrt(),
        scale => scale,
    };
    let mut outputs = Vec::new();
    for step in 0..steps {
        let of = |tensor: &Tensor| tensor.at(2, step);
        // `[batch, heads, size, 1]` and `[batch, heads, 1, values]`
        let (k, mut v) = (of(&k).unsqueeze(-1), of(&v).unsqueeze(-2));
        if let Some(decay) = &decay {
            state = state * of(decay).exp().unsqueeze(-1);
        }
        if let Some(beta) = &beta {
            let known = k.transpose(-1, -2).matmul(&state);
            v = of(beta).unsqueeze(-1) * (v - known);
        }
        state = state + k * v;
        let read = of(&q).unsqueeze(-2).matmul(&repeat_heads(&state, queries / keys));
        outputs.push(read * scale);
        node.check()?;
    }
    let y = match &outputs[..] {
        [] => node.graph().scalar(q.dtype(), 0.0).broadcast_to([batch, queries, 0, values]),
        steps => node.graph().concat(&steps.iter().collect::<Vec<_>>(), 2),
    };
    Ok(vec![join_heads(&y).cast(dtype).into(), state.cast(state_type).into()])
}
