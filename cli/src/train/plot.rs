//! `--plot`: loss above, accuracy below, over epochs, as PNG or SVG.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;

use super::canvas::{self, Canvas, FAINT, FONT, INK, fine, offset};
use super::curve::Curve;
use crate::failure::{Failure, Result};

const SIZE: (u32, u32) = (1200, 860);

const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);
const TRAINING: RGBColor = RGBColor(0x2f, 0x6f, 0xb5);
/// What a step is drawn in.
const PALE: RGBColor = RGBColor(0xc0, 0xd4, 0xe9);
const VALIDATION: RGBColor = RGBColor(0xd9, 0x6a, 0x1d);
const ACCURACY: RGBColor = RGBColor(0x2b, 0x8a, 0x57);

/// Says whether the name ends as a picture that can be drawn.
pub fn check_name(path: &Path) -> Result {
    canvas::check_name(path, "plots", &["png", "svg"])
}

/// Draws a run.
pub fn draw(path: &Path, title: &str, curve: &Curve) -> Result {
    canvas::letters();
    let wrong = |message: String| Failure::new(format!("cannot draw {}: {message}", path.display()));
    if canvas::extension(path) == "svg" {
        let mut drawn = String::new();
        let root = SVGBackend::with_string(&mut drawn, canvas::fine_size(SIZE)).into_drawing_area();
        panels(&root, title, curve).map_err(wrong)?;
        drop(root);
        return canvas::save_svg(path, &drawn, SIZE);
    }
    let mut canvas = Canvas::chart(SIZE);
    panels(&canvas.area(), title, curve).map_err(wrong)?;
    canvas.save(path)
}

fn panels<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    title: &str,
    curve: &Curve,
) -> std::result::Result<(), String> {
    let text = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    root.fill(&WHITE).map_err(text)?;
    let heading = (FONT, fine(26), FontStyle::Bold).into_font().color(&INK);
    let body = root.margin(fine(12), 0, 0, 0).titled(title, heading).map_err(text)?;
    let accuracy = curve.validation("accuracy");
    let last = curve.epochs.last().map_or(0.0, |last| curve.epoch_of(last.step));
    let epochs = 0.0..curve.raw().last().map_or(0.0, |point| point.0).max(last).max(1e-3);
    let validation = curve.validation("loss");
    let smooth = curve.smoothed();
    if accuracy.is_empty() {
        loss_panel(&body, epochs, curve, &smooth, &validation, true).map_err(text)?;
    } else {
        let (upper, lower) = body.split_vertically(fine(470));
        loss_panel(&upper, epochs.clone(), curve, &smooth, &validation, false).map_err(text)?;
        accuracy_panel(&lower, epochs, &accuracy).map_err(text)?;
    }
    root.present().map_err(text)
}

type Drawn<B> = std::result::Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn loss_panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    epochs: Range<f64>,
    curve: &Curve,
    smooth: &[(f64, f64)],
    validation: &[(f64, f64)],
    names_epochs: bool,
) -> Drawn<B> {
    // A logarithmic axis shows the end of training, which a straight one squeezes into its lowest pixels.
    let all = || smooth.iter().chain(validation).map(|point| point.1).filter(|value| *value > 0.0);
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(0.0, f64::max);
    // Single batches are part of the picture, unless they are far below what is to be seen.
    let raw = curve.raw().iter().map(|point| point.1).filter(|value| *value > 0.0).fold(low, f64::min);
    let low = low.min(raw.max(low * 0.05));
    let range = if high > 0.0 { low.max(high * 1e-6) / 1.3..high * 1.3 } else { 0.1..1.0 };
    let (strip, area) = area.split_vertically(fine(30));
    let mut told =
        vec![("training, a step".to_owned(), PALE, false), ("training, smoothed".to_owned(), TRAINING, false)];
    if !validation.is_empty() {
        told.push(("test".to_owned(), VALIDATION, false));
    }
    canvas::legend(&strip, offset(98), offset(1), &told)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(fine(14))
        .set_label_area_size(LabelAreaPosition::Left, fine(84))
        .set_label_area_size(LabelAreaPosition::Bottom, fine(if names_epochs { 58 } else { 34 }))
        .build_cartesian_2d(epochs, range.clone().log_scale().with_key_points(ticks(&range)))?;
    let mut mesh = chart.configure_mesh();
    mesh.y_desc("loss")
        .x_labels(10)
        .y_labels(8)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(fine(1)))
        .axis_style(FAINT.stroke_width(fine(1)))
        .set_all_tick_mark_size(fine(5))
        .label_style((FONT, fine(17)).into_font().color(&FAINT))
        .axis_desc_style((FONT, fine(19)).into_font().color(&INK))
        .x_label_formatter(&number)
        .y_label_formatter(&number);
    if names_epochs {
        mesh.x_desc("epoch");
    }
    mesh.draw()?;
    let inside = move |points: Vec<(f64, f64)>| {
        points.into_iter().map(move |(x, y)| (x, y.clamp(range.start, range.end))).collect::<Vec<(f64, f64)>>()
    };
    chart.draw_series(LineSeries::new(inside(curve.raw()), PALE.stroke_width(fine(1))))?;
    chart.draw_series(LineSeries::new(inside(smooth.to_vec()), TRAINING.stroke_width(fine(3))))?;
    chart.draw_series(LineSeries::new(validation.to_vec(), VALIDATION.stroke_width(fine(3))))?;
    chart.draw_series(dots(validation, VALIDATION))?;
    Ok(())
}

