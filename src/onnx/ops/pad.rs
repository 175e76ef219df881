//! Borders: of one value, or of the tensor's own elements. Negative widths take elements away.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::PaddingMode;
use crate::tensor::{DType, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("Pad", pad)];

fn pad(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let rank = x.rank();
    let by_input = node.opset() >= 11;
    let widths = if by_input { node.host_ints(1)? } else { node.ints("pads")?.unwrap_or_default().to_vec() };
    let axes = match node.optional_ints(3)? {
        Some(axes) if by_input => node.axes(&axes, rank)?,
        _ => (0..rank).collect(),
    };
    if widths.len() != 2 * axes.len() {
        return Err(node.error(format!("{} axes have two widths each, not {widths:?}", axes.len())));
    }
    let (lows, highs) = widths.split_at(axes.len());
    let (mut low, mut high) = (vec![0; rank], vec![0; rank]);
    for ((axis, before), after) in axes.into_iter().zip(lows).zip(highs) {
        if let (Some(low), Some(high)) = (low.get_mut(axis), high.get_mut(axis)) {
            (*low, *high) = (*before, *after);
        }
    }
    let mode = match node.string("mode", "constant")? {
        "constant" => None,
        "reflect" => Some(PaddingMode::Reflect),
        "edge" => Some(PaddingMode::Replicate),
        "wrap" => Some(PaddingMode::Circular),
        other => return Err(node.error(format!("its mode should be constant, reflect, edge or wrap, not {other:?}"))),
    };
    let x = crop(node, &x, &low, &high)?;
    let width = |width: i64| width.max(0) as u64;
    let (low, high): (Vec<u64>, Vec<u64>) =
        (low.into_iter().map(width).collect(), high.into_iter().map(width).collect());
    let dims: Vec<i64> = (x.shape().iter().zip(&low).zip(&high))
        .map(|((&extent, &low), &high)| {
            i64::try_from((extent as u64).saturating_add(low).saturating_add(high)).unwrap_or(i64::MAX)
        })
        .collect();
    node.extents(&dims)?;
    let small = |widths: Vec<u64>| -> Vec<usize> { widths.into_iter().map(|width| width as usize).collect() };
    let (low, high) = (small(low), small(high));
    Ok(vec![match mode {
        Some(mode) => own_elements(node, &x, &low, &high, mode)?.into(),
        None => constant(node, &x, &low, &high, by_input)?.into(),
    }])
}

/// The tensor without as many elements at each end as negative widths say.
fn crop(node: &Node<'_>, x: &Tensor, low: &[i64], high: &[i64]) -> Result<Tensor> {
    let shape = x.shape();
    let (mut starts, mut lengths) = (Vec::new(), Vec::new());
    for ((&extent, &low), &high) in shape.iter().zip(low).zip(high) {
        let fewer = |width: i64| width.min(0).unsigned_abs();
        let left = (extent as u64).checked_sub(fewer(low).saturating_add(fewer(high)));
        let Some(left) = left else {
            return Err(node.error(format!("widths {low} and {high} take more than {extent} elements away")));
        };
        starts.push(if left == 0 { 0 } else { fewer(low) as usize });
        lengths.push(left as usize);
    }
    Ok(x.slice_steps(&starts, &lengths, &vec![1; shape.rank()]))
}

/// A border of one value, which may be a parameter.
fn constant(node: &Node<'_>, x: &Tensor, low: &[usize], high: &[usize], by_input: bool) -> Result<Tensor> {
    if !by_input {
        return Ok(x.pad(low, high, node.float("value", 0.0)?));
    }
    if !node.has(2) {
        return Ok(x.pad(low, high, 0.0));
    }
    if node.ty(2)?.len() != 1 || node.ty(2)?.dtype != x.dtype() {
        return Err(node.error(format!("its value should be one number of {}, not {}", x.dtype(), node.ty(2)?)));
    }
    // Numbers beyond 2⁵³ are no f64.
    if node.is_constant(2)
        && let [value] = node.host_floats(2)?[..]
        && (x.dtype().is_float() || value.abs() < 9e15)
    {
        return Ok(x.pad(low, high, value));
    }
    let value = node.input(2)?.reshape([]);
    let inside = node.graph().scalar(DType::Bool, 1.0).broadcast_to(x.shape()).pad(low, high, 0.0);
    Ok(inside.select(x.pad(low, high, 0.0), value))
}

/// A border of the tensor's own elements, which may go back and forth, or round, several times.
fn own_elements(node: &Node<'_>, x: &Tensor, low: &[usize], high: &[usize], mode: PaddingMode) -> Result<Tensor> {
    let mut padded = x.clone();
    for (axis, (&low, &high)) in low.iter().zip(high).enumerate() {
        let extent = padded.shape().get(axis).copied().unwrap_or(0);
        if low == 0 && high == 0 {
            continue;
        }
        if extent == 0 {
            return Err(node.error(format!("axis {axis} of shape {} has no elements to pad with", x.shape())));
        }
        let once = match mode {
            PaddingMode::Reflect => extent - 1,
            PaddingMode::Circular => extent,
            _ => usize::MAX,
        };
        if low.max(high) <= once {
            let rank = x.rank();
            let along = |width: usize| (0..rank).map(|k| if k == axis { width } else { 0 }).collect::<Vec<_>>();
            padded = padded.pad_with(&along(low), &along(high), mode);
            continue;
        }
        let source = |k: usize| match mode {
            // Back and forth has a period of 2 (extent − 1); that of one element is itself.
            PaddingMode::Reflect => {
                let period = (2 * (extent - 1)).max(1);
                let position = (k + period - low % period) % period;
                position.min(period - position)
            }
            _ => (k + extent - low % extent) % extent,
        };
        let sources: Vec<i32> = (0..low + extent + high).map(|k| source(k).min(extent - 1) as i32).collect();
        let index = node.graph().constant(TensorData::from_slice(&sources, [sources.len()])?);
        padded = padded.take(axis as isize, &index);
    }
    Ok(padded)
}
