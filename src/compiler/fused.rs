//! What the fusing passes work on: kernels that read and write buffers, and the buffers.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::layout::padded;
use super::program::Location;
use super::rows::Rows;
use crate::error::Origin;
use crate::graph::ValueId;
use crate::ops::{Op, Variable};
use crate::scalar::{Affine, Reduction, ScalarExpr, ScalarNode};
use crate::shader::Operand;
use crate::tensor::{DType, TensorData, TensorType};

/// A buffer, by its index in the fused graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BufferId(pub(crate) usize);

/// Where a buffer's content comes from.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A kernel computes it.
    Kernel,
    /// The host writes it before each run.
    Input(String),
    /// It stays from run to run.
    Variable(Arc<Variable>),
    /// It never changes.
    Constant(Arc<TensorData>),
    /// Values of the step side by side: its parts, each behind the padding of the one before.
    Joined(Vec<BufferId>),
    /// A range of the store: the variables stored there, in that order.
    Range(Range),
}

/// Variables that are adjacent in the store. It can only be made of such, so what reads or writes the whole range cannot
/// mistake one for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    parts: Vec<BufferId>,
    location: Location,
}

impl Range {
    /// The range of variables with these locations; none where one does not begin where the one before it ends.
    pub(crate) fn of(variables: &[(BufferId, Location)]) -> Option<Self> {
        let &(_, first) = variables.first()?;
        let mut end = first.offset;
        for (_, location) in variables {
            if location.buffer != first.buffer || location.offset != end {
                return None;
            }
            end += padded(location.bytes);
        }
        let location = Location { bytes: end - first.offset, ..first };
        Some(Self { parts: variables.iter().map(|&(buffer, _)| buffer).collect(), location })
    }

    /// Where it is; the padding of the last variable belongs to it.
    pub(crate) fn location(&self) -> Location {
        self.location
    }
}

/// A value in memory.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    /// As stored.
    pub(crate) ty: TensorType,
    pub(crate) content: Content,
    /// The joined buffer that this value of the step is a part of, and the first byte there.
    pub(crate) part_of: Option<(BufferId, usize)>,
    /// The variable that takes this content at the end of the step.
    pub(crate) assigned_to: Option<BufferId>,
    /// True where the kernel that computes it writes directly into that variable's memory; else a copy ends the step.
    pub(crate) is_direct: bool,
    /// True where the host may read it after a run.
    pub(crate) is_output: bool,
}

/// The heavy part of a kernel.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    /// None: the tail is all.
    Map,
    /// A reduction of an expression over the middle of its dimensions.
    Reduce { expression: ScalarExpr, inputs: Vec<BufferId>, borders: [usize; 2], reduction: Reduction },
    /// Totals of rows, with all that needs them. It stores its results itself.
    Rows(Rows),
    /// An operator's own kernels.
    Routine { op: Op, operands: Vec<Operand>, inputs: Vec<BufferId>, outputs: Vec<TensorType> },
}

/// True where a kernel's epilogue can store less than 32 bits an element on a GPU.
pub(super) fn stores_quads(head: &Head) -> bool {
    match head {
        Head::Map => true,
        Head::Reduce { .. } | Head::Rows(_) => false,
        Head::Routine { op, outputs, .. } => op.routine().is_some_and(|routine| routine.stores_quads(&outputs[0])),
    }
}

/// The expression that stores a kernel's results. Its accumulator is the head's value.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    pub(crate) expression: ScalarExpr,
    pub(crate) inputs: Vec<BufferId>,
}

/// A kernel.
#[derive(Clone, Debug)]
pub(crate) struct FusedKernel {
    pub(crate) head: Head,
    /// `None` for rows, and for routines that store their outputs themselves.
    pub(crate) tail: Option<Tail>,
    pub(crate) outputs: Vec<BufferId>,
    /// Names of the operators in it, for labels.
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) origin: Origin,
    /// True for a copy that is made as late as it can be, right before what reads it: it stays a kernel of its own.
    pub(crate) is_late: bool,
}

/// Each of some items once, in order.
pub(super) fn distinct<T: Ord + Copy>(items: impl IntoIterator<Item = T>) -> SmallVec<[T; 16]> {
    let mut items: SmallVec<[T; 16]> = items.into_iter().collect();
    items.sort_unstable();
    items.dedup();
    items
}

