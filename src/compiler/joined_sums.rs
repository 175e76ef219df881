//! One sum over many gradients. The norm of all gradients is a chain of reductions, each of which adds the sum of one gradient to the
//! sum of those before it. Where an update has made gradients adjacent, those without padding between them are summed as one range.

use rustc_hash::FxHashMap;

use super::fused::{BufferId, FusedGraph, FusedKernel, Head, Tail};
use super::layout::padded;
use crate::scalar::{Affine, NodeId, Reduction, ScalarExpr, ScalarFunction, ScalarNode};

/// Replaces each chain of sums over parts of joined buffers by sums over ranges of them.
pub(super) fn join(fused: &mut FusedGraph) {
    // One at a time, as kernels move; what has become a sum over a range is in no chain any more.
    while let Some((chain, runs)) = chains(fused).into_iter().find_map(|chain| {
        let runs = runs(fused, &chain);
        (!runs.is_empty() && runs.len() < chain.len()).then_some((chain, runs))
    }) {
        replace(fused, &chain, &runs);
    }
}

/// A sum over all elements of a part of a joined buffer.
struct Link {
    kernel: usize,
    /// The part, the buffer that it is a part of, and its first byte there.
    part: BufferId,
    joined: BufferId,
    start: usize,
    /// The input of the tail that is the sum of those before, but for the first.
    before: Option<usize>,
}

fn link(fused: &FusedGraph, index: usize) -> Option<Link> {
    let kernel = &fused.kernels[index];
    let Head::Reduce { expression, inputs, borders, reduction: Reduction::Sum } = &kernel.head else { return None };
    let (&[part], tail) = (inputs.as_slice(), kernel.tail.as_ref()?) else { return None };
    let (joined, start) = fused.buffers[part.0].part_of?;
    let retained = expression.dims[..borders[0]].iter().chain(&expression.dims[borders[1]..]);
    let is_whole = retained.product::<usize>() == 1
        && expression.len() == fused.buffers[part.0].ty.len()
        && expression.nodes.iter().all(|node| match node {
            ScalarNode::Load { at, .. } => at.offset == 0 && at.is_row_major(&expression.dims),
            ScalarNode::Index(_) | ScalarNode::Gather { .. } => false,
            ScalarNode::Constant(_) | ScalarNode::Accumulator | ScalarNode::Call { .. } => true,
        });
    let is_scalar =
        tail.expression.len() == 1 && kernel.outputs.iter().all(|&output| fused.buffers[output.0].ty.len() == 1);
    if !is_whole || !is_scalar {
        return None;
    }
    Some(Link { kernel: index, part, joined, start, before: added(&tail.expression) })
}

/// The input of an expression that is added to the accumulator, where neither is used for anything else.
fn added(expression: &ScalarExpr) -> Option<usize> {
    let uses = |id: usize| {
        let operands = expression.nodes.iter().flat_map(ScalarExpr::operands).filter(|operand| operand.index() == id);
        operands.count() + expression.outputs.iter().filter(|(output, _)| output.index() == id).count()
    };
    let find = |wanted: &dyn Fn(&ScalarNode) -> bool| {
        let mut found = expression.nodes.iter().enumerate().filter(|(_, node)| wanted(node));
        match (found.next(), found.next()) {
            (Some((index, _)), None) if uses(index) == 1 => Some(NodeId(index as u32)),
            _ => None,
        }
    };
    let accumulator = find(&|node| matches!(node, ScalarNode::Accumulator))?;
    expression.nodes.iter().find_map(|node| match node {
        ScalarNode::Call { function: ScalarFunction::Add, arguments } => {
            let [a, b] = arguments[..] else { return None };
            let other = if a == accumulator {
                b
            } else if b == accumulator {
                a
            } else {
                return None;
            };
            match &expression.nodes[other.index()] {
                ScalarNode::Load { input, .. } if uses(other.index()) == 1 => {
                    let reads =
                        |node: &&ScalarNode| matches!(node, ScalarNode::Load { input: read, .. } if read == input);
                    (expression.nodes.iter().filter(reads).count() == 1).then_some(*input)
                }
                _ => None,
            }
        }
        _ => None,
    })
}

/// Chains of links, each of which reads the one before it alone, in order.
fn chains(fused: &FusedGraph) -> Vec<Vec<Link>> {
    let links: Vec<Link> = (0..fused.kernels.len()).filter_map(|index| link(fused, index)).collect();
    let mut readers: FxHashMap<BufferId, usize> = FxHashMap::default();
    for read in fused.kernels.iter().flat_map(|kernel| super::fused::distinct(kernel.reads())) {
        *readers.entry(read).or_default() += 1;
    }
    let mut chains: Vec<Vec<Link>> = Vec::new();
    for link in links {
        let kernel = &fused.kernels[link.kernel];
        let before = link.before.and_then(|input| kernel.tail.as_ref()?.inputs.get(input).copied());
        let follows = |chain: &&mut Vec<Link>| {
            let Some(last) = chain.last() else { return false };
            let other = &fused.kernels[last.kernel];
            let plain = other.outputs.len() == 1
                && Some(other.outputs[0]) == before
                && !fused.is_root(other.outputs[0])
                && readers.get(&other.outputs[0]) == Some(&1)
                // What it stores is the sum, nothing more.
                && other.tail.as_ref().is_some_and(|tail| tail.expression.nodes.len() <= 3);
            plain && same_sum(&other.head, &kernel.head)
        };
        match chains.iter_mut().find(follows) {
            Some(chain) => chain.push(link),
            None => chains.push(vec![link]),
        }
    }
    chains.retain(|chain| chain.len() > 1);
    chains
}

