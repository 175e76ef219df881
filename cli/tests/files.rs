//! Nothing that a command reads is lost under what it writes.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::fs;
use std::path::Path;

use support::picture::save_grey;
use support::{events, fail, of_kind, run, succeed, text};
use wgrad::prelude::*;
use wgrad::train::checkpoint_file::write;

/// Fails with a message that has the part, and leaves the file as it was.
fn keeps(file: &Path, arguments: &[&str], part: &str) {
    let before = fs::read(file).unwrap();
    let message = fail(arguments);
    assert!(message.contains(part), "{arguments:?}: {message}");
    assert_eq!(fs::read(file).unwrap(), before, "{arguments:?}");
}

fn table(file: &Path) {
    let rows = (0..40).map(|row| format!("{},{}\n", row % 7, ["no", "yes"][row % 2]));
    fs::write(file, std::iter::once("n,kind\n".to_owned()).chain(rows).collect::<String>()).unwrap();
}

#[test]
fn results_of_training_replace_no_data() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let [data, test, model] = ["b.csv", "te.csv", "m.safetensors"].map(at);
    table(&data);
    table(&test);
    let start =
        ["train", "tabular", "--data", text(&data), "--target", "kind", "--test-data", text(&test), "--steps", "1"];
    let with = |more: &[&'static str], path: &Path| -> Vec<String> {
        start.iter().chain(more).map(|argument| (*argument).to_owned()).chain([text(path).to_owned()]).collect()
    };
    let refused = |file: &Path, arguments: Vec<String>, part: &str| {
        keeps(file, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), part);
    };
    refused(&data, with(&["--save"], &data), "that is --data");
    refused(&test, with(&["--save"], &test), "that is --test-data");
    refused(&data, with(&["--profile"], &directory.path().join("./b.csv")), "that is --data");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&data, at("link.safetensors")).unwrap();
        fs::hard_link(&data, at("hard.safetensors")).unwrap();
        refused(&data, with(&["--save"], &at("link.safetensors")), "that is --data");
        refused(&data, with(&["--save"], &at("hard.safetensors")), "that is --data");
    }
    let picture = at("s.png");
    for options in [["--plot", "--save"], ["--save", "--profile"]] {
        let twice = [&start[..], &[options[0], text(&picture), options[1], text(&picture)]].concat();
        assert!(fail(&twice).contains("are one file"));
        assert!(!picture.exists());
    }
    let run = at("run");
    let saved = run.join("checkpoint.safetensors");
    let both = [&start[..], &["--checkpoint", text(&run), "--save", text(&saved)]].concat();
    assert!(fail(&both).contains("are one file"));

    // A model may be saved over an earlier one; a question is not answered over itself or the model.
    let save = [&start[..], &["--save", text(&model)]].concat();
    (0..2).for_each(|_| drop(succeed(&save)));
    let ask = ["predict", text(&model), "--data", text(&data), "--out"];
    keeps(&data, &[&ask[..], &[text(&data)]].concat(), "that is --data");
    keeps(&model, &[&ask[..], &[text(&model)]].concat(), "that is the model");
    let out = at("out.csv");
    (0..2).for_each(|_| drop(succeed(&[&ask[..], &[text(&out)]].concat())));
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 41);
}

#[test]
fn results_replace_no_picture_of_the_data() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    for (class, level) in [("cat", 40), ("dog", 200)] {
        fs::create_dir_all(data.join(class)).unwrap();
        for number in 0..4_u8 {
            save_grey(data.join(class).join(format!("{number}.png")), (8, 8), level + number).unwrap();
        }
    }
    let start = ["train", "images", "--data", text(&data), "--model", "mlp", "--batch-size", "4", "--steps", "1"];
    let [own, new, model] = ["cat/0.png", "new.png", "m.safetensors"].map(|name| data.join(name));
    keeps(&own, &[&start[..], &["--plot", text(&own)]].concat(), "that is a file of --data");
    (0..2).for_each(|_| drop(succeed(&[&start[..], &["--save", text(&model)]].concat())));
    succeed(&[&start[..], &["--plot", text(&new)]].concat());
}

