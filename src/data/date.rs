//! Dates and times as tables have them, as seconds since 1970.

use std::fmt;

/// The order in which a date's parts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum DateOrder {
    /// `2026-03-31`, `2026/03/31`, `2026-03`, each with a time or not, as ISO 8601 has them.
    YearMonthDay,
    /// `31.03.2026`, `31/3/2026`.
    DayMonthYear,
    /// `3/31/2026`.
    MonthDayYear,
}

impl DateOrder {
    /// All, in the order in which they are tried: of dates that are both, the month comes first.
    pub const ALL: [Self; 3] = [Self::YearMonthDay, Self::MonthDayYear, Self::DayMonthYear];

    pub const fn code(self) -> &'static str {
        match self {
            Self::YearMonthDay => "year-month-day",
            Self::DayMonthYear => "day-month-year",
            Self::MonthDayYear => "month-day-year",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.code() == code)
    }

    /// Seconds since 1970 in UTC, where no other offset is given.
    pub fn parse(self, cell: &str) -> Option<f64> {
        let cell = cell.trim();
        let (date, time) = match cell.find(['T', 't', ' ']) {
            Some(position) => (cell.get(..position)?, cell.get(position + 1..)?.trim()),
            None => (cell, ""),
        };
        let mark = date.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '-' | '/' | '.'))?;
        // Points are between day and month in Europe; 1.2.2026 is no American date.
        if mark == '.' && self == Self::MonthDayYear {
            return None;
        }
        let parts: Vec<&str> = date.split(mark).collect();
        let (year, month, day) = match (self, parts.as_slice()) {
            (Self::YearMonthDay, [year, month, day]) => (*year, *month, *day),
            // A version number or a decimal, like 2026.03, is no month.
            (Self::YearMonthDay, [year, month]) if mark == '-' && month.len() == 2 && time.is_empty() => {
                (*year, *month, "1")
            }
            (Self::DayMonthYear, [day, month, year]) | (Self::MonthDayYear, [month, day, year]) => {
                (*year, *month, *day)
            }
            _ => return None,
        };
        if year.len() != 4 || month.len() > 2 || day.len() > 2 {
            return None;
        }
        let (year, month, day) = (digits(year)?, digits(month)?, digits(day)?);
        if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
            return None;
        }
        Some(days_since_1970(year, month, day) as f64 * 86_400.0 + seconds(time)?)
    }
}

impl fmt::Display for DateOrder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// A number of so few digits that counting seconds with it stays within i64.
fn digits(text: &str) -> Option<i64> {
    let fits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, by counting years that begin in March, so that the leap day is a year's last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before_month = (153 * month + 2) / 5;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // There are 719,468 days between the first of March of the year 0 and the first of January 1970.
    365 * year + leap_days + before_month + day - 1 - 719_468
}

/// A time as ISO 8601 has it, for people: `2026-03-31`, `2026-03-31 12:30`, `2026-03-31 12:30:15`.
pub(super) fn written(seconds: f64) -> String {
    const DAY: i64 = 86_400;
    let seconds = seconds.floor() as i64;
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    // Hinnant's civil_from_days: years begin in March, 146,097 days are 400 of them.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if rest != 0 {
        text += &format!(" {:02}:{:02}", rest / 3600, rest / 60 % 60);
    }
    if rest % 60 != 0 {
        text += &format!(":{:02}", rest % 60);
    }
    text
}

/// `12:30`, `12:30:15`, `12:30:15.25`, with `Z` or `+01:00` after it or not; nothing is midnight.
fn seconds(time: &str) -> Option<f64> {
    if time.is_empty() {
        return Some(0.0);
    }
    let (clock, offset) = match time.find(['Z', 'z', '+', '-', '\u{2212}']) {
        Some(position) => time.split_at_checked(position)?,
        None => (time, ""),
    };
    let mut parts = clock.trim_end().split(':');
    let (hour, minute) = (digits(parts.next()?)?, digits(parts.next()?)?);
    let second = match parts.next() {
        None => 0.0,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => text.parse().ok()?,
        Some(_) => return None,
    };
    if parts.next().is_some() || hour > 24 || minute > 59 || second >= 61.0 {
        return None;
    }
    let offset = match offset {
        "" | "Z" | "z" => 0,
        text => {
            let sign = if text.starts_with('+') { 1 } else { -1 };
            let text = text.trim_start_matches(['+', '-', '\u{2212}']);
            let (hours, minutes) = match (text.split_once(':'), text.len()) {
                (Some((hours, minutes)), _) => (hours, minutes),
                (None, 4) => text.split_at_checked(2)?,
                (None, _) => (text, "0"),
            };
            sign * (digits(hours)? * 3600 + digits(minutes)? * 60)
        }
    };
    Some((hour * 3600 + minute * 60 - offset) as f64 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds() {
        use DateOrder::{DayMonthYear, MonthDayYear, YearMonthDay};
        // Values from Python's datetime.
        for (order, text, expected) in [
            (YearMonthDay, "1970-01-01", Some(0.0)),
            (YearMonthDay, "2024-02-29", Some(1_709_164_800.0)),
            (YearMonthDay, "2023-02-29", None),
            (YearMonthDay, "1900-03-01", Some(-2_203_891_200.0)),
            (YearMonthDay, "2024-02-29T12:30:15.25Z", Some(1_709_209_815.25)),
            (YearMonthDay, "2024-02-29 12:30", Some(1_709_209_800.0)),
            (YearMonthDay, "2024-02-29 12:30:00+02:00", Some(1_709_202_600.0)),
            (YearMonthDay, "2024-02-29 12:30-0130", Some(1_709_215_200.0)),
            (YearMonthDay, "2024/2/29", Some(1_709_164_800.0)),
            (YearMonthDay, "1949-01", Some(-662_688_000.0)),
            (YearMonthDay, "12-01", None),
            (YearMonthDay, "2024-13-01", None),
            (YearMonthDay, "2024.02", None),
            (YearMonthDay, "2024-02-29 25:00", None),
            (YearMonthDay, "2024-02-29 noon", None),
            (DayMonthYear, "29.02.2024", Some(1_709_164_800.0)),
            (DayMonthYear, "29/2/2024 00:00:01", Some(1_709_164_801.0)),
            (DayMonthYear, "2/29/2024", None),
            (MonthDayYear, "2/29/2024", Some(1_709_164_800.0)),
            (MonthDayYear, "2.29.2024", None),
            (MonthDayYear, "1/2/24", None),
            (YearMonthDay, "1-2-3", None),
            (YearMonthDay, "äöü-1-1", None),
        ] {
            assert_eq!(order.parse(text), expected, "{text} {order}");
        }
        for text in ["1970-01-01", "1900-03-01", "2000-02-29", "2023-12-31 23:59", "1969-12-31 00:00:01"] {
            assert_eq!(YearMonthDay.parse(text).map(written).as_deref(), Some(text));
        }
        assert!(DateOrder::ALL.iter().all(|order| DateOrder::from_code(order.code()) == Some(*order)));
    }
}
