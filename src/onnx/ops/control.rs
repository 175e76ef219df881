//! Control flow. Programs have none: loops are unrolled while importing, and of two graphs the chosen one takes the node's place. So
//! conditions and trip counts have to be known; only a choice between tensors of one type may be made in each run.

use super::{Handler, Node, Value};
use crate::error::Result;
use crate::graph::Tensor;
use crate::onnx::proto::GraphProto;
use crate::scalar::ScalarFunction as F;
use crate::tensor::{Shape, TensorData};

pub(super) const OPERATORS: &[(&str, Handler)] = &[("If", branch), ("Loop", repeat), ("Scan", scan)];

/// Turns of a loop: more are not unrolled.
const MOST_TURNS: usize = 4_096;

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
fn turn(node: &Node<'_>, body: &GraphProto, inputs: Vec<Value>, outputs: usize) -> Result<Vec<Value>> {
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

/// The values of all turns along a new axis; of none, an empty tensor like `sample`.
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

/// `for turn in 0..trips while condition`, with values that each turn hands on to the next, and others that are stacked.
fn repeat(node: &Node<'_>) -> Result<Vec<Value>> {
    let body = node.subgraph("body")?;
    let trips = if node.has(0) { Some(node.host_int(0)?) } else { None };
    let steered = node.has(1);
    let mut going = !steered || node.host_int(1)? != 0;
    let carried = node.input_count().saturating_sub(2);
    let mut state: Vec<Value> = (0..carried).map(|place| node.value(2 + place).clone()).collect();
    let stacks = body.output.len().saturating_sub(1 + carried);
    let mut collected: Vec<Vec<Value>> = vec![Vec::new(); stacks];
    let inputs = |turn: usize, state: &[Value]| -> Result<Vec<Value>> {
        let counted = [node.ints_constant(&[turn as i64], [])?, truth(node, true)?];
        Ok(counted.into_iter().chain(state.iter().cloned()).collect())
    };
    let mut done = 0;
    while going && trips.is_none_or(|trips| (done as i64) < trips) {
        if done == MOST_TURNS {
            return Err(node.error(format!("more than {MOST_TURNS} turns are not unrolled")));
        }
        let mut outputs = turn(node, body, inputs(done, &state)?, 1 + carried)?.into_iter();
        if let (Some(next), true) = (outputs.next(), steered) {
            going = known(node, &next, "whether it goes on")? != 0;
        }
        state = outputs.by_ref().take(carried).collect();
        collected.iter_mut().zip(outputs).for_each(|(collected, value)| collected.push(value));
        done += 1;
    }
    // A turn that is not taken tells what nothing is stacked of.
    let samples = match (done, stacks) {
        (0, 1..) => turn(node, body, inputs(0, &state)?, 1 + carried)?.split_off(1 + carried),
        _ => Vec::new(),
    };
    for (place, values) in collected.iter().enumerate() {
        state.push(stacked(node, values, samples.get(place), 0, false)?.into());
    }
    Ok(state)
}

/// What a scan goes through: a tensor, the axis of time, and whether from the end.
struct Sequence {
    tensor: Tensor,
    axis: usize,
    reverse: bool,
}

impl Sequence {
    fn extent(&self) -> usize {
        self.tensor.shape().get(self.axis).copied().unwrap_or(0)
    }

    /// What a turn sees of it; zeros where it is empty.
    fn at(&self, turn: usize) -> Tensor {
        let extent = self.extent();
        if extent == 0 {
            let shape = self.tensor.shape();
            let rest = shape.iter().enumerate().filter(|&(axis, _)| axis != self.axis).map(|(_, &extent)| extent);
            return self.tensor.graph().scalar(self.tensor.dtype(), 0.0).broadcast_to(rest.collect::<Shape>());
        }
        self.tensor.at(self.axis as isize, if self.reverse { extent - 1 - turn.min(extent - 1) } else { turn })
    }
}

/// A list of whole numbers for `count` things; without it, as many zeros.
fn numbers(node: &Node<'_>, name: &str, count: usize) -> Result<Vec<i64>> {
    match node.ints(name)? {
        None => Ok(vec![0; count]),
        Some(given) if given.len() == count => Ok(given.to_vec()),
        Some(given) => Err(node.error(format!("{name} {given:?} should be {count} numbers"))),
    }
}

/// States after the last turn, and what each turn gave.
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
    turns: usize,
) -> Result<Scanned> {
    if turns > MOST_TURNS {
        return Err(node.error(format!("more than {MOST_TURNS} turns are not unrolled")));
    }
    let carried = state.len();
    let inputs = |place: usize, state: &[Value]| -> Vec<Value> {
        state.iter().cloned().chain(sequences.iter().map(|sequence| sequence.at(place).into())).collect()
    };
    let mut collected = vec![Vec::new(); body.output.len().saturating_sub(carried)];
    for place in 0..turns {
        let mut outputs = turn(node, body, inputs(place, &state), carried)?.into_iter();
        state = outputs.by_ref().take(carried).collect();
        collected.iter_mut().zip(outputs).for_each(|(collected, value)| collected.push(value));
    }
    let samples = match turns {
        0 => turn(node, body, inputs(0, &state), carried)?.split_off(carried),
        _ => Vec::new(),
    };
    Ok(Scanned { state, collected, samples })
}

