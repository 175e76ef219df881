//! Normalisations.

use super::pool::root;
use super::wide::{wide, wide_input, wide_optional};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::keepdim;
use crate::ops::{PoolAxis, WindowAxis};
use crate::tensor::{DType, Shape};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("BatchNormalization", batch_normalization),
    ("GroupNormalization", group_normalization),
    ("InstanceNormalization", instance_normalization),
    ("LayerNormalization", layer_normalization),
    ("LpNormalization", lp_normalization),
    ("LRN", local_response_normalization),
    ("MeanVarianceNormalization", mean_variance_normalization),
    ("RMSNormalization", rms_normalization),
    ("SimplifiedLayerNormalization", rms_normalization),
    ("com.microsoft::LayerNormalization", layer_normalization),
    ("com.microsoft::SkipLayerNormalization", skip_layer_normalization),
    ("com.microsoft::SkipSimplifiedLayerNormalization", skip_layer_normalization),
];

/// Mean and variance over axes, which stay with an extent of 1.
fn statistics(x: &Tensor, axes: &[isize]) -> (Tensor, Tensor) {
    let mean = x.mean(keepdim(axes));
    let variance = (x - &mean).square().mean(keepdim(axes));
    (mean, variance)
}

/// An input of one value a channel (or of any such shape), which broadcasts to activations whose second axis is the channels.
fn channelwise(node: &Node<'_>, input: usize, wanted: &[usize], rank: usize) -> Result<Tensor> {
    let values = wide(&node.input(input)?);
    if values.shape().dims() != wanted {
        return Err(node.error(format!("input {input} should be {wanted:?}, not {}", values.shape())));
    }
    let dims = std::iter::once(1).chain(wanted.iter().copied()).chain(std::iter::repeat(1)).take(rank);
    Ok(values.reshape(dims.collect::<Vec<usize>>()))
}

/// Extents of `[n, channels, …]`.
fn channels(node: &Node<'_>, x: &Tensor) -> Result<usize> {
    let shape = x.shape();
    shape.get(1).copied().ok_or_else(|| node.error(format!("wants [n, channels, …], not {shape}")))
}

/// With the statistics of inputs, or in training with those of the batch, of which running ones are updated.
fn batch_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (shape, opset) = (x.shape(), node.opset());
    let (channels, rank) = (channels(node, &x)?, shape.rank());
    let spatial = opset >= 9 || node.flag("spatial", true)?;
    // Without `spatial`, each position of each channel has values of its own.
    let wanted = if spatial { vec![channels] } else { shape.iter().skip(1).copied().collect() };
    let training = match opset {
        14.. => node.flag("training_mode", false)?,
        7..14 => node.wants(1) || node.wants(2),
        _ => !node.flag("is_test", false)? && (node.wants(1) || node.wants(2)),
    };
    let (eps, momentum) = (node.float("epsilon", 1e-5)?, node.float("momentum", 0.9)?);
    let per = |input: usize| channelwise(node, input, &wanted, rank);
    let (scale, bias, mean, variance) = (per(1)?, per(2)?, per(3)?, per(4)?);
    if !training {
        let y = (&x - &mean) * (scale * (variance + eps).rsqrt()) + bias;
        return Ok(vec![y.cast(dtype).into()]);
    }
    let axes: Vec<usize> = (0..rank).filter(|&axis| axis == 0 || spatial && axis > 1).collect();
    let batch = x.standardized(&axes, eps, true, Some((&scale, &bias)));
    node.check()?;
    let count = shape.len() / batch.mean.shape().len().max(1);
    let own = batch.squares * (1.0 / count.max(1) as f64);
    let running = |old: &Tensor, new: &Tensor| {
        let value = old.reshape(new.shape()) * momentum + new.stop_gradient() * (1.0 - momentum);
        value.reshape(wanted.as_slice())
    };
    let mut outputs = vec![batch.values.cast(dtype)];
    for (index, value) in [(3, running(&mean, &batch.mean)), (4, running(&variance, &own))] {
        outputs.push(value.cast(node.input(index)?.dtype()));
    }
    if opset < 14 {
        for (index, value) in [(3, &batch.mean), (4, &own)] {
            outputs.push(value.reshape(wanted.as_slice()).cast(node.input(index)?.dtype()));
        }
    }
    Ok(outputs.into_iter().map(Value::from).collect())
}

