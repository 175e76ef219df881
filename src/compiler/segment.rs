//! One update kernel for many parameters. Maps that only write variables and compute the same expression become one map
//! over the range in which their variables (and the gradients that they read) are adjacent.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::fused::{BufferId, Content, FusedGraph, FusedKernel, Head, Range, Tail};
use super::layout::{Layout, padded};
use super::{Options, Target};
use crate::error::Result;
use crate::ops::Variable;
use crate::scalar::{Affine, ScalarExpr, ScalarNode, Strides};
use crate::tensor::DType;

/// Allocates all variables, and joins the updates that can be.
pub(super) fn segment(fused: &mut FusedGraph, layout: &mut Layout, target: &Target, options: Options) -> Result<()> {
    let groups = if options.fuse { groups(fused) } else { Vec::new() };
    // The members of a group are allocated in one order for all its streams; the rest in the order of the graph.
    for group in &groups {
        for &buffer in group.streams.iter().flatten() {
            if let Some(variable) = variable_of(fused, buffer) {
                layout.allocate(&variable, target)?;
            }
        }
    }
    let variables: Vec<Arc<Variable>> = fused
        .buffers
        .iter()
        .filter_map(|buffer| match &buffer.content {
            Content::Variable(variable) => Some(variable.clone()),
            _ => None,
        })
        .collect();
    for variable in variables {
        layout.allocate(&variable, target)?;
    }
    layout.close();
    let mut removed: Vec<usize> = Vec::new();
    for group in groups {
        join(fused, &group, layout, target.largest() as usize, &mut removed);
    }
    removed.sort_unstable();
    for index in removed.into_iter().rev() {
        fused.kernels.remove(index);
    }
    Ok(())
}

fn variable_of(fused: &FusedGraph, buffer: BufferId) -> Option<Arc<Variable>> {
    match &fused.buffers[buffer.0].content {
        Content::Variable(variable) => Some(variable.clone()),
        _ => None,
    }
}

/// Updates with the same expression. A stream is an input that differs from member to member.
#[derive(Debug)]
struct Group {
    /// Members, by their kernels' indices.
    kernels: Vec<usize>,
    /// Which inputs are streams.
    is_stream: Vec<bool>,
    /// For each input that is a stream, each member's buffer; empty for the others.
    streams: Vec<Vec<BufferId>>,
}

/// The expression without its sizes: equal for updates that can be one.
fn shape_free(expression: &ScalarExpr) -> Option<ScalarExpr> {
    let mut expression = expression.clone();
    let dims = std::mem::take(&mut expression.dims);
    let single = dims.iter().product::<usize>() == 1;
    for node in &mut expression.nodes {
        match node {
            ScalarNode::Load { at, .. } if single || at.is_constant() || (at.offset == 0 && at.is_row_major(&dims)) => {
                at.strides = Strides::default();
            }
            ScalarNode::Load { .. } | ScalarNode::Index(_) | ScalarNode::Gather { .. } => return None,
            _ => {}
        }
    }
    Some(expression)
}

