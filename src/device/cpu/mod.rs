//! The CPU device: the reference, the fallback, and a real one. It runs a program's work on host memory with rayon's
//! threads; the arithmetic is the scalar floor's and the operators' own. It knows no wgpu.

mod copies;
mod rows;
mod segments;

use std::sync::Arc;

use copies::Copies;
use rows::RowTapes;
use segments::SegmentTapes;
use smallvec::SmallVec;

use crate::compiler::{BufferKind, Location, Program, Work};
use crate::error::{Error, Result};
use crate::graph::CpuRoutine;
use crate::scalar::{
    ColumnBias, Instructions, ReduceDims, Reduction, ScalarExpr, Source, Tape, accumulator_as_input, column_bias, map,
    map_piece, reduce,
};
use crate::shader::Operand;
use crate::tensor::{DType, Storage, TensorType};

/// Persistent buffers on the host.
#[derive(Debug, Default)]
pub(crate) struct CpuStore {
    pub(crate) buffers: Vec<Storage>,
}

/// What a step needs besides its locations, prepared once.
enum Prepared {
    Map {
        tape: Tape,
        in_place: Vec<Option<usize>>,
    },
    Reduce {
        element: Tape,
        dtype: DType,
        reduction: Reduction,
        dims: ReduceDims,
        inputs: usize,
        epilogue: Option<Tape>,
    },
    /// A map that only moves elements.
    Copies(Copies),
    /// A map that is something else in parts of its domain.
    Segments(SegmentTapes),
    Rows(RowTapes),
    Routine {
        epilogue: Option<Tape>,
        /// The same for a routine that adds the bias.
        biased: Option<Biased>,
    },
    Copy,
}

/// An epilogue that begins with a bias: the read and offset of its first value, and what comes after.
struct Biased {
    input: usize,
    offset: usize,
    rest: Option<Tape>,
}

/// A program loaded on the CPU.
pub(crate) struct CpuProgram {
    program: Arc<Program>,
    steps: Vec<Prepared>,
    /// The program's own buffers; those of the store stay empty here and are lent for a run.
    buffers: Vec<Storage>,
    /// True where there is enough work for several threads. A run is then one task of the pool: submitting each of its
    /// steps would let the caller sleep and wake as many times.
    in_pool: bool,
}

/// A list of what a step reads or writes, which is rarely long: short ones allocate nothing.
type Few<T> = SmallVec<[T; 8]>;

/// Floating-point operations, and bytes, of a run from which threads pay.
const POOLED_FROM: [u64; 2] = [1 << 21, 1 << 21];

impl CpuProgram {
    pub(crate) fn load(program: Arc<Program>) -> Result<Self> {
        Instructions::from_environment()?;
        let steps = program.steps.iter().map(|step| prepare(&step.work)).collect();
        let buffers = program
            .buffers
            .iter()
            .map(|plan| match &plan.kind {
                BufferKind::Persistent(_) => Ok(Storage::default()),
                BufferKind::Constant(data) => Ok(data.storage().clone()),
                BufferKind::Input | BufferKind::Slot => super::execute::reserve(plan.bytes),
            })
            .collect::<Result<_>>()?;
        let in_pool = program.flops() >= POOLED_FROM[0] || program.bytes() >= POOLED_FROM[1];
        Ok(Self { program, steps, buffers, in_pool })
    }

    /// Writes the inputs and runs every step.
    pub(crate) fn run(&mut self, store: &mut CpuStore, inputs: &[(usize, &[u8])]) -> Result<()> {
        self.write_inputs(inputs);
        self.lend(store);
        let result = if self.in_pool { rayon::scope(|_| self.run_steps()) } else { self.run_steps() };
        self.lend(store);
        result
    }

