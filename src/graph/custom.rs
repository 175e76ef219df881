//! Operators that an embedder brings.

use super::Operator;

/// An operator that an embedder brings: the trait, shareable between threads.
pub trait CustomOperator: Operator + Send + Sync {}
impl<T: Operator + Send + Sync> CustomOperator for T {}
