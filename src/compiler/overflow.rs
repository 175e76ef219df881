//! For a GPU, which computes in i32 instead of i64: detects what leaves 32 bits. For each node whose result cannot be bounded beforehand
//! (`bounds`), the program computes whether it was right, beside the result; one hidden scalar, the output [`OVERFLOW`], says at the end of
//! a run whether all were, or which one was not. The session reads it with the outputs. So a result is right, or an error.
//!
//! A wrapped result differs from the right one by a multiple of 2³². So the same arithmetic in f32, be it rounded, tells them apart, as
//! long as its error is below 2³⁰; sums of more values, whose error might be larger, are compared with the sum of their magnitudes too,
//! and refused where that passes a bound (2³⁷ or more), even if they cancel.
//!
//! An operator that is not listed here is refused. A custom operator says that its i64 fit, or its decomposition is compiled.

use std::sync::Arc;

use super::bounds::{Bounds, Range};
use super::simplify::needed;
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphData, Node, Tensor, ValueId};
use crate::ops::{Combine, Elementwise, Op, Scatter};
use crate::scalar::{Reduction, ScalarFunction as F};
use crate::tensor::{DType, Shape, TensorType};

/// The hidden output: 0, or one more than the number of the first of [`Checks::nodes`] that left 32 bits.
pub(crate) const OVERFLOW: &str = "@overflow";

/// Half of the least distance between a right result and a wrapped one, less what both may be rounded by.
const APART: f64 = (1_u64 << 30) as f64;

/// One more than the largest i32.
const END: f64 = (1_u64 << 31) as f64;

/// Rounding errors of a sum are below [`APART`] where its terms' magnitudes, times their number, stay below this.
const ROUNDED: f64 = (1_u64 << 53) as f64;

/// Nodes whose results are to be looked at.
#[derive(Default)]
pub(super) struct Checks {
    /// Each with how it is checked.
    nodes: Vec<(usize, Check)>,
}

/// How a result is checked.
enum Check {
    /// The same operator in f32, which the result should be close to.
    Beside(Op),
    /// The same for a sum of many terms, and the sum of their magnitudes below the bound.
    Sum(Op, Option<f64>),
    /// A cast from floats, which saturates.
    FromFloat,
    /// A cast from u32.
    FromU32,
    /// The quotient of the least number and −1.
    Quotient,
    /// Bits that are lost.
    ShiftLeft,
    /// Shifts by 32 or more.
    ShiftRight,
}

/// What is to be checked in a graph that still has its i64.
///
/// # Errors
/// An operator that gives i64 and of which nothing is known.
pub(super) fn find(data: &GraphData) -> Result<Checks> {
    let needed = needed(data);
    let wide = |(index, node): &(usize, &Node)| {
        needed[*index] && node.outputs.first().is_some_and(|ty| ty.dtype == DType::I64 && !ty.shape.is_empty())
    };
    let mut nodes = data.nodes.iter().enumerate().filter(wide).peekable();
    if nodes.peek().is_none() {
        return Ok(Checks::default());
    }
    let bounds = Bounds::of(data);
    let mut found = Vec::new();
    for (index, node) in nodes {
        let input = |index: usize| node.inputs.get(index).map_or(Range { low: 0.0, high: 0.0 }, |&id| bounds.value(id));
        let types: Vec<&TensorType> = node.inputs.iter().map(|&id| data.ty(id)).collect();
        if bounds.exact(index).fits() && !is_long_shift(&node.op, input(1)) {
            continue;
        }
        let check = check(&node.op, &input, &types)
            .map_err(|message| Error::graph(node.op.operator().name(), message, node.origin))?;
        found.extend(check.map(|check| (index, check)));
    }
    Ok(Checks { nodes: found })
}

/// True for a shift to the right by what may be more than 31.
fn is_long_shift(op: &Op, by: Range) -> bool {
    op.function() == Some(F::ShiftRight) && !(by.low >= 0.0 && by.high < 32.0)
}