    fn write_inputs(&mut self, inputs: &[(usize, &[u8])]) {
        for &(port, bytes) in inputs {
            let location = self.program.inputs[port].location;
            let target = self.buffers[location.buffer].as_mut_slice::<u8>();
            target[location.offset..location.offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Exchanges the store's buffers with the placeholders here: lends them before a run, returns them after it.
    fn lend(&mut self, store: &mut CpuStore) {
        for (plan, buffer) in self.program.buffers.iter().zip(&mut self.buffers) {
            if let BufferKind::Persistent(index) = plan.kind {
                std::mem::swap(buffer, &mut store.buffers[index]);
            }
        }
    }

    /// The bytes at a location after a run.
    pub(crate) fn read(&self, store: &CpuStore, location: Location) -> Vec<u8> {
        let buffer = match self.program.buffers[location.buffer].kind {
            BufferKind::Persistent(index) => &store.buffers[index],
            _ => &self.buffers[location.buffer],
        };
        buffer.as_slice::<u8>()[location.offset..location.offset + location.bytes].to_vec()
    }

    fn run_steps(&mut self) -> Result<()> {
        let program = Arc::clone(&self.program);
        for (step, prepared) in program.steps.iter().zip(&self.steps) {
            run_step(step, prepared, &mut self.buffers)
                .map_err(|message| Error::graph(step.label.clone(), message, step.origin))?;
        }
        Ok(())
    }

    /// Runs every step once and returns the seconds that each took.
    pub(crate) fn profile(&mut self, store: &mut CpuStore, inputs: &[(usize, &[u8])]) -> Result<Vec<(usize, f64)>> {
        self.write_inputs(inputs);
        let program = Arc::clone(&self.program);
        self.lend(store);
        let mut times = Vec::with_capacity(program.steps.len());
        let mut result = Ok(());
        for (number, (step, prepared)) in program.steps.iter().zip(&self.steps).enumerate() {
            let start = crate::clock::Instant::now();
            let done = run_step(step, prepared, &mut self.buffers);
            times.push((number, start.elapsed().as_secs_f64()));
            result = result.and(done.map_err(|message| Error::graph(step.label.clone(), message, step.origin)));
        }
        self.lend(store);
        result.map(|()| times)
    }
}

fn prepare(work: &Work) -> Prepared {
    match work {
        Work::Map { expression, in_place } => {
            let is_apart = in_place.iter().all(Option::is_none);
            if let Some(copies) = is_apart.then(|| Copies::new(expression)).flatten() {
                return Prepared::Copies(copies);
            }
            match is_apart.then(|| SegmentTapes::new(expression)).flatten() {
                Some(tapes) => Prepared::Segments(tapes),
                None => Prepared::Map { tape: Tape::new(expression), in_place: in_place.clone() },
            }
        }
        Work::Reduce { expression, borders, reduction, epilogue } => {
            let product = |dims: &[usize]| dims.iter().product();
            let dims = ReduceDims {
                outer: product(&expression.dims[..borders[0]]),
                reduced: product(&expression.dims[borders[0]..borders[1]]),
                inner: product(&expression.dims[borders[1]..]),
            };
            let dtype = expression.types[expression.outputs[0].0.index()];
            let rank = epilogue.expression.dims.len();
            let after = accumulator_as_input(&epilogue.expression, reduction.result(dtype), rank);
            Prepared::Reduce {
                element: Tape::new(expression),
                dtype,
                reduction: *reduction,
                dims,
                inputs: expression.inputs.len(),
                epilogue: Some(Tape::new(&after)),
            }
        }
        Work::Rows(rows) => Prepared::Rows(RowTapes::new(rows)),
        Work::Routine { outputs, epilogue, .. } => {
            let epilogue =
                epilogue.as_ref().filter(|epilogue| !is_identity(epilogue)).map(|epilogue| &epilogue.expression);
            let tape = |expression: &ScalarExpr| {
                let rank = expression.dims.len();
                Tape::new(&accumulator_as_input(expression, outputs[0].dtype, rank))
            };
            let columns = outputs[0].shape.last().copied().unwrap_or(1);
            let biased = epilogue.and_then(|epilogue| column_bias(epilogue, columns));
            Prepared::Routine {
                epilogue: epilogue.map(tape),
                biased: biased.map(|ColumnBias { input, offset, rest }| Biased {
                    input,
                    offset,
                    rest: rest.as_ref().map(tape),
                }),
            }
        }
        Work::Copy => Prepared::Copy,
    }
}

/// True where an epilogue only stores the accumulator.
fn is_identity(epilogue: &crate::scalar::Epilogue) -> bool {
    matches!(epilogue.expression.nodes.as_slice(), [crate::scalar::ScalarNode::Accumulator(_)])
        && epilogue.expression.outputs.len() == 1
}

/// Takes the buffers that a step writes out of the list, so that the others can be read meanwhile. Writes to one buffer
/// share it: only a group's update does that, with one range each.
fn run_step(step: &crate::compiler::Step, prepared: &Prepared, buffers: &mut [Storage]) -> Result<(), String> {
    if let Prepared::Copy = prepared {
        let (from, to) = (step.reads[0], step.writes[0]);
        let mut target = std::mem::take(&mut buffers[to.buffer]);
        let (source, range) = (from.offset..from.offset + from.bytes, to.offset..to.offset + to.bytes);
        if from.buffer == to.buffer {
            target.as_mut_slice::<u8>().copy_within(source, to.offset);
        } else {
            target.as_mut_slice::<u8>()[range].copy_from_slice(&buffers[from.buffer].as_slice::<u8>()[source]);
        }
        buffers[to.buffer] = target;
        return Ok(());
    }
    let mut taken: Few<(usize, Storage)> = Few::new();
    for write in &step.writes {
        if !taken.iter().any(|(buffer, _)| *buffer == write.buffer) {
            taken.push((write.buffer, std::mem::take(&mut buffers[write.buffer])));
        }
    }
    let result = with_outputs(step, prepared, buffers, &mut taken);
    for (buffer, storage) in taken {
        buffers[buffer] = storage;
    }
    result
}

fn with_outputs(
    step: &crate::compiler::Step,
    prepared: &Prepared,
    buffers: &[Storage],
    taken: &mut [(usize, Storage)],
) -> Result<(), String> {
    let mut outputs = outputs_of(step, taken)?;
    let bytes = |location: &Location| {
        let buffer = buffers[location.buffer].as_slice::<u8>();
        buffer.get(location.offset..location.offset + location.bytes).ok_or("an input leaves its buffer")
    };
    let sources = || -> Result<Few<Source<'_>>, String> {
        step.reads.iter().map(|location| Ok(Source::Bytes(bytes(location)?))).collect()
    };
    match (&step.work, prepared) {
        (Work::Map { .. }, Prepared::Map { tape, in_place }) => {
            let mut sources: Few<Source<'_>> = Few::new();
            for (read, location) in step.reads.iter().enumerate() {
                sources.push(match in_place.iter().position(|&overwritten| overwritten == Some(read)) {
                    Some(output) => Source::InPlace(output),
                    None => Source::Bytes(bytes(location)?),
                });
            }
            map(tape, &sources, &mut outputs);
        }
        (Work::Reduce { .. }, Prepared::Reduce { element, dtype, reduction, dims, inputs, epilogue }) => {
            let sources = sources()?;
            let values = reduce(element, &sources[..*inputs], *dtype, *reduction, *dims);
            if let Some(epilogue) = epilogue {
                let mut after: Few<Source<'_>> = sources[*inputs..].iter().copied().collect();
                after.push(Source::Bytes(bytemuck::cast_slice(&values)));
                map(epilogue, &after, &mut outputs);
            }
        }
        (Work::Map { .. }, Prepared::Copies(copies)) => copies.run(&sources()?, outputs[0]),
        (Work::Map { .. }, Prepared::Segments(tapes)) => tapes.run(&sources()?, &mut outputs),
        (Work::Rows(_), Prepared::Rows(tapes)) => tapes.run(&sources()?, &mut outputs),
        (Work::Routine { op, operands, outputs: types, in_place: true, .. }, Prepared::Routine { .. }) => {
            let ([_, others @ ..], [output], [ty]) = (&operands[..], &mut outputs[..], &types[..]) else {
                return Err("an update in place has one output, and inputs".into());
            };
            let mut inputs: Few<(&Operand, &[u8])> = Few::new();
            for (operand, location) in others.iter().zip(&step.reads[1..]) {
                inputs.push((operand, bytes(location)?));
            }
            op.routine().ok_or("it is no routine")?.cpu()?.update((ty, output), &inputs)?;
        }
        (Work::Routine { op, operands, outputs: types, .. }, Prepared::Routine { epilogue, biased }) => {
            let mut reads: Few<&[u8]> = Few::new();
            for location in &step.reads {
                reads.push(bytes(location)?);
            }
            let routine = op.routine().ok_or("it is no routine")?.cpu()?;
            let inputs: Few<(&Operand, &[u8])> = operands.iter().zip(reads.iter().copied()).collect();
            match epilogue {
                None => {
                    let mut results: Few<(&TensorType, &mut [u8])> = types.iter().zip(outputs).collect();
                    routine.evaluate(&inputs, &mut results)?;
                }
                Some(epilogue) => {
                    let tail = EpilogueOf { epilogue, biased: biased.as_ref(), reads: &reads[operands.len()..] };
                    tail.run(routine, &inputs, (&types[0], &step.types[0]), &mut outputs)?;
                }
            }
        }
        _ => return Err("the step was prepared for other work".into()),
    }
    Ok(())
}

/// Each output's range of its buffer, as slices that do not overlap.
fn outputs_of<'a>(
    step: &crate::compiler::Step,
    taken: &'a mut [(usize, Storage)],
) -> Result<Few<&'a mut [u8]>, String> {
    if let [location] = step.writes.as_slice() {
        let range = taken[0].1.as_mut_slice::<u8>().get_mut(location.offset..location.offset + location.bytes);
        let mut outputs = Few::new();
        outputs.push(range.ok_or("an output leaves its buffer")?);
        return Ok(outputs);
    }
    let mut ranges: Few<Option<&mut [u8]>> = step.writes.iter().map(|_| None).collect();
    for (buffer, storage) in taken.iter_mut() {
        let mut members: Few<usize> = (0..step.writes.len()).filter(|&k| step.writes[k].buffer == *buffer).collect();
        members.sort_by_key(|&k| step.writes[k].offset);
        let mut rest = storage.as_mut_slice::<u8>();
        let mut start = 0;
        for member in members {
            let location = step.writes[member];
            let skip = location.offset.checked_sub(start).ok_or("outputs overlap")?;
            let tail = std::mem::take(&mut rest).get_mut(skip..).ok_or("an output leaves its buffer")?;
            if tail.len() < location.bytes {
                return Err("an output leaves its buffer".into());
            }
            let (range, after) = tail.split_at_mut(location.bytes);
            ranges[member] = Some(range);
            rest = after;
            start = location.offset + location.bytes;
        }
    }
    Ok(ranges.into_iter().flatten().collect())
}

