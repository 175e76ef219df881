//! Moves between pixels: rotations and scalings, by bilinear interpolation with zeros outside.

use super::pictures;
use crate::graph::Tensor;
use crate::tensor::DType;

impl Tensor {
    /// Pictures `[N, C, H, W]`, each rotated around its middle by a random angle of up to `degrees` degrees in either direction;
    /// counter-clockwise where it is positive.
    #[track_caller]
    #[must_use]
    pub fn random_rotation(&self, degrees: f64) -> Self {
        let Some([n, ..]) = pictures(self, "random_rotation") else { return self.clone() };
        let g = self.graph();
        if !(0.0..=180.0).contains(&degrees) {
            return g.mistake("random_rotation", format!("the largest angle is {degrees}°, and must be from 0 to 180"));
        }
        if degrees == 0.0 {
            return self.clone();
        }
        let largest = degrees.to_radians();
        let angle = g.random_uniform([n, 1, 1, 1], -largest, largest);
        // Rows count downwards, so the source of a pixel is rotated by the same angle clockwise in their terms.
        let (cos, sin) = (angle.cos(), angle.sin());
        self.warped(&cos, &sin)
    }

    /// Pictures `[N, C, H, W]`, each made larger (or smaller) around its middle by a random factor between two.
    #[track_caller]
    #[must_use]
    pub fn random_scale(&self, low: f64, high: f64) -> Self {
        let Some([n, ..]) = pictures(self, "random_scale") else { return self.clone() };
        let g = self.graph();
        if !(low > 0.0 && high >= low && high.is_finite()) {
            return g.mistake("random_scale", format!("factors from {low} to {high} are none, or not above 0"));
        }
        let factor = g.random_uniform([n, 1, 1, 1], low, high).maximum(low).reciprocal();
        self.warped(&factor, &factor.zeros_like())
    }

    /// Each pixel from where the matrix `[[a, −b], [b, a]]` (of column and row offsets from the middle) leads.
    #[track_caller]
    fn warped(&self, a: &Self, b: &Self) -> Self {
        let shape = self.shape();
        let [n, c, h, w] = *shape.dims() else { return self.clone() };
        if shape.is_empty() {
            return self.clone();
        }
        let g = self.graph();
        let (middle_row, middle_column) = ((h as f64 - 1.0) / 2.0, (w as f64 - 1.0) / 2.0);
        let row = g.coordinate([n, 1, h, w], 2).cast(DType::F32) - middle_row;
        let column = g.coordinate([n, 1, h, w], 3).cast(DType::F32) - middle_column;
        let source_column = a * &column - b * &row + middle_column;
        let source_row = b * &column + a * &row + middle_row;
        let (first_row, first_column) = (source_row.floor(), source_column.floor());
        let (down, across) = (&source_row - &first_row, &source_column - &first_column);
        let picture = g.arange(n * c).reshape([n, c, 1, 1]) * (h * w) as i32;
        let flat = self.reshape([shape.len()]);
        let mut sum = self.zeros_like();
        for (low, far) in [(0.0, false), (1.0, false), (0.0, true), (1.0, true)] {
            let (row, column) = (&first_row + low, &first_column + if far { 1.0 } else { 0.0 });
            let inside = row
                .ge(0.0)
                .logical_and(row.le(h as f64 - 1.0))
                .logical_and(column.ge(0.0))
                .logical_and(column.le(w as f64 - 1.0));
            let vertical = if low == 0.0 { 1.0 - &down } else { down.clone() };
            let horizontal = if far { across.clone() } else { 1.0 - &across };
            let weight = (vertical * horizontal).cast(self.dtype());
            let index = row.cast(DType::I32) * (w as i32) + column.cast(DType::I32);
            let address = &picture + inside.select(&index, index.zeros_like());
            let weight = inside.select(&weight, weight.zeros_like());
            sum = sum + flat.take(0, &address) * weight;
        }
        sum
    }
}
