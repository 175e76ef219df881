//! What one instruction computes: a short chain of operations, so that values between them stay in registers of the processor, and
//! the loops over rows of units.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use crate::scalar::lanes::{Lanes, Number};
use crate::scalar::real::Real;

/// A value for each unit of each row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plane<'a, T> {
    /// Values, and the elements from one row to the next.
    Apart(&'a [T], usize),
    /// In the buffer that a result is written to (0 or 1), at an offset from where its rows begin.
    Own { result: usize, offset: usize },
}

/// Where a result is written to: a buffer from its first row on, in which rows are `stride` elements apart, and the offset in a row.
pub(super) struct Target<'a, T> {
    pub(super) rows: &'a mut [T],
    pub(super) stride: usize,
    pub(super) offset: usize,
}

/// A row around the values that are written.
struct Row<'a, T> {
    before: &'a [T],
    target: &'a mut [T],
    after: &'a [T],
}

impl<T> Target<'_, T> {
    #[inline(always)]
    fn row(&mut self, row: usize, units: usize) -> Row<'_, T> {
        let (before, rest) = self.rows[row * self.stride..].split_at_mut(self.offset);
        let (target, after) = rest.split_at_mut(units);
        Row { before, target, after }
    }
}

impl<'a, T> Plane<'a, T> {
    /// The values of a row. Those in the buffer of a result are before or after what is written there.
    #[inline(always)]
    pub(super) fn row<'r>(&self, row: usize, units: usize, beside: [[&'r [T]; 2]; 2]) -> &'r [T]
    where
        'a: 'r,
    {
        match *self {
            Self::Apart(values, stride) => &values[row * stride..][..units],
            Self::Own { result, offset } => own(beside[result], units, offset),
        }
    }
}

