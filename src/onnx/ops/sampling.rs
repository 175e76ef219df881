//! Values at positions between elements, and the grids that say where.

use super::wide::wide_input;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::{DType, Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("AffineGrid", affine_grid), ("GridSample", grid_sample)];

/// How values between elements are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Nearest,
    Linear,
    Cubic,
}

/// What is beyond the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    Zeros,
    /// The nearest element.
    Border {
        corners: bool,
    },
    /// The elements once more, reflected at the edges; these are the middles of the corner elements, or half an element further
    /// out.
    Reflection {
        corners: bool,
    },
}

impl Beyond {
    /// Both edges of an axis.
    fn edges(self, extent: usize) -> (f64, f64) {
        match self {
            Self::Reflection { corners: true } | Self::Border { corners: true } => (0.0, extent as f64 - 1.0),
            _ => (-0.5, extent as f64 - 0.5),
        }
    }

    /// Positions moved back between the edges.
    fn settled(self, x: &Tensor, extent: usize) -> Tensor {
        let (low, high) = self.edges(extent);
        match self {
            Self::Zeros => x.clone(),
            Self::Border { .. } => {
                let inside = x.ge(low).logical_and(x.le(high));
                inside.select(x, x.clamp(0.0, extent as f64 - 1.0))
            }
            Self::Reflection { .. } if high <= low => x.zeros_like(),
            Self::Reflection { .. } => {
                let period = 2.0 * (high - low);
                let distance = (x - low).abs();
                let rest = &distance - (&distance * (1.0 / period)).floor() * period;
                rest.minimum(period - &rest) + low
            }
        }
    }
}

/// The weights of the elements around positions, from the first one on, whose offset to the floor is the second result.
fn neighbours(share: &Tensor, method: Method) -> (Vec<Tensor>, i32) {
    match method {
        Method::Nearest => (vec![share.ones_like()], 0),
        Method::Linear => (vec![1.0 - share, share.clone()], 0),
        Method::Cubic => {
            const A: f64 = -0.75;
            let near = |x: &Tensor| (x * (A + 2.0) - (A + 3.0)) * x * x + 1.0;
            let far = |x: &Tensor| ((x * A - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
            let other = 1.0 - share;
            (vec![far(&(share + 1.0)), near(share), near(&other), far(&(&other + 1.0))], -1)
        }
    }
}

/// Values of `x`, `[n, channels, extents…]`, at positions `[n, points]` for each axis: `[n, channels, points]`.
pub(super) fn sample(x: &Tensor, positions: &[Tensor], method: Method, beyond: Beyond) -> Tensor {
    let shape = x.shape();
    let (Some(&batch), Some(&channels)) = (shape.first(), shape.get(1)) else { return x.clone() };
    let extents: Vec<usize> = shape.iter().skip(2).copied().collect();
    let flat = x.reshape([batch, channels, extents.iter().product()]);
    let points = positions.first().map_or(0, |position| position.shape().last().copied().unwrap_or(0));
    // For each axis, indices of elements with their weights.
    let mut around: Vec<Vec<(Tensor, Tensor)>> = Vec::new();
    for (position, &extent) in positions.iter().zip(&extents) {
        let rounded = if method == Method::Nearest { position.round() } else { position.clone() };
        // A cubic kernel over the border is one of elements that are repeated.
        let free = method == Method::Cubic && matches!(beyond, Beyond::Border { .. });
        let position = if free { rounded } else { beyond.settled(&rounded, extent) };
        let floor = if method == Method::Nearest { position.trunc() } else { position.floor() };
        let (weights, first) = neighbours(&(&position - &floor), method);
        let last = extent as f64 - 1.0;
        let axis = weights.into_iter().zip(first..).map(|(weight, step)| {
            let element = &floor.stop_gradient() + f64::from(step);
            match beyond {
                Beyond::Zeros => {
                    let inside = element.ge(0.0).logical_and(element.le(last));
                    (element.clamp(0.0, last).cast(DType::I32), inside.select(&weight, weight.zeros_like()))
                }
                _ => (beyond.settled(&element, extent).clamp(0.0, last).cast(DType::I32), weight),
            }
        });
        around.push(axis.collect());
    }
    // All combinations, one axis after the other.
    let mut taps: Vec<(Tensor, Tensor)> = Vec::new();
    for (axis, &extent) in around.into_iter().zip(&extents) {
        taps = if taps.is_empty() {
            axis
        } else {
            let pairs = taps.iter().flat_map(|tap| axis.iter().map(move |next| (tap, next)));
            pairs.map(|((at, weight), (next, share))| (at * extent as i32 + next, weight * share)).collect()
        };
    }
    let mut sum: Option<Tensor> = None;
    for (at, weight) in taps {
        let index = at.reshape([batch, 1, points]).broadcast_to([batch, channels, points]);
        let mut value = flat.gather(2, &index);
        if method != Method::Nearest || beyond == Beyond::Zeros {
            value = value * weight.reshape([batch, 1, points]);
        }
        sum = Some(if let Some(sum) = sum { sum + value } else { value });
    }
    sum.unwrap_or(flat)
}

fn grid_sample(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), (grid, _)) = (wide_input(node, 0)?, wide_input(node, 1)?);
    let (shape, found) = (x.shape(), grid.shape());
    let spatial = shape.rank().saturating_sub(2);
    let fits = (1..=3).contains(&spatial)
        && found.rank() == spatial + 2
        && found.first() == shape.first()
        && found.last() == Some(&spatial);
    if !fits || shape.iter().skip(2).any(|&extent| extent == 0) {
        return Err(node.error(format!("a grid {found} does not fit {shape}")));
    }
    let method = match node.string("mode", "linear")? {
        "linear" | "bilinear" => Method::Linear,
        "nearest" => Method::Nearest,
        "cubic" | "bicubic" => Method::Cubic,
        other => return Err(node.error(format!("mode {other:?} is not known"))),
    };
    let corners = node.flag("align_corners", false)?;
    let beyond = match node.string("padding_mode", "zeros")? {
        "zeros" => Beyond::Zeros,
        "border" => Beyond::Border { corners },
        "reflection" => Beyond::Reflection { corners },
        other => return Err(node.error(format!("padding_mode {other:?} is not known"))),
    };
    let batch = shape.first().copied().unwrap_or(0);
    let points: usize = found.iter().skip(1).take(spatial).product();
    let grid = grid.reshape([batch, points, spatial]);
    let positions = shape.iter().skip(2).enumerate().map(|(axis, &extent)| {
        // The last number of a grid is the position along the first axis.
        let position = grid.at(2, spatial - 1 - axis);
        let extent = extent as f64;
        if corners { (position + 1.0) * 0.5 * (extent - 1.0) } else { ((position + 1.0) * extent - 1.0) * 0.5 }
    });
    let positions: Vec<Tensor> = positions.collect();
    let y = sample(&x, &positions, method, beyond);
    let dims: Vec<usize> = shape.iter().take(2).chain(found.iter().skip(1).take(spatial)).copied().collect();
    Ok(vec![y.reshape(dims).cast(dtype).into()])
}

