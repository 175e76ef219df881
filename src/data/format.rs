//! How the numbers of a table are written: decimal points and commas, thousands set apart, percent, currencies,
//! hexadecimal, dates. A column has one [`Format`], which is found from all of its cells together.

use std::fmt;

use super::date::DateOrder;

/// How a column of numbers is written, and so how a cell of it is read.
///
/// ```
/// use wgrad::data::Format;
/// assert_eq!(Format::default().parse("-1.5e3"), Some(-1500.0));
/// assert_eq!(Format::default().parse("1,5"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format(pub(super) Notation);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Notation {
    Decimal(Decimal),
    Hexadecimal,
    Date(DateOrder),
}

/// Decimal digits with a sign, an exponent, and what else people put between and around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    /// Whether the mark before the fraction is a comma, as in most of Europe.
    pub comma: bool,
    pub grouping: Option<Grouping>,
    /// A percent sign or a currency's, before or after the digits of every cell.
    pub unit: Option<char>,
}

/// What sets thousands apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grouping {
    /// A comma where the mark is a point, and a point where it is a comma.
    OtherMark,
    Space,
    Apostrophe,
}

const PLAIN: Decimal = Decimal { comma: false, grouping: None, unit: None };

/// Spaces that typesetting and spreadsheets put between digits: usual, no-break, narrow no-break, thin, figure.
const SPACES: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\u{2007}'];

const APOSTROPHES: [char; 2] = ['\'', '\u{2019}'];

/// Minus signs: ASCII, the mathematical one, and the en dash that word processors make of it.
const MINUS: [char; 3] = ['-', '\u{2212}', '\u{2013}'];

const UNITS: [char; 8] = ['%', '$', '€', '£', '¥', '₹', '₩', '‰'];

impl Default for Format {
    fn default() -> Self {
        Self(Notation::Decimal(PLAIN))
    }
}

impl Format {
    /// The number that a cell stands for: finite, of percent the number before the sign, of dates seconds since 1970. None
    /// where the cell is not written in this format.
    pub fn parse(&self, cell: &str) -> Option<f64> {
        match self.0 {
            Notation::Decimal(decimal) => decimal.parse(cell),
            Notation::Hexadecimal => hexadecimal(cell),
            Notation::Date(order) => order.parse(cell),
        }
    }

    /// True where the numbers are points in time.
    pub const fn is_date(&self) -> bool {
        matches!(self.0, Notation::Date(_))
    }

    /// What a cell should have been: `number`, `date`.
    pub const fn noun(&self) -> &'static str {
        if self.is_date() { "date" } else { "number" }
    }

    /// A line of text that [`from_code`](Self::from_code) reads again.
    pub(super) fn code(self) -> String {
        match self.0 {
            Notation::Hexadecimal => "hexadecimal".to_owned(),
            Notation::Date(order) => format!("date {}", order.code()),
            Notation::Decimal(Decimal { comma, grouping, unit }) => {
                let mark = if comma { "comma" } else { "point" };
                let grouping = match grouping {
                    None => "",
                    Some(Grouping::OtherMark) => " other-mark",
                    Some(Grouping::Space) => " space",
                    Some(Grouping::Apostrophe) => " apostrophe",
                };
                format!("{mark}{grouping}{}", unit.map_or_else(String::new, |unit| format!(" {unit}")))
            }
        }
    }

    /// From what [`code`](Self::code) gave.
    pub(super) fn from_code(code: &str) -> Option<Self> {
        let mut words = code.split(' ');
        let comma = match words.next()? {
            "hexadecimal" => return words.next().is_none().then_some(Self(Notation::Hexadecimal)),
            "date" => return DateOrder::from_code(words.next()?).map(|order| Self(Notation::Date(order))),
            "comma" => true,
            "point" => false,
            _ => return None,
        };
        let mut decimal = Decimal { comma, ..PLAIN };
        for word in words {
            match (word, word.chars().next()) {
                ("other-mark", _) => decimal.grouping = Some(Grouping::OtherMark),
                ("space", _) => decimal.grouping = Some(Grouping::Space),
                ("apostrophe", _) => decimal.grouping = Some(Grouping::Apostrophe),
                (_, Some(unit)) if UNITS.contains(&unit) => decimal.unit = Some(unit),
                _ => return None,
            }
        }
        Some(Self(Notation::Decimal(decimal)))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decimal { comma, grouping, unit } = match self.0 {
            Notation::Hexadecimal => return formatter.write_str("number, hexadecimal"),
            Notation::Date(order) => return write!(formatter, "date ({order}), as seconds since 1970"),
            Notation::Decimal(decimal) => decimal,
        };
        formatter.write_str("number")?;
        if comma {
            formatter.write_str(" with decimal comma")?;
        }
        if let Some(grouping) = grouping {
            let mark = match grouping {
                Grouping::OtherMark if comma => "points",
                Grouping::OtherMark => "commas",
                Grouping::Space => "spaces",
                Grouping::Apostrophe => "apostrophes",
            };
            write!(formatter, "{} thousands set apart by {mark}", if comma { "," } else { " with" })?;
        }
        match unit {
            Some('%') => formatter.write_str(", in percent"),
            Some(unit) => write!(formatter, ", in {unit}"),
            None => Ok(()),
        }
    }
}

