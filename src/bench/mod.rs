//! How fast is a device? Single kernels on data that is stored there, and whole training steps.
//!
//! A [`Case`] is something to measure, and [`cases`] lists those that `wgrad bench` and `cargo bench` share; [`networks`] are larger. An
//! application may make its own. [`Case::prepare`] compiles one for a device and compares what it computes with a reference on the CPU;
//! [`Prepared::measure`] times it. [`Peak`] is what the device could do at best.

mod attentions;
mod call;
mod compiling;
mod convolutions;
mod input;
mod kernels;
mod measure;
mod networks;
mod peak;
mod prepared;
mod processor;
mod products;
mod rows;
mod shapes;
mod steps;

use std::fmt;

use compiling::Compiling;
use networks::Network;

use crate::compiler::Options;
use crate::device::Device;
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::session::Session;
use crate::tensor::DType;

pub use input::Input;
pub use measure::{Effort, Timing};
pub use networks::{Llama, ResNet, Whisper, networks, networks_named};
pub use peak::Peak;
pub use prepared::{Clock, Outcome, Prepared};
pub use shapes::case_of_shape;

/// Errors of kernels, over the largest magnitude of the reference.
const TOLERANCE: f64 = 1e-4;

/// Of all training steps: the speed does not depend on it.
const LEARNING_RATE: f64 = 1e-3;

type Build = Box<dyn Fn(&[Tensor]) -> Vec<Tensor> + Send + Sync>;

/// Something to measure.
///
/// ```
/// use wgrad::bench::{Case, Effort, Input};
/// use wgrad::prelude::*;
///
/// let case = Case::kernel("gelu/f32/1000", [Input::uniform(F32, [1000])], |inputs| vec![inputs[0].gelu()]);
/// let mut prepared = case.prepare(&Device::cpu(), 0)?;
/// assert!(prepared.is_right(), "off by {}", prepared.max_error());
/// let outcome = prepared.measure(Effort::QUICK)?;
/// println!("{:.1} GB/s", outcome.gbytes_per_s());
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Case {
    name: String,
    /// Errors that are allowed, over the largest magnitude of what is expected.
    tolerance: f64,
    work: Work,
}

/// What a case does.
enum Work {
    /// A graph of some inputs that are stored on the device.
    Kernel { inputs: Vec<Input>, build: Build },
    /// A training step; whether the loss is read after each.
    Step { build: fn(&Graph), synced: bool },
    /// A training step or a forward pass of a whole network.
    Network(Network),
    /// Compiling a graph of some size.
    Compile(Compiling),
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Case").field(&self.name).finish()
    }
}

/// All cases: products, convolutions, rows and the rest, then training steps, then how long compiling takes. See
/// `wgrad bench --list`.
///
/// Names say what, in which element type, and how large: a product of matrices is `rows × inner × columns`.
pub fn cases() -> Vec<Case> {
    let mut cases = products::cases();
    cases.extend(convolutions::cases());
    cases.extend(rows::cases());
    cases.extend(attentions::cases());
    cases.extend(kernels::cases());
    cases.extend(steps::cases());
    cases.extend(compiling::cases());
    cases
}

impl Case {
    /// A case of one's own: what `build` makes of the inputs, each of which is stored on the device. Outputs are compared with
    /// those of the same graph in f64 on the CPU, without fusion.
    pub fn kernel(
        name: impl Into<String>,
        inputs: impl Into<Vec<Input>>,
        build: impl Fn(&[Tensor]) -> Vec<Tensor> + Send + Sync + 'static,
    ) -> Self {
        let work = Work::Kernel { inputs: inputs.into(), build: Box::new(build) };
        Self { name: name.into(), tolerance: TOLERANCE, work }
    }

    /// Allows other errors than 10⁻⁴ of the largest magnitude.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The name: `matmul/f32/1024x1024x1024`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True for a whole training step or forward pass, false for a kernel.
    pub fn is_step(&self) -> bool {
        matches!(self.work, Work::Step { .. } | Work::Network(_))
    }

