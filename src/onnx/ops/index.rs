//! Elements picked by index: gathers, indices of the largest, one-hot vectors, and what is picked by values that are known on the
//! host.

use super::elementwise::by_i32;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::scalar::ScalarFunction as F;
use crate::tensor::{DType, Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Compress", compress),
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("NonZero", non_zero),
    ("OneHot", one_hot),
    ("TopK", top_k),
    ("Unique", unique),
];

/// Indices of an axis as i32, where negative ones count from the end. Constant ones are checked.
pub(super) fn indices(node: &Node<'_>, input: usize, extent: usize) -> Result<Tensor> {
    let index = node.input(input)?;
    if !index.dtype().is_integer() {
        return Err(node.error(format!("indices should be integers, not {}", index.dtype())));
    }
    if node.is_constant(input) {
        let mut values = node.host_ints(input)?;
        for value in &mut values {
            let position = if *value < 0 { value.saturating_add(extent as i64) } else { *value };
            if usize::try_from(position).ok().is_none_or(|position| position >= extent) {
                return Err(node.error(format!("index {value} is out of range for {extent} elements")));
            }
            *value = position;
        }
        let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
        return Ok(node.graph().constant(TensorData::from_vec(values, index.shape())?));
    }
    let index = if index.dtype() == DType::I64 { index } else { index.cast(DType::I32) };
    Ok(index.wrap_indices(extent))
}

fn gather(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let axis = node.axis(node.int("axis", 0)?, x.rank())?;
    let index = indices(node, 1, x.shape().get(axis).copied().unwrap_or(0))?;
    Ok(vec![x.take(axis as isize, &index).into()])
}

fn gather_elements(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let axis = node.axis(node.int("axis", 0)?, x.rank())?;
    let index = indices(node, 1, x.shape().get(axis).copied().unwrap_or(0))?;
    Ok(vec![x.gather(axis as isize, &index).into()])
}

/// Slices at the positions that the last axis of the indices names, within each of the leading axes that are a batch.
fn gather_nd(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, index) = (node.input(0)?, node.input(1)?);
    if !index.dtype().is_integer() {
        return Err(node.error(format!("indices should be integers, not {}", index.dtype())));
    }
    let count = node.int("batch_dims", 0)?;
    if count == 0 {
        return Ok(vec![x.gather_nd(&index).into()]);
    }
    let (own, found) = (x.shape(), index.shape());
    let known = usize::try_from(count).ok().filter(|&count| count < own.rank() && count < found.rank());
    let Some((count, true)) = known.map(|count| (count, own.get(..count) == found.get(..count))) else {
        return Err(node.error(format!("{count} batch axes do not fit shape {own} and indices {found}")));
    };
    // The batch as one axis, and its positions as the first numbers of each index.
    let (batch, rest) = own.split_at(count);
    let total: usize = batch.iter().product();
    let flat = |rest: &[usize]| std::iter::once(total).chain(rest.iter().copied()).collect::<Shape>();
    let lead = found.split_last().map_or(&[][..], |(_, lead)| lead);
    let inner = flat(lead.get(count..).unwrap_or_default());
    let batch_index = node.graph().coordinate(&inner, 0).unsqueeze(-1);
    let index = index.i32_indices().cast(DType::I32).reshape(flat(found.get(count..).unwrap_or_default()));
    let index = node.graph().concat(&[&batch_index, &index], -1);
    let picked = x.reshape(flat(rest)).gather_nd(&index);
    node.check()?;
    let shape = picked.shape();
    let dims = batch.iter().chain(shape.get(1..).unwrap_or_default()).copied();
    Ok(vec![picked.reshape(dims.collect::<Shape>()).into()])
}

/// Two values, `off` and `on`, by indices along a new axis. Negative indices count from the end; those out of range are off.
fn one_hot(node: &Node<'_>) -> Result<Vec<Value>> {
    let index = node.input(0)?;
    let depth = node.host_floats(1)?;
    let extent = match depth[..] {
        [depth] if (1.0..=2_147_483_647.0).contains(&depth) => depth as usize,
        _ => return Err(node.error(format!("its depth should be one positive number, not {depth:?}"))),
    };
    let values = node.input(2)?;
    if values.shape().dims() != [2] {
        return Err(node.error(format!("its values should be [off, on], not of shape {}", values.shape())));
    }
    let axis = node.axis(node.int("axis", -1)?, index.rank() + 1)?;
    let index = match index.dtype() {
        DType::I64 => index,
        _ => index.cast(DType::I32),
    };
    let index = index.wrap_indices(extent).unsqueeze(axis as isize);
    node.check()?;
    let mut dims = index.shape().to_vec();
    if let Some(own) = dims.get_mut(axis) {
        *own = extent;
    }
    let shape = node.extents(&dims.iter().map(|&extent| extent as i64).collect::<Vec<_>>())?;
    let hot = node.graph().coordinate(&shape, axis).eq(index.broadcast_to(&shape));
    let (off, on) = (values.at(0, 0), values.at(0, 1));
    Ok(vec![by_i32(&[&on, &off], |both| hot.elementwise(F::Select, &[&both[0], &both[1]])).into()])
}

