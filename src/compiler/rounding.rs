//! Where a graph of mixed precision rounds. What a layer rounds to 16 bits is rounded for all that read it, so that no other copy lives; and
//! a product's result that is only used in f32 is not rounded on the way. Both look at the graph alone: a value is rounded at the same
//! places on every device, however nodes are fused.

use rustc_hash::FxHashMap;

use super::Target;
use super::row_sums::sorted;
use super::simplify::{needed, users};
use crate::graph::{GraphData, Node, ValueId};
use crate::ops::{Elementwise, Op, Pool, PoolKind};
use crate::scalar::ScalarFunction;
use crate::tensor::{DType, TensorType};

/// Lets all that reads a value which a layer rounds read it rounded. Not variables, inputs and constants: what updates a parameter reads all
/// of it.
///
/// A value that 16 bits hold exactly, as the larger of two rounded ones, counts as rounded where a routine reads it as it is stored.
pub(super) fn share(mut data: GraphData, target: &Target) -> GraphData {
    let needed = needed(&data);
    // For each value that a layer rounds, the first rounding.
    let mut rounded: FxHashMap<ValueId, u32> = FxHashMap::default();
    for index in (0..data.nodes.len()).filter(|&index| needed[index] && data.rounded.contains(&(index as u32))) {
        let node = &data.nodes[index];
        let [input] = node.inputs[..] else { continue };
        if is_half(node.outputs[0].dtype) && data.ty(input).dtype == DType::F32 && is_computed(&data, input) {
            rounded.entry(input).or_insert(index as u32);
        }
    }
    if rounded.is_empty() {
        return data;
    }
    for (value, dtype) in read_exactly(&data, &needed, target) {
        let outputs = vec![TensorType::new(dtype, data.ty(value).shape.clone())];
        let origin = data.nodes[value.node()].origin;
        let op = Op::Elementwise(Elementwise(ScalarFunction::Cast(dtype)));
        rounded.entry(value).or_insert_with(|| {
            data.nodes.push(Node { op, inputs: vec![value], outputs, origin });
            data.nodes.len() as u32 - 1
        });
    }
    let count = data.nodes.len();
    let widened: FxHashMap<ValueId, ValueId> = rounded
        .iter()
        .map(|(&value, &rounding)| (value, rounding))
        .collect::<std::collections::BTreeMap<_, _>>()
        .into_iter()
        .map(|(value, rounding)| {
            let outputs = vec![TensorType::new(DType::F32, data.ty(value).shape.clone())];
            let inputs = vec![ValueId { node: rounding, output: 0 }];
            let origin = data.nodes[rounding as usize].origin;
            let op = Op::Elementwise(Elementwise(ScalarFunction::Cast(DType::F32)));
            data.nodes.push(Node { op, inputs, outputs, origin });
            (value, ValueId { node: data.nodes.len() as u32 - 1, output: 0 })
        })
        .collect();
    for index in 0..count {
        for position in 0..data.nodes[index].inputs.len() {
            let input = data.nodes[index].inputs[position];
            if let Some(&wide) = widened.get(&input)
                && rounded[&input] != index as u32
            {
                data.nodes[index].inputs[position] = wide;
            }
        }
    }
    sorted(data)
}

/// Values of f32 that 16 bits hold, of which type, where a routine reads them as they are stored.
fn read_exactly(data: &GraphData, needed: &[bool], target: &Target) -> Vec<(ValueId, DType)> {
    let on_cpu = matches!(target, Target::Cpu);
    let mut exact: FxHashMap<ValueId, DType> = FxHashMap::default();
    let mut found: Vec<(ValueId, DType)> = Vec::new();
    for (index, node) in data.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
        let of = |position: usize| node.inputs.get(position).and_then(|input| exact.get(input)).copied();
        let dtype = match &node.op {
            Op::Elementwise(Elementwise(ScalarFunction::Cast(DType::F32))) => {
                Some(data.ty(node.inputs[0]).dtype).filter(|&dtype| is_half(dtype))
            }
            Op::Elementwise(Elementwise(ScalarFunction::Relu | ScalarFunction::Neg | ScalarFunction::Abs))
            | Op::Reshape(_)
            | Op::Permute(_)
            | Op::Slice(_)
            | Op::Pool(Pool { kind: PoolKind::Max, .. }) => of(0),
            Op::Elementwise(Elementwise(ScalarFunction::Maximum | ScalarFunction::Minimum)) => {
                of(0).filter(|&dtype| of(1) == Some(dtype))
            }
            _ => None,
        };
        if let Some(dtype) = dtype.filter(|_| node.outputs[0].dtype == DType::F32) {
            exact.insert(ValueId { node: index as u32, output: 0 }, dtype);
        }
        let Some(routine) = node.op.routine() else { continue };
        for (position, input) in node.inputs.iter().enumerate() {
            if let Some(&dtype) = exact.get(input)
                && routine.reads_stored(position, on_cpu)
                && !matches!(data.nodes[input.node()].op, Op::Elementwise(Elementwise(ScalarFunction::Cast(_))))
                && is_computed(data, *input)
            {
                found.push((*input, dtype));
            }
        }
    }
    found
}

fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// False for variables, inputs and constants, and views of them.
fn is_computed(data: &GraphData, value: ValueId) -> bool {
    let node = &data.nodes[value.node()];
    match node.op {
        Op::Variable(_) | Op::Input(..) | Op::Constant(_) | Op::Placeholder => false,
        Op::Reshape(_) | Op::Permute(_) | Op::Slice(_) | Op::Broadcast(_) | Op::StopGradient => {
            is_computed(data, node.inputs[0])
        }
        _ => true,
    }
}

/// Lets products of 16-bit operands whose results are only used in f32 give f32: kernels sum in it anyway. So what a layer adds to a
/// product is added before the one rounding of its result, and gradients of parameters are f32.
pub(super) fn round_once(mut data: GraphData) -> GraphData {
    let needed = needed(&data);
    let users = users(&data, &needed);
    for index in (0..data.nodes.len()).filter(|&index| needed[index]) {
        if !matches!(data.nodes[index].op, Op::Elementwise(Elementwise(ScalarFunction::Cast(DType::F32)))) {
            continue;
        }
        // From the widening down to the product, through what only moves its elements.
        let mut chain = vec![data.nodes[index].inputs[0].node()];
        while let Some(&last) = chain.last()
            && users[last] == 1
            && matches!(data.nodes[last].op, Op::Reshape(_) | Op::Permute(_) | Op::Slice(_))
        {
            chain.push(data.nodes[last].inputs[0].node());
        }
        let Some(&product) = chain.last() else { continue };
        let node = &data.nodes[product];
        let is_half = is_half(node.outputs[0].dtype);
        if users[product] == 1 && is_half && matches!(node.op, Op::Matmul(_) | Op::Convolution(_)) {
            for node in chain {
                data.nodes[node].outputs[0].dtype = DType::F32;
            }
        }
    }
    data
}

/// Lets routines that can store 16 bits ([`Routine::stores_half`](crate::graph::Routine::stores_half)) store what all readers have rounded.
pub(super) fn store_rounded(mut data: GraphData, target: &Target) -> GraphData {
    let needed = needed(&data);
    // For each value, the type that all its readers round it to; none where some read all of it.
    let mut rounded: FxHashMap<ValueId, Option<DType>> = FxHashMap::default();
    for (_, node) in data.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
        for &input in &node.inputs {
            let narrow = match node.op {
                Op::Elementwise(Elementwise(ScalarFunction::Cast(dtype))) if is_half(dtype) => Some(dtype),
                _ => None,
            };
            rounded.entry(input).and_modify(|known| *known = known.filter(|_| *known == narrow)).or_insert(narrow);
        }
    }
    let read_whole = data.outputs.iter().map(|(_, value)| value).chain(data.assignments.iter().map(|(_, value)| value));
    rounded.extend(read_whole.map(|&value| (value, None)));
    let on_cpu = matches!(target, Target::Cpu);
    for (index, node) in data.nodes.iter_mut().enumerate().filter(|(index, _)| needed[*index]) {
        let Some(routine) = node.op.routine() else { continue };
        let outputs = routine.stores_half(&node.outputs, on_cpu);
        let mut used =
            outputs.iter().filter_map(|&output| rounded.get(&ValueId { node: index as u32, output: output as u32 }));
        // Those that nothing reads are of the others' type.
        let Some(&Some(dtype)) = used.next() else { continue };
        if used.all(|&other| other == Some(dtype)) {
            for &output in outputs {
                if node.outputs[output].dtype == DType::F32 {
                    node.outputs[output].dtype = dtype;
                }
            }
        }
    }
    data
}
