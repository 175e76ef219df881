//! Floor 6: training, from one step to a whole run that can be stopped and taken up again.

mod checkpoint;
pub mod checkpoint_file;
mod fit;
mod history;
mod resident;
mod trainer;

pub use fit::{Callback, Checkpoints, Control, EarlyStopping, Event, Fit};
pub use history::{EpochRecord, History};
pub use trainer::{Evaluation, Trainer};
