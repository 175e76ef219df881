//! A step whose gradients overflow leaves no trace but a smaller loss scale.

use std::collections::BTreeMap;

use wgrad::optim::{ASGD, Adagrad, Adamax, Group, LossScale, NAdam, Optimizer, RAdam};
use wgrad::prelude::*;
use wgrad::session::Session;

use super::support::devices::devices;

/// Of this scale every gradient overflows; after that it is the other one.
const TOO_LARGE: f64 = 1.7e38;
const RIGHT: f64 = 256.0;

fn scale(initial: f64) -> LossScale {
    LossScale::Dynamic { initial, growth: 2.0, backoff: RIGHT / TOO_LARGE, interval: 1000 }
}

fn optimizers() -> Vec<Box<dyn Optimizer>> {
    vec![
        Box::new(Adam::new(0.01)),
        Box::new(AdamW::new(0.01).amsgrad()),
        Box::new(NAdam::new(0.01)),
        Box::new(RAdam::new(0.01)),
        Box::new(Adamax::new(0.01)),
        Box::new(Adagrad::new(0.05).learning_rate_decay(0.1)),
        Box::new(ASGD::new(0.05)),
        Box::new(SGD::new(0.05).momentum(0.9).dampening(0.5)),
    ]
}

/// A net with a batch norm, and a second group of parameters.
fn session(device: &Device, optimizer: Box<dyn Optimizer>, scale: LossScale) -> Session {
    let model = Sequential::new([2, 4, 4]).conv2d(4, 3).padding(1).batch_norm().relu().flatten().dense(3);
    session_of(&model, device, optimizer, Some(scale), Precision::F16)
}

fn session_of(
    model: &Sequential,
    device: &Device,
    optimizer: Box<dyn Optimizer>,
    scale: Option<LossScale>,
    precision: Precision,
) -> Session {
    let g = Graph::new();
    g.set_precision(precision);
    let prediction = model.forward(&g, &g.input("x", [8, 2, 4, 4], F32), Mode::Training);
    let loss = prediction.mse(&g.input("y", [8, 3], F32));
    let mut minimize = g.minimize(&loss, optimizer).seed(2).group(Group::named("0.").learning_rate(0.002));
    if let Some(scale) = scale {
        minimize = minimize.loss_scale(scale);
    }
    minimize.compile(device).unwrap()
}

fn step(session: &mut Session, seed: u64) {
    let x = TensorData::from_f64(F32, &super::numbers(seed, 256), [8, 2, 4, 4]).unwrap();
    let y = TensorData::from_f64(F32, &super::numbers(seed + 100, 24), [8, 3]).unwrap();
    session.step(&[("x", &x), ("y", &y)]).unwrap();
}

/// All variables but the scale's own.
fn state(session: &Session) -> BTreeMap<String, TensorData> {
    let names = session.variables().iter().map(|variable| variable.name.clone());
    let others = names.filter(|name| !name.starts_with("loss_scale"));
    others.map(|name| (name.clone(), session.parameter(&name).unwrap())).collect()
}

fn number(session: &Session, name: &str) -> f64 {
    session.parameter(name).unwrap().item().unwrap()
}

#[test]
fn nothing_but_the_scale_changes() {
    for device in devices() {
        for optimizer in optimizers() {
            let name = format!("{optimizer:?} on {device:?}");
            let mut session = session(&device, optimizer, scale(TOO_LARGE));
            let before = state(&session);
            assert!(before.contains_key("1.running_mean"), "{:?}", before.keys());
            step(&mut session, 0);
            assert_eq!(state(&session), before, "{name}");
            let found = ["loss_scale", "loss_scale.skipped"].map(|name| number(&session, name));
            assert!((found[0] - RIGHT).abs() < 1e-3 && found[1] == 1.0, "{name}: {found:?}");
            // And now everything does.
            step(&mut session, 0);
            let same: Vec<String> = before
                .into_iter()
                .filter(|(name, value)| state(&session)[name] == *value)
                .map(|(name, _)| name)
                .collect();
            assert!(same.iter().all(|name| name.ends_with("mu_product")), "{name}: {same:?}");
        }
    }
}

/// A run with skipped steps is the run without them, bit for bit: steps are counted as if they had not been.
#[test]
fn a_run_goes_on_as_if_they_had_not_been() {
    for device in devices() {
        for (with, without) in optimizers().into_iter().zip(optimizers()) {
            let name = format!("{with:?} on {device:?}");
            let backoff =
                LossScale::Dynamic { initial: TOO_LARGE, growth: 2.0, backoff: 2.0_f64.powi(-119), interval: 1000 };
            let mut with = session(&device, with, backoff);
            step(&mut with, 40);
            let right = number(&with, "loss_scale");
            let mut without = session(&device, without, scale(right));
            for seed in 0..4 {
                step(&mut with, seed);
                step(&mut without, seed);
            }
            assert_eq!(state(&with), state(&without), "{name}");
            let skipped = [&with, &without].map(|session| number(session, "loss_scale.skipped"));
            assert_eq!(skipped, [1.0, 0.0], "{name}");
        }
    }
}

/// Counted on the device, steps are as long as those that the host computes.
#[test]
fn a_loss_scale_alone_changes_little() {
    for (scaled, plain) in optimizers().into_iter().zip(optimizers()) {
        let name = format!("{scaled:?}");
        // Without a norm: of a bias before one, the gradient is nothing but what rounding leaves.
        let model = Sequential::new([2, 4, 4]).conv2d(4, 3).padding(1).relu().flatten().dense(3);
        let cpu = Device::cpu();
        let mut scaled = session_of(&model, &cpu, scaled, Some(scale(256.0)), Precision::F32);
        let mut plain = session_of(&model, &cpu, plain, None, Precision::F32);
        for seed in 0..12 {
            step(&mut scaled, seed);
            step(&mut plain, seed);
        }
        for (variable, value) in state(&plain) {
            let found = scaled.parameter(&variable).unwrap().to_f64_vec();
            for (a, b) in found.iter().zip(value.to_f64_vec()) {
                assert!((a - b).abs() <= 2e-5 * b.abs().max(1.0), "{name}: {variable} is {a}, not {b}");
            }
        }
    }
}
