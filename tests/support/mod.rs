//! What several test binaries share. Each uses a part of it.

#![allow(dead_code, reason = "each test binary uses a part")]

pub mod devices;
pub mod drawn;
pub mod golden;
pub mod mutated_files;
pub mod pool;

pub use wgrad::scalar::threefry::HostRandom;
