//! Whole training steps of graphs drawn at random: parameters that several nodes share, that are in the graph in another order than
//! their updates, that the loss does not depend on or whose gradients are zero; every optimizer; further outputs.
//!
//! A program that joins updates must move each parameter as one does that keeps every node apart, and as one in which every value
//! is an output. Plain gradient descent is also followed by hand, from gradients that another program gives.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use wgrad::compiler::Options;
use wgrad::ops::{Initial, Variable};
use wgrad::optim::{Adadelta, Adagrad, Adam, AdamW, Adamax, Group, NAdam, Optimizer, RAdam, RMSprop, Rprop, SGD};
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

use super::graphs::{Builder, Draw, draws};
use super::support::devices::devices;
use super::tensor;

/// What is drawn for a training step.
#[derive(Clone, Debug)]
struct Step {
    draws: Vec<Draw>,
    /// For each parameter, its shape and what it is to the loss.
    parameters: Vec<(u8, u8)>,
    optimizer: u8,
    /// Clipping, accumulation, groups: a bit each.
    extras: u8,
}

const SHAPES: [&[usize]; 8] = [&[4, 3], &[3], &[4, 1], &[], &[1], &[2, 1, 3], &[5], &[65]];

fn steps() -> impl Strategy<Value = Step> {
    let parameters = prop::collection::vec((any::<u8>(), any::<u8>()), 2..9);
    (draws(16), parameters, any::<u8>(), any::<u8>()).prop_map(|(draws, parameters, optimizer, extras)| Step {
        draws,
        parameters,
        optimizer,
        extras,
    })
}

const OPTIMIZERS: u8 = 13;

/// Rprop follows the sign of a gradient, also where the gradient is nothing but rounding.
fn follows_signs(kind: u8) -> bool {
    kind % OPTIMIZERS == OPTIMIZERS - 1
}

/// An optimizer whose steps follow gradients smoothly, so that rounding stays rounding; and [one](follows_signs) for which the loss is
/// such that no gradient is close to 0.
fn optimizer(kind: u8) -> std::sync::Arc<dyn Optimizer> {
    use std::sync::Arc;
    match kind % OPTIMIZERS {
        0 => Arc::new(SGD::new(0.05)),
        1 => Arc::new(SGD::new(0.05).momentum(0.9)),
        2 => Arc::new(SGD::new(0.05).momentum(0.9).nesterov()),
        3 => Arc::new(Adam::new(0.02).epsilon(0.1)),
        4 => Arc::new(Adam::new(0.02).epsilon(0.1).amsgrad()),
        5 => Arc::new(AdamW::new(0.02).epsilon(0.1)),
        6 => Arc::new(NAdam::new(0.02).epsilon(0.1)),
        7 => Arc::new(RMSprop::new(0.02).epsilon(0.1).momentum(0.5).centered()),
        8 => Arc::new(Adagrad::new(0.02).initial_accumulator(0.1)),
        9 => Arc::new(Adadelta::new(0.5).epsilon(0.1)),
        10 => Arc::new(Adamax::new(0.02).epsilon(0.1)),
        11 => Arc::new(RAdam::new(0.02).epsilon(0.1)),
        _ => Arc::new(Rprop::new(0.01)),
    }
}

/// A built step: its graph, loss, parameters with their first values.
struct Built {
    g: Graph,
    loss: Tensor,
    parameters: Vec<(String, Tensor)>,
    first: Vec<TensorData>,
}

