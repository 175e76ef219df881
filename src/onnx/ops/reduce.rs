//! Axes folded into one value each, indices of extremes, and running sums and products.

use super::elementwise::by_f32;
use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{Axes, Running};
use crate::scalar::Reduction;
use crate::tensor::{DType, Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("ArgMax", |node| arg_extreme(node, Reduction::ArgMax)),
    ("ArgMin", |node| arg_extreme(node, Reduction::ArgMin)),
    ("CumProd", cumulative_product),
    ("CumSum", cumulative_sum),
    ("Hardmax", hardmax),
    ("ReduceL1", |node| reduce(node, 18, |x, fold| fold(&x.abs(), Reduction::Sum))),
    ("ReduceL2", |node| reduce(node, 18, |x, fold| norm(x, fold))),
    ("ReduceLogSum", |node| reduce(node, 18, |x, fold| by_float(x, |x| fold(x, Reduction::Sum).log()))),
    ("ReduceLogSumExp", |node| reduce(node, 18, |x, fold| by_float(x, |x| fold(x, Reduction::LogSumExp)))),
    ("ReduceMax", |node| reduce(node, 18, |x, fold| by_order(x, |x| fold(x, Reduction::Max)))),
    ("ReduceMean", |node| reduce(node, 18, mean)),
    ("ReduceMin", |node| reduce(node, 18, |x, fold| by_order(x, |x| fold(x, Reduction::Min)))),
    ("ReduceProd", |node| reduce(node, 18, |x, fold| fold(x, Reduction::Product))),
    ("ReduceSum", |node| reduce(node, 13, |x, fold| fold(x, Reduction::Sum))),
    ("ReduceSumSquare", |node| reduce(node, 18, |x, fold| by_f32(x, |x| fold(&x.square(), Reduction::Sum)))),
];

/// A reduction over the node's axes.
type Fold<'a> = &'a dyn Fn(&Tensor, Reduction) -> Tensor;

/// √x, with a slope of 0 at 0: the norm of nothing has no direction.
fn root(x: &Tensor) -> Tensor {
    let nothing = x.eq(0.0);
    nothing.select(x.zeros_like(), nothing.select(x.ones_like(), x).sqrt())
}

/// √Σx². Of integers it is exact, truncated: what a device's root is off by does not show.
fn norm(x: &Tensor, fold: Fold<'_>) -> Tensor {
    if x.dtype().is_float() {
        return by_f32(x, |x| root(&fold(&x.square(), Reduction::Sum)));
    }
    let sum = fold(&x.square(), Reduction::Sum);
    let near = sum.cast(DType::F64).sqrt().cast(x.dtype());
    // By divisions, which leave no range: n² ≤ s where n ≤ s / n.
    let next = &near + 1;
    let raised = next.le(&sum / &next).select(&next, &near);
    raised.gt(&sum / raised.maximum(1)).select(&raised - 1, &raised)
}

/// Work on floats, of integers too, which are returned truncated.
fn by_float(x: &Tensor, work: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    if x.dtype().is_float() { by_f32(x, work) } else { work(&x.cast(DType::F64)).cast(x.dtype()) }
}

/// Work on what is compared, of the types for storage too.
fn by_order(x: &Tensor, work: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    match x.dtype() {
        dtype @ (DType::Bool | DType::U8) => work(&x.cast(DType::I32)).cast(dtype),
        _ => work(x),
    }
}

fn mean(x: &Tensor, fold: Fold<'_>) -> Tensor {
    let over = |x: &Tensor| {
        let sum = fold(x, Reduction::Sum);
        // As many as fall together in one sum; that of nothing is 0 / 0.
        let count = x.shape().len() as f64 / sum.shape().len().max(1) as f64;
        if x.dtype().is_float() { sum / count } else { sum / count.floor() }
    };
    by_f32(x, over)
}

