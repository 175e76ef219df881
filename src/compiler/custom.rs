//! Operators from other crates, before anything is compiled: where a device has no form of one, its decomposition takes its place, and
//! what wgrad's own operators are known to keep is checked of these.

use rustc_hash::FxHashMap;

use super::simplify::needed;
use super::{Options, Target};
use crate::error::{Error, Result};
use crate::graph::{GpuRoutine, Graph, GraphData, Kind, Node, Tensor, ValueId, expressed, wrong_decomposition};
use crate::ops::Op;
use crate::scalar::Affine;
use crate::shader::{Adapter, KernelPlan, Operand, RoutineShapes};
use crate::tensor::{DType, TensorType};

/// Storage buffers that every device allows: two values and their result, and one more.
const FEWEST_BINDINGS: usize = 4;

/// Decompositions within decompositions; beyond this, one contains itself.
const MOST_NESTED: usize = 8;

/// A graph whose custom operators all have a form for the target.
///
/// # Errors
/// An operator that has neither that form nor a decomposition, by its name and the user's line.
pub(super) fn settle(data: GraphData, target: &Target, options: Options) -> Result<GraphData> {
    replace(data, &|data, node| {
        let wanted = options.decompose && matches!(node.op, Op::Custom(_)) && can_decompose(data, node);
        obstacle(data, node, target).or_else(|| wanted.then(String::new))
    })
}

/// A graph without some operators: each is its decomposition.
///
/// # Errors
/// An operator that has none; then `why` says what it would be good for.
#[cfg(feature = "onnx")]
pub(crate) fn without(data: GraphData, why: &str, is_unwanted: impl Fn(&Op) -> bool) -> Result<GraphData> {
    replace(data, &|_, node| is_unwanted(&node.op).then(|| why.to_owned()))
}

/// Why an operator cannot stay; nothing where it can.
type Obstacle<'a> = &'a dyn Fn(&GraphData, &Node) -> Option<String>;

/// The graph in which decompositions, and theirs, replace the operators that cannot stay.
fn replace(mut data: GraphData, obstacle: Obstacle<'_>) -> Result<GraphData> {
    for _ in 0..MOST_NESTED {
        let needed = needed(&data);
        let found = data.nodes.iter().zip(needed);
        let obstacles: Vec<Option<String>> =
            found.map(|(node, needed)| if needed { obstacle(&data, node) } else { None }).collect();
        if obstacles.iter().all(Option::is_none) {
            return Ok(data);
        }
        data = decompose(data, obstacles)?;
    }
    let needed = needed(&data);
    let message =
        format!("decompositions contain each other more than {MOST_NESTED} deep; does this one contain itself?");
    let left = data.nodes.iter().zip(needed).find(|(node, needed)| *needed && obstacle(&data, node).is_some());
    match left {
        Some((node, _)) => Err(Error::graph(node.op.operator().name(), message, node.origin)),
        None => Ok(data),
    }
}

/// Why an operator itself cannot run on a target; nothing where it can.
fn obstacle(data: &GraphData, node: &Node, target: &Target) -> Option<String> {
    let routine = node.op.routine();
    match target {
        Target::Cpu => routine.filter(|routine| routine.cpu.is_none()).map(|_| "it has no CPU form".to_owned()),
        Target::Gpu(adapter) => {
            if let Some(routine) = routine {
                let Some(gpu) = routine.gpu else { return Some("it has no GPU kernel".to_owned()) };
                let types: Vec<&TensorType> = node.inputs.iter().map(|&input| data.ty(input)).collect();
                if let Some(obstacle) = gpu.obstacle(&types, adapter).or_else(|| unbound(gpu, &types, node, adapter)) {
                    return Some(obstacle);
                }
            } else if let Kind::Expression(_) = node.op.operator().kind() {
                let (needed, allowed) = (node.inputs.len() + 1, target.bindings());
                if needed > allowed.max(FEWEST_BINDINGS) && can_decompose(data, node) {
                    return Some(too_few_buffers(allowed, needed));
                }
            }
            let Op::Custom(operator) = &node.op else { return None };
            let types = node.inputs.iter().map(|&input| data.ty(input)).chain(&node.outputs);
            let is_wide = types.into_iter().any(|ty| ty.dtype == DType::I64) && !operator.fits_i32();
            is_wide.then(|| {
                "a GPU computes its i64 in i32, and it does not say that they fit (`CustomOperator::fits_i32`)"
                    .to_owned()
            })
        }
    }
}

