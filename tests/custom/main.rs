//! What is written outside of wgrad: operators of one's own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod expressions;
mod faults;
mod operator;
#[path = "../../examples/custom_operator/snake.rs"]
mod snake;
#[path = "../../examples/custom_operator/sparsemax.rs"]
mod sparsemax;
#[path = "../support/mod.rs"]
mod support;
