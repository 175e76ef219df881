//! The table of a GPU's fastest kernels: what tuning found, in memory and in a file. It knows no GPU: those open it (`gpu`), and
//! what measures writes to it (`tuning`).

mod file;
mod known;

pub(crate) use file::Identity;
pub use file::TunedEntry;
pub(crate) use known::Known;
