//! What each column holds: numbers in a format, or categories.

use std::collections::BTreeMap;

use super::records::Row;
use crate::data::column::{Column, Values};
use crate::data::date::{DateOrder, written};
use crate::data::format::{Format, Guess, Marks, Notation, guess, settle};
use crate::data::missing::{is_missing, is_missing_number};

/// What the columns of a file tell together of those that could be read in two formats.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    pub marks: Option<Marks>,
    /// Semicolons stand between fields.
    pub semicolons: bool,
    /// The order of dates that could have the day or the month first.
    pub order: Option<DateOrder>,
}

/// The cells of a column with their lines.
pub(super) struct Cells<'a> {
    pub name: &'a str,
    pub rows: &'a [Row],
    pub column: usize,
}

impl<'a> Cells<'a> {
    fn iter(&self) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
        let (rows, column) = (self.rows, self.column);
        rows.iter().map(move |row| (row.line, row.cell(column)))
    }

    fn filled(&self, is_missing: fn(&str) -> bool) -> Vec<&'a str> {
        self.iter().map(|(_, cell)| cell).filter(|cell| !is_missing(cell)).collect()
    }

    /// Numbers in a known format.
    pub fn numbers(&self, format: Format) -> Result<Values, String> {
        let read = |(line, cell): (usize, &str)| match format.parse(cell) {
            Some(value) => Ok(Some(value)),
            None if is_missing_number(cell) => Ok(None),
            None => Err(self.no_number(line, cell, format)),
        };
        Ok(Values::Numbers { values: self.iter().map(read).collect::<Result<_, _>>()?, format })
    }

    fn no_number(&self, line: usize, cell: &str, format: Format) -> String {
        format!("line {line}, column '{}': '{cell}' is not a {}", self.name, format.noun())
    }

    /// Categories; where only what is empty counts as missing, a word like `NA` is one of them.
    pub fn categories(&self, is_missing: fn(&str) -> bool) -> Values {
        let distinct: BTreeMap<&str, ()> = self.filled(is_missing).into_iter().map(|cell| (cell, ())).collect();
        let codes: BTreeMap<&str, usize> =
            distinct.into_keys().enumerate().map(|(code, label)| (label, code)).collect();
        Values::Categories {
            codes: self.iter().map(|(_, cell)| codes.get(cell).copied()).collect(),
            labels: codes.into_keys().map(str::to_owned).collect(),
        }
    }

    /// What the cells seem to be, without a look at other columns.
    pub fn guess(&self) -> Guess {
        guess(&self.filled(is_missing_number))
    }

    /// Numbers if nearly all cells are, categories if nearly none is; in between, an error that names the first word.
    pub fn column(&self, guess: &Guess, settled: Settled) -> Result<Column, String> {
        let mut column = Column { name: self.name.to_owned(), values: Values::empty(), remark: None };
        let filled = self.filled(is_missing_number);
        if guess.numbers == 0 && !filled.is_empty() {
            column.values = self.categories(is_missing);
            return Ok(column);
        }
        let format = match guess.order {
            _ if guess.ambiguous => self.settled(guess, settled, &mut column.remark),
            Some(None) => self.dates(guess, settled.order, &mut column.remark),
            _ => guess.format,
        };
        let words = filled.len() - guess.numbers;
        if words == 0 {
            column.values = self.numbers(format)?;
            return Ok(column);
        }
        let stray = self.iter().find(|(_, cell)| !is_missing_number(cell) && format.parse(cell).is_none());
        let (line, word) = stray.unwrap_or_default();
        let noun = format.noun();
        if guess.numbers >= words {
            return Err(format!(
                "{}, while {}; if they are categories, the column has to be named as such \
                 (Csv::categorical, --categorical on the command line)",
                self.no_number(line, word, format),
                match guess.numbers {
                    1 => "1 other value is".to_owned(),
                    numbers => format!("{numbers} other values are"),
                }
            ));
        }
        column.values = self.categories(is_missing);
        column.remark = Some(format!(
            "though {} of {} values {}",
            guess.numbers,
            filled.len(),
            match guess.numbers {
                1 => format!("is a {noun}"),
                _ => format!("are {noun}s"),
            }
        ));
        Ok(column)
    }

    /// The reading of a column in which all marks could mean two things, and a remark on it.
    fn settled(&self, guess: &Guess, settled: Settled, remark: &mut Option<String>) -> Format {
        let plain = guess.format == Format::default();
        let marks = match settled.marks {
            Some(marks) => marks,
            // Semicolons stand between fields where commas stand within numbers.
            None if settled.semicolons && !plain => Marks::Comma,
            None => Marks::Point,
        };
        let format = settle(guess.format, marks);
        if !plain || format != guess.format {
            let mark = if plain { '.' } else { ',' };
            let example = self
                .iter()
                .find_map(|(_, cell)| format.parse(cell).filter(|_| cell.contains(mark)).map(|value| (cell, value)));
            *remark = example.map(|(cell, value)| format!("'{cell}' is taken for {value}"));
        }
        format
    }

    /// The reading of dates all of which could have the day or the month first, and a remark on it.
    fn dates(&self, guess: &Guess, order: Option<DateOrder>, remark: &mut Option<String>) -> Format {
        let format = order.map_or(guess.format, |order| Format(Notation::Date(order)));
        let read = self.iter().find_map(|(_, cell)| format.parse(cell).map(|date| (cell, written(date))));
        let why = if order.is_some() { "as in the file's other dates" } else { "as no date says otherwise" };
        *remark = read.map(|(cell, date)| format!("'{cell}' is taken for {date}, {why}"));
        format
    }

    /// Where a date stands that can only be read in the column's order.
    pub fn proof_of_order(&self, order: DateOrder) -> Option<(usize, &'a str)> {
        let other = match order {
            DateOrder::DayMonthYear => DateOrder::MonthDayYear,
            DateOrder::MonthDayYear | DateOrder::YearMonthDay => DateOrder::DayMonthYear,
        };
        self.iter().find(|(_, cell)| order.parse(cell).is_some() && other.parse(cell).is_none())
    }
}
