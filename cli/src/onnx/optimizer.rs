//! Optimizers as JSON objects, with the names and defaults of `torch.optim`: `{"name":"sgd","lr":0.1,"momentum":0.9}`.

use std::sync::Arc;

use serde_json::{Map, Value};
use wgrad::optim::{Adadelta, Adagrad, Adam, AdamW, Decay, NAdam, Optimizer, RMSprop, SGD};

use crate::failure::{Failure, Result};

/// An optimizer for several graphs.
pub type Shared = Arc<dyn Optimizer + Send + Sync>;

type Make = fn(&mut Fields) -> Result<Shared>;

const OPTIMIZERS: &[(&str, Make)] = &[
    ("sgd", sgd),
    ("adam", adam),
    ("adamw", adamw),
    ("nadam", nadam),
    ("rmsprop", rmsprop),
    ("adagrad", adagrad),
    ("adadelta", adadelta),
];

/// The fields of an object that nobody has taken yet.
struct Fields {
    rest: Map<String, Value>,
    /// What the optimizer takes, for errors.
    known: Vec<&'static str>,
}

impl Fields {
    fn take<T>(&mut self, name: &'static str, default: T, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T> {
        self.known.push(name);
        match self.rest.remove(name) {
            None => Ok(default),
            Some(value) => read(&value)
                .ok_or_else(|| Failure::new(format!("the optimizer's {name:?} should be {what}, not {value}"))),
        }
    }

    fn number(&mut self, name: &'static str, default: f64) -> Result<f64> {
        self.take(name, default, "a number", Value::as_f64)
    }

    fn flag(&mut self, name: &'static str) -> Result<bool> {
        self.take(name, false, "true or false", Value::as_bool)
    }

    fn betas(&mut self) -> Result<(f64, f64)> {
        self.take("betas", (0.9, 0.999), "a pair of numbers", |value| match value.as_array()?.as_slice() {
            [first, second] => Some((first.as_f64()?, second.as_f64()?)),
            _ => None,
        })
    }

    /// Weight decay as PyTorch's optimizers have it: added to the gradient, or apart from it.
    fn decay(&mut self, default: f64, decoupled: bool) -> Result<Decay> {
        let strength = self.number("weight_decay", default)?;
        Ok(if decoupled { Decay::decoupled(strength) } else { Decay::l2(strength) })
    }
}

fn sgd(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(SGD {
        learning_rate: fields.number("lr", 1e-3)?,
        momentum: fields.number("momentum", 0.0)?,
        dampening: fields.number("dampening", 0.0)?,
        nesterov: fields.flag("nesterov")?,
        decay: fields.decay(0.0, false)?,
    }))
}

fn adam(fields: &mut Fields) -> Result<Shared> {
    let decoupled = fields.flag("decoupled_weight_decay")?;
    Ok(Arc::new(Adam {
        learning_rate: fields.number("lr", 1e-3)?,
        betas: fields.betas()?,
        epsilon: fields.number("eps", 1e-8)?,
        amsgrad: fields.flag("amsgrad")?,
        decay: fields.decay(0.0, decoupled)?,
    }))
}

fn adamw(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(AdamW {
        learning_rate: fields.number("lr", 1e-3)?,
        betas: fields.betas()?,
        epsilon: fields.number("eps", 1e-8)?,
        amsgrad: fields.flag("amsgrad")?,
        decay: fields.decay(1e-2, true)?,
    }))
}

fn nadam(fields: &mut Fields) -> Result<Shared> {
    let decoupled = fields.flag("decoupled_weight_decay")?;
    Ok(Arc::new(NAdam {
        learning_rate: fields.number("lr", 2e-3)?,
        betas: fields.betas()?,
        epsilon: fields.number("eps", 1e-8)?,
        momentum_decay: fields.number("momentum_decay", 4e-3)?,
        decay: fields.decay(0.0, decoupled)?,
    }))
}

fn rmsprop(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(RMSprop {
        learning_rate: fields.number("lr", 1e-2)?,
        alpha: fields.number("alpha", 0.99)?,
        epsilon: fields.number("eps", 1e-8)?,
        momentum: fields.number("momentum", 0.0)?,
        centered: fields.flag("centered")?,
        decay: fields.decay(0.0, false)?,
    }))
}

