//! Embeddings: a learnt vector for each of many things.

use std::fmt;

use super::{Initializer, Layer, Sequential};
use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Variable};
use crate::tensor::{AxisIndex, DType, Shape, TensorData, TensorType};

/// A table whose rows are looked up by i32 indices, PyTorch's `torch.nn.Embedding`: parameter `NAME.weight` of shape `[num, dim]`,
/// which begins normal (0, 1).
///
/// The gradient adds up what arrives at equal indices in a fixed order, so it has the same bits every time. An index beyond the
/// table reads its nearest row; [`check_indices`] finds such on the host.
///
/// ```
/// use wgrad::prelude::*;
/// let g = Graph::new();
/// let words = g.input("words", [8, 40], I32);
/// let embedding = nn::Embedding::new(&g, "words_table", 1000, 32).padding_idx(0).max_norm(5.0);
/// assert_eq!(embedding.forward(&words).shape(), [8, 40, 32].into());
/// assert!(g.error().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Embedding {
    name: String,
    graph: Graph,
    weight: Tensor,
    /// First values, where the table is the layer's own.
    initial: Option<Initial>,
    padding: Option<usize>,
    max_norm: Option<f64>,
}

impl Embedding {
    /// A table of `num` vectors of `dim` values.
    #[track_caller]
    pub fn new(g: &Graph, name: &str, num: usize, dim: usize) -> Self {
        if g.find(&format!("{name}.weight")).is_some() {
            g.mistake(&label(name), "the name is used already; clone a layer to share its parameters");
        }
        Self::shared(g, name, num, dim)
    }

    /// A table that is the graph's own, if it has one of the name already.
    #[track_caller]
    fn shared(g: &Graph, name: &str, num: usize, dim: usize) -> Self {
        if num == 0 || dim == 0 {
            g.mistake(&label(name), format!("needs one row and column or more, not [{num}, {dim}]"));
        }
        let ty = TensorType::new(DType::F32, [num, dim]);
        let initial = Initial::Normal { mean: 0.0, std: 1.0 };
        let weight = g.variable(Variable::parameter(format!("{name}.weight"), ty, initial.clone()));
        Self { initial: Some(initial), ..Self::from_weight(g, name, &weight) }
    }

    /// With a table that comes from somewhere else, `[num, dim]`; the name is for mistakes.
    #[track_caller]
    pub fn from_weight(g: &Graph, name: &str, weight: &Tensor) -> Self {
        if g.error().is_none() && (weight.rank() != 2 || !weight.dtype().is_float()) {
            g.mistake(&label(name), format!("takes a table [num, dim] of floats, not {}", weight.ty()));
        }
        let weight = weight.clone();
        Self { name: name.to_owned(), graph: g.clone(), weight, initial: None, padding: None, max_norm: None }
    }

    /// With an index that stands for nothing: its row begins as zeros and gets no gradient. A negative one counts from the end.
    #[track_caller]
    #[must_use]
    pub fn padding_idx(mut self, index: impl AxisIndex) -> Self {
        let num = self.weight.shape().first().copied().unwrap_or(0);
        let Some(index) = index.within(num) else {
            self.graph.mistake(&label(&self.name), format!("padding index {index} is none of {num} rows"));
            return self;
        };
        self.padding = Some(index);
        self.initialized()
    }

    /// With rows that are longer than this scaled down to it when they are looked up. As in PyTorch, the gradient is that of the
    /// scaled row, as if it stood in the table; other than there, the row itself is left to the optimizer.
    #[track_caller]
    #[must_use]
    pub fn max_norm(mut self, max_norm: f64) -> Self {
        if max_norm.is_finite() && max_norm > 0.0 {
            self.max_norm = Some(max_norm);
        } else {
            self.graph.mistake(&label(&self.name), format!("the largest norm is {max_norm}, and must be above 0"));
        }
        self
    }

    /// With other first values.
    #[track_caller]
    #[must_use]
    pub fn initializer(mut self, initializer: Initializer) -> Self {
        match initializer.initial(&self.weight.shape()) {
            Ok(initial) => self.initial = self.initial.map(|_| initial),
            Err(message) => {
                self.graph.mistake(&label(&self.name), message);
            }
        }
        self.initialized()
    }

    /// Tells the graph the first values.
    fn initialized(self) -> Self {
        match (&self.initial, self.padding) {
            (Some(others), Some(row)) => {
                self.graph.set_initial(&self.weight, Initial::ZeroRow { row, others: Box::new(others.clone()) });
            }
            (Some(initial), None) => self.graph.set_initial(&self.weight, initial.clone()),
            (None, _) => {}
        }
        self
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
            let norm = still.square().sum(&[-1]).sqrt().reshape(&one);
            // PyTorch's 10⁻⁷ against a division that rounds up.
            let scaled = &still * (norm.zeros_like() + max_norm) / (&norm + 1e-7);
            let change = norm.gt(max_norm).select(scaled - &still, 0.0);
            rows = rows + change;
        }
        rows
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

/// Are all of these indices of a table of `num` rows?
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
pub fn check_indices(indices: &TensorData, num: usize) -> Result<()> {
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

/// An embedding as a layer of a [`Sequential`]: examples of i32 `[…]` to `[…, dim]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmbeddingLayer {
    /// Rows of the table.
    pub vocabulary: usize,
    /// Numbers of a row.
    pub dim: usize,
    /// The index that stands for nothing.
    pub padding_idx: Option<usize>,
    /// First values; `None` for normal (0, 1).
    pub initializer: Option<Initializer>,
}

impl EmbeddingLayer {
    /// PyTorch's, without padding.
    pub const fn new(vocabulary: usize, dim: usize) -> Self {
        Self { vocabulary, dim, padding_idx: None, initializer: None }
    }

    pub(super) fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        if self.vocabulary == 0 || self.dim == 0 {
            return Err("needs one row and column or more".into());
        }
        if let Some(index) = self.padding_idx.filter(|&index| index >= self.vocabulary) {
            return Err(format!("padding index {index} is none of {} rows", self.vocabulary));
        }
        Ok(input.iter().copied().chain([self.dim]).collect())
    }

    pub(super) const fn parameter_count(&self) -> usize {
        self.vocabulary.saturating_mul(self.dim)
    }

    #[track_caller]
    pub(super) fn forward(&self, g: &Graph, name: &str, x: &Tensor) -> Tensor {
        let mut embedding = Embedding::shared(g, name, self.vocabulary, self.dim);
        if let Some(initializer) = self.initializer {
            embedding = embedding.initializer(initializer);
        }
        if let Some(index) = self.padding_idx {
            embedding = embedding.padding_idx(index);
        }
        embedding.forward(x)
    }
}

impl fmt::Display for EmbeddingLayer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "embedding({}, {})", self.vocabulary, self.dim)
    }
}

impl Sequential {
    /// A table of `vocabulary` rows of `dim` values, looked up by examples of i32: `[steps]` to `[steps, dim]`. See [`Embedding`].
    #[must_use]
    #[track_caller]
    pub fn embedding(self, vocabulary: usize, dim: usize) -> Self {
        self.layer(Layer::Embedding(EmbeddingLayer::new(vocabulary, dim)))
    }

    /// The index that stands for nothing, of the embedding just added: its row begins as zeros and stays so.
    #[must_use]
    #[track_caller]
    pub fn padding_idx(self, index: usize) -> Self {
        self.modify("padding_idx", "an embedding", |layer| {
            if let Layer::Embedding(embedding) = layer {
                embedding.padding_idx = Some(index);
                return true;
            }
            false
        })
    }
}
