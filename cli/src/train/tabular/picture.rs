//! `--scatter`: the guess over the truth for each example of the test part, and how its errors are spread.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::axis_unit::AxisUnit;
use super::super::canvas::{self, Canvas, FAINT, FONT, INK, label_room};
use super::super::plot;
use crate::failure::{Failure, Result};

const SIZE: (u32, u32) = (1400, 860);

/// Where the scatter ends and the errors begin.
const LEFT: u32 = 820;

const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);
const POINT: RGBColor = RGBColor(0x2f, 0x6f, 0xb5);
const LINE: RGBColor = RGBColor(0xd9, 0x6a, 0x1d);

/// Bars of the histogram.
const BARS: usize = 41;

/// What is drawn.
pub struct Shown {
    pub title: String,
    pub target: String,
    /// Truth and guess.
    pub pairs: Vec<(f64, f64)>,
    pub r2: Option<f64>,
}

/// Draws it.
pub fn draw(path: &Path, shown: &Shown) -> Result {
    let mut canvas = Canvas::new(SIZE.0, SIZE.1);
    sheet(&canvas.area(), shown)
        .map_err(|message| Failure::new(format!("cannot draw {}: {message}", path.display())))?;
    canvas.save(path)
}

/// A number in as few digits as say something: 12,345 or 0.0123.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e7 || (size < 1e-4 && size > 0.0) => format!("{value:.3e}"),
        size if size >= 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}

fn sheet<B: DrawingBackend>(root: &DrawingArea<B, Shift>, shown: &Shown) -> std::result::Result<(), String> {
    let text = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    let heading = (FONT, 26, FontStyle::Bold).into_font().color(&INK);
    let body = root.margin(12, 12, 0, 0).titled(&shown.title, heading).map_err(text)?;
    let (left, right) = body.split_horizontally(LEFT);
    let (figures, errors) = right.split_vertically(250);
    scatter(&left, shown).map_err(text)?;
    numbers(&figures, shown).map_err(text)?;
    histogram(&errors, shown).map_err(text)?;
    root.present().map_err(text)
}

type Drawn<B> = std::result::Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn scatter<B: DrawingBackend>(area: &DrawingArea<B, Shift>, shown: &Shown) -> Drawn<B> {
    let unit = AxisUnit::of(shown.pairs.iter().flat_map(|&(truth, guess)| [truth, guess]), 0.05);
    let range = unit.range.clone();
    let pairs = || shown.pairs.iter().map(|&(truth, guess)| (unit.shown(truth), unit.shown(guess)));
    let left = label_room(unit.longest_label());
    let (strip, area) = area.split_vertically(34);
    let entries = [("a perfect guess", LINE, false), ("an example of the test part", POINT, true)];
    canvas::legend(&strip, left as i32 + 14, 1, &entries.map(|(name, colour, dot)| (name.to_owned(), colour, dot)))?;
    let mut chart = ChartBuilder::on(&area)
        .margin(14)
        .set_label_area_size(LabelAreaPosition::Left, left)
        .set_label_area_size(LabelAreaPosition::Bottom, 58)
        .build_cartesian_2d(range.clone(), range.clone())?;
    let label = |value: &f64| unit.label(*value);
    chart
        .configure_mesh()
        .x_desc(unit.title(&format!("{}: the truth", shown.target)))
        .y_desc(unit.title("the guess"))
        .x_labels(8)
        .y_labels(8)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .label_style((FONT, 17).into_font().color(&FAINT))
        .axis_desc_style((FONT, 19).into_font().color(&INK))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()?;
    let diagonal = [(range.start, range.start), (range.end, range.end)];
    chart.draw_series(LineSeries::new(diagonal, LINE.stroke_width(2)))?;
    // Many points are small and pale, so that where they are dense stays visible.
    let (radius, strength) = match shown.pairs.len() {
        0..300 => (5, 0.55),
        300..2000 => (4, 0.35),
        _ => (3, 0.2),
    };
    chart.draw_series(pairs().map(|pair| Circle::new(pair, radius, POINT.mix(strength).filled())))?;
    Ok(())
}

/// The scores, in large letters.
fn numbers<B: DrawingBackend>(area: &DrawingArea<B, Shift>, shown: &Shown) -> Drawn<B> {
    let count = shown.pairs.len().max(1) as f64;
    let mean =
        |measure: fn(f64) -> f64| shown.pairs.iter().map(|(truth, guess)| measure(guess - truth)).sum::<f64>() / count;
    let rows = [
        ("R²", shown.r2.map_or_else(|| "-".to_owned(), |r2| format!("{r2:.4}"))),
        ("root mean squared error", short(mean(|error| error * error).sqrt())),
        ("mean absolute error", short(mean(f64::abs))),
        ("examples", shown.pairs.len().to_string()),
    ];
    let right = area.dim_in_pixel().0 as i32 - 30;
    for (row, (name, value)) in rows.into_iter().enumerate() {
        let y = 48 + 48 * row as i32;
        let name_style = (FONT, 20).into_font().color(&FAINT).pos(Pos::new(HPos::Left, VPos::Center));
        let value_style = (FONT, 26, FontStyle::Bold).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw_text(name, &name_style, (96, y))?;
        area.draw_text(&value, &value_style, (right, y))?;
        area.draw(&PathElement::new([(96, y + 24), (right, y + 24)], GRID.stroke_width(1)))?;
    }
    Ok(())
}

fn histogram<B: DrawingBackend>(area: &DrawingArea<B, Shift>, shown: &Shown) -> Drawn<B> {
    let errors: Vec<f64> = shown.pairs.iter().map(|(truth, guess)| guess - truth).collect();
    let largest = errors.iter().map(|error| error.abs()).fold(0.0, f64::max);
    let unit = AxisUnit::of([-largest, largest].into_iter(), 0.01);
    let errors: Vec<f64> = errors.into_iter().map(|error| unit.shown(error)).collect();
    let reach = unit.range.end;
    let width = 2.0 * reach / BARS as f64;
    let mut counts = [0_u32; BARS];
    for error in &errors {
        let bar = (((error + reach) / width) as usize).min(BARS - 1);
        counts.get_mut(bar).into_iter().for_each(|count| *count += 1);
    }
    let highest = f64::from(counts.iter().copied().max().unwrap_or(0)).max(1.0);
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .margin_right(26)
        .set_label_area_size(LabelAreaPosition::Left, 82)
        .set_label_area_size(LabelAreaPosition::Bottom, 58)
        .build_cartesian_2d(-reach..reach, 0.0..highest * 1.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_desc(unit.title("guess minus truth"))
        .y_desc("examples")
        .x_labels(7)
        .y_labels(6)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .label_style((FONT, 17).into_font().color(&FAINT))
        .axis_desc_style((FONT, 19).into_font().color(&INK))
        .x_label_formatter(&|value| unit.label(*value))
        .y_label_formatter(&plot::number)
        .draw()?;
    let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bar, &count)| {
        let start = -reach + bar as f64 * width;
        Rectangle::new([(start + 0.08 * width, 0.0), (start + 0.92 * width, f64::from(count))], POINT.mix(0.7).filled())
    });
    chart.draw_series(bars)?;
    chart.draw_series(LineSeries::new([(0.0, 0.0), (0.0, highest * 1.1)], LINE.stroke_width(2)))?;
    Ok(())
}
