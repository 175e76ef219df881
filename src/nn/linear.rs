//! The fully connected layer.

use super::{Initializer, Layer, Precision, Scope, Sequential, Setting, refuse_known};
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Variable};
use crate::tensor::{DType, Shape, TensorType};

/// A fully connected layer on the last axis, `[…, in]` to `[…, units]`; as data, so that the number of inputs follows from what is
/// before it. In a graph it is a [`Linear`].
///
/// ```
/// use wgrad::nn::Dense;
/// use wgrad::prelude::*;
/// let dense = Dense::new(128).initializer(Initializer::HeNormal).bias_initializer(Initializer::Zeros);
/// let model = Sequential::new([784]).layer(dense.clone()).relu().dense(10);
/// assert_eq!(model.output_shape()?, [10].into());
/// let g = Graph::new();
/// let hidden = dense.build(&g, "fc1", 784).forward(&g.input("x", [32, 784], F32)).relu();
/// assert_eq!(hidden.shape(), [32, 128].into());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Number of outputs.
    pub units: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// First values of the weight; `None` for PyTorch's.
    pub initializer: Option<Initializer>,
    /// First values of the bias; `None` for PyTorch's.
    pub bias_initializer: Option<Initializer>,
    /// The type in which it multiplies; `None` for the graph's.
    pub precision: Option<Precision>,
    /// In a [`Sequential`], the layer whose weight it uses, by its number; `None` for one of its own.
    pub tied_to: Option<usize>,
}

impl Dense {
    /// With a bias. Weight and bias begin uniform within ± 1/√in, as in PyTorch.
    pub const fn new(units: usize) -> Self {
        Self { units, bias: true, initializer: None, bias_initializer: None, precision: None, tied_to: None }
    }

    /// Without a bias.
    #[must_use]
    pub const fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// With other first values of the weight.
    #[must_use]
    pub const fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = Some(initializer);
        self
    }

    /// With other first values of the bias, where there is one.
    #[must_use]
    pub const fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = Some(initializer);
        self
    }

    /// With products in this precision, whatever the graph's is. The result is f32 again.
    #[must_use]
    pub const fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// With the weight of another layer of the same [`Sequential`], by its number. See [`Sequential::tied_to`].
    #[must_use]
    pub const fn tied_to(mut self, layer: usize) -> Self {
        self.tied_to = Some(layer);
        self
    }

    /// The layer in a graph, with parameters of its own. A name that is used already is a mistake; to share parameters, clone the
    /// [`Linear`].
    #[track_caller]
    pub fn build(&self, g: &Graph, name: &str, in_features: usize) -> Linear {
        refuse_known(g, &label(name), name, &["weight"]);
        self.shared(g, name, in_features)
    }

    /// The same with the parameters of its name, if the graph has them already.
    #[track_caller]
    pub(super) fn shared(&self, g: &Graph, name: &str, in_features: usize) -> Linear {
        let bound = bound(in_features);
        let initial = Initial::Uniform { low: -bound, high: bound };
        let weight = TensorType::new(DType::F32, [self.units, in_features]);
        let weight = g.variable(Variable::parameter(format!("{name}.weight"), weight, initial));
        if let Some(initializer) = self.initializer {
            initializer.apply(&weight, &label(name));
        }
        self.with_weight(g, name, &weight)
    }

    /// The layer in a graph with a weight `[units, in]` that comes from somewhere else, as from an embedding whose vectors are also those of
    /// the words that a model predicts ([`Embedding::tied`](super::Embedding::tied)). The weight is then one parameter, under the name that
    /// it has, and its gradient is the sum over its uses. A bias is the layer's own, `NAME.bias`.
    ///
    /// ```
    /// use wgrad::nn::{Dense, Embedding};
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let words = Embedding::new(&g, "words", 1000, 64);
    /// let head = Dense::new(1000).build_from(&g, "head", words.weight());
    /// let logits = head.forward(&words.forward(&g.input("x", [8, 20], I32)));
    /// assert_eq!(logits.shape(), [8, 20, 1000].into());
    /// let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["words.weight", "head.bias"]);
    /// ```
    #[track_caller]
    pub fn build_from(&self, g: &Graph, name: &str, weight: &Tensor) -> Linear {
        let shape = weight.shape();
        if g.error().is_none() && (shape.rank() != 2 || weight.dtype() != DType::F32 || shape[0] != self.units) {
            g.mistake(&label(name), format!("takes a weight f32[{}, in], not {}", self.units, weight.ty()));
        }
        self.with_weight(g, name, weight)
    }

    #[track_caller]
    fn with_weight(&self, g: &Graph, name: &str, weight: &Tensor) -> Linear {
        let in_features = weight.shape().get(1).copied().unwrap_or(0);
        let mut bias = None;
        if self.bias {
            let ty = TensorType::new(DType::F32, [self.units]);
            let bound = bound(in_features);
            let initial = Initial::Uniform { low: -bound, high: bound };
            let own = g.variable(Variable::parameter(format!("{name}.bias"), ty, initial));
            if let Some(initializer) = self.bias_initializer {
                initializer.apply(&own, &label(name));
            }
            bias = Some(own);
        }
        Linear { name: name.to_owned(), in_features, options: self.clone(), weight: weight.clone(), bias }
    }

    /// The layer with the weight of another one of the same [`Sequential`].
    #[track_caller]
    fn tied(&self, scope: &Scope<'_>, layer: usize) -> Linear {
        let (g, name) = (scope.graph(), scope.name());
        let prefix = name.rfind('.').map_or("", |end| &name[..=end]);
        let other = format!("{prefix}{layer}.weight");
        let weight = g.find(&other).unwrap_or_else(|| {
            g.mistake(&label(name), format!("is tied to layer {layer}, but no layer before it has a weight {other:?}"))
        });
        self.build_from(g, name, &weight)
    }
}

