//! Elements in other places: transposes, slices, concatenation, picking by index.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::scalar::ScalarFunction as F;
use crate::tensor::{DType, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] =
    &[("Concat", concat), ("Expand", expand), ("Gather", gather), ("Slice", slice), ("Transpose", transpose)];

fn transpose(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let axes = match node.ints("perm")? {
        Some(axes) => node.axes(axes, x.rank())?,
        None => (0..x.rank()).rev().collect(),
    };
    Ok(vec![x.permute(&axes).into()])
}

fn concat(node: &Node<'_>) -> Result<Vec<Value>> {
    let tensors = node.all_inputs()?;
    let rank = tensors.first().map_or(0, Tensor::rank);
    let axis = node.axis(node.int("axis", 1)?, rank)?;
    let references: Vec<&Tensor> = tensors.iter().collect();
    Ok(vec![node.graph().concat(&references, axis as isize).into()])
}

fn expand(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, wanted) = (node.input(0)?, node.extents(&node.host_ints(1)?)?);
    match x.shape().broadcast(&wanted) {
        Some(shape) => Ok(vec![x.broadcast_to(shape).into()]),
        None => Err(node.error(format!("shape {} does not broadcast to {wanted}", x.shape()))),
    }
}

/// Places of an axis as i32, where negative ones count from the end. Constant ones are checked.
pub(super) fn places(node: &Node<'_>, input: usize, extent: usize) -> Result<Tensor> {
    let index = node.input(input)?;
    if node.is_constant(input) {
        let mut values = node.host_ints(input)?;
        for value in &mut values {
            let place = if *value < 0 { value.saturating_add(extent as i64) } else { *value };
            if usize::try_from(place).ok().is_none_or(|place| place >= extent) {
                return Err(node.error(format!("index {value} is not within {extent} places")));
            }
            *value = place;
        }
        let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
        return Ok(node.graph().constant(TensorData::from_vec(values, index.shape())?));
    }
    if !index.dtype().is_integer() {
        return Err(node.error(format!("indices should be whole numbers, not {}", index.dtype())));
    }
    let index = index.cast(DType::I32);
    let from_end = index.elementwise(F::Add, &[&node.graph().scalar(DType::I32, extent as f64)]);
    let negative = index.elementwise(F::Less, &[&node.graph().scalar(DType::I32, 0.0)]);
    Ok(negative.select(&from_end, &index))
}

fn gather(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let axis = node.axis(node.int("axis", 0)?, x.rank())?;
    let index = places(node, 1, x.shape().get(axis).copied().unwrap_or(0))?;
    Ok(vec![x.take(axis as isize, &index).into()])
}

/// `x[start:end:step]` along some axes, by Python's rules.
fn slice(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let listed = |name: &str| node.ints(name).map(|values| values.map(<[i64]>::to_vec));
    let (starts, ends, axes, steps) = if node.opset() < 10 {
        (listed("starts")?.unwrap_or_default(), listed("ends")?.unwrap_or_default(), listed("axes")?, None)
    } else {
        (node.host_ints(1)?, node.host_ints(2)?, node.optional_ints(3)?, node.optional_ints(4)?)
    };
    let count = starts.len();
    let axes = axes.unwrap_or_else(|| (0..count as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; count]);
    if [ends.len(), axes.len(), steps.len()] != [count; 3] {
        return Err(node.error("starts, ends, axes and steps should be equally many"));
    }
    let shape = x.shape();
    let axes = node.axes(&axes, shape.rank())?;
    let (mut firsts, mut lengths, mut strides) = (vec![0; shape.rank()], shape.to_vec(), vec![1; shape.rank()]);
    for (((axis, start), end), step) in axes.into_iter().zip(starts).zip(ends).zip(steps) {
        let (Some(&extent), true) = (shape.get(axis), step != 0) else {
            return Err(node.error("a step of 0 leads nowhere"));
        };
        let (start, length) = range(start, end, step, extent as i64);
        if let (Some(first), Some(own), Some(stride)) =
            (firsts.get_mut(axis), lengths.get_mut(axis), strides.get_mut(axis))
        {
            (*first, *own) = (start, length);
            // One element has no next one, and steps may be as long as an int64.
            *stride = if length > 1 { step as isize } else { 1 };
        }
    }
    Ok(vec![x.slice_steps(&firsts, &lengths, &strides).into()])
}

/// The first place and the number of places of Python's slice `start:end:step`.
fn range(start: i64, end: i64, step: i64, extent: i64) -> (usize, usize) {
    let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
    let bound = |place: i64| (if place < 0 { place.saturating_add(extent) } else { place }).clamp(low, high);
    let (start, end) = (bound(start), bound(end));
    let distance = if step > 0 { end - start } else { start - end };
    if distance <= 0 {
        return (0, 0);
    }
    (start.max(0) as usize, (distance as u64).div_ceil(step.unsigned_abs()) as usize)
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn slices_follow_python() {
        assert_eq!(range(0, i64::MAX, 1, 5), (0, 5));
        assert_eq!(range(-1, i64::MIN, -1, 5), (4, 5));
        assert_eq!(range(20, 0, -2, 10), (9, 5));
        assert_eq!(range(1, 1000, 3, 8), (1, 3));
        assert_eq!(range(3, 1, 1, 5), (0, 0));
        assert_eq!(range(0, 3, i64::MAX, 5), (0, 1));
        assert_eq!(range(0, 0, 1, 0), (0, 0));
    }
}
