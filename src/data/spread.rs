//! Mean and standard deviation of a column in f64, and whether f32 can hold what it says.

/// Mean and standard deviation (of the population) of finite numbers. A second pass takes from the mean what rounding did to
/// the first, so that the deviation is right also where the numbers are far from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub mean: f64,
    pub deviation: f64,
}

impl Spread {
    /// Of any numbers; of none, both are 0. Over the whole range of f64: what is added up and squared are the numbers over a power
    /// of two near the largest, a division that rounds nothing.
    pub fn of(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let count = numbers.clone().count().max(1) as f64;
        let largest = numbers.clone().map(f64::abs).fold(0.0, f64::max);
        // The bits of the exponent alone; of subnormal numbers, the smallest normal one.
        let unit = f64::from_bits((largest.to_bits() >> 52).max(1) << 52);
        let scaled = numbers.map(|value| value / unit);
        let low = scaled.clone().fold(f64::INFINITY, f64::min);
        let high = scaled.clone().fold(f64::NEG_INFINITY, f64::max);
        if low >= high {
            return Self { mean: low * unit, deviation: 0.0 };
        }
        let rough = scaled.clone().sum::<f64>() / count;
        let mean = rough + scaled.clone().map(|value| value - rough).sum::<f64>() / count;
        let variance = scaled.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        Self { mean: mean.max(low).min(high) * unit, deviation: variance.sqrt() * unit }
    }

    /// True where the numbers differ by no more than rounding makes of one and the same, or by less than f64 holds with all its
    /// digits.
    pub fn is_constant(self) -> bool {
        self.deviation <= f64::EPSILON * self.mean.abs() || self.deviation < f64::MIN_POSITIVE
    }

    /// What standardising divides by: the deviation, or 1 of a constant.
    pub fn scale(self) -> f64 {
        if self.is_constant() { 1.0 } else { self.deviation }
    }
}

/// How many deviations a value is from the mean.
pub(super) fn standardized(value: f64, mean: f64, deviation: f64) -> f64 {
    let difference = value - mean;
    // The difference between the two ends of f64's range is more than f64 holds.
    if difference.is_finite() { difference / deviation } else { (value / 4.0 - mean / 4.0) / (deviation / 4.0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_scale_is_like_every_other(
            numbers in prop::collection::vec(-1.0..1.0_f64, 2..40), power in -1000..1000_i32, offset in -30..10_i32,
        ) {
            // Powers of two change no digit: mean and deviation scale exactly, and standardized values are the same.
            let offset = if offset < -20 { 0.0 } else { f64::from(offset).exp2() };
            let near: Vec<f64> = numbers.iter().map(|value| value + offset).collect();
            let unit = f64::from(power).exp2();
            let far: Vec<f64> = near.iter().map(|value| value * unit).collect();
            let [a, b] = [&near, &far].map(|numbers| Spread::of(numbers.iter().copied()));
            prop_assert!(!a.is_constant() && !b.is_constant(), "{a:?} {b:?}");
            approx::assert_relative_eq!(b.mean / unit, a.mean, max_relative = 1e-12, epsilon = 1e-15);
            approx::assert_relative_eq!(b.deviation / unit, a.deviation, max_relative = 1e-12);
            for (near, far) in near.iter().zip(&far) {
                let [near, far] = [(*near, a), (*far, b)].map(|(value, own)| standardized(value, own.mean, own.scale()));
                approx::assert_relative_eq!(near, far, max_relative = 1e-9, epsilon = 1e-9);
            }
        }

        #[test]
        fn any_numbers_have_a_finite_spread(numbers in prop::collection::vec(prop::num::f64::ANY, 0..20)) {
            let finite: Vec<f64> = numbers.into_iter().filter(|value| value.is_finite()).collect();
            let spread = Spread::of(finite.iter().copied());
            prop_assert!(finite.is_empty() || spread.mean.is_finite());
            prop_assert!(spread.scale().is_finite() && spread.scale() > 0.0);
            for value in &finite {
                let own = standardized(*value, spread.mean, spread.scale());
                prop_assert!(spread.is_constant() || own.abs() <= 1.01 * (finite.len() as f64).sqrt(), "{own} {spread:?}");
            }
        }

        #[test]
        fn one_value_is_constant(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, count in 1..50_usize) {
            let spread = Spread::of(std::iter::repeat_n(value, count));
            prop_assert_eq!((spread.mean, spread.deviation, spread.is_constant()), (value, 0.0, true));
        }
    }

    #[test]
    fn tiny_and_huge_numbers_differ() {
        for scale in [1e-300, 1e-165, 1e-100, 1e100, 1e165, 1e300, f64::MAX] {
            let spread = Spread::of([-scale, scale].into_iter());
            assert_eq!((spread.mean, spread.deviation), (0.0, scale));
        }
        assert!(!Spread::of((0..100).map(|step| 1e18 + 1000.0 * f64::from(step).sin())).is_constant());
        // Less than the smallest number with all its digits.
        assert!(Spread::of([0.0, 5e-324, 1e-320].into_iter()).is_constant());
    }

    #[test]
    fn far_from_zero_the_deviation_is_right() {
        for offset in [0.0, 1e4, 1e8, 1.7e9, 1e12] {
            let values: Vec<f64> = (0..1000).map(|step| offset + f64::from(step % 10)).collect();
            let spread = Spread::of(values.iter().copied());
            assert!((spread.mean - offset - 4.5).abs() <= offset * f64::EPSILON, "{spread:?}");
            assert!((spread.deviation - 8.25_f64.sqrt()).abs() < 1e-12, "{spread:?}");
        }
        assert!(Spread::of([0.1; 7].into_iter()).is_constant());
        assert!(Spread::of([1e8 + 0.1; 7].into_iter()).is_constant());
        assert_eq!(Spread::of([1e308, 1e308].into_iter()).mean, 1e308);
    }
}
