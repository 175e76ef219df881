//! `--roofline`: each case as a point below what the device could do, by how much arithmetic it does on a byte (Williams, Waterman and
//! Patterson 2009). A case below the slope waits for memory; one below the level, for arithmetic.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;
use wgrad::bench::{Outcome, Peak};

use crate::failure::{Failure, Result};
use crate::train::canvas::{self, Canvas, FAINT, FONT, INK, fine, offset};

/// Width of the picture, and its height where few cases are listed.
const SIZE: (u32, u32) = (1400, 760);

/// Pixels between two lines of the list.
const LINE: i32 = 18;

/// Width of the chart; the rest is the list of cases.
const CHART: i32 = 930;
const LIMIT: RGBColor = RGBColor(0x2f, 0x6f, 0xb5);
const GRID: RGBColor = RGBColor(0xe3, 0xe7, 0xeb);

/// Colours of the families of cases, by how their names begin.
const FAMILIES: [(&str, RGBColor); 6] = [
    ("matmul", RGBColor(0xd9, 0x6a, 0x1d)),
    ("conv2d", RGBColor(0x2b, 0x8a, 0x57)),
    ("lstm", RGBColor(0xb0, 0x30, 0x60)),
    ("gru", RGBColor(0xb0, 0x30, 0x60)),
    ("step", RGBColor(0x8c, 0x3f, 0xa8)),
    ("", RGBColor(0x5c, 0x66, 0x70)),
];

/// A case.
pub struct Point {
    name: String,
    /// Floating-point operations for each byte that must be moved.
    intensity: f64,
    gflops: f64,
}

impl Point {
    /// A case by what came of it.
    pub fn of(name: &str, outcome: &Outcome) -> Self {
        let intensity = outcome.flops as f64 / (outcome.bytes as f64).max(1.0);
        Self { name: name.to_owned(), intensity, gflops: outcome.gflops() }
    }

    fn colour(&self) -> RGBColor {
        FAMILIES.iter().find(|(family, _)| self.name.starts_with(family)).map_or(INK, |(_, colour)| *colour)
    }
}

/// Says whether the name ends as a picture that can be drawn.
pub fn check_name(path: &Path) -> Result {
    canvas::check_name(path, "rooflines", &["png", "svg"])
}

/// Draws the cases of a run.
pub fn draw(path: &Path, device: &str, peak: &Peak, points: &[Point]) -> Result {
    canvas::letters();
    let size = (SIZE.0, SIZE.1.max(110 + LINE as u32 * order(points).len() as u32));
    let wrong = |message: String| Failure::new(format!("cannot draw {}: {message}", path.display()));
    if canvas::extension(path) == "svg" {
        let mut drawn = String::new();
        let root = SVGBackend::with_string(&mut drawn, canvas::fine_size(size)).into_drawing_area();
        chart(&root, device, peak, points).map_err(wrong)?;
        drop(root);
        return canvas::save_svg(path, &drawn, size);
    }
    let mut canvas = Canvas::chart(size);
    chart(&canvas.area(), device, peak, points).map_err(wrong)?;
    canvas.save(path)
}

/// The cases that are drawn, the fastest first: those that do arithmetic.
fn order(points: &[Point]) -> Vec<&Point> {
    let is_shown = |point: &&Point| point.gflops > 0.0 && point.intensity > 0.0 && !point.name.ends_with("/synced");
    let mut order: Vec<&Point> = points.iter().filter(is_shown).collect();
    order.sort_by(|a, b| b.gflops.total_cmp(&a.gflops));
    order
}

fn chart<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    device: &str,
    peak: &Peak,
    points: &[Point],
) -> std::result::Result<(), String> {
    let text = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    root.fill(&WHITE).map_err(text)?;
    let heading = (FONT, fine(24), FontStyle::Bold).into_font().color(&INK);
    let title = format!("{device}: {:.0} GFLOP/s, {:.1} GB/s", peak.gflops_f32, peak.gbytes_per_s);
    let body = root.margin(fine(12), fine(12), fine(12), fine(24)).titled(&title, heading).map_err(text)?;
    let (body, list) = body.split_horizontally(offset(CHART));
    // Powers of ten around what is to be seen.
    let shown = || order(points).into_iter();
    let ridge = peak.gflops_f32 / peak.gbytes_per_s.max(1e-9);
    let below = |value: f64| 10_f64.powf(value.log10().floor());
    let above = |value: f64| 10_f64.powf((value * 1.01).log10().ceil());
    let across = below(shown().map(|point| point.intensity).fold(ridge / 10.0, f64::min))
        ..above(shown().map(|point| point.intensity).fold(ridge * 10.0, f64::max));
    let up = below(shown().map(|point| point.gflops).fold(peak.gflops_f32 / 10.0, f64::min))
        ..above(shown().map(|point| point.gflops).fold(peak.gflops_f32 * 1.2, f64::max));
    let mut chart = ChartBuilder::on(&body)
        .x_label_area_size(fine(54))
        .y_label_area_size(fine(76))
        .build_cartesian_2d(across.clone().log_scale(), up.clone().log_scale())
        .map_err(text)?;
    let label = (FONT, fine(16)).into_font().color(&INK);
    chart
        .configure_mesh()
        .bold_line_style(GRID.stroke_width(fine(1)))
        .light_line_style(WHITE)
        .axis_style(FAINT.stroke_width(fine(1)))
        .set_all_tick_mark_size(fine(5))
        .label_style(label.clone())
        .axis_desc_style(label)
        .x_desc("floating-point operations for each byte moved")
        .y_desc("GFLOP/s")
        .x_label_formatter(&|value| format!("{value}"))
        .y_label_formatter(&|value| format!("{value}"))
        .draw()
        .map_err(text)?;
    let lowest = (up.start / peak.gbytes_per_s.max(1e-9)).max(across.start);
    let limit = |intensity: f64| (intensity, (intensity * peak.gbytes_per_s).min(peak.gflops_f32));
    let line = [lowest, ridge, across.end].map(limit);
    chart.draw_series(LineSeries::new(line, LIMIT.stroke_width(fine(3)))).map_err(text)?;
    // Points have numbers, and names stand in a list: many cases are close together.
    let small = |colour: &RGBColor| (FONT, fine(13)).into_font().color(colour);
    let mut taken: Vec<(i32, i32)> = Vec::new();
    for (number, point) in order(points).into_iter().enumerate() {
        let position = (point.intensity, point.gflops);
        let (x, mut y) = chart.backend_coord(&position);
        chart.draw_series([Circle::new(position, fine(5), point.colour().filled())]).map_err(text)?;
        while taken.iter().any(|&(left, top)| (left - x).abs() < offset(22) && (top - y).abs() < offset(13)) {
            y += offset(2);
        }
        taken.push((x, y));
        let (colour, number) = (point.colour(), number + 1);
        root.draw(&Text::new(number.to_string(), (x + offset(8), y - offset(7)), small(&colour))).map_err(text)?;
        let line = offset(16 + LINE * number as i32);
        list.draw(&Text::new(format!("{number:>2}"), (offset(34), line), small(&colour))).map_err(text)?;
        list.draw(&Text::new(point.name.clone(), (offset(62), line), small(&INK))).map_err(text)?;
        list.draw(&Text::new(format!("{:.1}", point.gflops), (offset(414), line), small(&FAINT))).map_err(text)?;
    }
    root.present().map_err(text)
}
