//! What the examples of a demo are as pictures: how a model reads them, and how they are shown.

use std::sync::Arc;

use wgrad::graph::Tensor;
use wgrad::nn::Mode;
use wgrad::tensor::{DType, TensorData};
use wgrad::train::{ModelFile, ModelSettings};

use super::demo::Prepare;
use super::pixels::Pixels;
use crate::failure::{Failure, Result};

/// Pictures in a column of bytes, each channel by channel and row by row.
#[derive(Clone, Debug)]
pub struct Picture {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// The byte that is white.
    pub white: f64,
    /// What each channel is standardized with, to mean 0 and standard deviation 1, as `[1, channels, 1, 1]`.
    mean: TensorData,
    factor: TensorData,
}

impl Picture {
    /// With the mean and standard deviation of each channel, where white is 1.
    pub fn new([channels, height, width]: [usize; 3], white: f64, mean: &[f64], std: &[f64]) -> Result<Self> {
        let factor: Vec<f64> = std.iter().map(|std| 1.0 / std).collect();
        let constant = |values: &[f64]| TensorData::from_f64(DType::F32, values, [1, channels, 1, 1]);
        Ok(Self { channels, height, width, white, mean: constant(mean)?, factor: constant(&factor)? })
    }

    /// What a saved model's file says of pictures.
    pub fn settings(demo: &str, shape: [usize; 3], mean: &[f64], std: &[f64]) -> ModelSettings {
        let settings = ModelSettings::new(demo).with_numbers("shape", &shape.map(|extent| extent as f64));
        settings.with_numbers("mean", mean).with_numbers("std", std)
    }

    /// What such a file says. `largest` is the largest width and height of the demo's pictures.
    pub fn restored(file: &ModelFile, channels: usize, white: f64, largest: usize) -> Result<Self> {
        let shape = file.numbers("shape")?;
        let (mean, std) = (file.numbers("mean")?, file.numbers("std")?);
        let extents: Vec<usize> = shape
            .iter()
            .filter(|extent| extent.fract() == 0.0 && (1.0..=largest as f64).contains(*extent))
            .map(|&extent| extent as usize)
            .collect();
        let scales = mean.len() == channels && std.len() == channels && std.iter().all(|&std| std > 0.0);
        match *extents.as_slice() {
            [found, height, width] if found == channels && shape.len() == 3 && scales => {
                Self::new([channels, height, width], white, &mean, &std)
            }
            _ => Err(file.wrong("the shape, mean and deviation of its pictures do not fit each other").into()),
        }
    }

    /// The shape of an example, `[channels, height, width]`.
    pub const fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Examples that are evaluated at a time: 512 small ones, fewer in proportion as they are larger.
    pub fn evaluation_batch(&self) -> usize {
        (512 * 1024 / (self.height * self.width).max(1)).clamp(1, 512)
    }

    /// A batch as `[n, channels, height, width]`.
    pub fn with_channels(&self, x: &Tensor) -> Tensor {
        let examples = x.shape().first().copied().unwrap_or(1);
        x.reshape([examples, self.channels, self.height, self.width])
    }

    /// A batch of bytes as floats, `[n, channels, height, width]`, white is 1.
    pub fn pixels(&self, x: &Tensor) -> Tensor {
        self.with_channels(x).cast(DType::F32) * (1.0 / self.white)
    }

    /// Minus the mean, over the standard deviation.
    pub fn standardized(&self, pixels: &Tensor) -> Tensor {
        let g = pixels.graph();
        (pixels - &g.constant(self.mean.clone())) * &g.constant(self.factor.clone())
    }

    /// Both.
    pub fn prepare(&self) -> Prepare {
        let picture = self.clone();
        Arc::new(move |x: &Tensor, _: Mode| picture.standardized(&picture.pixels(x)))
    }

    /// One example's bytes as a picture to be shown.
    pub fn show(&self, example: &[u8]) -> Result<Pixels> {
        let plane = self.height * self.width;
        if example.len() != self.channels * plane || self.white <= 0.0 {
            return Err(Failure::new("an example is no picture of its data set's size"));
        }
        let level = |channel: usize, index: usize| {
            let byte = example.get(channel.min(self.channels - 1) * plane + index).copied().unwrap_or_default();
            (f64::from(byte) * 255.0 / self.white).round().clamp(0.0, 255.0) as u8
        };
        Ok(Pixels::from_fn(self.width as u32, self.height as u32, |x, y| {
            let index = y as usize * self.width + x as usize;
            [level(0, index), level(1, index), level(2, index)]
        }))
    }
}
