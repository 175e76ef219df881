//! Pools.

use super::wide::wide_input;
use super::window::{AutoPad, auto_pad, kernel, pads, sizes, windows};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::PoolAxis;
use crate::ops::keepdim;
use crate::tensor::{DType, Shape};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("AveragePool", average_pool),
    ("GlobalAveragePool", |node| global(node, |_, x, axes| Ok(x.mean(keepdim(axes))))),
    ("GlobalLpPool", |node| global(node, global_lp_pool)),
    ("GlobalMaxPool", |node| global(node, |_, x, axes| Ok(x.max(keepdim(axes))))),
    ("LpPool", lp_pool),
    ("MaxPool", max_pool),
    ("MaxUnpool", max_unpool),
];

/// The spatial extents of `[n, channels, spatial…]`.
fn spatial(node: &Node<'_>, x: &Tensor) -> Result<Vec<usize>> {
    let shape = x.shape();
    if !(3..=5).contains(&shape.rank()) {
        return Err(node.error(format!("wants [n, channels, spatial…] with one to three spatial axes, not {shape}")));
    }
    Ok(shape.iter().skip(2).copied().collect())
}

/// The windows along each spatial axis.
fn axes(node: &Node<'_>, x: &Tensor) -> Result<Vec<PoolAxis>> {
    let extents = spatial(node, x)?;
    let windows = windows(node, &kernel(node, extents.len())?, &extents)?;
    let ceil = node.flag("ceil_mode", false)? && auto_pad(node)? == AutoPad::Explicit;
    let axes = windows.into_iter().zip(extents).map(|(window, extent)| {
        if window.low.max(window.high) >= window.span() {
            return Err(node.error(format!(
                "pads {} and {} should be less than the kernel, which spans {}",
                window.low,
                window.high,
                window.span()
            )));
        }
        PoolAxis::regular(window, extent, ceil).map_err(|message| node.error(message))
    });
    axes.collect()
}

fn average_pool(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let axes = axes(node, &x)?;
    let sums = x.pool_sums("average pool", &axes);
    node.check()?;
    Ok(vec![sums.averaged(&axes, node.flag("count_include_pad", false)?, 1.0).cast(dtype).into()])
}

/// The power of a norm, which is 2 where nothing is said. It was a float once.
fn power(node: &Node<'_>) -> Result<f64> {
    let power = if node.opset() < 2 { node.float("p", 2.0)? } else { node.int("p", 2)? as f64 };
    if power > 0.0 { Ok(power) } else { Err(node.error(format!("p is {power}, and must be above 0"))) }
}

fn powered(x: &Tensor, power: f64) -> Tensor {
    match power {
        1.0 => x.abs(),
        2.0 => x.square(),
        _ => x.abs().pow(power),
    }
}

/// The root of a sum of powers. Its slope at 0 is infinite; 0 is taken there.
pub(super) fn root(sums: &Tensor, power: f64) -> Tensor {
    if power == 1.0 {
        return sums.clone();
    }
    let some = sums.gt(0.0);
    let safe = some.select(sums, sums.ones_like());
    let root = if power == 2.0 { safe.sqrt() } else { safe.pow(1.0 / power) };
    some.select(root, sums.zeros_like())
}

fn lp_pool(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let (axes, power) = (axes(node, &x)?, power(node)?);
    let sums = powered(&x, power).pool_sums("power pool", &axes);
    Ok(vec![root(&sums, power).cast(dtype).into()])
}

/// Over all axes but the first two, which stay with an extent of 1.
fn global(node: &Node<'_>, reduce: fn(&Node<'_>, &Tensor, &[isize]) -> Result<Tensor>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    if x.rank() < 3 {
        return Err(node.error(format!("wants [n, channels, spatial…], not {}", x.shape())));
    }
    let axes: Vec<isize> = (2..x.rank() as isize).collect();
    Ok(vec![reduce(node, &x, &axes)?.cast(dtype).into()])
}

