//! Augmentation: properties, draws, devices, pipelines, mistakes.

use wgrad::data::Dataset;
use wgrad::nn::{Augment, Border};
use wgrad::prelude::*;

use super::layers::numbers;
use super::support::devices::devices;

/// The results of a few functions of one batch in one step.
fn results(
    device: &Device,
    x: &TensorData,
    seed: u64,
    build: impl Fn(&Graph, &Tensor) -> Vec<Tensor>,
) -> Vec<TensorData> {
    let g = Graph::new();
    let input = g.input("x", x.shape(), x.dtype());
    let outputs = build(&g, &input);
    outputs.iter().enumerate().for_each(|(k, output)| g.output(&format!("{k}"), output));
    let mut session = Session::new(&g, device, seed).unwrap();
    let known = session.program().inputs.iter().any(|port| port.name == "x");
    let given = [("x", x)];
    let found = session.run(if known { &given } else { &[] }).unwrap();
    (0..outputs.len()).map(|k| found[format!("{k}").as_str()].clone()).collect()
}

fn one(device: &Device, x: &TensorData, seed: u64, build: impl Fn(&Tensor) -> Tensor) -> Vec<f64> {
    results(device, x, seed, |_, x| vec![build(x)]).swap_remove(0).to_f64_vec()
}

/// Element `[n, c, h, w]`, 0 outside of the picture.
fn at(values: &[f64], [_, channels, height, width]: [usize; 4], n: usize, c: usize, h: isize, w: isize) -> f64 {
    if h < 0 || w < 0 || h >= height as isize || w >= width as isize {
        return 0.0;
    }
    values[((n * channels + c) * height + h as usize) * width + w as usize]
}

const SHAPE: [usize; 4] = [40, 2, 5, 7];

#[test]
fn a_flip_is_all_or_nothing_and_its_own_inverse() {
    let x = numbers(1, &SHAPE);
    let values = x.to_f64_vec();
    for device in devices() {
        assert_eq!(one(&device, &x, 0, |x| x.random_flip_horizontal(0.0)), values);
        assert_eq!(one(&device, &x, 0, |x| x.random_flip_horizontal(1.0).random_flip_horizontal(1.0)), values);
        assert_eq!(one(&device, &x, 0, |x| x.random_flip_vertical(1.0).random_flip_vertical(1.0)), values);
        assert_eq!(one(&device, &x, 0, |x| x.random_flip_vertical(1.0)), one(&device, &x, 0, |x| x.flip(&[2])));
        assert_eq!(one(&device, &x, 0, |x| x.random_flip_horizontal(1.0)), one(&device, &x, 0, |x| x.flip(&[3])));
        let (some, flipped) =
            (one(&device, &x, 3, |x| x.random_flip_horizontal(0.5)), one(&device, &x, 0, |x| x.flip(&[3])));
        let size = 70;
        let turned = (0..SHAPE[0])
            .filter(|n| {
                let part = n * size..(n + 1) * size;
                assert!(some[part.clone()] == values[part.clone()] || some[part.clone()] == flipped[part.clone()]);
                some[part.clone()] == flipped[part]
            })
            .count();
        assert!((10..30).contains(&turned), "{turned} of 40");
    }
}

#[test]
fn a_shift_is_a_slice_at_the_drawn_offset() {
    let x = numbers(2, &SHAPE);
    let values = x.to_f64_vec();
    for device in devices() {
        for border in [Border::Zeros, Border::Reflect] {
            let found = one(&device, &x, 5, |x| x.random_crop(2, border));
            let source = |n: usize, c: usize, h: isize, w: isize| match border {
                Border::Zeros => at(&values, SHAPE, n, c, h, w),
                Border::Reflect => {
                    let mirror = |position: isize, last: isize| last - (last - position.abs()).abs();
                    at(&values, SHAPE, n, c, mirror(h, 4), mirror(w, 6))
                }
            };
            let mut seen = std::collections::BTreeSet::new();
            for n in 0..SHAPE[0] {
                let fits = |dh: isize, dw: isize| {
                    (0..2).all(|c| {
                        (0..5).all(|h| (0..7).all(|w| at(&found, SHAPE, n, c, h, w) == source(n, c, h + dh, w + dw)))
                    })
                };
                let offset = (-2..=2).flat_map(|dh| (-2..=2).map(move |dw| (dh, dw))).find(|&(dh, dw)| fits(dh, dw));
                seen.insert(offset.unwrap_or_else(|| panic!("picture {n} is no slice, {border:?}")));
            }
            assert!(seen.len() > 12, "{seen:?}");
        }
    }
}

