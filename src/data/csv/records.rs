//! From text to rows of cells with their lines: delimiters, quotes, line ends, blank lines.

use std::borrow::Cow;

use ::csv::{ReaderBuilder, StringRecord};

use crate::error::counted;

/// Lines that are looked at to find the delimiter.
const LINES_TRIED: usize = 50;

/// A row and the line where it begins.
pub(super) struct Row {
    pub line: usize,
    pub fields: StringRecord,
}

impl Row {
    pub fn cell(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }
}

/// The rows of a text, with spaces around cells removed.
pub(super) fn records(text: &str, delimiter: u8) -> Result<Vec<Row>, String> {
    let text = with_blank_cells(text, delimiter);
    let mut reader =
        ReaderBuilder::new().has_headers(false).delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = Lines::of(text.as_bytes());
    for record in reader.records() {
        let mut fields = record.map_err(|error| error.to_string())?;
        fields.trim();
        let line = lines.line_at(fields.position().map_or(0, |position| position.byte() as usize));
        if let Some(first) = rows.first().filter(|first| first.fields.len() != fields.len()) {
            let (own, expected) = (fields.len(), first.fields.len());
            let comment = [(first.line, first), (line, &Row { line, fields: fields.clone() })]
                .into_iter()
                .find(|(_, row)| row.cell(0).starts_with('#'))
                .map(|(line, _)| format!(": line {line} begins with '#', and comments are no part of a table"));
            let (own, comment) = (counted(own, "field"), comment.unwrap_or_default());
            return Err(format!("line {line} has {own}, but line {} has {expected}{comment}", first.line));
        }
        rows.push(Row { line, fields });
    }
    Ok(rows)
}

/// The text with `""` on each blank line between others, where there is a single column: there, such a line is a cell
/// without a value, and the `csv` crate would skip it. With several columns it is nothing.
fn with_blank_cells(text: &str, delimiter: u8) -> Cow<'_, str> {
    let mut several = false;
    let mut quoted = false;
    let mut lines: Vec<&str> = Vec::new();
    let mut start = 0;
    for (position, byte) in text.bytes().enumerate() {
        quoted ^= byte == b'"';
        several |= !quoted && byte == delimiter;
        let ends = byte == b'\n' || (byte == b'\r' && text.as_bytes().get(position + 1) != Some(&b'\n'));
        if ends && !quoted {
            lines.extend(text.get(start..=position));
            start = position + 1;
        }
        if several {
            return Cow::Borrowed(text);
        }
    }
    lines.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    let is_blank = |line: &&str| line.trim().is_empty();
    let first = lines.iter().position(|line| !is_blank(line)).unwrap_or(0);
    let end = lines.iter().rposition(|line| !is_blank(line)).map_or(0, |last| last + 1);
    if !lines.get(first..end).unwrap_or_default().iter().any(is_blank) {
        return Cow::Borrowed(text);
    }
    let filled =
        lines.iter().enumerate().map(|(number, line)| match (first..end).contains(&number) && is_blank(line) {
            true => Cow::Owned(format!("\"\"{}", line.trim_start_matches([' ', '\t']))),
            false => Cow::Borrowed(*line),
        });
    Cow::Owned(filled.collect())
}

/// Text in UTF-16 or UTF-32, and any that holds NUL, which no table does.
pub(super) fn refuse_wide_text(bytes: &[u8]) -> Result<(), String> {
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    // Every second byte of UTF-16 is 0 in text of the West, three of four in UTF-32.
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || (zeros > 1 && 4 * zeros >= bytes.len()) {
        return Err("it looks like UTF-16 or UTF-32 text; save it as UTF-8".into());
    }
    match bytes.iter().position(|byte| *byte == 0) {
        None => Ok(()),
        Some(first) => Err(format!("line {}: a NUL byte, which is no text", Lines::of(bytes).line_at(first))),
    }
}

