//! Metrics as scikit-learn computes them, learning rates as PyTorch does, and tensors as NumPy prints them:
//! `tests/golden/{metrics,schedule,display}.json`.

use std::sync::Arc;

use approx::assert_relative_eq;
use serde_json::Value;
use wgrad::data::one_hot;
use wgrad::metrics::{Average, BuiltIn, ConfusionMatrix};
use wgrad::optim::schedule::{self, Anneal, CycleMode, Schedule, Scheduler};
use wgrad::tensor::{DType, TensorData};
use wgrad::{Error, Result};

fn cases(file: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(file).unwrap_or_default();
    let cases = document["cases"].as_array().cloned().unwrap_or_default();
    assert!(!cases.is_empty(), "the golden file holds no cases");
    cases
}

fn integers(value: &Value) -> Vec<i32> {
    value.as_array().into_iter().flatten().filter_map(Value::as_i64).map(|value| value as i32).collect()
}

/// Numbers, or rows of numbers.
fn numbers(value: &Value) -> Result<TensorData> {
    fn flatten(value: &Value) -> Vec<f64> {
        value
            .as_array()
            .map_or_else(|| value.as_f64().into_iter().collect(), |rows| rows.iter().flat_map(flatten).collect())
    }
    let rows = value.as_array().map_or(0, Vec::len);
    let flat = flatten(value);
    let columns = flat.len() / rows.max(1);
    let nested = value[0].is_array();
    TensorData::from_vec(flat, if nested { vec![rows, columns] } else { vec![rows] })
}

/// Inputs, which are f32 and written as the shortest decimals that read back as such.
fn inputs_f32(value: &Value) -> Result<TensorData> {
    numbers(value)?.cast(DType::F32)
}

fn of_average(name: &str) -> Option<Average> {
    match name {
        "macro" => Some(Average::Macro),
        "micro" => Some(Average::Micro),
        "weighted" => Some(Average::Weighted),
        _ => None,
    }
}

#[test]
fn metrics_are_scikit_learns() -> Result<()> {
    for case in cases(include_str!("golden/metrics.json")) {
        let name = case["name"].as_str().unwrap_or_default();
        let (attributes, inputs, expected) = (&case["attributes"], &case["inputs"], &case["expected"]);
        let op = case["op"].as_str().unwrap_or_default();
        let truth = integers(&inputs["truth"]);
        let labels = TensorData::from_slice(&truth, [truth.len()])?;
        let classes = attributes["classes"].as_u64().unwrap_or(2) as usize;
        let found: Option<Vec<f64>> = match op {
            "accuracy" | "confusion_matrix" | "precision" | "recall" | "f1" => {
                let predicted = integers(&inputs["predicted"]);
                let predicted = TensorData::from_slice(&predicted, [predicted.len()])?;
                let mut matrix = ConfusionMatrix::new(classes);
                matrix.update(&one_hot(&predicted, classes)?, &labels)?;
                let average = of_average(attributes["average"].as_str().unwrap_or_default());
                let per_class = matrix.per_class();
                match (op, average) {
                    ("accuracy", _) => matrix.accuracy().map(|value| vec![value]),
                    ("confusion_matrix", _) => Some(matrix.rows().flatten().map(|&count| count as f64).collect()),
                    ("precision", Some(average)) => matrix.precision(average).map(|value| vec![value]),
                    ("recall", Some(average)) => matrix.recall(average).map(|value| vec![value]),
                    ("f1", Some(average)) => matrix.f1(average).map(|value| vec![value]),
                    ("precision", None) => Some(per_class.iter().map(|class| class.precision).collect()),
                    ("recall", None) => Some(per_class.iter().map(|class| class.recall).collect()),
                    _ => Some(per_class.iter().map(|class| class.f1).collect()),
                }
            }
            "top_k" => {
                let k = attributes["k"].as_u64().unwrap_or_default() as usize;
                let scores = inputs_f32(&inputs["scores"])?;
                BuiltIn::TopKAccuracy(k).evaluate(&scores, &labels)?.map(|value| vec![value])
            }
            "roc_auc" => BuiltIn::RocAuc.evaluate(&inputs_f32(&inputs["scores"])?, &labels)?.map(|value| vec![value]),
            "mse" | "mae" | "r2" => {
                let metric = match op {
                    "mse" => BuiltIn::Mse,
                    "mae" => BuiltIn::Mae,
                    _ => BuiltIn::R2,
                };
                metric
                    .evaluate(&inputs_f32(&inputs["predicted"])?, &inputs_f32(&inputs["truth"])?)?
                    .map(|value| vec![value])
            }
            other => {
                assert_eq!(other, "", "{name}: an operation that this test does not know");
                None
            }
        };
        let expected =
            if expected.is_array() { numbers(expected)?.to_f64_vec() } else { expected.as_f64().into_iter().collect() };
        let found = found.unwrap_or_default();
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}, not {expected:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{name}: {found}, not {expected}");
        }
    }
    Ok(())
}

