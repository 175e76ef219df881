//! wgrad: a deep-learning compute engine that trains and runs neural networks on any GPU through WebGPU, and on the CPU.
//!
//! A program is written once as a graph of tensors; wgrad differentiates it, fuses it, plans its memory, and runs forward,
//! backward and optimizer as one prepared program.

pub mod bench;
pub mod check;
mod checksum;
pub mod compiler;
pub mod data;
pub mod device;
pub mod error;
pub mod file;
pub mod graph;
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

pub use device::Device;
pub use error::{Error, Result};

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
        Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, NAdam, Optimizer, RAdam, RMSprop, Rprop, SGD,
    };
    pub use crate::session::Session;
    pub use crate::tensor::DType::{self, BF16, Bool, F16, F32, F64, I32, I64, U8, U32};
    pub use crate::tensor::{Shape, TensorData};
    pub use crate::train::{Checkpoints, Fit, History, Trainer};
}