fn groups(fused: &FusedGraph) -> Vec<Group> {
    let mut found: Vec<(ScalarExpr, Group)> = Vec::new();
    // Larger kernels first: they show which inputs are streams; in a kernel of one element, all look alike.
    let mut order: Vec<usize> = (0..fused.kernels.len()).collect();
    let len = |index: usize| fused.kernels[index].tail.as_ref().map_or(0, |tail| tail.expression.len());
    order.sort_by_key(|&index| len(index) <= 1);
    for index in order {
        let kernel = &fused.kernels[index];
        let Some(tail) = kernel.tail.as_ref().filter(|_| fused.is_update(kernel)) else { continue };
        let Some(dtype) = kernel.outputs.first().map(|output| fused.buffers[output.0].ty.dtype) else { continue };
        let one_type = matches!(dtype, DType::F32 | DType::I32)
            && kernel.outputs.iter().all(|output| fused.buffers[output.0].ty.dtype == dtype);
        let Some(key) = shape_free(&tail.expression).filter(|_| one_type && !tail.expression.is_empty()) else {
            continue;
        };
        // A stream of another type would be at other offsets in its range than the others.
        if (0..tail.inputs.len()).any(|input| tail.expression.inputs[input] != dtype) {
            continue;
        }
        // Each variable that it writes it must also read, and each only in place.
        let own = kernel.outputs.iter().all(|&output| {
            fused
                .assigned_to(output)
                .is_some_and(|variable| tail.inputs.contains(&variable) && kernel.reads_in_place(variable))
        });
        if !own {
            continue;
        }
        let n = tail.expression.len();
        // An input is read element by element, or one element of it is read by all; what is both cannot be a range's.
        let is_read = |input: usize, by_all: bool| {
            tail.expression.nodes.iter().any(|node| match node {
                ScalarNode::Load { input: read, at } => *read == input && at.is_constant() == by_all,
                _ => false,
            })
        };
        let streams: Vec<bool> = (0..tail.inputs.len()).map(|input| is_read(input, false)).collect();
        if streams.iter().enumerate().any(|(input, &stream)| stream && is_read(input, true)) {
            continue;
        }
        // A stream's parts take as much memory as the variables' beside it.
        let is_whole = |input: usize| fused.buffers[tail.inputs[input].0].ty.len() == n;
        if streams.iter().enumerate().any(|(input, &stream)| stream && !is_whole(input)) {
            continue;
        }
        let fits = |group: &Group| {
            let first = fused.kernels[group.kernels[0]].tail.as_ref();
            first.is_some_and(|first| {
                (0..tail.inputs.len()).all(|input| {
                    let known_stream = group.is_stream[input];
                    let same_buffer = tail.inputs[input] == first.inputs[input];
                    if known_stream {
                        streams[input] || (n == 1 && is_whole(input))
                    } else {
                        !streams[input] && same_buffer
                    }
                })
            })
        };
        match found.iter_mut().find(|(other, group)| *other == key && fits(group)) {
            Some((_, group)) => {
                group.kernels.push(index);
                for (stream, &buffer) in group.streams.iter_mut().zip(&tail.inputs) {
                    stream.push(buffer);
                }
            }
            // In a kernel of one element, what it updates is a stream for certain: counters are alike.
            None if n > 1 || tail.inputs.iter().all(|&input| is_updated(fused, kernel, input)) => {
                let group = Group {
                    kernels: vec![index],
                    is_stream: if n > 1 { streams } else { vec![true; tail.inputs.len()] },
                    streams: tail.inputs.iter().map(|&buffer| vec![buffer]).collect(),
                };
                found.push((key, group));
            }
            None => {}
        }
    }
    let mut groups: Vec<Group> =
        found.into_iter().map(|(_, group)| group).filter(|group| group.kernels.len() > 1).collect();
    for group in &mut groups {
        for (stream, &is_stream) in group.streams.iter_mut().zip(&group.is_stream) {
            if !is_stream {
                stream.clear();
            }
        }
    }
    groups
}

/// True where a kernel computes the new value of a variable.
fn is_updated(fused: &FusedGraph, kernel: &FusedKernel, variable: BufferId) -> bool {
    kernel.outputs.iter().any(|&output| fused.assigned_to(output) == Some(variable))
}

/// A stream's buffers in a run of members.
enum Stream {
    /// Variables that are adjacent.
    Stored(Range),
    /// Values of the step that can be made adjacent.
    Computed(Vec<BufferId>),
}

/// Replaces a group's kernels by one for each run of members whose streams are all adjacent.
fn join(fused: &mut FusedGraph, group: &Group, layout: &Layout, largest: usize, removed: &mut Vec<usize>) {
    let location = |fused: &FusedGraph, buffer: BufferId| {
        variable_of(fused, buffer).and_then(|variable| layout.find(&variable.name).map(|known| known.location))
    };
    // Members in the order in which their first variables are stored.
    let Some(leading) =
        group.streams.iter().position(|stream| stream.first().is_some_and(|&b| location(fused, b).is_some()))
    else {
        return;
    };
    let mut members: Vec<usize> = (0..group.kernels.len()).collect();
    members.sort_by_key(|&member| location(fused, group.streams[leading][member]).map(|l| (l.buffer, l.offset)));
    let mut run: Vec<usize> = Vec::new();
    let mut runs: Vec<Vec<usize>> = Vec::new();
    let mut total = 0;
    for &member in &members {
        let bytes = padded(fused.buffers[group.streams[leading][member].0].ty.bytes());
        let follows = run.last().is_some_and(|&before| {
            total + bytes <= largest
                && group.streams.iter().all(|stream| {
                    let Some((&a, &b)) = stream.get(before).zip(stream.get(member)) else { return true };
                    match (location(fused, a), location(fused, b)) {
                        (Some(first), Some(second)) => Range::of(&[(a, first), (b, second)]).is_some(),
                        (None, None) => true,
                        (Some(_), None) | (None, Some(_)) => false,
                    }
                })
        });
        if !follows && !run.is_empty() {
            runs.push(std::mem::take(&mut run));
            total = 0;
        }
        total += bytes;
        run.push(member);
    }
    runs.push(run);
    for run in runs.into_iter().filter(|run| run.len() > 1) {
        let kernels: Vec<usize> = run.iter().map(|&member| group.kernels[member]).collect();
        let streams: Option<Vec<Option<Stream>>> = (group.streams.iter())
            .map(|stream| {
                let buffers: Vec<BufferId> = run.iter().filter_map(|&member| stream.get(member).copied()).collect();
                if buffers.is_empty() {
                    return Some(None);
                }
                let stored: Vec<_> = buffers.iter().filter_map(|&b| Some((b, location(fused, b)?))).collect();
                if !stored.is_empty() {
                    let range = Range::of(&stored).filter(|_| stored.len() == buffers.len())?;
                    return Some(Some(Stream::Stored(range)));
                }
                // What the host gives, or a constant, cannot be moved.
                let computed = buffers.iter().all(|buffer| matches!(fused.buffers[buffer.0].content, Content::Kernel));
                (computed && can_join(fused, &buffers, &kernels)).then_some(Some(Stream::Computed(buffers)))
            })
            .collect();
        if let Some(streams) = streams {
            join_run(fused, &kernels, streams, removed);
        }
    }
}

