//! What one instruction computes: a short chain of operations, so that values between them stay in registers of the processor, and
//! the loops over rows of units.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use crate::scalar::lanes::{Lanes, Number};
use crate::scalar::real::Real;

/// A value for each unit of each row: rows are `stride` elements apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane<'a, T> {
    pub(super) values: &'a [T],
    pub(super) stride: usize,
}

/// A chain of operations on units, or on vectors of them.
trait Chain<const I: usize> {
    fn of<N: Number>(inputs: [N; I]) -> N;
}

macro_rules! forms {
    ($($(#[$doc:meta])* $form:ident $count:literal |$inputs:pat_param| $value:expr;)*) => {
        /// The chains that instructions can be, of up to four operands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Form {
            $($(#[$doc])* $form,)*
        }

        impl Form {
            /// Computes `rows` rows of `units` units.
            #[inline(always)]
            pub(super) fn run<T: Units, S: Simd>(
                self,
                simd: S,
                operands: &[Plane<'_, T>; 4],
                out: &mut [T],
                stride: usize,
                [rows, units]: [usize; 2],
            ) {
                match self {
                    $(Self::$form => {
                        struct This;
                        impl Chain<$count> for This {
                            #[inline(always)]
                            fn of<N: Number>($inputs: [N; $count]) -> N {
                                $value
                            }
                        }
                        apart::<T, S, This, $count>(simd, operands, out, stride, [rows, units]);
                    })*
                }
            }
        }
    };
}

forms! {
    Copy 1 |[a]| a;
    Add 2 |[a, b]| a + b;
    Sub 2 |[a, b]| a - b;
    Mul 2 |[a, b]| a * b;
    Div 2 |[a, b]| a / b;
    /// a·b + c
    MulAdd 3 |[a, b, c]| a * b + c;
    /// a − b·c
    SubMul 3 |[a, b, c]| a - b * c;
    /// a·b + c·d
    MulAddMul 4 |[a, b, c, d]| a * b + c * d;
    /// a + b·(c − a)
    Mix 3 |[a, b, c]| a + b * (c - a);
    Sigmoid 1 |[a]| a.sigmoid();
    SigmoidOfSum 2 |[a, b]| (a + b).sigmoid();
    /// sigmoid(a + b·c)
    SigmoidOfMulAdd 3 |[a, b, c]| (a + b * c).sigmoid();
    /// sigmoid((a + b) + c·d)
    SigmoidOfSumMulAdd 4 |[a, b, c, d]| (a + b + c * d).sigmoid();
    Tanh 1 |[a]| a.tanh();
    TanhOfSum 2 |[a, b]| (a + b).tanh();
    TanhOfMulAdd 3 |[a, b, c]| (a + b * c).tanh();
    TanhOfSumMulAdd 4 |[a, b, c, d]| (a + b + c * d).tanh();
    /// tanh(a·b + c·d)
    TanhOfMulAddMul 4 |[a, b, c, d]| (a * b + c * d).tanh();
    /// a·tanh(b)
    MulTanh 2 |[a, b]| a * b.tanh();
    Relu 1 |[a]| a.relu();
    ReluOfSum 2 |[a, b]| (a + b).relu();
    /// a·(1 − b)
    MulRest 2 |[a, b]| a * (b.number(1.0) - b);
    /// a·b·(1 − c)
    MulMulRest 3 |[a, b, c]| a * b * (c.number(1.0) - c);
    /// The derivative of a sigmoid whose value is b: a·(b·(1 − b))
    SigmoidSlope 2 |[a, b]| a * (b * (b.number(1.0) - b));
    MulSigmoidSlope 3 |[a, b, c]| a * b * (c * (c.number(1.0) - c));
    /// The derivative of a tanh whose value is b: a·(1 − b²)
    TanhSlope 2 |[a, b]| a * (b.number(1.0) - b * b);
    MulTanhSlope 3 |[a, b, c]| a * b * (c.number(1.0) - c * c);
    /// a + b·c·(1 − d²)
    AddMulTanhSlope 4 |[a, b, c, d]| a + b * c * (d.number(1.0) - d * d);
    /// The derivative of a relu whose value is b: a where that is positive or no number, else 0
    ReluSlope 2 |[a, b]| b.where_positive(a);
}

/// Each chain is a function by itself, in which its constants stay in registers.
#[inline(never)]
fn apart<T: Units, S: Simd, C: Chain<I>, const I: usize>(
    simd: S,
    operands: &[Plane<'_, T>; 4],
    out: &mut [T],
    stride: usize,
    size: [usize; 2],
) {
    simd.vectorize(EachRow::<T, C, I> { operands, out, stride, size, chain: PhantomData });
}

struct EachRow<'a, 'b, T, C, const I: usize> {
    operands: &'a [Plane<'b, T>; 4],
    out: &'a mut [T],
    stride: usize,
    size: [usize; 2],
    chain: PhantomData<C>,
}

impl<T: Units, C: Chain<I>, const I: usize> WithSimd for EachRow<'_, '_, T, C, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { operands, out, stride, size, .. } = self;
        each_row::<T, S, C, I>(simd, operands, out, stride, size);
    }
}

// Loops instead of `map` and `from_fn` of arrays, which the compiler does not put into large functions: their closures would be calls.
#[inline(always)]
fn each_row<T: Units, S: Simd, C: Chain<I>, const I: usize>(
    simd: S,
    operands: &[Plane<'_, T>; 4],
    out: &mut [T],
    stride: usize,
    [rows, units]: [usize; 2],
) {
    let mut adjacent = rows == 1 || stride == units;
    for plane in &operands[..I] {
        adjacent &= rows == 1 || plane.stride == units;
    }
    // Adjacent rows are one.
    let (rows, units) = if adjacent { (1, rows * units) } else { (rows, units) };
    for row in 0..rows {
        let mut inputs: [&[T]; I] = [&[]; I];
        for k in 0..I {
            inputs[k] = &operands[k].values[row * operands[k].stride..][..units];
        }
        T::each_unit::<S, C, I>(simd, inputs, &mut out[row * stride..][..units]);
    }
}

/// A type whose units are computed as its processor does it best.
pub(crate) trait Units: Real {
    #[doc(hidden)]
    #[allow(private_bounds, reason = "chains are what this file lists")]
    fn each_unit<S: Simd, C: Chain<I>, const I: usize>(simd: S, inputs: [&[Self]; I], out: &mut [Self]);
}

impl Units for f32 {
    #[inline(always)]
    #[allow(private_bounds, reason = "chains are what this file lists")]
    fn each_unit<S: Simd, C: Chain<I>, const I: usize>(simd: S, inputs: [&[Self]; I], out: &mut [Self]) {
        let units = out.len();
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let (vectors, full) = (units / lanes, units / lanes * lanes);
        let mut values = [Lanes { simd, values: simd.splat_f32s(0.0) }; I];
        let mut from: [&[S::f32s]; I] = [&[]; I];
        for k in 0..I {
            from[k] = &S::as_simd_f32s(&inputs[k][..full]).0[..vectors];
        }
        let to = &mut S::as_mut_simd_f32s(&mut out[..full]).0[..vectors];
        for vector in 0..vectors {
            for k in 0..I {
                values[k].values = from[k][vector];
            }
            to[vector] = C::of(values).values;
        }
        if full < units {
            for k in 0..I {
                values[k].values = simd.partial_load_f32s(&inputs[k][full..units]);
            }
            simd.partial_store_f32s(&mut out[full..], C::of(values).values);
        }
    }
}

impl Units for f64 {
    #[inline(always)]
    #[allow(private_bounds, reason = "chains are what this file lists")]
    fn each_unit<S: Simd, C: Chain<I>, const I: usize>(_: S, inputs: [&[Self]; I], out: &mut [Self]) {
        let mut values = [0.0; I];
        for (unit, out) in out.iter_mut().enumerate() {
            for k in 0..I {
                values[k] = inputs[k][unit];
            }
            *out = C::of(values);
        }
    }
}
