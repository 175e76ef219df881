//! `--map`: common words in the plane that their vectors differ in most, in colours of groups that point in like directions.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use wgrad::data::WordEmbeddings;

use super::super::canvas::{Canvas, FAINT, FONT, INK, fine};
use crate::failure::{Failure, Result};

const SIZE: (u32, u32) = (1500, 1080);

/// What the words have around them.
const MARGIN: u32 = 54;
const TOP: u32 = 92;

/// Words of the map, and the most frequent ones, which say little.
const WORDS: usize = 300;
const FREQUENT: usize = 60;
const SHORT: usize = 4;

/// Groups of words, a colour each.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0x2f, 0x6f, 0xb5),
    RGBColor(0xd9, 0x6a, 0x1d),
    RGBColor(0x2b, 0x8a, 0x57),
    RGBColor(0xb0, 0x3a, 0x5b),
    RGBColor(0x7a, 0x4f, 0xa8),
    RGBColor(0x8a, 0x6a, 0x1f),
    RGBColor(0x1f, 0x8a, 0x99),
];

/// Rounds of grouping, and steps towards an axis: more change nothing that can be seen.
const ROUNDS: usize = 20;
const STEPS: usize = 200;

/// A word in the plane.
struct Placed<'w> {
    word: &'w str,
    at: [f64; 2],
    group: usize,
}

/// Draws it.
pub fn draw(path: &Path, title: &str, vectors: &WordEmbeddings) -> Result {
    let words: Vec<&str> = common(vectors);
    let directions: Vec<Vec<f64>> =
        words.iter().map(|word| direction(vectors.vector(word).unwrap_or_default())).collect();
    let groups = groups(&directions, COLOURS.len());
    let plane = plane(&directions);
    let placed: Vec<Placed<'_>> =
        words.iter().zip(plane).zip(groups).map(|((&word, at), group)| Placed { word, at, group }).collect();
    let mut canvas = Canvas::chart(SIZE);
    sheet(&mut canvas, title, &placed)
        .map_err(|message| Failure::new(format!("cannot draw {}: {message}", path.display())))?;
    canvas.save(path)
}

/// The words that are shown, the most frequent first.
fn common(vectors: &WordEmbeddings) -> Vec<&str> {
    let words = vectors.words();
    let skipped = if words.len() > WORDS + FREQUENT { FREQUENT } else { 0 };
    let telling = words.iter().skip(skipped).map(String::as_str);
    telling.filter(|word| word.chars().count() >= SHORT).take(WORDS).collect()
}