#[test]
fn devices_draw_the_same_bits_and_steps_different_ones() {
    let x = numbers(3, &SHAPE);
    let augment =
        Augment::new().flip_horizontal(0.5).crop(2).flip_vertical(0.5).cutout(3).normalize([0.1, 0.2], [0.5, 2.0]);
    let build = |x: &Tensor| augment.apply(x, Mode::Training);
    let all: Vec<Vec<f64>> = devices().iter().map(|device| one(device, &x, 11, build)).collect();
    all.iter().for_each(|other| assert!(*other == all[0]));
    assert_ne!(one(&Device::cpu(), &x, 12, build), all[0]);
    let g = Graph::new();
    g.output("y", &build(&g.input("x", SHAPE, F32)));
    let mut session = g.compile(&Device::cpu()).unwrap();
    let mut step = || {
        session.step(&[("x", &x)]).unwrap();
        session.read("y").unwrap()
    };
    assert_ne!(step(), step());
}

#[test]
fn a_pipeline_is_its_parts_one_after_another() {
    let x = numbers(4, &SHAPE);
    let augment = Augment::new().flip_horizontal(0.5).crop(2).shift(3).crop_from(1, Border::Reflect).flip_vertical(0.5);
    for device in devices() {
        let joined = one(&device, &x, 7, |x| augment.apply(x, Mode::Training));
        let apart = one(&device, &x, 7, |x| {
            let cropped = x.random_flip_horizontal(0.5).random_crop(2, Border::Zeros).random_shift(3);
            cropped.random_crop(1, Border::Reflect).random_flip_vertical(0.5)
        });
        assert_eq!(joined, apart);
    }
}

#[test]
fn evaluation_only_normalises() {
    let x = numbers(5, &SHAPE);
    let moves =
        Augment::new().flip_horizontal(1.0).crop(2).rotation(20.0).scale(0.5, 2.0).cutout(2).gaussian_noise(1.0);
    let g = Graph::new();
    let input = g.input("x", SHAPE, F32);
    assert_eq!(moves.apply(&input, Mode::Evaluation).id(), input.id());
    let normalized =
        one(&Device::cpu(), &x, 0, |x| moves.clone().normalize([1.0, 2.0], [2.0, 4.0]).apply(x, Mode::Evaluation));
    for (k, (found, x)) in normalized.iter().zip(x.to_f64_vec()).enumerate() {
        let wanted = if (k / 35).is_multiple_of(2) { (x - 1.0) / 2.0 } else { (x - 2.0) / 4.0 };
        assert!((found - wanted).abs() < 1e-6);
    }
}

#[test]
fn cutout_and_noise_do_what_they_say() {
    let ones = TensorData::from_vec(vec![1.0_f32; 2000], [20, 1, 10, 10]).unwrap();
    for device in devices() {
        let cut = one(&device, &ones, 1, |x| x.cutout(4));
        for picture in cut.chunks(100) {
            let zeros = picture.iter().filter(|&&value| value == 0.0).count();
            assert!((4..=16).contains(&zeros), "{zeros}");
        }
        assert!(cut.chunks(100).any(|picture| picture.iter().filter(|&&value| value == 0.0).count() == 16));
        let noisy = one(&device, &ones, 1, |x| x.gaussian_noise(0.5));
        let mean = noisy.iter().sum::<f64>() / 2000.0;
        let deviation = (noisy.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2000.0).sqrt();
        assert!((mean - 1.0).abs() < 0.05 && (deviation - 0.5).abs() < 0.04, "{mean} {deviation}");
    }
}

