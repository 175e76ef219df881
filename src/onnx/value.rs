//! A value of an ONNX graph while it is imported.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::graph::Tensor;
use crate::ops::Role;
use crate::tensor::TensorData;

/// An initializer, or a constant of floats. It becomes part of the graph where a tensor is needed; what is only known on the host
/// (axes, sizes) never does.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) name: String,
    /// What it is in the graph: a parameter, or a number that no training changes.
    pub(super) role: Role,
    /// Whether it is a constant of the graph until something reads it as a weight ([`weights`](super::weights)).
    pub(super) is_constant: bool,
    pub(super) data: Arc<TensorData>,
    pub(super) tensor: OnceCell<Tensor>,
}

/// What an ONNX name stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// An optional input that was left out, or an output that nobody can use.
    None,
    /// A value of the engine's graph.
    Tensor(Tensor),
    /// An initializer.
    Stored(Rc<Stored>),
    /// A list of values.
    Sequence(Vec<Self>),
    /// A value that may be missing.
    Optional(Option<Box<Self>>),
}

impl Value {
    /// What kind of value it is, for errors.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Tensor(_) | Self::Stored(_) => "a tensor",
            Self::Sequence(_) => "a sequence",
            Self::Optional(_) => "an optional",
        }
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}
