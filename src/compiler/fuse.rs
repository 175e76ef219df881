//! From nodes to kernels. Each value is lazy: an expression of buffers, which is substituted into its users. A value
//! gets a buffer of its own where it must be in memory, or where computing it again would cost more than storing it.

mod halves;
mod routines;

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use halves::{Widened, is_half};
use routines::identity_tail;

use super::fused::{BufferId, Content, FusedGraph, FusedKernel, Head, Tail};
use super::{Options, Target};
use crate::graph::{Addressed, Expressing, Expression, GraphData, InputAccess, Kind, ValueId, float_of, rounded};
use crate::ops::Op;
use crate::scalar::{Affine, Builder, NodeId, ScalarExpr, ScalarNode};
use crate::tensor::{DType, Shape, TensorData, TensorType};

/// A value before it is stored: an expression over its shape, which its users include.
#[derive(Clone, Debug)]
struct LazyValue {
    expression: ScalarExpr,
    inputs: Vec<BufferId>,
    /// Nodes whose work is inside.
    names: Vec<Arc<str>>,
}

impl LazyValue {
    /// A buffer, read element by element.
    fn buffer(buffer: BufferId, stored: DType, shape: &Shape) -> Self {
        let mut builder = Builder::new(DType::F32);
        let node = builder.load(0, stored, Affine::row_major(shape));
        let expression = builder.finish(shape.to_vec(), vec![stored], vec![(node, stored)]);
        Self { expression, inputs: vec![buffer], names: Vec::new() }
    }

    /// The buffer and map of a value that is only a view.
    fn as_view(&self) -> Option<(BufferId, &Affine)> {
        match self.expression.nodes.as_slice() {
            [ScalarNode::Load { input, at }] => Some((self.inputs[*input], at)),
            _ => None,
        }
    }

    /// True where computing it for each user costs less than storing and loading it.
    fn is_cheap(&self) -> bool {
        let mut calls = 0;
        for node in &self.expression.nodes {
            match node {
                ScalarNode::Call { function, .. } if !function.is_cheap() => return false,
                ScalarNode::Call { .. } => calls += 1,
                ScalarNode::Gather { .. } => calls += 3,
                ScalarNode::Constant(_)
                | ScalarNode::Index(_)
                | ScalarNode::Load { .. }
                | ScalarNode::Accumulator(_) => {}
            }
        }
        calls <= 4
    }
}

/// The value of a constant of equal elements, where an expression can hold it: not an i64 that f64 cannot represent.
fn number(data: &TensorData) -> Option<f64> {
    let exact = data.as_slice::<i64>().map_or(true, |values| values.iter().take(1).all(|&x| x.abs_diff(0) <= 1 << 53));
    exact.then(|| data.to_f64_vec().first().copied()).flatten()
}

/// Expressions longer than this are stored, whoever uses them.
const LONGEST: usize = 160;

struct Fuser<'a> {
    data: &'a GraphData,
    fused: FusedGraph,
    lazy: FxHashMap<ValueId, LazyValue>,
    /// For each buffer that a kernel computes, the kernel.
    producers: FxHashMap<BufferId, usize>,
    /// Buffers that hold a value's compute type, for routines.
    computed: FxHashMap<ValueId, BufferId>,
    /// Row-major copies of values that are views.
    laid_out: FxHashMap<ValueId, BufferId>,
    uses: FxHashMap<ValueId, usize>,
    /// Values that a routine reads, or that are read at computed addresses: they must be in memory in any case.
    in_memory: FxHashSet<ValueId>,
    /// Those of 16 bits that a routine reads as they are stored.
    read_stored: FxHashSet<ValueId>,
    widened: Widened,
    most_inputs: usize,
    on_cpu: bool,
    /// For each value that a node broadcasts, the largest number of elements that results.
    widest_broadcast: FxHashMap<ValueId, usize>,
    options: Options,
    is_mixed: bool,
}

