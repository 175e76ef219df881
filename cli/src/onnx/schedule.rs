//! Learning-rate schedules as JSON objects, with the names and defaults of `torch.optim.lr_scheduler`:
//! `{"name":"StepLR","step_size":30,"gamma":0.1}`, also written `step_lr` or `step`.

use std::sync::Arc;

use serde_json::Value;
use wgrad::optim::schedule::{
    Anneal, Cosine, CosineRestarts, CycleMode, Cyclic, Exponential, Linear, MultiStep, OneCycle, Polynomial,
    ReduceOnPlateau, Reduced, Schedule, Sequential, Step,
};

use super::fields::Fields;
use crate::failure::{Failure, Result};

type Shared = Arc<dyn Schedule>;

type Make = fn(&mut Fields) -> Result<Shared>;

/// Names without `LR` and `_`, in small letters.
const SCHEDULES: &[(&str, &str, Make)] = &[
    ("step", "StepLR", step),
    ("multistep", "MultiStepLR", multi_step),
    ("constant", "ConstantLR", constant),
    ("linear", "LinearLR", linear),
    ("exponential", "ExponentialLR", |fields| {
        Ok(Arc::new(Exponential { gamma: fields.needed("gamma", "a number", Value::as_f64)? }))
    }),
    ("polynomial", "PolynomialLR", polynomial),
    ("cosineannealing", "CosineAnnealingLR", cosine),
    ("cosine", "CosineAnnealingLR", cosine),
    ("cosineannealingwarmrestarts", "CosineAnnealingWarmRestarts", restarts),
    ("cyclic", "CyclicLR", cyclic),
    ("onecycle", "OneCycleLR", one_cycle),
    ("reduceonplateau", "ReduceLROnPlateau", plateau),
    ("sequential", "SequentialLR", sequential),
];

const EXAMPLE: &str = r#"{"name":"StepLR","step_size":30,"gamma":0.1}"#;

const INTEGER: &str = "an integer";

fn step(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Step {
        every: fields.needed("step_size", INTEGER, Value::as_u64)?,
        gamma: fields.number("gamma", 0.1)?,
    }))
}

fn milestones(fields: &mut Fields) -> Result<Vec<u64>> {
    fields.needed("milestones", "a list of integers", |value| value.as_array()?.iter().map(Value::as_u64).collect())
}

fn multi_step(fields: &mut Fields) -> Result<Shared> {
    let mut milestones = milestones(fields)?;
    milestones.sort_unstable();
    Ok(Arc::new(MultiStep { milestones, gamma: fields.number("gamma", 0.1)? }))
}

fn iterations(fields: &mut Fields) -> Result<u64> {
    fields.take("total_iters", 5, INTEGER, Value::as_u64)
}

fn constant(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Reduced { factor: fields.number("factor", 1.0 / 3.0)?, steps: iterations(fields)? }))
}

fn linear(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Linear {
        start_factor: fields.number("start_factor", 1.0 / 3.0)?,
        end_factor: fields.number("end_factor", 1.0)?,
        steps: iterations(fields)?,
    }))
}

fn polynomial(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Polynomial { steps: iterations(fields)?, power: fields.number("power", 1.0)? }))
}

fn cosine(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(Cosine {
        steps: fields.needed("T_max", INTEGER, Value::as_u64)?,
        minimum: fields.number("eta_min", 0.0)?,
    }))
}

fn restarts(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(CosineRestarts {
        steps: fields.needed("T_0", INTEGER, Value::as_u64)?,
        growth: fields.take("T_mult", 1, INTEGER, Value::as_u64)?,
        minimum: fields.number("eta_min", 0.0)?,
    }))
}

/// PyTorch's cycles change the momentum, too, unless they are told not to.
fn without_momentum(fields: &mut Fields) -> Result {
    let needs = "false: momenta stay as they are here, where PyTorch's default would let them go along";
    fields.needed("cycle_momentum", needs, |value| (!value.as_bool()?).then_some(()))
}

fn cyclic(fields: &mut Fields) -> Result<Shared> {
    without_momentum(fields)?;
    let up = fields.take("step_size_up", 2000, INTEGER, Value::as_u64)?;
    let gamma = fields.number("gamma", 1.0)?;
    Ok(Arc::new(Cyclic {
        low: fields.needed("base_lr", "a number", Value::as_f64)?,
        high: fields.needed("max_lr", "a number", Value::as_f64)?,
        up,
        down: fields.take("step_size_down", up, INTEGER, Value::as_u64)?,
        mode: match fields.choice("mode", &["triangular", "triangular2", "exp_range"])? {
            "triangular2" => CycleMode::Halving,
            "exp_range" => CycleMode::Exponential(gamma),
            _ => CycleMode::Triangular,
        },
    }))
}

