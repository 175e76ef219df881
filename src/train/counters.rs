//! What a session counts, as text in a file: the learning rate and steps of each of its optimizers.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::session::{OptimizerState, Session};

/// The optimizers as JSON. Learning rates are the bits of a float, so that what is read back is what was there.
pub(super) fn to_json(session: &Session) -> String {
    let optimizer = |optimizer: OptimizerState| {
        json!({
            "name": optimizer.name,
            "parameters": optimizer.parameters,
            "learning_rate": format!("{:016x}", optimizer.learning_rate.to_bits()),
            "steps": optimizer.steps,
        })
    };
    Value::Array(session.optimizers().into_iter().map(optimizer).collect()).to_string()
}

/// The optimizers that a text tells of.
///
/// # Errors
/// A text that is none of [`to_json`].
pub(super) fn from_json(text: &str) -> Result<Vec<OptimizerState>> {
    let wrong = || Error::Data("what it says of its optimizers cannot be read".into());
    let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let optimizer = |value: &Value| {
        let bits = u64::from_str_radix(value["learning_rate"].as_str()?, 16).ok()?;
        Some(OptimizerState {
            name: value["name"].as_str()?.to_owned(),
            parameters: value["parameters"]
                .as_array()?
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            learning_rate: f64::from_bits(bits),
            steps: value["steps"].as_u64()?,
        })
    };
    value.as_array().ok_or_else(wrong)?.iter().map(|value| optimizer(value).ok_or_else(wrong)).collect()
}

/// Gives a session's optimizers what a file says of them.
///
/// # Errors
/// A text that is none of [`to_json`], or of other optimizers than the session's.
pub(super) fn restore(session: &mut Session, text: &str) -> Result<()> {
    let optimizers = from_json(text)?;
    let missing = session
        .optimizers()
        .into_iter()
        .find(|known| !optimizers.iter().any(|other| other.name == known.name && other.parameters == known.parameters));
    if let Some(OptimizerState { name, parameters, .. }) = missing {
        return Err(Error::Data(format!("it has no optimizer {name:?} of the parameters {parameters:?}")));
    }
    optimizers.iter().try_for_each(|optimizer| session.set_optimizer(optimizer))
}
