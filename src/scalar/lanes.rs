//! Vectors of f32 with the elementary functions that recurrences want: for loops that are too large for the compiler to vectorise them
//! by itself, with the same result everywhere.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

use super::real::{EXPONENTIAL, ROUND, Real, TANH};

/// What arithmetic is written for once: a number, or a vector of them.
pub(crate) trait Number:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The same number in each lane.
    fn number(self, value: f64) -> Self;
    fn sigmoid(self) -> Self;
    fn tanh(self) -> Self;
    /// 0 instead of what is negative; a NaN stays one.
    fn relu(self) -> Self;
    /// `value` in the lanes where this is positive or NaN, as the gradient of a relu in PyTorch, else 0.
    fn where_positive(self, value: Self) -> Self;
}

impl<T: Real> Number for T {
    #[inline(always)]
    fn number(self, value: f64) -> Self {
        T::real(value)
    }

    #[inline(always)]
    fn sigmoid(self) -> Self {
        Real::sigmoid(self)
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        Real::tanh(self)
    }

    #[inline(always)]
    fn relu(self) -> Self {
        self.larger(T::real(0.0))
    }

    #[inline(always)]
    fn where_positive(self, value: Self) -> Self {
        if self <= T::real(0.0) { T::real(0.0) } else { value }
    }
}

/// A vector, with the proof that the processor has the instructions for it.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<S: Simd> {
    pub(crate) simd: S,
    pub(crate) values: S::f32s,
}

macro_rules! operators {
    ($($operator:ident $name:ident $method:ident;)*) => {
        $(impl<S: Simd> $operator for Lanes<S> {
            type Output = Self;

            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                Self { simd: self.simd, values: self.simd.$method(self.values, other.values) }
            }
        })*
    };
}

operators! {
    Add add add_f32s;
    Sub sub sub_f32s;
    Mul mul mul_f32s;
    Div div div_f32s;
}

impl<S: Simd> Lanes<S> {
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self { simd: self.simd, values: self.simd.splat_f32s(value) }
    }

    /// `self · factor + term`, rounded once where the processor can.
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self { simd: self.simd, values: self.simd.mul_add_e_f32s(self.values, factor.values, term.values) }
    }

    /// At most `limit`; a NaN stays one.
    #[inline(always)]
    fn at_most(self, limit: f32) -> Self {
        let limit = self.splat(limit).values;
        let above = self.simd.greater_than_f32s(self.values, limit);
        Self { simd: self.simd, values: self.simd.select_f32s(above, limit, self.values) }
    }

    /// At least `limit`; a NaN stays one.
    #[inline(always)]
    fn at_least(self, limit: f32) -> Self {
        let limit = self.splat(limit).values;
        let below = self.simd.less_than_f32s(self.values, limit);
        Self { simd: self.simd, values: self.simd.select_f32s(below, limit, self.values) }
    }

    /// Horner's rule, highest coefficient last.
    #[inline(always)]
    fn polynomial<const N: usize>(self, coefficients: [f32; N]) -> Self {
        let mut sum = self.splat(coefficients[N - 1]);
        for &coefficient in coefficients[..N - 1].iter().rev() {
            sum = sum.mul_add(self, self.splat(coefficient));
        }
        sum
    }
}

impl<S: Simd> Number for Lanes<S> {
    #[inline(always)]
    fn number(self, value: f64) -> Self {
        self.splat(value as f32)
    }

    /// As [`Real::sigmoid`] of f32.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let (simd, one) = (self.simd, self.splat(1.0));
        let x = (self.splat(0.0) - self).at_least(-87.0).at_most(89.0);
        let rounded = x.mul_add(self.splat(std::f32::consts::LOG2_E), self.splat(ROUND));
        let n = rounded - self.splat(ROUND);
        let r = n.mul_add(self.splat(-0.693_359_4), x);
        let r = n.mul_add(self.splat(2.121_944_4e-4), r);
        let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(rounded.values), simd.splat_u32s(23));
        let power = simd.transmute_f32s_u32s(simd.add_u32s(exponent, simd.splat_u32s(127 << 23)));
        one / r.polynomial(EXPONENTIAL).mul_add(Self { simd, values: power }, one)
    }

    /// As [`Real::tanh`] of f32.
    #[inline(always)]
    fn tanh(self) -> Self {
        let x = self.at_most(9.0).at_least(-9.0);
        let square = x * x;
        let value = x * square.polynomial(TANH[0]) / square.polynomial(TANH[1]);
        value.at_most(1.0).at_least(-1.0)
    }

    #[inline(always)]
    fn relu(self) -> Self {
        self.at_least(0.0)
    }

    #[inline(always)]
    fn where_positive(self, value: Self) -> Self {
        let zero = self.simd.splat_f32s(0.0);
        let flat = self.simd.less_than_or_equal_f32s(self.values, zero);
        Self { simd: self.simd, values: self.simd.select_f32s(flat, zero, value.values) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::processors::{self, Processor};

    /// Applies a function of vectors to numbers.
    struct Apply<'a, F>(&'a [f32], F);
    trait Function {
        fn of<N: Number>(&self, x: N) -> N;
    }
    struct Sigmoid;
    impl Function for Sigmoid {
        fn of<N: Number>(&self, x: N) -> N {
            x.sigmoid()
        }
    }
    struct Tanh;
    impl Function for Tanh {
        fn of<N: Number>(&self, x: N) -> N {
            x.tanh()
        }
    }

    impl<F: Function> pulp::WithSimd for Apply<'_, F> {
        type Output = Vec<f32>;

        fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
            let lanes = size_of::<S::f32s>() / 4;
            let mut out = Vec::new();
            for chunk in self.0.chunks(lanes) {
                let mut results = vec![0.0; chunk.len()];
                let x = Lanes { simd, values: simd.partial_load_f32s(chunk) };
                simd.partial_store_f32s(&mut results, self.1.of(x).values);
                out.extend(results);
            }
            out
        }
    }

    fn check(processor: Processor, function: impl Function, low: f64, high: f64) {
        let numbers: Vec<f32> = (0..100_003).map(|k| (low + (high - low) * f64::from(k) / 1e5) as f32).collect();
        let found = processor.run(Apply(&numbers, &function));
        for (&x, found) in numbers.iter().zip(found) {
            let exact = function.of(f64::from(x));
            assert!(((f64::from(found) - exact) / exact).abs() < 4e-7 || exact == 0.0, "of {x}: {found} and {exact}");
        }
    }

    impl<F: Function> Function for &F {
        fn of<N: Number>(&self, x: N) -> N {
            (*self).of(x)
        }
    }

    #[test]
    fn vectors_have_the_functions_of_numbers() {
        for processor in processors::ALL {
            check(processor, Sigmoid, -85.0, 85.0);
            check(processor, Tanh, -12.0, 12.0);
            let limits = [f32::NEG_INFINITY, -1000.0, 0.0, 1000.0, f32::INFINITY];
            assert_eq!(processor.run(Apply(&limits, Sigmoid)), [0.0, 0.0, 0.5, 1.0, 1.0], "{processor:?}");
            assert_eq!(processor.run(Apply(&limits, Tanh)), [-1.0, -1.0, 0.0, 1.0, 1.0], "{processor:?}");
            assert!(processor.run(Apply(&[f32::NAN], Sigmoid))[0].is_nan());
            assert!(processor.run(Apply(&[f32::NAN], Tanh))[0].is_nan());
        }
    }
}