impl Decimal {
    pub(super) fn parse(self, cell: &str) -> Option<f64> {
        let cell = cell.trim();
        if self == PLAIN && cell.is_ascii() {
            // What Rust itself reads, but for its words: inf, infinity, nan.
            let digits = cell.bytes().any(|byte| byte.is_ascii_digit());
            return cell.parse().ok().filter(|value: &f64| digits && value.is_finite());
        }
        let (mut sign, mut unit, mut rest) = (None, None, cell);
        // A sign and a unit stand before the digits in either order.
        for _ in 0..2 {
            match rest.chars().next() {
                Some(first) if sign.is_none() && (first == '+' || MINUS.contains(&first)) => {
                    (sign, rest) = (Some(first), after_first(rest));
                }
                Some(first) if unit.is_none() && self.unit == Some(first) => {
                    (unit, rest) = (Some(first), after_first(rest).trim());
                }
                _ => break,
            }
        }
        if let (None, Some(own)) = (unit, self.unit) {
            rest = rest.strip_suffix(own)?.trim_end();
        }
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (rest, None),
        };
        let (mark, other) = if self.comma { (',', '.') } else { ('.', ',') };
        let (whole, fraction) = mantissa.split_once(mark).unwrap_or((mantissa, ""));
        let mut text = String::with_capacity(cell.len() + 2);
        if sign.is_some_and(|sign| sign != '+') {
            text.push('-');
        }
        match self.grouping {
            None => text.push_str(whole),
            Some(Grouping::OtherMark) => join_groups(whole, |c| c == other, &mut text)?,
            Some(Grouping::Space) => join_groups(whole, |c| SPACES.contains(&c), &mut text)?,
            Some(Grouping::Apostrophe) => join_groups(whole, |c| APOSTROPHES.contains(&c), &mut text)?,
        }
        text.push('.');
        text.push_str(fraction);
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(fraction) || !whole.starts_with(|c: char| c.is_ascii_digit()) && !whole.is_empty() {
            return None;
        }
        if let Some(exponent) = exponent {
            text.push('e');
            let digits = exponent.strip_prefix(MINUS);
            if digits.is_some() {
                text.push('-');
            }
            let digits = digits.or_else(|| exponent.strip_prefix('+')).unwrap_or(exponent);
            text.push_str(digits);
        }
        text.parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// Whether a cell has thousands set apart, and nothing else that would tell a decimal comma from a grouping one.
    fn is_grouped_alone(cell: &str, mark: char) -> bool {
        let whole = cell.trim().trim_start_matches(|c: char| MINUS.contains(&c) || c == '+' || UNITS.contains(&c));
        let whole = whole.trim_end_matches(|c: char| UNITS.contains(&c) || c == ' ');
        // Two marks are no decimal ones, so they are proof.
        whole.matches(mark).count() == 1 && join_groups(whole, |c| c == mark, &mut String::new()).is_some()
    }
}

fn after_first(text: &str) -> &str {
    let mut rest = text.chars();
    rest.next();
    rest.as_str()
}

/// Adds the digits of an integer whose thousands are set apart, or of one without any; groups after the first have three
/// digits, or two before the last one as in India.
fn join_groups(whole: &str, is_mark: impl Fn(char) -> bool, into: &mut String) -> Option<()> {
    let groups: Vec<&str> = whole.split(&is_mark).collect();
    let last = groups.len().saturating_sub(1);
    for (number, group) in groups.iter().enumerate() {
        let fits = match number {
            _ if last == 0 => true,
            0 => (1..=3).contains(&group.len()) && !group.starts_with('0'),
            _ if number == last => group.len() == 3,
            _ => (2..=3).contains(&group.len()),
        };
        if !fits || !group.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        into.push_str(group);
    }
    Some(())
}

