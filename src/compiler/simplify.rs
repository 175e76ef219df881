//! Simplification of the graph: what nobody needs goes, equal nodes become one, neutral operations vanish.
//!
//! Constants inside expressions are folded later, when expressions are built; here are only rules that remove nodes.

use rustc_hash::FxHashMap;

use crate::graph::{GraphData, Node, ValueId};
use crate::ops::{Elementwise, Identity, Op, Permute, Reshape, Slice};
use crate::scalar::ScalarFunction as F;
use crate::tensor::{DType, TensorType};

/// The nodes so far, by what they compute: a product may give f32 of 16-bit operands.
type Known = FxHashMap<(Identity, Vec<ValueId>, DType), u32>;

/// A graph of the nodes that outputs and assignments need, in topological order.
pub(super) fn simplify(data: GraphData) -> GraphData {
    let mut new_nodes: Vec<Node> = Vec::new();
    let mut new_ids: FxHashMap<ValueId, ValueId> = FxHashMap::default();
    let mut known = Known::default();
    let needed = needed(&data);
    let users = users(&data, &needed);
    for (index, node) in data.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
        let lone = node.inputs.first().is_some_and(|input| users[input.node()] == 1);
        let mut node = node.clone();
        node.inputs.iter_mut().for_each(|input| *input = new_ids[input]);
        let old = |output: usize| ValueId { node: index as u32, output: output as u32 };
        if let Some(same) = neutral(&new_nodes, &mut node) {
            new_ids.insert(old(0), same);
            continue;
        }
        if lone {
            fold_transpose(&mut new_nodes, &mut known, &mut node);
        }
        let key = node.op.identity().map(|identity| (identity, node.inputs.clone(), node.outputs[0].dtype));
        let new_index = key.as_ref().and_then(|key| known.get(key).copied()).unwrap_or_else(|| {
            let next = new_nodes.len() as u32;
            if let Some(key) = key {
                known.insert(key, next);
            }
            new_nodes.push(node.clone());
            next
        });
        for output in 0..node.outputs.len() {
            new_ids.insert(old(output), ValueId { node: new_index, output: output as u32 });
        }
    }
    let mut result = GraphData { nodes: new_nodes, ..GraphData::default() };
    result.outputs = data.outputs.iter().map(|(name, id)| (name.clone(), new_ids[id])).collect();
    result.assignments = data.assignments.iter().map(|(variable, value)| (new_ids[variable], new_ids[value])).collect();
    result.host_scalars = data.host_scalars;
    // A rule may have left nodes without users (the inner of two reshapes).
    drop_unneeded(result)
}

/// Which nodes an output or an assignment needs.
pub(super) fn needed(data: &GraphData) -> Vec<bool> {
    let mut needed = vec![false; data.nodes.len()];
    data.outputs.iter().for_each(|(_, id)| needed[id.node()] = true);
    for (variable, value) in &data.assignments {
        needed[variable.node()] = true;
        needed[value.node()] = true;
    }
    for index in (0..needed.len()).rev() {
        if needed[index] {
            data.nodes[index].inputs.iter().for_each(|input| needed[input.node()] = true);
        }
    }
    needed
}

/// How many needed nodes, outputs and assignments read each node.
pub(super) fn users(data: &GraphData, needed: &[bool]) -> Vec<usize> {
    let mut users = vec![0; data.nodes.len()];
    for (node, _) in data.nodes.iter().zip(needed).filter(|(_, needed)| **needed) {
        node.inputs.iter().for_each(|input| users[input.node()] += 1);
    }
    data.outputs.iter().for_each(|(_, id)| users[id.node()] += 1);
    data.assignments.iter().for_each(|(_, value)| users[value.node()] += 1);
    users
}

pub(super) fn drop_unneeded(data: GraphData) -> GraphData {
    let needed = needed(&data);
    let mut positions = vec![0_u32; data.nodes.len()];
    let mut nodes = Vec::new();
    let moved = |positions: &[u32], id: ValueId| ValueId { node: positions[id.node()], output: id.output };
    for (index, mut node) in data.nodes.into_iter().enumerate().filter(|(index, _)| needed[*index]) {
        node.inputs.iter_mut().for_each(|input| *input = moved(&positions, *input));
        positions[index] = nodes.len() as u32;
        nodes.push(node);
    }
    GraphData {
        nodes,
        outputs: data.outputs.into_iter().map(|(name, id)| (name, moved(&positions, id))).collect(),
        assignments: data.assignments.into_iter().map(|(a, b)| (moved(&positions, a), moved(&positions, b))).collect(),
        host_scalars: data.host_scalars,
        ..GraphData::default()
    }
}

