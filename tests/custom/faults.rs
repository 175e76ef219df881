//! What is wrong with an operator of one's own is found by `check::operator`, or told with its name and the line that applied it.

use std::panic::Location;

use wgrad::check::{self, Cases, Input};
use wgrad::graph::{CpuRoutine, CustomOperator, GpuRoutine, Gradient, Kind, Operator, Routine, elements, elements_mut};
use wgrad::prelude::*;
use wgrad::shader::{Adapter, Bound, DispatchPlan, KernelPlan, Operand, RoutineShapes};
use wgrad::tensor::TensorType;

use crate::support::devices::devices;

pub type Outcome<T> = std::result::Result<T, String>;

/// What is wrong with an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Gradient,
    GradientShape,
    Kernel,
    /// The kernel of the second variant, which only tuning tries.
    SecondKernel,
    /// A grid that is not unfolded, though it is said to be.
    Folding,
    Epilogue,
    Cpu,
    Wgsl,
    Import,
    Unwritten,
    Unbound,
    InputWritten,
    LongLine,
    NoCpu,
    NoGpu,
    NoCpuNorDecomposition,
    NoGpuNorDecomposition,
    NoGradientNorDecomposition,
    DecompositionShape,
    DecompositionOfItself,
    Outputs,
}

/// x·|x|, as a routine with everything.
#[derive(Clone, Debug)]
struct SignedSquare(Fault);

const SQUARE: &str = "
#import shared/finish
struct Params { grid_width: u32, count: u32, rows: u32, columns: u32, finish: FinishParams }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
const SCALE = 1u;
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 8u + local;
    if index < params.count {
        let row = index / params.columns;
        let at = vec3<u32>(row / params.rows, row % params.rows, index % params.columns);
        finish(f32(SCALE) * source[index] * abs(source[index]), index, at);
    }
}
";

/// The same without an epilogue.
const BARE: &str = "
struct Params { grid_width: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let index = (group.y * params.grid_width + group.x) * 8u + local;
    if index < params.count { result[index] = source[index] * abs(source[index]); }
}
";

impl Operator for SignedSquare {
    fn name(&self) -> String {
        "signed_square".into()
    }
    fn infer(&self, inputs: &[&TensorType]) -> Outcome<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype.is_float() => Ok(vec![TensorType::clone(x); 1 + usize::from(self.0 == Fault::Outputs)]),
            [x] => Err(format!("wants floats, not {x}")),
            _ => Err(format!("takes one tensor, not {}", inputs.len())),
        }
    }
    fn kind(&self) -> Kind<'_> {
        let routine = match self.0 {
            Fault::NoCpu | Fault::NoCpuNorDecomposition => Routine::on_gpu(self),
            Fault::NoGpu | Fault::NoGpuNorDecomposition => Routine::on_cpu(self),
            _ => Routine::new(self, self),
        };
        Kind::Routine(routine.accepts_epilogue(true))
    }
    fn gradient(&self, gradient: &Gradient) -> Option<Vec<Option<Tensor>>> {
        let (upstream, x) = (gradient.upstream[0].as_ref()?, &gradient.inputs[0]);
        match self.0 {
            Fault::NoGradientNorDecomposition => None,
            Fault::Gradient => Some(vec![Some(x.abs() * 2.0)]),
            Fault::GradientShape => Some(vec![Some((upstream * x).sum_all())]),
            _ => Some(vec![Some(upstream * x.abs() * 2.0)]),
        }
    }
    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        let x = &inputs[0];
        match self.0 {
            Fault::NoCpuNorDecomposition | Fault::NoGpuNorDecomposition | Fault::NoGradientNorDecomposition => None,
            Fault::DecompositionShape => Some(vec![x.sum_all()]),
            Fault::DecompositionOfItself => Some(vec![x.graph().custom1(self.clone(), &[x])]),
            _ => Some(vec![x * &x.abs()]),
        }
    }
}

impl CpuRoutine for SignedSquare {
    fn evaluate(&self, inputs: &[(&Operand, &[u8])], outputs: &mut [(&TensorType, &mut [u8])]) -> Outcome<()> {
        let factor = if self.0 == Fault::Cpu { 1.01 } else { 1.0 };
        for (y, &x) in elements_mut::<f32>(&mut outputs[0])?.iter_mut().zip(elements::<f32>(&inputs[0])?) {
            *y = x * x.abs() * factor;
        }
        Ok(())
    }
}

