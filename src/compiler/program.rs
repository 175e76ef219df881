//! A compiled program as plain data: buffers, kernels, steps. Devices run it, tests and `inspect` read it.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::finite::Watched;
use crate::error::Origin;
use crate::ops::{Initial, Op, Role};
use crate::scalar::{Epilogue, Reduction, RowWork, ScalarExpr};
use crate::shader::{Grid, Kernel, Operand};
use crate::tensor::{DType, TensorData, TensorType};

/// A range of a buffer. Offsets are multiples of 256 and ranges are padded to 16 bytes, so that each can be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Which of the program's buffers.
    pub buffer: usize,
    /// First byte.
    pub offset: usize,
    /// Number of bytes, without padding.
    pub bytes: usize,
}

/// What a buffer of the program is for.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferKind {
    /// Lives in the store, shared between programs, from step to step: the store's buffer of this number.
    Persistent(usize),
    /// Written by the host before each step. All small inputs share one.
    Input,
    /// Written once, when the program is loaded.
    Constant(Arc<TensorData>),
    /// Memory between steps of one run, used by one value after another.
    Slot,
}

/// A buffer of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferPlan {
    /// Size in bytes, a multiple of 16.
    pub bytes: usize,
    /// What it is for.
    pub kind: BufferKind,
}

/// A value by name, where a run finds or leaves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The user's name.
    pub name: String,
    /// Element type and shape, as the graph has them.
    pub ty: TensorType,
    /// The element type in memory: i32 and f32 on a GPU, for i64 and f64.
    pub stored: DType,
    /// Where.
    pub location: Location,
}

/// A variable of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct VariablePlan {
    /// Its name.
    pub name: String,
    /// Element type and shape, as the graph has them.
    pub ty: TensorType,
    /// The element type in memory: i32 and f32 on a GPU, for i64 and f64.
    pub stored: DType,
    /// What it is for.
    pub role: Role,
    /// Its first value.
    pub initial: Initial,
    /// Where; `buffer` is the store's number.
    pub location: Location,
}

/// What a step does, independent of any device: the CPU runs this.
#[derive(Clone, Debug)]
pub enum Work {
    /// Every output is an expression over one domain. `in_place[k]` is the read (by its index in `reads`) that output k overwrites.
    Map {
        /// The expression; its input k is the step's read k.
        expression: ScalarExpr,
        /// For each output, the read that shares its memory.
        in_place: Vec<Option<usize>>,
    },
    /// A reduction of an expression over the dimensions between two borders, and an expression of its result.
    Reduce {
        /// What is reduced, over `outer… reduced… inner…`.
        expression: ScalarExpr,
        /// Where the reduced and the inner dimensions begin.
        borders: [usize; 2],
        /// The reduction.
        reduction: Reduction,
        /// What is stored, over `outer… inner…`; its inputs follow the expression's in the step's reads.
        epilogue: Epilogue,
    },
    /// Totals of rows, and expressions of them.
    Rows(RowWork),
    /// An operator's own kernels, and possibly an expression of its (single) result.
    Routine {
        /// The operator.
        op: Op,
        /// Its inputs, as the first of the step's reads.
        operands: Vec<Operand>,
        /// The operator's own outputs.
        outputs: Vec<TensorType>,
        /// What is stored instead of them; its inputs follow the operands in the step's reads.
        epilogue: Option<Epilogue>,
        /// True where the only output has the first operand's memory, and the operator writes what is different there.
        in_place: bool,
    },
    /// Bytes from the first read to the first write.
    Copy,
}

/// One dispatch, ready to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// Number of the kernel in the program.
    pub kernel: usize,
    /// All words of the uniform parameters, the grid's width first; a multiple of four.
    pub params: Vec<u32>,
    /// Workgroups.
    pub grid: Grid,
    /// What the storage bindings 1, 2, … are.
    pub bindings: Vec<Location>,
}

/// One piece of work of the program.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub work: Work,
    /// A name for profiles and errors: the operators that are in it.
    pub label: String,
    /// The user's line that its last operator came from.
    pub origin: Origin,
    /// What it reads.
    pub reads: Vec<Location>,
    /// What it writes.
    pub writes: Vec<Location>,
    /// Types of what it writes, as stored.
    pub types: Vec<TensorType>,
    /// The GPU's dispatches, in order; none in a program for the CPU, and none for a copy.
    pub dispatches: Vec<Dispatch>,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written at the least.
    pub bytes: u64,
}

