//! `--mistakes`: test pictures that the model takes for something else.

use std::path::Path;

use super::super::canvas::{Canvas, Letters};
use super::colour::WRONG;
use super::examples::{Examples, percent};
use super::sheet::{HEADING, LABEL, MARGIN, SUBTITLE, framed, heading, scaled, shown_size};
use crate::failure::Result;
use crate::output::grouped;

const COLUMNS: usize = 8;
const ROWS: usize = 5;

/// Pixels of a picture's longer side, about.
const PICTURE: u32 = 130;

/// Pixels between cells, and below a picture for two lines of text.
const GAP: u32 = 26;
const TEXT: u32 = 66;

/// Draws the surest mistakes.
pub fn draw(path: &Path, title: &str, examples: &Examples<'_>) -> Result {
    let mistakes = examples.mistakes();
    let shown = &mistakes[..mistakes.len().min(COLUMNS * ROWS)];
    let size = shown_size(examples.picture.width, examples.picture.height, PICTURE);
    let cell = (size.0.max(PICTURE) + GAP, size.1 + TEXT + GAP);
    let rows = shown.len().div_ceil(COLUMNS) as u32;
    let width = 2 * MARGIN + cell.0 * COLUMNS as u32 - GAP;
    let mut canvas = Canvas::new(width, HEADING + cell.1 * rows + if rows == 0 { MARGIN } else { MARGIN - GAP });
    let all = examples.verdicts.len();
    let count = format!(
        "{} of {} test pictures are taken for something else ({:.1}%)",
        grouped(mistakes.len() as u64),
        grouped(all as u64),
        100.0 * mistakes.len() as f64 / all.max(1) as f64
    );
    let subtitle = match (mistakes.len(), shown.len()) {
        (0, _) => format!("none of {} test pictures is taken for something else", grouped(all as u64)),
        (mistakes, shown) if mistakes == shown => format!("{count}; the surest first, with the guess in red"),
        (_, shown) => format!("{count}; here the {shown} surest, with the guess in red"),
    };
    heading(&mut canvas, &format!("{title}: mistakes"), &subtitle, width - 2 * MARGIN)?;
    let bold = Letters { colour: WRONG, ..LABEL }.bold();
    for (index, verdict) in shown.iter().enumerate() {
        let (column, row) = ((index % COLUMNS) as u32, (index / COLUMNS) as u32);
        let (x, y) = (MARGIN + column * cell.0, HEADING + row * cell.1);
        let picture = scaled(&examples.show(verdict.example)?, size);
        framed(&mut canvas, &picture, (x, y));
        let room = cell.0 - 14;
        let sure = percent(verdict.probability);
        let sure_width = canvas.width_of(&sure, SUBTITLE) + 10;
        let guess = canvas.shortened(&examples.class(verdict.guess), room.saturating_sub(sure_width), bold);
        let after = x + canvas.width_of(&guess, bold) + 10;
        canvas.text(&guess, (x, y + size.1 + 10), bold)?;
        canvas.text(&sure, (after, y + size.1 + 10), SUBTITLE)?;
        let truth = canvas.shortened(&format!("is {}", examples.class(verdict.truth)), room, LABEL);
        canvas.text(&truth, (x, y + size.1 + 36), LABEL)?;
    }
    canvas.save(path)
}