#[test]
fn turning_keeps_the_middle_and_scaling_its_values() {
    let x = numbers(6, &[9, 2, 5, 5]);
    let values = x.to_f64_vec();
    for device in devices() {
        for found in
            [one(&device, &x, 2, |x| x.random_rotation(45.0)), one(&device, &x, 2, |x| x.random_scale(1.5, 2.0))]
        {
            let mut moved = 0;
            for plane in 0..18 {
                assert!((found[plane * 25 + 12] - values[plane * 25 + 12]).abs() < 1e-4, "the middle stays");
                moved += usize::from((found[plane * 25] - values[plane * 25]).abs() > 1e-2);
            }
            assert!(moved > 12, "{moved} corners of 18 moved");
        }
        // A factor of 1 leaves every pixel at its position.
        let same = one(&device, &x, 2, |x| x.random_scale(1.0, 1.0));
        same.iter().zip(&values).for_each(|(found, x)| assert!((found - x).abs() < 1e-5));
        // A ramp that is made twice as wide rises half as fast.
        let ramp: Vec<f32> = (0..25).map(|k| (k % 5) as f32).collect();
        let ramp = TensorData::from_vec(ramp, [1, 1, 5, 5]).unwrap();
        let wide = one(&device, &ramp, 2, |x| x.random_scale(2.0, 2.0));
        for (found, wanted) in wide[10..15].iter().zip([1.0, 1.5, 2.0, 2.5, 3.0]) {
            assert!((found - wanted).abs() < 1e-4, "{wide:?}");
        }
    }
}

#[test]
fn bytes_become_pictures_and_models_train_behind_augmentation() {
    let bytes: Vec<u8> = (0..30 * 6 * 6 * 3_u32).map(|k| (k * 37 % 256) as u8).collect();
    let x = TensorData::from_vec(bytes.clone(), [30, 6, 6, 3]).unwrap();
    let pictures = one(&Device::cpu(), &x, 0, Tensor::to_images);
    for (n, c, h, w) in [(0, 0, 0, 0), (3, 2, 5, 1), (29, 1, 4, 4)] {
        let byte = bytes[((n * 6 + h) * 6 + w) * 3 + c];
        let found = at(&pictures, [30, 3, 6, 6], n, c, h as isize, w as isize);
        assert!((found - f64::from(byte) / 255.0).abs() < 1e-6);
    }
    let labels: Vec<i32> = (0..30).map(|example| example % 2).collect();
    let data = Dataset::new([("x", x), ("y", TensorData::from_vec(labels, [30]).unwrap())]).unwrap();
    for device in devices() {
        let run = || {
            let augment =
                Augment::new().flip_horizontal(0.5).crop(1).rotation(10.0).cutout(2).normalize([0.5; 3], [0.2; 3]);
            let model = Sequential::new([3, 6, 6]).batch_norm().flatten().dense(2);
            let trainer = model.compile(&device, SGD::new(0.1), CrossEntropy, [Accuracy]).unwrap();
            let mut trainer = trainer.prepare(move |x, mode| augment.apply(&x.to_images(), mode));
            let history = trainer.fit(&data, Fit::epochs(2).batch_size(10)).unwrap();
            history.epochs.last().unwrap().train_loss
        };
        assert_eq!(run(), run());
        assert!(run().is_finite());
    }
}

