//! Residual blocks: layers whose result is added to what went in.

use std::fmt;

use super::{Layer, Mode, Model, Sequential};
use crate::error::Origin;
use crate::graph::{Graph, Tensor};
use crate::tensor::Shape;

/// `y = block(x) + shortcut(x)`, where the shortcut is the identity if there is none (He et al. 2015).
///
/// As layer 3 of a [`Sequential`], its parameters are called `3.block.0.weight` and `3.shortcut.0.weight`.
///
/// ```
/// use wgrad::nn::Sequential;
/// let model = Sequential::new([16])
///     .residual(|block| block.dense(16).batch_norm().relu().dense(16))
///     .relu()
///     .residual_with(|block| block.dense(8).relu(), |shortcut| shortcut.dense(8));
/// assert_eq!(model.output_shape()?, [8].into());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    block: Sequential,
    shortcut: Option<Sequential>,
}

impl Residual {
    /// Of layers, and of those of the shortcut around them. Both are for the shape of the examples that the layer meets.
    pub const fn new(block: Sequential, shortcut: Option<Sequential>) -> Self {
        Self { block, shortcut }
    }

    /// The layers.
    pub const fn block(&self) -> &Sequential {
        &self.block
    }

    /// The layers of the shortcut; `None` for the identity.
    pub const fn shortcut(&self) -> Option<&Sequential> {
        self.shortcut.as_ref()
    }

    fn branches(&self) -> impl Iterator<Item = (&'static str, &Sequential)> {
        std::iter::once(("block", &self.block)).chain(self.shortcut.iter().map(|branch| ("shortcut", branch)))
    }

    /// The output shape.
    pub(super) fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let mut shapes = Vec::new();
        for (name, branch) in self.branches() {
            if branch.input_shape() != input {
                return Err(format!("the {name} is for {}, but comes after {input}", branch.input_shape()));
            }
            let (mut found, mistake) = branch.shapes();
            if let Some(message) = mistake {
                return Err(format!("in the {name}, {message}"));
            }
            shapes.push(found.pop().unwrap_or_else(|| input.clone()));
        }
        let block = shapes.swap_remove(0);
        let around = shapes.pop().unwrap_or_else(|| input.clone());
        if block == around {
            return Ok(block);
        }
        let advice = if self.shortcut.is_some() {
            "let both make the same"
        } else {
            "give it a shortcut of layers that make the same (residual_with)"
        };
        Err(format!("the block makes {block} of {input}, and the shortcut {around}; {advice}"))
    }

    /// The line of the first layer within that does not fit.
    pub(super) fn origin_of_mistake(&self) -> Option<Origin> {
        self.branches().find_map(|(_, branch)| match branch.shapes() {
            (shapes, Some(_)) => branch.origin_of_mistake(shapes.len()),
            (_, None) => None,
        })
    }

    pub(super) fn parameter_count(&self) -> usize {
        self.branches().map(|(_, branch)| branch.parameter_count().unwrap_or(0)).sum()
    }

    /// The lines of a summary for what is inside.
    pub(super) fn numbered_rows(&self, number: &str) -> Vec<(String, String, Shape, usize)> {
        self.branches().flat_map(|(name, branch)| branch.numbered_rows(&format!("{number}.{name}."))).collect()
    }

    /// Applied to a batch; parameters are called `name.block.0.weight` and so on.
    #[track_caller]
    pub(super) fn forward(&self, g: &Graph, name: &str, x: &Tensor, mode: Mode) -> Tensor {
        let block = self.block.clone().named(format!("{name}.block")).forward(g, x, mode);
        match &self.shortcut {
            Some(shortcut) => block + shortcut.clone().named(format!("{name}.shortcut")).forward(g, x, mode),
            None => block + x,
        }
    }
}

impl fmt::Display for Residual {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("residual")
    }
}

impl Sequential {
    /// Layers whose result is added to the input. The closure gets an empty model for the shape so far.
    #[must_use]
    #[track_caller]
    pub fn residual(self, block: impl FnOnce(Self) -> Self) -> Self {
        let block = block(Self::new(self.shape_so_far()));
        self.layer(Layer::Residual(Box::new(Residual::new(block, None))))
    }

    /// Layers whose result is added to that of others, as where the shape changes. The closures get empty models for the shape so
    /// far.
    #[must_use]
    #[track_caller]
    pub fn residual_with(self, block: impl FnOnce(Self) -> Self, shortcut: impl FnOnce(Self) -> Self) -> Self {
        let shape = self.shape_so_far();
        let residual = Residual::new(block(Self::new(&shape)), Some(shortcut(Self::new(&shape))));
        self.layer(Layer::Residual(Box::new(residual)))
    }

    /// The shape up to the first layer that does not fit, which is reported before anything behind it.
    fn shape_so_far(&self) -> Shape {
        self.shapes().0.pop().unwrap_or_else(|| self.input_shape().clone())
    }
}
