//! Expressions that are different in parts of their domain: tensors side by side, borders. Where the parts are ranges along an axis, each is
//! an expression of its own, without the conditions and with plain loads.

use super::affine::Affine;
use super::builder::Builder;
use super::expression::{NodeId, ScalarExpr, ScalarNode};
use super::function::ScalarFunction as F;
use crate::tensor::DType;

/// Parts of a domain at most, and the fewest points of each on average.
const MOST: usize = 8;
const FEWEST: usize = 32;

/// Extents along which conditions are tried one by one.
const LONGEST: usize = 1 << 16;

/// A range along an axis.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Over the same domain, but for the extent of the axis.
    pub(crate) expression: ScalarExpr,
}

/// The parts of an expression along an axis; `None` where it is the same everywhere, or there would be too many.
pub(crate) fn segments(expression: &ScalarExpr) -> Option<(usize, Vec<Segment>)> {
    let axes = 0..expression.dims.len();
    axes.rev().find_map(|axis| Some((axis, along(expression, axis)?)))
}

fn along(expression: &ScalarExpr, axis: usize) -> Option<Vec<Segment>> {
    let extent = expression.dims[axis];
    let conditions: Vec<(usize, Condition)> = (0..expression.nodes.len())
        .filter_map(|index| Some((index, Condition::of(expression, index, axis)?)))
        .collect();
    if conditions.is_empty() || extent > LONGEST {
        return None;
    }
    let mut starts = vec![0];
    for at in 1..extent {
        if conditions.iter().any(|(_, condition)| condition.holds(at) != condition.holds(at - 1)) {
            starts.push(at);
        }
        if starts.len() > MOST {
            return None;
        }
    }
    let points: usize = expression.dims[axis..].iter().product();
    if points < FEWEST * starts.len() {
        return None;
    }
    let ends = starts.iter().skip(1).copied().chain([extent]);
    let segment = |(first, end): (usize, usize)| Segment {
        first,
        count: end - first,
        expression: part(expression, axis, first, end - first, &conditions),
    };
    Some(starts.iter().copied().zip(ends).map(segment).collect())
}

/// A comparison of the coordinate along an axis, times a factor and moved, with a constant.
struct Condition {
    function: F,
    stride: i64,
    offset: i64,
    constant: i64,
    is_reversed: bool,
}

impl Condition {
    fn of(expression: &ScalarExpr, index: usize, axis: usize) -> Option<Self> {
        let ScalarNode::Call { function, arguments } = &expression.nodes[index] else { return None };
        let comparisons = [F::Equal, F::NotEqual, F::Less, F::LessEqual, F::Greater, F::GreaterEqual];
        let &[a, b] = arguments.as_slice() else { return None };
        if !comparisons.contains(function) {
            return None;
        }
        let [a, b] = [a, b].map(|id| &expression.nodes[id.index()]);
        let (at, constant, is_reversed) = match (a, b) {
            (ScalarNode::Index(at), ScalarNode::Constant(constant)) => (at, constant, false),
            (ScalarNode::Constant(constant), ScalarNode::Index(at)) => (at, constant, true),
            _ => return None,
        };
        let is_along = at.strides.iter().enumerate().all(|(other, &stride)| (other == axis) == (stride != 0));
        (is_along && constant.dtype == DType::I32).then_some(Self {
            function: *function,
            stride: at.strides[axis],
            offset: at.offset,
            constant: constant.value as i64,
            is_reversed,
        })
    }

    fn holds(&self, at: usize) -> bool {
        let value = self.offset + self.stride * at as i64;
        let (a, b) = if self.is_reversed { (self.constant, value) } else { (value, self.constant) };
        match self.function {
            F::Equal => a == b,
            F::NotEqual => a != b,
            F::Less => a < b,
            F::LessEqual => a <= b,
            F::Greater => a > b,
            _ => a >= b,
        }
    }
}

