//! Does a device compute what it should? Every kernel, in every variant, on random and awkward inputs.
//!
//! A `Family` is an operator with cases: input shapes and a function that builds a graph of it. Each case is compiled
//! for the device once for each kernel variant that fits, and once for the CPU in f64 without fusion, which is what the
//! results are compared with. Gradients are taken with an upstream gradient that is not ones. The same is done with NaN,
//! infinities, subnormal and the largest numbers among the inputs. `wgrad check` prints the [`Report`]s; it is what somebody with
//! an unknown driver runs first.

mod attention;
mod convolution;
mod elementwise;
mod extreme;
mod families;
mod input;
mod layers;
mod normalization;
mod operator;
mod pools;
mod recurrent;
mod select;

use std::collections::BTreeMap;

use crate::compiler::Options;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::scalar::threefry::HostRandom;
use crate::session::{Outputs, Session};
use crate::tensor::{DType, TensorData};

use extreme::{Extreme, is_subnormal};
pub use input::Input;
pub use operator::{Cases, operator};
pub use select::select;

/// The seed of all inputs.
const SEED: u64 = 0x5eed;

/// A kernel, or an operator that is fused into kernels made to measure, on all its cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Operator and, where it has kernels of its own, which of them: `matmul/tiled`.
    pub name: String,
    /// Cases that ran it.
    pub cases: usize,
    /// The largest difference from the reference, over 1 + the reference's magnitude. Infinite where it is NaN, and 1 for
    /// integers that differ.
    pub max_error: f64,
    /// The largest error that is right.
    pub tolerance: f64,
    /// What went wrong first, if something did.
    pub problem: Option<String>,
}

impl Report {
    /// True where all is well.
    pub fn ok(&self) -> bool {
        self.problem.is_none()
    }
}

type Build = Box<dyn Fn(&Graph, &[Tensor]) -> Vec<Tensor>>;

/// The values of an input, and what it is.
struct CaseInput {
    name: String,
    values: TensorData,
    input: Input,
}

/// One graph.
struct Case {
    inputs: Vec<Input>,
    build: Build,
    /// True where the gradients of the float inputs are compared too.
    gradient: bool,
}

/// Cases of one operator.
struct Family {
    name: String,
    tolerance: f64,
    cases: Vec<Case>,
    /// What is put among the numbers of its inputs.
    extremes: &'static [Extreme],
    /// How what is checked is compiled; kernels are iterated over.
    options: Options,
    /// How the reference on the CPU is compiled, and what its floats are.
    reference: (Options, DType),
}

impl Family {
    fn new(name: impl Into<String>, tolerance: f64) -> Self {
        let reference = (Options { fuse: false, ..Options::default() }, DType::F64);
        let (options, extremes) = (Options::default(), Extreme::USUAL);
        Self { name: name.into(), tolerance, cases: Vec::new(), extremes, options, reference }
    }

    /// With other numbers among the usual ones than most.
    fn extremes(self, extremes: &'static [Extreme]) -> Self {
        Self { extremes, ..self }
    }

    /// One more case, compared with its gradient.
    fn case(mut self, inputs: impl Into<Vec<Input>>, build: impl Fn(&[Tensor]) -> Tensor + 'static) -> Self {
        let build: Build = Box::new(move |_, inputs| vec![build(inputs)]);
        self.cases.push(Case { inputs: inputs.into(), build, gradient: true });
        self
    }

    /// One more case without gradients, of any number of outputs.
    fn forward(
        mut self,
        inputs: impl Into<Vec<Input>>,
        build: impl Fn(&Graph, &[Tensor]) -> Vec<Tensor> + 'static,
    ) -> Self {
        self.cases.push(Case { inputs: inputs.into(), build: Box::new(build), gradient: false });
        self
    }
}

/// The names of what can be checked.
pub fn names() -> Vec<String> {
    families::all().into_iter().map(|family| family.name).collect()
}

/// A case of what is checked, as a graph that [`compile`](crate::compiler::compile) makes a program of for any device, there or not.
#[derive(Debug)]
pub struct CheckedGraph {
    /// The operator.
    pub name: String,
    /// The operator in the case's shapes, with its gradients.
    pub graph: Graph,
    /// How it is compiled; kernels are iterated over by [`Options::variant`].
    pub options: Options,
}

