//! Evaluating an expression on the CPU: a list of instructions on blocks of registers that stay in the first-level cache.

use bytemuck::Pod;
use half::{bf16, f16};
use pulp::{Simd, WithSimd};

use super::affine::Affine;
use super::apply::{apply, lanes, lanes_mut};
use super::expression::{Constant, ScalarExpr, ScalarNode};
use super::function::ScalarFunction;
use super::instructions::dispatch;
use super::vector::set_all;
use crate::tensor::DType;

/// Elements evaluated at a time: a register of f32 is 4 KiB.
pub(crate) const BLOCK: usize = 1024;

/// Elements of a row from which reading it as one is worth the look at its beginning.
pub(crate) const SHORTEST_ROW: usize = 8;

#[derive(Clone, Debug)]
enum Fetch {
    /// Consecutive elements, from the block's start plus this offset on.
    Linear(i64),
    /// Addresses that follow the coordinates.
    Strided(Affine),
}

#[derive(Clone, Debug)]
enum Instruction {
    /// `is_result`: what it loads is an output as it is.
    Load {
        input: usize,
        stored: DType,
        fetch: Fetch,
        is_result: bool,
        out: usize,
    },
    Index {
        at: Affine,
        out: usize,
    },
    /// `step`: from each address to the next along the innermost dimension, where it is always the same.
    Gather {
        input: usize,
        stored: DType,
        address: usize,
        step: Option<i64>,
        out: usize,
    },
    Call {
        function: ScalarFunction,
        dtype: DType,
        arguments: [usize; 4],
        out: usize,
    },
}

impl Instruction {
    /// The register of its result.
    #[inline(always)]
    fn out(&self) -> usize {
        match self {
            Self::Load { out, .. } | Self::Index { out, .. } | Self::Gather { out, .. } | Self::Call { out, .. } => {
                *out
            }
        }
    }
}

/// What does not change over the domain, put into a register once.
#[derive(Clone, Debug)]
enum Fixed {
    Constant(Constant),
    Uniform { input: usize, stored: DType, address: i64 },
}

/// Where an input's elements are.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// In memory of their own.
    Bytes(&'a [u8]),
    /// The same from an element on, whose number this is: nothing before it is read.
    From(&'a [u8], i64),
    /// In the part of an output that is about to be overwritten, at the same index.
    InPlace(usize),
}

impl<'a> Source<'a> {
    /// The elements in memory, and the number of their first; none for those of an output.
    #[inline(always)]
    fn elements(self) -> Option<(&'a [u8], i64)> {
        match self {
            Self::Bytes(bytes) => Some((bytes, 0)),
            Self::From(bytes, first) => Some((bytes, first)),
            Self::InPlace(_) => None,
        }
    }
}

/// An expression prepared for evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    dims: Vec<usize>,
    fixed: Vec<(Fixed, usize)>,
    instructions: Vec<Instruction>,
    registers: usize,
    outputs: Vec<(usize, DType)>,
    /// The output that the last instruction may write where it belongs, without a register.
    direct: Option<usize>,
}

/// Registers, reused from call to call by their thread.
#[derive(Default)]
pub(crate) struct Scratch {
    registers: Vec<Register>,
}

/// Room for a block of any element type. Truth values take 32 bits here.
type Register = Vec<u64>;

/// The number of registers that elements in memory can replace.
const VIEWS: usize = 32;

/// Elements that a block reads where they are, instead of from registers. Stored from block to block: whatever writes to a register
/// updates this.
#[derive(Default)]
pub(crate) struct Views<'a>([Option<View<'a>>; VIEWS]);

#[derive(Clone, Copy)]
enum View<'a> {
    /// An input's.
    Input(&'a [u8]),
    /// Those that a block's results will overwrite, from a byte of an output on.
    Output(usize, usize),
}

impl<'a> Views<'a> {
    /// Says where the register's elements are; false where they cannot be but in the register.
    #[inline(always)]
    fn set(&mut self, register: usize, view: Option<View<'a>>) -> bool {
        match self.0.get_mut(register) {
            Some(slot) => {
                *slot = view;
                view.is_some()
            }
            None => false,
        }
    }

