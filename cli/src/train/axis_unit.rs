//! What the numbers along an axis are counted from and in, so that their labels stay short: 1e8 … 1e8 + 0.02 has labels from -1 to 1 and
//! says "× 0.01 + 1e8" beside the axis.

use std::ops::Range;

/// Values so far from 0, in widths of their range, are told by how far they are from one in their midst.
const FAR: f64 = 1e3;

/// Labels of more digits than fit are told in a power of ten.
const LONGEST: f64 = 1e7;
const SHORTEST: f64 = 1e-3;

/// An axis goes over `(value - offset) / factor`. Everything is computed in f64 before the picture's own arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisUnit {
    offset: f64,
    factor: f64,
    /// What the axis goes over, with a little room at both ends.
    pub range: Range<f64>,
}

impl AxisUnit {
    /// For some values; of none, from 0 to 1. `room` is the part of the range that is left free at either end.
    pub fn of(values: impl Iterator<Item = f64> + Clone, room: f64) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Self { offset: 0.0, factor: 1.0, range: 0.0..1.0 };
        }
        let far = low.abs().max(high.abs());
        // Halves, lest a range over all of f64 be infinite.
        let span = (high / 2.0 - low / 2.0).min(f64::MAX / 4.0) * 2.0;
        let offset = if span > 0.0 && far / span > FAR {
            let step = power(span.log10().floor() as i32 + 1);
            ((low / 2.0 + high / 2.0) / step).round() * step
        } else {
            0.0
        };
        let reach = (low - offset).abs().max((high - offset).abs());
        let plain = reach == 0.0 || (SHORTEST..LONGEST).contains(&reach);
        let factor = if plain { 1.0 } else { power(reach.log10().floor() as i32) };
        let unit = Self { offset, factor, range: 0.0..1.0 };
        let (low, high) = (unit.shown(low), unit.shown(high));
        let room = if high > low { (high - low) * room } else { (high.abs() * 0.1).max(0.1) };
        Self { range: low - room..high + room, ..unit }
    }

    /// A value's position along the axis.
    pub fn shown(&self, value: f64) -> f64 {
        (value - self.offset) / self.factor
    }

    /// A name for the axis, with what has to be done with its labels.
    pub fn title(&self, name: &str) -> String {
        let factor = if self.factor == 1.0 { String::new() } else { format!(" × {:e}", self.factor) };
        let offset = match self.offset {
            0.0 => String::new(),
            offset if offset < 0.0 => format!(" − {}", plain(-offset)),
            offset => format!(" + {}", plain(offset)),
        };
        if factor.is_empty() && offset.is_empty() {
            return name.to_owned();
        }
        format!("{name} ({})", format!("{factor}{offset}").trim())
    }

    /// A label: as many digits as tell a tick from its neighbours.
    pub fn label(&self, position: f64) -> String {
        let step = (self.range.end - self.range.start) / 10.0;
        let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let text = format!("{position:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        if text == "-0" { "0".to_owned() } else { text.to_owned() }
    }

    /// Letters of the longest label.
    pub fn longest_label(&self) -> usize {
        // Ticks are at tenths of the range and the like.
        let labels = (0..=8).map(|part| {
            let position = self.range.start + f64::from(part) / 8.0 * (self.range.end - self.range.start);
            let step = (self.range.end - self.range.start) / 10.0;
            let step = power(step.log10().floor() as i32);
            self.label((position / step).round() * step).chars().count()
        });
        labels.max().unwrap_or(1)
    }
}

/// A power of ten, also where it is less than the smallest normal number.
fn power(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(1.0)
}

/// A positive number as short as it can be written.
fn plain(value: f64) -> String {
    let [plain, scientific] = [value.to_string(), format!("{value:e}")];
    if scientific.len() < plain.len() { scientific } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(low: f64, high: f64) -> AxisUnit {
        AxisUnit::of([low, high].into_iter(), 0.05)
    }

    #[test]
    fn labels_are_short_and_differ() {
        let titles = [(0.0, 1.0), (1e8 - 0.01, 1e8 + 0.01), (-3e-150, 2e-150), (2e5, 9e5), (-1e18, -1e18 + 4096.0)];
        let titles = titles.map(|(low, high)| unit(low, high).title("y"));
        assert_eq!(titles, ["y", "y (+ 1e8)", "y (× 1e-150)", "y", "y (− 1e18)"]);
        for (low, high) in
            [(1e8 - 0.01, 1e8 + 0.01), (-3e-150, 2e-150), (-f64::MAX, f64::MAX), (5e-324, 1e-320), (5.0, 5.0)]
        {
            let unit = unit(low, high);
            let range = unit.range.clone();
            assert!(range.start < range.end && range.start > -2e7 && range.end < 2e7, "{unit:?}");
            let labels: Vec<String> = (0..8)
                .map(|part| unit.label(range.start + f64::from(part) / 8.0 * (range.end - range.start)))
                .collect();
            assert!(labels.iter().all(|label| label.len() <= 8 && label != "-0"), "{labels:?}");
            assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{labels:?}");
        }
        assert_eq!(AxisUnit::of(std::iter::empty(), 0.1).range, 0.0..1.0);
    }
}