/// The graphs of all cases of the operators that a filter means ([`select`]).
///
/// ```
/// use wgrad::compiler::{Layout, Target, compile};
/// let target = Target::Gpu(wgrad::shader::Adapter::default());
/// for case in wgrad::check::graphs("matmul/vectors")? {
///     let (program, _) = compile(&case.graph, &target, &mut Layout::default(), case.options)?;
///     assert!(!program.kernels.is_empty());
/// }
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// Inputs that cannot be made, which would be a mistake here.
pub fn graphs(filter: &str) -> Result<Vec<CheckedGraph>> {
    let mut found = Vec::new();
    for family in select(families::all(), filter, |family| &family.name) {
        for (number, case) in family.cases.iter().enumerate() {
            let (graph, _) = case.graph(number, DType::F32)?;
            found.push(CheckedGraph { name: family.name.clone(), graph, options: family.options });
        }
    }
    Ok(found)
}

/// Checks the operators that a filter means ([`select`]), and reports each one as soon as it is there. True where all
/// are well.
///
/// ```
/// let mut told = 0;
/// let ok = wgrad::check::check(&wgrad::Device::cpu(), "matmul/vectors", &mut |report| {
///     assert!(report.ok());
///     told += 1;
/// })?;
/// assert!(ok && told > 0);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] where nothing has such a name; a reference that cannot be computed, which would be a mistake here.
pub fn check(device: &Device, filter: &str, tell: &mut dyn FnMut(&Report)) -> Result<bool> {
    check_plans(device, filter, false, tell)
}

/// As [`check`], for all kernels that [`Device::tune`] tries, of which there are more.
///
/// ```
/// assert!(wgrad::check::check_candidates(&wgrad::Device::cpu(), "matmul/vectors", &mut |_| ())?);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// As of [`check`].
pub fn check_candidates(device: &Device, filter: &str, tell: &mut dyn FnMut(&Report)) -> Result<bool> {
    check_plans(device, filter, true, tell)
}

fn check_plans(device: &Device, filter: &str, candidates: bool, tell: &mut dyn FnMut(&Report)) -> Result<bool> {
    let chosen = select(families::all(), filter, |family| &family.name);
    if chosen.is_empty() {
        return Err(Error::Argument(format!(
            "nothing to check is called {filter:?}; there are {}",
            names().join(", ")
        )));
    }
    let mut ok = true;
    for family in &chosen {
        for report in run(device, family, candidates)? {
            ok &= report.ok();
            tell(&report);
        }
    }
    Ok(ok)
}

/// A report for each combination of kernels that the family's cases meet.
fn run(device: &Device, family: &Family, candidates: bool) -> Result<Vec<Report>> {
    let mut reports: BTreeMap<String, Report> = BTreeMap::new();
    for (number, case) in family.cases.iter().enumerate() {
        let extremes = family.extremes;
        let expected = case.reference(number, extremes, family.reference)?;
        let mut variant = 0;
        let mut variants = 1;
        let mut met: Vec<String> = Vec::new();
        while variant < variants {
            let outcome = case.on(device, number, extremes, Options { variant, candidates, ..family.options });
            let (kernels, values) = match outcome {
                Ok(found) => {
                    variants = found.variants;
                    (found.kernels, Ok(found.values))
                }
                Err(error) => (String::new(), Err(error)),
            };
            variant += 1;
            if met.contains(&kernels) {
                continue;
            }
            met.push(kernels.clone());
            let name = if kernels.is_empty() { family.name.clone() } else { format!("{}/{kernels}", family.name) };
            let report = reports.entry(kernels).or_insert_with(|| Report {
                name,
                cases: 0,
                max_error: 0.0,
                tolerance: family.tolerance,
                problem: None,
            });
            report.cases += 1;
            let problem = match values.and_then(|values| compared(&values, &expected, family.tolerance)) {
                Ok((error, problem)) => {
                    report.max_error = report.max_error.max(error);
                    problem
                }
                Err(error) => {
                    report.max_error = f64::INFINITY;
                    Some(format!(": {error}"))
                }
            };
            if let (None, Some(problem)) = (&report.problem, problem) {
                report.problem = Some(format!("{}{problem}", case.describe()));
            }
        }
    }
    Ok(reports.into_values().collect())
}

/// The largest error, and the first thing that is wrong.
fn compared(
    found: &[(Extreme, Outputs)],
    expected: &[(Extreme, Outputs)],
    tolerance: f64,
) -> Result<(f64, Option<String>)> {
    let (mut largest, mut problem) = (0.0_f64, None);
    for (extreme, values) in found {
        let allowed: Vec<(bool, &Outputs)> = expected
            .iter()
            .filter(|(other, _)| other.stands_for() == *extreme)
            .map(|(other, outputs)| (other.is_flushed(), outputs))
            .collect();
        let (error, element) = difference(values, &allowed)?;
        largest = largest.max(error);
        if error > tolerance && problem.is_none() {
            let with = extreme.describe();
            problem =
                Some(format!("{}{with}: {element} is off by {error:.1e}", if with.is_empty() { "" } else { " " }));
        }
    }
    Ok((largest, problem))
}

