//! What the `pool` family's cases are in terms of the library.

use super::golden::Case;
use wgrad::ops::{AvgPool, Interpolate, Interpolation, LpPool, MaxPool, Padding, Sizes};
use wgrad::prelude::*;

/// The case's outputs, where it is a pool or an interpolation.
pub fn apply(case: &Case, x: &Tensor) -> Option<Vec<Tensor>> {
    let sizes = |key: &str| -> Option<Vec<usize>> {
        let sizes: Vec<usize> = case.integers(key).iter().map(|&size| size as usize).collect();
        (!sizes.is_empty()).then_some(sizes)
    };
    let kernel = Sizes::from(sizes("kernel").unwrap_or_default());
    let stride = sizes("stride").map_or_else(|| kernel.clone(), Sizes::from);
    let padding = sizes("padding").map(|sizes| Padding::Symmetric(sizes.into())).unwrap_or(0.into());
    let dilation = sizes("dilation").map_or(1.into(), Sizes::from);
    let ceil_mode = case.flag("ceil_mode");
    let one = match case.op.as_str() {
        "max_pool" => {
            let pool = MaxPool::new(kernel).stride(stride).padding(padding).dilation(dilation).ceil_mode(ceil_mode);
            let (values, indices) = x.max_pool_with_indices(&pool);
            return Some(vec![values, indices]);
        }
        "avg_pool" => {
            let include = case.attribute("count_include_pad").as_bool() != Some(false);
            let pool = AvgPool::new(kernel).stride(stride).padding(padding).ceil_mode(ceil_mode);
            let pool = pool.count_include_pad(include);
            match case.integer("divisor_override") {
                Some(divisor) => x.avg_pool(&pool.divisor_override(divisor as usize)),
                None => x.avg_pool(&pool),
            }
        }
        "lp_pool" => {
            x.lp_pool(&LpPool::new(case.number("norm").unwrap_or(0.0), kernel).stride(stride).ceil_mode(ceil_mode))
        }
        "adaptive_avg_pool" => x.adaptive_avg_pool(sizes("size")?),
        "adaptive_max_pool" => {
            let (values, indices) = x.adaptive_max_pool_with_indices(sizes("size")?);
            return Some(vec![values, indices]);
        }
        "interpolate" => {
            let interpolation = match case.text("mode") {
                "nearest" => Interpolation::Nearest,
                "nearest-exact" => Interpolation::NearestExact,
                "linear" => Interpolation::Linear,
                _ => Interpolation::Cubic,
            };
            let interpolate = match sizes("size") {
                Some(size) => Interpolate::size(size),
                None => {
                    let factors = case.attribute("scale_factor").as_array()?.iter();
                    Interpolate::scale_factors(factors.filter_map(|factor| factor.as_f64()).collect::<Vec<f64>>())
                }
            };
            x.interpolate(&interpolate.mode(interpolation).align_corners(case.flag("align_corners")))
        }
        _ => return None,
    };
    Some(vec![one])
}
