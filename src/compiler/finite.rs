//! Finds where the first NaN or infinity arose, for those who ask ([`Options::watch_non_finite`](super::Options)). Beside each value of
//! floats, the program computes how far from finite it is: 0 where all of it is finite, 1 with infinities, 2 with NaN. A node of which that
//! is more than of any of its inputs is where it arose, and the first such node is told by a hidden output, which the session reads with
//! the others. Infinities that the user put in, as masks have them, are none that arose.

use std::sync::Arc;

use super::simplify::needed;
use crate::error::{Origin, Result};
use crate::graph::{Graph, GraphData, Tensor, ValueId};
use crate::ops::Op;
use crate::scalar::Reduction;
use crate::tensor::DType;

/// The hidden output: 0, or a number that is the larger the earlier the node is, see [`Watched::first`].
pub(crate) const NON_FINITE: &str = "@non_finite";

/// The nodes that are watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Their names for people, and their origins.
    nodes: Arc<[(String, Origin)]>,
    /// What codes are counted down from.
    count: usize,
}

impl Watched {
    /// What the hidden output says: where the first NaN (else infinity) arose, if there is one.
    pub(crate) fn first(&self, code: i32) -> Option<(&str, Origin, bool)> {
        let code = usize::try_from(code).ok().filter(|&code| code > 0)?;
        let (name, origin) = self.nodes.get(self.count.checked_sub(code / 2)?)?;
        Some((name, *origin, code % 2 == 1))
    }
}

/// Adds the hidden output. Gives the nodes by their numbers.
///
/// # Errors
/// None but mistakes made here.
pub(super) fn watch(data: GraphData) -> Result<(GraphData, Watched)> {
    let needed = needed(&data);
    let count = data.nodes.len();
    let outer = data.origin;
    let graph = Graph::of(data);
    // Of each node's outputs, how far from finite they are.
    let mut levels: Vec<Option<Tensor>> = vec![None; count];
    let mut watched: Vec<(String, Origin)> = Vec::new();
    let mut arisen: Vec<Tensor> = Vec::new();
    for index in 0..count {
        let (op, inputs, outputs, origin) = {
            let mut data = graph.data();
            let node = data.nodes[index].clone();
            data.origin = Some(node.origin);
            (node.op, node.inputs, node.outputs, node.origin)
        };
        if !needed[index] {
            continue;
        }
        let before = inputs.iter().filter_map(|input| levels[input.node()].clone()).reduce(|a, b| a.maximum(&b));
        // What only moves elements has nothing that its input has not.
        if matches!(op, Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) | Op::StopGradient) {
            levels[index] = before;
            continue;
        }
        let floats = outputs.iter().enumerate().filter(|(_, ty)| ty.dtype.is_float() && !ty.is_empty());
        let level = floats.map(|(output, _)| {
            let value = Tensor::new(graph.clone(), ValueId { node: index as u32, output: output as u32 });
            let axes: Vec<usize> = (0..value.rank()).collect();
            let infinite = value.is_inf().select(graph.scalar(DType::I32, 1.0), 0);
            value.is_nan().select(graph.scalar(DType::I32, 2.0), &infinite).reduce_axes(Reduction::Max, &axes)
        });
        let Some(level) = level.reduce(|a, b| a.maximum(&b)) else { continue };
        levels[index] = Some(level.clone());
        let (name, limit) = match &op {
            Op::Constant(_) => continue,
            // Infinities that were put in are meant.
            Op::Input(name, _) => (format!("input {name:?}"), graph.scalar(DType::I32, 1.0)),
            Op::Variable(variable) => (format!("variable {:?}", variable.name), graph.scalar(DType::I32, 1.0)),
            op => (op.operator().name(), before.unwrap_or_else(|| graph.scalar(DType::I32, 0.0))),
        };
        let is_nan = level.ge(2).select(graph.scalar(DType::I32, 1.0), 0);
        let code = &is_nan + 2.0 * (count - watched.len()) as f64;
        arisen.push(level.gt(&limit).select(&code, 0));
        watched.push((name, origin));
    }
    if let Some(first) = arisen.into_iter().reduce(|a, b| a.maximum(&b)) {
        graph.output(NON_FINITE, &first);
    }
    graph.data().origin = outer;
    Ok((graph.snapshot()?, Watched { nodes: watched.into(), count }))
}