    /// The bytes of a register, or of what replaces it.
    #[inline(always)]
    fn operand<'b>(&self, scratch: &'b Scratch, outputs: &'b [&mut [u8]], register: usize) -> &'b [u8]
    where
        'a: 'b,
    {
        match self.0.get(register) {
            Some(&Some(View::Input(bytes))) => bytes,
            Some(&Some(View::Output(output, start))) => &outputs[output][start..],
            _ => bytemuck::cast_slice(&scratch.registers[register]),
        }
    }
}

impl Tape {
    /// Prepares an expression. Registers are reused as soon as their value has been read for the last time.
    pub(crate) fn new(expression: &ScalarExpr) -> Self {
        let (expression, _) = expression.collapsed(&[]);
        let mut last_use = vec![0; expression.nodes.len()];
        for (index, node) in expression.nodes.iter().enumerate() {
            ScalarExpr::operands(node).iter().for_each(|id| last_use[id.index()] = index);
        }
        expression.outputs.iter().for_each(|(id, _)| last_use[id.index()] = usize::MAX);
        let mut tape = Self {
            dims: expression.dims.clone(),
            fixed: Vec::new(),
            instructions: Vec::new(),
            registers: 0,
            outputs: Vec::new(),
            direct: None,
        };
        let steps = steps(&expression);
        let mut free: Vec<usize> = Vec::new();
        let mut register_of = vec![0; expression.nodes.len()];
        // Of a single point every load is the same everywhere, but it may be one that is overwritten in place.
        let single = tape.len() == 1;
        let is_uniform = |at: &Affine| at.is_constant() && !single;
        for (index, node) in expression.nodes.iter().enumerate() {
            let is_fixed = match node {
                ScalarNode::Constant(_) => true,
                ScalarNode::Load { at, .. } => is_uniform(at),
                _ => false,
            };
            let out = (!is_fixed).then(|| free.pop()).flatten().unwrap_or_else(|| {
                tape.registers += 1;
                tape.registers - 1
            });
            register_of[index] = out;
            let stored = |input: usize| expression.inputs[input];
            match node {
                ScalarNode::Constant(constant) => tape.fixed.push((Fixed::Constant(*constant), out)),
                ScalarNode::Load { input, at } if is_uniform(at) => {
                    let fixed = Fixed::Uniform { input: *input, stored: stored(*input), address: at.offset };
                    tape.fixed.push((fixed, out));
                }
                ScalarNode::Load { input, at } => {
                    let fetch = if single || at.is_row_major(&expression.dims) {
                        Fetch::Linear(at.offset)
                    } else {
                        Fetch::Strided(at.clone())
                    };
                    let is_result = expression.outputs.iter().any(|(id, _)| id.index() == index);
                    tape.instructions.push(Instruction::Load {
                        input: *input,
                        stored: stored(*input),
                        fetch,
                        is_result,
                        out,
                    });
                }
                ScalarNode::Index(at) => tape.instructions.push(Instruction::Index { at: at.clone(), out }),
                ScalarNode::Gather { input, address } => tape.instructions.push(Instruction::Gather {
                    input: *input,
                    stored: stored(*input),
                    address: register_of[address.index()],
                    step: steps[address.index()],
                    out,
                }),
                ScalarNode::Call { function, arguments } => {
                    let mut registers = [register_of[arguments[0].index()]; 4];
                    for (register, id) in registers.iter_mut().zip(arguments) {
                        *register = register_of[id.index()];
                    }
                    let dtype = arguments.last().map_or(DType::F32, |id| expression.types[id.index()]);
                    tape.instructions.push(Instruction::Call { function: *function, dtype, arguments: registers, out });
                }
                // Epilogues are turned into expressions with an input more before they come here.
                ScalarNode::Accumulator(_) => {}
            }
            let mut operands: Vec<_> = ScalarExpr::operands(node).to_vec();
            operands.sort_unstable();
            operands.dedup();
            for id in operands {
                let operand = &expression.nodes[id.index()];
                let fixed = matches!(operand, ScalarNode::Constant(_))
                    || matches!(operand, ScalarNode::Load { at, .. } if is_uniform(at));
                if last_use[id.index()] == index && !fixed {
                    free.push(register_of[id.index()]);
                }
            }
        }
        tape.outputs = expression.outputs.iter().map(|&(id, stored)| (register_of[id.index()], stored)).collect();
        tape.direct = tape.direct();
        tape
    }

