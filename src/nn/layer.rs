//! What a layer is: everything that a [`Sequential`](super::Sequential) asks of one. The layers of this crate implement the same
//! trait as those of others, each in its own file.

use std::any::Any;
use std::fmt;

use super::{Initializer, Scope, Sequential};
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{Padding, Sizes};
use crate::tensor::{DType, Shape, TensorData};

/// A layer as data: it knows its shapes before there is a graph, and writes itself into one. Shapes are those of one example,
/// without the batch.
///
/// One of your own:
///
/// ```
/// use wgrad::nn::{Dense, Layer, Scope};
/// use wgrad::prelude::*;
///
/// /// t·h + (1 − t)·x with h = relu(W·x + b) and a gate t = σ(V·x + c) that begins nearly closed (Srivastava et al. 2015).
/// #[derive(Clone, Debug)]
/// struct Highway;
///
/// impl Layer for Highway {
///     fn describe(&self) -> String {
///         "highway".into()
///     }
///
///     fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, String> {
///         input.last().map(|_| input.clone()).ok_or("takes examples of one dimension or more".into())
///     }
///
///     fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
///         let width = x.shape().last().copied().unwrap_or(0);
///         let gate = Dense::new(width).bias_initializer(Initializer::Constant(-2.0));
///         let gate = scope.apply("gate", &gate, x).sigmoid();
///         let hidden = scope.apply("hidden", &Dense::new(width), x).relu();
///         x + &(&gate * &(hidden - x))
///     }
/// }
///
/// let model = Sequential::new([16]).layer(Highway).dense(1);
/// assert_eq!(model.parameter_count()?, 2 * (16 * 16 + 16) + 17);
/// let g = Graph::new();
/// let y = model.forward(&g, &g.input("x", [8, 16], F32), Mode::Training);
/// assert_eq!((y.shape(), g.parameters()[0].0.as_str()), ([8, 1].into(), "0.gate.weight"));
/// # Ok::<(), Error>(())
/// ```
///
/// It makes its variables through the [`Scope`]. Two layers count as the same where their [`fmt::Debug`] says the same.
pub trait Layer: CloneLayer + Any + fmt::Debug + Send + Sync {
    /// What it is, with its sizes, as in summaries and messages: `dense(64)`.
    fn describe(&self) -> String;

    /// The output shape for an example of shape `input`.
    ///
    /// # Errors
    /// A message for the user where the shape does not fit, or a number in the layer is out of range; the [`Sequential`] adds the
    /// layer and the line that added it.
    fn output_shape(&self, input: &Shape) -> Result<Shape, String>;

    /// Applied to a batch, `[batch, input…]`, of examples that [`output_shape`](Self::output_shape) has passed.
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor;

    /// Number of trainable values in the parameters that [`forward`](Self::forward) makes for examples of shape `input`.
    fn parameter_count(&self, input: &Shape) -> usize {
        let batch: Shape = std::iter::once(2).chain(input.iter().copied()).collect();
        Scope::count_parameters(batch, self.input_dtype(), |scope, x| drop(self.forward(scope, x)))
    }

    /// The type of the batches that it takes.
    fn input_dtype(&self) -> DType {
        DType::F32
    }

    /// Checks the values of a batch, where a model begins with this layer: programs do not look at them.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) that names the first such value.
    fn check_input(&self, x: &TensorData) -> Result<()> {
        let _ = x;
        Ok(())
    }

    /// The models inside, by the names under which [`forward`](Self::forward) applies them: summaries list their layers, and
    /// mistakes name the lines that added those.
    fn parts(&self) -> Vec<(&'static str, &Sequential)> {
        Vec::new()
    }

    /// Applies a setting that a method of [`Sequential`] gives to the layer just added; false where the layer has no such option.
    fn set(&mut self, setting: &Setting) -> bool {
        let _ = setting;
        false
    }
}

/// An option that layers of several kinds have, and that methods of a [`Sequential`] change in the layer before them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Setting {
    /// [`Sequential::initializer`]: first values of the weight.
    Initializer(Initializer),
    /// [`Sequential::bias_initializer`]: first values of the bias.
    BiasInitializer(Initializer),
    /// [`Sequential::without_bias`].
    WithoutBias,
    /// [`Sequential::stride`].
    Stride(Sizes),
    /// [`Sequential::padding`].
    Padding(Padding),
    /// [`Sequential::dilation`].
    Dilation(Sizes),
}

/// What makes boxed layers `Clone`: every layer that is `Clone` has it.
#[diagnostic::on_unimplemented(
    message = "the layer `{Self}` cannot be cloned",
    label = "a layer must be `Clone`: add `#[derive(Clone)]`"
)]
pub trait CloneLayer {
    /// A copy in a box.
    fn clone_layer(&self) -> Box<dyn Layer>;
}

impl<L: Layer + Clone> CloneLayer for L {
    fn clone_layer(&self) -> Box<dyn Layer> {
        Box::new(self.clone())
    }
}

impl dyn Layer {
    /// The layer as what it is, if it is that.
    ///
    /// ```
    /// use wgrad::nn::{Dense, Sequential};
    /// let model = Sequential::new([3]).dense(4).relu();
    /// assert_eq!(model.layers()[0].downcast_ref::<Dense>().map(|dense| dense.units), Some(4));
    /// assert!(model.layers()[1].downcast_ref::<Dense>().is_none());
    /// ```
    pub fn downcast_ref<L: Layer>(&self) -> Option<&L> {
        (self as &dyn Any).downcast_ref()
    }

    /// The same, to change it.
    pub fn downcast_mut<L: Layer>(&mut self) -> Option<&mut L> {
        (self as &mut dyn Any).downcast_mut()
    }
}

impl fmt::Display for dyn Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.describe())
    }
}

impl Clone for Box<dyn Layer> {
    fn clone(&self) -> Self {
        (**self).clone_layer()
    }
}

/// A box is the layer in it.
impl Layer for Box<dyn Layer> {
    fn describe(&self) -> String {
        (**self).describe()
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        (**self).output_shape(input)
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        (**self).forward(scope, x)
    }

    fn parameter_count(&self, input: &Shape) -> usize {
        (**self).parameter_count(input)
    }

    fn input_dtype(&self) -> DType {
        (**self).input_dtype()
    }

    fn check_input(&self, x: &TensorData) -> Result<()> {
        (**self).check_input(x)
    }

    fn parts(&self) -> Vec<(&'static str, &Sequential)> {
        (**self).parts()
    }

    fn set(&mut self, setting: &Setting) -> bool {
        (**self).set(setting)
    }
}

/// The layer in a box, which is not boxed again where it is one already.
pub(super) fn boxed(layer: impl Layer) -> Box<dyn Layer> {
    let layer: Box<dyn Layer> = Box::new(layer);
    match layer.downcast_ref::<Box<dyn Layer>>() {
        Some(inner) => inner.clone(),
        None => layer,
    }
}
