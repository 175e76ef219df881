//! Programs for a hardware adapter with WebGPU's default limits, run on whatever adapter there is: what is computed of rows is one
//! kernel.

use std::sync::Arc;

use super::context::Checks;
use super::{GpuDevice, GpuProgram, GpuStore, Selection};
use crate::compiler::{Layout, Options, Program, Target, Work, compile};
use crate::device::Device;
use crate::graph::{Graph, Tensor};
use crate::shader::Adapter;
use crate::shader::testing::{assert_close, numbers};
use crate::tensor::DType::F32;
use crate::tensor::TensorData;

/// `f` of rows, with the gradient of a weighted sum of it where that is wanted.
fn graph(rows: usize, length: usize, with_gradient: bool, f: Function) -> Graph {
    let g = Graph::new();
    let (x, weight) = (g.input("x", [rows, length], F32), g.input("weight", [rows, length], F32));
    let y = f(&x);
    g.output("y", &y);
    if with_gradient {
        let gradients = g.gradients(&(&y * &weight).sum_all(), &[&x]);
        g.output("dx", &gradients[0]);
    }
    g
}

fn compiled(graph: &Graph, adapter: Adapter) -> Program {
    compile(graph, &Target::Gpu(adapter), &mut Layout::default(), Options::default()).unwrap().0
}

fn layer_norm(x: &Tensor) -> Tensor {
    x.standardized(&[1], 1e-5, true, None).values
}

type Function = fn(&Tensor) -> Tensor;

const FUNCTIONS: [(&str, Function); 4] = [
    ("softmax", |x| x.softmax(-1)),
    ("log_softmax", |x| x.log_softmax(-1)),
    ("layer norm", layer_norm),
    ("share", |x| x / &x.square().sum([1]).sqrt().unsqueeze(1)),
];

#[test]
fn a_row_is_read_once() {
    let software = Adapter { is_software: true, ..Adapter::default() };
    let targets = [Target::Gpu(software), Target::Gpu(Adapter::default()), Target::Cpu];
    let kinds = |graph: &Graph, target: &Target| {
        let program = compile(graph, target, &mut Layout::default(), Options::default()).unwrap().0;
        let rows = program.steps.iter().filter(|step| matches!(step.work, Work::Rows(_))).count();
        (program.steps.len(), rows)
    };
    // All steps, and those that are work on rows: of the function, and of it with its gradient. A GPU's kernel has one kind of fold, so
    // the largest value of a softmax comes before.
    let wanted = [
        ("softmax", [(2, 1), (3, 2)], [(1, 1), (2, 2)]),
        ("log_softmax", [(2, 1), (3, 1)], [(1, 1), (1, 1)]),
        ("layer norm", [(1, 1), (2, 2)], [(1, 1), (1, 1)]),
        ("share", [(1, 1), (1, 1)], [(1, 1), (1, 1)]),
    ];
    for ((name, f), (wanted_of, on_gpus, on_cpus)) in FUNCTIONS.into_iter().zip(wanted) {
        assert_eq!(name, wanted_of);
        for target in &targets {
            let found = [false, true].map(|with_gradient| kinds(&graph(256, 100, with_gradient, f), target));
            let wanted = if matches!(target, Target::Cpu) { on_cpus } else { on_gpus };
            assert_eq!(found, wanted, "{name}");
            // Few rows want more workgroups than there are rows.
            assert_eq!(kinds(&graph(8, 100, false, f), target).1, 0, "{name}");
        }
    }
}

#[test]
fn rows_are_what_the_cpu_makes_of_them() {
    let device = match GpuDevice::open(&Selection::Any, Checks::All) {
        Ok(device) => device,
        Err(error) => return crate::shader::testing::skipped(&error.to_string()),
    };
    for (name, f) in FUNCTIONS {
        for (rows, length) in [(256, 100), (65, 1), (64, 1030)] {
            let graph = graph(rows, length, true, f);
            let [x, weight] = [1, 2].map(|seed| numbers(rows * length, seed));
            let tensor = |values: &[f32]| TensorData::from_slice(values, [rows, length]).unwrap();
            let mut session = graph.compile(&Device::cpu()).unwrap();
            let wanted = session.run(&[("x", &tensor(&x)), ("weight", &tensor(&weight))]).unwrap();
            let program = Arc::new(compiled(&graph, Adapter::default()));
            let mut loaded = GpuProgram::load(&device, program.clone(), &GpuStore::new(&device)).unwrap();
            let inputs: Vec<(usize, &[u8])> = program
                .inputs
                .iter()
                .enumerate()
                .map(|(port, input)| (port, bytemuck::cast_slice(if input.name == "x" { &x } else { &weight })))
                .collect();
            loaded.run(&inputs, &[]).unwrap();
            for output in &program.outputs {
                let found = loaded.read(&[output.location]).unwrap();
                let found: Vec<f32> = bytemuck::pod_collect_to_vec(&found[0]);
                let wanted = wanted[output.name.as_str()].to_vec::<f32>().unwrap();
                assert_close(&format!("{name} {rows}x{length} {}", output.name), &found, &wanted, 2e-5);
            }
        }
    }
}
