//! The attributes of windows, which convolutions and pools share: `kernel_shape`, `strides`, `dilations`, `pads` and `auto_pad`.

use super::Node;
use crate::error::Result;
use crate::ops::WindowAxis;

/// Numbers above this are mistakes, or attacks.
const LARGEST: i64 = 1 << 20;

/// How windows are padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AutoPad {
    /// By the attribute `pads`.
    Explicit,
    /// So that there are extent ÷ stride windows; an odd element at the end (`true`) or at the beginning.
    Same(bool),
    /// Not at all.
    Valid,
}

/// The attribute `auto_pad`.
pub(super) fn auto_pad(node: &Node<'_>) -> Result<AutoPad> {
    Ok(match node.string("auto_pad", "NOTSET")? {
        "NOTSET" | "" => AutoPad::Explicit,
        "SAME_UPPER" => AutoPad::Same(true),
        "SAME_LOWER" => AutoPad::Same(false),
        "VALID" => AutoPad::Valid,
        other => {
            return Err(
                node.error(format!("auto_pad should be NOTSET, SAME_UPPER, SAME_LOWER or VALID, not {other:?}"))
            );
        }
    })
}

/// Numbers of an attribute for each spatial axis, or what holds without it.
pub(super) fn sizes(node: &Node<'_>, name: &str, axes: usize, default: i64, least: i64) -> Result<Vec<usize>> {
    let Some(values) = node.ints(name)? else { return Ok(vec![default as usize; axes]) };
    if values.len() != axes || values.iter().any(|value| !(least..=LARGEST).contains(value)) {
        return Err(node.error(format!("{name} should be {axes} numbers from {least} to {LARGEST}, not {values:?}")));
    }
    Ok(values.iter().map(|&value| value as usize).collect())
}

/// The attribute `pads`: beginnings, then ends.
pub(super) fn pads(node: &Node<'_>, axes: usize) -> Result<Vec<[usize; 2]>> {
    let pads = sizes(node, "pads", 2 * axes, 0, 0)?;
    let (low, high) = pads.split_at(axes);
    Ok(low.iter().zip(high).map(|(&low, &high)| [low, high]).collect())
}

/// The attribute `kernel_shape`, which must be there.
pub(super) fn kernel(node: &Node<'_>, axes: usize) -> Result<Vec<usize>> {
    if !node.has_attribute("kernel_shape") {
        return Err(node.error("wants the attribute \"kernel_shape\""));
    }
    sizes(node, "kernel_shape", axes, 1, 1)
}

/// The windows of a kernel over these extents.
pub(super) fn windows(node: &Node<'_>, kernel: &[usize], extents: &[usize]) -> Result<Vec<WindowAxis>> {
    let axes = extents.len();
    if kernel.len() != axes {
        return Err(node.error(format!("a kernel {kernel:?} does not fit {axes} spatial axes")));
    }
    let (strides, dilations) = (sizes(node, "strides", axes, 1, 1)?, sizes(node, "dilations", axes, 1, 1)?);
    let (auto, pads) = (auto_pad(node)?, pads(node, axes)?);
    let numbers = kernel.iter().zip(strides).zip(dilations).zip(extents.iter().zip(pads));
    Ok(numbers
        .map(|(((&kernel, stride), dilation), (&extent, [low, high]))| {
            let window = WindowAxis { kernel, stride, dilation, low: 0, high: 0 };
            match auto {
                AutoPad::Explicit => WindowAxis { low, high, ..window },
                AutoPad::Valid => window,
                AutoPad::Same(at_end) => {
                    let last = extent.div_ceil(stride).saturating_sub(1) * stride;
                    let total = (last + window.span()).saturating_sub(extent);
                    let (less, more) = (total / 2, total - total / 2);
                    let (low, high) = if at_end { (less, more) } else { (more, less) };
                    WindowAxis { low, high, ..window }
                }
            }
        })
        .collect())
}
