//! `--attention`: which words of a sentence each word of its translation attends to.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, FontTransform};

use super::super::canvas::{self, Canvas, FAINT, FONT, INK, fine, fine_size, offset};
use crate::failure::{Failure, Result};

/// Pixels of a cell, of the letters, and between parts.
const CELL: u32 = 52;
const LETTERS: u32 = 19;
const GAP: u32 = 14;

/// From no weight to all of it.
const SHADES: [[f64; 3]; 4] = [[247.0, 249.0, 252.0], [173.0, 203.0, 232.0], [57.0, 120.0, 186.0], [12.0, 44.0, 92.0]];

/// Weights that are written into their cells.
const TOLD: f64 = 0.095;

/// Words on both sides, and a row of weights for each word of the translation.
#[derive(Clone, Debug, Default)]
pub struct Attention {
    pub sources: Vec<String>,
    pub targets: Vec<String>,
    pub weights: Vec<f64>,
}

/// Draws it.
pub fn draw(path: &Path, title: &str, attention: &Attention) -> Result {
    canvas::letters();
    let wide = |words: &[String]| words.iter().map(|word| word.chars().count()).max().unwrap_or(1) as u32;
    // A letter is about three fifths as wide as high.
    let room = |words: &[String]| (wide(words) * LETTERS * 3).div_ceil(5) + 2 * GAP;
    let (left, top) = (room(&attention.targets), 48 + room(&attention.sources));
    let grid = [attention.sources.len(), attention.targets.len()].map(|count| CELL * count as u32);
    let size = ((left + grid[0] + 2 * GAP).max(560), top + grid[1] + 64);
    let mut canvas = Canvas::chart(size);
    sheet(&canvas.area(), title, attention, (left, top), fine_size(size))
        .map_err(|error| Failure::new(format!("cannot draw {}: {error}", path.display())))?;
    canvas.save(path)
}

fn sheet<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    attention: &Attention,
    (left, top): (u32, u32),
    (_, height): (u32, u32),
) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let letters = |size: u32, colour: &RGBColor| (FONT, fine(size)).into_font().color(colour);
    let heading = (FONT, fine(23), FontStyle::Bold).into_font().color(&INK);
    area.draw_text(title, &heading, (offset(GAP as i32), offset(GAP as i32)))?;
    let cell = |column: usize, row: usize| {
        (offset((left + CELL * column as u32) as i32), offset((top + CELL * row as u32) as i32))
    };
    let (edge, middle) = (fine(CELL) as i32, fine(CELL) as i32 / 2);
    for (row, weights) in attention.weights.chunks(attention.sources.len().max(1)).enumerate() {
        for (column, &weight) in weights.iter().enumerate() {
            let (x, y) = cell(column, row);
            area.draw(&Rectangle::new([(x, y), (x + edge - 3, y + edge - 3)], shade(weight).filled()))?;
            if weight >= TOLD {
                let colour = if weight > 0.45 { WHITE } else { INK };
                let style = letters(14, &colour).pos(Pos::new(HPos::Center, VPos::Center));
                area.draw_text(&format!("{:.0}", weight * 100.0), &style, (x + middle, y + middle))?;
            }
        }
    }
    for (column, word) in attention.sources.iter().enumerate() {
        let (x, y) = cell(column, 0);
        // Turned, so that long words stand beside each other; read from below.
        let font = (FONT, fine(LETTERS)).into_font().transform(FontTransform::Rotate270);
        let style = font.color(colour_of(word)).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(word, &style, (x + middle, y - offset(8)))?;
    }
    for (row, word) in attention.targets.iter().enumerate() {
        let (x, y) = cell(0, row);
        let style = letters(LETTERS, colour_of(word)).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw_text(word, &style, (x - offset(10), y + middle))?;
    }
    let below = "Percentages of attention, the mean over layers and heads; a row for each word of the translation";
    let style = letters(13, &FAINT).pos(Pos::new(HPos::Left, VPos::Bottom));
    area.draw_text(below, &style, (offset(GAP as i32), height as i32 - offset(GAP as i32)))?;
    area.present()
}

/// The ends of sentences are no words.
fn colour_of(word: &str) -> &'static RGBColor {
    if word == "(end)" { &FAINT } else { &INK }
}

fn shade(weight: f64) -> RGBColor {
    // Small weights are told apart, too.
    let weight = if weight > 0.0 { weight.min(1.0) } else { 0.0 };
    let at = weight.sqrt() * (SHADES.len() - 1) as f64;
    let index = (at as usize).min(SHADES.len() - 2);
    let share = at - index as f64;
    let [red, green, blue] =
        [0, 1, 2].map(|part| (SHADES[index][part] * (1.0 - share) + SHADES[index + 1][part] * share).round() as u8);
    RGBColor(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_grow_darker() {
        let sum = |weight: f64| {
            let RGBColor(red, green, blue) = shade(weight);
            u32::from(red) + u32::from(green) + u32::from(blue)
        };
        assert!((0..20).all(|step| sum(f64::from(step) / 20.0) > sum(f64::from(step + 1) / 20.0)));
        assert_eq!((sum(-1.0), sum(f64::NAN)), (sum(0.0), sum(0.0)));
    }
}
