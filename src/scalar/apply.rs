//! Scalar functions over blocks of registers: the CPU's instruction set. Each loop is over plain slices, so that it vectorises.

use bytemuck::Pod;
use half::{bf16, f16};
use pulp::{Simd, WithSimd};

use super::function::{ScalarFunction as F, Signature, apply_real};
use super::instructions::dispatch;
use super::real::Real;
use super::threefry::threefry2x32;
use super::vector::vectorized_by;
use crate::tensor::DType;

/// The first `n` elements of an operand: a register's bytes, or an input's own where they are aligned.
#[inline(always)]
pub(crate) fn lanes<T: Pod>(operand: &[u8], n: usize) -> &[T] {
    bytemuck::cast_slice(&operand[..n * size_of::<T>()])
}

/// The first `n` elements of a result: a register's bytes, or an output's own.
#[inline(always)]
pub(crate) fn lanes_mut<T: Pod>(result: &mut [u8], n: usize) -> &mut [T] {
    bytemuck::cast_slice_mut(&mut result[..n * size_of::<T>()])
}

#[inline(always)]
fn zip1<A: Pod, O: Pod>(out: &mut [u8], a: &[u8], n: usize, f: impl Fn(A) -> O) {
    let (out, a) = (lanes_mut::<O>(out, n), lanes::<A>(a, n));
    for lane in 0..n {
        out[lane] = f(a[lane]);
    }
}

#[inline(always)]
fn zip2<A: Pod, O: Pod>(out: &mut [u8], a: &[u8], b: &[u8], n: usize, f: impl Fn(A, A) -> O) {
    let (out, a, b) = (lanes_mut::<O>(out, n), lanes::<A>(a, n), lanes::<A>(b, n));
    for lane in 0..n {
        out[lane] = f(a[lane], b[lane]);
    }
}

#[inline(always)]
fn select<T: Pod>(out: &mut [u8], [condition, a, b]: [&[u8]; 3], n: usize) {
    let (out, condition) = (lanes_mut::<T>(out, n), lanes::<u32>(condition, n));
    let (a, b) = (lanes::<T>(a, n), lanes::<T>(b, n));
    for lane in 0..n {
        out[lane] = if condition[lane] != 0 { a[lane] } else { b[lane] };
    }
}

#[inline(always)]
fn compare<T: Pod + PartialOrd>(function: F, out: &mut [u8], a: &[u8], b: &[u8], n: usize) {
    match function {
        F::Equal => zip2(out, a, b, n, |a: T, b: T| u32::from(a == b)),
        F::NotEqual => zip2(out, a, b, n, |a: T, b: T| u32::from(a != b)),
        F::Less => zip2(out, a, b, n, |a: T, b: T| u32::from(a < b)),
        F::LessEqual => zip2(out, a, b, n, |a: T, b: T| u32::from(a <= b)),
        F::Greater => zip2(out, a, b, n, |a: T, b: T| u32::from(a > b)),
        _ => zip2(out, a, b, n, |a: T, b: T| u32::from(a >= b)),
    }
}

