//! Predictions as a CSV file.

use std::fmt::Write;
use std::path::Path;

use wgrad::file;

use super::answers::{Answer, Answers};
use crate::failure::Result;
use crate::train::demo::Names;
use crate::train::show::Translation;

/// Writes a row for each answer: its index, its name where it has one, and the class with the probability of each (`p_CLASS`), or
/// the value.
pub fn write(path: &Path, answers: &Answers, names: Option<&Names>) -> Result {
    let mut text = line(&heading(answers, names));
    for (index, answer) in answers.iter().enumerate() {
        let mut cells = vec![index.to_string()];
        cells.extend(names.map(|names| names.names.get(index).cloned().unwrap_or_default()));
        match answer {
            Answer::Class { label, probabilities } => {
                cells.push(answers.class(*label).to_owned());
                cells.extend(probabilities.iter().map(f64::to_string));
            }
            Answer::Value(value) => cells.push(value.to_string()),
        }
        text.push_str(&line(&cells));
    }
    Ok(file::write(path, text.as_bytes())?)
}

/// Writes a row for each sentence: its index, the text and the translation.
pub fn write_translations(path: &Path, found: &[Translation]) -> Result {
    let mut text = line(&["index", "text", "translation"].map(str::to_owned));
    for (index, found) in found.iter().enumerate() {
        text.push_str(&line(&[index.to_string(), found.text.clone(), found.translation.clone()]));
    }
    Ok(file::write(path, text.as_bytes())?)
}

fn heading(answers: &Answers, names: Option<&Names>) -> Vec<String> {
    let mut cells = vec!["index".to_owned()];
    cells.extend(names.map(|names| names.of.to_owned()));
    match answers.iter().next() {
        Some(Answer::Class { .. }) => {
            cells.push("class".to_owned());
            cells.extend(answers.classes.iter().map(|class| format!("p_{class}")));
        }
        Some(Answer::Value(_)) | None => cells.push("value".to_owned()),
    }
    cells
}

/// A row; RFC 4180 but for the line's end.
fn line(cells: &[String]) -> String {
    let mut line = String::new();
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            line.push(',');
        }
        if cell.contains([',', '"', '\n', '\r']) {
            // Writing into a string cannot fail.
            let _ = write!(line, "\"{}\"", cell.replace('"', "\"\""));
        } else {
            line.push_str(cell);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = ["a", "b,c", "say \"x\"", "two\nlines"].map(str::to_owned);
        assert_eq!(line(&cells), "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\"\n");
    }
}