/// Kernels for all nodes. A graph of mixed precision rounds what it stores, and spares memory.
pub(super) fn fuse(data: &GraphData, target: &Target, options: Options, is_mixed: bool) -> FusedGraph {
    let mut uses: FxHashMap<ValueId, usize> = FxHashMap::default();
    let mut in_memory = FxHashSet::default();
    let mut read_stored = FxHashSet::default();
    let on_cpu = matches!(target, Target::Cpu);
    let mut widest_broadcast: FxHashMap<ValueId, usize> = FxHashMap::default();
    for node in &data.nodes {
        let operator = node.op.operator();
        if let Op::Broadcast(_) = node.op {
            let widest = widest_broadcast.entry(node.inputs[0]).or_default();
            *widest = node.outputs[0].len().max(*widest);
        }
        let kind = operator.kind();
        let routine = kind.routine();
        for (position, &input) in node.inputs.iter().enumerate() {
            *uses.entry(input).or_default() += 1;
            if kind.addresses(position) {
                in_memory.insert(input);
            }
            let stored = routine.is_some_and(|routine| routine.reads_stored(position, on_cpu));
            if stored && is_half(data.ty(input).dtype) {
                read_stored.insert(input);
            }
        }
    }
    // Through a view, it is the viewed value that must be there.
    for (index, node) in data.nodes.iter().enumerate().rev() {
        let is_view = matches!(node.op, Op::Permute(_) | Op::Slice(_) | Op::Broadcast(_) | Op::Reshape(_));
        let value = ValueId { node: index as u32, output: 0 };
        if is_view && in_memory.contains(&value) {
            in_memory.insert(node.inputs[0]);
        }
        if is_view && read_stored.contains(&value) {
            read_stored.insert(node.inputs[0]);
        }
    }
    // Two bindings are left for outputs.
    let most_inputs = target.bindings().saturating_sub(2).max(3);
    let mut fuser = Fuser {
        data,
        fused: FusedGraph::default(),
        lazy: FxHashMap::default(),
        producers: FxHashMap::default(),
        computed: FxHashMap::default(),
        laid_out: FxHashMap::default(),
        uses,
        in_memory,
        read_stored,
        widened: Widened::default(),
        most_inputs,
        on_cpu,
        widest_broadcast,
        options,
        is_mixed,
    };
    // What no node reads any more is dropped at once: what lives then stays small.
    let mut unread = fuser.uses.clone();
    let assigned = data.assignments.iter().flat_map(|(variable, value)| [variable, value]);
    for &value in assigned.chain(data.outputs.iter().map(|(_, value)| value)) {
        *unread.entry(value).or_default() += 1;
    }
    for (index, node) in data.nodes.iter().enumerate() {
        fuser.node(index);
        for input in &node.inputs {
            if let Some(readers) = unread.get_mut(input) {
                *readers -= 1;
                if *readers == 0 {
                    fuser.lazy.remove(input);
                }
            }
        }
    }
    // Before any value is copied: from then on a variable's lazy value is its copy.
    let targets: Vec<Option<BufferId>> =
        data.assignments.iter().map(|(variable, _)| fuser.lazy[variable].as_view().map(|(buffer, _)| buffer)).collect();
    for ((_, value), &target_buffer) in data.assignments.iter().zip(&targets) {
        let Some(target_buffer) = target_buffer else { continue };
        let mut source = fuser.stored(*value);
        let computed = matches!(fuser.fused.buffers[source.0].content, Content::Kernel);
        if !computed || fuser.fused.assigned_to(source).is_some() {
            source = fuser.copy(*value);
        }
        fuser.fused.buffers[source.0].assigned_to = Some(target_buffer);
    }
    let assigned: FxHashSet<BufferId> = targets.into_iter().flatten().collect();
    for (name, value) in &data.outputs {
        let mut buffer = fuser.stored(*value);
        // A variable's own memory holds the new value when the output is read; the output is the old one.
        if assigned.contains(&buffer) {
            buffer = fuser.copy(*value);
        }
        let ty = data.ty(*value).clone();
        fuser.fused.add_output(name, ty, buffer);
    }
    fuser.fused
}