struct Found {
    /// With the usual numbers, and with others among them.
    values: Vec<(Extreme, Outputs)>,
    /// Own kernels of the steps that have some.
    kernels: String,
    variants: usize,
}

impl Case {
    fn describe(&self) -> String {
        let inputs: Vec<String> = self.inputs.iter().map(ToString::to_string).collect();
        format!("of {}", inputs.join(", "))
    }

    /// The case's graph with floats of a type, and the values of its inputs.
    fn graph(&self, number: usize, float: DType) -> Result<(Graph, Vec<CaseInput>)> {
        let g = Graph::new();
        let stream = HostRandom::new(SEED).fold(number as u32);
        let mut values = Vec::new();
        let mut tensors = Vec::new();
        for (index, input) in self.inputs.iter().enumerate() {
            let name = format!("in{index}");
            tensors.push(g.input(&name, input.shape.as_slice(), input.dtype(float)));
            values.push(CaseInput {
                name,
                values: input.values(float, &mut stream.fold(index as u32))?,
                input: input.clone(),
            });
        }
        let outputs = (self.build)(&g, &tensors);
        for (index, output) in outputs.iter().enumerate() {
            g.output(&format!("out{index}"), output);
        }
        if self.gradient && g.error().is_none() {
            let floats: Vec<(usize, &Tensor)> =
                tensors.iter().enumerate().filter(|(_, tensor)| tensor.dtype().is_float()).collect();
            let mut pairs = Vec::new();
            for (index, output) in outputs.iter().enumerate().filter(|(_, output)| output.dtype().is_float()) {
                // An upstream gradient of ones hides what is not multiplied by it.
                let upstream = Input::normal(output.shape().dims());
                let name = format!("upstream{index}");
                pairs.push((output, g.input(&name, output.shape(), output.dtype())));
                let drawn = upstream.values(output.dtype(), &mut stream.fold(1000 + index as u32))?;
                values.push(CaseInput { name, values: drawn, input: upstream });
            }
            let pairs: Vec<(&Tensor, &Tensor)> = pairs.iter().map(|(output, upstream)| (*output, upstream)).collect();
            let sources: Vec<&Tensor> = floats.iter().map(|(_, tensor)| *tensor).collect();
            for ((index, _), gradient) in floats.iter().zip(g.gradients_from(&pairs, &sources)) {
                g.output(&format!("gradient of in{index}"), &gradient);
            }
        }
        Ok((g, values))
    }

    /// A session of the case's graph, and its outputs with the usual numbers and with others among them.
    fn session(
        &self,
        device: &Device,
        number: usize,
        float: DType,
        extremes: &[Extreme],
        options: Options,
    ) -> Result<(Session, Vec<(Extreme, Outputs)>)> {
        let (g, values) = self.graph(number, float)?;
        let mut session = Session::with_options(&g, device, SEED, options)?;
        // An upstream gradient that nothing depends on is no input of the program.
        let known: Vec<String> = session.program().inputs.iter().map(|port| port.name.clone()).collect();
        let stream = HostRandom::new(SEED).fold(number as u32).fold(2000);
        let mut outputs = Vec::new();
        for &extreme in std::iter::once(&Extreme::None).chain(extremes) {
            let mut inputs = Vec::new();
            for (index, value) in values.iter().enumerate().filter(|(_, value)| known.contains(&value.name)) {
                inputs.push((&value.name, extreme.among(&value.values, &value.input, stream.fold(index as u32))?));
            }
            let inputs: Vec<(&str, &TensorData)> = inputs.iter().map(|(name, data)| (name.as_str(), data)).collect();
            outputs.push((extreme, session.run(&inputs)?));
        }
        Ok((session, outputs))
    }

    /// What is right: in f64, and with extreme numbers also in f32, in which more becomes 0 or infinite in between.
    fn reference(
        &self,
        number: usize,
        extremes: &[Extreme],
        (options, float): (Options, DType),
    ) -> Result<Vec<(Extreme, Outputs)>> {
        let mut extremes = extremes.to_vec();
        if extremes.contains(&Extreme::Subnormal) {
            extremes.push(Extreme::Flushed);
        }
        let is_plain = extremes.is_empty();
        if self.inputs.iter().any(Input::has_subnormals) {
            extremes.push(Extreme::NoneFlushed);
        }
        let mut all = self.session(&Device::cpu(), number, float, &extremes, options)?.1;
        if !is_plain {
            let narrow = self.session(&Device::cpu(), number, DType::F32, &extremes, options)?.1;
            all.extend(narrow.into_iter().filter(|(extreme, _)| *extreme != Extreme::None));
        }
        Ok(all)
    }

