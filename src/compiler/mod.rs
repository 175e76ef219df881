//! From graph to program. Each pass is one file and one function, and has a printed form.
//!
//! `shared rounding → custom → (narrow, overflow →) round once → simplify → row updates → row sums → fuse → merge → segment → joined sums → schedule → lower → memory plan`.
//! Fusing is done in passes over one structure, the `FusedGraph`: `fuse` turns nodes into kernels by substituting expressions, `merge` joins
//! kernels over one domain, `segment` joins the update kernels of all parameters, and `joined_sums` the sums over their gradients. Lowering
//! comes after scheduling, because whether an output may overwrite an input is known only then.

mod bounds;
pub(crate) mod choice;
pub(crate) mod custom;
mod describe;
mod finite;
mod fuse;
mod fused;
mod joined_sums;
mod layout;
mod lower;
mod memory_plan;
mod merge;
mod narrow;
mod overflow;
mod program;
mod rounding;
mod row_sums;
mod row_updates;
mod rows;
mod schedule;
mod segment;
mod simplify;

pub(crate) use finite::{NON_FINITE, Watched};
pub use layout::Layout;
pub(crate) use overflow::OVERFLOW;
pub use program::{BufferKind, BufferPlan, Dispatch, Location, Port, Program, Step, VariablePlan, Work};

use std::sync::Arc;

use crate::error::Result;
use crate::graph::Graph;
use crate::ops::{Op, Role, Variable};
use crate::shader::Adapter;

/// What a program is compiled for.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The CPU: no kernels, any element type.
    Cpu,
    /// A GPU with these limits and features.
    Gpu(Adapter),
}

impl Target {
    /// Largest binding.
    pub(crate) fn largest(&self) -> u64 {
        match self {
            Self::Cpu => u64::MAX >> 1,
            Self::Gpu(adapter) => adapter.limits.binding_bytes.min(adapter.limits.buffer_bytes),
        }
    }

    /// Storage buffers that one kernel may use.
    pub(crate) fn bindings(&self) -> usize {
        match self {
            // The CPU has no limit; the same as a GPU's keeps programs alike.
            Self::Cpu => 8,
            Self::Gpu(adapter) => adapter.limits.storage_buffers.min(16),
        }
    }
}

/// Which passes run and what they choose: tests compare programs with and without fusion, and kernels with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// False: every node is a kernel of its own.
    pub fuse: bool,
    /// Which of the kernels that fit a step is taken: 0 is what tuning found, else the best guess, and a number beyond the last gives the
    /// last.
    pub variant: usize,
    /// True where `variant` iterates over the kernels that only tuning tries, too.
    pub candidates: bool,
    /// True where custom operators are replaced by their decompositions, where they have one.
    pub decompose: bool,
    /// True where grids are folded into rows that could be one.
    pub fold: bool,
    /// True where the program watches for the first NaN or infinity: see [`Session::watch_non_finite`](crate::session::Session).
    pub watch_non_finite: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { fuse: true, variant: 0, candidates: false, decompose: false, fold: false, watch_non_finite: false }
    }
}

/// The printed forms of the stages, for `inspect` and tests.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// Nodes after simplification.
    pub graph: String,
    /// Kernels with their expressions.
    pub fused: String,
    /// Slots with the lifetimes of what is in them.
    pub memory: String,
}

/// Compiles a graph. Variables get their locations in `layout`, which programs of one store share.
///
/// # Errors
/// The graph's first mistake, or what breaks a limit of the target.
pub fn compile(graph: &Graph, target: &Target, layout: &mut Layout, options: Options) -> Result<(Program, Stages)> {
    let mut stages = Stages::default();
    let mut data = graph.snapshot()?;
    layout.agrees(&data)?;
    let is_mixed = !data.rounded.is_empty();
    data = custom::settle(rounding::share(data, target), target, options)?;
    let checks = match target {
        Target::Cpu => overflow::Checks::default(),
        Target::Gpu(_) => overflow::find(&data)?,
    };
    let wide = match target {
        Target::Cpu => narrow::Wide::default(),
        Target::Gpu(_) => narrow::narrow(&mut data)?,
    };
    custom::check(&data, target)?;
    let (mut data, checked) = overflow::add(data, checks)?;
    let mut watched = Watched::default();
    if options.watch_non_finite {
        (data, watched) = finite::watch(data)?;
    }
    let buffers: Vec<Arc<Variable>> = data
        .nodes
        .iter()
        .filter_map(|node| match &node.op {
            Op::Variable(variable) if variable.role == Role::Buffer => Some(variable.clone()),
            _ => None,
        })
        .collect();
    data = rounding::round_once(data);
    if is_mixed {
        data = rounding::store_rounded(data, target);
    }
    let mut data = row_updates::join(simplify::simplify(data));
    if options.fuse {
        data = row_sums::absorb(data);
    }
    stages.graph = describe::print(&data);
    let mut fused = fuse::fuse(&data, target, options, is_mixed);
    if options.fuse {
        merge::merge(&mut fused, target);
    }
    segment::segment(&mut fused, layout, target, options)?;
    if options.fuse {
        joined_sums::join(&mut fused);
    }
    // A buffer belongs to the model, and to its files, whether or not this program reads it.
    for buffer in &buffers {
        layout.allocate(buffer, target)?;
    }
    layout.close();
    wide.variables(layout);
    schedule::schedule(&mut fused, layout);
    stages.fused = fused.to_string();
    let (lowered, variants) = lower::lower(&fused, target, options)?;
    let (mut program, memory) = memory_plan::plan(&data, &fused, lowered, layout, target, options)?;
    wide.ports(&mut program);
    program.variants = variants;
    program.checked = checked;
    program.watched = watched;
    stages.memory = memory;
    Ok((program, stages))
}
