//! A sheet of pixels with pictures and letters on it, written as PNG.

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};
use wgrad::train::checkpoint_file;

use super::pixels::Pixels;
use crate::failure::{Failure, Result};

/// The name under which the letters are known.
pub const FONT: &str = "sans-serif";

/// Text, and text that matters less.
pub const INK: RGBColor = RGBColor(0x22, 0x2b, 0x36);
pub const FAINT: RGBColor = RGBColor(0x6b, 0x75, 0x80);

/// Pixels along an edge that charts are drawn with for each one of the picture. A line is drawn from pixel to pixel and has hard edges; drawn
/// larger and made smaller, it has the same width everywhere.
const FINE: u32 = 3;

/// A length in a chart, in pixels of the picture.
pub const fn fine(pixels: u32) -> u32 {
    pixels * FINE
}

/// A distance in a chart, which may go to the left or up.
pub const fn offset(pixels: i32) -> i32 {
    pixels * FINE as i32
}

/// The size at which a chart is drawn.
pub const fn fine_size((width, height): (u32, u32)) -> (u32, u32) {
    (fine(width), fine(height))
}

/// A legend in a strip of its own, above a chart: for each entry a line, or a dot where it stands for points, and a name.
pub fn legend<B: DrawingBackend>(
    strip: &DrawingArea<B, Shift>,
    left: i32,
    scale: i32,
    entries: &[(String, RGBColor, bool)],
) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let middle = strip.dim_in_pixel().1 as i32 / 2;
    let style = (FONT, 18 * scale).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    let mut x = left;
    for (name, colour, is_dot) in entries {
        if *is_dot {
            strip.draw(&Circle::new((x + 13 * scale, middle), 5 * scale, colour.mix(0.7).filled()))?;
        } else {
            strip.draw(&PathElement::new(
                [(x, middle), (x + 26 * scale, middle)],
                colour.stroke_width(3 * scale as u32),
            ))?;
        }
        x += 34 * scale;
        strip.draw_text(name, &style, (x, middle))?;
        x += strip.estimate_text_size(name, &style)?.0 as i32 + 30 * scale;
    }
    Ok(())
}

/// Pixels for the labels of a vertical axis and its title, without a gap between them.
pub const fn label_room(letters: usize) -> u32 {
    // The title's line, the tick, and letters of 17 pixels.
    // At least four letters, so that charts above each other mostly begin alike.
    44 + 10 * if letters < 4 { 4 } else { letters as u32 }
}

/// Writes a chart that was drawn as SVG at its [`fine_size`].
pub fn save_svg(path: &Path, drawn: &str, size: (u32, u32)) -> Result {
    let (fine, plain) = (fine_size(size), size);
    let attributes = |(width, height): (u32, u32)| format!("width=\"{width}\" height=\"{height}\"");
    let text = drawn.replacen(&attributes(fine), &attributes(plain), 1);
    Ok(checkpoint_file::write_bytes(path, text.as_bytes())?)
}

/// Registers a font: bitmaps have none of their own, and a machine may have none.
pub fn letters() {
    static LETTERS: Once = Once::new();
    LETTERS.call_once(|| {
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        let _ = register_font(FONT, FontStyle::Bold, dejavu::sans::bold());
    });
}

/// The ending of a name, in lower case.
pub fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Says whether the name ends as a picture that can be drawn.
pub fn check_name(path: &Path, what: &str, endings: &[&str]) -> Result {
    let ending = extension(path);
    if endings.contains(&ending.as_str()) {
        return Ok(());
    }
    let possible: Vec<String> = endings.iter().map(|ending| format!(".{ending}")).collect();
    Err(Failure::new(format!(
        "cannot draw to {}: it ends in {ending:?}, and {what} are {}",
        path.display(),
        possible.join(" or ")
    )))
}

/// How letters look.
#[derive(Clone, Copy)]
pub struct Letters {
    pub size: u32,
    pub bold: bool,
    pub colour: RGBColor,
}

