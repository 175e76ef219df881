//! `--filters`: the weights of the first layer as pictures.

use std::path::Path;

use wgrad::ops::Role;
use wgrad::session::Session;
use wgrad::tensor::TensorData;
use wgrad::train::Trainer;

use super::super::canvas::Canvas;
use super::super::demo::Picture;
use super::super::pixels::Pixels;
use super::colour::signed;
use super::sheet::{HEADING, MARGIN, SUBTITLE, framed, heading, legend, scaled, shown_size};
use crate::failure::{Failure, Result};
use crate::output::{counted, grouped};

/// As many as a sheet shows.
const MOST: usize = 64;
const COLUMNS: usize = 8;

/// Pixels of a filter's longer side, about.
const PICTURE: u32 = 104;

/// Pixels between cells, and below a filter for its number.
const GAP: u32 = 26;
const TEXT: u32 = 30;

/// The narrowest sheet on which the heading has room.
const NARROWEST: u32 = 8 * (PICTURE + GAP) + 2 * MARGIN - GAP;

/// Filters, each channel by channel and row by row.
struct Filters {
    name: String,
    values: Vec<f32>,
    channels: usize,
    height: usize,
    width: usize,
}

/// Draws the filters with the largest weights, in their order.
pub fn draw(path: &Path, title: &str, picture: &Picture, trainer: &Trainer) -> Result {
    let session = trainer.session().ok_or_else(|| Failure::new("there are no filters before a model is trained"))?;
    let filters = first(session, picture)?;
    let row = filters.channels * filters.height * filters.width;
    let all: Vec<&[f32]> = filters.values.chunks_exact(row.max(1)).collect();
    let mut chosen: Vec<usize> = (0..all.len()).collect();
    let norm = |filter: usize| {
        all.get(filter).map_or(0.0, |weights| weights.iter().map(|weight| weight * weight).sum::<f32>())
    };
    if chosen.len() > MOST {
        chosen.sort_by(|&a, &b| norm(b).total_cmp(&norm(a)));
        chosen.truncate(MOST);
        chosen.sort_unstable();
    }
    let size = shown_size(filters.width, filters.height, PICTURE);
    let rows = chosen.len().div_ceil(COLUMNS) as u32;
    let width = NARROWEST.max(2 * MARGIN + (size.0 + GAP) * COLUMNS as u32 - GAP);
    // Filters that are smaller than wanted are spread over the sheet.
    let cell = ((width - 2 * MARGIN - size.0) / (COLUMNS as u32 - 1), size.1 + TEXT + GAP / 2);
    let mut canvas = Canvas::new(width, HEADING + rows * cell.1 + MARGIN - GAP / 2);
    let form = match filters.channels {
        1 => format!("{}×{}", filters.height, filters.width),
        channels => format!("{channels}×{}×{}", filters.height, filters.width),
    };
    let count = match all.len() {
        count if count > MOST => format!("the {MOST} largest of {} filters", grouped(count as u64)),
        count => counted(count, "filter"),
    };
    let scale = if filters.channels == 3 { "as red, green and blue; grey is 0" } else { "each on a scale of its own" };
    let subtitle = format!("{count} of {form} ({}), {scale}", filters.name);
    heading(&mut canvas, &format!("{title}: first layer"), &subtitle, width - 2 * MARGIN)?;
    if filters.channels != 3 {
        legend(&mut canvas, width - MARGIN, MARGIN + 42, ["negative", "positive"], |along| signed(along * 2.0 - 1.0))?;
    }
    for (index, &filter) in chosen.iter().enumerate() {
        let (column, row) = ((index % COLUMNS) as u32, (index / COLUMNS) as u32);
        let (x, y) = (MARGIN + column * cell.0, HEADING + row * cell.1);
        let weights = all.get(filter).copied().unwrap_or_default();
        framed(&mut canvas, &scaled(&filters.show(weights), size), (x, y));
        canvas.centred(&filter.to_string(), (x + size.0 / 2, y + size.1 + 7), SUBTITLE)?;
    }
    canvas.save(path)
}

impl Filters {
    /// A filter in its own size: colours for three channels, else blue for negative and red for positive weights.
    fn show(&self, weights: &[f32]) -> Pixels {
        let plane = self.height * self.width;
        let largest = weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs())).max(f32::MIN_POSITIVE);
        let weight =
            |channel: usize, index: usize| weights.get(channel * plane + index).copied().unwrap_or(0.0) / largest;
        Pixels::from_fn(self.width as u32, self.height as u32, |x, y| {
            let index = y as usize * self.width + x as usize;
            if self.channels == 3 {
                let level = |channel| (weight(channel, index).mul_add(0.5, 0.5) * 255.0).round() as u8;
                return [level(0), level(1), level(2)];
            }
            signed(weight(0, index))
        })
    }
}

/// The weights of the first layer that has some: those of a convolution, or of a dense layer whose rows are as long as a
/// picture.
fn first(session: &Session, picture: &Picture) -> Result<Filters> {
    let order = |name: &str| -> Vec<usize> { name.split('.').filter_map(|part| part.parse().ok()).collect() };
    let weights = session.variables().iter().filter(|variable| {
        variable.role == Role::Parameter
            && variable.name.ends_with("weight")
            && matches!(variable.ty.shape.rank(), 2 | 4)
    });
    let first = weights.min_by_key(|variable| order(&variable.name));
    let name = first.map(|variable| variable.name.clone()).ok_or_else(|| Failure::new("the model has no weights"))?;
    let weights: TensorData = session.parameter(&name)?;
    let values = weights.to_f64_vec().into_iter().map(|weight| weight as f32).collect();
    match *weights.shape().dims() {
        [_, channels @ (1 | 3), height, width] => Ok(Filters { name, values, channels, height, width }),
        // Other numbers of channels are no colours: each channel is a picture of its own.
        [_, _, height, width] => Ok(Filters { name, values, channels: 1, height, width }),
        [_, inputs] if inputs == picture.shape().iter().product::<usize>() && matches!(picture.channels, 1 | 3) => {
            let [channels, height, width] = picture.shape();
            Ok(Filters { name, values, channels, height, width })
        }
        _ => Err(Failure::new(format!("the weights {name} are {}, which is no row of pictures", weights.ty()))),
    }
}