macro_rules! integers {
    ($name:ident, $int:ty, $negate:expr, $magnitude:expr, $sign:expr) => {
        /// Integer arithmetic wraps; division by zero gives the dividend and a rest of zero, as WGSL defines it.
        #[inline(always)]
        fn $name(function: F, out: &mut [u8], a: &[u8], b: &[u8], n: usize) {
            type I = $int;
            match function {
                F::Add => zip2(out, a, b, n, I::wrapping_add),
                F::Sub => zip2(out, a, b, n, I::wrapping_sub),
                F::Mul => zip2(out, a, b, n, I::wrapping_mul),
                F::Div => zip2(out, a, b, n, |a: I, b: I| if b == 0 { a } else { a.wrapping_div(b) }),
                F::Rem => zip2(out, a, b, n, |a: I, b: I| if b == 0 { 0 } else { a.wrapping_rem(b) }),
                F::Maximum => zip2(out, a, b, n, |a: I, b: I| a.max(b)),
                F::Minimum => zip2(out, a, b, n, |a: I, b: I| a.min(b)),
                F::Square => zip1(out, a, n, |a: I| a.wrapping_mul(a)),
                F::Neg => zip1(out, a, n, $negate),
                F::Abs => zip1(out, a, n, $magnitude),
                F::Sign => zip1(out, a, n, $sign),
                F::BitAnd => zip2(out, a, b, n, |a: I, b: I| a & b),
                F::BitOr => zip2(out, a, b, n, |a: I, b: I| a | b),
                F::BitXor => zip2(out, a, b, n, |a: I, b: I| a ^ b),
                F::ShiftLeft => zip2(out, a, b, n, |a: I, b: I| a.wrapping_shl(b as u32)),
                F::ShiftRight => zip2(out, a, b, n, |a: I, b: I| a.wrapping_shr(b as u32)),
                _ => {}
            }
        }
    };
}
integers!(signed, i32, i32::wrapping_neg, i32::wrapping_abs, i32::signum);
integers!(signed_wide, i64, i64::wrapping_neg, i64::wrapping_abs, i64::signum);
integers!(unsigned, u32, u32::wrapping_neg, |a: u32| a, |a: u32| a.min(1));

#[inline(always)]
fn cast(to: DType, from: DType, out: &mut [u8], a: &[u8], n: usize) {
    use DType as D;
    match (from, to) {
        (D::F32, D::F16) => zip1(out, a, n, |x: f32| f16::from_f32(x).to_f32()),
        (D::F32, D::BF16) => zip1(out, a, n, |x: f32| bf16::from_f32(x).to_f32()),
        (D::F32, D::F64) => zip1(out, a, n, |x: f32| f64::from(x)),
        (D::F32, D::I32) => zip1(out, a, n, |x: f32| x as i32),
        (D::F32, D::U32) => zip1(out, a, n, |x: f32| x as u32),
        (D::F32, D::U8) => zip1(out, a, n, |x: f32| u32::from(x as u8)),
        (D::F32, D::Bool) => zip1(out, a, n, |x: f32| u32::from(x != 0.0)),
        (D::F64, D::F32) => zip1(out, a, n, |x: f64| x as f32),
        // Through f32, as on the host: directly from f64, some processors round differently from others.
        (D::F64, D::F16) => zip1(out, a, n, |x: f64| f16::from_f32(x as f32).to_f32()),
        (D::F64, D::BF16) => zip1(out, a, n, |x: f64| bf16::from_f32(x as f32).to_f32()),
        (D::F64, D::I32) => zip1(out, a, n, |x: f64| x as i32),
        (D::F64, D::U32) => zip1(out, a, n, |x: f64| x as u32),
        (D::F64, D::U8) => zip1(out, a, n, |x: f64| u32::from(x as u8)),
        (D::F32, D::I64) => zip1(out, a, n, |x: f32| x as i64),
        (D::F64, D::I64) => zip1(out, a, n, |x: f64| x as i64),
        (D::F64, D::Bool) => zip1(out, a, n, |x: f64| u32::from(x != 0.0)),
        (D::I32, D::F64) => zip1(out, a, n, |x: i32| f64::from(x)),
        (D::I32, D::F32) => zip1(out, a, n, |x: i32| x as f32),
        (D::I32, D::F16) => zip1(out, a, n, |x: i32| f16::from_f32(x as f32).to_f32()),
        (D::I32, D::BF16) => zip1(out, a, n, |x: i32| bf16::from_f32(x as f32).to_f32()),
        (D::U32 | D::Bool, D::F64) => zip1(out, a, n, |x: u32| f64::from(x)),
        (D::U32 | D::Bool, D::F32) => zip1(out, a, n, |x: u32| x as f32),
        (D::U32 | D::Bool, D::F16) => zip1(out, a, n, |x: u32| f16::from_f32(x as f32).to_f32()),
        (D::U32 | D::Bool, D::BF16) => zip1(out, a, n, |x: u32| bf16::from_f32(x as f32).to_f32()),
        (D::I32 | D::U32, D::U8) => zip1(out, a, n, |x: u32| x & 0xff),
        (D::I32 | D::U32, D::Bool) => zip1(out, a, n, |x: u32| u32::from(x != 0)),
        (D::I32, D::I64) => zip1(out, a, n, |x: i32| i64::from(x)),
        (D::U32 | D::U8 | D::Bool, D::I64) => zip1(out, a, n, |x: u32| i64::from(x)),
        (D::I64, D::F64) => zip1(out, a, n, |x: i64| x as f64),
        (D::I64, D::F32) => zip1(out, a, n, |x: i64| x as f32),
        (D::I64, D::F16) => zip1(out, a, n, |x: i64| f16::from_f32(x as f32).to_f32()),
        (D::I64, D::BF16) => zip1(out, a, n, |x: i64| bf16::from_f32(x as f32).to_f32()),
        // The lower bits, as in NumPy and as between integers of 32 bits.
        (D::I64, D::I32 | D::U32) => zip1(out, a, n, |x: u64| x as u32),
        (D::I64, D::U8) => zip1(out, a, n, |x: u64| (x & 0xff) as u32),
        (D::I64, D::Bool) => zip1(out, a, n, |x: u64| u32::from(x != 0)),
        // The same bits: same types, and 32-bit integers among themselves.
        (D::F64 | D::I64, _) => zip1(out, a, n, |x: u64| x),
        _ => zip1(out, a, n, |x: u32| x),
    }
}

