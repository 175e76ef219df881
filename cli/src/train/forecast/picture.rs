//! `--forecast`: forecasts of the test part beside what came, and how errors grow with the distance.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;

use super::super::axis_unit::AxisUnit;
use super::super::canvas::{self, Canvas, FAINT, FONT, INK, fine, label_room, offset};
use super::axis::TimeAxis;
use super::baseline::Errors;
use crate::failure::{Failure, Result};

const SIZE: (u32, u32) = (1400, 900);

const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);
const FORECAST: RGBColor = RGBColor(0xd9, 0x6a, 0x1d);
const COLOURS: [RGBColor; 3] = [FORECAST, RGBColor(0x6b, 0x75, 0x80), RGBColor(0x2f, 0x6f, 0xb5)];
const TEST: RGBColor = RGBColor(0xf4, 0xf6, 0xf9);

/// The largest number of forecasts side by side, so that each can be seen.
const FORECASTS: usize = 16;

/// What is drawn.
pub struct Shown<'a> {
    pub title: String,
    /// The name of the series.
    pub series: &'a str,
    pub values: &'a [f64],
    /// Seconds since 1970, one a value, where the series has dates.
    pub dates: Option<&'a [f64]>,
    pub train_len: usize,
    pub horizon: usize,
    /// A row of the horizon for each position of the test part.
    pub forecasts: Vec<f64>,
    pub errors: Vec<(String, Errors)>,
}

/// Draws it.
pub fn draw(path: &Path, shown: &Shown<'_>) -> Result {
    let mut canvas = Canvas::chart(SIZE);
    sheet(&canvas.area(), shown)
        .map_err(|message| Failure::new(format!("cannot draw {}: {message}", path.display())))?;
    canvas.save(path)
}

fn sheet<B: DrawingBackend>(root: &DrawingArea<B, Shift>, shown: &Shown<'_>) -> std::result::Result<(), String> {
    let text = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    let heading = (FONT, fine(26), FontStyle::Bold).into_font().color(&INK);
    let body = root.margin(fine(12), 0, 0, 0).titled(&shown.title, heading).map_err(text)?;
    let (upper, lower) = body.split_vertically(fine(560));
    forecasts(&upper, shown).map_err(text)?;
    errors(&lower, shown).map_err(text)?;
    root.present().map_err(text)
}

type Drawn<B> = std::result::Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

