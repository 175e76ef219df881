//! How long compiling takes: graphs of one form in growing sizes, from the first tensor to the finished program, with the gradients
//! and updates where there are some. Pipelines, which a driver makes of the program, are not in it. Time should grow as the graph
//! does.

use super::{Case, Input, LEARNING_RATE, TOLERANCE, Work};
use crate::compiler::{self, Layout, Options, Program};
use crate::device::Device;
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::nn::Linear;
use crate::ops::{Initial, Variable};
use crate::optim::{Adam, SGD};
use crate::tensor::{DType, TensorType};

const BATCH: usize = 8;
const WIDTH: usize = 16;
/// A graph of some form and size.
#[derive(Clone, Copy)]
pub(super) struct Compiling {
    build: fn(&Graph, usize),
    size: usize,
}

impl Compiling {
    pub(super) fn build(self, g: &Graph) {
        (self.build)(g, self.size);
    }

    /// From nothing to the finished program for a device, as plain data.
    pub(super) fn program(self, device: &Device) -> Result<Program> {
        let g = Graph::new();
        self.build(&g);
        Ok(compiler::compile(&g, &device.target(), &mut Layout::default(), Options::default())?.0)
    }
}

/// A form, its name, and the sizes in which it is compiled.
type Form = (&'static str, fn(&Graph, usize), [usize; 3]);

pub(super) fn cases() -> Vec<Case> {
    let forms: [Form; 7] = [
        ("own-weights", own_weights, [50, 100, 200]),
        ("shared-weight", shared_weight, [50, 100, 200]),
        ("shared-scale", shared_scale, [50, 100, 200]),
        ("chain", chain, [1000, 2000, 4000]),
        ("readers", readers, [125, 250, 500]),
        ("concat", concat, [251, 501, 1001]),
        ("parameters", parameters, [100, 200, 400]),
    ];
    let sized = |(name, build, sizes): Form| {
        sizes.map(|size| Case {
            name: format!("compile/{name}/{size}"),
            tolerance: TOLERANCE,
            work: Work::Compile(Compiling { build, size }),
        })
    };
    forms.into_iter().flat_map(sized).collect()
}

fn x(g: &Graph) -> Tensor {
    Input::uniform(DType::F32, [BATCH, WIDTH]).variable(g, "x")
}

/// A parameter of the batch's shape.
fn parameter(g: &Graph, name: &str) -> Tensor {
    let ty = TensorType::new(DType::F32, [BATCH, WIDTH]);
    g.variable(Variable::parameter(name, ty, Initial::Constant(0.5)))
}

/// A training step of layers that each have a weight of their own.
fn own_weights(g: &Graph, layers: usize) {
    let last = (0..layers).fold(x(g), |h, k| Linear::new(g, &format!("fc{k}"), WIDTH, WIDTH).forward(&h).tanh());
    g.minimize(&last.square().mean_all(), Adam::new(LEARNING_RATE)).build();
}

/// A training step of layers that share one weight.
fn shared_weight(g: &Graph, layers: usize) {
    let layer = Linear::new(g, "fc", WIDTH, WIDTH);
    let last = (0..layers).fold(x(g), |h, _| layer.forward(&h).tanh());
    g.minimize(&last.square().mean_all(), Adam::new(LEARNING_RATE)).build();
}

/// A training step of layers without products, so that whole layers are fused, which share one vector.
fn shared_scale(g: &Graph, layers: usize) {
    let scale = parameter(g, "scale");
    let last = (0..layers).fold(x(g), |h, _| (h * &scale).tanh());
    g.minimize(&last.square().mean_all(), SGD::new(LEARNING_RATE)).build();
}

/// Scalar functions one behind another.
fn chain(g: &Graph, nodes: usize) {
    let last = (0..nodes).fold(x(g), |h, k| if k % 2 == 0 { h.sin() } else { h * 1.01 });
    g.output("y", &last);
}

/// One value that many others read.
fn readers(g: &Graph, count: usize) {
    let value = x(g).tanh();
    (0..count).for_each(|k| g.output(&format!("y{k}"), &(&value * (k as f64 * 0.01 + 0.5)).sin()));
}

/// Many values joined into one.
fn concat(g: &Graph, count: usize) {
    let x = x(g);
    let parts: Vec<Tensor> = (0..count).map(|k| &x * (k as f64 * 0.01)).collect();
    g.output("y", &g.concat(&parts.iter().collect::<Vec<_>>(), 0));
}

/// Many parameters, joined and cut apart again.
fn parameters(g: &Graph, count: usize) {
    let x = x(g);
    let parts: Vec<Tensor> = (0..count).map(|k| parameter(g, &format!("w{k}")) * &x).collect();
    let joined = g.concat(&parts.iter().collect::<Vec<_>>(), 0);
    g.minimize(&joined.square().mean_all(), Adam::new(LEARNING_RATE)).build();
}