fn instance_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (channels, rank) = (channels(node, &x)?, x.rank());
    let (scale, bias) = (channelwise(node, 1, &[channels], rank)?, channelwise(node, 2, &[channels], rank)?);
    let axes: Vec<usize> = (2..rank).collect();
    let standard = x.standardized(&axes, node.float("epsilon", 1e-5)?, true, None).values;
    Ok(vec![(standard * scale + bias).cast(dtype).into()])
}

/// Before opset 21, scale and bias were those of the groups.
fn group_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (channels, shape) = (channels(node, &x)?, x.shape());
    let groups = usize::try_from(node.int("num_groups", 0)?).unwrap_or(0);
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(node.error(format!("{channels} channels do not divide into {groups} groups")));
    }
    let batch = shape.first().copied().unwrap_or(0);
    let divided = [batch, groups, shape.len() / (batch * groups).max(1)];
    let standard = x.reshape(divided).standardized(&[2], node.float("epsilon", 1e-5)?, true, None).values;
    let y = if node.opset() < 21 {
        let (scale, bias) = (channelwise(node, 1, &[groups], 3)?, channelwise(node, 2, &[groups], 3)?);
        (standard * scale + bias).reshape(shape)
    } else {
        let rank = shape.rank();
        let (scale, bias) = (channelwise(node, 1, &[channels], rank)?, channelwise(node, 2, &[channels], rank)?);
        standard.reshape(shape) * scale + bias
    };
    Ok(vec![y.cast(dtype).into()])
}

/// The axes from one on.
fn axes_from(node: &Node<'_>, rank: usize) -> Result<Vec<usize>> {
    Ok((node.axis(node.int("axis", -1)?, rank)?..rank).collect())
}

/// An input that broadcasts to the shape.
fn fitting(node: &Node<'_>, input: usize, shape: &Shape) -> Result<Option<Tensor>> {
    match wide_optional(node, input)? {
        Some(values) if values.shape().broadcast(shape).as_ref() != Some(shape) => {
            Err(node.error(format!("input {input} of shape {} does not broadcast to {shape}", values.shape())))
        }
        values => Ok(values),
    }
}

/// The type of the statistics' inputs.
fn stash_type(node: &Node<'_>) -> Result<DType> {
    let number = i32::try_from(node.int("stash_type", 1)?).unwrap_or_default();
    crate::onnx::tensor::proto_dtype(number).map_err(|message| node.error(format!("stash_type: {message}")))
}

fn layer_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (scale, bias) = (fitting(node, 1, &x.shape())?, fitting(node, 2, &x.shape())?);
    let stash = stash_type(node)?;
    layer(node, &x, (scale, bias), dtype, stash)
}

/// The outputs: the values, and where they are wanted mean and reciprocal deviation.
fn layer(
    node: &Node<'_>,
    x: &Tensor,
    (scale, bias): (Option<Tensor>, Option<Tensor>),
    dtype: DType,
    stash: DType,
) -> Result<Vec<Value>> {
    let (axes, eps) = (axes_from(node, x.rank())?, node.float("epsilon", 1e-5)?);
    let standard = x.standardized(&axes, eps, true, None);
    node.check()?;
    let count = x.shape().len() / standard.mean.shape().len().max(1);
    let mut y = standard.values;
    if let Some(scale) = scale {
        y = y * scale;
    }
    if let Some(bias) = bias {
        y = y + bias;
    }
    let deviation = (standard.squares * (1.0 / count.max(1) as f64) + eps).rsqrt();
    Ok(vec![y.cast(dtype).into(), standard.mean.cast(stash).into(), deviation.cast(stash).into()])
}

fn rms_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let scale = fitting(node, 1, &x.shape())?;
    rms(node, &x, scale, dtype)
}

