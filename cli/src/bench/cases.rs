//! What is measured: single kernels on data that lies on the device, and whole training steps.

use std::time::Instant;

use serde_json::{Value, json};
use wgrad::Device;
use wgrad::compiler::Options;
use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{GRU, Given, LSTM, Linear, Mode, Model, Recurrent, Sequential};
use wgrad::ops::{ConvOptions, ConvTransposeOptions, Initial, Role, Variable};
use wgrad::optim::{Adam, SGD};
use wgrad::session::Session;
use wgrad::tensor::{DType, TensorData, TensorType};

use super::measure::{Effort, Timing, median, time};
use crate::failure::{Failure, Result};

/// Errors of kernels, over the largest magnitude of the reference.
const TOLERANCE: f64 = 1e-4;

/// Steps that are compared with the reference before a case is timed.
const CHECKED_STEPS: usize = 5;

/// Steps between two readings of the loss.
const READ_EVERY: usize = 50;

/// 16M elements.
const LONG: usize = 16 << 20;

type Build = dyn Fn(&[Tensor]) -> Tensor;

/// Something to measure.
pub struct Case {
    pub name: String,
    kind: Kind,
}

enum Kind {
    Kernel { inputs: Vec<Vec<usize>>, build: Box<Build> },
    Step { build: fn(&Graph), learning_rate: f64, synced: bool },
}

/// What came of it.
pub struct Outcome {
    pub timing: Timing,
    pub flops: u64,
    pub bytes: u64,
    pub dispatches: usize,
    pub planned_bytes: usize,
    pub max_error: f64,
    /// Median seconds of host time in the call; of steps.
    pub host: Option<f64>,
}

impl Outcome {
    /// 10⁹ floating-point operations a second.
    pub fn gflops(&self) -> f64 {
        self.flops as f64 / self.timing.median * 1e-9
    }

    /// 10⁹ bytes a second, of those that must be moved at the least.
    pub fn gbytes_per_s(&self) -> f64 {
        self.bytes as f64 / self.timing.median * 1e-9
    }

    /// True where the result is the reference's.
    pub fn is_right(&self) -> bool {
        self.max_error <= TOLERANCE
    }

    /// The line of a case.
    pub fn event(&self, name: &str, device: &str, fraction: f64) -> Value {
        let mut event = json!({
            "event": "case", "name": name, "device": device, "median_s": self.timing.median, "min_s": self.timing.min,
            "max_s": self.timing.max, "runs": self.timing.runs, "flops": self.flops, "bytes": self.bytes,
            "gflops": self.gflops(), "gbytes_per_s": self.gbytes_per_s(), "fraction_of_peak": fraction,
            "dispatches": self.dispatches, "max_error": self.max_error, "planned_bytes": self.planned_bytes,
        });
        if let (Some(host), Some(fields)) = (self.host, event.as_object_mut()) {
            fields.insert("host_s".to_owned(), json!(host));
        }
        event
    }
}

/// All cases.
pub fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = [256, 512, 1024, 2048].into_iter().map(product).collect();
    cases.push(kernel("add_relu/f32/16M", &[&[LONG], &[LONG]], |x| (&x[0] + &x[1]).relu()));
    cases.push(kernel("sum/f32/16M", &[&[LONG]], |x| x[0].sum_all()));
    cases.push(kernel("softmax/f32/4096x1024", &[&[4096, 1024]], |x| x[0].softmax(-1)));
    cases.extend(convolutions());
    let steps = [
        ("step/mlp-tiny", mlp_tiny as fn(&Graph)),
        ("step/mlp", mlp),
        ("step/cnn", cnn),
        ("step/lstm", lstm),
        ("step/gru", gru),
    ];
    for (name, build) in steps {
        for synced in [false, true] {
            let name = if synced { format!("{name}/synced") } else { name.to_owned() };
            cases.push(Case { name, kind: Kind::Step { build, learning_rate: 1e-3, synced } });
        }
    }
    cases
}

