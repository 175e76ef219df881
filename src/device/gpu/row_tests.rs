//! Programs for a hardware adapter with WebGPU's default limits, run on whatever adapter there is: reductions along rows take the maps
//! that follow them along.

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
fn maps_go_along_with_the_reductions_of_their_rows() {
    let software = Adapter { is_software: true, ..Adapter::default() };
    for (name, f) in FUNCTIONS {
        let steps = |rows: usize, adapter: &Adapter| compiled(&graph(rows, 100, false, f), adapter.clone()).steps.len();
        let saved = steps(256, &software) - steps(256, &Adapter::default());
        assert_eq!(saved, 1, "{name}");
        // Few rows want more workgroups than there are rows.
        assert_eq!(steps(8, &software), steps(8, &Adapter::default()), "{name}");
    }
    for (name, f, wanted) in [("softmax", FUNCTIONS[0].1, [5, 3]), ("layer norm", layer_norm as Function, [5, 4])] {
        let dispatches = [&software, &Adapter::default()]
            .map(|adapter| compiled(&graph(256, 100, true, f), adapter.clone()).dispatches());
        assert_eq!(dispatches, wanted, "{name} with its gradient");
    }
    let softmax = compiled(&graph(256, 100, false, FUNCTIONS[0].1), Adapter::default());
    assert_eq!(softmax.dispatches(), 2, "the largest value; the sum with what it is for");
    assert!(matches!(softmax.steps[1].work, Work::Reduce { .. }));
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
