//! Expressions without addresses on the CPU, for rows of units: what recurrent cells compute at each step. An instruction runs over
//! some rows at once, in vectors of the best instructions that the processor has; what it needs is in a cache.

mod compile;
mod forms;
#[cfg(test)]
mod tests;

use pulp::{Simd, WithSimd};
use smallvec::SmallVec;

use super::apply::apply_reals;
use super::function::{ScalarFunction, Signature};
use super::instructions::dispatch;
use super::vector::{array_of, vectorized_by};
use super::{Real, ScalarExpr};
pub(crate) use forms::Units;
use forms::{Form, Pair, Plane, Target, Targets};

/// Elements that an instruction computes at a time, about: enough that choosing the instruction costs nothing.
const AT_ONCE: usize = 1024;

/// An expression as instructions.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    constants: Vec<f64>,
    instructions: Vec<Instruction>,
    /// Buffers that the caller passes, and registers, which are buffers after those.
    buffers: usize,
    registers: usize,
}

#[derive(Clone, Debug)]
struct Instruction {
    work: Work,
    operands: Vec<Operand>,
    target: Layout,
    /// Where the second result of a pair is written to.
    second: Option<Layout>,
    /// Where results are written to as well, from where they are.
    copies: Vec<[Layout; 2]>,
    /// Values beside each other that are computed by the same chain from values beside each other.
    width: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Chain(Form),
    Pair(Pair),
    Function(ScalarFunction),
}

/// What an instruction reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operand {
    space: Space,
    layout: Layout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Source,
    Constant,
    Buffer,
}

/// Where an input or output is: in which buffer, behind how many values of a unit, and how many of them a row has; 0 where all rows
/// have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) buffer: usize,
    pub(crate) offset: usize,
    pub(crate) stride: usize,
}

/// Memory for values between instructions, for codes of one number of units.
#[derive(Debug)]
pub(crate) struct Scratch<T> {
    units: usize,
    registers: Vec<Vec<T>>,
    /// Which numbers there are, for each unit, in `constants`.
    numbers: Vec<f64>,
    constants: Vec<T>,
}

impl<T: Units> Scratch<T> {
    pub(crate) fn new(units: usize) -> Self {
        Self { units, registers: Vec::new(), numbers: Vec::new(), constants: Vec::new() }
    }
}

impl Code {
    /// Compiles an expression of constant loads, of floats and truth values, with these layouts of its inputs and outputs.
    pub(crate) fn new(expression: &ScalarExpr, inputs: &[Layout], outputs: &[Layout]) -> Self {
        compile::compile(expression, inputs, outputs)
    }

    fn constant(&mut self, value: f64) -> usize {
        let known = self.constants.iter().position(|other| other.to_bits() == value.to_bits());
        known.unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        })
    }

    /// Computes all outputs for `rows` rows of units, from the sources' to the buffers' layouts.
    pub(crate) fn run<T: Units>(
        &self,
        scratch: &mut Scratch<T>,
        rows: usize,
        sources: &[&[T]],
        buffers: &mut [&mut [T]],
    ) {
        let units = scratch.units;
        let at_once = (AT_ONCE / units.max(1)).clamp(1, rows.max(1));
        let Scratch { registers, numbers, constants, .. } = scratch;
        registers.resize_with(self.registers.max(registers.len()), Vec::new);
        for register in &mut registers[..self.registers] {
            register.resize(register.len().max(at_once * units), T::real(0.0));
        }
        if *numbers != self.constants {
            numbers.clone_from(&self.constants);
            constants.clear();
            numbers.iter().for_each(|&number| constants.extend(std::iter::repeat_n(T::real(number), units)));
        }
        let given = buffers[..self.buffers].iter_mut().map(|buffer| &mut **buffer);
        let registers = registers.iter_mut().map(Vec::as_mut_slice);
        let mut buffers: SmallVec<[&mut [T]; 8]> = given.chain(registers).collect();
        let own = self.buffers;
        dispatch(Run { code: self, units, rows, at_once, own, sources, constants, buffers: &mut buffers });
    }
}

struct Run<'a, 'b, 'c, T> {
    code: &'a Code,
    units: usize,
    rows: usize,
    /// Rows that are computed at a time.
    at_once: usize,
    /// The first buffer that is a register, which has no more rows than that.
    own: usize,
    sources: &'a [&'b [T]],
    constants: &'a [T],
    buffers: &'a mut [&'c mut [T]],
}

impl<T: Units> WithSimd for Run<'_, '_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for first in (0..self.rows).step_by(self.at_once) {
            let rows = self.at_once.min(self.rows - first);
            for instruction in &self.code.instructions {
                self.instruction(simd, instruction, first, rows);
            }
        }
    }
}