    /// The only output that the last instruction computes, as it is stored.
    fn direct(&self) -> Option<usize> {
        let last = self.instructions.last()?;
        // One that reads what it would overwrite, perhaps.
        if let Instruction::Load { fetch: Fetch::Linear(_), .. } = last {
            return None;
        }
        let out = last.out();
        let mut of_it = (0..self.outputs.len()).filter(|&output| self.outputs[output].0 == out);
        let output = of_it.next()?;
        (of_it.next().is_none() && size_computed_with(self.outputs[output].1).is_some()).then_some(output)
    }

    /// Number of points in the domain.
    pub(crate) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Number of instructions for each point.
    pub(crate) fn instructions(&self) -> usize {
        self.instructions.len()
    }

    /// Stored types of the outputs.
    pub(crate) fn output_dtypes(&self) -> impl Iterator<Item = DType> + '_ {
        self.outputs.iter().map(|&(_, stored)| stored)
    }

    /// Fills the registers that stay the same; to be called before blocks of at most `n` elements are evaluated.
    pub(crate) fn prepare(&self, scratch: &mut Scratch, inputs: &[Source<'_>], n: usize) {
        let n = n.min(BLOCK);
        while scratch.registers.len() < self.registers {
            scratch.registers.push(vec![0; BLOCK]);
        }
        for (fixed, out) in &self.fixed {
            let register: &mut [u8] = bytemuck::cast_slice_mut(&mut scratch.registers[*out]);
            match fixed {
                Fixed::Constant(constant) => match constant.dtype {
                    DType::F64 => set_all(lanes_mut::<f64>(register, n), constant.value),
                    DType::I32 => set_all(lanes_mut::<i32>(register, n), constant.value as i32),
                    DType::I64 => set_all(lanes_mut::<i64>(register, n), constant.value as i64),
                    DType::U32 | DType::Bool => set_all(lanes_mut::<u32>(register, n), constant.value as u32),
                    _ => set_all(lanes_mut::<f32>(register, n), constant.value as f32),
                },
                Fixed::Uniform { input, stored, address } => {
                    if let Some((bytes, first)) = inputs[*input].elements() {
                        fetch_elements(*stored, bytes, register, Along(std::iter::once((*address - first, 0, n))));
                    }
                }
            }
        }
    }

    /// The elements of the only output at the points from `start` on, where it is an input's elements as they are stored.
    pub(crate) fn plain<'a, T: Pod>(&self, inputs: &[Source<'a>], start: usize, n: usize) -> Option<&'a [T]> {
        let [Instruction::Load { input, stored, fetch: Fetch::Linear(offset), out, .. }] = self.instructions.as_slice()
        else {
            return None;
        };
        let &[(output, _)] = self.outputs.as_slice() else { return None };
        let (bytes, first) = inputs[*input].elements()?;
        if output != *out || stored.size() != size_of::<T>() {
            return None;
        }
        bytemuck::try_cast_slice(aligned(*stored, bytes, offset + start as i64 - first, n)?).ok()
    }

    /// An output's elements after a block that wrote none.
    #[inline(always)]
    pub(crate) fn output<'b>(&self, scratch: &'b Scratch, views: &Views<'b>, output: usize) -> &'b [u8] {
        views.operand(scratch, &[], self.outputs[output].0)
    }
}

