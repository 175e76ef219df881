//! Attention, as products and softmax, and what belongs to it.

use super::wide::{wide, wide_input, wide_optional};
use super::{Handler, Node, Value as OnnxValue};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::{AttentionOptions, Score, ScoreDefinition, keepdim};
use crate::scalar::Value;
use crate::tensor::{DType, Shape};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("Attention", attention), ("RotaryEmbedding", rotary_embedding)];

/// A positive number of heads.
pub(super) fn heads(node: &Node<'_>, name: &str) -> Result<usize> {
    let heads = node.int(name, 0)?;
    usize::try_from(heads)
        .ok()
        .filter(|&heads| heads > 0)
        .ok_or_else(|| node.error(format!("wants {name} of at least 1, not {heads}")))
}

/// `[batch, length, heads · size]` as `[batch, heads, length, size]`.
pub(super) fn split_heads(node: &Node<'_>, x: &Tensor, heads: usize) -> Result<Tensor> {
    let shape = x.shape();
    match shape.dims() {
        &[batch, length, width] if width.is_multiple_of(heads) => {
            Ok(x.reshape([batch, length, heads, width / heads]).permute(&[0, 2, 1, 3]))
        }
        _ => Err(node.error(format!("{shape} does not divide into {heads} heads"))),
    }
}

/// `[batch, heads, length, size]` as `[batch, length, heads · size]`.
pub(super) fn join_heads(x: &Tensor) -> Tensor {
    match x.shape().dims() {
        &[batch, heads, length, size] => x.permute(&[0, 2, 1, 3]).reshape([batch, length, heads * size]),
        _ => x.clone(),
    }
}

/// Each head repeated `times` times, one after the other: `[batch, heads, …]` to `[batch, heads · times, …]`.
pub(super) fn repeat_heads(x: &Tensor, times: usize) -> Tensor {
    match x.shape().dims() {
        &[batch, heads, length, size] if times > 1 => x
            .reshape([batch, heads, 1, length, size])
            .broadcast_to([batch, heads, times, length, size])
            .reshape([batch, heads * times, length, size]),
        _ => x.clone(),
    }
}

/// A softmax along the last axis. Rows in which nothing is allowed are 0.
fn masked_softmax(scores: &Tensor) -> Tensor {
    let most = scores.max(keepdim([-1])).stop_gradient();
    let none = most.eq(f64::NEG_INFINITY);
    let shifted = (scores - &none.select(most.zeros_like(), &most)).exp();
    let sums = shifted.sum(keepdim([-1]));
    let sums = sums.eq(0.0).select(sums.ones_like(), &sums);
    shifted / sums
}

/// What the queries may see of the keys: as a score with its buffers, and as tensors `[…, queries, keys]`, where they may and what is
/// added to their scores.
struct Mask {
    score: Score,
    buffers: Vec<Tensor>,
    allowed: Option<Tensor>,
    added: Option<Tensor>,
}

impl Mask {
    fn restrict(&mut self, allowed: Tensor, score: &Score) {
        self.allowed = Some(match self.allowed.take() {
            Some(earlier) => earlier.logical_and(allowed),
            None => allowed,
        });
        self.score = self.score.and(score);
    }

    /// The attention of queries to keys with values.
    fn attend(&self, [q, k, v]: [&Tensor; 3], scale: f64, softcap: f64) -> Tensor {
        let capped = if softcap > 0.0 { Score::soft_cap(softcap) } else { Score::plain() };
        let buffers: Vec<&Tensor> = self.buffers.iter().collect();
        let options = AttentionOptions {
            scale: Some(scale),
            score: capped.and(&self.score),
            buffers: &buffers,
            bias: self.added.as_ref(),
            ..AttentionOptions::default()
        };
        q.scaled_dot_product_attention(k, v, &options)
    }

    /// True where everything may be attended to.
    fn is_open(&self) -> bool {
        self.allowed.is_none() && self.added.is_none()
    }

    /// The scores with everything that is masked at −∞.
    fn applied(&self, scores: &Tensor) -> Tensor {
        let mut scores = scores.clone();
        if let Some(added) = &self.added {
            scores = scores + added;
        }
        match &self.allowed {
            Some(allowed) => {
                let never = scores.filled_like(f64::NEG_INFINITY);
                allowed.select(&scores, never)
            }
            None => scores,
        }
    }
}

/// Lengths that the mask depends on.
struct Lengths {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    past: usize,
}

