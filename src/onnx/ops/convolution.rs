//! Convolutions.

use super::wide::{wide, wide_input, wide_optional};
use super::window::{AutoPad, auto_pad, pads, sizes, windows};
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{ConvOptions, ConvTransposeOptions, Padding};
use crate::tensor::Shape;

pub(super) const OPERATORS: &[(&str, Handler)] =
    &[("CausalConvWithState", causal), ("Conv", conv), ("ConvTranspose", conv_transpose)];

/// The spatial extents of an input `[n, channels, spatial…]` and of a weight that has as many of them.
fn extents(node: &Node<'_>, x: &Tensor, weight: &Tensor) -> Result<(Vec<usize>, Vec<usize>)> {
    let (input, kernel) = (x.shape(), weight.shape());
    if !(3..=5).contains(&input.rank()) || input.rank() != kernel.rank() {
        return Err(node.error(format!(
            "takes an input [n, channels, spatial…] and a weight of one to three spatial axes, not {input} and {kernel}"
        )));
    }
    let spatial = |shape: &Shape| shape.iter().skip(2).copied().collect::<Vec<usize>>();
    let (input, kernel) = (spatial(&input), spatial(&kernel));
    if let Some(said) = node.ints("kernel_shape")?
        && said.iter().map(|&extent| usize::try_from(extent).ok()).ne(kernel.iter().map(|&extent| Some(extent)))
    {
        return Err(node.error(format!("kernel_shape {said:?} is not that of the weight {}", weight.shape())));
    }
    Ok((input, kernel))
}

fn groups(node: &Node<'_>) -> Result<usize> {
    let groups = node.int("group", 1)?;
    usize::try_from(groups)
        .ok()
        .filter(|&groups| groups > 0)
        .ok_or_else(|| node.error(format!("group is {groups}, and must be at least 1")))
}

/// Adds a value for each channel.
fn biased(node: &Node<'_>, y: Tensor, bias: Option<Tensor>) -> Result<Tensor> {
    let Some(bias) = bias else { return Ok(y) };
    node.check()?;
    let shape = y.shape();
    let channels = shape.get(1).copied().unwrap_or(0);
    if bias.shape().dims() != [channels] {
        return Err(node.error(format!("a bias for {channels} channels should be [{channels}], not {}", bias.shape())));
    }
    let dims: Vec<usize> = (0..shape.rank()).map(|axis| if axis == 1 { channels } else { 1 }).collect();
    Ok(y + bias.reshape(dims))
}

fn conv(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), (weight, _)) = (wide_input(node, 0)?, wide_input(node, 1)?);
    let (input, kernel) = extents(node, &x, &weight)?;
    let axes = windows(node, &kernel, &input)?;
    let options = ConvOptions::new()
        .stride(axes.iter().map(|axis| axis.stride).collect::<Vec<usize>>())
        .dilation(axes.iter().map(|axis| axis.dilation).collect::<Vec<usize>>())
        .padding(Padding::Explicit(axes.iter().map(|axis| [axis.low, axis.high]).collect()))
        .groups(groups(node)?);
    let y = x.conv(&weight, &options);
    Ok(vec![biased(node, y, wide_optional(node, 2)?)?.cast(dtype).into()])
}

