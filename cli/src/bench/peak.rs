//! A device's limits, measured on the spot: what the cases are to be compared with.
//!
//! On the CPU they are measured without the engine ([`super::processor`]). On a GPU, where everything goes through it, they come from
//! programs that do as little else as possible: a chain of multiplications and additions in registers, a triad, a chain of tiny kernels.
//! A product of matrices that does better than the chain raises the limit.

use serde_json::{Value, json};
use wgrad::Device;
use wgrad::compiler::Options;
use wgrad::graph::Graph;
use wgrad::ops::{Initial, Role, Variable};
use wgrad::session::Session;
use wgrad::tensor::{DType, TensorType};

use super::measure::{Effort, time};
use super::{cases, processor};
use crate::device::threads;
use crate::failure::Result;

/// Limits of a device.
pub struct Peak {
    pub gflops_f32: f64,
    pub gbytes_per_s: f64,
    /// Microseconds that one more dispatch costs.
    pub dispatch_us: f64,
    /// Microseconds from submitting next to nothing to having its result.
    pub submit_readback_us: f64,
}

impl Peak {
    /// Measures.
    pub fn measure(device: &Device, effort: Effort) -> Result<Self> {
        let product = cases::product(effort.product).run(device, 0, effort)?.gflops();
        let (arithmetic, traffic) = if device.is_cpu() {
            (processor::gflops_f32(threads()), processor::gbytes_per_s(threads()))
        } else {
            (chain(device, effort)?, triad(device, effort)?)
        };
        let few = tiny(device, 1, effort)?;
        let many = tiny(device, 1 + TINY, effort)?;
        Ok(Self {
            gflops_f32: arithmetic.max(product),
            gbytes_per_s: traffic,
            dispatch_us: (many - few).max(0.0) / TINY as f64 * 1e6,
            submit_readback_us: few * 1e6,
        })
    }

    /// The larger of the shares of both limits: what bounds a kernel is what it is nearest to.
    pub fn fraction(&self, gflops: f64, gbytes_per_s: f64) -> f64 {
        (gflops / self.gflops_f32).max(gbytes_per_s / self.gbytes_per_s)
    }

    /// The first line of a run.
    pub fn event(&self, device: &str) -> Value {
        json!({
            "event": "peak", "device": device, "gflops_f32": self.gflops_f32, "gbytes_per_s": self.gbytes_per_s,
            "dispatch_us": self.dispatch_us, "submit_readback_us": self.submit_readback_us,
        })
    }
}

/// Kernels in the long chain of tiny ones.
const TINY: usize = 128;

fn variable(g: &Graph, name: &str, shape: &[usize]) -> wgrad::graph::Tensor {
    let ty = TensorType::new(DType::F32, shape);
    g.variable(Variable { name: name.to_owned(), ty, role: Role::Data, initial: Initial::Constant(1.0) })
}

/// GFLOP/s of 128 multiplications with addition for each number that is read and written.
fn chain(device: &Device, effort: Effort) -> Result<f64> {
    const LENGTH: usize = 1 << 21;
    const LINKS: usize = 128;
    let g = Graph::new();
    let x = variable(&g, "x", &[LENGTH]);
    let (factor, term) = (variable(&g, "factor", &[1]), variable(&g, "term", &[1]));
    let value = (0..LINKS).fold(x.clone(), |value, _| &value * &factor + &term);
    g.assign(&x, &value);
    let mut session = g.compile(device)?;
    let timing = repeat(&mut session, effort)?;
    Ok((2 * LINKS * LENGTH) as f64 / timing * 1e-9)
}

/// GB/s of a = b + s·c.
fn triad(device: &Device, effort: Effort) -> Result<f64> {
    const LENGTH: usize = 16 << 20;
    let g = Graph::new();
    let (a, b, c) = (variable(&g, "a", &[LENGTH]), variable(&g, "b", &[LENGTH]), variable(&g, "c", &[LENGTH]));
    g.assign(&a, &(&b + &(&c * 3.0)));
    let mut session = g.compile(device)?;
    let timing = repeat(&mut session, effort)?;
    Ok((3 * LENGTH * size_of::<f32>()) as f64 / timing * 1e-9)
}

fn repeat(session: &mut Session, effort: Effort) -> Result<f64> {
    let timing = time(effort, None, |repetitions| {
        for _ in 0..repetitions {
            session.step(&[])?;
        }
        Ok(session.device().wait_idle()?)
    })?;
    Ok(timing.min)
}

/// Seconds from submitting so many tiny kernels, each of which waits for the one before, to having four bytes of the result.
fn tiny(device: &Device, kernels: usize, effort: Effort) -> Result<f64> {
    let g = Graph::new();
    let x = variable(&g, "x", &[1]);
    let last = (0..kernels).fold(x, |value, _| &value * 0.5);
    g.output("last", &last);
    let mut session = Session::with_options(&g, device, 0, Options { fuse: false, ..Options::default() })?;
    let timing = time(effort, None, |repetitions| {
        for _ in 0..repetitions {
            session.step(&[])?;
            session.read("last")?;
        }
        Ok(())
    })?;
    Ok(timing.median)
}