/// `0x1F`; integers that f64 holds exactly, since longer ones are names of something.
fn hexadecimal(cell: &str) -> Option<f64> {
    let cell = cell.trim();
    let positive = cell.strip_prefix(MINUS).or_else(|| cell.strip_prefix('+')).unwrap_or(cell);
    let digits = positive.strip_prefix("0x").or_else(|| positive.strip_prefix("0X"))?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok().filter(|value| *value <= 1 << 53)? as f64;
    Some(if cell.starts_with(MINUS) { -value } else { value })
}

/// True for what is a number or a date in some notation; for telling a header from data.
pub(super) fn looks_like_number(cell: &str) -> bool {
    candidates(&[cell]).iter().any(|format| format.parse(cell).is_some())
}

/// What is known of a file, for columns that could be read in two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marks {
    /// Numbers have decimal commas.
    Comma,
    /// Numbers have decimal points.
    Point,
}

/// What a column seems to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Guess {
    pub format: Format,
    /// How many cells the format reads.
    pub numbers: usize,
    /// The column could have decimal commas or thousands, or decimal points or thousands: `1,234`.
    pub ambiguous: bool,
    /// What this column proves of the file.
    pub proof: Option<Marks>,
    /// Of dates with the year at their end and no points: in which order they are, or None where all of them could be either.
    pub order: Option<Option<DateOrder>>,
}

/// The format that reads the most cells; of equal ones the most usual.
pub(super) fn guess(cells: &[&str]) -> Guess {
    let read = |format: Format| cells.iter().filter(|cell| format.parse(cell).is_some()).count();
    let mut best = (Format::default(), read(Format::default()));
    if best.1 < cells.len() {
        for format in candidates(cells) {
            let numbers = read(format);
            if numbers > best.1 {
                best = (format, numbers);
            }
        }
    }
    let (format, numbers) = best;
    let (mut ambiguous, mut proof) = (false, None);
    if let Notation::Decimal(decimal) = format.0 {
        let has = |mark: char| cells.iter().any(|cell| cell.contains(mark));
        let alone = |mark: char| {
            has(mark)
                && cells.iter().filter(|cell| cell.contains(mark)).all(|cell| Decimal::is_grouped_alone(cell, mark))
        };
        match (decimal.comma, decimal.grouping) {
            (false, Some(Grouping::OtherMark)) => {
                ambiguous = alone(',') && !has('.');
                proof = (!ambiguous).then_some(Marks::Point);
            }
            (false, _) => {
                ambiguous = alone('.');
                proof = (!ambiguous && has('.') && numbers > 0).then_some(Marks::Point);
            }
            (true, _) => proof = Some(Marks::Comma),
        }
    }
    let order = match format.0 {
        Notation::Date(order @ (DateOrder::DayMonthYear | DateOrder::MonthDayYear))
            if !cells.iter().any(|cell| cell.contains('.')) =>
        {
            let [day, month] =
                [DateOrder::DayMonthYear, DateOrder::MonthDayYear].map(|order| read(Format(Notation::Date(order))));
            Some((day != month).then_some(order))
        }
        Notation::Date(_) | Notation::Decimal(_) | Notation::Hexadecimal => None,
    };
    Guess { format, numbers, ambiguous, proof, order }
}

/// The other reading of an ambiguous column, where the rest of the file has marks of that kind.
pub(super) fn settle(format: Format, marks: Marks) -> Format {
    let Notation::Decimal(decimal) = format.0 else { return format };
    Format(Notation::Decimal(match (marks, decimal.grouping) {
        // 1,234 in a file of decimal commas.
        (Marks::Comma, Some(Grouping::OtherMark)) => Decimal { comma: true, grouping: None, ..decimal },
        // 1.234 in one.
        (Marks::Comma, None) => Decimal { comma: true, grouping: Some(Grouping::OtherMark), ..decimal },
        _ => decimal,
    }))
}

