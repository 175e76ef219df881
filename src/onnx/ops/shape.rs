//! Shapes as values, constants, and tensors under other shapes or types.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::onnx::tensor::proto_dtype;
use crate::tensor::{DType, Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("BitCast", bit_cast),
    ("Cast", cast),
    ("CastLike", cast_like),
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Flatten", flatten),
    ("Identity", identity),
    ("Reshape", reshape),
    ("Shape", shape),
    ("Size", size),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
];

fn identity(node: &Node<'_>) -> Result<Vec<Value>> {
    Ok(vec![node.value(0).clone()])
}

/// The type that the attribute `to` names.
fn target(node: &Node<'_>) -> Result<DType> {
    let Some(to) = node.optional_int("to")? else { return Err(node.error("wants the attribute \"to\"")) };
    let number = i32::try_from(to).unwrap_or_default();
    proto_dtype(number).map_err(|message| node.error(format!("its result: {message}")))
}

fn cast(node: &Node<'_>) -> Result<Vec<Value>> {
    Ok(vec![node.input(0)?.cast(target(node)?).into()])
}

/// The same bits as another type. Truth values are bytes of 0 and 1, so those are converted.
fn bit_cast(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, to) = (node.input(0)?, target(node)?);
    Ok(vec![match (x.dtype(), to) {
        (DType::Bool, DType::U8) | (DType::U8, DType::Bool) => x.cast(to).into(),
        _ => x.bit_cast(to).into(),
    }])
}

/// The first input in the second one's type.
fn cast_like(node: &Node<'_>) -> Result<Vec<Value>> {
    Ok(vec![node.input(0)?.cast(node.ty(1)?.dtype).into()])
}

fn constant(node: &Node<'_>) -> Result<Vec<Value>> {
    let recorded = |data: TensorData| {
        let own = node.references().next().is_none();
        match data.dtype().is_float() {
            true => Ok(vec![node.importer.float_constant(node.proto, data, own)]),
            false => Ok(vec![node.constant(data)]),
        }
    };
    if let Some(data) = node.tensor("value")? {
        recorded(data)
    } else if let Some(value) = node.optional_float("value_float")? {
        recorded(TensorData::scalar(value as f32))
    } else if let Some(values) = node.floats("value_floats")? {
        recorded(TensorData::from_slice(values, [values.len()])?)
    } else if let Some(value) = node.optional_int("value_int")? {
        Ok(vec![node.ints_constant(&[value], [])?])
    } else if let Some(values) = node.ints("value_ints")? {
        Ok(vec![node.ints_constant(values, [values.len()])?])
    } else {
        Err(node.error("wants a dense value of numbers; strings and sparse tensors are not supported"))
    }
}

fn constant_of_shape(node: &Node<'_>) -> Result<Vec<Value>> {
    let shape = node.extents(&node.host_ints(0)?)?;
    let value = node.tensor("value")?.unwrap_or_else(|| TensorData::scalar(0.0_f32));
    if value.len() != 1 {
        return Err(node.error(format!("its value should be one number, not {}", value.ty())));
    }
    let value = node.graph().constant(value.reshape([])?);
    Ok(vec![value.broadcast_to(shape).into()])
}

/// The extents of the first input, from `start` to `end`.
fn shape(node: &Node<'_>) -> Result<Vec<Value>> {
    let ty = node.ty(0)?;
    let rank = ty.shape.rank() as i64;
    let bound = |axis: i64| (if axis < 0 { axis.saturating_add(rank) } else { axis }).clamp(0, rank) as usize;
    let (start, end) = (bound(node.int("start", 0)?), bound(node.int("end", rank)?));
    let dims: Vec<i64> = ty.shape.iter().take(end).skip(start).map(|&extent| extent as i64).collect();
    Ok(vec![node.ints_constant(&dims, [dims.len()])?])
}

fn size(node: &Node<'_>) -> Result<Vec<Value>> {
    Ok(vec![node.ints_constant(&[node.ty(0)?.len() as i64], [])?])
}

/// A shape in which 0 stands for the input's extent (unless `allowzero`), and one -1 for whatever is left.
fn reshape(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, wanted) = (node.input(0)?, node.host_ints(1)?);
    let (own, literal) = (x.shape(), node.flag("allowzero", false)?);
    let misfit = || node.error(format!("shape {own} cannot be reshaped to {wanted:?}"));
    let mut dims = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (axis, &extent) in wanted.iter().enumerate() {
        dims.push(match extent {
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            0 if !literal => *own.get(axis).ok_or_else(misfit)?,
            extent => usize::try_from(extent).map_err(|_| misfit())?,
        });
    }
    let rest = Shape::from(dims.as_slice()).len();
    if let Some(extent) = open.and_then(|axis| dims.get_mut(axis)) {
        *extent = own.len().checked_div(rest).ok_or_else(misfit)?;
    }
    let shape = Shape::from(dims);
    if shape.len() != own.len() || !shape.is_addressable() {
        return Err(misfit());
    }
    Ok(vec![x.reshape(shape).into()])
}

/// Two dimensions: the product of the extents before the axis, and that of the others.
fn flatten(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let (shape, axis) = (x.shape(), node.int("axis", 1)?);
    let at = if axis == shape.rank() as i64 { shape.rank() } else { node.axis(axis, shape.rank())? };
    let (before, after) = shape.split_at(at);
    Ok(vec![x.reshape([before.iter().product(), after.iter().product()]).into()])
}

/// Axes from an attribute before opset 13, from an input since.
fn axes(node: &Node<'_>) -> Result<Option<Vec<i64>>> {
    if node.opset() < 13 { Ok(node.ints("axes")?.map(<[i64]>::to_vec)) } else { node.optional_ints(1) }
}

fn squeeze(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    let axes = match axes(node)? {
        Some(axes) => node.axes(&axes, shape.rank())?,
        None => (0..shape.rank()).filter(|&axis| shape.get(axis) == Some(&1)).collect(),
    };
    if let Some(axis) = axes.iter().find(|&&axis| shape.get(axis) != Some(&1)) {
        return Err(node.error(format!("axis {axis} of shape {shape} is not 1")));
    }
    let rest = shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, &extent)| extent);
    Ok(vec![x.reshape(rest.collect::<Shape>()).into()])
}

fn unsqueeze(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let Some(axes) = axes(node)? else { return Err(node.error("wants axes")) };
    let shape = x.shape();
    let rank = shape.rank() + axes.len();
    let axes = node.axes(&axes, rank)?;
    let mut own = shape.iter().copied();
    let dims: Vec<i64> =
        (0..rank).map(|axis| if axes.contains(&axis) { 1 } else { own.next().unwrap_or(1) as i64 }).collect();
    Ok(vec![x.reshape(node.extents(&dims)?).into()])
}
