//! Deformable convolutions: each position of a kernel is moved by an offset, and the products are those of any convolution.

use super::sampling::{Beyond, Method, sample};
use super::wide::{wide_input, wide_optional};
use super::window::{pads, sizes};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;

pub(super) const OPERATORS: &[(&str, Handler)] = &[("DeformConv", deform_conv)];

fn positive(node: &Node<'_>, name: &str) -> Result<usize> {
    let number = node.int(name, 1)?;
    usize::try_from(number)
        .ok()
        .filter(|&number| number > 0)
        .ok_or_else(|| node.error(format!("{name} is {number}, and must be at least 1")))
}

fn deform_conv(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), (weight, _), (offset, _)) = (wide_input(node, 0)?, wide_input(node, 1)?, wide_input(node, 2)?);
    let (bias, mask) = (wide_optional(node, 3)?, wide_optional(node, 4)?);
    let (groups, offset_groups) = (positive(node, "group")?, positive(node, "offset_group")?);
    let (shape, kernel) = (x.shape(), weight.shape());
    let (&[batch, channels, height, width], &[filters, each, rows, columns]) = (shape.dims(), kernel.dims()) else {
        return Err(node.error(format!("supports two spatial axes, not an input {shape} with a weight {kernel}")));
    };
    let fits = channels == each.saturating_mul(groups)
        && filters.is_multiple_of(groups)
        && channels.is_multiple_of(offset_groups)
        && rows * columns * height * width > 0;
    if !fits {
        return Err(node.error(format!("input {shape} and weight {kernel} do not fit {groups} groups")));
    }
    let (strides, dilations, pads) =
        (sizes(node, "strides", 2, 1, 1)?, sizes(node, "dilations", 2, 1, 1)?, pads(node, 2)?);
    let taps = rows * columns;
    let offsets = offset.shape();
    let &[_, _, out_height, out_width] = offsets.dims() else {
        return Err(node.error(format!("offsets should have four dimensions, not {offsets}")));
    };
    let points = out_height * out_width;
    if offsets.dims() != [batch, offset_groups * taps * 2, out_height, out_width] {
        return Err(node.error(format!("offsets {offsets} should be [{batch}, {}, …]", offset_groups * taps * 2)));
    }
    let offset = offset.reshape([batch * offset_groups, taps, 2, points]);
    let graph = node.graph();
    let all = [1, taps, points];
    // Where each position of the kernel is for each result, before it is moved.
    let position = |axis: usize| -> Option<Tensor> {
        let (tap, point) = (graph.coordinate(all, 1), graph.coordinate(all, 2));
        let (columns, out_width) = (columns as i32, out_width as i32);
        let (tap, point) = match axis {
            0 => (&tap / columns, &point / out_width),
            _ => (&tap - (&tap / columns) * columns, &point - (&point / out_width) * out_width),
        };
        let (stride, dilation, [low, _]) = (*strides.get(axis)?, *dilations.get(axis)?, *pads.get(axis)?);
        let regular = (point * stride as i32 + tap * dilation as i32 - low as i32).cast(x.dtype());
        Some((offset.at(2, axis) + regular).reshape([batch * offset_groups, taps * points]))
    };
    let (Some(vertical), Some(horizontal)) = (position(0), position(1)) else {
        return Err(node.error("strides, dilations and pads should be two each"));
    };
    let divided = x.reshape([batch * offset_groups, channels / offset_groups, height, width]);
    let mut found = sample(&divided, &[vertical, horizontal], Method::Linear, Beyond::Zeros);
    if let Some(mask) = mask {
        if mask.shape().dims() != [batch, offset_groups * taps, out_height, out_width] {
            return Err(node.error(format!("a mask {} does not fit offsets {offsets}", mask.shape())));
        }
        found = found * mask.reshape([batch * offset_groups, 1, taps * points]);
    }
    let columns = found.reshape([batch, groups, each * taps, points]);
    let weight = weight.reshape([1, groups, filters / groups, each * taps]);
    let mut y = weight.matmul(&columns).reshape([batch, filters, out_height, out_width]);
    if let Some(bias) = bias {
        if bias.shape().dims() != [filters] {
            return Err(node.error(format!("a bias for {filters} channels should not be {}", bias.shape())));
        }
        y = y + bias.reshape([1, filters, 1, 1]);
    }
    Ok(vec![y.cast(dtype).into()])
}