/// Reads bits as another type. Floats of 16 bits are computed with as f32, and whichever is not the target is the source.
fn bit_cast(to: DType, from: DType, out: &mut [u8], a: &[u8], n: usize) {
    match (to, from.size()) {
        (DType::BF16, _) => zip1(out, a, n, |x: f32| bf16::from_bits(f16::from_f32(x).to_bits()).to_f32()),
        (DType::F16, _) => zip1(out, a, n, |x: f32| f16::from_bits(bf16::from_f32(x).to_bits()).to_f32()),
        (_, 8) => zip1(out, a, n, |x: u64| x),
        _ => zip1(out, a, n, |x: u32| x),
    }
}

/// Applies one function to a block of `n` elements. `dtype` is the compute type of the last argument (of the only one
/// for a cast); the engine has checked types before. Arguments and the result are aligned to their elements.
///
/// The loops of all functions are many: they are compiled here for each kind of processor, and called.
#[inline(always)]
pub(crate) fn apply<S: Simd>(simd: S, function: F, dtype: DType, out: &mut [u8], arguments: [&[u8]; 4], n: usize) {
    let [a, b, c, _] = arguments;
    match (function.signature(), dtype) {
        (Signature::Float | Signature::Number, DType::F64) => {
            apply_reals(simd, function, lanes_mut::<f64>(out, n), [lanes(a, n), lanes(b, n), lanes(c, n)]);
        }
        (Signature::Float | Signature::Number, DType::F32 | DType::F16 | DType::BF16) => {
            apply_reals(simd, function, lanes_mut::<f32>(out, n), [lanes(a, n), lanes(b, n), lanes(c, n)]);
        }
        _ => vectorized_by(
            simd,
            #[inline(always)]
            || apply_block(function, dtype, out, arguments, n),
        ),
    }
}

/// The same for functions of floats.
#[inline(always)]
pub(super) fn apply_reals<S: Simd, T: Real>(simd: S, function: F, out: &mut [T], arguments: [&[T]; 3]) {
    vectorized_by(
        simd,
        #[inline(always)]
        || apply_real(function, out, arguments),
    );
}

