//! Moves by whole pixels: flips, crops and shifts. Rows and columns move apart from each other, and every pixel has one source.

use super::{is_probability, pictures};
use crate::graph::Tensor;
use crate::tensor::{DType, Shape};

/// What is around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Border {
    /// Zeros.
    Zeros,
    /// The picture mirrored at its outermost pixels, which are not repeated.
    Reflect,
}

/// A move, with what was drawn for each picture: `[N, 1, 1, 1]`.
enum Move {
    /// Flipped where it is true; left to right or upside down.
    Flip { flipped: Tensor, horizontal: bool },
    /// Moved up and to the left, i32; down and to the right where it is negative.
    Crop { up: Tensor, left: Tensor, border: Border },
}

/// Moves one after another. Where a pixel comes from is asked of the last one first.
pub(super) struct Pixels(Vec<Move>);

impl Pixels {
    /// Flipped, left to right or upside down, with a probability.
    #[track_caller]
    pub(super) fn flip(x: &Tensor, horizontal: bool, probability: f64) -> Option<Self> {
        let name = if horizontal { "random_flip_horizontal" } else { "random_flip_vertical" };
        let [n, ..] = pictures(x, name)?;
        if !is_probability(x, name, probability) {
            return None;
        }
        let flipped = x.graph().random_bernoulli([n, 1, 1, 1], probability);
        Some(Self(vec![Move::Flip { flipped, horizontal }]))
    }

    /// A picture with a border, cropped to its size at a random position.
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
        // Integers from 0 to twice the padding, each as likely.
        let count = 2.0 * padding as f64 + 1.0;
        let up = g.random_uniform([n, 1, 1, 1], 0.0, count).cast(DType::I32) - padding as i32;
        let left = g.random_uniform([n, 1, 1, 1], 0.0, count).cast(DType::I32) - padding as i32;
        Some(Self(vec![Move::Crop { up, left, border }]))
    }

    /// These moves, and then others.
    pub(super) fn then(mut self, after: Self) -> Self {
        self.0.extend(after.0);
        self
    }

    /// The position that each position of an axis (2 for rows, 3 for columns) comes from, and where there is one; `None` for
    /// everywhere.
    #[track_caller]
    fn sources(&self, x: &Tensor, axis: usize) -> (Tensor, Option<Tensor>) {
        let g = x.graph();
        let shape = x.shape();
        let extent = shape[axis];
        let last = (extent as f64 - 1.0).max(0.0);
        let line: Shape = (0..4).map(|other| if other == 0 || other == axis { shape[other] } else { 1 }).collect();
        let mut position = g.coordinate(line, axis);
        let mut inside: Option<Tensor> = None;
        for step in self.0.iter().rev() {
            match step {
                Move::Flip { flipped, horizontal } if *horizontal == (axis == 3) => {
                    position = flipped.select(g.scalar(DType::I32, last) - &position, &position);
                }
                Move::Flip { .. } => {}
                Move::Crop { up, left, border } => {
                    position = position + if axis == 2 { up } else { left };
                    if *border == Border::Reflect {
                        // Mirrored at both ends.
                        let from_end = (g.scalar(DType::I32, last) - position.abs()).abs();
                        position = g.scalar(DType::I32, last) - from_end;
                        continue;
                    }
                    let here = position.ge(0.0).logical_and(position.le(last));
                    inside = Some(match inside {
                        Some(inside) => inside.logical_and(here),
                        None => here,
                    });
                }
            }
        }
        (position, inside)
    }

    /// The pictures so moved.
    #[track_caller]
    pub(super) fn gather(&self, x: &Tensor) -> Tensor {
        let shape = x.shape();
        let [n, c, h, w] = *shape.dims() else { return x.clone() };
        if shape.is_empty() {
            return x.clone();
        }
        let (rows, row_inside) = self.sources(x, 2);
        let (columns, column_inside) = self.sources(x, 3);
        // At the pictures' own shape, so that addresses are computed in passing and not stored.
        let picture = x.graph().arange(n * c).reshape([n, c, 1, 1]).broadcast_to(&shape) * (h * w) as i32;
        let address = picture + rows.broadcast_to(&shape) * w as i32 + columns.broadcast_to(&shape);
        let moved = x.reshape([shape.len()]).take(0, &address);
        match (row_inside, column_inside) {
            (Some(row), Some(column)) => {
                row.broadcast_to(&shape).logical_and(column.broadcast_to(&shape)).select(&moved, moved.zeros_like())
            }
            _ => moved,
        }
    }
}

impl Tensor {
    /// Pictures `[N, C, H, W]`, each flipped left to right with a probability. As all of these methods it draws at every step, in
    /// evaluation too; an [`Augment`](crate::nn::Augment) does so only while training.
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

    /// Pictures `[N, C, H, W]`, each flipped upside down with a probability.
    #[track_caller]
    #[must_use]
    pub fn random_flip_vertical(&self, probability: f64) -> Self {
        self.moved(Pixels::flip(self, false, probability))
    }

    /// Pictures `[N, C, H, W]`, each with a border of `padding` pixels, cropped to H × W at a random position.
    #[track_caller]
    #[must_use]
    pub fn random_crop(&self, padding: usize, border: Border) -> Self {
        self.moved(Pixels::crop(self, padding, border))
    }

    /// Pictures `[N, C, H, W]`, each moved by up to `max_pixels` pixels along both axes; zeros come in at the edges.
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
