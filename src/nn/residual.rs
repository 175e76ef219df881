//! Residual blocks: layers whose result is added to what went in.

use super::{Layer, Scope, Sequential};
use crate::graph::Tensor;
use crate::tensor::{DType, Shape};

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
}

impl Layer for Residual {
    fn describe(&self) -> String {
        "residual".into()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let mut shapes = Vec::new();
        for (name, branch) in self.parts() {
            if branch.input_shape() != input {
                return Err(format!("the {name} is for {}, but comes after {input}", branch.input_shape()));
            }
            shapes.push(Layer::output_shape(branch, input).map_err(|message| format!("in the {name}, {message}"))?);
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

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        let block = scope.apply("block", &self.block, x);
        match &self.shortcut {
            Some(shortcut) => block + scope.apply("shortcut", shortcut, x),
            None => block + x,
        }
    }

    fn input_dtype(&self) -> DType {
        self.block.input_dtype()
    }

    fn parts(&self) -> Vec<(&'static str, &Sequential)> {
        std::iter::once(("block", &self.block)).chain(self.shortcut.iter().map(|branch| ("shortcut", branch))).collect()
    }
}

impl Sequential {
    /// Layers whose result is added to the input. The closure gets an empty model for the shape so far.
    #[must_use]
    #[track_caller]
    pub fn residual(self, block: impl FnOnce(Self) -> Self) -> Self {
        let block = block(Self::new(self.shape_so_far()));
        self.layer(Residual::new(block, None))
    }

    /// Layers whose result is added to that of others, as where the shape changes. The closures get empty models for the shape so
    /// far.
    #[must_use]
    #[track_caller]
    pub fn residual_with(self, block: impl FnOnce(Self) -> Self, shortcut: impl FnOnce(Self) -> Self) -> Self {
        let shape = self.shape_so_far();
        let residual = Residual::new(block(Self::new(&shape)), Some(shortcut(Self::new(&shape))));
        self.layer(residual)
    }

    /// The shape up to the first layer that does not fit, which is reported before anything behind it.
    fn shape_so_far(&self) -> Shape {
        self.shapes().0.pop().unwrap_or_else(|| self.input_shape().clone())
    }
}