/// A dot an evaluation, where they are so few that each is seen.
fn dots(points: &[(f64, f64)], colour: RGBColor) -> impl Iterator<Item = Circle<(f64, f64), u32>> {
    const MOST: usize = 40;
    let shown = if points.len() <= MOST { points } else { &[] };
    shown.iter().map(move |&point| Circle::new(point, fine(4), colour.filled()))
}

fn accuracy_panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    epochs: Range<f64>,
    accuracy: &[(f64, f64)],
) -> Drawn<B> {
    let low = accuracy.iter().map(|point| point.1).fold(1.0, f64::min);
    let high = accuracy.iter().map(|point| point.1).fold(0.0, f64::max);
    let room = ((high - low) * 0.15).max(0.005);
    // Room above the last point for its number.
    let range = if accuracy.len() > 1 { (low - room).max(0.0)..high + room * 1.6 } else { 0.0..1.08 };
    let (range_bottom, range_top) = (range.start, range.end);
    let mut chart = ChartBuilder::on(area)
        .margin(fine(14))
        .set_label_area_size(LabelAreaPosition::Left, fine(84))
        .set_label_area_size(LabelAreaPosition::Bottom, fine(58))
        .build_cartesian_2d(epochs, range)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("test accuracy")
        .x_labels(10)
        .y_labels(6)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(fine(1)))
        .axis_style(FAINT.stroke_width(fine(1)))
        .set_all_tick_mark_size(fine(5))
        .label_style((FONT, fine(17)).into_font().color(&FAINT))
        .axis_desc_style((FONT, fine(19)).into_font().color(&INK))
        .x_label_formatter(&number)
        .y_label_formatter(&|value| if *value > 1.0 + 1e-9 { String::new() } else { format!("{:.1}%", value * 100.0) })
        .draw()?;
    chart.draw_series(LineSeries::new(accuracy.to_vec(), ACCURACY.stroke_width(fine(3))))?;
    chart.draw_series(dots(accuracy, ACCURACY))?;
    if let Some(&(x, y)) = accuracy.last() {
        let label = format!("{:.2}%", y * 100.0);
        let bold = (FONT, fine(18), FontStyle::Bold).into_font().color(&ACCURACY);
        // Above the line where there is room, which it never crosses on its way to the last point from below.
        let up = (range_top - y) / (range_top - range_bottom) > 0.16;
        let position = (offset(-78), offset(if up { -30 } else { 16 }));
        chart.draw_series([EmptyElement::at((x, y)) + Text::new(label, position, bold)])?;
    }
    Ok(())
}

/// 1, 2 and 5 times powers of ten, or, over many decades, the powers alone.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let decades = range.start.log10().floor() as i32..=range.end.log10().ceil() as i32;
    let steps: &[f64] = if decades.clone().count() > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let all = decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
    all.filter(|tick| range.contains(tick)).collect()
}

/// A number on an axis, without zeros that say nothing.
pub fn number(value: &f64) -> String {
    let digits = if value.abs() >= 10.0 || *value == 0.0 {
        0
    } else {
        (1 - value.abs().log10().floor() as i32).clamp(1, 7) as usize
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
