//! Training in mixed precision comes close to training in f32, and does the same on every device.

use wgrad::optim::LossScale;
use wgrad::prelude::*;

use super::models::{MODELS, Model, batch};
use super::support::devices::devices;

const STEPS: usize = 40;

/// Losses of some steps.
fn losses(device: &Device, (name, build): Model, precision: Precision) -> Vec<f64> {
    let g = Graph::new();
    g.set_precision(precision);
    let loss = build(&g);
    let mut minimize = g.minimize(&loss, Adam::new(1e-2)).seed(7);
    if precision == Precision::F16 {
        minimize = minimize.loss_scale(LossScale::dynamic());
    }
    let mut session = minimize.compile(device).unwrap_or_else(|error| panic!("{name}: {error}"));
    let [x, y] = batch(&g);
    let mut losses = Vec::new();
    for _ in 0..STEPS {
        session.step(&[("x", &x), ("y", &y)]).unwrap();
        losses.push(session.read("loss").unwrap().item().unwrap());
    }
    losses
}

/// How far two runs are apart: the mean difference of their losses.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
}

#[test]
fn losses_are_those_of_f32() {
    for device in devices() {
        for model in MODELS {
            let exact = losses(&device, model, Precision::F32);
            let (first, last) = (exact[0], exact[STEPS - 1]);
            assert!(last < 0.7 * first, "{} learns nothing: {first} to {last}", model.0);
            for (precision, tolerance) in [(Precision::BF16, 0.03), (Precision::F16, 0.02)] {
                let found = losses(&device, model, precision);
                let name = format!("{} in {precision:?} on {device:?}", model.0);
                assert_ne!(found, exact, "{name}: nothing is rounded");
                assert!(distance(&found, &exact) < tolerance * first, "{name}: {found:?}, not {exact:?}");
            }
        }
    }
}

/// Sums in another order round to the other of two neighbours now and then, and so the runs drift apart a little.
#[test]
fn devices_agree() {
    let all = devices();
    for model in MODELS {
        for (precision, tolerance) in [(Precision::BF16, 0.02), (Precision::F16, 0.01)] {
            let found: Vec<Vec<f64>> = all.iter().map(|device| losses(device, model, precision)).collect();
            for other in &found[1..] {
                let apart = distance(&found[0], other);
                assert!(apart < tolerance * found[0][0], "{} in {precision:?}: {apart}", model.0);
                // The first step has had no time to drift.
                assert!((found[0][0] - other[0]).abs() < 4e-3 * found[0][0], "{} in {precision:?}", model.0);
            }
        }
    }
}

/// The same bits every time.
#[test]
fn a_run_is_the_same_every_time() {
    for device in devices() {
        for model in MODELS {
            let [first, second] = [0; 2].map(|_| losses(&device, model, Precision::BF16));
            assert_eq!(first, second, "{} on {device:?}", model.0);
        }
    }
}
