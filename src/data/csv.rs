//! CSV: tables of numbers and categories, with a header or without, read into a [`Table`].
//!
//! A file is read as a whole, its delimiter and header are recognised, and each column becomes numbers if all its
//! values are numbers, else categories. Missing values are errors with line and column: what to do about them is the
//! user's choice, and silence would be the wrong one. The format is RFC 4180, left to the `csv` crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ::csv::{ReaderBuilder, StringRecord};

use super::table::{Column, Table, Values, position};
use crate::error::{Error, Result};

/// Whether the first line names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does if it holds no number, while the second line does or none of its names occurs again in its column.
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
#[derive(Clone, Debug, Default)]
pub struct Csv {
    delimiter: Option<u8>,
    header: Header,
    categorical: Vec<String>,
    only: Vec<String>,
}

impl Csv {
    /// Recognises delimiter, header and columns' types.
    pub fn new() -> Self {
        Self::default()
    }

    /// The byte between fields; else it is the most frequent of comma, semicolon and tab in the first line.
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

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Format`], with line and column, for rows of unequal length, a
    /// quote that is not closed, a missing value, a word among numbers, text that is not UTF-8, and a table without rows.
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

    fn parse(&self, bytes: &[u8]) -> Result<Table, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = Lines { rest: bytes, done: 0, line: 1 }.line_at(error.valid_up_to());
            format!("line {line}: not UTF-8 text")
        })?;
        let delimiter = self.delimiter.unwrap_or_else(|| likely_delimiter(bytes));
        if let Some(line) = unclosed_quote(bytes, delimiter) {
            return Err(format!("line {line}: a quote is opened and never closed"));
        }
        let mut rows = records(text, delimiter)?;
        let width = rows.first().map_or(0, |row| row.fields.len());
        let names: Vec<String> = match rows.first() {
            Some(first) if self.has_header(first, rows.get(1..).unwrap_or_default()) => {
                let names = first.fields.iter().map(str::to_owned).collect();
                rows.remove(0);
                names
            }
            _ => (0..width).map(|column| column.to_string()).collect(),
        };
        if rows.is_empty() {
            return Err("the table has no rows".into());
        }
        let places = |columns: &[String]| {
            columns.iter().map(|column| position(&names, column)).collect::<Result<Vec<usize>, _>>()
        };
        let (forced, only) = (places(&self.categorical)?, places(&self.only)?);
        let wanted = |number: &usize| only.is_empty() || only.contains(number);
        let columns = names.iter().enumerate().filter(|(number, _)| wanted(number)).map(|(number, name)| {
            let cells = rows.iter().map(|row| (row.line, row.fields.get(number).unwrap_or_default()));
            let values = if forced.contains(&number) { categories(name, cells) } else { values(name, cells) };
            Ok(Column { name: name.clone(), values: values? })
        });
        Ok(Table { columns: columns.collect::<Result<_, String>>()? })
    }

    fn has_header(&self, first: &Row, rest: &[Row]) -> bool {
        match self.header {
            Header::Present => true,
            Header::Absent => false,
            Header::Detect => {
                let words = first.fields.iter().all(|field| number(field).is_none() && !field.is_empty());
                let numbers_follow =
                    rest.first().is_some_and(|row| row.fields.iter().any(|field| number(field).is_some()));
                let recurs = |column: usize, name: &str| rest.iter().any(|row| row.fields.get(column) == Some(name));
                words && (numbers_follow || !first.fields.iter().enumerate().any(|(column, name)| recurs(column, name)))
            }
        }
    }
}

/// A row and the line where it begins.
struct Row {
    line: usize,
    fields: StringRecord,
}

fn records(text: &str, delimiter: u8) -> Result<Vec<Row>, String> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = Lines { rest: text.as_bytes(), done: 0, line: 1 };
    for record in reader.records() {
        let mut fields = record.map_err(|error| error.to_string())?;
        fields.trim();
        let line = lines.line_at(fields.position().map_or(0, |position| position.byte() as usize));
        if let Some(first) = rows.first().filter(|first| first.fields.len() != fields.len()) {
            let (own, expected) = (fields.len(), first.fields.len());
            return Err(format!("line {line} has {own} fields, but line {} has {expected}", first.line));
        }
        rows.push(Row { line, fields });
    }
    Ok(rows)
}

/// Counts lines up to positions that only grow. The `csv` crate counts too, but takes the second half of a Windows line
/// end for the beginning of the next record, and so is off by one.
struct Lines<'a> {
    rest: &'a [u8],
    done: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the first character at or after `position` that ends no line.
    fn line_at(&mut self, position: usize) -> usize {
        while let [byte, rest @ ..] = self.rest {
            if self.done >= position && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            // Of \r\n, the \n counts; a \r alone was a line end once.
            self.line += usize::from(*byte == b'\n' || (*byte == b'\r' && rest.first() != Some(&b'\n')));
            self.rest = rest;
            self.done += 1;
        }
        self.line
    }
}

/// Numbers if all are, categories if none is.
fn values<'a>(name: &str, cells: impl Iterator<Item = (usize, &'a str)> + Clone) -> Result<Values, String> {
    if let Some((line, cell)) = cells.clone().find(|(_, cell)| is_missing(cell)) {
        return Err(format!("line {line}, column '{name}': the value is missing ('{cell}')"));
    }
    let (mut numbers, mut word) = (Vec::new(), None);
    for (line, cell) in cells.clone() {
        match number(cell) {
            Some(value) => numbers.push(value),
            None => word = word.or(Some((line, cell))),
        }
    }
    match word {
        None => Ok(Values::Numbers(numbers)),
        Some(_) if numbers.is_empty() => categories(name, cells),
        Some((line, word)) => Err(format!(
            "line {line}, column '{name}': '{word}' is not a number, while {} other values are; \
             if they are categories, name the column with Csv::categorical",
            numbers.len()
        )),
    }
}

fn categories<'a>(name: &str, cells: impl Iterator<Item = (usize, &'a str)> + Clone) -> Result<Values, String> {
    if let Some((line, _)) = cells.clone().find(|(_, cell)| cell.is_empty()) {
        return Err(format!("line {line}, column '{name}': the value is missing"));
    }
    let distinct: BTreeMap<&str, ()> = cells.clone().map(|(_, cell)| (cell, ())).collect();
    let codes: BTreeMap<&str, usize> = distinct.into_keys().enumerate().map(|(code, label)| (label, code)).collect();
    Ok(Values::Categories {
        codes: cells.filter_map(|(_, cell)| codes.get(cell).copied()).collect(),
        labels: codes.into_keys().map(str::to_owned).collect(),
    })
}

fn number(field: &str) -> Option<f64> {
    field.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The ways in which tables of this world write that nothing is known.
fn is_missing(field: &str) -> bool {
    ["", "?", "na", "n/a", "nan", "null"].iter().any(|missing| field.eq_ignore_ascii_case(missing))
}

fn likely_delimiter(bytes: &[u8]) -> u8 {
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| {
        let mut quoted = false;
        first
            .iter()
            .filter(|&&byte| {
                quoted ^= byte == b'"';
                !quoted && byte == delimiter
            })
            .count()
    };
    // The last of equal maxima wins, so the comma stands last.
    *b"\t;,".iter().max_by_key(|&&delimiter| count(delimiter)).unwrap_or(&b',')
}

/// The line of a quote that is open at the end, which the `csv` crate would take for closed: the file is truncated.
fn unclosed_quote(bytes: &[u8], delimiter: u8) -> Option<usize> {
    let (mut line, mut opened, mut field_begins) = (1, None, true);
    for &byte in bytes {
        match byte {
            b'"' if opened.is_some() => opened = None,
            // A doubled quote inside a quoted field closes it and opens it again.
            b'"' if field_begins => opened = Some(line),
            _ => {}
        }
        field_begins = opened.is_none() && (byte == delimiter || byte == b'\n' || byte == b'\r' || byte == b'"');
        line += usize::from(byte == b'\n');
    }
    opened
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Target;
    use super::*;

    fn table(text: &str) -> Result<Table, String> {
        Csv::new().parse(text.as_bytes())
    }

    fn names(text: &str) -> Result<Vec<String>, String> {
        Ok(table(text)?.columns.into_iter().map(|column| column.name).collect())
    }

    fn message(text: &str) -> String {
        table(text).err().unwrap_or_default()
    }

    #[test]
    fn a_header_is_recognised() {
        assert_eq!(names("a,b\n1,2\n"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(names("1,2\n3,4\n"), Ok(vec!["0".into(), "1".into()]));
        assert_eq!(names("5.1,setosa\n4.9,setosa\n"), Ok(vec!["0".into(), "1".into()]));
        assert_eq!(names("\u{feff}name;kind\r\nx;y\r\nz;y\r\n"), Ok(vec!["name".into(), "kind".into()]));
        assert_eq!(names("b,x\nb,y\n"), Ok(vec!["0".into(), "1".into()]));
        assert_eq!(names("\"Month, year\"\t\"Count\"\n1949\t112"), Ok(vec!["Month, year".into(), "Count".into()]));
        let absent = Csv::new().header(Header::Absent).parse(b"a,b\nc,d\n").map(|table| table.len());
        assert_eq!(absent, Ok(2));
    }

    #[test]
    fn columns_are_numbers_or_sorted_categories() {
        let columns = table("n,c\n 1e3 , dog \n-.5,\"a \"\"cat\"\"\"\n2,dog\n").map(|table| table.columns);
        let categories = Values::Categories { codes: vec![1, 0, 1], labels: vec!["a \"cat\"".into(), "dog".into()] };
        let numbers = Values::Numbers(vec![1000.0, -0.5, 2.0]);
        let expected = [("n", numbers), ("c", categories)].map(|(name, values)| Column { name: name.into(), values });
        assert_eq!(columns, Ok(expected.to_vec()));
        let forced =
            Csv::new().categorical(["0"]).parse(b"2,1\n10,2\nNA,3\n").map(|table| table.columns[0].values.classes());
        assert_eq!(forced, Ok((vec![1, 0, 2], vec!["10".into(), "2".into(), "NA".into()])));
    }

    #[test]
    fn mistakes_have_a_line_and_a_column() {
        assert_eq!(message("a,b\n1,2\n3,?\n"), "line 3, column 'b': the value is missing ('?')");
        assert_eq!(message("a,b\n1,2\n3,\n"), "line 3, column 'b': the value is missing ('')");
        assert_eq!(message("a,b\r\n1,2\r\n\r\n3,\r\n"), "line 4, column 'b': the value is missing ('')");
        assert_eq!(message("a,b\r1,\r"), "line 2, column 'b': the value is missing ('')");
        assert_eq!(message("a,b\n1,2\n3\n"), "line 3 has 1 fields, but line 1 has 2");
        assert!(message("a,b\n1,2\nx,4\n5,6\n").starts_with("line 3, column 'a': 'x' is not a number, while 2 other"));
        assert_eq!(message("a,b\n1,\"2\n3,4\n"), "line 2: a quote is opened and never closed");
        assert_eq!(message("a,b\n"), "the table has no rows");
        assert_eq!(message(""), "the table has no rows");
        assert!(Csv::new().parse(b"a,b\n1,\xff\n").is_err_and(|message| message == "line 2: not UTF-8 text"));
        assert!(Csv::new().categorical(["z"]).parse(b"a,b\n1,2\n").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(prop::sample::select(b"a1,;\"\n\r\t .\xff".to_vec()), 0..60)) {
            let _ = Csv::new().from_bytes(&bytes, "f").map(|table| table.dataset("0", Target::Classes));
        }
    }
}