impl Letters {
    /// Of a size.
    pub const fn new(size: u32, colour: RGBColor) -> Self {
        Self { size, bold: false, colour }
    }

    /// The same, bold.
    pub const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    fn style(self) -> TextStyle<'static> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        (FONT, self.size, style).into_font().color(&self.colour)
    }
}

/// A white sheet.
pub struct Canvas {
    pixels: Pixels,
    /// How many times larger than the picture it is.
    times: u32,
}

impl Canvas {
    /// Of a size in pixels.
    pub fn new(width: u32, height: u32) -> Self {
        letters();
        Self { pixels: Pixels::from_pixel(width, height, [255; 3]), times: 1 }
    }

    /// Of a size in pixels, for a chart: it is drawn at its [`fine_size`].
    pub fn chart((width, height): (u32, u32)) -> Self {
        Self { times: FINE, ..Self::new(fine(width), fine(height)) }
    }

    /// The sheet as plotters draws on it.
    pub fn area(&mut self) -> DrawingArea<BitMapBackend<'_>, Shift> {
        let size = self.pixels.dimensions();
        BitMapBackend::with_buffer(self.pixels.samples_mut(), size).into_drawing_area()
    }

    /// Puts a picture down with its left upper corner at a position.
    pub fn picture(&mut self, picture: &Pixels, position: (u32, u32)) {
        self.pixels.paste(picture, position);
    }

    /// Fills a rectangle.
    pub fn rectangle(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), RGBColor(r, g, b): RGBColor) {
        let size = self.pixels.dimensions();
        let (right, bottom) = ((x + width).min(size.0), (y + height).min(size.1));
        for row in y..bottom {
            for column in x..right {
                self.pixels.put_pixel(column, row, [r, g, b]);
            }
        }
    }

    /// Writes text whose left upper corner is at a position.
    pub fn text(&mut self, text: &str, position: (u32, u32), letters: Letters) -> Result {
        self.anchored(text, position, letters, HPos::Left)
    }

    /// Writes text whose upper middle is at a position.
    pub fn centred(&mut self, text: &str, position: (u32, u32), letters: Letters) -> Result {
        self.anchored(text, position, letters, HPos::Center)
    }

    /// Writes text whose right upper corner is at a position.
    pub fn right(&mut self, text: &str, position: (u32, u32), letters: Letters) -> Result {
        self.anchored(text, position, letters, HPos::Right)
    }

    fn anchored(&mut self, text: &str, (x, y): (u32, u32), letters: Letters, side: HPos) -> Result {
        let style = letters.style().pos(Pos::new(side, VPos::Top));
        self.area().draw_text(text, &style, (x as i32, y as i32)).map_err(|error| Failure::new(error.to_string()))
    }

    /// Pixels that text is wide.
    pub fn width_of(&mut self, text: &str, letters: Letters) -> u32 {
        self.area().estimate_text_size(text, &letters.style()).map_or(0, |(width, _)| width)
    }

    /// The text, or its beginning where it is wider than there is room.
    pub fn shortened(&mut self, text: &str, room: u32, letters: Letters) -> String {
        if self.width_of(text, letters) <= room {
            return text.to_owned();
        }
        let mut rest: Vec<char> = text.chars().collect();
        loop {
            rest.pop();
            let shorter = format!("{}…", rest.iter().collect::<String>().trim_end());
            if rest.is_empty() || self.width_of(&shorter, letters) <= room {
                return shorter;
            }
        }
    }

    /// Writes the sheet.
    pub fn save(&self, path: &Path) -> Result {
        let png = if self.times == 1 { self.pixels.png() } else { self.pixels.thumbnail(self.times).png() };
        let png = png.map_err(|error| Failure::new(format!("cannot draw {}: {error}", path.display())))?;
        Ok(checkpoint_file::write_bytes(path, &png)?)
    }
}
