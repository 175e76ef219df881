//! Floor 6: optimizers and what steers them.

pub mod schedule;
