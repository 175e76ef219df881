//! Joining kernels that go over one domain: a map into the kernel whose result it reads element by element (as its
//! epilogue), and maps that share an input. Each join saves a dispatch, and often a buffer.

use super::Target;
use super::fuse::{compacted, include};
use super::fused::{BufferId, FusedGraph, FusedKernel, Head, Origin, Tail};
use crate::scalar::{Builder, NodeId, ScalarExpr, ScalarNode};
use crate::tensor::DType;

/// An expression longer than this is not made longer.
const LONGEST: usize = 240;

/// Joins what can be joined, until nothing can.
pub(super) fn merge(fused: &mut FusedGraph, target: &Target) {
    while merge_chains(fused, target) || merge_siblings(fused, target) {}
}

/// Joins a map into a producer of its inputs. True where something was joined.
fn merge_chains(fused: &mut FusedGraph, target: &Target) -> bool {
    let mut changed = false;
    let mut user = 0;
    while user < fused.kernels.len() {
        let mut joined = false;
        if fused.kernels[user].is_map() {
            let mut producers: Vec<usize> =
                fused.kernels[user].reads().iter().filter_map(|&read| fused.producer(read)).collect();
            producers.sort_unstable();
            producers.dedup();
            for source in producers.into_iter().rev() {
                if let Some(kernel) = chained(fused, source, user, target) {
                    replace(fused, source, user, kernel);
                    joined = true;
                    break;
                }
            }
        }
        changed |= joined;
        // The joined kernel has moved; kernels after it are looked at in the next round.
        user += 1;
    }
    changed
}

/// The join of a map with a kernel that computes one of its inputs, where it is legal and fits.
fn chained(fused: &FusedGraph, source: usize, user: usize, target: &Target) -> Option<FusedKernel> {
    let (producer, consumer) = (&fused.kernels[source], &fused.kernels[user]);
    let (first, second) = (producer.tail.as_ref()?, consumer.tail.as_ref()?);
    // Updates stay maps of their own: all parameters' become one kernel later.
    if fused.is_update(consumer) && !(producer.is_map() && fused.is_update(producer)) {
        return None;
    }
    if !producer.is_map() {
        // Epilogues store words of 32 bits.
        let narrow = |&(_, stored): &(NodeId, DType)| stored.size() < 4 || stored == DType::Bool;
        if second.expression.outputs.iter().any(narrow) {
            return None;
        }
    }
    if indirect_path(fused, source, user) {
        return None;
    }
    let expression = second.expression.reshaped(&first.expression.dims);
    let (base, addition) = match expression {
        Some(expression) => (first.expression.clone(), expression),
        // A map producer may also be seen over the consumer's shape.
        None if producer.is_map() => (first.expression.reshaped(&second.expression.dims)?, second.expression.clone()),
        None => return None,
    };
    // What the consumer reads of the producer must be the very element that is at hand.
    let dims = base.dims.clone();
    let linked = |input: usize| producer.outputs.iter().position(|output| *output == second.inputs[input]);
    let direct = addition.nodes.iter().all(|node| match node {
        ScalarNode::Load { input, at } => linked(*input).is_none() || (at.offset == 0 && at.is_row_major(&dims)),
        ScalarNode::Gather { input, .. } => linked(*input).is_none(),
        _ => true,
    });
    direct.then_some(())?;
    join(fused, producer, consumer, base, addition, target, source, user)
}

/// True where a third kernel lies on a way from `source` to `user`: then they cannot run as one.
fn indirect_path(fused: &FusedGraph, source: usize, user: usize) -> bool {
    let consumers = fused.consumers();
    let mut stack: Vec<usize> = consumers[source].iter().copied().filter(|&kernel| kernel != user).collect();
    let mut visited = vec![false; fused.kernels.len()];
    while let Some(kernel) = stack.pop() {
        if kernel == user {
            return true;
        }
        if !std::mem::replace(&mut visited[kernel], true) {
            stack.extend(&consumers[kernel]);
        }
    }
    false
}

