//! Joining kernels that go over one domain: a map into the kernel whose result it reads element by element (as its
//! epilogue), and maps that share an input. Each join saves a dispatch, and often a buffer.
//!
//! Two kernels may run as one only where no third is on a path between them. That question is asked for every candidate, so who
//! writes and who reads a buffer is updated from join to join, and so is a level for each kernel, greater than the
//! levels of all that it needs: a search for a path leaves out what is beyond its ends.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::Target;
use super::fuse::{compacted, include};
use super::fused::{self, BufferId, Content, FusedGraph, FusedKernel, Head, Tail, distinct};
use super::rows;
use crate::scalar::{Builder, NodeId, ScalarExpr, ScalarNode};
use crate::tensor::DType;

/// An expression longer than this is not made longer.
const LONGEST: usize = 240;

/// Maps before a map, nearest first, that are tried as its sibling: a value that very many read must not make compiling slow.
const SIBLINGS: usize = 64;

/// Elements of maps that are joined though they share nothing but a number or two.
const SMALL: usize = 1 << 12;

/// Kernels that the search for a path between two others visits. Where that is not enough, they stay separate.
const SEARCHED: usize = 2048;

/// Joins what can be joined, until nothing can.
pub(super) fn merge(fused: &mut FusedGraph, target: &Target) {
    let mut merger = Merger::new(fused, target);
    merger.settle();
    // Last, as a kernel that iterates over rows joins with fewer others.
    merger.joins_rows = true;
    merger.settle();
    merger.finish();
}

/// The kernels while they are joined. A kernel's number is its position in the order from which merging starts; the joined kernel has
/// the second's.
struct Merger<'a> {
    fused: &'a mut FusedGraph,
    target: &'a Target,
    joins_rows: bool,
    kernels: Vec<Option<FusedKernel>>,
    /// For each buffer, the kernel that computes it.
    producer: Vec<Option<usize>>,
    /// For each buffer, the kernels that read it.
    readers: Vec<BTreeSet<usize>>,
    /// For each kernel, a number greater than those of all kernels whose results it reads.
    level: Vec<usize>,
    /// Kernels that may have become able to join one that they read from.
    waiting: BTreeSet<usize>,
    /// Routines that write the new value of a variable over the old one, and the variables.
    updates: Vec<(usize, BufferId)>,
    joins: usize,
}

impl<'a> Merger<'a> {
    fn new(fused: &'a mut FusedGraph, target: &'a Target) -> Self {
        let buffers = fused.buffers.len();
        let kernels: Vec<Option<FusedKernel>> = std::mem::take(&mut fused.kernels).into_iter().map(Some).collect();
        let updated = |kernel: &FusedKernel| {
            let variable = kernel.updated_in_place()?;
            (fused.assigned_to(*kernel.outputs.first()?) == Some(variable)).then_some(variable)
        };
        let updates = kernels.iter().enumerate();
        let updates = updates.filter_map(|(number, kernel)| Some((number, updated(kernel.as_ref()?)?))).collect();
        let mut merger = Self {
            fused,
            target,
            joins_rows: false,
            level: vec![0; kernels.len()],
            kernels: kernels.iter().map(|_| None).collect(),
            producer: vec![None; buffers],
            readers: vec![BTreeSet::new(); buffers],
            waiting: BTreeSet::new(),
            updates,
            joins: 0,
        };
        for (number, kernel) in kernels.into_iter().enumerate() {
            kernel.into_iter().for_each(|kernel| merger.put(number, kernel));
            merger.level[number] = merger.producers(number).map(|source| merger.level[source] + 1).max().unwrap_or(0);
        }
        merger
    }

    /// Joins until nothing can be joined.
    fn settle(&mut self) {
        loop {
            let before = self.joins;
            self.waiting = (0..self.kernels.len()).collect();
            self.chains();
            for second in 0..self.kernels.len() {
                while self.join_sibling(second) {
                    self.chains();
                }
            }
            if self.joins == before {
                break;
            }
        }
    }

