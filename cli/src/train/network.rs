//! A demo's model: layers as data, or a function that writes the graph.

use std::sync::Arc;

use wgrad::graph::{Graph, Tensor};
use wgrad::nn::{Mode, Model, Sequential};

use super::demo::Data;
use crate::failure::Result;

/// What a demo trains.
#[derive(Clone)]
pub enum Network {
    Layers(Sequential),
    Function(Arc<dyn Model + Send + Sync>),
}

impl Network {
    /// From anything that is a model.
    pub fn of(model: impl Model + Send + Sync + 'static) -> Self {
        Self::Function(Arc::new(model))
    }

    /// Tells a mistake in the shapes of layers before anything is built.
    pub fn check(&self) -> Result {
        if let Self::Layers(layers) = self {
            layers.output_shape()?;
        }
        Ok(())
    }

    /// Number of trainable numbers.
    pub fn parameter_count(&self, data: &Data) -> Result<usize> {
        match self {
            Self::Layers(layers) => Ok(layers.parameter_count()?),
            Self::Function(_) => {
                let g = Graph::new();
                let ty = data.train.column("x")?.ty();
                let one: Vec<usize> = [1].into_iter().chain(ty.shape.iter().copied().skip(1)).collect();
                let x = g.input("x", one, ty.dtype);
                let prepared = data.prepare.as_ref().map_or_else(|| x.clone(), |prepare| prepare(&x, Mode::Evaluation));
                self.forward(&g, &prepared, Mode::Evaluation);
                if let Some(mistake) = g.error() {
                    return Err(mistake.into());
                }
                Ok(g.parameters().iter().map(|(_, parameter)| parameter.shape().len()).sum())
            }
        }
    }

    /// The layers, for people.
    pub fn summary(&self) -> Option<String> {
        match self {
            Self::Layers(layers) => Some(layers.summary()),
            Self::Function(_) => None,
        }
    }
}

impl Model for Network {
    #[track_caller]
    fn forward(&self, g: &Graph, x: &Tensor, mode: Mode) -> Tensor {
        match self {
            Self::Layers(layers) => layers.forward(g, x, mode),
            Self::Function(model) => model.forward(g, x, mode),
        }
    }
}
