//! Optimizers as JSON objects, with the names and defaults of `torch.optim`: `{"name":"sgd","lr":0.1,"momentum":0.9}`.

use std::sync::Arc;

use serde_json::Value;
use wgrad::optim::schedule::{Constant, Schedule};
use wgrad::optim::{
    Adadelta, Adagrad, Adam, AdamW, Adamax, Decay, Minimize, NAdam, Optimizer, RAdam, RMSprop, Rprop, SGD,
};

use super::fields::Fields;
use super::schedule;
use crate::failure::{Failure, Result};

/// An optimizer for several graphs.
pub type Shared = Arc<dyn Optimizer>;

type Make = fn(&mut Fields) -> Result<Shared>;

const OPTIMIZERS: &[(&str, Make)] = &[
    ("sgd", sgd),
    ("adam", adam),
    ("adamw", adamw),
    ("nadam", nadam),
    ("rmsprop", rmsprop),
    ("adagrad", adagrad),
    ("adadelta", adadelta),
    ("adamax", adamax),
    ("radam", radam),
    ("rprop", rprop),
];

/// An optimizer, what is done to its gradients, and how its learning rate goes.
#[derive(Debug)]
pub struct Recipe {
    /// The optimizer.
    pub optimizer: Shared,
    /// The learning rate over the steps.
    pub schedule: Arc<dyn Schedule>,
    clip_norm: Option<f64>,
    clip_value: Option<f64>,
}

impl Recipe {
    /// A step with its gradients clipped.
    pub fn clipped(&self, mut step: Minimize) -> Minimize {
        if let Some(limit) = self.clip_value {
            step = step.clip_value(limit);
        }
        if let Some(norm) = self.clip_norm {
            step = step.clip_norm(norm);
        }
        step
    }
}

fn betas(fields: &mut Fields) -> Result<(f64, f64)> {
    fields.pair("betas", (0.9, 0.999))
}

/// Weight decay as PyTorch's optimizers have it: added to the gradient, or apart from it.
fn decay(fields: &mut Fields, default: f64, decoupled: bool) -> Result<Decay> {
    let strength = fields.number("weight_decay", default)?;
    Ok(if decoupled { Decay::decoupled(strength) } else { Decay::l2(strength) })
}

fn sgd(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(SGD {
        learning_rate: fields.number("lr", 1e-3)?,
        momentum: fields.number("momentum", 0.0)?,
        dampening: fields.number("dampening", 0.0)?,
        nesterov: fields.flag("nesterov")?,
        decay: decay(fields, 0.0, false)?,
    }))
}

fn adam(fields: &mut Fields) -> Result<Shared> {
    let decoupled = fields.flag("decoupled_weight_decay")?;
    Ok(Arc::new(Adam {
        learning_rate: fields.number("lr", 1e-3)?,
        betas: betas(fields)?,
        epsilon: fields.number("eps", 1e-8)?,
        amsgrad: fields.flag("amsgrad")?,
        decay: decay(fields, 0.0, decoupled)?,
    }))
}

fn adamw(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(AdamW {
        learning_rate: fields.number("lr", 1e-3)?,
        betas: betas(fields)?,
        epsilon: fields.number("eps", 1e-8)?,
        amsgrad: fields.flag("amsgrad")?,
        decay: decay(fields, 1e-2, true)?,
    }))
}

fn nadam(fields: &mut Fields) -> Result<Shared> {
    let decoupled = fields.flag("decoupled_weight_decay")?;
    Ok(Arc::new(NAdam {
        learning_rate: fields.number("lr", 2e-3)?,
        betas: betas(fields)?,
        epsilon: fields.number("eps", 1e-8)?,
        momentum_decay: fields.number("momentum_decay", 4e-3)?,
        decay: decay(fields, 0.0, decoupled)?,
    }))
}

fn rmsprop(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(RMSprop {
        learning_rate: fields.number("lr", 1e-2)?,
        alpha: fields.number("alpha", 0.99)?,
        epsilon: fields.number("eps", 1e-8)?,
        momentum: fields.number("momentum", 0.0)?,
        centered: fields.flag("centered")?,
        decay: decay(fields, 0.0, false)?,
    }))
}

fn adagrad(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Adagrad {
        learning_rate: fields.number("lr", 1e-2)?,
        learning_rate_decay: fields.number("lr_decay", 0.0)?,
        initial_accumulator: fields.number("initial_accumulator_value", 0.0)?,
        epsilon: fields.number("eps", 1e-10)?,
        decay: decay(fields, 0.0, false)?,
    }))
}

