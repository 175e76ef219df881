//! Bad input: each mistake is one clear error that names the operator, what was wrong and the user's line; nothing panics,
//! neither at the mistake nor at what is built on it afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]
#![allow(unused_must_use, reason = "what a mistaken call gives back is of no use")]

mod anything;
mod graph;
mod guide;
mod origins;
mod pools;
mod session;
#[path = "../support/mod.rs"]
mod support;