impl Fuser<'_> {
    fn push(&mut self, kernel: FusedKernel) {
        let index = self.fused.kernels.len();
        self.producers.extend(kernel.outputs.iter().map(|&output| (output, index)));
        self.fused.kernels.push(kernel);
    }

    fn node(&mut self, index: usize) {
        let node = &self.data.nodes[index];
        let operator = node.op.operator();
        let value = |output: usize| ValueId { node: index as u32, output: output as u32 };
        match operator.kind() {
            Kind::Source => self.source(value(0), &node.op),
            Kind::Expression(expression) => {
                if let Some(lazy) = self.rounded_already(node) {
                    return self.insert(value(0), lazy);
                }
                let mut lazy = self.express(index, expression);
                if let Some(mask) = self.mask_to_store(value(0), node, &lazy) {
                    self.stored(mask);
                    lazy = self.express(index, expression);
                }
                if lazy.inputs.len() > self.most_inputs {
                    // Too many bindings: the widest operands are stored first.
                    let mut inputs = node.inputs.clone();
                    inputs.sort_by_key(|input| std::cmp::Reverse(self.lazy[input].inputs.len()));
                    for input in inputs {
                        self.stored(input);
                        lazy = self.express(index, expression);
                        if lazy.inputs.len() <= self.most_inputs {
                            break;
                        }
                    }
                }
                self.insert(value(0), lazy);
            }
            Kind::Reshape => {
                let (input, dims) = (node.inputs[0], node.outputs[0].shape.dims());
                let reshaped = self.lazy[&input].expression.reshaped(dims);
                let lazy = match reshaped {
                    Some(expression) => LazyValue { expression, ..self.lazy[&input].clone() },
                    None => {
                        let buffer = self.stored(input);
                        LazyValue::buffer(buffer, node.outputs[0].dtype, &node.outputs[0].shape)
                    }
                };
                self.insert(value(0), lazy);
            }
            Kind::Reduction { reduction, axes } => self.reduce(index, reduction, axes),
            Kind::Routine(routine) => self.routine(index, routine),
        }
    }

    fn source(&mut self, value: ValueId, op: &Op) {
        let ty = self.data.ty(value).clone();
        if let Op::Constant(data) = op {
            let bytes = data.bytes();
            let size = ty.dtype.size();
            let uniform = !bytes.is_empty() && bytes.chunks(size).all(|element| *element == bytes[..size]);
            let number = if uniform { number(data) } else { None };
            if let Some(number) = number {
                let mut builder = Builder::new(DType::F32);
                let node = builder.constant(ty.dtype, number);
                let expression = builder.finish(ty.shape.to_vec(), Vec::new(), vec![(node, ty.dtype)]);
                self.lazy.insert(value, LazyValue { expression, inputs: Vec::new(), names: Vec::new() });
                return;
            }
        }
        let content = match op {
            Op::Input(name, _) => Content::Input(name.clone()),
            Op::Variable(variable) => Content::Variable(variable.clone()),
            Op::Constant(data) => Content::Constant(data.clone()),
            _ => return,
        };
        let buffer = self.fused.add_buffer(ty.clone(), content, Some(value));
        self.lazy.insert(value, LazyValue::buffer(buffer, ty.dtype, &ty.shape));
    }

    /// A node's expression, with its operands' expressions substituted.
    fn express(&mut self, index: usize, definition: &dyn Expression) -> LazyValue {
        let node = &self.data.nodes[index];
        let operator = node.op.operator();
        // What is read at computed addresses must be in memory, at least as a view.
        for (position, &input) in node.inputs.iter().enumerate() {
            if definition.access(position) == InputAccess::Addressed && self.lazy[&input].as_view().is_none() {
                self.stored(input);
            }
        }
        let output = &node.outputs[0];
        let types: Vec<&TensorType> = node.inputs.iter().map(|&input| self.data.ty(input)).collect();
        let dims = output.shape.to_vec();
        let bound: RefCell<(Vec<BufferId>, Vec<DType>)> = RefCell::default();
        let names: RefCell<Vec<Arc<str>>> = RefCell::default();
        let bind = |buffer: BufferId, stored: DType| {
            let mut bound = bound.borrow_mut();
            if let Some(index) = bound.0.iter().position(|&other| other == buffer) {
                return index;
            }
            bound.0.push(buffer);
            bound.1.push(stored);
            bound.0.len() - 1
        };
        let mut builder = Builder::new(float_of(&types, output));
        let mut mapped = |builder: &mut Builder, input: usize, maps: &[Affine]| -> NodeId {
            let lazy = &self.lazy[&node.inputs[input]];
            let viewed = lazy.expression.viewed(&dims, maps);
            names.borrow_mut().extend(lazy.names.iter().cloned());
            include(builder, &viewed, |input| bind(lazy.inputs[input], lazy.expression.inputs[input]))
                [viewed.outputs[0].0.index()]
        };
        let mut addressed = |input: usize| {
            let lazy = &self.lazy[&node.inputs[input]];
            let stored = lazy.expression.inputs.first().copied().unwrap_or(DType::F32);
            match lazy.as_view() {
                Some((buffer, at)) => Addressed {
                    number: bind(buffer, stored),
                    stored,
                    at: at.clone(),
                    elements: self.fused.buffers[buffer.0].ty.len(),
                },
                None => {
                    Addressed { number: 0, stored, at: Affine::constant(0, types[input].shape.rank()), elements: 0 }
                }
            }
        };
        let is_custom = matches!(node.op, Op::Custom(_));
        let (mapped, addressed) = (&mut mapped, &mut addressed);
        let mut expressing =
            Expressing { builder: &mut builder, dims: &dims, mapped, addressed, is_guarded: is_custom };
        let mut value = definition.express(&mut expressing, &types, output);
        if is_custom {
            value = rounded(&mut builder, value, output.dtype);
        }
        let (inputs, stored) = bound.into_inner();
        let mut names = names.into_inner();
        if !matches!(node.op, Op::Broadcast(_) | Op::Permute(_)) {
            names.push(operator.name().into());
        }
        let expression = builder.finish(dims, stored, vec![(value, output.dtype)]);
        compact(LazyValue { expression, inputs, names })
    }

    /// Records a lazy value, and stores it in memory where that is better.
    fn insert(&mut self, value: ValueId, lazy: LazyValue) {
        let uses = self.uses.get(&value).copied().unwrap_or(0);
        let view = lazy.as_view().is_some();
        let node = &self.data.nodes[value.node()];
        let expands = self.expanding_user(value);
        // What a routine reads as it is must be in memory anyway; other 16-bit values it reads in f32, from a copy of their own.
        let as_it_is = node.outputs[0].dtype.compute() == node.outputs[0].dtype || self.read_stored.contains(&value);
        let wanted = self.in_memory.contains(&value) && as_it_is;
        let store = (!view && (((uses > 1 || expands) && !lazy.is_cheap()) || wanted || self.is_stored_half(value)))
            || lazy.expression.nodes.len() > LONGEST
            || (!self.options.fuse && !view && !lazy.inputs.is_empty() && !matches!(node.op, Op::Broadcast(_)));
        self.lazy.insert(value, lazy);
        if store {
            self.stored(value);
        }
    }

    /// True where a user expands the value along an axis, so that inside it the value would be computed many times.
    fn expanding_user(&self, value: ValueId) -> bool {
        let len = self.data.ty(value).len();
        self.widest_broadcast.get(&value).is_some_and(|&widest| widest > len)
    }

    /// The row-major buffer of a value, in its own type; made now if there is none.
    fn stored(&mut self, value: ValueId) -> BufferId {
        let lazy = &self.lazy[&value];
        let ty = self.data.ty(value);
        if let Some((buffer, at)) = lazy.as_view() {
            let whole = self.fused.buffers[buffer.0].ty.len() == ty.len();
            let same_type = self.fused.buffers[buffer.0].ty.dtype == ty.dtype;
            if at.offset == 0 && at.is_row_major(&ty.shape) && whole && same_type {
                return buffer;
            }
            // Users that can read the view continue to do so: a transpose of this value does not copy the copy.
            if let Some(&buffer) = self.laid_out.get(&value) {
                return buffer;
            }
            let (ty, lazy) = (ty.clone(), lazy.clone());
            let buffer = self.map_kernel(value, &ty, lazy);
            self.laid_out.insert(value, buffer);
            return buffer;
        }
        self.copy(value)
    }

    /// A buffer of its own for a value, computed from its lazy value; from now on the lazy value is that buffer.
    fn copy(&mut self, value: ValueId) -> BufferId {
        let ty = self.data.ty(value).clone();
        let lazy = self.lazy[&value].clone();
        let buffer = self.map_kernel(value, &ty, lazy);
        self.lazy.insert(value, LazyValue::buffer(buffer, ty.dtype, &ty.shape));
        buffer
    }

    fn map_kernel(&mut self, value: ValueId, ty: &TensorType, lazy: LazyValue) -> BufferId {
        let node = &self.data.nodes[value.node()];
        let buffer = self.fused.add_buffer(ty.clone(), Content::Kernel, Some(value));
        let mut names = lazy.names;
        if names.is_empty() {
            names.push("copy".into());
        }
        self.fused.fused_nodes += names.len() - 1;
        let mut expression = lazy.expression;
        expression.outputs[0].1 = ty.dtype;
        let tail = Tail { expression, inputs: lazy.inputs };
        self.push(FusedKernel::new(Head::Map, Some(tail), vec![buffer], names, node.origin));
        if is_half(ty.dtype) {
            self.note_half(buffer);
        }
        buffer
    }

    fn reduce(&mut self, index: usize, reduction: crate::scalar::Reduction, axes: &[usize]) {
        let node = &self.data.nodes[index];
        let value = ValueId { node: index as u32, output: 0 };
        let input = node.inputs[0];
        let shape = self.data.ty(input).shape.clone();
        let lazy = self.lazy[&input].clone();
        // Retained axes after the last reduced one stay innermost, so that neighbours in memory stay neighbours.
        let last = axes.iter().copied().filter(|&axis| shape[axis] != 1).max();
        let retained: Vec<usize> = (0..shape.rank()).filter(|axis| !axes.contains(axis)).collect();
        let (outer, inner): (Vec<usize>, Vec<usize>) =
            retained.into_iter().partition(|&axis| last.is_some_and(|last| axis < last));
        let order: Vec<usize> = outer.iter().chain(axes).chain(&inner).copied().collect();
        let rank = order.len();
        let mut maps = vec![Affine::constant(0, rank); rank];
        for (position, &axis) in order.iter().enumerate() {
            maps[axis] = Affine::coordinate(position, rank);
        }
        let dims: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let expression = lazy.expression.viewed(&dims, &maps);
        let borders = [outer.len(), outer.len() + axes.len()];
        let compute = reduction.result(self.data.ty(input).dtype);
        let retained_dims: Vec<usize> = dims[..borders[0]].iter().chain(&dims[borders[1]..]).copied().collect();
        let raw_type = TensorType::new(compute, node.outputs[0].shape.clone());
        let buffer = self.fused.add_buffer(raw_type, Content::Kernel, Some(value));
        let mut names = lazy.names;
        self.fused.fused_nodes += names.len();
        names.push(reduction.name().into());
        let head = Head::Reduce { expression, inputs: lazy.inputs, borders, reduction };
        let tail = Some(identity_tail(retained_dims, compute));
        self.push(FusedKernel::new(head, tail, vec![buffer], names, node.origin));
        self.insert_raw(value, buffer, compute);
    }
}