/// Why none of a routine's kernels can be bound on a device that allows fewer storage buffers than WebGPU guarantees; nothing where one can.
fn unbound(gpu: &dyn GpuRoutine, types: &[&TensorType], node: &Node, adapter: &Adapter) -> Option<String> {
    let allowed = adapter.limits.storage_buffers;
    if allowed >= Adapter::default().limits.storage_buffers {
        return None;
    }
    let operand = |ty: &&TensorType| Operand { ty: (*ty).clone(), at: Affine::row_major(&ty.shape) };
    let inputs: Vec<Operand> = types.iter().map(operand).collect();
    let shapes = RoutineShapes { inputs: &inputs, outputs: &node.outputs, epilogue: None };
    // What the kernels say of these types is told when they are chosen.
    let plans = gpu.kernels(&shapes, adapter).ok()?;
    let needed = plans.iter().map(KernelPlan::bindings).min()?;
    (needed > allowed).then(|| too_few_buffers(allowed, needed))
}

fn too_few_buffers(allowed: usize, needed: usize) -> String {
    format!("it has no kernel of {allowed} buffers, as the device allows, but one of {needed}")
}

/// Whether a decomposition is there. It is built in a graph of its own, which is dropped.
fn can_decompose(data: &GraphData, node: &Node) -> bool {
    let graph = Graph::of(GraphData { nodes: data.nodes.clone(), ..GraphData::default() });
    let inputs: Vec<Tensor> = node.inputs.iter().map(|&id| Tensor::new(graph.clone(), id)).collect();
    node.op.decomposition(&inputs, &node.outputs).is_some()
}

/// The graph in which some nodes are replaced by their decompositions.
fn decompose(mut data: GraphData, obstacles: Vec<Option<String>>) -> Result<GraphData> {
    let outer = data.origin;
    let old = std::mem::take(&mut data.nodes);
    let (outputs, assignments) = (std::mem::take(&mut data.outputs), std::mem::take(&mut data.assignments));
    // Names come back with their nodes, so that a decomposition finds the variables that are there.
    let mut names: FxHashMap<usize, Vec<(String, ValueId)>> = FxHashMap::default();
    for (name, id) in std::mem::take(&mut data.names) {
        names.entry(id.node()).or_default().push((name, id));
    }
    let graph = Graph::of(data);
    let mut new_ids: Vec<Vec<ValueId>> = Vec::with_capacity(old.len());
    let moved = |new_ids: &[Vec<ValueId>], id: ValueId| new_ids[id.node()][id.output as usize];
    for (number, (node, obstacle)) in old.into_iter().zip(obstacles).enumerate() {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|&id| moved(&new_ids, id)).collect();
        let Some(obstacle) = obstacle else {
            let mut data = graph.data();
            let index = data.nodes.len() as u32;
            new_ids.push((0..node.outputs.len() as u32).map(|output| ValueId { node: index, output }).collect());
            data.nodes.push(Node { inputs, ..node });
            let named = names.remove(&number).into_iter().flatten();
            data.names.extend(named.map(|(name, id)| (name, moved(&new_ids, id))));
            continue;
        };
        let name = node.op.operator().name();
        let wrong = |message: String| Error::graph(name.clone(), message, node.origin);
        let inputs: Vec<Tensor> = inputs.into_iter().map(|id| Tensor::new(graph.clone(), id)).collect();
        let found = graph.at(node.origin, || node.op.decomposition(&inputs, &node.outputs));
        let Some(found) = found else {
            return Err(wrong(format!("{obstacle}, and no decomposition that could take its place")));
        };
        if let Some(error) = graph.error() {
            return Err(wrong(format!("its decomposition: {error}")));
        }
        if found.iter().any(|tensor| !tensor.graph().is_same(&graph)) {
            return Err(wrong("its decomposition belongs to another graph".into()));
        }
        if let Some(message) = wrong_decomposition(&found, &node.outputs) {
            return Err(wrong(message));
        }
        new_ids.push(found.iter().map(Tensor::id).collect());
    }
    let mut data = graph.snapshot()?;
    data.origin = outer;
    data.outputs = outputs.into_iter().map(|(name, id)| (name, moved(&new_ids, id))).collect();
    data.assignments = assignments.into_iter().map(|(a, b)| (moved(&new_ids, a), moved(&new_ids, b))).collect();
    Ok(data)
}

/// Checks the expressions of custom operators, with the types that they have on the target.
///
/// # Errors
/// What does not fit, by the operator's name and the user's line.
pub(super) fn check(data: &GraphData, target: &Target) -> Result<()> {
    for node in &data.nodes {
        let Op::Custom(operator) = &node.op else { continue };
        let Kind::Expression(expression) = operator.kind() else { continue };
        let types: Vec<&TensorType> = node.inputs.iter().map(|&input| data.ty(input)).collect();
        let wrong = |message: String| Error::graph(operator.name(), message, node.origin);
        let [output] = node.outputs.as_slice() else { return Err(wrong("an expression has one output".into())) };
        let found = expressed(expression, &types, output).map_err(wrong)?;
        let wide = found.types.iter().find(|dtype| dtype.narrowed() != **dtype);
        if let (Target::Gpu(_), Some(dtype)) = (target, wide) {
            let message = format!(
                "its expression computes in {dtype}, which a GPU has not; use the types of its inputs and output"
            );
            return Err(wrong(message));
        }
    }
    Ok(())
}