fn adadelta(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Adadelta {
        learning_rate: fields.number("lr", 1.0)?,
        rho: fields.number("rho", 0.9)?,
        epsilon: fields.number("eps", 1e-6)?,
        decay: decay(fields, 0.0, false)?,
    }))
}

fn adamax(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Adamax {
        learning_rate: fields.number("lr", 2e-3)?,
        betas: betas(fields)?,
        epsilon: fields.number("eps", 1e-8)?,
        decay: decay(fields, 0.0, false)?,
    }))
}

fn radam(fields: &mut Fields) -> Result<Shared> {
    let decoupled = fields.flag("decoupled_weight_decay")?;
    Ok(Arc::new(RAdam {
        learning_rate: fields.number("lr", 1e-3)?,
        betas: betas(fields)?,
        epsilon: fields.number("eps", 1e-8)?,
        decay: decay(fields, 0.0, decoupled)?,
    }))
}

fn rprop(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Rprop {
        learning_rate: fields.number("lr", 1e-2)?,
        etas: fields.pair("etas", (0.5, 1.2))?,
        step_sizes: fields.pair("step_sizes", (1e-6, 50.0))?,
    }))
}

/// What a text describes.
pub fn parse(text: &str) -> Result<Recipe> {
    match serde_json::from_str(text) {
        Ok(value) => read(value),
        Err(error) => Err(Failure::new(format!("the optimizer should be an object like {EXAMPLE}: {error}"))),
    }
}

const EXAMPLE: &str = r#"{"name":"adam","lr":0.001}"#;

/// What a JSON value describes.
pub fn read(value: Value) -> Result<Recipe> {
    let (name, mut fields) = Fields::named(value, "the optimizer", EXAMPLE)?;
    let Some((_, make)) = OPTIMIZERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
        let names: Vec<&str> = OPTIMIZERS.iter().map(|(name, _)| *name).collect();
        return Err(Failure::new(format!("there is no optimizer {name:?}; there are {}", names.join(", "))));
    };
    let optimizer = make(&mut fields)?;
    let rate = optimizer.learning_rate();
    if !(rate.is_finite() && rate >= 0.0) {
        return Err(Failure::new(format!("the optimizer's \"lr\" is {rate}, and must be a number of at least 0")));
    }
    optimizer.check().map_err(|message| Failure::new(format!("optimizer {name}: {message}")))?;
    // By the names of PyTorch's functions, of their arguments, and of wgrad's own methods.
    let bound = |value: &Value| value.as_f64().filter(|bound| bound.is_finite() && *bound > 0.0);
    let clip_norm = fields.alias(&["clip_grad_norm", "clip_norm", "max_norm"], "a number above 0", bound)?;
    let clip_value = fields.alias(&["clip_grad_value", "clip_value"], "a number above 0", bound)?;
    let any = |value: &Value| Some(value.clone());
    let schedule = fields.alias(&["lr_scheduler", "scheduler", "schedule"], "an object", any)?;
    let schedule = match schedule {
        Some(value) => schedule::read(value)?,
        None => Arc::new(Constant),
    };
    fields.done(&name)?;
    Ok(Recipe { optimizer, schedule, clip_norm, clip_value })
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
        assert!(shown(r#"{"name":"adamax"}"#).contains("learning_rate: 0.002"));
        assert!(
            shown(r#"{"name":"RAdam","decoupled_weight_decay":true,"weight_decay":0.1}"#).contains("decoupled: 0.1")
        );
        assert!(shown(r#"{"name":"Rprop","etas":[0.4,1.5]}"#).contains("step_sizes: (1e-6, 50.0)"));
        assert!(
            shown(r#"{"name":"sgd","clip_grad_norm":2,"clip_value":0.5}"#)
                .contains("clip_norm: Some(2.0), clip_value: Some(0.5)")
        );
        assert!(
            shown(r#"{"name":"sgd","lr_scheduler":{"name":"ExponentialLR","gamma":0.9}}"#)
                .contains("Exponential { gamma: 0.9 }")
        );
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
        assert!(error(r#"{"name":"sgd","clip_grad_norm":0}"#).contains("a number above 0, not 0"));
        assert!(error(r#"{"name":"sgd","clip_grad_norm":1,"max_norm":2}"#).contains("names of the same"));
        assert!(error(r#"{"name":"sgd","lr_scheduler":"cosine"}"#).contains("the schedule should be an object like"));
        assert!(error(r#"{"name":"rprop","etas":[1.5,0.5]}"#).contains("must be below 1 and above 1"));
        assert!(error(r#"{"name":"adam","betas":[0.9]}"#).contains("a pair of numbers"));
    }
}