/// A block of consecutive points of an expression.
pub(crate) struct Block<'t, 'o, 'a> {
    pub(crate) tape: &'t Tape,
    pub(crate) scratch: &'t mut Scratch,
    pub(crate) views: &'t mut Views<'a>,
    pub(crate) inputs: &'t [Source<'a>],
    /// What the block's results are written to, and may be read from before; or nothing.
    pub(crate) outputs: &'t mut [&'o mut [u8]],
    /// The block's first element of those.
    pub(crate) offset: usize,
    /// Its first point, and their number.
    pub(crate) start: usize,
    pub(crate) n: usize,
}

impl Block<'_, '_, '_> {
    /// Evaluates it.
    #[inline(never)]
    pub(crate) fn run(self) {
        dispatch(self);
    }
}

impl WithSimd for Block<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let tape = self.tape;
        let direct = tape.direct.filter(|&output| {
            let stored = tape.outputs[output].1;
            let rest = self.outputs.get(output).and_then(|bytes| bytes.get(self.offset * stored.size()..));
            rest.is_some_and(|bytes| is_computed_with(stored, bytes))
        });
        for (number, instruction) in tape.instructions.iter().enumerate() {
            self.instruction(simd, instruction, direct, number + 1 == tape.instructions.len());
        }
        self.store(direct);
    }
}

