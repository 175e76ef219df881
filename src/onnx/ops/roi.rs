//! Regions of feature maps, pooled to one size (He et al. 2017, Mask R-CNN).

use super::wide::wide_input;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::{DType, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("MaxRoiPool", max_roi_pool), ("RoiAlign", roi_align)];

/// Samples that a bin may have along an axis.
const MOST_SAMPLES: usize = 1 << 12;

/// Numbers that hold for all regions.
struct Pool {
    scale: f64,
    half_pixel: bool,
    largest: bool,
    /// Bins along both axes.
    bins: [usize; 2],
}

fn roi_align(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), (regions, _)) = (wide_input(node, 0)?, wide_input(node, 1)?);
    let batch = node.input(2)?.cast(DType::I32);
    let count = batch.shape().len();
    if x.rank() != 4 || regions.shape().dims() != [count, 4] || batch.rank() != 1 || x.shape().is_empty() {
        return Err(node.error(format!(
            "takes [n, channels, height, width], regions [r, 4] and batch indices [r], not {}, {} and {}",
            x.shape(),
            regions.shape(),
            batch.shape()
        )));
    }
    let bins = |name: &str| -> Result<usize> {
        usize::try_from(node.int(name, 1)?)
            .ok()
            .filter(|bins| (1..=MOST_SAMPLES).contains(bins))
            .ok_or_else(|| node.error(format!("{name} should be from 1 to {MOST_SAMPLES}")))
    };
    let pool = Pool {
        scale: node.float("spatial_scale", 1.0)?,
        half_pixel: node.opset() >= 16
            && match node.string("coordinate_transformation_mode", "half_pixel")? {
                "half_pixel" => true,
                "output_half_pixel" => false,
                other => return Err(node.error(format!("coordinate_transformation_mode {other:?} is not known"))),
            },
        largest: match node.string("mode", "avg")? {
            "avg" => false,
            "max" => true,
            other => return Err(node.error(format!("mode should be avg or max, not {other:?}"))),
        },
        bins: [bins("output_height")?, bins("output_width")?],
    };
    let samples = node.int("sampling_ratio", 0)?;
    if samples > 0 {
        let samples = usize::try_from(samples).unwrap_or(usize::MAX);
        if samples > MOST_SAMPLES {
            return Err(node.error(format!("sampling_ratio is {samples}, and may be {MOST_SAMPLES} at most")));
        }
        return Ok(vec![pool.run(&x, &regions, &batch, [samples; 2]).cast(dtype).into()]);
    }
    // As many samples as a region has elements in a bin: regions of equal numbers of them are computed together.
    let values = node.host_floats(1)?;
    let mut kinds: Vec<([usize; 2], Vec<i32>)> = Vec::new();
    for (position, region) in values.chunks_exact(4).enumerate() {
        let &[left, top, right, bottom] = region else { continue };
        let wanted = pool.samples([bottom - top, right - left]);
        if wanted.iter().any(|&samples| samples > MOST_SAMPLES) {
            return Err(node.error(format!("region {region:?} takes more than {MOST_SAMPLES} samples along an axis")));
        }
        match kinds.iter_mut().find(|(samples, _)| *samples == wanted) {
            Some((_, indices)) => indices.push(position as i32),
            None => kinds.push((wanted, vec![position as i32])),
        }
    }
    let index = |values: Vec<i32>| -> Result<Tensor> {
        let count = values.len();
        Ok(node.graph().constant(TensorData::from_vec(values, [count])?))
    };
    let (mut parts, mut order) = (Vec::new(), vec![0; count]);
    let mut met = 0;
    for (samples, indices) in kinds {
        for &position in &indices {
            if let Some(at) = order.get_mut(position as usize) {
                *at = met;
            }
            met += 1;
        }
        let indices = index(indices)?;
        parts.push(pool.run(&x, &regions.take(0, &indices), &batch.take(0, &indices), samples));
    }
    let y = match &parts[..] {
        [] => {
            let channels = x.shape().get(1).copied().unwrap_or(0);
            let [rows, columns] = pool.bins;
            node.graph().scalar(x.dtype(), 0.0).broadcast_to([0, channels, rows, columns])
        }
        [only] => only.clone(),
        several => node.graph().concat(&several.iter().collect::<Vec<_>>(), 0).take(0, &index(order)?),
    };
    Ok(vec![y.cast(dtype).into()])
}

/// Along one axis: the elements before and after each sample `[r, samples]`, and the share of the second; both weights are 0
/// beyond the edges.
struct Along {
    low: Tensor,
    high: Tensor,
    weights: [Tensor; 2],
}

impl Pool {
    /// Samples of a bin of a region of a number of elements.
    fn samples(&self, extents: [f64; 2]) -> [usize; 2] {
        let mut samples = [0; 2];
        for ((samples, extent), bins) in samples.iter_mut().zip(extents).zip(self.bins) {
            // In f32, as the regions are.
            let extent = extent as f32 * self.scale as f32;
            let extent = if self.half_pixel { extent } else { extent.max(1.0) };
            *samples = (extent / bins as f32).ceil().max(0.0) as usize;
        }
        samples
    }

