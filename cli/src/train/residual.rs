//! A small residual network for pictures of any size, and what its training does to them.

use std::sync::Arc;

use wgrad::graph::Tensor;
use wgrad::nn::{Augment, Mode, Sequential};

use super::convolutional::shape;
use super::demo::{Data, Defaults, ModelChoice, Prepare};

const ABOUT: &str = "conv 16, residual blocks of 16, 32 and 64 with batch norm, global average pool, dense";

/// The network, on pictures that training moves a little.
pub const fn network(defaults: Defaults) -> ModelChoice {
    ModelChoice { defaults: Some(defaults), prepare: Some(shifted), ..ModelChoice::new(&["resnet"], ABOUT, resnet) }
}

/// The same with what training does to photographs: moved a little, and every other one mirrored.
pub const fn for_photographs(model: ModelChoice) -> ModelChoice {
    ModelChoice { prepare: Some(mirrored), ..model }
}

/// The family of He et al., "Deep Residual Learning for Image Recognition" (2015), section 4.2, with one block a stage.
fn resnet(data: &Data) -> Sequential {
    let first = Sequential::new(shape(data)).conv2d(16, 3).padding(1).without_bias().batch_norm().relu();
    let same = first.residual(|block| convolutions(block, 16, 1)).relu();
    let halved = [32, 64].into_iter().fold(same, |model, channels| {
        model
            .residual_with(
                |block| convolutions(block, channels, 2),
                |shortcut| shortcut.conv2d(channels, 1).stride(2).without_bias().batch_norm(),
            )
            .relu()
    });
    halved.global_avg_pool().dense(data.task.outputs())
}

/// What a residual block adds: two convolutions, of which the first may halve the picture.
fn convolutions(block: Sequential, channels: usize, stride: usize) -> Sequential {
    let first = block.conv2d(channels, 3).stride(stride).padding(1).without_bias().batch_norm().relu();
    first.conv2d(channels, 3).padding(1).without_bias().batch_norm()
}

fn shifted(data: &Data) -> Option<Prepare> {
    augmented(data, |augment| augment)
}

fn mirrored(data: &Data) -> Option<Prepare> {
    augmented(data, |augment| augment.flip_horizontal(0.5))
}

/// Cuts from pictures with an eighth of black around, and whatever else is wanted, before they are standardized.
fn augmented(data: &Data, more: fn(Augment) -> Augment) -> Option<Prepare> {
    let picture = data.picture.clone()?;
    let reach = (picture.width.min(picture.height) / 8).max(1);
    let augment = more(Augment::new()).crop(reach);
    Some(Arc::new(move |x: &Tensor, mode: Mode| picture.standardized(&augment.apply(&picture.pixels(x), mode))))
}
