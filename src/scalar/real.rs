//! The elementary functions in f32 and f64.
//!
//! The f32 versions are branch-free polynomials, so that the loops over them vectorise; each states its error,
//! measured against f64 by the tests below. The coefficients were fitted for this project (weighted least squares
//! on Chebyshev nodes, reweighted towards minimax). The f64 versions are the standard library's and libm's: they
//! serve gradient checks, where accuracy counts and speed does not.

/// A floating-point type that the scalar functions are written for, once.
pub(crate) trait Real:
    Copy
    + PartialOrd
    + bytemuck::Pod
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Rem<Output = Self>
    + std::ops::Neg<Output = Self>
{
    fn real(value: f64) -> Self;
    fn exp(self) -> Self;
    fn exp_m1(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn sqrt(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn tanh(self) -> Self;
    fn erf(self) -> Self;
    fn pow(self, exponent: Self) -> Self;
    fn atan2(self, other: Self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    fn abs(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn round_ties_even(self) -> Self;
    fn trunc(self) -> Self;
    fn is_nan(self) -> bool;

    /// −1, 0 or 1; a NaN stays one.
    #[inline(always)]
    fn sign(self) -> Self {
        let zero = Self::real(0.0);
        if self > zero {
            Self::real(1.0)
        } else if self < zero {
            Self::real(-1.0)
        } else {
            self
        }
    }

    /// The larger; a NaN on either side wins, as in PyTorch.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }

    /// The smaller; a NaN on either side wins, as in PyTorch.
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }

    /// 1 / (1 + e^−x), by the sign of x, so that neither side overflows.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let one = Self::real(1.0);
        let small = (-self.abs()).exp();
        let numerator = if self >= Self::real(0.0) { one } else { small };
        numerator / (one + small)
    }

    /// log(1 + e^x) = max(x, 0) + log(1 + e^−|x|).
    #[inline(always)]
    fn softplus(self) -> Self {
        self.larger(Self::real(0.0)) + (-self.abs()).exp().ln_1p()
    }
}

impl Real for f64 {
    #[inline(always)]
    fn real(value: f64) -> Self {
        value
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn exp_m1(self) -> Self {
        f64::exp_m1(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn ln_1p(self) -> Self {
        f64::ln_1p(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    fn sin(self) -> Self {
        f64::sin(self)
    }
    fn cos(self) -> Self {
        f64::cos(self)
    }
    fn tan(self) -> Self {
        f64::tan(self)
    }
    fn tanh(self) -> Self {
        f64::tanh(self)
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn pow(self, exponent: Self) -> Self {
        f64::powf(self, exponent)
    }
    fn atan2(self, other: Self) -> Self {
        f64::atan2(self, other)
    }
    fn asin(self) -> Self {
        libm::asin(self)
    }
    fn acos(self) -> Self {
        libm::acos(self)
    }
    fn atan(self) -> Self {
        libm::atan(self)
    }
    fn sinh(self) -> Self {
        libm::sinh(self)
    }
    fn cosh(self) -> Self {
        libm::cosh(self)
    }
    fn asinh(self) -> Self {
        libm::asinh(self)
    }
    fn acosh(self) -> Self {
        // libm's gives numbers for some below −1.
        if self < 1.0 { Self::NAN } else { libm::acosh(self) }
    }
    fn atanh(self) -> Self {
        libm::atanh(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        f64::floor(self)
    }
    #[inline(always)]
    fn ceil(self) -> Self {
        f64::ceil(self)
    }
    #[inline(always)]
    fn round_ties_even(self) -> Self {
        f64::round_ties_even(self)
    }
    #[inline(always)]
    fn trunc(self) -> Self {
        f64::trunc(self)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
}

/// Adding and subtracting this rounds a small f32 to the nearest integer (ties to even) without a branch or call.
pub(super) const ROUND: f32 = 12_582_912.0;

/// e^r for |r| up to half of ln 2.
pub(super) const EXPONENTIAL: [f32; 7] =
    [1.0, 1.0, 0.499_999_9, 0.166_664_2, 0.041_668_23, 0.008_374_846, 0.001_383_679_2];

/// tanh x / x as a quotient of polynomials of x², for |x| up to 9.
pub(super) const TANH: [[f32; 5]; 2] = [
    [1.0, 0.133_810_28, 3.495_591_2e-3, 2.060_913_2e-5, 1.335_485_2e-8],
    [1.0, 0.467_143_45, 0.025_876_995, 3.285_64e-4, 7.776_585e-7],
];

/// Horner's rule, highest coefficient last.
#[inline(always)]
fn polynomial<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    let mut k = N - 1;
    while k > 0 {
        k -= 1;
        sum = sum * x + coefficients[k];
    }
    sum
}

/// 2^n for an integral n in the range of normal exponents. The sum's last bits are the exponent: no conversion, which checks its range.
#[inline(always)]
fn power_of_two(n: f32) -> f32 {
    f32::from_bits((n + 127.0 + ROUND).to_bits() << 23)
}

impl Real for f32 {
    #[inline(always)]
    fn real(value: f64) -> Self {
        value as f32
    }

    /// Relative error below 2e-7; subnormal results are preserved, overflow is infinity.
    #[inline(always)]
    fn exp(self) -> Self {
        let x = if self < -104.0 { -104.0 } else { self };
        let x = if x > 89.0 { 89.0 } else { x };
        let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
        let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
        let p = polynomial(r, EXPONENTIAL);
        // In two factors, so that 2^n reaches below the normal range and above the largest exponent.
        let half = ((n * 0.5) + ROUND) - ROUND;
        p * power_of_two(half) * power_of_two(n - half)
    }

    /// Relative error below 3e-7.
    #[inline(always)]
    fn exp_m1(self) -> Self {
        let inner = if self.abs() < 0.5 { self } else { 0.0 };
        let small = inner
            * polynomial(
                inner,
                [1.0, 0.5, 0.166_666_67, 0.041_666_66, 0.008_333_119, 0.001_388_927_7, 1.997_897_5e-4, 2.480_147e-5],
            );
        if self.abs() < 0.5 { small } else { Real::exp(self) - 1.0 }
    }

    /// Relative error below 2e-7; log of 0 is −∞, of a negative number NaN.
    #[inline(always)]
    fn ln(self) -> Self {
        // Subnormal arguments are scaled into the normal range first.
        let subnormal = self < f32::MIN_POSITIVE;
        let x = if subnormal { self * 8_388_608.0 } else { self };
        let bits = x.to_bits() as i32;
        // Split x = m·2^e with m in [√½, √2).
        // Those of negative numbers mean nothing here, and may leave the range.
        let e = bits.wrapping_sub(0x3f35_04f3) >> 23;
        let f = f32::from_bits(bits.wrapping_sub(e << 23) as u32) - 1.0;
        let e = e as f32 - if subnormal { 23.0 } else { 0.0 };
        let p = polynomial(
            f,
            [
                0.333_333_3,
                -0.249_999_94,
                0.200_007_14,
                -0.166_680_56,
                0.142_493_2,
                -0.124_201_7,
                0.116_770_52,
                -0.115_144_16,
                0.070_373,
            ],
        );
        let square = f * f;
        let value = (f + (p * f * square - 0.5 * square - e * 2.121_944_4e-4)) + e * 0.693_359_4;
        if self > 0.0 && self < f32::INFINITY {
            value
        } else if self == 0.0 {
            f32::NEG_INFINITY
        } else if self > 0.0 {
            self
        } else {
            f32::NAN
        }
    }

    /// Relative error below 3e-7, also where x is small: log(u)·x/(u−1) with u = 1 + x rounded (Kahan).
    #[inline(always)]
    fn ln_1p(self) -> Self {
        let u = 1.0 + self;
        let logarithm = Real::ln(u);
        if u == 1.0 {
            self
        } else if u == f32::INFINITY {
            u
        } else {
            logarithm * (self / (u - 1.0))
        }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    fn sin(self) -> Self {
        f32::sin(self)
    }
    fn cos(self) -> Self {
        f32::cos(self)
    }
    fn tan(self) -> Self {
        f32::tan(self)
    }

    /// Relative error below 4e-7: a quotient of polynomials, which is 1 from 9 on as the rounded function is.
    #[inline(always)]
    fn tanh(self) -> Self {
        let x = if self > 9.0 { 9.0 } else { self };
        let x = if x < -9.0 { -9.0 } else { x };
        let square = x * x;
        let value = x * polynomial(square, TANH[0]) / polynomial(square, TANH[1]);
        let value = if value > 1.0 { 1.0 } else { value };
        if value < -1.0 { -1.0 } else { value }
    }

    /// Relative error below 3e-7 where the value is a normal number; 0 below that.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        // 1 / (1 + e^−x). The power of two is one factor, put together from the bits of the rounded exponent; at 89 it is infinite.
        let x = if self > 87.0 { -87.0 } else { -self };
        let x = if x > 89.0 { 89.0 } else { x };
        let rounded = x * std::f32::consts::LOG2_E + ROUND;
        let n = rounded - ROUND;
        let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
        let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
        1.0 / (1.0 + polynomial(r, EXPONENTIAL) * power)
    }

    /// Relative error below 3e-7.
    #[inline(always)]
    fn erf(self) -> Self {
        let magnitude = self.abs();
        let square = self * self;
        let small = self
            * polynomial(
                square,
                [
                    std::f32::consts::FRAC_2_SQRT_PI,
                    -0.376_126_26,
                    0.112_835_854,
                    -0.026_853_81,
                    0.005_188_327_3,
                    -8.010_189e-4,
                    7.853_847e-5,
                ],
            );
        let clamped = if magnitude > 4.0 { 4.0 } else { magnitude };
        let exponent = polynomial(
            clamped,
            [
                -1.880_479_5e-4,
                1.129_578_5,
                0.633_219_84,
                0.108_418_64,
                -0.025_208_298,
                0.004_204_577,
                -4.413_392_7e-4,
                2.168_708_5e-5,
            ],
        );
        let large = 1.0 - Real::exp(-exponent);
        let large = f32::from_bits(large.to_bits() | (self.to_bits() & 0x8000_0000));
        let value = if magnitude < 1.0 { small } else { large };
        if self.is_nan() { self } else { value }
    }

    fn pow(self, exponent: Self) -> Self {
        f32::powf(self, exponent)
    }
    fn atan2(self, other: Self) -> Self {
        f32::atan2(self, other)
    }
    fn asin(self) -> Self {
        libm::asin(f64::from(self)) as Self
    }
    fn acos(self) -> Self {
        libm::acos(f64::from(self)) as Self
    }
    fn atan(self) -> Self {
        libm::atan(f64::from(self)) as Self
    }
    fn sinh(self) -> Self {
        libm::sinh(f64::from(self)) as Self
    }
    fn cosh(self) -> Self {
        libm::cosh(f64::from(self)) as Self
    }
    fn asinh(self) -> Self {
        libm::asinh(f64::from(self)) as Self
    }
    fn acosh(self) -> Self {
        if self < 1.0 { Self::NAN } else { libm::acosh(f64::from(self)) as Self }
    }
    fn atanh(self) -> Self {
        libm::atanh(f64::from(self)) as Self
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        f32::floor(self)
    }
    #[inline(always)]
    fn ceil(self) -> Self {
        f32::ceil(self)
    }
    #[inline(always)]
    fn round_ties_even(self) -> Self {
        f32::round_ties_even(self)
    }
    #[inline(always)]
    fn trunc(self) -> Self {
        f32::trunc(self)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest relative error of the f32 function against the f64 one over a range.
    fn worst(low: f64, high: f64, narrow: fn(f32) -> f32, wide: fn(f64) -> f64) -> f64 {
        (0..200_000)
            .map(|k| (low + (high - low) * f64::from(k) / 200_000.0) as f32)
            .filter(|&x| wide(f64::from(x)).abs() > 1e-37)
            .map(|x| {
                let exact = wide(f64::from(x));
                ((f64::from(narrow(x)) - exact) / exact).abs()
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn f32_functions_are_accurate() {
        assert!(worst(-87.0, 88.5, Real::exp, f64::exp) < 2e-7);
        assert!(worst(-0.6, 3.0, Real::exp_m1, f64::exp_m1) < 3.5e-7);
        assert!(worst(1e-6, 10.0, Real::ln, f64::ln) < 2e-7);
        assert!(worst(-0.9, 2.0, Real::ln_1p, f64::ln_1p) < 4e-7);
        assert!(worst(-12.0, 12.0, Real::tanh, f64::tanh) < 5e-7);
        assert!(worst(-5.0, 5.0, Real::erf, libm::erf) < 4e-7);
        assert!(worst(-85.0, 85.0, Real::sigmoid, <f64 as Real>::sigmoid) < 4e-7);
        assert!(worst(-80.0, 80.0, Real::softplus, <f64 as Real>::softplus) < 4e-7);
    }

    #[test]
    fn f32_functions_keep_their_limits() {
        assert_eq!(Real::exp(1000.0_f32), f32::INFINITY);
        assert_eq!(Real::exp(f32::NEG_INFINITY), 0.0);
        assert!(Real::exp(f32::NAN).is_nan());
        assert!(Real::exp(-103.0_f32) > 0.0);
        assert_eq!(Real::ln(0.0_f32), f32::NEG_INFINITY);
        assert!(Real::ln(-1.0_f32).is_nan());
        assert_eq!(Real::ln(f32::INFINITY), f32::INFINITY);
        assert!((Real::ln(1e-42_f32) - (1e-42_f32 as f64).ln() as f32).abs() < 1e-4);
        assert_eq!(Real::tanh(100.0_f32), 1.0);
        assert_eq!(Real::erf(-9.0_f32), -1.0);
        assert_eq!(Real::tanh(f32::NEG_INFINITY), -1.0);
        assert!(Real::tanh(f32::NAN).is_nan());
        assert_eq!(Real::tanh(1e-30_f32), 1e-30);
        assert!((-2000..2000).all(|k| Real::tanh(k as f32 * 0.01).abs() <= 1.0));
        assert_eq!(Real::sigmoid(-1000.0_f32), 0.0);
        assert_eq!(Real::sigmoid(1000.0_f32), 1.0);
        assert_eq!(Real::sigmoid(f32::NEG_INFINITY), 0.0);
        assert_eq!(Real::sigmoid(f32::INFINITY), 1.0);
        assert!(Real::sigmoid(f32::NAN).is_nan());
        assert_eq!(Real::softplus(1000.0_f32), 1000.0);
    }
}