#[test]
fn learning_rates_are_pytorchs() -> Result<()> {
    for case in cases(include_str!("golden/schedule.json")) {
        let name = case["name"].as_str().unwrap_or_default().to_owned();
        let attributes = &case["attributes"];
        let number = |key: &str| attributes[key].as_f64().unwrap_or(f64::NAN);
        let count = |key: &str| attributes[key].as_u64().unwrap_or_default();
        let counts = |key: &str| attributes[key].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let is = |key: &str, value: &str| attributes[key] == value;
        let schedule: Box<dyn Schedule> = match case["op"].as_str().unwrap_or_default() {
            "step_lr" => Box::new(schedule::Step { every: count("step_size"), gamma: number("gamma") }),
            "exponential_lr" => Box::new(schedule::Exponential { gamma: number("gamma") }),
            "cosine_annealing_lr" => Box::new(schedule::Cosine { steps: count("T_max"), minimum: number("eta_min") }),
            "linear_lr" => Box::new(schedule::Linear {
                steps: count("total_iters"),
                start_factor: number("start_factor"),
                end_factor: number("end_factor"),
            }),
            "one_cycle_lr" => Box::new(schedule::OneCycle {
                max: number("max_lr"),
                steps: count("total_steps"),
                pct_start: number("pct_start"),
                div_factor: number("div_factor"),
                final_div_factor: number("final_div_factor"),
                anneal: if is("anneal_strategy", "cos") { Anneal::Cosine } else { Anneal::Linear },
                three_phase: attributes["three_phase"] == true,
            }),
            "reduce_lr_on_plateau" => Box::new(schedule::ReduceOnPlateau {
                factor: number("factor"),
                patience: count("patience"),
                threshold: number("threshold"),
                absolute: is("threshold_mode", "abs"),
                cooldown: count("cooldown"),
                minimum: number("min_lr"),
                smallest_change: number("eps"),
                higher_is_better: is("mode", "max"),
            }),
            "multi_step_lr" => {
                Box::new(schedule::MultiStep { milestones: counts("milestones"), gamma: number("gamma") })
            }
            "constant_lr" => Box::new(schedule::Reduced { steps: count("total_iters"), factor: number("factor") }),
            "polynomial_lr" => Box::new(schedule::Polynomial { steps: count("total_iters"), power: number("power") }),
            "cosine_annealing_warm_restarts" => Box::new(schedule::CosineRestarts {
                steps: count("T_0"),
                growth: count("T_mult"),
                minimum: number("eta_min"),
            }),
            "cyclic_lr" => Box::new(schedule::Cyclic {
                low: number("base_lr"),
                high: number("max_lr"),
                up: count("step_size_up"),
                down: count("step_size_down"),
                mode: match attributes["mode"].as_str() {
                    Some("triangular2") => CycleMode::Halving,
                    Some("exp_range") => CycleMode::Exponential(number("gamma")),
                    _ => CycleMode::Triangular,
                },
            }),
            "sequential_lr" => Box::new(schedule::Sequential {
                schedules: vec![
                    Arc::new(schedule::Linear { steps: 4, start_factor: 0.25, end_factor: 1.0 }),
                    Arc::new(schedule::Exponential { gamma: 0.5 }),
                    Arc::new(schedule::CosineRestarts { steps: 3, growth: 2, minimum: 0.01 }),
                ],
                milestones: counts("milestones"),
            }),
            other => return Err(Error::Argument(format!("{name}: nothing is known of {other:?}"))),
        };
        let (rates, metrics) = (numbers(&case["rates"])?.to_f64_vec(), numbers(&case["metrics"])?.to_f64_vec());
        let base = case["base_rate"].as_f64().unwrap_or(f64::NAN);
        let mut scheduler = Scheduler::new(schedule, base)?;
        for (step, expected) in rates.into_iter().enumerate() {
            assert_relative_eq!(scheduler.learning_rate(step as u64), expected, max_relative = 1e-9, epsilon = 1e-15);
            metrics.get(step).into_iter().for_each(|&metric| scheduler.observe(metric));
        }
    }
    Ok(())
}

#[test]
fn tensors_print_as_numpys() -> Result<()> {
    let mut complaints = Vec::new();
    for case in cases(include_str!("golden/display.json")) {
        let name = case["name"].as_str().unwrap_or_default();
        let shape: Vec<usize> = case["attributes"]["shape"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .map(|n| n as usize)
            .collect();
        let words = || case["values"].as_str().unwrap_or_default().split_whitespace();
        let floats: Vec<f64> = words().map(|word| word.parse().unwrap_or(f64::NAN)).collect();
        let dtype = match case["attributes"]["dtype"].as_str().unwrap_or_default() {
            "float32" => DType::F32,
            "float64" => DType::F64,
            "float16" => DType::F16,
            "int32" => DType::I32,
            "uint8" => DType::U8,
            "bool" => DType::Bool,
            _ => DType::I64,
        };
        let data = if dtype == DType::I64 {
            let whole: Vec<i64> = words().map(|word| word.parse().unwrap_or(i64::MIN)).collect();
            TensorData::from_vec(whole, shape)?
        } else {
            TensorData::from_f64(dtype, &floats, shape)?
        };
        let expected = case["text"].as_str().unwrap_or_default();
        if data.to_string() != expected {
            complaints.push(format!("{name}:\n{data}\nnot\n{expected}"));
        }
        let lines: Vec<&str> = expected.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
        assert_eq!(format!("{data:?}"), format!("TensorData({}, {})", data.ty(), lines.join(" ")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}