/// A loop over the places of an axis. Before opset 9, the first axis is a batch, whose sequences are gone through one by one.
fn scan(node: &Node<'_>) -> Result<Vec<Value>> {
    let body = node.subgraph("body")?;
    let batched = node.opset() < 9;
    let first = usize::from(batched);
    let count = node.int("num_scan_inputs", 0)?;
    let given = node.input_count().saturating_sub(first);
    let known = usize::try_from(count).ok().filter(|&count| (1..=given).contains(&count));
    let Some(count) = known else {
        return Err(node.error(format!("{count} of its {given} inputs cannot be sequences")));
    };
    let carried = given - count;
    let tensors = (carried..given).map(|place| node.input(first + place)).collect::<Result<Vec<Tensor>>>()?;
    let directions = numbers(node, if batched { "directions" } else { "scan_input_directions" }, count)?;
    if batched {
        return scan_batch(node, body, carried, &tensors, &directions);
    }
    let axes = numbers(node, "scan_input_axes", count)?;
    let sequence = |((tensor, &axis), &direction): ((&Tensor, &i64), &i64)| {
        Ok(Sequence { axis: node.axis(axis, tensor.rank())?, tensor: tensor.clone(), reverse: direction != 0 })
    };
    let sequences = tensors.iter().zip(&axes).zip(&directions).map(sequence).collect::<Result<Vec<Sequence>>>()?;
    let turns = equally_long(node, &sequences)?;
    let state = (0..carried).map(|place| node.value(place).clone()).collect();
    let scanned = walk(node, body, state, &sequences, turns)?;
    let stacks = scanned.collected.len();
    let (axes, directions) =
        (numbers(node, "scan_output_axes", stacks)?, numbers(node, "scan_output_directions", stacks)?);
    let mut outputs = scanned.state;
    for (place, ((values, &axis), &direction)) in scanned.collected.iter().zip(&axes).zip(&directions).enumerate() {
        outputs.push(stacked(node, values, scanned.samples.get(place), axis, direction != 0)?.into());
    }
    Ok(outputs)
}

fn equally_long(node: &Node<'_>, sequences: &[Sequence]) -> Result<usize> {
    let extents: Vec<usize> = sequences.iter().map(Sequence::extent).collect();
    match extents.first() {
        Some(&turns) if extents.iter().all(|&extent| extent == turns) => Ok(turns),
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
    let states = (0..carried).map(|place| node.input(1 + place)).collect::<Result<Vec<Tensor>>>()?;
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
        let turns = match &lengths {
            None => longest,
            Some(lengths) => {
                let length = lengths.get(row).and_then(|&length| usize::try_from(length).ok());
                length.filter(|&length| length <= longest).ok_or_else(|| {
                    node.error(format!("lengths {lengths:?} do not fit {batch} sequences of {longest}"))
                })?
            }
        };
        for sequence in &mut sequences {
            sequence.tensor = sequence.tensor.slice(0, 0, turns);
        }
        let state = states.iter().map(|state| state.at(0, row).into()).collect();
        let scanned = walk(node, body, state, &sequences, turns)?;
        let mut outputs = scanned.state;
        for (place, values) in scanned.collected.iter().enumerate() {
            let whole = stacked(node, values, scanned.samples.get(place), 0, false)?;
            let mut missing = vec![0; whole.rank()];
            if let Some(missing) = missing.first_mut() {
                *missing = longest - turns;
            }
            outputs.push(whole.pad(&vec![0; whole.rank()], &missing, 0.0).into());
        }
        results.resize(outputs.len(), Vec::new());
        results.iter_mut().zip(outputs).for_each(|(result, output)| result.push(output));
    }
    results.iter().map(|rows| Ok(stacked(node, rows, None, 0, false)?.into())).collect()
}
