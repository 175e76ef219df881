//! Lists of values, and values that may be missing. Both exist while importing alone: what is taken out of them is part of the
//! graph.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::tensor::TensorData;

pub(super) const OPERATORS: &[(&str, Handler)] = &[
    ("ConcatFromSequence", concat),
    ("Optional", optional),
    ("OptionalGetElement", get_element),
    ("OptionalHasElement", has_element),
    ("SequenceAt", at),
    ("SequenceConstruct", construct),
    ("SequenceEmpty", |_| Ok(vec![Value::Sequence(Vec::new())])),
    ("SequenceErase", erase),
    ("SequenceInsert", insert),
    ("SequenceLength", length),
    ("SequenceMap", map),
    ("SplitToSequence", split),
];

/// An input that is a sequence.
fn sequence(node: &Node<'_>, input: usize) -> Result<Vec<Value>> {
    let mut value = node.value(input);
    while let Value::Optional(Some(inner)) = value {
        value = inner;
    }
    match value {
        Value::Sequence(values) => Ok(values.clone()),
        other => Err(node.error(format!("input {input}: a sequence is expected, not {}", other.kind()))),
    }
}

/// A position among `count`, where negative ones count from the end.
fn position(node: &Node<'_>, input: usize, count: usize) -> Result<usize> {
    let number = node.host_int(input)?;
    let position = if number < 0 { number.saturating_add(count as i64) } else { number };
    let known = usize::try_from(position).ok().filter(|&position| position < count);
    known.ok_or_else(|| node.error(format!("position {number} does not exist in a sequence of {count}")))
}

fn construct(node: &Node<'_>) -> Result<Vec<Value>> {
    Ok(vec![Value::Sequence((0..node.input_count()).map(|input| node.value(input).clone()).collect())])
}

fn length(node: &Node<'_>) -> Result<Vec<Value>> {
    Ok(vec![node.ints_constant(&[sequence(node, 0)?.len() as i64], [])?])
}

fn at(node: &Node<'_>) -> Result<Vec<Value>> {
    let mut values = sequence(node, 0)?;
    let position = position(node, 1, values.len())?;
    Ok(vec![values.swap_remove(position)])
}

fn insert(node: &Node<'_>) -> Result<Vec<Value>> {
    let mut values = sequence(node, 0)?;
    let count = values.len();
    let position = match node.has(2) {
        // A position behind the last one is one, too.
        true if node.host_int(2)? == count as i64 => count,
        true => position(node, 2, count)?,
        false => count,
    };
    values.insert(position, node.value(1).clone());
    Ok(vec![Value::Sequence(values)])
}

fn erase(node: &Node<'_>) -> Result<Vec<Value>> {
    let mut values = sequence(node, 0)?;
    let position = match (node.has(1), values.len().checked_sub(1)) {
        (true, _) => position(node, 1, values.len())?,
        (false, Some(last)) => last,
        (false, None) => return Err(node.error("the sequence is empty")),
    };
    values.remove(position);
    Ok(vec![Value::Sequence(values)])
}

/// Parts of a tensor along an axis: of the sizes in the second input, all of one size where that is a scalar, or of 1.
fn split(node: &Node<'_>) -> Result<Vec<Value>> {
    let x = node.input(0)?;
    let axis = node.axis(node.int("axis", 0)?, x.rank())?;
    let extent = x.shape().get(axis).copied().unwrap_or(0);
    let (sizes, keep) = match node.optional_ints(1)? {
        None => (vec![1; extent], node.flag("keepdims", true)?),
        Some(sizes) if node.ty(1)?.shape.rank() > 0 => (node.counts(&sizes)?, true),
        Some(sizes) => {
            let size = sizes.first().and_then(|&size| usize::try_from(size).ok()).filter(|&size| size > 0);
            let Some(size) = size else {
                return Err(node.error(format!("parts of sizes {sizes:?} do not exist")));
            };
            let whole = std::iter::repeat_n(size, extent / size);
            (whole.chain(Some(extent % size).filter(|&rest| rest > 0)).collect(), true)
        }
    };
    let parts = x.split(axis as isize, &sizes).into_iter();
    node.check()?;
    let parts = parts.map(|part| if keep { part } else { part.squeeze(axis as isize) });
    Ok(vec![Value::Sequence(parts.map(Value::from).collect())])
}

/// All tensors of a sequence along an axis, which may be a new one.
fn concat(node: &Node<'_>) -> Result<Vec<Value>> {
    let values = sequence(node, 0)?;
    let tensors = values.iter().map(|value| node.importer.tensor(value).map_err(|message| node.error(message)));
    let tensors = tensors.collect::<Result<Vec<Tensor>>>()?;
    let Some(first) = tensors.first() else { return Err(node.error("the sequence is empty")) };
    let Some(axis) = node.optional_int("axis")? else { return Err(node.error("wants the attribute \"axis\"")) };
    let new = node.flag("new_axis", false)?;
    let axis = node.axis(axis, first.rank() + usize::from(new))? as isize;
    let references: Vec<&Tensor> = tensors.iter().collect();
    let joined = if new { node.graph().stack(&references, axis) } else { node.graph().concat(&references, axis) };
    Ok(vec![joined.into()])
}

/// A graph applied to each value of a sequence, together with the same position of other sequences, or with other tensors.
fn map(node: &Node<'_>) -> Result<Vec<Value>> {
    let body = node.subgraph("body")?;
    let first = sequence(node, 0)?;
    let mut outputs: Vec<Vec<Value>> = vec![Vec::new(); body.output.len()];
    for (position, value) in first.iter().enumerate() {
        let mut inputs = vec![value.clone()];
        for input in 1..node.input_count() {
            inputs.push(match node.value(input) {
                Value::Sequence(values) => values.get(position).cloned().ok_or_else(|| {
                    node.error(format!("input {input} has {} values, the first {}", values.len(), first.len()))
                })?,
                other => other.clone(),
            });
        }
        let results = node.run(body, inputs)?;
        outputs.iter_mut().zip(results).for_each(|(output, result)| output.push(result));
    }
    Ok(outputs.into_iter().map(Value::Sequence).collect())
}

fn optional(node: &Node<'_>) -> Result<Vec<Value>> {
    let value = if node.has(0) { Some(Box::new(node.value(0).clone())) } else { None };
    Ok(vec![Value::Optional(value)])
}

fn has_element(node: &Node<'_>) -> Result<Vec<Value>> {
    let there = !matches!(node.value(0), Value::None | Value::Optional(None));
    Ok(vec![node.constant(TensorData::from_bools(&[there], [])?)])
}

fn get_element(node: &Node<'_>) -> Result<Vec<Value>> {
    match node.value(0) {
        Value::Optional(Some(value)) => Ok(vec![Value::clone(value)]),
        Value::None | Value::Optional(None) => Err(node.error("the optional is empty")),
        value => Ok(vec![value.clone()]),
    }
}
