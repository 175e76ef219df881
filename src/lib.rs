pub mod error;
pub mod scalar;
pub mod tensor;
pub use error::{Error, Result};
