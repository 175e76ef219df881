//! What an import has to be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{Declared, Dimension};
use crate::tensor::{Shape, TensorData, no_batch_axis};

/// What an import has to know beside the model: shapes for inputs that leave them open, and values of inputs that steer shapes.
///
/// ```
/// use wgrad::onnx::Import;
/// use wgrad::prelude::*;
/// let import = Import::new()
///     .shape("x", [1, 3, 224, 224])
///     .symbol("sequence", 128)
///     .value("axes", TensorData::from_vec(vec![0_i32, 1], [2])?);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Import {
    shapes: BTreeMap<String, Shape>,
    symbols: BTreeMap<String, usize>,
    pub(super) values: BTreeMap<String, Arc<TensorData>>,
    /// Whether weights in `Constant` nodes are trained; without, where the file has no initializers to train.
    pub(super) trains_constants: Option<bool>,
}

impl Import {
    /// Nothing but what the model says itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// An input's shape. Shapes that the model declares need not be repeated.
    #[must_use]
    pub fn shape(mut self, input: impl Into<String>, shape: impl Into<Shape>) -> Self {
        self.shapes.insert(input.into(), shape.into());
        self
    }

    /// The extent that a symbol of the model's shapes stands for: a batch size, a length.
    #[must_use]
    pub fn symbol(mut self, symbol: impl Into<String>, extent: usize) -> Self {
        self.symbols.insert(symbol.into(), extent);
        self
    }

    /// An input's value, which also gives its shape. Where the value steers shapes, the graph is made for it, and must be run
    /// with no other: [`Imported::fixed`](super::Imported::fixed) names these inputs. Elsewhere it is not used.
    #[must_use]
    pub fn value(mut self, input: impl Into<String>, value: TensorData) -> Self {
        self.values.insert(input.into(), Arc::new(value));
        self
    }

    /// Whether the weights that a file has as `Constant` nodes are parameters. By default they are in a file without initializers; a
    /// file with both says by its initializers which numbers are trained. Where they are not, they are buffers, for which gradients can be
    /// taken all the same.
    #[must_use]
    pub const fn train_constants(mut self, trained: bool) -> Self {
        self.trains_constants = Some(trained);
        self
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.shapes.keys().chain(self.values.keys())
    }

    /// The shape of a declared input.
    pub(super) fn shape_of(&self, input: &Declared) -> Result<Shape, String> {
        let found = self.values.get(&input.name).map(|value| value.shape()).or_else(|| self.shapes.get(&input.name));
        if let Some(found) = found {
            let fits = |dims: &[Dimension]| {
                dims.len() == found.rank()
                    && dims.iter().zip(found.iter()).all(|(dim, &own)| match dim {
                        Dimension::Extent(extent) => *extent == own,
                        _ => true,
                    })
            };
            let Some(dims) = &input.dims else { return Ok(found.clone()) };
            return if fits(dims) {
                Ok(found.clone())
            } else if dims.get(1..).is_some_and(fits) {
                let expected = dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(format!("input {input}: {}", no_batch_axis(&format!("[{expected}]"), found, 0)))
            } else {
                Err(format!("input {input} was given shape {found}"))
            };
        }
        let Some(dims) = &input.dims else { return Err(format!("input {input} has no shape: give one")) };
        let extents = dims.iter().map(|dim| match dim {
            Dimension::Extent(extent) => Ok(*extent),
            Dimension::Symbol(symbol) => self.symbols.get(symbol).copied().ok_or(()),
            Dimension::Unknown => Err(()),
        });
        extents
            .collect::<Result<Shape, ()>>()
            .map_err(|()| format!("the shape of input {input} is open: give one (Import::shape)"))
    }

    /// What symbols stand for, from shapes that were set.
    pub(super) fn bind(&mut self, inputs: &[Declared]) {
        for input in inputs {
            let found =
                self.values.get(&input.name).map(|value| value.shape()).or_else(|| self.shapes.get(&input.name));
            let (Some(dims), Some(found)) = (&input.dims, found) else { continue };
            for (dim, &extent) in dims.iter().zip(found.iter()) {
                if let Dimension::Symbol(symbol) = dim {
                    self.symbols.entry(symbol.clone()).or_insert(extent);
                }
            }
        }
    }
}
