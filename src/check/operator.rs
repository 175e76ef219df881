//! The same checks for an operator from another crate.

use std::sync::Arc;

use super::extreme::Extreme;
use super::input::Input;
use super::{Case, Family, Report, SEED, run};
use crate::compiler::Options;
use crate::device::Device;
use crate::error::Result;
use crate::graph::{CustomOperator, Gradient, Graph, Tensor};
use crate::ops::Op;
use crate::scalar::threefry::HostRandom;
use crate::session::Session;
use crate::tensor::{DType, TensorData, TensorType};

/// What an operator is checked with: shapes and values of its inputs, and how exact it is.
///
/// ```
/// use wgrad::check::{Cases, Input};
/// let cases = Cases::new().tolerance(1e-5).of([Input::normal(&[3, 70])]).of([Input::normal(&[257, 1])]);
/// # let _ = cases;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Cases {
    tolerance: f64,
    inputs: Vec<Vec<Input>>,
    extremes: &'static [Extreme],
}

impl Default for Cases {
    fn default() -> Self {
        Self { tolerance: 2e-5, inputs: Vec::new(), extremes: Extreme::USUAL }
    }
}

impl Cases {
    /// No cases yet, with a tolerance of 2·10⁻⁵.
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest difference from the reference that is right, over 1 + the reference's magnitude.
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// With the largest numbers among the inputs too: for operators that move and compare numbers. Of others, the order of operations
    /// decides what becomes infinite.
    pub fn with_largest(self) -> Self {
        Self { extremes: Extreme::WITH_LARGEST, ..self }
    }

    /// One more case. Sizes that are odd, 1, and larger than a workgroup find the most.
    pub fn of(mut self, inputs: impl Into<Vec<Input>>) -> Self {
        self.inputs.push(inputs.into());
        self
    }
}

/// Elements of each input whose slopes are compared with differences.
const SLOPES: usize = 24;

/// Checks an operator on a device as `wgrad check` does wgrad's own: by itself, and between others that it may fuse with.
///
/// - Its form for the CPU against its decomposition in f64, and its kernels in every variant, those that only tuning tries among
///   them, against the same. Where there is no decomposition, kernels are compared with the form for the CPU, in f64 if it
///   computes that.
/// - The same with NaN, infinities and subnormal numbers among the inputs, and the largest ones
///   [where they are wanted](Cases::with_largest).
/// - The same with grids that are folded into rows, as those of more than 65,535 workgroups are.
/// - Its gradient, for upstream gradients that are not ones, on both devices, and against differences of its values.
///
/// There is a report for each combination of kernels, and for the gradient; [`Report::ok`] says whether all is well.
///
/// # Errors
/// An operator that does not take the inputs, or has no form for the CPU and no decomposition: then there is no reference.
pub fn operator<O: CustomOperator + Clone>(device: &Device, operator: &O, cases: &Cases) -> Result<Vec<Report>> {
    let op = Op::Custom(Arc::new(operator.clone()));
    let mut reference = (Options { fuse: false, decompose: true, ..Options::default() }, DType::F64);
    let mut family = Family::new(operator.name(), cases.tolerance).extremes(cases.extremes);
    let mut has_decomposition = true;
    for inputs in &cases.inputs {
        let known = Known::of(&op, inputs)?;
        has_decomposition &= known.has_decomposition;
        family.cases.extend(surroundings().map(|around| known.case(&op, inputs, around)));
    }
    let wide = |case: &Case| case.reference(0, &[], reference);
    if !has_decomposition && family.cases.first().is_some_and(|case| wide(case).is_err()) {
        // A form for the CPU that does not compute in f64.
        reference.1 = DType::F32;
    }
    family.reference = reference;
    if !device.is_cpu() {
        family.name = format!("{}/cpu", operator.name());
    }
    let mut reports = run(&Device::cpu(), &family, false)?;
    if !device.is_cpu() {
        family.name = operator.name();
        reports.extend(run(device, &family, true)?);
        family.name = format!("{}/folded", operator.name());
        family.options.fold = true;
        reports.extend(run(device, &family, false)?);
    }
    reports.extend(slopes(operator.name(), &family, reference)?);
    Ok(reports)
}

/// What surrounds the operator in a case.
#[derive(Clone, Copy)]
enum Around {
    /// Inputs and outputs alone.
    Nothing,
    /// Functions of its inputs, which it may take in, and of its outputs, which may be applied before they are stored.
    Functions,
}

fn surroundings() -> impl Iterator<Item = Around> {
    [Around::Nothing, Around::Functions].into_iter()
}

impl Around {
    fn before(self, input: &Tensor) -> Tensor {
        match self {
            Self::Functions if input.dtype().is_float() => input * 0.75,
            Self::Functions | Self::Nothing => input.clone(),
        }
    }

    fn after(self, output: &Tensor) -> Tensor {
        match self {
            Self::Functions if output.dtype().is_float() => (output * 0.5).tanh(),
            Self::Functions | Self::Nothing => output.clone(),
        }
    }
}

/// What an operator has for a case's inputs.
struct Known {
    has_decomposition: bool,
    has_gradient: bool,
}

