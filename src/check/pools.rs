//! What is checked of pools and resampling.

use super::Family;
use super::extreme::Extreme;
use super::input::Input;
use crate::graph::Tensor;
use crate::ops::{AvgPool, Interpolate, Interpolation, LpPool, MaxPool};
use crate::tensor::DType;

/// Sums of few elements, in any order.
const SUM: f64 = 2e-5;

/// Batches, channels and extents: single ones, odd ones, more than a workgroup, one to three axes.
const SHAPES: &[&[usize]] = &[
    &[1, 1, 3],
    &[5, 3, 11],
    &[2, 37, 70],
    &[1, 1, 3, 3],
    &[5, 3, 7, 9],
    &[2, 3, 33, 18],
    &[1, 2, 4, 5, 6],
    &[2, 1, 9, 3, 7],
];

fn pooled(name: &str, input: fn(&[usize]) -> Input, build: fn(&Tensor) -> Tensor) -> Family {
    SHAPES.iter().fold(Family::new(format!("pool/{name}"), SUM), |family, shape| {
        family.case([input(shape)], move |inputs| build(&inputs[0]))
    })
}

/// Many equal numbers: the first one counts.
fn ties(shape: &[usize]) -> Input {
    Input::some(shape, &[-2.0, 0.0, 1.5, 3.0])
}

pub(super) fn families() -> Vec<Family> {
    let mut families = vec![
        pooled("max", ties, |x| x.max_pool(&MaxPool::new(2).ceil_mode(true))),
        pooled("max_overlapping", Input::normal, |x| x.max_pool(&MaxPool::new(3).stride(2).padding(1))),
        pooled("max_dilated", ties, |x| x.max_pool(&MaxPool::new(2).stride(1).dilation(2))),
        // The mask of a relu joins the kernel of the gradient.
        pooled("max_of_relu", Input::normal, |x| x.relu().max_pool(&MaxPool::new(2).stride(1)) * 0.5),
        SHAPES.iter().fold(Family::new("pool/max_places", 0.0).extremes(Extreme::WITH_LARGEST), |family, shape| {
            family.forward([ties(shape)], |_, inputs| {
                let (values, indices) = inputs[0].max_pool_with_indices(&MaxPool::new(3).stride(1).padding(1));
                vec![values, indices]
            })
        }),
        pooled("average", Input::normal, |x| x.avg_pool(&AvgPool::new(3).stride(2).padding(1))),
        pooled("average_excluding", Input::normal, |x| {
            x.avg_pool(&AvgPool::new(3).stride(2).padding(1).ceil_mode(true).count_include_pad(false)).tanh()
        }),
        pooled("power", Input::normal, |x| x.lp_pool(&LpPool::new(2.0, 2).ceil_mode(true))),
        pooled("adaptive_average", Input::normal, |x| x.adaptive_avg_pool(2)),
        pooled("adaptive_max", ties, |x| x.adaptive_max_pool(2)),
        pooled("global", Input::normal, |x| x.global_avg_pool() + x.global_max_pool()),
        Family::new("pool/long", SUM)
            .case([Input::normal(&[2, 3, 60, 50])], |inputs| inputs[0].adaptive_avg_pool([1, 2]))
            .case([Input::normal(&[2, 3, 60, 50])], |inputs| {
                inputs[0].max_pool(&MaxPool::new([50, 40]).stride([7, 3]).padding([1, 2]))
            }),
    ];
    for (name, mode) in [
        ("nearest", Interpolation::Nearest),
        ("nearest_exact", Interpolation::NearestExact),
        ("linear", Interpolation::Linear),
    ] {
        families.push(SHAPES.iter().fold(Family::new(format!("resample/{name}"), SUM), |family, shape| {
            family
                .case([Input::normal(shape)], move |x| x[0].interpolate(&Interpolate::scale_factor(2.0).mode(mode)))
                .case([Input::normal(shape)], move |x| x[0].interpolate(&Interpolate::size(5).mode(mode)) * 2.0)
        }));
    }
    families.push(SHAPES.iter().fold(Family::new("resample/linear_aligned", SUM), |family, shape| {
        let linear = || Interpolate::size(6).mode(Interpolation::Linear).align_corners(true);
        family.case([Input::normal(shape)], move |x| x[0].interpolate(&linear()).relu())
    }));
    // 16-bit values are read and written as such, and computed in f32.
    families.push(SHAPES.iter().fold(Family::new("pool/bf16", 1.6e-2), |family, shape| {
        family.forward([Input::normal(shape)], |_, x| {
            let x = x[0].cast(DType::BF16);
            let linear = Interpolate::size(5).mode(Interpolation::Linear);
            let pooled = x.max_pool(&MaxPool::new(2)) + x.avg_pool(&AvgPool::new(2));
            vec![pooled.cast(DType::F32), x.interpolate(&linear).cast(DType::F32)]
        })
    }));
    families.push(Family::new("resample/cubic", SUM).case([Input::normal(&[2, 3, 7, 5])], |x| {
        x[0].interpolate(&Interpolate::size([4, 11]).mode(Interpolation::Cubic))
    }));
    families
}
