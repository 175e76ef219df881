//! Options that some demos take and others refuse.

mod forecasting;
mod tables;
mod translating;
mod vectors;
mod writing;

pub use forecasting::Forecasting;
pub use tables::Tables;
pub use translating::{Searching, Translating};
pub use vectors::Vectors;
pub use writing::Writing;

/// Which of them a demo takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    None,
    Writing,
    Forecasting,
    Tables,
    Vectors,
    Translating,
}
