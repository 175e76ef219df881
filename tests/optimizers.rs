//! Several optimizers in one session: each has its own learning rate, schedule, steps and states, and its own entries in a file.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use support::devices::devices;
use support::golden::{self, Case};
use wgrad::ops::{Initial, Variable};
use wgrad::optim::Group;
use wgrad::prelude::*;
use wgrad::session::{OptimizerState, ProgramId};
use wgrad::tensor::TensorType;

/// The numbers of `tools/golden_cases/gan.py`.
fn numbers(seed: usize, count: usize, scale: f64, shift: f64) -> Vec<f64> {
    (0..count).map(|k| (((k * 37 + seed * 11) % 23) as f64 / 11.0 - 1.0) * scale + shift).collect()
}

fn batch(seed: usize, width: usize) -> Result<TensorData> {
    TensorData::from_f64(F32, &numbers(seed, 4 * width, 1.0, 0.0), [4, width])
}

/// Two layers of a part of the GAN, the `first`-th and the next of all.
fn network(g: &Graph, part: &str, first: usize, sizes: [usize; 3], x: &Tensor) -> Tensor {
    let weight = |layer: usize, kind: &str, shape: Vec<usize>, seed: usize, scale: f64| {
        let count = shape.iter().product();
        let data = TensorData::from_f64(F32, &numbers(seed, count, scale, 0.0), shape.clone()).unwrap();
        let name = format!("{part}.fc{layer}.{kind}");
        g.variable(Variable::parameter(name, TensorType::new(F32, shape), Initial::Values(data)))
    };
    let mut x = x.clone();
    for layer in 1..=2 {
        let (inputs, outputs, index) = (sizes[layer - 1], sizes[layer], first + layer - 2);
        let bias = weight(layer, "bias", vec![outputs], index + 7, 0.2);
        x = x.matmul(&weight(layer, "weight", vec![outputs, inputs], index + 1, 0.6).transpose(0, 1)) + bias;
        x = if layer == 1 { x.tanh() } else { x };
    }
    x
}

fn generator(g: &Graph) -> Tensor {
    network(g, "generator", 1, [3, 6, 2], &g.input("z", [4, 3], F32))
}

fn critic(g: &Graph, x: &Tensor) -> Tensor {
    network(g, "critic", 3, [2, 8, 1], x)
}

fn label(g: &Graph, value: f64) -> Tensor {
    g.scalar(F32, value).broadcast_to([4, 1])
}

/// A program that trains one part; the other is frozen by a group, or by a stopped gradient.
fn program(case: &Case, part: &str, is_named: bool) -> Graph {
    let g = Graph::new();
    let made = generator(&g);
    let loss = if part == "critic" {
        let x = g.input("x", [4, 2], F32) * 0.5 + 0.3;
        let real = critic(&g, &x).binary_cross_entropy_with_logits(&label(&g, 1.0));
        real + critic(&g, &made.stop_gradient()).binary_cross_entropy_with_logits(&label(&g, 0.0))
    } else {
        critic(&g, &made).binary_cross_entropy_with_logits(&label(&g, 1.0))
    };
    let settings = case.attribute(part);
    let number = |key: &str| settings[key].as_f64().unwrap_or(f64::NAN);
    let rate = number("lr");
    let minimize = match settings["op"].as_str() {
        Some("adam") => {
            let beta = |index: usize| settings["betas"][index].as_f64().unwrap_or(f64::NAN);
            g.minimize(&loss, Adam::new(rate).betas(beta(0), beta(1)))
        }
        Some("sgd") => g.minimize(&loss, SGD::new(rate).momentum(number("momentum"))),
        _ => g.minimize(&loss, RMSprop::new(rate).alpha(number("alpha"))),
    };
    let minimize = minimize.schedule(schedule::Exponential { gamma: number("gamma") });
    let minimize = if part == "generator" { minimize.group(Group::named("critic.").frozen()) } else { minimize };
    if is_named { minimize.named(part) } else { minimize }.build();
    g
}

