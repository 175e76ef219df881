//! Updates of some rows of a variable, as what they are: `W − rate · G`, where the gradient G is zero but for the rows that a step has
//! picked, becomes an addition of scaled rows to W. Later passes then write those rows in place, and neither G nor W is walked as a whole.
//!
//! Several picks from one table, and several additions one after another, become one addition of all rows, in the order in which they
//! were. With rows that are picked more than once, a sum may differ from the dense form's in its last bits: there, the rows' sum is scaled,
//! and here each row is.

use super::row_sums::sorted;
use super::simplify::{constant_of, drop_unneeded, needed, users};
use crate::error::Origin;
use crate::graph::{GraphData, Node, ValueId};
use crate::ops::{Broadcast, Combine, Concat, Elementwise, Op, Reshape, Scatter, ScatterRows};
use crate::scalar::ScalarFunction as F;
use crate::tensor::{DType, Shape, TensorType};

/// Rows that are added at indices, after some functions of them.
#[derive(Clone, Debug)]
struct Term {
    axis: usize,
    index: ValueId,
    rows: ValueId,
    /// In order; a second operand is a single element.
    functions: Vec<(F, Option<ValueId>)>,
}

/// Rewrites the updates that touch some rows.
pub(super) fn join(mut data: GraphData) -> GraphData {
    let needed = needed(&data);
    let users = users(&data, &needed);
    let mut changed = false;
    for (variable, value) in data.assignments.clone() {
        let ty = data.ty(variable);
        // Others are widened, computed and rounded as a whole.
        if ty.dtype.compute() != ty.dtype || ty.is_empty() {
            continue;
        }
        changed |= descent(&mut data, &users, variable, value) || chain(&mut data, &users, variable, value);
    }
    if changed { drop_unneeded(sorted(data)) } else { data }
}

/// A variable plus or less a gradient of some rows.
fn descent(data: &mut GraphData, users: &[usize], variable: ValueId, value: ValueId) -> bool {
    let node = &data.nodes[value.node()];
    let (Op::Elementwise(Elementwise(function)), &[first, second]) = (&node.op, node.inputs.as_slice()) else {
        return false;
    };
    let is_difference = *function == F::Sub;
    let found = match function {
        F::Add | F::Sub if first == variable => terms(data, users, second),
        F::Add if second == variable => terms(data, users, first),
        _ => None,
    };
    let Some(mut found) = found else { return false };
    let axis = found[0].axis;
    let picked: usize = found.iter().map(|term| data.ty(term.index).len()).sum();
    // Where as many rows are picked as there are, going through all of them is no more work, and their sums take fewer operations.
    if found.iter().any(|term| term.axis != axis) || picked >= data.ty(variable).shape[axis] {
        return false;
    }
    if is_difference {
        found.iter_mut().for_each(|term| term.functions.push((F::Neg, None)));
    }
    let origin = node.origin;
    let parts: Vec<(ValueId, ValueId)> = found.iter().map(|term| (term.index, scaled(data, term, origin))).collect();
    let (index, rows) = concatenated(data, axis, &parts, origin);
    let node = &mut data.nodes[value.node()];
    node.op = Op::ScatterRows(ScatterRows { axis });
    node.inputs = vec![variable, index, rows];
    true
}

/// A value that is a sum of rows at indices, if nobody else wants any of it as a whole.
fn terms(data: &GraphData, users: &[usize], value: ValueId) -> Option<Vec<Term>> {
    let node = &data.nodes[value.node()];
    if users[value.node()] != 1 {
        return None;
    }
    match &node.op {
        Op::ScatterRows(ScatterRows { axis }) if constant_of(&data.nodes, node.inputs[0]) == Some(0.0) => {
            Some(vec![Term { axis: *axis, index: node.inputs[1], rows: node.inputs[2], functions: Vec::new() }])
        }
        Op::Elementwise(Elementwise(function)) => match (function, node.inputs.as_slice()) {
            (F::Neg, &[only]) => applied(terms(data, users, only)?, F::Neg, None),
            (F::Mul, &[first, second]) => match (single(data, first), single(data, second)) {
                (_, Some(factor)) => applied(terms(data, users, first)?, F::Mul, Some(factor)),
                (Some(factor), None) => applied(terms(data, users, second)?, F::Mul, Some(factor)),
                (None, None) => None,
            },
            (F::Div, &[first, second]) => {
                let divisor = single(data, second)?;
                applied(terms(data, users, first)?, F::Div, Some(divisor))
            }
            (F::Add | F::Sub, &[first, second]) => {
                let mut all = terms(data, users, first)?;
                let second = terms(data, users, second)?;
                all.extend(if *function == F::Sub { applied(second, F::Neg, None)? } else { second });
                Some(all)
            }
            _ => None,
        },
        _ => None,
    }
}

