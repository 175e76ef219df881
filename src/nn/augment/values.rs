//! Changes of values: parts blotted out, noise, normalisation, and pictures made of bytes.

use super::pictures;
use crate::graph::Tensor;
use crate::tensor::{DType, TensorData};

impl Tensor {
    /// Pictures `[N, C, H, W]`, each with a square of `size` pixels around a random pixel set to 0 (DeVries and Taylor 2017). At
    /// the edges less is lost.
    #[track_caller]
    #[must_use]
    pub fn cutout(&self, size: usize) -> Self {
        let Some([n, _, h, w]) = pictures(self, "cutout") else { return self.clone() };
        if size == 0 {
            return self.clone();
        }
        let g = self.graph();
        if size > 2 * h.max(w) {
            return g.mistake("cutout", format!("a square of {size} pixels covers all of a picture of {h} × {w}"));
        }
        let mut hit = Vec::new();
        for (extent, axis, shape) in [(h, 2, [n, 1, h, 1]), (w, 3, [n, 1, 1, w])] {
            let first = g.random_uniform([n, 1, 1, 1], 0.0, extent as f64).cast(DType::I32) - (size / 2) as i32;
            let position = g.coordinate(shape, axis) - first;
            hit.push(position.ge(0.0).logical_and(position.lt(size as f64)));
        }
        match hit.as_slice() {
            // At the pictures' own shape, so that the mask is computed in passing and not stored.
            [row, column] => {
                let both = row.broadcast_to(self.shape()).logical_and(column.broadcast_to(self.shape()));
                both.select(self.zeros_like(), self)
            }
            _ => self.clone(),
        }
    }

    /// With normal noise of a standard deviation added to each element, of any shape.
    #[track_caller]
    #[must_use]
    pub fn gaussian_noise(&self, std: f64) -> Self {
        let g = self.graph();
        if g.error().is_some() {
            return self.clone();
        }
        if !self.dtype().is_float() {
            return g.mistake("gaussian_noise", format!("wants floats, not {}; cast first", self.dtype()));
        }
        if !std.is_finite() || std < 0.0 {
            return g.mistake("gaussian_noise", format!("the standard deviation is {std}, and must be 0 or more"));
        }
        if std == 0.0 {
            return self.clone();
        }
        self + g.random_normal(self.shape(), 0.0, std).cast(self.dtype())
    }

    /// Pictures `[N, C, H, W]` less a mean, over a standard deviation, of each channel.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let x = g.input("x", [1, 2, 1, 1], F32);
    /// g.output("y", &x.normalize(&[0.5, 0.25], &[0.5, 0.125]));
    /// let x = TensorData::from_vec(vec![1.0_f32, 0.5], [1, 2, 1, 1])?;
    /// assert_eq!(g.compile(&Device::cpu())?.run(&[("x", &x)])?["y"].to_f64_vec(), [1.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn normalize(&self, mean: &[f64], std: &[f64]) -> Self {
        let Some([_, c, ..]) = pictures(self, "normalize") else { return self.clone() };
        let g = self.graph();
        if mean.len() != c || std.len() != c {
            let message =
                format!("wants {c} means and deviations, one for each channel, not {} and {}", mean.len(), std.len());
            return g.mistake("normalize", message);
        }
        if !mean.iter().chain(std).all(|number| number.is_finite()) || std.iter().any(|&std| std <= 0.0) {
            return g.mistake("normalize", format!("means are {mean:?} and deviations {std:?}, which must be above 0"));
        }
        let factors: Vec<f64> = std.iter().map(|std| 1.0 / std).collect();
        match (
            TensorData::from_f64(self.dtype(), mean, [1, c, 1, 1]),
            TensorData::from_f64(self.dtype(), &factors, [1, c, 1, 1]),
        ) {
            (Ok(mean), Ok(factors)) => (self - g.constant(mean)) * g.constant(factors),
            _ => self.clone(),
        }
    }

    /// Pictures as `[N, C, H, W]` of f32, from `[N, H, W]` or `[N, H, W, C]`. Bytes are scaled to 0…1.
    ///
    /// ```
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// assert_eq!(g.input("grey", [5, 28, 28], U8).to_images().shape(), [5, 1, 28, 28].into());
    /// assert_eq!(g.input("colour", [5, 32, 32, 3], U8).to_images().shape(), [5, 3, 32, 32].into());
    /// ```
    #[track_caller]
    #[must_use]
    pub fn to_images(&self) -> Self {
        if self.graph().error().is_some() {
            return self.clone();
        }
        let ty = self.ty();
        let first = match ty.shape.dims() {
            [_, _, _] => self.unsqueeze(1),
            [_, _, _, _] => self.permute(&[0, 3, 1, 2]),
            _ => {
                let message = format!("wants pictures [N, H, W] or [N, H, W, C], not {}", ty.shape);
                return self.graph().mistake("to_images", message);
            }
        };
        match ty.dtype {
            DType::U8 => first.cast(DType::F32) * (1.0 / 255.0),
            _ => first.cast(DType::F32),
        }
    }
}