/// PyTorch's `kaiming_uniform_(a=√5)` of a weight, and the same bounds for a bias.
fn bound(in_features: usize) -> f64 {
    if in_features > 0 { 1.0 / (in_features as f64).sqrt() } else { 0.0 }
}

impl Layer for Dense {
    fn describe(&self) -> String {
        format!("dense({})", self.units)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        let Some((_, lead)) = input.split_last() else {
            return Err("takes examples of one dimension or more, not scalars".into());
        };
        if self.units == 0 {
            return Err("needs one unit or more".into());
        }
        Ok(lead.iter().copied().chain([self.units]).collect())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        match self.tied_to {
            Some(layer) => self.tied(scope, layer).forward(x),
            None => self.shared(scope.graph(), scope.name(), x.shape().last().copied().unwrap_or(0)).forward(x),
        }
    }

    fn parameter_count(&self, input: &Shape) -> usize {
        let weight = if self.tied_to.is_some() { 0 } else { self.units * input.last().copied().unwrap_or(0) };
        weight + if self.bias { self.units } else { 0 }
    }

    fn set(&mut self, setting: &Setting) -> bool {
        match setting {
            // What is another layer's begins as that layer says.
            Setting::Initializer(_) if self.tied_to.is_some() => return false,
            Setting::Initializer(initializer) => self.initializer = Some(*initializer),
            Setting::BiasInitializer(initializer) if self.bias => self.bias_initializer = Some(*initializer),
            Setting::WithoutBias => self.bias = false,
            _ => return false,
        }
        true
    }
}

impl Sequential {
    /// A fully connected layer on the last axis. See [`Dense`].
    #[must_use]
    #[track_caller]
    pub fn dense(self, units: usize) -> Self {
        self.layer(Dense::new(units))
    }