/// The expression in a range of an axis, where the conditions are what they are at its first point.
fn part(
    expression: &ScalarExpr,
    axis: usize,
    first: usize,
    count: usize,
    conditions: &[(usize, Condition)],
) -> ScalarExpr {
    let moved = |at: &Affine| {
        let mut at = at.clone();
        at.offset += first as i64 * at.strides[axis];
        at
    };
    let mut builder = Builder::new(DType::F32);
    let mut ids: Vec<NodeId> = Vec::with_capacity(expression.nodes.len());
    let mut truths: Vec<Option<bool>> = Vec::with_capacity(expression.nodes.len());
    for (index, (node, &dtype)) in expression.nodes.iter().zip(&expression.types).enumerate() {
        let condition = conditions.iter().find(|(other, _)| *other == index);
        let truth = condition.map(|(_, condition)| condition.holds(first)).or_else(|| known(node, &truths));
        truths.push(truth);
        let id = match (truth, node) {
            (Some(truth), _) => builder.constant(DType::Bool, f64::from(u8::from(truth))),
            (None, ScalarNode::Load { input, at }) => {
                builder.push(ScalarNode::Load { input: *input, at: moved(at) }, dtype)
            }
            (None, ScalarNode::Index(at)) => builder.index(moved(at)),
            (None, ScalarNode::Gather { input, address }) => {
                let address = ids[address.index()];
                let plain = match builder.node(address) {
                    ScalarNode::Index(at) => Some(at.clone()),
                    _ => None,
                };
                let node = match plain {
                    Some(at) => ScalarNode::Load { input: *input, at },
                    None => ScalarNode::Gather { input: *input, address },
                };
                builder.push(node, dtype)
            }
            (None, ScalarNode::Call { function, arguments }) => {
                let arguments: Vec<NodeId> = arguments.iter().map(|id| ids[id.index()]).collect();
                builder.call(*function, &arguments)
            }
            (None, node @ (ScalarNode::Constant(_) | ScalarNode::Accumulator(_))) => builder.push(node.clone(), dtype),
        };
        ids.push(id);
    }
    let mut dims = expression.dims.clone();
    dims[axis] = count;
    let outputs = expression.outputs.iter().map(|&(id, stored)| (ids[id.index()], stored)).collect();
    builder.finish(dims, expression.inputs.clone(), outputs)
}

/// What follows for a combination of conditions.
fn known(node: &ScalarNode, truths: &[Option<bool>]) -> Option<bool> {
    let ScalarNode::Call { function, arguments } = node else { return None };
    let mut of = arguments.iter().map(|id| truths[id.index()]);
    match function {
        F::And => {
            let (a, b) = (of.next()?, of.next()?);
            if a == Some(false) || b == Some(false) { Some(false) } else { Some(a? && b?) }
        }
        F::Or => {
            let (a, b) = (of.next()?, of.next()?);
            if a == Some(true) || b == Some(true) { Some(true) } else { Some(a? || b?) }
        }
        F::Not => Some(!of.next()??),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tensors side by side along the middle axis, with a border of 7 before them.
    fn side_by_side(extents: [usize; 2], inner: usize) -> ScalarExpr {
        let [first, second] = extents.map(|extent| extent as i64);
        let mut b = Builder::new(DType::F32);
        let position = |offset: i64| {
            let mut at = Affine::coordinate(1, 3);
            at.offset = -offset;
            at
        };
        let address = |offset: i64, extent: i64| {
            let inner = inner as i64;
            Affine::new(-offset * inner, [extent * inner, inner, 1])
        };
        let border = 2;
        let in_second = b.index(position(border + first));
        let in_first = b.index(position(border));
        let zero = b.constant(DType::I32, 0.0);
        let is_second = b.call(F::GreaterEqual, &[in_second, zero]);
        let is_border = b.call(F::Less, &[in_first, zero]);
        let safe = |b: &mut Builder, is_inside: NodeId, at: Affine| {
            let address = b.index(at);
            let origin = b.constant(DType::I32, 0.0);
            b.select(is_inside, address, origin)
        };
        let address_of_second = safe(&mut b, is_second, address(border + first, second));
        let from_second = b.gather(1, DType::F32, address_of_second);
        let before = b.call(F::Or, &[is_border, is_second]);
        let is_first = b.call(F::Not, &[before]);
        let address_of_first = safe(&mut b, is_first, address(border, first));
        let from_first = b.gather(0, DType::F32, address_of_first);
        let seven = b.number(7.0);
        let either = b.select(is_second, from_second, from_first);
        let value = b.select(is_border, seven, either);
        let extent = border as usize + extents[0] + extents[1];
        b.finish(vec![3, extent, inner], vec![DType::F32; 2], vec![(value, DType::F32)])
    }

    #[test]
    fn parts_have_plain_loads_and_no_conditions() {
        let expression = side_by_side([5, 9], 20);
        let (axis, parts) = segments(&expression).unwrap();
        assert_eq!(axis, 1);
        let ranges: Vec<_> = parts.iter().map(|part| (part.first, part.count, part.expression.nodes.len())).collect();
        assert_eq!(ranges, [(0, 2, 1), (2, 5, 1), (7, 9, 1)]);
        assert!(matches!(parts[0].expression.nodes[0], ScalarNode::Constant(_)));
        for (part, wanted) in parts[1..].iter().zip([[100, 20, 1], [180, 20, 1]]) {
            let ScalarNode::Load { at, .. } = &part.expression.nodes[0] else { panic!("{}", part.expression) };
            assert_eq!((at.offset, at.strides.to_vec()), (0, wanted.to_vec()));
        }
    }

    #[test]
    fn what_would_be_too_small_stays_whole() {
        assert!(segments(&side_by_side([5, 9], 2)).is_none());
        let mut b = Builder::new(DType::F32);
        let x = b.load(0, DType::F32, Affine::row_major(&[4, 100]));
        assert!(segments(&b.finish(vec![4, 100], vec![DType::F32], vec![(x, DType::F32)])).is_none());
    }
}