/// One kernel for the updates of a run. An input that is not a stream is the same buffer for all members.
fn join_run(fused: &mut FusedGraph, kernels: &[usize], streams: Vec<Option<Stream>>, removed: &mut Vec<usize>) {
    let template = fused.kernels[kernels[0]].clone();
    let Some(tail) = template.tail.as_ref() else { return };
    let dtype = template.outputs.first().map_or(DType::F32, |output| fused.buffers[output.0].ty.dtype);
    let is_stream: Vec<bool> = streams.iter().map(Option::is_some).collect();
    // One buffer for each stream, of which the members' are parts; what is written goes to the same ranges as the variables.
    let mut ranges: FxHashMap<BufferId, BufferId> = FxHashMap::default();
    let mut inputs = Vec::new();
    for (&input, stream) in tail.inputs.iter().zip(streams) {
        inputs.push(match stream {
            None => input,
            Some(Stream::Stored(range)) => {
                let range = fused.add_range(dtype, range);
                ranges.insert(input, range);
                range
            }
            Some(Stream::Computed(parts)) => fused.add_joined(dtype, parts),
        });
    }
    let mut outputs = Vec::new();
    for output in 0..template.outputs.len() {
        let members: Vec<BufferId> = kernels.iter().map(|&kernel| fused.kernels[kernel].outputs[output]).collect();
        // The new values of the members' variables are parts of one; one assignment stands for all.
        let range = fused.assigned_to(members[0]).and_then(|variable| ranges.get(&variable).copied());
        members.iter().for_each(|member| fused.buffers[member.0].assigned_to = None);
        let joined = fused.add_joined(dtype, members);
        outputs.push(joined);
        fused.buffers[joined.0].assigned_to = range;
    }
    let total = outputs.first().map_or(0, |output| fused.buffers[output.0].ty.len());
    let mut expression = tail.expression.clone();
    let single = expression.len() == 1;
    for node in &mut expression.nodes {
        if let ScalarNode::Load { input, at } = node {
            let stream = is_stream[*input] && (single || !at.is_constant());
            *at = if stream { Affine::row_major(&[total]) } else { Affine::constant(at.offset, 1) };
        }
    }
    expression.dims = vec![total];
    let mut names = vec![Arc::<str>::from(format!("update of {}", kernels.len()))];
    names.extend(template.names.iter().rev().take(1).cloned());
    fused.fused_nodes += kernels.len() - 1;
    let tail = Some(Tail { expression, inputs });
    let joined = FusedKernel::new(Head::Map, tail, outputs, names, template.origin);
    let last = kernels.iter().copied().max().unwrap_or(0);
    removed.extend(kernels.iter().copied().filter(|&kernel| kernel != last));
    fused.kernels[last] = joined;
}

/// True where values of the step may become parts of one: computed once each, not results, parts of nothing yet, and no kernel writes one
/// part while it reads another (a GPU tracks whole buffers).
fn can_join(fused: &FusedGraph, buffers: &[BufferId], updates: &[usize]) -> bool {
    let parts: FxHashSet<BufferId> = buffers.iter().copied().collect();
    let updates: FxHashSet<usize> = updates.iter().copied().collect();
    let free = buffers.iter().all(|buffer| fused.buffers[buffer.0].part_of.is_none() && !fused.is_root(*buffer));
    let clash = fused.kernels.iter().enumerate().any(|(index, kernel)| {
        let writes = kernel.outputs.iter().any(|output| parts.contains(output));
        writes && !updates.contains(&index) && kernel.reads().any(|read| parts.contains(&read))
    });
    parts.len() == buffers.len() && free && !clash
}