/// Copies an expression into a builder, with its inputs renumbered.
pub(super) fn include(
    builder: &mut Builder,
    expression: &ScalarExpr,
    input_index: impl Fn(usize) -> usize,
) -> Vec<NodeId> {
    let mut ids: Vec<NodeId> = Vec::new();
    for (node, &dtype) in expression.nodes.iter().zip(&expression.types) {
        let id = match node {
            ScalarNode::Load { input, at } => {
                builder.push(ScalarNode::Load { input: input_index(*input), at: at.clone() }, dtype)
            }
            ScalarNode::Gather { input, address } => {
                builder.push(ScalarNode::Gather { input: input_index(*input), address: ids[address.index()] }, dtype)
            }
            ScalarNode::Call { function, arguments } => {
                let arguments: Vec<NodeId> = arguments.iter().map(|argument| ids[argument.index()]).collect();
                builder.call(*function, &arguments)
            }
            ScalarNode::Index(at) => builder.index(at.clone()),
            other => builder.push(other.clone(), dtype),
        };
        ids.push(id);
    }
    ids
}

/// Without inputs that simplification has left unread.
fn compact(lazy: LazyValue) -> LazyValue {
    let (expression, inputs) = compacted(lazy.expression, lazy.inputs);
    LazyValue { expression, inputs, ..lazy }
}

pub(super) fn compacted(mut expression: ScalarExpr, inputs: Vec<BufferId>) -> (ScalarExpr, Vec<BufferId>) {
    let mut read = vec![false; inputs.len()];
    for node in &expression.nodes {
        if let ScalarNode::Load { input, .. } | ScalarNode::Gather { input, .. } = node {
            read[*input] = true;
        }
    }
    if read.iter().all(|&read| read) {
        return (expression, inputs);
    }
    let mut indices = vec![0; inputs.len()];
    let (mut retained, mut dtypes) = (Vec::new(), Vec::new());
    for (input, &buffer) in inputs.iter().enumerate().filter(|(input, _)| read[*input]) {
        indices[input] = retained.len();
        retained.push(buffer);
        dtypes.push(expression.inputs[input]);
    }
    for node in &mut expression.nodes {
        if let ScalarNode::Load { input, .. } | ScalarNode::Gather { input, .. } = node {
            *input = indices[*input];
        }
    }
    expression.inputs = dtypes;
    (expression, retained)
}