impl SignedSquare {
    fn plan(&self, shapes: &RoutineShapes<'_>, scale: u32) -> Outcome<KernelPlan> {
        let shape = &shapes.outputs[0].shape;
        let [columns, rows] = [0, 1].map(|axis| shape.iter().rev().nth(axis).copied().unwrap_or(1));
        let groups = shape.len().div_ceil(8);
        let bare = DispatchPlan::wgsl("signed_square", BARE).params([shape.len()]).reads(Bound::Input(0));
        let text = match self.0 {
            Fault::Epilogue => return Ok(bare.writes(Bound::Output(0)).folded_workgroups(groups)?.into()),
            Fault::Unwritten => return Ok(bare.reads(Bound::Output(0)).folded_workgroups(groups)?.into()),
            Fault::Unbound => return Ok(bare.writes(Bound::Scratch(3)).folded_workgroups(groups)?.into()),
            Fault::InputWritten => return Ok(bare.writes(Bound::Input(0)).folded_workgroups(groups)?.into()),
            Fault::Wgsl => SQUARE.replace("abs(source[index])", "length(source)"),
            Fault::Import => format!("#import shared/nowhere\n{SQUARE}"),
            Fault::Folding => SQUARE.replace("group.y * params.grid_width + ", ""),
            _ => SQUARE.to_owned(),
        };
        let dispatch = DispatchPlan::wgsl(format!("signed_square by {scale}"), &text)
            .constant("SCALE", scale)
            .params([shape.len(), rows, columns])
            .reads(Bound::Input(0))
            .finishes(shapes);
        let dispatch = match self.0 {
            Fault::LongLine => dispatch.workgroups(groups)?,
            _ => dispatch.folded_workgroups(groups)?,
        };
        Ok(dispatch.into())
    }
}

impl GpuRoutine for SignedSquare {
    fn kernels(&self, shapes: &RoutineShapes<'_>, _: &Adapter) -> Outcome<Vec<KernelPlan>> {
        Ok(vec![self.plan(shapes, if self.0 == Fault::Kernel { 2 } else { 1 })?])
    }
    fn candidates(&self, shapes: &RoutineShapes<'_>, adapter: &Adapter) -> Outcome<Vec<KernelPlan>> {
        let mut plans = self.kernels(shapes, adapter)?;
        if self.0 == Fault::SecondKernel {
            plans.push(self.plan(shapes, 3)?);
        }
        Ok(plans)
    }
}

impl CustomOperator for SignedSquare {}

fn cases() -> Cases {
    [&[7][..], &[5, 9], &[2, 3, 70]].iter().fold(Cases::new(), |cases, shape| cases.of([Input::normal(shape)]))
}

/// The names of reports that something is wrong.
fn found(device: &Device, fault: Fault) -> Vec<String> {
    let reports = check::operator(device, &SignedSquare(fault), &cases()).unwrap();
    reports.into_iter().filter(|report| !report.ok()).map(|report| report.name).collect()
}

#[test]
fn the_check_finds_what_is_wrong_and_nothing_else() {
    for device in devices() {
        for fault in [Fault::None, Fault::NoCpu, Fault::NoGpu] {
            assert_eq!(found(&device, fault), [""; 0], "{fault:?} on {}", device.name());
        }
        // Its decomposition is computed in f64, the form for the CPU in f32 alone.
        let form = if device.is_cpu() { "signed_square" } else { "signed_square/cpu" };
        assert_eq!(found(&device, Fault::Cpu), [form]);
        assert_eq!(found(&device, Fault::Gradient), ["signed_square/gradient"]);
        if device.is_cpu() {
            continue;
        }
        let kernel = "signed_square/signed_square by";
        assert_eq!(
            found(&device, Fault::Kernel),
            [format!("{kernel} 2"), "signed_square/folded/signed_square by 2".into()]
        );
        assert_eq!(found(&device, Fault::SecondKernel), [format!("{kernel} 3")]);
        assert_eq!(found(&device, Fault::Folding), ["signed_square/folded/signed_square by 1"]);
        assert!(!found(&device, Fault::Epilogue).is_empty());
        assert!(!found(&device, Fault::Wgsl).is_empty());
    }
}

/// What compiling and running an operator says is wrong, on one line of this file.
#[track_caller]
fn told(device: &Device, operator: impl CustomOperator, dtype: DType, shape: &[usize]) -> String {
    let line = Location::caller().line();
    let g = Graph::new();
    let x = g.input("x", shape, dtype);
    let y = here(&g, operator, &x);
    g.output("y", &(&y * 2));
    if dtype.is_float() {
        g.output("gradient", &g.gradients(&y.sum_all(), &[&x])[0]);
    }
    let values = TensorData::zeros(dtype, shape);
    let outcome = g.compile(device).and_then(|mut session| session.run(&[("x", &values)]));
    let text = outcome.err().map_or_else(|| "nothing was told".to_owned(), |error| error.to_string());
    assert!(text == "nothing was told" || text.contains("faults.rs"), "line {line}: {text}");
    text
}

/// One node, from the caller's line.
#[track_caller]
pub fn here(g: &Graph, operator: impl CustomOperator, x: &Tensor) -> Tensor {
    g.custom1(operator, &[x])
}

