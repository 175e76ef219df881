//! Resize and Upsample: along each axis, results are weighted sums of elements, which tables of weights say.

mod rows;

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::AxisMap;
use crate::tensor::{DType, TensorData};
use rows::{Axis, Coordinates, Method, Nearest, Row};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("Resize", resize), ("Upsample", upsample)];

/// Weights that the tables of one node may have.
const MOST_WEIGHTS: usize = 1 << 26;

/// Before there was Resize: nearest by rounding down, or linear, from the corner.
fn upsample(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let scales = match node.floats("scales")? {
        Some(scales) => scales.iter().copied().map(f64::from).collect(),
        None if node.opset() < 7 => vec![1.0, 1.0, node.float("height_scale", 1.0)?, node.float("width_scale", 1.0)?],
        None => node.host_floats(1)?,
    };
    Ok(vec![corner_based(node, &x, &scales)?.into()])
}

/// What Upsample and the first Resize do.
fn corner_based(node: &Node<'_>, x: &Tensor, scales: &[f64]) -> Result<Tensor> {
    let method = match node.string("mode", "nearest")? {
        "nearest" => Method::Nearest(Nearest::Floor),
        "linear" | "bilinear" => Method::Linear { antialias: false },
        other => return Err(node.error(format!("mode should be nearest or linear, not {other:?}"))),
    };
    let shape = x.shape();
    let plan = Plan { method, coordinates: Coordinates::Asymmetric, exclude_outside: false, extrapolation: 0.0 };
    let axes: Vec<usize> = (0..shape.rank()).collect();
    let wanted = by_scales(node, &shape, &axes, scales)?;
    plan.run(node, x, &axes, &wanted, None)
}

/// The extent that an axis gets, and the factor by which it grows.
type Wanted = (usize, f64);

fn by_scales(node: &Node<'_>, shape: &[usize], axes: &[usize], scales: &[f64]) -> Result<Vec<Wanted>> {
    if scales.len() != axes.len() {
        return Err(node.error(format!("{} axes should have as many scales, not {scales:?}", axes.len())));
    }
    let wanted = axes.iter().zip(scales).map(|(&axis, &scale)| {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(node.error(format!("a scale is {scale}, and must be above 0")));
        }
        let extent = shape.get(axis).copied().unwrap_or(0);
        // In f32, as whoever exports it computes the extent: 0.7 in f32 times 10 is 7 there.
        Ok(((extent as f32 * scale as f32).floor() as usize, scale))
    });
    wanted.collect()
}

fn by_sizes(node: &Node<'_>, shape: &[usize], axes: &[usize], sizes: &[i64]) -> Result<Vec<Wanted>> {
    if sizes.len() != axes.len() {
        return Err(node.error(format!("{} axes should have as many sizes, not {sizes:?}", axes.len())));
    }
    let sizes = node.counts(sizes)?;
    let extents = || axes.iter().map(|&axis| shape.get(axis).copied().unwrap_or(0));
    let scales: Vec<f64> = sizes.iter().zip(extents()).map(|(&size, extent)| size as f64 / extent as f64).collect();
    let common = match node.string("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => return Ok(sizes.iter().copied().zip(scales).collect()),
        "not_larger" => scales.iter().copied().fold(f64::INFINITY, f64::min),
        "not_smaller" => scales.iter().copied().fold(0.0, f64::max),
        other => return Err(node.error(format!("keep_aspect_ratio_policy {other:?} is not known"))),
    };
    Ok(extents().map(|extent| ((common * extent as f64 + 0.5) as usize, common)).collect())
}

fn resize(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    if node.opset() < 11 {
        return Ok(vec![corner_based(node, &x, &node.host_floats(1)?)?.into()]);
    }
    let shape = x.shape();
    let axes = match node.ints("axes")? {
        Some(axes) => node.axes(axes, shape.rank())?,
        None => (0..shape.rank()).collect(),
    };
    let has = |input: usize| node.has(input) && node.ty(input).is_ok_and(|ty| !ty.is_empty());
    let wanted = match (has(2), has(3)) {
        (true, false) => by_scales(node, &shape, &axes, &node.host_floats(2)?)?,
        (false, true) => by_sizes(node, &shape, &axes, &node.host_ints(3)?)?,
        _ => return Err(node.error("wants either scales or sizes")),
    };
    let antialias = node.flag("antialias", false)?;
    let method = match node.string("mode", "nearest")? {
        "nearest" => Method::Nearest(match node.string("nearest_mode", "round_prefer_floor")? {
            "round_prefer_floor" => Nearest::PreferFloor,
            "round_prefer_ceil" => Nearest::PreferCeil,
            "floor" => Nearest::Floor,
            "ceil" => Nearest::Ceil,
            other => return Err(node.error(format!("nearest_mode {other:?} is not known"))),
        }),
        "linear" => Method::Linear { antialias },
        "cubic" => Method::Cubic { a: node.float("cubic_coeff_a", -0.75)?, antialias },
        other => return Err(node.error(format!("mode should be nearest, linear or cubic, not {other:?}"))),
    };
    let coordinates = match node.string("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => Coordinates::HalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        "tf_half_pixel_for_nn" => Coordinates::HalfPixelForNearest,
        "tf_crop_and_resize" => Coordinates::CropAndResize,
        other => return Err(node.error(format!("coordinate_transformation_mode {other:?} is not known"))),
    };
    let roi = if coordinates == Coordinates::CropAndResize {
        let roi = node.host_floats(1)?;
        if roi.len() != 2 * axes.len() {
            return Err(node.error(format!("roi should be {} numbers, not {roi:?}", 2 * axes.len())));
        }
        Some(roi)
    } else {
        None
    };
    let plan = Plan {
        method,
        coordinates,
        exclude_outside: node.flag("exclude_outside", false)?,
        extrapolation: node.float("extrapolation_value", 0.0)?,
    };
    Ok(vec![plan.run(node, &x, &axes, &wanted, roi.as_deref())?.into()])
}

