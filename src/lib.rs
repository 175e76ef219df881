//! wgrad: a deep-learning compute engine that trains and runs neural networks on any GPU through WebGPU, and on the CPU.
//!
//! A program is written once as a graph of tensors; wgrad differentiates it, fuses it, plans its memory, and runs forward,
//! backward and optimizer as one prepared program.
//!
//! Where to begin:
//! - A model that is a list of layers is an [`nn::Sequential`]; its [`compile`](nn::Sequential::compile) returns a [`train::Trainer`],
//!   which trains it on a [`data::Dataset`], as in Keras.
//! - Any other model is a function of tensors ([`nn::Model`]), for [`train::Trainer::new`].
//! - For a training loop of one's own, a [`graph::Graph`] is built with the methods of [`graph::Tensor`];
//!   [`minimize`](graph::Graph::minimize) adds the optimizer, and [`compile`](graph::Graph::compile) returns a [`session::Session`].
//! - The [`guide`] tells all of it in order, with an application's device, a browser's page, and what error messages mean.
//!
//! Nothing is computed before a graph is compiled, and all shapes are known then. Building a graph never panics or fails on the spot: the
//! first mistake is an error of what compiles, with the line that made it. Most programs begin with `use wgrad::prelude::*`.
//!
//! | modules | what is in them |
//! |---|---|
//! | [`nn`], [`loss`], [`metrics`], [`optim`] | layers, losses, metrics, optimizers with their schedules |
//! | [`data`] | data sets, streams, readers of files, preparation of tables, texts as numbers |
//! | [`train`] | trainers, checkpoints, files of models |
//! | [`graph`], [`ops`], [`tensor`] | graphs, their operators, shapes and host values |
//! | [`session`], [`device`] | compiled programs with their variables; the CPU and GPUs |
//! | `onnx` (with that feature) | import and export of ONNX files |
//! | [`safetensors`], [`mod@file`] | files of tensors; files that are replaced as a whole |
//! | `check`, `bench` (by default) | whether every kernel is right on a device, and how fast it is |
//! | [`compiler`], [`scalar`], [`shader`] | compiled programs, expressions and kernels: for operators of one's own, and to look inside |

#[cfg(feature = "diagnostics")]
pub mod bench;
#[cfg(feature = "diagnostics")]
pub mod check;
mod checksum;
mod clock;
pub mod compiler;
pub mod data;
pub mod device;
pub mod error;
pub mod file;
pub mod graph;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod loss;
pub mod metrics;
pub mod nn;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod ops;
pub mod optim;
mod parallel;
pub mod safetensors;
pub mod scalar;
pub mod session;
pub mod shader;
pub mod tensor;
pub mod train;
mod waiting;

pub use device::Device;
pub use error::{Error, Result};
/// The wgpu whose devices, buffers and encoders this library shares with an application.
pub use wgpu;

/// The README's examples, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What most programs need.
pub mod prelude {
    pub use crate::device::Device;
    pub use crate::error::{Error, Result};
    pub use crate::graph::{Graph, Tensor};
    pub use crate::loss::{BinaryCrossEntropy, BinaryCrossEntropyWithLogits, CrossEntropy, Loss};
    pub use crate::metrics::BuiltIn::Accuracy;
    pub use crate::metrics::Metric;
    pub use crate::nn::{self, Activation, Initializer, Mode, Model, Precision, Sequential};
    pub use crate::ops::{Axes, keepdim};
    pub use crate::optim::schedule::{self, Schedule};
    pub use crate::optim::{
        ASGD, Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, NAdam, Optimizer, RAdam, RMSprop, Rprop, SGD,
    };
    pub use crate::session::Session;
    pub use crate::tensor::DType::{self, BF16, Bool, F16, F32, F64, I32, I64, U8, U32};
    pub use crate::tensor::{Shape, TensorData};
    pub use crate::train::{Checkpoints, Fit, History, Trainer};
}
