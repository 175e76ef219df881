//! A model that is a list of layers.

use std::fmt::{self, Write};

use super::layer::boxed;
use super::{Initializer, Layer, Mode, Model, Scope, Setting};
use crate::error::{Error, Origin, Result};
use crate::graph::{Graph, Tensor};
use crate::ops::{Padding, Sizes};
use crate::tensor::{DType, Shape, TensorData, no_batch_axis};

/// Layers one after another, as plain data: nothing is computed or allocated until [`forward`](Model::forward) writes them
/// into a graph. Parameters are called as in PyTorch's `nn.Sequential`, by the layer's number: `0.weight`, `2.bias`.
///
/// ```
/// use wgrad::nn::{Initializer, Sequential};
/// let model = Sequential::new([100])
///     .dense(64).initializer(Initializer::HeUniform).relu()
///     .dense(32).relu().dropout(0.2)
///     .dense(1).sigmoid();
/// assert_eq!(model.output_shape()?, [1].into());
/// assert_eq!(model.parameter_count()?, 8_577);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Sequential {
    input: Shape,
    layers: Vec<Box<dyn Layer>>,
    /// The user's line that added each.
    origins: Vec<Origin>,
    name: String,
    /// The first call that made no sense, as in `initializer` before any layer, and its line.
    mistake: Option<(String, Origin)>,
}

/// All but the lines that added the layers.
impl fmt::Debug for Sequential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sequential")
            .field("input", &self.input)
            .field("layers", &self.layers)
            .field("name", &self.name)
            .field("mistake", &self.mistake.as_ref().map(|(message, _)| message))
            .finish()
    }
}

/// The same layers under the same name, wherever in the source they were added.
impl PartialEq for Sequential {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl Sequential {
    /// A model without layers yet, for inputs of a shape without the batch axis.
    pub fn new(input: impl Into<Shape>) -> Self {
        Self { input: input.into(), layers: Vec::new(), origins: Vec::new(), name: String::new(), mistake: None }
    }

    /// With a name that is put before those of the parameters: `encoder.0.weight`. Two models in one graph need one.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// One layer more: one of this crate, or one of your own.
    ///
    /// ```
    /// use wgrad::nn::{BatchNormalization, Sequential};
    /// let model = Sequential::new([16]).dense(8).layer(BatchNormalization::new().momentum(0.01)).relu();
    /// assert_eq!(model.parameter_count()?, 16 * 8 + 8 + 2 * 8);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.push(boxed(layer));
        self.origins.push(Origin::caller());
        self
    }

    /// First values of the weight of the layer just added, which must have one.
    #[must_use]
    #[track_caller]
    pub fn initializer(self, initializer: Initializer) -> Self {
        self.set("initializer", "layers with a weight", &Setting::Initializer(initializer))
    }

    /// First values of the bias of the layer just added, which must have one.
    #[must_use]
    #[track_caller]
    pub fn bias_initializer(self, initializer: Initializer) -> Self {
        self.set("bias_initializer", "layers with a bias", &Setting::BiasInitializer(initializer))
    }

    /// No bias for the layer just added.
    #[must_use]
    #[track_caller]
    pub fn without_bias(self) -> Self {
        self.set("without_bias", "layers with a bias", &Setting::WithoutBias)
    }