struct Gan {
    session: Session,
    generator: ProgramId,
    critic_steps: usize,
    count: usize,
    is_named: bool,
    losses: [Vec<f64>; 2],
}

impl Gan {
    fn new(case: &Case, device: &Device, is_named: bool) -> Result<Self> {
        let mut session = program(case, "critic", is_named).compile(device)?;
        let generator = session.load(&program(case, "generator", is_named))?;
        let critic_steps = case.integer("critic_steps").unwrap_or(1) as usize;
        Ok(Self { session, generator, critic_steps, count: 0, is_named, losses: [Vec::new(), Vec::new()] })
    }

    fn loss(&mut self, id: ProgramId, part: usize) -> Result<()> {
        let name = if self.is_named { ["critic.loss", "generator.loss"][part] } else { "loss" };
        let loss = self.session.read_from(id, name)?.item()?;
        self.losses[part].push(loss);
        Ok(())
    }

    fn train(&mut self, steps: usize) -> Result<()> {
        for _ in 0..steps {
            for _ in 0..self.critic_steps {
                self.count += 1;
                let (x, z) = (batch(self.count, 2)?, batch(self.count + 5, 3)?);
                self.session.step(&[("x", &x), ("z", &z)])?;
                self.loss(ProgramId::FIRST, 0)?;
            }
            // A run that reads the outputs is a step as well, where it updates.
            self.session.run_with(self.generator, &[("z", &batch(self.count + 9, 3)?)])?;
            self.loss(self.generator, 1)?;
        }
        Ok(())
    }

    fn variables(&self) -> Result<Vec<(String, TensorData)>> {
        let names = self.session.variables().iter().map(|variable| variable.name.clone());
        names.map(|name| Ok((name.clone(), self.session.parameter(&name)?))).collect()
    }
}

#[test]
fn a_gan_with_two_optimizers_follows_torch() -> Result<()> {
    let cases = golden::read("gan")?;
    assert_eq!(cases.len(), 3);
    for (device, case) in devices().iter().flat_map(|device| cases.iter().map(move |case| (device, case))) {
        for is_named in [false, true] {
            let mut gan = Gan::new(case, device, is_named)?;
            gan.train(50)?;
            for (part, found) in ["critic", "generator"].iter().zip(&gan.losses) {
                let right = case.tensor(&case.fields["losses"][part])?.to_f64_vec();
                assert_eq!(right.len(), found.len());
                for (step, (found, right)) in found.iter().zip(&right).enumerate() {
                    assert!(
                        (found - right).abs() < 1e-4,
                        "{} on {device:?}: step {step} of {part}: {found}, not {right}",
                        case.name
                    );
                }
            }
            let steps: Vec<u64> = gan.session.optimizers().iter().map(|optimizer| optimizer.steps).collect();
            assert_eq!(steps, [50 * gan.critic_steps as u64, 50]);
        }
    }
    Ok(())
}

#[test]
fn a_restored_session_goes_on_bit_for_bit() -> Result<()> {
    let directory = tempfile::tempdir().map_err(|error| Error::file("cannot create", "", error))?;
    for (device, case) in
        devices().iter().flat_map(|device| golden::read("gan").unwrap().into_iter().map(move |case| (device, case)))
    {
        let path = directory.path().join("gan.safetensors");
        let mut whole = Gan::new(&case, device, case.name == "rates")?;
        whole.train(7)?;
        whole.session.set_learning_rate_of(whole.generator, 0.1 / 3.0)?;
        whole.session.save(&path)?;
        let mut resumed = Gan::new(&case, device, case.name == "rates")?;
        resumed.session.restore(&path)?;
        assert_eq!(resumed.session.optimizers(), whole.session.optimizers());
        assert_eq!(resumed.session.steps(), whole.session.steps());
        resumed.count = whole.count;
        whole.losses = [Vec::new(), Vec::new()];
        whole.train(5)?;
        resumed.train(5)?;
        assert_eq!(whole.losses, resumed.losses, "{} on {device:?}", case.name);
        assert_eq!(whole.variables()?, resumed.variables()?);

        // Another session's file.
        let mut other = program(&case, "critic", false).compile(device)?;
        let error = other.restore(&path).unwrap_err().to_string();
        assert!(error.contains("gan.safetensors: ") && error.contains("another model"), "{error}");
    }
    Ok(())
}

