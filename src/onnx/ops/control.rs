//! Control flow. Programs have none: loops are unrolled while importing, and of two graphs the chosen one replaces the node. So
//! conditions and trip counts have to be known; only a choice between tensors of one type may be made in each run.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::onnx::proto::GraphProto;
use crate::scalar::ScalarFunction as F;
use crate::tensor::{Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("If", branch), ("Loop", repeat), ("Scan", scan)];

/// Turns of a loop: more are not unrolled.
const MOST_ITERATIONS: usize = 4_096;

fn branch(node: &Node<'_>) -> Result<Vec<Value>> {
    let (yes, no) = (node.subgraph("then_branch")?, node.subgraph("else_branch")?);
    match node.host_int(0) {
        Ok(condition) => node.run(if condition != 0 { yes } else { no }, Vec::new()),
        Err(unknown) => {
            let condition = node.input(0)?.reshape([]);
            let (yes, no) = (node.run(yes, Vec::new())?, node.run(no, Vec::new())?);
            node.check()?;
            let tensor = |value: &Value| node.importer.tensor(value).map_err(|_| unknown.clone());
            let chosen = yes.iter().zip(&no).map(|(yes, no)| {
                let (yes, no) = (tensor(yes)?, tensor(no)?);
                if yes.ty() != no.ty() {
                    return Err(unknown.clone());
                }
                Ok(condition.elementwise(F::Select, &[&yes, &no]).into())
            });
            chosen.collect()
        }
    }
}

/// A truth value or a number that the import has made.
fn known(node: &Node<'_>, value: &Value, what: &str) -> Result<i64> {
    let data = node.importer.host(value).map_err(|message| node.error(format!("{what}: {message}")))?;
    match data.to_f64_vec()[..] {
        [number] => Ok(number as i64),
        _ => Err(node.error(format!("{what} should be one value, not {}", data.ty()))),
    }
}

fn truth(node: &Node<'_>, value: bool) -> Result<Value> {
    Ok(node.constant(TensorData::from_bools(&[value], [])?))
}

/// Runs a body, whose inputs and outputs are counted first.
fn iteration(node: &Node<'_>, body: &GraphProto, inputs: Vec<Value>, outputs: usize) -> Result<Vec<Value>> {
    if body.input.len() != inputs.len() || body.output.len() < outputs {
        return Err(node.error(format!(
            "its body should take {} inputs and give {outputs} outputs or more, not {} and {}",
            inputs.len(),
            body.input.len(),
            body.output.len()
        )));
    }
    node.run(body, inputs)
}

/// The values of all iterations along a new axis; of none, an empty tensor like `sample`.
fn stacked(node: &Node<'_>, values: &[Value], sample: Option<&Value>, axis: i64, reverse: bool) -> Result<Tensor> {
    let tensor = |value: &Value| node.importer.tensor(value).map_err(|message| node.error(message));
    if values.is_empty() {
        let Some(sample) = sample else { return Err(node.error("there is nothing to stack")) };
        let ty = tensor(sample)?.ty();
        let axis = node.axis(axis, ty.shape.rank() + 1)?;
        let (before, after) = ty.shape.split_at(axis);
        let dims: Shape = before.iter().chain(&[0]).chain(after).copied().collect();
        return Ok(node.graph().constant(TensorData::from_f64(ty.dtype, &[], dims)?));
    }
    let mut tensors = values.iter().map(tensor).collect::<Result<Vec<Tensor>>>()?;
    if reverse {
        tensors.reverse();
    }
    let axis = node.axis(axis, tensors.first().map_or(0, Tensor::rank) + 1)?;
    let joined = node.graph().stack(&tensors.iter().collect::<Vec<_>>(), axis as isize);
    node.check()?;
    Ok(joined)
}