/// The formats that some cells could be written in, the most usual first.
fn candidates(cells: &[&str]) -> Vec<Format> {
    let mut units = vec![None];
    for cell in cells.iter().take(20) {
        let unit = UNITS.iter().find(|unit| cell.contains(**unit)).copied();
        if unit.is_some() && !units.contains(&unit) {
            units.push(unit);
        }
    }
    let groupings = [None, Some(Grouping::OtherMark), Some(Grouping::Space), Some(Grouping::Apostrophe)];
    let mut all = Vec::new();
    for unit in units {
        for comma in [false, true] {
            all.extend(groupings.map(|grouping| Format(Notation::Decimal(Decimal { comma, grouping, unit }))));
        }
    }
    all.push(Format(Notation::Hexadecimal));
    all.extend(DateOrder::ALL.map(|order| Format(Notation::Date(order))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(cells: &[&str]) -> (String, Vec<Option<f64>>) {
        let format = guess(cells).format;
        (format.to_string(), cells.iter().map(|cell| format.parse(cell)).collect())
    }

    #[test]
    fn columns_are_read_in_the_format_that_fits_all() {
        for (cells, format, expected) in [
            (&["1", "-2.5", "+3e2", ".5", "1.", " 7 "][..], "number", &[1.0, -2.5, 300.0, 0.5, 1.0, 7.0][..]),
            (&["0,370", "1,5", "-2"], "number with decimal comma", &[0.37, 1.5, -2.0]),
            (&["1.234,5", "7"], "number with decimal comma, thousands set apart by points", &[1234.5, 7.0]),
            (
                &["1,234.5", "1,234,567", "-2"],
                "number with thousands set apart by commas",
                &[1234.5, 1_234_567.0, -2.0],
            ),
            (
                &["1\u{a0}234", "12\u{202f}345\u{202f}678", "5"],
                "number with thousands set apart by spaces",
                &[1234.0, 12_345_678.0, 5.0],
            ),
            (&["1 234,5", "6"], "number with decimal comma, thousands set apart by spaces", &[1234.5, 6.0]),
            (&["1'234.5", "1\u{2019}234"], "number with thousands set apart by apostrophes", &[1234.5, 1234.0]),
            (&["12,34,567", "1,000.5"], "number with thousands set apart by commas", &[1_234_567.0, 1000.5]),
            (&["12%", "-3.5 %", "0%"], "number, in percent", &[12.0, -3.5, 0.0]),
            (&["12,5\u{a0}%", "3 %"], "number with decimal comma, in percent", &[12.5, 3.0]),
            (&["$1,200.50", "-$3", "$-4"], "number with thousands set apart by commas, in $", &[1200.5, -3.0, -4.0]),
            (&["1.200,50 €", "3 €"], "number with decimal comma, thousands set apart by points, in €", &[1200.5, 3.0]),
            (&["\u{2212}1.5", "2", "\u{2013}3e\u{2212}1"], "number", &[-1.5, 2.0, -0.3]),
            (&["0x1f", "0XA", "-0x1"], "number, hexadecimal", &[31.0, 10.0, -1.0]),
            (&["1970-01-02", "1969-12-31"], "date (year-month-day), as seconds since 1970", &[86400.0, -86400.0]),
        ] {
            let expected = expected.iter().map(|value| Some(*value)).collect();
            assert_eq!(numbers(cells), (format.to_owned(), expected), "{cells:?}");
            let format = guess(cells).format;
            assert_eq!(Format::from_code(&format.code()), Some(format));
        }
    }

    #[test]
    fn words_are_no_numbers() {
        for word in [
            "inf",
            "nan",
            "-infinity",
            "1e999",
            "",
            "-",
            "e5",
            "1e",
            "--1",
            "+-1",
            "1 2",
            "1,2,3",
            "0x",
            "0xfffffffffffffffff",
            "12a",
            "%",
            "1.2.3",
            "1234,567,8",
            "0,123,456",
            "٣",
            "1_000",
            "0x+1",
            "$",
            "1e5.5",
        ] {
            assert!(!looks_like_number(word), "{word}");
        }
        assert_eq!(Format::from_code("comma comma"), None);
        assert_eq!(Format::from_code("date"), None);
    }

    #[test]
    fn what_can_be_read_in_two_formats_is_known_and_settled_by_the_rest_of_the_file() {
        let guess_of = |cells: &[&str]| (guess(cells).ambiguous, guess(cells).proof);
        assert_eq!(guess_of(&["1,234", "5"]), (true, None));
        assert_eq!(guess_of(&["1.234", "5"]), (true, None));
        assert_eq!(guess_of(&["1,234", "0,370"]), (false, Some(Marks::Comma)));
        assert_eq!(guess_of(&["1,234", "1,234,567"]), (false, Some(Marks::Point)));
        assert_eq!(guess_of(&["1,234.5"]), (false, Some(Marks::Point)));
        assert_eq!(guess_of(&["1.5", "5"]), (false, Some(Marks::Point)));
        assert_eq!(guess_of(&["1", "5"]), (false, None));
        assert_eq!(settle(guess(&["1,234"]).format, Marks::Comma).parse("1,234"), Some(1.234));
        assert_eq!(settle(guess(&["1.234"]).format, Marks::Comma).parse("1.234"), Some(1234.0));
        assert_eq!(settle(guess(&["1,234"]).format, Marks::Point).parse("1,234"), Some(1234.0));
    }
}