/// Convolutions of known networks, forward and both gradients.
fn convolutions() -> Vec<Case> {
    /// Images, channels and extents of the input; channels and extent of the kernel; groups.
    const SHAPES: [([usize; 4], [usize; 2], usize); 4] = [
        ([8, 64, 56, 56], [64, 3], 1),
        ([8, 256, 14, 14], [256, 3], 1),
        ([8, 256, 28, 28], [64, 1], 1),
        ([8, 128, 28, 28], [128, 3], 128),
    ];
    let mut cases = Vec::new();
    for ([n, c, h, w], [k, r], groups) in SHAPES {
        let (input, weight, result) = ([n, c, h, w], [k, c / groups, r, r], [n, k, h, w]);
        let grouped = if groups > 1 { format!("g{groups}") } else { String::new() };
        let name = |way: &str| format!("conv2d/f32/n{n}c{c}h{h}w{w}k{k}r{r}{grouped}/{way}");
        let options = ConvOptions::new().padding(r / 2).groups(groups);
        let back = ConvTransposeOptions::new().padding(r / 2).groups(groups);
        let forward = options.clone();
        cases.push(kernel(&name("forward"), &[&input, &weight], move |x| x[0].conv(&x[1], &forward)));
        cases.push(kernel(&name("input_gradient"), &[&result, &weight], move |x| x[0].conv_transpose(&x[1], &back)));
        cases.push(kernel(&name("weight_gradient"), &[&input, &result], move |x| {
            let weight = x[0].graph().constant(TensorData::zeros(x[0].dtype(), weight));
            let convolved = x[0].conv(&weight, &options);
            x[0].graph().gradients_from(&[(&convolved, &x[1])], &[&weight]).swap_remove(0)
        }));
    }
    cases
}

/// A product of square matrices.
pub fn product(side: usize) -> Case {
    kernel(&format!("matmul/f32/{side}x{side}x{side}"), &[&[side, side], &[side, side]], |x| x[0].matmul(&x[1]))
}

fn kernel(name: &str, inputs: &[&[usize]], build: impl Fn(&[Tensor]) -> Tensor + 'static) -> Case {
    let inputs = inputs.iter().map(|shape| shape.to_vec()).collect();
    Case { name: name.to_owned(), kind: Kind::Kernel { inputs, build: Box::new(build) } }
}

/// 100→64 relu→32 relu→1 sigmoid, binary cross-entropy, Adam, batch 32.
fn mlp_tiny(g: &Graph) {
    let (x, y) = (data(g, "x", DType::F32, &[32, 100]), data(g, "y", DType::F32, &[32, 1]));
    let hidden = Linear::new(g, "fc1", 100, 64).forward(&x).relu();
    let hidden = Linear::new(g, "fc2", 64, 32).forward(&hidden).relu();
    let prediction = Linear::new(g, "fc3", 32, 1).forward(&hidden).sigmoid();
    g.minimize(&prediction.binary_cross_entropy(&y), Adam::new(1e-3)).build();
}

/// 784→512 relu→512 relu→10, cross-entropy, Adam, batch 128.
fn mlp(g: &Graph) {
    let (x, y) = (data(g, "x", DType::F32, &[128, 784]), data(g, "y", DType::I32, &[128]));
    let hidden = Linear::new(g, "fc1", 784, 512).forward(&x).relu();
    let hidden = Linear::new(g, "fc2", 512, 512).forward(&hidden).relu();
    let logits = Linear::new(g, "fc3", 512, 10).forward(&hidden);
    g.minimize(&logits.cross_entropy(&y), Adam::new(1e-3)).build();
}

