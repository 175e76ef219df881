//! Residual networks for images (He et al. 2015).

use crate::graph::{Graph, Tensor};
use crate::nn::{BatchNorm, Conv, Dense, Mode};
use crate::ops::{ConvOptions, MaxPool};

/// A channel's factor from the middle of a block to its end.
const EXPANSION: usize = 4;

/// A classifier of images whose blocks have convolutions of 1×1, 3×3 and 1×1, with the stride in the middle one, as torchvision has it;
/// parameters and buffers have its names, `layer1.0.conv1.weight`.
///
/// ```
/// use wgrad::bench::ResNet;
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let logits = ResNet::RESNET50.logits(&g, &g.input("images", [4, 3, 224, 224], F32), Mode::Training);
/// assert_eq!(logits.shape(), [4, 1000].into());
/// let count: usize = g.parameters().iter().map(|(_, parameter)| parameter.shape().len()).sum();
/// assert_eq!(count, 25_557_032);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNet {
    /// Blocks of each of the four stages, of which the later three halve the extents.
    pub blocks: [usize; 4],
    /// Channels of the first stage's inner convolutions; each stage has twice as many as the one before.
    pub width: usize,
    /// The number of classes.
    pub classes: usize,
}

impl ResNet {
    /// The one of 50 layers, for ImageNet.
    pub const RESNET50: Self = Self { blocks: [3, 4, 6, 3], width: 64, classes: 1000 };

    /// The logits, `[batch, classes]`, of images `[batch, 3, height, width]`.
    #[track_caller]
    pub fn logits(&self, g: &Graph, images: &Tensor, mode: Mode) -> Tensor {
        let part = Part { g, mode };
        let x = part.convolution(["conv1", "bn1"], images, self.width, [7, 2]).relu();
        let mut x = x.max_pool(&MaxPool::new(3).stride(2).padding(1));
        for (stage, &blocks) in self.blocks.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = part.block(&format!("layer{}.{block}", stage + 1), &x, self.width << stage, stride);
            }
        }
        Dense::new(self.classes).build(g, "fc", EXPANSION * (self.width << 3)).forward(&x.global_avg_pool())
    }
}

/// What all parts of a model share.
struct Part<'a> {
    g: &'a Graph,
    mode: Mode,
}

impl Part<'_> {
    /// Three convolutions beside the identity, or beside a convolution where the shape changes.
    #[track_caller]
    fn block(&self, name: &str, x: &Tensor, channels: usize, stride: usize) -> Tensor {
        let step = |number: usize, x: &Tensor, channels: usize, sizes: [usize; 2]| {
            let names = [format!("{name}.conv{number}"), format!("{name}.bn{number}")];
            self.convolution([&names[0], &names[1]], x, channels, sizes)
        };
        let y = step(1, x, channels, [1, 1]).relu();
        let y = step(2, &y, channels, [3, stride]).relu();
        let y = step(3, &y, EXPANSION * channels, [1, 1]);
        if stride == 1 && x.shape()[1] == EXPANSION * channels {
            return (y + x).relu();
        }
        let names = [0, 1].map(|index| format!("{name}.downsample.{index}"));
        let shortcut = self.convolution([&names[0], &names[1]], x, EXPANSION * channels, [1, stride]);
        (y + shortcut).relu()
    }

    /// A convolution without a bias, of a kernel and a stride, with as much padding as keeps the extents, and its normalisation.
    #[track_caller]
    fn convolution(&self, names: [&str; 2], x: &Tensor, channels: usize, [kernel, stride]: [usize; 2]) -> Tensor {
        let options = ConvOptions::new().stride(stride).padding(kernel / 2);
        let convolution = Conv::new(2, channels, kernel, options).without_bias().build(self.g, names[0], x.shape()[1]);
        BatchNorm::new(self.g, names[1], channels).forward(&convolution.forward(x), self.mode)
    }
}