impl<T: Units> Run<'_, '_, '_, T> {
    /// The first element of some rows of a buffer.
    #[inline(always)]
    fn start(&self, layout: Layout, first: usize) -> usize {
        let first = if layout.buffer < self.own { first } else { 0 };
        (layout.offset + first * layout.stride) * self.units
    }

    #[inline(always)]
    fn instruction<S: Simd>(&mut self, simd: S, instruction: &Instruction, first: usize, rows: usize) {
        let Instruction { work, operands, target, second, copies, width } = instruction;
        // Operands in the buffers that are written to are beside the results.
        let buffer = std::mem::take(&mut self.buffers[target.buffer]);
        let other = second.filter(|second| second.buffer != target.buffer);
        let mut other_buffer = other.map(|second| std::mem::take(&mut self.buffers[second.buffer]));
        let mut planes = [Plane::Apart(&[][..], 0); 6];
        for (plane, Operand { space, layout }) in planes.iter_mut().zip(operands) {
            let stride = layout.stride * self.units;
            *plane = match space {
                Space::Source => {
                    let start = (layout.offset + first * layout.stride) * self.units;
                    Plane::Apart(&self.sources[layout.buffer][start..], stride)
                }
                Space::Constant => Plane::Apart(&self.constants[layout.offset * self.units..], stride),
                Space::Buffer if layout.buffer == target.buffer => {
                    Plane::Own { result: 0, offset: layout.offset * self.units }
                }
                Space::Buffer if other.is_some_and(|other| layout.buffer == other.buffer) => {
                    Plane::Own { result: 1, offset: layout.offset * self.units }
                }
                Space::Buffer => Plane::Apart(&self.buffers[layout.buffer][self.start(*layout, first)..], stride),
            };
        }
        let size = [rows, width * self.units];
        let written = |layout: Layout, buffer| {
            let (offset, stride) = (layout.offset * self.units, layout.stride * self.units);
            let rows: &mut [T] = buffer;
            Target { rows: &mut rows[self.start(layout, first) - offset..], stride, offset }
        };
        match (work, second, other_buffer.as_deref_mut()) {
            (Work::Chain(form), ..) => form.run(simd, &planes, written(*target, &mut *buffer), size),
            (Work::Pair(pair), Some(second), Some(other)) => {
                let targets = [written(*target, &mut *buffer), written(*second, other)];
                pair.run(simd, &planes, Targets::Apart(targets), size);
            }
            (Work::Pair(pair), Some(second), None) => {
                let targets = Targets::Beside(written(*target, &mut *buffer), second.offset * self.units);
                pair.run(simd, &planes, targets, size);
            }
            // A pair has two results.
            (Work::Pair(_), None, _) => {}
            (Work::Function(function), ..) => apply(simd, *function, &planes, written(*target, &mut *buffer), size),
        }
        self.buffers[target.buffer] = buffer;
        if let (Some(second), Some(buffer)) = (other, other_buffer) {
            self.buffers[second.buffer] = buffer;
        }
        for [from, to] in copies {
            self.copy(*from, *to, first, rows);
        }
    }

    /// Copies a result to where it is as well.
    fn copy(&mut self, from: Layout, to: Layout, first: usize, rows: usize) {
        let (source, target, units) = (self.start(from, first), self.start(to, first), self.units);
        let buffer = std::mem::take(&mut self.buffers[from.buffer]);
        for row in 0..rows {
            let (source, target) = (source + row * from.stride * units, target + row * to.stride * units);
            if from.buffer == to.buffer {
                buffer.copy_within(source..source + units, target);
            } else {
                self.buffers[to.buffer][target..target + units].copy_from_slice(&buffer[source..source + units]);
            }
        }
        self.buffers[from.buffer] = buffer;
    }
}

/// A function that is no chain. Truth values are 1 and 0 here.
#[inline(never)]
fn apply<S: Simd, T: Units>(
    simd: S,
    function: ScalarFunction,
    operands: &[Plane<'_, T>; 6],
    target: Target<'_, T>,
    [rows, units]: [usize; 2],
) {
    use ScalarFunction as F;
    let Target { rows: out, stride, offset } = target;
    let truth = |value: bool| T::real(if value { 1.0 } else { 0.0 });
    let is_true = |value: T| value > T::real(0.0);
    vectorized_by(
        simd,
        #[inline(always)]
        || {
            for row in 0..rows {
                let last = function.arity() - 1;
                let [a, b, c] = array_of(|k| {
                    // No function reads the buffer that it writes to.
                    operands[k.min(last)].row(row, units, [[&[]; 2]; 2])
                });
                let out = &mut out[row * stride + offset..][..units];
                let pairs = || a.iter().copied().zip(b.iter().copied());
                let mut compare = |test: &dyn Fn(T, T) -> bool| {
                    out.iter_mut().zip(pairs()).for_each(|(out, (a, b))| *out = truth(test(a, b)));
                };
                match function {
                    F::Equal => compare(&|a, b| a == b),
                    F::NotEqual => compare(&|a, b| a != b),
                    F::Less => compare(&|a, b| a < b),
                    F::LessEqual => compare(&|a, b| a <= b),
                    F::Greater => compare(&|a, b| a > b),
                    F::GreaterEqual => compare(&|a, b| a >= b),
                    F::And => compare(&|a, b| is_true(a) && is_true(b)),
                    F::Or => compare(&|a, b| is_true(a) || is_true(b)),
                    F::Xor => compare(&|a, b| is_true(a) != is_true(b)),
                    F::Not => compare(&|a, _| !is_true(a)),
                    F::IsNan => compare(&|a, _| Real::is_nan(a)),
                    F::IsInf => compare(&|a, _| Real::abs(a) == T::real(f64::INFINITY)),
                    F::Select => {
                        for (((out, &condition), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
                            *out = if is_true(condition) { b } else { c };
                        }
                    }
                    other => {
                        assert!(matches!(other.signature(), Signature::Float | Signature::Number));
                        apply_reals(simd, other, out, [a, b, c]);
                    }
                }
            }
        },
    );
}
