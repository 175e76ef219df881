//! Some steps of each optimizer, clipping, first values, and twenty steps of a small network, as PyTorch computes them:
//! `tests/golden/{optimizer,initializer,training}.json`.

mod support;

use support::devices::devices;
use support::golden::{self, Case};
use wgrad::ops::{Initial, Variable};
use wgrad::optim::{
    ASGD, Adadelta, Adagrad, Adam, AdamW, Adamax, Decay, Group, Minimize, NAdam, RAdam, RMSprop, Rprop, SGD,
};
use wgrad::prelude::*;
use wgrad::tensor::TensorType;

/// A step over parameters `p0`, `p1`, … whose gradients are the inputs `g0`, `g1`, …: the loss is Σ p·g.
fn given_gradients(parameters: &[TensorData]) -> (Graph, Tensor) {
    let g = Graph::new();
    let mut loss = g.scalar(F32, 0.0);
    for (index, data) in parameters.iter().enumerate() {
        let initial = Initial::Values(data.clone());
        let parameter = g.variable(Variable::parameter(format!("p{index}"), data.ty().clone(), initial));
        loss = loss + (parameter * g.input(&format!("g{index}"), data.shape(), F32)).sum_all();
    }
    (g, loss)
}

fn step(session: &mut Session, gradients: &[TensorData]) -> Result<()> {
    let names: Vec<String> = (0..gradients.len()).map(|index| format!("g{index}")).collect();
    let inputs: Vec<(&str, &TensorData)> = names.iter().map(String::as_str).zip(gradients).collect();
    session.step(&inputs)
}

/// Each case on each device, with the tolerance that it needs there.
fn on_devices(cases: &[Case]) -> Vec<(Case, Device)> {
    devices().into_iter().flat_map(|device| cases.iter().map(move |case| (case.on(&device), device.clone()))).collect()
}

/// `torch.optim`'s arguments as an optimizer.
fn minimize(case: &Case, g: &Graph, loss: &Tensor) -> Option<Minimize> {
    let learning_rate = case.number("lr")?;
    let number = |key: &str| case.number(key).unwrap_or(f64::NAN);
    let pair = |key: &str, index: usize| case.attribute(key)[index].as_f64().unwrap_or(f64::NAN);
    let beta = |index: usize| pair("betas", index);
    let (epsilon, decay) = (number("eps"), number("weight_decay"));
    let minimize = match case.op.as_str() {
        "sgd" => {
            let sgd = SGD::new(learning_rate).momentum(number("momentum")).dampening(number("dampening"));
            g.minimize(loss, if case.flag("nesterov") { sgd.nesterov() } else { sgd }.weight_decay(decay))
        }
        "adam" => {
            let adam = Adam::new(learning_rate).betas(beta(0), beta(1)).epsilon(epsilon).weight_decay(decay);
            g.minimize(loss, if case.flag("amsgrad") { adam.amsgrad() } else { adam })
        }
        "adamw" => {
            let adamw = AdamW::new(learning_rate).betas(beta(0), beta(1)).epsilon(epsilon).weight_decay(decay);
            g.minimize(loss, if case.flag("amsgrad") { adamw.amsgrad() } else { adamw })
        }
        "rmsprop" => {
            let rmsprop =
                RMSprop::new(learning_rate).alpha(number("alpha")).epsilon(epsilon).momentum(number("momentum"));
            g.minimize(loss, if case.flag("centered") { rmsprop.centered() } else { rmsprop }.weight_decay(decay))
        }
        "adagrad" => {
            let adagrad = Adagrad::new(learning_rate).learning_rate_decay(number("lr_decay")).epsilon(epsilon);
            g.minimize(loss, adagrad.initial_accumulator(number("initial_accumulator_value")).weight_decay(decay))
        }
        "adadelta" => {
            g.minimize(loss, Adadelta::new(learning_rate).rho(number("rho")).epsilon(epsilon).weight_decay(decay))
        }
        "nadam" => {
            let nadam = NAdam::new(learning_rate).betas(beta(0), beta(1)).epsilon(epsilon);
            g.minimize(loss, nadam.momentum_decay(number("momentum_decay")).weight_decay(decay))
        }
        "adamax" => {
            let adamax = Adamax::new(learning_rate).betas(beta(0), beta(1)).epsilon(epsilon);
            g.minimize(loss, adamax.weight_decay(decay))
        }
        "radam" => {
            let radam = RAdam::new(learning_rate).betas(beta(0), beta(1)).epsilon(epsilon);
            let decoupled = case.flag("decoupled_weight_decay");
            g.minimize(loss, if decoupled { radam.decoupled_weight_decay(decay) } else { radam.weight_decay(decay) })
        }
        "asgd" => {
            let asgd = ASGD::new(learning_rate).lambda(number("lambd")).alpha(number("alpha"));
            g.minimize(loss, asgd.averaging_from(number("t0") as u64).weight_decay(decay))
        }
        "rprop" => {
            let rprop = Rprop::new(learning_rate).etas(pair("etas", 0), pair("etas", 1));
            g.minimize(loss, rprop.step_sizes(pair("step_sizes", 0), pair("step_sizes", 1)))
        }
        _ => return None,
    };
    let group = case.attribute("group");
    Some(match (group["lr"].as_f64(), group["weight_decay"].as_f64()) {
        (Some(learning_rate), None) => minimize.group(Group::named("p1").learning_rate(learning_rate)),
        (Some(learning_rate), Some(decay)) => {
            let decay = if case.op == "adamw" { Decay::decoupled(decay) } else { Decay::l2(decay) };
            minimize.group(Group::named("p1").learning_rate(learning_rate).decay(decay))
        }
        _ => minimize,
    })
}