/// `for iteration in 0..trips while condition`, with values that each iteration passes on to the next, and others that are stacked.
fn repeat(node: &Node<'_>) -> Result<Vec<Value>> {
    let body = node.subgraph("body")?;
    let trips = if node.has(0) { Some(node.host_int(0)?) } else { None };
    let steered = node.has(1);
    let mut going = !steered || node.host_int(1)? != 0;
    let carried = node.input_count().saturating_sub(2);
    let mut state: Vec<Value> = (0..carried).map(|index| node.value(2 + index).clone()).collect();
    let stacks = body.output.len().saturating_sub(1 + carried);
    let mut collected: Vec<Vec<Value>> = vec![Vec::new(); stacks];
    let inputs = |step: usize, state: &[Value]| -> Result<Vec<Value>> {
        let counted = [node.ints_constant(&[step as i64], [])?, truth(node, true)?];
        Ok(counted.into_iter().chain(state.iter().cloned()).collect())
    };
    let mut done = 0;
    while going && trips.is_none_or(|trips| (done as i64) < trips) {
        if done == MOST_ITERATIONS {
            return Err(node.error(format!("more than {MOST_ITERATIONS} iterations are not unrolled")));
        }
        let mut outputs = iteration(node, body, inputs(done, &state)?, 1 + carried)?.into_iter();
        if let (Some(next), true) = (outputs.next(), steered) {
            going = known(node, &next, "whether it continues")? != 0;
        }
        state = outputs.by_ref().take(carried).collect();
        collected.iter_mut().zip(outputs).for_each(|(collected, value)| collected.push(value));
        done += 1;
    }
    // An iteration that is not taken tells what nothing is stacked of.
    let samples = match (done, stacks) {
        (0, 1..) => iteration(node, body, inputs(0, &state)?, 1 + carried)?.split_off(1 + carried),
        _ => Vec::new(),
    };
    for (index, values) in collected.iter().enumerate() {
        state.push(stacked(node, values, samples.get(index), 0, false)?.into());
    }
    Ok(state)
}

/// What a scan iterates over: a tensor, the axis of time, and whether from the end.
struct Sequence {
    tensor: Tensor,
    axis: usize,
    reverse: bool,
}

impl Sequence {
    fn extent(&self) -> usize {
        self.tensor.shape().get(self.axis).copied().unwrap_or(0)
    }

    /// What an iteration reads of it; zeros where it is empty.
    fn at(&self, step: usize) -> Tensor {
        let extent = self.extent();
        if extent == 0 {
            let shape = self.tensor.shape();
            let rest = shape.iter().enumerate().filter(|&(axis, _)| axis != self.axis).map(|(_, &extent)| extent);
            return self.tensor.graph().scalar(self.tensor.dtype(), 0.0).broadcast_to(rest.collect::<Shape>());
        }
        self.tensor.at(self.axis as isize, if self.reverse { extent - 1 - step.min(extent - 1) } else { step })
    }
}

/// A list of integers for `count` things; without it, as many zeros.
fn numbers(node: &Node<'_>, name: &str, count: usize) -> Result<Vec<i64>> {
    match node.ints(name)? {
        None => Ok(vec![0; count]),
        Some(numbers) if numbers.len() == count => Ok(numbers.to_vec()),
        Some(numbers) => Err(node.error(format!("{name} {numbers:?} should be {count} numbers"))),
    }
}

/// States after the last iteration, and what each iteration returned.
struct Scanned {
    state: Vec<Value>,
    collected: Vec<Vec<Value>>,
    samples: Vec<Value>,
}

fn walk(
    node: &Node<'_>,
    body: &GraphProto,
    mut state: Vec<Value>,
    sequences: &[Sequence],
    iterations: usize,
) -> Result<Scanned> {
    if iterations > MOST_ITERATIONS {
        return Err(node.error(format!("more than {MOST_ITERATIONS} iterations are not unrolled")));
    }
    let carried = state.len();
    let inputs = |step: usize, state: &[Value]| -> Vec<Value> {
        state.iter().cloned().chain(sequences.iter().map(|sequence| sequence.at(step).into())).collect()
    };
    let mut collected = vec![Vec::new(); body.output.len().saturating_sub(carried)];
    for step in 0..iterations {
        let mut outputs = iteration(node, body, inputs(step, &state), carried)?.into_iter();
        state = outputs.by_ref().take(carried).collect();
        collected.iter_mut().zip(outputs).for_each(|(collected, value)| collected.push(value));
    }
    let samples = match iterations {
        0 => iteration(node, body, inputs(0, &state), carried)?.split_off(carried),
        _ => Vec::new(),
    };
    Ok(Scanned { state, collected, samples })
}