fn adagrad(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Adagrad {
        learning_rate: fields.number("lr", 1e-2)?,
        learning_rate_decay: fields.number("lr_decay", 0.0)?,
        initial_accumulator: fields.number("initial_accumulator_value", 0.0)?,
        epsilon: fields.number("eps", 1e-10)?,
        decay: fields.decay(0.0, false)?,
    }))
}

fn adadelta(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Adadelta {
        learning_rate: fields.number("lr", 1.0)?,
        rho: fields.number("rho", 0.9)?,
        epsilon: fields.number("eps", 1e-6)?,
        decay: fields.decay(0.0, false)?,
    }))
}

/// The optimizer that a text describes.
pub fn parse(text: &str) -> Result<Shared> {
    match serde_json::from_str(text) {
        Ok(value) => read(value),
        Err(error) => Err(Failure::new(format!("the optimizer should be an object like {EXAMPLE}: {error}"))),
    }
}

const EXAMPLE: &str = r#"{"name":"adam","lr":0.001}"#;

/// The optimizer that a JSON value describes.
pub fn read(value: Value) -> Result<Shared> {
    let Value::Object(mut rest) = value else {
        return Err(Failure::new(format!("the optimizer should be an object like {EXAMPLE}, not {value}")));
    };
    let Some(Value::String(name)) = rest.remove("name") else {
        return Err(Failure::new(format!("the optimizer has no \"name\"; an example is {EXAMPLE}")));
    };
    let Some((_, make)) = OPTIMIZERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
        let names: Vec<&str> = OPTIMIZERS.iter().map(|(name, _)| *name).collect();
        return Err(Failure::new(format!("there is no optimizer {name:?}; there are {}", names.join(", "))));
    };
    let mut fields = Fields { rest, known: Vec::new() };
    let optimizer = make(&mut fields)?;
    let rate = optimizer.learning_rate();
    if !(rate.is_finite() && rate >= 0.0) {
        return Err(Failure::new(format!("the optimizer's \"lr\" is {rate}, and must be a number of at least 0")));
    }
    optimizer.check().map_err(|message| Failure::new(format!("optimizer {name}: {message}")))?;
    match fields.rest.keys().next() {
        Some(unknown) => {
            Err(Failure::new(format!("the optimizer {name} has no {unknown:?}; it takes {}", fields.known.join(", "))))
        }
        None => Ok(optimizer),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::failure::Failure;

    fn error(text: &str) -> String {
        match parse(text) {
            Err(Failure::Message(message)) => message,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn names_and_defaults_are_those_of_pytorch() {
        let shown = |text: &str| format!("{:?}", parse(text));
        assert!(shown(r#"{"name":"sgd","lr":0.5,"momentum":0.9,"nesterov":true}"#).contains("momentum: 0.9"));
        assert!(shown(r#"{"name":"adamw"}"#).contains("decoupled: 0.01"));
        assert!(shown(r#"{"name":"Adam","betas":[0.8,0.9],"weight_decay":0.1}"#).contains("l2: 0.1"));
        for name in ["nadam", "rmsprop", "adagrad", "adadelta"] {
            assert!(parse(&format!("{{\"name\":\"{name}\"}}")).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(error("sgd").contains("should be an object"));
        assert!(error("{}").contains("has no \"name\""));
        assert!(error(r#"{"name":"lion"}"#).contains("there are sgd, adam"));
        assert!(error(r#"{"name":"sgd","rho":1}"#).contains("has no \"rho\"; it takes lr, momentum"));
        assert!(error(r#"{"name":"sgd","lr":"big"}"#).contains("\"lr\" should be a number, not \"big\""));
        assert!(error(r#"{"name":"sgd","lr":-1}"#).contains("at least 0"));
        assert!(error(r#"{"name":"sgd","nesterov":true}"#).contains("needs momentum"));
        assert!(error(r#"{"name":"adam","betas":[0.9]}"#).contains("a pair of numbers"));
    }
}