impl FusedKernel {
    pub(crate) fn new(
        head: Head,
        tail: Option<Tail>,
        outputs: Vec<BufferId>,
        names: Vec<Arc<str>>,
        origin: Origin,
    ) -> Self {
        Self { head, tail, outputs, names, origin, is_late: false }
    }

    /// Everything that it reads; a buffer may occur twice.
    pub(crate) fn reads(&self) -> impl Iterator<Item = BufferId> + '_ {
        let of_head: &[BufferId] = match &self.head {
            Head::Map => &[],
            Head::Reduce { inputs, .. } | Head::Rows(Rows { inputs, .. }) | Head::Routine { inputs, .. } => inputs,
        };
        let of_tail: &[BufferId] = self.tail.as_ref().map_or(&[], |tail| &tail.inputs);
        of_head.iter().chain(of_tail).copied()
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.head, Head::Map)
    }

    /// The buffer in whose memory a routine can compute its only output, instead of in memory of its own.
    pub(crate) fn updated_in_place(&self) -> Option<BufferId> {
        let Head::Routine { op, operands, inputs, outputs } = &self.head else { return None };
        let ([first, ..], [output], [buffer, others @ ..]) = (&operands[..], &outputs[..], &inputs[..]) else {
            return None;
        };
        let types: SmallVec<[&TensorType; 4]> = operands.iter().map(|operand| &operand.ty).collect();
        let fits = self.tail.is_none()
            && first.ty == *output
            && first.at == Affine::row_major(&output.shape)
            && !others.contains(buffer)
            && op.operator().updates_in_place(&types);
        fits.then_some(*buffer)
    }

    /// True where it reads a buffer at most as a map does that reads it element by element, or as what it updates in place, so that it
    /// may overwrite it.
    pub(crate) fn reads_in_place(&self, buffer: BufferId) -> bool {
        let Some(tail) = self.tail.as_ref().filter(|_| self.is_map()) else {
            return !self.reads().any(|read| read == buffer) || self.updated_in_place() == Some(buffer);
        };
        let row_major = Affine::row_major(&tail.expression.dims);
        tail.expression.nodes.iter().all(|node| match node {
            ScalarNode::Load { input, at } if tail.inputs[*input] == buffer => {
                *at == row_major || (at.offset == 0 && at.is_row_major(&tail.expression.dims))
            }
            ScalarNode::Gather { input, .. } => tail.inputs[*input] != buffer,
            ScalarNode::Load { .. }
            | ScalarNode::Constant(_)
            | ScalarNode::Index(_)
            | ScalarNode::Accumulator(_)
            | ScalarNode::Call { .. } => true,
        })
    }

    /// The label: the operators, each once, in order, shortened.
    pub(crate) fn label(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in &self.names {
            if names.last() != Some(&&**name) {
                names.push(name);
            }
        }
        if names.len() > 8 {
            return format!("{}+…+{}", names[..4].join("+"), names[names.len() - 3..].join("+"));
        }
        names.join("+")
    }
}

/// Kernels in an order in which they can run, and their buffers.
#[derive(Clone, Debug, Default)]
pub(crate) struct FusedGraph {
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) kernels: Vec<FusedKernel>,
    /// Named results.
    pub(crate) outputs: Vec<(String, TensorType, BufferId)>,
    /// Nodes that were computed inside another node's kernel.
    pub(crate) fused_nodes: usize,
    /// For messages: the value that a buffer was made for.
    pub(crate) values: Vec<Option<ValueId>>,
}

impl FusedGraph {
    pub(crate) fn add_buffer(&mut self, ty: TensorType, content: Content, value: Option<ValueId>) -> BufferId {
        let buffer = Buffer { ty, content, part_of: None, assigned_to: None, is_direct: false, is_output: false };
        self.buffers.push(buffer);
        self.values.push(value);
        BufferId(self.buffers.len() - 1)
    }

    /// Names a result.
    pub(crate) fn add_output(&mut self, name: &str, ty: TensorType, buffer: BufferId) {
        self.buffers[buffer.0].is_output = true;
        self.outputs.push((name.to_owned(), ty, buffer));
    }