fn parameter(g: &Graph, name: &str) -> Tensor {
    g.variable(Variable::parameter(name, TensorType::new(F32, [1]), Initial::Constant(1.0)))
}

/// Two parameters `a` and `b` whose gradients are 1.
fn line(names: &[&str]) -> (Graph, Tensor) {
    let g = Graph::new();
    let terms: Vec<Tensor> = names.iter().map(|name| parameter(&g, name).sum_all()).collect();
    let loss = terms.iter().skip(1).fold(terms[0].clone(), |sum, term| sum + term);
    (g, loss)
}

fn close(session: &Session, name: &str, right: f64) -> Result<()> {
    let found = session.parameter(name)?.to_f64_vec()[0];
    assert!((found - right).abs() < 1e-6, "{name} is {found}, not {right}");
    Ok(())
}

#[test]
fn a_graph_that_was_built_brings_its_rate_along() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let (g, loss) = line(&["a"]);
        g.minimize(&loss, SGD::new(0.25)).build();
        let mut session = g.compile(device)?;
        assert_eq!(session.learning_rate(), Some(0.25));
        session.step(&[])?;
        close(&session, "a", 0.75)?;
        // In a session that began without any.
        let g = Graph::new();
        g.output("b", &parameter(&g, "b"));
        let mut session = g.compile(device)?;
        assert_eq!(session.learning_rate(), None);
        assert!(session.set_learning_rate(0.1).unwrap_err().to_string().contains("no optimizer"));
        let (g, loss) = line(&["b"]);
        g.minimize(&loss, SGD::new(0.25)).build();
        let id = session.load(&g)?;
        assert!(session.set_learning_rate_of(ProgramId::FIRST, 0.1).is_err());
        session.step_with(id, &[])?;
        close(&session, "b", 0.75)?;
        for wrong in [-0.1, f64::NAN, f64::INFINITY] {
            let error = session.set_learning_rate(wrong).unwrap_err().to_string();
            assert!(error.contains("the learning rate is"), "{error}");
        }
        assert_eq!(session.learning_rate(), Some(0.25));
        Ok(())
    })
}

#[test]
fn programs_of_the_same_settings_share_an_optimizer() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let training = |batch: usize| {
            let g = Graph::new();
            let x = g.input("x", [batch, 1], F32);
            let loss = (x * parameter(&g, "w").reshape([1, 1])).mean_all();
            g.minimize(&loss, Adam::new(0.1)).build();
            g
        };
        let ones = |count: usize| TensorData::from_f64(F32, &vec![1.0; count], [count, 1]);
        let mut session = training(4).compile(device)?;
        let ragged = session.load(&training(3))?;
        session.step(&[("x", &ones(4)?)])?;
        session.step_with(ragged, &[("x", &ones(3)?)])?;
        let OptimizerState { steps, parameters, .. } = session.optimizers().swap_remove(0);
        assert_eq!((session.optimizers().len(), steps, parameters), (1, 2, vec!["w".to_owned()]));
        session.set_learning_rate(0.01)?;
        session.step_with(ragged, &[("x", &ones(3)?)])?;
        close(&session, "w", 1.0 - 0.1 - 0.1 - 0.01)
    })
}