/// Folds the axes that the node names: in an attribute, or from opset `as_input` on in an input. None means all of them, unless
/// `noop_with_empty_axes`.
fn reduce(node: &Node<'_>, as_input: i64, work: impl Fn(&Tensor, Fold<'_>) -> Tensor) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    let named = if node.opset() < as_input { node.ints("axes")?.map(<[i64]>::to_vec) } else { node.optional_ints(1)? };
    let axes = match named {
        Some(axes) if !axes.is_empty() => node.axes(&axes, shape.rank())?,
        _ if node.flag("noop_with_empty_axes", false)? => Vec::new(),
        _ => (0..shape.rank()).collect(),
    };
    let keep = node.flag("keepdims", true)?;
    let reduced: Shape = (0..shape.rank())
        .filter(|axis| keep || !axes.contains(axis))
        .map(|axis| if axes.contains(&axis) { 1 } else { shape.get(axis).copied().unwrap_or(1) })
        .collect();
    let own = x.dtype();
    let nothing = axes.iter().any(|&axis| shape.get(axis) == Some(&0));
    let fold = |x: &Tensor, reduction: Reduction| match reduction {
        _ if axes.is_empty() => x.clone(),
        Reduction::Max | Reduction::Min if nothing => extreme_of_nothing(x, own, reduction).broadcast_to(&reduced),
        _ => {
            let axes: Vec<isize> = axes.iter().map(|&axis| axis as isize).collect();
            x.reduce(reduction, Axes::from(axes).keepdim(keep))
        }
    };
    Ok(vec![work(&x, &fold).into()])
}

/// What is not above any number, or not below any.
fn extreme_of_nothing(x: &Tensor, own: DType, reduction: Reduction) -> Tensor {
    let (low, high) = match own {
        DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DType::I64 => {
            let value = if reduction == Reduction::Max { i64::MIN } else { i64::MAX };
            return x.graph().constant(TensorData::scalar(value));
        }
        DType::U32 => (0.0, f64::from(u32::MAX)),
        DType::U8 => (0.0, f64::from(u8::MAX)),
        DType::Bool => (0.0, 1.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    x.graph().scalar(x.dtype(), if reduction == Reduction::Max { low } else { high })
}

/// The index of the largest or smallest along an axis: the first of equals, or the last.
fn arg_extreme(node: &Node<'_>, reduction: Reduction) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let x = if x.dtype() == DType::U8 { x.cast(DType::I32) } else { x };
    let axis = node.axis(node.int("axis", 0)?, x.rank())? as isize;
    let last = node.flag("select_last_index", false)?;
    let indices = match (reduction, last) {
        (Reduction::ArgMax, false) => x.argmax(axis),
        (Reduction::ArgMax, true) => x.argmax_last(axis),
        (_, false) => x.argmin(axis),
        (_, true) => x.argmin_last(axis),
    };
    node.check()?;
    let indices = if node.flag("keepdims", true)? { indices.unsqueeze(axis) } else { indices };
    Ok(vec![indices.cast(DType::I64).into()])
}

/// 1 at the first of the largest along an axis, 0 elsewhere. Before opset 13, all axes from `axis` on were one.
fn hardmax(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let shape = x.shape();
    let flat = if node.opset() < 13 {
        let axis = node.int("axis", 1)?;
        let axis = if axis == shape.rank() as i64 { shape.rank() } else { node.axis(axis, shape.rank())? };
        let (before, after) = shape.split_at(axis);
        x.reshape([before.iter().product(), after.iter().product::<usize>()])
    } else {
        let axis = node.axis(node.int("axis", -1)?, shape.rank())?;
        x.transpose(axis as isize, -1)
    };
    if flat.shape().is_empty() {
        return Ok(vec![x.into()]);
    }
    let classes = flat.shape().last().copied().unwrap_or(1);
    let hard = flat.argmax(-1).one_hot(classes, x.dtype());
    node.check()?;
    let hard =
        if node.opset() < 13 { hard.reshape(&shape) } else { hard.transpose(node.int("axis", -1)? as isize, -1) };
    Ok(vec![hard.into()])
}

fn running(node: &Node<'_>, rank: usize) -> Result<Running> {
    let along = Running::along(node.axis(node.host_int(1)?, rank)? as isize);
    let from_end = if node.flag("reverse", false)? { along.reverse() } else { along };
    Ok(if node.flag("exclusive", false)? { from_end.exclusive() } else { from_end })
}

fn cumulative_sum(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let running = running(node, x.rank())?;
    Ok(vec![x.cumulative_sum(running).into()])
}

fn cumulative_product(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let running = running(node, x.rank())?;
    Ok(vec![by_f32(&x, |x| x.cumulative_product(running)).into()])
}
