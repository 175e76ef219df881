//! Tensors that follow from few values: ranges, diagonals, random draws.
//!
//! Random numbers come from the engine's generator: a function of the session's seed, the draw's position in the graph, the element
//! and the step. A `seed` attribute is not used: a run repeats under the session's.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::onnx::tensor::proto_dtype;
use crate::tensor::{DType, Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Bernoulli", bernoulli),
    ("EyeLike", eye),
    ("Multinomial", multinomial),
    ("RandomNormal", |node| random(node, false, normal)),
    ("RandomNormalLike", |node| random(node, true, normal)),
    ("RandomUniform", |node| random(node, false, uniform)),
    ("RandomUniformLike", |node| random(node, true, uniform)),
    ("Range", range),
];

/// Elements of a range that are written down; longer ones are computed in each run.
const LISTED: u64 = 65_536;

/// start, start + delta, …, up to, without, limit. All three are known, as they give the shape.
fn range(node: &Node<'_>) -> Result<Vec<Value>> {
    let dtype = node.ty(0)?.dtype;
    if node.ty(1)?.dtype != dtype || node.ty(2)?.dtype != dtype {
        return Err(node.error("start, limit and delta should be of one type"));
    }
    if dtype.is_float() {
        let (start, limit, delta) = (node.host_float(0)?, node.host_float(1)?, node.host_float(2)?);
        let count = ((limit - start) / delta).ceil();
        if !count.is_finite() || count > f64::from(i32::MAX) {
            return Err(node.error(format!("from {start} to {limit} in steps of {delta} there is no end")));
        }
        let count = count.max(0.0) as usize;
        if count as u64 <= LISTED {
            let values: Vec<f64> = (0..count).map(|k| start + k as f64 * delta).collect();
            return Ok(vec![node.constant(TensorData::from_f64(dtype, &values, [count])?)]);
        }
        let wide = if dtype == DType::F64 { dtype } else { DType::F32 };
        return Ok(vec![(node.graph().arange(count).cast(wide) * delta + start).cast(dtype).into()]);
    }
    let (start, limit, delta) = (node.host_int(0)?, node.host_int(1)?, node.host_int(2)?);
    if delta == 0 {
        return Err(node.error("a step of 0 leads nowhere"));
    }
    let upwards = if delta > 0 { limit > start } else { limit < start };
    let count = if upwards { limit.abs_diff(start).div_ceil(delta.unsigned_abs()) } else { 0 };
    let shape = node.extents(&[i64::try_from(count).unwrap_or(i64::MAX)])?;
    if count <= LISTED {
        let values: Vec<i64> = (0..count as i64).map(|k| start.wrapping_add(k.wrapping_mul(delta))).collect();
        return Ok(vec![node.constant(TensorData::from_vec(values, shape)?.cast(dtype)?)]);
    }
    let [start, delta] = [start, delta].map(|value| node.graph().constant(TensorData::scalar(value)));
    let steps = node.graph().arange(shape.len()).cast(DType::I64);
    Ok(vec![(steps * delta + start).cast(dtype).into()])
}

/// The type that an attribute names, if it is there.
fn named_dtype(node: &Node<'_>) -> Result<Option<DType>> {
    let Some(number) = node.optional_int("dtype")? else { return Ok(None) };
    let dtype = proto_dtype(i32::try_from(number).unwrap_or_default());
    dtype.map(Some).map_err(|message| node.error(format!("its result: {message}")))
}

/// Ones on a diagonal of a matrix of the input's shape.
fn eye(node: &Node<'_>) -> Result<Vec<Value>> {
    let ty = node.ty(0)?;
    if ty.shape.rank() != 2 {
        return Err(node.error(format!("wants a matrix, not shape {}", ty.shape)));
    }
    let dtype = named_dtype(node)?.unwrap_or(ty.dtype);
    // Beyond this there is no diagonal.
    let diagonal = node.int("k", 0)?.clamp(-(1 << 30), 1 << 30) as f64;
    let (row, column) = (node.graph().coordinate(&ty.shape, 0), node.graph().coordinate(&ty.shape, 1));
    Ok(vec![(column - row).eq(diagonal).cast(dtype).into()])
}

/// Floats drawn for a shape: that of an attribute, or the first input's, whose type holds where no other is named.
fn random(node: &Node<'_>, like: bool, draw: fn(&Node<'_>, &Shape) -> Result<Tensor>) -> Result<Vec<Value>> {
    let (shape, own) = if like {
        let ty = node.ty(0)?;
        (ty.shape, Some(ty.dtype))
    } else {
        (node.extents(node.ints("shape")?.ok_or_else(|| node.error("wants the attribute \"shape\""))?)?, None)
    };
    let dtype = named_dtype(node)?.or(own).unwrap_or(DType::F32);
    if !dtype.is_float() {
        return Err(node.error(format!("floats are drawn, not {dtype}")));
    }
    Ok(vec![draw(node, &shape)?.cast(dtype).into()])
}

fn normal(node: &Node<'_>, shape: &Shape) -> Result<Tensor> {
    Ok(node.graph().random_normal(shape, node.float("mean", 0.0)?, node.float("scale", 1.0)?))
}

fn uniform(node: &Node<'_>, shape: &Shape) -> Result<Tensor> {
    let (low, high) = (node.float("low", 0.0)?, node.float("high", 1.0)?);
    if low < high {
        Ok(node.graph().random_uniform(shape, low, high))
    } else {
        Err(node.error(format!("there is nothing between {low} and {high}")))
    }
}

/// 1 with the probability in the input, else 0.
fn bernoulli(node: &Node<'_>) -> Result<Vec<Value>> {
    let probability = node.input(0)?;
    let dtype = named_dtype(node)?.unwrap_or(probability.dtype());
    let drawn = node.graph().random_uniform(probability.shape(), 0.0, 1.0);
    Ok(vec![drawn.lt(probability.cast(DType::F32)).cast(dtype).into()])
}

/// Classes drawn by unnormalised log-probabilities `[batch, classes]`: how many of the running sums a uniform number has passed.
fn multinomial(node: &Node<'_>) -> Result<Vec<Value>> {
    let logits = node.input(0)?;
    let dtype = named_dtype(node)?.unwrap_or(DType::I32);
    let shape = logits.shape();
    let [batch, classes] = shape.dims() else {
        return Err(node.error(format!("wants [batch, classes], not {shape}")));
    };
    let samples = node.extents(&[node.int("sample_size", 1)?])?.len();
    if *classes == 0 {
        return Err(node.error("there is no class to draw"));
    }
    let sums = logits.cast(DType::F32).softmax(-1).cumulative_sum(-1).unsqueeze(1);
    let drawn = node.graph().random_uniform([*batch, samples], 0.0, 1.0).unsqueeze(-1);
    node.check()?;
    let passed = drawn.ge(&sums).cast(DType::I32).sum([-1]).minimum((classes - 1) as f64);
    Ok(vec![passed.cast(dtype).into()])
}
