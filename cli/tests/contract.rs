//! What programs rely on: the shape of events, and exit statuses.

mod support;

use std::fs;

use serde_json::Value;
use support::{events, fail, of_kind, run, succeed, text};

/// Asserts that an event has exactly these keys, in this order.
fn assert_keys(event: &Value, keys: &[&str]) {
    let there: Vec<&str> =
        event.as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default();
    assert_eq!(there, [&["event"], keys].concat(), "{event}");
}

#[test]
fn training_tells_start_program_epochs_and_end() {
    let all = events(&["train", "digits", "--epochs", "2", "--seed", "3"]);
    let kinds: Vec<&str> = all.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(kinds, ["start", "program", "epoch", "epoch", "done"]);
    let [start, program, _, epoch, done] = all.as_slice() else { unreachable!("five events") };
    assert_keys(
        start,
        &["demo", "model", "device", "backend", "parameters", "train_examples", "test_examples", "seed"],
    );
    assert_eq!(
        (start["demo"].as_str(), start["model"].as_str(), start["backend"].as_str()),
        (Some("digits"), Some("mlp"), Some("cpu"))
    );
    assert_eq!([&start["train_examples"], &start["test_examples"], &start["seed"]], [1438, 359, 3]);
    assert_keys(
        program,
        &[
            "dispatches_per_step",
            "nodes",
            "fused_nodes",
            "planned_bytes",
            "parameter_bytes",
            "flops_per_step",
            "bytes_per_step",
            "compile_seconds",
        ],
    );
    assert_eq!(program["parameter_bytes"].as_u64(), start["parameters"].as_u64().map(|count| count * 4));
    assert_keys(epoch, &["epoch", "step", "train_loss", "validation", "seconds", "examples_per_second"]);
    assert_eq!([&epoch["epoch"], &epoch["step"]], [2, 90]);
    assert_keys(done, &["steps", "seconds", "steps_per_second", "test"]);
    assert_eq!(done["steps"], 90);
    for scores in [&epoch["validation"], &done["test"]] {
        for name in ["loss", "accuracy", "precision", "recall", "f1"] {
            assert!(scores[name].as_f64().is_some_and(f64::is_finite), "{name} in {scores}");
        }
    }
    assert!(done["test"]["accuracy"].as_f64() > Some(0.8));
}

#[test]
fn steps_are_logged_when_asked_for_and_counted() {
    let all = events(&["train", "digits", "--steps", "50", "--log-every", "20", "--optimizer", "sgd", "--lr", "0.05"]);
    let steps = of_kind(&all, "step");
    assert_eq!(steps.iter().filter_map(|step| step["step"].as_u64()).collect::<Vec<_>>(), [20, 40]);
    assert_keys(steps[0], &["step", "loss", "learning_rate"]);
    assert_eq!(steps[0]["learning_rate"], 0.05);
    assert_eq!(of_kind(&all, "done")[0]["steps"], 50);
}

#[test]
fn breast_cancer_is_learned_in_few_dispatches() {
    let all = events(&["train", "tabular"]);
    assert!(of_kind(&all, "done")[0]["test"]["accuracy"].as_f64() >= Some(0.95));
    assert!(of_kind(&all, "program")[0]["dispatches_per_step"].as_u64() <= Some(16));
}

#[test]
fn a_table_of_ones_own_may_have_words_and_several_classes() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("flowers.csv");
    let rows: String = (0..90)
        .map(|row| {
            let class = row % 3;
            format!(
                "{}.{},{},{}\n",
                class * 2,
                row % 10,
                ["red", "blue", "white"][class],
                ["rose", "iris", "lily"][class]
            )
        })
        .collect();
    fs::write(&file, format!("size,colour,kind\n{rows}"))?;
    let all =
        events(&["train", "tabular", "--data", text(&file), "--target", "kind", "--epochs", "40", "--batch-size", "8"]);
    assert!(of_kind(&all, "done")[0]["test"]["accuracy"].as_f64() > Some(0.9));
    Ok(())
}

#[test]
fn people_get_tables_and_no_escapes() {
    let stdout = succeed(&["train", "tabular", "--epochs", "2"]);
    for expected in ["device", "accuracy", "precision", "macro", "true \\ predicted", "malignant", "epoch   2"] {
        assert!(stdout.contains(expected), "{expected:?} in {stdout}");
    }
    assert!(!stdout.contains('\u{1b}'), "{stdout}");
}

#[test]
fn plots_are_pictures() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let (png, svg) = (directory.path().join("run.png"), directory.path().join("run.svg"));
    for file in [&png, &svg] {
        succeed(&["train", "tabular", "--epochs", "3", "--plot", text(file)]);
    }
    assert!(fs::read(&png)?.starts_with(b"\x89PNG") && fs::metadata(&png)?.len() > 10_000);
    let svg = fs::read_to_string(&svg)?;
    assert!(svg.contains("<svg") && svg.contains("test accuracy") && svg.contains("loss"));
    Ok(())
}

#[test]
fn the_cpu_is_always_listed() {
    let all = events(&["devices"]);
    let cpu = all.iter().find(|event| event["backend"] == "cpu");
    assert!(cpu.is_some_and(|cpu| cpu["limits"]["threads"].as_u64() > Some(0)), "{all:?}");
    assert!(succeed(&["devices"]).contains("CPU"));
}

#[test]
fn checks_report_each_kernel() {
    let all = events(&["check", "reduce/sum"]);
    assert_keys(&all[0], &["name", "cases", "max_error", "tolerance", "ok"]);
    assert!(all.iter().all(|event| event["ok"] == true && event["event"] == "kernel"));
}