/// The same for all others.
#[inline(always)]
fn apply_block(function: F, dtype: DType, out: &mut [u8], arguments: [&[u8]; 4], n: usize) {
    let [a, b, c, d] = arguments;
    match function.signature() {
        Signature::Float | Signature::Number | Signature::Bits => match dtype {
            DType::I32 => signed(function, out, a, b, n),
            DType::I64 => signed_wide(function, out, a, b, n),
            _ => unsigned(function, out, a, b, n),
        },
        Signature::Comparison => match dtype {
            DType::F64 => compare::<f64>(function, out, a, b, n),
            DType::I32 => compare::<i32>(function, out, a, b, n),
            DType::I64 => compare::<i64>(function, out, a, b, n),
            DType::U32 | DType::Bool => compare::<u32>(function, out, a, b, n),
            _ => compare::<f32>(function, out, a, b, n),
        },
        Signature::Classification => match (function, dtype) {
            (F::IsNan, DType::F64) => zip1(out, a, n, |x: f64| u32::from(x.is_nan())),
            (F::IsNan, _) => zip1(out, a, n, |x: f32| u32::from(x.is_nan())),
            (_, DType::F64) => zip1(out, a, n, |x: f64| u32::from(x.is_infinite())),
            _ => zip1(out, a, n, |x: f32| u32::from(x.is_infinite())),
        },
        Signature::Logic => match function {
            F::And => zip2(out, a, b, n, |a: u32, b: u32| a & b),
            F::Or => zip2(out, a, b, n, |a: u32, b: u32| a | b),
            F::Xor => zip2(out, a, b, n, |a: u32, b: u32| a ^ b),
            _ => zip1(out, a, n, |a: u32| 1 - (a & 1)),
        },
        Signature::Select if dtype.size() == 8 => select::<u64>(out, [a, b, c], n),
        Signature::Select => select::<u32>(out, [a, b, c], n),
        Signature::Cast(to) => cast(to, dtype, out, a, n),
        Signature::BitCast(to) => bit_cast(to, dtype, out, a, n),
        Signature::RandomBits => {
            let word = if function == F::Threefry(0) { 0 } else { 1 };
            let (k0, k1, c0, c1) = (lanes::<u32>(a, n), lanes::<u32>(b, n), lanes::<u32>(c, n), lanes::<u32>(d, n));
            for (lane, out) in lanes_mut::<u32>(out, n).iter_mut().enumerate() {
                *out = threefry2x32([k0[lane], k1[lane]], [c0[lane], c1[lane]])[word];
            }
        }
    }
}

/// One function of single elements, each in the first bytes of its word.
pub(super) fn apply_one(function: F, dtype: DType, arguments: [u64; 4]) -> u64 {
    struct One(F, DType, [u64; 4]);

    impl WithSimd for One {
        type Output = u64;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> u64 {
            let Self(function, dtype, arguments) = self;
            let mut out = 0;
            let arguments = arguments.each_ref().map(bytemuck::bytes_of);
            apply(simd, function, dtype, bytemuck::bytes_of_mut(&mut out), arguments, 1);
            out
        }
    }

    dispatch(One(function, dtype, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::NUMERIC;

    #[test]
    fn every_function_of_integers_writes_its_result() {
        let bits = [F::BitAnd, F::BitOr, F::BitXor, F::ShiftLeft, F::ShiftRight];
        let numbers = NUMERIC.iter().copied().filter(|function| function.signature() == Signature::Number);
        for function in numbers.chain(bits) {
            for dtype in [DType::I32, DType::I64, DType::U32] {
                let arguments = [[3_u64; 1], [1; 1]];
                let [a, b] = [0, 1].map(|k| bytemuck::cast_slice(&arguments[k]));
                // No result of 3 and 1 is this.
                let mut out = 0x7777_7777_7777_7777_u64;
                apply(pulp::Scalar::new(), function, dtype, bytemuck::bytes_of_mut(&mut out), [a, b, &[], &[]], 1);
                assert_ne!(out as u32, 0x7777_7777, "{} of {dtype}", function.name());
            }
        }
    }
}
