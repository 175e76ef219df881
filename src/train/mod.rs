//! Floor 6: training, from one step to a whole run that can be stopped and taken up again.

pub mod checkpoint_file;