    /// Elements from one window to the next, of the convolution or pool just added.
    ///
    /// ```
    /// use wgrad::nn::Sequential;
    /// let model = Sequential::new([3, 32, 32]).conv2d(16, 3).stride(2).padding(1).relu().flatten().dense(10);
    /// assert_eq!(model.output_shape()?, [10].into());
    /// assert_eq!(model.parameter_count()?, 16 * 28 + 10 * (16 * 16 * 16 + 1));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn stride(self, stride: impl Into<Sizes>) -> Self {
        self.set("stride", "a convolution or pool", &Setting::Stride(stride.into()))
    }

    /// How far windows reach beyond the edges, of the convolution or pool just added: a number, one for each axis, pairs, or
    /// [`Padding::Same`].
    #[must_use]
    #[track_caller]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        self.set("padding", "a convolution or pool", &Setting::Padding(padding.into()))
    }

    /// Elements from one position of the kernel to the next, of the convolution or pool just added.
    #[must_use]
    #[track_caller]
    pub fn dilation(self, dilation: impl Into<Sizes>) -> Self {
        self.set("dilation", "a convolution or pool", &Setting::Dilation(dilation.into()))
    }

    /// What layers of several kinds have.
    #[track_caller]
    fn set(self, call: &str, what: &str, setting: &Setting) -> Self {
        self.change(call, what, |layer| layer.set(setting))
    }

    /// Changes the layer just added, for builder methods of one kind of layer. Where that is another kind, or `change` returns false,
    /// a mistake says what the call is for.
    ///
    /// ```
    /// use wgrad::nn::{Dropout, Sequential};
    ///
    /// trait HalfDropout {
    ///     fn halved(self) -> Self;
    /// }
    ///
    /// impl HalfDropout for Sequential {
    ///     #[track_caller]
    ///     fn halved(self) -> Self {
    ///         self.modify("halved", "a dropout", |dropout: &mut Dropout| {
    ///             dropout.probability *= 0.5;
    ///             true
    ///         })
    ///     }
    /// }
    ///
    /// assert!(Sequential::new([4]).dropout(0.5).halved().summary().contains("dropout(0.25)"));
    /// let mistake = Sequential::new([4]).relu().halved().output_shape().unwrap_err();
    /// assert!(mistake.to_string().starts_with("sequential: halved is for a dropout, but it follows relu"));
    /// ```
    #[must_use]
    #[track_caller]
    pub fn modify<L: Layer>(self, call: &str, what: &str, change: impl FnOnce(&mut L) -> bool) -> Self {
        self.change(call, what, |layer| layer.downcast_mut().is_some_and(change))
    }

    #[track_caller]
    fn change(mut self, call: &str, what: &str, change: impl FnOnce(&mut dyn Layer) -> bool) -> Self {
        if !self.layers.last_mut().is_some_and(|layer| change(&mut **layer)) {
            let before = self.layers.last().map_or("nothing".to_owned(), |layer| layer.describe());
            let origin = Origin::caller();
            self.mistake.get_or_insert((format!("{call} is for {what}, but it follows {before}"), origin));
        }
        self
    }

    /// The layers.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// The shape of an input, without the batch.
    pub const fn input_shape(&self) -> &Shape {
        &self.input
    }

    /// The output shape, without the batch.
    ///
    /// # Errors
    /// [`Error::Graph`] that names the layer that does not fit, and the line that added it.
    pub fn output_shape(&self) -> Result<Shape> {
        match self.shapes() {
            (mut shapes, None) => Ok(shapes.pop().unwrap_or_else(|| self.input.clone())),
            (shapes, Some(message)) => Err(match self.origin_of_mistake(shapes.len()) {
                Some(origin) => Error::graph("sequential", message, origin),
                None => Error::Argument(message),
            }),
        }
    }

    /// Number of trainable values.
    ///
    /// # Errors
    /// As [`output_shape`](Self::output_shape).
    pub fn parameter_count(&self) -> Result<usize> {
        self.output_shape()?;
        Ok(self.numbered_rows("").iter().map(|(.., count)| count).sum())
    }

    /// The shape after each layer, up to the first that does not fit, and what is wrong with that.
    pub(super) fn shapes(&self) -> (Vec<Shape>, Option<String>) {
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.layers.len());
        if self.mistake.is_some() {
            return (shapes, self.mistake.as_ref().map(|(message, _)| message.clone()));
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let before = shapes.last().unwrap_or(&self.input);
            match layer.output_shape(before) {
                Ok(shape) => shapes.push(shape),
                Err(message) => return (shapes, Some(format!("layer {index}, {}: {message}", layer.describe()))),
            }
        }
        (shapes, None)
    }

    /// The line of what [`shapes`](Self::shapes) found wrong after `layers` layers.
    pub(super) fn origin_of_mistake(&self, layers: usize) -> Option<Origin> {
        if let Some((_, origin)) = self.mistake {
            return Some(origin);
        }
        let parts = self.layers.get(layers).map(|layer| layer.parts()).unwrap_or_default();
        let within = parts.into_iter().find_map(|(_, part)| match part.shapes() {
            (shapes, Some(_)) => part.origin_of_mistake(shapes.len()),
            (_, None) => None,
        });
        within.or_else(|| self.origins.get(layers).copied())
    }

    /// Number (after a prefix), layer, output shape and number of parameters of each layer up to the first that does not fit. The
    /// layers of its parts follow a layer, and have their parameters.
    fn numbered_rows(&self, prefix: &str) -> Vec<(String, String, Shape, usize)> {
        let (shapes, _) = self.shapes();
        let inputs = std::iter::once(&self.input).chain(&shapes);
        let mut rows = Vec::new();
        for (index, ((layer, shape), input)) in self.layers.iter().zip(&shapes).zip(inputs).enumerate() {
            let number = format!("{prefix}{index}");
            let within: Vec<_> = layer
                .parts()
                .into_iter()
                .flat_map(|(name, part)| part.numbered_rows(&format!("{number}.{name}.")))
                .collect();
            let of_parts: usize = within.iter().map(|(.., count)| count).sum();
            let own = layer.parameter_count(input).saturating_sub(of_parts);
            rows.push((number, layer.describe(), shape.clone(), own));
            rows.extend(within);
        }
        rows
    }

    /// A table of the layers, their output shapes without the batch, and their parameters.
    ///
    /// ```
    /// let model = wgrad::nn::Sequential::new([8, 8]).flatten().dense(32).relu().dense(10);
    /// let table = "
    ///      layer      output  parameters
    ///      input      [8, 8]           0
    ///   0  flatten    [64]             0
    ///   1  dense(32)  [32]         2,080
    ///   2  relu       [32]             0
    ///   3  dense(10)  [10]           330
    ///      total                   2,410
    /// ";
    /// assert_eq!(model.summary(), table[1..]);
    /// ```
    pub fn summary(&self) -> String {
        let rows = self.numbered_rows("");
        let mut lines = vec![
            (String::new(), "layer".to_owned(), "output".to_owned(), "parameters".to_owned()),
            (String::new(), "input".to_owned(), self.input.to_string(), "0".to_owned()),
        ];
        for (index, layer, shape, count) in &rows {
            lines.push((index.clone(), layer.clone(), shape.to_string(), grouped(*count)));
        }
        let total: usize = rows.iter().map(|(.., count)| count).sum();
        lines.push((String::new(), "total".to_owned(), String::new(), grouped(total)));
        let width = |cell: fn(&(String, String, String, String)) -> &str| {
            lines.iter().map(|line| cell(line).chars().count()).max().unwrap_or(0)
        };
        let widths = [width(|line| &line.0), width(|line| &line.1), width(|line| &line.2), width(|line| &line.3)];
        let mut text = String::new();
        for (index, layer, shape, count) in &lines {
            let [first, second, third, fourth] = widths;
            let _ = writeln!(
                text,
                "{index:>width$}  {layer:<second$}  {shape:<third$}  {count:>fourth$}",
                width = first.max(3)
            );
        }
        if let (_, Some(message)) = self.shapes() {
            let _ = writeln!(text, "{message}");
        }
        text
    }
}

