//! Floor 6: training, from one step to a whole run that can be stopped and taken up again.

mod arriving;
mod checkpoint;
pub mod checkpoint_file;
mod compile;
mod evaluation;
mod fit;
mod history;
mod predict;
mod resident;
mod trainer;

pub use evaluation::Evaluation;
pub use fit::{Callback, Checkpoints, Control, EarlyStopping, Event, Fit};
pub use history::{EpochRecord, History};
pub use predict::InputGradient;
pub use trainer::Trainer;
