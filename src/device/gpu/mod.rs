//! The GPU device: runs programs through wgpu, on every backend that wgpu has.
//!
//! A program is prepared once: buffers, pipelines, bind groups and uniform parameters are made when it is loaded. A run
//! writes its inputs, walks a flat list of commands, submits, and waits for nothing unless somebody reads a value.
//!
//! - `adapters`: what GPUs there are.
//! - `context`: an open device; every call to wgpu that may fail goes through its error scopes.
//! - `requirements`: what an application asks for when it opens a device.
//! - `health`: the first error that wgpu reported on its own, which each later call returns.
//! - `trusted`: the only unsafe code, which turns off run-time checks in shaders and passes the driver its own cache.
//! - `pipelines`, `disk_cache`, `warm`, `side_by_side`: compiled kernels, shared by all programs of a device, and stored on disk where possible.
//! - `startup`: what a program took until it was ready.
//! - `store`: buffers that outlive programs.
//! - `program`, `bindings`, `run`: a loaded program, what its buffers are bound to, and a step of it.
//! - `submission`, `reports`: the end of what was submitted, and what wgpu says of a call, for those who await them.
//! - `parts`: a run in parts, each for a frame of an application.
//! - `pictures`: textures of an application as inputs and outputs.
//! - `readback`: values that are read back to the host.
//! - `profile`, `stopwatch`: the time of each step, and of many runs in a row.

mod adapters;
mod bindings;
mod context;
mod disk_cache;
mod errors;
mod health;
mod parts;
mod pictures;
mod pieces;
mod pipelines;
mod profile;
mod program;
mod readback;
mod reports;
mod requirements;
#[cfg(test)]
mod row_tests;
mod run;
mod side_by_side;
mod startup;
mod stopwatch;
mod store;
mod submission;
#[cfg(test)]
mod tests;
mod trusted;
mod warm;

pub use adapters::{AdapterKind, CooperativeMatrix, GpuFeatures, GpuInfo, Selection, adapters};
pub use context::{Checks, GpuDevice};
pub use parts::Recorded;
pub use pictures::PixelLayout;
pub use profile::StepTime;
pub use program::GpuProgram;
pub use readback::Ticket;
pub use requirements::{Requirement, Requirements};
pub(crate) use run::Staged;
pub use startup::{KernelStartup, Startup};
pub(crate) use store::GpuCopy;
pub use store::GpuStore;
pub use warm::Compiling;
