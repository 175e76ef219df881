//! Whether f32 can hold numbers of f64, and tell them apart.

use super::spread::Spread;

/// The part of the standard deviation that rounding to f32 may be.
const MOST_ROUNDING: f64 = 0.01;

/// Deviations from the mean beyond which nothing is computed: a network makes larger numbers of them, and their squares have to
/// stay within f32.
const FARTHEST: f64 = 1e12;

/// An error, in words, for a standardized value that is so far from what was learned from that f32 cannot compute with it.
pub(super) fn single(standardized: f64, value: f64) -> Result<f32, String> {
    // NaN is none either.
    if standardized.abs() <= FARTHEST {
        return Ok(standardized as f32);
    }
    Err(format!(
        "{value:e} is {:.1e} standard deviations from the mean of what the model learned from, too far to compute with in f32",
        standardized.abs()
    ))
}

/// An error, in words, for standardized numbers so far from what was learned from that f32 loses how they differ.
pub(super) fn keeps_differences(standardized: &[f64]) -> Result<(), String> {
    let spread = Spread::of(standardized.iter().copied());
    // What is lost of little matters where it is little beside the deviation of what was learned from, too.
    if rounding(standardized) <= MOST_ROUNDING * spread.deviation.max(1.0) {
        return Ok(());
    }
    Err(format!(
        "its values are {:.1e} standard deviations from the mean of what the model learned from, where f32 cannot tell them apart",
        spread.mean.abs()
    ))
}

/// The root of the mean square of what f32 loses of some numbers.
fn rounding(numbers: &[f64]) -> f64 {
    let squares = numbers.iter().map(|value| (value - f64::from(*value as f32)).powi(2)).sum::<f64>();
    (squares / numbers.len().max(1) as f64).sqrt()
}

/// An error, in words, for numbers so far from 0 that f32 loses how they differ.
pub(super) fn fits_single_precision(numbers: &[f64]) -> Result<(), String> {
    let spread = Spread::of(numbers.iter().copied());
    if spread.is_constant() {
        return Ok(());
    }
    // Squares of parts of the largest stay within f64.
    let largest = numbers.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let lost = numbers.iter().map(|value| ((value - f64::from(*value as f32)) / largest).powi(2)).sum::<f64>();
    if (lost / numbers.len().max(1) as f64).sqrt() <= MOST_ROUNDING * (spread.deviation / largest) {
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
    fn standardized_values_are_right_or_refused() {
        let wave = |offset: f64| (0..100).map(|step| offset + f64::from(step).sin()).collect::<Vec<f64>>();
        assert_eq!([0.0, 1e4, 1e5].map(|offset| keeps_differences(&wave(offset)).is_ok()), [true; 3]);
        assert_eq!([1e6, 1e8].map(|offset| keeps_differences(&wave(offset)).is_ok()), [false; 2]);
        // Little noise is no matter where little is lost.
        let noise: Vec<f64> = (0..100).map(|step| 10.0 + 1e-9 * f64::from(step).sin()).collect();
        assert!(keeps_differences(&noise).is_ok() && keeps_differences(&[]).is_ok());
        assert!(single(1e11, 5.0).is_ok() && single(1e13, 5.0).is_err() && single(f64::NAN, 5.0).is_err());
    }

    #[test]
    fn far_from_zero_digits_are_lost() {
        for offset in [0.0, 1e4, 1e8, 1.7e9, 1e12] {
            let values: Vec<f64> = (0..1000).map(|step| offset + f64::from(step % 10)).collect();
            assert_eq!(fits_single_precision(&values).is_ok(), offset < 1e7, "{offset}");
        }
        assert_eq!(fits_single_precision(&[1e8 + 0.1; 7]), Ok(()));
    }
}
