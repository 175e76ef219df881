//! Embeddings: a learnt vector for each of many things.

use super::{Dense, Initializer, Layer, Linear, Scope, Sequential, Setting, refuse_known};
use crate::error::Error;
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Variable};
use crate::tensor::{AxisIndex, DType, Shape, TensorData, TensorType};

/// A learnt table of `vocabulary` rows of `dim` numbers, on examples of i32 `[…]` to `[…, dim]`; as data. In a graph it is an
/// [`Embedding`].
///
/// ```
/// use wgrad::nn::EmbeddingLayer;
/// use wgrad::prelude::*;
/// let words = EmbeddingLayer::new(1000, 32).padding_idx(0).max_norm(5.0);
/// assert_eq!(Sequential::new([40]).layer(words).output_shape()?, [40, 32].into());
/// let g = Graph::new();
/// let table = words.build(&g, "words_table");
/// assert_eq!(table.forward(&g.input("words", [8, 40], I32)).shape(), [8, 40, 32].into());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmbeddingLayer {
    /// Rows of the table.
    pub vocabulary: usize,
    /// Numbers of a row.
    pub dim: usize,
    /// The index that stands for nothing; a negative one counts from the end.
    pub padding_idx: Option<isize>,
    /// First values; `None` for normal (0, 1).
    pub initializer: Option<Initializer>,
    /// The largest Euclidean norm of a row that is looked up; longer ones are scaled down to it.
    pub max_norm: Option<f64>,
}

impl EmbeddingLayer {
    /// PyTorch's, without padding.
    pub const fn new(vocabulary: usize, dim: usize) -> Self {
        Self { vocabulary, dim, padding_idx: None, initializer: None, max_norm: None }
    }

    /// With an index that stands for nothing: its row begins as zeros and gets no gradient. A negative one counts from the end.
    #[must_use]
    pub const fn padding_idx(mut self, index: isize) -> Self {
        self.padding_idx = Some(index);
        self
    }

