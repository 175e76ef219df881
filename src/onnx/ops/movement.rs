//! Elements at other positions: transposes, slices, concatenation, blocks of pixels as channels.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::Shape;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("CenterCropPad", center),
    ("Concat", concat),
    ("DepthToSpace", depth_to_space),
    ("Expand", expand),
    ("ReverseSequence", reverse_sequence),
    ("Slice", slice),
    ("SpaceToDepth", space_to_depth),
    ("Split", split),
    ("Tile", tile),
    ("Transpose", transpose),
    ("Trilu", trilu),
];

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
    let (x, wanted) = (node.input(0)?, Shape::from(node.counts(&node.host_ints(1)?)?));
    match x.shape().broadcast(&wanted) {
        Some(shape) => Ok(vec![x.broadcast_to(shape).into()]),
        None => Err(node.error(format!("shape {} does not broadcast to {wanted}", x.shape()))),
    }
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

/// The first index and the number of elements of Python's slice `start:end:step`.
fn range(start: i64, end: i64, step: i64, extent: i64) -> (usize, usize) {
    let (low, high) = if step > 0 { (0, extent) } else { (-1, extent - 1) };
    let bound = |index: i64| (if index < 0 { index.saturating_add(extent) } else { index }).clamp(low, high);
    let (start, end) = (bound(start), bound(end));
    let distance = if step > 0 { end - start } else { start - end };
    if distance <= 0 {
        return (0, 0);
    }
    (start.max(0) as usize, (distance as u64).div_ceil(step.unsigned_abs()) as usize)
}

/// The first input again and again along each axis, as often as the second one says.
fn tile(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, repeats) = (node.input(0)?, node.host_ints(1)?);
    let shape = x.shape();
    if repeats.len() != shape.rank() {
        return Err(node.error(format!("wants a number for each axis of {shape}, not {repeats:?}")));
    }
    let (mut apart, mut wide, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for (&extent, count) in shape.iter().zip(node.counts(&repeats)?) {
        apart.extend([1, extent]);
        wide.extend([count, extent]);
        whole.push(i64::try_from(extent.saturating_mul(count)).unwrap_or(i64::MAX));
    }
    let whole = node.extents(&whole)?;
    Ok(vec![x.reshape(apart).broadcast_to(wide).reshape(whole).into()])
}

/// Parts along an axis: of sizes from an attribute before opset 13, from an input since, or as many as there are outputs, of one
/// size, but for the last.
fn split(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    let axis = node.axis(node.int("axis", 0)?, shape.rank())?;
    let extent = shape.get(axis).copied().unwrap_or(0);
    let listed = if node.opset() < 13 { node.ints("split")?.map(<[i64]>::to_vec) } else { node.optional_ints(1)? };
    let sizes: Vec<usize> = match listed {
        Some(sizes) => node.counts(&sizes)?,
        None => equal_parts(node, extent, node.int("num_outputs", node.output_count() as i64)?)?,
    };
    if sizes.len() < node.output_count() {
        return Err(node.error(format!("{} parts are not enough for {} outputs", sizes.len(), node.output_count())));
    }
    Ok(x.split(axis as isize, &sizes).into_iter().map(Value::from).collect())
}

/// The sizes of `count` equal parts, of which the last may be smaller.
fn equal_parts(node: &Node<'_>, extent: usize, count: i64) -> Result<Vec<usize>> {
    let known = usize::try_from(count).ok().filter(|&count| count > 0 && count <= extent.max(node.output_count()));
    let Some(count) = known else {
        return Err(node.error(format!("{extent} elements cannot be split into {count} parts")));
    };
    let size = extent.div_ceil(count);
    Ok((0..count).map(|part| size.min(extent.saturating_sub(part * size))).collect())
}

/// The extents `[batch, channels, height, width]`.
fn image(node: &Node<'_>, x: &Tensor) -> Result<[usize; 4]> {
    let shape = x.shape();
    <[usize; 4]>::try_from(shape.dims())
        .map_err(|_| node.error(format!("wants [batch, channels, height, width], not {shape}")))
}

fn block_size(node: &Node<'_>) -> Result<usize> {
    let size = node.int("blocksize", 0)?;
    let known = usize::try_from(size).ok().filter(|size| (1..=1 << 15).contains(size));
    known.ok_or_else(|| node.error(format!("its blocksize is {size}, and must be at least 1")))
}

/// Blocks of channels become blocks of pixels.
fn depth_to_space(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, block) = (node.input(0)?, block_size(node)?);
    let [batch, channels, height, width] = image(node, &x)?;
    let depth = channels / (block * block);
    if depth * block * block != channels {
        return Err(node.error(format!("{channels} channels are no blocks of {block} × {block}")));
    }
    let apart = match node.string("mode", "DCR")? {
        "DCR" => x.reshape([batch, block, block, depth, height, width]).permute(&[0, 3, 4, 1, 5, 2]),
        "CRD" => x.reshape([batch, depth, block, block, height, width]).permute(&[0, 1, 4, 2, 5, 3]),
        other => return Err(node.error(format!("its mode should be DCR or CRD, not {other:?}"))),
    };
    Ok(vec![apart.reshape([batch, depth, height * block, width * block]).into()])
}