    fn put(&mut self, number: usize, kernel: FusedKernel) {
        kernel.outputs.iter().for_each(|output| self.producer[output.0] = Some(number));
        for read in kernel.reads() {
            self.readers[read.0].insert(number);
        }
        self.kernels[number] = Some(kernel);
    }

    fn take(&mut self, number: usize) {
        let Some(kernel) = self.kernels[number].take() else { return };
        kernel.outputs.iter().for_each(|output| self.producer[output.0] = None);
        for read in kernel.reads() {
            self.readers[read.0].remove(&number);
        }
    }

    /// The kernels that a kernel reads from, one perhaps many times.
    fn producers(&self, number: usize) -> impl Iterator<Item = usize> {
        let reads = self.kernels[number].iter().flat_map(FusedKernel::reads);
        reads.filter_map(|read| self.producer[read.0])
    }

    /// The kernels that read from a kernel, one perhaps many times.
    fn consumers(&self, number: usize) -> impl Iterator<Item = usize> {
        let outputs = self.kernels[number].iter().flat_map(|kernel| &kernel.outputs);
        outputs.flat_map(|output| self.readers[output.0].iter().copied())
    }

    fn is_update(&self, kernel: &FusedKernel) -> bool {
        kernel.is_map() && kernel.outputs.iter().all(|output| self.fused.assigned_to(*output).is_some())
    }

    /// True for kernels that become a part of others: maps, and at last what may be work on rows.
    fn may_join(&self, number: usize) -> bool {
        self.kernels[number].as_ref().is_some_and(|kernel| match kernel.head {
            Head::Map => !kernel.is_late,
            Head::Reduce { .. } | Head::Rows(_) => self.joins_rows,
            Head::Routine { .. } => false,
        })
    }

    /// Joins maps into producers of their inputs, until none of those that wait can be.
    fn chains(&mut self) {
        while let Some(user) = self.waiting.pop_first() {
            if !self.may_join(user) {
                continue;
            }
            for source in distinct(self.producers(user)).into_iter().rev() {
                if let Some(kernel) = self.chained(source, user).or_else(|| self.rows(source, user)) {
                    self.replace(source, user, kernel);
                    break;
                }
            }
        }
    }

    /// The join of a map with a kernel that computes one of its inputs, where it is legal and fits.
    fn chained(&self, source: usize, user: usize) -> Option<FusedKernel> {
        let (producer, consumer) = (self.kernels[source].as_ref()?, self.kernels[user].as_ref()?);
        let (first, second) = (producer.tail.as_ref()?, consumer.tail.as_ref()?);
        if !consumer.is_map() {
            return None;
        }
        // Updates stay maps of their own: all parameters' become one kernel later.
        if self.is_update(consumer) && !(producer.is_map() && self.is_update(producer)) {
            return None;
        }
        if !producer.is_map() {
            // Epilogues of a GPU store words of 32 bits, or less than that in groups of four.
            let stores_all = matches!(self.target, Target::Cpu) || fused::stores_quads(&producer.head);
            if !stores_all && second.expression.outputs.iter().any(|(_, stored)| stored.size() < 4) {
                return None;
            }
        }
        let expression = second.expression.reshaped(&first.expression.dims);
        let (base, addition) = match expression {
            Some(expression) => (first.expression.clone(), expression),
            // A map producer may also be taken over the consumer's shape.
            None if producer.is_map() => {
                (first.expression.reshaped(&second.expression.dims)?, second.expression.clone())
            }
            None => return None,
        };
        // What the consumer reads of the producer must be the very element that is at hand.
        let dims = base.dims.clone();
        let linked = |input: usize| producer.outputs.contains(&second.inputs[input]);
        let direct = addition.nodes.iter().all(|node| match node {
            ScalarNode::Load { input, at } => !linked(*input) || (at.offset == 0 && at.is_row_major(&dims)),
            ScalarNode::Gather { input, .. } => !linked(*input),
            ScalarNode::Constant(_) | ScalarNode::Index(_) | ScalarNode::Accumulator(_) | ScalarNode::Call { .. } => {
                true
            }
        });
        if !direct || self.indirect_path(source, user) || self.crosses_update(source, user) {
            return None;
        }
        self.joined([source, user], base, addition)
    }