    /// True where what takes the time is compiling.
    pub fn is_compiling(&self) -> bool {
        matches!(self.work, Work::Compile(_))
    }

    /// Compiles the case, fills its inputs, and runs it once and its reference once (a few steps, of training).
    ///
    /// # Errors
    /// What the device refuses; never a wrong result, which [`Prepared::is_right`] tells.
    pub fn prepare(&self, device: &Device, seed: u64) -> Result<Prepared> {
        Prepared::new(self, device, seed)
    }

    /// A session that is ready to run the case, with inputs that are stored on the device: `session.step(&[])`.
    ///
    /// # Errors
    /// What the device refuses.
    pub fn session(&self, device: &Device, seed: u64) -> Result<Session> {
        self.compile(device, seed, false)
    }

    /// The same on the CPU without fusion; kernels in f64.
    fn reference(&self, seed: u64) -> Result<Session> {
        self.compile(&Device::cpu(), seed, true)
    }

    /// What is measured, as a graph: a kernel with its outputs, or a training step with its update.
    pub fn graph(&self) -> Graph {
        self.graph_in(false)
    }

    fn graph_in(&self, is_reference: bool) -> Graph {
        let g = Graph::new();
        match &self.work {
            Work::Kernel { inputs, build } => {
                let mut tensors = Vec::with_capacity(inputs.len());
                for (index, input) in inputs.iter().enumerate() {
                    let tensor = input.variable(&g, &format!("in{index}"));
                    let widen = is_reference && input.dtype().is_float();
                    tensors.push(if widen { tensor.cast(DType::F64) } else { tensor });
                }
                for (index, output) in build(&tensors).iter().enumerate() {
                    g.output(&format!("out{index}"), output);
                }
            }
            Work::Step { build, .. } => build(&g),
            Work::Network(network) => {
                let inputs = network.inputs.iter().enumerate();
                let inputs: Vec<Tensor> =
                    inputs.map(|(index, input)| input.variable(&g, &format!("in{index}"))).collect();
                (network.build)(&g, &inputs);
            }
            Work::Compile(compiling) => compiling.build(&g),
        }
        g
    }

    fn compile(&self, device: &Device, seed: u64, is_reference: bool) -> Result<Session> {
        let options = Options { fuse: !is_reference, ..Options::default() };
        let mut session = Session::with_options(&self.graph_in(is_reference), device, seed, options)?;
        match &self.work {
            Work::Kernel { inputs, .. } | Work::Network(Network { inputs, .. }) => {
                for (index, input) in inputs.iter().enumerate() {
                    input.fill(&mut session, &format!("in{index}"), index)?;
                }
            }
            Work::Step { .. } | Work::Compile(_) => steps::fill(&mut session)?,
        }
        Ok(session)
    }
}

/// A result and the gradients of some tensors, for an upstream gradient: what training computes of an operator.
fn with_gradients(result: &Tensor, upstream: &Tensor, sources: &[&Tensor]) -> Vec<Tensor> {
    let mut all = result.graph().gradients_from(&[(result, upstream)], sources);
    all.insert(0, result.clone());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let cases = cases();
        let mut names: Vec<&str> = cases.iter().map(Case::name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len());
    }

    #[test]
    fn a_wrong_result_is_told() -> Result<()> {
        // Precise in neither type, and by far not the same in both.
        let case =
            Case::kernel("lost digits", [Input::uniform(DType::F32, [64])], |inputs| vec![(&inputs[0] + 1e8) - 1e8]);
        let prepared = case.prepare(&Device::cpu(), 0)?;
        assert!(!prepared.is_right() && prepared.max_error() > 0.1, "{}", prepared.max_error());
        Ok(())
    }

    #[test]
    fn a_mistake_in_a_case_is_an_error() {
        let case =
            Case::kernel("mistake", [Input::uniform(DType::F32, [2, 3])], |inputs| vec![inputs[0].matmul(&inputs[0])]);
        assert!(case.prepare(&Device::cpu(), 0).is_err());
    }
}