/// The mask of the input `attn_mask`, of causality, windows, and of keys that are only padding.
fn mask(node: &Node<'_>, lengths: &Lengths) -> Result<Mask> {
    let Lengths { batch, heads, queries, keys, past } = *lengths;
    let mut result = Mask { score: Score::plain(), buffers: Vec::new(), allowed: None, added: None };
    if let Some(mask) = node.optional(3)? {
        let shape = mask.shape();
        let rank = shape.rank();
        let last = shape.last().copied().unwrap_or(1);
        let truths = mask.dtype() == DType::Bool;
        // A mask may end early: what follows is masked.
        let missing = if last == 1 { 0 } else { keys.saturating_sub(last) };
        let mut low_high = vec![0; rank];
        if let Some(end) = low_high.last_mut() {
            *end = missing;
        }
        let low = vec![0; rank];
        let whole: Shape = [batch, heads, queries, keys].into();
        let padded =
            |tensor: &Tensor, value: f64| if missing > 0 { tensor.pad(&low, &low_high, value) } else { tensor.clone() };
        let mask =
            if truths { padded(&mask.cast(DType::I32), 0.0).ne(0) } else { padded(&wide(&mask), f64::NEG_INFINITY) };
        node.check()?;
        if mask.shape().broadcast(&whole).as_ref() != Some(&whole) {
            return Err(node.error(format!("a mask of shape {shape} does not broadcast to {whole}")));
        }
        if truths {
            let own = ScoreDefinition::new("mask").integers(["mask"]).mask(|s| s.buffer("mask").not_equal(0))?;
            result.buffers.push(mask.cast(DType::I32));
            result.restrict(mask, &own);
        } else {
            result.added = Some(mask);
        }
    }
    let graph = node.graph();
    let key = graph.coordinate([1, 1, 1, keys], 3);
    let nonpad = match node.optional(6)? {
        Some(nonpad) if nonpad.shape().dims() != [batch] => {
            return Err(node.error(format!("nonpad_kv_seqlen should be [{batch}], not {}", nonpad.shape())));
        }
        Some(nonpad) => Some(nonpad.cast(DType::I32).reshape([batch, 1, 1, 1])),
        None => None,
    };
    // Where each query stands among the keys.
    let own = graph.coordinate([1, 1, queries, 1], 2);
    let position = match &nonpad {
        Some(nonpad) => own + (nonpad - queries as i32),
        None => own + past as i32,
    };
    // A query's position among the keys, where the number of keys that are no padding decides on it: that is a buffer of every part.
    let shifted = nonpad.as_ref().map(|nonpad| nonpad - queries as i32);
    let mut restrict = |allowed: Tensor, name: &str, write: &dyn for<'b> Fn(Value<'b>, Value<'b>) -> Value<'b>| {
        let definition = ScoreDefinition::new(name);
        let score = match &shifted {
            Some(shift) => {
                result.buffers.push(shift.clone());
                definition.integers(["first"]).mask(|s| write(s.key(), s.query() + s.buffer("first")))?
            }
            None => definition.mask(|s| write(s.key(), s.query() + past as i32))?,
        };
        result.restrict(allowed, &score);
        Ok::<(), Error>(())
    };
    if node.flag("is_causal", false)? {
        restrict(key.le(&position), "causal", &|key, position| key.less_equal(position))?;
    }
    for (name, left) in [("left_window_size", true), ("right_window_size", false)] {
        let size = node.int(name, -1)?;
        let Ok(size) = i32::try_from(size) else { return Err(node.error(format!("{name} is {size}"))) };
        if size < -1 {
            return Err(node.error(format!("{name} is {size}, and must be at least -1")));
        }
        if size >= 0 && left {
            restrict(key.ge(&position - size), "window", &|key, position| key.greater_equal(position - size))?;
        } else if size >= 0 {
            restrict(key.le(&position + size), "window", &|key, position| key.less_equal(position + size))?;
        }
    }
    if let Some(nonpad) = &nonpad {
        result.buffers.push(nonpad.clone());
        let own = ScoreDefinition::new("lengths").integers(["lengths"]).mask(|s| s.key().less(s.buffer("lengths")))?;
        result.restrict(key.lt(nonpad), &own);
    }
    Ok(result)
}