/// A compiled program as plain data; made by [`compile`](super::compile). A session's handle to one is a
/// [`session::Program`](crate::session::Program).
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Buffers; steps refer to them by index.
    pub buffers: Vec<BufferPlan>,
    /// Kernels; dispatches refer to them by index. Empty in a program for the CPU.
    pub kernels: Vec<Kernel>,
    /// In the order in which they run.
    pub steps: Vec<Step>,
    /// What the host gives.
    pub inputs: Vec<Port>,
    /// What the host may read after a run.
    pub outputs: Vec<Port>,
    /// Variables of the store that the program uses (the whole store's variables so far).
    pub variables: Vec<VariablePlan>,
    /// Nodes of the graph that the program needs, after simplification.
    pub nodes: usize,
    /// Nodes that were fused into a neighbour's step.
    pub fused_nodes: usize,
    /// For a GPU: operators and lines of the nodes whose results are checked to be within i32, in which it computes instead of i64. The
    /// hidden output `@overflow` is 0, or one more than the number of one that was not.
    pub checked: Arc<[String]>,
    /// The nodes that are watched for NaN and infinities, where that is asked for.
    pub(crate) watched: Watched,
    /// The number of variants of the step with the most kernels to choose from; 1 on the CPU.
    pub variants: usize,
}

impl Program {
    /// Dispatches of one run. On the CPU, a step that is not a copy counts as one.
    pub fn dispatches(&self) -> usize {
        self.steps
            .iter()
            .map(|step| match step.work {
                Work::Copy => 0,
                _ => step.dispatches.len().max(1),
            })
            .sum()
    }

    /// The buffers that a run touches. Those of the store are all in the list, also the ones that are other programs' alone.
    pub(crate) fn touched(&self) -> FxHashSet<usize> {
        let steps = self.steps.iter().flat_map(|step| {
            let bindings = step.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
            step.reads.iter().chain(&step.writes).chain(bindings)
        });
        let ports = self.inputs.iter().chain(&self.outputs).map(|port| &port.location);
        steps.chain(ports).map(|location| location.buffer).collect()
    }

    /// Bytes of everything that one run touches and that is planned: all buffers but the parameters' and other variables'.
    pub fn planned_bytes(&self) -> usize {
        self.buffers
            .iter()
            .filter(|buffer| !matches!(buffer.kind, BufferKind::Persistent(_)))
            .map(|buffer| buffer.bytes)
            .sum()
    }

    /// Bytes of the trainable parameters.
    pub fn parameter_bytes(&self) -> usize {
        self.variables
            .iter()
            .filter(|variable| variable.role == Role::Parameter)
            .map(|variable| variable.location.bytes)
            .sum()
    }

    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        self.steps.iter().map(|step| step.flops).sum()
    }

    /// Bytes that one run reads and writes at the least.
    pub fn bytes(&self) -> u64 {
        self.steps.iter().map(|step| step.bytes).sum()
    }
}

impl fmt::Display for Program {
    /// A line a step: number, label, what is read and written, dispatches and cost.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "program: {} steps, {} dispatches, {} planned bytes, {} FLOPs, {} bytes moved",
            self.steps.len(),
            self.dispatches(),
            self.planned_bytes(),
            self.flops(),
            self.bytes()
        )?;
        for (index, step) in self.steps.iter().enumerate() {
            let list = |locations: &[Location]| {
                let texts: Vec<String> =
                    locations.iter().map(|location| format!("b{}+{}", location.buffer, location.offset)).collect();
                texts.join(" ")
            };
            let types: Vec<String> = step.types.iter().map(ToString::to_string).collect();
            writeln!(
                formatter,
                "{index:4}  {}  {} -> {} ({})  {}",
                step.label,
                list(&step.reads),
                list(&step.writes),
                types.join(", "),
                step.origin
            )?;
            for dispatch in &step.dispatches {
                let kernel = self.kernels.get(dispatch.kernel).map_or("?", |kernel| kernel.label.as_str());
                writeln!(formatter, "        {kernel}  {} x {} workgroups", dispatch.grid.width, dispatch.grid.height)?;
            }
        }
        Ok(())
    }
}
