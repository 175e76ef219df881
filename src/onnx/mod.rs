//! Models in ONNX files. [`Model`] reads one and says what is in it; [`Model::import`] makes a graph of it, whose float
//! initializers are parameters, and weights in `Constant` nodes too, so that it runs, differentiates, trains and saves like any
//! other.
//!
//! Operators stand in `ops/`, a family a file. A handler builds its part of the graph with [`Tensor`](crate::graph::Tensor)'s own
//! methods. Where it has to know a value on the host (axes, sizes, pads), it asks its node for it, and what the value depends on
//! is computed at once on the CPU (`knowledge`).
//!
//! [`Export`] is the inverse, from a graph to a model for inference.

mod attributes;
mod check;
mod export;
mod import;
mod knowledge;
mod model;
mod node;
mod ops;
mod options;
pub mod proto;
mod roles;
mod settle;
mod signature;
mod statistics;
mod tensor;
mod value;
mod weights;

pub use export::Export;
pub use import::Imported;
pub use model::{Declared, Dimension, Model};
pub use options::Import;