    /// With other first values.
    #[must_use]
    pub const fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = Some(initializer);
        self
    }

    /// With rows that are longer than this scaled down to it when they are looked up. As in PyTorch, the gradient is that of the
    /// scaled row, as if it stood in the table; other than there, the row itself is left to the optimizer.
    #[must_use]
    pub const fn max_norm(mut self, max_norm: f64) -> Self {
        self.max_norm = Some(max_norm);
        self
    }

    /// The layer in a graph, with a table of its own, `NAME.weight`. A name that is used already is a mistake; to share the table, clone
    /// the [`Embedding`].
    #[track_caller]
    pub fn build(self, g: &Graph, name: &str) -> Embedding {
        refuse_known(g, &label(name), name, &["weight"]);
        self.shared(g, name)
    }

    /// The layer in a graph, with a table `[vocabulary, dim]` that comes from somewhere else; the name is for mistakes.
    #[track_caller]
    pub fn build_from(self, g: &Graph, name: &str, weight: &Tensor) -> Embedding {
        if g.error().is_none() && (weight.rank() != 2 || !weight.dtype().is_float()) {
            g.mistake(&label(name), format!("takes a table [num, dim] of floats, not {}", weight.ty()));
        }
        let wanted = Shape::from([self.vocabulary, self.dim]);
        if g.error().is_none() && weight.shape() != wanted {
            g.mistake(&label(name), format!("takes a table of shape {wanted}, not {}", weight.shape()));
        }
        let padding = match self.padding() {
            Ok(padding) => padding,
            Err(message) => {
                g.mistake(&label(name), message);
                None
            }
        };
        if let Err(message) = self.check_max_norm() {
            g.mistake(&label(name), message);
        }
        Embedding { name: name.to_owned(), graph: g.clone(), weight: weight.clone(), padding, max_norm: self.max_norm }
    }

    /// The layer with the table of its name, if the graph has it already.
    #[track_caller]
    fn shared(self, g: &Graph, name: &str) -> Embedding {
        let shape = Shape::from([self.vocabulary, self.dim]);
        if shape.contains(&0) {
            g.mistake(&label(name), format!("needs one row and column or more, not {shape}"));
        }
        let initial = match self.initializer.map(|initializer| initializer.initial(&shape)) {
            Some(Ok(initial)) => initial,
            Some(Err(message)) => {
                g.mistake(&label(name), message);
                Initial::Constant(0.0)
            }
            None => Initial::Normal { mean: 0.0, std: 1.0 },
        };
        let initial = match self.padding() {
            Ok(Some(row)) => Initial::ZeroRow { row, others: Box::new(initial) },
            Ok(None) | Err(_) => initial,
        };
        let weight = Variable::parameter(format!("{name}.weight"), TensorType::new(DType::F32, shape), initial);
        self.build_from(g, name, &g.variable(weight))
    }

    /// The row that stands for nothing.
    fn padding(self) -> Result<Option<usize>, String> {
        let Some(index) = self.padding_idx else { return Ok(None) };
        match index.within(self.vocabulary) {
            Some(row) => Ok(Some(row)),
            None => Err(format!("padding index {index} is none of {} rows", self.vocabulary)),
        }
    }

    fn check_max_norm(self) -> Result<(), String> {
        match self.max_norm {
            Some(norm) if !(norm.is_finite() && norm > 0.0) => {
                Err(format!("the largest norm is {norm}, and must be above 0"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Layer for EmbeddingLayer {
    fn describe(&self) -> String {
        format!("embedding({}, {})", self.vocabulary, self.dim)
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if self.vocabulary == 0 || self.dim == 0 {
            return Err("needs one row and column or more".into());
        }
        self.padding()?;
        self.check_max_norm()?;
        Ok(input.iter().copied().chain([self.dim]).collect())
    }

    #[track_caller]
    fn forward(&self, scope: &Scope<'_>, x: &Tensor) -> Tensor {
        self.shared(scope.graph(), scope.name()).forward(x)
    }

    fn input_dtype(&self) -> DType {
        DType::I32
    }

    /// Indices of the table.
    fn check_input(&self, x: &TensorData) -> crate::Result<()> {
        check_indices(x, self.vocabulary)
    }

    fn set(&mut self, setting: &Setting) -> bool {
        if let Setting::Initializer(initializer) = setting {
            self.initializer = Some(*initializer);
            return true;
        }
        false
    }
}

impl Sequential {
    /// A table of `vocabulary` rows of `dim` values, looked up by examples of i32: `[steps]` to `[steps, dim]`. See [`Embedding`].
    #[must_use]
    #[track_caller]
    pub fn embedding(self, vocabulary: usize, dim: usize) -> Self {
        self.layer(EmbeddingLayer::new(vocabulary, dim))
    }

    /// The index that stands for nothing, of the embedding just added: its row begins as zeros and stays so. A negative one counts
    /// from the end.
    #[must_use]
    #[track_caller]
    pub fn padding_idx(self, index: isize) -> Self {
        self.modify("padding_idx", "an embedding", |embedding: &mut EmbeddingLayer| {
            embedding.padding_idx = Some(index);
            true
        })
    }
}

/// A table whose rows are looked up by i32 indices, PyTorch's `torch.nn.Embedding`: parameter `NAME.weight` of shape `[num, dim]`,
/// which begins normal (0, 1). An [`EmbeddingLayer`] has what can be said of it.
///
/// The gradient adds up what arrives at equal indices in a fixed order, so it has the same bits every time. An index beyond the
/// table reads its nearest row; [`check_indices`] finds such on the host.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let words = g.input("words", [8, 40], I32);
/// let embedding = nn::Embedding::new(&g, "words_table", 1000, 32);
/// assert_eq!(embedding.forward(&words).shape(), [8, 40, 32].into());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Embedding {
    name: String,
    graph: Graph,
    weight: Tensor,
    padding: Option<usize>,
    max_norm: Option<f64>,
}

impl Embedding {
    /// A table of `num` vectors of `dim` values.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, num: usize, dim: usize) -> Self {
        EmbeddingLayer::new(num, dim).build(g, name)
    }

    /// With a table that comes from somewhere else, `[num, dim]`; the name is for mistakes.
    #[track_caller]
    pub fn from_weight(g: &Graph, name: &str, weight: &Tensor) -> Self {
        let shape = weight.shape();
        let extent = |axis: usize| shape.get(axis).copied().unwrap_or(0);
        EmbeddingLayer::new(extent(0), extent(1)).build_from(g, name, weight)
    }

    /// The rows of i32 or i64 indices of any shape: `[…]` to `[…, dim]`.
    #[track_caller]
    pub fn forward(&self, indices: &Tensor) -> Tensor {
        let _layer = self.graph.in_layer(&self.name);
        if self.graph.error().is_none() && !matches!(indices.dtype(), DType::I32 | DType::I64) {
            let message = format!("takes i32 or i64 indices, but its input is {}", indices.ty());
            return self.graph.mistake(&label(&self.name), message);
        }
        if self.graph.error().is_some() {
            return self.graph.mistake(&label(&self.name), "follows from an earlier mistake");
        }
        let mut rows = self.weight.take(0, indices);
        let lead = indices.shape();
        let one: Shape = lead.iter().copied().chain([1]).collect();
        if let Some(padding) = self.padding {
            let is_padding = indices.eq(padding as f64).reshape(&one);
            rows = is_padding.select(rows.stop_gradient(), &rows);
        }
        if let Some(max_norm) = self.max_norm {
            let still = rows.stop_gradient();
            let norm = still.square().sum([-1]).sqrt().reshape(&one);
            // PyTorch's 10⁻⁷ against a division that rounds up.
            let scaled = &still * (norm.zeros_like() + max_norm) / (&norm + 1e-7);
            let change = norm.gt(max_norm).select(scaled - &still, 0.0);
            rows = rows + change;
        }
        rows
    }

    /// The layer that gives a logit for each row: `[…, dim]` to `[…, num]`, the product with the same table, without a bias (Press and Wolf
    /// 2017; PyTorch's `head.weight = embedding.weight`). The table stays one parameter. [`Dense::build_from`](super::Dense::build_from) has a
    /// bias, too.
    ///
    /// ```
    /// use wgrad::nn::Embedding;
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let words = Embedding::new(&g, "words", 1000, 64);
    /// let logits = words.tied("head").forward(&words.forward(&g.input("x", [8, 20], I32)));
    /// assert_eq!((logits.shape(), g.parameters().len()), ([8, 20, 1000].into(), 1));
    /// ```
    #[track_caller]
    pub fn tied(&self, name: &str) -> Linear {
        let rows = self.weight.shape().first().copied().unwrap_or(0);
        Dense::new(rows).without_bias().build_from(&self.graph, name, &self.weight)
    }

    /// The table, `[num, dim]`.
    pub const fn weight(&self) -> &Tensor {
        &self.weight
    }
}

/// The layer as mistakes name it.
fn label(name: &str) -> String {
    format!("embedding {name:?}")
}

/// Checks on the host that all of these, i32 or i64, are indices of a table of `num` rows.
///
/// ```
/// use wgrad::nn::check_indices;
/// use wgrad::tensor::TensorData;
/// let words = TensorData::from_slice(&[4, 0, 9, 10, 2, 3], [2, 3])?;
/// let mistake = check_indices(&words, 10).unwrap_err();
/// assert_eq!(mistake.to_string(), "index 10 at [1, 0] is none of 10 rows, which count from 0");
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] that names the first one that is not, and its position; or where they are neither i32 nor i64.
pub fn check_indices(indices: &TensorData, num: usize) -> crate::Result<()> {
    if !matches!(indices.dtype(), DType::I32 | DType::I64) {
        return Err(Error::Data(format!("indices should be i32 or i64, and are {}", indices.ty())));
    }
    let wide = indices.cast(DType::I64)?;
    let outside = |&(_, &index): &(usize, &i64)| usize::try_from(index).map_or(true, |index| index >= num);
    let Some((mut position, index)) = wide.as_slice::<i64>()?.iter().enumerate().find(outside) else {
        return Ok(());
    };
    let mut coordinates = Vec::new();
    for &extent in indices.shape().iter().rev() {
        coordinates.insert(0, position % extent.max(1));
        position /= extent.max(1);
    }
    Err(Error::Data(format!("index {index} at {coordinates:?} is none of {num} rows, which count from 0")))
}
