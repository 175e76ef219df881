//! Everything that training is made of, from outside of wgrad: a layer, a loss, a metric, an optimizer and a schedule of your own,
//! trained with `compile` and `fit` like those of wgrad itself. Two spirals are told apart. Run it with
//! `cargo run --release --example custom_layer`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgrad::data::Dataset;
use wgrad::loss::{Loss, aligned};
use wgrad::metrics::{Batch, Measure, Reading, Sums};
use wgrad::nn::{Dense, Layer, Scope};
use wgrad::optim::{Decay, Update};
use wgrad::prelude::*;
use wgrad::scalar::threefry::HostRandom;

/// A highway layer: t·h + (1 − t)·x with h = tanh(W·x + b) and a gate t = σ(V·x + c) that begins nearly closed, so that deep stacks
/// learn (Srivastava et al. 2015). It remembers how far its gates are open.
#[derive(Clone, Debug)]
struct Highway {
    closed: f64,
}

impl Layer for Highway {
    fn describe(&self) -> String {
        format!("highway({})", self.closed)
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, String> {
        match input.rank() {
            1 => Ok(input.clone()),
            _ => Err(format!("takes examples of one axis, not {input}")),
        }
    }

    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let width = x.shape()[1];
        // A part is a layer; a parameter of its own is one, too.
        let hidden = scope.apply("hidden", &Dense::new(width), x).tanh();
        let weight = scope.parameter("gate", [width, width], Initializer::XavierUniform { gain: 1.0 });
        let bias = scope.parameter("closed", [width], Initializer::Constant(-self.closed));
        let gate = (x.matmul(&weight) + bias).sigmoid();
        let open = scope.buffer("open", [], 0.0);
        scope.assign(&open, &(&open * 0.9 + gate.mean_all() * 0.1));
        x + &(gate * (hidden - x))
    }
}

/// Cross-entropy that looks away from what is easy: −(1 − p)^γ·log p of the right class's probability p (Lin et al. 2017).
struct Focal {
    gamma: f64,
}

impl Loss for Focal {
    fn name(&self) -> &str {
        "focal"
    }

    fn forward(&self, logits: &Tensor, target: &Tensor) -> Tensor {
        let sign = aligned(logits, target) * 2.0 - 1.0;
        let margin = logits * &sign;
        // −log σ(m) = softplus(−m), and 1 − σ(m) = σ(−m).
        ((-&margin).sigmoid().pow(self.gamma) * (-&margin).softplus()).mean_all()
    }

    fn check_targets(&self, _: &Shape, targets: &TensorData) -> Result<()> {
        match targets.to_f64_vec().iter().find(|&&label| label != 0.0 && label != 1.0) {
            Some(label) => Err(Error::Data(format!("label {label} is neither 0 nor 1"))),
            None => Ok(()),
        }
    }

    fn threshold(&self) -> Option<f64> {
        Some(0.0) // logits
    }
}

/// The mean squared distance of probabilities from what happened (Brier 1950), added up on the device.
#[derive(Debug)]
struct Brier;

impl Metric for Brier {
    fn name(&self) -> String {
        "brier".into()
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn measure(&self, _: Reading) -> Measure<'_> {
        Measure::Sums(self)
    }
}

impl Sums for Brier {
    fn sums(&self, batch: &Batch<'_>) -> Vec<Tensor> {
        let distance = batch.prediction().sigmoid() - aligned(batch.prediction(), batch.target());
        vec![distance.square().sum_all(), distance.ones_like().sum_all()]
    }

    fn result(&self, sums: &[f64]) -> Option<f64> {
        (sums[1] > 0.0).then(|| sums[0] / sums[1])
    }
}

/// Adam whose steps are the longer, the better the gradient was foreseen: AdaBelief (Zhuang et al. 2020).
#[derive(Debug)]
struct AdaBelief {
    learning_rate: f64,
    betas: (f64, f64),
    weight_decay: f64,
}

impl Optimizer for AdaBelief {
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn decay(&self) -> Decay {
        Decay::decoupled(self.weight_decay)
    }

    fn update(&self, update: &mut Update<'_>) -> Tensor {
        let (first, second) = self.betas;
        let gradient = update.gradient().clone();
        let (mean, belief) = (update.state("exp_avg", 0.0), update.state("exp_avg_var", 0.0));
        let mean = update.set_state(&mean, &mean * first + &gradient * (1.0 - first));
        let surprise = (gradient - &mean).square();
        let belief = update.set_state(&belief, &belief * second + surprise * (1.0 - second) + 1e-8);
        let size = update
            .scalar(&format!("size({first})"), move |step| step.learning_rate / (1.0 - first.powf(step.step as f64)));
        let scale =
            update.scalar(&format!("scale({second})"), move |step| 1.0 / (1.0 - second.powf(step.step as f64)).sqrt());
        update.parameter() - &(mean * size / (belief.sqrt() * scale + 1e-8))
    }
}

/// Up, along, and down again in straight lines: a trapezoid.
#[derive(Debug)]
struct Trapezoid {
    steps: u64,
    slope: u64,
}

impl Schedule for Trapezoid {
    fn learning_rate(&self, base: f64, step: u64) -> f64 {
        let left = self.steps.saturating_sub(step);
        base * ((step + 1).min(left).min(self.slope) as f64 / self.slope as f64)
    }
}

fn spirals() -> Result<Dataset> {
    let mut random = HostRandom::new(1);
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for index in 0..1500 {
        let (label, along) = (index % 2, random.uniform_f32());
        let angle = along * 9.0 + std::f32::consts::PI * label as f32;
        let noise = |random: &mut HostRandom| (random.uniform_f32() - 0.5) * 0.15;
        points.push(angle.cos() * along * 2.0 + noise(&mut random));
        points.push(angle.sin() * along * 2.0 + noise(&mut random));
        labels.push(label);
    }
    Dataset::new([("x", TensorData::from_vec(points, [1500, 2])?), ("y", TensorData::from_vec(labels, [1500])?)])
}

fn main() -> Result<()> {
    let (train, test) = spirals()?.split(0.8, 0)?;
    let mut model = Sequential::new([2]).dense(24).tanh();
    for _ in 0..6 {
        model = model.layer(Highway { closed: 1.5 });
    }
    let model = model.dense(1);
    print!("{}", model.summary());

    for device in [Device::cpu()].into_iter().chain(Device::gpu()) {
        let optimizer = AdaBelief { learning_rate: 1e-2, betas: (0.9, 0.99), weight_decay: 1e-4 };
        let loss = Focal { gamma: 1.0 };
        let mut trainer = model.clone().compile(&device, optimizer, loss, (Accuracy, Brier))?;
        let schedule = Trapezoid { steps: 40 * 19, slope: 190 };
        let history = trainer.fit(&train, Fit::epochs(40).batch_size(64).schedule(schedule).validate(&test))?;

        println!("on {}", device.name());
        for record in history.epochs.iter().filter(|record| record.epoch % 10 == 0) {
            let value = |name| record.validation(name).unwrap_or(f64::NAN);
            let (accuracy, brier) = (value("accuracy"), value("brier"));
            println!(
                "  epoch {}  loss {:.4}  accuracy {accuracy:.3}  brier {brier:.4}",
                record.epoch, record.train_loss
            );
        }
        let Some(session) = trainer.session() else { continue };
        let open: Result<Vec<String>> =
            (2..8).map(|layer| Ok(format!("{:.2}", session.parameter(&format!("{layer}.open"))?.item()?))).collect();
        println!("  gates are open by {}", open?.join(", "));
    }
    Ok(())
}
