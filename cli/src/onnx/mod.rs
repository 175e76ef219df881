//! What the command does with ONNX models: `run`, `grad`, `fit` and `info`. Tensors come and go as safetensors, keyed by the
//! graph's names.

mod fields;
pub mod fit;
pub mod gradient;
pub mod info;
mod jobs;
mod objective;
mod optimizer;
pub mod run;
mod schedule;
