//! Evaluating an expression on the CPU: a list of instructions on blocks of registers that stay in the first-level cache.

use bytemuck::Pod;
use half::{bf16, f16};

use super::affine::Affine;
use super::apply::{Register, apply, lanes, lanes_mut};
use super::expression::{Constant, ScalarExpr, ScalarNode};
use super::function::ScalarFunction;
use super::vector::{set_all, vectorized};
use crate::tensor::DType;

/// Elements evaluated at a time: a register of f32 is 4 KiB.
pub(crate) const BLOCK: usize = 1024;

#[derive(Clone, Debug)]
enum Fetch {
    /// Consecutive elements, from the block's start plus this offset on.
    Linear(i64),
    /// Addresses that follow the coordinates.
    Strided(Affine),
}

#[derive(Clone, Debug)]
enum Instruction {
    Load { input: usize, stored: DType, fetch: Fetch, out: usize },
    Index { at: Affine, out: usize },
    Gather { input: usize, stored: DType, address: usize, out: usize },
    Call { function: ScalarFunction, dtype: DType, arguments: [usize; 4], out: usize },
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
    /// In the part of an output that is about to be overwritten, at the same index.
    InPlace(usize),
}

/// An expression prepared for evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    dims: Vec<usize>,
    fixed: Vec<(Fixed, usize)>,
    instructions: Vec<Instruction>,
    registers: usize,
    outputs: Vec<(usize, DType)>,
}

/// Registers, reused from call to call by their thread.
#[derive(Default)]
pub(crate) struct Scratch {
    registers: Vec<Register>,
}

/// The number of registers that an input's elements can replace.
const VIEWS: usize = 32;

/// Elements of inputs that a block reads where they are, instead of from registers. Stored from block to block: whatever writes to a
/// register updates this.
#[derive(Default)]
pub(crate) struct Views<'a>([Option<&'a [u8]>; VIEWS]);

impl<'a> Views<'a> {
    /// Says where the register's elements are; false where they cannot be but in the register.
    #[inline(always)]
    fn set(&mut self, register: usize, view: Option<&'a [u8]>) -> bool {
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
    fn operand<'b>(&self, scratch: &'b Scratch, register: usize) -> &'b [u8]
    where
        'a: 'b,
    {
        match self.0.get(register) {
            Some(&Some(view)) => view,
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
        };
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
                    tape.instructions.push(Instruction::Load { input: *input, stored: stored(*input), fetch, out });
                }
                ScalarNode::Index(at) => tape.instructions.push(Instruction::Index { at: at.clone(), out }),
                ScalarNode::Gather { input, address } => tape.instructions.push(Instruction::Gather {
                    input: *input,
                    stored: stored(*input),
                    address: register_of[address.index()],
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
                ScalarNode::Accumulator => {}
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
        tape
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
            let register = &mut scratch.registers[*out];
            match fixed {
                Fixed::Constant(constant) => match constant.dtype {
                    DType::F64 => set_all(lanes_mut::<f64>(register, n), constant.value),
                    DType::I32 => set_all(lanes_mut::<i32>(register, n), constant.value as i32),
                    DType::I64 => set_all(lanes_mut::<i64>(register, n), constant.value as i64),
                    DType::U32 | DType::Bool => set_all(lanes_mut::<u32>(register, n), constant.value as u32),
                    _ => set_all(lanes_mut::<f32>(register, n), constant.value as f32),
                },
                Fixed::Uniform { input, stored, address } => {
                    if let Source::Bytes(bytes) = inputs[*input] {
                        fetch_elements(*stored, bytes, register, Along(std::iter::once((*address, 0, n))));
                    }
                }
            }
        }
    }

