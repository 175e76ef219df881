//! The textbook convolutional model, for pictures of any size.

use std::sync::Arc;

use wgrad::graph::Tensor;
use wgrad::nn::{Mode, Sequential};

use super::demo::{Data, Defaults, ModelChoice, Prepare};

const ABOUT: &str = "conv 3x3 32 relu, pool, conv 3x3 64 relu, pool, 128 relu, one output a class";

/// The textbook model on a demo's pictures as they are.
pub const fn textbook(defaults: Defaults) -> ModelChoice {
    ModelChoice { defaults: Some(defaults), prepare: Some(with_channels), ..ModelChoice::new(&["cnn"], ABOUT, cnn) }
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

/// `[channels, height, width]` of an example.
pub fn shape(data: &Data) -> [usize; 3] {
    data.picture.as_ref().map_or([0; 3], |picture| picture.shape())
}

/// What the data says, with the axes that a convolution wants.
fn with_channels(data: &Data) -> Option<Prepare> {
    let picture = data.picture.clone()?;
    let before = data.prepare.clone()?;
    Some(Arc::new(move |x: &Tensor, mode: Mode| picture.with_channels(&before(x, mode))))
}