impl Known {
    fn of(op: &Op, inputs: &[Input]) -> Result<Self> {
        let g = Graph::new();
        let tensors: Vec<Tensor> = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| g.input(&format!("in{index}"), input.shape.as_slice(), input.dtype(DType::F64)))
            .collect();
        let outputs = g.apply(op.clone(), &tensors.iter().collect::<Vec<_>>());
        g.snapshot()?;
        let types: Vec<TensorType> = outputs.iter().map(Tensor::ty).collect();
        let has_decomposition = op.decomposition(&tensors, &types).is_some();
        let is_smooth = |tensors: &[Tensor]| tensors.iter().any(|tensor| tensor.dtype().is_float());
        let upstream: Vec<Option<Tensor>> =
            outputs.iter().map(|output| output.dtype().is_float().then(|| output.ones_like())).collect();
        let has_gradient = is_smooth(&tensors) && is_smooth(&outputs) && {
            let gradient = Gradient { inputs: tensors, outputs, upstream };
            has_decomposition || op.operator().gradient(&gradient).is_some()
        };
        Ok(Self { has_decomposition, has_gradient })
    }

    fn case(&self, op: &Op, inputs: &[Input], around: Around) -> Case {
        let op = op.clone();
        let build = move |g: &Graph, inputs: &[Tensor]| {
            let inputs: Vec<Tensor> = inputs.iter().map(|input| around.before(input)).collect();
            let outputs = g.apply(op.clone(), &inputs.iter().collect::<Vec<_>>());
            outputs.iter().map(|output| around.after(output)).collect()
        };
        Case { inputs: inputs.to_vec(), build: Box::new(build), gradient: self.has_gradient }
    }
}

/// The gradients of the cases against differences of their values; nothing where there are none.
fn slopes(name: String, family: &Family, reference: (Options, DType)) -> Result<Option<Report>> {
    // Differences in f32 are coarse.
    let (step, tolerance) = if reference.1 == DType::F64 { (1e-5, 1e-5) } else { (1e-2, 3e-2) };
    let mut report = Report { name: format!("{name}/gradient"), cases: 0, max_error: 0.0, tolerance, problem: None };
    for (number, case) in family.cases.iter().enumerate().filter(|(_, case)| case.gradient) {
        report.cases += 1;
        for slope in case.slopes(number, reference, step)? {
            report.max_error = report.max_error.max(slope.error());
            if slope.error() > tolerance && report.problem.is_none() {
                let Slope { input, element, gradient, difference } = slope;
                report.problem = Some(format!(
                    "{}: the gradient of in{input}[{element}] is {gradient:e}, the slope {difference:e}",
                    case.describe()
                ));
            }
        }
    }
    Ok((report.cases > 0).then_some(report))
}

/// An element's gradient, and the difference of values over the step that it was moved by.
struct Slope {
    input: usize,
    element: usize,
    gradient: f64,
    difference: f64,
}

impl Slope {
    fn error(&self) -> f64 {
        let error = (self.gradient - self.difference).abs() / (1.0 + self.difference.abs());
        if error.is_nan() { f64::INFINITY } else { error }
    }
}

impl Case {
    /// The slopes of some elements of each float input. Where the slopes to both sides differ, there is a kink, and no slope.
    fn slopes(&self, number: usize, (options, float): (Options, DType), step: f64) -> Result<Vec<Slope>> {
        let (g, values) = self.graph(number, float)?;
        let mut session = Session::with_options(&g, &Device::cpu(), SEED, options)?;
        let known: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
        let mut inputs: Vec<(String, TensorData)> = values
            .into_iter()
            .filter(|value| known.contains(&value.name))
            .map(|value| (value.name, value.values))
            .collect();
        let mut outputs = |inputs: &[(String, TensorData)]| {
            let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
            session.run(&inputs)
        };
        let first = outputs(&inputs)?;
        // Σ upstream · output
        let mut total = |inputs: &[(String, TensorData)]| -> Result<f64> {
            let found = outputs(inputs)?;
            let products = inputs.iter().filter_map(|(name, upstream)| {
                let output = found.get(&format!("out{}", name.strip_prefix("upstream")?))?.to_f64_vec();
                Some(output.iter().zip(upstream.to_f64_vec()).map(|(a, b)| a * b).sum::<f64>())
            });
            Ok(products.sum())
        };
        let middle = total(&inputs)?;
        let mut random = HostRandom::new(SEED).fold(number as u32).fold(3000);
        let mut slopes = Vec::new();
        for input in 0..self.inputs.len() {
            let Some(gradient) = first.get(&format!("gradient of in{input}")) else { continue };
            let gradient = gradient.to_f64_vec();
            let Some(at) = inputs.iter().position(|(name, _)| *name == format!("in{input}")) else { continue };
            let usual = inputs[at].1.clone();
            for _ in 0..gradient.len().min(SLOPES) {
                let element = random.below(gradient.len() as u64) as usize;
                let mut moved = |by: f64| -> Result<f64> {
                    let mut values = usual.to_f64_vec();
                    values[element] += by;
                    inputs[at].1 = TensorData::from_f64(float, &values, usual.shape())?;
                    total(&inputs)
                };
                let (up, down) = (moved(step)?, moved(-step)?);
                let sides = [(up - middle) / step, (middle - down) / step];
                if (sides[0] - sides[1]).abs() <= 100.0 * step * (1.0 + sides[0].abs()) {
                    let difference = (up - down) / (2.0 * step);
                    slopes.push(Slope { input, element, gradient: gradient[element], difference });
                }
            }
            inputs[at].1 = usual;
        }
        Ok(slopes)
    }
}