fn applied(mut terms: Vec<Term>, function: F, operand: Option<ValueId>) -> Option<Vec<Term>> {
    terms.iter_mut().for_each(|term| term.functions.push((function, operand)));
    Some(terms)
}

/// The single element that a value repeats.
fn single(data: &GraphData, value: ValueId) -> Option<ValueId> {
    let node = &data.nodes[value.node()];
    match &node.op {
        Op::Broadcast(_) if data.ty(node.inputs[0]).len() == 1 => Some(node.inputs[0]),
        Op::Broadcast(_) | Op::Reshape(_) => single(data, node.inputs[0]),
        _ => (data.ty(value).len() == 1).then_some(value),
    }
}

fn push(data: &mut GraphData, op: Op, inputs: Vec<ValueId>, dtype: DType, shape: &Shape, origin: Origin) -> ValueId {
    data.nodes.push(Node { op, inputs, outputs: vec![TensorType::new(dtype, shape)], origin });
    ValueId { node: data.nodes.len() as u32 - 1, output: 0 }
}

/// The rows of a term, with its functions applied.
fn scaled(data: &mut GraphData, term: &Term, origin: Origin) -> ValueId {
    let TensorType { dtype, shape } = data.ty(term.rows).clone();
    let mut rows = term.rows;
    for &(function, operand) in &term.functions {
        let mut inputs = vec![rows];
        if let Some(operand) = operand {
            // In the rows' rank: a single element may have more axes of extent 1 than they have.
            let scalar = Shape::from([]);
            let flat = push(data, Op::Reshape(Reshape(scalar.clone())), vec![operand], dtype, &scalar, origin);
            inputs.push(push(data, Op::Broadcast(Broadcast(shape.clone())), vec![flat], dtype, &shape, origin));
        }
        rows = push(data, Op::Elementwise(Elementwise(function)), inputs, dtype, &shape, origin);
    }
    rows
}

/// Indices and rows one after another.
fn concatenated(data: &mut GraphData, axis: usize, parts: &[(ValueId, ValueId)], origin: Origin) -> (ValueId, ValueId) {
    if let &[only] = parts {
        return only;
    }
    let (indices, rows): (Vec<ValueId>, Vec<ValueId>) = parts.iter().copied().unzip();
    let count: usize = indices.iter().map(|&index| data.ty(index).len()).sum();
    let TensorType { dtype, shape } = data.ty(rows[0]).clone();
    let mut dims = shape.to_vec();
    dims[axis] = count;
    let index = push(data, Op::Concat(Concat { axis: 0 }), indices, DType::I32, &Shape::from([count]), origin);
    let rows = push(data, Op::Concat(Concat { axis }), rows, dtype, &Shape::from(dims), origin);
    (index, rows)
}

/// Scatters into a variable, one after another: as one, so that none of them copies the variable.
fn chain(data: &mut GraphData, users: &[usize], variable: ValueId, value: ValueId) -> bool {
    let Some((axis, combine)) = slices(&data.nodes[value.node()].op) else { return false };
    let mut parts = Vec::new();
    let mut last = value;
    loop {
        let node = &data.nodes[last.node()];
        if slices(&node.op) != Some((axis, combine)) || (last != value && users[last.node()] != 1) {
            return false;
        }
        parts.push((node.inputs[1], node.inputs[2]));
        last = node.inputs[0];
        if last == variable {
            break;
        }
    }
    if parts.len() < 2 {
        return false;
    }
    parts.reverse();
    let origin = data.nodes[value.node()].origin;
    let (index, rows) = concatenated(data, axis, &parts, origin);
    data.nodes[value.node()].inputs = vec![variable, index, rows];
    true
}

/// The axis, and how values join, of an operator that joins whole slices.
const fn slices(op: &Op) -> Option<(usize, Combine)> {
    match op {
        Op::ScatterRows(ScatterRows { axis }) => Some((*axis, Combine::Sum)),
        Op::Scatter(Scatter { axis, rows: true, combine }) => Some((*axis, *combine)),
        _ => None,
    }
}
