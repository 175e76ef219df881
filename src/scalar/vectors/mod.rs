//! Expressions without addresses on the CPU, for rows of units: what recurrent cells compute at each step. An instruction runs over
//! some rows at once, in vectors of the best instructions that the processor has; what it needs is in a cache.

mod compile;
mod forms;
#[cfg(test)]
mod tests;

use pulp::{Simd, WithSimd};

use super::function::{ScalarFunction, Signature, apply_real};
use super::vector::vectorized;
use super::{Real, ScalarExpr};
use forms::Form;
pub(crate) use forms::{Plane, Units};

/// Elements that an instruction computes at a time, about: enough that choosing the instruction costs nothing.
const AT_ONCE: usize = 1024;

/// An expression as instructions.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    constants: Vec<f64>,
    instructions: Vec<Instruction>,
    registers: usize,
}

#[derive(Clone, Debug)]
struct Instruction {
    work: Work,
    operands: Vec<Operand>,
    /// Where the result is written to, apart from the outputs that it is.
    register: Option<usize>,
    outputs: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Chain(Form),
    Function(ScalarFunction),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    Input(usize),
    Constant(usize),
    Register(usize),
    Output(usize),
}

/// An output: in which buffer, from which element on, and how far its rows are apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputPlane {
    pub(crate) buffer: usize,
    pub(crate) offset: usize,
    pub(crate) stride: usize,
}

/// Memory for values between instructions, for codes of one number of units.
#[derive(Debug)]
pub(crate) struct Scratch<T> {
    units: usize,
    registers: Vec<Vec<T>>,
    constants: Vec<T>,
}

impl<T: Units> Scratch<T> {
    pub(crate) fn new(units: usize) -> Self {
        Self { units, registers: Vec::new(), constants: Vec::new() }
    }

    /// Rows that are computed at a time.
    fn rows(&self) -> usize {
        (AT_ONCE / self.units.max(1)).max(1)
    }
}

impl Code {
    /// Compiles an expression of constant loads, of floats and truth values. `buffers` is the buffer that each output is in; it may be
    /// read by no input.
    pub(crate) fn new(expression: &ScalarExpr, buffers: &[usize]) -> Self {
        compile::compile(expression, buffers)
    }

    fn constant(&mut self, value: f64) -> usize {
        let known = self.constants.iter().position(|other| other.to_bits() == value.to_bits());
        known.unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        })
    }

    /// Computes all outputs for `rows` rows of units.
    pub(crate) fn run<T: Units>(
        &self,
        scratch: &mut Scratch<T>,
        rows: usize,
        inputs: &[Plane<'_, T>],
        outputs: &[OutputPlane],
        buffers: &mut [&mut [T]],
    ) {
        let (units, at_once) = (scratch.units, scratch.rows());
        while scratch.registers.len() < self.registers {
            scratch.registers.push(vec![T::real(0.0); at_once * units]);
        }
        scratch.constants.clear();
        for &constant in &self.constants {
            scratch.constants.extend(std::iter::repeat_n(T::real(constant), units));
        }
        pulp::Arch::new().dispatch(Run { code: self, scratch, rows, inputs, outputs, buffers });
    }
}

struct Run<'a, 'b, 'c, T> {
    code: &'a Code,
    scratch: &'a mut Scratch<T>,
    rows: usize,
    inputs: &'a [Plane<'b, T>],
    outputs: &'a [OutputPlane],
    buffers: &'a mut [&'c mut [T]],
}

impl<T: Units> WithSimd for Run<'_, '_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let at_once = self.scratch.rows();
        for first in (0..self.rows).step_by(at_once) {
            let rows = at_once.min(self.rows - first);
            for instruction in &self.code.instructions {
                self.instruction(simd, instruction, first, rows);
            }
        }
    }
}

impl<T: Units> Run<'_, '_, '_, T> {
    #[inline(always)]
    fn instruction<S: Simd>(&mut self, simd: S, instruction: &Instruction, first: usize, rows: usize) {
        let units = self.scratch.units;
        let output = instruction.outputs.first().map(|&output| self.outputs[output]);
        // The register or buffer that is written to is read by no operand.
        let mut register = Vec::new();
        let mut buffer: &mut [T] = &mut [];
        let (start, stride) = match (output, instruction.register) {
            (Some(plane), _) => {
                buffer = std::mem::take(&mut self.buffers[plane.buffer]);
                (plane.offset + first * plane.stride, plane.stride)
            }
            (None, target) => {
                register = target.map(|k| std::mem::take(&mut self.scratch.registers[k])).unwrap_or_default();
                (0, units)
            }
        };
        {
            let (scratch, inputs, outputs, buffers) = (&*self.scratch, self.inputs, self.outputs, &*self.buffers);
            let plane = |operand: Operand| match operand {
                Operand::Input(input) => {
                    let Plane { values, stride } = inputs[input];
                    Plane { values: &values[first * stride..], stride }
                }
                Operand::Constant(constant) => {
                    Plane { values: &scratch.constants[constant * units..][..units], stride: 0 }
                }
                Operand::Register(register) => Plane { values: &scratch.registers[register], stride: units },
                Operand::Output(output) => {
                    let OutputPlane { buffer, offset, stride } = outputs[output];
                    Plane { values: &buffers[buffer][offset + first * stride..], stride }
                }
            };
            let operands = &instruction.operands;
            let last = operands.len().saturating_sub(1);
            let planes: [Plane<'_, T>; 4] = std::array::from_fn(|k| plane(operands[k.min(last)]));
            let out = if output.is_some() { &mut buffer[start..] } else { &mut register[..] };
            match instruction.work {
                Work::Chain(form) => form.run(simd, planes, out, stride, [rows, units]),
                Work::Function(function) => apply(function, planes, out, stride, [rows, units]),
            }
        }
        match (output, instruction.register) {
            (Some(plane), target) => {
                for &other in &instruction.outputs[1..] {
                    let OutputPlane { buffer: other, offset, stride } = self.outputs[other];
                    for row in 0..rows {
                        let (from, to) = (start + row * plane.stride, offset + (first + row) * stride);
                        if other == plane.buffer {
                            buffer.copy_within(from..from + units, to);
                        } else {
                            self.buffers[other][to..to + units].copy_from_slice(&buffer[from..from + units]);
                        }
                    }
                }
                if let Some(target) = target {
                    let copies = self.scratch.registers[target].chunks_exact_mut(units).take(rows);
                    for (row, copy) in copies.enumerate() {
                        copy.copy_from_slice(&buffer[start + row * plane.stride..][..units]);
                    }
                }
                self.buffers[plane.buffer] = buffer;
            }
            (None, Some(target)) => self.scratch.registers[target] = register,
            (None, None) => {}
        }
    }
}

/// A function that is no chain. Truth values are 1 and 0 here.
#[inline(never)]
fn apply<T: Units>(
    function: ScalarFunction,
    operands: [Plane<'_, T>; 4],
    out: &mut [T],
    stride: usize,
    [rows, units]: [usize; 2],
) {
    use ScalarFunction as F;
    let truth = |value: bool| T::real(if value { 1.0 } else { 0.0 });
    let is_true = |value: T| value > T::real(0.0);
    vectorized(
        #[inline(always)]
        || {
            for row in 0..rows {
                let [a, b, c, _] = operands.map(|plane| &plane.values[row * plane.stride..][..units]);
                let out = &mut out[row * stride..][..units];
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
                        debug_assert!(matches!(other.signature(), Signature::Float | Signature::Number));
                        apply_real(other, out, [a, b, c]);
                    }
                }
            }
        },
    );
}
