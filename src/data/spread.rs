//! Mean and standard deviation of a column in f64, and whether f32 can hold what it says.

/// Mean and standard deviation (of the population) of finite numbers. A second pass takes from the mean what rounding did to
/// the first, so that the deviation is right also where the numbers are far from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub mean: f64,
    pub deviation: f64,
}

impl Spread {
    /// Of any numbers; of none, both are 0.
    pub fn of(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let count = numbers.clone().count().max(1) as f64;
        // Divided first, so that a sum of large numbers stays finite.
        let rough = numbers.clone().map(|value| value / count).sum::<f64>();
        let mean = rough + numbers.clone().map(|value| (value - rough) / count).sum::<f64>();
        let variance = numbers.map(|value| (value - mean) * ((value - mean) / count)).sum::<f64>();
        Self { mean, deviation: variance.sqrt() }
    }

    /// True where the numbers differ by no more than rounding makes of one and the same.
    pub fn is_constant(self) -> bool {
        self.deviation <= 4.0 * f64::EPSILON * self.mean.abs()
    }

    /// What standardising divides by: the deviation, or 1 of a constant.
    pub fn scale(self) -> f64 {
        if self.is_constant() { 1.0 } else { self.deviation }
    }
}

/// The part of the standard deviation that rounding to f32 may be.
const MOST_ROUNDING: f64 = 0.01;

/// An error, in words, for numbers so far from 0 that f32 loses how they differ.
pub(super) fn fits_single_precision(numbers: &[f64]) -> Result<(), String> {
    let spread = Spread::of(numbers.iter().copied());
    let rounding = numbers.iter().map(|value| (value - f64::from(*value as f32)).powi(2)).sum::<f64>();
    let rounding = (rounding / numbers.len().max(1) as f64).sqrt();
    if spread.is_constant() || rounding <= MOST_ROUNDING * spread.deviation {
        return Ok(());
    }
    Err(format!(
        "its values, {:e} on average with a standard deviation of {:e}, cannot be told apart in f32; \
         Preparation standardizes them in f64",
        spread.mean, spread.deviation
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_from_zero_the_deviation_is_right() {
        for offset in [0.0, 1e4, 1e8, 1.7e9, 1e12] {
            let values: Vec<f64> = (0..1000).map(|step| offset + f64::from(step % 10)).collect();
            let spread = Spread::of(values.iter().copied());
            assert!((spread.mean - offset - 4.5).abs() <= offset * f64::EPSILON, "{spread:?}");
            assert!((spread.deviation - 8.25_f64.sqrt()).abs() < 1e-12, "{spread:?}");
            assert_eq!(fits_single_precision(&values).is_ok(), offset < 1e7, "{offset}");
        }
        assert!(Spread::of([0.1; 7].into_iter()).is_constant());
        assert!(Spread::of([1e8 + 0.1; 7].into_iter()).is_constant());
        assert_eq!(fits_single_precision(&[1e8 + 0.1; 7]), Ok(()));
        assert_eq!(Spread::of([1e308, 1e308].into_iter()).mean, 1e308);
    }
}