fn attention(node: &Node<'_>) -> Result<Vec<OnnxValue>> {
    let ((mut q, dtype), (mut k, _), (mut v, _)) = (wide_input(node, 0)?, wide_input(node, 1)?, wide_input(node, 2)?);
    let packed = q.rank() == 3;
    if packed {
        let (queries, keys) = (heads(node, "q_num_heads")?, heads(node, "kv_num_heads")?);
        q = split_heads(node, &q, queries)?;
        (k, v) = (split_heads(node, &k, keys)?, split_heads(node, &v, keys)?);
    }
    let mut past = 0;
    if let (Some(past_key), Some(past_value)) = (wide_optional(node, 4)?, wide_optional(node, 5)?) {
        past = past_key.shape().get(2).copied().unwrap_or(0);
        (k, v) = (node.graph().concat(&[&past_key, &k], 2), node.graph().concat(&[&past_value, &v], 2));
    }
    node.check()?;
    let (shape, key, value) = (q.shape(), k.shape(), v.shape());
    let (&[batch, q_heads, queries, size], &[_, kv_heads, keys, _]) = (shape.dims(), key.dims()) else {
        return Err(node.error(format!("takes queries and keys of three or four dimensions, not {shape} and {key}")));
    };
    let fits = key.dims() == [batch, kv_heads, keys, size]
        && value.rank() == 4
        && value.dims().starts_with(&[batch, kv_heads, keys])
        && kv_heads > 0
        && q_heads.is_multiple_of(kv_heads);
    if !fits {
        return Err(node.error(format!("queries {shape}, keys {key} and values {value} do not fit")));
    }
    let present = [k.cast(node.input(1)?.dtype()), v.cast(node.input(2)?.dtype())];
    let scale = node.float("scale", 1.0 / (size.max(1) as f64).sqrt())?;
    let softcap = node.float("softcap", 0.0)?;
    let mask = mask(node, &Lengths { batch, heads: q_heads, queries, keys, past })?;
    let y = mask.attend([&q, &k, &v], scale, softcap);
    node.check()?;
    // The matrix of scores or weights, for models that ask for it.
    let k = repeat_heads(&k, q_heads / kv_heads);
    let raw = (&q * scale).matmul(&k.transpose(-1, -2));
    let capped = if softcap > 0.0 { (&raw * (1.0 / softcap)).tanh() * softcap } else { raw.clone() };
    let scores = mask.applied(&capped);
    let shown = match node.int("qk_matmul_output_mode", 0)? {
        0 => raw,
        1 => capped,
        2 => scores,
        3 if mask.is_open() => scores.softmax(-1),
        3 => masked_softmax(&scores),
        other => return Err(node.error(format!("qk_matmul_output_mode should be 0 to 3, not {other}"))),
    };
    node.check()?;
    let y = if packed { join_heads(&y) } else { y };
    let [present_key, present_value] = present;
    Ok(vec![y.cast(dtype).into(), present_key.into(), present_value.into(), shown.cast(dtype).into()])
}

/// Pairs of elements rotated by angles, whose cosines and sines are inputs for each position.
fn rotary_embedding(node: &Node<'_>) -> Result<Vec<OnnxValue>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (mut cos, mut sin) = (wide(&node.input(1)?), wide(&node.input(2)?));
    if let Some(positions) = node.optional(3)? {
        let positions = positions.cast(DType::I32);
        (cos, sin) = (cos.take(0, &positions), sin.take(0, &positions));
    }
    let packed = x.rank() == 3;
    // `[batch, heads, length, size]`
    let x = if packed { split_heads(node, &x, heads(node, "num_heads")?)? } else { x };
    node.check()?;
    let shape = x.shape();
    let &[batch, _, length, size] = shape.dims() else {
        return Err(node.error(format!("takes three or four dimensions, not {shape}")));
    };
    let rotated = match usize::try_from(node.int("rotary_embedding_dim", 0)?) {
        Ok(0) => size,
        Ok(rotated) if rotated <= size => rotated,
        _ => return Err(node.error(format!("rotary_embedding_dim does not fit a size of {size}"))),
    };
    let half = rotated / 2;
    if !rotated.is_multiple_of(2) || [&cos, &sin].iter().any(|cache| cache.shape().dims() != [batch, length, half]) {
        return Err(node.error(format!(
            "the angles of {shape} should be [{batch}, {length}, {half}], not {} and {}",
            cos.shape(),
            sin.shape()
        )));
    }
    let (cos, sin) = (cos.unsqueeze(1), sin.unsqueeze(1));
    let (part, rest) = (x.slice(3, 0, rotated), x.slice(3, rotated, size));
    let interleaved = node.flag("interleaved", false)?;
    let (first, second) = if interleaved {
        let pairs: Vec<usize> = shape.iter().take(3).copied().chain([half, 2]).collect();
        let pairs = part.reshape(pairs);
        (pairs.at(4, 0), pairs.at(4, 1))
    } else {
        (part.slice(3, 0, half), part.slice(3, half, rotated))
    };
    let real = &cos * &first - &sin * &second;
    let imaginary = &sin * &first + &cos * &second;
    let graph = node.graph();
    let part = if interleaved {
        graph.stack(&[&real, &imaginary], 4).reshape(part.shape())
    } else {
        graph.concat(&[&real, &imaginary], 3)
    };
    let y = if rotated < size { graph.concat(&[&part, &rest], 3) } else { part };
    let y = if packed { join_heads(&y) } else { y };
    Ok(vec![y.cast(dtype).into()])
}