/// The epilogue of a routine: its tapes, as they were prepared, and what it reads beside the routine's result.
struct EpilogueOf<'a> {
    epilogue: &'a Tape,
    biased: Option<&'a Biased>,
    reads: &'a [&'a [u8]],
}

impl EpilogueOf<'_> {
    /// What the tapes read; the routine's result comes last.
    fn sources<'a>(&'a self, result: Source<'a>) -> Few<Source<'a>> {
        self.reads.iter().map(|bytes| Source::Bytes(bytes)).chain([result]).collect()
    }

    /// Runs a routine whose result is of the first type, and stores its epilogue's results, of which the first is of the second type.
    fn run(
        &self,
        routine: &dyn CpuRoutine,
        inputs: &[(&Operand, &[u8])],
        (ty, stored): (&TensorType, &TensorType),
        outputs: &mut [&mut [u8]],
    ) -> Result<(), String> {
        // The result is stored where the first output will be, if it fits there; else in memory of its own.
        if ty.bytes() != stored.bytes() {
            let mut raw = Storage::zeroed(ty.bytes());
            routine.evaluate(inputs, &mut [(ty, raw.as_mut_slice())])?;
            map(self.epilogue, &self.sources(Source::Bytes(raw.as_slice())), outputs);
            return Ok(());
        }
        let sources = self.sources(Source::InPlace(0));
        if let [output] = outputs
            && self.in_chunks(routine, inputs, (ty, output), &sources, stored.dtype.size())?
        {
            return Ok(());
        }
        routine.evaluate(inputs, &mut [(ty, &mut *outputs[0])])?;
        map(self.epilogue, &sources, outputs);
        Ok(())
    }

    /// The same in chunks that are finished in a cache; false where the operator cannot.
    fn in_chunks(
        &self,
        routine: &dyn CpuRoutine,
        inputs: &[(&Operand, &[u8])],
        (ty, output): (&TensorType, &mut [u8]),
        sources: &[Source<'_>],
        size: usize,
    ) -> Result<bool, String> {
        // The bias, where there is one and it can be passed to the operator.
        let bias_and_rest = self.biased.and_then(|Biased { input, offset, rest }| {
            let values: &[f32] = bytemuck::try_cast_slice(self.reads[*input]).ok()?;
            let columns = ty.shape.last().copied().unwrap_or(1);
            Some((values.get(*offset..*offset + columns)?, rest.as_ref()))
        });
        let bias = bias_and_rest.map(|(bias, _)| bias);
        let rest = bias_and_rest.map_or(Some(self.epilogue), |(_, rest)| rest);
        let finish = |first: usize, out: &mut [u8]| {
            if let Some(rest) = rest {
                let count = out.len() / size;
                map_piece(rest, sources, &mut [out], first, count);
            }
        };
        routine.evaluate_in_chunks(inputs, (ty, output), bias, &finish)
    }
}
