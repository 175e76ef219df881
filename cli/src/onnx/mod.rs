//! What the command does with ONNX models: `run` and `info`. Tensors come and go as safetensors, keyed by the graph's names.

pub mod info;
mod jobs;
pub mod run;
