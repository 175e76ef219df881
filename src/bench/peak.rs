//! A device's limits, measured on the spot: what the cases are to be compared with.
//!
//! On the CPU they are measured without the engine ([`super::processor`]). On a GPU, where everything uses it, they come from
//! programs that do as little else as possible: a chain of multiplications and additions in registers, a triad, a chain of tiny
//! kernels. A product of matrices that does better than the chain raises the limit.

use crate::clock::Instant;

use super::call::wall;
use super::measure::{Effort, median};
use super::prepared::Runner;
use super::processor::Processor;
use super::products;
use crate::compiler::Options;
use crate::device::Device;
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Role, Variable};
use crate::session::Session;
use crate::tensor::{DType, TensorType};

/// Kernels in the long chain of tiny ones.
const TINY: usize = 128;

/// Side of the matrices whose product may set the limit.
const SIDE: usize = 512;

/// The number of short samples in each round, of which the best counts.
const SAMPLES: usize = 3;

/// Limits of a device. All are measured in turn, in short rounds, for as long as the effort says (four seconds, [`Effort::QUICK`]
/// one and a half): what disturbs a machine for a while disturbs some of the rounds. Rates are the best of all rounds, costs their
/// median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// 10⁹ multiplications and additions of f32 a second, fused ones as two.
    pub gflops_f32: f64,
    /// 10⁹ bytes a second to and from memory, of `a[i] = b[i] + s·c[i]`.
    pub gbytes_per_s: f64,
    /// Microseconds that one more dispatch costs (on the CPU, one more step of a program).
    pub dispatch_us: f64,
    /// Microseconds from submitting next to nothing to having its result.
    pub submit_readback_us: f64,
}

impl Peak {
    /// Measures the limits of a device.
    ///
    /// ```
    /// use wgrad::bench::{Effort, Peak};
    /// let effort = Effort { limits: 0.0, ..Effort::QUICK }; // one round
    /// let peak = Peak::measure(&wgrad::Device::cpu(), effort)?;
    /// assert!(peak.gflops_f32 > 0.0 && peak.gbytes_per_s > 0.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// A device that fails or was lost.
    pub fn measure(device: &Device, effort: Effort) -> Result<Self> {
        let mut limits = Limits::new(device)?;
        let mut product = Runner::new(ran(products::product(DType::F32, [SIDE; 3]).session(device, 0)?)?, None, None)?;
        let (mut few, mut many) = (tiny(device, 1)?, tiny(device, 1 + TINY)?);
        let (mut gflops_f32, mut gbytes_per_s) = (0.0_f64, 0.0_f64);
        let (mut submit, mut dispatch) = (Vec::new(), Vec::new());
        let begun = Instant::now();
        while submit.is_empty() || begun.elapsed().as_secs_f64() < effort.limits {
            let products = 2.0 * (SIDE as f64).powi(3) / best(&mut product)? * 1e-9;
            gflops_f32 = gflops_f32.max(limits.gflops_f32()?).max(products);
            gbytes_per_s = gbytes_per_s.max(limits.gbytes_per_s()?);
            let (short, long) = (answered(&mut few)?, answered(&mut many)?);
            submit.push(short * 1e6);
            dispatch.push((long - short).max(0.0) / TINY as f64 * 1e6);
        }
        Ok(Self {
            gflops_f32,
            gbytes_per_s,
            dispatch_us: median(&mut dispatch),
            submit_readback_us: median(&mut submit),
        })
    }

    /// The share of this device's limits that a kernel of these rates reaches: of arithmetic or of memory, whichever is larger, as that is
    /// what bounds it.
    pub fn fraction(&self, gflops: f64, gbytes_per_s: f64) -> f64 {
        (gflops / self.gflops_f32).max(gbytes_per_s / self.gbytes_per_s)
    }
}

/// What measures arithmetic and traffic on a device.
enum Limits {
    Cpu(Processor),
    Gpu { chain: Box<Runner>, triad: Box<Runner> },
}

/// Numbers of the chain, and multiplications with addition for each that is read and written.
const CHAIN: usize = 1 << 21;
const LINKS: usize = 128;

/// Numbers of each array of the triad: beyond any cache.
const TRIAD: usize = 16 << 20;

impl Limits {
    fn new(device: &Device) -> Result<Self> {
        if device.is_cpu() {
            return Ok(Self::Cpu(Processor::new()));
        }
        Ok(Self::Gpu { chain: Box::new(chain(device)?), triad: Box::new(triad(device)?) })
    }

    fn gflops_f32(&mut self) -> Result<f64> {
        match self {
            Self::Cpu(processor) => Ok(processor.gflops_f32()),
            Self::Gpu { chain, .. } => Ok((2 * LINKS * CHAIN) as f64 / best(chain)? * 1e-9),
        }
    }

    fn gbytes_per_s(&mut self) -> Result<f64> {
        match self {
            Self::Cpu(processor) => Ok(processor.gbytes_per_s()),
            Self::Gpu { triad, .. } => Ok((3 * TRIAD * size_of::<f32>()) as f64 / best(triad)? * 1e-9),
        }
    }
}

fn variable(g: &Graph, name: &str, shape: &[usize]) -> Tensor {
    let ty = TensorType::new(DType::F32, shape);
    g.variable(Variable { name: name.to_owned(), ty, role: Role::Data, initial: Initial::Constant(1.0) })
}

/// Multiplications with addition, each of which needs the one before.
fn chain(device: &Device) -> Result<Runner> {
    let g = Graph::new();
    let x = variable(&g, "x", &[CHAIN]);
    let (factor, term) = (variable(&g, "factor", &[1]), variable(&g, "term", &[1]));
    let value = (0..LINKS).fold(x.clone(), |value, _| &value * &factor + &term);
    g.assign(&x, &value);
    Runner::new(ran(g.compile(device)?)?, None, None)
}

/// a = b + s·c (McCalpin's STREAM triad).
fn triad(device: &Device) -> Result<Runner> {
    let g = Graph::new();
    let (a, b, c) = (variable(&g, "a", &[TRIAD]), variable(&g, "b", &[TRIAD]), variable(&g, "c", &[TRIAD]));
    g.assign(&a, &(&b + &(&c * 3.0)));
    Runner::new(ran(g.compile(device)?)?, None, None)
}

/// A chain of `kernels` tiny kernels, each of which waits for the one before.
fn tiny(device: &Device, kernels: usize) -> Result<Session> {
    let g = Graph::new();
    let x = variable(&g, "x", &[1]);
    let last = (0..kernels).fold(x, |value, _| &value * 0.5);
    g.output("last", &last);
    let mut session = Session::with_options(&g, device, 0, Options { fuse: false, ..Options::default() })?;
    answered(&mut session)?;
    Ok(session)
}

/// The first run compiles, and touches memory for the first time.
fn ran(mut session: Session) -> Result<Session> {
    session.step(&[])?;
    session.device().wait_idle()?;
    Ok(session)
}

/// Seconds of a run.
fn best(runner: &mut Runner) -> Result<f64> {
    (0..SAMPLES).try_fold(f64::INFINITY, |best, _| Ok(runner.repeat(1)?.min(best)))
}

/// Seconds from submitting to having four bytes of the result.
fn answered(session: &mut Session) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..8 * SAMPLES {
        seconds.push(wall(|| {
            session.step(&[])?;
            session.read("last").map(|_| ())
        })?);
    }
    Ok(median(&mut seconds))
}