/// What a first line like `sep=;` says, as Excel writes it, with that line empty, so that the others are where they were.
pub(super) fn told_delimiter(bytes: &[u8]) -> (Cow<'_, [u8]>, Option<u8>) {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    match line {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter]
            if delimiter.is_ascii() && !delimiter.is_ascii_alphanumeric() && *delimiter != b'"' =>
        {
            (Cow::Borrowed(rest), Some(*delimiter))
        }
        _ => (Cow::Borrowed(bytes), None),
    }
}

/// An error for a table of one column whose cells all have as many spaces or carets, with numbers between them.
pub(super) fn unknown_delimiter(rows: &[Row]) -> Option<String> {
    let first = rows.first()?;
    for (mark, name) in [(' ', "spaces"), ('^', "carets"), ('~', "tildes")] {
        let fields = first.cell(0).split(mark).count();
        let number = |row: &Row| row.cell(0).split(mark).map(|cell| cell.parse::<f64>().is_ok()).collect::<Vec<bool>>();
        let kinds = number(first);
        if fields > 1 && kinds.contains(&true) && rows.iter().all(|row| number(row) == kinds) {
            return Some(format!(
                "its fields seem to stand between {name}; what is read are commas, semicolons, tabs and vertical bars"
            ));
        }
    }
    None
}

/// Counts lines up to positions that only grow. The `csv` crate counts too, but takes the second half of a Windows line
/// end for the beginning of the next record, and so is off by one.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    done: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    pub const fn of(bytes: &'a [u8]) -> Self {
        Lines { rest: bytes, done: 0, line: 1 }
    }

    /// The line of the first character at or after `position` that ends no line.
    pub fn line_at(&mut self, position: usize) -> usize {
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

/// The delimiter that cuts every line into the same number of fields, else the most frequent one of the first line. Semicolons
/// and tabs win over commas, which also stand within numbers.
pub(super) fn likely_delimiter(bytes: &[u8]) -> u8 {
    let counts = counts_by_line(bytes);
    let count = |line: &[usize; 4], delimiter: usize| line.get(delimiter).copied().unwrap_or(0);
    let Some(first) = counts.first() else { return b',' };
    let consistent = |delimiter: &usize| {
        count(first, *delimiter) > 0 && counts.iter().all(|line| count(line, *delimiter) == count(first, *delimiter))
    };
    let most = || (0..DELIMITERS.len()).rev().max_by_key(|&delimiter| count(first, delimiter));
    // Without any, the comma stands last among equals; it is the first to be tried in no case.
    let chosen = (0..DELIMITERS.len()).find(consistent).or_else(|| most().filter(|&found| count(first, found) > 0));
    chosen.and_then(|delimiter| DELIMITERS.get(delimiter).copied()).unwrap_or(b',')
}

const DELIMITERS: [u8; 4] = *b"\t;|,";

/// How often each delimiter stands outside quotes in each of the first lines that are not blank.
fn counts_by_line(bytes: &[u8]) -> Vec<[usize; 4]> {
    let mut lines = Vec::new();
    let (mut quoted, mut blank, mut own) = (false, true, [0; 4]);
    for &byte in bytes.iter().chain(b"\n") {
        quoted ^= byte == b'"';
        match byte {
            b'\n' | b'\r' if !quoted => {
                if !blank {
                    lines.push(own);
                }
                (blank, own) = (true, [0; 4]);
                if lines.len() == LINES_TRIED {
                    break;
                }
            }
            _ => {
                blank &= byte.is_ascii_whitespace();
                let index = DELIMITERS.iter().position(|&delimiter| delimiter == byte && !quoted);
                index.and_then(|index| own.get_mut(index)).into_iter().for_each(|count| *count += 1);
            }
        }
    }
    lines
}

/// The line of a quote that is open at the end, which the `csv` crate would take for closed: the file is truncated.
pub(super) fn unclosed_quote(bytes: &[u8], delimiter: u8) -> Option<usize> {
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