/// Grids from affine maps `[n, axes, axes + 1]`.
fn affine_grid(node: &Node<'_>) -> Result<Vec<Value>> {
    let (theta, dtype) = wide_input(node, 0)?;
    // The channels are no part of the grid.
    let size = Shape::from(node.counts(&node.host_ints(1)?)?);
    let spatial = size.rank().saturating_sub(2);
    let batch = size.first().copied().unwrap_or(0);
    if !(2..=3).contains(&spatial) || theta.shape().dims() != [batch, spatial, spatial + 1] {
        return Err(node.error(format!("maps {} do not fit a size of {size}", theta.shape())));
    }
    let corners = node.flag("align_corners", false)?;
    let extents: Vec<usize> = size.iter().skip(2).copied().collect();
    let points = Shape::from(extents.as_slice()).len();
    if points > 1 << 26 {
        return Err(node.error(format!("a grid of {size} is too large")));
    }
    let mut base = Vec::with_capacity(points * (spatial + 1));
    for point in 0..points {
        let mut rest = point;
        // The last axis comes first.
        for &extent in extents.iter().rev() {
            let (at, extent) = ((rest % extent) as f64, extent as f64);
            rest /= extent as usize;
            base.push(match corners {
                true if extent > 1.0 => 2.0 * at / (extent - 1.0) - 1.0,
                true => -1.0,
                false => (2.0 * at + 1.0) / extent - 1.0,
            });
        }
        base.push(1.0);
    }
    let base = node.graph().constant(TensorData::from_f64(theta.dtype(), &base, [points, spatial + 1])?);
    let grid = base.matmul(&theta.transpose(1, 2));
    let dims: Vec<usize> = std::iter::once(batch).chain(extents).chain([spatial]).collect();
    Ok(vec![grid.reshape(dims).cast(dtype).into()])
}