    fn on(&self, device: &Device, number: usize, extremes: &[Extreme], options: Options) -> Result<Found> {
        let (session, values) = self.session(device, number, DType::F32, extremes, options)?;
        let program = session.program();
        let mut kernels: Vec<&str> = program
            .steps
            .iter()
            .flat_map(|step| &step.dispatches)
            .filter_map(|dispatch| program.kernels.get(dispatch.kernel))
            .map(|kernel| kernel.label.as_str())
            // Maps are written for each graph, and say nothing that the family's name does not.
            .filter(|label| *label != "map")
            .collect();
        kernels.sort_unstable();
        kernels.dedup();
        Ok(Found { values, kernels: kernels.join("+"), variants: program.variants })
    }
}

/// The largest difference between outputs, and where it is; each element from the nearest of what is allowed. With each of those: whether
/// subnormal numbers are 0 in it. Then they are in what was found, too: a driver that takes them for 0 may move one all the same.
fn difference(found: &Outputs, allowed: &[(bool, &Outputs)]) -> Result<(f64, String)> {
    let mut largest = (0.0, String::new());
    let Some((_, first)) = allowed.first() else { return Ok(largest) };
    for (name, expected) in first.iter() {
        let found = found.get(name).ok_or_else(|| Error::Data(format!("{name} is missing")))?;
        if found.shape() != expected.shape() {
            return Err(Error::Data(format!("{name} is {}, not {}", found.shape(), expected.shape())));
        }
        let values = found.to_f64_vec();
        let mut errors = vec![f64::INFINITY; values.len()];
        let allowed = allowed.iter().filter_map(|(is_flushed, outputs)| Some((*is_flushed, outputs.get(name)?)));
        for (is_flushed, expected) in allowed {
            // The reference is asked for what the device can say: what is beyond the range of its type is infinite.
            let asked = expected.cast(found.dtype())?;
            let is_float = found.dtype().is_float();
            let rounded = asked.to_f64_vec();
            let exact = if is_float { expected.to_f64_vec() } else { rounded.clone() };
            for (((found, rounded), exact), nearest) in values.iter().zip(rounded).zip(exact).zip(&mut errors) {
                let found = if is_flushed && is_float && is_subnormal(*found) { 0.0 } else { *found };
                let error = match () {
                    () if found == rounded || (found.is_nan() && rounded.is_nan()) => 0.0,
                    () if !is_float => 1.0,
                    () if found.is_finite() && rounded.is_finite() => (found - exact).abs() / (1.0 + exact.abs()),
                    () => f64::INFINITY,
                };
                *nearest = nearest.min(error);
            }
        }
        let exact = expected.to_f64_vec();
        for (index, ((found, exact), error)) in values.into_iter().zip(exact).zip(errors).enumerate() {
            if error > largest.0 {
                largest = (error, format!("{name}[{index}], which is {found:e} and should be {exact:e},"));
            }
        }
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_computes_what_it_should() -> Result<()> {
        let mut problems = Vec::new();
        let ok = check(&Device::cpu(), "", &mut |report| {
            problems.extend(report.problem.clone().map(|problem| (report.name.clone(), problem)))
        })?;
        assert!(ok && problems.is_empty(), "{problems:#?}");
        Ok(())
    }

    #[test]
    fn names_are_unique_and_unknown_ones_are_told() {
        let mut all = names();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(matches!(check(&Device::cpu(), "no such thing", &mut |_| ()), Err(Error::Argument(_))));
    }

    #[test]
    fn wrong_results_are_noticed() -> Result<()> {
        let outputs = |value: f32| -> Result<Outputs> {
            let g = Graph::new();
            let x = g.input("x", [1], DType::F32);
            g.output("y", &(&x * 1.0));
            g.compile(&Device::cpu())?.run(&[("x", &TensorData::from_vec(vec![value], [1])?)])
        };
        assert!((difference(&outputs(1.5)?, &[(false, &outputs(1.0)?)])?.0 - 0.25).abs() < 1e-12);
        assert_eq!(difference(&outputs(f32::NAN)?, &[(false, &outputs(1.0)?)])?.0, f64::INFINITY);
        assert_eq!(difference(&outputs(f32::NAN)?, &[(false, &outputs(f32::NAN)?)])?.0, 0.0);
        Ok(())
    }
}