/// How values are found.
struct Plan {
    method: Method,
    coordinates: Coordinates,
    exclude_outside: bool,
    extrapolation: f64,
}

impl Plan {
    fn run(
        &self,
        node: &Node<'_>,
        x: &Tensor,
        axes: &[usize],
        wanted: &[Wanted],
        roi: Option<&[f64]>,
    ) -> Result<Tensor> {
        let (shape, dtype) = (x.shape(), x.dtype());
        let nearest = matches!(self.method, Method::Nearest(_));
        // Those that only copy elements can do so with any type.
        let mut y = if nearest && !dtype.is_float() { x.clone() } else { super::wide::wide(x) };
        let mut dims: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        let mut maps = Vec::new();
        for (index, (&axis, &(results, scale))) in axes.iter().zip(wanted).enumerate() {
            let elements = shape.get(axis).copied().unwrap_or(0);
            if elements == 0 && results > 0 || results > MOST_WEIGHTS {
                return Err(node.error(format!("cannot make {results} elements of {elements}")));
            }
            if let Some(dim) = dims.get_mut(axis) {
                *dim = results as i64;
            }
            let region = roi.map_or((0.0, 1.0), |roi| {
                let end = |at: usize| roi.get(at).copied().unwrap_or(0.0);
                (end(index), end(index + axes.len()))
            });
            let whole = (scale - 1.0).abs() < 1e-9 && results == elements && region == (0.0, 1.0);
            if whole {
                continue;
            }
            // Lengths were whole before opset 19.
            let length = if node.opset() < 19 { results as f64 } else { scale * elements as f64 };
            let along = Axis { elements, results, scale, length, region, coordinates: self.coordinates };
            if along.footprint(self.method).saturating_mul(results) > MOST_WEIGHTS {
                return Err(node.error(format!("{results} elements of {elements} would take too many weights")));
            }
            maps.push((axis, along.rows(self.method, self.exclude_outside)));
        }
        node.extents(&dims)?;
        // The axis that shrinks most comes first, so that the others have less to do.
        maps.sort_by_key(|(axis, rows)| {
            rows.len() as u64 * 1024 / shape.get(*axis).copied().unwrap_or(1).max(1) as u64
        });
        let mut outside: Option<Tensor> = None;
        for (axis, rows) in maps {
            if rows.iter().any(Row::is_outside) {
                let truths: Vec<bool> = rows.iter().map(Row::is_outside).collect();
                let dims: Vec<usize> =
                    (0..shape.rank()).map(|other| if other == axis { truths.len() } else { 1 }).collect();
                let truths = node.graph().constant(TensorData::from_bools(&truths, dims)?);
                outside = Some(match outside {
                    Some(earlier) => {
                        let shape = earlier.shape().broadcast(&truths.shape()).unwrap_or_default();
                        earlier.broadcast_to(&shape).logical_or(truths.broadcast_to(&shape))
                    }
                    None => truths,
                });
            }
            y = resampled(node, &y, axis, rows, nearest)?;
            node.check()?;
        }
        if let Some(outside) = outside {
            let value = y.filled_like(self.extrapolation);
            y = outside.select(&value, &y);
        }
        Ok(y.cast(dtype))
    }
}

/// One axis. Where elements are copied, they are repeated if each comes equally often, and picked if they are no floats.
fn resampled(node: &Node<'_>, x: &Tensor, axis: usize, rows: Vec<Row>, nearest: bool) -> Result<Tensor> {
    let shape = x.shape();
    let elements = shape.get(axis).copied().unwrap_or(0);
    if nearest {
        let indices: Vec<i32> = rows.iter().map(|row| row.first().unwrap_or(0) as i32).collect();
        let results = indices.len();
        if results > 0 && results.is_multiple_of(elements) && !rows.iter().any(Row::is_outside) {
            let times = results / elements;
            if indices.iter().enumerate().all(|(result, &index)| result / times == index as usize) {
                let (before, after) = (shape.iter().take(axis), shape.iter().skip(axis + 1));
                let with = |middle: Vec<usize>| -> Vec<usize> {
                    before.clone().copied().chain(middle).chain(after.clone().copied()).collect()
                };
                let repeated = x.reshape(with(vec![elements, 1])).broadcast_to(with(vec![elements, times]));
                return Ok(repeated.reshape(with(vec![results])));
            }
        }
        if x.dtype() != DType::F32 && x.dtype() != DType::F64 {
            let indices = node.graph().constant(TensorData::from_vec(indices, [results])?);
            return Ok(x.take(axis as isize, &indices));
        }
    }
    let map = AxisMap::from_rows(elements, rows.into_iter().map(Row::into_weights).collect());
    Ok(x.resample(axis as isize, &map.map_err(|message| node.error(message))?))
}
