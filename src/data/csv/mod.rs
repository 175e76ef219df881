//! CSV: tables of numbers and categories, with a header or without, read into a [`Table`].
//!
//! A file is read as a whole; its delimiter and header are recognised, and each column becomes numbers, in whatever
//! [`Format`] fits all of them, or categories. A column that is nearly all numbers is never taken for categories: the word in
//! it is an error with its line. Missing values are errors too, unless they are asked for ([`Csv::keep_missing`]), since
//! silence would be the wrong choice. The format is RFC 4180, left to the `csv` crate.

mod columns;
mod header;
mod records;

use std::fs;
use std::path::Path;

use super::column::Column;
use super::date::DateOrder;
use super::format::{Format, Guess, Marks};
use super::missing::is_missing;
use super::table::{Table, position};
use crate::error::{Error, Result, counted};
use columns::{Cells, Settled};
use records::{Lines, Row, likely_delimiter, records, unclosed_quote};

/// Whether the first line names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does where it holds words above numbers, or words none of which occurs again in its column; also with a name left
    /// out, as pandas does above its index, and with names that count (0, 1, 2, …) or are years.
    #[default]
    Detect,
    /// It does.
    Present,
    /// It does not; columns are named `0`, `1`, ….
    Absent,
}

/// How to read a file; the default recognises what it can.
///
/// ```
/// use wgrad::data::{Csv, Target};
/// let text = "height,width,kind\n1.5,2,cat\n3,4,dog\n5,6,cat\n";
/// let data = Csv::new().from_bytes(text.as_bytes(), "animals.csv")?.dataset("kind", Target::Classes)?;
/// assert_eq!(data.column("x")?.shape().dims(), [3, 2]);
/// assert_eq!(data.labels("y")?, [0, 1, 0]);
/// assert_eq!(data.class_names(), ["cat", "dog"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// Numbers may be written as people write them:
///
/// ```
/// use wgrad::data::{Csv, Values};
/// let table = Csv::new().from_bytes("price;share\n1.234,50;12 %\n99,00;3,5 %\n".as_bytes(), "prices.csv")?;
/// assert_eq!(table.columns[0].values.numbers()?, [1234.5, 99.0]);
/// assert_eq!(table.columns[1].describe(), "number with decimal comma, in percent");
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Csv {
    delimiter: Option<u8>,
    header: Header,
    categorical: Vec<String>,
    only: Vec<String>,
    keep_missing: bool,
}

/// What a file is to hold, as one before it did.
pub(super) struct Expected<'a> {
    /// All columns of the file before, in their order.
    pub columns: Vec<(&'a str, Kind)>,
    /// The one that may be lacking.
    pub target: usize,
    /// Whether a header named them.
    pub named: bool,
}

/// What a column is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Numbers(Format),
    Categories,
    /// Of no interest, and not read.
    Unused,
}

/// The cells of a file, before anything is known of them.
struct Cut {
    rows: Vec<Row>,
    delimiter: u8,
}

impl Csv {
    /// Recognises delimiter, header and columns' types.
    pub fn new() -> Self {
        Self::default()
    }

    /// The byte between fields; else it is what a first line like Excel's `sep=;` says, or the one of tab, semicolon, vertical bar
    /// and comma that cuts all lines alike, or the most frequent in the first line.
    #[must_use]
    pub const fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// Whether the first line names the columns.
    #[must_use]
    pub const fn header(mut self, header: Header) -> Self {
        self.header = header;
        self
    }