    /// The join of a reduction along rows, or of what is such already, with a kernel over the same rows that reads a result of it.
    fn rows(&self, source: usize, user: usize) -> Option<FusedKernel> {
        let (producer, consumer) = (self.kernels[source].as_ref()?, self.kernels[user].as_ref()?);
        if !self.joins_rows || self.is_update(consumer) {
            return None;
        }
        self.joined_rows(source, user, producer, consumer).filter(|_| !self.indirect_path(source, user))
    }

    fn joined_rows(&self, first: usize, second: usize, a: &FusedKernel, b: &FusedKernel) -> Option<FusedKernel> {
        let is_needed = |output: BufferId| {
            let is_read = |reader: &usize| ![first, second].contains(reader);
            self.fused.is_root(output) || self.readers[output.0].iter().any(is_read)
        };
        let kernel = rows::join(a, b, &is_needed, self.target)?;
        let fits = self.bindings_of(&kernel) <= self.target.bindings();
        (fits && !self.crosses_update(first, second)).then_some(kernel)
    }

    /// True where a third kernel is on a path from `source` to `user`: then they cannot run as one. The search proceeds from both ends
    /// alternately, as one of them is often near its own end.
    fn indirect_path(&self, source: usize, user: usize) -> bool {
        let (low, high) = (self.level[source], self.level[user]);
        let mut visited = [FxHashSet::default(), FxHashSet::default()];
        let between = |kernel: &usize| (low + 1..high).contains(&self.level[*kernel]);
        let mut searched = 0;
        let mut forward: Vec<usize> =
            self.consumers(source).filter(between).filter(|&kernel| visited[0].insert(kernel)).collect();
        let mut backward: Vec<usize> =
            self.producers(user).filter(between).filter(|&kernel| visited[1].insert(kernel)).collect();
        while let (Some(ahead), Some(behind)) = (forward.pop(), backward.pop()) {
            searched += 1;
            if searched > SEARCHED {
                return true;
            }
            for kernel in self.consumers(ahead) {
                if kernel == user {
                    return true;
                }
                if between(&kernel) && visited[0].insert(kernel) {
                    forward.push(kernel);
                }
            }
            for kernel in self.producers(behind) {
                if kernel == source {
                    return true;
                }
                if between(&kernel) && visited[1].insert(kernel) {
                    backward.push(kernel);
                }
            }
        }
        false
    }

    /// True where `to` needs what `from` computes, in however many steps.
    fn reaches(&self, from: usize, to: usize) -> bool {
        self.consumers(from).any(|kernel| kernel == to) || self.indirect_path(from, to)
    }

    /// True where one of two kernels reads a variable's old value and the other one needs what is written over it: as one kernel, they would
    /// need a copy of the variable.
    fn crosses_update(&self, first: usize, second: usize) -> bool {
        self.updates.iter().any(|&(update, variable)| {
            let reads = |kernel: usize| self.readers[variable.0].contains(&kernel);
            (reads(first) && self.reaches(update, second)) || (reads(second) && self.reaches(update, first))
        })
    }

    /// Joins a map, or work on rows, with an earlier one over the same domain that shares an input and neither needs the other. True where
    /// one was found.
    fn join_sibling(&mut self, second: usize) -> bool {
        let Some(kernel) = self.kernels[second].as_ref().filter(|_| self.may_join(second)) else { return false };
        let inputs = distinct(kernel.reads());
        let nearest =
            inputs.iter().flat_map(|input| self.readers[input.0].range(..second).rev().take(SIBLINGS).copied());
        for first in distinct(nearest) {
            if let Some(kernel) = self.siblings(first, second).or_else(|| self.row_siblings(first, second)) {
                self.replace(first, second, kernel);
                return true;
            }
        }
        false
    }

