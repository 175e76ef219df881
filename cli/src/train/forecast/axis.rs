//! Where a time axis has its ticks, and what they say: whole years, months, days or hours where the series has dates,
//! else indices of its values.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

/// The largest number of ticks.
const TICKS: usize = 11;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A position in the series, and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tick {
    position: usize,
    label: String,
}

/// What a tick's date is a whole multiple of.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Years(i64),
    Months(i64),
    Days(i64),
    Seconds(i64),
}

/// From the finest to the coarsest.
const UNITS: [Unit; 21] = [
    Unit::Seconds(1),
    Unit::Seconds(10),
    Unit::Seconds(MINUTE),
    Unit::Seconds(5 * MINUTE),
    Unit::Seconds(15 * MINUTE),
    Unit::Seconds(HOUR),
    Unit::Seconds(3 * HOUR),
    Unit::Seconds(6 * HOUR),
    Unit::Seconds(12 * HOUR),
    Unit::Days(1),
    Unit::Days(2),
    Unit::Days(7),
    Unit::Months(1),
    Unit::Months(3),
    Unit::Months(6),
    Unit::Years(1),
    Unit::Years(2),
    Unit::Years(5),
    Unit::Years(10),
    Unit::Years(50),
    Unit::Years(100),
];

/// Year, month from 1 on and day from 1 on of a number of days since 1970 (Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

impl Unit {
    /// Which of the units since 1970 a date is in.
    fn number(self, seconds: i64) -> i64 {
        let days = seconds.div_euclid(DAY);
        let (year, month, _) = civil(days);
        match self {
            Self::Years(step) => year.div_euclid(step),
            Self::Months(step) => (year * 12 + month - 1).div_euclid(step),
            // Weeks begin on Mondays; 1970 began on a Thursday.
            Self::Days(7) => (days + 3).div_euclid(7),
            Self::Days(step) => days.div_euclid(step),
            Self::Seconds(step) => seconds.div_euclid(step),
        }
    }

    fn label(self, seconds: i64) -> String {
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let (hour, rest) = (seconds.rem_euclid(DAY) / HOUR, seconds.rem_euclid(HOUR));
        match self {
            Self::Years(_) => format!("{year}"),
            Self::Months(_) => format!("{year}-{month:02}"),
            Self::Days(_) => format!("{year}-{month:02}-{day:02}"),
            Self::Seconds(step) if step >= MINUTE => format!("{month:02}-{day:02} {hour:02}:{:02}", rest / MINUTE),
            Self::Seconds(_) => format!("{hour:02}:{:02}:{:02}", rest / MINUTE, rest % MINUTE),
        }
    }
}

/// An axis over a part of a series, with its own ticks.
pub struct TimeAxis {
    axis: RangedCoordf64,
    ticks: Vec<Tick>,
}

impl TimeAxis {
    /// Over a part. `dates` are seconds since 1970, one a value, where the series has some.
    pub fn new(part: &Range<usize>, dates: Option<&[f64]>) -> Self {
        let axis = RangedCoordf64::from(part.start as f64..part.end as f64);
        Self { axis, ticks: ticks(part, dates) }
    }
}

impl Ranged for TimeAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn range(&self) -> Range<f64> {
        self.axis.range()
    }

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.axis.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|tick| tick.position as f64).collect()
    }
}

impl ValueFormatter<f64> for TimeAxis {
    fn format(value: &f64) -> String {
        format!("{value:.0}")
    }

    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|tick| tick.position as f64 == *value);
        tick.map_or_else(String::new, |tick| tick.label.clone())
    }
}

/// The ticks of a part of a series. `dates` are seconds since 1970, one a value, where it has some.
fn ticks(part: &Range<usize>, dates: Option<&[f64]>) -> Vec<Tick> {
    let dated = dates.and_then(|dates| dates.get(part.clone())).and_then(|dates| dated(part.start, dates));
    dated.unwrap_or_else(|| counted(part))
}

/// Whole units, the finest of which there are few enough; none where dates do not rise.
fn dated(start: usize, dates: &[f64]) -> Option<Vec<Tick>> {
    let seconds: Vec<i64> = dates.iter().map(|&seconds| seconds.floor() as i64).collect();
    if seconds.len() < 2 || !seconds.is_sorted() || seconds.first() == seconds.last() {
        return None;
    }
    let counts = |unit: &Unit| {
        let begins =
            |pair: &[i64]| pair.first().map(|&date| unit.number(date)) != pair.last().map(|&date| unit.number(date));
        let positions =
            seconds.windows(2).enumerate().filter(|(_, pair)| begins(pair)).map(|(position, _)| position + 1);
        let found: Vec<Tick> = positions
            .take(TICKS + 1)
            .filter_map(|position| {
                Some(Tick { position: start + position, label: unit.label(*seconds.get(position)?) })
            })
            .collect();
        found
    };
    // Values that are a day apart begin seconds, hours and days alike: the coarsest unit with the same ticks names them.
    let mut best: Option<Vec<Tick>> = None;
    for found in UNITS.iter().map(counts).filter(|found| (2..=TICKS).contains(&found.len())) {
        match &best {
            Some(finer) if finer.len() != found.len() => break,
            _ => best = Some(found),
        }
    }
    best
}

/// Round numbers.
fn counted(part: &Range<usize>) -> Vec<Tick> {
    let steps =
        (0..).flat_map(|power| [1, 2, 5].map(|first: usize| first.saturating_mul(10_usize.saturating_pow(power))));
    let step = steps.into_iter().find(|step| part.len() / step < TICKS).unwrap_or(1);
    let first = part.start.div_ceil(step) * step;
    (first..=part.end).step_by(step).map(|position| Tick { position, label: position.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(part: Range<usize>, dates: &[f64]) -> Vec<String> {
        ticks(&part, Some(dates)).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn days_are_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(-1), (1969, 12, 31));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_089), (2025, 1, 1));
    }

    #[test]
    fn ticks_are_whole_years_months_days_or_hours() {
        // Months of about 30.44 days from 1949 on.
        let months: Vec<f64> = (0..144).map(|month| -662_688_000.0 + f64::from(month) * 2_629_746.0).collect();
        assert_eq!(labels(0..144, &months), (1950..1961).map(|year| year.to_string()).collect::<Vec<_>>());
        let days: Vec<f64> = (0..400).map(|day| 1_577_836_800.0 + f64::from(day) * DAY as f64).collect();
        assert_eq!(labels(0..400, &days), ["2020-04", "2020-07", "2020-10", "2021-01"]);
        assert_eq!(
            labels(5..12, &days),
            ["2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10", "2020-01-11", "2020-01-12"]
        );
        assert_eq!(ticks(&(5..12), Some(&days))[0].position, 6);
        let hours: Vec<f64> = (0..48).map(|hour| 1_577_836_800.0 + f64::from(hour) * HOUR as f64).collect();
        assert_eq!(labels(0..48, &hours)[..2], ["01-01 06:00", "01-01 12:00"]);
    }

    #[test]
    fn without_dates_positions_are_round() {
        let positions =
            |part: Range<usize>| ticks(&part, None).into_iter().map(|tick| tick.position).collect::<Vec<_>>();
        assert_eq!(positions(944..1200), [950, 1000, 1050, 1100, 1150, 1200]);
        assert_eq!(positions(0..5), [0, 1, 2, 3, 4, 5]);
        // Dates that go back and forth say nothing of time.
        let mixed = [3.0, 1.0, 2.0, 5.0, 4.0].map(|day| day * DAY as f64);
        assert_eq!(ticks(&(0..5), Some(&mixed)), ticks(&(0..5), None));
    }
}