#[test]
fn mistakes_name_the_call_and_the_line() {
    let g = || Graph::new();
    let x = |g: &Graph, shape: &[usize]| g.input("x", shape, F32);
    let pictures = [2, 3, 4, 5];
    let cases: Vec<(&str, Tensor)> = vec![
        ("random_flip_horizontal: the probability is 1.5", x(&g(), &pictures).random_flip_horizontal(1.5)),
        ("random_flip_vertical: the probability is NaN", x(&g(), &pictures).random_flip_vertical(f64::NAN)),
        (
            "random_flip_vertical: wants pictures [N, C, H, W], not [2, 3, 4]",
            x(&g(), &[2, 3, 4]).random_flip_vertical(0.5),
        ),
        (
            "random_flip_horizontal: wants floats, not u8; to_images makes them of bytes",
            g().input("x", pictures, U8).random_flip_horizontal(0.5),
        ),
        (
            "random_crop: a padding of 4 could leave nothing of a picture of 4 × 5",
            x(&g(), &pictures).random_crop(4, Border::Zeros),
        ),
        ("random_crop: a padding of 1000000", x(&g(), &pictures).random_shift(1_000_000)),
        (
            "random_crop: a picture of 4 × 5 has no 4 pixels to mirror",
            x(&g(), &pictures).random_crop(4, Border::Reflect),
        ),
        ("cutout: a square of 11 pixels covers all", x(&g(), &pictures).cutout(11)),
        ("gaussian_noise: the standard deviation is -1", x(&g(), &pictures).gaussian_noise(-1.0)),
        ("gaussian_noise: wants floats", g().input("x", [2], I32).gaussian_noise(1.0)),
        ("random_rotation: the largest angle is 200°", x(&g(), &pictures).random_rotation(200.0)),
        ("random_scale: factors from 0 to 1", x(&g(), &pictures).random_scale(0.0, 1.0)),
        ("random_scale: factors from 2 to 1", x(&g(), &pictures).random_scale(2.0, 1.0)),
        ("normalize: wants 3 means and deviations", x(&g(), &pictures).normalize(&[0.0], &[1.0])),
        ("normalize: means are", x(&g(), &pictures).normalize(&[0.0; 3], &[1.0, 0.0, 1.0])),
        ("to_images: wants pictures [N, H, W] or [N, H, W, C], not [2, 3]", x(&g(), &[2, 3]).to_images()),
        (
            "random_flip_horizontal: the probability is 2",
            Augment::new().flip_horizontal(2.0).crop(9).apply(&x(&g(), &pictures), Mode::Training),
        ),
    ];
    for (wanted, tensor) in cases {
        let found = tensor.graph().error().map(|error| error.to_string()).unwrap_or_default();
        assert!(found.starts_with(wanted), "{found:?}, wanted {wanted:?}");
        assert!(found.contains("norm/augment.rs"), "{found:?} names no line of the caller");
    }
}

/// One kernel draws, one does everything else.
#[test]
fn a_whole_pipeline_is_two_kernels() {
    for device in devices() {
        let g = Graph::new();
        let x = g.input("x", [32, 3, 32, 32], F32);
        let augment = Augment::new().flip_horizontal(0.5).crop(4).cutout(8).normalize([0.5; 3], [0.2; 3]);
        g.output("y", &augment.apply(&x, Mode::Training));
        let session = g.compile(&device).unwrap();
        let fused = &session.program().stages().fused;
        assert_eq!(session.program().steps.len(), 2, "{fused}");
    }
}

#[test]
fn empty_batches_and_single_pixels() {
    for device in devices() {
        for shape in [[1, 1, 1, 1], [2, 3, 1, 4]] {
            let x = numbers(8, &shape);
            let found =
                one(&device, &x, 1, |x| x.random_flip_horizontal(1.0).random_flip_vertical(1.0).random_rotation(10.0));
            assert_eq!(found.len(), x.len());
        }
    }
    let empty = TensorData::zeros(F32, [0, 1, 3, 3]);
    assert!(one(&Device::cpu(), &empty, 1, |x| x.random_flip_horizontal(0.5).random_crop(1, Border::Zeros)).is_empty());
}