/// A loop over the positions of an axis. Before opset 9, the first axis is a batch, whose sequences are scanned one by one.
fn scan(node: &Node<'_>) -> Result<Vec<Value>> {
    let body = node.subgraph("body")?;
    let batched = node.opset() < 9;
    let first = usize::from(batched);
    let count = node.int("num_scan_inputs", 0)?;
    let inputs = node.input_count().saturating_sub(first);
    let known = usize::try_from(count).ok().filter(|&count| (1..=inputs).contains(&count));
    let Some(count) = known else {
        return Err(node.error(format!("{count} of its {inputs} inputs cannot be sequences")));
    };
    let carried = inputs - count;
    let tensors = (carried..inputs).map(|index| node.input(first + index)).collect::<Result<Vec<Tensor>>>()?;
    let directions = numbers(node, if batched { "directions" } else { "scan_input_directions" }, count)?;
    if batched {
        return scan_batch(node, body, carried, &tensors, &directions);
    }
    let axes = numbers(node, "scan_input_axes", count)?;
    let sequence = |((tensor, &axis), &direction): ((&Tensor, &i64), &i64)| {
        Ok(Sequence { axis: node.axis(axis, tensor.rank())?, tensor: tensor.clone(), reverse: direction != 0 })
    };
    let sequences = tensors.iter().zip(&axes).zip(&directions).map(sequence).collect::<Result<Vec<Sequence>>>()?;
    let iterations = equally_long(node, &sequences)?;
    let state = (0..carried).map(|index| node.value(index).clone()).collect();
    let scanned = walk(node, body, state, &sequences, iterations)?;
    let stacks = scanned.collected.len();
    let (axes, directions) =
        (numbers(node, "scan_output_axes", stacks)?, numbers(node, "scan_output_directions", stacks)?);
    let mut outputs = scanned.state;
    for (index, ((values, &axis), &direction)) in scanned.collected.iter().zip(&axes).zip(&directions).enumerate() {
        outputs.push(stacked(node, values, scanned.samples.get(index), axis, direction != 0)?.into());
    }
    Ok(outputs)
}

fn equally_long(node: &Node<'_>, sequences: &[Sequence]) -> Result<usize> {
    let extents: Vec<usize> = sequences.iter().map(Sequence::extent).collect();
    match extents.first() {
        Some(&iterations) if extents.iter().all(|&extent| extent == iterations) => Ok(iterations),
        _ => Err(node.error(format!("its sequences should be equally long, not {extents:?}"))),
    }
}

/// Version 8: `[batch, time, …]`, with a length for each of the batch; what a shorter one does not reach is zero.
fn scan_batch(
    node: &Node<'_>,
    body: &GraphProto,
    carried: usize,
    tensors: &[Tensor],
    directions: &[i64],
) -> Result<Vec<Value>> {
    let states = (0..carried).map(|index| node.input(1 + index)).collect::<Result<Vec<Tensor>>>()?;
    let batches: Vec<usize> =
        states.iter().chain(tensors).map(|tensor| tensor.shape().first().copied().unwrap_or(0)).collect();
    let Some(&batch) = batches.first().filter(|&&batch| batch > 0 && batches.iter().all(|&other| other == batch))
    else {
        return Err(node.error(format!("its inputs should be of one batch, not of {batches:?}")));
    };
    if let Some(tensor) = tensors.iter().find(|tensor| tensor.rank() < 2) {
        return Err(node.error(format!("a sequence should be [batch, time, …], not {}", tensor.shape())));
    }
    let lengths = node.optional_ints(0)?;
    let mut results: Vec<Vec<Value>> = Vec::new();
    for row in 0..batch {
        let sequence = |(tensor, &direction): (&Tensor, &i64)| Sequence {
            tensor: tensor.at(0, row),
            axis: 0,
            reverse: direction != 0,
        };
        let mut sequences: Vec<Sequence> = tensors.iter().zip(directions).map(sequence).collect();
        let longest = equally_long(node, &sequences)?;
        let iterations = match &lengths {
            None => longest,
            Some(lengths) => {
                let length = lengths.get(row).and_then(|&length| usize::try_from(length).ok());
                length.filter(|&length| length <= longest).ok_or_else(|| {
                    node.error(format!("lengths {lengths:?} do not fit {batch} sequences of {longest}"))
                })?
            }
        };
        for sequence in &mut sequences {
            sequence.tensor = sequence.tensor.slice(0, 0, iterations);
        }
        let state = states.iter().map(|state| state.at(0, row).into()).collect();
        let scanned = walk(node, body, state, &sequences, iterations)?;
        let mut outputs = scanned.state;
        for (index, values) in scanned.collected.iter().enumerate() {
            let whole = stacked(node, values, scanned.samples.get(index), 0, false)?;
            let mut missing = vec![0; whole.rank()];
            if let Some(missing) = missing.first_mut() {
                *missing = longest - iterations;
            }
            outputs.push(whole.pad(&vec![0; whole.rank()], &missing, 0.0).into());
        }
        results.resize(outputs.len(), Vec::new());
        results.iter_mut().zip(outputs).for_each(|(result, output)| result.push(output));
    }
    results.iter().map(|rows| Ok(stacked(node, rows, None, 0, false)?.into())).collect()
}
