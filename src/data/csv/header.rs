//! Whether a table's first row names its columns.

use super::Header;
use super::records::Row;
use crate::data::format::looks_like_number;
use crate::data::missing;

/// What a cell of the first row could be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Number,
    Word,
}

/// Whether `first` names the columns of the rows after it.
pub(super) fn is_header(setting: Header, first: &Row, rest: &[Row]) -> bool {
    match setting {
        Header::Present => true,
        Header::Absent => false,
        Header::Detect => Evidence { first, rest }.names_columns(),
    }
}

struct Evidence<'a> {
    first: &'a Row,
    rest: &'a [Row],
}

impl Evidence<'_> {
    fn names_columns(&self) -> bool {
        let kinds: Vec<Kind> = self.first.fields.iter().map(kind).collect();
        let words: Vec<usize> = (0..kinds.len()).filter(|&column| kinds.get(column) == Some(&Kind::Word)).collect();
        let numbers = kinds.iter().filter(|kind| **kind == Kind::Number).count();
        if numbers == 0 {
            return !words.is_empty() && self.words_are_names(&words, kinds.len() - words.len());
        }
        // Names that are numbers: pandas counts its columns, others have years over them. A row of data seldom counts.
        let counts = self.counts_columns(&kinds) && numbers >= if words.is_empty() { 3 } else { 1 };
        let years = numbers >= 2 && self.has_years(&kinds);
        let above_numbers = words.iter().any(|&column| self.holds_numbers_alone(column));
        let unusual = above_numbers && self.stand_apart(&kinds);
        (counts || years || unusual) && !words.iter().any(|&column| self.recurs(column))
    }

    /// All cells are words, or blank: names if numbers stand below one of them, or if no word occurs again in its column.
    fn words_are_names(&self, words: &[usize], blanks: usize) -> bool {
        let number_follows = |column: &usize| self.rest.first().is_some_and(|row| looks_like_number(row.cell(*column)));
        let blank_ones = || (0..self.first.fields.len()).filter(|column| !words.contains(column));
        // A name is left out over pandas's index, and behind a comma at the end of each line.
        let blank_fits = |column: usize| self.holds_numbers_alone(column) || self.is_blank(column);
        if blanks > 0 && !blank_ones().all(blank_fits) {
            return words.iter().any(|&column| self.holds_numbers_alone(column));
        }
        words.iter().any(number_follows) || !words.iter().any(|&column| self.recurs(column))
    }

    fn recurs(&self, column: usize) -> bool {
        self.rest.iter().any(|row| row.cell(column) == self.first.cell(column))
    }

    fn below(&self, column: usize) -> impl Iterator<Item = &str> {
        self.rest.iter().map(move |row| row.cell(column)).filter(|cell| !missing::is_missing(cell))
    }

    fn holds_numbers_alone(&self, column: usize) -> bool {
        self.below(column).next().is_some() && self.below(column).all(looks_like_number)
    }

    fn is_blank(&self, column: usize) -> bool {
        self.rest.iter().all(|row| row.cell(column).is_empty())
    }

    /// Numbers are 0, 1, 2, … or 1, 2, 3, … over the columns that they name.
    fn counts_columns(&self, kinds: &[Kind]) -> bool {
        let offset = |(column, _): (usize, &Kind)| {
            self.first.cell(column).parse::<i64>().ok().map(|number| number - column as i64)
        };
        let mut offsets = kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Number).map(offset);
        let first = offsets.next().flatten();
        first.is_some_and(|first| first.abs() <= 1) && offsets.all(|offset| offset == first)
    }

    /// Numbers are years that follow each other, over columns that hold something else.
    fn has_years(&self, kinds: &[Kind]) -> bool {
        let numbered = || kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Number).map(|(column, _)| column);
        let year = |cell: &str| cell.parse::<i64>().ok().filter(|year| (1000..3000).contains(year));
        let years: Vec<Option<i64>> = numbered().map(|column| year(self.first.cell(column))).collect();
        let follow = years.windows(2).all(|pair| matches!(pair, [Some(a), Some(b)] if b > a));
        follow && numbered().all(|column| self.below(column).any(|cell| year(cell).is_none()))
    }

    /// Integers that are none of the values below them.
    fn stand_apart(&self, kinds: &[Kind]) -> bool {
        kinds.iter().enumerate().filter(|(_, kind)| **kind == Kind::Number).all(|(column, _)| {
            let name = self.first.cell(column).parse::<u64>().ok();
            name.is_some_and(|name| {
                let values = || self.below(column).filter_map(|cell| cell.parse::<f64>().ok());
                let (low, high) = values()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
                (name as f64) < low || name as f64 > high
            })
        })
    }
}

fn kind(cell: &str) -> Kind {
    match cell {
        "" => Kind::Blank,
        _ if looks_like_number(cell) => Kind::Number,
        // A question mark names nothing; NA may be sodium.
        "?" => Kind::Number,
        _ => Kind::Word,
    }
}
