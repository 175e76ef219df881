//! Between floats and the integers that stand for them: `(q − zero point) · scale`. Of the types that models quantize to, the
//! engine has uint8 (and int32, for what products have added up).

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::onnx::tensor::proto_dtype;
use crate::scalar::ScalarFunction as F;
use crate::tensor::{DType, Shape};

pub(super) const OPERATORS: &[(&str, Handler)] =
    &[("DequantizeLinear", dequantize), ("DynamicQuantizeLinear", dynamic), ("QuantizeLinear", quantize)];

/// A scale or zero point, ready to be broadcast: one value, one for each element of an axis, or one for each block of elements.
fn spread(node: &Node<'_>, input: usize, shape: &Shape) -> Result<Tensor> {
    let values = node.input(input)?;
    let own = values.shape();
    let misfit = || node.error(format!("input {input} of shape {own} does not fit shape {shape}"));
    let block = node.int("block_size", 0)?;
    if own.len() == 1 && block == 0 {
        return Ok(values.reshape([]));
    }
    let axis = node.axis(node.int("axis", 1)?, shape.rank())?;
    let extent = shape.get(axis).copied().unwrap_or(0);
    if block == 0 {
        if own.dims() != [extent] {
            return Err(misfit());
        }
        return Ok(values.reshape((0..shape.rank()).map(|k| if k == axis { extent } else { 1 }).collect::<Shape>()));
    }
    let Some(block) = usize::try_from(block).ok().filter(|&block| block <= extent.max(1)) else {
        return Err(node.error(format!("blocks of {block} of {extent} elements do not exist")));
    };
    let blocks = extent.div_ceil(block);
    let fits = own.rank() == shape.rank()
        && (0..shape.rank()).all(|k| own.get(k) == if k == axis { Some(&blocks) } else { shape.get(k) });
    if !fits {
        return Err(misfit());
    }
    let mut wide = own.to_vec();
    wide.insert(axis + 1, block);
    let mut whole = own.to_vec();
    if let Some(own) = whole.get_mut(axis) {
        *own = blocks * block;
    }
    let repeated = values.unsqueeze(axis as isize + 1).broadcast_to(wide).reshape(whole);
    Ok(repeated.slice(axis as isize, 0, extent))
}

fn dequantize(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let (shape, scale_type) = (x.shape(), node.ty(1)?.dtype);
    if x.dtype().is_float() || !scale_type.is_float() {
        return Err(node.error(format!("wants integers and a scale of floats, not {} and {scale_type}", x.dtype())));
    }
    let mut difference = x.cast(DType::I32);
    if node.has(2) {
        difference = difference.elementwise(F::Sub, &[&spread(node, 2, &shape)?.cast(DType::I32)]);
    }
    let value = difference.cast(DType::F32).elementwise(F::Mul, &[&spread(node, 1, &shape)?.cast(DType::F32)]);
    Ok(vec![value.cast(named(node)?.unwrap_or(scale_type)).into()])
}

/// The type that an attribute names, if it does.
fn named(node: &Node<'_>) -> Result<Option<DType>> {
    match node.int("output_dtype", 0)? {
        0 => Ok(None),
        number => {
            let dtype = proto_dtype(i32::try_from(number).unwrap_or_default());
            dtype.map(Some).map_err(|message| node.error(format!("its result: {message}")))
        }
    }
}

/// The nearest of 0 to 255.
fn pixel(value: &Tensor) -> Tensor {
    value.clamp(0.0, 255.0).cast(DType::U8)
}

fn quantize(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    let dtype = match (named(node)?, node.has(2)) {
        (Some(dtype), _) => dtype,
        (None, true) => node.ty(2)?.dtype,
        (None, false) => DType::U8,
    };
    if dtype != DType::U8 {
        return Err(node.error(format!("its result would be {dtype}; uint8 is supported")));
    }
    let scaled = x.cast(DType::F32).elementwise(F::Div, &[&spread(node, 1, &shape)?.cast(DType::F32)]);
    let mut quantized = scaled.round();
    if node.has(2) {
        quantized = quantized.elementwise(F::Add, &[&spread(node, 2, &shape)?.cast(DType::F32)]);
    }
    Ok(vec![pixel(&quantized).into()])
}

/// Quantized by its own range, which is widened to hold 0; the result, its scale and its zero point.
fn dynamic(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let axes: Vec<isize> = (0..x.rank() as isize).collect();
    if x.dtype() != DType::F32 || x.shape().is_empty() {
        return Err(node.error(format!("wants floats, not {}", x.ty())));
    }
    let low = x.min(&axes).minimum(0.0);
    let high = x.max(&axes).maximum(0.0);
    let scale = (high - &low) * (1.0 / 255.0);
    let zero = (-low / &scale).clamp(0.0, 255.0).round();
    let quantized = x.elementwise(F::Div, &[&scale]).round().elementwise(F::Add, &[&zero]);
    Ok(vec![pixel(&quantized).into(), scale.into(), pixel(&zero).into()])
}