#[test]
fn optimizers_are_torchs() -> Result<()> {
    let cases: Vec<Case> =
        golden::read("optimizer")?.into_iter().filter(|case| !case.op.starts_with("clip_grad")).collect();
    assert_eq!(cases.len(), 39);
    let mut complaints = Vec::new();
    for (case, device) in on_devices(&cases) {
        let (g, loss) = given_gradients(&case.tensors(&case.fields["parameters"])?);
        let Some(minimize) = minimize(&case, &g, &loss) else {
            complaints.push(format!("{}: nothing is known of {:?}", case.name, case.op));
            continue;
        };
        let mut session = minimize.compile(&device)?;
        let steps = case.fields["step_gradients"].as_array().map_or(0, Vec::len);
        assert!(steps >= 5, "{}", case.name);
        for number in 0..steps {
            step(&mut session, &case.tensors(&case.fields["step_gradients"][number])?)?;
            for (parameter, right) in case.tensors(&case.fields["step_parameters"][number])?.iter().enumerate() {
                let found = session.parameter(&format!("p{parameter}"))?;
                complaints.extend(case.complaint(&format!("step {number} p{parameter}"), &found, right));
            }
            if case.op == "asgd" {
                for (parameter, right) in case.tensors(&case.fields["step_means"][number])?.iter().enumerate() {
                    let found = session.parameter(&format!("p{parameter}.ax"))?;
                    complaints.extend(case.complaint(&format!("step {number} mean of p{parameter}"), &found, right));
                }
            }
        }
    }
    golden::assert_none(&complaints);
    Ok(())
}

#[test]
fn clipping_is_torchs() -> Result<()> {
    let cases: Vec<Case> =
        golden::read("optimizer")?.into_iter().filter(|case| case.op.starts_with("clip_grad")).collect();
    assert_eq!(cases.len(), 7);
    let mut complaints = Vec::new();
    for (case, device) in on_devices(&cases) {
        // From 0 with a rate of 1, the new parameter is the clipped gradient, negated.
        let zeros: Vec<TensorData> = case.inputs.iter().map(|data| TensorData::zeros(F32, data.shape())).collect();
        let (g, loss) = given_gradients(&zeros);
        let minimize = g.minimize(&loss, SGD::new(1.0));
        let minimize = match (case.number("max_norm"), case.number("clip_value")) {
            (Some(norm), _) => minimize.clip_norm(norm),
            (_, Some(value)) => minimize.clip_value(value),
            _ => minimize,
        };
        let mut session = minimize.compile(&device)?;
        step(&mut session, &case.inputs)?;
        for index in 0..case.inputs.len() {
            let found = session.parameter(&format!("p{index}"))?;
            let clipped: Vec<f64> = found.to_f64_vec().iter().map(|value| -value).collect();
            let clipped = TensorData::from_f64(F32, &clipped, found.shape())?;
            complaints.extend(case.complaint(&format!("gradient {index}"), &clipped, &case.outputs[index]));
        }
        if let (Some(norm), "clip_grad_norm") = (case.outputs.last(), case.op.as_str()) {
            complaints.extend(case.complaint("norm", &session.read("gradient_norm")?, norm));
        }
    }
    golden::assert_none(&complaints);
    Ok(())
}

#[test]
fn twenty_steps_of_a_network_are_torchs() -> Result<()> {
    let cases = golden::read("training")?;
    assert!(!cases.is_empty());
    let mut complaints = Vec::new();
    for (case, device) in on_devices(&cases) {
        let g = Graph::new();
        let [x, y] =
            [0, 1].map(|index| g.input(["x", "y"][index], case.inputs[index].shape(), case.inputs[index].dtype()));
        let hidden = nn::Linear::new(&g, "fc1", 7, 5).forward(&x).relu();
        let loss = nn::Linear::new(&g, "fc2", 5, 3).forward(&hidden).cross_entropy(&y);
        let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
        let Some(minimize) = minimize(&case, &g, &loss) else {
            complaints.push(format!("{}: nothing is known of {:?}", case.name, case.op));
            continue;
        };
        let mut session = minimize.compile(&device)?;
        for name in &names {
            session.set_parameter(name, case.tensor(&case.fields["initial"][name.as_str()])?)?;
        }
        let mut losses = Vec::new();
        for _ in 0..20 {
            session.step(&[("x", &case.inputs[0]), ("y", &case.inputs[1])])?;
            losses.push(session.read("loss")?.item()?);
        }
        let losses = TensorData::from_f64(F32, &losses, [20])?;
        complaints.extend(case.complaint("losses", &losses, case.tensor(&case.fields["losses"])?));
        for name in &names {
            let right = case.tensor(&case.fields["final"][name.as_str()])?;
            complaints.extend(case.complaint(name, &session.parameter(name)?, right));
        }
    }
    golden::assert_none(&complaints);
    Ok(())
}