fn build(step: &Step, all_outputs: bool) -> Built {
    let g = Graph::new();
    let x = g.input("x", [4, 3], F32);
    let (mut parameters, mut first, mut values) = (Vec::new(), Vec::new(), vec![x]);
    for (k, &(shape, part)) in step.parameters.iter().enumerate() {
        let shape = SHAPES[shape as usize % SHAPES.len()];
        let name = format!("p{k}");
        let ty = TensorType::new(F32, shape.to_vec());
        let parameter = g.variable(Variable::parameter(name.clone(), ty, Initial::Constant(0.0)));
        first.push(tensor(k as u64 + 3, F32, shape, -1.0, 1.0));
        // Most take part as they are; some add nothing, some are scaled, one of them is used by nobody.
        match part % 8 {
            0 => values.push(&parameter * 0.0),
            1 => values.push(&parameter * 0.5 + 0.1),
            2 => values.push(parameter.stop_gradient()),
            _ => values.push(parameter.clone()),
        }
        parameters.push((name, parameter));
    }
    let mut builder = Builder { g: g.clone(), values };
    step.draws.iter().for_each(|&draw| builder.add(draw, true));
    let count = builder.values.len();
    let mut loss = builder.values[count - 1].tanh().mean_all() + builder.values[count / 2].sin().mean_all();
    let every = if follows_signs(step.optimizer) {
        loss = loss.stop_gradient();
        1
    } else {
        2
    };
    // Every other parameter counts for certain, the last first.
    for (_, parameter) in parameters.iter().rev().step_by(every) {
        loss = loss + (parameter.tanh() - 0.25).square().sum_all() * 0.5;
    }
    for (k, value) in builder.values.iter().enumerate() {
        if all_outputs || (step.extras & 8 > 0 && k % 5 == 1) {
            g.output(&format!("value{k}"), value);
        }
    }
    Built { g, loss, parameters, first }
}

/// A session with the step's first values times `scale`, and its learning rate.
fn session(step: &Step, device: &Device, fuse: bool, all_outputs: bool, scale: f64) -> Result<(Session, Vec<String>)> {
    let Built { g, loss, parameters, first } = build(step, all_outputs);
    let optimizer = optimizer(step.optimizer);
    let learning_rate = optimizer.learning_rate();
    let mut minimize = g.minimize(&loss, optimizer);
    if step.extras & 1 > 0 {
        minimize = minimize.clip_norm(0.5);
    }
    if step.extras & 2 > 0 {
        minimize = minimize.accumulate(2);
    }
    if step.extras & 4 > 0 {
        // The last parameter is one that the loss depends on.
        let last = parameters.last().map_or("", |(name, _)| name.as_str());
        minimize = minimize.group(Group::named(last).learning_rate_factor(0.5));
    }
    minimize.build();
    let mut session = Session::with_options(&g, device, 0, Options { fuse, ..Options::default() })?;
    session.set_learning_rate(learning_rate)?;
    let names: Vec<String> = parameters.into_iter().map(|(name, _)| name).collect();
    for (name, value) in names.iter().zip(&first) {
        // What the loss does not depend on is no part of the program.
        if session.parameter(name).is_ok() {
            let values: Vec<f64> = value.to_f64_vec().into_iter().map(|value| value * scale).collect();
            session.set_parameter(name, &TensorData::from_f64(F32, &values, value.shape().to_vec())?)?;
        }
    }
    Ok((session, names))
}

/// Every parameter after a few steps, and the losses.
fn trained(step: &Step, device: &Device, fuse: bool, all_outputs: bool, scale: f64) -> Result<Vec<(String, Vec<f64>)>> {
    let (mut session, names) = session(step, device, fuse, all_outputs, scale)?;
    let mut losses = Vec::new();
    for k in 0..4 {
        session.step(&[("x", &tensor(k, F32, &[4, 3], -1.5, 1.5))])?;
        losses.push(session.read("loss")?.item()?);
    }
    let mut found = vec![("loss".to_owned(), losses)];
    for name in names {
        if let Ok(value) = session.parameter(&name) {
            found.push((name, value.to_f64_vec()));
        }
    }
    Ok(found)
}

/// The first number that differs by more than a bound.
fn differs(found: &[(String, Vec<f64>)], right: &[(String, Vec<f64>)], bound: f64) -> Option<String> {
    right.iter().find_map(|(name, right)| {
        let Some((_, found)) = found.iter().find(|(other, _)| other == name) else {
            return Some(format!("{name} is missing"));
        };
        found.iter().zip(right).enumerate().find_map(|(index, (x, y))| {
            let same = (x - y).abs() <= bound * y.abs().max(1.0) || (x.is_nan() && y.is_nan());
            (!same).then(|| format!("{name}[{index}] is {x}, not {y}"))
        })
    })
}

