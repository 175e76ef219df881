//! Normalisation layers, residual blocks and augmentation: golden values, running statistics, kernels, names, mistakes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

mod augment;
mod golden;
mod layers;
mod programs;
mod residual;
#[path = "../support/mod.rs"]
mod support;
