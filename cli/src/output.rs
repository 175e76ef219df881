//! What is printed on stdout: text for people, or JSON lines for programs; never both.

use std::io::{self, IsTerminal, Write};

use console::{Alignment, measure_text_width, pad_str};
use serde_json::Value;

use crate::failure::{Failure, Result};

/// Where a subcommand prints.
pub struct Output {
    json: bool,
    /// True where stdout is a terminal that shows colours, and the user has not asked for plain text.
    colour: bool,
}

impl Output {
    /// JSON lines, or text.
    pub fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = !json && !plain && io::stdout().is_terminal();
        console::set_colors_enabled(colour);
        Self { json, colour }
    }

    /// True for JSON lines.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// True where colours and moving bars are welcome.
    pub const fn is_lively(&self) -> bool {
        self.colour
    }

    /// A line of text; nothing with `--json`.
    pub fn text(&mut self, text: impl AsRef<str>) -> Result {
        if self.json { Ok(()) } else { write_line(text.as_ref()) }
    }

    /// An event; nothing without `--json`.
    pub fn event(&mut self, event: &Value) -> Result {
        if self.json { write_line(&event.to_string()) } else { Ok(()) }
    }

    /// Rows as aligned columns under a heading. Columns hold what their first cell says: `<` left, `>` right, and the name.
    pub fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) -> Result {
        if self.json {
            return Ok(());
        }
        for line in table(columns, rows) {
            write_line(&line)?;
        }
        Ok(())
    }
}

/// Lines of a table; each column's name follows a `<` or `>` that says where its cells stand.
pub fn table(columns: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let names: Vec<String> = columns.iter().map(|column| column.trim_start_matches(['<', '>']).to_owned()).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).chain(names.get(column));
            cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(columns)
            .zip(&widths)
            .map(|((cell, column), &width)| {
                let side = if column.starts_with('>') { Alignment::Right } else { Alignment::Left };
                pad_str(cell, width, side, None).into_owned()
            })
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let head = console::style(line(&names)).dim().to_string();
    std::iter::once(head).chain(rows.iter().map(|row| line(row))).collect()
}

/// A line at once, so that whoever reads a pipe sees it when it happens.
fn write_line(text: &str) -> Result {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::new(format!("cannot write to stdout: {error}")),
    })
}

/// A number with its thousands set apart: 12,345.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 row`, `12,345 rows`, `3 classes`, `2 dispatches`.
pub fn counted(count: usize, noun: &str) -> String {
    let ending = match noun.as_bytes() {
        _ if count == 1 => "",
        [.., b's'] | [.., b't', b'c', b'h'] => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", grouped(count as u64))
}

/// `is` or `are`, after a number of things.
pub const fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// A name of at most `most` columns of a terminal, with an ellipsis where the rest was.
pub fn shortened(name: &str, most: usize) -> String {
    console::truncate_str(name, most, "…").into_owned()
}

/// A cell as wide as others, whose letters may be two columns wide.
pub fn flush_right(cell: &str, width: usize) -> String {
    pad_str(cell, width, Alignment::Right, None).into_owned()
}

/// Bytes in the largest unit that leaves a number of at least 1: `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    scaled(count as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A duration in a unit that suits it.
pub fn seconds(duration: f64) -> String {
    match duration {
        _ if !duration.is_finite() => "-".to_owned(),
        _ if duration >= 60.0 => format!("{}m{:02.0}s", (duration / 60.0) as u64, (duration % 60.0).floor()),
        _ if duration >= 1.0 => format!("{duration:.2} s"),
        _ if duration >= 1e-3 => format!("{:.3} ms", duration * 1e3),
        _ => format!("{:.2} µs", duration * 1e6),
    }
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = usize::from(unit > 0);
    format!("{value:.digits$} {}", units.get(unit).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([grouped(0), grouped(999), grouped(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!([bytes(1023), bytes(1536), bytes(3 << 30)], ["1023 B", "1.5 KiB", "3.0 GiB"]);
        assert_eq!(
            [seconds(2.5e-6), seconds(0.012), seconds(3.0), seconds(65.9)],
            ["2.50 µs", "12.000 ms", "3.00 s", "1m05s"]
        );
    }

    #[test]
    fn things_are_counted() {
        assert_eq!([counted(1, "row"), counted(1200, "row")], ["1 row", "1,200 rows"]);
        assert_eq!(
            [counted(0, "class"), counted(2, "dispatch"), counted(3, "epoch")],
            ["0 classes", "2 dispatches", "3 epochs"]
        );
    }

    #[test]
    fn letters_that_are_two_columns_wide_count_twice() {
        let rows = [vec!["北京".to_owned(), "1".to_owned()], vec!["Rome".to_owned(), "10".to_owned()]];
        assert_eq!(table(&["<name", ">n"], &rows)[1..], ["北京   1", "Rome  10"]);
        assert_eq!([flush_right("北京", 6), shortened("北京市朝阳区", 7)], ["  北京", "北京市…"]);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["relu".to_owned(), "1".to_owned()], vec!["a".to_owned(), "10".to_owned()]];
        assert_eq!(table(&["<name", ">n"], &rows)[1..], ["relu   1", "a     10"]);
    }
}