#[test]
fn benchmarks_begin_with_the_peak_and_compare() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("before.jsonl");
    let all = events(&["bench", "matmul/f32/256", "--quick", "--save", text(&file)]);
    assert_keys(&all[0], &["device", "gflops_f32", "gbytes_per_s", "dispatch_us", "submit_readback_us", "tuned"]);
    assert_eq!((all[0]["event"].as_str(), all[1]["name"].as_str()), (Some("peak"), Some("matmul/f32/256x256x256")));
    for key in [
        "device",
        "median_s",
        "min_s",
        "max_s",
        "runs",
        "clock",
        "flops",
        "bytes",
        "gflops",
        "gbytes_per_s",
        "fraction_of_peak",
        "dispatches",
        "max_error",
    ] {
        assert!(!all[1][key].is_null(), "{key} in {}", all[1]);
    }
    assert_eq!(all[1]["flops"], 2 * 256 * 256 * 256);
    // What cannot be written or compared with is told before anything is measured.
    let (missing, file) = (directory.path().join("none/after.jsonl"), text(&file));
    for option in ["--save", "--baseline", "--roofline"] {
        let line = fail(&["bench", "matmul/f32/256", "--quick", option, text(&missing)]);
        assert!(line.contains("none"), "{option}: {line}");
    }
    assert!(succeed(&["bench", "matmul/f32/256", "--quick", "--baseline", file]).contains("baseline"));
    let step = events(&["bench", "step/mlp-tiny/synced", "--quick"]);
    assert!(step[1]["host_s"].is_number() && step[1]["planned_bytes"].is_number());
    Ok(())
}

#[test]
fn programs_can_be_looked_at() {
    for (stage, expected) in [
        ("graph", "matmul"),
        ("fused", "relu"),
        ("program", "dispatches"),
        ("memory", "slot"),
        ("startup", "0 kernels"),
    ] {
        assert!(succeed(&["inspect", "mnist", "--stage", stage]).contains(expected), "{stage}");
    }
    let dot = succeed(&["inspect", "digits", "--dot"]);
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}') && dot.contains("->"));
    assert_eq!(events(&["inspect", "tabular"])[0]["stage"], "program");
    let rounded = |precision: &str| succeed(&["inspect", "digits", "--stage", "fused", "--precision", precision]);
    assert!(rounded("auto").contains("bf16[") && !rounded("f32").contains("bf16["));
}

/// An ONNX file is looked at as a demo is, in any size; its nodes have the file's names, and their arguments.
#[test]
fn files_can_be_looked_at() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/digits_cnn.onnx");
    for (stage, expected) in [
        ("graph", "(parameter): f32[16, 1, 3, 3]  // node \"/conv1/Conv\" (Conv)"),
        ("graph", "max_pool(%14; kind: Max"),
        ("fused", "relu"),
        ("program", "dispatches"),
        ("memory", "slot"),
    ] {
        let listing = succeed(&["inspect", model, "--stage", stage, "--shape", "image=5,1,8,8"]);
        assert!(listing.contains(expected), "{stage}: {listing}");
    }
    let output = run(&["inspect", model, "--stage", "graph"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"image\"(): f32[1, 1, 8, 8]"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--shape image="), "{output:?}");
    assert!(fail(&["inspect", model, "--batch-size", "5"]).contains("--batch-size is for demos"));
}

/// A filter that is a kernel's name means that kernel.
#[test]
fn a_name_is_no_part_of_another() {
    let all = events(&["check", "relu"]);
    let names: Vec<&str> = all.iter().filter_map(|event| event["name"].as_str()).collect();
    assert_eq!(names, ["elementwise/relu"]);
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["train"],
        &["train", "nonsense"],
        &["train", "digits", "--nonsense"],
        &["train", "digits", "--epochs", "some"],
        &["train", "digits", "--batch-size", "0"],
        &["train", "digits", "--lr", "-1"],
        &["train", "digits", "--resume"],
        &["train", "digits", "--precision", "f8"],
        &["inspect", "digits", "--stage", "nonsense"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    assert!(succeed(&["train", "--help"]).contains("digits"));
}

/// Who runs the command has written neither a line of the model nor of the engine: listings name layers instead.
#[test]
fn listings_and_mistakes_name_layers_and_no_lines_of_ours() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let trace = directory.path().join("trace.json");
    let stage = |demo: &str, stage: &str| succeed(&["inspect", demo, "--stage", stage]);
    let all = [
        (stage("digits", "graph"), vec!["// 1.dense(256)", "// 2.relu", "// loss", "// optimizer", "// prepare"]),
        (stage("digits", "program"), vec!["1.dense(256)", "optimizer"]),
        (stage("char-lm", "graph"), vec!["// embedding", "// lstm"]),
        (succeed(&["train", "digits", "--steps", "3", "--profile", text(&trace)]), vec!["1.dense(256)", "optimizer"]),
    ];
    for (printed, names) in all {
        for name in names {
            assert!(printed.contains(name), "{name} is not in\n{printed}");
        }
        assert!(!printed.contains(".rs:"), "{printed}");
    }
    let trace = fs::read_to_string(trace)?;
    assert!(trace.contains("\"layer\":\"1.dense(256)\"") && !trace.contains(".rs:"), "{trace}");
    let message = fail(&["train", "digits", "--lr", "1e300", "--steps", "40"]);
    assert!(!message.contains(".rs:"), "{message}");
    Ok(())
}