    fn siblings(&self, first: usize, second: usize) -> Option<FusedKernel> {
        let (a, b) = (self.kernels[first].as_ref()?, self.kernels[second].as_ref()?);
        if !a.is_map() || !b.is_map() || a.is_late || b.is_late {
            return None;
        }
        let (a_tail, b_tail) = (a.tail.as_ref()?, b.tail.as_ref()?);
        let len = a_tail.expression.len();
        if len == 0 || len != b_tail.expression.len() {
            return None;
        }
        let a_update = self.is_update(a);
        if a_update != self.is_update(b) {
            return None;
        }
        // Updates join where they share a variable, so that each parameter's stay alike; others where they share memory at all: not only
        // the seed of random masks, which would all be made before the first is used.
        let buffers = &self.fused.buffers;
        let shares = a_tail.inputs.iter().any(|input| {
            b_tail.inputs.contains(input)
                && buffers[input.0].ty.len() > 1.min(len - 1)
                && (a_update || buffers[input.0].ty.len() > 2 || len <= SMALL)
                && (!a_update || matches!(buffers[input.0].content, Content::Variable(_)))
        });
        if !shares || !self.may_fit([a, b]) || self.reaches(first, second) || self.reaches(second, first) {
            return None;
        }
        if self.crosses_update(first, second) {
            return None;
        }
        let addition = b_tail.expression.reshaped(&a_tail.expression.dims)?;
        self.joined([first, second], a_tail.expression.clone(), addition)
    }

    /// Folds of the same rows that read one tensor.
    fn row_siblings(&self, first: usize, second: usize) -> Option<FusedKernel> {
        let (a, b) = (self.kernels[first].as_ref()?, self.kernels[second].as_ref()?);
        let points = |kernel: &FusedKernel| match &kernel.head {
            Head::Reduce { expression, .. } => expression.len(),
            Head::Rows(rows) => rows.work.expression.len(),
            Head::Map | Head::Routine { .. } => 0,
        };
        let len = points(a);
        if !self.joins_rows || len == 0 || len != points(b) {
            return None;
        }
        let reads = distinct(b.reads());
        let shares = a.reads().any(|read| reads.contains(&read) && self.fused.buffers[read.0].ty.len() >= len);
        if !shares || self.reaches(first, second) || self.reaches(second, first) {
            return None;
        }
        self.joined_rows(first, second, a, b)
    }

    /// One kernel that stores what both do (less what only the second read of the first), if it fits the bindings.
    fn joined(&self, numbers: [usize; 2], base: ScalarExpr, addition: ScalarExpr) -> Option<FusedKernel> {
        if base.nodes.len().max(addition.nodes.len()) > LONGEST {
            return None;
        }
        let [first, second] = numbers.map(|number| self.kernels[number].as_ref());
        let (first, second) = (first?, second?);
        let (first_tail, second_tail) = (first.tail.as_ref()?, second.tail.as_ref()?);
        let dims = base.dims.clone();
        let mut inputs = first_tail.inputs.clone();
        let mut dtypes = base.inputs.clone();
        let mut indices = Vec::new();
        for (input, &buffer) in second_tail.inputs.iter().enumerate() {
            let index = inputs.iter().position(|&other| other == buffer).unwrap_or_else(|| {
                inputs.push(buffer);
                dtypes.push(addition.inputs[input]);
                inputs.len() - 1
            });
            indices.push(index);
        }
        let mut builder = Builder::new(DType::F32);
        let base_nodes = include(&mut builder, &base, |input| input);
        let mut outputs: Vec<(BufferId, NodeId, DType)> = first
            .outputs
            .iter()
            .zip(&base.outputs)
            .map(|(&buffer, &(id, stored))| (buffer, base_nodes[id.index()], stored))
            .collect();
        let known = outputs.clone();
        // Renumbered before it is copied: else a gather would be taken for one that reads another buffer by the same number.
        let mut addition = addition;
        for node in &mut addition.nodes {
            if let ScalarNode::Load { input, .. } | ScalarNode::Gather { input, .. } = node {
                *input = indices[*input];
            }
        }
        let added = builder.include(&addition, |_, node, _| match node {
            ScalarNode::Load { input, .. } => {
                known.iter().find(|(output, ..)| *output == inputs[*input]).map(|&(_, id, _)| id)
            }
            _ => None,
        });
        for (&buffer, &(id, stored)) in second.outputs.iter().zip(&addition.outputs) {
            outputs.push((buffer, added[id.index()], stored));
        }
        // What nobody else reads need not be stored.
        outputs.retain(|&(buffer, ..)| {
            self.fused.is_root(buffer) || self.readers[buffer.0].iter().any(|reader| !numbers.contains(reader))
        });
        let expression = builder.finish(dims, dtypes, outputs.iter().map(|&(_, id, stored)| (id, stored)).collect());
        if expression.nodes.len() > LONGEST {
            return None;
        }
        let (expression, inputs) = compacted(expression, inputs);
        let mut names = first.names.clone();
        names.extend(second.names.iter().cloned());
        let tail = Some(Tail { expression, inputs });
        let outputs = outputs.iter().map(|&(buffer, ..)| buffer).collect();
        let kernel = FusedKernel::new(first.head.clone(), tail, outputs, names, second.origin);
        (self.bindings_of(&kernel) <= self.target.bindings()).then_some(kernel)
    }