/// True where two heads fold the same expression, whatever its extents.
fn same_sum(a: &Head, b: &Head) -> bool {
    match (a, b) {
        (Head::Reduce { expression: a, .. }, Head::Reduce { expression: b, .. }) => flat(a, 0, 0) == flat(b, 0, 0),
        _ => false,
    }
}

/// An expression of one buffer's elements over a range of another that it is a part of.
fn flat(expression: &ScalarExpr, first: usize, len: usize) -> ScalarExpr {
    let mut expression = expression.clone();
    for node in &mut expression.nodes {
        if let ScalarNode::Load { at, .. } = node {
            *at = Affine::new(first as i64, [1]);
        }
    }
    expression.dims = vec![len];
    expression
}

/// A range of a joined buffer: its first byte, and the end behind its last element.
struct Run {
    joined: BufferId,
    start: usize,
    end: usize,
}

/// The chain's parts as ranges without padding in between.
fn runs(fused: &FusedGraph, chain: &[Link]) -> Vec<Run> {
    let mut parts: Vec<&Link> = chain.iter().collect();
    parts.sort_by_key(|link| (link.joined, link.start));
    let mut runs: Vec<Run> = Vec::new();
    for link in parts {
        let bytes = fused.buffers[link.part.0].ty.bytes();
        match runs.last_mut() {
            Some(run) if run.joined == link.joined && run.end == link.start => run.end += bytes,
            _ => runs.push(Run { joined: link.joined, start: link.start, end: link.start + bytes }),
        }
    }
    // A part that is read twice is no range.
    let total: usize = chain.iter().map(|link| fused.buffers[link.part.0].ty.bytes()).sum();
    let is_once = runs.iter().map(|run| run.end - run.start).sum::<usize>() == total
        && runs.windows(2).all(|pair| pair[0].joined != pair[1].joined || padded(pair[0].end) <= pair[1].start);
    if is_once { runs } else { Vec::new() }
}

/// As many of the chain's last kernels as there are ranges sum those. All that the chain reads is computed before the last one.
fn replace(fused: &mut FusedGraph, chain: &[Link], runs: &[Run]) {
    let (Some(first), Some(last)) = (chain.first(), chain.last()) else { return };
    let mut kernels: Vec<FusedKernel> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let is_last = index + 1 == runs.len();
        // The first of several is the chain's first, and so on; the last one does what the chain's last one does.
        let link = if is_last {
            last
        } else if index == 0 {
            first
        } else {
            &chain[1]
        };
        let mut kernel = fused.kernels[link.kernel].clone();
        let size = fused.buffers[run.joined.0].ty.dtype.size();
        if let Head::Reduce { expression, inputs, borders, .. } = &mut kernel.head {
            *expression = flat(expression, run.start / size, (run.end - run.start) / size);
            *inputs = vec![run.joined];
            *borders = [0, 1];
        }
        if !is_last {
            kernel.outputs = vec![fused.kernels[chain[index].kernel].outputs[0]];
        }
        if let Some(tail) = &mut kernel.tail {
            set_before(
                tail,
                link.before,
                index.checked_sub(1).map(|before| fused.kernels[chain[before].kernel].outputs[0]),
            );
        }
        kernels.push(kernel);
    }
    fused.fused_nodes += chain.len() - runs.len();
    let removed: Vec<usize> = chain.iter().map(|link| link.kernel).collect();
    let position = last.kernel - removed.iter().filter(|&&kernel| kernel < last.kernel).count();
    let mut index = 0;
    fused.kernels.retain(|_| {
        index += 1;
        !removed.contains(&(index - 1))
    });
    fused.kernels.splice(position..position, kernels);
}

/// Makes a tail add this sum, or nothing.
fn set_before(tail: &mut Tail, input: Option<usize>, before: Option<BufferId>) {
    let Some(input) = input else { return };
    match before {
        Some(before) => tail.inputs[input] = before,
        None => {
            for node in &mut tail.expression.nodes {
                let dtype = tail.expression.inputs[input];
                if matches!(node, ScalarNode::Load { input: read, .. } if *read == input) {
                    *node = ScalarNode::Constant(crate::scalar::Constant { dtype: dtype.compute(), value: 0.0 });
                }
            }
            tail.expression.inputs.remove(input);
            tail.inputs.remove(input);
            for node in &mut tail.expression.nodes {
                if let ScalarNode::Load { input: read, .. } | ScalarNode::Gather { input: read, .. } = node
                    && *read > input
                {
                    *read -= 1;
                }
            }
        }
    }
}