    /// Evaluates the block of `n` points from `start` on. `outputs` gives the parts of the outputs that the block will
    /// overwrite, for inputs that are read in place.
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "what stays from block to block, and the block's offset in it")]
    pub(crate) fn block<'a>(
        &self,
        scratch: &mut Scratch,
        views: &mut Views<'a>,
        inputs: &[Source<'a>],
        outputs: &[&mut [u8]],
        output_offset: usize,
        start: usize,
        n: usize,
    ) {
        vectorized(
            #[inline(always)]
            || {
                for instruction in &self.instructions {
                    self.run(instruction, scratch, views, inputs, (outputs, output_offset), start, n);
                }
            },
        );
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "one call, from the function above")]
    fn run<'a>(
        &self,
        instruction: &Instruction,
        scratch: &mut Scratch,
        views: &mut Views<'a>,
        inputs: &[Source<'a>],
        (outputs, output_offset): (&[&mut [u8]], usize),
        start: usize,
        n: usize,
    ) {
        match instruction {
            Instruction::Load { input, stored, fetch, out } => {
                let runs = match fetch {
                    Fetch::Linear(_) => None,
                    Fetch::Strided(at) => Some(Runs::new(&self.dims, at, start, n)),
                };
                let first = match (fetch, &runs) {
                    (Fetch::Linear(offset), _) => Some((offset + start as i64, 1, n)),
                    (_, Some(runs)) => runs.clone().next(),
                    _ => None,
                };
                let view = match (inputs[*input], first) {
                    (Source::Bytes(bytes), Some((address, 1, count))) if count == n => {
                        aligned(*stored, bytes, address, n)
                    }
                    _ => None,
                };
                if views.set(*out, view) {
                    return;
                }
                let register = &mut scratch.registers[*out];
                match (inputs[*input], runs, first) {
                    (Source::InPlace(output), ..) => {
                        let bytes = &*outputs[output];
                        fetch_elements(*stored, bytes, register, Along(std::iter::once((output_offset as i64, 1, n))));
                    }
                    (Source::Bytes(bytes), Some(runs), _) => fetch_elements(*stored, bytes, register, Along(runs)),
                    (Source::Bytes(bytes), None, first) => {
                        fetch_elements(*stored, bytes, register, Along(first.into_iter()))
                    }
                }
            }
            Instruction::Index { at, out } => {
                views.set(*out, None);
                let lanes = lanes_mut::<i32>(&mut scratch.registers[*out], n);
                let mut done = 0;
                for (address, step, count) in Runs::new(&self.dims, at, start, n) {
                    for (k, lane) in lanes[done..done + count].iter_mut().enumerate() {
                        *lane = (address + step * k as i64) as i32;
                    }
                    done += count;
                }
            }
            Instruction::Gather { input, stored, address, out } => {
                let mut register = std::mem::take(&mut scratch.registers[*out]);
                if let Source::Bytes(bytes) = inputs[*input] {
                    let addresses = lanes::<i32>(views.operand(scratch, *address), n);
                    fetch_elements(*stored, bytes, &mut register, Each(addresses));
                }
                scratch.registers[*out] = register;
                views.set(*out, None);
            }
            Instruction::Call { function, dtype, arguments, out } => {
                let mut register = std::mem::take(&mut scratch.registers[*out]);
                let [a, b, c, d] = *arguments;
                let operand = |argument: usize| views.operand(scratch, argument);
                let arguments = [operand(a), operand(b), operand(c), operand(d)];
                apply(*function, *dtype, &mut register, arguments, n);
                scratch.registers[*out] = register;
                views.set(*out, None);
            }
        }
    }

    /// The elements of the only output at the points from `start` on, where it is an input's elements as they are stored.
    pub(crate) fn plain<'a, T: Pod>(&self, inputs: &[Source<'a>], start: usize, n: usize) -> Option<&'a [T]> {
        let [Instruction::Load { input, stored, fetch: Fetch::Linear(offset), out }] = self.instructions.as_slice()
        else {
            return None;
        };
        let &[(output, _)] = self.outputs.as_slice() else { return None };
        match inputs[*input] {
            Source::Bytes(bytes) if output == *out && stored.size() == size_of::<T>() => {
                bytemuck::try_cast_slice(aligned(*stored, bytes, offset + start as i64, n)?).ok()
            }
            _ => None,
        }
    }

    /// An output's elements after a block.
    #[inline(always)]
    pub(crate) fn output<'b>(&self, scratch: &'b Scratch, views: &Views<'b>, output: usize) -> &'b [u8] {
        views.operand(scratch, self.outputs[output].0)
    }

    /// Writes an output's block as stored elements, from element `offset` of `bytes` on.
    #[inline(always)]
    pub(crate) fn store(
        &self,
        scratch: &Scratch,
        views: &Views<'_>,
        output: usize,
        bytes: &mut [u8],
        offset: usize,
        n: usize,
    ) {
        let (register, stored) = self.outputs[output];
        let operand = views.operand(scratch, register);
        match stored {
            DType::F32 | DType::I32 | DType::U32 => {
                bytes[offset * 4..(offset + n) * 4].copy_from_slice(&operand[..n * 4])
            }
            DType::F64 | DType::I64 => bytes[offset * 8..(offset + n) * 8].copy_from_slice(&operand[..n * 8]),
            DType::F16 => narrow(bytes, offset, lanes::<f32>(operand, n), f16::from_f32),
            DType::BF16 => narrow(bytes, offset, lanes::<f32>(operand, n), bf16::from_f32),
            DType::U8 | DType::Bool => narrow(bytes, offset, lanes::<u32>(operand, n), |value| value as u8),
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
    let fits = match stored {
        DType::F32 | DType::I32 | DType::U32 => bytemuck::try_cast_slice::<u8, u32>(view).is_ok(),
        DType::F64 | DType::I64 => bytemuck::try_cast_slice::<u8, u64>(view).is_ok(),
        _ => false,
    };
    fits.then_some(view)
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

/// Reads elements into a register, converting to the compute type.
#[inline(always)]
fn fetch_elements(stored: DType, bytes: &[u8], register: &mut [u64], addresses: impl Addresses) {
    #[inline(always)]
    fn typed<S: Pod + Default, C: Pod>(
        bytes: &[u8],
        register: &mut [u64],
        addresses: impl Addresses,
        convert: impl Fn(S) -> C,
    ) {
        let full = bytes.len() / size_of::<S>() * size_of::<S>();
        addresses.read(bytemuck::cast_slice(&bytes[..full]), bytemuck::cast_slice_mut(register), convert);
    }
    match stored {
        DType::F32 | DType::I32 | DType::U32 => typed(bytes, register, addresses, |value: u32| value),
        DType::F64 | DType::I64 => typed(bytes, register, addresses, |value: u64| value),
        DType::F16 => typed(bytes, register, addresses, |value: f16| value.to_f32()),
        DType::BF16 => typed(bytes, register, addresses, |value: bf16| value.to_f32()),
        DType::U8 | DType::Bool => typed(bytes, register, addresses, |value: u8| u32::from(value)),
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
}
