//! One sum over many gradients. The norm of all gradients is a sum of reductions, one for each gradient, which fusing leaves as kernels
//! that add their own sum to those of others. Where an update has made gradients adjacent, those without padding between them are summed
//! as one range.

use super::fused::{BufferId, FusedGraph, FusedKernel, Head, Tail, distinct};
use crate::scalar::{Affine, NodeId, Reduction, ScalarExpr, ScalarFunction, ScalarNode};

/// Replaces sums over parts of joined buffers by sums over ranges of them.
pub(super) fn join(fused: &mut FusedGraph) {
    // One total at a time, as kernels move; a sum over a range is of no part any more.
    while let Some((total, runs)) = next(fused) {
        total.replace(fused, &runs);
    }
}

/// A total of which fewer sums would do, over the ranges.
fn next(fused: &FusedGraph) -> Option<(Total, Vec<Run>)> {
    let uses = Uses::of(fused);
    (0..fused.kernels.len()).rev().find_map(|index| {
        let total = Total::of(fused, index, &uses)?;
        let runs = runs(fused, &total.links)?;
        (runs.len() < total.links.len()).then_some((total, runs))
    })
}

/// A kernel that sums a function of all elements of a part of a joined buffer.
struct Link {
    kernel: usize,
    /// The part, the buffer that it is a part of, and its first byte there.
    part: BufferId,
    joined: BufferId,
    start: usize,
}

impl Link {
    fn of(fused: &FusedGraph, index: usize) -> Option<Self> {
        let kernel = &fused.kernels[index];
        let Head::Reduce { expression, inputs, borders, reduction: Reduction::Sum } = &kernel.head else {
            return None;
        };
        let (&[part], tail) = (inputs.as_slice(), kernel.tail.as_ref()?) else { return None };
        let (joined, start) = fused.buffers[part.0].part_of?;
        let retained = expression.dims[..borders[0]].iter().chain(&expression.dims[borders[1]..]);
        let is_whole = retained.product::<usize>() == 1
            && expression.len() == fused.buffers[part.0].ty.len()
            && expression.nodes.iter().all(|node| match node {
                ScalarNode::Load { at, .. } => at.offset == 0 && at.is_row_major(&expression.dims),
                ScalarNode::Index(_) | ScalarNode::Gather { .. } => false,
                ScalarNode::Constant(_) | ScalarNode::Accumulator(_) | ScalarNode::Call { .. } => true,
            });
        let is_scalar = tail.expression.len() == 1;
        (is_whole && is_scalar).then_some(Self { kernel: index, part, joined, start })
    }
}

/// Of a tail, the sum of its accumulator and of what others have stored: its last addition, and the inputs that it adds. None of them is
/// used for anything else.
struct Addition {
    root: NodeId,
    accumulator: NodeId,
    inputs: Vec<usize>,
}

impl Addition {
    fn of(tail: &Tail) -> Option<Self> {
        let expression = &tail.expression;
        let mut users: Vec<Vec<NodeId>> = vec![Vec::new(); expression.nodes.len()];
        for (index, node) in expression.nodes.iter().enumerate() {
            ScalarExpr::operands(node).iter().for_each(|operand| users[operand.index()].push(NodeId(index as u32)));
        }
        let is_output = |id: NodeId| expression.outputs.iter().any(|&(output, _)| output == id);
        let is_addition =
            |id: NodeId| matches!(expression.nodes[id.index()], ScalarNode::Call { function: ScalarFunction::Add, .. });
        // What is added, and to nothing else.
        let sum_of = |id: NodeId| match users[id.index()][..] {
            [user] if is_addition(user) && !is_output(id) => Some(user),
            _ => None,
        };
        let mut accumulators =
            expression.nodes.iter().enumerate().filter(|(_, node)| matches!(node, ScalarNode::Accumulator(_)));
        let (Some((accumulator, _)), None) = (accumulators.next(), accumulators.next()) else { return None };
        let accumulator = NodeId(accumulator as u32);
        let mut root = accumulator;
        while let Some(sum) = sum_of(root) {
            root = sum;
        }
        let mut inputs = Vec::new();
        let mut waiting = vec![root];
        while let Some(id) = waiting.pop() {
            if id != root && sum_of(id).is_none() {
                return None;
            }
            match &expression.nodes[id.index()] {
                ScalarNode::Call { function: ScalarFunction::Add, arguments } => waiting.extend(arguments),
                ScalarNode::Load { input, .. } => inputs.push(*input),
                ScalarNode::Accumulator(_) => {}
                ScalarNode::Constant(_)
                | ScalarNode::Index(_)
                | ScalarNode::Gather { .. }
                | ScalarNode::Call { .. } => {
                    return None;
                }
            }
        }
        // Each input is one of the terms, and is read for nothing else.
        let reads = |input: usize| {
            let is_it = |node: &&ScalarNode| matches!(node, ScalarNode::Load { input: read, .. } if *read == input);
            expression.nodes.iter().filter(is_it).count()
        };
        (distinct(inputs.iter().copied()).len() == inputs.len() && inputs.iter().all(|&input| reads(input) == 1))
            .then_some(Self { root, accumulator, inputs })
    }

    /// True where the sum is all that is stored.
    fn is_all(&self, tail: &Tail) -> bool {
        matches!(tail.expression.outputs[..], [(output, _)] if output == self.root)
    }
}

/// A sum over links, whose last one may do more with it.
struct Total {
    /// The kernel of the last one is the last.
    links: Vec<Link>,
    addition: Addition,
}