fn fail(error: Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

/// Where first values that are a millionth apart are a hundred times that after a few steps, rounding grows as well, and nothing can be
/// compared.
const NEARBY: f64 = 1.0 + 1e-6;
const FAR: f64 = 1e-4;

/// A step joined on a device against one kept apart on the CPU, with and without further outputs.
fn check(step: &Step, device: &Device, bound: f64) -> TestCaseResult {
    let right = trained(step, &Device::cpu(), false, false, 1.0).map_err(fail)?;
    let nearby = trained(step, &Device::cpu(), false, false, NEARBY).map_err(fail)?;
    prop_assume!(differs(&nearby, &right, FAR).is_none());
    for all_outputs in [false, true] {
        let found = trained(step, device, true, all_outputs, 1.0).map_err(fail)?;
        prop_assert_eq!(differs(&found, &right, bound), None, "all values outputs: {}", all_outputs);
    }
    Ok(())
}

/// The learning rate of descent by hand.
const RATE: f64 = 0.1;

/// Every parameter after three steps by hand, from the gradients of a program of their own. `scale` multiplies the first values.
fn by_hand(step: &Step, scale: f64) -> Result<Vec<(String, Vec<f64>)>> {
    let Built { g, loss, parameters, first } = build(step, false);
    let references: Vec<&Tensor> = parameters.iter().map(|(_, parameter)| parameter).collect();
    for ((name, _), gradient) in parameters.iter().zip(g.gradients(&loss, &references)) {
        g.output(&format!("gradient of {name}"), &gradient);
    }
    let mut gradients = Session::with_options(&g, &Device::cpu(), 0, Options { fuse: false, ..Options::default() })?;
    let scaled = |data: &TensorData| data.to_f64_vec().into_iter().map(|value| f64::from((value * scale) as f32));
    let mut values: Vec<(String, Vec<f64>)> =
        parameters.iter().zip(&first).map(|((name, _), data)| (name.clone(), scaled(data).collect())).collect();
    for k in 0..3 {
        for ((name, value), data) in values.iter().zip(&first) {
            // What the loss does not depend on is no part of the program.
            let _ = gradients.set_parameter(name, &TensorData::from_f64(F32, value, data.shape().to_vec())?);
        }
        let found = gradients.run(&[("x", &tensor(k, F32, &[4, 3], -1.5, 1.5))])?;
        for (name, value) in &mut values {
            let gradient = found[format!("gradient of {name}").as_str()].to_f64_vec();
            let moved = |(value, gradient): (&f64, f64)| f64::from((value - RATE * gradient) as f32);
            *value = value.iter().zip(gradient).map(moved).collect();
        }
    }
    Ok(values)
}

/// Descent on a device against descent by hand.
fn check_by_hand(step: &Step, device: &Device, bound: f64) -> TestCaseResult {
    let step = &Step { optimizer: 0, extras: 0, ..step.clone() };
    let right = by_hand(step, 1.0).map_err(fail)?;
    let nearby = by_hand(step, NEARBY).map_err(fail)?;
    prop_assume!(differs(&nearby, &right, FAR).is_none());
    let (mut session, _) = session(step, device, true, false, 1.0).map_err(fail)?;
    session.set_learning_rate(RATE).map_err(fail)?;
    for k in 0..3 {
        session.step(&[("x", &tensor(k, F32, &[4, 3], -1.5, 1.5))]).map_err(fail)?;
    }
    for (name, right) in right {
        let Ok(found) = session.parameter(&name) else { continue };
        let (found, right) = ([(name.clone(), found.to_f64_vec())], [(name, right)]);
        prop_assert_eq!(differs(&found, &right, bound), None);
    }
    Ok(())
}

/// How many steps are drawn: the variable says how many for a long run.
fn cases(usual: u32) -> u32 {
    std::env::var("WGRAD_RANDOM_STEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn seeded(cases: u32) -> TestRunner {
    TestRunner::new(Config { failure_persistence: None, max_global_rejects: cases, ..Config::with_cases(cases) })
}

#[test]
fn each_parameter_takes_its_own_step() {
    let device = Device::cpu();
    seeded(cases(300)).run(&steps(), |step| check(&step, &device, 1e-5)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn descent_is_what_a_hand_would_do() {
    let device = Device::cpu();
    seeded(cases(150))
        .run(&steps(), |step| check_by_hand(&step, &device, 1e-5))
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn each_parameter_takes_its_own_step_on_a_gpu() {
    for device in devices().into_iter().filter(|device| !device.is_cpu()) {
        let mut runner = TestRunner::deterministic();
        for case in 0..cases(8).min(200) {
            let step = steps().new_tree(&mut runner).unwrap().current();
            match check(&step, &device, 1e-3) {
                Ok(()) | Err(TestCaseError::Reject(_)) => {}
                Err(error) => panic!("case {case} {step:?}: {error}"),
            }
        }
    }
}