/// The largest or smallest along an axis, with their indices.
fn top_k(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let k = if node.opset() < 10 {
        node.optional_int("k")?.ok_or_else(|| node.error("wants the attribute \"k\""))?
    } else {
        node.host_int(1)?
    };
    let axis = node.axis(node.int("axis", -1)?, x.rank())?;
    let extent = x.shape().get(axis).copied().unwrap_or(0);
    let Some(k) = usize::try_from(k).ok().filter(|&k| k <= extent) else {
        return Err(node.error(format!("{k} of {extent} elements were asked for")));
    };
    let dtype = x.dtype();
    let x = if dtype == DType::U8 { x.cast(DType::I32) } else { x };
    let axis = axis as isize;
    let (values, indices) = if node.flag("largest", true)? { x.top_k(k, axis) } else { x.bottom_k(k, axis) };
    Ok(vec![values.cast(dtype).into(), indices.cast(DType::I64).into()])
}

/// Coordinates of what is not zero, `[rank, count]`. Their number is a shape, so the input has to be known.
fn non_zero(node: &Node<'_>) -> Result<Vec<Value>> {
    let data = node.host(0)?;
    let found: Vec<usize> = (data.to_f64_vec().iter().enumerate())
        .filter(|&(_, &value)| value != 0.0)
        .map(|(position, _)| position)
        .collect();
    let shape = data.shape();
    let mut coordinates = Vec::with_capacity(found.len() * shape.rank());
    for (&extent, stride) in shape.iter().zip(shape.strides()) {
        let stride = usize::try_from(stride).unwrap_or(1).max(1);
        coordinates.extend(found.iter().map(|position| (position / stride % extent.max(1)) as i64));
    }
    Ok(vec![node.ints_constant(&coordinates, [shape.rank(), found.len()])?])
}

/// A tensor of indices that are known now.
fn known_indices(node: &Node<'_>, indices: impl Iterator<Item = usize>) -> Result<Tensor> {
    let indices: Vec<i32> = indices.map(|index| index as i32).collect();
    Ok(node.graph().constant(TensorData::from_slice(&indices, [indices.len()])?))
}

/// The slices along an axis, or the elements, where a condition holds, which has to be known.
fn compress(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, condition) = (node.input(0)?, node.host_ints(1)?);
    let (x, axis) = match node.optional_int("axis")? {
        Some(axis) => (x.clone(), node.axis(axis, x.rank())?),
        None => (x.flatten(0), 0),
    };
    let extent = x.shape().get(axis).copied().unwrap_or(0);
    if condition.len() > extent {
        return Err(node.error(format!("{} truth values are more than {extent} elements", condition.len())));
    }
    let held = condition.iter().enumerate().filter(|&(_, &value)| value != 0).map(|(position, _)| position);
    let index = known_indices(node, held)?;
    Ok(vec![x.take(axis as isize, &index).into()])
}

/// The different slices along an axis, or the different elements: themselves, where each stands first, which of them each one is,
/// and how many there are of each. The input has to be known.
fn unique(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, data) = (node.input(0)?, node.host(0)?);
    let (x, axis) = match node.optional_int("axis")? {
        Some(axis) => (x.clone(), node.axis(axis, x.rank())?),
        None => (x.flatten(0), 0),
    };
    let shape = x.shape();
    let extent = shape.get(axis).copied().unwrap_or(0);
    let inner: usize = shape.iter().skip(axis + 1).product();
    // As keys whose order is that of the numbers, those of 64 bits too.
    let keys: Vec<i64> =
        if data.dtype().is_float() { data.to_f64_vec().into_iter().map(ordered).collect() } else { node.host_ints(0)? };
    let mut slices: Vec<(Vec<i64>, usize)> = (0..extent).map(|position| (Vec::new(), position)).collect();
    for (address, key) in keys.into_iter().enumerate() {
        if let Some((slice, _)) = slices.get_mut(address / inner.max(1) % extent.max(1)) {
            slice.push(key);
        }
    }
    slices.sort();
    // Each different slice with all of its indices; a sort is stable, so the first is the least.
    let mut groups: Vec<(Vec<i64>, Vec<usize>)> = Vec::new();
    for (slice, position) in slices {
        match groups.last_mut() {
            Some((known, members)) if *known == slice => members.push(position),
            _ => groups.push((slice, vec![position])),
        }
    }
    if !node.flag("sorted", true)? {
        groups.sort_by_key(|(_, members)| members.first().copied());
    }
    let firsts: Vec<usize> = groups.iter().filter_map(|(_, members)| members.first().copied()).collect();
    let mut inverse = vec![0_i64; extent];
    for (number, (_, members)) in groups.iter().enumerate() {
        for &member in members {
            if let Some(entry) = inverse.get_mut(member) {
                *entry = number as i64;
            }
        }
    }
    let counts: Vec<i64> = groups.iter().map(|(_, members)| members.len() as i64).collect();
    let index = known_indices(node, firsts.iter().copied())?;
    let firsts: Vec<i64> = firsts.iter().map(|&position| position as i64).collect();
    Ok(vec![
        x.take(axis as isize, &index).into(),
        node.ints_constant(&firsts, [firsts.len()])?,
        node.ints_constant(&inverse, [inverse.len()])?,
        node.ints_constant(&counts, [counts.len()])?,
    ])
}

/// A number's bits, such that their order as an integer is the numbers' own. 0 and −0 are one.
fn ordered(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits() as i64;
    if bits < 0 { i64::MIN - bits } else { bits }
}

#[cfg(test)]
mod tests {
    use super::ordered;

    #[test]
    fn the_order_of_keys_is_that_of_numbers() {
        let numbers = [f64::NEG_INFINITY, -2.5, -1.0, -1e-300, 0.0, 1e-300, 1.0, 7.25, f64::INFINITY];
        assert!(numbers.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }
}