/// 3×32×32, conv 3×3 (32, pad 1) relu maxpool 2, conv 3×3 (64, pad 1) relu maxpool 2, fc 128 relu, fc 10; cross-entropy, SGD with
/// momentum 0.9, batch 64.
fn cnn(g: &Graph) {
    let (x, y) = (data(g, "x", DType::F32, &[64, 3, 32, 32]), data(g, "y", DType::I32, &[64]));
    let model = Sequential::new([3, 32, 32])
        .conv2d(32, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .flatten()
        .dense(128)
        .relu()
        .dense(10);
    let logits = model.forward(g, &x, Mode::Training);
    g.minimize(&logits.cross_entropy(&y), SGD::new(0.01).momentum(0.9)).build();
}

/// Sequences of 50 × 100, 2-layer LSTM of 64, the last step to 1; binary cross-entropy, Adam, batch 64.
fn lstm(g: &Graph) {
    let (x, y) = (data(g, "x", DType::F32, &[50, 64, 100]), data(g, "y", DType::F32, &[64, 1]));
    let lstm = LSTM::with(g, "lstm", 100, 64, Recurrent::new().num_layers(2));
    let last = lstm.forward_with(&x, &Given::new(), Mode::Training).h_n.at(0, 1);
    let logits = Linear::new(g, "fc", 64, 1).forward(&last);
    g.minimize(&logits.binary_cross_entropy_with_logits(&y), Adam::new(1e-3)).build();
}

/// Sequences of 64 × 128, GRU of 256, the last step to 10; cross-entropy, Adam, batch 32.
fn gru(g: &Graph) {
    let (x, y) = (data(g, "x", DType::F32, &[64, 32, 128]), data(g, "y", DType::I32, &[32]));
    let last = GRU::new(g, "gru", 128, 256).forward_with(&x, &Given::new(), Mode::Training).h_n.at(0, 0);
    let logits = Linear::new(g, "fc", 256, 10).forward(&last);
    g.minimize(&logits.cross_entropy(&y), Adam::new(1e-3)).build();
}

/// A value that lies on the device.
fn data(g: &Graph, name: &str, dtype: DType, shape: &[usize]) -> Tensor {
    let ty = TensorType::new(dtype, shape);
    g.variable(Variable { name: name.to_owned(), ty, role: Role::Data, initial: Initial::Constant(0.0) })
}

/// Numbers from 0 to 1 that look random, made fast; whole numbers 0 and 1 for types of whole numbers and for `y`.
fn fill(session: &mut Session, name: &str) -> Result {
    let variables = session.variables();
    let Some(ty) = variables.iter().find(|variable| variable.name == name).map(|variable| variable.ty.clone()) else {
        return Ok(());
    };
    // Weyl's sequence of the golden ratio, and a multiplication that scatters it.
    let word = |place: usize| ((place as u32).wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995).wrapping_mul(0x85eb_ca6b) >> 8;
    let number = |place: usize| word(place) as f32 / 16_777_216.0;
    let length = ty.len();
    let values = match (ty.dtype, name) {
        (DType::I32, _) => {
            TensorData::from_vec((0..length).map(|place| (word(place) % 10) as i32).collect(), &ty.shape)?
        }
        (_, "y") => TensorData::from_vec((0..length).map(|place| number(place).round()).collect(), &ty.shape)?,
        _ => TensorData::from_vec((0..length).map(number).collect(), &ty.shape)?.cast(ty.dtype)?,
    };
    Ok(session.set_parameter(name, &values)?)
}

impl Case {
    /// What is measured.
    pub fn graph(&self) -> Graph {
        match &self.kind {
            Kind::Kernel { inputs, build } => kernel_graph(DType::F32, inputs, build.as_ref()),
            Kind::Step { build, .. } => {
                let g = Graph::new();
                build(&g);
                g
            }
        }
    }

    /// Checks and times it.
    pub fn run(&self, device: &Device, seed: u64, effort: Effort) -> Result<Outcome> {
        let inside = |failure: Failure| match failure {
            Failure::Message(message) => Failure::new(format!("{}: {message}", self.name)),
            other => other,
        };
        match &self.kind {
            Kind::Kernel { inputs, build } => run_kernel(device, inputs, build.as_ref(), effort).map_err(inside),
            Kind::Step { build, learning_rate, synced } => {
                run_step(device, seed, *build, *learning_rate, *synced, effort).map_err(inside)
            }
        }
    }
}

fn kernel_session(
    device: &Device,
    dtype: DType,
    inputs: &[Vec<usize>],
    build: &Build,
    options: Options,
) -> Result<Session> {
    let mut session = Session::with_options(&kernel_graph(dtype, inputs, build), device, 0, options)?;
    for place in 0..inputs.len() {
        fill(&mut session, &format!("in{place}"))?;
    }
    Ok(session)
}

fn kernel_graph(dtype: DType, inputs: &[Vec<usize>], build: &Build) -> Graph {
    let g = Graph::new();
    let input = |(place, shape): (usize, &Vec<usize>)| data(&g, &format!("in{place}"), dtype, shape);
    let tensors: Vec<Tensor> = inputs.iter().enumerate().map(input).collect();
    g.output("out", &build(&tensors));
    g
}

fn run_kernel(device: &Device, inputs: &[Vec<usize>], build: &Build, effort: Effort) -> Result<Outcome> {
    let mut session = kernel_session(device, DType::F32, inputs, build, Options::default())?;
    session.step(&[])?;
    let found = session.read("out")?;
    let plain = Options { fuse: false, ..Options::default() };
    let mut reference = kernel_session(&Device::cpu(), DType::F64, inputs, build, plain)?;
    reference.step(&[])?;
    let max_error = difference(&found, &reference.read("out")?);
    drop(reference);
    let timing = time(effort, None, |repetitions| {
        for _ in 0..repetitions {
            session.step(&[])?;
        }
        Ok(session.device().wait_idle()?)
    })?;
    Ok(outcome(&session, timing, max_error, None))
}

fn step_session(
    device: &Device,
    seed: u64,
    build: fn(&Graph),
    learning_rate: f64,
    options: Options,
) -> Result<Session> {
    let g = Graph::new();
    build(&g);
    let mut session = Session::with_options(&g, device, seed, options)?;
    session.set_learning_rate(learning_rate);
    for name in ["x", "y"] {
        fill(&mut session, name)?;
    }
    Ok(session)
}

fn run_step(
    device: &Device,
    seed: u64,
    build: fn(&Graph),
    learning_rate: f64,
    synced: bool,
    effort: Effort,
) -> Result<Outcome> {
    let mut session = step_session(device, seed, build, learning_rate, Options::default())?;
    let plain = Options { fuse: false, ..Options::default() };
    let mut reference = step_session(&Device::cpu(), seed, build, learning_rate, plain)?;
    let mut max_error = 0.0_f64;
    for _ in 0..CHECKED_STEPS {
        session.step(&[])?;
        reference.step(&[])?;
        max_error = max_error.max(difference(&session.read("loss")?, &reference.read("loss")?));
    }
    drop(reference);
    let timing = time(effort, Some(READ_EVERY), |repetitions| {
        for _ in 0..repetitions {
            session.step(&[])?;
            if synced {
                session.read("loss")?;
            }
        }
        session.read("loss")?;
        Ok(())
    })?;
    // Host time is taken on an idle device: a full queue makes the call wait, which is the device's time.
    let mut host = Vec::new();
    let begun = Instant::now();
    for _ in 0..READ_EVERY.min(effort.least * 5) {
        if host.len() > 2 && begun.elapsed().as_secs_f64() > effort.block {
            break;
        }
        device.wait_idle()?;
        let start = Instant::now();
        session.step(&[])?;
        host.push(start.elapsed().as_secs_f64());
    }
    let host = median(&mut host);
    Ok(outcome(&session, timing, max_error, Some(host)))
}

fn outcome(session: &Session, timing: Timing, max_error: f64, host: Option<f64>) -> Outcome {
    let program = session.program();
    Outcome {
        timing,
        flops: program.flops(),
        bytes: program.bytes(),
        dispatches: program.dispatches(),
        planned_bytes: program.planned_bytes(),
        max_error,
        host,
    }
}

/// The largest difference, over the largest magnitude of what is expected; infinite where something is no number.
fn difference(found: &TensorData, expected: &TensorData) -> f64 {
    let (found, expected) = (found.to_f64_vec(), expected.to_f64_vec());
    let largest = expected.iter().fold(f64::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let worst = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
    let worst = worst.fold(0.0, |worst, error| if error.is_nan() { f64::INFINITY } else { error.max(worst) });
    if found.len() == expected.len() { worst / largest } else { f64::INFINITY }
}