#[test]
fn what_cannot_be_compiled_is_told_with_the_name_and_the_line() {
    let everywhere: &[(Fault, &[&str])] = &[
        (Fault::GradientShape, &["its gradient of input 0 is f32[], not f32[4, 3]"]),
        (Fault::NoGradientNorDecomposition, &["it has no gradient"]),
        (Fault::Outputs, &["infers 2 outputs"]),
    ];
    let on_gpus: &[(Fault, &[&str])] = &[
        (Fault::Wgsl, &["signed_square by 1", "length"]),
        (Fault::Import, &["no shader module \"shared/nowhere\""]),
        (Fault::Unwritten, &["writes output 0"]),
        (Fault::Unbound, &["scratch memory 3, and there are 0"]),
        (Fault::InputWritten, &["input 0", "only be read"]),
        (Fault::Epilogue, &["finishes"]),
        (Fault::NoGpuNorDecomposition, &["no GPU kernel, and no decomposition"]),
    ];
    for device in devices() {
        let check = |&(fault, parts): &(Fault, &[&str])| {
            let text = told(&device, SignedSquare(fault), F32, &[4, 3]);
            let all = parts.iter().all(|part| text.contains(part)) && text.contains("signed_square");
            assert!(all, "{fault:?} on {}: {text}; wanted {parts:?}", device.name());
        };
        everywhere.iter().for_each(check);
        if device.is_cpu() {
            check(&(Fault::NoCpuNorDecomposition, &["no CPU form, and no decomposition"]));
        } else {
            on_gpus.iter().for_each(check);
            let text = told(&device, SignedSquare(Fault::LongLine), F32, &[8 * 65_536]);
            assert!(text.contains("65536 workgroups are more than the 65535 of a line"), "{text}");
            assert_eq!(told(&device, SignedSquare(Fault::LongLine), F32, &[8 * 65_535]), "nothing was told");
        }
        assert!(told(&device, SignedSquare(Fault::None), I32, &[3]).contains("wants floats, not i32[3]"));
    }
}

#[test]
fn a_device_without_a_form_gets_the_decomposition() {
    let x = TensorData::from_vec(vec![-2.0_f32, 0.5, 3.0], [3]).unwrap();
    for device in devices() {
        for fault in [Fault::None, Fault::NoCpu, Fault::NoGpu] {
            let g = Graph::new();
            let input = g.input("x", [3], F32);
            let y = g.custom1(SignedSquare(fault), &[&input]);
            g.output("y", &y);
            g.output("gradient", &g.gradients(&y.sum_all(), &[&input])[0]);
            let mut session = g.compile(&device).unwrap();
            let lacks = fault == if device.is_cpu() { Fault::NoCpu } else { Fault::NoGpu };
            let steps: Vec<&str> = session.program().steps.iter().map(|step| step.label.as_str()).collect();
            assert_eq!(steps.iter().any(|label| label.contains("signed_square")), !lacks, "{fault:?}: {steps:?}");
            let outputs = session.run(&[("x", &x)]).unwrap();
            assert_eq!(outputs["y"].to_f64_vec(), [-4.0, 0.25, 9.0]);
            assert_eq!(outputs["gradient"].to_f64_vec(), [4.0, 1.0, 6.0]);
        }
        let lacking = if device.is_cpu() { Fault::NoCpu } else { Fault::NoGpu };
        assert_eq!(told(&device, SignedSquare(lacking), F32, &[4]), "nothing was told");
    }
}

/// The same without a form for any device, whose decomposition is `fault`.
#[derive(Clone, Debug)]
struct Formless(Fault);

impl Operator for Formless {
    fn name(&self) -> String {
        "formless".into()
    }
    fn infer(&self, inputs: &[&TensorType]) -> Outcome<Vec<TensorType>> {
        Ok(vec![TensorType::clone(inputs[0])])
    }
    fn kind(&self) -> Kind<'_> {
        Kind::Routine(Routine::on_gpu(&Nowhere))
    }
    fn decompose(&self, inputs: &[Tensor]) -> Option<Vec<Tensor>> {
        match self.0 {
            Fault::DecompositionShape => Some(vec![inputs[0].sum_all()]),
            Fault::DecompositionOfItself => Some(vec![inputs[0].graph().custom1(self.clone(), &[&inputs[0]])]),
            _ => Some(vec![inputs[0].cast(Bool) + 1.0]),
        }
    }
}

struct Nowhere;

impl GpuRoutine for Nowhere {
    fn kernels(&self, _: &RoutineShapes<'_>, _: &Adapter) -> Outcome<Vec<KernelPlan>> {
        Err("cannot".into())
    }
}

impl CustomOperator for Formless {}

#[test]
fn a_decomposition_that_cannot_be_is_told() {
    let device = Device::cpu();
    let told = |fault: Fault| told(&device, Formless(fault), I32, &[4]);
    assert!(told(Fault::DecompositionShape).contains("its decomposition gives i32[], not i32[4]"));
    assert!(told(Fault::DecompositionOfItself).contains("contain itself"), "{}", told(Fault::DecompositionOfItself));
    assert!(told(Fault::None).contains("formless"), "{}", told(Fault::None));
}
