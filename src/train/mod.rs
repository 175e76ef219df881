//! Training, from one step to a whole run that can be stopped and taken up again.

mod arriving;
mod carried;
mod checkpoint;
mod checkpoints;
mod compile;
mod counters;
mod evaluation;
mod feed;
mod fit;
mod history;
mod model_file;
mod named;
mod network;
mod parameters;
mod predict;
mod predictor;
mod profile;
mod programs;
mod resident;
mod run;
mod session_file;
mod streamed;
mod tally;
mod trainer;
mod tuning;

pub use carried::carried_state;
pub use checkpoints::Checkpoints;
pub use evaluation::Evaluation;
pub use fit::{Callback, Control, EarlyStopping, Event, Fit};
pub use history::{EpochRecord, History};
pub use model_file::{ModelFile, ModelSettings};
pub use named::{LoadReport, Matching, OtherType, Parameters};
pub use network::ModelInputs;
pub use predict::InputGradient;
pub use predictor::Predictor;
pub use trainer::Trainer;