/// Who computes each buffer, and how many kernels read it.
struct Uses {
    producers: Vec<Option<usize>>,
    readers: Vec<usize>,
}

impl Uses {
    fn of(fused: &FusedGraph) -> Self {
        let mut readers = vec![0; fused.buffers.len()];
        for read in fused.kernels.iter().flat_map(|kernel| distinct(kernel.reads())) {
            readers[read.0] += 1;
        }
        Self { producers: fused.producers(), readers }
    }
}

impl Total {
    fn of(fused: &FusedGraph, index: usize, uses: &Uses) -> Option<Self> {
        let mut links = vec![Link::of(fused, index)?];
        let tail = fused.kernels[index].tail.as_ref()?;
        let addition = Addition::of(tail).filter(|addition| !addition.inputs.is_empty())?;
        let mut terms: Vec<BufferId> = addition.inputs.iter().map(|&input| tail.inputs[input]).collect();
        while let Some(term) = terms.pop() {
            let kernel = uses.producers[term.0]?;
            let link = Link::of(fused, kernel)?;
            let tail = fused.kernels[kernel].tail.as_ref()?;
            let addition = Addition::of(tail)?;
            let is_term = uses.readers[term.0] == 1
                && !fused.is_root(term)
                && addition.is_all(tail)
                && same_sum(&fused.kernels[kernel].head, &fused.kernels[index].head)
                && kernel < index;
            if !is_term {
                return None;
            }
            terms.extend(addition.inputs.iter().map(|&input| tail.inputs[input]));
            links.insert(0, link);
        }
        Some(Self { links, addition })
    }

    /// The last kernel becomes one for each range, all at its place, since what they read is computed before it.
    fn replace(&self, fused: &mut FusedGraph, runs: &[Run]) {
        let Some(last) = self.links.last().map(|link| link.kernel) else { return };
        let template = fused.kernels[last].clone();
        // Where the sums of all ranges but the last are stored.
        let stored: Vec<BufferId> = self.links.iter().map(|link| fused.kernels[link.kernel].outputs[0]).collect();
        let mut kernels: Vec<FusedKernel> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let mut kernel = template.clone();
            let size = fused.buffers[run.joined.0].ty.dtype.size();
            if let Head::Reduce { expression, inputs, borders, .. } = &mut kernel.head {
                *expression = flat(expression, run.start / size, (run.end - run.start) / size);
                *inputs = vec![run.joined];
                *borders = [0, 1];
            }
            if let Some(tail) = &mut kernel.tail {
                self.set_terms(tail, index.checked_sub(1).map(|before| stored[before]));
                if index + 1 < runs.len() {
                    let dtype = fused.buffers[stored[index].0].ty.dtype;
                    tail.expression.outputs = vec![(self.addition.root, dtype)];
                    kernel.outputs = vec![stored[index]];
                }
                tidy(tail);
            }
            kernels.push(kernel);
        }
        fused.fused_nodes += self.links.len() - runs.len();
        let removed: Vec<usize> = self.links.iter().map(|link| link.kernel).collect();
        let position = last + 1 - removed.len();
        let mut index = 0;
        fused.kernels.retain(|_| {
            index += 1;
            !removed.contains(&(index - 1))
        });
        fused.kernels.splice(position..position, kernels);
    }

    /// Makes the sum that of the accumulator and one other, or the accumulator alone.
    fn set_terms(&self, tail: &mut Tail, other: Option<BufferId>) {
        let Addition { root, accumulator, inputs } = &self.addition;
        let term = inputs.first().and_then(|input| {
            let is_it = |node: &ScalarNode| matches!(node, ScalarNode::Load { input: read, .. } if read == input);
            Some((*input, NodeId(tail.expression.nodes.iter().position(is_it)? as u32)))
        });
        tail.expression.nodes[root.index()] = match (other, term) {
            (Some(buffer), Some((input, load))) => {
                tail.inputs[input] = buffer;
                ScalarNode::Call { function: ScalarFunction::Add, arguments: vec![load, *accumulator] }
            }
            _ => ScalarNode::Accumulator(0),
        };
    }
}

/// Drops what no output needs any more, inputs among it.
fn tidy(tail: &mut Tail) {
    tail.expression = tail.expression.clone().pruned();
    for input in (0..tail.inputs.len()).rev() {
        if tail.expression.reads(input) {
            continue;
        }
        tail.inputs.remove(input);
        tail.expression.inputs.remove(input);
        for node in &mut tail.expression.nodes {
            if let ScalarNode::Load { input: read, .. } | ScalarNode::Gather { input: read, .. } = node
                && *read > input
            {
                *read -= 1;
            }
        }
    }
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

/// The parts as ranges without padding in between; none where a part is there twice.
fn runs(fused: &FusedGraph, links: &[Link]) -> Option<Vec<Run>> {
    let mut parts: Vec<&Link> = links.iter().collect();
    parts.sort_by_key(|link| (link.joined, link.start));
    let mut runs: Vec<Run> = Vec::new();
    for link in parts {
        let end = link.start + fused.buffers[link.part.0].ty.bytes();
        match runs.last_mut() {
            Some(run) if run.joined == link.joined && link.start < run.end => return None,
            Some(run) if run.joined == link.joined && link.start == run.end => run.end = end,
            _ => runs.push(Run { joined: link.joined, start: link.start, end }),
        }
    }
    Some(runs)
}
