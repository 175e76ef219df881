//! Convolutional models for pictures of any size: the textbook one, and a small residual network.

use std::sync::Arc;

use wgrad::graph::Tensor;
use wgrad::nn::{Augment, Mode, Sequential};

use super::demo::{Data, Defaults, ModelChoice, Prepare};

const ABOUT_CNN: &str = "conv 3x3 32 relu, pool, conv 3x3 64 relu, pool, 128 relu, one output a class";
const ABOUT_RESNET: &str = "conv 16, residual blocks of 16, 32 and 64 with batch norm, global average pool, dense";

/// The textbook model on a demo's pictures as they are.
pub const fn textbook(defaults: Defaults) -> ModelChoice {
    ModelChoice { defaults: Some(defaults), prepare: Some(with_channels), ..ModelChoice::new(&["cnn"], ABOUT_CNN, cnn) }
}

/// The residual one on pictures that training moves a little.
pub const fn residual(defaults: Defaults) -> ModelChoice {
    ModelChoice {
        defaults: Some(defaults),
        prepare: Some(shifted),
        ..ModelChoice::new(&["resnet"], ABOUT_RESNET, resnet)
    }
}

/// The same with what training does to photographs: moved a little, and every other one mirrored.
pub const fn for_photographs(model: ModelChoice) -> ModelChoice {
    ModelChoice { prepare: Some(mirrored), ..model }
}

/// Two convolutions with pooling, then two dense layers.
fn cnn(data: &Data) -> Sequential {
    Sequential::new(shape(data))
        .conv2d(32, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .padding(1)
        .relu()
        .max_pool2d(2)
        .flatten()
        .dense(128)
        .relu()
        .dense(data.task.outputs())
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

fn shape(data: &Data) -> [usize; 3] {
    data.picture.as_ref().map_or([0; 3], |picture| picture.shape())
}

/// What the data says, with the axes that a convolution wants.
fn with_channels(data: &Data) -> Option<Prepare> {
    let picture = data.picture.clone()?;
    let before = data.prepare.clone()?;
    Some(Arc::new(move |x: &Tensor, mode: Mode| picture.with_channels(&before(x, mode))))
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
