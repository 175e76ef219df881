//! Where a layer writes itself: a graph, the layer's name, and what the graph is for.

use super::{Initializer, Layer, Mode};
use crate::graph::{Graph, Tensor};
use crate::ops::{Initial, Role, Variable};
use crate::tensor::{DType, Shape, TensorType};

/// What a [`Layer`] works with while it is applied: the graph, the name that its variables begin with, and the mode.
///
/// A layer that is applied twice under one name, as where a model is, has one set of variables.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    graph: &'a Graph,
    name: String,
    mode: Mode,
}

impl<'a> Scope<'a> {
    /// Of a layer's name in a graph.
    ///
    /// ```
    /// use wgrad::nn::{Dense, Layer, Scope};
    /// use wgrad::prelude::*;
    /// let g = Graph::new();
    /// let y = Dense::new(3).forward(&Scope::new(&g, "fc", Mode::Training), &g.input("x", [8, 4], F32));
    /// assert_eq!((y.shape(), g.parameters()[0].0.as_str()), ([8, 3].into(), "fc.weight"));
    /// ```
    pub fn new(graph: &'a Graph, name: impl Into<String>, mode: Mode) -> Self {
        Self { graph, name: name.into(), mode }
    }

    /// The graph.
    pub const fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// The layer's name in the model: `2`, or `encoder.2.gate`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the graph is for.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// A trainable parameter `NAME.kind`, f32. An initializer that does not fit the shape is a mistake of the layer.
    #[track_caller]
    pub fn parameter(&self, kind: &str, shape: impl Into<Shape>, initializer: Initializer) -> Tensor {
        let shape = shape.into();
        match initializer.initial(&shape) {
            Ok(initial) => {
                let ty = TensorType::new(DType::F32, shape);
                self.graph.variable(Variable::parameter(format!("{}.{kind}", self.name), ty, initial))
            }
            Err(message) => self.mistake(kind, message),
        }
    }

    /// A buffer `NAME.kind`, f32, that begins as one number everywhere: a value that is saved with the parameters but follows from
    /// what the layer [does](Self::assign) and not from gradients, such as running statistics.
    #[track_caller]
    pub fn buffer(&self, kind: &str, shape: impl Into<Shape>, initial: f64) -> Tensor {
        self.graph.variable(Variable {
            name: format!("{}.{kind}", self.name),
            ty: TensorType::new(DType::F32, shape),
            role: Role::Buffer,
            initial: Initial::Constant(initial),
        })
    }

    /// While training, a buffer takes this value at the end of the step; whoever reads it in the same step reads the one before.
    /// A layer that is applied twice in a graph that trains cannot assign both times, which is a mistake.
    #[track_caller]
    pub fn assign(&self, buffer: &Tensor, value: &Tensor) {
        match self.mode {
            Mode::Evaluation => {}
            Mode::Training if self.graph.is_assigned(buffer) => {
                self.mistake(
                    "layer",
                    "is applied twice while training, and its buffers cannot take the values of both",
                );
            }
            Mode::Training => self.graph.assign(buffer, &value.stop_gradient()),
        }
    }

    /// A layer of this one applied to a batch; its variables are called `NAME.part.…`.
    #[track_caller]
    pub fn apply(&self, part: &str, layer: &impl Layer, x: &Tensor) -> Tensor {
        let scope = Self::new(self.graph, format!("{}.{part}", self.name), self.mode);
        if self.graph.error().is_none() {
            let shape = x.shape();
            let example = Shape::from(shape.get(1..).unwrap_or_default());
            if let Err(message) = layer.output_shape(&example) {
                return scope.mistake(&layer.describe(), message);
            }
        }
        let _layer = self.graph.in_layer(&format!("{}.{}", scope.name, layer.describe()));
        layer.forward(&scope, x)
    }

    /// Records what is wrong, unless there is an earlier mistake: `compile` returns it with the line of the user who added the
    /// layer. `what` is the layer, or the part of it; its name follows.
    #[track_caller]
    pub fn mistake(&self, what: &str, message: impl Into<String>) -> Tensor {
        self.graph.mistake_of_layer(&format!("{what} {:?}", self.name), message.into())
    }

    /// Number of values of the parameters that a layer makes for a batch.
    pub(super) fn count_parameters(batch: Shape, dtype: DType, layer: impl FnOnce(&Scope<'_>, &Tensor)) -> usize {
        let graph = Graph::new();
        layer(&Scope::new(&graph, "", Mode::Evaluation), &graph.input("x", batch, dtype));
        graph.parameters().iter().map(|(_, parameter)| parameter.shape().len()).sum()
    }
}