fn rms(node: &Node<'_>, x: &Tensor, scale: Option<Tensor>, dtype: DType) -> Result<Vec<Value>> {
    let (axes, eps) = (axes_from(node, x.rank())?, node.float("epsilon", 1e-5)?);
    let standard = x.standardized(&axes, eps, false, None);
    node.check()?;
    let count = x.shape().len() / standard.squares.shape().len().max(1);
    let deviation = (standard.squares * (1.0 / count.max(1) as f64) + eps).rsqrt();
    let y = if let Some(scale) = scale { standard.values * scale } else { standard.values };
    Ok(vec![y.cast(dtype).into(), deviation.into()])
}

/// The sum of two inputs and a bias, normalized along the last axis. The fourth output is the sum.
fn skip_layer_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let simplified = node.operator() == "SkipSimplifiedLayerNormalization";
    let (mut x, dtype) = wide_input(node, 0)?;
    let shape = x.shape();
    if let Some(skip) = fitting(node, 1, &shape)? {
        x = x + skip;
    }
    if let Some(bias) = fitting(node, if simplified { 3 } else { 4 }, &shape)? {
        x = x + bias;
    }
    let scale = fitting(node, 2, &shape)?;
    let normal = if simplified {
        rms(node, &x, scale, dtype)?
    } else {
        layer(node, &x, (scale, fitting(node, 3, &shape)?), dtype, DType::F32)?
    };
    let mut outputs = normal;
    outputs.truncate(1);
    outputs.extend([Value::None, Value::None, x.cast(dtype).into()]);
    Ok(outputs)
}

/// x / (bias + α / size · Σ x²)^β, summed over `size` channels around each.
fn local_response_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (channels, shape) = (channels(node, &x)?, x.shape());
    let size = usize::try_from(node.int("size", 0)?).unwrap_or(0);
    if size == 0 || size > 1 << 20 {
        return Err(node.error(format!("size is {size}, and must be from 1 to {}", 1 << 20)));
    }
    let (alpha, beta, bias) = (node.float("alpha", 1e-4)?, node.float("beta", 0.75)?, node.float("bias", 1.0)?);
    let batch = shape.first().copied().unwrap_or(0);
    let rest = shape.len() / (batch * channels).max(1);
    let window = WindowAxis { kernel: size, stride: 1, dilation: 1, low: (size - 1) / 2, high: size / 2 };
    let single = WindowAxis { kernel: 1, low: 0, high: 0, ..window };
    let axes: Result<Vec<PoolAxis>, String> = [(window, channels), (single, rest)]
        .map(|(window, extent)| PoolAxis::regular(window, extent, false))
        .into_iter()
        .collect();
    let axes = axes.map_err(|message| node.error(message))?;
    let sums = x.square().reshape([batch, 1, channels, rest]).pool_sums("local response", &axes).reshape(shape);
    Ok(vec![(x * (sums * (alpha / size as f64) + bias).pow(-beta)).cast(dtype).into()])
}

/// Divided by the norm along an axis. Where that is 0, so is the result.
fn lp_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let axis = node.axis(node.int("axis", -1)?, x.rank())? as isize;
    let power = node.int("p", 2)?;
    let powers = match power {
        1 => x.abs(),
        2 => x.square(),
        other => return Err(node.error(format!("p should be 1 or 2, not {other}"))),
    };
    let norm = root(&powers.sum(keepdim([axis])), power as f64);
    let some = norm.ne(0.0);
    let y = x * some.select(norm.reciprocal(), norm.zeros_like());
    Ok(vec![y.cast(dtype).into()])
}

fn mean_variance_normalization(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let axes = node.axes(node.ints("axes")?.unwrap_or(&[0, 2, 3]), x.rank())?;
    let axes: Vec<isize> = axes.into_iter().map(|axis| axis as isize).collect();
    let (mean, variance) = statistics(&x, &axes);
    Ok(vec![((x - mean) / (root(&variance, 2.0) + 1e-9)).cast(dtype).into()])
}
