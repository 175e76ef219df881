//! Boxes of a detector, the best of those that overlap (non-maximum suppression). How many are left is a shape, so boxes and scores
//! have to be known on the host.

use super::{Handler, Node, Value};
use crate::error::Result;

pub(super) const OPERATORS: &[(&str, Handler)] = &[("NonMaxSuppression", non_max_suppression)];

/// A box by its corners, in f32 as the specification has them.
#[derive(Clone, Copy)]
struct Corners {
    low: [f32; 2],
    high: [f32; 2],
}

impl Corners {
    /// From a box of the model: any two opposite corners, or centre and size.
    fn new(values: [f32; 4], centred: bool) -> Self {
        let [a, b, c, d] = values;
        if centred {
            Self { low: [a - c / 2.0, b - d / 2.0], high: [a + c / 2.0, b + d / 2.0] }
        } else {
            Self { low: [a.min(c), b.min(d)], high: [a.max(c), b.max(d)] }
        }
    }

    fn area(&self) -> f32 {
        (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])
    }

    /// True where the shared area is more than the share of the area of both. Boxes without area share nothing.
    fn overlaps(&self, other: &Self, threshold: f32) -> bool {
        let side = |axis: usize| self.high[axis].min(other.high[axis]) - self.low[axis].max(other.low[axis]);
        let (height, width) = (side(0), side(1));
        if !(height > 0.0 && width > 0.0) {
            return false;
        }
        let shared = height * width;
        let union = self.area() + other.area() - shared;
        shared > 0.0 && union > 0.0 && shared / union > threshold
    }
}

/// What boxes are chosen by.
struct Rule {
    most: usize,
    overlap: f32,
    score: Option<f32>,
}

impl Rule {
    /// The indices of the chosen boxes, best first; of equal ones the first.
    fn choose(&self, boxes: &[Corners], scores: &[f32]) -> Vec<usize> {
        let enough = |score: f32| !score.is_nan() && self.score.is_none_or(|least| score > least);
        let mut candidates: Vec<(f32, usize, &Corners)> =
            scores.iter().zip(boxes).enumerate().map(|(index, (&score, corners))| (score, index, corners)).collect();
        candidates.retain(|&(score, ..)| enough(score));
        // The sort is stable; −0 and 0 are equal.
        candidates.sort_by(|(a, ..), (b, ..)| (b + 0.0).total_cmp(&(a + 0.0)));
        let mut chosen: Vec<(usize, &Corners)> = Vec::new();
        for (_, index, corners) in candidates {
            if chosen.len() >= self.most {
                break;
            }
            if !chosen.iter().any(|(_, better)| corners.overlaps(better, self.overlap)) {
                chosen.push((index, corners));
            }
        }
        chosen.into_iter().map(|(index, _)| index).collect()
    }
}

/// Triples of batch, class and box, `[chosen, 3]`.
fn non_max_suppression(node: &Node<'_>) -> Result<Vec<Value>> {
    let (boxes, scores) = (node.ty(0)?.shape, node.ty(1)?.shape);
    let (&[batch, count, 4], &[score_batch, classes, score_count]) = (boxes.dims(), scores.dims()) else {
        return Err(
            node.error(format!("takes boxes [n, boxes, 4] and scores [n, classes, boxes], not {boxes} and {scores}"))
        );
    };
    if (batch, count) != (score_batch, score_count) {
        return Err(node.error(format!("boxes {boxes} and scores {scores} do not fit")));
    }
    let centred = match node.int("center_point_box", 0)? {
        0 => false,
        1 => true,
        other => return Err(node.error(format!("center_point_box should be 0 or 1, not {other}"))),
    };
    let number = |input: usize| -> Result<Option<f32>> {
        if node.has(input) { Ok(Some(node.host_float(input)? as f32)) } else { Ok(None) }
    };
    let most = if node.has(2) { node.host_int(2)? } else { 0 };
    let rule = Rule { most: usize::try_from(most).unwrap_or(0), overlap: number(3)?.unwrap_or(0.0), score: number(4)? };
    let floats = |input: usize| -> Result<Vec<f32>> {
        Ok(node.host_floats(input)?.into_iter().map(|value| value as f32).collect())
    };
    let (values, scores) = (floats(0)?, floats(1)?);
    let (corners, _) = values.as_chunks::<4>();
    let corners: Vec<Corners> = corners.iter().map(|&values| Corners::new(values, centred)).collect();
    let mut triples = Vec::new();
    let mut found = 0;
    for (line, scores) in scores.chunks_exact(count.max(1)).enumerate() {
        let (image, class) = (line / classes.max(1), line % classes.max(1));
        let own = corners.get(image * count..(image + 1) * count).unwrap_or_default();
        for index in rule.choose(own, scores) {
            triples.extend([image as i64, class as i64, index as i64]);
            found += 1;
        }
    }
    Ok(vec![node.ints_constant(&triples, [found, 3])?])
}