    /// Samples along an axis of regions from `start` to `end`, `[r]` each.
    fn along(&self, [start, end]: [&Tensor; 2], extent: usize, bins: usize, samples: usize) -> Along {
        let offset = if self.half_pixel { 0.5 } else { 0.0 };
        let (start, end) = (start * self.scale - offset, end * self.scale - offset);
        let size = end - &start;
        let size = if self.half_pixel { size } else { size.maximum(1.0) };
        let bin = (size * (1.0 / bins as f64)).unsqueeze(1);
        let graph = start.graph().clone();
        let number = graph.coordinate([1, bins * samples], 1).cast(start.dtype());
        // Sample k of all is (k + ½) / samples bins from the start.
        let at = start.unsqueeze(1) + bin * ((number + 0.5) * (1.0 / samples.max(1) as f64));
        let inside = at.ge(-1.0).logical_and(at.le(extent as f64));
        let last = extent as f64 - 1.0;
        let at = at.clamp(0.0, last);
        let low = at.floor().stop_gradient();
        let share = &at - &low;
        let zero = share.zeros_like();
        let weights = [inside.select(1.0 - &share, &zero), inside.select(&share, &zero)];
        let high = (&low + 1.0).minimum(last);
        Along { low: low.cast(DType::I32), high: high.cast(DType::I32), weights }
    }

    fn run(&self, x: &Tensor, regions: &Tensor, batch: &Tensor, samples: [usize; 2]) -> Tensor {
        let shape = x.shape();
        let (&[images, channels, height, width], [rows, columns]) = (shape.dims(), self.bins) else { return x.clone() };
        let count = batch.shape().len();
        let [down, across] = samples;
        if down == 0 || across == 0 {
            return x.graph().scalar(x.dtype(), 0.0).broadcast_to([count, channels, rows, columns]);
        }
        let corner = |column: usize| regions.at(1, column);
        let vertical = self.along([&corner(1), &corner(3)], height, rows, down);
        let horizontal = self.along([&corner(0), &corner(2)], width, columns, across);
        let table = x.permute(&[0, 2, 3, 1]).reshape([images * height * width, channels]);
        let image = (batch * (height * width) as i32).reshape([count, 1, 1]);
        let mut found: Option<Tensor> = None;
        for (row, weight) in [&vertical.low, &vertical.high].into_iter().zip(&vertical.weights) {
            for (column, share) in [&horizontal.low, &horizontal.high].into_iter().zip(&horizontal.weights) {
                let index = &image + row.unsqueeze(2) * width as i32 + column.unsqueeze(1);
                let value = table.take(0, &index) * (weight.unsqueeze(2) * share.unsqueeze(1)).unsqueeze(3);
                // The largest is that of weighted elements, not of samples: so it is specified.
                found = Some(match found {
                    Some(earlier) if self.largest => earlier.maximum(value),
                    Some(earlier) => earlier + value,
                    None => value,
                });
            }
        }
        let Some(found) = found else { return x.clone() };
        let divided = found.reshape([count, rows, down, columns, across, channels]);
        let pooled = if self.largest { divided.max([2, 4]) } else { divided.mean([2, 4]) };
        pooled.permute(&[0, 3, 1, 2])
    }
}

/// The largest elements of a region's bins (Girshick 2015, Fast R-CNN). Regions are
/// `[index in the batch, left, top, right, bottom]` and include their last elements; a bin without elements gives 0.
fn max_roi_pool(node: &Node<'_>) -> Result<Vec<Value>> {
    let ((x, dtype), (regions, _)) = (wide_input(node, 0)?, wide_input(node, 1)?);
    let (shape, found) = (x.shape(), regions.shape());
    let (&[_, _, height, width], &[_, 5]) = (shape.dims(), found.dims()) else {
        return Err(
            node.error(format!("takes [n, channels, height, width] and regions [r, 5], not {shape} and {found}"))
        );
    };
    if shape.is_empty() {
        return Err(node.error(format!("takes maps with elements, not {shape}")));
    }
    let bins = |count: i64| usize::try_from(count).ok().filter(|bins| (1..=MOST_SAMPLES).contains(bins));
    let (rows, columns) = match node.ints("pooled_shape")? {
        Some(&[rows, columns]) => bins(rows).zip(bins(columns)),
        _ => None,
    }
    .ok_or_else(|| node.error(format!("pooled_shape should be two numbers from 1 to {MOST_SAMPLES}")))?;
    let scale = node.float("spatial_scale", 1.0)?;
    // Halves away from zero, as in C.
    let bound = |column: usize| {
        let scaled = regions.at(1, column) * scale;
        ((scaled.abs() + 0.5).floor() * scaled.sign()).cast(DType::I32)
    };
    // In integers, since quotients of floats are not exact.
    let inside = |start: Tensor, end: Tensor, bins: usize, extent: usize| {
        let size = ((end - &start) + 1).maximum(1).unsqueeze(1);
        let bin = node.graph().coordinate([1, bins], 1);
        let count = bins as i32;
        let low = (&bin * &size) / count + start.unsqueeze(1);
        let high = ((bin + 1) * size + (count - 1)) / count + start.unsqueeze(1);
        let at = node.graph().coordinate([1, 1, extent], 2);
        at.ge(low.unsqueeze(2)).logical_and(at.lt(high.unsqueeze(2)))
    };
    // `[r, 1, 1, columns, width]` and `[r, 1, rows, 1, height]`.
    let across = inside(bound(1), bound(3), columns, width).unsqueeze(1).unsqueeze(1);
    let along = inside(bound(2), bound(4), rows, height).unsqueeze(1).unsqueeze(3);
    let maps = x.take(0, &regions.at(1, 0).cast(DType::I32));
    let nothing = node.graph().scalar(x.dtype(), f64::NEG_INFINITY);
    let largest = |allowed: &Tensor, of: &Tensor| allowed.select(of, &nothing).max([-1]);
    // `[r, channels, height, columns]`, then `[r, channels, rows, columns]`.
    let narrowed = largest(&across, &maps.unsqueeze(3));
    let y = largest(&along, &narrowed.transpose(2, 3).unsqueeze(2));
    let y = y.eq(f64::NEG_INFINITY).select(y.zeros_like(), &y);
    Ok(vec![y.cast(dtype).into()])
}