/// What a transposed convolution's result has less than all that the kernel reaches, at the beginning and at the end of each
/// axis. Where it is negative, the result has more, which is 0.
fn cuts(node: &Node<'_>, input: &[usize], kernel: &[usize]) -> Result<Vec<[i64; 2]>> {
    let axes = input.len();
    let (strides, dilations) = (sizes(node, "strides", axes, 1, 1)?, sizes(node, "dilations", axes, 1, 1)?);
    let extra = sizes(node, "output_padding", axes, 0, 0)?;
    let (auto, pads) = (auto_pad(node)?, pads(node, axes)?);
    let shape = match node.ints("output_shape")? {
        // Some models name batch and channels, too.
        Some(shape) if shape.len() == axes || shape.len() == axes + 2 => {
            Some(shape.iter().skip(shape.len() - axes).copied().collect::<Vec<i64>>())
        }
        Some(shape) => return Err(node.error(format!("output_shape should be {axes} numbers, not {shape:?}"))),
        None if matches!(auto, AutoPad::Same(_)) => {
            Some(input.iter().zip(&strides).map(|(&extent, &stride)| (extent * stride) as i64).collect())
        }
        None => None,
    };
    let mut cuts = Vec::with_capacity(axes);
    let numbers = input.iter().zip(kernel).zip(strides.iter().zip(&dilations)).zip(extra.iter().zip(pads));
    for (axis, (((&extent, &kernel), (&stride, &dilation)), (&extra, [low, high]))) in numbers.enumerate() {
        let reach = stride.saturating_mul(extent.saturating_sub(1)).saturating_add((kernel - 1) * dilation + 1) as i64;
        let extra = extra as i64;
        let (low, high) = match shape.as_ref().and_then(|shape| shape.get(axis)) {
            Some(&wanted) if !(1..=i64::from(i32::MAX)).contains(&wanted) => {
                return Err(node.error(format!("output_shape asks for an extent of {wanted}")));
            }
            Some(wanted) => {
                let total = reach + extra - wanted;
                match auto {
                    // What is more than the kernel reaches is at the end.
                    _ if total < 0 => (0, total),
                    AutoPad::Same(true) => (total / 2, total - total / 2),
                    _ => (total - total / 2, total / 2),
                }
            }
            None if auto == AutoPad::Valid => (0, 0),
            None => (low as i64, high as i64),
        };
        cuts.push([low, high - extra]);
    }
    Ok(cuts)
}

fn conv_transpose(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), (weight, _)) = (wide_input(node, 0)?, wide_input(node, 1)?);
    let (input, kernel) = extents(node, &x, &weight)?;
    let axes = input.len();
    if kernel.contains(&0) || input.contains(&0) {
        return Err(node.error(format!("input {} or weight {} is empty", x.shape(), weight.shape())));
    }
    let cuts = cuts(node, &input, &kernel)?;
    let within = cuts.iter().map(|cut| cut.map(|elements| elements.max(0) as usize)).collect();
    let options = ConvTransposeOptions::new()
        .stride(sizes(node, "strides", axes, 1, 1)?)
        .dilation(sizes(node, "dilations", axes, 1, 1)?)
        .padding(Padding::Explicit(within))
        .groups(groups(node)?);
    let mut y = x.conv_transpose(&weight, &options);
    if cuts.iter().flatten().any(|&elements| elements < 0) {
        let beyond = |end: fn(&[i64; 2]) -> i64| -> Vec<usize> {
            [0, 0].into_iter().chain(cuts.iter().map(|cut| (-end(cut)).max(0) as usize)).collect()
        };
        y = y.pad(&beyond(|cut| cut[0]), &beyond(|cut| cut[1]), 0.0);
    }
    Ok(vec![biased(node, y, wide_optional(node, 2)?)?.cast(dtype).into()])
}

/// A depthwise convolution over what was and is, which gives as many elements as there are, and the last ones for the next call.
fn causal(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), (weight, _)) = (wide_input(node, 0)?, wide_input(node, 1)?);
    let (shape, kernel) = (x.shape(), weight.shape());
    let ([batch, channels, length], &[filters, 1, taps]) = (shape.dims(), kernel.dims()) else {
        return Err(
            node.error(format!("takes [n, channels, length] and a weight [channels, 1, k], not {shape} and {kernel}"))
        );
    };
    if filters != *channels || taps == 0 {
        return Err(node.error(format!("a weight {kernel} does not fit {channels} channels")));
    }
    let state = [*batch, *channels, taps - 1];
    let past = match node.optional(3)? {
        Some(past) if past.shape().dims() != state => {
            return Err(node.error(format!("the state should be {state:?}, not {}", past.shape())));
        }
        Some(past) => wide(&past),
        None => node.graph().scalar(x.dtype(), 0.0).broadcast_to(state),
    };
    let all = if taps > 1 { node.graph().concat(&[&past, &x], 2) } else { x.clone() };
    let y = biased(node, all.conv(&weight, &ConvOptions::new().groups(*channels)), wide_optional(node, 2)?)?;
    let y = match node.string("activation", "none")? {
        "none" | "" => y,
        "silu" | "swish" => y.silu(),
        other => return Err(node.error(format!("activation should be none, silu or swish, not {other:?}"))),
    };
    let present = all.slice(2, *length, length + taps - 1);
    Ok(vec![y.cast(dtype).into(), present.cast(dtype).into()])
}