/// One kernel that stores what both do (less what only the second read of the first), if it fits the bindings.
#[allow(clippy::too_many_arguments, reason = "two callers, just above and below")]
fn join(
    fused: &FusedGraph,
    first: &FusedKernel,
    second: &FusedKernel,
    base: ScalarExpr,
    addition: ScalarExpr,
    target: &Target,
    first_index: usize,
    second_index: usize,
) -> Option<FusedKernel> {
    let (first_tail, second_tail) = (first.tail.as_ref()?, second.tail.as_ref()?);
    let dims = base.dims.clone();
    let mut inputs = first_tail.inputs.clone();
    let mut dtypes = base.inputs.clone();
    let mut places = Vec::new();
    for (input, &buffer) in second_tail.inputs.iter().enumerate() {
        let place = inputs.iter().position(|&other| other == buffer).unwrap_or_else(|| {
            inputs.push(buffer);
            dtypes.push(addition.inputs[input]);
            inputs.len() - 1
        });
        places.push(place);
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
            *input = places[*input];
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
        fused.is_root(buffer)
            || fused.kernels.iter().enumerate().any(|(index, kernel)| {
                index != first_index && index != second_index && kernel.reads().contains(&buffer)
            })
    });
    let expression = builder.finish(dims, dtypes, outputs.iter().map(|&(_, id, stored)| (id, stored)).collect());
    if expression.nodes.len() > LONGEST {
        return None;
    }
    let (expression, inputs) = compacted(expression, inputs);
    let mut names = first.names.clone();
    names.extend(second.names.iter().cloned());
    let kernel = FusedKernel {
        head: first.head.clone(),
        tail: Some(Tail { expression, inputs }),
        outputs: outputs.iter().map(|&(buffer, ..)| buffer).collect(),
        names,
        place: second.place,
    };
    (bindings(fused, &kernel) <= target.bindings()).then_some(kernel)
}

/// Bindings that a kernel takes: what it reads and writes, where a variable and its new value share one.
fn bindings(fused: &FusedGraph, kernel: &FusedKernel) -> usize {
    let mut reads = kernel.reads();
    if let Head::Map = kernel.head {
        reads.sort_unstable();
        reads.dedup();
    }
    let shared = kernel
        .outputs
        .iter()
        .filter(|&&output| {
            kernel.is_map() && fused.assigned_to(output).is_some_and(|variable| reads.contains(&variable))
        })
        .count();
    reads.len() + kernel.outputs.len() - shared
}

/// Puts the joined kernel at the second's place and takes the first away, which moves the first's work later; what reads the
/// first's outputs is moved behind it.
fn replace(fused: &mut FusedGraph, first: usize, second: usize, kernel: FusedKernel) {
    fused.fused_nodes += 1;
    fused.kernels[second] = kernel;
    fused.kernels.remove(first);
    sort(fused);
}

/// Kernels in an order in which every buffer is written before it is read; otherwise as they are.
pub(super) fn sort(fused: &mut FusedGraph) {
    let consumers = fused.consumers();
    let mut waiting = vec![0; fused.kernels.len()];
    consumers.iter().flatten().for_each(|&kernel| waiting[kernel] += 1);
    let mut ready: std::collections::BTreeSet<usize> =
        (0..waiting.len()).filter(|&kernel| waiting[kernel] == 0).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(kernel) = ready.pop_first() {
        order.push(kernel);
        for &user in &consumers[kernel] {
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.insert(user);
            }
        }
    }
    if order.len() == fused.kernels.len() {
        let mut kernels: Vec<Option<FusedKernel>> = std::mem::take(&mut fused.kernels).into_iter().map(Some).collect();
        fused.kernels = order.into_iter().filter_map(|index| kernels[index].take()).collect();
    }
}

/// Joins maps over the same domain that share an input and do not depend on each other. True where something was joined.
fn merge_siblings(fused: &mut FusedGraph, target: &Target) -> bool {
    for second in 0..fused.kernels.len() {
        for first in 0..second {
            if let Some(kernel) = siblings(fused, first, second, target) {
                replace(fused, first, second, kernel);
                return true;
            }
        }
    }
    false
}

fn siblings(fused: &FusedGraph, first: usize, second: usize, target: &Target) -> Option<FusedKernel> {
    let (a, b) = (&fused.kernels[first], &fused.kernels[second]);
    if !a.is_map() || !b.is_map() {
        return None;
    }
    let (a_tail, b_tail) = (a.tail.as_ref()?, b.tail.as_ref()?);
    let len = a_tail.expression.len();
    if len == 0 || len != b_tail.expression.len() {
        return None;
    }
    let (a_update, b_update) = (fused.is_update(a), fused.is_update(b));
    if a_update != b_update {
        return None;
    }
    // Updates join where they share a variable, so that each parameter's stay alike; others where they share memory at all.
    let shares = a_tail.inputs.iter().any(|input| {
        b_tail.inputs.contains(input)
            && fused.buffers[input.0].ty.len() > 1.min(len - 1)
            && (!a_update || matches!(fused.buffers[input.0].origin, Origin::Variable(_)))
    });
    if !shares || reaches(fused, first, second) || reaches(fused, second, first) {
        return None;
    }
    let addition = b_tail.expression.reshaped(&a_tail.expression.dims)?;
    join(fused, a, b, a_tail.expression.clone(), addition, target, first, second)
}

fn reaches(fused: &FusedGraph, from: usize, to: usize) -> bool {
    fused.consumers()[from].contains(&to) || indirect_path(fused, from, to)
}