impl<'a> Block<'_, '_, 'a> {
    /// The elements that a load would copy, where they can be read as they are. Those of an output can until all instructions have run,
    /// but not if the last one writes there, nor if they become results.
    #[inline(always)]
    fn view(&self, instruction: &Instruction, direct: Option<usize>) -> Option<View<'a>> {
        let Instruction::Load { input, stored, fetch, is_result, .. } = instruction else { return None };
        if let Source::InPlace(output) = self.inputs[*input] {
            let start = self.offset * stored.size();
            let stays = !is_result && direct != Some(output);
            let is_view = stays && is_computed_with(*stored, self.outputs[output].get(start..)?);
            return is_view.then_some(View::Output(output, start));
        }
        let (bytes, first) = self.inputs[*input].elements()?;
        let address = match fetch {
            Fetch::Linear(offset) => offset + self.start as i64,
            Fetch::Strided(at) => match Runs::new(&self.tape.dims, at, self.start, self.n).next()? {
                (address, 1, count) if count == self.n => address,
                _ => return None,
            },
        };
        aligned(*stored, bytes, address - first, self.n).map(View::Input)
    }

    /// Runs an instruction. Its result becomes what its register has, or the last one's the block's part of an output.
    #[inline(always)]
    fn instruction<S: Simd>(&mut self, simd: S, instruction: &Instruction, direct: Option<usize>, is_last: bool) {
        let register = instruction.out();
        let output = direct.filter(|_| is_last);
        let view = if output.is_none() { self.view(instruction, direct) } else { None };
        if self.views.set(register, view) {
            return;
        }
        let mut room = std::mem::take(&mut self.scratch.registers[register]);
        let all = output.map(|output| std::mem::take(&mut self.outputs[output])).unwrap_or_default();
        let out = match output {
            Some(output) => {
                let size = self.tape.outputs[output].1.size();
                &mut all[self.offset * size..(self.offset + self.n) * size]
            }
            None => bytemuck::cast_slice_mut(&mut room),
        };
        self.compute(simd, instruction, out);
        if let Some(output) = output {
            self.outputs[output] = all;
        }
        self.scratch.registers[register] = room;
    }

    #[inline(always)]
    fn compute<S: Simd>(&self, simd: S, instruction: &Instruction, out: &mut [u8]) {
        let Self { tape, inputs, start, n, .. } = *self;
        let operand = |register: usize| self.views.operand(self.scratch, self.outputs, register);
        match instruction {
            Instruction::Load { input, stored, fetch, .. } => {
                if let Source::InPlace(overwritten) = inputs[*input] {
                    let addresses = Along(std::iter::once((self.offset as i64, 1, n)));
                    return fetch_elements(*stored, self.outputs[overwritten], out, addresses);
                }
                let Some((bytes, first)) = inputs[*input].elements() else { return };
                match fetch {
                    Fetch::Linear(offset) => {
                        let addresses = Along(std::iter::once((offset + start as i64 - first, 1, n)));
                        fetch_elements(*stored, bytes, out, addresses);
                    }
                    Fetch::Strided(at) => {
                        let runs = Runs::new(&tape.dims, at, start, n);
                        let addresses = Along(runs.map(|(address, step, count)| (address - first, step, count)));
                        fetch_elements(*stored, bytes, out, addresses);
                    }
                }
            }
            Instruction::Index { at, .. } => {
                let lanes = lanes_mut::<i32>(out, n);
                let mut done = 0;
                for (address, step, count) in Runs::new(&tape.dims, at, start, n) {
                    for (k, lane) in lanes[done..done + count].iter_mut().enumerate() {
                        *lane = (address + step * k as i64) as i32;
                    }
                    done += count;
                }
            }
            Instruction::Gather { input, stored, address, step, .. } => {
                let Source::Bytes(bytes) = inputs[*input] else { return };
                let addresses = lanes::<i32>(operand(*address), n);
                match (step, tape.dims.last()) {
                    (&Some(step), Some(&inner)) if inner >= SHORTEST_ROW => {
                        let rows = Rows { addresses, step, inner, column: start % inner };
                        fetch_elements(*stored, bytes, out, Along(rows));
                    }
                    _ => fetch_elements(*stored, bytes, out, Each(addresses)),
                }
            }
            Instruction::Call { function, dtype, arguments, .. } => {
                let [a, b, c, d] = *arguments;
                apply(simd, *function, *dtype, out, [operand(a), operand(b), operand(c), operand(d)], n);
            }
        }
    }

    /// Writes the results to their outputs, but for one that is there already.
    #[inline(always)]
    fn store(&mut self, written: Option<usize>) {
        let (offset, n) = (self.offset, self.n);
        for (output, &(register, stored)) in self.tape.outputs.iter().enumerate() {
            if Some(output) == written || output >= self.outputs.len() {
                continue;
            }
            let bytes = std::mem::take(&mut self.outputs[output]);
            let operand = self.views.operand(self.scratch, self.outputs, register);
            match stored {
                DType::F32 | DType::I32 | DType::U32 => {
                    bytes[offset * 4..(offset + n) * 4].copy_from_slice(&operand[..n * 4])
                }
                DType::F64 | DType::I64 => bytes[offset * 8..(offset + n) * 8].copy_from_slice(&operand[..n * 8]),
                DType::F16 => narrow(bytes, offset, lanes::<f32>(operand, n), f16::from_f32),
                DType::BF16 => narrow(bytes, offset, lanes::<f32>(operand, n), bf16::from_f32),
                DType::U8 | DType::Bool => narrow(bytes, offset, lanes::<u32>(operand, n), |value| value as u8),
            }
            self.outputs[output] = bytes;
        }
    }
}

/// The bytes of `n` elements from an address on, where they can be computed with as they are: of a type that is its own compute type,
/// within the memory, and aligned.
#[inline(always)]
fn aligned(stored: DType, bytes: &[u8], address: i64, n: usize) -> Option<&[u8]> {
    let size = stored.size();
    let start = usize::try_from(address).ok()?.checked_mul(size)?;
    let view = bytes.get(start..start.checked_add(n * size)?)?;
    is_computed_with(stored, view).then_some(view)
}

/// True where elements that are stored like this, there, can be computed with as they are.
#[inline(always)]
fn is_computed_with(stored: DType, bytes: &[u8]) -> bool {
    size_computed_with(stored).is_some_and(|size| bytes.as_ptr().addr().is_multiple_of(size))
}

/// The size, and alignment, of elements whose stored type is their compute type.
#[inline(always)]
fn size_computed_with(stored: DType) -> Option<usize> {
    matches!(stored, DType::F32 | DType::I32 | DType::U32 | DType::F64 | DType::I64).then(|| stored.size())
}