#[test]
fn different_optimizers_of_one_parameter_are_apart_or_refused() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let built = |rate: f64, name: &str, names: &[&str]| {
            let (g, loss) = line(names);
            let minimize = g.minimize(&loss, Adam::new(rate));
            if name.is_empty() { minimize } else { minimize.named(name) }.build();
            g
        };
        let mut session = built(0.1, "", &["a", "b"]).compile(device)?;
        for (other, differs) in
            [(built(0.2, "", &["a", "b"]), "other settings"), (built(0.1, "", &["b"]), "other parameters")]
        {
            let error = session.load(&other).unwrap_err().to_string();
            assert!(
                ["b.exp_avg", differs, "Minimize::named", "tests/optimizers.rs"]
                    .iter()
                    .all(|part| error.contains(part))
                    || error.contains("a.exp_avg"),
                "{error}"
            );
        }
        assert_eq!(session.optimizers().len(), 1, "what was refused left nothing");
        let own = session.load(&built(0.2, "second", &["a", "b"]))?;
        let error = session.load(&built(0.3, "second", &["a"])).unwrap_err().to_string();
        assert!(error.contains("\"second\"") && error.contains("another name"), "{error}");
        session.step(&[])?;
        session.step(&[])?;
        // Its first step: with the first's states or count it would be another length.
        session.step_with(own, &[])?;
        close(&session, "a", 1.0 - 0.1 - 0.1 - 0.2)?;
        let names: Vec<&str> = session.variables().iter().map(|variable| variable.name.as_str()).collect();
        assert!(names.contains(&"a.exp_avg") && names.contains(&"second.a.exp_avg"), "{names:?}");
        // Without states there is nothing to mix up.
        let (g, loss) = line(&["a"]);
        g.minimize(&loss, SGD::new(0.5)).build();
        let plain = session.load(&g)?;
        session.step_with(plain, &[])?;
        close(&session, "a", 0.6 - 0.5)?;
        assert_eq!(session.optimizers().iter().map(|optimizer| optimizer.steps).collect::<Vec<_>>(), [2, 1, 1]);
        Ok(())
    })
}

#[test]
fn several_minimize_in_one_graph_are_each_an_output() -> Result<()> {
    devices().iter().try_for_each(|device| {
        let g = Graph::new();
        let losses: Vec<Tensor> = (1..=4).map(|k| (parameter(&g, &format!("p{k}")) * f64::from(k)).sum_all()).collect();
        g.minimize(&losses[0], Adam::new(0.1)).clip_norm(0.5).build();
        g.minimize(&losses[1], Adam::new(0.2)).clip_norm(1.0).build();
        g.minimize(&losses[2], Adam::new(0.3)).named("third").clip_norm(1.0).build();
        g.output("mine", &losses[3]);
        g.minimize(&losses[3], SGD::new(0.1)).build();
        let mut session = g.compile(device)?;
        let outputs = session.run(&[])?;
        let found: Vec<(&str, f64)> = outputs.iter().map(|(name, value)| (name, value.to_f64_vec()[0])).collect();
        let right = [
            ("gradient_norm", 1.0),
            ("gradient_norm_1", 2.0),
            ("loss", 1.0),
            ("loss_1", 2.0),
            ("loss_2", 4.0),
            ("mine", 4.0),
            ("third.gradient_norm", 3.0),
            ("third.loss", 3.0),
        ];
        assert_eq!(found, right);
        for (name, right) in [("p1", 0.9), ("p2", 0.8), ("p3", 0.7), ("p4", 0.6)] {
            close(&session, name, right)?;
        }
        let error = |build: fn(&Graph, &Tensor)| {
            let (g, loss) = line(&["a", "b"]);
            g.minimize(&loss, SGD::new(0.1)).named("x").build();
            build(&g, &loss);
            g.error().map(|error| error.to_string()).unwrap_or_default()
        };
        let twice = error(|g, loss| g.minimize(loss, Adam::new(0.1)).build());
        assert!(twice.contains("\"a\" is updated already") && twice.contains("tests/optimizers.rs"), "{twice}");
        let called = error(|g, _| g.minimize(&parameter(g, "c").sum_all(), Adam::new(0.1)).named("x").build());
        assert!(called.contains("called \"x\" too"), "{called}");
        Ok(())
    })
}