/// How a node's i64 is checked; nothing where it cannot leave its arguments' range.
///
/// # Errors
/// An operator of which nothing is known.
fn check(
    op: &Op,
    input: &impl Fn(usize) -> Range,
    types: &[&TensorType],
) -> std::result::Result<Option<Check>, String> {
    let shape = |index: usize| types.get(index).map(|ty| &ty.shape);
    let sum = |op: Op, count: f64, largest: f64| {
        let certain = count * count * largest <= ROUNDED;
        Check::Sum(op, (!certain).then(|| (ROUNDED / count).max((1_u64 << 37) as f64)))
    };
    let extent = |axis: usize| shape(0).and_then(|shape| shape.get(axis)).copied().unwrap_or(1) as f64;
    Ok(match op {
        Op::Elementwise(Elementwise(function)) => match function {
            F::Add | F::Sub | F::Mul | F::Neg | F::Abs | F::Square => Some(Check::Beside(op.clone())),
            F::Cast(_) if types.first().is_some_and(|ty| ty.dtype.is_float()) => Some(Check::FromFloat),
            F::Cast(_) if types.first().is_some_and(|ty| ty.dtype == DType::U32) => Some(Check::FromU32),
            F::Div => Some(Check::Quotient),
            F::ShiftLeft => Some(Check::ShiftLeft),
            F::ShiftRight => Some(Check::ShiftRight),
            // What chooses among values, or clears bits of them, leaves no range.
            _ => None,
        },
        Op::Reduce(reduce) => match reduce.reduction {
            Reduction::Sum => {
                Some(sum(op.clone(), reduce.axes.iter().map(|&axis| extent(axis)).product(), input(0).magnitude()))
            }
            Reduction::Product => Some(Check::Beside(op.clone())),
            Reduction::Max | Reduction::Min | Reduction::ArgMax | Reduction::ArgMin | Reduction::LogSumExp => None,
        },
        Op::CumulativeSum(running) => Some(sum(op.clone(), extent(running.axis), input(0).magnitude())),
        Op::Matmul(_) => {
            let inner = shape(0).and_then(|shape| shape.last()).copied().unwrap_or(1) as f64;
            Some(sum(op.clone(), inner, input(0).magnitude() * input(1).magnitude()))
        }
        Op::ScatterAdd(_) | Op::ScatterRows(_) => {
            let count = shape(1).map_or(1, Shape::len) as f64 + 1.0;
            Some(sum(op.clone(), count, input(0).magnitude().max(input(2).magnitude())))
        }
        Op::Scatter(Scatter { combine: Combine::Product, .. }) => Some(Check::Beside(op.clone())),
        // What gives no i64 but such as it got, and a custom operator, which answers for itself.
        Op::Placeholder
        | Op::Input(..)
        | Op::Variable(_)
        | Op::Constant(_)
        | Op::StopGradient
        | Op::Coordinate(_)
        | Op::Reshape(_)
        | Op::Permute(_)
        | Op::Broadcast(_)
        | Op::Slice(_)
        | Op::Pad(_)
        | Op::Concat(_)
        | Op::Gather(_)
        | Op::Take(_)
        | Op::Sort(_)
        | Op::Scatter(_)
        | Op::Custom(_) => None,
        _ => return Err("nothing says whether its i64 fits i32, in which a GPU computes it; cast it before".to_owned()),
    })
}