    /// The dense layer just added takes the weight of an earlier layer, by its number: that of an embedding whose vectors are also those of the
    /// words that the model predicts (Press and Wolf 2017), or of a dense layer of the same shape. It is one parameter, under the name of the
    /// earlier layer, and its gradient is the sum over both uses.
    ///
    /// ```
    /// use wgrad::nn::Sequential;
    /// let model = Sequential::new([20]).embedding(1000, 64).transformer_encoder(1, 4).dense(1000).tied_to(0).without_bias();
    /// let own = Sequential::new([20]).embedding(1000, 64).transformer_encoder(1, 4).dense(1000).without_bias();
    /// assert_eq!(own.parameter_count()? - model.parameter_count()?, 1000 * 64);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn tied_to(self, layer: usize) -> Self {
        self.modify("tied_to", "a dense layer", |dense: &mut Dense| {
            dense.tied_to = Some(layer);
            true
        })
    }
}

/// `y = x·Wᵀ + b`, PyTorch's `torch.nn.Linear`: parameters `NAME.weight` of shape `[out, in]` and `NAME.bias` of shape `[out]`.
/// A [`Dense`] has what can be said of it.
///
/// ```
/// use wgrad::graph::Graph;
/// use wgrad::nn::Linear;
/// use wgrad::tensor::DType;
/// let g = Graph::new();
/// let x = g.input("x", [32, 784], DType::F32);
/// let hidden = Linear::new(&g, "fc1", 784, 128).forward(&x).relu();
/// let logits = Linear::without_bias(&g, "fc2", 128, 10).forward(&hidden);
/// assert_eq!(logits.shape(), [32, 10].into());
/// let names: Vec<String> = g.parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["fc1.weight", "fc1.bias", "fc2.weight"]);
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Linear {
    name: String,
    in_features: usize,
    options: Dense,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// A layer from `in_features` to `out_features`. Weight and bias begin uniform within ± 1/√in, as in PyTorch.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, in_features: usize, out_features: usize) -> Self {
        Dense::new(out_features).build(g, name, in_features)
    }

    /// The same without a bias.
    #[track_caller]
    pub fn without_bias(g: &Graph, name: &str, in_features: usize, out_features: usize) -> Self {
        Dense::new(out_features).without_bias().build(g, name, in_features)
    }

    /// The layer applied to the last axis: `[…, in]` to `[…, out]`.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let _layer = self.weight.graph().in_layer(&self.name);
        let (shape, dtype) = (x.shape(), x.dtype());
        let graph = self.weight.graph();
        if graph.error().is_none() {
            let (in_features, out_features) = (self.in_features, self.options.units);
            if shape.last() != Some(&in_features) {
                let message = format!("takes […, {in_features}] to […, {out_features}], but its input is {shape}");
                return graph.mistake(&label(&self.name), message);
            }
            if dtype != self.weight.dtype() {
                let message = format!("takes {}, but its input is {dtype}; cast it", self.weight.dtype());
                return graph.mistake(&label(&self.name), message);
            }
        }
        let precision = graph.precision_of(self.options.precision, &label(&self.name));
        linear(x, &self.weight, self.bias.as_ref(), precision)
    }

    /// The weight, `[out, in]`.
    pub const fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[out]`.
    pub const fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

/// `x·Wᵀ + b` in a precision.
#[track_caller]
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, precision: Precision) -> Tensor {
    let product = precision.operand(x).matmul(&precision.operand(weight).transpose(0, 1)).cast(x.dtype());
    precision.round(&match bias {
        Some(bias) => product + bias,
        None => product,
    })
}

/// The layer as mistakes name it.
fn label(name: &str) -> String {
    format!("linear {name:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    fn message(g: &Graph) -> String {
        g.error().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn leading_axes_stay() {
        for dims in [vec![7], vec![2, 7], vec![3, 2, 7], vec![0, 7], vec![4, 3, 2, 7]] {
            let g = Graph::new();
            let x = g.input("x", dims.clone(), DType::F32);
            let y = Linear::new(&g, "fc", 7, 5).forward(&x);
            let expected: Shape = dims[..dims.len() - 1].iter().copied().chain([5]).collect();
            assert_eq!((y.shape(), message(&g)), (expected, String::new()));
        }
    }

    #[test]
    fn a_wrong_shape_names_the_layer_and_the_line() {
        let g = Graph::new();
        let x = g.input("x", [32, 100], DType::F32);
        let fc1 = Linear::new(&g, "fc1", 784, 128);
        let (y, line) = (fc1.forward(&x), line!());
        let z = Linear::new(&g, "fc2", 128, 10).forward(&y); // follows from the first, and is not reported
        assert_eq!(z.rank(), 0);
        let expected = "linear \"fc1\": takes […, 784] to […, 128], but its input is [32, 100]";
        assert_eq!(message(&g), format!("{expected} (at {}:{line})", file!()));
    }

    #[test]
    fn integers_and_numbers_are_refused() {
        let g = Graph::new();
        Linear::new(&g, "fc1", 4, 3).forward(&g.input("x", [2, 4], DType::I32));
        assert!(message(&g).starts_with("linear \"fc1\": takes f32, but its input is i32; cast it"));
        let g = Graph::new();
        Linear::new(&g, "fc1", 4, 3).forward(&g.input("x", [], DType::F32));
        assert!(message(&g).starts_with("linear \"fc1\": takes […, 4]"));
    }

    #[test]
    fn a_name_belongs_to_one_layer() {
        let g = Graph::new();
        let fc = Linear::new(&g, "fc", 3, 3);
        let x = g.input("x", [2, 3], DType::F32);
        let _ = fc.forward(&fc.forward(&x));
        assert_eq!((message(&g), g.parameters().len()), (String::new(), 2));
        let _ = Linear::new(&g, "fc", 3, 3);
        assert!(message(&g).starts_with("linear \"fc\": the name is used already"));
    }

    #[test]
    fn an_initializer_that_does_not_fit_names_the_layer() {
        let g = Graph::new();
        let _ = Dense::new(3).bias_initializer(Initializer::HeUniform).build(&g, "fc", 3);
        assert!(message(&g).starts_with("linear \"fc\": kaiming_uniform takes a weight of two dimensions"));
    }

    #[test]
    fn a_tied_weight_must_be_there_and_fit() {
        for (layer, expected) in [
            (1, "linear \"2\": is tied to layer 1, but no layer before it has a weight \"1.weight\""),
            (2, "linear \"2\": is tied to layer 2, but no layer before it has a weight \"2.weight\""),
            (0, "linear \"2\": takes a weight f32[8, in], not f32[9, 4]"),
        ] {
            let g = Graph::new();
            let model = Sequential::new([5]).embedding(9, 4).relu().dense(8).tied_to(layer);
            let _ = model.forward(&g, &g.input("x", [2, 5], DType::I32), super::super::Mode::Training);
            assert!(message(&g).starts_with(expected), "{}", message(&g));
        }
        let mistake = Sequential::new([5]).embedding(9, 4).tied_to(0).output_shape().map_err(|error| error.to_string());
        assert!(mistake.is_err_and(|text| text.starts_with("sequential: tied_to is for a dense layer")));
        let g = Graph::new();
        let model = Sequential::new([5]).named("words").embedding(9, 4).dense(9).tied_to(0);
        let _ = model.forward(&g, &g.input("x", [2, 5], DType::I32), super::super::Mode::Training);
        assert_eq!((message(&g), g.parameters().len()), (String::new(), 2));
    }

    #[test]
    fn half_precision_ends_in_f32() {
        for precision in [Precision::BF16, Precision::F16] {
            let g = Graph::new();
            let x = g.input("x", [2, 3], DType::F32);
            let y = Dense::new(4).precision(precision).build(&g, "fc", 3).forward(&x);
            let gradients = g.gradients(&y.sum_all(), &[&x]);
            assert_eq!((y.dtype(), gradients[0].dtype(), message(&g)), (DType::F32, DType::F32, String::new()));
        }
    }
}
