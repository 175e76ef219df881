//! Small models that came out wrong once, each the smallest of a kind, through the command line on both devices. In `cases/KIND`:
//! `NAME.onnx` with its inputs and what is expected of it (`run`), with an upstream gradient too (`grad`), or with batches and `fit.json`
//! (`fit`). What is expected comes from PyTorch in f64, NumPy and ONNX Runtime.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{devices, text, wgrad};
use wgrad::safetensors::read;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// One model: what is done with it, and the file with what is expected.
struct Case {
    verb: &'static str,
    name: String,
    job: Value,
    expected: PathBuf,
}

fn case(model: &Path) -> Case {
    let folder = model.parent().unwrap();
    let stem = model.file_stem().unwrap().to_str().unwrap();
    let name = format!("{}/{stem}", folder.file_name().unwrap().to_str().unwrap());
    let beside = |part: &str| folder.join(format!("{stem}.{part}.safetensors"));
    let mut job = json!({"name": name, "model": model});
    let fit = folder.join("fit.json");
    if fit.exists() {
        let fit: Value = serde_json::from_slice(&fs::read(fit).unwrap()).unwrap();
        job.as_object_mut().unwrap().extend(fit.as_object().unwrap().clone());
        job["batches"] = json!(folder.join("batches"));
        return Case { verb: "fit", name, job, expected: folder.join("expected.safetensors") };
    }
    job["inputs"] = json!(beside("in"));
    let verb = if beside("up").exists() { "grad" } else { "run" };
    if verb == "grad" {
        job["upstream"] = json!(beside("up"));
    }
    Case { verb, name, job, expected: beside("expected") }
}

/// The first number that is not what is expected; `None` where all are.
fn difference(case: &Case, found: &Path) -> Option<String> {
    let (found, expected) = (read(found).unwrap().0, read(&case.expected).unwrap().0);
    // A step's small numbers are differences of large ones.
    let least = if case.verb == "fit" { 0.05 } else { 0.0 };
    expected.iter().find_map(|(name, right)| {
        let Some(values) = found.get(name) else { return Some(format!("{name} is missing")) };
        if values.shape() != right.shape() {
            return Some(format!("{name} is of shape {}, not {}", values.shape(), right.shape()));
        }
        let is_float = right.dtype().is_float();
        let (values, right) = (values.to_f64_vec(), right.to_f64_vec());
        values.iter().zip(&right).enumerate().find_map(|(index, (&value, &right))| {
            let bound = if is_float { 2e-6 * right.abs().max(least) } else { 0.0 };
            let same = value == right || (value.is_nan() && right.is_nan()) || (value - right).abs() <= bound;
            (!same).then(|| format!("{name}[{index}] is {value:e}, not {right:e}"))
        })
    })
}

#[test]
fn what_was_wrong_once_is_right_on_every_device() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let models = files(&root).into_iter().flat_map(|folder| files(&folder));
    let cases: Vec<Case> =
        models.filter(|path| path.extension().is_some_and(|kind| kind == "onnx")).map(|path| case(&path)).collect();
    assert_eq!(cases.len(), 38);
    for &device in devices() {
        let folder = tempfile::tempdir().unwrap();
        let mut wrong = Vec::new();
        for verb in ["run", "grad", "fit"] {
            let cases: Vec<&Case> = cases.iter().filter(|case| case.verb == verb).collect();
            let output = |case: &Case| folder.path().join(case.name.replace('/', "."));
            let lines = cases.iter().map(|case| {
                let mut job = case.job.clone();
                job["outputs"] = json!(output(case));
                job.to_string() + "\n"
            });
            let jobs = folder.path().join(verb);
            fs::write(&jobs, lines.collect::<String>()).unwrap();
            let run = wgrad(&[verb, "--jobs", text(&jobs), "--device", device, "--json"]).output().unwrap();
            let stdout = String::from_utf8(run.stdout).unwrap();
            let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(events.len(), cases.len(), "{}", String::from_utf8_lossy(&run.stderr));
            for (case, event) in cases.iter().zip(&events) {
                // A GPU computes in i32: what does not fit is refused.
                let refused = case.name.starts_with("whole-numbers-beyond-i32/")
                    && device == "gpu"
                    && event["error"].as_str().is_some_and(|error| error.contains("does not fit i32"));
                if event["ok"] == true {
                    wrong.extend(difference(case, &output(case)).map(|what| format!("{}: {what}", case.name)));
                } else if !refused {
                    wrong.push(format!("{}: {}", case.name, event["error"]));
                }
            }
        }
        assert!(wrong.is_empty(), "{device}: {wrong:#?}");
    }
}