    /// Columns that are categories even where values look like numbers, or like missing ones. Each by name or number,
    /// as in [`Table::position`].
    #[must_use]
    pub fn categorical<Name: Into<String>>(mut self, columns: impl IntoIterator<Item = Name>) -> Self {
        self.categorical.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Reads these columns alone, each by name or number: what is missing or odd in the others does not matter.
    #[must_use]
    pub fn only<Name: Into<String>>(mut self, columns: impl IntoIterator<Item = Name>) -> Self {
        self.only.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Takes missing values (empty, `?`, `NA`, `NaN`, `null`, …; among numbers also `-`, `.`, `none`) into the table, for
    /// [`Table::without_missing`] or a [`Preparation`](super::Preparation) to deal with; else they are errors. A column without
    /// any value is not an error either way: nothing uses it.
    #[must_use]
    pub const fn keep_missing(mut self) -> Self {
        self.keep_missing = true;
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`], with line and column, for rows of unequal length, a
    /// quote that is not closed, a missing value (see [`keep_missing`](Self::keep_missing)), a word among numbers, text that is not
    /// UTF-8, dates in two orders, and a table without rows.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| Error::file("cannot read", path, source))?;
        self.from_bytes(&bytes, path)
    }

    /// As [`read`](Self::read), from bytes in memory; `origin` is the name under which errors speak of them.
    ///
    /// # Errors
    /// [`Error::Format`], as for [`read`](Self::read).
    pub fn from_bytes(&self, bytes: &[u8], origin: impl AsRef<Path>) -> Result<Table> {
        self.parse(bytes).map_err(|message| Error::format(origin.as_ref(), message))
    }

    /// Reads a file that is to hold what another did, with its missing values.
    pub(super) fn read_expected(&self, bytes: &[u8], expected: &Expected<'_>) -> Result<Table, String> {
        let Cut { mut rows, .. } = self.cut(bytes)?;
        let first = rows.first().map(|row| row.fields.iter().map(str::to_owned).collect()).unwrap_or_default();
        let (header, sources) = expected.find(first)?;
        let header = if header { Some(rows.remove(0).line) } else { None };
        let mut columns = Vec::new();
        for ((name, kind), source) in expected.columns.iter().zip(sources) {
            let Some(column) = source else { continue };
            let cells = Cells { name, rows: &rows, column };
            let values = match kind {
                Kind::Unused => continue,
                Kind::Numbers(format) => cells.numbers(*format)?,
                Kind::Categories => cells.categories(is_missing),
            };
            columns.push(Column { name: (*name).to_owned(), values, remark: None });
        }
        finish(columns, &rows, header)
    }

    fn cut(&self, bytes: &[u8]) -> Result<Cut, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        records::refuse_wide_text(bytes)?;
        let (bytes, told) = records::told_delimiter(bytes);
        let bytes = bytes.as_ref();
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("line {}: not UTF-8 text", Lines::of(bytes).line_at(error.valid_up_to())))?;
        let delimiter = self.delimiter.or(told).unwrap_or_else(|| likely_delimiter(bytes));
        if let Some(line) = unclosed_quote(bytes, delimiter) {
            return Err(format!("line {line}: a quote is opened and never closed"));
        }
        Ok(Cut { rows: records(text, delimiter)?, delimiter })
    }

    fn parse(&self, bytes: &[u8]) -> Result<Table, String> {
        let Cut { mut rows, delimiter } = self.cut(bytes)?;
        let mut header = None;
        let names: Vec<String> = match rows.first() {
            Some(first) if header::is_header(self.header, first, rows.get(1..).unwrap_or_default()) => {
                header = Some(first.line);
                let names = first.fields.iter().map(str::to_owned).collect();
                rows.remove(0);
                names
            }
            first => (0..first.map_or(0, |row| row.fields.len())).map(|column| column.to_string()).collect(),
        };
        if rows.is_empty() {
            return Err("the table has no rows".into());
        }
        if let ([name], None) = (names.as_slice(), self.delimiter) {
            let is_number = Cells { name, rows: &rows, column: 0 }.guess().numbers > 0;
            records::unknown_delimiter(&rows).filter(|_| !is_number).map_or(Ok(()), Err)?;
        }
        let positions = |columns: &[String]| {
            columns.iter().map(|column| position(&names, column)).collect::<Result<Vec<usize>, _>>()
        };
        let (forced, only) = (positions(&self.categorical)?, positions(&self.only)?);
        let guesses: Vec<Option<Guess>> = names
            .iter()
            .enumerate()
            .map(|(column, name)| {
                let guessed = !forced.contains(&column);
                guessed.then(|| Cells { name, rows: &rows, column }.guess())
            })
            .collect();
        let proofs = |marks: Marks| guesses.iter().flatten().any(|guess| guess.proof == Some(marks));
        let marks = match (proofs(Marks::Comma), proofs(Marks::Point)) {
            (true, false) => Some(Marks::Comma),
            (false, true) => Some(Marks::Point),
            _ => None,
        };
        let is_read = |column: usize| only.is_empty() || only.contains(&column);
        let ordered = |column: usize, guess: &Option<Guess>| {
            guess.as_ref().filter(|_| is_read(column)).and_then(|guess| guess.order.flatten())
        };
        let orders =
            || guesses.iter().enumerate().filter_map(|(column, guess)| Some((column, ordered(column, guess)?)));
        let first = orders().next();
        if let (Some(a), Some(b)) = (first, orders().find(|(_, order)| Some(*order) != first.map(|first| first.1))) {
            return Err(opposite_orders(&names, &rows, [a, b]));
        }
        let settled = Settled { marks, semicolons: delimiter == b';', order: first.map(|(_, order)| order) };
        let mut columns = Vec::new();
        for (column, (name, guess)) in names.iter().zip(&guesses).enumerate() {
            if !is_read(column) {
                continue;
            }
            let cells = Cells { name, rows: &rows, column };
            columns.push(match guess {
                Some(guess) => cells.column(guess, settled)?,
                None => {
                    let values = cells.categories(|cell| cell.is_empty());
                    Column { name: name.clone(), values, remark: Some(super::column::ASKED.to_owned()) }
                }
            });
        }
        let table = finish(columns, &rows, header)?;
        if self.keep_missing { Ok(table) } else { table.refuse_missing().map(|()| table) }
    }
}

/// An error for two columns of dates, one of which has the day first and one the month.
fn opposite_orders(names: &[String], rows: &[Row], columns: [(usize, DateOrder); 2]) -> String {
    let [a, b] = columns.map(|(column, order)| {
        let name = names.get(column).map_or("", String::as_str);
        let proof = Cells { name, rows, column }.proof_of_order(order);
        let proof = proof.map_or_else(String::new, |(line, cell)| format!(" ('{cell}' in line {line})"));
        format!("column '{name}' has dates as {order}{proof}")
    });
    format!("{a}, but {b}: a file writes its dates in one order")
}

fn finish(columns: Vec<Column>, rows: &[Row], header: Option<usize>) -> Result<Table, String> {
    if rows.is_empty() {
        return Err("the table has no rows".into());
    }
    Ok(Table { columns, lines: rows.iter().map(|row| row.line).collect(), header })
}

impl Expected<'_> {
    /// Whether a file's first row is a header, and where in the file each column is; the target may be lacking.
    fn find(&self, first: Vec<String>) -> Result<(bool, Vec<Option<usize>>), String> {
        let mut unused: Vec<Option<&String>> = first.iter().map(Some).collect();
        let mut by_name = Vec::new();
        for (name, _) in &self.columns {
            let found = unused.iter().position(|own| own.is_some_and(|own| own == name));
            found.and_then(|found| unused.get_mut(found)).into_iter().for_each(|own| *own = None);
            by_name.push(found);
        }
        let needed = |column: &usize| {
            *column != self.target && self.columns.get(*column).is_some_and(|(_, kind)| *kind != Kind::Unused)
        };
        let lacking: Vec<&str> = (0..self.columns.len())
            .filter(needed)
            .filter(|&column| by_name.get(column).copied().flatten().is_none())
            .filter_map(|column| self.columns.get(column).map(|(name, _)| *name))
            .collect();
        if self.named && lacking.is_empty() {
            return Ok((true, by_name));
        }
        // Without a header, columns are told by where they stand; one less is all but the target.
        let all = self.columns.len();
        let without_target = |column: usize| match column.cmp(&self.target) {
            std::cmp::Ordering::Less => Some(column),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(column - 1),
        };
        let nameless = !self.named || lacking.len() == (0..all).filter(needed).count();
        match first.len() {
            width if nameless && width == all => Ok((false, (0..all).map(Some).collect())),
            width if nameless && width + 1 == all => Ok((false, (0..all).map(without_target).collect())),
            width if !self.named => Err(format!(
                "it has {}, and {all} are expected, or {} without the target",
                counted(width, "column"),
                all.saturating_sub(1)
            )),
            _ => Err(format!("it has no column '{}'; its first line is: {}", lacking.join("', '"), first.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests;