fn forecasts<B: DrawingBackend>(area: &DrawingArea<B, Shift>, shown: &Shown<'_>) -> Drawn<B> {
    let rows: Vec<&[f64]> = shown.forecasts.chunks_exact(shown.horizon.max(1)).collect();
    // Forecasts one after another, the last of them at the end of the series.
    let mut chosen: Vec<usize> = (0..rows.len()).rev().step_by(shown.horizon.max(1)).take(FORECASTS).collect();
    chosen.reverse();
    let begin = chosen.first().map_or(0, |first| shown.train_len + first);
    let start = begin.saturating_sub((shown.values.len() - begin.min(shown.values.len())) / 3);
    let truth: Vec<(f64, f64)> =
        shown.values.iter().enumerate().skip(start).map(|(index, &value)| (index as f64, value)).collect();
    let told = chosen.iter().filter_map(|&row| rows.get(row)).flat_map(|row| row.iter().copied());
    let unit = AxisUnit::of(truth.iter().map(|point| point.1).chain(told), 0.08);
    let range = unit.range.clone();
    let truth: Vec<(f64, f64)> = truth.into_iter().map(|(index, value)| (index, unit.shown(value))).collect();
    let left = label_room(unit.longest_label());
    let (strip, area) = area.split_vertically(fine(30));
    let told = [("what came".to_owned(), INK, false), (format!("forecast, {} ahead", shown.horizon), FORECAST, false)];
    canvas::legend(&strip, offset(left as i32 + 14), offset(1), &told)?;
    let end = shown.values.len();
    let axis = TimeAxis::new(&(start..end), shown.dates);
    let mut chart = ChartBuilder::on(&area)
        .margin(fine(14))
        .set_label_area_size(LabelAreaPosition::Left, fine(left))
        .set_label_area_size(LabelAreaPosition::Bottom, fine(58))
        .margin_right(fine(44))
        .build_cartesian_2d(axis, range.clone())?;
    let test = shown.train_len.max(start) as f64;
    chart.draw_series([Rectangle::new([(test, range.start), (end as f64, range.end)], TEST.filled())])?;
    chart
        .configure_mesh()
        .x_desc(if shown.dates.is_some() {
            "the test part is shaded"
        } else {
            "index in the series (the test part is shaded)"
        })
        .y_desc(unit.title(&name(shown.series)))
        .x_labels(24)
        .y_labels(8)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(fine(1)))
        .axis_style(FAINT.stroke_width(fine(1)))
        .set_all_tick_mark_size(fine(5))
        .label_style((FONT, fine(17)).into_font().color(&FAINT))
        .axis_desc_style((FONT, fine(19)).into_font().color(&INK))
        .y_label_formatter(&|value| unit.label(*value))
        .draw()?;
    chart.draw_series(LineSeries::new(truth, INK.stroke_width(fine(2))))?;
    for &row in &chosen {
        let origin = shown.train_len + row;
        let known = origin.checked_sub(1).and_then(|index| Some((index as f64, *shown.values.get(index)?)));
        let ahead = rows.get(row).into_iter().flat_map(|row| row.iter().enumerate());
        let ahead: Vec<(f64, f64)> = ahead.map(|(step, &value)| ((origin + step) as f64, value)).collect();
        let line = known.into_iter().chain(ahead).map(|(index, value)| (index, unit.shown(value)));
        chart.draw_series(LineSeries::new(line, FORECAST.stroke_width(fine(3))))?;
        let known = known.map(|(index, value)| (index, unit.shown(value)));
        chart.draw_series(known.map(|point| Circle::new(point, fine(4), FORECAST.filled())))?;
    }
    Ok(())
}

/// A name that fits beside an axis.
fn name(name: &str) -> String {
    const MOST: usize = 28;
    if name.chars().count() <= MOST { name.to_owned() } else { name.chars().take(MOST - 1).chain(['…']).collect() }
}

fn errors<B: DrawingBackend>(area: &DrawingArea<B, Shift>, shown: &Shown<'_>) -> Drawn<B> {
    let lines: Vec<(&str, Vec<f64>)> =
        shown.errors.iter().map(|(name, errors)| (name.as_str(), errors.root_by_step())).collect();
    let high = lines.iter().flat_map(|(_, line)| line.iter().copied()).fold(0.0, f64::max);
    let unit = AxisUnit::of([0.0, high].into_iter(), 0.08);
    let left = label_room(unit.longest_label());
    let (strip, area) = area.split_vertically(fine(30));
    let told = lines.iter().zip(COLOURS).map(|((name, _), colour)| ((*name).to_owned(), colour, false));
    canvas::legend(&strip, offset(left as i32 + 14), offset(1), &told.collect::<Vec<_>>())?;
    let mut chart = ChartBuilder::on(&area)
        .margin(fine(14))
        .set_label_area_size(LabelAreaPosition::Left, fine(left))
        .set_label_area_size(LabelAreaPosition::Bottom, fine(58))
        .margin_right(fine(44))
        .build_cartesian_2d(0.7..shown.horizon as f64 + 0.3, 0.0..unit.range.end)?;
    chart
        .configure_mesh()
        .x_desc("steps ahead")
        .y_desc(unit.title("rms error"))
        .x_labels(shown.horizon.min(24))
        .y_labels(6)
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(fine(1)))
        .axis_style(FAINT.stroke_width(fine(1)))
        .set_all_tick_mark_size(fine(5))
        .label_style((FONT, fine(17)).into_font().color(&FAINT))
        .axis_desc_style((FONT, fine(19)).into_font().color(&INK))
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| unit.label(*value))
        .draw()?;
    for ((_, line), colour) in lines.into_iter().zip(COLOURS) {
        let points: Vec<(f64, f64)> =
            line.into_iter().enumerate().map(|(step, error)| (step as f64 + 1.0, unit.shown(error))).collect();
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(fine(3))))?;
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, fine(4), colour.filled())))?;
    }
    Ok(())
}
