//! `--explain`: pictures, and where in them a small change would change the winning score most.
//!
//! The saliency map is the magnitude of the score's gradient, its maximum over channels (Simonyan et al. 2013), each map
//! relative to its own strongest pixels.

use std::path::Path;

use wgrad::train::Trainer;

use super::super::canvas::{Canvas, Letters};
use super::super::pixels::{Filter, Pixels};
use super::colour::{RIGHT, WRONG, heat, mix};
use super::examples::{Examples, Verdict, percent};
use super::sheet::{HEADING, LABEL, MARGIN, SECTION, SUBTITLE, framed, heading, legend, scaled, shown_size};
use crate::failure::{Failure, Result};
use crate::output::grouped;

const COLUMNS: usize = 4;

/// Rows of right and of wrong pictures.
const ROWS: usize = 3;

/// Pixels of a picture's longer side, about.
const PICTURE: u32 = 140;

/// Pixels between a picture and its map, between cells, and below a picture for text.
const SEAM: u32 = 4;
const GAP: u32 = 34;
const TEXT: u32 = 66;

/// The same where the guess alone is written.
const LINE: u32 = 40;

/// Pixels that a section's heading takes.
const HEAD: u32 = 44;

/// A map's colours end at its pixel of this rank, so that a single strong one does not leave the others dark.
const BRIGHTEST: f64 = 0.99;

type Map = Pixels<f32, 1>;

/// Draws some right and some wrong test pictures with their maps.
pub fn draw(path: &Path, title: &str, examples: &Examples<'_>, trainer: &mut Trainer) -> Result {
    let most = COLUMNS * ROWS;
    let right = examples.right(most);
    let all_mistakes = examples.mistakes();
    let wrong = &all_mistakes[..all_mistakes.len().min(most)];
    let size = shown_size(examples.picture.width, examples.picture.height, PICTURE);
    let cell = 2 * size.0 + SEAM + GAP;
    let width = 2 * MARGIN + cell * COLUMNS as u32 - GAP;
    let row = |shown: &[Verdict]| size.1 + GAP + if shown.first().is_some_and(Verdict::is_right) { LINE } else { TEXT };
    let part = |shown: &[Verdict]| match shown.len().div_ceil(COLUMNS) as u32 {
        0 => 0,
        rows => HEAD + rows * row(shown),
    };
    let mut canvas = Canvas::new(width, HEADING + part(&right) + part(wrong) + MARGIN - GAP);
    let subtitle = "beside each picture: how fast the guess's score changes with each pixel, |∂ score / ∂ pixel|";
    heading(&mut canvas, &format!("{title}: what it looks at"), subtitle, width - 2 * MARGIN)?;
    legend(&mut canvas, width - MARGIN, MARGIN + 42, ["little", "much"], heat)?;
    let mut y = HEADING;
    let count = examples.verdicts.len();
    let sections = [(right.as_slice(), "Right", RIGHT), (wrong, "Wrong, the surest first", WRONG)];
    for (shown, name, colour) in sections {
        if shown.is_empty() {
            continue;
        }
        canvas.text(name, (MARGIN, y), Letters { colour, ..SECTION })?;
        let of =
            if shown.first().is_some_and(Verdict::is_right) { count - all_mistakes.len() } else { all_mistakes.len() };
        let note = format!("{} of {}", shown.len(), grouped(of as u64));
        let after = MARGIN + canvas.width_of(name, SECTION) + 14;
        canvas.text(&note, (after, y + 3), SUBTITLE)?;
        let maps = maps(examples, shown, trainer)?;
        for (index, (verdict, map)) in shown.iter().zip(&maps).enumerate() {
            let (column, line) = ((index % COLUMNS) as u32, (index / COLUMNS) as u32);
            let at = (MARGIN + column * cell, y + HEAD + line * row(shown));
            panel(&mut canvas, examples, verdict, map, at, size)?;
        }
        y += part(shown);
    }
    canvas.save(path)
}

/// A picture, its map, and what the model says.
fn panel(
    canvas: &mut Canvas,
    examples: &Examples<'_>,
    verdict: &Verdict,
    map: &Map,
    (x, y): (u32, u32),
    size: (u32, u32),
) -> Result {
    let picture = examples.show(verdict.example)?;
    framed(canvas, &scaled(&picture, size), (x, y));
    framed(canvas, &overlaid(&picture, map, size), (x + size.0 + SEAM, y));
    let colour = if verdict.is_right() { RIGHT } else { WRONG };
    let bold = Letters { colour, ..LABEL }.bold();
    let sure = percent(verdict.probability);
    let room = 2 * size.0 + SEAM;
    let guess_room = room.saturating_sub(canvas.width_of(&sure, SUBTITLE) + 10);
    let guess = canvas.shortened(&examples.class(verdict.guess), guess_room, bold);
    let after = x + canvas.width_of(&guess, bold) + 10;
    canvas.text(&guess, (x, y + size.1 + 10), bold)?;
    canvas.text(&sure, (after, y + size.1 + 10), SUBTITLE)?;
    if !verdict.is_right() {
        let truth = canvas.shortened(&format!("is {}", examples.class(verdict.truth)), room, LABEL);
        canvas.text(&truth, (x, y + size.1 + 36), LABEL)?;
    }
    Ok(())
}

/// The map in colours over the picture in grey, which stays visible where the map is dark.
fn overlaid(picture: &Pixels, map: &Map, (width, height): (u32, u32)) -> Pixels {
    let grey = picture.grey().resized(width, height, Filter::Triangle);
    let map = map.resized(width, height, Filter::CatmullRom);
    Pixels::from_fn(width, height, |x, y| {
        let ([value], [grey]) = (map.pixel(x, y), grey.pixel(x, y));
        mix([(f32::from(grey) * 0.45) as u8; 3], heat(value), 0.25 + 0.75 * value.sqrt())
    })
}

/// The saliency maps of examples, from 0 to 1.
fn maps(examples: &Examples<'_>, shown: &[Verdict], trainer: &mut Trainer) -> Result<Vec<Map>> {
    let indices: Vec<usize> = shown.iter().map(|verdict| verdict.example).collect();
    let chosen = examples.data.test.take(&indices)?;
    let gradient = trainer.input_gradient(chosen.column("x")?)?.gradient.to_vec::<f32>()?;
    let [channels, height, width] = examples.picture.shape();
    let row = channels * height * width;
    if gradient.len() != row * shown.len() {
        return Err(Failure::new("the model changes the size of its pictures, so there are no maps for them"));
    }
    let map = |gradient: &[f32]| {
        let plane = height * width;
        let strongest =
            |pixel: usize| gradient.iter().skip(pixel).step_by(plane).map(|slope| slope.abs()).fold(0.0, f32::max);
        let values: Vec<f32> = (0..plane).map(strongest).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        let scale = sorted.get(((plane - 1) as f64 * BRIGHTEST).round() as usize).copied().unwrap_or_default();
        let scale = if scale > 0.0 { scale } else { 1.0 };
        Map::from_vec(width as u32, height as u32, values.iter().map(|value| [(value / scale).min(1.0)]).collect())
    };
    let maps: Option<Vec<Map>> = gradient.chunks_exact(row).map(map).collect();
    maps.ok_or_else(|| Failure::new("a gradient has not the size of its picture"))
}