/// A transposed product is the product of the transposed factors in the other order, and those are views that cost
/// nothing. Only where nobody else uses the product as it was.
fn fold_transpose(new_nodes: &mut Vec<Node>, known: &mut Known, node: &mut Node) {
    let Op::Permute(permute) = &node.op else { return };
    let product = &new_nodes[node.inputs[0].node()];
    let rank = permute.0.len();
    if !matches!(product.op, Op::Matmul(_)) || rank < 2 {
        return;
    }
    let mut swap: Vec<usize> = (0..rank).collect();
    swap.swap(rank - 2, rank - 1);
    if permute.0 != swap {
        return;
    }
    let factors: Vec<ValueId> = product.inputs.iter().rev().copied().collect();
    let origin = product.origin;
    node.op = product.op.clone();
    node.inputs = factors
        .into_iter()
        .map(|factor| {
            let ty = &new_nodes[factor.node()].outputs[factor.output as usize];
            let dims: Vec<usize> = swap.iter().map(|&axis| ty.shape[axis]).collect();
            let outputs = vec![TensorType::new(ty.dtype, dims)];
            let permute = Permute(swap.clone());
            let key = (Identity::Permute(permute.clone()), vec![factor], ty.dtype);
            let count = new_nodes.len() as u32;
            let node = *known.entry(key).or_insert(count);
            if node == count {
                new_nodes.push(Node { op: Op::Permute(permute), inputs: vec![factor], outputs, origin });
            }
            ValueId { node, output: 0 }
        })
        .collect();
}

/// The scalar that every element equals, if the value is a constant.
pub(super) fn constant_of(nodes: &[Node], id: ValueId) -> Option<f64> {
    let node = &nodes[id.node()];
    match &node.op {
        Op::Constant(data) if data.len() == 1 => data.item().ok(),
        Op::Broadcast(_) | Op::Reshape(_) => constant_of(nodes, node.inputs[0]),
        _ => None,
    }
}

/// A slice of joined tensors that is within one of them, as a slice of that one.
fn slice_of_part(nodes: &[Node], slice: &Slice, joined: ValueId) -> Option<(Slice, ValueId)> {
    let Op::Concat(concat) = &nodes[joined.node()].op else { return None };
    let axis = concat.axis;
    let (start, length) = (slice.starts[axis], slice.lengths[axis]);
    let last = start as i128 + (length as i128 - 1) * slice.steps[axis] as i128;
    let range = last.min(start as i128)..=last.max(start as i128);
    let mut first = 0;
    for &part in &nodes[joined.node()].inputs {
        let extent = nodes[part.node()].outputs[part.output as usize].shape[axis];
        if length > 0 && *range.start() >= first as i128 && *range.end() < (first + extent) as i128 {
            let mut slice = slice.clone();
            slice.starts[axis] -= first;
            return Some((slice, part));
        }
        first += extent;
    }
    None
}

/// The value that a node equals without computing anything. May also rewrite the node in place.
fn neutral(nodes: &[Node], node: &mut Node) -> Option<ValueId> {
    let same_type = |id: ValueId| nodes[id.node()].outputs[id.output as usize] == node.outputs[0];
    match &node.op {
        // Casts between types that are one on the target.
        Op::Elementwise(Elementwise(F::Cast(_))) if same_type(node.inputs[0]) => Some(node.inputs[0]),
        // What was widened, and is rounded to what it was.
        Op::Elementwise(Elementwise(F::Cast(_))) => {
            let wide = &nodes[node.inputs[0].node()];
            let widens = matches!(wide.op, Op::Elementwise(Elementwise(F::Cast(DType::F32))));
            let narrow = wide.inputs.first().copied().filter(|_| widens)?;
            let is_half = matches!(node.outputs[0].dtype, DType::F16 | DType::BF16);
            (is_half && same_type(narrow)).then_some(narrow)
        }
        Op::Elementwise(_) => {
            let (first, second) = (*node.inputs.first()?, *node.inputs.get(1)?);
            let constant = |id: ValueId| constant_of(nodes, id);
            let operand = match node.op.function()? {
                F::Mul if constant(first) == Some(1.0) => second,
                F::Mul | F::Div if constant(second) == Some(1.0) => first,
                F::Add if constant(first) == Some(0.0) => second,
                F::Add | F::Sub if constant(second) == Some(0.0) => first,
                _ => return None,
            };
            same_type(operand).then_some(operand)
        }
        Op::StopGradient => Some(node.inputs[0]),
        Op::Slice(slice) => {
            let (slice, part) = slice_of_part(nodes, slice, node.inputs[0])?;
            let whole = slice.starts.iter().all(|&start| start == 0) && slice.steps.iter().all(|&step| step == 1);
            node.op = Op::Slice(slice);
            node.inputs = vec![part];
            (whole && nodes[part.node()].outputs[part.output as usize] == node.outputs[0]).then_some(part)
        }
        Op::Reshape(_) => {
            let source = &nodes[node.inputs[0].node()];
            if let Op::Reshape(_) = source.op {
                node.inputs = source.inputs.clone();
            }
            let input = node.inputs[0];
            if nodes[input.node()].outputs[input.output as usize] == node.outputs[0] {
                return Some(input);
            }
            node.op = Op::Reshape(Reshape(node.outputs[0].shape.clone()));
            None
        }
        _ => None,
    }
}
