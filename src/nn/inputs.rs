//! The inputs of a model that takes several.

use std::cell::OnceCell;
use std::ops::Index;

use crate::graph::{Graph, Tensor};

/// A batch's inputs by name, for models that take several: see [`Trainer::with_inputs`](crate::train::Trainer::with_inputs).
///
/// `inputs["tokens"]` is the input of that name. One that is not there is a mistake in the graph, which is told with the line of its use
/// when the model is compiled, as any other.
#[derive(Clone, Debug)]
pub struct Inputs {
    graph: Graph,
    inputs: Vec<(String, Tensor)>,
    /// What stands for one that is not there.
    missing: OnceCell<Tensor>,
}

impl Inputs {
    /// Of tensors of a graph, by name.
    pub fn new<Name: Into<String>>(g: &Graph, inputs: impl IntoIterator<Item = (Name, Tensor)>) -> Self {
        let inputs = inputs.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect();
        Self { graph: g.clone(), inputs, missing: OnceCell::new() }
    }

    /// The input of a name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.inputs.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor)
    }

    /// All of them, in the order in which the trainer was told their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

impl Index<&str> for Inputs {
    type Output = Tensor;

    #[track_caller]
    fn index(&self, name: &str) -> &Tensor {
        if let Some(tensor) = self.get(name) {
            return tensor;
        }
        let names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
        let tensor = self.graph.mistake("inputs", format!("there is no input {name:?}; there are {names:?}"));
        self.missing.get_or_init(|| tensor)
    }
}
