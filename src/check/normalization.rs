//! Families of normalisation layers and of augmentation.

use super::Family;
use super::input::Input;
use crate::graph::Tensor;
use crate::nn::{Augment, Border, LocalResponseNorm, Mode};

/// Sums of products, over a deviation.
const SUM: f64 = 5e-5;

/// Batches `[N, C, …]`: one and several examples, channels around a quad and a subgroup, all ranks, few and many values.
const BATCHES: &[&[usize]] =
    &[&[2, 1], &[5, 3], &[33, 64], &[1, 3, 7], &[5, 37, 3], &[4, 6, 5, 7], &[2, 3, 40, 41], &[2, 4, 3, 2, 5]];

/// Batches and how many last axes are normalised.
const LAST: &[(&[usize], usize)] =
    &[(&[1, 1], 1), (&[5, 37], 1), (&[130, 64], 1), (&[2, 3000], 1), (&[4, 3, 5], 2), (&[2, 3, 4, 5], 3)];

/// What an affine normalisation does to values, weight and bias.
type Affine = fn(&Tensor, Option<&Tensor>, Option<&Tensor>) -> Tensor;

/// All of them.
pub(super) fn families() -> Vec<Family> {
    let channels = |name: &str, least_rank: usize, build: Affine| {
        BATCHES.iter().filter(|shape| shape.len() >= least_rank).fold(Family::new(name, SUM), |family, shape| {
            let inputs = [Input::normal(shape), Input::normal(&[shape[1]]), Input::normal(&[shape[1]])];
            family
                .case([Input::normal(shape)], move |inputs| build(&inputs[0], None, None))
                .case(inputs, move |inputs| build(&inputs[0], Some(&inputs[1]), Some(&inputs[2])))
        })
    };
    // ε is not so small that values that happen to be alike are blown up with their roundings.
    let mut families = vec![
        channels("norm/batch", 2, |x, w, b| x.batch_norm(w, b, 1e-2)),
        channels("norm/instance", 3, |x, w, b| x.instance_norm(w, b, 1e-2)),
        channels("norm/group", 2, |x, w, b| {
            let groups = if x.shape().get(1).is_some_and(|channels| channels.is_multiple_of(2)) { 2 } else { 1 };
            x.group_norm(groups, w, b, 1e-2)
        }),
    ];
    families.push(BATCHES.iter().fold(Family::new("norm/batch_evaluation", SUM), |family, shape| {
        let channels = [shape[1]];
        let inputs = [
            Input::normal(shape),
            Input::normal(&channels),
            Input::uniform(&channels, 0.2, 3.0, &[]),
            Input::normal(&channels),
            Input::normal(&channels),
        ];
        family.case(inputs, |inputs| {
            inputs[0].batch_norm_with(&inputs[1], &inputs[2], Some(&inputs[3]), Some(&inputs[4]), 1e-5)
        })
    }));
    families.push(LAST.iter().fold(Family::new("norm/layer", SUM), |family, &(shape, axes)| {
        let normalized = &shape[shape.len() - axes..];
        let inputs = [Input::normal(shape), Input::normal(normalized), Input::normal(normalized)];
        family.case(inputs, move |inputs| inputs[0].layer_norm(axes, Some(&inputs[1]), Some(&inputs[2]), 1e-2))
    }));
    families.push(LAST.iter().fold(Family::new("norm/rms", SUM), |family, &(shape, axes)| {
        let inputs = [Input::normal(shape), Input::normal(&shape[shape.len() - axes..])];
        family.case(inputs, move |inputs| inputs[0].rms_norm(axes, Some(&inputs[1]), Some(1e-2)))
    }));
    families.push([1, 2, 5].iter().fold(Family::new("norm/local_response", SUM), |family, &size| {
        BATCHES.iter().fold(family, |family, shape| {
            family
                .case([Input::normal(shape)], move |inputs| LocalResponseNorm::new(size).alpha(0.3).forward(&inputs[0]))
        })
    }));
    families.extend(augmentation());
    families
}

fn augmentation() -> Vec<Family> {
    let pictures: &[&[usize]] = &[&[1, 1, 5, 5], &[7, 3, 9, 6], &[3, 1, 28, 28]];
    let family = |name: &str, tolerance: f64, build: fn(&Tensor) -> Tensor| {
        pictures.iter().fold(Family::new(name, tolerance), |family, shape| {
            family.forward([Input::normal(shape)], move |_, inputs| vec![build(&inputs[0])])
        })
    };
    vec![
        family("augment/flip", 0.0, |x| x.random_flip_horizontal(0.5).random_flip_vertical(0.5)),
        family("augment/crop", 0.0, |x| x.random_crop(3, Border::Zeros)),
        family("augment/crop_reflect", 0.0, |x| x.random_crop(3, Border::Reflect)),
        family("augment/cutout", 0.0, |x| x.cutout(3)),
        // Angles and positions between pixels are computed in f32 on the device and in the reference alike.
        family("augment/rotation", 2e-4, |x| x.random_rotation(20.0)),
        family("augment/scale", 2e-4, |x| x.random_scale(0.8, 1.25)),
        family("augment/noise", 5e-5, |x| x.gaussian_noise(0.1)),
        family("augment/pipeline", 0.0, |x| {
            let augment = Augment::new().flip_horizontal(0.5).crop(2).flip_vertical(0.3).shift(1).cutout(2);
            augment.apply(x, Mode::Training)
        }),
    ]
}