fn direction(vector: &[f32]) -> Vec<f64> {
    let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    vector.iter().map(|&value| f64::from(value) / length).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Coordinates along the two axes in which points differ most: principal components, by power iteration.
fn plane(points: &[Vec<f64>]) -> Vec<[f64; 2]> {
    let dim = points.first().map_or(0, Vec::len);
    let mean: Vec<f64> =
        (0..dim).map(|k| points.iter().map(|point| point[k]).sum::<f64>() / points.len() as f64).collect();
    let mut rest: Vec<Vec<f64>> =
        points.iter().map(|point| point.iter().zip(&mean).map(|(value, mean)| value - mean).collect()).collect();
    let mut plane = vec![[0.0; 2]; points.len()];
    for axis in 0..2 {
        // Any start that is orthogonal to nothing.
        let mut along: Vec<f64> = (0..dim).map(|k| 1.0 + (k as f64 * 0.7).sin()).collect();
        for _ in 0..STEPS {
            let mut next = vec![0.0; dim];
            for point in &rest {
                let share = dot(point, &along);
                next.iter_mut().zip(point).for_each(|(sum, value)| *sum += share * value);
            }
            let length = dot(&next, &next).sqrt();
            if length <= f64::MIN_POSITIVE {
                break;
            }
            along = next.into_iter().map(|value| value / length).collect();
        }
        for (place, point) in plane.iter_mut().zip(&mut rest) {
            let share = dot(point, &along);
            place[axis] = share;
            point.iter_mut().zip(&along).for_each(|(value, along)| *value -= share * along);
        }
    }
    plane
}

/// Groups of like directions: k-means that begins with points far from each other.
fn groups(points: &[Vec<f64>], count: usize) -> Vec<usize> {
    let mut centres: Vec<Vec<f64>> = points.first().cloned().into_iter().collect();
    while centres.len() < count.min(points.len()) {
        let nearest = |point: &Vec<f64>| centres.iter().map(|centre| dot(point, centre)).fold(f64::MIN, f64::max);
        let farthest = points.iter().min_by(|a, b| nearest(a).total_cmp(&nearest(b)));
        centres.extend(farthest.cloned());
    }
    let mut groups = vec![0; points.len()];
    for _ in 0..ROUNDS {
        for (group, point) in groups.iter_mut().zip(points) {
            let near = |k: usize| dot(point, &centres[k]);
            *group = (1..centres.len()).fold(0, |best, k| if near(k) > near(best) { k } else { best });
        }
        for (k, centre) in centres.iter_mut().enumerate() {
            let mut sum = vec![0.0; centre.len()];
            for (point, _) in points.iter().zip(&groups).filter(|(_, group)| **group == k) {
                sum.iter_mut().zip(point).for_each(|(sum, value)| *sum += value);
            }
            let length = dot(&sum, &sum).sqrt();
            if length > 0.0 {
                *centre = sum.into_iter().map(|value| value / length).collect();
            }
        }
    }
    groups
}

/// A rectangle: left, top, right, bottom.
type Area = [i32; 4];

fn meet(a: &Area, b: &Area) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// The range that most of some values are in: a few far ones would leave no room for the others.
fn range(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values.get(((values.len().max(1) - 1) as f64 * share) as usize).copied().unwrap_or(0.0);
    let [low, high] = [at(0.01), at(0.99)];
    if high > low { [low, high] } else { [low - 1.0, low + 1.0] }
}

fn sheet(canvas: &mut Canvas, title: &str, placed: &[Placed<'_>]) -> std::result::Result<(), String> {
    let area = canvas.area();
    let text = |error: DrawingAreaErrorKind<_>| format!("{error}");
    let heading = (FONT, fine(27), FontStyle::Bold).into_font().color(&INK);
    area.draw_text(&format!("{title} · common words"), &heading, (fine(MARGIN) as i32, fine(24) as i32))
        .map_err(text)?;
    let note = (FONT, fine(16)).into_font().color(&FAINT);
    let line = "in the plane that their vectors differ in most; a colour for each group of like directions";
    area.draw_text(line, &note, (fine(MARGIN) as i32, fine(60) as i32)).map_err(text)?;
    let ranges = [0, 1].map(|axis| range(placed.iter().map(|word| word.at[axis]).collect()));
    let position = |word: &Placed<'_>| -> (i32, i32) {
        let share = [0, 1].map(|axis| {
            let [low, high] = ranges[axis];
            ((word.at[axis] - low) / (high - low)).clamp(0.0, 1.0)
        });
        let room = [SIZE.0 - 2 * MARGIN - 70, SIZE.1 - TOP - MARGIN];
        let x = f64::from(fine(MARGIN)) + share[0] * f64::from(fine(room[0]));
        let y = f64::from(fine(TOP)) + (1.0 - share[1]) * f64::from(fine(room[1]));
        (x as i32, y as i32)
    };
    let dot = fine(1) as i32;
    let mut taken: Vec<Area> = Vec::new();
    // The most frequent words come first, and have the first choice of room.
    for (rank, word) in placed.iter().enumerate() {
        let size = if rank < placed.len() / 4 { 19 } else { 15 };
        let colour = COLOURS[word.group % COLOURS.len()];
        let style = (FONT, fine(size)).into_font().color(&colour);
        let (width, height) = area.estimate_text_size(word.word, &style).map_err(text)?;
        let (width, height) = (width as i32, height as i32);
        let (x, y) = position(word);
        let point = [x - 3 * dot, y - 3 * dot, x + 3 * dot, y + 3 * dot];
        if taken.iter().any(|other| meet(&point, other)) {
            continue;
        }
        let (gap, half) = (5 * dot, height / 2);
        let sides = [
            ([x + gap, y - half, x + gap + width, y + half], HPos::Left),
            ([x - gap - width, y - half, x - gap, y + half], HPos::Right),
            ([x - width / 2, y - gap - height, x + width / 2, y - gap], HPos::Center),
            ([x - width / 2, y + gap, x + width / 2, y + gap + height], HPos::Center),
        ];
        let inside = |area: &Area| {
            area[0] >= 0
                && area[1] >= fine(TOP) as i32 - half
                && area[2] < fine(SIZE.0) as i32
                && area[3] < fine(SIZE.1) as i32
        };
        let free = sides.iter().find(|(area, _)| inside(area) && !taken.iter().any(|other| meet(area, other)));
        let Some((place, side)) = free else { continue };
        area.draw(&Circle::new((x, y), 3 * dot, colour.filled())).map_err(text)?;
        let (anchor, style) = match side {
            HPos::Left => ((place[0], y), style.pos(Pos::new(HPos::Left, VPos::Center))),
            HPos::Right => ((place[2], y), style.pos(Pos::new(HPos::Right, VPos::Center))),
            HPos::Center => ((x, place[1]), style.pos(Pos::new(HPos::Center, VPos::Top))),
        };
        area.draw_text(word.word, &style, anchor).map_err(text)?;
        taken.push(*place);
        taken.push(point);
    }
    area.present().map_err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_those_of_the_largest_spread() {
        // Points in a plane of three dimensions, wide along (1, 1, 0) and less so along (0, 0, 1).
        let points: Vec<Vec<f64>> = (0..100)
            .map(|k| {
                let (wide, narrow) = ((f64::from(k) * 0.37).sin() * 5.0, (f64::from(k) * 1.91).cos());
                vec![wide, wide, narrow]
            })
            .collect();
        let found = plane(&points);
        let spread = |axis: usize| found.iter().map(|at| at[axis].powi(2)).sum::<f64>();
        assert!(spread(0) > 10.0 * spread(1) && spread(1) > 10.0);
        assert_eq!(plane(&[]), Vec::<[f64; 2]>::new());
        assert_eq!(plane(&[vec![1.0, 2.0]]), [[0.0, 0.0]]);
    }

    #[test]
    fn like_directions_are_one_group() {
        let point = |k: usize, away: f64| (0..3).map(|axis| if axis == k { 1.0 } else { away }).collect::<Vec<f64>>();
        let points: Vec<Vec<f64>> = (0..30).map(|k| point(k % 3, 0.001 * k as f64)).collect();
        let found = groups(&points, 3);
        assert!((0..30).all(|k| found[k] == found[k % 3]));
        assert_eq!(groups(&points[..2], 7).len(), 2);
        assert!(groups(&[], 7).is_empty());
    }
}
