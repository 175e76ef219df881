pub mod data;
pub mod error;
pub mod shader;
pub mod ops;
pub mod graph;
pub mod optim;
pub mod scalar;
pub mod tensor;
pub use error::{Error, Result};