#[test]
fn results_of_onnx_models_replace_no_input() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let [model, inputs, upstream, batch, jobs] = ["k.onnx", "in", "up", "b/0.safetensors", "jobs.jsonl"].map(at);
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/digits_cnn.onnx"), &model).unwrap();
    let image = || ("image".to_owned(), TensorData::zeros(F32, [2, 1, 8, 8]));
    write(&inputs, &[image()], &[]).unwrap();
    write(&upstream, &[("logits".into(), TensorData::zeros(F32, [2, 10]))], &[]).unwrap();
    fs::create_dir(at("b")).unwrap();
    write(&batch, &[image(), ("target".into(), TensorData::zeros(I32, [2]))], &[]).unwrap();
    let infer = ["run", text(&model), "--inputs", text(&inputs), "--outputs"];
    let gradient = ["grad", text(&model), "--inputs", text(&inputs), "--upstream", text(&upstream), "--outputs"];
    let optimizer = r#"{"name":"sgd","lr":0.1}"#;
    let fit = ["fit", text(&model), "--batches", text(batch.parent().unwrap()), "--loss", "cross_entropy"];
    let fit = [&fit[..], &["--optimizer", optimizer, "--steps", "1", "--outputs"]].concat();
    for (command, file, part) in [
        (&infer[..], &model, "that is the model"),
        (&infer, &inputs, "that is --inputs"),
        (&gradient, &upstream, "that is --upstream"),
        (&fit, &batch, "that is a file of --batches"),
        (&fit, &model, "that is the model"),
    ] {
        keeps(file, &[command, &[text(file)]].concat(), part);
    }

    // Of jobs: what one reads is no later one's result; but a job may read what one before it wrote, or write it anew.
    let line = |name: &str, inputs: &Path, outputs: &Path| {
        serde_json::json!({"name": name, "model": model, "inputs": inputs, "outputs": outputs}).to_string()
    };
    let [first, second] = ["first", "second"].map(at);
    let lines = [
        line("own", &inputs, &inputs),
        line("list", &inputs, &jobs),
        line("good", &inputs, &first),
        line("twice", &inputs, &first),
        line("earlier", &first, &inputs),
        line("model", &inputs, &model),
        line("other", &inputs, &second),
    ];
    fs::write(&jobs, lines.join("\n")).unwrap();
    let before = [&model, &inputs, &jobs].map(|file| fs::read(file).unwrap());
    let output = run(&["run", "--jobs", text(&jobs), "--json"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let done: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let good: Vec<bool> = done.iter().filter_map(|event| event["ok"].as_bool()).collect();
    assert_eq!(good, [false, false, true, true, false, false, true], "{stdout}");
    assert_eq!([&model, &inputs, &jobs].map(|file| fs::read(file).unwrap()), before);
    // Again, as everything is there.
    assert_eq!(run(&["run", "--jobs", text(&jobs), "--json"]).status.code(), Some(1));
    assert_eq!([&model, &inputs, &jobs].map(|file| fs::read(file).unwrap()), before);
    fs::write(&jobs, [line("a", &inputs, &first), line("b", &inputs, &second)].join("\n")).unwrap();
    assert_eq!(of_kind(&events(&["run", "--jobs", text(&jobs)]), "run").len(), 2);
}

#[test]
fn a_baseline_may_be_replaced_by_new_results_and_by_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let [file, picture] = ["base.jsonl", "base.svg"].map(|name| directory.path().join(name));
    let bench = ["bench", "matmul/f32/64x64x64", "--quick"];
    let case = r#"{"event":"case","name":"matmul/f32/64x64x64","median_s":1.0}"#;
    fs::write(&picture, case).unwrap();
    fs::write(&file, case).unwrap();
    let names = succeed(&["bench", "--list"]);
    let bench = [bench[0], names.lines().find(|name| name.starts_with("matmul/f32")).unwrap(), bench[2]];
    keeps(
        &picture,
        &[&bench[..], &["--baseline", text(&picture), "--roofline", text(&picture)]].concat(),
        "that is --baseline",
    );
    succeed(&[&bench[..], &["--baseline", text(&file), "--save", text(&file)]].concat());
    assert!(fs::read_to_string(&file).unwrap().contains("\"peak\""));
}
