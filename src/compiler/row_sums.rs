//! A bias's gradient from the product that makes its weight's: where a sum over the rows of a product's left operand is wanted, the product
//! returns it as a second result, since it reads those rows anyway. Saves a kernel, and a pass over the operand.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use crate::graph::{GraphData, Node, ValueId};
use crate::ops::{Matmul, Op, Reduce, Reshape};
use crate::scalar::{Affine, Reduction};
use crate::tensor::TensorType;

/// A set of rows within a value: where its elements are, by rows and along them, with extents of 1 dropped and neighbours joined.
#[derive(Clone, Debug, PartialEq)]
struct Rows {
    value: ValueId,
    offset: i64,
    across: Vec<(usize, i64)>,
    along: Vec<(usize, i64)>,
}

/// Replaces sums that products can compute.
pub(super) fn absorb(mut data: GraphData) -> GraphData {
    let products: Vec<(usize, Rows)> = (0..data.nodes.len())
        .filter_map(|index| {
            let node = &data.nodes[index];
            let plain = matches!(&node.op, Op::Matmul(matmul) if !matmul.row_sums) && !node.outputs[0].is_empty();
            (plain && data.ty(node.inputs[0]).shape.rank() == 2)
                .then(|| Some((index, rows(&data, node.inputs[0], &[1])?)))?
        })
        .collect();
    let mut taken: Vec<(usize, usize)> = Vec::new();
    for index in 0..data.nodes.len() {
        let node = &data.nodes[index];
        let Op::Reduce(Reduce { reduction: Reduction::Sum, axes, .. }) = &node.op else { continue };
        let Some(wanted) = rows(&data, node.inputs[0], axes) else { continue };
        // Each product computes one sum, so that two parameters with equal gradients have one each.
        let product = products
            .iter()
            .filter(|(product, found)| {
                *found == wanted
                    && data.nodes[*product].outputs[0].dtype == node.outputs[0].dtype
                    && !needs(&data, *product, index)
            })
            .map(|(product, _)| *product)
            .min_by_key(|product| taken.iter().filter(|(_, other)| other == product).count());
        if let Some(product) = product {
            taken.push((index, product));
        }
    }
    if taken.is_empty() {
        return data;
    }
    for (sum, product) in taken {
        let lhs = data.ty(data.nodes[product].inputs[0]).clone();
        let node = &mut data.nodes[product];
        node.op = Op::Matmul(Matmul { row_sums: true });
        if node.outputs.len() == 1 {
            node.outputs.push(TensorType::new(lhs.dtype, [lhs.shape[0]]));
        }
        let shape = data.nodes[sum].outputs[0].shape.clone();
        data.nodes[sum].op = Op::Reshape(Reshape(shape));
        data.nodes[sum].inputs = vec![ValueId { node: product as u32, output: 1 }];
    }
    sorted(data)
}

/// The rows that remain when a value is added up along some axes.
fn rows(data: &GraphData, value: ValueId, axes: &[usize]) -> Option<Rows> {
    let (source, at) = view(data, value);
    let dims = data.ty(value).shape.dims();
    if !data.ty(value).dtype.is_float() || dims.contains(&0) {
        return None;
    }
    let joined = |along: bool| {
        let mut steps: Vec<(usize, i64)> = Vec::new();
        for axis in (0..dims.len()).filter(|axis| axes.contains(axis) == along && dims[*axis] > 1) {
            let (extent, stride) = (dims[axis], at.strides[axis]);
            match steps.last_mut() {
                Some(outer) if outer.1 == stride * extent as i64 => *outer = (outer.0 * extent, stride),
                _ => steps.push((extent, stride)),
            }
        }
        steps
    };
    Some(Rows { value: source, offset: at.offset, across: joined(false), along: joined(true) })
}

/// What a value is a view of, and where its elements are there.
fn view(data: &GraphData, value: ValueId) -> (ValueId, Affine) {
    let node = &data.nodes[value.node()];
    let dims = data.ty(value).shape.dims();
    let whole = (value, Affine::row_major(dims));
    let Some(&input) = node.inputs.first() else { return whole };
    match &node.op {
        Op::Reshape(_) => {
            let (source, at) = view(data, input);
            at.reshaped(data.ty(input).shape.dims(), dims).map_or(whole, |at| (source, at))
        }
        Op::Permute(permute) => {
            let (source, at) = view(data, input);
            let strides = permute.0.iter().map(|&axis| at.strides[axis]).collect();
            (source, Affine { strides, ..at })
        }
        Op::Slice(slice) => {
            let (source, mut at) = view(data, input);
            at.offset = at.at(&slice.starts);
            at.strides.iter_mut().zip(&slice.steps).for_each(|(stride, &step)| *stride *= step as i64);
            (source, at)
        }
        _ => whole,
    }
}

/// True where a node needs what another computes, in however many steps.
fn needs(data: &GraphData, node: usize, other: usize) -> bool {
    let mut waiting = vec![node];
    let mut visited = FxHashSet::default();
    while let Some(node) = waiting.pop() {
        if node == other {
            return true;
        }
        // Inputs come before their users: what comes before the other cannot need it.
        let inputs = data.nodes[node].inputs.iter().map(|input| input.node());
        waiting.extend(inputs.filter(|&input| input >= other && visited.insert(input)));
    }
    false
}

/// The same nodes, each after what it needs; else in the order in which they were.
pub(super) fn sorted(data: GraphData) -> GraphData {
    let count = data.nodes.len();
    let mut users: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
    let mut missing = vec![0; count];
    for (index, node) in data.nodes.iter().enumerate() {
        let inputs: BTreeSet<usize> = node.inputs.iter().map(|input| input.node()).collect();
        missing[index] = inputs.len();
        inputs.into_iter().for_each(|input| {
            users[input].insert(index);
        });
    }
    let mut ready: BTreeSet<usize> = (0..count).filter(|&index| missing[index] == 0).collect();
    let mut order = Vec::with_capacity(count);
    let mut positions = vec![0_u32; count];
    while let Some(index) = ready.pop_first() {
        positions[index] = order.len() as u32;
        order.push(index);
        for &user in &users[index] {
            missing[user] -= 1;
            if missing[user] == 0 {
                ready.insert(user);
            }
        }
    }
    let moved = |id: ValueId| ValueId { node: positions[id.node()], output: id.output };
    let mut nodes: Vec<Option<Node>> = data.nodes.into_iter().map(Some).collect();
    let nodes = order
        .into_iter()
        .filter_map(|index| nodes[index].take())
        .map(|mut node| {
            node.inputs.iter_mut().for_each(|input| *input = moved(*input));
            node
        })
        .collect();
    GraphData {
        nodes,
        outputs: data.outputs.into_iter().map(|(name, id)| (name, moved(id))).collect(),
        assignments: data.assignments.into_iter().map(|(a, b)| (moved(a), moved(b))).collect(),
        host_scalars: data.host_scalars,
        ..GraphData::default()
    }
}