    /// For each buffer, the kernel that computes it.
    pub(crate) fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.buffers.len()];
        for (index, kernel) in self.kernels.iter().enumerate() {
            kernel.outputs.iter().for_each(|output| producers[output.0] = Some(index));
        }
        producers
    }

    /// Variables (or ranges of them), and the buffers whose content they take at the end.
    pub(crate) fn assignments(&self) -> impl Iterator<Item = (BufferId, BufferId)> {
        self.buffers.iter().enumerate().filter_map(|(index, buffer)| Some((buffer.assigned_to?, BufferId(index))))
    }

    /// True where a buffer is a result or is assigned to a variable.
    pub(crate) fn is_root(&self, buffer: BufferId) -> bool {
        let Buffer { is_output, assigned_to, .. } = self.buffers[buffer.0];
        is_output || assigned_to.is_some()
    }

    /// The variable that takes a buffer's content at the end of the step.
    pub(crate) fn assigned_to(&self, buffer: BufferId) -> Option<BufferId> {
        self.buffers[buffer.0].assigned_to
    }

    /// The variable into whose memory a buffer is written directly.
    pub(crate) fn direct_target(&self, buffer: BufferId) -> Option<BufferId> {
        let Buffer { is_direct, assigned_to, .. } = self.buffers[buffer.0];
        assigned_to.filter(|_| is_direct)
    }

    /// The parts of a buffer that has some, in the order in which they are stored; of any other, itself.
    pub(crate) fn parts<'a>(&'a self, buffer: &'a BufferId) -> &'a [BufferId] {
        match &self.buffers[buffer.0].content {
            Content::Joined(parts) | Content::Range(Range { parts, .. }) => parts,
            Content::Kernel | Content::Input(_) | Content::Variable(_) | Content::Constant(_) => {
                std::slice::from_ref(buffer)
            }
        }
    }

    /// A buffer of which values of the step become parts, in this order.
    pub(crate) fn add_joined(&mut self, dtype: DType, parts: Vec<BufferId>) -> BufferId {
        let joined = BufferId(self.buffers.len());
        let mut end = 0;
        for part in &parts {
            self.buffers[part.0].part_of = Some((joined, end));
            end += padded(self.buffers[part.0].ty.bytes());
        }
        self.add_buffer(TensorType::new(dtype, [end / dtype.size()]), Content::Joined(parts), None)
    }

    /// A buffer that is a range of the store.
    pub(crate) fn add_range(&mut self, dtype: DType, range: Range) -> BufferId {
        let len = range.location.bytes / dtype.size();
        self.add_buffer(TensorType::new(dtype, [len]), Content::Range(range), None)
    }

    /// True where all that a kernel stores is assigned to variables.
    pub(crate) fn is_update(&self, kernel: &FusedKernel) -> bool {
        kernel.is_map() && kernel.outputs.iter().all(|&output| self.assigned_to(output).is_some())
    }
}

impl fmt::Display for FusedGraph {
    /// A line a kernel, with its expression; `bN` are buffers.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, kernel) in self.kernels.iter().enumerate() {
            let list = |buffers: &[BufferId]| {
                let texts: Vec<String> = buffers.iter().map(|buffer| format!("b{}", buffer.0)).collect();
                texts.join(", ")
            };
            let types: Vec<String> =
                kernel.outputs.iter().map(|output| format!("b{}: {}", output.0, self.buffers[output.0].ty)).collect();
            write!(formatter, "k{index} {} = ", types.join(", "))?;
            match &kernel.head {
                Head::Map => write!(formatter, "map")?,
                Head::Reduce { expression, inputs, reduction, .. } => {
                    write!(formatter, "{}({}) of ({expression})", reduction.name(), list(inputs))?;
                }
                Head::Rows(Rows { work, inputs }) => {
                    let folds: Vec<&str> = work.folds.iter().map(|fold| fold.name()).collect();
                    let (dims, folds) = (&work.expression.dims, folds.join(", "));
                    write!(formatter, "rows({}) {dims:?} [{folds}] {}", list(inputs), work.expression)?;
                }
                Head::Routine { op, inputs, .. } => write!(formatter, "{}({})", op.operator().name(), list(inputs))?,
            }
            if let Some(tail) = &kernel.tail {
                write!(formatter, " | ({}) {:?} {}", list(&tail.inputs), tail.expression.dims, tail.expression)?;
            }
            writeln!(formatter, "  // {} {}", kernel.label(), kernel.origin)?;
        }
        for (variable, value) in self.assignments() {
            writeln!(formatter, "b{} := b{}", variable.0, value.0)?;
        }
        Ok(())
    }
}