#[inline(always)]
fn narrow<A: Pod, B: Pod>(bytes: &mut [u8], offset: usize, values: &[A], convert: impl Fn(A) -> B) {
    let size = size_of::<B>();
    let out = &mut bytes[offset * size..(offset + values.len()) * size];
    match bytemuck::try_cast_slice_mut::<u8, B>(out) {
        Ok(out) => {
            for k in 0..values.len() {
                out[k] = convert(values[k]);
            }
        }
        Err(_) => {
            for (out, &value) in out.chunks_exact_mut(size).zip(values) {
                out.copy_from_slice(bytemuck::bytes_of(&convert(value)));
            }
        }
    }
}

/// What is read of an input into a register. An address outside the memory reads as zero: operators keep theirs inside, so this only
/// guards against a broken one.
trait Addresses {
    fn read<S: Pod + Default, C: Pod>(self, source: &[S], lanes: &mut [C], convert: impl Fn(S) -> C);
}

/// An element at each address.
struct Each<'a>(&'a [i32]);

impl Addresses for Each<'_> {
    #[inline(always)]
    fn read<S: Pod + Default, C: Pod>(self, source: &[S], lanes: &mut [C], convert: impl Fn(S) -> C) {
        let addresses = self.0;
        let lanes = &mut lanes[..addresses.len()];
        for k in 0..addresses.len() {
            lanes[k] = convert(source.get(addresses[k] as usize).copied().unwrap_or_default());
        }
    }
}

/// Runs of (address, step, count).
struct Along<I>(I);

impl<I: Iterator<Item = (i64, i64, usize)>> Addresses for Along<I> {
    #[inline(always)]
    fn read<S: Pod + Default, C: Pod>(self, source: &[S], lanes: &mut [C], convert: impl Fn(S) -> C) {
        let mut done = 0;
        for (address, step, count) in self.0 {
            let out = &mut lanes[done..done + count];
            done += count;
            let at = |k: usize| source.get((address + step * k as i64) as usize).copied().unwrap_or_default();
            if step == 1
                && let Some(run) = usize::try_from(address).ok().and_then(|a| source.get(a..a + count))
            {
                for k in 0..count {
                    out[k] = convert(run[k]);
                }
            } else if step == 0 {
                set_all(out, convert(at(0)));
            } else {
                for (k, out) in out.iter_mut().enumerate() {
                    *out = convert(at(k));
                }
            }
        }
    }
}

/// Rows of addresses that follow each other by one step, of which the first is looked at: rows of a table, as embeddings read them.
struct Rows<'a> {
    addresses: &'a [i32],
    step: i64,
    inner: usize,
    /// How far the first row has come.
    column: usize,
}

impl Iterator for Rows<'_> {
    type Item = (i64, i64, usize);
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let first = *self.addresses.first()?;
        let count = (self.inner - self.column).min(self.addresses.len());
        self.addresses = &self.addresses[count..];
        self.column = 0;
        Some((i64::from(first), self.step, count))
    }
}

/// For each value of an expression, how much it grows from each element to the next along the innermost dimension, where that is known to be
/// the same everywhere.
pub(crate) fn steps(expression: &ScalarExpr) -> Vec<Option<i64>> {
    let mut steps: Vec<Option<i64>> = Vec::with_capacity(expression.nodes.len());
    let along = |at: &Affine| at.strides.last().copied().unwrap_or(0);
    for node in &expression.nodes {
        let step = match node {
            ScalarNode::Constant(_) => Some(0),
            ScalarNode::Index(at) => Some(along(at)),
            ScalarNode::Load { at, .. } => (along(at) == 0).then_some(0),
            ScalarNode::Gather { address, .. } => steps[address.index()].filter(|&step| step == 0),
            ScalarNode::Accumulator(_) => None,
            ScalarNode::Call { function, arguments } => {
                let of = |k: usize| arguments.get(k).and_then(|id| steps[id.index()]);
                let stays = || arguments.iter().all(|id| steps[id.index()] == Some(0)).then_some(0);
                match function {
                    ScalarFunction::Add => of(0).zip(of(1)).map(|(a, b)| a + b),
                    ScalarFunction::Sub => of(0).zip(of(1)).map(|(a, b)| a - b),
                    _ => stays(),
                }
            }
        };
        steps.push(step);
    }
    steps
}

