//! Moves by whole pixels: flips, crops and shifts. Rows and columns move apart from each other, and every pixel has one source.

use super::{is_probability, pictures};
use crate::graph::Tensor;
use crate::tensor::DType;

/// What lies around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Border {
    /// Zeros.
    Zeros,
    /// The picture mirrored at its outermost pixels, which are not repeated.
    Reflect,
}

/// Where the pixels of each picture come from.
pub(super) struct Pixels {
    /// `[N, 1, H, 1]`, i32.
    rows: Tensor,
    /// `[N, 1, 1, W]`, i32.
    columns: Tensor,
    /// True where there is a source: `[N, 1, H, 1]` and `[N, 1, 1, W]`. `None` where there always is.
    inside: Option<[Tensor; 2]>,
}

impl Pixels {
    /// Flipped, left to right or upside down, with a probability.
    #[track_caller]
    pub(super) fn flip(x: &Tensor, horizontal: bool, probability: f64) -> Option<Self> {
        let name = if horizontal { "random_flip_horizontal" } else { "random_flip_vertical" };
        let [n, _, h, w] = pictures(x, name)?;
        if !is_probability(x, name, probability) {
            return None;
        }
        let g = x.graph();
        let flipped = g.random_bernoulli([n, 1, 1, 1], probability);
        let (rows, columns) = (g.coordinate([n, 1, h, 1], 2), g.coordinate([n, 1, 1, w], 3));
        let last = |extent: usize| g.scalar(DType::I32, (extent as f64 - 1.0).max(0.0));
        if horizontal {
            let turned = last(w) - &columns;
            Some(Self { rows, columns: flipped.select(turned, columns), inside: None })
        } else {
            let turned = last(h) - &rows;
            Some(Self { rows: flipped.select(turned, rows), columns, inside: None })
        }
    }

    /// A picture with a border, cut back to its size at a random place.
    #[track_caller]
    pub(super) fn crop(x: &Tensor, padding: usize, border: Border) -> Option<Self> {
        let [n, _, h, w] = pictures(x, "random_crop")?;
        let g = x.graph();
        if padding > 0 && padding >= h.min(w) {
            let message = match border {
                Border::Zeros => format!("a padding of {padding} could leave nothing of a picture of {h} × {w}"),
                Border::Reflect => format!("a picture of {h} × {w} has no {padding} pixels to mirror at each edge"),
            };
            g.mistake("random_crop", message);
            return None;
        }
        let offset = |extent: usize, axis: usize, shape: [usize; 4]| -> [Tensor; 2] {
            let shift = (g.random_uniform([n, 1, 1, 1], 0.0, 2.0 * padding as f64 + 1.0)).cast(DType::I32);
            let place = g.coordinate(shape, axis) + shift - padding as i32;
            let last = extent as f64 - 1.0;
            let inside = place.ge(0.0).logical_and(place.le(last.max(0.0)));
            match border {
                Border::Zeros => [place, inside],
                // |last − |last − i|| mirrors at both ends.
                Border::Reflect => {
                    let from_end = (g.scalar(DType::I32, last.max(0.0)) - place.abs()).abs();
                    [g.scalar(DType::I32, last.max(0.0)) - from_end, inside]
                }
            }
        };
        let [rows, row_inside] = offset(h, 2, [n, 1, h, 1]);
        let [columns, column_inside] = offset(w, 3, [n, 1, 1, w]);
        let inside = (border == Border::Zeros).then_some([row_inside, column_inside]);
        Some(Self { rows, columns, inside })
    }

    /// This move, and then another one.
    #[track_caller]
    pub(super) fn then(&self, after: &Self) -> Self {
        // The places that the later move asks for are looked up among those of the earlier one. Both are functions of the place
        // alone, so looking up is gathering along the axis.
        let rows = self.rows.gather(2, &after.rows);
        let columns = self.columns.gather(3, &after.columns);
        let looked_up = self.inside.as_ref().map(|[row, column]| {
            [row.cast(DType::I32).gather(2, &after.rows).ne(0.0), column.cast(DType::I32).gather(3, &after.columns).ne(0.0)]
        });
        let inside = match (looked_up, &after.inside) {
            (Some([row, column]), Some([other_row, other_column])) => {
                Some([row.logical_and(other_row), column.logical_and(other_column)])
            }
            (Some(inside), None) => Some(inside),
            (None, other) => other.clone(),
        };
        Self { rows, columns, inside }
    }

    /// The pictures so moved.
    #[track_caller]
    pub(super) fn gather(&self, x: &Tensor) -> Tensor {
        let shape = x.shape();
        let [n, c, h, w] = shape.dims() else { return x.clone() };
        if shape.is_empty() {
            return x.clone();
        }
        let g = x.graph();
        let picture = g.coordinate([*n, *c, 1, 1], 0) * (*c as i32) + g.coordinate([*n, *c, 1, 1], 1);
        let address = (picture * (*h as i32) + &self.rows) * (*w as i32) + &self.columns;
        let moved = x.reshape([shape.len()]).take(0, &address);
        match &self.inside {
            Some([row, column]) => row.logical_and(column).select(&moved, moved.zeros_like()),
            None => moved,
        }
    }
}

impl Tensor {
    /// Pictures `[N, C, H, W]`, each flipped left to right with a probability.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [1, 1, 1, 3], F32);
    /// g.output("y", &x.random_flip_horizontal(1.0));
    /// let row = TensorData::from_vec(vec![1.0_f32, 2.0, 3.0], [1, 1, 1, 3])?;
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[("x", &row)])?["y"].to_f64_vec(), [3.0, 2.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn random_flip_horizontal(&self, probability: f64) -> Self {
        self.moved(Pixels::flip(self, true, probability))
    }

    /// Pictures `[N, C, H, W]`, each turned upside down with a probability.
    #[track_caller]
    #[must_use]
    pub fn random_flip_vertical(&self, probability: f64) -> Self {
        self.moved(Pixels::flip(self, false, probability))
    }

    /// Pictures `[N, C, H, W]`, each with a border of `padding` pixels, cut back to H × W at a random place.
    #[track_caller]
    #[must_use]
    pub fn random_crop(&self, padding: usize, border: Border) -> Self {
        self.moved(Pixels::crop(self, padding, border))
    }

    /// Pictures `[N, C, H, W]`, each moved by up to so many pixels along both axes; zeros come in at the edges.
    #[track_caller]
    #[must_use]
    pub fn random_shift(&self, max_pixels: usize) -> Self {
        self.moved(Pixels::crop(self, max_pixels, Border::Zeros))
    }

    #[track_caller]
    fn moved(&self, pixels: Option<Pixels>) -> Self {
        match pixels {
            Some(pixels) => pixels.gather(self),
            None => self.clone(),
        }
    }
}