fn global_lp_pool(node: &Node<'_>, x: &Tensor, axes: &[isize]) -> Result<Tensor> {
    let power = power(node)?;
    Ok(root(&powered(x, power).sum(keepdim(axes)), power))
}

/// The largest of each window, and its index in the whole tensor.
fn max_pool(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, dtype) = wide_input(node, 0)?;
    let axes = axes(node, &x)?;
    let (y, indices) = x.largest("max pool", axes.clone());
    node.check()?;
    let y = y.cast(dtype).into();
    if !node.wants(1) {
        return Ok(vec![y]);
    }
    let extents: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
    let indices = if node.flag("storage_order", false)? { column_major(&indices, &extents) } else { indices };
    let shape = x.shape();
    let (planes, plane) = (shape.iter().take(2).product::<usize>(), extents.iter().product::<usize>());
    let windows = indices.shape();
    let lines = indices.reshape([planes, windows.len() / planes.max(1)]);
    let whole = &lines + &(node.graph().coordinate([planes, 1], 0) * plane as i32);
    Ok(vec![y, whole.reshape(windows).cast(DType::I64).into()])
}

/// Row-major indices as those of the order in which the first axis is the fastest.
fn column_major(indices: &Tensor, extents: &[usize]) -> Tensor {
    let (mut rest, mut result) = (indices.clone(), indices.zeros_like());
    let mut below: usize = extents.iter().product();
    // From the last axis, which is the slowest, to the first.
    for &extent in extents.iter().rev() {
        below /= extent.max(1);
        let quotient = &rest / extent as i32;
        let coordinate = &rest - &(&quotient * extent as i32);
        result = result + coordinate * below as i32;
        rest = quotient;
    }
    result
}

/// The inverse of a max pool: each element at its index, zeros elsewhere.
fn max_unpool(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), indices) = (wide_input(node, 0)?, node.input(1)?);
    let extents = spatial(node, &x)?;
    if indices.shape() != x.shape() || !indices.dtype().is_integer() {
        return Err(node.error(format!("indices should be integers {}, not {}", x.shape(), indices.ty())));
    }
    let kernel = kernel(node, extents.len())?;
    let (strides, pads) = (sizes(node, "strides", extents.len(), 1, 1)?, pads(node, extents.len())?);
    let lead: Vec<usize> = x.shape().iter().take(2).copied().collect();
    let mut own: Vec<i64> = lead.iter().map(|&extent| extent as i64).collect();
    for (((&extent, kernel), stride), [low, high]) in extents.iter().zip(kernel).zip(strides).zip(pads) {
        let reach = extent.saturating_sub(1).saturating_mul(stride).saturating_add(kernel) as i64;
        own.push(reach - (low + high) as i64);
    }
    let own = node.extents(&own)?;
    let (flat, sources) = (indices.cast(DType::I32).reshape([x.shape().len()]), x.reshape([x.shape().len(), 1]));
    let zeros = node.graph().scalar(x.dtype(), 0.0).broadcast_to([own.len(), 1]);
    // Windows that overlap may have found the same element: then its value comes several times.
    let sums = zeros.scatter_rows(&flat, &sources);
    let times = zeros.scatter_rows(&flat, &sources.ones_like()).maximum(1.0);
    let mut y = (sums / times).reshape(&own);
    if let Some(wanted) = node.optional_ints(2)? {
        let wanted = Shape::from(node.counts(&wanted)?);
        if wanted.rank() != own.rank() || own.iter().zip(wanted.iter()).any(|(own, wanted)| own > wanted) {
            return Err(node.error(format!("output_shape {wanted} is too small for {own}")));
        }
        let more: Vec<usize> = wanted.iter().zip(own.iter()).map(|(wanted, own)| wanted - own).collect();
        y = y.pad(&vec![0; own.rank()], &more, 0.0);
    }
    Ok(vec![y.cast(dtype).into()])
}