/// The values at an offset of a row, beside those that are written.
#[inline(always)]
fn own<T>([before, after]: [&[T]; 2], units: usize, offset: usize) -> &[T] {
    match offset.checked_sub(before.len() + units) {
        Some(offset) => &after[offset..][..units],
        None => &before[offset..][..units],
    }
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
                operands: &[Plane<'_, T>; 6],
                target: Target<'_, T>,
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
                        apart::<T, S, This, $count>(simd, operands, target, [rows, units]);
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
    /// a·(b − c)·(d·(1 − d))
    MulSubSigmoidSlope 4 |[a, b, c, d]| a * (b - c) * (d * (d.number(1.0) - d));
    /// The derivative of a tanh whose value is b: a·(1 − b²)
    TanhSlope 2 |[a, b]| a * (b.number(1.0) - b * b);
    /// (a − b)·(1 − c²)
    SubTanhSlope 3 |[a, b, c]| (a - b) * (c.number(1.0) - c * c);
    MulTanhSlope 3 |[a, b, c]| a * b * (c.number(1.0) - c * c);
    /// a + b·c·(1 − d²)
    AddMulTanhSlope 4 |[a, b, c, d]| a + b * c * (d.number(1.0) - d * d);
    /// The derivative of a relu whose value is b: a where that is positive or no number, else 0
    ReluSlope 2 |[a, b]| b.where_positive(a);
}

/// Two results of the same operands, or one of the other.
trait PairOf<const I: usize> {
    fn of<N: Number>(inputs: [N; I]) -> [N; 2];
}

/// Where a pair's results are: in two buffers, or the second one at another offset of the same rows.
pub(super) enum Targets<'a, T> {
    Apart([Target<'a, T>; 2]),
    Beside(Target<'a, T>, usize),
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $pair:ident $count:literal |$inputs:pat_param| $value:expr;)*) => {
        /// Two chains that are computed together, of up to six operands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Pair {
            $($(#[$doc])* $pair,)*
        }

        impl Pair {
            /// Computes `rows` rows of `units` units.
            #[inline(always)]
            pub(super) fn run<T: Units, S: Simd>(
                self,
                simd: S,
                operands: &[Plane<'_, T>; 6],
                targets: Targets<'_, T>,
                [rows, units]: [usize; 2],
            ) {
                match self {
                    $(Self::$pair => {
                        struct This;
                        impl PairOf<$count> for This {
                            #[inline(always)]
                            fn of<N: Number>($inputs: [N; $count]) -> [N; 2] {
                                $value
                            }
                        }
                        pair_apart::<T, S, This, $count>(simd, operands, targets, [rows, units]);
                    })*
                }
            }
        }
    };
}

pairs! {
    /// a·b + c·d, and e·tanh of it
    MulAddMulTanh 5 |[a, b, c, d, e]| {
        let sum = a * b + c * d;
        [sum, e * sum.tanh()]
    };
    /// tanh(a + b·c), and the mix of it with e by d
    TanhMix 5 |[a, b, c, d, e]| {
        let value = (a + b * c).tanh();
        [value, value + d * (e - value)]
    };
    /// t = tanh(a·b + c·d), and e·t·(f·(1 − f))
    TanhSigmoidSlope 6 |[a, b, c, d, e, f]| {
        let value = (a * b + c * d).tanh();
        [value, e * value * (f * (f.number(1.0) - f))]
    };
    /// a·b·(c·(1 − c)) and a·c·(1 − b²)
    SigmoidTanhSlopes 3 |[a, b, c]| {
        let one = b.number(1.0);
        [a * b * (c * (one - c)), a * c * (one - b * b)]
    };
    /// a·b·(c·(1 − c)) and a·c
    SigmoidSlopeMul 3 |[a, b, c]| [a * b * (c * (c.number(1.0) - c)), a * c];
}

#[inline(never)]
fn pair_apart<T: Units, S: Simd, C: PairOf<I>, const I: usize>(
    simd: S,
    operands: &[Plane<'_, T>; 6],
    targets: Targets<'_, T>,
    size: [usize; 2],
) {
    simd.vectorize(EachRowPair::<T, C, I> { operands, targets, size, chain: PhantomData });
}

struct EachRowPair<'a, 'b, T, C, const I: usize> {
    operands: &'a [Plane<'b, T>; 6],
    targets: Targets<'a, T>,
    size: [usize; 2],
    chain: PhantomData<C>,
}

impl<T: Units, C: PairOf<I>, const I: usize> WithSimd for EachRowPair<'_, '_, T, C, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { operands, mut targets, size: [rows, units], .. } = self;
        for row in 0..rows {
            let mut inputs: [&[T]; I] = [&[]; I];
            match &mut targets {
                Targets::Apart([first, second]) => {
                    let (first, second) = (first.row(row, units), second.row(row, units));
                    let beside = [[first.before, first.after], [second.before, second.after]];
                    for k in 0..I {
                        inputs[k] = operands[k].row(row, units, beside);
                    }
                    T::each_pair::<S, C, I>(simd, inputs, [first.target, second.target]);
                }
                Targets::Beside(target, other) => {
                    // Nothing is read from a buffer that both results are written to.
                    for k in 0..I {
                        inputs[k] = operands[k].row(row, units, [[&[]; 2]; 2]);
                    }
                    let rows = &mut target.rows[row * target.stride..];
                    let (low, high) = rows.split_at_mut(target.offset.max(*other));
                    let (low, high) = (&mut low[target.offset.min(*other)..][..units], &mut high[..units]);
                    let results = if target.offset < *other { [low, high] } else { [high, low] };
                    T::each_pair::<S, C, I>(simd, inputs, results);
                }
            }
        }
    }
}

/// Each chain is a function by itself, in which its constants stay in registers.
#[inline(never)]
fn apart<T: Units, S: Simd, C: Chain<I>, const I: usize>(
    simd: S,
    operands: &[Plane<'_, T>; 6],
    target: Target<'_, T>,
    size: [usize; 2],
) {
    simd.vectorize(EachRow::<T, C, I> { operands, target, size, chain: PhantomData });
}

struct EachRow<'a, 'b, T, C, const I: usize> {
    operands: &'a [Plane<'b, T>; 6],
    target: Target<'a, T>,
    size: [usize; 2],
    chain: PhantomData<C>,
}

impl<T: Units, C: Chain<I>, const I: usize> WithSimd for EachRow<'_, '_, T, C, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { operands, target, size, .. } = self;
        each_row::<T, S, C, I>(simd, operands, target, size);
    }
}