/// The initialiser of a case, as the shape's distribution.
fn initializer(case: &Case) -> Option<Initializer> {
    use nn::{Fan, gain};
    let scale = case.number("gain").unwrap_or(1.0);
    let fan = if case.text("mode") == "fan_out" { Fan::Out } else { Fan::In };
    let slope = case.number("a").unwrap_or_default();
    let kaiming = if case.text("nonlinearity") == "relu" { gain::RELU } else { gain::leaky_relu(slope) };
    let he = case.text("nonlinearity") == "relu" && fan == Fan::In;
    Some(match case.op.as_str() {
        "xavier_uniform" => Initializer::XavierUniform { gain: scale },
        "xavier_normal" => Initializer::XavierNormal { gain: scale },
        "kaiming_uniform" if he => Initializer::HeUniform,
        "kaiming_normal" if he => Initializer::HeNormal,
        "kaiming_uniform" => Initializer::KaimingUniform { fan, gain: kaiming },
        "kaiming_normal" => Initializer::KaimingNormal { fan, gain: kaiming },
        "lecun_uniform" => Initializer::LeCunUniform,
        "lecun_normal" => Initializer::LeCunNormal,
        "orthogonal" => Initializer::Orthogonal { gain: scale },
        _ => return None,
    })
}

/// What a session draws for a shape.
fn draw(initial: Initial, shape: &Shape) -> Result<Vec<f64>> {
    let g = Graph::new();
    let weight = g.variable(Variable::parameter("weight", TensorType::new(F32, shape), initial));
    g.output("weight", &weight);
    Ok(g.compile(&Device::cpu())?.parameter("weight")?.to_f64_vec())
}

#[test]
fn first_values_have_torchs_distributions() -> Result<()> {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs();
    let mut count = 0;
    for case in golden::read("initializer")? {
        let shape: Shape = case.integers("shape").iter().map(|&size| size as usize).collect();
        let Some(initializer) = initializer(&case) else {
            let gain = match case.text("nonlinearity") {
                "tanh" => nn::gain::TANH,
                "relu" => nn::gain::RELU,
                "selu" => nn::gain::SELU,
                "leaky_relu" => nn::gain::leaky_relu(case.number("a").unwrap_or(0.01)),
                _ => nn::gain::LINEAR,
            };
            assert!(close(gain, case.fields["gain"].as_f64().unwrap_or(f64::NAN)), "{}: {gain}", case.name);
            continue;
        };
        let initial = initializer.initial(&shape).map_err(Error::Argument)?;
        let of = |key: &str| case.fields[key].as_f64().unwrap_or(f64::NAN);
        match &initial {
            Initial::Uniform { low, high } => {
                assert!(close(*high, of("bound")) && close(*low, -of("bound")), "{}: {initial:?}", case.name);
                let values = draw(initial.clone(), &shape)?;
                assert!(values.iter().all(|value| value.abs() <= of("bound") * (1.0 + 1e-6)), "{}", case.name);
            }
            Initial::Normal { mean, std } => {
                assert!(*mean == 0.0 && close(*std, of("std")), "{}: {initial:?}", case.name);
            }
            _ => orthonormal(&case, &draw(initial.clone(), &shape)?),
        }
        count += 1;
    }
    assert!(count > 80, "{count} initialisers");
    Ok(())
}

/// The Gram matrix of an orthogonal weight: `gram_diagonal` on the diagonal, 0 elsewhere.
fn orthonormal(case: &Case, values: &[f64]) {
    let size = |key: &str| case.fields[key].as_u64().unwrap_or_default() as usize;
    let (rows, columns) = (size("rows"), size("columns"));
    let by_rows = case.fields["gram"] == "W W^T";
    let at = |vector: usize, index: usize| {
        if by_rows { values[vector * columns + index] } else { values[index * columns + vector] }
    };
    let length = if by_rows { columns } else { rows };
    let diagonal = case.fields["gram_diagonal"].as_f64().unwrap_or(f64::NAN);
    for (a, b) in (0..size("gram_size")).flat_map(|a| (0..size("gram_size")).map(move |b| (a, b))) {
        let product: f64 = (0..length).map(|index| at(a, index) * at(b, index)).sum();
        let right = if a == b { diagonal } else { 0.0 };
        assert!((product - right).abs() < 1e-5 * diagonal, "{}: ({a}, {b}) is {product}", case.name);
    }
}
