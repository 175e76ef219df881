//! `wgrad grad` and `wgrad fit` on the CNN of the library's example.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::path::{Path, PathBuf};

use support::{events, fail, of_kind, text};
use wgrad::prelude::*;
use wgrad::train::checkpoint_file::{read, write};

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/digits_cnn.onnx")
}

fn images(count: usize, level: f64) -> TensorData {
    let values: Vec<f64> = (0..count * 64).map(|place| level * (place % 7) as f64 / 7.0).collect();
    TensorData::from_f64(F32, &values, [count, 1, 8, 8]).unwrap()
}

#[test]
fn gradients_of_every_float() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(at("in"), &[("image".into(), images(2, 1.0))], &[]).unwrap();
    write(at("up"), &[("logits".into(), TensorData::from_f64(F32, &[1.0; 20], [2, 10]).unwrap())], &[]).unwrap();
    let (model, inputs, upstream, outputs) = (model(), at("in"), at("up"), at("out"));
    let arguments =
        ["grad", text(&model), "--inputs", text(&inputs), "--upstream", text(&upstream), "--outputs", text(&outputs)];
    let events = events(&arguments);
    let done = of_kind(&events, "grad");
    assert!(done.len() == 1 && done[0]["ok"] == true && done[0]["name"] == "digits_cnn", "{done:?}");
    let found = read(&outputs).unwrap().0;
    assert_eq!(found["grad.image"].shape().dims(), [2, 1, 8, 8]);
    // Each logit of both examples has a slope of 1 in its bias.
    assert_eq!(found["grad.fc2.bias"].to_f64_vec(), [2.0; 10]);
    assert_eq!(found.len(), 9);

    write(at("up"), &[("scores".into(), TensorData::zeros(F32, [2, 10]))], &[]).unwrap();
    assert!(fail(&arguments).contains("\"scores\" is no output of the model; there are [\"logits\"]"));
    write(at("up"), &[("logits".into(), TensorData::zeros(F32, [10]))], &[]).unwrap();
    assert!(fail(&arguments).contains("f32[10], but the output is f32[2, 10]"));
}

#[test]
fn batches_may_differ_in_shape() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (number, count) in [(0, 3), (1, 2)] {
        let labels = TensorData::from_vec((0..count).collect::<Vec<i32>>(), [count as usize]).unwrap();
        let batch = [("image".to_owned(), images(count as usize, 0.5)), ("target".to_owned(), labels)];
        write(at(&format!("{number}.safetensors")), &batch, &[]).unwrap();
    }
    let (model, outputs) = (model(), at("out"));
    let start = ["fit", text(&model), "--batches", text(folder.path()), "--outputs", text(&outputs)];
    let with = |loss: &str, optimizer: &str, steps: &str| {
        let rest = ["--loss", loss, "--optimizer", optimizer, "--steps", steps, "--freeze", "conv1.weight"];
        start.iter().copied().chain(rest).map(str::to_owned).collect::<Vec<String>>()
    };
    let good = with("cross_entropy", r#"{"name":"adam","lr":0.01}"#, "40");
    let good: Vec<&str> = good.iter().map(String::as_str).collect();
    assert!(of_kind(&events(&good), "fit")[0]["ok"] == true);
    let found = read(&outputs).unwrap().0;
    let losses = found["loss"].to_f64_vec();
    assert!(losses.len() == 40 && losses[39] < 0.5 * losses[1], "{losses:?}");
    assert_eq!(found.len(), 9);
    for (loss, optimizer, steps, expected) in [
        ("crossentropy", r#"{"name":"sgd"}"#, "1", "there is no loss \"crossentropy\"; there are mse"),
        ("mse", r#"{"name":"sgd","rate":1}"#, "1", "has no \"rate\""),
        ("mse", r#"{"name":"sgd"}"#, "1", "0.safetensors: mse: the prediction is [3, 10], the target [3]"),
        ("mse", r#"{"name":"sgd"}"#, "0", "from 1 on"),
    ] {
        let arguments = with(loss, optimizer, steps);
        let message = fail(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(message.contains(expected), "{message}");
    }
    let labels = TensorData::from_vec(vec![0_i32, 1, 10], [3]).unwrap();
    write(at("0.safetensors"), &[("image".into(), images(3, 0.5)), ("target".into(), labels)], &[]).unwrap();
    assert!(fail(&good).contains("the target has the label 10, but there are 10 classes"));
    write(at("0.safetensors"), &[("image".into(), images(3, 0.5))], &[]).unwrap();
    assert!(fail(&good).contains("has no tensor \"target\""));
    std::fs::remove_file(at("0.safetensors")).unwrap();
    assert!(fail(&good).contains("there is no 0.safetensors"));
}