// Loops instead of `map` and `from_fn` of arrays, which the compiler does not put into large functions: their closures would be calls.
#[inline(always)]
fn each_row<T: Units, S: Simd, C: Chain<I>, const I: usize>(
    simd: S,
    operands: &[Plane<'_, T>; 6],
    mut target: Target<'_, T>,
    [rows, units]: [usize; 2],
) {
    let mut adjacent = rows == 1 || target.stride == units;
    for plane in &operands[..I] {
        adjacent &= rows == 1 || matches!(plane, Plane::Apart(_, stride) if *stride == units);
    }
    // Adjacent rows are one.
    let (rows, units) = if adjacent { (1, rows * units) } else { (rows, units) };
    for row in 0..rows {
        let out = target.row(row, units);
        let mut inputs: [&[T]; I] = [&[]; I];
        for k in 0..I {
            inputs[k] = operands[k].row(row, units, [[out.before, out.after], [&[]; 2]]);
        }
        T::each_unit::<S, C, I>(simd, inputs, out.target);
    }
}

/// A type whose units are computed as its processor does it best.
pub(crate) trait Units: Real {
    #[doc(hidden)]
    #[allow(private_bounds, reason = "chains are what this file lists")]
    fn each_unit<S: Simd, C: Chain<I>, const I: usize>(simd: S, inputs: [&[Self]; I], out: &mut [Self]);

    #[doc(hidden)]
    #[allow(private_bounds, reason = "pairs are what this file lists")]
    fn each_pair<S: Simd, C: PairOf<I>, const I: usize>(simd: S, inputs: [&[Self]; I], out: [&mut [Self]; 2]);
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

    #[inline(always)]
    #[allow(private_bounds, reason = "pairs are what this file lists")]
    fn each_pair<S: Simd, C: PairOf<I>, const I: usize>(simd: S, inputs: [&[Self]; I], out: [&mut [Self]; 2]) {
        let [first, second] = out;
        let units = first.len();
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        let (vectors, full) = (units / lanes, units / lanes * lanes);
        let mut values = [Lanes { simd, values: simd.splat_f32s(0.0) }; I];
        let mut from: [&[S::f32s]; I] = [&[]; I];
        for k in 0..I {
            from[k] = &S::as_simd_f32s(&inputs[k][..full]).0[..vectors];
        }
        let to_first = &mut S::as_mut_simd_f32s(&mut first[..full]).0[..vectors];
        let to_second = &mut S::as_mut_simd_f32s(&mut second[..full]).0[..vectors];
        for vector in 0..vectors {
            for k in 0..I {
                values[k].values = from[k][vector];
            }
            let [one, other] = C::of(values);
            to_first[vector] = one.values;
            to_second[vector] = other.values;
        }
        if full < units {
            for k in 0..I {
                values[k].values = simd.partial_load_f32s(&inputs[k][full..units]);
            }
            let [one, other] = C::of(values);
            simd.partial_store_f32s(&mut first[full..], one.values);
            simd.partial_store_f32s(&mut second[full..], other.values);
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

    #[inline(always)]
    #[allow(private_bounds, reason = "pairs are what this file lists")]
    fn each_pair<S: Simd, C: PairOf<I>, const I: usize>(_: S, inputs: [&[Self]; I], out: [&mut [Self]; 2]) {
        let mut values = [0.0; I];
        let [first, second] = out;
        for (unit, (first, second)) in first.iter_mut().zip(second).enumerate() {
            for k in 0..I {
                values[k] = inputs[k][unit];
            }
            [*first, *second] = C::of(values);
        }
    }
}