    /// True where siblings together may have few enough bindings: a quick look before their expressions are joined.
    fn may_fit(&self, kernels: [&FusedKernel; 2]) -> bool {
        let reads = distinct(kernels.iter().flat_map(|kernel| kernel.reads()));
        let is_read = |output: &BufferId| self.fused.is_root(*output) || !self.readers[output.0].is_empty();
        let own = |output: &&BufferId| {
            !self.fused.assigned_to(**output).is_some_and(|variable| reads.contains(&variable)) && is_read(output)
        };
        let written = kernels.iter().flat_map(|kernel| &kernel.outputs).filter(own).count();
        reads.len() + written <= self.target.bindings()
    }

    /// Bindings that a kernel takes: what it reads and writes, where a variable and its new value share one.
    fn bindings_of(&self, kernel: &FusedKernel) -> usize {
        let reads = match kernel.head {
            Head::Map | Head::Rows(_) => distinct(kernel.reads()),
            Head::Reduce { .. } | Head::Routine { .. } => kernel.reads().collect(),
        };
        let shared = kernel
            .outputs
            .iter()
            .filter(|&&output| {
                // Only what is read where it is written is overwritten.
                kernel.is_map()
                    && self
                        .fused
                        .assigned_to(output)
                        .is_some_and(|variable| reads.contains(&variable) && kernel.reads_in_place(variable))
            })
            .count();
        reads.len() + kernel.outputs.len() - shared
    }

    /// Puts the joined kernel at the second's position and removes the first, which moves the first's work later.
    fn replace(&mut self, first: usize, second: usize, kernel: FusedKernel) {
        self.joins += 1;
        self.fused.fused_nodes += 1;
        self.level[second] = self.level[first].max(self.level[second]);
        self.take(first);
        self.take(second);
        self.put(second, kernel);
        // What reads either's results now comes after both.
        let mut raised = vec![second];
        while let Some(kernel) = raised.pop() {
            let least = self.level[kernel] + 1;
            let low: Vec<usize> = self.consumers(kernel).filter(|&user| self.level[user] < least).collect();
            for user in low {
                self.level[user] = least;
                raised.push(user);
            }
        }
        let users: Vec<usize> = self.consumers(second).collect();
        self.waiting.extend(users);
        self.waiting.insert(second);
    }

    /// Returns the kernels in an order in which every buffer is written before it is read; among those that could come next, the
    /// one that came first before.
    fn finish(mut self) {
        let needs = |merger: &Self, number: usize| merger.producers(number).collect::<BTreeSet<_>>();
        let mut missing: Vec<usize> = (0..self.kernels.len()).map(|number| needs(&self, number).len()).collect();
        let mut ready: BTreeSet<usize> =
            (0..missing.len()).filter(|&number| self.kernels[number].is_some() && missing[number] == 0).collect();
        let mut order = Vec::with_capacity(self.kernels.len());
        while let Some(number) = ready.pop_first() {
            order.push(number);
            for user in self.consumers(number).collect::<BTreeSet<_>>() {
                missing[user] -= 1;
                if missing[user] == 0 {
                    ready.insert(user);
                }
            }
        }
        self.fused.kernels = order.into_iter().filter_map(|number| self.kernels[number].take()).collect();
    }
}