/// Reads elements into a register, converting to the compute type.
#[inline(always)]
fn fetch_elements(stored: DType, bytes: &[u8], lanes: &mut [u8], addresses: impl Addresses) {
    #[inline(always)]
    fn typed<S: Pod + Default, C: Pod>(
        bytes: &[u8],
        lanes: &mut [u8],
        addresses: impl Addresses,
        convert: impl Fn(S) -> C,
    ) {
        let full = bytes.len() / size_of::<S>() * size_of::<S>();
        addresses.read(bytemuck::cast_slice(&bytes[..full]), bytemuck::cast_slice_mut(lanes), convert);
    }
    match stored {
        DType::F32 | DType::I32 | DType::U32 => typed(bytes, lanes, addresses, |value: u32| value),
        DType::F64 | DType::I64 => typed(bytes, lanes, addresses, |value: u64| value),
        DType::F16 => typed(bytes, lanes, addresses, |value: f16| value.to_f32()),
        DType::BF16 => typed(bytes, lanes, addresses, |value: bf16| value.to_f32()),
        DType::U8 | DType::Bool => typed(bytes, lanes, addresses, |value: u8| u32::from(value)),
    }
}

/// The runs of equal steps along the innermost dimension that cover a range of points.
#[derive(Clone)]
struct Runs<'a> {
    dims: &'a [usize],
    at: &'a Affine,
    point: usize,
    end: usize,
}

impl<'a> Runs<'a> {
    #[inline(always)]
    fn new(dims: &'a [usize], at: &'a Affine, start: usize, n: usize) -> Self {
        Self { dims, at, point: start, end: start + n }
    }
}

