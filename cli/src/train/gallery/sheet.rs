//! How the sheets are laid out: a heading, sections, and cells in rows.

use plotters::style::RGBColor;

use super::super::canvas::{Canvas, FAINT, INK, Letters};
use super::super::pixels::{Filter, Pixels};
use crate::failure::Result;

/// White around everything.
pub const MARGIN: u32 = 44;

pub const TITLE: Letters = Letters::new(34, INK).bold();
pub const SUBTITLE: Letters = Letters::new(19, FAINT);
pub const SECTION: Letters = Letters::new(23, INK).bold();
pub const LABEL: Letters = Letters::new(19, INK);

/// Pixels from the upper edge to what is below the heading.
pub const HEADING: u32 = MARGIN + 96;

/// A line around pictures, lest a white one be lost on the sheet.
const FRAME: RGBColor = RGBColor(0xc9, 0xcf, 0xd6);

/// Title and a line below it.
pub fn heading(canvas: &mut Canvas, title: &str, subtitle: &str, room: u32) -> Result {
    let title = canvas.shortened(title, room, TITLE);
    canvas.text(&title, (MARGIN, MARGIN - 6), TITLE)?;
    canvas.text(subtitle, (MARGIN, MARGIN + 42), SUBTITLE)
}

/// A picture with a thin frame around it.
pub fn framed(canvas: &mut Canvas, picture: &Pixels, (x, y): (u32, u32)) {
    let (width, height) = picture.dimensions();
    canvas.rectangle((x.saturating_sub(1), y.saturating_sub(1)), (width + 2, height + 2), FRAME);
    canvas.picture(picture, (x, y));
}

/// The size at which a picture is shown: about `wanted` pixels on its longer side, an integer multiple where it is smaller.
pub fn shown_size(width: usize, height: usize, wanted: u32) -> (u32, u32) {
    let (width, height) = (width.max(1) as u32, height.max(1) as u32);
    let longer = width.max(height);
    if longer <= wanted {
        let factor = ((f64::from(wanted) / f64::from(longer)).round() as u32).max(1);
        return (width * factor, height * factor);
    }
    ((width * wanted / longer).max(1), (height * wanted / longer).max(1))
}

/// A picture at another size: larger ones show their pixels, smaller ones are averaged.
pub fn scaled(picture: &Pixels, (width, height): (u32, u32)) -> Pixels {
    let filter = if width < picture.dimensions().0 { Filter::Triangle } else { Filter::Nearest };
    picture.resized(width, height, filter)
}

/// A bar of colours from one end of a scale to the other, with words at both ends; its right end is at `right`.
pub fn legend(
    canvas: &mut Canvas,
    right: u32,
    y: u32,
    [low, high]: [&str; 2],
    colour: impl Fn(f32) -> [u8; 3],
) -> Result {
    const BAR: (u32, u32) = (170, 16);
    let high_width = canvas.width_of(high, SUBTITLE);
    let left = right.saturating_sub(high_width + 10 + BAR.0);
    let bar = Pixels::from_fn(BAR.0, BAR.1, |x, _| colour(x as f32 / (BAR.0 - 1) as f32));
    framed(canvas, &bar, (left, y + 1));
    canvas.right(low, (left.saturating_sub(10), y), SUBTITLE)?;
    canvas.right(high, (right, y), SUBTITLE)
}