fn one_cycle(fields: &mut Fields) -> Result<Shared> {
    without_momentum(fields)?;
    let max = fields.needed("max_lr", "a number", Value::as_f64)?;
    let steps = match fields.optional("total_steps", INTEGER, Value::as_u64)? {
        Some(steps) => steps,
        None => {
            let epochs = fields.needed("epochs", "an integer, or \"total_steps\"", Value::as_u64)?;
            epochs.saturating_mul(fields.needed("steps_per_epoch", INTEGER, Value::as_u64)?)
        }
    };
    Ok(Arc::new(OneCycle {
        max,
        steps,
        pct_start: fields.number("pct_start", 0.3)?,
        div_factor: fields.number("div_factor", 25.0)?,
        final_div_factor: fields.number("final_div_factor", 1e4)?,
        anneal: if fields.choice("anneal_strategy", &["cos", "linear"])? == "cos" {
            Anneal::Cosine
        } else {
            Anneal::Linear
        },
        three_phase: fields.flag("three_phase")?,
    }))
}

fn plateau(fields: &mut Fields) -> Result<Shared> {
    Ok(Arc::new(ReduceOnPlateau {
        higher_is_better: fields.choice("mode", &["min", "max"])? == "max",
        factor: fields.number("factor", 0.1)?,
        patience: fields.take("patience", 10, INTEGER, Value::as_u64)?,
        threshold: fields.number("threshold", 1e-4)?,
        absolute: fields.choice("threshold_mode", &["rel", "abs"])? == "abs",
        cooldown: fields.take("cooldown", 0, INTEGER, Value::as_u64)?,
        minimum: fields.number("min_lr", 0.0)?,
        smallest_change: fields.number("eps", 1e-8)?,
    }))
}

fn sequential(fields: &mut Fields) -> Result<Shared> {
    let listed = fields.needed("schedulers", "a list of schedules", |value| value.as_array().cloned())?;
    let schedules = listed.into_iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Sequential { schedules, milestones: milestones(fields)? }))
}

/// The schedule that a JSON value describes.
pub fn read(value: Value) -> Result<Shared> {
    let (name, mut fields) = Fields::named(value, "the schedule", EXAMPLE)?;
    let mut plain = name.to_lowercase().replace("lr", "");
    plain.retain(|letter| letter != '_');
    let Some((_, known, make)) = SCHEDULES.iter().find(|(plainly, _, _)| *plainly == plain) else {
        let mut names: Vec<&str> = SCHEDULES.iter().map(|(_, name, _)| *name).collect();
        names.dedup();
        return Err(Failure::new(format!("there is no schedule {name:?}; there are {}", names.join(", "))));
    };
    let schedule = make(&mut fields)?;
    fields.done(known)?;
    schedule.check().map_err(|error| Failure::new(format!("schedule {known}: {error}")))?;
    Ok(schedule)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;
    use crate::failure::Failure;

    fn error(value: serde_json::Value) -> String {
        match read(value) {
            Err(Failure::Message(message)) => message,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn names_and_defaults_are_those_of_pytorch() {
        for name in ["StepLR", "step_lr", "step", "Step"] {
            let schedule = read(json!({"name": name, "step_size": 3}));
            assert_eq!(format!("{schedule:?}"), "Ok(Step { every: 3, gamma: 0.1 })", "{name}");
        }
        for value in [
            json!({"name": "MultiStepLR", "milestones": [5, 2]}),
            json!({"name": "ConstantLR"}),
            json!({"name": "linear"}),
            json!({"name": "ExponentialLR", "gamma": 0.9}),
            json!({"name": "PolynomialLR"}),
            json!({"name": "CosineAnnealingLR", "T_max": 10}),
            json!({"name": "cosine_annealing_warm_restarts", "T_0": 10}),
            json!({"name": "CyclicLR", "base_lr": 0.1, "max_lr": 1, "cycle_momentum": false}),
            json!({"name": "OneCycleLR", "max_lr": 1, "epochs": 3, "steps_per_epoch": 4, "cycle_momentum": false}),
            json!({"name": "ReduceLROnPlateau"}),
            json!({"name": "reduce_lr_on_plateau", "mode": "max", "threshold_mode": "abs"}),
            json!({"name": "SequentialLR", "milestones": [3], "schedulers": [
                {"name": "LinearLR", "total_iters": 3}, {"name": "cosine", "T_max": 7}]}),
        ] {
            let schedule = read(value.clone());
            assert!(schedule.is_ok(), "{value}: {schedule:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(error(json!("step")).contains("should be an object like"));
        assert!(error(json!({"name": "Lambda"})).contains("there are StepLR, MultiStepLR"));
        assert!(error(json!({"name": "StepLR"})).contains("needs \"step_size\", an integer"));
        assert!(error(json!({"name": "StepLR", "step_size": 1, "eps": 1})).contains("StepLR has no \"eps\""));
        assert!(error(json!({"name": "StepLR", "step_size": 0})).contains("schedule StepLR:"));
        assert!(error(json!({"name": "OneCycleLR", "max_lr": 1})).contains("\"cycle_momentum\", false"));
        assert!(error(json!({"name": "ReduceLROnPlateau", "mode": "up"})).contains("\"min\" or \"max\""));
        assert!(error(json!({"name": "SequentialLR", "milestones": [], "schedulers": []})).contains("milestone"));
    }
}
