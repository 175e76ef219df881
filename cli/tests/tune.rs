//! `wgrad tune`: its events, what it keeps, and what it refuses.

#![allow(clippy::panic, reason = "a test that fails says where")]

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::{events, fail, has_gpu, of_kind, succeed, text, wgrad};

/// A run that keeps its table in a folder.
fn tune(arguments: &[&str], folder: &Path) -> Output {
    let mut command = wgrad(arguments);
    command.env_remove("WGRAD_NO_TUNING").env("XDG_CACHE_HOME", text(folder));
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("wgrad {arguments:?} does not start: {error}"),
    }
}

fn events_of(output: &Output) -> Vec<Value> {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no event: {line}"))).collect()
}

#[test]
fn the_cpu_has_nothing_to_tune() {
    let all = events(&["tune", "step/mlp-tiny"]);
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((all[0]["event"].as_str(), &all[0]["steps"]), (Some("done"), &Value::from(0)));
    assert!(succeed(&["tune", "matmul/f32/30x70x6"]).contains("nothing to tune"));
    assert!(succeed(&["tune", "--list"]).contains("nothing was tuned"));
    assert_eq!(of_kind(&events(&["tune", "--forget"]), "forgotten")[0]["entries"], 0);
}

#[test]
fn what_is_unknown_is_refused_in_one_line() {
    let line = fail(&["tune", "step/none"]);
    assert!(line.contains("step/none") && line.contains("wgrad bench --list"), "{line}");
    assert!(fail(&["tune", "matmul/f32/3x4"]).contains("matmul/f32/3x4"));
    assert!(fail(&["tune", "there-is-none.onnx"]).contains("there-is-none.onnx"));
    assert!(fail(&["tune", "digits", "--model", "none"]).contains("none"));
    for wrong in [["tune", "--budget", "soon"], ["tune", "--budget", "-1"], ["tune", "--list", "--forget"]] {
        let output = support::run(&wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn winners_are_saved_listed_used_and_forgotten() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let gpu = |arguments: &[&str]| tune(&[arguments, &["--device", "gpu"]].concat(), folder.path());
    let all = events_of(&gpu(&["tune", "matmul/f32/33x70x20", "--json"]));
    let (tuned, done) = (of_kind(&all, "tuned"), of_kind(&all, "done"));
    assert_eq!((tuned.len(), done.len()), (1, 1), "{all:?}");
    for key in ["step", "default", "winner", "default_s", "winner_s", "gain"] {
        assert!(!tuned[0][key].is_null(), "{key} in {}", tuned[0]);
    }
    let number = |event: &Value, key: &str| event[key].as_f64().unwrap_or(f64::NAN);
    let gain = number(tuned[0], "default_s") / number(tuned[0], "winner_s");
    assert!((number(tuned[0], "gain") - gain).abs() < 1e-9 && gain >= 1.0);
    assert!((number(done[0], "gain") - gain).abs() < 1e-9);
    assert!(
        done[0]["file"].as_str().is_some_and(|file| file.starts_with(text(folder.path())) && Path::new(file).exists())
    );
    assert_eq!(of_kind(&events_of(&gpu(&["tune", "--list", "--json"])), "entry").len(), 1);
    assert!(String::from_utf8_lossy(&gpu(&["tune", "--list"]).stdout).contains("matmul"));
    // A table that is damaged is told of once, and stops nothing.
    let file = done[0]["file"].as_str().unwrap_or_default();
    let good = std::fs::read(file).unwrap_or_default();
    assert!(std::fs::write(file, "{").is_ok());
    let damaged = gpu(&["tune", "--list"]);
    let stderr = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert!(damaged.status.success() && stderr.lines().count() == 1 && stderr.starts_with("warning: "), "{stderr}");
    assert!(std::fs::write(file, good).is_ok());
    assert_eq!(of_kind(&events_of(&gpu(&["tune", "--forget", "--json"])), "forgotten")[0]["entries"], 1);
    assert!(!Path::new(file).exists());
    assert_eq!(events_of(&gpu(&["tune", "--list", "--json"])).len(), 0);
}