impl Iterator for Runs<'_> {
    type Item = (i64, i64, usize);
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.point >= self.end {
            return None;
        }
        let Some((&inner, outer)) = self.dims.split_last() else {
            self.point = self.end;
            return Some((self.at.offset, 0, 1));
        };
        let column = self.point % inner;
        let mut rest = self.point / inner;
        let step = self.at.strides[outer.len()];
        let mut address = self.at.offset + step * column as i64;
        for (axis, &extent) in outer.iter().enumerate().rev() {
            address += self.at.strides[axis] * (rest % extent) as i64;
            rest /= extent;
        }
        let count = (inner - column).min(self.end - self.point);
        self.point += count;
        Some((address, step, count))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, map};
    use super::*;

    #[test]
    fn narrow_values_are_stored_wherever_their_bytes_are() {
        let values = [1.0_f32, -2.5, 3.0e4];
        let wanted: Vec<u8> = values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect();
        let mut bytes = [0_u64; 3];
        for offset in [0, 1] {
            let bytes = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut bytes)[offset..];
            narrow(bytes, 1, &values, bf16::from_f32);
            assert_eq!(bytes[2..8], wanted, "from byte {offset} on");
        }
    }

    #[test]
    fn rows_are_read_from_where_their_first_address_says() {
        // A table of 5 rows, read at 700 indices, some beyond it; blocks begin and end within rows.
        for (width, step) in [(20_usize, 1), (20, 3), (3, 1)] {
            let (rows, wide) = (700, width as i64 * step);
            let mut builder = Builder::new(DType::F32);
            let index = builder.load(0, DType::I32, Affine::new(0, vec![1, 0]));
            let row = builder.constant(DType::I32, wide as f64);
            let start = builder.call(ScalarFunction::Mul, &[index, row]);
            let column = builder.index(Affine::new(0, vec![0, step]));
            let address = builder.call(ScalarFunction::Add, &[start, column]);
            let value = builder.gather(1, DType::F32, address);
            let expression = builder.finish(vec![rows, width], vec![DType::I32, DType::F32], vec![(value, DType::F32)]);
            let table: Vec<f32> = (0..5 * wide).map(|k| k as f32 + 0.5).collect();
            let indices: Vec<i32> = (0..rows).map(|k| (k * 7 % 8) as i32 - 2).collect();
            let mut found = vec![0_f32; rows * width];
            let sources = [bytemuck::cast_slice(&indices), bytemuck::cast_slice(&table)].map(Source::Bytes);
            map(&Tape::new(&expression), &sources, &mut [bytemuck::cast_slice_mut(&mut found)]);
            for (k, found) in found.iter().enumerate() {
                let at = i64::from(indices[k / width]) * wide + (k % width) as i64 * step;
                let wanted = usize::try_from(at).ok().and_then(|at| table.get(at)).copied().unwrap_or_default();
                assert_eq!(*found, wanted, "element {k} of rows of {width}, step {step}");
            }
        }
    }

    #[test]
    fn a_single_element_is_read_before_it_is_overwritten() {
        let mut builder = Builder::new(DType::F32);
        let at = Affine::row_major(&[1]);
        let [left, right] = [0, 1].map(|input| builder.load(input, DType::F32, at.clone()));
        let ratio = builder.call(ScalarFunction::Div, &[left, right]);
        let expression = builder.finish(vec![1], vec![DType::F32; 2], vec![(ratio, DType::F32)]);
        let mut overwritten = 4.0_f32.to_le_bytes();
        let left = 2.0_f32.to_le_bytes();
        map(&Tape::new(&expression), &[Source::Bytes(&left), Source::InPlace(0)], &mut [&mut overwritten]);
        assert_eq!(f32::from_le_bytes(overwritten), 0.5);
    }

    #[test]
    fn results_go_where_operands_were_and_to_odd_bytes() {
        let n = BLOCK + 77;
        let mut builder = Builder::new(DType::F32);
        let at = Affine::row_major(&[n]);
        let [a, b, c] = [0, 1, 2].map(|input| builder.load(input, DType::F32, at.clone()));
        let product = builder.call(ScalarFunction::Mul, &[a, b]);
        let sum = builder.call(ScalarFunction::Add, &[product, c]);
        let last = builder.call(ScalarFunction::Sub, &[sum, a]);
        let outputs = [b, a, sum, last].map(|value| (value, DType::F32)).to_vec();
        let tape = Tape::new(&builder.finish(vec![n], vec![DType::F32; 3], outputs));
        assert_eq!(tape.direct, Some(3));
        let values = |first: usize| (first..first + n).map(|k| k as f32).collect::<Vec<f32>>();
        let (a, b, c) = (values(1), values(3), values(8));
        let want: [Vec<f32>; 4] = [
            b.clone(),
            a.clone(),
            (0..n).map(|k| a[k] * b[k] + c[k]).collect(),
            (0..n).map(|k| a[k] * b[k] + c[k] - a[k]).collect(),
        ];
        let mut memory = vec![vec![0_f32; n]; 4];
        // The first input is under the first output, the second under the one that the last instruction writes.
        memory[0].copy_from_slice(&a);
        memory[3].copy_from_slice(&b);
        let sources = [Source::InPlace(0), Source::InPlace(3), Source::Bytes(bytemuck::cast_slice(&c))];
        let mut outputs: Vec<&mut [u8]> = memory.iter_mut().map(|values| bytemuck::cast_slice_mut(values)).collect();
        map(&tape, &sources, &mut outputs);
        assert_eq!(memory, want);
        // From an odd byte on, results are written through registers.
        let mut bytes = vec![0; 4 * (4 * n + 1)];
        let sources = [&a, &b, &c].map(|values| Source::Bytes(bytemuck::cast_slice(values)));
        let mut outputs: Vec<&mut [u8]> = bytes.chunks_mut(4 * n + 1).map(|bytes| &mut bytes[1..]).collect();
        map(&tape, &sources, &mut outputs);
        for (found, want) in outputs.iter().zip(&want) {
            assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(found), *want);
        }
    }
}
