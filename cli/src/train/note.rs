//! What there is to say of data and how it was read: to people, to programs, or to both.

use serde_json::{Value, json};

use crate::failure::Result;
use crate::output::Output;

/// Something to say of the data.
#[derive(Clone, Debug)]
pub enum Note {
    /// A line for people.
    Text(String),
    /// What everybody should know: a line on stderr, also where only events are on stdout.
    Warning(String),
    /// A field of the first event.
    Count(&'static str, usize),
    /// What became of a column, as an event; for people, it is in the text.
    Column { name: String, taken_as: &'static str, note: String },
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Adds the counts to the first event.
pub fn count(notes: &[Note], start: &mut Value) {
    for note in notes {
        if let (Note::Count(name, count), Some(fields)) = (note, start.as_object_mut()) {
            fields.insert((*name).to_owned(), json!(count));
        }
    }
}

/// Says the rest, after the first event.
pub fn tell(notes: &[Note], output: &mut Output) -> Result {
    for note in notes {
        match note {
            Note::Text(text) => output.text(format!("         {text}"))?,
            Note::Warning(text) => eprintln!("warning: {text}"),
            Note::Column { name, taken_as, note } => {
                output.event(&json!({"event": "column", "name": name, "taken_as": taken_as, "note": note}))?;
            }
            Note::Count(..) => {}
        }
    }
    Ok(())
}
