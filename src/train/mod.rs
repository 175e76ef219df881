//! Floor 6: training, from one step to a whole run that can be stopped and taken up again.

mod arriving;
mod carried;
mod checkpoint;
pub mod checkpoint_file;
mod checkpoints;
mod compile;
mod counters;
mod evaluation;
mod fit;
mod history;
mod parameters;
mod predict;
mod profile;
mod programs;
mod resident;
mod run;
mod session_file;
mod trainer;
mod tuning;

pub use carried::carried_state;
pub use checkpoints::Checkpoints;
pub use evaluation::Evaluation;
pub use fit::{Callback, Control, EarlyStopping, Event, Fit};
pub use history::{EpochRecord, History};
pub use predict::InputGradient;
pub use trainer::Trainer;