/// Digits in groups of three.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let lead = digits.len() % 3;
    digits.char_indices().fold(String::new(), |mut text, (position, digit)| {
        if position > 0 && position % 3 == lead {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

impl Sequential {
    /// The prediction for a batch, as [`Model::forward`].
    #[track_caller]
    pub fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        self.apply(g, &self.name, x, mode)
    }

    /// The layers applied to a batch; what their variables are called begins with a name.
    #[track_caller]
    fn apply(&self, g: &Graph, name: &str, x: &Tensor, mode: Mode) -> Tensor {
        if let (shapes, Some(message)) = self.shapes() {
            return match self.origin_of_mistake(shapes.len()) {
                Some(origin) => g.at(origin, || g.mistake("sequential", message)),
                None => g.mistake("sequential", message),
            };
        }
        if g.error().is_none() && x.shape().get(1..) != Some(self.input.dims()) {
            let message = if x.shape() == self.input {
                let extents = self.input.iter().map(|extent| format!(", {extent}")).collect::<String>();
                no_batch_axis(&format!("[batch{extents}]"), &x.shape(), 0)
            } else {
                format!("takes a batch of {}, but its input is {}", self.input, x.shape())
            };
            return g.mistake("sequential", message);
        }
        let mut value = x.clone();
        for (index, (layer, origin)) in self.layers.iter().zip(&self.origins).enumerate() {
            let name = if name.is_empty() { index.to_string() } else { format!("{name}.{index}") };
            let origin = origin.in_layer(&format!("{name}.{}", layer.describe()));
            let scope = Scope::new(g, name, mode);
            value = g.at_layer(origin, || layer.forward(&scope, &value));
        }
        value
    }
}

impl Model for Sequential {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        self.apply(g, &self.name, x, mode)
    }

    /// As the first layer says.
    fn check_input(&self, x: &TensorData) -> Result<()> {
        self.layers.first().map_or(Ok(()), |layer| layer.check_input(x))
    }
}

/// A model in another, for examples of its input shape. Its name is that of the layer.
impl Layer for Sequential {
    fn describe(&self) -> String {
        "sequential".into()
    }

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, String> {
        if self.input != *input {
            return Err(format!("is for {}, but comes after {input}", self.input));
        }
        match self.shapes() {
            (mut shapes, None) => Ok(shapes.pop().unwrap_or_else(|| input.clone())),
            (_, Some(message)) => Err(message),
        }
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        self.apply(scope.graph(), scope.name(), x, scope.mode())
    }

    fn input_dtype(&self) -> DType {
        self.layers.first().map_or(DType::F32, |layer| layer.input_dtype())
    }

    fn check_input(&self, x: &TensorData) -> Result<()> {
        Model::check_input(self, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Activation;

    fn forward(model: &Sequential, dims: &[usize]) -> (Graph, Tensor) {
        let g = Graph::new();
        let x = g.input("x", dims, DType::F32);
        let y = model.forward(&g, &x, Mode::Training);
        (g, y)
    }

    fn message(g: &Graph) -> String {
        g.error().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn parameters_are_named_and_ordered_as_in_torch() {
        let model = Sequential::new([4, 6]).flatten().dense(5).relu().dense(3).without_bias().softmax();
        let (g, y) = forward(&model, &[7, 4, 6]);
        assert_eq!((y.shape(), message(&g)), ([7, 3].into(), String::new()));
        let found: Vec<(String, Shape)> =
            g.parameters().into_iter().map(|(name, tensor)| (name, tensor.shape())).collect();
        let expected = [("1.weight", vec![5, 24]), ("1.bias", vec![5]), ("3.weight", vec![3, 5])];
        assert_eq!(found, expected.map(|(name, dims)| (name.to_owned(), Shape::from(dims))));
        let (g, _) = forward(&model.named("head"), &[7, 4, 6]);
        assert_eq!(g.parameters()[0].0, "head.1.weight");
    }

    #[test]
    fn two_passes_share_parameters() {
        let model = Sequential::new([4]).dense(3);
        let (g, _) = forward(&model, &[2, 4]);
        let other = g.input("other", [5, 4], DType::F32);
        let _ = model.forward(&g, &other, Mode::Evaluation);
        assert_eq!((g.parameters().len(), message(&g)), (2, String::new()));
    }

    #[test]
    fn every_activation_keeps_the_shape() {
        let model = Sequential::new([3]).relu().leaky_relu().elu().celu().selu().gelu().gelu_tanh().silu().mish();
        let model = model.softplus().softsign().hard_sigmoid().hard_swish().sigmoid().tanh().softmax().log_softmax();
        let (g, y) = forward(&model, &[2, 3]);
        assert_eq!((y.shape(), message(&g), model.layers().len()), ([2, 3].into(), String::new(), 17));
    }

    #[test]
    fn mistakes_name_the_layer() {
        let cases = [
            (Sequential::new([3]).relu().dense(0), "sequential: layer 1, dense(0): needs one unit or more"),
            (Sequential::new([]).dense(2), "sequential: layer 0, dense(2): takes examples of one dimension or more"),
            (Sequential::new([3]).dropout(1.5), "sequential: layer 0, dropout(1.5): the probability is 1.5"),
            (
                Sequential::new([3]).initializer(Initializer::Ones),
                "sequential: initializer is for layers with a weight, but it follows nothing",
            ),
            (
                Sequential::new([3]).relu().without_bias(),
                "sequential: without_bias is for layers with a bias, but it follows relu",
            ),
            (Sequential::new([4]).dense(2), "sequential: takes a batch of [4], but its input is [2, 3]"),
            (
                Sequential::new([3]).activation(Activation::Softmax { axis: 2 }),
                "sequential: layer 0, softmax: axis 2 does not exist",
            ),
            (
                Sequential::new([3]).dense(2).initializer(Initializer::Normal { mean: 0.0, std: -1.0 }),
                "linear \"0\": Normal { mean: 0.0, std: -1.0 } is no distribution",
            ),
        ];
        for (model, expected) in cases {
            let (g, _) = forward(&model, &[2, 3]);
            assert!(message(&g).starts_with(expected), "{}", message(&g));
        }
        assert!(Sequential::new([3]).dense(0).output_shape().is_err());
        assert!(Sequential::new([3]).dense(0).summary().ends_with("layer 0, dense(0): needs one unit or more\n"));
    }
}