/// Blocks of pixels become blocks of channels.
fn space_to_depth(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, block) = (node.input(0)?, block_size(node)?);
    let [batch, channels, height, width] = image(node, &x)?;
    let (rows, columns) = (height / block, width / block);
    if rows * block != height || columns * block != width {
        return Err(node.error(format!("{height} × {width} pixels are no blocks of {block} × {block}")));
    }
    let apart = x.reshape([batch, channels, rows, block, columns, block]);
    let apart = match node.string("mode", "DCR")? {
        "DCR" => apart.permute(&[0, 3, 5, 1, 2, 4]),
        "CRD" => apart.permute(&[0, 1, 3, 5, 2, 4]),
        other => return Err(node.error(format!("its mode should be DCR or CRD, not {other:?}"))),
    };
    Ok(vec![apart.reshape([batch, channels * block * block, rows, columns]).into()])
}

/// The first elements of each sequence in reverse order, as many as its length says; the others stay.
fn reverse_sequence(node: &Node<'_>) -> Result<Vec<Value>> {
    let (x, lengths) = (node.input(0)?, node.input(1)?);
    let shape = x.shape();
    let time = node.axis(node.int("time_axis", 0)?, shape.rank())?;
    let batch = node.axis(node.int("batch_axis", 1)?, shape.rank())?;
    if time == batch || lengths.shape().dims() != shape.get(batch..=batch).unwrap_or_default() {
        return Err(node.error(format!(
            "time axis {time}, batch axis {batch} and lengths {} do not fit shape {shape}",
            lengths.ty()
        )));
    }
    let aligned: Shape = (0..shape.rank()).map(|axis| if axis == batch { lengths.shape().len() } else { 1 }).collect();
    let lengths = lengths.i32_indices().reshape(aligned);
    let positions = node.graph().coordinate(&shape, time);
    let reversed = (&lengths - &positions) - 1;
    let index = positions.lt(&lengths).select(&reversed, &positions);
    Ok(vec![x.gather(time as isize, &index).into()])
}

/// What is on and above a diagonal of each matrix, or on and below it.
fn trilu(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let (shape, upper) = (x.shape(), node.flag("upper", true)?);
    let Some(row) = shape.rank().checked_sub(2) else {
        return Err(node.error(format!("wants matrices, not shape {shape}")));
    };
    let diagonal = if node.has(1) { node.host_int(1)? } else { 0 };
    // Beyond these it makes no difference.
    let most = shape.len() as i64 + 1;
    let diagonal = diagonal.clamp(-most.min(1 << 30), most.min(1 << 30)) as f64;
    let matrix = shape.get(row..).unwrap_or_default();
    let (row, column) = (node.graph().coordinate(matrix, 0), node.graph().coordinate(matrix, 1));
    let first = row + diagonal;
    let inside = if upper { column.ge(&first) } else { column.le(&first) };
    let chosen = super::elementwise::by_i32(&[&x], |x| inside.broadcast_to(&shape).select(&x[0], x[0].zeros_like()));
    Ok(vec![chosen.into()])
}

/// Axes cropped or filled up with zeros to the extents in the second input, as much at both ends; an odd one is cropped at the end
/// and filled there, too.
fn center(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let (shape, wanted) = (x.shape(), Shape::from(node.counts(&node.host_ints(1)?)?));
    let axes = match node.ints("axes")? {
        Some(axes) => node.axes(axes, shape.rank())?,
        None => (0..shape.rank()).collect(),
    };
    if axes.len() != wanted.rank() {
        return Err(node.error(format!("{} axes should have the extents {wanted}", axes.len())));
    }
    let (mut starts, mut lengths) = (vec![0; shape.rank()], shape.to_vec());
    let (mut low, mut high) = (vec![0; shape.rank()], vec![0; shape.rank()]);
    for (&axis, &extent) in axes.iter().zip(wanted.iter()) {
        let own = shape.get(axis).copied().unwrap_or(0);
        let (fewer, more) = (own.saturating_sub(extent), extent.saturating_sub(own));
        if let (Some(start), Some(length), Some(low), Some(high)) =
            (starts.get_mut(axis), lengths.get_mut(axis), low.get_mut(axis), high.get_mut(axis))
        {
            (*start, *length) = (fewer / 2, own - fewer);
            (*low, *high) = (more / 2, more - more / 2);
        }
    }
    Ok(vec![x.slice_steps(&starts, &lengths, &vec![1; shape.rank()]).pad(&low, &high, 0.0).into()])
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
