//! Normalisation layers, one a file: what each does to a tensor as a method, the layer as data, and what that becomes in a graph.
//!
//! Statistics are taken in two passes: the variance is the mean squared distance from the mean, never E\[x²\] − E\[x\]², which
//! loses every digit far from zero. Formulas, defaults and names of parameters are PyTorch's.

mod batch;
mod fold;
mod group;
mod instance;
mod layer;
mod local_response;
mod rms;
mod running;

pub use batch::{BatchNorm, BatchNormalization};
pub use fold::fold_batch_norm;
pub use group::{GroupNorm, GroupNormalization};
pub use instance::{InstanceNorm, InstanceNormalization};
pub use layer::{LayerNorm, LayerNormalization};
pub use local_response::LocalResponseNorm;
pub use rms::{RmsNorm, RmsNormalization};

use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Variable};
use crate::tensor::{DType, Shape, TensorType};

/// The channels of an example, its first axis.
fn channels(example: &Shape) -> Result<usize, String> {
    example.first().copied().ok_or_else(|| "takes examples of one dimension or more, not scalars".into())
}

/// What is wrong with the number that is added to a variance.
fn check_eps(eps: f64) -> Result<(), String> {
    if eps.is_finite() && eps >= 0.0 { Ok(()) } else { Err(format!("eps is {eps}, and must be 0 or more")) }
}

/// What is wrong with the share that the newest statistics have in the running ones.
fn check_momentum(momentum: Option<f64>) -> Result<(), String> {
    match momentum {
        Some(momentum) if !(0.0..=1.0).contains(&momentum) => {
            Err(format!("momentum is {momentum}, and must be from 0 to 1"))
        }
        _ => Ok(()),
    }
}

/// What is wrong with the values that a function normalises. Nothing where an earlier mistake is the reason.
fn complaint(x: &Tensor, least_rank: usize, others: &[Option<&Tensor>], eps: f64) -> Option<String> {
    if x.graph().error().is_some() {
        return None;
    }
    let ty = x.ty();
    if !matches!(ty.dtype, DType::F32 | DType::F64) {
        return Some(format!("wants f32 or f64, not {}; cast first", ty.dtype));
    }
    if ty.shape.rank() < least_rank {
        return Some(format!("wants {least_rank} dimensions or more, not {}", ty.shape));
    }
    if let Some(other) = others.iter().flatten().find(|other| other.dtype() != ty.dtype) {
        return Some(format!("wants {} beside {}, not {}", ty.dtype, ty, other.dtype()));
    }
    check_eps(eps).err()
}

/// What is wrong with parameters that should have one shape.
fn misshapen(wanted: &Shape, others: &[Option<&Tensor>]) -> Option<String> {
    let other = others.iter().flatten().find(|other| other.shape() != *wanted)?;
    Some(format!("wants weight and bias of shape {wanted}, not {}", other.shape()))
}

/// A parameter `LAYER.NAME` that begins as one value everywhere; the graph's own, if it has it already.
#[track_caller]
fn parameter(g: &Graph, layer: &str, name: &str, shape: &Shape, value: f64) -> Tensor {
    let ty = TensorType::new(DType::F32, shape);
    g.variable(Variable::parameter(format!("{layer}.{name}"), ty, Initial::Constant(value)))
}

/// The weight (ones) and bias (zeros) of `channels` channels.
#[track_caller]
fn scale_and_shift(g: &Graph, layer: &str, channels: usize) -> (Tensor, Tensor) {
    let shape = Shape::from([channels]);
    (parameter(g, layer, "weight", &shape, 1.0), parameter(g, layer, "bias", &shape, 0.0))
}

/// The variables of which a norm has at least one.
const VARIABLES: &[&str] = &["weight", "running_mean"];

/// `[1, C, 1, …]`, so that a value for each channel broadcasts over a batch of this rank.
fn per_channel(channels: usize, rank: usize) -> Shape {
    (0..rank).map(|axis| if axis == 1 { channels } else { 1 }).collect()
}

/// What is wrong with a layer's input. Nothing where an earlier mistake is the reason.
fn misfit(x: &Tensor, channels: usize, least_rank: usize) -> Option<String> {
    if x.graph().error().is_some() {
        return None;
    }
    let ty = x.ty();
    if ty.shape.rank() < least_rank || ty.shape.get(1) != Some(&channels) {
        let spatial = if least_rank > 2 { ", with spatial axes" } else { "" };
        return Some(format!("takes a batch [N, {channels}, …]{spatial}, but its input is {}", ty.shape));
    }
    (ty.dtype != DType::F32).then(|| format!("takes f32, but its input is {}; cast it", ty.dtype))
}
