//! Optimizers by name, with the learning rates that are usual for them.

use wgrad::optim::{Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, NAdam, Optimizer, RAdam, RMSprop, Rprop, SGD};

use crate::failure::{Failure, Result};

type Make = fn(f64) -> Chosen;

/// Names, usual learning rates and makers. Settings besides the learning rate are PyTorch's defaults, but that `sgd` has no
/// use in practice without momentum, so that there are three of it.
const OPTIMIZERS: &[(&str, f64, Make)] = &[
    ("adam", 1e-3, |rate| Box::new(Adam::new(rate))),
    ("adamw", 1e-3, |rate| Box::new(AdamW::new(rate))),
    ("nadam", 2e-3, |rate| Box::new(NAdam::new(rate))),
    ("adamax", 2e-3, |rate| Box::new(Adamax::new(rate))),
    ("radam", 1e-3, |rate| Box::new(RAdam::new(rate))),
    ("lion", 1e-4, |rate| Box::new(Lion::new(rate))),
    ("sgd", 5e-2, |rate| Box::new(SGD::new(rate))),
    ("momentum", 2e-2, |rate| Box::new(SGD::new(rate).momentum(0.9))),
    ("nesterov", 2e-2, |rate| Box::new(SGD::new(rate).momentum(0.9).nesterov())),
    ("rmsprop", 1e-3, |rate| Box::new(RMSprop::new(rate))),
    ("adagrad", 1e-2, |rate| Box::new(Adagrad::new(rate))),
    ("adadelta", 1.0, |rate| Box::new(Adadelta::new(rate))),
    // Meant for gradients of all data at once: of batches, signs change by chance.
    ("rprop", 1e-3, |rate| Box::new(Rprop::new(rate))),
];

/// Whichever optimizer was asked for.
pub type Chosen = Box<dyn Optimizer>;

fn row(name: &str) -> Result<&'static (&'static str, f64, Make)> {
    OPTIMIZERS.iter().find(|(known, _, _)| *known == name).ok_or_else(|| {
        let names: Vec<&str> = OPTIMIZERS.iter().map(|(name, _, _)| *name).collect();
        Failure::new(format!("there is no optimizer {name:?}; there are {}", names.join(", ")))
    })
}

/// The optimizer's own name, if it is one.
pub fn find(name: &str) -> Result<&'static str> {
    Ok(row(name)?.0)
}

/// The usual learning rate.
pub fn default_rate(name: &str) -> Result<f64> {
    Ok(row(name)?.1)
}

/// The optimizer of a name.
pub fn make(name: &str, learning_rate: f64) -> Result<Chosen> {
    Ok(row(name)?.2(learning_rate))
}
