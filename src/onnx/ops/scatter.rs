//! Elements written to positions that indices name, and blocks added over each other.

use super::index::indices;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::ops::{Combine, Rounding, WindowAxis};
use crate::tensor::{DType, Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("Col2Im", col2im),
    ("Scatter", scatter_elements),
    ("ScatterElements", scatter_elements),
    ("ScatterND", scatter_nd),
    ("TensorScatter", tensor_scatter),
];

/// How values join what is there.
fn combine(node: &Node<'_>, dtype: DType) -> Result<Combine> {
    let logic = dtype == DType::Bool;
    Ok(match node.string("reduction", "none")? {
        "none" => Combine::Last,
        // Of truth values, `or` and `and`.
        "add" if logic => Combine::Max,
        "mul" if logic => Combine::Min,
        "add" => Combine::Sum,
        "mul" => Combine::Product,
        "max" => Combine::Max,
        "min" => Combine::Min,
        other => {
            return Err(node.error(format!("its reduction should be none, add, mul, max or min, not {other:?}")));
        }
    })
}

fn scatter_elements(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, updates) = (node.input(0)?, node.input(2)?);
    let axis = node.axis(node.int("axis", 0)?, x.rank())?;
    let index = indices(node, 1, x.shape().get(axis).copied().unwrap_or(0))?;
    if index.shape() != updates.shape() {
        return Err(node.error(format!("indices {} and updates {} differ", index.shape(), updates.shape())));
    }
    Ok(vec![x.scatter(axis as isize, &index, &updates, combine(node, x.dtype())?).into()])
}

fn scatter_nd(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, index, updates) = (node.input(0)?, node.input(1)?, node.input(2)?);
    if !index.dtype().is_integer() {
        return Err(node.error(format!("indices should be integers, not {}", index.dtype())));
    }
    Ok(vec![x.scatter_nd(&index, &updates, combine(node, x.dtype())?).into()])
}

/// A cache `[batch, …, length, …]` with new elements along one axis, from a position on that each sample of the batch has.
fn tensor_scatter(node: &Node<'_>) -> Result<Vec<Value>> {
    let (cache, update) = (node.input(0)?, node.input(1)?);
    let (shape, found) = (cache.shape(), update.shape());
    let axis = node.axis(node.int("axis", -2)?, shape.rank())?;
    let fits = axis > 0
        && shape.rank() == found.rank()
        && shape.iter().zip(found.iter()).enumerate().all(|(k, (own, new))| k == axis || own == new);
    let (extent, count) = (shape.get(axis).copied().unwrap_or(0), found.get(axis).copied().unwrap_or(0));
    if !fits || count > extent {
        return Err(node.error(format!("an update of shape {found} does not fit {shape} along axis {axis}")));
    }
    let circular = match node.string("mode", "linear")? {
        "linear" => false,
        "circular" => true,
        other => return Err(node.error(format!("its mode should be linear or circular, not {other:?}"))),
    };
    let mut index = node.graph().coordinate(&found, axis);
    if let Some(first) = node.optional(2)? {
        if first.shape().dims() != shape.get(..1).unwrap_or_default() || !first.dtype().is_integer() {
            return Err(node.error(format!("wants a position for each of the batch of {shape}, not {}", first.ty())));
        }
        let aligned: Shape = (0..shape.rank()).map(|axis| if axis == 0 { first.shape().len() } else { 1 }).collect();
        index = index + first.i32_indices().cast(DType::I32).reshape(aligned);
    }
    if circular {
        index = index.floor_rem(extent.max(1) as f64);
    }
    Ok(vec![cache.scatter(axis as isize, &index, &update, Combine::Last).into()])
}

/// Blocks `[batch, channels · block, blocks]` laid over an image, where they are added up.
fn col2im(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    let image = Shape::from(node.counts(&node.host_ints(1)?)?);
    let block = Shape::from(node.counts(&node.host_ints(2)?)?);
    let axes = image.rank();
    let numbers = |name: &str, count: usize, default: i64| -> Result<Vec<usize>> {
        let found = node.ints(name)?.map_or_else(|| vec![default; count], <[i64]>::to_vec);
        if found.len() == count && found.iter().all(|number| (default..=1 << 24).contains(number)) {
            return node.counts(&found);
        }
        Err(node.error(format!("{name} {found:?} should be {count} numbers of at least {default}")))
    };
    let (strides, dilations) = (numbers("strides", axes, 1)?, numbers("dilations", axes, 1)?);
    let pads = numbers("pads", 2 * axes, 0)?;
    let taps = block.len();
    let [batch, columns, count] = shape.dims() else {
        return Err(node.error(format!("wants [batch, channels · block, blocks], not {shape}")));
    };
    if block.rank() != axes || taps == 0 || columns % taps != 0 {
        return Err(node.error(format!("blocks of {block} do not fit an image of {image} and {columns} channels")));
    }
    let channels = columns / taps;
    let windows: Vec<WindowAxis> = (0..axes)
        .filter_map(|axis| {
            Some(WindowAxis {
                kernel: *block.get(axis)?,
                stride: *strides.get(axis)?,
                dilation: *dilations.get(axis)?,
                low: *pads.get(axis)?,
                high: *pads.get(axes + axis)?,
            })
        })
        .collect();
    let blocks = windows.iter().zip(image.iter()).map(|(window, &extent)| window.windows(extent, Rounding::Floor));
    let blocks: Shape = blocks.collect::<Result<_, String>>().map_err(|message| node.error(message))?;
    if blocks.len() != *count {
        return Err(node.error(format!("{image} has {blocks} blocks of {block}, not {count}")));
    }
    // Where each element is added: an index of the image, or one behind it for the border.
    let size = image.len();
    let mut index = Vec::with_capacity(taps * count);
    for tap in 0..taps {
        for window in 0..*count {
            index.push(target(&windows, &image, &blocks, tap, window).unwrap_or(size) as i32);
        }
    }
    let index = node.graph().constant(TensorData::from_vec(index, [taps * count])?);
    let rows = x.reshape([batch * channels, taps * count]).transpose(0, 1);
    let base = node.graph().scalar(x.dtype(), 0.0).broadcast_to([size + 1, batch * channels]);
    let sums = base.scatter_nd(&index.unsqueeze(-1), &rows, Combine::Sum);
    node.check()?;
    let whole: Shape = [*batch, channels].into_iter().chain(image.iter().copied()).collect();
    Ok(vec![sums.slice(0, 0, size).transpose(0, 1).reshape(whole).into()])
}

/// The index in an image of one position of one block, both counted row-major; none in the border.
fn target(windows: &[WindowAxis], image: &Shape, blocks: &Shape, tap: usize, block: usize) -> Option<usize> {
    let (mut tap, mut block, mut stride, mut address) = (tap, block, 1, 0);
    for ((window, &extent), &count) in windows.iter().zip(image.iter()).zip(blocks.iter()).rev() {
        let at = (block % count) * window.stride + (tap % window.kernel) * window.dilation;
        let at = at.checked_sub(window.low).filter(|&at| at < extent)?;
        address += at * stride;
        stride *= extent;
        (tap, block) = (tap / window.kernel, block / count);
    }
    Some(address)
}