/// Adds the checks to a graph whose i64 are i32 by now. Gives the names and lines of the nodes, by their numbers.
///
/// # Errors
/// None but mistakes made here.
pub(super) fn add(data: GraphData, checks: Checks) -> Result<(GraphData, Arc<[String]>)> {
    if checks.nodes.is_empty() {
        return Ok((data, Arc::new([])));
    }
    let names = checks.nodes.iter().map(|&(index, _)| {
        let node = &data.nodes[index];
        format!("{} (at {})", node.op.operator().name(), node.origin)
    });
    let names: Arc<[String]> = names.collect();
    let outer = data.origin;
    let graph = Graph::of(data);
    let mut codes: Vec<Tensor> = Vec::new();
    for (number, (index, check)) in checks.nodes.iter().enumerate() {
        let inputs: Vec<Tensor> = {
            let mut data = graph.data();
            data.origin = Some(data.nodes[*index].origin);
            data.nodes[*index].inputs.iter().map(|&id| Tensor::new(graph.clone(), id)).collect()
        };
        let result = Tensor::new(graph.clone(), ValueId { node: *index as u32, output: 0 });
        let wrong = wrong(check, &inputs, &result);
        let code = wrong.select(graph.scalar(DType::I32, number as f64 + 1.0), 0);
        // Those of one shape are looked at together.
        match codes.iter_mut().find(|other| other.shape() == code.shape()) {
            Some(other) => *other = other.maximum(&code),
            None => codes.push(code),
        }
    }
    let all = codes.into_iter().map(|code| {
        let axes: Vec<usize> = (0..code.rank()).collect();
        code.reduce_axes(Reduction::Max, &axes)
    });
    if let Some(first) = all.reduce(|a, b| a.maximum(&b)) {
        graph.output(OVERFLOW, &first);
    }
    graph.data().origin = outer;
    Ok((graph.snapshot()?, names))
}

/// True where a result is not what it should be.
fn wrong(check: &Check, inputs: &[Tensor], result: &Tensor) -> Tensor {
    let (first, last) = match inputs {
        [first, .., last] => (first, last),
        [only] => (only, only),
        [] => (result, result),
    };
    // Indices and the like stay what they are.
    let floats = |of: &dyn Fn(&Tensor) -> Tensor, indexed: bool| -> Vec<Tensor> {
        let each = |(index, input): (usize, &Tensor)| if indexed && index == 1 { input.clone() } else { of(input) };
        inputs.iter().enumerate().map(each).collect()
    };
    let again = |op: &Op, of: &dyn Fn(&Tensor) -> Tensor| {
        let indexed = matches!(op, Op::Scatter(_) | Op::ScatterAdd(_) | Op::ScatterRows(_));
        let inputs = floats(of, indexed);
        result.graph().apply1(op.clone(), &inputs.iter().collect::<Vec<_>>())
    };
    let float = |x: &Tensor| x.cast(DType::F32);
    // A NaN is not close to the result.
    let apart = |op: &Op| (again(op, &float) - float(result)).abs().le(APART).logical_not();
    match check {
        Check::Beside(op) => apart(op),
        Check::Sum(op, None) => apart(op),
        Check::Sum(op, Some(most)) => {
            let magnitudes = again(op, &|x| float(x).abs());
            apart(op).logical_or(magnitudes.le(*most).logical_not())
        }
        Check::FromFloat => {
            // f32 cannot represent the largest i32; the next float below is the largest that fits.
            let x = float(first);
            let inside = x.lt(END).logical_and(x.ge(-END));
            inside.logical_or(x.is_nan()).logical_not()
        }
        Check::FromU32 => result.lt(0),
        Check::Quotient => first.eq(f64::from(i32::MIN)).logical_and(last.eq(-1)),
        Check::ShiftLeft => {
            let by = last.bitwise_and(63);
            let lost = result.shift_right(last.bitwise_and(31)).ne(first);
            lost.logical_or(by.gt(31).logical_and(first.ne(0)))
        }
        Check::ShiftRight => {
            let ends = first.shift_right(31);
            last.bitwise_and(63).gt(31).logical_and(result.ne(ends))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{NUMERIC, Signature};

    /// What chooses among values, or is smaller than what it divides by, cannot leave a range that its arguments are in.
    const WITHIN: &[F] = &[F::Rem, F::Maximum, F::Minimum, F::Sign];

    #[test]
    fn every_function_of_integers_is_checked_or_cannot_leave_its_range() {
        let types = [TensorType::new(DType::I64, [2]), TensorType::new(DType::I64, [2])];
        let types: Vec<&TensorType> = types.iter().collect();
        let all = |_: usize| Range { low: f64::NEG_INFINITY, high: f64::INFINITY };
        let integers = NUMERIC.iter().filter(|function| function.signature() == Signature::Number);
        for &function in integers {
            let checked = check(&Op::Elementwise(Elementwise(function)), &all, &types).unwrap().is_some();
            assert_ne!(checked, WITHIN.contains(&function), "{}", function.name());
        }
    }
}
